package doctor_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"oncegate/internal/doctor"
)

func allow(who, action, resource string) string {
	return fmt.Sprintf(`{"Sid":"Theirs","Effect":"Allow","Principal":%s,"Action":%q,"Resource":%q}`, who, action, resource)
}

func denial(action, resource, condition string) string {
	return fmt.Sprintf(`{"Sid":"Theirs","Effect":"Deny","Principal":"*","Action":%q,"Resource":%q,"Condition":%s}`, action, resource, condition)
}

const partner = `{"AWS":"arn:aws:iam::210987654321:root"}`

// TestUnfit: each bucket has one thing that does not fit, and that line says so and what to do.
// All others stay as they were.
func TestUnfit(t *testing.T) {
	const fail, unclear, ok = doctor.Fail, doctor.Unclear, doctor.OK
	statement := func(text string) func(*theirs) { return func(b *theirs) { b.addStatement(text) } }
	rule := func(r types.LifecycleRule) func(*theirs) { return func(b *theirs) { b.addRules(r) } }
	for _, c := range []struct {
		name      string
		change    func(*theirs)
		id        string
		result    doctor.Result
		found, do string
	}{
		{"versions suspended", func(b *theirs) {
			b.ok(b.client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: b.name, VersioningConfiguration: &types.VersioningConfiguration{Status: "Suspended"}}))
		}, "bucket-versions", fail, "versioning is not enabled", "aws s3api put-bucket-versioning --bucket theirs --versioning-configuration Status=Enabled"},
		{"MFA delete", func(b *theirs) {
			b.configs["versioning"] = []byte(`<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>`)
		}, "bucket-versions", fail, "MFA delete is on", "MFADelete=Disabled"},
		{"public policies", func(b *theirs) { b.blockPublic(false) }, "bucket-public", fail, "not blocked in all four ways", "aws s3api put-public-access-block"},
		{"uploads of others are theirs", func(b *theirs) { b.owned("ObjectWriter") }, "bucket-ownership", fail, "ownership is not enforced", "ObjectOwnership=BucketOwnerEnforced"},
		{"a customer's key", func(b *theirs) { b.putEncryption("aws:kms", aws.String(theKey), true) }, "bucket-encryption", fail, "the KMS key " + theKey + ", and the settings have none", `set "kmsKey" in the settings to ` + theKey},
		{"AWS's key", func(b *theirs) { b.putEncryption("aws:kms", nil, true) }, "bucket-encryption", fail, "the KMS key aws/s3", `set "kmsKey" in the settings to aws/s3`},
		{"a key by its alias", func(b *theirs) {
			b.putEncryption("aws:kms", aws.String("arn:aws:kms:eu-west-1:123456789012:alias/uploads"), true)
		}, "bucket-encryption", fail, "of the alias", "aws kms describe-key --region eu-west-1 --key-id arn:aws:kms:eu-west-1:123456789012:alias/uploads"},

		{"others write uploads", statement(allow(partner, "s3:PutObject", "arn:aws:s3:::theirs/uploads/*")),
			"bucket-policy", fail, "Theirs lets arn:aws:iam::210987654321:root s3:PutObject under uploads/: past the gate", "narrow its Resource"},
		{"others write all of it", statement(allow(partner, "s3:*", "arn:aws:s3:::theirs/*")),
			"bucket-policy", fail, "s3:PutObject, s3:DeleteObject, s3:DeleteObjectVersion, s3:ReplicateObject, s3:ReplicateDelete under uploads/, signatures/, invitations/, keys/, accepted/", "arn:aws:s3:::theirs/YOURS/*"},
		{"others write by a pattern", statement(allow(partner, "S3:putobj*", "arn:aws:s3:::t*/?ploads/${aws:username}/*")),
			"bucket-policy", fail, "s3:PutObject under uploads/", ""},
		{"others write some of the index", statement(allow(`"*"`, "s3:DeleteObjectVersion", "arn:aws:s3:::theirs/signatures/expired/0*")),
			"bucket-policy", fail, "Theirs lets everybody s3:DeleteObjectVersion under signatures/", ""},
		{"others do what is not listed", statement(`{"Sid":"Theirs","Effect":"Allow","Principal":` + partner + `,"NotAction":"s3:Get*","NotResource":"arn:aws:s3:::theirs/site/*"}`),
			"bucket-policy", fail, "s3:PutObject, s3:DeleteObject", ""},
		{"others change the rules", statement(allow(partner, "s3:PutLifecycleConfiguration", "arn:aws:s3:::theirs")),
			"bucket-policy", fail, "Theirs lets arn:aws:iam::210987654321:root s3:PutLifecycleConfiguration: they could take the promises away", "take these actions out"},
		{"uploads must name an encryption", statement(denial("s3:PutObject", "arn:aws:s3:::theirs/*", `{"StringNotEquals":{"s3:x-amz-server-side-encryption":"aws:kms"}}`)),
			"bucket-policy", fail, "Theirs denies the functions s3:PutObject: StringNotEquals s3:x-amz-server-side-encryption aws:kms", "narrow"},
		{"uploads must have any encryption", statement(denial("s3:PutObject", "arn:aws:s3:::theirs/*", `{"Null":{"s3:x-amz-server-side-encryption":"true"}}`)),
			"bucket-policy", fail, "Null s3:x-amz-server-side-encryption true", ""},
		{"through an endpoint alone", statement(denial("s3:*", "arn:aws:s3:::theirs/*", `{"StringNotEquals":{"aws:sourceVpce":"vpce-1"}}`)),
			"bucket-policy", fail, "denies the functions s3:PutObject, s3:GetObject, s3:GetObjectVersion, …: StringNotEquals aws:sourceVpce vpce-1", ""},
		{"no overwriting anywhere", statement(denial("s3:PutObject", "arn:aws:s3:::theirs/*", `{"Null":{"s3:if-none-match":"true"}}`)),
			"bucket-policy", fail, "Null s3:if-none-match true", ""},
		{"nobody lists", statement(`{"Sid":"Theirs","Effect":"Deny","Principal":{"AWS":["123456789012"]},"Action":"s3:ListBucket","Resource":"arn:aws:s3:::theirs"}`),
			"bucket-policy", fail, "denies the functions s3:ListBucket", ""},
		{"some roles alone", statement(denial("s3:*", "arn:aws:s3:::theirs/*", `{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::123456789012:role/app-*"}}`)),
			"bucket-policy", unclear, "if they meet what it is about: ArnNotLike aws:PrincipalArn", "look whether they do"},
		{"everybody but one", statement(`{"Sid":"Theirs","Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::123456789012:user/me"},"Action":"s3:GetObject","Resource":"*"}`),
			"bucket-policy", unclear, "denies the functions s3:GetObject", "look whether"},
		{"new TLS alone", statement(denial("s3:*", "arn:aws:s3:::theirs/*", `{"NumericLessThan":{"s3:TlsVersion":1.3}}`)),
			"bucket-policy", unclear, "NumericLessThan s3:TlsVersion 1.3", ""},
		{"a claim needs no condition", func(b *theirs) {
			b.putPolicy(strings.Replace(string(b.configs["policy"]), "arn:aws:s3:::theirs/signatures/expired/*", "arn:aws:s3:::theirs/signatures/expired", 1))
		}, "bucket-policy", fail, "the policy does not have ClaimsAreConditional", `"Resource":["arn:aws:s3:::theirs/signatures/expired/*"],"Condition":{"Null":{"s3:if-none-match":["true"]}}`},
		{"the index can be deleted unless", func(b *theirs) {
			b.putPolicy(strings.Replace(string(b.configs["policy"]), `"s3:DeleteObject"`, `"s3:DeleteBucket"`, 1))
		}, "bucket-policy", fail, "the policy does not have IndexIsNotDeleted", "add to \"Statement\", and leave what is there:\n{\"Sid\":\"IndexIsNotDeleted\""},
		{"a policy of another kind", func(b *theirs) {
			b.configs["policy"] = []byte(`{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`)
		},
			"bucket-policy", unclear, "statement 1 of the policy cannot be read", "docs/existing-bucket.md"},

		{"the whole bucket goes after a day", rule(expire("", 1)), "bucket-lifecycle", fail, `rule theirs removes current objects under "" after 1 days`, "aws s3api get-bucket-lifecycle-configuration --bucket theirs --query '{Rules: Rules}' >rules.json"},
		{"claims go before valid entries", rule(expire("signatures/expired/", 2)), "bucket-lifecycle", fail, "a spent URL could be spent again", "put-bucket-lifecycle-configuration --bucket theirs --lifecycle-configuration file://rules.json"},
		{"claims go, as rules said long ago", func(b *theirs) {
			b.configs["lifecycle"] = []byte(strings.Replace(string(b.configs["lifecycle"]), "<Rule>", "<Rule><ID>theirs</ID><Prefix>signatures/expired/</Prefix><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule><Rule>", 1))
		}, "bucket-lifecycle", fail, "expired entries are removed after 1 days", ""},
		{"keys of the API go", rule(expire("keys/", 90)), "bucket-lifecycle", fail, `under "keys/" after 90 days`, ""},
		{"versions of entries go at once", rule(types.LifecycleRule{ID: aws.String("theirs"), Status: "Enabled", Filter: &types.LifecycleRuleFilter{Prefix: aws.String("")}, NoncurrentVersionExpiration: &types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(1)}}),
			"bucket-lifecycle", fail, "rule theirs removes versions of entries after 1 days", ""},
		{"parts go at once", rule(types.LifecycleRule{ID: aws.String("theirs"), Status: "Enabled", Filter: &types.LifecycleRuleFilter{Prefix: aws.String("")}, AbortIncompleteMultipartUpload: &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: aws.Int32(1)}}),
			"bucket-lifecycle", fail, "rule theirs drops the parts of uploads after 1 days", ""},
		{"everything goes on a day", rule(types.LifecycleRule{ID: aws.String("theirs"), Status: "Enabled", Filter: &types.LifecycleRuleFilter{Prefix: aws.String("")}, Expiration: &types.LifecycleExpiration{Date: aws.Time(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))}}),
			"bucket-lifecycle", fail, "on 2030-01-01, whatever their age", ""},
		{"the index goes to an archive", rule(types.LifecycleRule{ID: aws.String("theirs"), Status: "Enabled", Filter: &types.LifecycleRuleFilter{And: &types.LifecycleRuleAndOperator{Prefix: aws.String("sig"), ObjectSizeGreaterThan: aws.Int64(1)}},
			Transitions: []types.Transition{{Days: aws.Int32(1), StorageClass: "GLACIER"}}}),
			"bucket-lifecycle", fail, `moves objects under "sig" to GLACIER`, ""},
		{"no rule for valid entries", func(b *theirs) {
			b.configs["lifecycle"] = []byte(strings.ReplaceAll(string(b.configs["lifecycle"]), "signatures/valid/", "signatures/value/"))
		}, "bucket-lifecycle", fail, "are never removed", `add to "Rules":` + "\n" + `{"Expiration":{"Days":8},"Filter":{"Prefix":"signatures/valid/"}`},

		{"a queue that hears of uploads", func(b *theirs) {
			b.putNotification(types.NotificationConfiguration{QueueConfigurations: append(b.queue(), types.QueueConfiguration{
				Id: aws.String("old"), QueueArn: aws.String("arn:aws:sqs:eu-west-1:123456789012:old"), Events: []types.Event{"s3:ObjectCreated:Put"},
			})})
		}, "bucket-events", fail, `the notification old is of what is stored under ""`, "another prefix"},
		{"acceptance hears nothing", func(b *theirs) { b.putNotification(types.NotificationConfiguration{}) }, "bucket-events", fail,
			"does not notify arn:aws:sqs:eu-west-1:123456789012:oncegate-accept of uploads", `"QueueArn":"arn:aws:sqs:eu-west-1:123456789012:oncegate-accept"`},
		{"somebody hears of the index", func(b *theirs) {
			b.putNotification(types.NotificationConfiguration{QueueConfigurations: b.queue(), TopicConfigurations: []types.TopicConfiguration{{
				Id: aws.String("old"), TopicArn: aws.String("arn:aws:sns:eu-west-1:123456789012:old"), Events: []types.Event{"s3:ObjectCreated:*"},
				Filter: &types.NotificationConfigurationFilter{Key: &types.S3KeyFilter{FilterRules: []types.FilterRule{{Name: "Prefix", Value: aws.String("signatures/")}}}},
			}}})
		}, "bucket-events", ok, "the notification old, to arn:aws:sns:eu-west-1:123456789012:old, is also of entries of the index", ""},
		{"S3 answers pages itself", func(b *theirs) {
			b.ok(b.client.PutBucketCors(t.Context(), &s3.PutBucketCorsInput{Bucket: b.name, CORSConfiguration: &types.CORSConfiguration{CORSRules: []types.CORSRule{
				{AllowedMethods: []string{"PUT"}, AllowedOrigins: []string{"https://*.example.com"}, ExposeHeaders: []string{"ETag"}},
			}}}))
		}, "bucket-cors", fail, "CORS rule 1 answers pages that may upload", "x-amz-version-id"},
		{"new objects are locked", func(b *theirs) {
			b.ok(b.client.PutObjectLockConfiguration(t.Context(), &s3.PutObjectLockConfigurationInput{Bucket: b.name, ObjectLockConfiguration: &types.ObjectLockConfiguration{
				ObjectLockEnabled: "Enabled", Rule: &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: "GOVERNANCE", Days: aws.Int32(1)}},
			}}))
		}, "bucket-lock", fail, "Object Lock holds every new object (GOVERNANCE)", "put-object-lock-configuration"},
		{"other uploads are there", func(b *theirs) { b.keys = []string{"uploads/cat.jpg", "uploads/dog.jpg"} }, "bucket-keys", fail, `other objects under uploads/, such as "uploads/cat.jpg"`, "another bucket"},

		{"may not list", func(b *theirs) { b.refuse["list-type"] = "AccessDenied" }, "bucket-keys", unclear, "may not s3:ListBucket in eu-west-1", "allow it"},
		{"may not read versioning", func(b *theirs) { b.refuse["versioning"] = "AccessDenied" }, "bucket-versions", unclear, "may not s3:GetBucketVersioning", "allow it"},
		{"may not read the policy", func(b *theirs) { b.refuse["policy"] = "AccessDenied" }, "bucket-policy", unclear, "may not s3:GetBucketPolicy", "allow it"},
		{"may not read the blocks", func(b *theirs) { b.refuse["publicAccessBlock"] = "AccessDenied" }, "bucket-public", unclear, "may not s3:GetBucketPublicAccessBlock", "allow it"},
		{"may not read ownership", func(b *theirs) { b.refuse["ownershipControls"] = "AccessDenied" }, "bucket-ownership", unclear, "may not s3:GetBucketOwnershipControls", "allow it"},
		{"may not read the encryption", func(b *theirs) { b.refuse["encryption"] = "AccessDenied" }, "bucket-encryption", unclear, "may not s3:GetEncryptionConfiguration", "allow it"},
		{"may not read the lifecycle", func(b *theirs) { b.refuse["lifecycle"] = "AccessDenied" }, "bucket-lifecycle", unclear, "may not s3:GetLifecycleConfiguration", "allow it"},
		{"may not read the notifications", func(b *theirs) { b.refuse["notification"] = "AccessDenied" }, "bucket-events", unclear, "may not s3:GetBucketNotification", "allow it"},
		{"may not read CORS", func(b *theirs) { b.refuse["cors"] = "AccessDenied" }, "bucket-cors", unclear, "may not s3:GetBucketCORS", "allow it"},
		{"may not read the lock", func(b *theirs) { b.refuse["object-lock"] = "AccessDenied" }, "bucket-lock", unclear, "may not s3:GetBucketObjectLockConfiguration", "allow it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := fitting(t, accepting, theRole)
			c.change(b)
			for id, l := range b.examine(accepting) {
				switch {
				case id != c.id && (l.Result != ok || l.Found != "fits" && id != "bucket"):
					t.Errorf("another line: %s", l.Text())
				case id == c.id && (l.Result != c.result || !strings.Contains(l.Found, c.found) || !strings.Contains(l.Do, c.do)):
					t.Errorf("want %s %q, do %q:\n%s", c.result, c.found, c.do, l.Text())
				}
			}
		})
	}
}

