package testbed

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"oncegate/internal/cfn"
	"oncegate/internal/cfn/cfntest"
	"oncegate/internal/cfn/check"
	"oncegate/internal/config"
)

// Templates, Template and Object are what a test changes of a deployment.
type (
	Templates = cfntest.Templates
	Template  = cfntest.Template
	Object    = cfntest.Object
)

// Without removes the statement of this sid from a policy document.
func Without(document Object, sid string) { cfntest.Without(document, sid) }

// ForwardingLess has the templates forward by a list of their own, as oncegate's did
// once, without one header: the gate's own and those that S3 keeps with an object.
func ForwardingLess(name string) func(*Templates) {
	headers := []string{
		"cache-control", "content-disposition", "content-encoding", "content-language", "content-md5", "content-type", "expires", "origin",
		"if-none-match", "x-amz-checksum-sha256",
	}
	return func(t *Templates) {
		t.AddRequestPolicy(slices.DeleteFunc(headers, func(h string) bool { return h == name })...)
	}
}

// Assembly is a cdk.out for these settings, with the artifact that `make build`
// made. It comes from the templates that package cfn keeps, which the CDK app is
// held to. Package check looks at what is changed for the settings. change, if any,
// is called last.
func Assembly(t testing.TB, settings map[string]any, change func(*Templates)) string {
	t.Helper()
	root := root(t)
	text, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	conf, err := config.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	fixtures := filepath.Join(root, "internal", "cfn", "testdata")
	base := "plain"
	switch {
	case conf.Deploy.Runtime == config.RuntimeRegional:
		base = "regional"
	case conf.Acceptance.On:
		base = "accepting"
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(fixtures, base))); err != nil {
		t.Fatal(err)
	}
	both := cfntest.Load(t, dir)
	if both.Regional != nil && conf.Acceptance.On {
		accept(t, &both, dir, filepath.Join(fixtures, "accepting"))
	}
	full := cfntest.Load(t, filepath.Join(fixtures, "full"))
	adapt(t, &both, conf, full)
	if conf.Index == config.IndexDynamoDB {
		inTable(t, &both, conf, fixtures)
	}
	if len(conf.Tags) > 0 {
		s := cfntest.Statement(full.RolePolicy("Gate"), "TagUploads")
		s["Resource"] = ofBucket(s["Resource"], conf.Bucket)
		cfntest.With(both.RolePolicy("Gate"), s)
	}
	write := func() { both.Write(t, dir, "plain-uploads", conf.Bucket, "accepting-uploads", conf.Bucket) }
	write()

	fill(t, &both, dir, text, conf)
	deployment, err := cfn.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range check.Deployment(deployment, conf) {
		t.Fatalf("the templates are not those of %s: %v", text, problem)
	}
	if change == nil {
		return dir
	}
	before, _ := json.Marshal(both)
	change(&both)
	if after, _ := json.Marshal(both); string(before) == string(after) {
		t.Fatal("the templates are as they were")
	}
	write()
	return dir
}

// bucketAssets lists what the stack of the bucket is made of besides its template.
const bucketAssets = "Bucket.assets.json"

// accept adds to the regional runtime what the kept templates of acceptance have.
func accept(test testing.TB, t *Templates, dir, accepting string) {
	test.Helper()
	from := cfntest.Load(test, accepting)
	t.Bucket = from.Bucket
	list, err := os.ReadFile(filepath.Join(accepting, bucketAssets))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, bucketAssets), list, 0o644)
	}
	assets, globErr := filepath.Glob(filepath.Join(accepting, "asset.*", "bootstrap"))
	if err = errors.Join(err, globErr); err != nil || len(assets) != 1 {
		test.Fatalf("assets %v: %v", assets, err)
	}
	asset := filepath.Dir(assets[0])
	if err := os.CopyFS(filepath.Join(dir, filepath.Base(asset)), os.DirFS(asset)); err != nil {
		test.Fatal(err)
	}
	cfntest.With(t.RolePolicy("Mint"), cfntest.Statement(from.RolePolicy("Mint"), "WriteUploadEntries"))
}

