//go:build !js

package tree

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
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

// Folders that hold no source of ours.
var foreign = []string{".git", "node_modules", "build", "bin", "cdk.out", "testdata"}

// source is a Go package as it is written, every build constraint included: what is
// only built for js/wasm has to keep to the rules as well.
type source struct {
	dir     string // from the root, with slashes
	name    string
	docs    []string // package comments, one per file that has one
	imports []string // sorted, of all files that are not tests
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
			return nil // was there a moment ago: a build's temporary file
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

// sources reads all packages, those of the other modules in the tree included.
var sources = func() func(t *testing.T) []source {
	var once sync.Once
	var all []source
	return func(t *testing.T) []source {
		t.Helper()
		once.Do(func() {
			packages := map[string]*source{}
			walk(t, func(name string, text []byte) {
				if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
					return
				}
				file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly|parser.ParseComments)
				if err != nil {
					t.Error(err)
					return
				}
				dir := path.Dir(name)
				if packages[dir] == nil {
					packages[dir] = &source{dir: dir, name: file.Name.Name}
				}
				packages[dir].add(file)
			})
			for _, dir := range slices.Sorted(maps.Keys(packages)) {
				all = append(all, *packages[dir])
			}
		})
		return all
	}
}()

func (s *source) add(file *ast.File) {
	if doc := file.Doc.Text(); doc != "" {
		s.docs = append(s.docs, doc)
	}
	for _, spec := range file.Imports {
		name, _ := strconv.Unquote(spec.Path.Value) // the parser has seen to it
		s.imports = append(s.imports, name)
	}
	slices.Sort(s.imports)
	s.imports = slices.Compact(s.imports)
}

func find(t *testing.T, dir string) source {
	t.Helper()
	for _, s := range sources(t) {
		if s.dir == dir {
			return s
		}
	}
	t.Fatalf("there is no package in %s: the rules are about a tree that is gone", dir)
	return source{}
}

// under tells whether a package is one of these, or below one that ends in "/...".
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

// inner are the packages whose place in the tree is fixed, and all of it that they
// may import besides the standard library.
var inner = map[string]struct {
	may    []string
	reason string
}{
	"internal/onetime": {
		[]string{"oncegate/internal/layout", "oncegate/internal/lean/digest", "oncegate/internal/lean/sigv4", "oncegate/internal/lean/strictjson"},
		"the one-time rule is pure: whoever reads it needs to know no adapter",
	},
	"edge": {
		[]string{"oncegate/internal/onetime", "oncegate/internal/lean/strictjson", "oncegate/internal/lean/urlquery"},
		"edge knows events and the rule; S3 and the wasm host are joined to it in edge/wasm",
	},
	"internal/s3index": {
		[]string{"oncegate/internal/layout", "oncegate/internal/onetime"},
		"the index says what S3's answers mean; how they travel is s3wire's and s3sdk's business",
	},
	"internal/s3wire": {
		[]string{"oncegate/internal/onetime", "oncegate/internal/s3index", "oncegate/internal/lean/digest", "oncegate/internal/lean/sigv4", "oncegate/internal/lean/urlquery"},
		"it is linked into the wasm, where the SDK costs more to load than the work it does",
	},
	"internal/auth/apikey": {
		[]string{"oncegate/internal/onetime", "oncegate/internal/lean/digest", "oncegate/internal/lean/strictjson"},
		"a key is checked with the standard library, at the edge and on the command line",
	},
	"internal/auth/bearer": {
		[]string{"oncegate/internal/onetime", "github.com/golang-jwt/jwt/v5"},
		"one library reads tokens; the keys come by a Fetcher, whoever that is",
	},
	"internal/s3sdk": {
		[]string{"oncegate/internal/layout", "oncegate/internal/onetime", "oncegate/internal/s3index", "oncegate/internal/acceptance", "github.com/aws/..."},
		"adapters point at the domain and do not know each other",
	},
	"internal/acceptance": {
		[]string{"oncegate/internal/layout", "oncegate/internal/onetime"},
		"which version counts is decided by S3's answers alone; how they travel is an adapter's business",
	},
	"internal/acceptance/webhook": {
		nil,
		"what is posted and how it is signed needs the standard library alone",
	},
	"internal/awssdk": {
		[]string{"oncegate/internal/acceptance", "github.com/aws/..."},
		"adapters point at the domain and do not know each other",
	},
	"internal/config": {
		[]string{"oncegate/internal/lean/nearest", "oncegate/internal/lean/strictjson"},
		"the settings file is read by everything and so may depend on next to nothing",
	},
	"internal/layout": {nil, "the deployment and the rule both read where things lie"},
	"internal/cfn": {
		nil,
		"reading templates takes no knowledge of what they should say",
	},
	"internal/cfn/check": {
		[]string{"oncegate/internal/cfn", "oncegate/internal/config"},
		"the promises are held to the settings alone; what plays or proves a deployment comes after",
	},
	"internal/lean/sigv4": {
		[]string{"oncegate/internal/lean/digest"},
		"it is linked into the wasm; that it signs as the SDK does is for its tests to say",
	},
	"internal/lean/strictjson": {nil, "it is linked into the wasm and used by the rule"},
	"internal/lean/nearest":    {nil, "it is linked into the wasm"},
	"internal/lean/digest":     {nil, "it is linked into the wasm and used by the rule"},
	"internal/lean/urlquery":   {nil, "it is linked into the wasm"},
}

