package examples

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"oncegate/infra/infratest"
	"oncegate/internal/cfn"
	"oncegate/internal/cfn/check"
	"oncegate/internal/config"
)

func TestMain(m *testing.M) { os.Exit(infratest.Run(m)) }

// synth returns the directory of the templates of an example.
func synth(t *testing.T, example func(awscdk.App, string) error) string {
	t.Helper()
	app := infratest.NewApp(t)
	if err := example(app, infratest.Build(t)); err != nil {
		t.Fatal(err)
	}
	return *app.Synth(nil).Directory()
}

// holds reads some stacks of an app as one gate, and holds them to its promises.
func holds(t *testing.T, dir string, stacks ...string) *cfn.Deployment {
	t.Helper()
	d, err := cfn.Read(dir, stacks...)
	if err != nil {
		t.Fatal(err)
	}
	var directory string
	for _, f := range d.Functions {
		directory = f.Directory
	}
	conf, err := config.Load(filepath.Join(directory, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range check.Deployment(d, conf) {
		t.Errorf("%v: %v", stacks, p)
	}
	return d
}

func TestBesideAWebsite(t *testing.T) {
	dir := synth(t, BesideAWebsite)
	d := holds(t, dir, "site-uploads-bucket", "site-uploads-edge")
	if d.Shared || d.WebACL == nil {
		t.Error("the gate has no distribution of its own, or no web ACL")
	}
	same(t, theirs(t, dir, "Site.template.json"), site(t))
}

func TestIntoABucket(t *testing.T) {
	dir := synth(t, IntoABucket)
	d := holds(t, dir, "Data", "data-uploads-edge")
	if d.Bucket.ID == "" || d.Pins["data-uploads-bucket"] != nil {
		t.Error("the bucket is not theirs")
	}
	rules := d.Bucket.LifecycleConfiguration.Rules
	if len(rules) != 6 || rules[0].Id != "reports" || rules[0].ExpirationInDays != 365 {
		t.Errorf("their rule is not as it was: %+v", rules)
	}
}

func TestTwoGates(t *testing.T) {
	dir := synth(t, TwoGates)
	people := holds(t, dir, "people-bucket", "people-edge")
	jobs := holds(t, dir, "jobs-bucket", "jobs-edge")
	if people.Table != nil || jobs.Table == nil || people.Bucket.BucketName == jobs.Bucket.BucketName {
		t.Errorf("tables %v and %v, buckets %s and %s", people.Table, jobs.Table, people.Bucket.BucketName, jobs.Bucket.BucketName)
	}
}

func TestIntoADistribution(t *testing.T) {
	dir := synth(t, IntoADistribution)
	d := holds(t, dir, "site-uploads-bucket", "Site")
	if !d.Shared || len(d.Behaviors()) != 9 {
		t.Errorf("shared %v, with %d behaviors of the gate, want 9", d.Shared, len(d.Behaviors()))
	}
	want, got := site(t), theirs(t, dir, "Site.template.json")
	// What the site had is there, byte for byte, and comes first.
	for id, resource := range want {
		if id != distributionID(t, want) {
			if !reflect.DeepEqual(got[id], resource) {
				t.Errorf("%s was changed:\n%s\nwas\n%s", id, line(got[id]), line(resource))
			}
			continue
		}
		before, after := properties(resource), properties(got[id])
		for name, value := range before {
			switch name {
			case "CacheBehaviors", "Origins":
				all := after[name].([]any)
				same(t, all[:len(value.([]any))], value)
			default:
				same(t, after[name], value)
			}
			delete(after, name)
		}
		if len(after) != 0 {
			t.Errorf("the distribution also has %s", line(after))
		}
	}
}

// site are the resources of the website without a gate.
func site(t *testing.T) map[string]any {
	return theirs(t, synth(t, func(app awscdk.App, _ string) error {
		newSite(awscdk.NewStack(app, jsii.String("Site"), in("us-east-1")))
		return nil
	}), "Site.template.json")
}

// theirs are the resources of a template.
func theirs(t *testing.T, dir, file string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, file))
	infratest.Must(err)
	var template struct{ Resources map[string]any }
	infratest.Must(json.Unmarshal(data, &template))
	if len(template.Resources) < 3 {
		t.Fatalf("%s has %d resources", file, len(template.Resources))
	}
	return template.Resources
}

func distributionID(t *testing.T, resources map[string]any) string {
	for id, r := range resources {
		if r.(map[string]any)["Type"] == "AWS::CloudFront::Distribution" {
			return id
		}
	}
	t.Fatal("there is no distribution")
	return ""
}

func properties(distribution any) map[string]any {
	return distribution.(map[string]any)["Properties"].(map[string]any)["DistributionConfig"].(map[string]any)
}

func line(value any) string {
	data, err := json.Marshal(value)
	infratest.Must(err)
	return string(data)
}

// same compares two values as the JSON that they are written in.
func same(t *testing.T, got, want any) {
	t.Helper()
	if g, w := line(got), line(want); g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
}
