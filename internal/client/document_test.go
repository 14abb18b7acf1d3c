package client_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"oncegate/internal/client"
	"oncegate/internal/onetime"
)

// TestFateOfEveryRefusal: Fate says of a refused upload's URL what docs/api.md does.
func TestFateOfEveryRefusal(t *testing.T) {
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| \\d{3} \\| .*? \\| (yes|no|perhaps|no URL was made) \\|").FindAllStringSubmatch(string(page), -1)
	if len(rows) == 0 {
		t.Fatal("docs/api.md has no table that says whether the URL is spent")
	}
	fates := map[string][]client.Fate{
		"yes": {client.Useless}, "no": {client.Good, client.Useless}, "perhaps": {client.Unknown},
	}
	for _, row := range rows {
		reason, spent := onetime.Reason(row[1]), row[2]
		if spent == "no URL was made" {
			continue // not a refusal of an upload
		}
		if got := (&client.Refusal{Reason: reason}).Fate(); !slices.Contains(fates[spent], got) {
			t.Errorf("docs/api.md says of %s, is the URL spent: %s; Fate, in internal/client/refusal.go, says %s", reason, spent, got)
		}
	}
}
