//go:build linux

package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"oncegate/internal/evidence/testbed"
)

// TestReadme runs the README's blocks of commands as they are printed, one after the
// other in one shell, against what make dev runs. Make itself, and commands that need
// AWS, are in blocks of text and not of sh.
func TestReadme(t *testing.T) {
	testbed.DefaultRuntimeOnly(t, "it runs make dev with the settings of the tree")
	testbed.Program(t, "curl")
	tree := checkout(t)
	const next = "=== next block ==="
	blocks := shellBlocks(t)
	out := bash(t, tree, strings.Join(blocks, "echo\necho '"+next+"'\n"))
	outputs := strings.Split(out, next)

	// What each block prints, in this order.
	want := [][]string{
		{"HTTP/1.1 200 OK", "X-Amz-Version-Id: ", "HTTP/1.1 403 Forbidden", "X-Oncegate-Reason: used"},
		{"HTTP/1.1 415 Unsupported Media Type", "X-Oncegate-Reason: type", "minted", "order-17", "revoked", "revoked"},
		{"invitation ", "Acme, invoices May", "/upload#ogi_"},
		{"ok "},
	}
	if len(blocks) != len(want) {
		t.Fatalf("the README has %d blocks of sh, this test knows what %d print", len(blocks), len(want))
	}
	for i, rest := range outputs {
		for _, text := range want[i] {
			_, after, found := strings.Cut(rest, text)
			if !found {
				t.Errorf("block %d: no %q in the rest of its output:\n%s", i+1, text, rest)
				break
			}
			rest = after
		}
	}
}

// checkout makes a folder in which the README's commands find what they find at the
// root of a built tree with make dev running, on ports of its own.
func checkout(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{"README.md", "config.json"} {
		if err := copyFile(filepath.Join(root, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	bin, err := filepath.Abs(filepath.Join(root, "bin"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(bin, filepath.Join(dir, "bin")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var settings map[string]any
	if err := json.Unmarshal(text, &settings); err != nil {
		t.Fatal(err)
	}
	dev := startDev(t, testbed.Assembly(t, settings, nil), filepath.Join(dir, "build", "dev"))
	t.Cleanup(func() {
		if err := dev.stop(); err != nil {
			t.Errorf("oncegate dev ended with %v", err)
		}
	})
	return dir
}

// shellBlocks are the README's blocks of sh.
func shellBlocks(t *testing.T) (blocks []string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllSubmatch(page, -1) {
		blocks = append(blocks, string(m[1]))
	}
	return blocks
}

// bash runs a script that stops at the first command that fails, and returns what it
// prints.
func bash(t *testing.T, dir, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "bash", "-eu", "-c", script)
	command.Dir = dir
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// TestHashRecipe: the documented command prints the id of a URL, whatever scheme, host
// and port the URL has.
func TestHashRecipe(t *testing.T) {
	testbed.DefaultRuntimeOnly(t, "it runs no part of the chain")
	page, err := os.ReadFile(filepath.Join(root, "docs", "how-it-works.md"))
	if err != nil {
		t.Fatal(err)
	}
	recipe := regexp.MustCompile(`(?m)^    (printf .* \| sha256sum)$`).FindSubmatch(page)
	if recipe == nil {
		t.Fatal("docs/how-it-works.md has no command that ends in sha256sum")
	}
	const path = "/uploads/0394715f-2c15-4fc7-b2a5-7f55073a90ac?X-Amz-Credential=A%2F20260304%2Fus-east-1&x=https://b/"
	sum := sha256.Sum256([]byte(path))
	want := hex.EncodeToString(sum[:])
	for _, base := range []string{"http://localhost:8080", "http://localhost:18080", "http://127.0.0.1", "https://d111111abcdef8.cloudfront.net", "https://upload.example.com:8443"} {
		got, _, _ := strings.Cut(bash(t, t.TempDir(), "URL='"+base+path+"'\n"+string(recipe[1])), " ")
		if got != want {
			t.Errorf("%s…: %s, want %s", base, got, want)
		}
	}
}
