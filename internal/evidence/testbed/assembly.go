package testbed

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"oncegate/internal/cfn"
	"oncegate/internal/config"
)

// Templates are those of a deployment, by what they hold. There is a Regional one where
// the functions decide beside the bucket.
type Templates struct {
	Bucket, Edge, Regional Template
	t                      testing.TB
}

// Template is a CloudFormation template.
type Template map[string]any

// Object is a JSON object.
type Object = map[string]any

// Resource is the one of this type whose logical id begins with prefix.
func (t Template) Resource(kind, prefix string) Object {
	for id, r := range t["Resources"].(Object) {
		if r := r.(Object); r["Type"] == kind && strings.HasPrefix(id, prefix) {
			return r
		}
	}
	panic("no " + kind + " " + prefix)
}

// Properties are those of the Resource.
func (t Template) Properties(kind, prefix string) Object {
	return t.Resource(kind, prefix)["Properties"].(Object)
}

// Distribution is the configuration of the distribution.
func (t *Templates) Distribution() Object {
	return t.Edge.Properties("AWS::CloudFront::Distribution", "")["DistributionConfig"].(Object)
}

// DefaultBehavior is the behavior of uploads.
func (t *Templates) DefaultBehavior() Object {
	return t.Distribution()["DefaultCacheBehavior"].(Object)
}

// Origin is the distribution's one.
func (t *Templates) Origin() Object { return t.Distribution()["Origins"].([]any)[0].(Object) }

// RequestPolicy is the configuration of the origin request policy.
func (t *Templates) RequestPolicy() Object {
	return t.Edge.Properties("AWS::CloudFront::OriginRequestPolicy", "")["OriginRequestPolicyConfig"].(Object)
}

// RolePolicy is the policy document of the role that decides for Mint or Gate.
func (t *Templates) RolePolicy(function string) Object {
	if t.Regional != nil {
		return t.Regional.Properties("AWS::IAM::Role", "Regional"+function+"Role")["Policies"].([]any)[0].(Object)["PolicyDocument"].(Object)
	}
	return t.Edge.Properties("AWS::IAM::Role", function+"Role")["Policies"].([]any)[0].(Object)["PolicyDocument"].(Object)
}

// BucketPolicy is the policy document of the bucket.
func (t *Templates) BucketPolicy() Object {
	return t.Bucket.Properties("AWS::S3::BucketPolicy", "")["PolicyDocument"].(Object)
}

// Without removes the statement of this sid from a policy document.
func Without(document Object, sid string) {
	var rest []any
	for _, s := range document["Statement"].([]any) {
		if s.(Object)["Sid"] != sid {
			rest = append(rest, s)
		}
	}
	if len(rest) == len(document["Statement"].([]any)) {
		panic("no statement " + sid)
	}
	document["Statement"] = rest
}

// Assembly is a cdk.out for these settings, with the artifact that `make build`
// made. It comes from the templates that package cfn keeps, which the CDK app is
// held to; what is changed for the settings is held to what cfn.Check wants. change,
// if any, is called last.
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
	both := Templates{Bucket: read(t, filepath.Join(dir, bucketFile)), Edge: read(t, filepath.Join(dir, edgeFile)), t: t}
	if conf.Deploy.Runtime == config.RuntimeRegional {
		both.Regional = read(t, filepath.Join(dir, regionalFile))
	}
	if both.Regional != nil && conf.Acceptance.On {
		both.accept(dir, filepath.Join(fixtures, "accepting"))
	}
	full := Templates{Bucket: read(t, filepath.Join(fixtures, "full", bucketFile)), Edge: read(t, filepath.Join(fixtures, "full", edgeFile)), t: t}
	both.adapt(conf, &full)
	both.write(dir, conf)

	both.fill(dir, text, conf)
	deployment, err := cfn.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range deployment.Check(conf) {
		t.Fatalf("the templates are not those of %s: %v", text, problem)
	}
	if change == nil {
		return dir
	}
	before, _ := json.Marshal(both)
	var unchanged Templates
	if err := json.Unmarshal(before, &unchanged); err != nil {
		t.Fatal(err)
	}
	change(&both)
	if reflect.DeepEqual(unchanged.Bucket, both.Bucket) && reflect.DeepEqual(unchanged.Edge, both.Edge) && reflect.DeepEqual(unchanged.Regional, both.Regional) {
		t.Fatal("the templates are as they were")
	}
	both.write(dir, conf)
	return dir
}

