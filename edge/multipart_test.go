package edge_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"oncegate/edge"
	"oncegate/internal/onetime/onetimetest"
)

// multipart makes a request with the URL and an operation.
func (w *world) multipart(t testing.TB, method, path, query, operation string, headers map[string]string) edge.Result {
	t.Helper()
	event := upload(t, path, query+operation)
	request := &event.Records[0].CF.Request
	request.Method = method
	for name, value := range headers {
		request.Headers[name] = []edge.Header{{Value: value}}
	}
	return w.run(t, edge.GateFunction, event)
}

// TestMultipartAnswers is the whole way in text and in JSON.
func TestMultipartAnswers(t *testing.T) {
	w := newWorld(t)
	path, query := w.mint(t)
	asJSON := map[string]string{"accept": "application/json"}
	ask := func(method, operation string, headers map[string]string) *edge.Response {
		t.Helper()
		result := w.multipart(t, method, path, query, operation, headers)
		if result.Response == nil || result.Response.Status[0] != '2' {
			t.Fatalf("%s %s: %+v", method, operation, result.Response)
		}
		return result.Response
	}
	expect := func(response *edge.Response, want string) {
		t.Helper()
		if response.Body != want {
			t.Errorf("body %s, want %s", response.Body, want)
		}
		if got := value(t, response, "cache-control"); got != "no-store" {
			t.Errorf("cache-control %q", got)
		}
	}

	expect(ask("POST", "&uploads", nil), "8388608\n1000")
	var started struct{ ID string }
	text := ask("POST", "&uploads=", asJSON).Body
	if err := json.Unmarshal([]byte(text), &started); err != nil || !strings.HasSuffix(text, `","partBytes":8388608,"maxParts":1000,"maxBytes":5368709120,"expiresAt":"2026-03-04T06:06:07Z"}`) {
		t.Fatalf("start: %s, %v", text, err)
	}
	upload := w.store.Uploads()[0]
	for range 2 {
		forward := w.multipart(t, "PUT", path, query, "&partNumber=1", map[string]string{"content-length": "5"}).Forward
		if forward == nil || !strings.HasPrefix(forward.Querystring, "part=1&") || strings.Contains(forward.Querystring, query) {
			t.Fatalf("part: %+v", forward)
		}
		w.store.PutPart(upload, 1, []byte("hello"))
	}
	const md5 = "5d41402abc4b2a76b9719d911017c592"
	expect(ask("GET", "&parts", nil), "1 5 "+md5)
	expect(ask("GET", "&parts", asJSON), `{"id":"`+started.ID+`","parts":[{"number":1,"size":5,"etag":"`+md5+`"}]}`)
	expect(ask("GET", "&parts&after=1", asJSON), `{"id":"`+started.ID+`","parts":[]}`)
	// Only the request that makes the object hears S3's checksum.
	for _, sum := range []string{`"crc64nvme":"` + onetimetest.CRC64NVME([]byte("hello")) + `",`, ""} {
		response := ask("POST", "&complete", asJSON)
		expect(response, `{"id":"`+started.ID+`","stored":true,"size":5,"etag":"62109206880d38a4010a98e11243924a-1",`+sum+`"parts":1}`)
		expect(ask("POST", "&complete", nil), "5\n"+strings.Trim(value(t, response, "etag"), `"`))
	}
	expect(ask("GET", "&parts", nil), "1 5 "+md5)
	if strings.Contains(w.log.String(), upload) || strings.Contains(w.log.String(), query) {
		t.Error("the log has the upload id or the URL")
	}
}

// TestGiveUpAnswers: DELETE with the URL.
func TestGiveUpAnswers(t *testing.T) {
	w := newWorld(t)
	path, query := w.mint(t)
	for range 2 {
		if r := w.multipart(t, "DELETE", path, query, "", nil).Response; r.Status != "200" || r.Body != "revoked" {
			t.Fatalf("%+v", r)
		}
	}
	if r := w.multipart(t, "POST", path, query, "&uploads", nil); reasonOf(t, r) != "revoked" {
		t.Errorf("start afterwards: %+v", r.Response)
	}
}

// completeLate has S3 complete uploads, and give no answer in time.
func (w *world) completeLate() {
	w.index.Intercept = func(call onetimetest.Call) *onetimetest.Fault {
		if call.Op != "CompleteUpload" {
			return nil
		}
		w.clock.Set(w.clock.Now().Add(call.Limit))
		return &onetimetest.Fault{Applied: true}
	}
}

