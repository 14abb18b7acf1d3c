package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssnssubscriptions"
	"github.com/aws/jsii-runtime-go"

	"oncegate/internal/config"
)

// Failures raise an alarm when so many of the last minutes had one: an outage that few
// viewers meet is noticed, and a single answer of S3 is not.
const (
	failingMinutes = 3
	watchedMinutes = 15
)

// alarms makes the alarms of one stack, which publish to one topic.
type alarms struct {
	stack  awscdk.Stack
	conf   config.Config
	topic  awssns.Topic
	action awscloudwatchactions.SnsAction
}

func newAlarms(stack awscdk.Stack, conf config.Config) alarms {
	topic := newTopic(stack, conf)
	return alarms{stack, conf, topic, awscloudwatchactions.NewSnsAction(topic)}
}

// alarm goes off when the metric reaches the threshold in that many of the last periods.
type alarm struct {
	name, what    string
	metric        awscloudwatch.IMetric
	threshold     float64
	reaches, last int // periods; 0 and 0 is the last one
}

// add makes an alarm. No data is good: these metrics have none while nobody asks, or
// while nothing fails.
func (a alarms) add(id string, x alarm) {
	made := awscloudwatch.NewAlarm(a.stack, jsii.String(id), &awscloudwatch.AlarmProps{
		AlarmName: jsii.String(a.conf.Deploy.Name + "-" + x.name), AlarmDescription: jsii.String(x.what),
		Metric: x.metric, Threshold: jsii.Number(x.threshold),
		EvaluationPeriods: jsii.Number(max(x.last, 1)), DatapointsToAlarm: jsii.Number(max(x.reaches, 1)),
		ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
		TreatMissingData:   awscloudwatch.TreatMissingData_NOT_BREACHING,
	})
	made.AddAlarmAction(a.action)
}

// watch makes the alarms on a function of this stack's Region.
// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
func (a alarms) watch(id, function, then string) {
	of := map[string]*string{"FunctionName": jsii.String(function)}
	a.add(id+"ErrorsAlarm", alarm{
		name: id + "Errors", what: function + " threw, timed out or ran out of memory: " + then + ". Read /aws/lambda/" + function,
		metric: metric("AWS/Lambda", "Errors", "Sum", &of), threshold: 1,
	})
	a.add(id+"ThrottlesAlarm", alarm{
		name: id + "Throttles", what: function + " was throttled: " + then + ". Ask AWS for more concurrent executions in " + a.conf.Region,
		metric: metric("AWS/Lambda", "Throttles", "Sum", &of), threshold: 1,
	})
}

// alarms watch what viewers of all Regions are answered. Functions at the edge have no
// alarm of their own: an alarm sees the metrics of one Region, and they run in many.
func (m monitor) alarms() {
	a := newAlarms(m.stack, m.conf)
	m.first(a.topic)
	a.add("Failures", alarm{
		name: "Failures", what: "Viewers get 5xx: nobody can upload, or mint. The dashboard says which status; a refused line in the logs of mint and gate says why; " +
			"for 502 read " + validationLogs(m.distribution) + ", for 503 also S3's errors",
		metric: m.answers("5xx"), threshold: half(m.conf.Deploy.AlarmFailures), reaches: failingMinutes, last: watchedMinutes,
	})
	a.add("Refusals", alarm{
		name: "Refusals", what: "Refused requests: spent URLs are replayed, or somebody guesses",
		metric: m.answers("403"), threshold: half(m.conf.Deploy.AlarmRefusals),
	})
}

// answers is the number of answers with a status. It is computed from their rate,
// because CloudFront reports no count, and by the minute, which is as often as CloudFront
// reports: no page says that an average over more minutes counts each request once.
func (m monitor) answers(status string) awscloudwatch.IMetric {
	minute := awscdk.Duration_Minutes(jsii.Number(1))
	return awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
		Expression: jsii.String("requests * rate / 100"),
		Label:      jsii.String(status + " answers"),
		Period:     minute,
		UsingMetrics: &map[string]awscloudwatch.IMetric{
			"requests": m.edge("Requests", "Sum", minute), "rate": m.edge(status+"ErrorRate", "Average", minute),
		},
	})
}

// half is the threshold for that many answers: half a one less, because a rate is a
// rounded number. One of three is 33.33 %, and of that 0.9999 answers come out.
func half(answers int) float64 { return float64(answers) - 0.5 }

func metric(namespace, name, statistic string, dimensions *map[string]*string) awscloudwatch.IMetric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String(namespace), MetricName: jsii.String(name), Statistic: jsii.String(statistic), Period: fiveMinutes(), DimensionsMap: dimensions,
	})
}

// newTopic makes the topic that the alarms of one stack publish to.
func newTopic(stack awscdk.Stack, conf config.Config) awssns.Topic {
	topic := awssns.NewTopic(stack, jsii.String("Alarms"), &awssns.TopicProps{
		DisplayName: jsii.String(conf.Deploy.Name),
		EnforceSSL:  jsii.Bool(true),
	})
	// A policy replaces the topic's default one, which let the account's alarms
	// publish.
	topic.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("AlarmsPublish"),
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("cloudwatch.amazonaws.com"), nil)},
		Actions:    jsii.Strings("sns:Publish"),
		Resources:  &[]*string{topic.TopicArn()},
		Conditions: &map[string]interface{}{"StringEquals": map[string]*string{"aws:SourceAccount": stack.Account()}},
	}))
	if conf.Deploy.AlarmEmail != "" {
		topic.AddSubscription(awssnssubscriptions.NewEmailSubscription(jsii.String(conf.Deploy.AlarmEmail), nil))
	}
	return topic
}
