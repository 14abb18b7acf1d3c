package stack

import (
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"oncegate/internal/config"
	"oncegate/internal/layout"
)

// newTable makes the table of the signature index, with alarms on it. It is one table in one
// Region: each Region of a global table judges a condition by what it has itself, so two could
// claim one URL. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html
//
// Nothing says how to encrypt it, so the key is one of DynamoDB's own, as it is S3's for the bucket: a key of the account
// would put KMS, with limits and prices of its own, into the way of every request:
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.howitworks.html
//
// The table outlives its stack. It is made after everything else there, because DynamoDB
// refuses to delete a protected table: what fails must fail before it, so that no rollback
// has to delete it.
func newTable(stack awscdk.Stack, conf config.Config, alarms alarms) {
	alarms.watchTable(conf.Table())
	var others []constructs.IDependable
	for _, other := range *stack.Node().Children() {
		others = append(others, other)
	}
	table := awsdynamodb.NewTable(stack, jsii.String("Table"), &awsdynamodb.TableProps{
		TableName:           jsii.String(conf.Table()),
		PartitionKey:        &awsdynamodb.Attribute{Name: jsii.String(layout.TablePartitionKey), Type: awsdynamodb.AttributeType_STRING},
		SortKey:             &awsdynamodb.Attribute{Name: jsii.String(layout.TableSortKey), Type: awsdynamodb.AttributeType_STRING},
		BillingMode:         awsdynamodb.BillingMode_PAY_PER_REQUEST,
		TimeToLiveAttribute: jsii.String(layout.TableTimeToLive),
		PointInTimeRecoverySpecification: &awsdynamodb.PointInTimeRecoverySpecification{
			PointInTimeRecoveryEnabled: jsii.Bool(true),
		},
		DeletionProtection: jsii.Bool(true),
		RemovalPolicy:      keep,
	})
	table.Node().AddDependency(others...)
}

// watchTable makes the alarms on the table. DynamoDB counts throttled reads and writes for a
// table, and its own errors for each operation of it; every mint and every spend is an
// UpdateItem. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
func (a alarms) watchTable(name string) {
	table := map[string]*string{"TableName": jsii.String(name)}
	update := map[string]*string{"TableName": jsii.String(name), "Operation": jsii.String("UpdateItem")}
	for _, x := range []struct{ id, metric, what string }{
		{"TableReadThrottles", "ReadThrottleEvents", "reads"},
		{"TableWriteThrottles", "WriteThrottleEvents", "writes"},
	} {
		a.add(x.id+"Alarm", alarm{
			name: x.id, what: "DynamoDB throttled " + x.what + " of " + name + ": requests are tried again, then viewers get 503",
			metric: metric("AWS/DynamoDB", x.metric, "Sum", &table), threshold: 1,
		})
	}
	a.add("TableErrorsAlarm", alarm{
		name: "TableErrors", what: "DynamoDB has faults of its own at " + name + ": viewers may get 503",
		metric: metric("AWS/DynamoDB", "SystemErrors", "Sum", &update), threshold: 1, reaches: 2, last: 3,
	})
}

// mintTableStatements lets the mint write what is minted, and take back the URLs whose slots
// it gives to others. A claim asks whether its URL was minted. IAM counts that as a use of the
// attribute, and cannot tell whether an attribute is read, written or removed:
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
func mintTableStatements(scope constructs.Construct, conf config.Config) []awsiam.PolicyStatement {
	table := tableARN(scope, conf)
	read := slices.Clip(layout.ClaimAttributes)
	statements := []awsiam.PolicyStatement{
		items(allow("MintURLs", []string{"dynamodb:UpdateItem"}, table), layout.URLPartitions, layout.MintedAttributes...),
		items(allow("TakeURLsBack", []string{"dynamodb:UpdateItem"}, table), layout.URLPartitions, append(read, layout.ValidAttribute)...),
		when(allow("Invitations", []string{"dynamodb:GetItem", "dynamodb:UpdateItem"}, table),
			"ForAllValues:StringLike", leadingKeys, layout.InvitationPartitions+"*", layout.SlotPartitions+"*"),
		items(allow("ListSlots", []string{"dynamodb:Query"}, table), layout.SlotPartitions),
	}
	if conf.Acceptance.On {
		statements = append(statements, items(allow("WriteUploadEntries", []string{"dynamodb:UpdateItem"}, table), layout.UploadPartitions))
	}
	if conf.Auth.Kind == config.AuthAPIKey {
		statements = append(statements, items(allow("ReadKeys", []string{"dynamodb:GetItem"}, table), layout.APIKeyPartitions),
			items(allow("CountURLs", []string{"dynamodb:UpdateItem"}, table), layout.DayPartitions))
	}
	if conf.OwnerAPI {
		read = append(read, layout.ValidAttribute)
		// HeadObject of an upload needs s3:GetObject, and s3:ListBucket to tell what is absent.
		statements = append(statements, allow("ReadUploads", []string{"s3:GetObject"}, objects(conf, uploadKeys)),
			allow("TellAbsentUploads", []string{"s3:ListBucket"}, bucketARN(conf)))
	}
	// Without a list of attributes a request is for all of them.
	return append(statements, when(items(allow("ReadURLs", []string{"dynamodb:GetItem"}, table), layout.URLPartitions, read...),
		"StringEqualsIfExists", "dynamodb:Select", "SPECIFIC_ATTRIBUTES"))
}

// gateTableStatements lets the gate read and spend URLs, and sign uploads. The one request
// that spends a URL names all of its attributes, so there is no condition on them.
func gateTableStatements(scope constructs.Construct, conf config.Config) []awsiam.PolicyStatement {
	return []awsiam.PolicyStatement{
		items(allow("SpendURLs", []string{"dynamodb:GetItem", "dynamodb:UpdateItem"}, tableARN(scope, conf)), layout.URLPartitions),
		allow("StoreUploads", []string{"s3:PutObject"}, objects(conf, uploadKeys)),
		// For "multipart", and there whatever the settings, as with the index in the bucket.
		when(allow("FindUploads", []string{"s3:ListBucket"}, bucketARN(conf)), "StringLike", "s3:prefix", uploadKeys),
		allow("ListAndDropParts", []string{"s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"}, objects(conf, uploadKeys)),
	}
}

// readUploadEntries lets a job find who minted the URL of an upload.
func readUploadEntries(scope constructs.Construct, conf config.Config) awsiam.PolicyStatement {
	if conf.Index == config.IndexDynamoDB {
		return items(allow("ReadUploadEntries", []string{"dynamodb:GetItem"}, tableARN(scope, conf)), layout.UploadPartitions)
	}
	return allow("ReadUploadEntries", []string{"s3:GetObject"}, objects(conf, uploadEntryKeys))
}

const leadingKeys = "dynamodb:LeadingKeys"

// items limits a statement to the items whose partition begins so and, if there are any
// attributes, to these and the keys, without which DynamoDB could do nothing.
func items(s awsiam.PolicyStatement, partitions string, attributes ...string) awsiam.PolicyStatement {
	when(s, "ForAllValues:StringLike", leadingKeys, partitions+"*")
	if len(attributes) > 0 {
		when(s, "ForAllValues:StringEquals", "dynamodb:Attributes",
			append([]string{layout.TablePartitionKey, layout.TableSortKey}, attributes...)...)
	}
	return s
}

// tableARN writes the table's name out, because it belongs to another stack.
func tableARN(scope constructs.Construct, conf config.Config) string {
	return "arn:aws:dynamodb:" + conf.Region + ":" + account(scope) + ":table/" + conf.Table()
}