// never are imports that a package must not have itself, whatever it may link.
var never = map[string]map[string]string{
	"internal/onetime": {
		"net/...":     "the rule knows no network and no HTTP",
		"os/...":      "files and environment are for those who set the rule up",
		"syscall/...": "the rule runs on every platform alike",
		"crypto/rand": "entropy is a value, so that a test can fix it",
		"log/...":     "a refusal carries its cause; who logs it is for the caller to say",
		"testing/...": "tests replace values, production code has no switches for them",
	},
	"edge": {
		"os/...":      "Lambda@Edge has no environment to read; what edge needs is in Functions",
		"syscall/...": "JavaScript is edge/wasm's business",
		"net":         "edge opens no connection",
		"testing/...": "tests replace values, production code has no switches for them",
	},
}

func TestImports(t *testing.T) {
	for dir, rule := range inner {
		s := find(t, dir)
		for _, name := range s.imports {
			if !standard(name) && !under(name, rule.may...) {
				t.Errorf("%s imports %s, and may only %v: %s", dir, name, rule.may, rule.reason)
			}
		}
	}
	for dir, names := range never {
		s := find(t, dir)
		for pattern, reason := range names {
			for _, name := range s.imports {
				if under(name, pattern) {
					t.Errorf("%s imports %s: %s", dir, name, reason)
				}
			}
		}
	}
}

// TestOneDirection: cmd, infra and edge/* stand on top, nothing imports them.
func TestOneDirection(t *testing.T) {
	mains := map[string]bool{}
	for _, s := range sources(t) {
		if s.name == "main" {
			mains[s.path()] = true
		}
	}
	if len(mains) < 2 {
		t.Fatalf("mains %v: the tree was not read", mains)
	}
	for _, s := range sources(t) {
		for _, name := range s.imports {
			switch {
			case mains[name]:
				t.Errorf("%s imports the main %s", s.dir, name)
			case under(name, "oncegate/cmd/...", "oncegate/edge/wasm/...", "oncegate/edge/node/...", "oncegate/edge/regional/...", "oncegate/edge/accept/..."):
				t.Errorf("%s imports %s, which stands on top", s.dir, name)
			case under(name, "oncegate/infra/...") && !under(s.path(), "oncegate/infra/..."):
				t.Errorf("%s imports %s: the deployment is made of built files, nothing is made of it", s.dir, name)
			}
		}
	}
}

// link is a package as the go command lists it.
type link struct {
	ImportPath string
	Name       string
	Standard   bool
	Imports    []string
}

// linked lists what these packages are built from.
func linked(t *testing.T, env []string, patterns ...string) []link {
	t.Helper()
	command := exec.Command("go", append([]string{"list", "-deps", "-json=ImportPath,Name,Standard,Imports"}, patterns...)...)
	command.Dir = root
	command.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", command, err, &stderr)
	}
	var links []link
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var l link
		switch err := decoder.Decode(&l); {
		case err == io.EOF:
			return links
		case err != nil:
			t.Fatal(err)
		}
		links = append(links, l)
	}
}

// forbid reports packages that must not be linked, and who brought them in.
func forbid(t *testing.T, what string, links []link, forbidden map[string]string) {
	t.Helper()
	for pattern, reason := range forbidden {
		for _, l := range links {
			if !under(l.ImportPath, pattern) {
				continue
			}
			var by []string
			for _, importer := range links {
				if slices.Contains(importer.Imports, l.ImportPath) {
					by = append(by, importer.ImportPath)
				}
			}
			t.Errorf("%s links %s (imported by %s): %s", what, l.ImportPath, strings.Join(by, ", "), reason)
		}
	}
}

var inTestsOnly = map[string]string{
	"testing/...":                                   "test code does not belong into a program that is shipped",
	"net/http/httptest":                             "test code does not belong into a program that is shipped",
	"oncegate/internal/onetime/onetimetest":         "it is for tests",
	"oncegate/internal/cfn/cfntest":                 "it is for tests",
	"oncegate/internal/evidence/testbed":            "it is for tests",
	"oncegate/internal/local/s3server/s3servertest": "it is for tests",
}

