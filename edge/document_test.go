package edge

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"oncegate/internal/onetime"
)

// documented returns the cells of the table in docs/api.md that begins with header.
func documented(t *testing.T, header string) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "\n"+header+"\n")
	if !found {
		t.Fatalf("docs/api.md has no table %q", header)
	}
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		if strings.HasPrefix(line, "|---") {
			continue
		}
		var cells []string
		for _, cell := range strings.Split(strings.Trim(line, "|\n"), "|") {
			cells = append(cells, strings.Trim(cell, " `"))
		}
		rows = append(rows, cells)
	}
	return rows
}

// TestDocumentHasEveryOption: in the order of the code.
func TestDocumentHasEveryOption(t *testing.T) {
	var got, want []string
	for _, row := range documented(t, "| option | allowed | an upload that does not fit |") {
		got = append(got, row[0])
	}
	for _, option := range options {
		want = append(want, option.name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("docs/api.md has the options %v, the code %v", got, want)
	}
}

// TestDocumentHasEveryRefusal: with its status, and with those that are others at
// /url/<id>.
func TestDocumentHasEveryRefusal(t *testing.T) {
	for header, table := range map[string]map[onetime.Reason]row{
		"| reason | status | meaning | is the URL spent? | what to do |": refusals,
		"| reason | status | meaning |":                                  ownerRefusals,
	} {
		got, want := map[string]string{}, map[string]string{}
		for _, row := range documented(t, header) {
			got[row[0]] = row[1]
			if slices.Contains(row, "") {
				t.Errorf("docs/api.md leaves a cell empty for %s", row[0])
			}
		}
		for reason, row := range table {
			want[string(reason)] = strconv.Itoa(row.status)
		}
		if !maps.Equal(got, want) {
			t.Errorf("docs/api.md has the refusals %v, the code %v", got, want)
		}
	}
}

// TestDocumentHasEveryRoute: openapi.yaml has the paths and methods of the table of
// routes, and a preflight for each path.
func TestDocumentHasEveryRoute(t *testing.T) {
	text, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	path := ""
	for _, line := range regexp.MustCompile(`(?m)^  (/\S+):$|^    (get|head|post|put|patch|delete|options):$`).FindAllStringSubmatch(string(text), -1) {
		if line[1] != "" {
			path = line[1]
			continue
		}
		got = append(got, path+" "+strings.ToUpper(line[2]))
	}
	for _, route := range routes {
		path := route.path
		if path == anyPath {
			path = "/uploads/{id}"
		}
		want = append(want, path+" "+methodOptions)
		for _, method := range route.methods {
			want = append(want, path+" "+method.name)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("openapi.yaml has %v, the code %v", got, want)
	}
}
