//go:build !js

package tree

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// link is a package as the go command lists it.
type link struct {
	ImportPath string
	Name       string
	Standard   bool
	Imports    []string
}

// linked lists all packages that these packages are built from.
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

// inTestsOnly are packages that no program links.
var inTestsOnly = map[string]string{
	"testing/...":                                           "test code does not belong in a program",
	"net/http/httptest":                                     "test code does not belong in a program",
	"oncegate/internal/onetime/onetimetest":                 "it is for tests",
	"oncegate/internal/cfn/cfntest":                         "it is for tests",
	"oncegate/internal/evidence/testbed":                    "it is for tests",
	"oncegate/internal/local/s3server/s3servertest":         "it is for tests",
	"oncegate/internal/local/dynamoserver/dynamoservertest": "it is for tests",
}

// notDeployed are packages that no program on AWS links.
var notDeployed = map[string]string{
	"oncegate/internal/local/...":    "what is deployed knows nothing of being played",
	"oncegate/internal/evidence/...": "what is deployed knows nothing of being proved",
	"oncegate/internal/cfn/...":      "what is deployed does not read its own templates",
	"oncegate/internal/verify":       "the checks of a deployment are run from outside",
	"oncegate/internal/doctor":       "the account is looked at from outside",
	"oncegate/internal/simulate":     "a model of the deployment is no part of it",
	// A function's credentials are in its environment.
	"github.com/aws/aws-sdk-go-v2/config/...":                 "profiles and sessions are the command line's",
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds/...":       "profiles and sessions are the command line's",
	"github.com/aws/aws-sdk-go-v2/service/sts/...":            "profiles and sessions are the command line's",
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds/...":   "profiles and sessions are the command line's",
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds/...":   "profiles and sessions are the command line's",
	"github.com/aws/aws-sdk-go-v2/credentials/logincreds/...": "profiles and sessions are the command line's",
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
		"math/rand/...":                 "Go's own generator begins the same in every container: edge/node/snapshot.mjs",
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
	forbid(t, "edge/wasm", links, notDeployed)
	forbid(t, "edge/wasm", links, map[string]string{
		"github.com/aws/...":      "the S3 client more than doubles what every cold start compiles; package s3wire does the few requests",
		"oncegate/internal/s3sdk": "it is the SDK",
		"os/exec":                 "wasm has no processes",
		"os/signal":               "wasm has no signals",
		"plugin":                  "wasm loads nothing",
		"html/template":           "every answer is a line of plain text",
		"text/template":           "every answer is a line of plain text",
		"go/...":                  "nothing is compiled at the edge",
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
		if under(s.dir, "edge/...") {
			forbid(t, s.dir, links, notDeployed)
		}
	}
}

func TestLinkedIntoOnetime(t *testing.T) {
	for _, env := range [][]string{nil, {"GOOS=js", "GOARCH=wasm"}} {
		links := linked(t, env, "./internal/onetime")
		for _, l := range links {
			if !l.Standard && l.ImportPath != "oncegate/internal/onetime" && !under(l.ImportPath, inner["internal/onetime"].may...) {
				t.Errorf("internal/onetime links %s %v: the rule is the standard library and the small packages that it may import", l.ImportPath, env)
			}
		}
		forbid(t, "internal/onetime", links, map[string]string{"net/http/...": "the rule knows no HTTP"})
	}
}
