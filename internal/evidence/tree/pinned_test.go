//go:build !js

package tree

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var exact = regexp.MustCompile(`^(npm:(@[\w.-]+/)?[\w.-]+@)?\d+\.\d+\.\d+$`)

// TestPinned: everything that is fetched has one version and one checksum, so it does not
// matter which server it comes from.
func TestPinned(t *testing.T) {
	modules, locks := 0, 0
	walk(t, func(name string, text []byte) {
		switch path.Base(name) {
		case "package.json":
			var file struct{ Dependencies, DevDependencies, OptionalDependencies, PeerDependencies map[string]string }
			if err := json.Unmarshal(text, &file); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			taken := 0
			for _, all := range []map[string]string{file.Dependencies, file.DevDependencies, file.OptionalDependencies, file.PeerDependencies} {
				taken += len(all)
				for dependency, version := range all {
					if !exact.MatchString(version) {
						t.Errorf("%s: %s is %q, want one exact version", name, dependency, version)
					}
				}
			}
			if _, err := os.Stat(filepath.Join(root, path.Dir(name), "package-lock.json")); err != nil && taken > 0 {
				t.Errorf("%s has no lock file: %v", name, err)
			}
		case "package-lock.json":
			locks++
			var file struct {
				Packages map[string]struct{ Version, Resolved, Integrity string }
			}
			if err := json.Unmarshal(text, &file); err != nil || len(file.Packages) < 2 {
				t.Errorf("%s: %d packages, %v", name, len(file.Packages), err)
			}
			for dependency, p := range file.Packages {
				switch {
				case dependency == "": // the package itself
				case !strings.HasPrefix(p.Integrity, "sha512-"):
					t.Errorf("%s: %s has no SHA-512", name, dependency)
				case p.Resolved != "":
					t.Errorf("%s: %s names a registry; any that has the same bytes must do", name, dependency)
				}
			}
		case "go.mod":
			modules++
			for line := range strings.Lines(string(text)) {
				if strings.HasPrefix(line, "replace ") && line != "replace oncegate => ../\n" {
					t.Errorf("%s: %s", name, line)
				}
			}
			if _, err := os.Stat(filepath.Join(root, path.Dir(name), "go.sum")); err != nil {
				t.Errorf("%s has no checksums: %v", name, err)
			}
		}
		if base := path.Base(name); base == "Makefile" || base == "run" || path.Ext(base) == ".sh" && strings.HasPrefix(name, "tools/") {
			for _, loose := range []string{"@latest", "@main", "npm install", "npm i ", "curl -", "curl http"} {
				for line := range strings.Lines(string(text)) {
					if strings.Contains(line, loose) {
						t.Errorf("%s: %q fetches something that is not pinned", name, strings.TrimSpace(line))
					}
				}
			}
		}
	})
	if modules < 4 || locks < 2 {
		t.Errorf("%d modules and %d lock files: the tree was not read", modules, locks)
	}
}

var (
	testName = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`")
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
)

// TestThreatModel: every threat names a test, and every test that is named is there.
func TestThreatModel(t *testing.T) {
	var page string
	var there []string
	walk(t, func(name string, text []byte) {
		if name == "THREAT-MODEL.md" {
			page = string(text)
		}
		if strings.HasSuffix(name, "_test.go") {
			for _, match := range testFunc.FindAllSubmatch(text, -1) {
				there = append(there, string(match[1]))
			}
		}
	})
	for _, match := range testName.FindAllStringSubmatch(page, -1) {
		if !slices.Contains(there, match[1]) {
			t.Errorf("THREAT-MODEL.md names %s, which is no test", match[1])
		}
	}
	_, threats, _ := strings.Cut(page, "\n## Threats\n")
	threats, _, _ = strings.Cut(threats, "\n## ")
	rows := 0
	for line := range strings.Lines(threats) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| threat ") {
			continue
		}
		rows++
		if cells := strings.Split(line, "|"); len(cells) != 5 || !testName.MatchString(cells[3]) {
			t.Errorf("THREAT-MODEL.md: no test shows %.80q", line)
		}
	}
	if rows < 20 {
		t.Errorf("THREAT-MODEL.md has %d threats: it was not read", rows)
	}
}
