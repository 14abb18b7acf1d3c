package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/cloudfront"
)

// TestLargestRequest: an upload whose head is as large as CloudFront takes is stored. One
// byte more is CloudFront's own refusal, and so nothing is spent. A header that the gate
// may not take away is bounded by the gate, so that nothing is refused behind it.
func TestLargestRequest(t *testing.T) {
	st := testbed.New(t)
	m := st.Mint(t)
	u, err := url.Parse(m.URL)
	if err != nil {
		t.Fatal(err)
	}
	// A header that no function has to leave as it is.
	head := func(bytes int) string {
		begin, end := "PUT "+u.RequestURI()+" HTTP/1.1\r\nHost: "+u.Host+"\r\nContent-Length: 1\r\nX-Trace: ", "\r\n\r\n"
		return begin + strings.Repeat("a", bytes-len(begin+end)) + end
	}
	if a := speakOnce(t, u.Host, head(20481), ""); a.Status != http.StatusRequestEntityTooLarge || a.Reason != "" {
		t.Errorf("20,481 bytes: %d %s, want CloudFront's own 413", a.Status, a.Reason)
	}
	for _, name := range []string{"Via", "CDN-Loop"} {
		for _, n := range []int{7 << 10, 19 << 10} {
			text := fmt.Sprintf("PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 1\r\n%s: %s\r\n\r\n", u.RequestURI(), u.Host, name, strings.Repeat("a", n))
			if a := speakOnce(t, u.Host, text, "x"); a.Status != http.StatusBadRequest || a.Reason != "header" {
				t.Errorf("%s of %d bytes: %d %s, want 400 header", name, n, a.Status, a.Reason)
			}
		}
	}
	st.WantClaims(t, m.ID, 0)
	if a := speakOnce(t, u.Host, head(20480), "x"); a.Status != http.StatusOK {
		t.Errorf("20,480 bytes: %d %s, want 200", a.Status, a.Reason)
	}
	st.WantVersions(t, m.Key, 1)
}

// TestThrottled: where the account's concurrency is used up, CloudFront answers for the
// function. Such an answer has nothing of ours, and spends nothing.
func TestThrottled(t *testing.T) {
	st := testbed.New(t, func(s *testbed.Setup) { s.Edge.Concurrency = 2 })
	m := st.Mint(t)
	answers := make([]testbed.Answer, 16)
	var race sync.WaitGroup
	for i := range answers {
		race.Go(func() { answers[i] = st.Put(t, m, "x") })
	}
	race.Wait()
	stored, throttled := 0, 0
	for _, a := range answers {
		switch {
		case a.Status == http.StatusOK:
			stored++
		case a.Status == http.StatusServiceUnavailable && a.Reason() == "":
			throttled++
			if x := a.Header.Get("X-Cache"); x != "LambdaLimitExceeded from cloudfront" || a.Header.Get("Content-Type") != "text/html" {
				t.Errorf("x-cache %q, headers %v", x, a.Header)
			}
		case a.Status != http.StatusForbidden || a.Reason() != "used":
			t.Errorf("%v, want 200, used, or CloudFront's own 503", a)
		}
	}
	if stored != 1 || throttled == 0 {
		t.Errorf("%d stored, %d throttled, want 1 and some", stored, throttled)
	}
	st.WantVersions(t, m.Key, 1)
	st.WantClaims(t, m.ID, 1)
}

// continues are the readings of who answers 100 Continue.
var continues = map[string]cloudfront.Continue{
	"at once": cloudfront.ContinueAtOnce, "by answer": cloudfront.ContinueByAnswer, "never": cloudfront.ContinueNever,
}

// TestExpect: whoever answers 100 Continue, curl -T uploads a large file once, and reads
// why it is refused the second time.
func TestExpect(t *testing.T) {
	file := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(file, make([]byte, 8<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, mode := range continues {
		t.Run(name, func(t *testing.T) {
			st := testbed.New(t, func(s *testbed.Setup) { s.Edge.Continue = mode })
			m := st.Mint(t)
			for _, want := range []string{"200 ", "403 used"} {
				out, err := exec.CommandContext(t.Context(), "curl", "-sS", "--max-time", "60", "-o", os.DevNull, "-w", "%{http_code} %header{x-oncegate-reason}",
					"-H", "Expect: 100-continue", "-T", file, m.URL).CombinedOutput()
				if err != nil || string(out) != want {
					t.Errorf("%s %v, want %s", out, err, want)
				}
			}
			st.WantVersions(t, m.Key, 1)
		})
	}
}

// TestResponsePolicyReadings: whether CloudFront puts the response headers policy on the
// functions' answers or not, a page sees the same CORS headers, each once, on everything
// that it can meet. The security headers are on S3's answers by both readings.
func TestResponsePolicyReadings(t *testing.T) {
	const page, stranger = "https://app.example", "https://stranger.example"
	for name, c := range map[string]struct {
		origins []string
		of      map[string]string // origin of the request: what may be read by it
	}{
		"nobody":  {nil, map[string]string{page: "", "": ""}},
		"named":   {[]string{page}, map[string]string{page: page, stranger: "", "": ""}},
		"anybody": {[]string{"*"}, map[string]string{page: "*", stranger: "*", "": ""}},
	} {
		for reading, options := range map[string][]testbed.Option{"origin-only": nil, "all": {onGenerated}} {
			t.Run(name+", "+reading, func(t *testing.T) {
				st := testbed.New(t, append(options, func(s *testbed.Setup) {
					if c.origins != nil {
						s.Settings["allowedOrigins"] = c.origins
					}
				})...)
				for origin, want := range c.of {
					header := func(more ...string) http.Header {
						h := http.Header{}
						if origin != "" {
							h.Set("Origin", origin)
						}
						for i := 0; i < len(more); i += 2 {
							h.Set(more[i], more[i+1])
						}
						return h
					}
					m := st.Mint(t)
					for _, r := range []struct {
						name, method, url string
						header            http.Header
						body              string
						status            int
						s3                bool // who answers
					}{
						{"mint", "GET", st.Edge.URL() + "/url", header(), "", 200, false},
						{"mint with a bad option", "GET", st.Edge.URL() + "/url?x=1", header(), "", 400, false},
						{"read", "GET", m.URL, header(), "", 403, false},
						{"refused", "PUT", m.URL, header("If-Match", "x"), "x", 400, false},
						{"S3's refusal", "PUT", m.URL, header("Content-Md5", "AAAAAAAAAAAAAAAAAAAAAA=="), "x", 400, true},
						{"spent", "PUT", m.URL, header(), "x", 403, false},
					} {
						a := st.Do(t, r.method, r.url, r.header, strings.NewReader(r.body))
						if a.Status != r.status {
							t.Errorf("%s from %q: %v, want %d", r.name, origin, a, r.status)
						}
						one := func(name, want string) {
							t.Helper()
							if got := a.Header.Values(name); want == "" && len(got) != 0 || want != "" && (len(got) != 1 || got[0] != want) {
								t.Errorf("%s from %q: %s is %q, want %q", r.name, origin, name, got, want)
							}
						}
						if origin != "" {
							one("Access-Control-Allow-Origin", want)
						}
						if r.s3 || reading == "all" {
							one("X-Content-Type-Options", "nosniff")
							one("Strict-Transport-Security", "max-age=31536000")
						}
						exposed := a.Header.Get("Access-Control-Expose-Headers")
						if want != "" && !strings.Contains(exposed, "x-oncegate-reason") {
							t.Errorf("%s from %q: exposes %q", r.name, origin, exposed)
						}
					}
				}
			})
		}
	}
}
