package edge_test

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"oncegate/edge"
	"oncegate/internal/onetime"
)

// uppy makes Uppy's request. below is what follows /s3.
func (w *world) uppy(t testing.TB, method, below, body string) edge.Result {
	t.Helper()
	event := load(t, "get-url.json")
	request := &event.Records[0].CF.Request
	path, query, _ := strings.Cut(below, "?")
	request.Method, request.URI, request.Querystring = method, "/s3"+path, query
	if body != "" {
		request.Headers["content-type"] = []edge.Header{{Value: "application/json"}}
		request.Body = &edge.Body{Action: "read-only", Encoding: "base64", Data: base64.StdEncoding.EncodeToString([]byte(body))}
	}
	function := edge.GateFunction
	if path == "/multipart" { // as CloudFront is told: infra/stack/distribution.go
		function = edge.MintFunction
	}
	return w.run(t, function, event)
}

// answered is a JSON answer to Uppy, read into v.
func answered(t testing.TB, result edge.Result, v any) {
	t.Helper()
	r := result.Response
	if r == nil || r.Status != "200" || value(t, r, "content-type") != "application/json" || value(t, r, "cache-control") != "no-store" {
		t.Fatalf("%+v %+v", result.Response, result.Forward)
	}
	if err := json.Unmarshal([]byte(r.Body), v); err != nil {
		t.Fatalf("%s: %v", r.Body, err)
	}
}

// created is an upload that Uppy has created.
type created struct{ Key, UploadID string }

func (w *world) create(t testing.TB, body string) (c created, at string) {
	t.Helper()
	answered(t, w.uppy(t, "POST", "/multipart", body), &c)
	return c, "/multipart/" + c.UploadID + "%s?key=" + strings.ReplaceAll(c.Key, "/", "%%2F")
}

