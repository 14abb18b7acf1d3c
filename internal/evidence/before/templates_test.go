package before

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the top of the repository, and goldens are today's templates. A test of infra holds
// them to what the CDK app synthesizes.
const (
	root          = "../../.."
	goldens       = root + "/internal/cfn/testdata"
	settingsFiles = root + "/infra/stack/testdata"
)

// deployment is what a version deploys with one settings file: of its templates, what decides
// which resources an update removes or replaces.
type deployment struct {
	Settings json.RawMessage `json:",omitempty"`
	Stacks   map[string]*stack
}

type stack struct {
	Name, Region string
	Resources    map[string]*resource
}

type resource struct {
	Type                string
	DeletionPolicy      string         `json:",omitempty"`
	UpdateReplacePolicy string         `json:",omitempty"`
	Properties          map[string]any `json:",omitempty"` // those of replacing
}

// replacing are the properties of each type whose change makes CloudFormation replace the
// resource ("Update requires: Replacement"). TestReplacingProperties holds them to the
// resource specification.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html
var replacing = map[string][]string{
	"AWS::CloudFront::Distribution":           nil,
	"AWS::CloudFront::MonitoringSubscription": {"DistributionId"},
	"AWS::CloudFront::OriginRequestPolicy":    nil,
	"AWS::CloudFront::ResponseHeadersPolicy":  nil,
	"AWS::CloudWatch::Alarm":                  {"AlarmName"},
	"AWS::CloudWatch::Dashboard":              {"DashboardName"},
	"AWS::DynamoDB::Table":                    {"ImportSourceSpecification", "KeySchema", "TableName"},
	"AWS::Events::Rule":                       {"EventBusName", "Name"},
	"AWS::IAM::Role":                          {"Path", "RoleName"},
	"AWS::Lambda::EventSourceMapping": {
		"AmazonManagedKafkaEventSourceConfig", "EventSourceArn", "SelfManagedEventSource", "SelfManagedKafkaEventSourceConfig",
		"StartingPosition", "StartingPositionTimestamp",
	},
	"AWS::Lambda::Function":   {"FunctionName", "PackageType", "TenancyConfig"},
	"AWS::Lambda::Version":    {"CodeSha256", "Description", "FunctionName", "ProvisionedConcurrencyConfig", "RuntimePolicy"},
	"AWS::Logs::LogGroup":     {"LogGroupName"},
	"AWS::Logs::MetricFilter": {"FilterName", "LogGroupName"},
	"AWS::S3::Bucket":         {"BucketName", "BucketNamePrefix", "BucketNamespace", "ObjectLockEnabled"},
	"AWS::S3::BucketPolicy":   {"Bucket"},
	"AWS::SNS::Subscription":  {"Endpoint", "Protocol", "TopicArn"},
	"AWS::SNS::Topic":         {"FifoTopic", "TopicName"},
	"AWS::SNS::TopicPolicy":   nil,
	"AWS::SQS::Queue":         {"FifoQueue", "QueueName"},
	"AWS::SQS::QueuePolicy":   nil,
	"AWS::WAFv2::WebACL":      {"Name", "Scope"},
}

// precious are types that hold what nobody can make again: uploads and index, or the address
// that clients know. An update must neither replace nor remove one.
var precious = []string{"AWS::CloudFront::Distribution", "AWS::DynamoDB::Table", "AWS::S3::Bucket"}

// readDeployment reads the templates in dir and reduces them.
func readDeployment(dir string) (deployment, error) {
	d := deployment{Stacks: map[string]*stack{}}
	var manifest struct {
		Artifacts map[string]struct {
			Type, Environment string
			Properties        struct{ StackName, TemplateFile string }
		}
	}
	if err := readJSON(filepath.Join(dir, "manifest.json"), &manifest); err != nil {
		return d, err
	}
	for id, a := range manifest.Artifacts {
		if a.Type != "aws:cloudformation:stack" {
			continue
		}
		s := &stack{Name: a.Properties.StackName, Region: a.Environment[strings.LastIndex(a.Environment, "/")+1:]}
		if err := readJSON(filepath.Join(dir, a.Properties.TemplateFile), s); err != nil {
			return d, err
		}
		for id, r := range s.Resources {
			properties, known := replacing[r.Type]
			if !known {
				return d, fmt.Errorf("%s: %s is a %s: say in replacing which properties replace it", dir, id, r.Type)
			}
			maps.DeleteFunc(r.Properties, func(name string, _ any) bool { return !slices.Contains(properties, name) })
		}
		d.Stacks[id] = s
	}
	if len(d.Stacks) < 2 {
		return d, fmt.Errorf("%s holds %d stacks", dir, len(d.Stacks))
	}
	return d, nil
}

