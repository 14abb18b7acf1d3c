package cloudfront

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCodeSize: the size that counts is that of the zip, and then that of what is in it.
func TestCodeSize(t *testing.T) {
	noise := make([]byte, 26e6) // which no zip makes smaller
	rand.Read(noise)
	for _, tt := range []struct {
		name  string
		files map[string][]byte
		hole  int64 // the length of one more file, of zeros
		want  string
	}{
		{"small", map[string][]byte{"index.mjs": []byte("x")}, 0, ""},
		{"just fits", map[string][]byte{"a": noise, "b/c": noise[:23.9e6]}, 0, ""},
		{"too large", map[string][]byte{"a": noise, "b/c": noise}, 0, "bytes as a zip: Lambda@Edge takes 50000000"},
		{"large, but not as a zip", nil, 60e6, ""},
		{"too large unpacked", nil, 251e6, "251000000 bytes: Lambda takes 250000000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, data := range tt.files {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if tt.hole > 0 {
				f, err := os.Create(filepath.Join(dir, "zeros"))
				if err := errors.Join(err, f.Truncate(tt.hole), f.Close()); err != nil {
					t.Fatal(err)
				}
			}
			d := deployment(t, "full")
			firstFunction(d).Directory = dir
			_, err := FromDeployment(d)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.want != "" && (!errors.Is(err, ErrCannotPlay) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "Gate3038665D: Code is")):
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
