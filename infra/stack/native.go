package stack

import (
	"runtime"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/jsii-runtime-go"

	"oncegate/internal/config"
)

// native is a Go program on Lambda in the bucket's Region.
type native struct {
	id, name    string // logical id; what Lambda calls it
	description string
	directory   string // of bootstrap and config.json
	memory      int    // MB
	timeout     int    // seconds
	environment map[string]string
	statements  []awsiam.PolicyStatement
	refuses     bool // its log tells of refusals, which are counted
}

// newNative makes the function with a role and a log group of its own.
func newNative(stack awscdk.Stack, conf config.Config, o Options, n native) awslambda.Function {
	group := awslogs.NewLogGroup(stack, jsii.String(n.id+"Logs"), &awslogs.LogGroupProps{
		LogGroupName:  jsii.String("/aws/lambda/" + n.name),
		Retention:     awslogs.RetentionDays_ONE_MONTH,
		RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	})
	if n.refuses {
		countRefusals(conf, group)
	}
	all := append(n.statements, allow("Logs", []string{"logs:CreateLogStream", "logs:PutLogEvents"},
		"arn:aws:logs:"+*stack.Region()+":"+*stack.Account()+":log-group:/aws/lambda/"+n.name+":*"))
	role := awsiam.NewRole(stack, jsii.String(n.id+"Role"), &awsiam.RoleProps{
		Description: jsii.String("oncegate: " + n.description),
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
		InlinePolicies: &map[string]awsiam.PolicyDocument{
			n.name: awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &all}),
		},
	})
	suppress(role, "AwsSolutions-IAM5", "Keys below one prefix of one bucket, and the streams of one log group")
	environment := map[string]*string{}
	for name, value := range n.environment {
		environment[name] = jsii.String(value)
	}
	return awslambda.NewFunction(stack, jsii.String(n.id), &awslambda.FunctionProps{
		FunctionName:  jsii.String(n.name),
		Description:   jsii.String("oncegate: " + n.description),
		Code:          awslambda.Code_FromAsset(jsii.String(n.directory), &awss3assets.AssetOptions{}),
		Handler:       jsii.String("bootstrap"),
		Runtime:       awslambda.Runtime_PROVIDED_AL2023(),
		Architecture:  architecture(o),
		MemorySize:    jsii.Number(n.memory),
		Timeout:       awscdk.Duration_Seconds(jsii.Number(n.timeout)),
		Environment:   &environment,
		Role:          role,
		LogGroup:      group,
		LoggingFormat: awslambda.LoggingFormat_JSON,
	})
}

// architecture is arm64, the cheaper one; on one machine it is that machine's.
func architecture(o Options) awslambda.Architecture {
	if o.Local && runtime.GOARCH == "amd64" {
		return awslambda.Architecture_X86_64()
	}
	return awslambda.Architecture_ARM_64()
}

// newRegional makes the functions that decide beside the bucket.
func newRegional(stack awscdk.Stack, conf config.Config, o Options) {
	for _, f := range []struct {
		id, name   string
		statements []awsiam.PolicyStatement
	}{{"RegionalMint", "mint", mintStatements(conf)}, {"RegionalGate", "gate", gateStatements(conf)}} {
		newNative(stack, conf, o, native{
			id: f.id, name: conf.Deploy.RegionalName(f.name), description: f.name + " beside the bucket",
			directory: o.Regional, memory: conf.Deploy.RegionalMemory, timeout: conf.Deploy.Timeout,
			environment: map[string]string{"ONCEGATE_FUNCTION": f.name}, statements: f.statements, refuses: true,
		})
	}
}
