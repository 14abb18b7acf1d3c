package attack

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server"
)

// redirect is what S3 answers a request for a bucket that it looks for elsewhere, made
// worse: Location repeats the whole query. The body is S3's own, which does not:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingRouting.html
func redirect(r *http.Request, status int, to string, applied bool) s3server.Fault {
	code := map[int]string{301: "PermanentRedirect", 307: "TemporaryRedirect"}[status]
	return s3server.Fault{
		Kind: s3server.Answer, Apply: applied, Status: status,
		Header: http.Header{"Location": {to + r.URL.RequestURI()}, "Content-Type": {"application/xml"}, "X-Amz-Bucket-Region": {"eu-west-1"}},
		Body: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>" + code + "</Code><Message>Please re-send this request to the specified temporary endpoint." +
			"</Message><Endpoint>b.s3-eu-west-1.amazonaws.com</Endpoint><Bucket>b</Bucket><RequestId>R</RequestId></Error>",
	}
}

// TestRedirects: where S3 answers an upload by a redirect, the viewer learns the status and
// S3's code, and not where S3 would have the upload sent: the address may hold the upload
// query, which is good for a minute. The URL is spent.
func TestRedirects(t *testing.T) {
	f := newField(t)
	for _, status := range []int{300, 301, 302, 303, 305, 307, 308, 201} {
		for _, applied := range []bool{false, true} {
			t.Run(fmt.Sprint(status, " applied ", applied), func(t *testing.T) {
				m := aim(f.Mint(t))
				shown := "" // what S3 was asked for
				f.FaultOn(m.Name, func(r *http.Request) s3server.Fault {
					shown = r.URL.RawQuery
					return redirect(r, status, "https://b.s3-eu-west-1.amazonaws.com", applied)
				})
				answer := string(f.speak(t, edge, f.fill(attempt{wire: put(good)}, m)))
				f.FaultOn(m.Name, nil)
				if !strings.Contains(shown, "X-Amz-Signature=") {
					t.Fatalf("S3 was asked for %q: there was nothing to show", shown)
				}
				f.CheckLeak(t, answer)
				headers, _, _ := strings.Cut(answer, "\r\n\r\n")
				if !strings.HasPrefix(headers, fmt.Sprintf("HTTP/1.1 %d ", status)) || strings.Contains(strings.ToLower(headers), "\nlocation:") {
					t.Errorf("answered %s, want %d without a location", headers, status)
				}
				stored := 0
				if applied {
					stored = 1
				}
				f.WantVersions(t, m.Key, stored)
				f.WantClaims(t, m.ID, 1)
				if again := f.Put(t, m.Minted, "again"); again.Reason() != "used" {
					t.Errorf("again: %v, want 403 used", again)
				}
				if !t.Failed() {
					total.add(1)
				}
			})
		}
	}
}

// TestIndexRedirects: a redirect is no clear answer of the index. Nobody follows it, and the
// viewer does not see it.
func TestIndexRedirects(t *testing.T) {
	testbed.IndexInBucketOnly(t, "it redirects requests for entries in the bucket")
	f := newField(t)
	var followed atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	defer elsewhere.Close()
	check := func(t *testing.T, a testbed.Answer, reasons ...string) {
		t.Helper()
		good := false
		for _, reason := range reasons {
			good = good || a.Status == http.StatusServiceUnavailable && a.Reason() == reason
		}
		if !good || a.Header.Get("Location") != "" {
			t.Errorf("%v with location %q, want 503 %v and none", a, a.Header.Get("Location"), reasons)
		}
		if n := followed.Load(); n != 0 {
			t.Errorf("the redirect was followed %d times", n)
		}
	}
	for _, status := range []int{301, 307} {
		for _, tt := range []struct{ method, folder, reason string }{
			{"GET", "/valid/", "index-unavailable"}, {"HEAD", "/expired/", "index-unavailable"}, {"PUT", "/expired/", "claim-unknown"},
		} {
			t.Run(fmt.Sprint(status, " ", tt.method, " ", tt.folder), func(t *testing.T) {
				m := f.Mint(t)
				f.FaultOn(string(m.ID), func(r *http.Request) s3server.Fault {
					if r.Method == tt.method && strings.Contains(r.URL.Path, tt.folder) {
						return redirect(r, status, elsewhere.URL, false)
					}
					return s3server.Fault{}
				})
				a := f.Put(t, m, marker)
				f.FaultOn(string(m.ID), nil)
				check(t, a, tt.reason)
				f.WantClaims(t, m.ID, 0)
				if a := f.Put(t, m, "the owner's"); a.Status != http.StatusOK {
					t.Errorf("afterwards: %v, want 200: nothing was spent", a)
				}
			})
		}
		t.Run(fmt.Sprint(status, " mint"), func(t *testing.T) {
			f.EveryRequest(func(r *http.Request) s3server.Fault {
				if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/valid/") {
					return redirect(r, status, elsewhere.URL, false)
				}
				return s3server.Fault{}
			})
			a := f.Do(t, http.MethodGet, f.Edge.URL()+"/url", nil, nil)
			f.EveryRequest(nil)
			check(t, a, "index-unavailable")
		})
	}
}
