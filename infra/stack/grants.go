package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"

	"oncegate/internal/config"
	"oncegate/internal/layout"
)

// DirectStatements let an operator make URLs without a request to the deployment. docs/cli.md
// has the same list.
func DirectStatements(scope constructs.Construct, conf config.Config) []awsiam.PolicyStatement {
	if conf.Index == config.IndexDynamoDB {
		table := tableARN(scope, conf)
		all := []awsiam.PolicyStatement{items(allow("MintURLs", []string{"dynamodb:UpdateItem"}, table), layout.URLPartitions, layout.MintedAttributes...)}
		if conf.Acceptance.On {
			all = append(all, items(allow("WriteUploadEntries", []string{"dynamodb:UpdateItem"}, table), layout.UploadPartitions))
		}
		return all
	}
	all := []awsiam.PolicyStatement{allow("WriteValidEntries", []string{"s3:PutObject"}, objects(conf, validKeys))}
	if conf.Acceptance.On {
		all = append(all, allow("WriteUploadEntries", []string{"s3:PutObject"}, objects(conf, uploadEntryKeys)))
	}
	return all
}

// OperatorStatements let an operator see what became of URLs, and revoke and enable them.
func OperatorStatements(scope constructs.Construct, conf config.Config) []awsiam.PolicyStatement {
	all := []awsiam.PolicyStatement{
		allow("TellAbsent", []string{"s3:ListBucket"}, bucketARN(conf)),
		allow("ReadUploads", []string{"s3:GetObject"}, objects(conf, uploadKeys)),
	}
	if conf.Index == config.IndexDynamoDB {
		return append(all, items(allow("OperateURLs", []string{"dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:Query"}, tableARN(scope, conf)),
			layout.URLPartitions), items(allow("ReadUploadEntries", []string{"dynamodb:GetItem"}, tableARN(scope, conf)), layout.UploadPartitions))
	}
	return append(all,
		allow("ListVersions", []string{"s3:ListBucketVersions"}, bucketARN(conf)),
		allow("ReadIndex", []string{"s3:GetObject"}, objects(conf, indexKeys)),
		allow("RevokeURLs", []string{"s3:PutObject"}, objects(conf, expiredKeys)),
		allow("EnableURLs", []string{"s3:DeleteObjectVersion"}, objects(conf, expiredKeys)),
	)
}

// ReaderStatements let somebody read what was uploaded.
func ReaderStatements(conf config.Config) []awsiam.PolicyStatement {
	return []awsiam.PolicyStatement{
		allow("ReadUploads", []string{"s3:GetObject", "s3:GetObjectVersion"}, objects(conf, uploadKeys)),
		when(allow("ListUploads", []string{"s3:ListBucket"}, bucketARN(conf)), "StringLike", "s3:prefix", uploadKeys),
	}
}

// ConsumerStatements let somebody read what was accepted, and delete it when they are done.
func ConsumerStatements(conf config.Config) []awsiam.PolicyStatement {
	return []awsiam.PolicyStatement{
		allow("TakeAccepted", []string{"s3:GetObject", "s3:GetObjectVersion", "s3:DeleteObject"}, objects(conf, acceptedKeys)),
		when(allow("ListAccepted", []string{"s3:ListBucket"}, bucketARN(conf)), "StringLike", "s3:prefix", acceptedKeys),
	}
}
