package cloudfront

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"oncegate/edge"
)

// Headers that no origin request policy can pass on: CloudFront writes them itself
// or removes them. The developer guide, "HTTP request headers and CloudFront
// behavior":
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/RequestAndResponseBehaviorCustomOrigin.html
var written = []string{
	"accept-encoding", "connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade",
	"via", "x-amz-cf-id", "x-forwarded-for",
}

// Headers that CloudFront's API refuses in the list of an origin request policy: the first
// two in any, Host for an S3 origin.
// https://github.com/aws/aws-cdk/pull/13410
// https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_CreateDistribution.html (InvalidHeadersForS3Origin)
var refusedByAPI = []string{"authorization", "accept-encoding", "host"}

// Headers that a list may name at CloudFront, and that cannot be played: CloudFront writes
// or removes them, and what it does with a listed one is not documented.
var unplayable = []string{"expect", "user-agent", "via", "x-forwarded-for"}

// Headers with "No" in the last column of the table on that page, for S3 origins: what
// CloudFront makes of a list with one of them is not documented. A name that ends in a
// hyphen stands for all that begin so.
var unsupported = []string{
	"cache-control", "connection", "content-length", "cookie", "max-forwards", "pragma", "proxy-authenticate",
	"proxy-authorization", "proxy-connection", "request-range", "te", "trailer", "transfer-encoding", "upgrade",
	"x-amz-cf-id", "x-edge-", "x-forwarded-proto", "x-real-ip",
}

// checkListed says what is wrong with a list that names the header, or "".
func checkListed(name string) string {
	is := func(h string) bool { return strings.EqualFold(h, name) }
	switch {
	case !token(name):
		return "no header has this name"
	case slices.ContainsFunc(refusedByAPI, is):
		return "CloudFront's API refuses it for this origin"
	case slices.ContainsFunc(unplayable, is):
		return "what CloudFront does with it cannot be played"
	}
	return ""
}

// warnings are what a distribution may be refused for, or may do otherwise than here.
func (d Distribution) warnings() []string {
	var all, told []string
	for _, b := range d.Behaviors {
		for _, h := range b.OriginRequest.Headers {
			name := strings.ToLower(h)
			if !slices.Contains(told, name) && slices.ContainsFunc(unsupported, func(row string) bool {
				return row == name || strings.HasSuffix(row, "-") && strings.HasPrefix(name, row)
			}) {
				told = append(told, name)
				all = append(all, fmt.Sprintf("behavior %s: the origin request policy names header %s, which CloudFront's table of request headers "+
					"does not support: its API may refuse the policy, or CloudFront ignore the name", b.PathPattern, h))
			}
		}
	}
	return all
}

// Headers that the table on that page forwards by default. The page on origin request
// policies says that only those go that a policy names:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/origin-request-understand-origin-request-policy.html
var forwardedByTable = []string{
	"cache-control", "content-md5", "content-type", "date", "if-match", "if-modified-since", "if-none-match", "if-range",
	"if-unmodified-since", "origin", "range",
}

// forwards reports whether a header that the viewer sent or the function added reaches
// the origin.
func (p OriginRequestPolicy) forwards(method, name string, lenient bool) bool {
	is := func(h string) bool { return strings.EqualFold(h, name) }
	switch {
	case slices.ContainsFunc(written, is):
		return false
	case is("cookie"):
		return p.Cookies
	case p.AllButHost || slices.ContainsFunc(p.Headers, is):
		return true
	case !lenient:
		return false
	case is("authorization"):
		return slices.Contains([]string{"DELETE", "PATCH", "POST", "PUT"}, method)
	}
	return slices.ContainsFunc(forwardedByTable, is)
}

// forwarded are the names of all headers that reach the origin, sorted.
func (p OriginRequestPolicy) forwarded(method string, h edge.Headers, lenient bool) []string {
	var names []string
	for name := range h {
		if p.forwards(method, name, lenient) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// keptFromS3 are the parameters that managed policies do not forward to an S3 origin:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-origin-request-policies.html
var keptFromS3 = []string{"response-content-type", "response-content-disposition", "response-content-encoding"}

// query is what of a query reaches the origin.
func (p OriginRequestPolicy) query(query string) string {
	if !p.QueryStrings {
		return ""
	}
	if !p.Managed || !strings.Contains(query, "response-content-") {
		return query
	}
	return strings.Join(slices.DeleteFunc(strings.Split(query, "&"), func(member string) bool {
		name, _, _ := strings.Cut(member, "=")
		return slices.Contains(keptFromS3, name)
	}), "&")
}

// Headers that a policy cannot remove. CloudFront would put back Date and Server, which
// nothing here needs:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/understanding-response-headers-policies.html#remove-headers-disallowed
var unremovable = []string{
	"connection", "content-encoding", "content-length", "date", "expect", "host", "keep-alive", "proxy-authenticate", "proxy-authorization",
	"proxy-connection", "server", "trailer", "transfer-encoding", "upgrade", "via", "warning", "x-accel-buffering", "x-accel-charset",
	"x-accel-limit-rate", "x-accel-redirect", "x-amzn-auth", "x-amzn-cf-billing", "x-amzn-cf-id", "x-amzn-cf-xff", "x-amzn-errortype",
	"x-amzn-fle-profile", "x-amzn-header-count", "x-amzn-header-order", "x-amzn-lambda-integration-tag", "x-amzn-requestid", "x-cache",
	"x-forwarded-proto", "x-real-ip",
}

// removable reports whether a policy can remove the header with this name.
func removable(name string) bool {
	name = strings.ToLower(name)
	return token(name) && !slices.Contains(unremovable, name) && !strings.HasPrefix(name, "x-amz-cf-") && !strings.HasPrefix(name, "x-edge-")
}

// apply takes the policy's headers off an answer to r, and then puts others on it.
func (p ResponseHeadersPolicy) apply(h http.Header, r *http.Request) {
	for _, name := range p.Remove {
		h.Del(name)
	}
	if p.CORS != nil {
		p.CORS.apply(h, r)
	}
	for _, add := range p.Headers {
		if _, there := h[canonical(add.Name)]; add.Override || !there {
			h.Set(add.Name, add.Value)
		}
	}
}

// apply follows "understand response headers policies" of the developer guide, on origin
// override.
func (c *CORS) apply(h http.Header, r *http.Request) {
	const prefix = "Access-Control-"
	if !c.Override {
		for name := range h {
			if strings.HasPrefix(name, prefix) {
				return
			}
		}
	}
	for name := range h {
		if strings.HasPrefix(name, prefix) {
			h.Del(name)
		}
	}
	origin := r.Header.Get("Origin")
	allowed := "*"
	if !slices.Contains(c.AllowedOrigins, "*") {
		h.Add("Vary", "Origin")
		if !slices.Contains(c.AllowedOrigins, origin) {
			return
		}
		allowed = origin
	}
	if origin == "" {
		return
	}
	set := func(name, value string) {
		if value != "" {
			h.Set(prefix+name, value)
		}
	}
	set("Allow-Origin", allowed)
	set("Expose-Headers", strings.Join(c.ExposeHeaders, ", "))
	if c.Credentials {
		set("Allow-Credentials", "true")
	}
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		set("Allow-Methods", strings.Join(c.AllowedMethods, ", "))
		set("Allow-Headers", strings.Join(c.AllowedHeaders, ", "))
		if c.MaxAge > 0 {
			set("Max-Age", strconv.Itoa(c.MaxAge))
		}
	}
}
