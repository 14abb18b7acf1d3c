package stack

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfront"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"oncegate/internal/config"
)

// logDays is how long logs are kept. In Regions other than us-east-1 Lambda makes the
// replicas' log groups itself, without a limit.
const logDays = 30

// requestMetrics is the id of the bucket's request metrics.
const requestMetrics = "oncegate"

// executionRegions are where CloudFront runs functions:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-edge-permissions.html
var executionRegions = []string{
	"us-east-1", "us-east-2", "us-west-1", "us-west-2", "ap-south-1", "ap-northeast-1", "ap-northeast-2",
	"ap-southeast-1", "ap-southeast-2", "eu-central-1", "eu-west-1", "eu-west-2", "sa-east-1",
}

// monitor makes the metrics of one distribution.
type monitor struct {
	stack        awscdk.Stack
	conf         config.Config
	distribution awscloudfront.Distribution
}

// newMonitoring makes log groups, alarms and the dashboard.
func newMonitoring(stack awscdk.Stack, conf config.Config, distribution awscloudfront.Distribution) awscloudwatch.Dashboard {
	m := monitor{stack, conf, distribution}
	for _, group := range newLogGroups(stack, conf) {
		m.first(group)
	}
	m.alarms()
	return m.dashboard()
}

// newLogGroups makes the log groups of the functions at the edge, in us-east-1.
func newLogGroups(scope constructs.Construct, conf config.Config) []awslogs.LogGroup {
	group := func(id, name string) awslogs.LogGroup {
		return awslogs.NewLogGroup(scope, jsii.String(id), &awslogs.LogGroupProps{
			LogGroupName:  jsii.String(logGroupName(conf, name)),
			Retention:     awslogs.RetentionDays_ONE_MONTH,
			RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
		})
	}
	groups := []awslogs.LogGroup{group("MintLogs", "mint"), group("GateLogs", "gate")}
	for _, g := range groups {
		countRefusals(conf, g)
	}
	if conf.Page.On { // it refuses nothing that is worth counting
		groups = append(groups, group("PageLogs", "page"))
	}
	return groups
}

// first has CloudFormation make something, with all that is in it, before the distribution.
// What fails after the distribution has the rollback delete functions that CloudFront has
// copied to its locations already, and Lambda refuses that for hours:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-edge-delete-replicas.html
func (m monitor) first(what constructs.IConstruct) { m.distribution.Node().AddDependency(what) }

// Refusals is the namespace of the metrics that countRefusals makes.
func Refusals(conf config.Config) string { return "oncegate/" + conf.Deploy.Name }

// countRefusals makes a metric of the refusals in a log group, by reason.
func countRefusals(conf config.Config, group awslogs.LogGroup) {
	awslogs.NewMetricFilter(group, jsii.String("Refused"), &awslogs.MetricFilterProps{
		LogGroup:        group,
		FilterPattern:   awslogs.FilterPattern_StringValue(jsii.String("$.message"), jsii.String("="), jsii.String("refused")),
		MetricNamespace: jsii.String(Refusals(conf)),
		MetricName:      jsii.String("Refused"),
		MetricValue:     jsii.String("1"),
		Dimensions:      &map[string]*string{"reason": jsii.String("$.reason")},
	})
}

func (m monitor) dashboard() awscloudwatch.Dashboard {
	board := awscloudwatch.NewDashboard(m.stack, jsii.String("Dashboard"), &awscloudwatch.DashboardProps{
		DashboardName: jsii.String(m.conf.Deploy.Name),
	})
	board.AddWidgets(
		graph("Requests", EdgeRegion, m.edge("Requests", "Sum", fiveMinutes())),
		graph("Error rates, %", EdgeRegion, m.rates("4xx", "403", "5xx", "502", "503", "504")...),
		graph("Function errors", EdgeRegion, m.edge("LambdaExecutionError", "Sum", fiveMinutes()), m.edge("LambdaValidationError", "Sum", fiveMinutes()), m.edge("LambdaLimitExceededErrors", "Sum", fiveMinutes())),
	)
	board.AddWidgets(
		graph("Mint duration by Region, ms, p99", EdgeRegion, m.regional("mint", "Duration", "p99")...),
		graph("Gate duration by Region, ms, p99", EdgeRegion, m.regional("gate", "Duration", "p99")...),
		graph("Throttles by Region", EdgeRegion, append(m.regional("mint", "Throttles", "Sum"), m.regional("gate", "Throttles", "Sum")...)...),
	)
	board.AddWidgets(
		graph("Refusals by reason (functions run in us-east-1)", EdgeRegion, awscloudwatch.NewSearchExpression(&awscloudwatch.SearchExpressionProps{
			Expression: jsii.String(`SEARCH('{"` + Refusals(m.conf) + `",reason} MetricName="Refused"', 'Sum', 300)`), Label: jsii.String(" "),
		})),
		graph("S3 errors", m.conf.Region, m.s3("4xxErrors"), m.s3("5xxErrors")),
		awscloudwatch.NewTextWidget(&awscloudwatch.TextWidgetProps{
			Width: jsii.Number(8), Height: jsii.Number(6), Markdown: jsii.String(m.logHelp()),
		}),
	)
	if m.conf.Index == config.IndexDynamoDB {
		board.AddWidgets(
			graph("Index table: throttles, errors", m.conf.Region, m.table("ReadThrottleEvents", "Sum", nil), m.table("WriteThrottleEvents", "Sum", nil), m.table("SystemErrors", "Sum", jsii.String("UpdateItem"))),
			graph("Index table: latency of UpdateItem, ms, p99", m.conf.Region, m.table("SuccessfulRequestLatency", "p99", jsii.String("UpdateItem"))),
		)
	}
	return board
}