func readJSON(path string, v any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// change is what an update does to a resource of before.
type change struct{ Stack, ID, Type, What string }

// update says which resources an update from before to now removes or replaces, and what of
// this must never be.
func update(before, now deployment) (changes []change, forbidden []string) {
	for name, s := range before.Stacks {
		next := now.Stacks[name]
		if next == nil || next.Name != s.Name || next.Region != s.Region {
			next = &stack{} // CloudFormation makes another stack, with resources of its own
		}
		gone := s.gone(next)
		for id, r := range s.Resources {
			what := gone[id]
			if what == "removed" && retained(r.DeletionPolicy) {
				what = "removed, kept"
			}
			if what != "" {
				changes = append(changes, change{strings.ToLower(name), plainID(id), r.Type, what})
				if slices.Contains(precious, r.Type) {
					forbidden = append(forbidden, fmt.Sprintf("stack %s: %s %s is %s", name, r.Type, id, what))
				}
			}
			if n := next.Resources[id]; n != nil {
				if retained(r.DeletionPolicy) && !retained(n.DeletionPolicy) {
					forbidden = append(forbidden, fmt.Sprintf("stack %s: %s is no longer kept: its DeletionPolicy is %q", name, id, n.DeletionPolicy))
				}
				if retained(r.UpdateReplacePolicy) && !retained(n.UpdateReplacePolicy) {
					forbidden = append(forbidden, fmt.Sprintf("stack %s: %s is no longer kept: its UpdateReplacePolicy is %q", name, id, n.UpdateReplacePolicy))
				}
			}
		}
	}
	slices.Sort(forbidden)
	return changes, forbidden
}

// retained: RetainExceptOnCreate is Retain for whatever was made by an earlier operation.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html
func retained(policy string) bool { return policy == "Retain" || policy == "RetainExceptOnCreate" }

// gone says of the resources that a stack loses by becoming next whether they are removed or
// replaced.
func (s *stack) gone(next *stack) map[string]string {
	gone := map[string]string{}
	for changed := true; changed; {
		changed = false
		for id, r := range s.Resources {
			if gone[id] != "" {
				continue
			}
			n := next.Resources[id]
			switch {
			case n == nil:
				gone[id] = "removed"
			case n.Type != r.Type, !reflect.DeepEqual(r.Properties, n.Properties) && len(r.Properties)+len(n.Properties) > 0, refersTo(n.Properties, gone):
				gone[id] = "replaced"
			}
			changed = changed || gone[id] != ""
		}
	}
	return gone
}

// refersTo reports whether a value of a template takes the name of something that is gone:
// the name is another one then.
func refersTo(value any, gone map[string]string) bool {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			id, _ := inner.(string)
			if list, ok := inner.([]any); ok && key == "Fn::GetAtt" && len(list) > 0 {
				id, _ = list[0].(string)
			}
			if (key == "Ref" || key == "Fn::GetAtt") && gone[id] != "" || refersTo(inner, gone) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, func(inner any) bool { return refersTo(inner, gone) })
	}
	return false
}

// hashes are what the CDK appends to a logical id: the hash of its path, and for a function's
// version that of its content.
var hashes = regexp.MustCompile(`[0-9A-F]{8}([0-9a-f]{32})?$`)

func plainID(id string) string { return hashes.ReplaceAllString(id, "") }

// reduce is the small program that makes the test data, from a work tree of a version whose
// folder is named for it:
//
//	git worktree add ../0.1.0 be67fb4
//	go test ./internal/evidence/before -run TestReduce -reduce "$PWD/../0.1.0"
var reduce = flag.String("reduce", "", "write testdata/templates of the version in this work tree")

func TestReduce(t *testing.T) {
	if *reduce == "" {
		t.Skip("nothing to reduce")
	}
	all := map[string]deployment{}
	files, err := filepath.Glob(filepath.Join(*reduce, "infra/stack/testdata/*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: settings %q, %v", *reduce, files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		d, err := readDeployment(filepath.Join(*reduce, "internal/cfn/testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if d.Settings, err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
		all[name] = d
	}
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	// What a version has deployed does not change.
	f, err := os.OpenFile(filepath.Join("testdata/templates", filepath.Base(*reduce)+".json"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.Write(append(text, '\n'))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
