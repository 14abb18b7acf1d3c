package stack_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/jsii-runtime-go"

	"oncegate/infra/infratest"
	"oncegate/infra/stack"
	"oncegate/internal/cfn"
	"oncegate/internal/cfn/check"
	"oncegate/internal/config"
)

var update = flag.Bool("update", false, "write the golden files")

// root is the top of the repository.
const root = "../.."

// fixtures is where the tests of package cfn find their templates.
const fixtures = root + "/internal/cfn/testdata"

// variant is a deployment that was synthesized for the tests. Every setting that
// changes the templates is off in one of them and on in another.
type variant struct {
	name string
	conf config.Config
	out  string
}

var plain, full, regional, accepting, unversioned, table variant

// all are the variants, in the order of their permissions.
func all() []variant { return []variant{plain, full, regional, accepting, unversioned, table} }

// TestMain synthesizes once for all tests: CDK runs in a Node process that takes
// seconds to start.
func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		infratest.UseNode22(root)
		dir, err := os.MkdirTemp("", "oncegate-stack")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		defer jsii.Close()
		for name, v := range map[string]*variant{
			"plain": &plain, "full": &full, "regional": &regional, "accepting": &accepting, "unversioned": &unversioned, "table": &table,
		} {
			*v = synth(dir, name)
		}
		return m.Run()
	}())
}

// synth makes the templates for testdata/<name>.json, with a stand-in for the artifact.
// Only its hash is in the templates.
func synth(dir, name string) variant {
	v := variant{name: name, out: filepath.Join(dir, name+".out")}
	settings := filepath.Join("testdata", name+".json")
	must(stack.Synth(stack.Options{
		Config: settings, Out: v.out, Artifact: artifact(filepath.Join(dir, name), settings),
		Stub: stub(filepath.Join(dir, name+"-stub"), settings), Regional: standIn(filepath.Join(dir, name+"-regional"), settings, "bootstrap"),
		Accept: standIn(filepath.Join(dir, name+"-accept"), settings, "bootstrap"),
	}))
	var err error
	v.conf, err = config.Load(settings)
	must(err)
	return v
}

func artifact(dir, settings string) string {
	return standIn(dir, settings, "index.mjs", "oncegate.wasm", "oncegate-jwt.wasm", "wasm_exec.js", "page.mjs", "page.json")
}

func stub(dir, settings string) string {
	standIn(dir, settings, "index.mjs", "page.mjs", "page.json")
	if conf, err := config.Load(settings); err == nil { // else the test is about what is wrong with it
		asks, err := json.Marshal(conf.Stub())
		must(err)
		must(os.WriteFile(filepath.Join(dir, "settings.json"), asks, 0o644))
	}
	return dir
}

func standIn(dir, settings string, names ...string) string {
	must(os.MkdirAll(dir, 0o755))
	for _, name := range names {
		must(os.WriteFile(filepath.Join(dir, name), []byte("stand-in\n"), 0o644))
	}
	data, err := os.ReadFile(settings)
	must(err)
	must(os.WriteFile(filepath.Join(dir, "config.json"), data, 0o644))
	return dir
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func read(t *testing.T, v variant) *cfn.Deployment {
	t.Helper()
	d, err := cfn.Read(v.out)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDeploymentKeepsItsPromises(t *testing.T) {
	for _, v := range all() {
		for _, p := range check.Deployment(read(t, v), v.conf) {
			t.Errorf("%s: %v", v.name, p)
		}
	}
}

// The templates are in the repository, so that a review sees what a change of the stack
// or of CDK does to them. The tests of package cfn read the same files.
func TestTemplatesAreTheReviewedOnes(t *testing.T) {
	for _, v := range all() {
		dir := filepath.Join(fixtures, v.name)
		if *update { // what has another hash now does not stay
			must(os.RemoveAll(dir))
		}
		for name, got := range reviewed(t, v) {
			compareGolden(t, filepath.Join(dir, name), got)
		}
	}
}

// stacks are all that there can be.
var stacks = []string{"Bucket", "Regional", "Edge"}

// reviewed returns the files of an assembly that package cfn reads, without what only the
// CDK command line needs.
func reviewed(t *testing.T, v variant) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	load := func(name string) map[string]any {
		data, err := os.ReadFile(filepath.Join(v.out, name))
		if err != nil {
			t.Fatal(err)
		}
		var value map[string]any
		if err := json.Unmarshal(data, &value); err != nil {
			t.Fatal(err)
		}
		return value
	}
	store := func(name string, value any) {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", " ")
		if err := e.Encode(value); err != nil {
			t.Fatal(err)
		}
		files[name] = b.Bytes()
	}
	artifacts := map[string]any{}
	for id, a := range load("manifest.json")["artifacts"].(map[string]any) {
		a := a.(map[string]any)
		if p, ok := a["properties"].(map[string]any); ok && (slices.Contains(stacks, id) || strings.HasSuffix(id, ".assets")) {
			for key := range p {
				if !slices.Contains([]string{"templateFile", "stackName", "file"}, key) {
					delete(p, key)
				}
			}
			delete(a, "displayName")
			delete(a, "additionalMetadataFile")
			delete(a, "metadata")
			artifacts[id] = a
		}
	}
	store("manifest.json", map[string]any{"artifacts": artifacts})
	for _, id := range stacks {
		if _, made := artifacts[id]; !made {
			continue
		}
		store(id+".template.json", load(id+".template.json"))
		manifest := load(id + ".assets.json")
		for key, f := range manifest["files"].(map[string]any) {
			source := f.(map[string]any)["source"].(map[string]any)
			if source["packaging"] == "file" {
				delete(manifest["files"].(map[string]any), key)
				continue
			}
			path := source["path"].(string)
			for _, name := range []string{"config.json", "settings.json", "bootstrap"} {
				data, err := os.ReadFile(filepath.Join(v.out, path, name))
				if errors.Is(err, fs.ErrNotExist) && name != "config.json" {
					continue
				}
				must(err)
				files[filepath.Join(path, name)] = data
			}
		}
		store(id+".assets.json", manifest)
	}
	return files
}

func compareGolden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		must(os.MkdirAll(filepath.Dir(path), 0o755))
		must(os.WriteFile(path, got, 0o644))
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Errorf("%v (go test ./stack -update writes it)", err)
		return
	}
	if bytes.Equal(got, want) {
		return
	}
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Errorf("%s line %d:\n got %s\nwant %s\n(go test ./stack -update, and review the difference)", path, i+1, g[i], w[i])
			return
		}
	}
	t.Errorf("%s has %d lines, want %d (go test ./stack -update, and review the difference)", path, len(g), len(w))
}

