package check_test

import (
	"path/filepath"
	"testing"

	"oncegate/internal/cfn"
	"oncegate/internal/cfn/cfntest"
	"oncegate/internal/cfn/check"
)

// TestCheckBucket breaks the bucket in one place at a time.
func TestCheckBucket(t *testing.T) {
	for _, name := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
		t.Run(name, damaged{name, "plain", func(t *templates) {
			bucket(t)["PublicAccessBlockConfiguration"].(object)[name] = false
		}, "bucket: public access is not blocked in all four ways"}.isNamed)
	}
	for _, tt := range []damaged{
		{"a key that is not S3's", "plain", func(t *templates) {
			rules := bucket(t)["BucketEncryption"].(object)["ServerSideEncryptionConfiguration"].([]any)
			rules[0].(object)["ServerSideEncryptionByDefault"] = object{"SSEAlgorithm": "aws:kms"}
		}, "bucket: objects are not encrypted with S3's keys (AES256)"},
		{"another's objects", "plain", func(t *templates) {
			bucket(t)["OwnershipControls"] = object{"Rules": []any{object{"ObjectOwnership": "ObjectWriter"}}}
		}, "bucket: object ownership is not enforced"},
	} {
		t.Run(tt.name, tt.isNamed)
	}
}

// TestCheckLifecycle breaks one lifecycle rule at a time, or adds one.
func TestCheckLifecycle(t *testing.T) {
	const never = "lifecycle: valid entries, expired entries or old versions are never removed"
	accepted := []any{object{"Key": "oncegate", "Value": "accepted"}}
	for _, tt := range []damaged{
		{"valid entries stay", "plain", func(t *templates) { rule(t, "valid-entries")["Status"] = "Disabled" }, never},
		{"expired entries stay", "plain", func(t *templates) { rule(t, "expired-entries")["Status"] = "Disabled" }, never},
		{"expired entries go before their time", "plain", func(t *templates) { rule(t, "expired-entries")["ExpirationInDays"] = 20 },
			"lifecycle: expired entries are removed after 20 days, the settings say 30"},
		{"uploads stay", "full", func(t *templates) { rule(t, "uploads")["Status"] = "Disabled" }, "lifecycle: uploads are never removed, the settings say after "},
		{"old versions stay", "plain", func(t *templates) { delete(rule(t, "leftovers"), "NoncurrentVersionExpiration") }, never},
		{"parts entries go by an earlier rule", "plain", func(t *templates) {
			addRule(t, object{"Id": "x", "Status": "Enabled", "Prefix": "signatures/parts/", "ExpirationInDays": 1})
		}, "lifecycle: parts entries are removed after 1 days, a URL can live for 7"},
		{"upload entries go too early", "accepting", func(t *templates) { rule(t, "upload-entries")["ExpirationInDays"] = 7 },
			`lifecycle: rule upload-entries removes current objects under "signatures/uploads/" after 7 days`},
		{"upload entries go though nothing writes them", "plain", func(t *templates) {
			addRule(t, object{"Id": "x", "Status": "Enabled", "Prefix": "signatures/uploads/", "ExpirationInDays": 8})
		}, `lifecycle: rule x removes current objects under "signatures/uploads/" after 8 days`},
		{"accepted uploads go though nothing accepts", "plain", func(t *templates) {
			addRule(t, object{"Id": "x", "Status": "Enabled", "Prefix": "uploads/", "ExpirationInDays": 8, "TagFilters": accepted})
		}, `lifecycle: rule x removes current objects under "uploads/" after 8 days`},
		{"accepted uploads stay", "accepting", func(t *templates) { rule(t, "accepted-uploads")["Status"] = "Disabled" },
			"lifecycle: accepted uploads are removed after 0 days, the settings say 8"},
		{"parts of copies stay by a rule that is off", "accepting", func(t *templates) { rule(t, "unfinished-copies")["Status"] = "Disabled" },
			"lifecycle: the parts of copies that were not finished are dropped after 0 days, want 1"},
		{"uploads with another tag go", "accepting", func(t *templates) {
			rule(t, "accepted-uploads")["TagFilters"] = []any{object{"Key": "other", "Value": "accepted"}}
		}, "lifecycle: rule accepted-uploads removes current objects"},
		{"uploads go that are not accepted yet", "accepting", func(t *templates) {
			rule(t, "accepted-uploads")["TagFilters"] = []any{object{"Key": "oncegate", "Value": "copying"}}
		}, "lifecycle: rule accepted-uploads removes current objects"},
	} {
		t.Run(tt.name, tt.isNamed)
	}

	// A rule that is off removes nothing.
	dir := cfntest.Changed(t, filepath.Join(fixtures, "plain"), func(t *templates) {
		addRule(t, object{"Id": "x", "Status": "Disabled", "Prefix": "uploads/", "ExpirationInDays": 1,
			"AbortIncompleteMultipartUpload": object{"DaysAfterInitiation": 1}})
	})
	d, err := cfn.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range check.Deployment(d, settings(t, "plain")) {
		t.Errorf("a rule that is off: %v", p)
	}
}
