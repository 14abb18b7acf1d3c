package oncegate

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/jsii-runtime-go"

	"oncegate/infra/stack"
	"oncegate/internal/config"
)

// MetricRefused counts refusals for one reason, one of those in docs/api.md. It counts what is
// refused in one Region: us-east-1, or with "runtime": "regional" the bucket's, where all is
// decided.
func (g *Gate) MetricRefused(reason string) awscloudwatch.Metric {
	region := stack.EdgeRegion
	if g.conf.Deploy.Runtime == config.RuntimeRegional {
		region = g.conf.Region
	}
	return metric(&awscloudwatch.MetricProps{
		Namespace: jsii.String(stack.Refusals(g.conf)), MetricName: jsii.String("Refused"), Statistic: jsii.String("Sum"),
		Region: jsii.String(region), DimensionsMap: &map[string]*string{"reason": jsii.String(reason)},
	})
}

// MetricRequests counts the requests to the distribution.
func (g *Gate) MetricRequests() awscloudwatch.Metric { return g.viewers("Requests", "Sum") }

// MetricErrorRate is how many percent of the distribution's answers have a status: "403",
// "502", "503", "504", "4xx" or "5xx".
func (g *Gate) MetricErrorRate(status string) awscloudwatch.Metric {
	return g.viewers(status+"ErrorRate", "Average")
}

func (g *Gate) viewers(name, statistic string) awscloudwatch.Metric {
	return metric(&awscloudwatch.MetricProps{
		Namespace: jsii.String("AWS/CloudFront"), MetricName: jsii.String(name), Statistic: jsii.String(statistic), Region: jsii.String(stack.EdgeRegion),
		DimensionsMap: &map[string]*string{"DistributionId": g.made.Distribution.DistributionId(), "Region": jsii.String("Global")},
	})
}

func metric(props *awscloudwatch.MetricProps) awscloudwatch.Metric {
	props.Period = awscdk.Duration_Minutes(jsii.Number(5))
	return awscloudwatch.NewMetric(props)
}
