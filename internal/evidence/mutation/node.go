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

// nodeTests are the tests that must notice the mutants of a Node handler.
var nodeTests = map[string][]string{
	nodeHandler: {"edge/node/index.test.mjs", "edge/node/parts.test.mjs", "edge/node/table.test.mjs"},
	nodeClient:  {"edge/node/http.test.mjs", "edge/node/index.test.mjs", "edge/node/table.test.mjs"},
	nodeStub:    {"edge/node/regional.test.mjs"},
	page:        {"edge/node/page.test.mjs"},
}

// script reports whether the mutant is one of a Node handler.
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
	if file == nodeHandler || file == nodeClient { // the two are one file of the artifact
		command := exec.CommandContext(ctx, node[0], filepath.Join(root, "tools", "handler.mjs"), nodeHandler, "build/edge/index.mjs")
		command.Dir = folder
		if said, err := command.CombinedOutput(); err != nil {
			return "", "", fmt.Errorf("is no JavaScript: %w: %s", err, said)
		}
	}
	if nodeTests[file] == nil {
		return "", "", fmt.Errorf("nothing says which tests are those of %s", file)
	}
	for _, test := range nodeTests[file] {
		if killer, said, err = runNode(ctx, folder, node[0], test); killer != "" || err != nil {
			break
		}
	}
	return killer, said, err
}

func runNode(ctx context.Context, folder, node, test string) (killer, said string, err error) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	command := exec.CommandContext(limited, node, "--test-reporter=tap", test)
	command.Dir = folder
	output, err := command.CombinedOutput()
	said = string(output)
	match := notOK.FindStringSubmatchIndex(said)
	switch {
	case err == nil:
		return "", "", nil
	case ctx.Err() != nil:
		return "", "", ctx.Err()
	case noScript.MatchString(said):
		return "", "", errors.New("is no JavaScript: " + noScript.FindString(said))
	case match != nil: // a test comes before what it is a part of
		lines := strings.SplitAfterN(said[match[0]:], "\n", 12)
		return "node: " + said[match[2]:match[3]], strings.Join(lines[:len(lines)-1], ""), nil
	case limited.Err() != nil:
		return "node: a timeout", said, nil
	}
	return "", "", fmt.Errorf("node: %w:\n%s", err, said)
}