// rates are the error rates of these statuses.
func (m monitor) rates(statuses ...string) []awscloudwatch.IMetric {
	var metrics []awscloudwatch.IMetric
	for _, s := range statuses {
		metrics = append(metrics, m.edge(s+"ErrorRate", "Average", fiveMinutes()))
	}
	return metrics
}

// logHelp says where the other Regions' logs are, because no query spans Regions.
func (m monitor) logHelp() string {
	var b strings.Builder
	b.WriteString("Functions log in the Region they run in, to `" + logGroupName(m.conf, "gate") + "` and `…-mint`. Logs Insights there:\n\n")
	b.WriteString("`filter message = \"refused\" | stats count(*) by function, reason`\n\n")
	b.WriteString("What CloudFront did not take of a function's answer is in `" + validationLogs(m.distribution) + "`, in the same Regions.\n\n")
	for _, region := range executionRegions {
		b.WriteString("[" + region + "](https://" + region + ".console.aws.amazon.com/cloudwatch/home?region=" + region + "#logsV2:logs-insights) ")
	}
	return b.String()
}

// edge is a metric of the distribution; CloudFront reports all of them in us-east-1:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/programming-cloudwatch-metrics.html.
// That page leaves out the three of Lambda@Edge; their names are what CloudFront's
// own console asks for: https://github.com/awsdocs/amazon-cloudfront-developer-guide/pull/73.
// The dashboard shows them; no alarm may rest on them.
func (m monitor) edge(name, statistic string, period awscdk.Duration) awscloudwatch.IMetric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String("AWS/CloudFront"), MetricName: jsii.String(name), Statistic: jsii.String(statistic), Period: period,
		DimensionsMap: &map[string]*string{"DistributionId": m.distribution.DistributionId(), "Region": jsii.String("Global")},
	})
}

// regional is a metric of a function's replicas, one line for each Region. They
// report under the name that their log groups have:
// https://github.com/prometheus-community/yet-another-cloudwatch-exporter/issues/214
func (m monitor) regional(function, name, statistic string) []awscloudwatch.IMetric {
	var metrics []awscloudwatch.IMetric
	for _, region := range executionRegions {
		metrics = append(metrics, awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
			Namespace: jsii.String("AWS/Lambda"), MetricName: jsii.String(name), Statistic: jsii.String(statistic), Period: fiveMinutes(),
			Region: jsii.String(region), Label: jsii.String(function + " " + region),
			DimensionsMap: &map[string]*string{"FunctionName": jsii.String("us-east-1." + m.conf.Deploy.FunctionName(function))},
		}))
	}
	return metrics
}

func (m monitor) s3(name string) awscloudwatch.IMetric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String("AWS/S3"), MetricName: jsii.String(name), Statistic: jsii.String("Sum"), Period: fiveMinutes(),
		Region:        jsii.String(m.conf.Region),
		DimensionsMap: &map[string]*string{"BucketName": jsii.String(m.conf.Bucket), "FilterId": jsii.String(requestMetrics)},
	})
}

// table is a metric of the index's table, or of one operation on it.
func (m monitor) table(name, statistic string, operation *string) awscloudwatch.IMetric {
	dimensions := map[string]*string{"TableName": jsii.String(m.conf.Table())}
	if operation != nil {
		dimensions["Operation"] = operation
	}
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String("AWS/DynamoDB"), MetricName: jsii.String(name), Statistic: jsii.String(statistic), Period: fiveMinutes(),
		Region: jsii.String(m.conf.Region), DimensionsMap: &dimensions,
	})
}

func graph(title, region string, metrics ...awscloudwatch.IMetric) awscloudwatch.IWidget {
	return awscloudwatch.NewGraphWidget(&awscloudwatch.GraphWidgetProps{
		Title: jsii.String(title), Region: jsii.String(region), Left: &metrics, Width: jsii.Number(8), Height: jsii.Number(6),
	})
}

// validationLogs is where CloudFront logs what is wrong with a function's answer, in the
// Region where the function ran. It is no resource of the template: CloudFront makes it
// when there is something to log, and a group that exists already would fail a deploy.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-edge-testing-debugging.html
func validationLogs(distribution awscloudfront.Distribution) string {
	return "/aws/cloudfront/LambdaEdge/" + *distribution.DistributionId()
}

func fiveMinutes() awscdk.Duration { return awscdk.Duration_Minutes(jsii.Number(5)) }
