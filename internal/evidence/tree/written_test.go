//go:build !js

package tree

import (
	"bytes"
	"go/format"
	"path"
	"slices"
	"strings"
	"testing"
)

func TestPackageComments(t *testing.T) {
	for _, s := range sources(t) {
		want := "Package " + s.name + " "
		if s.name == "main" {
			want = "Command "
		}
		switch {
		case len(s.docs) == 0:
			t.Errorf("%s has no package comment", s.dir)
		case len(s.docs) > 1:
			t.Errorf("%s has %d package comments, godoc joins them in no order", s.dir, len(s.docs))
		case !strings.HasPrefix(s.docs[0], want):
			t.Errorf("%s: the package comment begins %.40q, want %q", s.dir, s.docs[0], want)
		}
	}
}

func TestGofmt(t *testing.T) {
	files := 0
	walk(t, func(name string, text []byte) {
		if path.Ext(name) != ".go" {
			return
		}
		files++
		formatted, err := format.Source(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !bytes.Equal(formatted, text) {
			t.Errorf("%s is not gofmt-ed", name)
		}
	})
	if files < 20 {
		t.Errorf("%d Go files: the tree was not read", files)
	}
}

// TestNoPrograms: what is built is not in the tree. "go build ./cmd/oncegate" leaves a program
// at the root, and "make build" puts it into bin.
func TestNoPrograms(t *testing.T) {
	const most = 1 << 20
	walk(t, func(name string, text []byte) {
		for _, magic := range []string{"\x7fELF", "\xcf\xfa\xed\xfe", "MZ", "\x00asm"} {
			if strings.HasPrefix(string(text), magic) {
				t.Errorf("%s is a program: remove it", name)
			}
		}
		if len(text) > most {
			t.Errorf("%s has %d bytes, at most %d belong here", name, len(text), most)
		}
	})
}

const maxLines = 500

// long are the files that may have more lines, with the reason.
var long = map[string]string{
	"docs/cli.md": "the manual, with a section for each verb",
}

func TestFileLength(t *testing.T) {
	lines := map[string]int{}
	walk(t, func(name string, text []byte) {
		if slices.Contains([]string{".go", ".mjs", ".js", ".md", ".sh"}, path.Ext(name)) || path.Base(name) == "Makefile" {
			lines[name] = bytes.Count(text, []byte("\n"))
		}
	})
	for name, n := range lines {
		if n > maxLines && long[name] == "" {
			t.Errorf("%s has %d lines, at most %d are easy to read", name, n, maxLines)
		}
	}
	for name := range long {
		if lines[name] <= maxLines {
			t.Errorf("%s has %d lines and needs no exception any more", name, lines[name])
		}
	}
}
