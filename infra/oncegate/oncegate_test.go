package oncegate_test

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"oncegate/infra/infratest"
	"oncegate/infra/oncegate"
	"oncegate/internal/cfn"
	"oncegate/internal/cfn/check"
	"oncegate/internal/config"
)

func TestMain(m *testing.M) { os.Exit(infratest.Run(m)) }

// TestGateKeepsItsPromises: what New makes of settings is what the app makes of them.
func TestGateKeepsItsPromises(t *testing.T) {
	files, err := filepath.Glob("../stack/testdata/*.json")
	if err != nil || len(files) < 5 {
		t.Fatalf("settings %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var s oncegate.Settings
			data, err := os.ReadFile(file)
			infratest.Must(err)
			infratest.Must(json.Unmarshal(data, &s))
			app := infratest.NewApp(t)
			gate, err := oncegate.New(app, "Uploads", &oncegate.Props{Settings: s, Build: infratest.Build(t)})
			if err != nil {
				t.Fatal(err)
			}
			d, err := cfn.Read(*app.Synth(nil).Directory())
			if err != nil {
				t.Fatal(err)
			}
			conf, err := config.Load(file)
			infratest.Must(err)
			for _, p := range check.Deployment(d, conf) {
				t.Error(p)
			}
			if again, err := config.Parse(gate.SettingsJSON()); err != nil || !reflect.DeepEqual(again, conf) {
				t.Errorf("the gate's settings are %+v, %v, want %+v", again, err, conf)
			}
			golden, err := cfn.Read("../../internal/cfn/testdata/" + strings.TrimSuffix(filepath.Base(file), ".json"))
			infratest.Must(err)
			for what, pair := range map[string][2]any{
				"outputs": {d.Outputs, golden.Outputs}, "roles": {slices.Sorted(maps.Keys(d.Roles)), slices.Sorted(maps.Keys(golden.Roles))},
				"policy": {d.Bucket.Policy, golden.Bucket.Policy}, "pins": {d.Pins, golden.Pins},
			} {
				if !reflect.DeepEqual(pair[0], pair[1]) {
					t.Errorf("%s are\n%v, the app's are\n%v", what, pair[0], pair[1])
				}
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	built := infratest.Build(t)
	app := infratest.NewApp(t)
	if _, err := oncegate.New(app, "First", &oncegate.Props{Settings: oncegate.Settings{Bucket: jsii.String("first-uploads")}, Build: built}); err != nil {
		t.Fatal(err)
	}
	ok := oncegate.Settings{Bucket: jsii.String("abc"), Name: jsii.String("second")}
	for _, tt := range []struct {
		name  string
		props oncegate.Props
		want  string
	}{
		{"no settings", oncegate.Props{Build: built}, "there are no settings: set Settings.Bucket, or SettingsFile"},
		{"settings twice", oncegate.Props{Settings: ok, SettingsFile: "../stack/testdata/plain.json", Build: built}, "are both set: allowed is one of them"},
		{"a file that is not there", oncegate.Props{SettingsFile: "absent.json", Build: built}, "absent.json"},
		{"no bucket", oncegate.Props{Settings: oncegate.Settings{Name: jsii.String("second")}, Build: built}, "bucket is missing"},
		{"a number out of range", oncegate.Props{Settings: oncegate.Settings{Bucket: jsii.String("abc"), MaxCount: jsii.Number(11)}, Build: built},
			"maxCount is 11: allowed is a whole number from 1 to 10"},
		{"half a number", oncegate.Props{Settings: oncegate.Settings{Bucket: jsii.String("abc"), Expires: jsii.Number(1.5)}, Build: built}, "expires is 1.5"},
		{"another type", oncegate.Props{Settings: oncegate.Settings{Bucket: jsii.String("abc"), Auth: 3}, Build: built}, "auth is 3"},
		{"no JSON at all", oncegate.Props{Settings: oncegate.Settings{Bucket: jsii.String("abc"), Auth: func() {}}, Build: built}, "settings: "},
		{"the placeholder", oncegate.Props{Settings: oncegate.Settings{Bucket: jsii.String(config.PlaceholderBucket)}, Build: built}, "still the placeholder"},
		{"a partition without Lambda@Edge", oncegate.Props{Settings: oncegate.Settings{Bucket: jsii.String("abc"), Region: jsii.String("us-gov-west-1")}, Build: built},
			`region is "us-gov-west-1"`},
		{"nothing built", oncegate.Props{Settings: ok, Build: t.TempDir()}, "run make build regional accept in the clone"},
		{"the name of another gate", oncegate.Props{Settings: oncegate.Settings{Bucket: jsii.String("abc")}, Build: built}, `name is "oncegate", as with another gate`},
		{"the bucket of another gate", oncegate.Props{Settings: oncegate.Settings{Bucket: jsii.String("first-uploads"), Name: jsii.String("second")}, Build: built},
			`bucket is "first-uploads", as with another gate`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			gate, err := oncegate.New(app, "Second", &tt.props)
			if err == nil || gate != nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "oncegate Second: ") {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	if _, err := oncegate.New(app, "Second", &oncegate.Props{SettingsFile: "absent.json"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, want one that wraps its cause", err)
	}
	// Nothing of what was refused is left in the app: the name is free.
	if _, err := oncegate.New(app, "Second", &oncegate.Props{Settings: ok, Build: built}); err != nil {
		t.Error(err)
	}
}

// TestHandles: each part is there exactly when the settings ask for it.
func TestHandles(t *testing.T) {
	app, built := infratest.NewApp(t), infratest.Build(t)
	plain, err := oncegate.New(app, "Plain", &oncegate.Props{Settings: oncegate.Settings{Bucket: jsii.String("plain-uploads"), Page: false}, Build: built})
	infratest.Must(err)
	full, err := oncegate.New(app, "Full", &oncegate.Props{Settings: oncegate.Settings{
		Bucket: jsii.String("full-uploads"), Name: jsii.String("full"), Index: jsii.String("dynamodb"), Runtime: jsii.String("regional"),
		Acceptance: map[string]any{"webhook": map[string]string{"url": "https://hook.example.com", "secret": "/full/webhook"}},
	}, Build: built})
	infratest.Must(err)
	for _, name := range []string{oncegate.Mint, oncegate.Decide, oncegate.Page, oncegate.RegionalMint, oncegate.RegionalGate, oncegate.Accept, oncegate.Webhook} {
		if f := full.Function(name); f == nil {
			t.Errorf("there is no function %s", name)
		}
		want := name == oncegate.Mint || name == oncegate.Decide
		if f := plain.Function(name); (f != nil) != want {
			t.Errorf("function %s: %v, want one: %v", name, f, want)
		}
	}
	for _, name := range []string{oncegate.Accept, oncegate.Webhook} {
		if full.Queue(name) == nil || full.DeadLetters(name) == nil {
			t.Errorf("queue %s is not there", name)
		}
		if plain.Queue(name) != nil || plain.DeadLetters(name) != nil {
			t.Errorf("queue %s is there", name)
		}
	}
	if full.Function("other") != nil || full.Queue(oncegate.Mint) != nil {
		t.Error("there is a part of a name that is none")
	}
	if plain.Table() != nil || full.Table() == nil {
		t.Error("there is a table exactly where the index is in one")
	}
	if len(plain.Topics()) != 1 || len(full.Topics()) != 3 || len(plain.Stacks()) != 2 || len(full.Stacks()) != 3 {
		t.Errorf("topics %d and %d, stacks %d and %d", len(plain.Topics()), len(full.Topics()), len(plain.Stacks()), len(full.Stacks()))
	}
	if name := *plain.Bucket().BucketName(); !strings.Contains(name, "Token") && name != "plain-uploads" {
		t.Errorf("the bucket is %s", name)
	}
	if plain.Distribution() == nil || !strings.HasSuffix(*plain.URL(), "/url") {
		t.Errorf("distribution %v, URL %s", plain.Distribution(), *plain.URL())
	}
	if m := full.MetricRefused("used"); *m.Namespace() != "oncegate/full" || *m.Region() != "us-east-1" {
		t.Errorf("refusals are counted in %s, %s", *m.Namespace(), *m.Region())
	}
	if m := plain.MetricErrorRate("5xx"); *m.MetricName() != "5xxErrorRate" || *plain.MetricRequests().MetricName() != "Requests" {
		t.Errorf("the rate of errors is %s", *m.MetricName())
	}
}

// TestGrants: a role gets what docs/cli.md says that the verbs need, and no more.
func TestGrants(t *testing.T) {
	for _, tt := range []struct {
		name, index string
		grant       func(*oncegate.Gate, awsiam.IGrantable)
		want        []string
	}{
		{"mint", "s3", (*oncegate.Gate).GrantMint, []string{
			"Allow s3:PutObject on arn:aws:s3:::my-uploads/signatures/uploads/*", "Allow s3:PutObject on arn:aws:s3:::my-uploads/signatures/valid/*"}},
		{"operate", "s3", (*oncegate.Gate).GrantOperate, []string{
			"Allow s3:DeleteObjectVersion on arn:aws:s3:::my-uploads/signatures/expired/*", "Allow s3:GetObject on arn:aws:s3:::my-uploads/signatures/*",
			"Allow s3:GetObject on arn:aws:s3:::my-uploads/uploads/*", "Allow s3:ListBucket on arn:aws:s3:::my-uploads",
			"Allow s3:ListBucketVersions on arn:aws:s3:::my-uploads", "Allow s3:PutObject on arn:aws:s3:::my-uploads/signatures/expired/*"}},
		{"read", "s3", (*oncegate.Gate).GrantReadUploads, []string{
			"Allow s3:GetObject on arn:aws:s3:::my-uploads/uploads/*", "Allow s3:GetObjectVersion on arn:aws:s3:::my-uploads/uploads/*",
			"Allow s3:ListBucket on arn:aws:s3:::my-uploads if StringLike s3:prefix uploads/*"}},
		{"take", "s3", (*oncegate.Gate).GrantTakeAccepted, []string{
			"Allow s3:DeleteObject on arn:aws:s3:::my-uploads/accepted/*", "Allow s3:GetObject on arn:aws:s3:::my-uploads/accepted/*",
			"Allow s3:GetObjectVersion on arn:aws:s3:::my-uploads/accepted/*", "Allow s3:ListBucket on arn:aws:s3:::my-uploads if StringLike s3:prefix accepted/*"}},
		{"mint in a table", "dynamodb", (*oncegate.Gate).GrantMint, []string{
			"Allow dynamodb:UpdateItem on arn:aws:dynamodb:us-east-1:${AWS::AccountId}:table/my-uploads-index if ForAllValues:StringEquals dynamodb:Attributes " +
				"p|k|valid|expires|least|most|types|sole|sha|tagged|added|forget if ForAllValues:StringLike dynamodb:LeadingKeys url#*",
			"Allow dynamodb:UpdateItem on arn:aws:dynamodb:us-east-1:${AWS::AccountId}:table/my-uploads-index if ForAllValues:StringLike dynamodb:LeadingKeys upload#*"}},
		{"operate in a table", "dynamodb", (*oncegate.Gate).GrantOperate, []string{
			"Allow dynamodb:GetItem on arn:aws:dynamodb:us-east-1:${AWS::AccountId}:table/my-uploads-index if ForAllValues:StringLike dynamodb:LeadingKeys upload#*",
			"Allow dynamodb:GetItem on arn:aws:dynamodb:us-east-1:${AWS::AccountId}:table/my-uploads-index if ForAllValues:StringLike dynamodb:LeadingKeys url#*",
			"Allow dynamodb:Query on arn:aws:dynamodb:us-east-1:${AWS::AccountId}:table/my-uploads-index if ForAllValues:StringLike dynamodb:LeadingKeys url#*",
			"Allow dynamodb:UpdateItem on arn:aws:dynamodb:us-east-1:${AWS::AccountId}:table/my-uploads-index if ForAllValues:StringLike dynamodb:LeadingKeys url#*",
			"Allow s3:GetObject on arn:aws:s3:::my-uploads/uploads/*", "Allow s3:ListBucket on arn:aws:s3:::my-uploads"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			app := infratest.NewApp(t)
			gate, err := oncegate.New(app, "Uploads", &oncegate.Props{
				Settings: oncegate.Settings{Bucket: jsii.String("my-uploads"), Acceptance: true, Index: jsii.String(tt.index)}, Build: infratest.Build(t),
			})
			infratest.Must(err)
			theirs := awscdk.NewStack(app, jsii.String("Theirs"), nil)
			role := awsiam.NewRole(theirs, jsii.String("Role"), &awsiam.RoleProps{
				AssumedBy: awsiam.NewServicePrincipal(jsii.String("ec2.amazonaws.com"), nil),
			})
			tt.grant(gate, role)
			got := granted(t, app, theirs)
			if !slices.Equal(got, tt.want) {
				t.Errorf("granted\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// granted returns what the one policy of a stack allows.
func granted(t *testing.T, app awscdk.App, in awscdk.Stack) []string {
	t.Helper()
	data, err := json.Marshal(app.Synth(nil).GetStackByName(in.StackName()).Template())
	infratest.Must(err)
	text := strings.NewReplacer(`{"Ref":"AWS::AccountId"}`, `"${AWS::AccountId}"`).Replace(string(data))
	var template struct {
		Resources map[string]struct {
			Type       string
			Properties struct{ PolicyDocument json.RawMessage }
		}
	}
	infratest.Must(json.Unmarshal([]byte(text), &template))
	for _, r := range template.Resources {
		if r.Type == "AWS::IAM::Policy" {
			var document map[string][]map[string]any
			infratest.Must(json.Unmarshal([]byte(strings.ReplaceAll(string(r.Properties.PolicyDocument), `"Version":"2012-10-17"`, `"Version":[]`)), &document))
			for _, s := range document["Statement"] { // {"Fn::Join": ["", [...]]}
				if join, ok := s["Resource"].(map[string]any); ok {
					parts := join["Fn::Join"].([]any)[1].([]any)
					joined := ""
					for _, p := range parts {
						joined += p.(string)
					}
					s["Resource"] = joined
				}
			}
			data, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": document["Statement"]})
			infratest.Must(err)
			var p cfn.PolicyDocument
			infratest.Must(json.Unmarshal(data, &p))
			lines := p.Lines()
			slices.Sort(lines)
			return lines
		}
	}
	t.Fatal("there is no policy")
	return nil
}

// A principal without a policy in the app cannot be given a right, and nobody should believe
// that it has it.
func TestGrantToNobody(t *testing.T) {
	app := infratest.NewApp(t)
	gate, err := oncegate.New(app, "Uploads", &oncegate.Props{Settings: oncegate.Settings{Bucket: jsii.String("my-uploads")}, Build: infratest.Build(t)})
	infratest.Must(err)
	gate.GrantOperate(awsiam.NewAccountPrincipal("111122223333"))
	if !said(app, "a right could not be granted") {
		t.Error("synth says nothing")
	}
}

// said reports whether an error or a warning is noted somewhere in the app.
func said(scope constructs.Construct, text string) bool {
	for _, c := range *scope.Node().FindAll(constructs.ConstructOrder_PREORDER) {
		for _, entry := range *c.Node().Metadata() {
			if data, ok := entry.Data.(string); ok && (*entry.Type == "aws:cdk:error" || *entry.Type == "aws:cdk:warning") && strings.Contains(data, text) {
				return true
			}
		}
	}
	return false
}
