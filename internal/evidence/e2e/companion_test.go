//go:build linux

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server"
)

// uploadOf is the upload that a URL is to Uppy: what is below /s3, with %s for more of the path.
func uploadOf(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	id := base64.RawURLEncoding.EncodeToString([]byte(u.Path + "?" + u.RawQuery))
	return "/s3/multipart/" + id + "%s?" + strings.ReplaceAll(url.Values{"key": {u.Path[1:]}}.Encode(), "%", "%%")
}

// uppyPath is the path of the document that a path of Uppy's has.
func uppyPath(path string) string {
	below, _ := strings.CutPrefix(path, "/s3/multipart/")
	_, more, ok := strings.Cut(below, "/")
	switch {
	case below == path:
		return path
	case !ok:
		return "/s3/multipart/{uploadId}"
	case more == "complete":
		return "/s3/multipart/{uploadId}/complete"
	}
	return "/s3/multipart/{uploadId}/{partNumber}"
}

// companionAnswers causes what is answered to Uppy.
func companionAnswers(t *testing.T, d *driver) {
	t.Helper()
	base := d.Edge.URL()
	asJSON := http.Header{"Content-Type": {"application/json"}}
	fault := func(do func()) {
		d.EveryRequest(func(*http.Request) s3server.Fault { return s3server.Fault{Kind: s3server.Answer, Status: 403} })
		do()
		d.EveryRequest(nil)
	}
	create := func() string {
		a := d.do(t, http.MethodPost, base+"/s3/multipart", asJSON, `{"filename":"a.png","type":"image/png","metadata":{}}`)
		var created struct{ UploadID, Key string }
		if err := json.Unmarshal([]byte(a.Body), &created); err != nil {
			t.Fatalf("create: %v", a)
		}
		return base + "/s3/multipart/" + created.UploadID + "%s?key=" + strings.ReplaceAll(url.QueryEscape(created.Key), "%", "%%")
	}
	at := func(upload, more string) string { return fmt.Sprintf(upload, more) }
	part := func(upload string, n int, content string) (etag string) {
		a := testbed.Patiently(func() testbed.Answer { return d.do(t, http.MethodGet, at(upload, "/"+strconv.Itoa(n)), nil, "") })
		var signed struct{ URL string }
		if err := json.Unmarshal([]byte(a.Body), &signed); err != nil || a.Status != http.StatusOK {
			t.Fatalf("part %d: %v", n, a)
		}
		stored := testbed.Patiently(func() testbed.Answer { return d.do(t, http.MethodPut, signed.URL, nil, content) })
		return stored.Header.Get("Etag")
	}

	upload := create()
	for _, below := range []string{"", "/1", "/complete"} {
		d.do(t, http.MethodOptions, at(upload, below), nil, "")
	}
	d.do(t, http.MethodOptions, base+"/s3/multipart", nil, "")
	d.do(t, http.MethodOptions, base+"/s3/params", nil, "")
	d.do(t, http.MethodGet, base+"/s3/params?filename=x&type=y", nil, "")
	d.do(t, http.MethodPost, base+"/s3/multipart", asJSON, `[]`)
	fault(func() {
		d.do(t, http.MethodPost, base+"/s3/multipart", asJSON, `{}`)
		d.do(t, http.MethodGet, at(upload, ""), nil, "")
		d.do(t, http.MethodGet, at(upload, "/1"), nil, "")
		d.do(t, http.MethodDelete, at(upload, ""), nil, "")
	})
	d.do(t, http.MethodGet, at(upload, ""), nil, "") // no parts yet
	d.do(t, http.MethodGet, at(upload, "/1001"), nil, "")
	etag := part(upload, 1, "hello")
	d.do(t, http.MethodGet, at(upload, ""), nil, "")
	list := func(etag string) string { return fmt.Sprintf(`{"parts":[{"PartNumber":1,"ETag":%q}]}`, etag) }
	d.do(t, http.MethodPost, at(upload, "/complete"), asJSON, `x`)
	d.do(t, http.MethodPost, at(upload, "/complete"), asJSON, list(strings.Repeat("0", 32)))
	fault(func() { d.do(t, http.MethodPost, at(upload, "/complete"), asJSON, list(etag)) })
	for _, etag := range []string{etag, strings.Trim(etag, `"`)} {
		if a := d.do(t, http.MethodPost, at(upload, "/complete"), asJSON, list(etag)); a.Status != http.StatusOK {
			t.Errorf("complete with %s: %v", etag, a)
		}
	}
	d.do(t, http.MethodGet, at(upload, "/1"), nil, "") // used
	d.do(t, http.MethodDelete, at(upload, ""), nil, "")
	gone := create()
	d.do(t, http.MethodDelete, at(gone, ""), nil, "")
	d.do(t, http.MethodGet, at(gone, ""), nil, "")
	d.do(t, http.MethodPost, at(gone, "/complete"), asJSON, list(etag))
	d.do(t, http.MethodGet, base+at(uploadOf(t, ask(t, d.Stack, "sha256="+sumOf(2)).URL), "/1"), nil, "")
	small := base + uploadOf(t, ask(t, d.Stack, "maxBytes=3").URL)
	etag = part(small, 1, "hello")
	d.do(t, http.MethodPost, at(small, "/complete"), asJSON, list(etag)) // too large

	// A list that is too long for one answer as it is.
	const many = 520
	upload = create()
	part(upload, 1, "x")
	var parts sync.WaitGroup
	numbers := make(chan int)
	for range 4 {
		parts.Go(func() {
			for n := range numbers {
				part(upload, n, strconv.Itoa(n))
			}
		})
	}
	for n := range many - 1 {
		numbers <- n + 2
	}
	close(numbers)
	parts.Wait()
	d.do(t, http.MethodGet, at(upload, ""), http.Header{"Accept-Encoding": {"identity"}}, "")
	response, err := http.Get(at(upload, "")) // which asks for gzip, and undoes it
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var listed []struct{ PartNumber int }
	if err := json.NewDecoder(response.Body).Decode(&listed); err != nil || len(listed) != many || !response.Uncompressed {
		t.Errorf("the list has %d parts, want %d: %v", len(listed), many, err)
	}
}

