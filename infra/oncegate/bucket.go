package oncegate

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3notifications"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"oncegate/infra/stack"
	"oncegate/internal/cfn"
	"oncegate/internal/cfn/check"
	"oncegate/internal/layout"
)

// ErrBucket is the error for a bucket of yours that cannot take the gate. The text says why.
var ErrBucket = errors.New("the bucket cannot take the gate")

// BucketPolicyStatements are what the policy of an existing bucket must say, whatever else it
// says: for a bucket that is not in this app, or whose policy is made elsewhere.
func (g *Gate) BucketPolicyStatements() ([]awsiam.PolicyStatement, error) {
	role := ""
	if g.made.AcceptanceRole != nil {
		role = *g.made.AcceptanceRole.RoleArn()
	}
	return stack.TheirStatements(g.conf, role)
}

// BucketLifecycleRules are what removes from an existing bucket what the gate has written, and
// nothing else.
func (g *Gate) BucketLifecycleRules() []*awss3.LifecycleRule { return stack.TheirLifecycle(g.conf) }

// AddTo adds to a bucket of this app what a gate with "existingBucket": true needs: statements
// of its policy, lifecycle rules for what the gate writes and, with acceptance, a notification.
// Nothing else is changed. What is in the way, and is written in the app, is an error, and
// nothing is added; for the rest run oncegate doctor after the deploy.
func (g *Gate) AddTo(bucket awss3.Bucket) error {
	if err := g.judge(bucket); err != nil {
		return fmt.Errorf("oncegate: %w", err)
	}
	statements, err := g.BucketPolicyStatements()
	if err != nil {
		return fmt.Errorf("oncegate: %w", err)
	}
	for _, s := range statements {
		bucket.AddToResourcePolicy(s)
	}
	for _, rule := range g.BucketLifecycleRules() {
		bucket.AddLifecycleRule(rule)
	}
	theirs := awscdk.Stack_Of(bucket)
	if g.conf.Acceptance.On {
		// S3 tries the queue when it is configured. By its name, as its policy names the bucket:
		// with references each stack would wait for the other.
		theirs.AddStackDependency(g.made.Bucket, jsii.String("the queue of acceptance comes first"))
		queue := awssqs.Queue_FromQueueArn(theirs, jsii.String(g.conf.Deploy.Name+"-accept"), jsii.String("arn:aws:sqs:"+g.conf.Region+":"+
			*theirs.Account()+":"+g.conf.Deploy.FunctionName(Accept)))
		bucket.AddEventNotification(awss3.EventType_OBJECT_CREATED, awss3notifications.NewSqsDestination(queue),
			&awss3.NotificationKeyFilter{Prefix: jsii.String(layout.Uploads)})
	}
	return nil
}

// described is what an app says of a bucket. The names are CDK's. What it leaves out is as S3
// has it by default.
type described struct {
	Name       any
	Versioning struct{ Status string }
	Encryption struct {
		ServerSideEncryptionConfiguration []struct {
			ServerSideEncryptionByDefault struct {
				SSEAlgorithm   string
				KMSMasterKeyID any
			}
			BucketKeyEnabled bool
		}
	}
	Public *struct{ BlockPublicACLs, IgnorePublicACLs, BlockPublicPolicy, RestrictPublicBuckets bool }
	Owners *struct {
		Rules []struct{ ObjectOwnership string }
	}
	CORS struct{ CORSRules []cfn.CorsRule }
}

// judge holds what the app says of the bucket to what oncegate doctor asks of one.
func (g *Gate) judge(bucket awss3.Bucket) error {
	no := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrBucket, fmt.Sprintf(format, args...))
	}
	if !g.conf.Deploy.ExistingBucket {
		return no("the gate makes one: set ExistingBucket")
	}
	theirs := awscdk.Stack_Of(bucket)
	resource := bucket.Node().DefaultChild().(awss3.CfnBucket)
	var b described
	data, err := json.Marshal(theirs.Resolve(map[string]any{
		"Name": resource.BucketName(), "Versioning": resource.VersioningConfiguration(), "Encryption": resource.BucketEncryption(),
		"Public": resource.PublicAccessBlockConfiguration(), "Owners": resource.OwnershipControls(), "CORS": resource.CorsConfiguration(),
	}))
	if err == nil {
		err = json.Unmarshal(data, &b)
	}
	if err != nil {
		return fmt.Errorf("read the bucket: %w", err)
	}
	if b.Name != g.conf.Bucket {
		name := "is named by the deploy"
		if text, ok := b.Name.(string); ok {
			name = "has the name " + text
		}
		return no("it %s, the settings say %s: functions at the edge must know the name before they are made, so set BucketName", name, g.conf.Bucket)
	}
	if region := *theirs.Region(); region != g.conf.Region {
		return no("its stack is not in %s, the Region of the settings: set Env.Region of stack %s", g.conf.Region, *theirs.Node().Path())
	}
	e := check.Existing{Settings: g.conf}
	found := append(e.Versions(b.Versioning.Status, false), e.CORS(b.CORS.CORSRules)...)
	for _, s := range b.Encryption.ServerSideEncryptionConfiguration {
		key, known := s.ServerSideEncryptionByDefault.KMSMasterKeyID.(string)
		if s.ServerSideEncryptionByDefault.KMSMasterKeyID != nil && !known {
			return no("its KMS key is made by the deploy: set KMSKey to the ARN of a key that is there, and import that")
		}
		found = append(found, e.Encryption(s.ServerSideEncryptionByDefault.SSEAlgorithm, key, s.BucketKeyEnabled)...)
	}
	if p := b.Public; p != nil {
		found = append(found, e.PublicAccess(p.BlockPublicACLs, p.IgnorePublicACLs, p.BlockPublicPolicy, p.RestrictPublicBuckets)...)
	}
	if b.Owners != nil {
		var all []string
		for _, r := range b.Owners.Rules {
			all = append(all, r.ObjectOwnership)
		}
		found = append(found, e.Ownership(all...)...)
	}
	var wrong []string
	for _, f := range found {
		if f.Severity == check.Breaks {
			wrong = append(wrong, f.Detail)
		}
	}
	if len(wrong) > 0 {
		return no("%s", strings.Join(wrong, "; "))
	}
	return nil
}
