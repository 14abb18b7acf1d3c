package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfront"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"

	"oncegate/internal/config"
)

// suppress states why a rule of cdk-nag's AwsSolutions does not apply.
func suppress(construct constructs.IConstruct, rule, reason string) {
	cdknag.NagSuppressions_AddResourceSuppressions(construct,
		&[]*cdknag.NagPackSuppression{{Id: jsii.String(rule), Reason: jsii.String(reason)}}, jsii.Bool(true))
}

func suppressDistribution(distribution awscloudfront.Distribution, conf config.Config) {
	suppress(distribution, "AwsSolutions-CFR1", "Who may upload is not a matter of country")
	if !conf.Deploy.WAF {
		suppress(distribution, "AwsSolutions-CFR2", "A web ACL is a setting, off by default: it costs by the request")
	}
	if !conf.Deploy.AccessLogs {
		suppress(distribution, "AwsSolutions-CFR3", "Access logs are a setting, off by default: they hold URLs that are not spent yet")
	}
	if conf.Deploy.Domain == "" {
		suppress(distribution, "AwsSolutions-CFR4", "Without a domain of its own the certificate is CloudFront's, and with it the TLS policy")
	}
}
