package check_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"oncegate/internal/cfn"
	"oncegate/internal/cfn/cfntest"
	"oncegate/internal/cfn/check"
)

// TestCheckTable breaks the table of the index, and the rights on it, in one place at a time.
func TestCheckTable(t *testing.T) {
	const (
		kind  = "AWS::DynamoDB::Table"
		arn   = "arn:aws:dynamodb:us-east-1:${AWS::AccountId}:table/unversioned-uploads-index"
		items = " if ForAllValues:StringLike dynamodb:LeadingKeys "
	)
	table := func(t *templates) object { return t.Bucket.Properties(kind, "") }
	condition := func(document object, sid, operator string) object {
		return cfntest.Statement(document, sid)["Condition"].(object)[operator].(object)
	}
	for _, tt := range []damaged{
		{"another table", "unversioned", func(t *templates) { table(t)["TableName"] = "other" }, "table: is other in us-east-1, the settings say unversioned-uploads-index in us-east-1"},
		{"nobody is told its name", "unversioned", func(t *templates) { delete(t.Edge["Outputs"].(object), "TableName") }, `table: output TableName is ""`},
		{"no sort key", "unversioned", func(t *templates) { table(t)["KeySchema"] = table(t)["KeySchema"].([]any)[:1] },
			"table: has the key [{p HASH}]"},
		{"a number as key", "unversioned", func(t *templates) {
			table(t)["AttributeDefinitions"].([]any)[1].(object)["AttributeType"] = "N"
		}, "table: has the key [{p HASH} {k RANGE}] of types [{p S} {k N}]"},
		{"the mint cannot count", "unversioned", func(t *templates) { cfntest.Without(t.RolePolicy("Mint"), "CountURLs") },
			"permissions: oncegate-mint lacks: Allow dynamodb:UpdateItem on arn:aws:dynamodb:us-east-1:${AWS::AccountId}:table/unversioned-uploads-index if ForAllValues:StringLike dynamodb:LeadingKeys day#*"},
		{"a provisioned rate", "unversioned", func(t *templates) { table(t)["BillingMode"] = "PROVISIONED" }, `table: is billed by "PROVISIONED"`},
		{"items stay for ever", "unversioned", func(t *templates) { table(t)["TimeToLiveSpecification"].(object)["Enabled"] = false },
			`table: forgets items by "forget", switched on: false`},
		{"items go by the wrong time", "table", func(t *templates) {
			table(t)["TimeToLiveSpecification"].(object)["AttributeName"] = "expires"
		}, `table: forgets items by "expires"`},
		{"no recovery", "unversioned", func(t *templates) { delete(table(t), "PointInTimeRecoverySpecification") }, "table: cannot be restored"},
		{"anybody deletes it", "unversioned", func(t *templates) { table(t)["DeletionProtectionEnabled"] = false }, "table: is not protected from deletion"},
		{"one that nobody asks for", "plain", func(t *templates) { t.Bucket.Add("Extra", kind, object{"TableName": "x"}) }, "table: there is a table x"},

		{"it goes with the stack", "unversioned", func(t *templates) { t.Bucket.Resource(kind, "")["DeletionPolicy"] = "Delete" },
			`rollback: the table has deletion policy "Delete"`},
		{"it goes when it is replaced", "table", func(t *templates) { delete(t.Bucket.Resource(kind, ""), "UpdateReplacePolicy") },
			`rollback: the table has deletion policy "RetainExceptOnCreate" and update-replace policy ""`},
		{"something is made after it", "table", func(t *templates) {
			r := t.Bucket.Resource(kind, "")
			r["DependsOn"] = slices.DeleteFunc(r["DependsOn"].([]any), func(id any) bool { return strings.HasPrefix(id.(string), "AcceptSource") })
		}, "rollback: AWS::Lambda::EventSourceMapping AcceptSource"},

		{"the gate deletes items", "unversioned", func(t *templates) {
			s := cfntest.Statement(t.RolePolicy("Gate"), "SpendURLs")
			s["Action"] = append(s["Action"].([]any), "dynamodb:DeleteItem")
		}, "permissions: oncegate-gate has what it does not need: Allow dynamodb:DeleteItem on " + arn},
		{"the gate replaces items", "table", func(t *templates) {
			s := cfntest.Statement(t.RolePolicy("Gate"), "SpendURLs")
			s["Action"] = append(s["Action"].([]any), "dynamodb:PutItem")
		}, "regional: oncegate-regional-gate has what it does not need: Allow dynamodb:PutItem on "},
		{"the gate may do everything with every item", "unversioned", func(t *templates) {
			delete(cfntest.Statement(t.RolePolicy("Gate"), "SpendURLs"), "Condition")
		}, "permissions: oncegate-gate has what it does not need: Allow dynamodb:GetItem on " + arn},
		{"the gate reads keys", "unversioned", func(t *templates) {
			condition(t.RolePolicy("Gate"), "SpendURLs", "ForAllValues:StringLike")["dynamodb:LeadingKeys"] = []any{"url#*", "key#*"}
		}, "permissions: oncegate-gate has what it does not need: Allow dynamodb:GetItem on " + arn + items + "url#*|key#*"},
		{"the gate has another table as well", "unversioned", func(t *templates) {
			s := cfntest.Statement(t.RolePolicy("Gate"), "SpendURLs")
			s["Resource"] = []any{s["Resource"], "arn:aws:dynamodb:us-east-1:111122223333:table/other"}
		}, "permissions: oncegate-gate has what it does not need: Allow dynamodb:GetItem on arn:aws:dynamodb:us-east-1:111122223333:table/other"},
		{"the gate cannot spend", "unversioned", func(t *templates) {
			cfntest.Statement(t.RolePolicy("Gate"), "SpendURLs")["Action"] = "dynamodb:GetItem"
		}, "permissions: oncegate-gate lacks: Allow dynamodb:UpdateItem on " + arn},
		{"the gate reads an index in the bucket", "unversioned", func(t *templates) {
			cfntest.With(t.RolePolicy("Gate"), object{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::unversioned-uploads/signatures/valid/*"})
		}, "permissions: oncegate-gate has what it does not need: Allow s3:GetObject on arn:aws:s3:::unversioned-uploads/signatures/valid/*"},

		{"who mints may write over claims", "unversioned", func(t *templates) {
			names := condition(t.RolePolicy("Mint"), "MintURLs", "ForAllValues:StringEquals")
			names["dynamodb:Attributes"] = append(names["dynamodb:Attributes"].([]any), "claim")
		}, "permissions: oncegate-mint has what it does not need: Allow dynamodb:UpdateItem on " + arn + " if ForAllValues:StringEquals dynamodb:Attributes p|k|valid"},
		{"who mints may write every attribute", "table", func(t *templates) {
			delete(cfntest.Statement(t.RolePolicy("Mint"), "MintURLs")["Condition"].(object), "ForAllValues:StringEquals")
		}, "regional: oncegate-regional-mint has what it does not need: Allow dynamodb:UpdateItem on "},
		{"the mint lists URLs", "unversioned", func(t *templates) {
			condition(t.RolePolicy("Mint"), "ListSlots", "ForAllValues:StringLike")["dynamodb:LeadingKeys"] = "*"
		}, "permissions: oncegate-mint has what it does not need: Allow dynamodb:Query on " + arn + items + "*"},
		{"the mint reads what only owners may", "table", func(t *templates) {
			delete(cfntest.Statement(t.RolePolicy("Mint"), "ReadURLs")["Condition"].(object), "ForAllValues:StringEquals")
		}, "regional: oncegate-regional-mint has what it does not need: Allow dynamodb:GetItem on "},
		{"the mint reads all attributes at once", "unversioned", func(t *templates) {
			delete(cfntest.Statement(t.RolePolicy("Mint"), "ReadURLs")["Condition"].(object), "StringEqualsIfExists")
		}, "permissions: oncegate-mint has what it does not need: Allow dynamodb:GetItem on " + arn},
		{"acceptance reads URLs", "table", func(t *templates) {
			condition(t.Bucket.Role("AcceptRole"), "ReadUploadEntries", "ForAllValues:StringLike")["dynamodb:LeadingKeys"] = "*"
		}, "acceptance: oncegate-accept has what it does not need: Allow dynamodb:GetItem on "},
		{"the webhook cannot tell who minted", "table", func(t *templates) {
			cfntest.Without(t.Bucket.Role("WebhookRole"), "ReadUploadEntries")
		}, "acceptance: oncegate-webhook lacks: Allow dynamodb:GetItem on "},

		{"nothing watches throttled writes", "unversioned", func(t *templates) {
			t.Bucket.Properties("AWS::CloudWatch::Alarm", "TableWriteThrottles")["MetricName"] = "ThrottledRequests"
		}, "alarms: there is no alarm: in us-east-1 metric GreaterThanOrEqualToThreshold 1 in 1 of 1, missing data is notBreaching, where metric is Sum of AWS/DynamoDB WriteThrottleEvents TableName=unversioned-uploads-index"},
		{"errors of no operation", "table", func(t *templates) {
			p := t.Bucket.Properties("AWS::CloudWatch::Alarm", "TableErrors")
			p["Dimensions"] = slices.DeleteFunc(p["Dimensions"].([]any), func(d any) bool { return d.(object)["Name"] == "Operation" })
		}, "alarms: there is no alarm: in eu-central-1 metric GreaterThanOrEqualToThreshold 1 in 2 of 3"},

		{"a bucket that keeps versions", "unversioned", func(t *templates) {
			bucket(t)["VersioningConfiguration"] = object{"Status": "Enabled"}
		}, "bucket: versioning is Enabled, and the settings ask for none"},
		{"a bucket without versions beside a table", "table", func(t *templates) { delete(bucket(t), "VersioningConfiguration") },
			"bucket: versioning is not enabled"},
		{"versions of before stay for ever", "unversioned", func(t *templates) { delete(rule(t, "leftovers"), "NoncurrentVersionExpiration") },
			"lifecycle: valid entries, expired entries or old versions are never removed"},
		{"an index of before can be deleted", "unversioned", func(t *templates) { cfntest.Without(t.BucketPolicy(), "IndexIsNotDeleted") },
			"bucket policy: does not say: Deny s3:DeleteObject on arn:aws:s3:::unversioned-uploads/signatures/*"},
	} {
		t.Run(tt.name, tt.isNamed)
	}
}

// TestNoTable: the settings put the index into a table, and there is none.
func TestNoTable(t *testing.T) {
	d, err := cfn.Read(filepath.Join(fixtures, "unversioned"))
	if err != nil {
		t.Fatal(err)
	}
	d.Table = nil
	problems := check.Deployment(d, settings(t, "unversioned"))
	if len(problems) != 1 || problems[0].String() != "table: there is none, and the settings put the index into unversioned-uploads-index" {
		t.Errorf("got %v", problems)
	}
}