// TestCompleteGoesOn: S3 gave no answer, and the client is told to ask again.
func TestCompleteGoesOn(t *testing.T) {
	w := newWorld(t)
	path, query := w.mint(t)
	w.multipart(t, "POST", path, query, "&uploads", nil)
	w.store.PutPart(w.store.Uploads()[0], 1, []byte("hello"))
	w.completeLate()
	response := w.multipart(t, "POST", path, query, "&complete", map[string]string{"accept": "application/json"}).Response
	if response.Status != "202" || value(t, response, "retry-after") != "1" || !strings.HasSuffix(response.Body, `"stored":false}`) {
		t.Errorf("%+v", response)
	}
	if r := w.multipart(t, "POST", path, query, "&complete", nil).Response; r.Status != "200" {
		t.Errorf("the repeat: %+v", r)
	}
}

// TestListFitsAnAnswer: the largest page is below what CloudFront takes of a function.
func TestListFitsAnAnswer(t *testing.T) {
	const most = 40 << 10
	w := newWorld(t)
	path, query := w.mint(t)
	w.multipart(t, "POST", path, query, "&uploads", nil)
	for i := range 1000 {
		w.store.PutPart(w.store.Uploads()[0], i+1, fmt.Append(nil, i))
	}
	got, after := 0, ""
	for range 3 {
		result := w.multipart(t, "GET", path, query, "&parts"+after, map[string]string{"accept": "application/json"})
		eventJSON, err := json.Marshal(result.Response)
		// Sizes have ten digits at the most, here they have up to three.
		if err != nil || len(eventJSON)+400*9 > most {
			t.Fatalf("an answer of %d bytes, %v", len(eventJSON), err)
		}
		var page struct {
			Parts []struct{ Number int }
			Next  int
		}
		if err := json.Unmarshal([]byte(result.Response.Body), &page); err != nil {
			t.Fatal(err)
		}
		got += len(page.Parts)
		after = fmt.Sprintf("&after=%d", page.Next)
		if page.Next == 0 {
			break
		}
	}
	if got != 1000 {
		t.Errorf("%d parts in all pages, want 1000", got)
	}
}

// TestMultipartOff: without it a URL takes one PUT, as it always did.
func TestMultipartOff(t *testing.T) {
	w := newWorld(t)
	w.Functions.Multipart = nil
	path, query := w.mint(t)
	for _, c := range []struct{ method, operation, want string }{
		{"POST", "&uploads", "method"}, {"GET", "&parts", "method"}, {"POST", "&complete", "method"}, {"DELETE", "", "method"}, {"PUT", "&partNumber=1", "unknown"},
	} {
		if r := w.multipart(t, c.method, path, query, c.operation, nil); string(reasonOf(t, r)) != c.want {
			t.Errorf("%s %s: %+v, want %s", c.method, c.operation, r.Response, c.want)
		}
	}
	event := load(t, "preflight.json")
	event.Records[0].CF.Request.URI = path
	if got := value(t, w.run(t, edge.GateFunction, event).Response, "access-control-allow-methods"); got != "PUT" {
		t.Errorf("pages may use %q, want PUT", got)
	}
	if r := w.run(t, edge.GateFunction, upload(t, path, query)); r.Forward == nil {
		t.Errorf("the PUT is refused: %+v", r.Response)
	}
}

// TestMethodsWithJustTheURL: nothing that a scanner or a link preview sends spends it.
func TestMethodsWithJustTheURL(t *testing.T) {
	w := newWorld(t)
	path, query := w.mint(t)
	for _, c := range []struct{ method, operation string }{{"GET", ""}, {"HEAD", ""}, {"POST", ""}, {"POST", "&parts"}, {"GET", "&complete"}, {"PATCH", ""}} {
		if r := w.multipart(t, c.method, path, query, c.operation, nil); reasonOf(t, r) != "method" {
			t.Errorf("%s %s: %+v", c.method, c.operation, r.Response)
		}
	}
	if r := w.run(t, edge.GateFunction, upload(t, path, query)); r.Forward == nil {
		t.Errorf("the PUT is refused: %+v", r.Response)
	}
}
