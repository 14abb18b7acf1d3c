package edge

import (
	"slices"
	"strings"

	"oncegate/internal/lean/ascii"
)

// exposedHeaders are what a page may read of an answer.
var exposedHeaders = []string{"etag", "retry-after", "x-amz-error-code", "x-amz-version-id", "x-oncegate-reason"}

// What is answered to a page that asks to send headers. The rest of a longer list is left
// out, so that its browser refuses.
const (
	maxAskedHeaders = 64
	maxAskedBytes   = 2 << 10
)

// preflightSeconds is how long a browser keeps a preflight's answer. Short: a
// change of allowedOrigins is felt within it.
const preflightSeconds = "600"

// preflight answers OPTIONS at the edge, from the table of routes: S3 is not asked and
// nothing is spent. https://fetch.spec.whatwg.org/#cors-preflight-fetch
func (f *Functions) preflight(c *call) *Response {
	route, _ := f.find(c)
	var methods []string
	for _, m := range route.methods {
		if m.has(f) {
			methods = append(methods, m.name)
		}
	}
	r := answer(statusNoContent, "")
	r.Headers.set("access-control-allow-methods", strings.Join(methods, ", "))
	if f.allows(c.request.Headers.Values("origin")) {
		if names := askedHeaders(c.request.Headers, route.refusesHeader); len(names) > 0 {
			r.Headers.set("access-control-allow-headers", strings.Join(names, ", "))
		}
	}
	r.Headers.set("access-control-max-age", preflightSeconds)
	return r
}

// askedHeaders are the names that a page asks to send, in lower case and each once,
// without those that refuses is true of. What is no name of a header is left out. They
// are never answered by "*", which does not cover authorization.
func askedHeaders(headers Headers, refuses func(name string) bool) (names []string) {
	size := 0
	for _, line := range headers["access-control-request-headers"] {
		for name := range strings.SplitSeq(line.Value, ",") {
			name = ascii.Lower(ascii.Trim(name))
			if size += len(name); size > maxAskedBytes || len(names) == maxAskedHeaders {
				return names
			}
			if ascii.Token(name) && name != "*" && !slices.Contains(names, name) && (refuses == nil || !refuses(name)) {
				names = append(names, name)
			}
		}
	}
	return names
}

// addCORS lets pages of the allowed origins read an answer, refusals included. A
// page of another origin gets an answer that its browser will not show it, so the
// log has to say what was wrong.
func (f *Functions) addCORS(r *Response, c *call) {
	origin := c.request.Headers.Values("origin")
	if len(origin) > 0 && !f.allows(origin) {
		f.logOrigin(c, origin[0])
	}
	if len(f.AllowedOrigins) == 0 {
		return
	}
	allowed := "*"
	if !slices.Contains(f.AllowedOrigins, "*") {
		r.Headers.set("vary", "Origin")
		if !f.allows(origin) {
			return
		}
		allowed = origin[0]
		// For pages that send credentials along whether they are wanted or not. Nothing
		// here reads cookies.
		r.Headers.set("access-control-allow-credentials", "true")
	}
	r.Headers.set("access-control-allow-origin", allowed)
	r.Headers.set("access-control-expose-headers", strings.Join(exposedHeaders, ", "))
}

// allows reports whether pages of this origin may read answers.
func (f *Functions) allows(origin []string) bool {
	return slices.Contains(f.AllowedOrigins, "*") || len(origin) == 1 && slices.Contains(f.AllowedOrigins, origin[0])
}

// What is logged of an origin: scheme, host and port, as far as they have the
// characters of these. The rest is whatever somebody cared to send.
const (
	maxOriginBytes   = 100
	originCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:/[]"
)

func (f *Functions) logOrigin(c *call, origin string) {
	if host := c.request.Headers.Values("host"); len(host) == 1 && origin == f.Scheme+"://"+host[0] {
		return // the distribution's own page, which needs no leave
	}
	if origin == "" || len(origin) > maxOriginBytes || strings.Trim(origin, originCharacters) != "" {
		origin = "malformed"
	}
	line := c.logLine("origin not allowed")
	line.String("origin", origin)
	f.log(c, line)
}
