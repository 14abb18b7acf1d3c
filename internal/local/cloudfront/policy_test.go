package cloudfront

import (
	"net/http"
	"strings"
	"testing"
)

// Headers that AWS's two pages disagree about, and others.
func TestForwardingModes(t *testing.T) {
	sent := []string{
		"Content-Type", "text/plain", "Content-Md5", "x", "If-None-Match", "*", "Date", "now", "Authorization", "a", "Cookie", "c=d",
		"X-Amz-Meta-A", "b", "Accept", "*/*", "Referer", "r", "User-Agent", "curl/8", "Accept-Encoding", "gzip", "X-Other", "o",
	}
	all := func(o *Options) {
		o.Distribution.Behaviors[2].OriginRequest = OriginRequestPolicy{AllButHost: true, Cookies: true, QueryStrings: true}
	}
	none := func(o *Options) { o.Distribution.Behaviors[2].OriginRequest = OriginRequestPolicy{} }
	lenient := func(o *Options) { o.LenientHeaders = true }
	for name, tt := range map[string]struct {
		changes []change
		want    string // names, of those sent
		agent   string
	}{
		"no policy":          {[]change{none}, "", "Amazon CloudFront"},
		"no policy, lenient": {[]change{none, lenient}, "Content-Type Content-Md5 If-None-Match Date Authorization", "Amazon CloudFront"},
		"list":               {nil, "Content-Type Content-Md5", "Amazon CloudFront"},
		"list, lenient":      {[]change{lenient}, "Content-Type Content-Md5 If-None-Match Date Authorization", "Amazon CloudFront"},
		"all but host": {[]change{all}, "Content-Type Content-Md5 If-None-Match Date Authorization Cookie X-Amz-Meta-A Accept Referer X-Other",
			"curl/8"},
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan arrived, 1)
			f := start(t, pass, recorder(got), tt.changes...)
			f.do("PUT", "/x", strings.NewReader("abc"), sent...)
			a := <-got
			var names []string
			for i := 0; i < len(sent); i += 2 {
				if sent[i] != "User-Agent" && a.header.Get(sent[i]) != "" {
					names = append(names, sent[i])
				}
			}
			if got := strings.Join(names, " "); got != tt.want {
				t.Errorf("the origin got %s, want %s", got, tt.want)
			}
			if got := a.header.Get("User-Agent"); got != tt.agent {
				t.Errorf("user agent %q, want %q", got, tt.agent)
			}
			if a.host != "test-bucket.s3.us-east-1.amazonaws.com" {
				t.Errorf("host %s", a.host)
			}
		})
	}
}

// A managed policy keeps from an S3 origin what would change its answer's headers.
func TestManagedPolicyDropsResponseParameters(t *testing.T) {
	for query, want := range map[string]string{
		"a=1&response-content-type=x&b=2":                       "a=1&b=2",
		"response-content-disposition=x":                        "",
		"response-content-encoding=x&response-content-language": "response-content-language",
		"a=response-content-type":                               "a=response-content-type",
		"X-Amz-Signature=1":                                     "X-Amz-Signature=1",
	} {
		if got := (OriginRequestPolicy{QueryStrings: true, Managed: true}).query(query); got != want {
			t.Errorf("of %s goes %q, want %q", query, got, want)
		}
		if got := (OriginRequestPolicy{QueryStrings: true}).query(query); got != query {
			t.Errorf("by a policy of one's own: of %s goes %q", query, got)
		}
	}
}

// Whether a policy touches what functions generate is not documented: both are played.
func TestResponsePolicyOnGenerated(t *testing.T) {
	const made = `export const gate = async () => ({ status: '200', headers: { 'x-mine': [{ value: '1' }] }, body: 'x' });`
	for name, all := range map[string]bool{"origin-only": false, "all": true} {
		t.Run(name, func(t *testing.T) {
			f := start(t, made, noOrigin(t), func(o *Options) {
				o.PolicyOnGenerated = all
				o.Distribution.Behaviors[2].ResponseHeaders.Headers = []PolicyHeader{{"X-Content-Type-Options", "nosniff", true}}
			})
			res := f.do("PUT", "/x", nil, "Origin", "https://a.example")
			if got := res.Header.Get("X-Content-Type-Options") == "nosniff"; got != all || res.Header.Get("X-Mine") != "1" {
				t.Errorf("headers %v, policy %v", res.Header, all)
			}
		})
	}
}

