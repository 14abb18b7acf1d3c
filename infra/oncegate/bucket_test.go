package oncegate_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"oncegate/infra/infratest"
	"oncegate/infra/oncegate"
	"oncegate/internal/cfn"
	"oncegate/internal/cfn/check"
	"oncegate/internal/config"
)

// newBucket makes a bucket of somebody else, and a gate for it.
func newBucket(t *testing.T, app awscdk.App, settings oncegate.Settings, change func(*awss3.BucketProps)) (*oncegate.Gate, awss3.Bucket, awscdk.Stack) {
	t.Helper()
	props := &awss3.BucketProps{BucketName: jsii.String("theirs"), Versioned: jsii.Bool(true)}
	if change != nil {
		change(props)
	}
	settings.Bucket = jsii.String("theirs")
	gate, err := oncegate.New(app, "Uploads", &oncegate.Props{Settings: settings, Build: infratest.Build(t)})
	if err != nil {
		t.Fatal(err)
	}
	data := awscdk.NewStack(app, jsii.String("Data"), &awscdk.StackProps{Env: &awscdk.Environment{Region: jsii.String("us-east-1")}})
	return gate, awss3.NewBucket(data, jsii.String("Data"), props), data
}

func TestBucketsThatCannotTakeAGate(t *testing.T) {
	on := jsii.Bool(true)
	for _, tt := range []struct {
		name     string
		settings oncegate.Settings
		change   func(*awss3.BucketProps)
		want     string
	}{
		{"without the setting", oncegate.Settings{}, nil, "the gate makes one: set ExistingBucket"},
		{"without a name", oncegate.Settings{ExistingBucket: on}, func(p *awss3.BucketProps) { p.BucketName = nil }, "it is named by the deploy, the settings say theirs"},
		{"with another name", oncegate.Settings{ExistingBucket: on}, func(p *awss3.BucketProps) { p.BucketName = jsii.String("other") }, "it has the name other"},
		{"in another Region", oncegate.Settings{ExistingBucket: on, Region: jsii.String("eu-west-1")}, nil, "its stack is not in eu-west-1"},
		{"without versions", oncegate.Settings{ExistingBucket: on}, func(p *awss3.BucketProps) { p.Versioned = jsii.Bool(false) }, "versioning is not enabled"},
		{"open to the public", oncegate.Settings{ExistingBucket: on},
			func(p *awss3.BucketProps) { p.BlockPublicAccess = awss3.BlockPublicAccess_BLOCK_ACLS_ONLY() }, "public access is not blocked"},
		{"with lists of rights", oncegate.Settings{ExistingBucket: on},
			func(p *awss3.BucketProps) { p.ObjectOwnership = awss3.ObjectOwnership_OBJECT_WRITER }, "object ownership is not enforced"},
		{"with a key that nobody knows", oncegate.Settings{ExistingBucket: on}, func(p *awss3.BucketProps) { p.Encryption = awss3.BucketEncryption_KMS }, "its KMS key is made by the deploy"},
		{"with a key and no kmsKey", oncegate.Settings{ExistingBucket: on},
			func(p *awss3.BucketProps) { p.Encryption = awss3.BucketEncryption_KMS_MANAGED }, "the settings have none: the roles may not use it"},
		{"with CORS rules in the way", oncegate.Settings{ExistingBucket: on, AllowedOrigins: []*string{jsii.String("https://app.example.com")}}, func(p *awss3.BucketProps) {
			p.Cors = &[]*awss3.CorsRule{{AllowedMethods: &[]awss3.HttpMethods{awss3.HttpMethods_PUT}, AllowedOrigins: jsii.Strings("*")}}
		}, "CORS rule 1 answers pages"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			app := infratest.NewApp(t)
			gate, bucket, _ := newBucket(t, app, tt.settings, tt.change)
			before := len(*app.Node().FindAll(constructs.ConstructOrder_PREORDER))
			if err := gate.AddTo(bucket); !errors.Is(err, oncegate.ErrBucket) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if after := len(*app.Node().FindAll(constructs.ConstructOrder_PREORDER)); after != before || bucket.Policy() != nil {
				t.Errorf("%d constructs were made, policy %v", after-before, bucket.Policy())
			}
		})
	}
}

