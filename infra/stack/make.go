package stack

import (
	"path/filepath"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfront"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"oncegate/internal/config"
)

// Into says what of somebody else's a deployment goes into. The zero value is nothing: the
// deployment has all that it needs to itself.
type Into struct {
	// Distribution gets the gate's behaviors. nil: the deployment makes one.
	Distribution awscloudfront.Distribution
	// Account is that of the stacks. nil is the one that the credentials belong to at deploy
	// time.
	Account *string
}

// Made is where the parts of a deployment are.
type Made struct {
	// Stacks are those that it has to itself.
	Stacks []awscdk.Stack
	// Bucket and Regional are the stacks of what is in the bucket's Region, or nil.
	Bucket, Regional awscdk.Stack
	// Edge is what the functions at the edge are in: a stack, or a part of the stack of
	// Into.Distribution.
	Edge         constructs.Construct
	Distribution awscloudfront.Distribution
	// AcceptanceRole is who alone may write what is accepted, or nil.
	AcceptanceRole awsiam.IRole
}

// CheckInto returns an error if a deployment with these settings does not fit into what is
// somebody else's.
func CheckInto(conf config.Config, into Into) error {
	if into.Distribution == nil {
		return nil
	}
	_, err := shareable(into.Distribution, conf)
	return err
}

// Make makes the stacks of one deployment in scope, from files that Check has found good.
func Make(scope constructs.Construct, conf config.Config, o Options, into Into) (Made, error) {
	artifact, err := filepath.Abs(edgeZip(conf, o))
	if err != nil {
		return Made{}, err
	}
	var has existing
	if into.Distribution != nil {
		if has, err = shareable(into.Distribution, conf); err != nil {
			return Made{}, err
		}
	}
	var made Made
	if err := made.makeBucket(scope, conf, o, into); err != nil {
		return Made{}, err
	}
	if conf.Deploy.Runtime == config.RuntimeRegional {
		made.Regional = newStack(scope, "Regional", conf.Region, conf, into)
		if made.Bucket != nil {
			made.Regional.AddStackDependency(made.Bucket, nil)
		}
		newRegional(made.Regional, conf, o)
		made.Stacks = append(made.Stacks, made.Regional)
	}
	if into.Distribution == nil {
		edge := newStack(scope, "Edge", EdgeRegion, conf, into)
		made.Edge, made.Stacks = edge, append(made.Stacks, edge)
		made.pinEdge(edge, conf)
		functions := newFunctions(edge, conf, artifact)
		made.Distribution = newDistribution(edge, conf, functions, o.Detach)
		dashboard := newMonitoring(edge, conf, made.Distribution)
		newOutputs(edge, conf, made.Distribution, dashboard)
		if !makesBucket(conf, o) && made.Bucket == nil {
			return made, outputPolicy(edge, conf, "")
		}
		return made, nil
	}
	made.Distribution = into.Distribution
	made.Edge = constructs.NewConstruct(into.Distribution, jsii.String(conf.Deploy.Name))
	made.pinEdge(awscdk.Stack_Of(into.Distribution), conf)
	newLogGroups(made.Edge, conf)
	share(into.Distribution, made.Edge, conf, newFunctions(made.Edge, conf, artifact), has, o.Detach)
	return made, nil
}

// makeBucket makes what is in the bucket's Region but for the functions that decide. With an
// existing bucket that may be nothing: then there is no stack, because none can be empty.
func (m *Made) makeBucket(scope constructs.Construct, conf config.Config, o Options, into Into) error {
	own := makesBucket(conf, o)
	if !own && !conf.Acceptance.On && conf.Index != config.IndexDynamoDB {
		return nil
	}
	m.Bucket = newStack(scope, "Bucket", conf.Region, conf, into)
	m.Stacks = append(m.Stacks, m.Bucket)
	pin(m.Bucket, "Bucket", "bucket", conf.Bucket)
	var bucket awss3.Bucket
	if own {
		bucket = newBucket(m.Bucket, conf)
	}
	if conf.Acceptance.On || conf.Index == config.IndexDynamoDB {
		alarms := newAlarms(m.Bucket, conf)
		if conf.Acceptance.On {
			m.AcceptanceRole = newAcceptance(m.Bucket, conf, o, bucket, alarms).Role()
		}
		if conf.Index == config.IndexDynamoDB {
			newTable(m.Bucket, conf, alarms)
		}
	}
	if !own {
		return outputPolicy(m.Bucket, conf, m.roleARN())
	}
	return nil
}

// roleARN is that of AcceptanceRole, or "".
func (m *Made) roleARN() string {
	if m.AcceptanceRole == nil {
		return ""
	}
	return *m.AcceptanceRole.RoleArn()
}

// pinEdge has the edge deployed last, and only for the bucket that it began with.
func (m *Made) pinEdge(stack awscdk.Stack, conf config.Config) {
	for _, before := range []awscdk.Stack{m.Bucket, m.Regional} {
		if before != nil {
			stack.AddStackDependency(before, nil)
		}
	}
	pin(m.Edge, "Bucket", "bucket", conf.Bucket)
	pin(m.Edge, "Region", "region", conf.Region)
}

func newStack(scope constructs.Construct, id, region string, conf config.Config, into Into) awscdk.Stack {
	return awscdk.NewStack(scope, jsii.String(id), &awscdk.StackProps{
		StackName:   jsii.String(conf.Deploy.Name + "-" + strings.ToLower(id)),
		Description: jsii.String("oncegate: one-time upload URLs for s3://" + conf.Bucket),
		Env:         &awscdk.Environment{Account: into.Account, Region: jsii.String(region)},
	})
}
