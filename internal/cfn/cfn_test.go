package cfn_test

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"oncegate/internal/cfn"
	"oncegate/internal/cfn/cfntest"
)

type object = cfntest.Object

// TestReadRefuses: reading stops at what is not understood, and names it.
func TestReadRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*cfntest.Templates)
		want   string
		on     string // plain if empty
	}{
		{"an unknown resource", func(t *cfntest.Templates) {
			t.Edge["Resources"].(object)["Extra"] = object{"Type": "AWS::CloudFront::Function", "Properties": object{}}
		}, "Extra has type AWS::CloudFront::Function", ""},
		{"an unknown property of the bucket", func(t *cfntest.Templates) { t.Bucket.Properties("AWS::S3::Bucket", "")["ObjectLockEnabled"] = true }, `unknown field "ObjectLockEnabled"`, ""},
		{"an unknown property of a behavior", func(t *cfntest.Templates) { t.DefaultBehavior()["TrustedKeyGroups"] = []any{"x"} }, `unknown field "TrustedKeyGroups"`, ""},
		{"an unknown property of a function", func(t *cfntest.Templates) {
			t.Edge.Properties("AWS::Lambda::Function", "Gate")["Layers"] = []any{"x"}
		}, `unknown field "Layers"`, ""},
		{"an unknown element of a policy", func(t *cfntest.Templates) {
			s := cfntest.Statement(t.RolePolicy("Gate"), "StoreUploads")
			s["NotResource"] = s["Resource"]
		}, `unknown field "NotResource"`, ""},
		{"an unknown intrinsic function", func(t *cfntest.Templates) {
			t.Bucket.Properties("AWS::S3::Bucket", "")["BucketName"] = object{"Fn::Select": []any{0, []any{"a"}}}
		}, "Fn::Select", ""},
		{"two distributions", func(t *cfntest.Templates) {
			t.Edge["Resources"].(object)["Second"] = t.Edge.Resource("AWS::CloudFront::Distribution", "")
		}, "2 distributions, want one", ""},
		{"a function that is not published", func(t *cfntest.Templates) {
			t.DefaultBehavior()["LambdaFunctionAssociations"].([]any)[0].(object)["LambdaFunctionARN"] = object{"Fn::GetAtt": []any{"Gate3038665D", "Arn"}}
		}, "which is not a published version of the templates", ""},
		{"code that is no asset", func(t *cfntest.Templates) {
			t.Edge.Properties("AWS::Lambda::Function", "Gate")["Code"].(object)["S3Key"] = "gone.zip"
		}, `function oncegate-gate has code "gone.zip"`, ""},
		{"code outside of the templates", func(t *cfntest.Templates) {
			t.Edge.Properties("AWS::Lambda::Function", "Gate")["Code"] = "../edge"
		}, `function oncegate-gate has code "../edge"`, ""},
		{"code in a container", func(t *cfntest.Templates) {
			t.Edge.Properties("AWS::Lambda::Function", "Gate")["Code"] = object{"ImageUri": "x"}
		}, `unknown field "ImageUri"`, ""},
		{"a foreign role", func(t *cfntest.Templates) {
			t.Edge.Properties("AWS::Lambda::Function", "Gate")["Role"] = "arn:aws:iam::111122223333:role/admin"
		}, "which is not a role of the templates", ""},
		{"a second bucket", func(t *cfntest.Templates) {
			t.Bucket["Resources"].(object)["Other"] = object{"Type": "AWS::S3::Bucket", "Properties": object{"BucketName": "other"}}
		}, "bucket Other is neither output BucketName nor for access logs", ""},
		{"a certificate of IAM", func(t *cfntest.Templates) {
			t.Distribution()["ViewerCertificate"] = object{"IamCertificateId": "x", "SslSupportMethod": "vip"}
		}, `unknown field "IamCertificateId"`, ""},
		{"a second policy of the bucket", func(t *cfntest.Templates) {
			t.Bucket["Resources"].(object)["Second"] = t.Bucket.Resource("AWS::S3::BucketPolicy", "")
		}, "bucket plain-uploads has two policies", ""},
		{"no bucket", func(t *cfntest.Templates) {
			for id, r := range t.Bucket["Resources"].(object) {
				if r.(object)["Type"] == "AWS::S3::Bucket" {
					delete(t.Bucket["Resources"].(object), id)
				}
			}
		}, "no bucket has the name in the output BucketName", ""},
		{"a second policy of a queue", func(t *cfntest.Templates) {
			t.Bucket["Resources"].(object)["Second"] = t.Bucket.Resource("AWS::SQS::QueuePolicy", "AcceptQueue")
		}, "-accept has two policies", "accepting"},
		{"a queue from elsewhere", func(t *cfntest.Templates) {
			t.Bucket.Properties("AWS::Lambda::EventSourceMapping", "")["EventSourceArn"] = "arn:aws:sqs:us-east-1:111122223333:other"
		}, "want a queue and a regional function of the templates", "accepting"},
		{"a global table", func(t *cfntest.Templates) {
			t.Bucket.Resource("AWS::DynamoDB::Table", "")["Type"] = "AWS::DynamoDB::GlobalTable"
		}, "has type AWS::DynamoDB::GlobalTable, which is not understood", "unversioned"},
		{"a replica that a function of the CDK makes", func(t *cfntest.Templates) {
			t.Bucket.Add("Replica", "Custom::DynamoDBReplica", object{"Region": "eu-west-1"})
		}, "has type Custom::DynamoDBReplica, which is not understood", "unversioned"},
		{"a second table", func(t *cfntest.Templates) {
			t.Bucket.Add("Second", "AWS::DynamoDB::Table", t.Bucket.Properties("AWS::DynamoDB::Table", ""))
		}, "there are two tables", "unversioned"},
		{"a key of the account", func(t *cfntest.Templates) {
			t.Bucket.Properties("AWS::DynamoDB::Table", "")["SSESpecification"] = object{"SSEEnabled": true}
		}, `unknown field "SSESpecification"`, "unversioned"},
		{"a stream of the table", func(t *cfntest.Templates) {
			t.Bucket.Properties("AWS::DynamoDB::Table", "")["StreamSpecification"] = object{"StreamViewType": "NEW_IMAGE"}
		}, `unknown field "StreamSpecification"`, "unversioned"},
		{"a policy of the table", func(t *cfntest.Templates) {
			t.Bucket.Properties("AWS::DynamoDB::Table", "")["ResourcePolicy"] = object{"PolicyDocument": object{}}
		}, `unknown field "ResourcePolicy"`, "unversioned"},
		{"a subscription that is no mail", func(t *cfntest.Templates) {
			t.Edge.Properties("AWS::SNS::Subscription", "")["Protocol"] = "https"
		}, "only email is understood", "full"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := cfn.Read(cfntest.Changed(t, "testdata/"+cmp.Or(tt.on, "plain"), tt.change)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := cfn.Read(t.TempDir()); err == nil || !strings.Contains(err.Error(), "manifest.json") {
		t.Errorf("an empty directory: %v", err)
	}
}

// TestReadParameters: a parameter has the value that the manifest gives it, else its default,
// wherever it is used. A rule that compares with it is a pin as any other.
func TestReadParameters(t *testing.T) {
	name := func(t *cfntest.Templates) {
		t.Bucket["Parameters"].(object)["Name"] = object{"Type": "String", "Default": "plain-uploads"}
		t.Bucket.Properties("AWS::S3::Bucket", "")["BucketName"] = object{"Ref": "Name"}
		t.Bucket["Rules"].(object)["BucketStays"].(object)["Assertions"].([]any)[0].(object)["Assert"].(object)["Fn::Equals"].([]any)[1] = object{"Ref": "Name"}
		t.Bucket.Properties("AWS::S3::BucketPolicy", "")["PolicyDocument"].(object)["Statement"].([]any)[0].(object)["Resource"] = object{"Fn::Sub": "arn:aws:s3:::${Name}/*"}
	}
	dir := cfntest.Changed(t, "testdata/plain", name)
	d, err := cfn.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Bucket.Policy.PolicyDocument.Statement[0].Resource; d.Bucket.BucketName != "plain-uploads" || !slices.Equal(got, []string{"arn:aws:s3:::plain-uploads/*"}) {
		t.Errorf("bucket %q, policy on %q", d.Bucket.BucketName, got)
	}
	if got, want := d.Pins["oncegate-bucket"]["DeployedBucket"], (cfn.Pin{First: "plain-uploads", Want: "plain-uploads"}); got != want {
		t.Errorf("pin %+v, want %+v", got, want)
	}
	manifest := filepath.Join(dir, "manifest.json")
	text, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	given := strings.Replace(string(text), `"stackName": "oncegate-bucket",`, `"stackName": "oncegate-bucket", "parameters": {"Name": "another-bucket"},`, 1)
	if err := os.WriteFile(manifest, []byte(given), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cfn.Read(dir); err == nil || !strings.Contains(err.Error(), "is neither output BucketName nor for access logs") {
		t.Errorf("with another value: %v", err)
	}
}

// TestPoliciesSurviveJSON: a policy evaluator gets policies as JSON, and nothing may be
// lost on the way.
func TestPoliciesSurviveJSON(t *testing.T) {
	d, err := cfn.Read("testdata/full")
	if err != nil {
		t.Fatal(err)
	}
	documents := []cfn.PolicyDocument{d.Bucket.Policy.PolicyDocument}
	for _, role := range d.Roles {
		documents = append(documents, role.AssumeRolePolicyDocument, role.Policies[0].PolicyDocument)
	}
	for _, document := range documents {
		data, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		var again cfn.PolicyDocument
		if err := json.Unmarshal(data, &again); err != nil {
			t.Fatal(err)
		}
		if got, want := again.Lines(), document.Lines(); len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s\nreads as %q, was %q", data, got, want)
		}
		if strings.Contains(string(data), "null") {
			t.Errorf("%s has an empty element", data)
		}
	}
}