// fill puts what `make build` made into the assets in dir, in place of the stand-ins.
func fill(test testing.TB, t *Templates, dir string, settings []byte, conf config.Config) {
	test.Helper()
	assets, err := filepath.Glob(filepath.Join(dir, "asset.*"))
	ofBucket, readErr := os.ReadFile(filepath.Join(dir, bucketAssets))
	want := 1
	for _, more := range []bool{t.Regional != nil, conf.Acceptance.On} {
		if more {
			want++
		}
	}
	if err = errors.Join(err, readErr); err != nil || len(assets) != want {
		test.Fatalf("assets: %v, %v", assets, err)
	}
	build := filepath.Join(root(test), "build")
	for _, asset := range assets {
		from, names := filepath.Join(build, "edge"), []string{"index.mjs", "oncegate.wasm", "oncegate-jwt.wasm", "wasm_exec.js", "page.mjs", "page.json"}
		_, err := os.Stat(filepath.Join(asset, "bootstrap"))
		switch {
		case strings.Contains(string(ofBucket), filepath.Base(asset)):
			from, names = filepath.Join(build, "local", "accept"), []string{"bootstrap"}
		case err == nil:
			from, names = filepath.Join(build, "local", "regional"), []string{"bootstrap"}
		case t.Regional != nil:
			from, names = filepath.Join(build, "stub"), []string{"index.mjs", "page.mjs", "page.json"}
		}
		for _, name := range names {
			data, err := os.ReadFile(filepath.Join(from, name))
			if err != nil {
				test.Fatalf("%v: run `make build regional accept`", err)
			}
			os.Remove(filepath.Join(asset, name)) // a stand-in may not be executable
			if err := os.WriteFile(filepath.Join(asset, name), data, 0o755); err != nil {
				test.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(asset, "config.json"), settings, 0o644); err != nil {
			test.Fatal(err)
		}
	}
	if t.Regional == nil {
		return
	}
	asks, err := json.Marshal(conf.Stub())
	if err != nil {
		test.Fatal(err)
	}
	stubs, _ := filepath.Glob(filepath.Join(dir, "asset.*", "settings.json"))
	for _, stub := range stubs {
		if err := os.WriteFile(stub, asks, 0o644); err != nil {
			test.Fatal(err)
		}
	}
}

// adapt makes the changes to testdata/plain that the settings make. Where full has
// the wanted part, it is taken from there.
func adapt(test testing.TB, t *Templates, conf config.Config, full Templates) {
	test.Helper()
	apiKeys := conf.Auth.Kind == config.AuthAPIKey
	wanted := map[any]bool{"ReadKeys": apiKeys, "ReadURLs": conf.OwnerAPI}
	for _, s := range full.RolePolicy("Mint")["Statement"].([]any) {
		if s := s.(Object); wanted[s["Sid"]] {
			s["Resource"] = ofBucket(s["Resource"], conf.Bucket)
			cfntest.With(t.RolePolicy("Mint"), s)
		}
	}
	if conf.Acceptance.Scan != "" {
		scan(test, t, conf, cfntest.Load(test, filepath.Join(root(test), "internal", "cfn", "testdata", "table")))
	}
	if w := conf.Acceptance.Webhook; w.URL != "" {
		code := t.Bucket.Properties("AWS::Lambda::Function", "Accept")["Code"]
		for id, r := range full.Bucket["Resources"].(Object) {
			if !strings.HasPrefix(id, "Webhook") {
				continue
			}
			resource := renamed(test, r, "full-uploads", conf.Bucket, "full-", conf.Deploy.Name+"-", "eu-west-1", conf.Region,
				"parameter/oncegate/webhook", "parameter"+w.Secret)
			if resource["Type"] == "AWS::Lambda::Function" {
				resource["Properties"].(Object)["Code"] = code // the same program
			}
			t.Bucket["Resources"].(Object)[id] = resource
		}
	}
	if len(conf.AllowedOrigins) > 0 {
		var origins []any
		for _, o := range conf.AllowedOrigins {
			origins = append(origins, o)
		}
		const kind = "AWS::CloudFront::ResponseHeadersPolicy"
		cors := full.Edge.Properties(kind, "")["ResponseHeadersPolicyConfig"].(Object)["CorsConfig"].(Object)
		cors["AccessControlAllowOrigins"] = Object{"Items": origins}
		cors["AccessControlAllowCredentials"] = conf.AllowedOrigins[0] != "*"
		if methods := cors["AccessControlAllowMethods"].(Object); !conf.OwnerAPI {
			methods["Items"] = slices.DeleteFunc(methods["Items"].([]any), func(m any) bool { return m == "DELETE" })
		}
		t.Edge.Properties(kind, "")["ResponseHeadersPolicyConfig"].(Object)["CorsConfig"] = cors
	}
	for id, answers := range map[string]int{"Failures": conf.Deploy.AlarmFailures, "Refusals": conf.Deploy.AlarmRefusals} {
		t.Edge.Properties("AWS::CloudWatch::Alarm", id)["Threshold"] = float64(answers) - 0.5
	}
	functions := []string{"Mint", "Gate", "Page"}
	if !conf.Page.On {
		t.Edge.WithoutPage()
		functions = functions[:2]
	}
	for _, function := range functions {
		p := t.Edge.Properties("AWS::Lambda::Function", function)
		p["MemorySize"], p["Timeout"], p["Runtime"] = conf.Deploy.Memory, conf.Deploy.Timeout, conf.Deploy.NodeRuntime
		if t.Regional != nil && function != "Page" {
			p := t.Regional.Properties("AWS::Lambda::Function", "Regional"+function)
			p["MemorySize"], p["Timeout"] = conf.Deploy.RegionalMemory, conf.Deploy.Timeout
		}
	}
}

// scan adds to acceptance what a kept deployment with scans has.
func scan(test testing.TB, t *Templates, conf config.Config, from Templates) {
	test.Helper()
	ours := func(part any) Object {
		return renamed(test, part, "table-uploads", conf.Bucket, "eu-central-1", conf.Region, "oncegate-", conf.Deploy.Name+"-", "oncegate/oncegate", "oncegate/"+conf.Deploy.Name)
	}
	for id, r := range from.Bucket["Resources"].(Object) {
		if strings.HasPrefix(id, "Scan") || strings.HasPrefix(id, "Rejected") {
			t.Bucket["Resources"].(Object)[id] = ours(r)
		}
	}
	const policy = "AWS::SQS::QueuePolicy"
	sends := cfntest.Statement(from.Bucket.Properties(policy, "AcceptQueue")["PolicyDocument"].(Object), "RuleSends")
	cfntest.With(t.Bucket.Properties(policy, "AcceptQueue")["PolicyDocument"].(Object), ours(sends))
	t.Bucket.Properties("AWS::S3::Bucket", "")["NotificationConfiguration"].(Object)["EventBridgeConfiguration"] = Object{"EventBridgeEnabled": true}
}

// renamed is a part of a template with other names in it, given in pairs.
func renamed(test testing.TB, part any, names ...string) (made Object) {
	test.Helper()
	text, err := json.Marshal(part)
	if err == nil {
		err = json.Unmarshal([]byte(strings.NewReplacer(names...).Replace(string(text))), &made)
	}
	if err != nil {
		test.Fatal(err)
	}
	return made
}

// ofBucket is the Resource of a statement of full, of another bucket.
func ofBucket(resource any, bucket string) any {
	switch r := resource.(type) {
	case string:
		return strings.ReplaceAll(r, "full-uploads", bucket)
	case []any:
		for i := range r {
			r[i] = ofBucket(r[i], bucket)
		}
	}
	return resource
}
