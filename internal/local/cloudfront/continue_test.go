package cloudfront

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestContinue: which answer a viewer sees first that waits for 100 Continue, when the
// function has not answered yet, when it lets the request pass, and when it refuses.
func TestContinue(t *testing.T) {
	const held = `
		import { existsSync } from 'node:fs';
		import { setTimeout as sleep } from 'node:timers/promises';
		export const gate = async (event) => {
			const r = event.Records[0].cf.request;
			const [what, door] = r.querystring.split('-');
			while (door && !existsSync(door)) await sleep(2);
			return what === 'pass' ? r : { status: '403' };
		}`
	for name, tt := range map[string]struct {
		mode            Continue
		first           string // before the function's answer
		passed, refused string // the first line after it
	}{
		"at once":   {ContinueAtOnce, "HTTP/1.1 100 Continue\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 403 Forbidden\r\n"},
		"by answer": {ContinueByAnswer, "", "HTTP/1.1 100 Continue\r\n", "HTTP/1.1 403 Forbidden\r\n"},
		"never":     {ContinueNever, "", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 403 Forbidden\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, what := range []string{"pass", "refuse"} {
				got := make(chan arrived, 1)
				f := start(t, held, recorder(got), func(o *Options) { o.Continue = tt.mode })
				door := filepath.Join(t.TempDir(), "open")
				conn := f.dial()
				io.WriteString(conn, "PUT /x?"+what+"-"+door+" HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
				br := bufio.NewReader(conn)
				line := func() string { s, _ := br.ReadString('\n'); return s }
				if tt.first != "" {
					if got := line(); got != tt.first {
						t.Fatalf("%s, before the function's answer: %q, want %q", what, got, tt.first)
					}
					line()
				}
				if err := os.WriteFile(door, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				want := tt.refused
				if what == "pass" {
					want = tt.passed
					if tt.mode != ContinueByAnswer {
						io.WriteString(conn, "abc") // as a viewer whose patience has ended
					}
				}
				if got := line(); got != want {
					t.Fatalf("%s: %q, want %q", what, got, want)
				}
				if what == "pass" {
					if tt.mode == ContinueByAnswer {
						io.WriteString(conn, "abc")
					}
					if a := <-got; a.header.Get("Expect") != "" || a.body != "abc" {
						t.Errorf("the origin got expect %q, body %q", a.header.Get("Expect"), a.body)
					}
				}
			}
		})
	}
}

// Only who waits is answered.
func TestContinueIsForThoseWhoWait(t *testing.T) {
	f := start(t, `export const gate = async () => ({ status: '403' })`, noOrigin(t))
	for name, head := range map[string]string{
		"no Expect": "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
		"no body":   "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n",
		"HTTP/1.0":  "PUT /x HTTP/1.0\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
	} {
		if res := f.raw("PUT", head); res.StatusCode != 403 {
			t.Errorf("%s: %d first, want 403", name, res.StatusCode)
		}
	}
}

// TestContinueWithCurl: curl -T sends Expect with a large file, and is served in every mode.
func TestContinueWithCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("no curl here")
	}
	file := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(file, []byte(strings.Repeat("x", 2<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]Continue{"at once": ContinueAtOnce, "by answer": ContinueByAnswer, "never": ContinueNever} {
		t.Run(name, func(t *testing.T) {
			const gate = `export const gate = async (event) => {
				const r = event.Records[0].cf.request;
				return r.querystring === 'spent' ? { status: '403' } : r;
			}`
			f := start(t, gate, func(w http.ResponseWriter, r *http.Request) {
				n, _ := io.Copy(io.Discard, r.Body)
				if n != 2<<20 {
					t.Errorf("the origin got %d bytes", n)
				}
			}, func(o *Options) { o.Continue = mode })
			for query, want := range map[string]string{"": "200", "spent": "403"} {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				out, err := exec.CommandContext(ctx, curl, "-sS", "-o", os.DevNull, "-w", "%{http_code}", "-H", "Expect: 100-continue",
					"-T", file, f.URL()+"/x?"+query).CombinedOutput()
				if err != nil || string(out) != want {
					t.Errorf("?%s: %s, %v; want %s", query, out, err, want)
				}
			}
		})
	}
}
