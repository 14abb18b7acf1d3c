package verify

import (
	"crypto/tls"
	"errors"
	"net/http"
	"testing"
)

// TestScans shows single answers to the lines that look at all of them.
func TestScans(t *testing.T) {
	plain := func(status int, reason, text string, more ...string) *answer {
		h := http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "Cache-Control": {"no-store"}}
		if reason != "" {
			h.Set("X-Oncegate-Reason", reason)
		}
		for i := 0; i < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return &answer{request: request{what: "PUT", method: "PUT", target: "/uploads/x"}, status: status, header: h, text: text}
	}
	const used = "Forbidden: this URL has already been used."
	const busy = "Service Unavailable: try again."
	for _, c := range []struct {
		name   string
		line   func(*run) error
		answer *answer
		ok     bool
	}{
		{"form", func(r *run) error { return r.refusalForm(nil) }, plain(403, "used", used), true},
		{"status of another reason", func(r *run) error { return r.refusalForm(nil) }, plain(404, "used", used), false},
		{"unknown reason", func(r *run) error { return r.refusalForm(nil) }, plain(403, "because", used), false},
		{"html", func(r *run) error { return r.refusalForm(nil) }, plain(403, "used", used, "Content-Type", "text/html"), false},
		{"no sentence", func(r *run) error { return r.refusalForm(nil) }, plain(403, "used", "<h1>Forbidden</h1>"), false},
		{"detail after the sentence", func(r *run) error { return r.refusalForm(nil) }, plain(403, "used", used+"\nat gate.go:12."), false},

		{"retry-after", func(r *run) error { return r.retryAfter(nil) }, plain(503, "index-unavailable", busy, "Retry-After", "1"), true},
		{"retry-after missing", func(r *run) error { return r.retryAfter(nil) }, plain(503, "index-unavailable", busy), false},
		{"retry-after of a date", func(r *run) error { return r.retryAfter(nil) }, plain(503, "index-unavailable", busy, "Retry-After", "soon"), false},
		{"retry-after where the URL may be spent", func(r *run) error { return r.retryAfter(nil) }, plain(503, "claim-unknown", busy, "Retry-After", "1"), false},

		{"no-store", func(r *run) error { return r.noStore(nil) }, plain(403, "used", used), true},
		{"cached for a minute", func(r *run) error { return r.noStore(nil) }, plain(403, "used", used, "Cache-Control", "max-age=60"), false},
		{"what S3 says of caching is not ours", func(r *run) error { return r.noStore(nil) }, plain(200, "", "", "Cache-Control", "max-age=60"), true},

		{"miss", func(r *run) error { return r.notCached(nil) }, plain(200, "", "", "X-Cache", "Miss from cloudfront"), true},
		{"hit", func(r *run) error { return r.notCached(nil) }, plain(200, "", "", "X-Cache", "RefreshHit from cloudfront"), false},
		{"age", func(r *run) error { return r.notCached(nil) }, plain(200, "", "", "Age", "3"), false},

		{"nothing leaks", func(r *run) error { return r.noLeak(nil) }, plain(403, "", "<Code>InvalidAccessKeyId</Code><AWSAccessKeyId>oncegate</AWSAccessKeyId>"), true},
		{"canonical request", func(r *run) error { return r.noLeak(nil) }, plain(403, "", "<CanonicalRequest>PUT</CanonicalRequest>"), false},
		{"token", func(r *run) error { return r.noLeak(nil) }, plain(403, "", "x-amz-security-token=IQoJ"), false},
		{"role's key", func(r *run) error { return r.noLeak(nil) }, plain(403, "", "<AWSAccessKeyId>ASIAIOSFODNN7EXAMPLE</AWSAccessKeyId>"), false},
		{"signature in a header", func(r *run) error { return r.noLeak(nil) }, plain(403, "", "", "Location", "/?X-Amz-Signature=00"), false},

		{"a generated answer", func(r *run) error { return r.functions(nil) }, plain(403, "used", used, "X-Cache", "LambdaGeneratedResponse from cloudfront"), true},
		{"a throttled function", func(r *run) error { return r.functions(nil) }, plain(503, "", "", "X-Cache", "LambdaLimitExceededError from cloudfront"), false},
		{"an invalid result", func(r *run) error { return r.functions(nil) }, plain(502, "", "", "X-Cache", "LambdaValidationError from cloudfront"), false},

		{"both security headers", func(r *run) error { return r.securityHeaders(nil) },
			plain(200, "", "", "Strict-Transport-Security", "max-age=31536000", "X-Content-Type-Options", "nosniff"), true},
		{"no strict-transport-security", func(r *run) error { return r.securityHeaders(nil) }, plain(200, "", "", "X-Content-Type-Options", "nosniff"), false},
		{"no nosniff", func(r *run) error { return r.securityHeaders(nil) }, plain(200, "", "", "Strict-Transport-Security", "max-age=1"), false},
	} {
		r := &run{answers: []*answer{plain(204, "", ""), c.answer}, firstAnswer: c.answer, tls: &tls.Config{}}
		err := c.line(r)
		if wrong, ok := errors.AsType[*mismatch](err); ok == c.ok || err != nil && !ok {
			t.Errorf("%s: %v, want ok %v", c.name, err, c.ok)
		} else if ok && (wrong.expected == "" || wrong.got == "") {
			t.Errorf("%s: %+v", c.name, wrong)
		}
	}
}
