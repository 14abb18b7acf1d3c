package main

import (
	"go/parser"
	"go/token"
	"testing"
)

// TestEdits: every edit still fits the sources, and what comes of it is Go. Whether
// tests notice is for the program to say, which takes minutes.
func TestEdits(t *testing.T) {
	names := map[string]bool{}
	for _, m := range mutants {
		if names[m.file+m.name] {
			t.Errorf("%s has two mutants %q", m.file, m.name)
		}
		names[m.file+m.name] = true
		text, err := m.apply("../..")
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := parser.ParseFile(token.NewFileSet(), m.file, text, 0); err != nil {
			t.Errorf("%s, %q: %v", m.file, m.name, err)
		}
	}
	t.Logf("%d mutants", len(mutants))
}
