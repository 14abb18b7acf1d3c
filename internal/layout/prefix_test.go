package layout_test

import (
	"regexp"
	"strings"
	"testing"

	"oncegate/internal/layout"
)

const aUUID = "2b1d9bd0-5b0c-4b6e-9d7e-0a1b2c3d4e5f"

func TestValidPrefix(t *testing.T) {
	for prefix, want := range map[string]bool{
		"invoices": true, "teams/red": true, "2026/11/27": true, "a": true, "0": true, "a_b-c": true, "a-": true, "a_": true,
		strings.Repeat("a", 64): true, strings.Repeat("a/", 31) + "aa": true, aUUID + "-x": true, "x-" + aUUID: true,
		"2b1d9bd0-5b0c-1b6e-9d7e-0a1b2c3d4e5f": true, // a UUID, but of version 1

		"": false, "/": false, "a/": false, "/a": false, "a//b": false, ".": false, "..": false, "a/..": false, "../a": false, "a/./b": false,
		"a.b": false, "-a": false, "_a": false, "a/-b": false, "A": false, "é": false, "a b": false, " a": false, "a\n": false, "a\x00": false,
		"a%2fb": false, "a\\b": false, "a*": false, "*": false, "a?": false, "a+b": false, "a:b": false, "a~b": false,
		strings.Repeat("a", 65): false, aUUID: false, "a/" + aUUID: false, aUUID + "/a": false,
	} {
		if got := layout.ValidPrefix(prefix); got != want {
			t.Errorf("ValidPrefix(%q) = %t, want %t", prefix, got, want)
		}
	}
}

func TestPrefixPatterns(t *testing.T) {
	for pattern, want := range map[string]bool{
		"invoices": true, "teams/*": true, "a/b/*": true, "*": true,
		"": false, "/*": false, "*/": false, "**": false, "*/*": false, "a*": false, "a/*/b": false, "a/*/*": false, "a//*": false, "..": false, "../*": false, "a/": false,
	} {
		if got := layout.ValidPrefixPattern(pattern); got != want {
			t.Errorf("ValidPrefixPattern(%q) = %t, want %t", pattern, got, want)
		}
	}
	for _, test := range []struct {
		prefix, pattern string
		want            bool
	}{
		{"invoices", "invoices", true}, {"invoices/may", "invoices", false}, {"invoicesx", "invoices", false}, {"invoice", "invoices", false},
		{"teams/red", "teams/*", true}, {"teams/red/may", "teams/*", true}, {"teams", "teams/*", false}, {"teamsx/red", "teams/*", false}, {"x/teams/red", "teams/*", false},
		{"a", "*", true}, {"a/b", "*", true},
	} {
		if got := layout.PrefixMatches(test.prefix, test.pattern); got != test.want {
			t.Errorf("PrefixMatches(%q, %q) = %t, want %t", test.prefix, test.pattern, got, test.want)
		}
	}
}

// FuzzSplitUpload: what is taken apart is put together again, byte for byte, and no upload lies
// below another.
func FuzzSplitUpload(f *testing.F) {
	for _, name := range []string{aUUID, "a/" + aUUID, "/" + aUUID, "a/b/" + aUUID, aUUID + "/" + aUUID, "../" + aUUID, "a/" + aUUID + "/x", strings.Repeat("a", 65) + "/" + aUUID, ""} {
		f.Add(name)
	}
	const digits = `[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\z`
	uuid := regexp.MustCompile(`\A` + digits)
	form := regexp.MustCompile(`\A(?:[a-z0-9][a-z0-9_-]*/)*` + digits)
	f.Fuzz(func(t *testing.T, name string) {
		prefix, id, ok := layout.SplitUpload(name)
		want := form.MatchString(name) && len(name) <= 64+1+36
		for part := range strings.SplitSeq(prefix, "/") {
			want = want && !uuid.MatchString(part)
		}
		if ok != want {
			t.Fatalf("SplitUpload(%q): %t, want %t", name, ok, want)
		}
		if ok && layout.UploadName(prefix, id) != name {
			t.Errorf("%q is put together as %q", name, layout.UploadName(prefix, id))
		}
	})
}
