// Package infratest has what the tests of several packages of the CDK app need.
package infratest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

// UseNode22 lets CDK run in the Node that package-lock.json pins, if it is there. root is the top
// of the repository.
func UseNode22(root string) {
	if found, _ := filepath.Glob(filepath.Join(root, "node_modules", "node22-*", "bin", "node")); len(found) > 0 && os.Getenv("JSII_NODE") == "" {
		path, err := filepath.Abs(found[0])
		Must(err)
		os.Setenv("JSII_NODE", path)
	}
}

// Run runs the tests of a package two levels below root, and ends CDK's process.
func Run(m *testing.M) int {
	UseNode22("../..")
	defer jsii.Close()
	return m.Run()
}

// Must ends the tests if there is an error.
func Must(err error) {
	if err != nil {
		panic(err)
	}
}

// Build returns a stand-in for the directory build: only hashes of it are in the templates.
func Build(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, files := range map[string][]string{
		"edge": {"index.mjs", "oncegate.wasm", "oncegate-jwt.wasm", "wasm_exec.js", "page.mjs", "page.json", "config.json"},
		"stub": {"index.mjs", "page.mjs", "page.json", "config.json"}, "regional": {"bootstrap", "config.json"}, "accept": {"bootstrap", "config.json"},
	} {
		Must(os.Mkdir(filepath.Join(dir, name), 0o755))
		for _, file := range files {
			// What was built has settings of its own, which the gate's replace.
			Must(os.WriteFile(filepath.Join(dir, name, file), []byte(`{"bucket": "of-the-clone"}`), 0o644))
		}
	}
	return dir
}

// NewApp returns an app that writes its templates into a directory of the test.
func NewApp(t testing.TB) awscdk.App {
	return awscdk.NewApp(&awscdk.AppProps{Outdir: jsii.String(filepath.Join(t.TempDir(), "out")), AnalyticsReporting: jsii.Bool(false)})
}
