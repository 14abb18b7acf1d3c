package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// script reports whether the mutant is one of a Node handler. Its own tests must notice it:
// those of index.mjs are in index.test.mjs.
func (m mutant) script() bool { return path.Ext(m.file) == ".mjs" }

var (
	notOK    = regexp.MustCompile(`(?m)^ *not ok \d+ - (.*)`)
	noScript = regexp.MustCompile(`(?m)^SyntaxError: .*`)
)

// testNode runs the tests of a Node handler, which has this text, in a folder of their own.
// It returns the name of the test that fails, or "".
func testNode(ctx context.Context, root, dir, file string, text []byte) (killer, said string, err error) {
	node, err := filepath.Glob(filepath.Join(root, "node_modules", "node22-*", "bin", "node"))
	if err != nil || len(node) != 1 {
		return "", "", fmt.Errorf("find Node (make build): %q, %v", node, err)
	}
	folder, err := os.MkdirTemp(dir, "node")
	if err != nil {
		return "", "", err
	}
	defer os.RemoveAll(folder)
	// The tests take the rest of the artifact from where it is built.
	for _, name := range []string{"build/edge", "edge/node"} {
		from := dir
		if name == "build/edge" {
			from = root
		}
		if err := os.CopyFS(filepath.Join(folder, name), os.DirFS(filepath.Join(from, name))); err != nil {
			return "", "", fmt.Errorf("copy %s (make build): %w", name, err)
		}
	}
	for _, name := range []string{file, "build/edge/" + path.Base(file)} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			return "", "", err
		}
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	command := exec.CommandContext(limited, node[0], "--test-reporter=tap", strings.TrimSuffix(file, ".mjs")+".test.mjs")
	command.Dir = folder
	output, err := command.CombinedOutput()
	said = string(output)
	match := notOK.FindStringSubmatch(said)
	switch {
	case err == nil:
		return "", "", nil
	case ctx.Err() != nil:
		return "", "", ctx.Err()
	case noScript.MatchString(said):
		return "", "", errors.New("is no JavaScript: " + noScript.FindString(said))
	case match != nil: // a test comes before what it is a part of
		return "node: " + match[1], said, nil
	case limited.Err() != nil:
		return "node: a timeout", said, nil
	}
	return "", "", fmt.Errorf("node: %w:\n%s", err, said)
}