// queue is the notification that acceptance needs.
func (b *theirs) queue() []types.QueueConfiguration {
	return []types.QueueConfiguration{{
		QueueArn: aws.String("arn:aws:sqs:eu-west-1:123456789012:oncegate-accept"), Events: []types.Event{"s3:ObjectCreated:*"},
		Filter: &types.NotificationConfigurationFilter{Key: &types.S3KeyFilter{FilterRules: []types.FilterRule{{Name: "Prefix", Value: aws.String("uploads/")}}}},
	}}
}

// TestBeforeTheDeploy: what is only there after it is not asked for, and said.
func TestBeforeTheDeploy(t *testing.T) {
	b := newTheirs(t)
	b.obey(b.examine(settings + "}"))
	lines := b.examine(accepting)
	for _, id := range []string{"bucket-policy", "bucket-events"} {
		if l := lines[id]; l.Result != doctor.Unclear || !strings.Contains(l.Do, "after the deploy: oncegate doctor again") {
			t.Errorf("%s", l.Text())
		}
	}
	if l := lines["bucket-lifecycle"]; l.Result != doctor.Fail || !strings.Contains(l.Do, `{"Expiration":{"Days":8},"Filter":{"And":{"Prefix":"uploads/","Tags":[{"Key":"oncegate","Value":"accepted"}]}}`) {
		t.Errorf("%s", l.Text())
	}
}

