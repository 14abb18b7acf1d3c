package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"oncegate/internal/config"
)

// edgeFunctions are the published versions that the distribution runs. page is nil where
// the settings have no page.
type edgeFunctions struct{ mint, gate, page awslambda.IVersion }

// newFunctions makes the Lambda@Edge functions from one artifact, each with a role of its
// own. The page's may do nothing but write its log.
func newFunctions(scope constructs.Construct, conf config.Config, artifact string) edgeFunctions {
	code := awslambda.Code_FromAsset(jsii.String(artifact), &awss3assets.AssetOptions{})
	mint, gate := mintStatements(scope, conf), gateStatements(scope, conf)
	if conf.Deploy.Runtime == config.RuntimeRegional {
		mint, gate = askStatements(scope, conf, "mint"), askStatements(scope, conf, "gate")
	}
	functions := edgeFunctions{
		mint: newFunction(scope, conf, code, "Mint", "mint", "index.mint", mint),
		gate: newFunction(scope, conf, code, "Gate", "gate", "index.gate", gate),
	}
	if conf.Page.On {
		functions.page = newFunction(scope, conf, code, "Page", "page", "page.handler", nil)
	}
	return functions
}

// askStatements lets a stub invoke the one function that decides for it, and nothing else.
func askStatements(scope constructs.Construct, conf config.Config, name string) []awsiam.PolicyStatement {
	return []awsiam.PolicyStatement{allow("Ask", []string{"lambda:InvokeFunction"},
		"arn:aws:lambda:"+conf.Region+":"+account(scope)+":function:"+conf.Deploy.RegionalName(name))}
}

func newFunction(scope constructs.Construct, conf config.Config, code awslambda.Code, id, name, handler string, statements []awsiam.PolicyStatement) awslambda.IVersion {
	runtime := awslambda.Runtime_NODEJS_22_X()
	if conf.Deploy.NodeRuntime == config.Node24 {
		runtime = awslambda.NewRuntime(jsii.String(config.Node24), awslambda.RuntimeFamily_NODEJS, nil)
	}
	function := awslambda.NewFunction(scope, jsii.String(id), &awslambda.FunctionProps{
		FunctionName:  jsii.String(conf.Deploy.FunctionName(name)),
		Description:   jsii.String("oncegate " + name + ", viewer request"),
		Code:          code,
		Handler:       jsii.String(handler),
		Runtime:       runtime,
		MemorySize:    jsii.Number(conf.Deploy.Memory),
		Timeout:       awscdk.Duration_Seconds(jsii.Number(conf.Deploy.Timeout)),
		Role:          newRole(scope, conf, id+"Role", name, statements),
		LoggingFormat: awslambda.LoggingFormat_JSON,
		// A replicated version cannot be deleted while a distribution uses it:
		// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-edge-delete-replicas.html.
		// The function's own deletion takes them all. A version that a deploy published which is
		// then rolled back goes: Lambda publishes none that is like the last one.
		CurrentVersionOptions: &awslambda.VersionOptions{RemovalPolicy: keep},
	})
	suppress(function, "AwsSolutions-L1", "The runtime is a setting: Lambda@Edge takes a new Node.js later than Lambda does")
	return function.CurrentVersion()
}

// logGroupName is where CloudFront's replicas of a function log, in the Region
// they run in:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/edge-functions-logs.html
func logGroupName(conf config.Config, name string) string {
	return "/aws/lambda/us-east-1." + conf.Deploy.FunctionName(name)
}

// newRole makes an execution role that both services of Lambda@Edge may assume:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-edge-permissions.html
func newRole(scope constructs.Construct, conf config.Config, id, name string, statements []awsiam.PolicyStatement) awsiam.Role {
	logs := allow("Logs", []string{"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"},
		"arn:aws:logs:*:"+account(scope)+":log-group:"+logGroupName(conf, name)+":*")
	all := append(statements, logs)
	role := awsiam.NewRole(scope, jsii.String(id), &awsiam.RoleProps{
		Description: jsii.String("oncegate " + name + " at the edge"),
		AssumedBy: awsiam.NewCompositePrincipal(
			awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
			awsiam.NewServicePrincipal(jsii.String("edgelambda.amazonaws.com"), nil),
		),
		InlinePolicies: &map[string]awsiam.PolicyDocument{
			name: awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &all}),
		},
	})
	suppress(role, "AwsSolutions-IAM5", "Keys below one prefix of one bucket, and one log group in whatever Region the function runs")
	return role
}

// mintStatements lets the mint write valid entries, and give out the slots of invitations:
// it takes URLs back whose slots it gives to others. With API keys it also reads their
// records. With the owner API it also reports on URLs.
func mintStatements(scope constructs.Construct, conf config.Config) []awsiam.PolicyStatement {
	return append(mintIndexStatements(scope, conf), keyStatements(conf, "kms:GenerateDataKey", "kms:Decrypt")...)
}

