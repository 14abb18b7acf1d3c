package localedge

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"oncegate/internal/config"
)

// Distribution describes all that the local edge plays: a CloudFront
// distribution, the functions of its behaviors and its one origin.
type Distribution struct {
	ID     string // such as E1LOCALEDGE
	Domain string // such as d111111abcdef8.cloudfront.net; goes into the event and into Via

	// Behaviors are tried in order; the last one has PathPattern "*".
	Behaviors []Behavior
	Functions []Function
	Origin    Origin

	// EdgeRegion is where the functions believe to run. At the real edge it is
	// the Region nearest to the viewer, so it must not be the bucket's here: a
	// signer that reads AWS_REGION has to fail.
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
	ViewerRequest   string
	OriginRequest   OriginRequestPolicy
	ResponseHeaders ResponseHeadersPolicy
}

// OriginRequestPolicy says what reaches the origin besides what CloudFront sends
// with every request.
type OriginRequestPolicy struct {
	Headers      []string // an allow list of at most 10 header names
	QueryStrings bool     // all of the query string, or none of it
}

// ResponseHeadersPolicy adds CORS headers to what the origin answers, in place of
// the origin's own. It does not touch generated responses.
type ResponseHeadersPolicy struct {
	AllowedOrigins []string // origins, or "*" alone; empty adds nothing
	ExposeHeaders  []string
}

// Function is one Lambda@Edge function.
type Function struct {
	Name     string        // without the Region that Lambda@Edge puts in front
	Handler  string        // such as index.gate: export gate of index.mjs
	Timeout  time.Duration // of one invocation
	MemoryMB int           // told to the function; not enforced
	// Credentials are what the function's role has.
	Credentials Credentials
}

// Credentials are the AWS credentials in a function's environment.
type Credentials struct {
	AccessKeyID, SecretAccessKey string
	SessionToken                 string // empty for none
}

// Origin is the S3 bucket behind the distribution.
type Origin struct {
	// Domain is what the origin gets as Host: <bucket>.s3.<region>.amazonaws.com.
	Domain string
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

// The function names of Default.
const (
	MintFunction = "oncegate-mint"
	GateFunction = "oncegate-gate"
)

// Default is the distribution that these settings stand for.
func Default(c config.Config, credentials Credentials) Distribution {
	origin := OriginRequestPolicy{
		Headers: []string{
			"content-type", "content-md5", "content-disposition", "content-encoding", "content-language",
			"cache-control", "origin", "access-control-request-method", "access-control-request-headers",
		},
		QueryStrings: true,
	}
	if c.WriteOnce {
		origin.Headers = append(origin.Headers, "if-none-match")
	}
	cors := ResponseHeadersPolicy{
		AllowedOrigins: c.AllowedOrigins,
		ExposeHeaders:  []string{"etag", "x-amz-version-id", "x-oncegate-reason"},
	}
	behavior := func(pattern, function string) Behavior {
		return Behavior{
			PathPattern: pattern, AllowedMethods: AllMethods, ViewerRequest: function,
			OriginRequest: origin, ResponseHeaders: cors,
		}
	}
	function := func(name, handler string) Function {
		return Function{
			Name: name, Handler: handler, Credentials: credentials,
			Timeout: time.Duration(c.Deploy.Timeout) * time.Second, MemoryMB: c.Deploy.Memory,
		}
	}
	edgeRegion := "eu-west-1"
	if c.Region == edgeRegion {
		edgeRegion = "us-west-2"
	}
	return Distribution{
		ID:     "E1LOCALEDGE",
		Domain: "d111111abcdef8.cloudfront.net",
		Behaviors: []Behavior{
			behavior("/url", MintFunction),
			behavior("/url/*", MintFunction),
			behavior("*", GateFunction),
		},
		Functions: []Function{
			function(MintFunction, "index.mint"),
			function(GateFunction, "index.gate"),
		},
		Origin: Origin{
			Domain:          c.Bucket + ".s3." + c.Region + ".amazonaws.com",
			ConnectTimeout:  10 * time.Second,
			ResponseTimeout: 30 * time.Second,
		},
		EdgeRegion: edgeRegion,
	}
}

// Headers that an origin request policy cannot name. CloudFront refuses the
// first two itself; the rest it writes or removes whatever the policy says.
var unforwardable = []string{
	"authorization", "accept-encoding", "host", "user-agent", "connection", "content-length",
	"transfer-encoding", "expect", "te", "trailer", "upgrade", "via", "x-forwarded-for", "x-amz-cf-id",
}

// check refuses what CloudFront would not take and what cannot be played here.
func (d Distribution) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	functions := map[string]bool{}
	for _, f := range d.Functions {
		if functions[f.Name] || f.Name == "" {
			bad("function %q: names are unique and not empty", f.Name)
		}
		functions[f.Name] = true
		if module, export, ok := strings.Cut(f.Handler, "."); !ok || module != "index" || export == "" {
			bad("function %q: handler %q: allowed is index.<export>", f.Name, f.Handler)
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
			if slices.Contains(unforwardable, strings.ToLower(h)) || !token(h) {
				bad("behavior %q: the origin request policy cannot name header %q", b.PathPattern, h)
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

// behavior finds the behavior for a raw path. CloudFront matches the path as
// RFC 3986 normalises it, though function and origin get the raw one.
func (d Distribution) behavior(rawPath string) Behavior {
	path := normalise(rawPath)
	for _, b := range d.Behaviors {
		if match(strings.TrimPrefix(b.PathPattern, "/"), strings.TrimPrefix(path, "/")) {
			return b
		}
	}
	return d.Behaviors[len(d.Behaviors)-1] // its pattern is *
}

// match reports whether the whole of s fits the pattern.
func match(pattern, s string) bool {
	for pattern != "" {
		switch pattern[0] {
		case '*':
			for i := 0; i <= len(s); i++ {
				if match(pattern[1:], s[i:]) {
					return true
				}
			}
			return false
		case '?':
			if s == "" {
				return false
			}
		default:
			if s == "" || s[0] != pattern[0] {
				return false
			}
		}
		pattern, s = pattern[1:], s[1:]
	}
	return s == ""
}

// normalise decodes percent-encoded unreserved characters (RFC 3986, 6.2.2.2),
// collapses slashes and removes dot segments (5.2.4).
func normalise(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) {
			if c, ok := unhex(path[i+1], path[i+2]); ok {
				if unreserved(c) {
					b.WriteByte(c)
				} else {
					b.WriteString(strings.ToUpper(path[i : i+3]))
				}
				i += 2
				continue
			}
		}
		b.WriteByte(path[i])
	}
	var out []string
	segments := strings.Split(b.String(), "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == "..":
			if len(out) > 0 {
				out = out[:len(out)-1]
			}
			if last {
				out = append(out, "")
			}
		case s == ".":
			if last {
				out = append(out, "")
			}
		case s != "" || last:
			out = append(out, s)
		}
	}
	return "/" + strings.Join(out, "/")
}

func unhex(hi, lo byte) (byte, bool) {
	digit := func(c byte) int { return strings.IndexByte("0123456789abcdef", c|0x20) }
	h, l := digit(hi), digit(lo)
	return byte(h<<4 | l), h >= 0 && l >= 0
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// token says whether s can be the name of a header (RFC 9110, 5.6.2).
func token(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r >= 0x80 || !unreserved(byte(r)) && !strings.ContainsRune("!#$%&'*+^`|", r)
	})
}

// canonical is the spelling of a header name with every part capitalised.
func canonical(name string) string { return http.CanonicalHeaderKey(name) }
