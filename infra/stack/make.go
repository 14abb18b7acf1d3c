package stack

import (
	"path/filepath"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfront"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"oncegate/internal/config"
)

// Into says what of somebody else's a deployment goes into. The zero value is nothing: the
// deployment has all that it needs to itself.
type Into struct {
	// Account is that of the stacks. nil is the one that the credentials belong to at deploy
	// time.
	Account *string
}

// Made is where the parts of a deployment are.
type Made struct {
	Bucket, Edge awscdk.Stack
	Regional     awscdk.Stack // nil unless "runtime" is "regional"
	Distribution awscloudfront.Distribution
}

// Make makes the stacks of one deployment in scope, from files that Check has found good.
func Make(scope constructs.Construct, conf config.Config, o Options, into Into) (Made, error) {
	artifact, err := filepath.Abs(edgeZip(conf, o))
	if err != nil {
		return Made{}, err
	}
	var made Made
	made.Bucket = newStack(scope, "Bucket", conf.Region, conf, into)
	pin(made.Bucket, "Bucket", "bucket", conf.Bucket)
	bucket := newBucket(made.Bucket, conf)
	if conf.Acceptance.On || conf.Index == config.IndexDynamoDB {
		alarms := newAlarms(made.Bucket, conf)
		if conf.Acceptance.On {
			newAcceptance(made.Bucket, conf, o, bucket, alarms)
		}
		if conf.Index == config.IndexDynamoDB {
			newTable(made.Bucket, conf, alarms)
		}
	}

	made.Edge = newStack(scope, "Edge", EdgeRegion, conf, into)
	made.Edge.AddStackDependency(made.Bucket, nil)
	pin(made.Edge, "Bucket", "bucket", conf.Bucket)
	pin(made.Edge, "Region", "region", conf.Region)
	if conf.Deploy.Runtime == config.RuntimeRegional {
		made.Regional = newStack(scope, "Regional", conf.Region, conf, into)
		made.Regional.AddStackDependency(made.Bucket, nil)
		newRegional(made.Regional, conf, o)
		made.Edge.AddStackDependency(made.Regional, nil)
	}
	functions := newFunctions(made.Edge, conf, artifact)
	made.Distribution = newDistribution(made.Edge, conf, functions, o.Detach)
	dashboard := newMonitoring(made.Edge, conf, made.Distribution)
	newOutputs(made.Edge, conf, made.Distribution, dashboard)
	return made, nil
}

func newStack(scope constructs.Construct, id, region string, conf config.Config, into Into) awscdk.Stack {
	return awscdk.NewStack(scope, jsii.String(id), &awscdk.StackProps{
		StackName:   jsii.String(conf.Deploy.Name + "-" + strings.ToLower(id)),
		Description: jsii.String("oncegate: one-time upload URLs for s3://" + conf.Bucket),
		Env:         &awscdk.Environment{Account: into.Account, Region: jsii.String(region)},
	})
}
