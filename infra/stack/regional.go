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

// program is a regional function: a Go program on Lambda in the bucket's Region.
type program struct {
	id, name    string // logical id, and the function's name
	description string
	directory   string // of bootstrap and config.json
	memory      int    // MB
	timeout     int    // seconds
	environment map[string]string
	statements  []awsiam.PolicyStatement
	refuses     bool // it logs refusals, which are counted
}

// newProgram makes the function with a role and a log group of its own.
func newProgram(stack awscdk.Stack, conf config.Config, o Options, p program) awslambda.Function {
	group := awslogs.NewLogGroup(stack, jsii.String(p.id+"Logs"), &awslogs.LogGroupProps{
		LogGroupName:  jsii.String("/aws/lambda/" + p.name),
		Retention:     awslogs.RetentionDays_ONE_MONTH,
		RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	})
	if p.refuses {
		countRefusals(conf, group)
	}
	all := append(p.statements, allow("Logs", []string{"logs:CreateLogStream", "logs:PutLogEvents"},
		"arn:aws:logs:"+*stack.Region()+":"+*stack.Account()+":log-group:/aws/lambda/"+p.name+":*"))
	role := awsiam.NewRole(stack, jsii.String(p.id+"Role"), &awsiam.RoleProps{
		Description: jsii.String("oncegate: " + p.description),
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
		InlinePolicies: &map[string]awsiam.PolicyDocument{
			p.name: awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &all}),
		},
	})
	suppress(role, "AwsSolutions-IAM5", "Keys below one prefix of one bucket, and the streams of one log group")
	environment := map[string]*string{}
	for name, value := range p.environment {
		environment[name] = jsii.String(value)
	}
	return awslambda.NewFunction(stack, jsii.String(p.id), &awslambda.FunctionProps{
		FunctionName:  jsii.String(p.name),
		Description:   jsii.String("oncegate: " + p.description),
		Code:          awslambda.Code_FromAsset(jsii.String(p.directory), &awss3assets.AssetOptions{}),
		Handler:       jsii.String("bootstrap"),
		Runtime:       awslambda.Runtime_PROVIDED_AL2023(),
		Architecture:  architecture(o),
		MemorySize:    jsii.Number(p.memory),
		Timeout:       awscdk.Duration_Seconds(jsii.Number(p.timeout)),
		Environment:   &environment,
		Role:          role,
		LogGroup:      group,
		LoggingFormat: awslambda.LoggingFormat_JSON,
	})
}

// architecture returns arm64, which is cheaper, or this machine's for a local deployment.
func architecture(o Options) awslambda.Architecture {
	if o.Local && runtime.GOARCH == "amd64" {
		return awslambda.Architecture_X86_64()
	}
	return awslambda.Architecture_ARM_64()
}

// newRegional makes the regional mint and gate, with alarms on both.
func newRegional(stack awscdk.Stack, conf config.Config, o Options) {
	alarms := newAlarms(stack, conf)
	for _, f := range []struct {
		id, name   string
		statements []awsiam.PolicyStatement
	}{{"RegionalMint", "mint", mintStatements(stack, conf)}, {"RegionalGate", "gate", gateStatements(stack, conf)}} {
		newProgram(stack, conf, o, program{
			id: f.id, name: conf.Deploy.RegionalName(f.name), description: f.name + " in the bucket's Region",
			directory: o.Regional, memory: conf.Deploy.RegionalMemory, timeout: conf.Deploy.Timeout,
			environment: map[string]string{"ONCEGATE_FUNCTION": f.name}, statements: f.statements, refuses: true,
		})
		alarms.watch(f.id, conf.Deploy.RegionalName(f.name), "viewers get 503")
	}
}
