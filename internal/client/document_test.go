package client_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"

	"oncegate/internal/client"
	"oncegate/internal/onetime"
)

// refusals are the rows of docs/api.md: reason, and whether the URL is spent.
func refusals(t *testing.T) [][]string {
	t.Helper()
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| \\d{3} \\| .*? \\| (yes|no|perhaps|no URL was made) \\|").FindAllStringSubmatch(string(page), -1)
	if len(rows) == 0 {
		t.Fatal("docs/api.md has no table that says whether the URL is spent")
	}
	return rows
}

// TestFateOfEveryRefusal: Fate says of a refused upload's URL what docs/api.md does.
func TestFateOfEveryRefusal(t *testing.T) {
	fates := map[string][]client.Fate{
		"yes": {client.Useless}, "no": {client.Good, client.Useless}, "perhaps": {client.Unknown},
	}
	for _, row := range refusals(t) {
		reason, spent := onetime.Reason(row[1]), row[2]
		if spent == "no URL was made" {
			continue // not a refusal of an upload
		}
		if got := (&client.Refusal{Reason: reason}).Fate(); !slices.Contains(fates[spent], got) {
			t.Errorf("docs/api.md says of %s, is the URL spent: %s; Fate, in internal/client/refusal.go, says %s", reason, spent, got)
		}
	}
}

// TestFatesInOtherClients: the clients in other languages say of every reason what this one does.
func TestFatesInOtherClients(t *testing.T) {
	for _, tt := range []struct{ file, list, useless, good string }{
		{"js/src/errors.js", `(?s)\nconst %s = \[(.*?)\];\n`, "useless", "good"},
		{"python/oncegate.py", `(?s)\n%s = \((.*?)\)`, "_USELESS", "_GOOD"},
	} {
		source, err := os.ReadFile("../../clients/" + tt.file)
		if err != nil {
			t.Fatal(err)
		}
		listed := func(name string) (reasons []string) {
			list := regexp.MustCompile(fmt.Sprintf(tt.list, name)).FindStringSubmatch(string(source))
			if list == nil {
				t.Fatalf("%s has no list %s", tt.file, name)
			}
			for _, m := range regexp.MustCompile(`['"]([a-z-]+)['"]`).FindAllStringSubmatch(list[1], -1) {
				reasons = append(reasons, m[1])
			}
			return reasons
		}
		want := map[client.Fate][]string{}
		for _, row := range refusals(t) {
			fate := (&client.Refusal{Reason: onetime.Reason(row[1])}).Fate()
			want[fate] = append(want[fate], row[1])
		}
		for name, fate := range map[string]client.Fate{tt.useless: client.Useless, tt.good: client.Good} {
			if got, want := slices.Sorted(slices.Values(listed(name))), slices.Sorted(slices.Values(want[fate])); !slices.Equal(got, want) {
				t.Errorf("%s in %s are %v, in refusal.go %v", name, tt.file, got, want)
			}
		}
	}
}
