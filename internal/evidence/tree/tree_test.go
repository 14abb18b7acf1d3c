//go:build !js

package tree

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	module = "oncegate"
	root   = "../../.."
)

// foreign are folders that hold no source of ours.
var foreign = []string{".git", "node_modules", "build", "bin", "cdk.out", "testdata"}

// source is a Go package as it is written. Files of every build constraint are read,
// because the rules hold for js/wasm as well.
type source struct {
	dir         string // from the root, with slashes
	name        string
	docs        []string // package comments, one per file that has one
	imports     []string // sorted, of all files that are not tests
	testImports []string // sorted, of the tests in the same folder
}

func (s source) path() string { return path.Join(module, s.dir) }

// walk calls visit with every file of ours, by its path from the root.
func walk(t *testing.T, visit func(name string, text []byte)) {
	t.Helper()
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains(foreign, entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a build's temporary file, which is gone again
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		visit(filepath.ToSlash(name), text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// sources returns all packages, including those of the other modules in the tree.
var sources = func() func(t *testing.T) []source {
	var once sync.Once
	var all []source
	return func(t *testing.T) []source {
		t.Helper()
		once.Do(func() {
			packages := map[string]*source{}
			walk(t, func(name string, text []byte) {
				if path.Ext(name) != ".go" {
					return
				}
				file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly|parser.ParseComments)
				if err != nil {
					t.Error(err)
					return
				}
				dir := path.Dir(name)
				if packages[dir] == nil {
					packages[dir] = &source{dir: dir}
				}
				packages[dir].add(file, strings.HasSuffix(name, "_test.go"))
			})
			for _, dir := range slices.Sorted(maps.Keys(packages)) {
				if packages[dir].name != "" { // else the folder holds tests alone
					all = append(all, *packages[dir])
				}
			}
		})
		return all
	}
}()

func (s *source) add(file *ast.File, test bool) {
	imports := &s.imports
	if test {
		imports = &s.testImports
	} else {
		s.name = file.Name.Name
		if doc := file.Doc.Text(); doc != "" {
			s.docs = append(s.docs, doc)
		}
	}
	for _, spec := range file.Imports {
		name, _ := strconv.Unquote(spec.Path.Value) // the parser has seen to it
		*imports = append(*imports, name)
	}
	slices.Sort(*imports)
	*imports = slices.Compact(*imports)
}

func find(t *testing.T, dir string) source {
	t.Helper()
	for _, s := range sources(t) {
		if s.dir == dir {
			return s
		}
	}
	t.Fatalf("there is no package in %s: the rules no longer fit the tree", dir)
	return source{}
}

// under reports whether a package is one of these, or below one that ends in "/...".
func under(name string, patterns ...string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		base, all := strings.CutSuffix(pattern, "/...")
		return name == base || all && strings.HasPrefix(name, base+"/")
	})
}

func standard(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return !strings.Contains(first, ".") && first != module
}
