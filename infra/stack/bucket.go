package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"

	"oncegate/internal/config"
	"oncegate/internal/layout"
)

// What the gate and the mint may touch.
const (
	validKeys   = layout.ValidEntries + "*"
	expiredKeys = layout.ExpiredEntries + "*"
	partsKeys   = layout.PartsEntries + "*"
	indexKeys   = layout.Index + "*"
	uploadKeys  = layout.Uploads + "*"
	apiKeys     = layout.APIKeys + "*"

	invitationKeys = layout.Invitations + "*"
)

// keep retains what a stack made, but for what a deploy made that is then rolled back: left
// behind, a bucket or a published version would be in the way of every later try.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html
const keep = awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE

// newBucket makes the bucket for uploads and index. It has no CORS rule: CloudFront's policy
// adds those headers only where the origin has none, and S3 does not say whether its own
// would let pages send credentials. The bucket outlives its stack, and
// so does its policy: without the policy the index could be deleted. Policy and lifecycle are
// the same with an index in a table: an index that was in the bucket before stays guarded, goes
// with time, and is whole if the setting goes back.
func newBucket(stack awscdk.Stack, conf config.Config) awss3.Bucket {
	bucket := awss3.NewBucket(stack, jsii.String("Bucket"), &awss3.BucketProps{
		BucketName:        jsii.String(conf.Bucket),
		Versioned:         jsii.Bool(conf.Versioned),
		Encryption:        awss3.BucketEncryption_S3_MANAGED,
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		ObjectOwnership:   awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		EnforceSSL:        jsii.Bool(true),
		MinimumTLSVersion: jsii.Number(1.2),
		RemovalPolicy:     keep,
		LifecycleRules:    lifecycle(conf),
		// Request metrics, for the dashboard's S3 errors.
		Metrics: &[]*awss3.BucketMetrics{{Id: jsii.String(requestMetrics)}},
	})
	protectIndex(bucket)
	bucket.Policy().ApplyRemovalPolicy(keep)
	suppress(bucket, "AwsSolutions-S1", "Server access logs write down queries, and with them upload signatures; CloudTrail data events do not")
	return bucket
}

// lifecycle keeps an expired entry longer than the valid entry and longer than any URL
// lives: without its expired entry a URL could be spent again. S3 itself removes
// objects, so denying s3:DeleteObject does not stop it:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html
// (only denying s3:PutLifecycleConfiguration would). A slot of an invitation goes when no
// invitation is left that was made before it.
func lifecycle(conf config.Config) *[]*awss3.LifecycleRule {
	rules := []*awss3.LifecycleRule{
		{Id: jsii.String("valid-entries"), Prefix: jsii.String(layout.ValidEntries), Expiration: days(config.KeepValidDays)},
		{Id: jsii.String("parts-entries"), Prefix: jsii.String(layout.PartsEntries), Expiration: days(config.KeepValidDays)},
		{Id: jsii.String("expired-entries"), Prefix: jsii.String(layout.ExpiredEntries), Expiration: days(conf.Deploy.KeepExpiredDays)},
		{Id: jsii.String("invitations"), Prefix: jsii.String(layout.Invitations), Expiration: days(config.KeepInvitationsDays)},
		{
			// Also where versioning is off, for it may have been on.
			Id:                          jsii.String("leftovers"),
			NoncurrentVersionExpiration: days(config.KeepNoncurrentDays),
			// The parts of an upload are good for as long as its URL.
			AbortIncompleteMultipartUploadAfter: days(config.KeepValidDays),
			ExpiredObjectDeleteMarker:           jsii.Bool(true),
		},
	}
	if conf.Deploy.KeepUploadsDays > 0 {
		rules = append(rules, &awss3.LifecycleRule{
			Id: jsii.String("uploads"), Prefix: jsii.String(layout.Uploads), Expiration: days(conf.Deploy.KeepUploadsDays),
		})
	}
	if conf.Acceptance.On {
		rules = append(rules, acceptanceLifecycle(conf)...)
	}
	return &rules
}

// protectIndex enforces the first-version rule for every principal, the account's
// administrators included, so that no bug of ours can break it. The same holds for the
// entry that names the one multipart upload of a URL.
func protectIndex(bucket awss3.Bucket) {
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
	bucket.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("ClaimsAreConditional"),
		Effect:     awsiam.Effect_DENY,
		Principals: &[]awsiam.IPrincipal{awsiam.NewAnyPrincipal()},
		Actions:    jsii.Strings("s3:PutObject"),
		Resources:  &[]*string{bucket.ArnForObjects(jsii.String(expiredKeys)), bucket.ArnForObjects(jsii.String(partsKeys))},
		Conditions: &map[string]interface{}{"Null": map[string]string{"s3:if-none-match": "true"}},
	}))
	// An invitation, or a slot of it, is made once, and changed by who has seen what it says.
	bucket.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("InvitationsAreConditional"),
		Effect:     awsiam.Effect_DENY,
		Principals: &[]awsiam.IPrincipal{awsiam.NewAnyPrincipal()},
		Actions:    jsii.Strings("s3:PutObject"),
		Resources:  &[]*string{bucket.ArnForObjects(jsii.String(invitationKeys))},
		// Both keys are absent: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html
		Conditions: &map[string]interface{}{"Null": map[string]string{"s3:if-none-match": "true", "s3:if-match": "true"}},
	}))
	// A delete without a version id hides an entry behind a delete marker, and a slot would
	// be free again.
	// s3:DeleteObjectVersion stays allowed: with it an operator enables a URL again.
	bucket.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("IndexIsNotDeleted"),
		Effect:     awsiam.Effect_DENY,
		Principals: &[]awsiam.IPrincipal{awsiam.NewAnyPrincipal()},
		Actions:    jsii.Strings("s3:DeleteObject"),
		Resources:  &[]*string{bucket.ArnForObjects(jsii.String(indexKeys)), bucket.ArnForObjects(jsii.String(invitationKeys))},
	}))
}

func days(n int) awscdk.Duration { return awscdk.Duration_Days(jsii.Number(n)) }
