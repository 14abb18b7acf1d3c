package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"oncegate/internal/evidence/testbed"
)

// TestSameTreeSameBytes builds the wasm from a copy of the tree in another folder:
// the artifact must not depend on where it was built, and build/edge, which every
// other test here runs, must be what the tree builds.
func TestSameTreeSameBytes(t *testing.T) {
	testbed.DefaultRuntimeOnly(t, "it builds what does not depend on the runtime")
	dir := t.TempDir()
	for _, name := range []string{"Makefile", "go.mod", "go.sum", "edge", "internal", "cmd"} {
		source := filepath.Join(root, name)
		info, err := os.Stat(source)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			err = os.CopyFS(filepath.Join(dir, name), os.DirFS(source))
		} else {
			err = copyFile(source, filepath.Join(dir, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// The Node that starts the program is the tree's; npm need not fetch it again.
	nodes, _ := filepath.Glob(filepath.Join(root, "node_modules/node22-*/bin/node"))
	if len(nodes) != 1 {
		t.Fatalf("%d binaries of Node 22 in node_modules: run `make build`", len(nodes))
	}
	node, err := filepath.Abs(nodes[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, wasm := range []string{"build/edge/oncegate.wasm", "build/edge/oncegate-jwt.wasm"} {
		if out, err := exec.CommandContext(t.Context(), "make", "-C", dir, "NPM=", "NODE22="+node, wasm).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		built, err := os.ReadFile(filepath.Join(dir, wasm))
		if err != nil {
			t.Fatal(err)
		}
		shipped, err := os.ReadFile(filepath.Join(root, wasm))
		if err != nil {
			t.Fatalf("%v: run `make build`", err)
		}
		if !bytes.Equal(built, shipped) {
			t.Errorf("%s is not what this tree builds: run `make build`, or the build depends on its folder", wasm)
		}
	}
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}