func md5Of(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

const fileJSON = `{"filename":"me.jpg","metadata":{"name":"me.jpg","type":"image/jpeg","relativePath":null},"type":"image/jpeg"}`

// TestCompanion is an upload as Uppy 6 makes it: created, sent in parts, listed, completed
// with ETags with and without quotes, and listed and completed once more, for an answer may
// be lost.
func TestCompanion(t *testing.T) {
	w := newWorld(t)
	c, at := w.create(t, fileJSON)
	entry := w.entries(t)[0]
	if entry.Key != c.Key || entry.Name != "me.jpg" || entry.Limits.Type != "image/jpeg" {
		t.Errorf("minted %+v", entry)
	}
	var list []struct {
		PartNumber int
		ETag       string
		Size       int64
	}
	answered(t, w.uppy(t, "GET", fmt.Sprintf(at, ""), ""), &list)
	if len(list) != 0 {
		t.Errorf("before the first part: %v", list)
	}
	first := strings.Repeat("a", 5<<20)
	for n := 1; n <= 2; n++ {
		for range 2 {
			var signed struct{ URL string }
			answered(t, w.uppy(t, "GET", fmt.Sprintf(at, fmt.Sprint("/", n)), ""), &signed)
			path, query, _ := strings.Cut(strings.TrimPrefix(signed.URL, "https://d111111abcdef8.cloudfront.net"), "?")
			forward := w.multipart(t, "PUT", path, query, "", map[string]string{"content-length": "5"}).Forward
			if forward == nil || !strings.HasPrefix(forward.Querystring, fmt.Sprintf("part=%d&", n)) {
				t.Fatalf("the part: %+v", forward)
			}
		}
		if uploads := w.store.Uploads(); len(uploads) != 1 {
			t.Fatalf("uploads at S3: %v", uploads)
		}
		w.store.PutPart(w.store.Uploads()[0], n, []byte([]string{first, "hello"}[n-1]))
	}
	upload := w.store.Uploads()[0]
	for range 2 {
		answered(t, w.uppy(t, "GET", fmt.Sprintf(at, ""), ""), &list)
		if len(list) != 2 || list[1].PartNumber != 2 || list[1].Size != 5 || list[1].ETag != `"`+md5Of("hello")+`"` {
			t.Errorf("the list: %v", list)
		}
		parts := fmt.Sprintf(`{"parts":[{"PartNumber":1,"ETag":%q},{"PartNumber":2,"ETag":%q}]}`, list[0].ETag, md5Of("hello"))
		var done struct{ Location, Key string }
		answered(t, w.uppy(t, "POST", fmt.Sprintf(at, "/complete"), parts), &done)
		if done.Key != c.Key || done.Location != "https://d111111abcdef8.cloudfront.net/"+c.Key {
			t.Errorf("completed: %+v", done)
		}
	}
	if r := w.uppy(t, "GET", fmt.Sprintf(at, "/1"), ""); reasonOf(t, r) != onetime.Used {
		t.Errorf("a part afterwards: %+v", r.Response)
	}
	if strings.Contains(w.log.String(), c.UploadID) || strings.Contains(w.log.String(), upload) {
		t.Error("the log has an upload id")
	}
}

// TestCompanionGiveUp: a file that is removed takes its URL along.
func TestCompanionGiveUp(t *testing.T) {
	w := newWorld(t)
	_, at := w.create(t, fileJSON)
	w.uppy(t, "GET", fmt.Sprintf(at, "/1"), "")
	for range 2 {
		var state struct{ State string }
		answered(t, w.uppy(t, "DELETE", fmt.Sprintf(at, ""), ""), &state)
		if state.State != "revoked" {
			t.Errorf("state %+v", state)
		}
	}
	if r := w.uppy(t, "GET", fmt.Sprintf(at, "/1"), ""); reasonOf(t, r) != onetime.Revoked {
		t.Errorf("a part afterwards: %+v", r.Response)
	}
}

// TestCompanionCreates: what Uppy says of a file becomes name and type of the URL.
func TestCompanionCreates(t *testing.T) {
	for _, c := range []struct{ body, name, kind, want string }{
		{`{}`, "", "", ""},
		{`{"filename":null,"type":null}`, "", "", ""},
		{`{"filename":"a.txt","type":"Text/Plain; charset=utf-8"}`, "a.txt", "text/plain", ""},
		{`{"filename":"a/b\u0000","type":"image/png"}`, "", "image/png", ""}, // no name that an object may have
		{`{"filename":"` + strings.Repeat("a", 300) + `"}`, "", "", ""},
		{`{"filename":"a","label":"x","expires":1,"maxBytes":1}`, "a", "", ""}, // options of /url only
		{`{"filename":1}`, "", "", "options"},
		{`{"type":"image/*"}`, "", "", "options"},
		{`{"type":"image/png,image/gif"}`, "", "", "options"},
		{`{"type":"image"}`, "", "", "options"},
		{`[]`, "", "", "options"},
		{`{"filename":"a"`, "", "", "options"},
	} {
		w := newWorld(t)
		result := w.uppy(t, "POST", "/multipart", c.body)
		if c.want != "" {
			if string(reasonOf(t, result)) != c.want || len(w.store.Keys()) != 0 {
				t.Errorf("%s: %+v, want %s and nothing stored", c.body, result.Response, c.want)
			}
			continue
		}
		answered(t, result, &created{})
		if e := w.entries(t)[0]; e.Name != c.name || e.Limits.Type != c.kind || e.Label != "" || e.Limits.MaxBytes != 0 && e.Limits.MaxBytes != onetime.MaxBytes || e.Expires.Sub(e.Created) != time.Hour {
			t.Errorf("%s: minted %+v", c.body, e)
		}
	}
}

// TestCompanionNeedsACredential: whoever may not mint at /url may not create here. What comes
// after needs none, for the uploadId is the URL.
func TestCompanionNeedsACredential(t *testing.T) {
	w := newWorld(t)
	_, at := w.create(t, fileJSON)
	w.Functions.Auth = &authorizer{}
	stored := len(w.store.Keys())
	if r := w.uppy(t, "POST", "/multipart", fileJSON); reasonOf(t, r) != onetime.CredentialMissing || !strings.HasPrefix(r.Response.Body, `{"status":401`) {
		t.Errorf("%+v", r.Response)
	}
	if got := len(w.store.Keys()); got != stored {
		t.Errorf("%d objects, want %d", got, stored)
	}
	answered(t, w.uppy(t, "GET", fmt.Sprintf(at, "/1"), ""), &struct{}{})
}

// TestCompanionOfAURL: a page that was given a URL has it in the address that it gives Uppy.
func TestCompanionOfAURL(t *testing.T) {
	w := newWorld(t)
	path, query := w.order(t, "type=image/png")
	w.Functions.Auth = &authorizer{}
	id := base64.RawURLEncoding.EncodeToString([]byte(path + "?" + query))
	for range 2 {
		var c created
		answered(t, w.uppy(t, "POST", "/"+id+"/s3/multipart", ""), &c)
		if c.UploadID != id || "/"+c.Key != path {
			t.Fatalf("%+v", c)
		}
	}
	below := "/" + id + "/s3/multipart/" + id + "%s?key=" + path[1:]
	var signed struct{ URL string }
	answered(t, w.uppy(t, "GET", fmt.Sprintf(below, "/1"), ""), &signed)
	if want := "https://d111111abcdef8.cloudfront.net" + path + "?" + query + "&partNumber=1"; signed.URL != want {
		t.Errorf("the part goes to %s, want %s", signed.URL, want)
	}
	w.store.PutPart(w.store.Uploads()[0], 1, []byte("hello"))
	answered(t, w.uppy(t, "GET", fmt.Sprintf(below, ""), ""), &[]struct{}{})
	answered(t, w.uppy(t, "POST", fmt.Sprintf(below, "/complete"), `{"parts":[{"PartNumber":1,"ETag":"`+md5Of("hello")+`"}]}`), &struct{}{})
	if r := w.uppy(t, "POST", "/"+id+"/s3/multipart", ""); reasonOf(t, r) != onetime.Used {
		t.Errorf("created again: %+v", r.Response)
	}

	elsewhere := newWorld(t)
	elsewhere.mint(t) // both worlds mint the same URLs
	otherPath, otherQuery := elsewhere.mint(t)
	other := base64.RawURLEncoding.EncodeToString([]byte(otherPath + "?" + otherQuery))
	for _, c := range []struct{ method, below string }{
		{"POST", "/" + other + "/s3/multipart/" + id + "/complete?key=" + path[1:]},
		{"DELETE", "/" + other + "/s3/multipart/" + id + "?key=" + path[1:]},
		{"POST", "/x/s3/multipart"},
		{"POST", "/" + id + "x/s3/multipart"},
	} {
		if r := w.uppy(t, c.method, c.below, ""); reasonOf(t, r) != onetime.Unknown {
			t.Errorf("%s %s: %+v", c.method, c.below, r.Response)
		}
	}
}

// TestCompanionRefuses: what is no uploadId, no key of it, no number, or no list of its parts,
// is refused and spends nothing.
func TestCompanionRefuses(t *testing.T) {
	w := newWorld(t)
	c, at := w.create(t, fileJSON)
	answered(t, w.uppy(t, "GET", fmt.Sprintf(at, "/1"), ""), &struct{}{})
	w.store.PutPart(w.store.Uploads()[0], 1, []byte("hello"))
	raw, err := base64.RawURLEncoding.DecodeString(c.UploadID)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	key := "?key=" + c.Key
	list := func(n int, etag string) string {
		return fmt.Sprintf(`{"parts":[{"PartNumber":%d,"ETag":%q}]}`, n, etag)
	}
	complete := fmt.Sprintf(at, "/complete")
	for _, r := range []struct{ method, below, body, want string }{
		{"GET", "/multipart/" + encode("https://evil.example"+string(raw)) + "/1" + key, "", "path"},
		{"GET", "/multipart/" + encode("//evil.example"+string(raw)) + "/1" + key, "", "path"},
		{"GET", "/multipart/" + encode(string(raw)+"&partNumber=2") + "/1" + key, "", "unknown"},
		{"GET", "/multipart/" + encode(string(raw)+"#x") + "/1" + key, "", "unknown"},
		{"GET", "/multipart/" + base64.StdEncoding.EncodeToString(append(raw, '?')) + "/1" + key, "", "unknown"},
		{"GET", "/multipart/" + c.UploadID + "=/1" + key, "", "unknown"},
		{"GET", "/multipart/" + encode(strings.Replace(string(raw), "Signature=", "Signature=0", 1)) + "/1" + key, "", "unknown"},
		{"GET", "/multipart//1" + key, "", "unknown"},
		{"GET", "/multipart/x" + key, "", "unknown"},
		{"GET", "/multipart/" + c.UploadID + "/1", "", "unknown"},
		{"GET", "/multipart/" + c.UploadID + "/1?key=uploads/x", "", "unknown"},
		{"GET", fmt.Sprintf(at, "/1") + "&key=" + c.Key, "", "unknown"},
		{"GET", fmt.Sprintf(at, "/1") + "&x=1", "", "unknown"},
		{"DELETE", "/multipart/" + c.UploadID + "?key=uploads/x", "", "unknown"},
		{"GET", fmt.Sprintf(at, "/0"), "", "part"},
		{"GET", fmt.Sprintf(at, "/-1"), "", "part"},
		{"GET", fmt.Sprintf(at, "/01"), "", "part"},
		{"GET", fmt.Sprintf(at, "/1001"), "", "part"},
		{"GET", fmt.Sprintf(at, "/1000000000000000000000"), "", "part"},
		{"GET", fmt.Sprintf(at, "/1/2"), "", "part"},
		{"GET", fmt.Sprintf(at, "/complete"), "", "method"},
		{"POST", fmt.Sprintf(at, "/1"), "", "method"},
		{"PUT", fmt.Sprintf(at, ""), "", "method"},
		{"GET", "/multipart/", "", "unknown"},
		{"GET", "/multi", "", "method"},
		{"GET", "/params?filename=x&type=y", "", "no-multipart"},
		{"POST", complete, "", "options"},
		{"POST", complete, "x", "options"},
		{"POST", complete, "[]", "options"},
		{"POST", complete, "{}", "incomplete"},
		{"POST", complete, `{"parts":[]}`, "incomplete"},
		{"POST", complete, `{"parts":["x"]}`, "incomplete"},
		{"POST", complete, `{"parts":[` + strings.Repeat("{},", 1000) + `{}]}`, "incomplete"},
		{"POST", complete, list(2, md5Of("hello")), "incomplete"},
		{"POST", complete, list(1, md5Of("other")), "incomplete"},
		{"POST", complete, list(1, ""), "incomplete"},
		{"POST", complete, list(1, md5Of("hello")+"&complete"), "incomplete"},
		{"POST", complete, strings.ReplaceAll(list(1, md5Of("hello")), `]`, `,{"PartNumber":1,"ETag":"`+md5Of("hello")+`"}]`), "incomplete"},
		{"POST", complete, strings.ReplaceAll(list(1, md5Of("hello")), `]`, `,{"PartNumber":2,"ETag":"sha256"}]`), "incomplete"},
	} {
		result := w.uppy(t, r.method, r.below, r.body)
		if string(reasonOf(t, result)) != r.want {
			t.Errorf("%s %s %s: %+v, want %s", r.method, r.below, r.body, result.Response, r.want)
		}
		if result.Response != nil && strings.Contains(result.Response.Body, "evil") {
			t.Errorf("repeats what was sent: %s", result.Response.Body)
		}
	}
	answered(t, w.uppy(t, "POST", complete, list(1, md5Of("hello"))), &struct{}{})
}

// TestCompanionLongLists: of a list of parts over 40 KB CloudFront shows the beginning, and
// lets no such answer out.
func TestCompanionLongLists(t *testing.T) {
	w := newWorld(t)
	_, at := w.create(t, fileJSON)
	w.uppy(t, "GET", fmt.Sprintf(at, "/1"), "")
	for i := range 1000 {
		w.store.PutPart(w.store.Uploads()[0], i+1, fmt.Append(nil, i))
	}
	event := load(t, "get-url.json")
	request := &event.Records[0].CF.Request
	path, query, _ := strings.Cut(fmt.Sprintf(at, ""), "?")
	request.Method, request.URI, request.Querystring = "GET", "/s3"+path, query
	if r := w.run(t, edge.GateFunction, event); reasonOf(t, r) != onetime.Header {
		t.Errorf("without accept-encoding: %.300s", r.Response.Body)
	}
	request.Headers["accept-encoding"] = []edge.Header{{Value: "br, gzip;q=0.5"}}
	r := w.run(t, edge.GateFunction, event)
	var list []struct{ PartNumber int }
	answered(t, r, &list)
	if len(list) != 1000 || value(t, r.Response, "content-encoding") != "gzip" {
		t.Errorf("%d parts, headers %v", len(list), r.Response.Headers)
	}
	var small bytes.Buffer
	zip := gzip.NewWriter(&small)
	if _, err := io.WriteString(zip, r.Response.Body); err != nil {
		t.Fatal(err)
	}
	zip.Close()
	if n := base64.StdEncoding.EncodedLen(small.Len()); n > 36<<10 {
		t.Errorf("compressed it has %d bytes", n)
	}
}

// TestCompanionLongComplete: of a body over 40 KB CloudFront shows the beginning.
func TestCompanionLongComplete(t *testing.T) {
	w := newWorld(t)
	_, at := w.create(t, fileJSON)
	w.uppy(t, "GET", fmt.Sprintf(at, "/1"), "")
	w.store.PutPart(w.store.Uploads()[0], 1, []byte("hello"))
	event := load(t, "get-url.json")
	request := &event.Records[0].CF.Request
	path, query, _ := strings.Cut(fmt.Sprintf(at, "/complete"), "?")
	request.Method, request.URI, request.Querystring = "POST", "/s3"+path, query
	request.Headers["content-type"] = []edge.Header{{Value: "application/json"}}
	request.Body = &edge.Body{InputTruncated: true, Encoding: "base64", Data: base64.StdEncoding.EncodeToString([]byte(`{"parts":[{"Par`))}
	answered(t, w.run(t, edge.GateFunction, event), &struct{}{})
}

// TestCompanionCompleteGoesOn: S3 gave no answer in time. Uppy is told that it failed, and
// succeeds when it tries again.
func TestCompanionCompleteGoesOn(t *testing.T) {
	w := newWorld(t)
	_, at := w.create(t, fileJSON)
	w.uppy(t, "GET", fmt.Sprintf(at, "/1"), "")
	w.store.PutPart(w.store.Uploads()[0], 1, []byte("hello"))
	w.completeLate()
	body := `{"parts":[{"PartNumber":1,"ETag":"` + md5Of("hello") + `"}]}`
	if r := w.uppy(t, "POST", fmt.Sprintf(at, "/complete"), body).Response; r.Status != "503" || value(t, r, "retry-after") != "1" {
		t.Errorf("%+v", r)
	}
	w.index.Intercept = nil
	answered(t, w.uppy(t, "POST", fmt.Sprintf(at, "/complete"), body), &struct{}{})
}

// TestCompanionOff: the setting switches it off with the rest.
func TestCompanionOff(t *testing.T) {
	w := newWorld(t)
	_, at := w.create(t, fileJSON)
	w.Functions.Multipart = nil
	for _, c := range []struct {
		method, below, body string
		want                onetime.Reason
	}{
		{"POST", "/multipart", fileJSON, onetime.Path},
		{"GET", fmt.Sprintf(at, "/1"), "", onetime.Method},
		{"POST", "/x/s3/multipart", "", onetime.Method},
	} {
		if r := w.uppy(t, c.method, c.below, c.body); reasonOf(t, r) != c.want {
			t.Errorf("%s %s: %+v", c.method, c.below, r.Response)
		}
	}
}

// TestCompanionPreflights: a page may ask for what Uppy does.
func TestCompanionPreflights(t *testing.T) {
	w := newWorld(t)
	w.AllowedOrigins = []string{"https://app.example"}
	for below, want := range map[string]string{
		"/multipart": "POST", "/multipart/x/complete": "POST", "/multipart/x/1": "GET", "/multipart/x": "GET, DELETE", "/x/s3/multipart": "POST", "/x/s3/multipart/x": "GET, DELETE",
	} {
		event := load(t, "preflight.json")
		event.Records[0].CF.Request.URI = "/s3" + below
		function := edge.GateFunction
		if below == "/multipart" {
			function = edge.MintFunction
		}
		r := w.run(t, function, event).Response
		if got := value(t, r, "access-control-allow-methods"); got != want || value(t, r, "access-control-allow-origin") != "https://app.example" {
			t.Errorf("%s: %v", below, r.Headers)
		}
	}
}

// FuzzCompanion: whatever stands in place of an uploadId, of what follows it and of the body,
// there is one answer, nothing is forwarded, and a part's address leads to this host.
func FuzzCompanion(f *testing.F) {
	w := newWorld(f)
	c, _ := w.create(f, fileJSON)
	f.Add("GET", c.UploadID+"/1", c.Key, "")
	f.Add("POST", c.UploadID+"/complete", c.Key, `{"parts":[{"PartNumber":1,"ETag":"x"}]}`)
	f.Add("GET", base64.RawURLEncoding.EncodeToString([]byte("https://evil.example/?"))+"/1", c.Key, "")
	f.Fuzz(func(t *testing.T, method, below, key, body string) {
		w := newWorld(t)
		w.create(t, fileJSON)
		r := w.uppy(t, method, "/multipart/"+below+"?key="+key, body)
		if r.Response == nil {
			t.Fatalf("forwarded: %+v", r.Forward)
		}
		var signed struct{ URL string }
		if json.Unmarshal([]byte(r.Response.Body), &signed) == nil && signed.URL != "" && !strings.HasPrefix(signed.URL, "https://d111111abcdef8.cloudfront.net/uploads/") {
			t.Errorf("a part goes to %s", signed.URL)
		}
	})
}
