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

// preflight answers OPTIONS at the edge: S3 is not asked and nothing is spent.
// https://fetch.spec.whatwg.org/#cors-preflight-fetch
func (f *Functions) preflight(function string, request Request) *Response {
	r := answer(statusNoContent, "")
	methods, headers := methodPut, uploadHeaders
	if function == MintFunction {
		methods, headers = "GET, HEAD, POST", mintHeaders
		if f.Owner != nil && strings.HasPrefix(request.URI, ownerPath) {
			methods = "GET, HEAD, DELETE"
		}
		if f.Auth != nil {
			headers = append(headers[:len(headers):len(headers)], f.Auth.Header())
		}
	}
	r.Headers.set("access-control-allow-methods", methods)
	r.Headers.set("access-control-allow-headers", strings.Join(headers, ", "))
	r.Headers.set("access-control-max-age", preflightSeconds)
	return r
}

// addCORS lets pages of the allowed origins read an answer, refusals included. A
// page of another origin gets an answer that its browser will not show it.
func (f *Functions) addCORS(r *Response, request Request) {
	if len(f.AllowedOrigins) == 0 {
		return
	}
	allowed := "*"
	if !slices.Contains(f.AllowedOrigins, "*") {
		r.Headers.set("vary", "Origin")
		origin := request.Headers.Values("origin")
		if len(origin) != 1 || !slices.Contains(f.AllowedOrigins, origin[0]) {
			return
		}
		allowed = origin[0]
	}
	r.Headers.set("access-control-allow-origin", allowed)
	r.Headers.set("access-control-expose-headers", strings.Join(exposedHeaders, ", "))
}
