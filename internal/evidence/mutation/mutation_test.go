package main

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// TestEdits: every edit still fits the sources, and the result compiles. The program says
// whether tests notice, which takes minutes.
func TestEdits(t *testing.T) {
	fset := token.NewFileSet()
	imported := importer.ForCompiler(fset, "gc", exports(t))
	names := map[string]bool{}
	for _, m := range mutants {
		if names[m.file+m.name] {
			t.Errorf("%s has two mutants %q", m.file, m.name)
		}
		names[m.file+m.name] = true
		text, err := m.apply("../../..")
		if err != nil {
			t.Error(err)
			continue
		}
		if m.script() {
			continue // Node compiles it when it runs
		}
		var files []*ast.File
		all, err := filepath.Glob(filepath.Join("../../..", path.Dir(m.file), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range all {
			source := text
			switch {
			case strings.HasSuffix(name, "_test.go"):
				continue
			case filepath.Base(name) != path.Base(m.file):
				if source, err = os.ReadFile(name); err != nil {
					t.Fatal(err)
				}
			}
			file, err := parser.ParseFile(fset, name, source, parser.SkipObjectResolution)
			if err != nil {
				t.Fatalf("%s, %q: %v", m.file, m.name, err)
			}
			files = append(files, file)
		}
		conf := types.Config{Importer: imported}
		if _, err := conf.Check("oncegate/"+path.Dir(m.file), fset, files, nil); err != nil {
			t.Errorf("%s, %q does not compile: %v", m.file, m.name, err)
		}
	}
	t.Logf("%d mutants", len(mutants))
}

// exports opens the compiler's export data of the packages that the sources import.
func exports(t *testing.T) importer.Lookup {
	command := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", "./edge", "./internal/onetime", "./internal/layout", "./internal/acceptance/...", "./internal/auth/...",
		"./internal/invite", "./internal/s3index", "./internal/s3wire", "./internal/cfn/...")
	command.Dir = "../../.."
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %v", command, err)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		files[name] = file
	}
	return func(name string) (io.ReadCloser, error) { return os.Open(files[name]) }
}
