package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfront"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/jsii-runtime-go"

	"oncegate/internal/config"
)

// newOutputs makes the outputs that a person needs after a deploy.
func newOutputs(stack awscdk.Stack, conf config.Config, distribution awscloudfront.Distribution, dashboard awscloudwatch.Dashboard) {
	base := "https://" + *distribution.DistributionDomainName()
	if conf.Deploy.Domain != "" {
		base = "https://" + conf.Deploy.Domain
	}
	outputs := []struct{ id, what, value string }{
		{"URL", "Where one-time URLs are made", base + "/url"},
		{"BucketName", "Where uploads and index are", conf.Bucket},
		{"DistributionDomain", "What a domain of your own must point to", *distribution.DistributionDomainName()},
		{"DashboardURL", "Requests, errors, refusals",
			"https://" + EdgeRegion + ".console.aws.amazon.com/cloudwatch/home?region=" + EdgeRegion + "#dashboards/dashboard/" + conf.Deploy.Name},
		{"Curl", "The first upload", `curl -i -T photo.jpg "$(curl -sf ` + credential(conf) + base + `/url)"`},
	}
	if conf.Index == config.IndexDynamoDB {
		outputs = append(outputs, struct{ id, what, value string }{"TableName", "Where the signature index is", conf.Table()})
	}
	for _, output := range outputs {
		awscdk.NewCfnOutput(stack, jsii.String(output.id), &awscdk.CfnOutputProps{
			Description: jsii.String(output.what), Value: jsii.String(output.value),
		})
	}
}

// credential returns curl's option for the header that the mint asks for. The secret is in
// the variable that the command line reads.
func credential(conf config.Config) string {
	switch conf.Auth.Kind {
	case config.AuthAPIKey:
		return `-H "x-api-key: $ONCEGATE_KEY" `
	case config.AuthJWT:
		return `-H "authorization: Bearer $ONCEGATE_TOKEN" `
	}
	return ""
}