func TestResponseHeadersPolicy(t *testing.T) {
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	cors := func(change func(*CORS)) ResponseHeadersPolicy {
		c := CORS{
			AllowedOrigins: []string{"https://a.example"}, AllowedMethods: []string{"PUT"}, AllowedHeaders: []string{"content-type"},
			ExposeHeaders: []string{"etag"}, MaxAge: 600, Override: true,
		}
		change(&c)
		return ResponseHeadersPolicy{CORS: &c}
	}
	same := func(*CORS) {}
	page := header("Origin", "https://a.example")
	for _, tt := range []struct {
		name          string
		policy        ResponseHeadersPolicy
		method        string
		request, from http.Header // from is what the origin answers
		want          http.Header
	}{
		{"nothing", ResponseHeadersPolicy{}, "PUT", page, header("Etag", "e"), header("Etag", "e")},
		{"added", ResponseHeadersPolicy{Headers: []PolicyHeader{{"X-Content-Type-Options", "nosniff", true}}}, "PUT", page, header(), header("X-Content-Type-Options", "nosniff")},
		{"removed", ResponseHeadersPolicy{Remove: []string{"location", "X-Amz-Meta-A"}}, "PUT", page,
			header("Location", "https://s3.example/?X-Amz-Signature=x", "X-Amz-Meta-A", "a", "Etag", "e"), header("Etag", "e")},
		{"removed, then added", ResponseHeadersPolicy{Remove: []string{"x-content-type-options"}, Headers: []PolicyHeader{{"X-Content-Type-Options", "nosniff", false}}}, "PUT", page,
			header("X-Content-Type-Options", "old"), header("X-Content-Type-Options", "nosniff")},
		{"replaced", ResponseHeadersPolicy{Headers: []PolicyHeader{{"Strict-Transport-Security", "new", true}}}, "PUT", page, header("Strict-Transport-Security", "old"), header("Strict-Transport-Security", "new")},
		{"kept", ResponseHeadersPolicy{Headers: []PolicyHeader{{"Strict-Transport-Security", "new", false}}}, "PUT", page, header("Strict-Transport-Security", "old"), header("Strict-Transport-Security", "old")},
		{"cors instead of the origin's", cors(same), "PUT", page, header("Access-Control-Allow-Origin", "*", "Access-Control-Max-Age", "1"),
			header("Access-Control-Allow-Origin", "https://a.example", "Access-Control-Expose-Headers", "etag", "Vary", "Origin")},
		{"cors beside the origin's", cors(func(c *CORS) { c.Override = false }), "PUT", page, header("Access-Control-Allow-Origin", "*"), header("Access-Control-Allow-Origin", "*")},
		{"cors where the origin has none", cors(func(c *CORS) { c.Override = false }), "PUT", page, header(),
			header("Access-Control-Allow-Origin", "https://a.example", "Access-Control-Expose-Headers", "etag", "Vary", "Origin")},
		{"another page", cors(same), "PUT", header("Origin", "https://b.example"), header("Access-Control-Allow-Origin", "*"), header("Vary", "Origin")},
		{"no page", cors(same), "PUT", header(), header(), header("Vary", "Origin")},
		{"credentials", cors(func(c *CORS) { c.Credentials = true }), "PUT", page, header(),
			header("Access-Control-Allow-Origin", "https://a.example", "Access-Control-Expose-Headers", "etag", "Access-Control-Allow-Credentials", "true", "Vary", "Origin")},
		{"preflight", cors(same), "OPTIONS", header("Origin", "https://a.example", "Access-Control-Request-Method", "PUT"), header(),
			header("Access-Control-Allow-Origin", "https://a.example", "Access-Control-Expose-Headers", "etag", "Access-Control-Allow-Methods", "PUT",
				"Access-Control-Allow-Headers", "content-type", "Access-Control-Max-Age", "600", "Vary", "Origin")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.policy.apply(tt.from, &http.Request{Method: tt.method, Header: tt.request})
			for _, h := range []http.Header{tt.from, tt.want} {
				for name := range h {
					if tt.from.Get(name) != tt.want.Get(name) || len(tt.from[name]) != len(tt.want[name]) {
						t.Errorf("%s is %q, want %q", name, tt.from[name], tt.want[name])
					}
				}
			}
		})
	}
}

// What S3 says to two signatures.
func TestSigningOriginCollides(t *testing.T) {
	f := start(t, pass, noOrigin(t), func(o *Options) {
		o.Distribution.Origin.Signs = true
		o.Distribution.Behaviors[2].ResponseHeaders.Headers = []PolicyHeader{{"X-Content-Type-Options", "nosniff", true}}
	})
	res := f.do("PUT", "/x?X-Amz-Algorithm=AWS4-HMAC-SHA256", strings.NewReader("abc"))
	body := readAll(t, res)
	if res.StatusCode != 400 || !strings.Contains(body, "<Code>InvalidArgument</Code>") || !strings.Contains(body, "Only one auth mechanism allowed") ||
		res.Header.Get("X-Cache") != xCacheError || res.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("got %d %v %s", res.StatusCode, res.Header, body)
	}
	if log := f.log.String(); !strings.Contains(log, "origin access control signs") {
		t.Errorf("the log does not name the cause: %s", log)
	}
	if res := f.do("PUT", "/x?a=b", strings.NewReader("abc")); res.StatusCode != 502 {
		t.Errorf("a request that the control alone would sign: %d, want 502", res.StatusCode)
	}
	if log := f.log.String(); !strings.Contains(log, "cannot play") {
		t.Errorf("the log does not say that it cannot be played: %s", log)
	}
}

// TestUnsupportedHeaders: a policy that names a header with "No" in CloudFront's table is
// played, and warned about once.
func TestUnsupportedHeaders(t *testing.T) {
	for _, name := range []string{
		"Cache-Control", "Connection", "Content-Length", "Cookie", "Max-Forwards", "Pragma", "Proxy-Authenticate", "Proxy-Authorization",
		"Proxy-Connection", "Request-Range", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "X-Amz-Cf-Id", "X-Edge-Location",
		"X-Forwarded-Proto", "X-Real-IP",
	} {
		f := start(t, pass, noOrigin(t), func(o *Options) {
			for i := range o.Distribution.Behaviors {
				o.Distribution.Behaviors[i].OriginRequest.Headers = []string{"content-type", name}
			}
		})
		if n := strings.Count(f.log.String(), "origin request policy names header "+name+","); n != 1 {
			t.Errorf("%s: %d warnings, want 1: %s", name, n, f.log)
		}
	}
	f := start(t, pass, noOrigin(t), func(o *Options) {
		for i := range o.Distribution.Behaviors {
			o.Distribution.Behaviors[i].OriginRequest.Headers = []string{
				"content-type", "content-md5", "if-none-match", "origin", "range", "x-amz-checksum-sha256", "x-edgy", "accept", "referer",
			}
		}
	})
	if strings.Contains(f.log.String(), "policy names") {
		t.Errorf("a warning about what the table supports: %s", f.log)
	}
}
