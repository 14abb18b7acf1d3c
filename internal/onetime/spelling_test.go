package onetime_test

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// TestSpellings: however a client writes the query, it spends the URL that was
// minted, and then every other spelling is spent as well.
func TestSpellings(t *testing.T) {
	for i, first := range onetimetest.Spellings(newWorld(t).mint(t).Query) {
		t.Run(first.Name, func(t *testing.T) {
			w := newWorld(t)
			m := w.mint(t)
			gate, _ := w.gate(onetime.Listed)
			all := onetimetest.Spellings(m.Query)
			put := upload(m, "first")
			put.Query = all[i].Query
			pass, err := gate.Decide(context.Background(), put, w.deadline())
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			if pass.ID != m.ID {
				t.Errorf("passed as %s, minted as %s", pass.ID, m.ID)
			}
			for _, other := range all {
				put := upload(m, "second")
				put.Query = other.Query
				_, err := gate.Decide(context.Background(), put, w.deadline())
				if reason := reasonOf(t, err); reason != onetime.Used {
					t.Errorf("%s, then %s: %q, want used", first.Name, other.Name, reason)
				}
			}
			if got := w.claimants(t, m.ID); !slices.Equal(got, []string{"first"}) {
				t.Errorf("claimed by %v, want first alone", got)
			}
			if target, err := onetime.ParseTarget("https://d111.cloudfront.net"+m.Path+"?"+all[i].Query, onetimetest.Region); err != nil || target.ID != m.ID {
				t.Errorf("an operator finds %v (%v), want %s", target, err, m.ID)
			}
		})
	}
}

// TestNoSpelling: what is not another spelling of the same query is refused without
// a request to the index, and spends nothing.
func TestNoSpelling(t *testing.T) {
	w := newWorld(t)
	m := w.mint(t)
	replace := func(old, new string) string {
		if !strings.Contains(m.Query, old) {
			t.Fatalf("the query holds no %q", old)
		}
		return strings.Replace(m.Query, old, new, 1)
	}
	for name, query := range map[string]string{
		"empty":                    "",
		"only separators":          "&&&",
		"escapes escaped":          strings.ReplaceAll(m.Query, "%", "%25"),
		"escape cut off":           m.Query + "&x-id=%2",
		"escape of no hex":         replace("%2F", "%2G"),
		"percent alone":            replace("%2F", "%"),
		"= escaped":                replace("=", "%3D"),
		"& escaped":                replace("&", "%26"),
		"HTML":                     strings.ReplaceAll(m.Query, "&", "&amp;"),
		"; for &":                  strings.ReplaceAll(m.Query, "&", ";"),
		"one twice":                m.Query + "&x-id=PutObject",
		"one twice, escaped":       m.Query + "&x%2Did=PutObject",
		"one twice, differently":   m.Query + "&X-Amz-Expires=604800",
		"one twice, first":         "X-Amz-Expires=604800&" + m.Query,
		"one empty as well":        m.Query + "&X-Amz-Expires",
		"an unknown one":           m.Query + "&x=1",
		"an unknown one, empty":    m.Query + "&=",
		"an array":                 m.Query + "&X-Amz-Signature[]=1",
		"one missing":              replace("&x-id=PutObject", ""),
		"names in lower case":      strings.ToLower(m.Query),
		"signature in upper case":  replace(m.Query[len(m.Query)-64:], strings.ToUpper(m.Query[len(m.Query)-64:])),
		"space in front of value":  replace("x-id=", "x-id=+"),
		"space behind value":       replace("PutObject", "PutObject%20"),
		"NUL behind value":         replace("PutObject", "PutObject%00"),
		"plus before life":         replace("X-Amz-Expires=", "X-Amz-Expires=%2B"),
		"zero before life":         replace("X-Amz-Expires=", "X-Amz-Expires=0"),
		"slash doubled":            replace("%2F", "%2F/"),
		"full-width letter":        replace("PutObject", "%EF%BC%B0utObject"),
		"overlong UTF-8":           replace("%2F", "%C0%AF"),
		"a question mark in front": "?" + m.Query,
		"a fragment behind":        m.Query + "%23",
	} {
		put := upload(m, "spoilt")
		put.Query = query
		gate, index := w.gate(onetime.Conditional)
		_, err := gate.Decide(context.Background(), put, w.deadline())
		if reason := reasonOf(t, err); reason != onetime.Unknown {
			t.Errorf("%s: %q, want unknown", name, reason)
		}
		if calls := index.Calls(); len(calls) != 0 {
			t.Errorf("%s: asks the index: %v", name, calls)
		}
	}
	gate, _ := w.gate(onetime.Conditional)
	if _, err := gate.Decide(context.Background(), upload(m, "good"), w.deadline()); err != nil {
		t.Errorf("afterwards the URL is refused: %v", err)
	}
}

// FuzzSpelling: what the parser reads in any spelling is what net/url reads in it,
// and it comes back in the mint's own spelling, which is read as the same again.
func FuzzSpelling(f *testing.F) {
	good := newWorld(f).mint(f).Query
	for _, s := range onetimetest.Spellings(good) {
		f.Add(s.Query)
	}
	f.Add(good + "&X-Amz-Expires=1")
	f.Add(strings.ReplaceAll(good, "%", "%25"))
	f.Add(strings.ReplaceAll(good, "&", ";"))
	f.Fuzz(func(t *testing.T, query string) {
		parsed, err := onetime.ParseQuery(query, onetimetest.Region)
		if err != nil {
			return
		}
		canonical := parsed.String()
		again, err := onetime.ParseQuery(canonical, onetimetest.Region)
		if err != nil || again != parsed {
			t.Fatalf("%q is read as %+v, its own spelling as %+v (%v)", query, parsed, again, err)
		}
		got, err := url.ParseQuery(query)
		if err != nil {
			t.Fatalf("accepts %q, which net/url does not: %v", query, err)
		}
		want, err := url.ParseQuery(canonical)
		if err != nil || !maps.EqualFunc(got, want, slices.Equal[[]string]) {
			t.Errorf("%q means %v to net/url, and %v here", query, got, want)
		}
		const path = "/uploads/" + aUUID
		if u, err := onetime.ParseURL(path, query, onetimetest.Region); err != nil || u.ID != onetime.Fingerprint(path, canonical) {
			t.Errorf("%q: another fingerprint than its own spelling (%v)", query, err)
		}
	})
}
