package verify

import (
	"context"
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
		line   func(*run, context.Context) error
		answer *answer
		ok     bool
	}{
		{"form", (*run).refusalForm, plain(403, "used", used), true},
		{"status of another reason", (*run).refusalForm, plain(404, "used", used), false},
		{"unknown reason", (*run).refusalForm, plain(403, "because", used), false},
		{"html", (*run).refusalForm, plain(403, "used", used, "Content-Type", "text/html"), false},
		{"no sentence", (*run).refusalForm, plain(403, "used", "<h1>Forbidden</h1>"), false},
		{"detail after the sentence", (*run).refusalForm, plain(403, "used", used+"\nat gate.go:12."), false},

		{"retry-after", (*run).retryAfter, plain(503, "index-unavailable", busy, "Retry-After", "1"), true},
		{"retry-after missing", (*run).retryAfter, plain(503, "index-unavailable", busy), false},
		{"retry-after of a date", (*run).retryAfter, plain(503, "index-unavailable", busy, "Retry-After", "soon"), false},
		{"retry-after where the URL may be spent", (*run).retryAfter, plain(503, "claim-unknown", busy, "Retry-After", "1"), false},

		{"no-store", (*run).noStore, plain(403, "used", used), true},
		{"cached for a minute", (*run).noStore, plain(403, "used", used, "Cache-Control", "max-age=60"), false},
		{"what S3 says of caching is not ours", (*run).noStore, plain(200, "", "", "Cache-Control", "max-age=60"), true},

		{"miss", (*run).notCached, plain(200, "", "", "X-Cache", "Miss from cloudfront"), true},
		{"hit", (*run).notCached, plain(200, "", "", "X-Cache", "RefreshHit from cloudfront"), false},
		{"age", (*run).notCached, plain(200, "", "", "Age", "3"), false},

		{"nothing leaks", (*run).noLeak, plain(403, "", "<Code>InvalidAccessKeyId</Code><AWSAccessKeyId>oncegate</AWSAccessKeyId>"), true},
		{"canonical request", (*run).noLeak, plain(403, "", "<CanonicalRequest>PUT</CanonicalRequest>"), false},
		{"token", (*run).noLeak, plain(403, "", "x-amz-security-token=IQoJ"), false},
		{"role's key", (*run).noLeak, plain(403, "", "<AWSAccessKeyId>ASIAIOSFODNN7EXAMPLE</AWSAccessKeyId>"), false},
		{"signature in a header", (*run).noLeak, plain(403, "", "", "Location", "/?X-Amz-Signature=00"), false},

		{"a generated answer", (*run).functions, plain(403, "used", used, "X-Cache", "LambdaGeneratedResponse from cloudfront"), true},
		{"a throttled function", (*run).functions, plain(503, "", "", "X-Cache", "LambdaLimitExceededError from cloudfront"), false},
		{"an invalid result", (*run).functions, plain(502, "", "", "X-Cache", "LambdaValidationError from cloudfront"), false},

		{"both security headers", (*run).securityHeaders,
			plain(200, "", "", "Strict-Transport-Security", "max-age=31536000", "X-Content-Type-Options", "nosniff"), true},
		{"no strict-transport-security", (*run).securityHeaders, plain(200, "", "", "X-Content-Type-Options", "nosniff"), false},
		{"no nosniff", (*run).securityHeaders, plain(200, "", "", "Strict-Transport-Security", "max-age=1"), false},
	} {
		r := &run{answers: []*answer{plain(204, "", ""), c.answer}, firstAnswer: c.answer, tls: &tls.Config{}}
		err := c.line(r, t.Context())
		if wrong, ok := errors.AsType[*mismatch](err); ok == c.ok || err != nil && !ok {
			t.Errorf("%s: %v, want ok %v", c.name, err, c.ok)
		} else if ok && (wrong.expected == "" || wrong.got == "") {
			t.Errorf("%s: %+v", c.name, wrong)
		}
	}
}