func mintIndexStatements(scope constructs.Construct, conf config.Config) []awsiam.PolicyStatement {
	if conf.Index == config.IndexDynamoDB {
		return mintTableStatements(scope, conf)
	}
	statements := []awsiam.PolicyStatement{
		allow("WriteValidEntries", []string{"s3:PutObject"}, objects(conf, validKeys)),
		// PutObject with If-Match needs s3:GetObject as well:
		// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
		allow("Invitations", []string{"s3:GetObject", "s3:PutObject"}, objects(conf, invitationKeys)),
		allow("ReadExpiredEntries", []string{"s3:GetObject"}, objects(conf, expiredKeys)),
		allow("RevokeURLs", []string{"s3:PutObject"}, objects(conf, expiredKeys)),
		// Lists of slots need it. There is no condition on s3:prefix: without it S3 answers
		// 403 for what is absent, as for the gate below, and an unknown URL, key or
		// invitation would be 503.
		allow("TellAbsent", []string{"s3:ListBucket"}, bucketARN(conf)),
	}
	if conf.Acceptance.On {
		statements = append(statements, allow("WriteUploadEntries", []string{"s3:PutObject"}, objects(conf, uploadEntryKeys)))
	}
	if conf.Auth.Kind == config.AuthAPIKey {
		statements = append(statements, allow("ReadKeys", []string{"s3:GetObject"}, objects(conf, apiKeys)))
	}
	if conf.OwnerAPI {
		// HeadObject of an upload needs s3:GetObject. S3 offers no narrower permission.
		statements = append(statements, allow("ReadURLs", []string{"s3:GetObject"}, objects(conf, validKeys), objects(conf, uploadKeys)))
	}
	return statements
}

// gateStatements lets the gate read the index, write expired entries, and sign uploads, with
// tags where the settings have some. Tags are what acceptance goes by, so other gates may set none.
// Creating and completing a multipart upload is s3:PutObject, as a part is:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuAndPermissions.html
func gateStatements(scope constructs.Construct, conf config.Config) []awsiam.PolicyStatement {
	statements := append(gateIndexStatements(scope, conf), keyStatements(conf, "kms:GenerateDataKey", "kms:Decrypt")...)
	if len(conf.Tags) > 0 {
		statements = append(statements, allow("TagUploads", []string{"s3:PutObjectTagging"}, objects(conf, uploadKeys)))
	}
	return statements
}

func gateIndexStatements(scope constructs.Construct, conf config.Config) []awsiam.PolicyStatement {
	if conf.Index == config.IndexDynamoDB {
		return gateTableStatements(scope, conf)
	}
	return []awsiam.PolicyStatement{
		allow("ReadIndex", []string{"s3:GetObject"}, objects(conf, validKeys), objects(conf, expiredKeys)),
		allow("WriteExpiredEntries", []string{"s3:PutObject"}, objects(conf, expiredKeys)),
		allow("StoreUploads", []string{"s3:PutObject"}, objects(conf, uploadKeys)),
		// Without it S3 answers 403 instead of 404 for an absent object, and the gate
		// would refuse every upload. There is no condition on s3:prefix, because
		// HeadObject has none:
		// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
		allow("TellAbsentEntries", []string{"s3:ListBucket"}, bucketARN(conf)),
		// For "firstVersion": "listed", and there whatever the settings: CloudFormation
		// updates a role before the distribution, and a gate of the old settings that may no
		// longer list would spend URLs for nothing.
		when(allow("ListVersions", []string{"s3:ListBucketVersions"}, bucketARN(conf)), "StringLike", "s3:prefix", expiredKeys),
		// For "multipart", and there whatever the settings, for the same reason.
		allow("NameMultipartUploads", []string{"s3:GetObject", "s3:PutObject"}, objects(conf, partsKeys)),
		allow("ListAndDropParts", []string{"s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"}, objects(conf, uploadKeys)),
	}
}

func allow(sid string, actions []string, resources ...string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:       jsii.String(sid),
		Effect:    awsiam.Effect_ALLOW,
		Actions:   jsii.Strings(actions...),
		Resources: jsii.Strings(resources...),
	})
}

// account is that of the stack that scope is in.
func account(scope constructs.Construct) string { return *awscdk.Stack_Of(scope).Account() }

// bucketARN and objects write the bucket's name out, because it belongs to another stack.
// Lambda@Edge exists in partition "aws" alone.
func bucketARN(conf config.Config) string { return "arn:aws:s3:::" + conf.Bucket }

func objects(conf config.Config, keys string) string { return bucketARN(conf) + "/" + keys }
