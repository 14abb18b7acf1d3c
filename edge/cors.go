package edge

import (
	"slices"
	"strings"
)

// uploadHeaders are what a page may send with an upload beyond what needs no
// preflight: S3 stores them with the object or checks the body against them.
var uploadHeaders = []string{
	"cache-control", "content-disposition", "content-encoding", "content-language", "content-md5", "content-type", "expires",
}

// mintHeaders are what a page may send when it asks for a URL; Accept needs no leave.
var mintHeaders = []string{"authorization", "content-type", "x-api-key"}

// exposedHeaders are what a page may read of an answer.
var exposedHeaders = []string{"etag", "retry-after", "x-amz-version-id", "x-oncegate-reason"}

// preflightSeconds is how long a browser keeps a preflight's answer. Short: a
// change of allowedOrigins is felt within it.
const preflightSeconds = "600"

// preflight answers OPTIONS at the edge, from the table of routes: S3 is not asked and
// nothing is spent. https://fetch.spec.whatwg.org/#cors-preflight-fetch
func (f *Functions) preflight(c *call) *Response {
	route, _ := f.find(c)
	headers := route.headers
	methods := make([]string, len(route.methods))
	credential := false
	for i, m := range route.methods {
		methods[i] = m.name
		credential = credential || m.credential
	}
	if credential && f.Auth != nil {
		headers = append(headers[:len(headers):len(headers)], f.Auth.Header())
	}
	r := answer(statusNoContent, "")
	r.Headers.set("access-control-allow-methods", strings.Join(methods, ", "))
	r.Headers.set("access-control-allow-headers", strings.Join(headers, ", "))
	r.Headers.set("access-control-max-age", preflightSeconds)
	return r
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