// TestRoleMayNotBeAsked: the two lines that need it say so, and the others stand.
func TestRoleMayNotBeAsked(t *testing.T) {
	b := fitting(t, accepting, theRole)
	b.refuse["lambda"] = "AccessDenied"
	for id, l := range b.examine(accepting) {
		needs := id == "bucket-policy" || id == "bucket-events"
		if (l.Result == doctor.Unclear) != needs || l.Result == doctor.Fail || needs != strings.Contains(l.Found, "may not lambda:GetFunctionConfiguration") {
			t.Errorf("%s", l.Text())
		}
	}
}

// TestExistingBucketItself: the bucket must be there, and nobody's stack's but yours.
func TestExistingBucketItself(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*theirs)
		result doctor.Result
		found  string
		rest   doctor.Result
	}{
		"none":               {func(b *theirs) { b.status = 404 }, doctor.Fail, "there is no bucket theirs", doctor.Skipped},
		"another account's":  {func(b *theirs) { b.status = 403 }, doctor.Fail, "another account's bucket", doctor.Skipped},
		"made by oncegate":   {func(b *theirs) { b.stack = "oncegate-bucket" }, doctor.Fail, "in the stack oncegate-bucket, as one that oncegate has made", doctor.OK},
		"made by your stack": {func(b *theirs) { b.stack = "app" }, doctor.OK, "theirs is yours, and stays so", doctor.OK},
	} {
		t.Run(name, func(t *testing.T) {
			b := fitting(t, settings+"}", "")
			c.change(b)
			lines := b.examine(settings + "}")
			if l := lines["bucket"]; l.Result != c.result || !strings.Contains(l.Found, c.found) {
				t.Errorf("%s", l.Text())
			}
			if l := lines["bucket-policy"]; l.Result != c.rest {
				t.Errorf("%s", l.Text())
			}
		})
	}
}