// TestCompanion: an upload of Uppy through real Node, with a part that breaks off, is one
// object, also where the answer of complete is lost.
func TestCompanion(t *testing.T) {
	st := testbed.New(t)
	m := st.Mint(t)
	upload := st.Edge.URL() + uploadOf(t, m.URL)
	asJSON := http.Header{"Content-Type": {"application/json"}}
	var etags []string
	contents := []string{strings.Repeat("a", 5<<20), "hello"}
	for i, content := range contents {
		a := st.Do(t, http.MethodGet, fmt.Sprintf(upload, fmt.Sprint("/", i+1)), nil, nil)
		var signed struct{ URL string }
		if err := json.Unmarshal([]byte(a.Body), &signed); err != nil || signed.URL != fmt.Sprintf("%s&partNumber=%d", m.URL, i+1) {
			t.Fatalf("%v, %v", a, err)
		}
		etags = append(etags, st.Do(t, http.MethodPut, signed.URL, nil, strings.NewReader(content)).Header.Get("Etag"))
	}
	body := fmt.Sprintf(`{"parts":[{"PartNumber":1,"ETag":%q},{"PartNumber":2,"ETag":%q}]}`, strings.Trim(etags[0], `"`), etags[1])
	st.EveryRequest(func(r *http.Request) s3server.Fault {
		if s3server.Call(r) == "POST uploads/?uploadId" {
			return s3server.Fault{Kind: s3server.Drop, Apply: true}
		}
		return s3server.Fault{}
	})
	lost := st.Do(t, http.MethodPost, fmt.Sprintf(upload, "/complete"), asJSON, strings.NewReader(body))
	st.EveryRequest(nil)
	again := st.Do(t, http.MethodPost, fmt.Sprintf(upload, "/complete"), asJSON, strings.NewReader(body))
	if again.Status != http.StatusOK || lost.Status != http.StatusOK && lost.Status != http.StatusServiceUnavailable {
		t.Errorf("complete: %v, again: %v", lost, again)
	}
	if a := st.Do(t, http.MethodGet, fmt.Sprintf(upload, ""), nil, nil); !strings.Contains(a.Body, `"PartNumber":2`) {
		t.Errorf("the list afterwards: %v", a)
	}
	if got := st.Stored(t, m.Key); got != strings.Join(contents, "") {
		t.Errorf("%d bytes are stored", len(got))
	}
	st.WantVersions(t, m.Key, 1)
}
