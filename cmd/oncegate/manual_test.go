package main

import (
	"errors"
	"flag"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var flagNames = regexp.MustCompile(`(?:^|[\s` + "`" + `])--([a-z0-9]+(?:-[a-z0-9]+)*)`)

// flagsIn are the flags that a text defines: those at the beginning of a line of help,
// or in the first column of a table.
func flagsIn(text string, line *regexp.Regexp) (names []string) {
	for _, defined := range line.FindAllString(text, -1) {
		for _, found := range flagNames.FindAllStringSubmatch(defined, -1) {
			names = append(names, found[1])
		}
	}
	slices.Sort(names)
	return names
}

// flagsOf are the flags that a verb takes.
func flagsOf(t *testing.T, v verb) (names []string) {
	t.Helper()
	err := v.run(t.Context(), []string{"-h"}, io.Discard, io.Discard)
	help, ok := errors.AsType[helpError](err)
	if !ok {
		t.Fatalf("%s -h: %v", v.name, err)
	}
	help.fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	slices.Sort(names)
	return names
}

// TestManual holds docs/cli.md and the help of each verb to the program: every verb has
// its section, with all of its flags and no others.
func TestManual(t *testing.T) {
	page, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	helpLine := regexp.MustCompile(`(?m)^ {4}--.*?(?: {2}|$)`)
	tableCell := regexp.MustCompile("(?m)^\\| `--[^|]*\\|")
	sections := map[string]string{}
	var order []string
	for _, s := range strings.Split(string(page), "\n### oncegate ")[1:] {
		name, text, _ := strings.Cut(s, "\n")
		text, _, _ = strings.Cut(text, "\n## ")
		sections[name] = text
		order = append(order, name)
	}
	var names []string
	for _, v := range verbs {
		names = append(names, v.name)
		want := flagsOf(t, v)
		if got := flagsIn(v.help, helpLine); !slices.Equal(got, want) {
			t.Errorf("the help of %s has the flags %v, want %v", v.name, got, want)
		}
		if got := flagsIn(sections[v.name], tableCell); !slices.Equal(got, want) {
			t.Errorf("docs/cli.md has the flags %v for %s, want %v", got, v.name, want)
		}
		if v.name != "version" && !strings.Contains(sections[v.name], "\n    oncegate "+v.name) && !strings.Contains(sections[v.name], "$(oncegate "+v.name) {
			t.Errorf("docs/cli.md has no example of %s", v.name)
		}
	}
	if !slices.Equal(order, names) {
		t.Errorf("docs/cli.md has the verbs %v, want %v", order, names)
	}
}