// TestKMS: the settings name the key that the bucket encrypts with.
func TestKMS(t *testing.T) {
	with := func(key string) string { return settings + `,"kmsKey":"` + key + `"}` }
	for _, c := range []struct {
		name, settings, key string
		bucketKey           bool
		result              doctor.Result
		found               string
	}{
		{"the key", with(theKey), theKey, true, doctor.OK, "must be allowed kms:GenerateDataKey and kms:Decrypt"},
		{"by its id", with(theKey), theKey[strings.Index(theKey, "/")+1:], true, doctor.OK, "must be allowed kms:GenerateDataKey and kms:Decrypt"},
		{"AWS's own", with("aws/s3"), "arn:aws:kms:eu-west-1:123456789012:alias/aws/s3", true, doctor.OK, "fits"},
		{"each request asks KMS", with(theKey), theKey, false, doctor.OK, "without a bucket key"},
		{"another key", with(theKey), theKey + "0", true, doctor.Fail, "the KMS key " + theKey + "0, and the settings have " + theKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := fitting(t, settings+"}", "")
			b.putEncryption("aws:kms", &c.key, c.bucketKey)
			l := b.examine(c.settings)["bucket-encryption"]
			if l.Result != c.result || !strings.Contains(l.Found, c.found) {
				t.Errorf("%s", l.Text())
			}
			const statement = `{"Sid":"OncegateThroughS3","Effect":"Allow","Principal":{"AWS":["*"]},"Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":["*"],` +
				`"Condition":{"ArnLike":{"aws:PrincipalArn":["arn:aws:iam::123456789012:role/oncegate-*"]},"StringEquals":{"kms:CallerAccount":["123456789012"],"kms:ViaService":["s3.eu-west-1.amazonaws.com"]}}}`
			if ours := l.Result == doctor.OK && c.name != "AWS's own"; strings.Contains(l.Do, statement) != ours {
				t.Errorf("%s", l.Text())
			}
		})
	}
	b := fitting(t, settings+"}", "")
	if l := b.examine(with(theKey))["bucket-encryption"]; l.Result != doctor.Fail || !strings.Contains(l.Found, "S3's keys, and the settings have the key "+theKey) {
		t.Errorf("%s", l.Text())
	}
	if l := b.examine(settings + `,"index":"dynamodb","versioned":false}`)["bucket-versions"]; l.Result != doctor.Fail || l.Do != `set "versioned" to true in the settings` {
		t.Errorf("%s", l.Text())
	}
}
