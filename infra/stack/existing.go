package stack

import (
	"encoding/json"
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"

	"oncegate/internal/cfn/check"
	"oncegate/internal/config"
)

// makesBucket reports whether the deployment has a bucket of its own. On one machine there is
// none that was there before.
func makesBucket(conf config.Config, o Options) bool { return !conf.Deploy.ExistingBucket || o.Local }

// policyStatements are what the policy of an existing bucket must say, in JSON. role is the one
// of acceptance, or "".
func policyStatements(conf config.Config, role string) (string, error) {
	data, err := json.Marshal(check.Existing{Settings: conf, AcceptanceRole: role}.Statements())
	return string(data), err
}

// outputPolicy prints after a deploy what the policy of the existing bucket must say.
func outputPolicy(stack awscdk.Stack, conf config.Config, role string) error {
	statements, err := policyStatements(conf, role)
	if err != nil {
		return fmt.Errorf("policy of the bucket: %w", err)
	}
	awscdk.NewCfnOutput(stack, jsii.String("BucketPolicy"), &awscdk.CfnOutputProps{
		Description: jsii.String("What the policy of the bucket must say; oncegate doctor --config FILE says whether it does"),
		Value:       jsii.String(statements),
	})
	return nil
}

// TheirStatements are what the policy of an existing bucket must say, for CDK.
func TheirStatements(conf config.Config, role string) ([]awsiam.PolicyStatement, error) {
	text, err := policyStatements(conf, role)
	if err != nil {
		return nil, err
	}
	var list []map[string]any
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, err
	}
	var all []awsiam.PolicyStatement
	for _, s := range list {
		all = append(all, awsiam.PolicyStatement_FromJson(s))
	}
	return all, nil
}

// TheirLifecycle are the lifecycle rules that an existing bucket needs.
func TheirLifecycle(conf config.Config) []*awss3.LifecycleRule {
	var all []*awss3.LifecycleRule
	some := func(n int) awscdk.Duration {
		if n == 0 {
			return nil
		}
		return days(n)
	}
	for _, r := range (check.Existing{Settings: conf}).LifecycleRules() {
		rule := &awss3.LifecycleRule{
			Id: jsii.String(r.Id), Prefix: jsii.String(r.Prefix), Expiration: some(r.ExpirationInDays),
			NoncurrentVersionExpiration:         some(r.NoncurrentVersionExpiration.NoncurrentDays),
			AbortIncompleteMultipartUploadAfter: some(r.AbortIncompleteMultipartUpload.DaysAfterInitiation),
		}
		if r.ExpiredObjectDeleteMarker {
			rule.ExpiredObjectDeleteMarker = jsii.Bool(true)
		}
		if len(r.TagFilters) > 0 {
			tags := map[string]any{}
			for _, tag := range r.TagFilters {
				tags[tag.Key] = tag.Value
			}
			rule.TagFilters = &tags
		}
		all = append(all, rule)
	}
	return all
}

// keyStatements let a role have S3 use the bucket's KMS key in its name.
func keyStatements(conf config.Config, actions ...string) []awsiam.PolicyStatement {
	key := conf.Deploy.KMSKey
	if key == "" || key == config.AWSManagedKey {
		return nil
	}
	return []awsiam.PolicyStatement{when(allow("UseKey", actions, key), "StringEquals", "kms:ViaService", "s3."+conf.Region+".amazonaws.com")}
}
