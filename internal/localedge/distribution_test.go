package localedge

import (
	"strings"
	"testing"
	"time"

	"oncegate/internal/config"
)

func defaults(t *testing.T) Distribution {
	t.Helper()
	c, err := config.Parse([]byte(`{"bucket":"test-bucket","allowedOrigins":["https://app.example"]}`))
	if err != nil {
		t.Fatal(err)
	}
	return Default(c, Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret"})
}

func TestBehaviorOfPath(t *testing.T) {
	d := defaults(t)
	for path, want := range map[string]string{
		"/url":             MintFunction,
		"/url/":            MintFunction,
		"/url/a/b":         MintFunction,
		"//url":            MintFunction,
		"/./url":           MintFunction,
		"/a/../url":        MintFunction,
		"/a/%2e%2E/url":    MintFunction,
		"/%75rl":           MintFunction,
		"/url/.":           MintFunction,
		"/":                GateFunction,
		"/URL":             GateFunction,
		"/urls":            GateFunction,
		"/url/..":          GateFunction,
		"/url/../uploads":  GateFunction,
		"/../../uploads/x": GateFunction,
		"/url%2fa":         GateFunction,
		"/a/..":            GateFunction,
		"/%zzurl":          GateFunction,
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
		{"authorization", func(d *Distribution) { d.Behaviors[0].OriginRequest.Headers = []string{"Authorization"} }, "cannot name"},
		{"handler", func(d *Distribution) { d.Functions[0].Handler = "other.mint" }, "index.<export>"},
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
