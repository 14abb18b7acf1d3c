package cloudfront

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"oncegate/internal/lean/sigv4"
)

// Distribution describes all that the local edge plays: a CloudFront
// distribution, the functions of its behaviors and its one origin. FromDeployment
// makes it from templates.
type Distribution struct {
	ID     string // such as E1LOCALEDGE
	Domain string // such as d111111abcdef8.cloudfront.net; goes into the event and into Via

	// Behaviors are tried in order; the last one has PathPattern "*".
	Behaviors []Behavior
	Functions []Function
	Origin    Origin

	// EdgeRegion is the Region in the functions' environment. At the real edge that is the
	// one nearest to the viewer. Here it must not be the bucket's, so that a signer that
	// reads AWS_REGION fails.
	EdgeRegion string
}

// Behavior is one cache behavior. Nothing is ever cached.
type Behavior struct {
	// PathPattern is matched against the normalised path: * is any run of
	// characters, ? any single one.
	PathPattern string
	// AllowedMethods is one of the three sets that CloudFront has: ReadMethods,
	// ReadOptionsMethods, AllMethods. Others are refused before the function runs.
	AllowedMethods []string
	// ViewerRequest names the Function of the viewer-request event; empty for none.
	ViewerRequest string
	// IncludeBody gives the function the beginning of the body.
	IncludeBody     bool
	OriginRequest   OriginRequestPolicy
	ResponseHeaders ResponseHeadersPolicy
}

// OriginRequestPolicy says what reaches the origin besides what CloudFront sends
// with every request.
type OriginRequestPolicy struct {
	Headers      []string // an allow list of at most 10 header names
	AllButHost   bool     // instead of the list: all that the viewer sent and the function left, but Host
	Cookies      bool     // all of them, or none
	QueryStrings bool     // all of the query string, or none of it
	// Managed policies keep from an S3 origin what would change its answer's headers.
	Managed bool
}

// ResponseHeadersPolicy removes headers from what the origin answers and adds others; by
// one reading of AWS's pages it does the same to generated responses.
type ResponseHeadersPolicy struct {
	Remove  []string
	CORS    *CORS
	Headers []PolicyHeader
}

// CORS are the CORS headers that a policy adds.
type CORS struct {
	AllowedOrigins                                []string // origins, or "*" alone
	AllowedMethods, AllowedHeaders, ExposeHeaders []string
	Credentials                                   bool
	MaxAge                                        int  // seconds; 0 sends none
	Override                                      bool // replace the origin's; else add only where it sent none
}

// PolicyHeader is one other header of a policy. Without Override the origin's own value
// wins.
type PolicyHeader struct {
	Name, Value string
	Override    bool
}

// Function is one Lambda@Edge function.
type Function struct {
	Name      string        // without the Region that Lambda@Edge puts in front
	Directory string        // the unpacked code
	Handler   string        // such as index.gate: export gate of index.mjs
	Runtime   string        // Node22 or Node24
	Timeout   time.Duration // of one invocation
	MemoryMB  int           // resident, of the whole process; enforced on Linux
	// Role is the ARN of the execution role, with its Credentials.
	Role        string
	Credentials sigv4.Credentials
}

// The values of Function.Runtime.
const (
	Node22 = "nodejs22.x"
	Node24 = "nodejs24.x"
)

// Origin is the S3 bucket behind the distribution.
type Origin struct {
	// Domain is what the origin gets as Host: <bucket>.s3.<region>.amazonaws.com.
	Domain string
	// Signs says that CloudFront signs each request, for an origin access control. S3
	// refuses such a signature together with a presigned query.
	Signs bool
	// ConnectTimeout bounds one attempt to connect, of which there are three.
	ConnectTimeout time.Duration
	// ResponseTimeout bounds the silence of the origin: until its answer begins,
	// counted from the end of the request, and between the pieces of the answer.
	ResponseTimeout time.Duration
}

// The sets of methods that a behavior can allow:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/DownloadDistValuesCacheBehavior.html
var (
	ReadMethods        = []string{"GET", "HEAD"}
	ReadOptionsMethods = []string{"GET", "HEAD", "OPTIONS"}
	AllMethods         = []string{"GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"}
)

// check refuses what CloudFront would refuse and what cannot be played here.
func (d Distribution) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	functions := map[string]bool{}
	for _, f := range d.Functions {
		if functions[f.Name] || f.Name == "" {
			bad("function %q: names are unique and not empty", f.Name)
		}
		functions[f.Name] = true
		if module, export, ok := strings.Cut(f.Handler, "."); !ok || module != "index" && module != "page" || export == "" {
			bad("function %q: handler %q: allowed is index.<export> or page.<export>", f.Name, f.Handler)
		}
		if f.Runtime != Node22 && f.Runtime != Node24 {
			bad("function %q: runtime %q: allowed are %s and %s", f.Name, f.Runtime, Node22, Node24)
		}
		if f.MemoryMB < 128 || f.MemoryMB > 10240 {
			bad("function %q: memory %d MB: allowed is 128 to 10240", f.Name, f.MemoryMB)
		}
		if f.Timeout <= 0 || f.Timeout > 30*time.Second {
			bad("function %q: timeout %v: allowed is up to 30 s", f.Name, f.Timeout)
		}
	}
	for i, b := range d.Behaviors {
		if last := i == len(d.Behaviors)-1; last != (b.PathPattern == "*") {
			bad("behavior %q: the last behavior, and no other, has the pattern *", b.PathPattern)
		}
		if !slices.ContainsFunc([][]string{ReadMethods, ReadOptionsMethods, AllMethods}, func(set []string) bool {
			return len(set) == len(b.AllowedMethods) && !slices.ContainsFunc(set, func(m string) bool {
				return !slices.Contains(b.AllowedMethods, m)
			})
		}) {
			bad("behavior %q: methods %v: allowed are GET HEAD, GET HEAD OPTIONS, or all seven", b.PathPattern, b.AllowedMethods)
		}
		if b.ViewerRequest != "" && !functions[b.ViewerRequest] {
			bad("behavior %q: there is no function %q", b.PathPattern, b.ViewerRequest)
		}
		if n := len(b.OriginRequest.Headers); n > 10 {
			bad("behavior %q: %d headers in the origin request policy: allowed are 10", b.PathPattern, n)
		}
		for _, h := range b.OriginRequest.Headers {
			if why := checkListed(h); why != "" {
				bad("behavior %q: the origin request policy cannot name header %q: %s", b.PathPattern, h, why)
			}
		}
	}
	if len(d.Behaviors) == 0 {
		bad("no behaviors")
	}
	if d.Origin.Domain == "" || d.Origin.ConnectTimeout <= 0 || d.Origin.ResponseTimeout <= 0 {
		bad("origin: domain, connect timeout and response timeout are needed")
	}
	return errors.Join(errs...)
}

// token reports whether s can be the name of a header (RFC 9110, 5.6.2).
func token(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r >= 0x80 || !unreserved(byte(r)) && !strings.ContainsRune("!#$%&'*+^`|", r)
	})
}

// canonical is the spelling of a header name with every part capitalised.
func canonical(name string) string { return http.CanonicalHeaderKey(name) }