const (
	bucketFile   = "Bucket.template.json"
	edgeFile     = "Edge.template.json"
	regionalFile = "Regional.template.json"
)

// bucketAssets lists what the stack of the bucket is made of besides its template.
const bucketAssets = "Bucket.assets.json"

// accept adds to the regional runtime what the kept templates of acceptance have.
func (t *Templates) accept(dir, accepting string) {
	t.t.Helper()
	t.Bucket = read(t.t, filepath.Join(accepting, bucketFile))
	list, err := os.ReadFile(filepath.Join(accepting, bucketAssets))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, bucketAssets), list, 0o644)
	}
	assets, globErr := filepath.Glob(filepath.Join(accepting, "asset.*", "bootstrap"))
	if err = errors.Join(err, globErr); err != nil || len(assets) != 1 {
		t.t.Fatalf("assets %v: %v", assets, err)
	}
	asset := filepath.Dir(assets[0])
	if err := os.CopyFS(filepath.Join(dir, filepath.Base(asset)), os.DirFS(asset)); err != nil {
		t.t.Fatal(err)
	}
	edge := Templates{Edge: read(t.t, filepath.Join(accepting, edgeFile))}
	for _, s := range edge.RolePolicy("Mint")["Statement"].([]any) {
		if s.(Object)["Sid"] == "WriteUploadEntries" {
			document := t.RolePolicy("Mint")
			document["Statement"] = append(document["Statement"].([]any), s)
		}
	}
}

// fill puts what `make build` made into the assets in dir, in place of the stand-ins.
func (t *Templates) fill(dir string, settings []byte, conf config.Config) {
	t.t.Helper()
	assets, err := filepath.Glob(filepath.Join(dir, "asset.*"))
	ofBucket, readErr := os.ReadFile(filepath.Join(dir, bucketAssets))
	want := 1
	for _, more := range []bool{t.Regional != nil, conf.Acceptance.On} {
		if more {
			want++
		}
	}
	if err = errors.Join(err, readErr); err != nil || len(assets) != want {
		t.t.Fatalf("assets: %v, %v", assets, err)
	}
	build := filepath.Join(root(t.t), "build")
	for _, asset := range assets {
		from, names := filepath.Join(build, "edge"), []string{"index.mjs", "oncegate.wasm", "oncegate-jwt.wasm", "wasm_exec.js"}
		_, err := os.Stat(filepath.Join(asset, "bootstrap"))
		switch {
		case strings.Contains(string(ofBucket), filepath.Base(asset)):
			from, names = filepath.Join(build, "local", "accept"), []string{"bootstrap"}
		case err == nil:
			from, names = filepath.Join(build, "local", "regional"), []string{"bootstrap"}
		case t.Regional != nil:
			from, names = filepath.Join(build, "stub"), []string{"index.mjs"}
		}
		for _, name := range names {
			data, err := os.ReadFile(filepath.Join(from, name))
			if err != nil {
				t.t.Fatalf("%v: run `make build regional accept`", err)
			}
			os.Remove(filepath.Join(asset, name)) // a stand-in may not be executable
			if err := os.WriteFile(filepath.Join(asset, name), data, 0o755); err != nil {
				t.t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(asset, "config.json"), settings, 0o644); err != nil {
			t.t.Fatal(err)
		}
	}
	if t.Regional == nil {
		return
	}
	asks, err := json.Marshal(cfn.Settings{Region: conf.Region, Functions: map[string]string{
		"mint": conf.Deploy.RegionalName("mint"), "gate": conf.Deploy.RegionalName("gate"),
	}})
	if err != nil {
		t.t.Fatal(err)
	}
	stubs, _ := filepath.Glob(filepath.Join(dir, "asset.*", "settings.json"))
	for _, stub := range stubs {
		if err := os.WriteFile(stub, asks, 0o644); err != nil {
			t.t.Fatal(err)
		}
	}
}

func read(t testing.TB, path string) (template Template) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &template); err != nil {
		t.Fatal(err)
	}
	return template
}

// write puts the templates into dir, with the bucket of the settings.
func (t *Templates) write(dir string, conf config.Config) {
	t.t.Helper()
	for file, template := range map[string]Template{bucketFile: t.Bucket, edgeFile: t.Edge, regionalFile: t.Regional} {
		if template == nil {
			continue
		}
		data, err := json.Marshal(template)
		if err != nil {
			t.t.Fatal(err)
		}
		data = []byte(strings.NewReplacer("plain-uploads", conf.Bucket, "accepting-uploads", conf.Bucket).Replace(string(data)))
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o644); err != nil {
			t.t.Fatal(err)
		}
	}
}

