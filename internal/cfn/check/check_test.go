package check_test

import (
	"io/fs"
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

// fixtures are the templates that the CDK app's tests compare its output with.
const fixtures = "../testdata"

type (
	object    = cfntest.Object
	templates = cfntest.Templates
)

// settings are those that testdata/<name> was synthesized with.
func settings(t *testing.T, name string) config.Config {
	t.Helper()
	found, err := fs.Glob(os.DirFS(fixtures), name+"/asset.*/config.json")
	if err != nil || len(found) == 0 {
		t.Fatalf("settings of %s: %v, %v", name, found, err)
	}
	c, err := config.Load(filepath.Join(fixtures, found[0]))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ownRequestPolicy gives the templates an origin request policy of their own.
func ownRequestPolicy(t *templates) {
	t.AddRequestPolicy("content-type", "if-none-match")
}

// notFirst has the distribution not wait any more for what begins with id.
func notFirst(t *templates, id string) {
	for _, r := range t.Edge["Resources"].(object) {
		r := r.(object)
		if list, ok := r["DependsOn"].([]any); ok && strings.HasPrefix(r["Type"].(string), "AWS::CloudFront::") {
			r["DependsOn"] = slices.DeleteFunc(list, func(on any) bool { return strings.HasPrefix(on.(string), id) })
		}
	}
}

func bucket(t *templates) object { return t.Bucket.Properties("AWS::S3::Bucket", "") }

func rule(t *templates, id string) object {
	for _, r := range bucket(t)["LifecycleConfiguration"].(object)["Rules"].([]any) {
		if r := r.(object); r["Id"] == id {
			return r
		}
	}
	panic("no rule " + id)
}

// addRule puts a lifecycle rule before all others.
func addRule(t *templates, rule object) {
	c := bucket(t)["LifecycleConfiguration"].(object)
	c["Rules"] = append([]any{rule}, c["Rules"].([]any)...)
}

func TestTheReviewedTemplatesAreGood(t *testing.T) {
	for _, name := range []string{"plain", "full", "regional", "accepting", "unversioned", "table"} {
		d, err := cfn.Read(filepath.Join(fixtures, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range check.Deployment(d, settings(t, name)) {
			t.Errorf("%s: %v", name, p)
		}
	}
}

// damaged is a deployment with one broken thing. That must be named, and nothing else.
type damaged struct {
	name   string
	on     string // which testdata
	damage func(*templates)
	want   string // begins one of the problems
}

func (tt damaged) isNamed(t *testing.T) {
	d, err := cfn.Read(cfntest.Changed(t, filepath.Join(fixtures, tt.on), tt.damage))
	if err != nil {
		t.Fatal(err)
	}
	promise, _, _ := strings.Cut(tt.want, ":")
	found := false
	for _, p := range check.Deployment(d, settings(t, tt.on)) {
		found = found || strings.HasPrefix(p.String(), tt.want)
		if p.Promise != promise {
			t.Errorf("blames something else: %v", p)
		}
	}
	if !found {
		t.Errorf("nothing begins with %q in %v", tt.want, check.Deployment(d, settings(t, tt.on)))
	}
}

func TestCheckNamesWhatIsBroken(t *testing.T) {
	for _, tt := range []damaged{
		{"gate may not read expired entries", "plain", func(t *templates) {
			s := cfntest.Statement(t.RolePolicy("Gate"), "ReadIndex")
			s["Resource"] = s["Resource"].([]any)[0]
		}, "permissions: oncegate-gate lacks: Allow s3:GetObject on arn:aws:s3:::plain-uploads/signatures/expired/*"},
		{"gate may not claim", "plain", func(t *templates) { cfntest.Without(t.RolePolicy("Gate"), "WriteExpiredEntries") },
			"permissions: oncegate-gate lacks: Allow s3:PutObject on arn:aws:s3:::plain-uploads/signatures/expired/*"},
		{"gate may not store uploads", "plain", func(t *templates) { cfntest.Without(t.RolePolicy("Gate"), "StoreUploads") },
			"permissions: oncegate-gate lacks: Allow s3:PutObject on arn:aws:s3:::plain-uploads/uploads/*"},
		{"gate may not list", "plain", func(t *templates) { cfntest.Without(t.RolePolicy("Gate"), "TellAbsentEntries") },
			"permissions: oncegate-gate lacks: Allow s3:ListBucket on arn:aws:s3:::plain-uploads"},
		{"gate may list under a prefix only", "plain", func(t *templates) {
			cfntest.Statement(t.RolePolicy("Gate"), "TellAbsentEntries")["Condition"] = object{"StringLike": object{"s3:prefix": "signatures/*"}}
		}, "permissions: oncegate-gate lacks: Allow s3:ListBucket on arn:aws:s3:::plain-uploads"},
		{"gate may not list versions, whatever the settings", "plain", func(t *templates) { cfntest.Without(t.RolePolicy("Gate"), "ListVersions") },
			"permissions: oncegate-gate lacks: Allow s3:ListBucketVersions on arn:aws:s3:::plain-uploads if StringLike s3:prefix signatures/expired/*"},
		{"gate may not name multipart uploads", "plain", func(t *templates) { cfntest.Without(t.RolePolicy("Gate"), "NameMultipartUploads") },
			"permissions: oncegate-gate lacks: Allow s3:PutObject on arn:aws:s3:::plain-uploads/signatures/parts/*"},
		{"gate may not list parts", "plain", func(t *templates) {
			cfntest.Statement(t.RolePolicy("Gate"), "ListAndDropParts")["Action"] = "s3:AbortMultipartUpload"
		}, "permissions: oncegate-gate lacks: Allow s3:ListMultipartUploadParts on arn:aws:s3:::plain-uploads/uploads/*"},
		{"gate may not drop parts", "plain", func(t *templates) {
			cfntest.Statement(t.RolePolicy("Gate"), "ListAndDropParts")["Action"] = "s3:ListMultipartUploadParts"
		}, "permissions: oncegate-gate lacks: Allow s3:AbortMultipartUpload on arn:aws:s3:::plain-uploads/uploads/*"},
		{"gate may drop parts of anything", "full", func(t *templates) {
			cfntest.With(t.RolePolicy("Gate"), object{"Effect": "Allow", "Action": "s3:AbortMultipartUpload", "Resource": "arn:aws:s3:::full-uploads/*"})
		}, "permissions: full-gate has what it does not need: Allow s3:AbortMultipartUpload on arn:aws:s3:::full-uploads/*"},
		{"mint may not write valid entries", "plain", func(t *templates) { cfntest.Without(t.RolePolicy("Mint"), "WriteValidEntries") },
			"permissions: oncegate-mint lacks: Allow s3:PutObject on arn:aws:s3:::plain-uploads/signatures/valid/*"},
		{"mint may not log", "plain", func(t *templates) { cfntest.Without(t.RolePolicy("Mint"), "Logs") },
			"permissions: oncegate-mint lacks: Allow logs:CreateLogGroup"},
		{"mint may write everywhere", "plain", func(t *templates) {
			cfntest.Statement(t.RolePolicy("Mint"), "WriteValidEntries")["Resource"] = "arn:aws:s3:::plain-uploads/*"
		}, "permissions: oncegate-mint has what it does not need: Allow s3:PutObject on arn:aws:s3:::plain-uploads/*"},
		{"gate may delete", "plain", func(t *templates) {
			s := cfntest.Statement(t.RolePolicy("Gate"), "StoreUploads")
			s["Action"] = []any{s["Action"], "s3:DeleteObject"}
		}, "permissions: oncegate-gate has what it does not need: Allow s3:DeleteObject"},
		{"gate has a managed policy", "plain", func(t *templates) {
			t.Edge.Properties("AWS::IAM::Role", "Gate")["ManagedPolicyArns"] = []any{"arn:aws:iam::aws:policy/AmazonS3FullAccess"}
		}, "permissions: oncegate-gate has what it does not need: managed policy arn:aws:iam::aws:policy/AmazonS3FullAccess"},
		{"edgelambda is not trusted", "plain", func(t *templates) {
			d := t.Edge.Properties("AWS::IAM::Role", "Gate")["AssumeRolePolicyDocument"].(object)
			d["Statement"] = d["Statement"].([]any)[:1]
		}, "permissions: role of oncegate-gate lacks trust: Allow sts:AssumeRole for Service edgelambda.amazonaws.com"},

		{"unconditional claims are taken", "plain", func(t *templates) { cfntest.Without(t.BucketPolicy(), "ClaimsAreConditional") },
			"bucket policy: does not say: Deny s3:PutObject on arn:aws:s3:::plain-uploads/signatures/expired/* if Null s3:if-none-match true"},
		{"a second multipart upload is taken", "plain", func(t *templates) {
			s := cfntest.Statement(t.BucketPolicy(), "ClaimsAreConditional")
			s["Resource"] = s["Resource"].([]any)[0]
		}, "bucket policy: does not say: Deny s3:PutObject on arn:aws:s3:::plain-uploads/signatures/parts/* if Null s3:if-none-match true"},
		{"the index can be deleted", "plain", func(t *templates) { cfntest.Without(t.BucketPolicy(), "IndexIsNotDeleted") },
			"bucket policy: does not say: Deny s3:DeleteObject on arn:aws:s3:::plain-uploads/signatures/*"},
		{"versions cannot be deleted", "plain", func(t *templates) {
			cfntest.Statement(t.BucketPolicy(), "IndexIsNotDeleted")["Action"] = []any{"s3:DeleteObject", "s3:DeleteObjectVersion"}
		}, "bucket policy: must not say: Deny s3:DeleteObjectVersion"},
		{"somebody is let in", "plain", func(t *templates) {
			d := t.BucketPolicy()
			cfntest.With(d, object{"Effect": "Allow", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::plain-uploads/uploads/*"})
		}, "bucket policy: must not say: Allow s3:PutObject on arn:aws:s3:::plain-uploads/uploads/* for AWS *"},
		{"plain http is taken", "plain", func(t *templates) {
			d := t.BucketPolicy()
			d["Statement"] = d["Statement"].([]any)[1:]
		}, "bucket policy: does not say: Deny s3:* on arn:aws:s3:::plain-uploads if Bool aws:SecureTransport false"},

		{"no versioning", "plain", func(t *templates) { delete(bucket(t), "VersioningConfiguration") }, "bucket: versioning is not enabled"},
		{"no encryption", "plain", func(t *templates) { delete(bucket(t), "BucketEncryption") }, "bucket: objects are not encrypted"},
		{"public access", "plain", func(t *templates) {
			bucket(t)["PublicAccessBlockConfiguration"].(object)["BlockPublicPolicy"] = false
		}, "bucket: public access"},
		{"object ownership", "plain", func(t *templates) { delete(bucket(t), "OwnershipControls") }, "bucket: object ownership"},
		{"the bucket can be changed", "plain", func(t *templates) { delete(t.Bucket["Rules"].(object), "BucketStays") },
			`pins: stack oncegate-bucket begins with DeployedBucket "plain-uploads" and asks for ""`},
		{"the bucket behind the edge can be changed", "full", func(t *templates) { delete(t.Edge["Rules"].(object), "BucketStays") },
			`pins: stack full-edge begins with DeployedBucket "full-uploads" and asks for ""`},
		{"the region can be changed", "full", func(t *templates) {
			t.Edge["Rules"].(object)["RegionStays"].(object)["RuleCondition"] = object{"Fn::Equals": []any{"a", "b"}}
		}, `pins: stack full-edge begins with DeployedRegion "eu-west-1" and asks for ""`},
		{"a rule that CloudFormation may read in another way", "full", func(t *templates) {
			assertion := t.Edge["Rules"].(object)["RegionStays"].(object)["Assertions"].([]any)[0].(object)
			assertion["Assert"].(object)["Fn::Not"] = []any{true}
		}, `pins: stack full-edge begins with DeployedRegion "eu-west-1" and asks for ""`},
		{"a first deploy that is refused", "plain", func(t *templates) {
			t.Edge["Parameters"].(object)["DeployedBucket"].(object)["Default"] = "other"
		}, `pins: stack oncegate-edge begins with DeployedBucket "other"`},
		{"bucket goes with the stack", "plain", func(t *templates) {
			t.Bucket.Resource("AWS::S3::Bucket", "")["DeletionPolicy"] = "Delete"
		}, `rollback: the bucket has deletion policy "Delete"`},
		{"bucket stays after a failed first deploy", "full", func(t *templates) {
			t.Bucket.Resource("AWS::S3::Bucket", "")["DeletionPolicy"] = "Retain"
		}, `rollback: the bucket has deletion policy "Retain" and update-replace policy "Retain", want "RetainExceptOnCreate" and "Retain"`},
		{"bucket goes when it is replaced", "plain", func(t *templates) {
			delete(t.Bucket.Resource("AWS::S3::Bucket", ""), "UpdateReplacePolicy")
		}, `rollback: the bucket has deletion policy "RetainExceptOnCreate" and update-replace policy ""`},
		{"policy goes with the stack", "plain", func(t *templates) {
			delete(t.Bucket.Resource("AWS::S3::BucketPolicy", ""), "DeletionPolicy")
		}, `rollback: the bucket's policy has deletion policy ""`},
		{"policy stays after a failed first deploy", "plain", func(t *templates) {
			t.Bucket.Resource("AWS::S3::BucketPolicy", "")["DeletionPolicy"] = "Retain"
		}, `rollback: the bucket's policy has deletion policy "Retain"`},
		{"a version stays after a failed update", "regional", func(t *templates) {
			t.Edge.Resource("AWS::Lambda::Version", "Gate")["DeletionPolicy"] = "Retain"
		}, `rollback: the version of oncegate-gate has deletion policy "Retain"`},
		{"a version that CloudFront has copies of goes", "plain", func(t *templates) {
			delete(t.Edge.Resource("AWS::Lambda::Version", "Mint"), "DeletionPolicy")
		}, `rollback: the version of oncegate-mint has deletion policy ""`},
		{"a log group after the distribution", "plain", func(t *templates) { notFirst(t, "GateLogs") },
			"rollback: AWS::Logs::LogGroup GateLogs"},
		{"a metric filter after the distribution", "full", func(t *templates) { notFirst(t, "MintLogsRefused") },
			"rollback: AWS::Logs::MetricFilter MintLogsRefused"},
		{"a topic after the distribution", "accepting", func(t *templates) { notFirst(t, "Alarms") },
			"rollback: AWS::SNS::Topic Alarms"},
		{"the policy of a topic after the distribution", "plain", func(t *templates) { notFirst(t, "AlarmsPolicy") },
			"rollback: AWS::SNS::TopicPolicy AlarmsPolicy"},
		{"a dashboard after the distribution that could come before", "plain", func(t *templates) {
			t.Edge.Add("Other", "AWS::CloudWatch::Dashboard", object{"DashboardBody": "{}"})
		}, "rollback: AWS::CloudWatch::Dashboard Other may be made after the distribution"},
		{"a CORS rule of the bucket", "full", func(t *templates) {
			bucket(t)["CorsConfiguration"] = object{"CorsRules": []any{object{"AllowedMethods": []any{"PUT"}, "AllowedOrigins": []any{"https://app.example.com"}}}}
		}, "bucket: S3 answers with CORS headers of its own"},

		{"expired entries go with the valid ones", "full", func(t *templates) { rule(t, "expired-entries")["ExpirationInDays"] = 8 },
			"lifecycle: expired entries are removed after 8 days, not later than valid ones (8)"},
		{"valid entries go too early", "plain", func(t *templates) { rule(t, "valid-entries")["ExpirationInDays"] = 7 },
			"lifecycle: valid entries are removed after 7 days, a URL can live for 7"},
		{"parts go too early", "plain", func(t *templates) {
			rule(t, "leftovers")["AbortIncompleteMultipartUpload"] = object{"DaysAfterInitiation": 7}
		}, "lifecycle: rule leftovers drops the parts of uploads after 7 days, a URL can live for 7"},
		{"parts go by an earlier rule", "plain", func(t *templates) {
			addRule(t, object{"Id": "x", "Status": "Enabled", "Prefix": "uploads/0", "AbortIncompleteMultipartUpload": object{"DaysAfterInitiation": 1}})
		}, "lifecycle: rule x drops the parts of uploads after 1 days, a URL can live for 7"},
		{"parts stay for ever", "plain", func(t *templates) { delete(rule(t, "leftovers"), "AbortIncompleteMultipartUpload") },
			"lifecycle: the parts of unfinished uploads, or the entries that name them, are never removed"},
		{"some parts stay for ever", "plain", func(t *templates) {
			delete(rule(t, "leftovers"), "AbortIncompleteMultipartUpload")
			addRule(t, object{"Id": "x", "Status": "Enabled", "Prefix": "uploads/0", "AbortIncompleteMultipartUpload": object{"DaysAfterInitiation": 8}})
		}, "lifecycle: the parts of unfinished uploads, or the entries that name them, are never removed"},
		{"parts entries stay for ever", "plain", func(t *templates) { rule(t, "parts-entries")["Status"] = "Disabled" },
			"lifecycle: the parts of unfinished uploads, or the entries that name them, are never removed"},
		{"parts entries go too early", "plain", func(t *templates) { rule(t, "parts-entries")["ExpirationInDays"] = 7 },
			"lifecycle: parts entries are removed after 7 days, a URL can live for 7"},
		{"versions of entries go too early", "plain", func(t *templates) {
			rule(t, "leftovers")["NoncurrentVersionExpiration"] = object{"NoncurrentDays": 7}
		}, "lifecycle: rule leftovers removes versions of entries after 7 days"},
		{"expired entries go by an earlier rule", "plain", func(t *templates) {
			addRule(t, object{"Id": "x", "Status": "Enabled", "Prefix": "signatures/expired/", "ExpirationInDays": 1})
		}, "lifecycle: expired entries are removed after 1 days, not later than valid ones (8)"},
		{"valid entries go by an earlier rule", "plain", func(t *templates) {
			addRule(t, object{"Id": "x", "Status": "Enabled", "Prefix": "signatures/valid/", "ExpirationInDays": 2})
		}, "lifecycle: valid entries are removed after 2 days, a URL can live for 7"},
		{"some expired entries go by a rule of their own", "plain", func(t *templates) {
			addRule(t, object{"Id": "x", "Status": "Enabled", "Prefix": "signatures/expired/0", "ExpirationInDays": 1})
		}, `lifecycle: rule x removes current objects under "signatures/expired/0" after 1 days`},
		{"versions of some entries go too early", "plain", func(t *templates) {
			addRule(t, object{"Id": "x", "Status": "Enabled", "Prefix": "signatures/expired/0", "NoncurrentVersionExpiration": object{"NoncurrentDays": 1}})
		}, "lifecycle: rule x removes versions of entries after 1 days"},
		{"versions of what begins like entries go too early", "plain", func(t *templates) {
			addRule(t, object{"Id": "x", "Status": "Enabled", "Prefix": "sig", "NoncurrentVersionExpiration": object{"NoncurrentDays": 1}})
		}, "lifecycle: rule x removes versions of entries after 1 days"},
		{"a rule for all objects", "plain", func(t *templates) { delete(rule(t, "expired-entries"), "Prefix") },
			`lifecycle: rule expired-entries removes current objects under ""`},
		{"uploads go though kept for ever", "plain", func(t *templates) { rule(t, "valid-entries")["Prefix"] = "uploads/" },
			`lifecycle: rule valid-entries removes current objects under "uploads/" after 8 days`},

		{"the gate is off", "plain", func(t *templates) { delete(t.DefaultBehavior(), "LambdaFunctionAssociations") },
			"associations: the default behavior has 0 Lambda and 0 CloudFront functions, want index.gate alone"},
		{"the mint is off", "plain", func(t *templates) { delete(t.Behavior("/url"), "LambdaFunctionAssociations") },
			"associations: behavior /url has 0 Lambda"},
		{"mint and gate are swapped", "plain", func(t *templates) {
			t.DefaultBehavior()["LambdaFunctionAssociations"] = t.Behavior("/url")["LambdaFunctionAssociations"]
		}, "associations: the default behavior runs index.mint"},
		{"the gate sits on the origin side", "plain", func(t *templates) {
			t.DefaultBehavior()["LambdaFunctionAssociations"].([]any)[0].(object)["EventType"] = "origin-request"
		}, "associations: the default behavior runs index.gate on origin-request"},
		{"the gate gets bodies", "plain", func(t *templates) {
			t.DefaultBehavior()["LambdaFunctionAssociations"].([]any)[0].(object)["IncludeBody"] = true
		}, "associations: the default behavior includes the body: true, want false"},
		{"mint gets no bodies", "plain", func(t *templates) {
			t.Behavior("/url")["LambdaFunctionAssociations"].([]any)[0].(object)["IncludeBody"] = false
		}, "associations: behavior /url includes the body: false, want true"},
		{"bodies below mint", "plain", func(t *templates) {
			t.Behavior("/url/*")["LambdaFunctionAssociations"].([]any)[0].(object)["IncludeBody"] = true
		}, "associations: behavior /url/* includes the body: true, want false"},
		{"Uppy's list of parts does not reach the gate", "plain", func(t *templates) {
			t.Behavior("/s3/*/complete")["LambdaFunctionAssociations"].([]any)[0].(object)["IncludeBody"] = false
		}, "associations: behavior /s3/*/complete includes the body: false, want true"},
		{"Uppy's file does not reach the mint", "plain", func(t *templates) {
			t.Behavior("/s3/multipart")["LambdaFunctionAssociations"].([]any)[0].(object)["IncludeBody"] = false
		}, "associations: behavior /s3/multipart includes the body: false, want true"},
		{"Uppy asks the gate for URLs", "plain", func(t *templates) {
			t.Behavior("/s3/multipart")["LambdaFunctionAssociations"] = t.Behavior("/s3/*/complete")["LambdaFunctionAssociations"]
		}, "associations: behavior /s3/multipart runs index.gate"},
		{"a behavior past the gate", "plain", func(t *templates) { t.Behavior("/url/*")["PathPattern"] = "/uploads/*" },
			`associations: behavior "/uploads/*" is not oncegate's`},
		{"the page is off", "plain", func(t *templates) { delete(t.Behavior("/upload"), "LambdaFunctionAssociations") },
			"associations: behavior /upload has 0 Lambda and 0 CloudFront functions, want page.handler alone"},
		{"the gate answers for the page's files", "plain", func(t *templates) {
			t.Behavior("/upload/*")["LambdaFunctionAssociations"] = t.DefaultBehavior()["LambdaFunctionAssociations"]
		}, "associations: behavior /upload/* runs index.gate on viewer-request, want page.handler"},
		{"the page answers for uploads", "plain", func(t *templates) {
			t.DefaultBehavior()["LambdaFunctionAssociations"] = t.Behavior("/upload")["LambdaFunctionAssociations"]
		}, "associations: the default behavior runs page.handler"},
		{"the page may read uploads", "plain", func(t *templates) {
			cfntest.With(t.Edge.Role("PageRole"), object{"Sid": "x", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::plain-uploads/*"})
		}, "permissions: oncegate-page has what it does not need: Allow s3:GetObject"},
		{"the page's log is kept for ever", "plain", func(t *templates) {
			delete(t.Edge.Properties("AWS::Logs::LogGroup", "PageLogs"), "RetentionInDays")
		}, "logs: nothing says how long us-east-1 /aws/lambda/us-east-1.oncegate-page is kept"},

		{"memory", "plain", func(t *templates) { t.Edge.Properties("AWS::Lambda::Function", "Gate")["MemorySize"] = 512 },
			"functions: oncegate-gate has 512 MB"},
		{"environment", "plain", func(t *templates) {
			t.Edge.Properties("AWS::Lambda::Function", "Gate")["Environment"] = object{"Variables": object{"BUCKET": "x"}}
		}, "functions: oncegate-gate has environment variables"},
		{"text logs", "plain", func(t *templates) { delete(t.Edge.Properties("AWS::Lambda::Function", "Mint"), "LoggingConfig") },
			"functions: oncegate-mint does not log JSON"},

		{"origin access control", "plain", func(t *templates) {
			t.Edge["Resources"].(object)["OAC"] = object{"Type": "AWS::CloudFront::OriginAccessControl", "Properties": object{}}
			t.Origin()["OriginAccessControlId"] = object{"Fn::GetAtt": []any{"OAC", "Id"}}
		}, "origin: an origin access control or identity signs requests that are signed already"},
		{"origin access identity", "plain", func(t *templates) {
			t.Origin()["S3OriginConfig"].(object)["OriginAccessIdentity"] = "origin-access-identity/cloudfront/E1"
		}, "origin: an origin access control or identity"},
		{"CloudFront gives up early", "plain", func(t *templates) { delete(t.Origin()["S3OriginConfig"].(object), "OriginReadTimeout") },
			"origin: CloudFront gives up on S3 after 0 seconds (0 are 30), want 120"},
		{"the origin of another region", "full", func(t *templates) {
			t.Origin()["DomainName"] = "full-uploads.s3.us-east-1.amazonaws.com"
		}, "origin: is full-uploads.s3.us-east-1.amazonaws.com, uploads are signed for full-uploads.s3.eu-west-1.amazonaws.com"},
		{"the origin by a name of no region", "plain", func(t *templates) {
			t.Origin()["DomainName"] = "plain-uploads.s3.amazonaws.com"
		}, "origin: is plain-uploads.s3.amazonaws.com, uploads are signed for plain-uploads.s3.us-east-1.amazonaws.com"},
		{"origin headers", "plain", func(t *templates) {
			t.Origin()["OriginCustomHeaders"] = []any{object{"HeaderName": "x-amz-acl", "HeaderValue": "public-read"}}
		}, "origin: a path or headers are added"},

		{"an origin request policy of its own", "plain", ownRequestPolicy,
			`forwarding: the default behavior has origin request policy "${OwnRequestPolicy}", want the managed AllViewerExceptHostHeader`},
		{"an origin request policy of its own for the mint", "full", func(t *templates) {
			t.AddRequestPolicy("origin")
			t.DefaultBehavior()["OriginRequestPolicyId"] = cfn.AllViewerExceptHostHeader
		}, `forwarding: behavior /url has origin request policy "${OwnRequestPolicy}"`},
		{"the viewer's host is forwarded", "plain", func(t *templates) {
			t.DefaultBehavior()["OriginRequestPolicyId"] = "216adef6-5c7f-47e4-b989-5492eafa07d3"
		}, `forwarding: the default behavior has origin request policy "216adef6-5c7f-47e4-b989-5492eafa07d3"`},
		{"no origin request policy", "plain", func(t *templates) { delete(t.DefaultBehavior(), "OriginRequestPolicyId") },
			`forwarding: the default behavior has origin request policy ""`},

		{"caching", "plain", func(t *templates) { t.DefaultBehavior()["CachePolicyId"] = "658327ea-f89d-4fab-a63d-7e88639e58f6" },
			"behaviors: the default behavior caches"},
		{"plain http", "plain", func(t *templates) { t.Behavior("/url")["ViewerProtocolPolicy"] = "redirect-to-https" },
			"behaviors: behavior /url takes redirect-to-https"},
		{"no PUT", "plain", func(t *templates) { t.DefaultBehavior()["AllowedMethods"] = []any{"GET", "HEAD"} },
			"behaviors: the default behavior allows [GET HEAD]"},
		{"errors are cached", "plain", func(t *templates) { delete(t.Distribution(), "CustomErrorResponses") },
			"behaviors: error 403 is cached for ten seconds"},
		{"errors are replaced", "plain", func(t *templates) {
			r := t.Distribution()["CustomErrorResponses"].([]any)[1].(object)
			r["ResponseCode"], r["ResponsePagePath"] = 200, "/index.html"
		}, "behaviors: error 403 is cached or replaced"},

		{"HTTP/1.1 and 2 only", "plain", func(t *templates) { t.Distribution()["HttpVersion"] = "http2" }, "viewer: enabled true, IPv6 true, http2"},
		{"no IPv6", "plain", func(t *templates) { t.Distribution()["IPV6Enabled"] = false }, "viewer: enabled true, IPv6 false"},
		{"old TLS", "full", func(t *templates) {
			t.Distribution()["ViewerCertificate"].(object)["MinimumProtocolVersion"] = "TLSv1"
		}, "viewer: TLS TLSv1"},
		{"no certificate", "full", func(t *templates) { delete(t.Distribution(), "ViewerCertificate") }, "viewer: aliases [upload.example.com]"},
		{"access logs though off", "plain", func(t *templates) {
			t.Distribution()["Logging"] = object{"Bucket": "logs.s3.amazonaws.com"}
		}, "viewer: access logs: true"},
		{"price class", "full", func(t *templates) { t.Distribution()["PriceClass"] = "PriceClass_All" }, "viewer: price class"},

		{"no HSTS", "plain", func(t *templates) {
			delete(t.ResponsePolicy()["SecurityHeadersConfig"].(object), "StrictTransportSecurity")
		}, "response headers: the default behavior does not add nosniff and a year of HSTS"},
		{"redirects of S3 as they are", "plain", func(t *templates) { delete(t.ResponsePolicy(), "RemoveHeadersConfig") },
			"response headers: the default behavior lets viewers see location"},
		{"another header removed", "full", func(t *templates) {
			t.ResponsePolicy()["RemoveHeadersConfig"] = object{"Items": []any{object{"Header": "x-location"}}}
		}, "response headers: the default behavior lets viewers see location"},
		{"no CORS", "full", func(t *templates) { delete(t.ResponsePolicy(), "CorsConfig") }, "response headers: the default behavior adds no CORS"},
		{"CORS without credentials for named origins", "full", func(t *templates) {
			t.ResponsePolicy()["CorsConfig"].(object)["AccessControlAllowCredentials"] = false
		}, "response headers: the default behavior lets"},
		{"CORS of the functions overridden", "full", func(t *templates) {
			t.ResponsePolicy()["CorsConfig"].(object)["OriginOverride"] = true
		}, "response headers: the default behavior overrides CORS headers"},
		{"etag is not exposed", "full", func(t *templates) {
			t.ResponsePolicy()["CorsConfig"].(object)["AccessControlExposeHeaders"] = object{"Items": []any{"x-amz-version-id", "x-oncegate-reason", "retry-after"}}
		}, "response headers: the default behavior does not let pages read etag"},

		{"managed rules on uploads", "full", func(t *templates) {
			r := t.Edge.Properties("AWS::WAFv2::WebACL", "")["Rules"].([]any)[3].(object)
			delete(r["Statement"].(object)["ManagedRuleGroupStatement"].(object), "ScopeDownStatement")
		}, "web acl: rule AWSManagedRulesCommonRuleSet is not limited to /url"},
		{"no rates for Uppy", "full", func(t *templates) {
			r := t.Edge.Properties("AWS::WAFv2::WebACL", "")["Rules"].([]any)[0].(object)
			either := r["Statement"].(object)["RateBasedStatement"].(object)["ScopeDownStatement"].(object)["OrStatement"].(object)
			either["Statements"] = either["Statements"].([]any)[:1]
		}, "web acl: rule url-rate leaves out /s3/multipart"},
		{"no rates for invitations", "full", func(t *templates) {
			r := t.Edge.Properties("AWS::WAFv2::WebACL", "")["Rules"].([]any)[0].(object)
			either := r["Statement"].(object)["RateBasedStatement"].(object)["ScopeDownStatement"].(object)["OrStatement"].(object)
			either["Statements"] = slices.Delete(either["Statements"].([]any), 1, 2)
		}, "web acl: rule url-rate leaves out /invitation"},
		{"invitations lead to the gate", "plain", func(t *templates) {
			t.Behavior("/invitation*")["LambdaFunctionAssociations"] = t.Behavior("/s3/*/complete")["LambdaFunctionAssociations"]
		}, "associations: behavior /invitation* runs index.gate"},
		{"no rate rule", "full", func(t *templates) {
			p := t.Edge.Properties("AWS::WAFv2::WebACL", "")
			p["Rules"] = p["Rules"].([]any)[1:]
		}, "web acl: no rate rule of 500 requests on /url for each address"},
		{"no rate rule for keys", "full", func(t *templates) {
			p := t.Edge.Properties("AWS::WAFv2::WebACL", "")
			p["Rules"] = slices.Delete(p["Rules"].([]any), 1, 2)
		}, "web acl: a rate rule of 500 requests on /url for each API key: false, the settings say true"},
		{"a rate rule for another header", "full", func(t *templates) {
			r := t.Edge.Properties("AWS::WAFv2::WebACL", "")["Rules"].([]any)[1].(object)
			key := r["Statement"].(object)["RateBasedStatement"].(object)["CustomKeys"].([]any)[0].(object)
			key["Header"].(object)["Name"] = "authorization"
		}, "web acl: a rate rule of 500 requests on /url for each API key: false"},
		{"a rate rule that answers 403", "full", func(t *templates) {
			t.Edge.Properties("AWS::WAFv2::WebACL", "")["Rules"].([]any)[0].(object)["Action"] = object{"Block": object{}}
		}, "web acl: rule url-rate does not answer 429 with retry-after"},
		{"the mint cannot read keys", "full", func(t *templates) { cfntest.Without(t.RolePolicy("Mint"), "ReadKeys") },
			"permissions: full-mint lacks: Allow s3:GetObject on arn:aws:s3:::full-uploads/keys/*"},
		{"the mint cannot tell that a key is absent", "full", func(t *templates) { cfntest.Without(t.RolePolicy("Mint"), "TellAbsent") },
			"permissions: full-mint lacks: Allow s3:ListBucket on arn:aws:s3:::full-uploads"},
		{"the mint reads keys that nobody asks for", "plain", func(t *templates) {
			cfntest.With(t.RolePolicy("Mint"), object{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::plain-uploads/keys/*"})
		}, "permissions: oncegate-mint has what it does not need: Allow s3:GetObject on arn:aws:s3:::plain-uploads/keys/*"},
		{"the web ACL is not attached", "full", func(t *templates) { delete(t.Distribution(), "WebACLId") }, "web acl: the distribution has none"},
	} {
		t.Run(tt.name, tt.isNamed)
	}
}
