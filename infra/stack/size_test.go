package stack_test

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oncegate/infra/stack"
)

// Code that AWS would not take is refused before anything is synthesized.
func TestCodeHasASize(t *testing.T) {
	noise := make([]byte, 51<<20)
	rand.Read(noise)
	for _, tt := range []struct {
		name, settings string
		in             string // which of the zips
		add            func(path string) error
		want           string
	}{
		{"does not fit when zipped", "plain", "edge", func(path string) error { return os.WriteFile(path, noise, 0o644) },
			"edge is 51.0 MB zipped, the quota for the code of a function is 50 MB"},
		{"does not fit when unzipped", "plain", "edge", func(path string) error {
			return os.WriteFile(path, make([]byte, 251<<20), 0o644)
		}, "edge is 251.0 MB, the quota for the code of a function is 250 MB"},
		{"functions of acceptance", "accepting", "accept", func(path string) error { return os.WriteFile(path, noise, 0o644) },
			"accept is 51.0 MB zipped"},
		{"a stub", "regional", "stub", func(path string) error { return os.WriteFile(path, noise, 0o644) }, "stub is 51.0 MB zipped"},
		{"regional functions", "regional", "regional", func(path string) error { return os.WriteFile(path, noise, 0o644) }, "regional is 51.0 MB zipped"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, settings := t.TempDir(), "testdata/"+tt.settings+".json"
			o := stack.Options{
				Config: settings, Out: filepath.Join(dir, "out"), Artifact: artifact(filepath.Join(dir, "edge"), settings),
				Stub: stub(filepath.Join(dir, "stub"), settings), Regional: standIn(filepath.Join(dir, "regional"), settings, "bootstrap"),
				Accept: standIn(filepath.Join(dir, "accept"), settings, "bootstrap"),
			}
			must(tt.add(filepath.Join(dir, tt.in, "extra")))
			if err := stack.Synth(o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