// adapt makes the changes to testdata/plain that the settings make. Where full has
// the wanted part, it is taken from there.
func (t *Templates) adapt(conf config.Config, full *Templates) {
	if conf.FirstVersion == config.Listed {
		for _, s := range full.RolePolicy("Gate")["Statement"].([]any) {
			if s := s.(Object); s["Sid"] == "ListVersions" {
				s["Resource"] = "arn:aws:s3:::" + conf.Bucket
				document := t.RolePolicy("Gate")
				document["Statement"] = append(document["Statement"].([]any), s)
			}
		}
	}
	apiKeys := conf.Auth.Kind == config.AuthAPIKey
	wanted := map[any]bool{"ReadKeys": apiKeys, "ReadURLs": conf.OwnerAPI, "RevokeURLs": conf.OwnerAPI, "TellAbsent": apiKeys || conf.OwnerAPI}
	for _, s := range full.RolePolicy("Mint")["Statement"].([]any) {
		if s := s.(Object); wanted[s["Sid"]] {
			s["Resource"] = ofBucket(s["Resource"], conf.Bucket)
			document := t.RolePolicy("Mint")
			document["Statement"] = append(document["Statement"].([]any), s)
		}
	}
	if w := conf.Acceptance.Webhook; w.URL != "" {
		code := t.Bucket.Properties("AWS::Lambda::Function", "Accept")["Code"]
		for id, r := range full.Bucket["Resources"].(Object) {
			if !strings.HasPrefix(id, "Webhook") {
				continue
			}
			text, err := json.Marshal(r)
			if err != nil {
				t.t.Fatal(err)
			}
			var resource Object
			text = []byte(strings.NewReplacer("full-uploads", conf.Bucket, "full-", conf.Deploy.Name+"-", "eu-west-1", conf.Region,
				"parameter/oncegate/webhook", "parameter"+w.Secret).Replace(string(text)))
			if err := json.Unmarshal(text, &resource); err != nil {
				t.t.Fatal(err)
			}
			if resource["Type"] == "AWS::Lambda::Function" {
				resource["Properties"].(Object)["Code"] = code // the same program
			}
			t.Bucket["Resources"].(Object)[id] = resource
		}
	}
	if conf.WriteOnce {
		headers := t.RequestPolicy()["HeadersConfig"].(Object)
		headers["Headers"] = append(headers["Headers"].([]any), "if-none-match")
	}
	if conf.SHA256 {
		headers := t.RequestPolicy()["HeadersConfig"].(Object)
		headers["Headers"] = append(headers["Headers"].([]any), "x-amz-checksum-sha256")
	}
	if len(conf.AllowedOrigins) > 0 {
		var origins []any
		for _, o := range conf.AllowedOrigins {
			origins = append(origins, o)
		}
		const kind = "AWS::CloudFront::ResponseHeadersPolicy"
		cors := full.Edge.Properties(kind, "")["ResponseHeadersPolicyConfig"].(Object)["CorsConfig"].(Object)
		cors["AccessControlAllowOrigins"] = Object{"Items": origins}
		if methods := cors["AccessControlAllowMethods"].(Object); !conf.OwnerAPI {
			methods["Items"] = slices.DeleteFunc(methods["Items"].([]any), func(m any) bool { return m == "DELETE" })
		}
		t.Edge.Properties(kind, "")["ResponseHeadersPolicyConfig"].(Object)["CorsConfig"] = cors
		rules := full.Bucket.Properties("AWS::S3::Bucket", "")["CorsConfiguration"].(Object)
		rules["CorsRules"].([]any)[0].(Object)["AllowedOrigins"] = origins
		t.Bucket.Properties("AWS::S3::Bucket", "")["CorsConfiguration"] = rules
	}
	for _, function := range []string{"Mint", "Gate"} {
		p := t.Edge.Properties("AWS::Lambda::Function", function)
		p["MemorySize"], p["Timeout"], p["Runtime"] = conf.Deploy.Memory, conf.Deploy.Timeout, conf.Deploy.NodeRuntime
		if t.Regional != nil {
			p := t.Regional.Properties("AWS::Lambda::Function", "Regional"+function)
			p["MemorySize"], p["Timeout"] = conf.Deploy.RegionalMemory, conf.Deploy.Timeout
		}
	}
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
