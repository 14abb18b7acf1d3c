package config_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"oncegate/internal/config"
)

// The tables of docs/configuration.md have one row for each field, in order, with its
// default and what it allows.
func TestDocumentHasEveryField(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	plain := func(cell string) string { return strings.TrimSpace(strings.ReplaceAll(cell, "`", "")) }
	var got [][3]string
	var what []string
	inTable := false
	for line := range strings.Lines(string(text)) {
		switch cells := strings.Split(line, "|"); {
		case strings.HasPrefix(line, "| field | default | allowed |"):
			inTable = true
		case len(cells) != 6:
			inTable = false
		case inTable && !strings.HasPrefix(line, "|---"):
			got = append(got, [3]string{plain(cells[1]), plain(cells[2]), plain(cells[3])})
			what = append(what, plain(cells[4]))
		}
	}
	var want [][3]string
	for _, f := range config.Fields() {
		byDefault := f.Default
		switch {
		case f.Name == "bucket":
			byDefault = "required"
		case byDefault == "":
			byDefault = "none"
		}
		want = append(want, [3]string{f.Name, byDefault, f.Allowed()})
	}
	if len(got) != len(want) {
		t.Errorf("the document has %d rows, the code %d fields", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("row %d of the document says\n%q, the code\n%q", i+1, got[i], want[i])
		}
		if what[i] == "" {
			t.Errorf("%s: the document does not say what it is for", got[i][0])
		}
	}
}

var setting = regexp.MustCompile("`json:\"(\\w+),omitempty\"`")

// The construct takes every setting, in order and under its own name. It is of another module,
// whose own tests take minutes, so its text is compared here.
func TestConstructHasEveryField(t *testing.T) {
	const file = "infra/oncegate/settings.go"
	text, err := os.ReadFile("../../" + file)
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, match := range setting.FindAllStringSubmatch(string(text), -1) {
		got = append(got, match[1])
	}
	for _, f := range config.Fields() {
		want = append(want, f.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s has the fields\n%v, config.json\n%v", file, got, want)
	}
}
