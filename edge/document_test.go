package edge_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"oncegate/edge"
	"oncegate/internal/layout"
	"oncegate/internal/onetime"
)

// section is what stands in docs/api.md under the heading, up to the next one.
func section(t *testing.T, heading string) string {
	t.Helper()
	page, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("docs/api.md has no heading %q", heading)
	}
	if end := regexp.MustCompile(`\n#+ `).FindStringIndex(rest); end != nil {
		rest = rest[:end[0]]
	}
	return rest
}

// tables are the rows of each table in a text, as their cells without backquotes; the
// head is left out.
func tables(text string) (all [][][]string) {
	inside := false
	for line := range strings.Lines(text) {
		row := strings.HasPrefix(line, "|")
		switch {
		case row && !inside:
			all = append(all, nil)
		case row && !strings.HasPrefix(line, "|---"):
			var cells []string
			for cell := range strings.SplitSeq(strings.Trim(strings.TrimSpace(line), "|"), " |") {
				cells = append(cells, strings.TrimSpace(strings.ReplaceAll(cell, "`", "")))
			}
			all[len(all)-1] = append(all[len(all)-1], cells)
		}
		inside = row
	}
	return all
}

// documented is a row of a table of refusals.
type documented struct {
	status   int
	sentence string
}

func refusalRows(t *testing.T, rows [][]string) map[onetime.Reason]documented {
	t.Helper()
	all := map[onetime.Reason]documented{}
	for _, cells := range rows {
		status, err := strconv.Atoi(cells[1])
		if err != nil {
			t.Errorf("docs/api.md: %q: no status", cells)
		}
		if _, twice := all[onetime.Reason(cells[0])]; twice {
			t.Errorf("docs/api.md: %s has two rows", cells[0])
		}
		if slices.Contains(cells, "") {
			t.Errorf("docs/api.md leaves a cell empty for %s", cells[0])
		}
		all[onetime.Reason(cells[0])] = documented{status, cells[2]}
	}
	return all
}

// TestRefusalsAreDocumented: docs/api.md has every refusal with the status and the
// sentence that a client gets, and says which are worth the same request again.
func TestRefusalsAreDocumented(t *testing.T) {
	found := tables(section(t, "## Refusals"))
	if len(found) < 3 {
		t.Fatalf("docs/api.md has %d tables of refusals, want those of every path, of /url/<id> and of /invitations/<id>", len(found))
	}
	for i, table := range []struct {
		name string
		rows map[onetime.Reason]edge.Row
	}{{"refusals", edge.Refusals}, {"ownerRefusals", edge.OwnerRefusals}, {"keeperRefusals", edge.KeeperRefusals}} {
		rows := refusalRows(t, found[i])
		for reason, row := range table.rows {
			want := documented{edge.RowStatus(row), edge.RowSentence(row)}
			if got, ok := rows[reason]; !ok {
				t.Errorf("docs/api.md lacks the row of %s, which edge/refusals.go has in %s: | `%s` | %d | %s |", reason, table.name, reason, want.status, want.sentence)
			} else if got != want {
				t.Errorf("docs/api.md says of %s %+v\nedge/refusals.go, %s, %+v", reason, got, table.name, want)
			}
		}
		for reason := range rows {
			if _, ok := table.rows[reason]; !ok {
				t.Errorf("docs/api.md has a row for %s, which edge/refusals.go does not have in %s", reason, table.name)
			}
		}
	}
	for _, cells := range found[0] {
		if says := strings.Contains(strings.Join(cells, " "), "retry-after"); says != onetime.Reason(cells[0]).Again() {
			t.Errorf("docs/api.md names retry-after for %s: %v, in the code it goes with it: %v", cells[0], says, !says)
		}
	}
}

// TestReasonsAreInOpenAPI: the document for machines has the same reasons.
func TestReasonsAreInOpenAPI(t *testing.T) {
	document, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`(?m)^    Reason:\n      type: string\n      enum:\n((?:        - [a-z-]+\n)+)`).FindSubmatch(document)
	if list == nil {
		t.Fatal("openapi.yaml has no schema Reason with an enum")
	}
	var got []onetime.Reason
	for _, word := range strings.Fields(strings.ReplaceAll(string(list[1]), "- ", "")) {
		got = append(got, onetime.Reason(word))
	}
	if want := reasons(t); !slices.Equal(got, want) {
		t.Errorf("openapi.yaml, schema Reason, has %v, want those of internal/onetime/onetime.go, %v", got, want)
	}
}

// TestOptionsAreDocumented: docs/api.md and openapi.yaml have every option of the
// mint, with its bounds, and docs/api.md says what refuses an upload that does not fit.
func TestOptionsAreDocumented(t *testing.T) {
	found := tables(section(t, "### Options"))
	if len(found) == 0 {
		t.Fatal("docs/api.md has no table of options")
	}
	bounds := map[string]string{
		"expires":  "1 to the setting maxExpires",
		"maxBytes": "1 to the setting maxBytes",
		"sha256":   "Only with the setting sha256",
		"name":     fmt.Sprintf("1 to %d bytes", onetime.MaxNameBytes),
		"label":    fmt.Sprintf("1 to %d bytes", onetime.MaxLabelBytes),
		"prefix":   fmt.Sprintf("1 to %d of a-z", layout.MaxPrefixBytes),
		"meta":     fmt.Sprintf("up to %d pairs", onetime.MaxMetaPairs),
		"tags":     fmt.Sprintf("up to %d pairs", onetime.MaxTags),
		"count":    "1 to the setting maxCount",
	}
	want := edge.OptionNames()
	var got []string
	for _, cells := range found[0] {
		name, allowed, refusal := cells[0], cells[1], cells[2]
		got = append(got, name)
		if !strings.Contains(allowed, bounds[name]) {
			t.Errorf("docs/api.md says of the option %s %q, want %q in it", name, allowed, bounds[name])
		}
		for _, m := range regexp.MustCompile(`\b(\d{3}) ([a-z-]+)`).FindAllStringSubmatch(refusal, -1) {
			row, ok := edge.Refusals[onetime.Reason(m[2])]
			if !ok || strconv.Itoa(edge.RowStatus(row)) != m[1] {
				t.Errorf("docs/api.md says of the option %s %q, which is no refusal", name, m[0])
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("docs/api.md has the options %v, edge/order.go %v", got, want)
	}

	document, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range want {
		for what, line := range map[string]string{
			"schema Order":          "\n        " + name + ":\n",
			"components/parameters": "\n    " + name + ": { name: " + name + ", in: query,",
			"GET and HEAD /url":     "\n        - { $ref: \"#/components/parameters/" + name + "\" }\n",
		} {
			if !strings.Contains(string(document), line) {
				t.Errorf("openapi.yaml lacks the option %s in %s: %s", name, what, strings.TrimSpace(line))
			}
		}
	}
}

// TestRoutesAreInOpenAPI: openapi.yaml has the paths and methods of the table of
// routes, and a preflight for each path.
func TestRoutesAreInOpenAPI(t *testing.T) {
	document, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	path := ""
	for _, line := range regexp.MustCompile(`(?m)^  (/\S+):$|^    (get|head|post|put|patch|delete|options):$`).FindAllStringSubmatch(string(document), -1) {
		if line[1] != "" {
			path = line[1]
			continue
		}
		got = append(got, path+" "+strings.ToUpper(line[2]))
	}
	want := edge.Operations()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("openapi.yaml has %v, edge/routes.go %v", got, want)
	}
}
