package client_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"oncegate/internal/client"
	"oncegate/internal/onetime/onetimetest"
)

// TestExplain: every spelling of a URL is explained as that URL, and only mint's own is
// none of another kind.
func TestExplain(t *testing.T) {
	minted, err := client.Explain("https://upload.example.com" + path + "?" + query)
	if err != nil {
		t.Fatal(err)
	}
	created := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	if minted.Host != "upload.example.com" || minted.Query.Region != "eu-west-1" || !minted.Query.Date.Equal(created) || !minted.Expires.Equal(created.Add(time.Minute)) {
		t.Errorf("explained as %+v", minted)
	}
	const order, slash, lower, more, empty = "the parameters are in another order", "/ is not escaped",
		"escapes are in lower case", "more is escaped than has to be", "there is an & too many"
	want := map[string][]string{
		"as minted": nil, "slashes decoded": {slash}, "lower-case escapes": {lower}, "sorted": {order}, "encoded by Go": {order},
		"reversed": {order}, "& behind": {empty}, "& in front": {empty}, "& doubled": {empty}, "hyphens escaped": {more}, "every letter escaped": {more},
	}
	for _, s := range onetimetest.Spellings(query) {
		e, err := client.Explain("https://upload.example.com" + path + "?" + s.Query)
		expected, known := want[s.Name]
		if err != nil || e.ID != minted.ID || !known || !slices.Equal(e.Respelled, expected) {
			t.Errorf("%s: %q, %v; want %q", s.Name, e.Respelled, err, expected)
		}
	}
	if _, err := client.Explain("https://upload.example.com" + path + "?" + query + "&fbclid=1"); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("a parameter too many: %v", err)
	}
}