func TestLinkedIntoWasm(t *testing.T) {
	links := linked(t, []string{"GOOS=js", "GOARCH=wasm", "GOFLAGS=-tags=edge"}, "./edge/wasm")
	for _, want := range []string{"oncegate/internal/lean/digest", "oncegate/edge", "oncegate/internal/s3wire"} {
		if !slices.ContainsFunc(links, func(l link) bool { return l.ImportPath == want }) {
			t.Fatalf("%s is not linked: this is not the list of what runs at the edge", want)
		}
	}
	forbid(t, "edge/wasm", links, inTestsOnly)
	const heavy = "it makes every cold start dearer and every process larger; see bench/README.md"
	forbid(t, "edge/wasm without tag jwt", links, map[string]string{
		"net/...":                       heavy,
		"crypto/...":                    heavy,
		"encoding/json":                 heavy,
		"encoding/xml":                  heavy,
		"log/...":                       heavy,
		"regexp/...":                    heavy,
		"github.com/...":                heavy,
		"time/tzdata":                   heavy,
		"oncegate/internal/auth/bearer": "what checks tokens is in the mint's build alone; the gate's start does not pay for it",
		"github.com/golang-jwt/jwt/v5":  "what checks tokens is in the mint's build alone; the gate's start does not pay for it",
	})
	links = linked(t, []string{"GOOS=js", "GOARCH=wasm", "GOFLAGS=-tags=edge,jwt"}, "./edge/wasm")
	if !slices.ContainsFunc(links, func(l link) bool { return l.ImportPath == "oncegate/internal/auth/bearer" }) {
		t.Fatal("internal/auth/bearer is not linked with tag jwt: this is not the list of what checks tokens")
	}
	forbid(t, "edge/wasm with tag jwt", links, inTestsOnly)
	forbid(t, "edge/wasm", links, map[string]string{
		"github.com/aws/...":                 "the S3 client more than doubles what every cold start compiles; package s3wire does the few requests",
		"oncegate/internal/s3sdk":            "it is the SDK",
		"oncegate/internal/local/cloudfront": "the edge knows nothing of being played",
		"oncegate/internal/local/s3server":   "the edge knows nothing of being played",
		"oncegate/internal/evidence/testbed": "the edge knows nothing of being played",
		"os/exec":                            "wasm has no processes",
		"os/signal":                          "wasm has no signals",
		"plugin":                             "wasm loads nothing",
		"html/template":                      "every answer is a line of plain text",
		"text/template":                      "every answer is a line of plain text",
		"go/...":                             "nothing is compiled at the edge",
	})
}

func TestLinkedIntoPrograms(t *testing.T) {
	for _, s := range sources(t) {
		// The other modules' programs are not shipped, and edge/wasm is seen to above.
		if s.name != "main" || under(s.dir, "infra/...", "tools/...", "edge/wasm") {
			continue
		}
		links := linked(t, nil, "./"+s.dir)
		if len(links) < 10 {
			t.Errorf("%s links %d packages: it was not listed", s.dir, len(links))
		}
		forbid(t, s.dir, links, inTestsOnly)
	}
}

func TestLinkedIntoOnetime(t *testing.T) {
	for _, env := range [][]string{nil, {"GOOS=js", "GOARCH=wasm"}} {
		links := linked(t, env, "./internal/onetime")
		for _, l := range links {
			if !l.Standard && !under(l.ImportPath, "oncegate/internal/onetime", "oncegate/internal/layout", "oncegate/internal/lean/digest", "oncegate/internal/lean/sigv4", "oncegate/internal/lean/strictjson") {
				t.Errorf("internal/onetime links %s %v: the rule is standard library and four small packages", l.ImportPath, env)
			}
		}
		forbid(t, "internal/onetime", links, map[string]string{"net/http/...": "the rule knows no HTTP"})
	}
}

func TestPackageComments(t *testing.T) {
	for _, s := range sources(t) {
		want := "Package " + s.name + " "
		if s.name == "main" {
			want = "Command "
		}
		switch {
		case len(s.docs) == 0:
			t.Errorf("%s has no package comment", s.dir)
		case len(s.docs) > 1:
			t.Errorf("%s has %d package comments, godoc joins them in no order", s.dir, len(s.docs))
		case !strings.HasPrefix(s.docs[0], want):
			t.Errorf("%s: the package comment begins %.40q, want %q", s.dir, s.docs[0], want)
		}
	}
}

func TestGofmt(t *testing.T) {
	files := 0
	walk(t, func(name string, text []byte) {
		if path.Ext(name) != ".go" {
			return
		}
		files++
		formatted, err := format.Source(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !bytes.Equal(formatted, text) {
			t.Errorf("%s is not gofmt-ed", name)
		}
	})
	if files < 20 {
		t.Errorf("%d Go files: the tree was not read", files)
	}
}

const maxLines = 500

// long are the files that may have more lines, and why.
var long = map[string]string{}

func TestFileLength(t *testing.T) {
	lines := map[string]int{}
	walk(t, func(name string, text []byte) {
		if slices.Contains([]string{".go", ".mjs", ".js", ".md", ".sh"}, path.Ext(name)) || path.Base(name) == "Makefile" {
			lines[name] = bytes.Count(text, []byte("\n"))
		}
	})
	for name, n := range lines {
		if n > maxLines && long[name] == "" {
			t.Errorf("%s has %d lines, at most %d are easy to read", name, n, maxLines)
		}
	}
	for name := range long {
		if lines[name] <= maxLines {
			t.Errorf("%s has %d lines and needs no exception any more", name, lines[name])
		}
	}
}
