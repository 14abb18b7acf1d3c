package before

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"oncegate/internal/config"
)

// released returns what a version deployed, by the name of the settings file.
func released(t *testing.T, version string) map[string]deployment {
	t.Helper()
	var all map[string]deployment
	if err := readJSON("testdata/templates/"+version+".json", &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func today(t *testing.T, name string) deployment {
	t.Helper()
	d, err := readDeployment(filepath.Join(goldens, name))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestUpgrade: a deploy over 0.1.0 keeps buckets, tables and the distribution, and what was
// kept when it left a stack is still kept. Whatever else it removes or replaces is in the
// table of docs/upgrading.md, so that somebody has looked at it.
func TestUpgrade(t *testing.T) {
	deployments := released(t, "0.1.0")
	if len(deployments) < 4 {
		t.Fatalf("%d deployments", len(deployments))
	}
	with := map[change][]string{}
	for _, name := range slices.Sorted(maps.Keys(deployments)) {
		before := deployments[name]
		sameSettings(t, name, before.Settings)
		changes, forbidden := update(before, today(t, name))
		for _, problem := range forbidden {
			t.Errorf("%s: %s", name, problem)
		}
		for _, c := range changes {
			with[c] = append(with[c], name)
		}
	}
	got := []string{}
	for c, names := range with {
		settings := strings.Join(names, ", ")
		if len(names) == len(deployments) {
			settings = "any"
		}
		got = append(got, strings.Join([]string{c.Stack, "`" + c.ID + "`", "`" + c.Type + "`", settings, c.What}, " | "))
	}
	slices.Sort(got)
	if want := reviewed(t); !slices.Equal(got, want) {
		t.Errorf("removed or replaced are\n%s\nthe table of docs/upgrading.md has\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// reviewed returns the rows of the document, without their last column.
func reviewed(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(root + "/docs/upgrading.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## What is removed or replaced\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var rows []string
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) == 6 && strings.Contains(cells[2], "::") {
			rows = append(rows, strings.TrimSpace(strings.Join(cells[:5], " | ")))
		}
	}
	slices.Sort(rows)
	return rows
}

// sameSettings: a settings file of before still holds, and the templates of today are those
// of the same settings, but for what was no setting then.
func sameSettings(t *testing.T, name string, before json.RawMessage) {
	t.Helper()
	if _, err := config.Parse(before); err != nil {
		t.Errorf("%s: the settings file of before: %v", name, err)
	}
	var old, now map[string]any
	if err := json.Unmarshal(before, &old); err != nil {
		t.Fatal(err)
	}
	if err := readJSON(filepath.Join(settingsFiles, name+".json"), &now); err != nil {
		t.Fatal(err)
	}
	for field, value := range old {
		if !reflect.DeepEqual(now[field], value) {
			t.Errorf("%s: %s was %v and is %v: templates of other settings cannot be compared", name, field, value, now[field])
		}
	}
}

// TestUpgradeNotices breaks an update in every way that TestUpgrade is there for.
func TestUpgradeNotices(t *testing.T) {
	const bucket, distribution = "Bucket83908E77", "Distribution830FAC52"
	for _, tt := range []struct {
		name     string
		settings string
		spoil    func(map[string]*stack)
		want     string
	}{
		{"another bucket name", "plain", func(s map[string]*stack) {
			s["Bucket"].Resources[bucket].Properties["BucketName"] = "other"
		}, "AWS::S3::Bucket Bucket83908E77 is replaced"},
		{"another logical id", "plain", func(s map[string]*stack) {
			s["Bucket"].Resources["UploadsBucket00000000"] = s["Bucket"].Resources[bucket]
			delete(s["Bucket"].Resources, bucket)
		}, "AWS::S3::Bucket Bucket83908E77 is removed, kept"},
		{"in another stack", "plain", func(s map[string]*stack) {
			s["Edge"].Resources[bucket] = s["Bucket"].Resources[bucket]
			delete(s["Bucket"].Resources, bucket)
		}, "AWS::S3::Bucket Bucket83908E77 is removed, kept"},
		{"another type", "plain", func(s map[string]*stack) {
			s["Edge"].Resources[distribution].Type = "AWS::CloudFront::StreamingDistribution"
		}, "AWS::CloudFront::Distribution Distribution830FAC52 is replaced"},
		{"no distribution", "full", func(s map[string]*stack) {
			delete(s["Edge"].Resources, distribution)
		}, "AWS::CloudFront::Distribution Distribution830FAC52 is removed"},
		{"the log bucket's object lock", "full", func(s map[string]*stack) {
			s["Edge"].Resources["AccessLogs8B620ECA"].Properties = map[string]any{"ObjectLockEnabled": true}
		}, "AWS::S3::Bucket AccessLogs8B620ECA is replaced"},
		{"another stack name", "regional", func(s map[string]*stack) { s["Edge"].Name = "oncegate-front" }, "Distribution830FAC52 is removed"},
		{"another Region", "regional", func(s map[string]*stack) { s["Bucket"].Region = "eu-west-1" }, "Bucket83908E77 is removed, kept"},
		{"no stack", "accepting", func(s map[string]*stack) { delete(s, "Bucket") }, "Bucket83908E77 is removed, kept"},
		{"not kept", "accepting", func(s map[string]*stack) {
			s["Bucket"].Resources[bucket].DeletionPolicy = "Delete"
		}, `Bucket83908E77 is no longer kept: its DeletionPolicy is "Delete"`},
		{"not kept when replaced", "accepting", func(s map[string]*stack) {
			s["Bucket"].Resources["BucketPolicyE9A3008A"].UpdateReplacePolicy = ""
		}, `BucketPolicyE9A3008A is no longer kept: its UpdateReplacePolicy is ""`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := today(t, tt.settings)
			tt.spoil(now.Stacks)
			if _, forbidden := update(released(t, "0.1.0")[tt.settings], now); !strings.Contains(strings.Join(forbidden, "\n"), tt.want) {
				t.Errorf("forbidden are %q, want %q", forbidden, tt.want)
			}
		})
	}
	// 0.1.0 had no table, so today's is the one of before.
	for _, property := range []string{"TableName", "KeySchema"} {
		now := today(t, "table")
		for _, r := range now.Stacks["Bucket"].Resources {
			if r.Type == "AWS::DynamoDB::Table" {
				r.Properties[property] = "other"
			}
		}
		if _, forbidden := update(today(t, "table"), now); len(forbidden) != 1 || !strings.Contains(forbidden[0], "AWS::DynamoDB::Table") {
			t.Errorf("%s: forbidden are %q", property, forbidden)
		}
	}
	// What is not precious must be in the table, and so must what goes with it.
	now := today(t, "full")
	now.Stacks["Edge"].Resources["GateLogs29416032"].Properties["LogGroupName"] = "other"
	changes, forbidden := update(today(t, "full"), now)
	for _, want := range []change{
		{"edge", "GateLogs", "AWS::Logs::LogGroup", "replaced"}, {"edge", "GateLogsRefused", "AWS::Logs::MetricFilter", "replaced"},
	} {
		if !slices.Contains(changes, want) {
			t.Errorf("%v is not among %v", want, changes)
		}
	}
	if len(changes) != 2 || len(forbidden) != 0 {
		t.Errorf("changes are %v, forbidden %q", changes, forbidden)
	}
}

// TestReplacingProperties compares replacing with CloudFormation's resource specification, as the
// CDK's command line has it for cdk diff: https://github.com/cdklabs/awscdk-service-spec.
func TestReplacingProperties(t *testing.T) {
	f, err := os.Open(root + "/node_modules/aws-cdk/db.json.gz")
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") == "" {
		t.Skip("run npm ci first")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	plain, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var db struct {
		Schema struct {
			Resource struct {
				Entities []struct {
					CloudFormationType string
					Properties         map[string]struct{ CausesReplacement string }
				}
			}
		}
	}
	if err := json.NewDecoder(plain).Decode(&db); err != nil {
		t.Fatal(err)
	}
	specified := map[string][]string{}
	for _, e := range db.Schema.Resource.Entities {
		for name, p := range e.Properties {
			if p.CausesReplacement == "yes" || p.CausesReplacement == "maybe" {
				specified[e.CloudFormationType] = append(specified[e.CloudFormationType], name)
			}
		}
	}
	for kind, want := range replacing {
		got := specified[kind]
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s is replaced by %q, want %q", kind, want, got)
		}
	}
}
