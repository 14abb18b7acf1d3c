package urlquery_test

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"oncegate/internal/lean/urlquery"
)

// FuzzParse holds the package to net/url.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "a=b&c=d&a=e", "a", "=", "&&", "a=b;c", "a%3Db=+%2B%c3%A9", "%", "%1", "%zz=1", "a=%1", "a=b=c", "%00=\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Count(s, "&") > 1000 {
			return // net/url counts
		}
		got, err := urlquery.Parse(s)
		want, wantErr := url.ParseQuery(s)
		if (err == nil) != (wantErr == nil) || err == nil && !maps.EqualFunc(got, want, slices.Equal[[]string]) {
			t.Errorf("%q is %v, %v, want %v, %v", s, got, err, want, wantErr)
		}
		one, err := urlquery.Unescape(s)
		two, wantErr := url.QueryUnescape(s)
		if one != two || (err == nil) != (wantErr == nil) {
			t.Errorf("%q is %q, %v, want %q, %v", s, one, err, two, wantErr)
		}
	})
}
