package cloudfront

import (
	"strings"
	"testing"
	"time"

	"oncegate/internal/lean/sigv4"
)

const (
	mintFunction = "oncegate-mint"
	gateFunction = "oncegate-gate"
)

// defaults is a distribution like the one that the templates describe; its
// functions have no code yet.
func defaults(t *testing.T) Distribution {
	t.Helper()
	behavior := func(pattern, function string) Behavior {
		return Behavior{
			PathPattern: pattern, AllowedMethods: AllMethods, ViewerRequest: function,
			OriginRequest: OriginRequestPolicy{
				Headers: []string{
					"content-type", "content-md5", "content-disposition", "content-encoding", "content-language", "cache-control",
					"origin", "access-control-request-method", "access-control-request-headers",
				},
				QueryStrings: true,
			},
			ResponseHeaders: ResponseHeadersPolicy{CORS: &CORS{
				AllowedOrigins: []string{"https://app.example"}, ExposeHeaders: []string{"etag", "x-amz-version-id", "x-oncegate-reason"},
				AllowedMethods: []string{"PUT"}, AllowedHeaders: []string{"content-type"}, MaxAge: 600, Override: true,
			}},
		}
	}
	function := func(name, handler string) Function {
		return Function{
			Name: name, Handler: handler, Runtime: Node22, Timeout: 30 * time.Second, MemoryMB: 128,
			Credentials: sigv4.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret"},
		}
	}
	return Distribution{
		ID: "E1LOCALEDGE", Domain: "d111111abcdef8.cloudfront.net", EdgeRegion: "eu-west-1",
		Behaviors: []Behavior{behavior("/url", mintFunction), behavior("/url/*", mintFunction), behavior("*", gateFunction)},
		Functions: []Function{function(mintFunction, "index.mint"), function(gateFunction, "index.gate")},
		Origin: Origin{
			Domain: "test-bucket.s3.us-east-1.amazonaws.com", ConnectTimeout: 10 * time.Second, ResponseTimeout: 30 * time.Second,
		},
	}
}

func TestBehaviorOfPath(t *testing.T) {
	d := defaults(t)
	for path, want := range map[string]string{
		"/url":             mintFunction,
		"/url/":            mintFunction,
		"/url/a/b":         mintFunction,
		"//url":            mintFunction,
		"/./url":           mintFunction,
		"/a/../url":        mintFunction,
		"/a/%2e%2E/url":    mintFunction,
		"/%75rl":           mintFunction,
		"/url/.":           mintFunction,
		"/":                gateFunction,
		"/URL":             gateFunction,
		"/urls":            gateFunction,
		"/url/..":          gateFunction,
		"/url/../uploads":  gateFunction,
		"/../../uploads/x": gateFunction,
		"/url%2fa":         gateFunction,
		"/a/..":            gateFunction,
		"/%zzurl":          gateFunction,
	} {
		if got := d.behavior(path).ViewerRequest; got != want {
			t.Errorf("%s goes to %s, want %s (normalised: %s)", path, got, want, normalise(path))
		}
	}
}

func TestNormalise(t *testing.T) {
	for in, want := range map[string]string{
		"/a//b///c":   "/a/b/c",
		"/a/./b/../c": "/a/c",
		"/a/..":       "/",
		"/..":         "/",
		"/a/b/.":      "/a/b/",
		"/%7euser%2f": "/~user%2F",
		"/a%2":        "/a%2",
	} {
		if got := normalise(in); got != want {
			t.Errorf("normalise(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "", true}, {"*", "a/b", true}, {"a?c", "abc", true}, {"a?c", "ac", false},
		{"a*c", "a/b/c", true}, {"a*c", "a/b/d", false}, {"*.jpg", "x/y.jpg", true}, {"", "", true}, {"", "a", false},
	} {
		if got := match(tt.pattern, tt.s); got != tt.want {
			t.Errorf("match(%q, %q) = %v", tt.pattern, tt.s, got)
		}
	}
}

func TestDistributionsThatAreRefused(t *testing.T) {
	if err := defaults(t).check(); err != nil {
		t.Fatalf("the default distribution is refused: %v", err)
	}
	for _, tt := range []struct {
		name  string
		spoil func(*Distribution)
		want  string
	}{
		{"no behaviors", func(d *Distribution) { d.Behaviors = nil }, "no behaviors"},
		{"no default", func(d *Distribution) { d.Behaviors = d.Behaviors[:1] }, "pattern *"},
		{"default first", func(d *Distribution) { d.Behaviors[0].PathPattern = "*" }, "no other"},
		{"method set", func(d *Distribution) { d.Behaviors[0].AllowedMethods = []string{"PUT"} }, "all seven"},
		{"function missing", func(d *Distribution) { d.Behaviors[0].ViewerRequest = "x" }, `no function "x"`},
		{"eleven headers", func(d *Distribution) {
			d.Behaviors[0].OriginRequest.Headers = strings.Split(strings.Repeat("x-a ", 10)+"x-a", " ")
		}, "allowed are 10"},
		{"authorization", func(d *Distribution) { d.Behaviors[0].OriginRequest.Headers = []string{"Authorization"} }, "API refuses"},
		{"accept-encoding", func(d *Distribution) { d.Behaviors[0].OriginRequest.Headers = []string{"accept-Encoding"} }, "API refuses"},
		{"host", func(d *Distribution) { d.Behaviors[0].OriginRequest.Headers = []string{"host"} }, "API refuses"},
		{"user-agent", func(d *Distribution) { d.Behaviors[0].OriginRequest.Headers = []string{"User-Agent"} }, "cannot be played"},
		{"no header name", func(d *Distribution) { d.Behaviors[0].OriginRequest.Headers = []string{"a b"} }, "no header has this name"},
		{"handler", func(d *Distribution) { d.Functions[0].Handler = "other.mint" }, "index.<export>"},
		{"runtime", func(d *Distribution) { d.Functions[0].Runtime = "nodejs20.x" }, Node24},
		{"memory", func(d *Distribution) { d.Functions[0].MemoryMB = 64 }, "128 to 10240"},
		{"timeout", func(d *Distribution) { d.Functions[0].Timeout = 31 * time.Second }, "30 s"},
		{"function twice", func(d *Distribution) { d.Functions[1].Name = d.Functions[0].Name }, "unique"},
		{"origin", func(d *Distribution) { d.Origin.Domain = "" }, "origin"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := defaults(t)
			tt.spoil(&d)
			if err := d.check(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
