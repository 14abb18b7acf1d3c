//go:build !js

package tree

import (
	"bytes"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// readmeLines is how long the README may be: it is read in three minutes.
const readmeLines = 150

// document is a Markdown page without its blocks and spans of code.
type document struct {
	links   []string // targets, as they are written
	anchors []string // of the headings, as GitHub makes them
	lines   int
}

var (
	fenced   = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	indented = regexp.MustCompile(`(?m)^(    |\t).*$`)
	codeSpan = regexp.MustCompile("`[^`\n]*`")
	target   = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
)

func parseDocument(text []byte) (d document) {
	d.lines = bytes.Count(text, []byte("\n"))
	text = indented.ReplaceAll(fenced.ReplaceAll(text, nil), nil)
	times := map[string]int{}
	for _, m := range heading.FindAllSubmatch(text, -1) {
		anchor := slug(string(m[1]))
		if n := times[anchor]; n > 0 {
			d.anchors = append(d.anchors, anchor+"-"+strconv.Itoa(n))
		} else {
			d.anchors = append(d.anchors, anchor)
		}
		times[anchor]++
	}
	for _, m := range target.FindAllSubmatch(codeSpan.ReplaceAll(text, nil), -1) {
		d.links = append(d.links, string(m[1]))
	}
	return d
}

// slug is GitHub's anchor of a heading:
// https://docs.github.com/en/get-started/writing-on-github/getting-started-with-writing-and-formatting-on-github/basic-writing-and-formatting-syntax#section-links
func slug(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

func documents(t *testing.T) map[string]document {
	t.Helper()
	all := map[string]document{}
	walk(t, func(name string, text []byte) {
		if path.Ext(name) == ".md" {
			all[name] = parseDocument(text)
		}
	})
	if _, ok := all["README.md"]; !ok || len(all) < 5 {
		t.Fatalf("%d pages found, the README among them: %t", len(all), ok)
	}
	return all
}

// TestLinks: every relative link of every page leads to a file or folder of the tree,
// and every anchor to a heading.
func TestLinks(t *testing.T) {
	all := documents(t)
	followed := 0
	for name, page := range all {
		for _, link := range page.links {
			u, err := url.Parse(link)
			if err != nil {
				t.Errorf("%s: link %q: %v", name, link, err)
				continue
			}
			if u.IsAbs() {
				continue
			}
			followed++
			to := name
			if u.Path != "" {
				to = path.Join(path.Dir(name), u.Path)
			}
			if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s: link %q: there is no %s", name, link, to)
			} else if u.Fragment != "" && !slices.Contains(all[to].anchors, u.Fragment) {
				t.Errorf("%s: link %q: %s has no heading with this anchor, it has %v", name, link, to, all[to].anchors)
			}
		}
	}
	if followed < 50 {
		t.Errorf("only %d relative links were found", followed)
	}
}

// TestMap: docs/README.md leads to every page of docs, once. TestLinks sees to it that
// those it leads to are there.
func TestMap(t *testing.T) {
	all := documents(t)
	named := map[string]int{}
	for _, link := range all["docs/README.md"].links {
		named[link]++
	}
	for name := range all {
		if dir, file := path.Split(name); dir == "docs/" && file != "README.md" && named[file] != 1 {
			t.Errorf("docs/README.md names %s %d times", file, named[file])
		}
	}
}

func TestReadmeIsShort(t *testing.T) {
	if n := documents(t)["README.md"].lines; n > readmeLines {
		t.Errorf("README.md has %d lines, at most %d are allowed: what is longer goes to docs", n, readmeLines)
	}
}
