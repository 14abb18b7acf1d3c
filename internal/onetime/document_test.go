package onetime

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestTableOfHeaders: in the order that the search relies on, with names that it can find.
func TestTableOfHeaders(t *testing.T) {
	var names []string
	for _, r := range headerRules {
		names = append(names, r.name)
		if r.name != strings.ToLower(r.name) || strings.HasSuffix(r.name, "*") && !strings.HasPrefix(r.name, "x-amz-") {
			t.Errorf("row %q cannot be found", r.name)
		}
		if (r.handling == refused) && r.check == nil {
			t.Errorf("row %q refuses and does not say why", r.name)
		}
	}
	if !slices.IsSorted(names) || len(slices.Compact(names)) != len(headerRules) {
		t.Errorf("rows %q are not sorted, or one is there twice", names)
	}
}

// TestDocumentHasEveryHeader: docs/api.md has the rows of the table and what becomes of
// them. It may have more rows of headers that are dropped, to say why.
func TestDocumentHasEveryHeader(t *testing.T) {
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Skip(err) // the tests in WebAssembly have no files
	}
	words := map[handling]string{dropped: "dropped", passed: "passed", stored: "stored", readOnly: "passed by CloudFront", refused: "refused"}
	_, table, found := strings.Cut(string(text), "\n| header | what happens | why |\n")
	if !found {
		t.Fatal("docs/api.md has no table of headers")
	}
	said := map[string]string{}
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(line, "|")
		if len(cells) != 5 || strings.HasPrefix(line, "|---") {
			continue
		}
		for name := range strings.SplitSeq(cells[1], ",") {
			if name = strings.Trim(name, " `"); name != "" {
				said[name] = strings.TrimSpace(cells[2])
			}
		}
		if strings.TrimSpace(cells[3]) == "" {
			t.Errorf("docs/api.md does not say why: %s", line)
		}
	}
	for _, r := range headerRules {
		what, conditional := said[r.name], false
		delete(said, r.name)
		what, _, conditional = strings.Cut(what, ", but refused ")
		if what != words[r.handling] || conditional != (r.check != nil && r.handling != refused) {
			t.Errorf("docs/api.md says of %s that it is %q, and that a value may be refused: %v; the code %q, %v",
				r.name, what, conditional, words[r.handling], r.check != nil && r.handling != refused)
		}
	}
	for name, what := range said {
		if rule := ruleOf(strings.TrimSuffix(name, "*") + "x"); strings.HasSuffix(name, "*") && (rule.handling != dropped || what != "dropped") {
			t.Errorf("docs/api.md says of %s that it is %q, the code %q", name, what, words[rule.handling])
		} else if rule := ruleOf(name); !strings.HasSuffix(name, "*") && (rule.handling != dropped || rule.check != nil || what != "dropped") {
			t.Errorf("docs/api.md says of %s that it is %q, the code %q", name, what, words[rule.handling])
		}
	}
}
