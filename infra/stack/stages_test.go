package stack_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"oncegate/infra/stack"
)

// names say which property of a resource is its name in the account. A type without one
// gets its name from CloudFormation, or has none.
var names = map[string]string{
	"AWS::CloudFront::Distribution":           "DistributionConfig.Aliases",
	"AWS::CloudFront::MonitoringSubscription": "",
	"AWS::CloudFront::ResponseHeadersPolicy":  "ResponseHeadersPolicyConfig.Name",
	"AWS::CloudWatch::Alarm":                  "AlarmName",
	"AWS::CloudWatch::Dashboard":              "DashboardName",
	"AWS::DynamoDB::Table":                    "TableName",
	"AWS::Events::Rule":                       "Name",
	"AWS::IAM::Role":                          "RoleName",
	"AWS::Lambda::EventSourceMapping":         "",
	"AWS::Lambda::Function":                   "FunctionName",
	"AWS::Lambda::Version":                    "",
	"AWS::Logs::LogGroup":                     "LogGroupName",
	"AWS::Logs::MetricFilter":                 "MetricTransformations", // two deployments must not count into one metric
	"AWS::S3::Bucket":                         "BucketName",
	"AWS::S3::BucketPolicy":                   "",
	"AWS::SNS::Subscription":                  "",
	"AWS::SNS::Topic":                         "TopicName",
	"AWS::SNS::TopicPolicy":                   "",
	"AWS::SQS::Queue":                         "QueueName",
	"AWS::SQS::QueuePolicy":                   "",
	"AWS::WAFv2::WebACL":                      "Name",
}

// taken returns every name that the stacks take in an account, with what it is the name of.
func taken(t *testing.T, out string) map[string]string {
	t.Helper()
	all := map[string]string{}
	add := func(name, what string) {
		if other, twice := all[name]; twice && !strings.HasPrefix(what, "AWS::Logs::MetricFilter") {
			t.Errorf("%s and %s of one deployment have the name %s", other, what, name)
		}
		all[name] = what
	}
	files, err := filepath.Glob(filepath.Join(out, "*.template.json"))
	if err != nil || len(files) < 2 {
		t.Fatalf("templates %v, %v", files, err)
	}
	for _, file := range files {
		var parsed struct {
			Resources map[string]struct {
				Type       string
				Properties map[string]any
			}
			Outputs map[string]struct{ Export struct{ Name any } }
		}
		data, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(data, &parsed)
		}
		if err != nil {
			t.Fatal(err)
		}
		for id, o := range parsed.Outputs {
			if o.Export.Name != nil {
				t.Errorf("output %s is exported: an export is one name for the whole account and Region", id)
			}
		}
		for _, r := range parsed.Resources {
			property, known := names[r.Type]
			if !known {
				t.Errorf("which property of %s is its name?", r.Type)
			}
			var value any = r.Properties
			for _, part := range strings.Split(property, ".") {
				object, _ := value.(map[string]any)
				value = object[part]
			}
			if value == nil {
				continue
			}
			text, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			add(r.Type+" "+string(text), r.Type+" in "+filepath.Base(file))
		}
	}
	var manifest struct {
		Artifacts map[string]struct {
			Properties struct{ StackName string }
		}
	}
	data, err := os.ReadFile(filepath.Join(out, "manifest.json"))
	if err == nil {
		err = json.Unmarshal(data, &manifest)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range manifest.Artifacts {
		if name := a.Properties.StackName; name != "" {
			add("stack "+name, "a stack")
		}
	}
	return all
}

// Several deployments share an account and a Region: each setting on, nothing but name,
// bucket and domain another.
func TestStagesSideBySide(t *testing.T) {
	deployed := func(name string) map[string]string {
		dir := t.TempDir()
		settings := filepath.Join(dir, "config.json")
		text, err := os.ReadFile("testdata/full.json")
		must(err)
		must(os.WriteFile(settings, []byte(strings.NewReplacer(
			`"page": false`, `"page": true`, `"firstVersion": "listed"`, `"index": "dynamodb"`, `"full-uploads"`, fmt.Sprintf("%q", name+"-uploads"), `"name": "full"`, fmt.Sprintf(`"name": %q, "runtime": "regional"`, name),
			"eu-west-1", "us-east-1", "upload.example.com", name+".example.com").Replace(string(text))), 0o644))
		out := filepath.Join(dir, "out")
		must(stack.Synth(stack.Options{
			Config: settings, Out: out, Stub: stub(filepath.Join(dir, "stub"), settings),
			Regional: standIn(filepath.Join(dir, "regional"), settings, "bootstrap"), Accept: standIn(filepath.Join(dir, "accept"), settings, "bootstrap"),
		}))
		return taken(t, out)
	}
	// One name is the beginning of the other, so that nothing is joined ambiguously.
	test, production := deployed("upload"), deployed("upload-mint")
	if len(test) < 30 || len(test) != len(production) {
		t.Errorf("%d and %d names", len(test), len(production))
	}
	for name, what := range production {
		if other, both := test[name]; both {
			t.Errorf("%s and %s of two deployments have the name %s", other, what, name)
		}
	}
}

// What CloudFormation says to a deploy of a stack that is there: the rules of the new
// template, with the parameters of the first deploy, as the CDK's command line leaves them.
func TestBucketAndRegionStay(t *testing.T) {
	first := guarding(t, plain, "Edge")
	for _, tt := range []struct {
		name string
		next variant
		want []string
	}{
		{"the same settings", plain, nil},
		{"other settings", accepting, []string{"bucket cannot be changed"}}, // its bucket has another name
		{"another bucket in another Region", full, []string{"bucket cannot be changed", "region cannot be changed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var refused []string
			for _, rule := range guarding(t, tt.next, "Edge").Rules {
				for _, a := range rule.Assertions {
					if sides := a.Assert["Fn::Equals"]; len(sides) == 2 {
						parameter := sides[0].(map[string]any)["Ref"].(string)
						if first.Parameters[parameter].Default != sides[1] {
							refused = append(refused, a.AssertDescription)
						}
					}
				}
			}
			slices.Sort(refused)
			if len(refused) != len(tt.want) {
				t.Fatalf("refused by %q, want %q", refused, tt.want)
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(refused[i], want) {
					t.Errorf("refused by %q, want %q", refused[i], want)
				}
			}
		})
	}
}

// guards are the parts of a template that CloudFormation looks at before all others.
type guards struct {
	Parameters map[string]struct{ Default any }
	Rules      map[string]struct {
		Assertions []struct {
			Assert            map[string][]any
			AssertDescription string
		}
	}
}

func guarding(t *testing.T, v variant, stack string) (g guards) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(v.out, stack+".template.json"))
	if err == nil {
		err = json.Unmarshal(data, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}
