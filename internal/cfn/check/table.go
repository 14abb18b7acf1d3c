package check

import (
	"fmt"
	"strings"

	"oncegate/internal/cfn"
	"oncegate/internal/config"
	"oncegate/internal/layout"
)

// checkTable: with "index": "dynamodb" there is one table for the index, in the bucket's
// Region, which keeps what is in it.
func checkTable(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	t := d.Table
	if conf.Index != config.IndexDynamoDB {
		if t != nil {
			broken("there is a table %s, which the settings do not ask for", t.TableName)
		}
		return
	}
	if t == nil {
		broken("there is none, and the settings put the index into %s", conf.Table())
		return
	}
	if t.TableName != conf.Table() || t.Region != conf.Region {
		broken("is %s in %s, the settings say %s in %s", t.TableName, t.Region, conf.Table(), conf.Region)
	}
	if d.Outputs["TableName"] != conf.Table() {
		broken("output TableName is %q", d.Outputs["TableName"])
	}
	const key = "[{" + layout.TablePartitionKey + " HASH} {" + layout.TableSortKey + " RANGE}]"
	const types = "[{" + layout.TablePartitionKey + " S} {" + layout.TableSortKey + " S}]"
	if fmt.Sprint(t.KeySchema) != key || fmt.Sprint(t.AttributeDefinitions) != types {
		broken("has the key %v of types %v, want %s of types %s", t.KeySchema, t.AttributeDefinitions, key, types)
	}
	if t.BillingMode != "PAY_PER_REQUEST" {
		broken("is billed by %q, want on demand: a provisioned rate is a limit", t.BillingMode)
	}
	if ttl := t.TimeToLiveSpecification; !ttl.Enabled || ttl.AttributeName != layout.TableTimeToLive {
		broken("forgets items by %q, switched on: %v; want %q: items would stay for ever, or go too early",
			ttl.AttributeName, ttl.Enabled, layout.TableTimeToLive)
	}
	if !t.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled {
		broken("cannot be restored to a point in time")
	}
	if !t.DeletionProtectionEnabled {
		broken("is not protected from deletion")
	}
}

// tableRight returns one right on items of the table. Without attributes it is on all of them.
func tableRight(conf config.Config, action, condition string, partitions ...string) string {
	for i := range partitions {
		partitions[i] += "*"
	}
	return "Allow dynamodb:" + action + " on arn:aws:dynamodb:" + conf.Region + ":${AWS::AccountId}:table/" + conf.Table() +
		condition + " if ForAllValues:StringLike dynamodb:LeadingKeys " + strings.Join(partitions, "|")
}

// attributes is the condition that a request names none but these and the keys.
func attributes(names ...string) string {
	return " if ForAllValues:StringEquals dynamodb:Attributes " + strings.Join(append([]string{layout.TablePartitionKey, layout.TableSortKey}, names...), "|")
}

// tablePermissions are what the decisions of mint or gate need where the index is in a table.
func tablePermissions(function string, conf config.Config) []string {
	arn := "arn:aws:s3:::" + conf.Bucket
	if function != "mint" {
		return []string{
			tableRight(conf, "GetItem", "", layout.URLPartitions), tableRight(conf, "UpdateItem", "", layout.URLPartitions),
			"Allow s3:PutObject on " + arn + "/" + layout.Uploads + "*",
			"Allow s3:ListBucket on " + arn + " if StringLike s3:prefix " + layout.Uploads + "*",
			"Allow s3:ListMultipartUploadParts on " + arn + "/" + layout.Uploads + "*", "Allow s3:AbortMultipartUpload on " + arn + "/" + layout.Uploads + "*",
		}
	}
	read := attributes(layout.ClaimAttributes...)
	lines := []string{
		tableRight(conf, "UpdateItem", attributes(layout.MintedAttributes...), layout.URLPartitions),
		tableRight(conf, "UpdateItem", read+"|"+layout.ValidAttribute, layout.URLPartitions),
		tableRight(conf, "GetItem", "", layout.InvitationPartitions, layout.SlotPartitions),
		tableRight(conf, "UpdateItem", "", layout.InvitationPartitions, layout.SlotPartitions),
		tableRight(conf, "Query", "", layout.SlotPartitions),
	}
	if conf.Acceptance.On {
		lines = append(lines, tableRight(conf, "UpdateItem", "", layout.UploadPartitions))
	}
	if conf.Auth.Kind == config.AuthAPIKey {
		lines = append(lines, tableRight(conf, "GetItem", "", layout.APIKeyPartitions), tableRight(conf, "UpdateItem", "", layout.DayPartitions))
	}
	if conf.OwnerAPI {
		read += "|" + layout.ValidAttribute
		lines = append(lines, "Allow s3:GetObject on "+arn+"/"+layout.Uploads+"*", "Allow s3:ListBucket on "+arn)
	}
	return append(lines, tableRight(conf, "GetItem", read, layout.URLPartitions)+" if StringEqualsIfExists dynamodb:Select SPECIFIC_ATTRIBUTES")
}

// readUploadEntries is what a job needs to find who minted the URL of an upload.
func readUploadEntries(conf config.Config) string {
	if conf.Index == config.IndexDynamoDB {
		return tableRight(conf, "GetItem", "", layout.UploadPartitions)
	}
	return "Allow s3:GetObject on arn:aws:s3:::" + conf.Bucket + "/" + layout.UploadEntries + "*"
}