// TestNothingIsAddedByItself: a bucket of theirs is as it was until AddTo is called.
func TestNothingIsAddedByItself(t *testing.T) {
	app := infratest.NewApp(t)
	gate, bucket, data := newBucket(t, app, oncegate.Settings{ExistingBucket: jsii.Bool(true)}, nil)
	if bucket.Policy() != nil {
		t.Error("the bucket has a policy")
	}
	if name := *gate.Bucket().BucketName(); name != "theirs" || *gate.Bucket().BucketName() != name {
		t.Errorf("the gate's bucket is %s", name)
	}
	template, err := json.Marshal(app.Synth(nil).GetStackByName(data.StackName()).Template())
	infratest.Must(err)
	if text := string(template); strings.Contains(text, "oncegate") || strings.Contains(text, "signatures/") {
		t.Errorf("their stack says %s", text)
	}
}

// TestBucketOfAnotherApp: what it needs is an output and, for CDK, a list.
func TestBucketOfAnotherApp(t *testing.T) {
	const key = "arn:aws:kms:eu-west-1:111122223333:key/0a-1b"
	for _, settings := range []oncegate.Settings{
		{},
		{KMSKey: jsii.String("aws/s3"), Page: false},
		{KMSKey: jsii.String(key), Acceptance: map[string]any{"webhook": map[string]string{"url": "https://hook.example.com", "secret": "/theirs/webhook"}}},
		{KMSKey: jsii.String(key), Index: jsii.String("dynamodb"), Runtime: jsii.String("regional"), OwnerAPI: jsii.Bool(true), Auth: "api-key"},
	} {
		settings.Bucket, settings.ExistingBucket, settings.Region = jsii.String("theirs"), jsii.Bool(true), jsii.String("eu-west-1")
		app := infratest.NewApp(t)
		gate, err := oncegate.New(app, "Uploads", &oncegate.Props{Settings: settings, Build: infratest.Build(t)})
		infratest.Must(err)
		d, err := cfn.Read(*app.Synth(nil).Directory())
		if err != nil {
			t.Fatal(err)
		}
		conf, err := config.Parse(gate.SettingsJSON())
		infratest.Must(err)
		for _, p := range check.Deployment(d, conf) {
			t.Error(p)
		}
		statements, err := gate.BucketPolicyStatements()
		if want := 5; err != nil || len(statements) != want && !conf.Acceptance.On || conf.Acceptance.On && len(statements) != want+1 {
			t.Errorf("%d statements, %v", len(statements), err)
		}
		if !strings.Contains(d.Outputs["BucketPolicy"], "IndexIsNotDeleted") || len(gate.BucketLifecycleRules()) < 5 {
			t.Errorf("output %s, %d rules", d.Outputs["BucketPolicy"], len(gate.BucketLifecycleRules()))
		}
	}
}

// TestAddToWithAcceptance: the queue is made before the bucket that notifies it, and neither
// stack waits for the other.
func TestAddToWithAcceptance(t *testing.T) {
	app := infratest.NewApp(t)
	gate, bucket, data := newBucket(t, app, oncegate.Settings{ExistingBucket: jsii.Bool(true), Acceptance: true}, nil)
	if err := gate.AddTo(bucket); err != nil {
		t.Fatal(err)
	}
	template, err := json.Marshal(app.Synth(nil).GetStackByName(data.StackName()).Template())
	infratest.Must(err)
	says := string(template)
	for _, want := range []string{`"Custom::S3BucketNotifications"`, `:oncegate-accept"`, `"Value":"uploads/"`, `"OnlyAcceptanceAccepts"`, `"Fn::ImportValue":"oncegate-bucket:`, `"oncegate-upload-entries"`} {
		if !strings.Contains(says, want) {
			t.Errorf("their stack does not say %s: %s", want, says)
		}
	}
}