// What every principal may do, in lines that a person can read, and why. A permission cannot
// be widened without changing this file, nor be there without a reason.
func TestPermissionsAreTheReviewedOnes(t *testing.T) {
	var b bytes.Buffer
	used := map[string]bool{}
	write := func(v variant, who, name string, lines []string) {
		for _, line := range lines {
			text := explained(v, who, name, line, used)
			if strings.HasPrefix(text, "NO REASON") {
				t.Errorf("%s: %s", v.name, text)
			}
			fmt.Fprintf(&b, "  %s\n", text)
		}
	}
	for _, v := range all() {
		d := read(t, v)
		fmt.Fprintf(&b, "# %s.json\n", v.name)
		functions := maps.Clone(d.Functions)
		maps.Copy(functions, d.Regional)
		for _, name := range slices.Sorted(maps.Keys(functions)) {
			role := functions[name].Role
			fmt.Fprintf(&b, "\nfunction %s\n", name)
			write(v, name[strings.LastIndex(name, "-")+1:], name, append(role.AssumeRolePolicyDocument.Lines(), role.Permissions()...))
		}
		fmt.Fprintf(&b, "\nbucket %s\n", d.Bucket.BucketName)
		write(v, "bucket", "", d.Bucket.Policy.PolicyDocument.Lines())
		for _, arn := range slices.Sorted(maps.Keys(d.Queues)) {
			fmt.Fprintf(&b, "\nqueue %s\n", d.Queues[arn].QueueName)
			write(v, "queue", d.Queues[arn].QueueName, d.Queues[arn].Policy.Lines())
		}
		fmt.Fprintln(&b)
	}
	compareGolden(t, "testdata/permissions.txt", b.Bytes())
	for key := range reasons {
		if !used[key] {
			t.Errorf("nobody has the permission %q any more", key)
		}
	}
}

// The columns of cdk-nag's rows are rule, resource, compliance, reason, …
func TestNagFindsNothing(t *testing.T) {
	suppressed := map[string]bool{}
	for _, v := range all() {
		reports, err := filepath.Glob(filepath.Join(v.out, "AwsSolutions-*-NagReport.csv"))
		want := 2
		if v.conf.Deploy.Runtime == config.RuntimeRegional {
			want = 3
		}
		if err != nil || len(reports) != want {
			t.Fatalf("%s: reports %v, %v; want one for each stack", v.name, reports, err)
		}
		for _, path := range reports {
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			rows, err := csv.NewReader(f).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range rows[1:] {
				switch row[2] {
				case "Compliant", "N/A":
				case "Suppressed":
					suppressed[row[0]] = true
				default:
					t.Errorf("%s: %s on %s: %s", v.name, row[0], row[1], row[2])
				}
			}
		}
	}
	want := []string{"AwsSolutions-CFR1", "AwsSolutions-CFR2", "AwsSolutions-CFR3", "AwsSolutions-CFR4", "AwsSolutions-IAM5", "AwsSolutions-L1", "AwsSolutions-S1"}
	if got := slices.Sorted(maps.Keys(suppressed)); !slices.Equal(got, want) {
		t.Errorf("suppressed are %v, want %v", got, want)
	}
}

// Regional functions and acceptance together, in another Region than the edge.
func TestRegionalAndAccepting(t *testing.T) {
	dir := t.TempDir()
	settings := filepath.Join(dir, "config.json")
	must(os.WriteFile(settings, []byte(`{"bucket": "both-uploads", "region": "eu-central-1", "runtime": "regional", "acceptance": true}`), 0o644))
	v := variant{name: "both", out: filepath.Join(dir, "out")}
	must(stack.Synth(stack.Options{
		Config: settings, Out: v.out, Stub: stub(filepath.Join(dir, "stub"), settings),
		Regional: standIn(filepath.Join(dir, "regional"), settings, "bootstrap"), Accept: standIn(filepath.Join(dir, "accept"), settings, "bootstrap"),
	}))
	var err error
	v.conf, err = config.Load(settings)
	must(err)
	for _, p := range check.Deployment(read(t, v), v.conf) {
		t.Error(p)
	}
}
