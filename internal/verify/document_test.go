package verify

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestFirstDeployNamesLines: what docs/first-deploy.md says is settled by a line of verify
// is settled by a line that there is.
func TestFirstDeployNamesLines(t *testing.T) {
	page, err := os.ReadFile("../../docs/first-deploy.md")
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, p := range promises {
		ids = append(ids, p.id)
	}
	rows := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) != 4 || strings.HasPrefix(line, "| belief") || strings.HasPrefix(line, "|---") {
			continue
		}
		rows++
		settled := cells[3]
		before, _, _ := strings.Cut(settled, "none")
		named := regexp.MustCompile("`([a-z0-9-]+)`").FindAllStringSubmatch(before, -1)
		if len(named) == 0 && !strings.Contains(settled, "none: ") {
			t.Errorf("%s: says neither a line of verify nor where to look", cells[0])
		}
		for _, m := range named {
			if !slices.Contains(ids, m[1]) {
				t.Errorf("%s: verify has no line %s", cells[0], m[1])
			}
		}
	}
	if rows < 15 {
		t.Errorf("%d rows were read, want those of the three tables of beliefs", rows)
	}
}
