//go:build !js

package tree

import (
	"os"
	"path/filepath"
	"testing"
)

// inner are the packages whose imports are fixed: all that they may import besides the
// standard library.
var inner = map[string]struct {
	may    []string
	reason string
}{
	"internal/onetime": {
		[]string{"oncegate/internal/layout", "oncegate/internal/lean/ascii", "oncegate/internal/lean/digest", "oncegate/internal/lean/sigv4", "oncegate/internal/lean/strictjson", "oncegate/internal/lean/text", "oncegate/internal/lean/urlquery"},
		"the one-time rule is pure: its reader needs to know no adapter",
	},
	"edge": {
		[]string{"oncegate/internal/onetime", "oncegate/internal/invite", "oncegate/internal/lean/ascii", "oncegate/internal/lean/strictjson", "oncegate/internal/lean/urlquery"},
		"edge knows events and the rule; S3 and the wasm host are joined to it in edge/wasm",
	},
	"internal/s3index": {
		[]string{"oncegate/internal/layout", "oncegate/internal/invite", "oncegate/internal/lean/httpdate", "oncegate/internal/lean/wire", "oncegate/internal/onetime"},
		"the index says what S3's answers mean; how they travel is s3wire's and s3sdk's business",
	},
	"internal/s3wire": {
		[]string{"oncegate/internal/onetime", "oncegate/internal/s3index", "oncegate/internal/lean/digest", "oncegate/internal/lean/httpdate", "oncegate/internal/lean/sigv4", "oncegate/internal/lean/urlquery", "oncegate/internal/lean/wire"},
		"it is linked into the wasm, where the SDK costs more to load than the work it does",
	},
	"internal/dynamo/dynamowire": {
		[]string{"oncegate/internal/dynamo", "oncegate/internal/lean/digest", "oncegate/internal/lean/sigv4", "oncegate/internal/lean/strictjson", "oncegate/internal/lean/wire"},
		"it is linked into the wasm, where the SDK costs more to load than the work it does",
	},
	"internal/dynamo": {
		[]string{"oncegate/internal/invite", "oncegate/internal/layout", "oncegate/internal/lean/httpdate", "oncegate/internal/lean/wire", "oncegate/internal/onetime"},
		"it says what DynamoDB's answers mean; how they travel is dynamowire's and dynamosdk's business",
	},
	"internal/dynamo/dynamosdk": {
		[]string{"oncegate/internal/dynamo", "github.com/aws/..."},
		"adapters point at the domain and do not know each other",
	},
	"internal/auth/secret": {
		[]string{"oncegate/internal/lean/digest"},
		"the form of a secret needs the standard library alone, at the edge and on the command line",
	},
	"internal/invite": {
		[]string{"oncegate/internal/layout", "oncegate/internal/onetime", "oncegate/internal/auth/secret", "oncegate/internal/lean/strictjson", "oncegate/internal/lean/text"},
		"the rule of invitations is pure, as the one-time rule is that it stands on",
	},
	"internal/auth/apikey": {
		[]string{"oncegate/internal/onetime", "oncegate/internal/auth/secret", "oncegate/internal/lean/strictjson", "oncegate/internal/lean/text"},
		"a key is checked with the standard library, at the edge and on the command line",
	},
	"internal/auth/bearer": {
		[]string{"oncegate/internal/onetime", "oncegate/internal/lean/strictjson", "oncegate/internal/lean/text", "github.com/golang-jwt/jwt/v5"},
		"one library checks the signatures of tokens; the keys come from a Fetcher",
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
	"internal/doctor": {
		[]string{"oncegate/internal/config", "oncegate/internal/cfn", "oncegate/internal/cfn/check", "github.com/aws/..."},
		"it looks at an account before anything is deployed, with the settings and what they promise",
	},
	"internal/config": {
		[]string{"oncegate/internal/layout", "oncegate/internal/lean/nearest", "oncegate/internal/lean/strictjson"},
		"the settings file is read by everything and so may depend on next to nothing",
	},
	"internal/layout": {nil, "the deployment and the rule both read where things lie"},
	"internal/cfn": {
		nil,
		"reading templates takes no knowledge of what they should say",
	},
	"internal/cfn/check": {
		[]string{"oncegate/internal/cfn", "oncegate/internal/config", "oncegate/internal/layout"},
		"the promises are held to the settings alone; what plays or proves a deployment comes after",
	},
	"internal/lean/sigv4": {
		[]string{"oncegate/internal/lean/digest"},
		"it is linked into the wasm; that it signs as the SDK does is for its tests to say",
	},
	"internal/lean/wire": {
		[]string{"oncegate/internal/lean/sigv4"},
		"it is linked into the wasm, and knows neither S3 nor DynamoDB",
	},
	"internal/lean/strictjson": {nil, "it is linked into the wasm and used by the rule"},
	"internal/lean/nearest":    {nil, "it is linked into the wasm"},
	"internal/lean/digest":     {nil, "it is linked into the wasm and used by the rule"},
	"internal/lean/text":       {nil, "it is linked into the wasm and used by the rule"},
	"internal/lean/urlquery":   {nil, "it is linked into the wasm"},
}

// never are packages that a package must not import itself. It may link them.
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

// TestOneDirection: cmd, infra and the mains of edge are on top, and nothing imports them.
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
				t.Errorf("%s imports %s, which is on top", s.dir, name)
			case under(name, "oncegate/infra/...") && !under(s.path(), "oncegate/infra/..."):
				t.Errorf("%s imports %s: the deployment is made of built files, and nothing is made of it", s.dir, name)
			}
		}
	}
}

// roofs are the two parts of the tree that a product must not depend on.
var roofs = []struct {
	roof   string
	open   []string // who may import it
	reason string
}{
	{
		"oncegate/internal/local/...", []string{"oncegate/internal/local/...", "oncegate/internal/evidence/...", "oncegate/bench/...", "oncegate/cmd/..."},
		"a deployment must not depend on how it is played on one machine; make dev, the benchmark and the evidence play it",
	},
	{
		"oncegate/internal/evidence/...", []string{"oncegate/internal/evidence/..."},
		"what proves the product is no part of it",
	},
}

// forTests is all of the evidence that tests outside it may use. They may use all of
// internal/local, because real parts come before fakes.
const forTests = "oncegate/internal/evidence/testbed"

// TestTwoRoofs: what ships does not depend on what plays and proves it.
func TestTwoRoofs(t *testing.T) {
	find(t, "internal/local")
	find(t, "internal/evidence/testbed")
	for _, s := range sources(t) {
		for _, r := range roofs {
			if under(s.path(), r.open...) {
				continue
			}
			for _, name := range s.imports {
				if under(name, r.roof) {
					t.Errorf("%s imports %s: %s", s.dir, name, r.reason)
				}
			}
		}
		for _, name := range s.testImports {
			if under(name, "oncegate/internal/evidence/...") && name != forTests && !under(s.path(), "oncegate/internal/evidence/...") {
				t.Errorf("the tests of %s import %s: all that tests share is %s", s.dir, name, forTests)
			}
		}
	}
}

// maxRooms is how many entries directly under internal a newcomer can take in.
const maxRooms = 19

func TestRooms(t *testing.T) {
	rooms, err := os.ReadDir(filepath.Join(root, "internal"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(rooms); n > maxRooms {
		t.Errorf("internal has %d entries, at most %d can be taken in at a glance: put the new one below another", n, maxRooms)
	}
}
