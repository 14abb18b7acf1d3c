package cloudfront

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func wide(o *Options) { o.WideLimits = true }

// padded is a request of so many bytes, head and all, by its X-A.
func padded(line string, bytes int, more string) string {
	const begin, end = "\r\nHost: h\r\nX-A: ", "\r\n\r\n"
	return line + begin + strings.Repeat("a", bytes-len(line+begin+more+end)) + more + end
}

// TestRequestLimits: by both readings of AWS's pages, the largest request passes, one byte
// more is refused before the function runs, and the connection ends.
func TestRequestLimits(t *testing.T) {
	const invoked = `export const gate = async () => { console.log('INVOKED'); return { status: '200' } }`
	get := func(target string) string { return "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n" }
	path := func(n int) string { return "/" + strings.Repeat("a", n-1) }
	query := func(n int) string { return "/?" + strings.Repeat("a", n-2) }
	put := func(length string) string {
		return "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: " + length + "\r\n\r\n"
	}
	type row struct {
		name, largest, above string
		status               int
	}
	for reading, c := range map[string]struct {
		changes []change
		rows    []row
	}{
		"quotas": {nil, []row{
			{"request", padded("GET / HTTP/1.1", 20480, ""), padded("GET / HTTP/1.1", 20481, ""), 413},
			{"request with a body", padded("PUT / HTTP/1.1", 20480, "\r\nContent-Length: 0"), padded("PUT / HTTP/1.1", 20481, "\r\nContent-Length: 0"), 413},
			{"URL by its path", get(path(8192 - len("https://h"))), get(path(8193 - len("https://h"))), 413},
			{"URL by its query", get(query(8192 - len("https://h"))), get(query(8193 - len("https://h"))), 413},
			{"body", put("20000000000"), put("20000000001"), 413},
		}},
		"wide": {[]change{wide}, []row{
			{"request", padded("GET / HTTP/1.1", 32768, ""), padded("GET / HTTP/1.1", 32769, ""), 494},
			{"URL", get(path(8192)), get(path(8193)), 414},
			{"body", put("64000000000"), put("64000000001"), 413},
		}},
	} {
		for _, tt := range c.rows {
			t.Run(reading+", "+tt.name, func(t *testing.T) {
				f := start(t, invoked, noOrigin(t), c.changes...)
				res := f.raw("GET", tt.above)
				if res.StatusCode != tt.status || !res.Close || res.Header.Get("X-Cache") != xCacheError {
					t.Errorf("one byte more: %d, close %v, %v; want %d, and the end of the connection", res.StatusCode, res.Close, res.Header, tt.status)
				}
				if strings.Contains(f.log.String(), "INVOKED") {
					t.Error("one byte more: the function ran")
				}
				if res := f.raw("GET", tt.largest); res.StatusCode != 200 {
					t.Errorf("the largest: %d, want 200", res.StatusCode)
				}
			})
		}
	}
}

// TestRewrittenRequestLimits: what the function makes of a request is held to the limits
// too, after the function has run.
func TestRewrittenRequestLimits(t *testing.T) {
	// The function adds as many bytes as the query says.
	const grow = `export const gate = async (event) => {
		const r = event.Records[0].cf.request;
		const [where, n] = r.querystring.split('-');
		if (where === 'query') r.querystring = 'a'.repeat(n);
		else if (where === 'uri') r.uri = '/' + 'a'.repeat(n - 1);
		else r.headers['content-type'] = [{ value: 'a'.repeat(n) }];
		return r;
	}`
	const host = "https://test-bucket.s3.us-east-1.amazonaws.com"
	for _, tt := range []struct {
		name   string
		change change
		where  string
		n      int
		status int
	}{
		{"query fits", nil, "query", 8192 - len(host) - len("/?"), 200},
		{"query too long", nil, "query", 8193 - len(host) - len("/?"), 413},
		{"query too long, wide", wide, "query", 8189, 200},
		{"path too long", nil, "uri", 8192 - len(host), 413},
		{"headers fit", nil, "header", 20000, 200},
		{"headers too large", nil, "header", 20400, 413},
		{"headers too large, wide", wide, "header", 20400, 200},
		{"headers far too large, wide", wide, "header", 32700, 494},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reached := false
			changes := []change{func(*Options) {}}
			if tt.change != nil {
				changes = append(changes, tt.change)
			}
			f := start(t, grow, func(http.ResponseWriter, *http.Request) { reached = true }, changes...)
			res := f.raw("PUT", fmt.Sprintf("PUT /?%s-%d HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", tt.where, tt.n))
			if res.StatusCode != tt.status || reached != (tt.status == 200) {
				t.Errorf("got %d, want %d; the origin was asked: %v", res.StatusCode, tt.status, reached)
			}
			if tt.status != 200 && !strings.Contains(f.log.String(), "the request to the origin is too large") {
				t.Error("the log does not say so")
			}
		})
	}
}
