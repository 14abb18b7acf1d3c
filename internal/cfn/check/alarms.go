package check

import (
	"fmt"
	"slices"
	"strings"

	"oncegate/internal/cfn"
	"oncegate/internal/config"
)

// cloudFrontMetrics are those of a distribution, with the one statistic that each has:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/programming-cloudwatch-metrics.html.
// An alarm on a name that is not there would stay silent for ever.
var cloudFrontMetrics = map[string]string{
	"Requests": "Sum", "BytesDownloaded": "Sum", "BytesUploaded": "Sum", "TotalErrorRate": "Average", "4xxErrorRate": "Average", "5xxErrorRate": "Average",
	"401ErrorRate": "Average", "403ErrorRate": "Average", "404ErrorRate": "Average", "502ErrorRate": "Average", "503ErrorRate": "Average", "504ErrorRate": "Average",
	"CacheHitRate": "Average",
}

// wantAlarms are the alarms that a deployment has: on what viewers are answered, on each
// function of the bucket's Region, on each queue and on the table.
func wantAlarms(d *cfn.Deployment, conf config.Config) []string {
	const sum, max = "Sum", "Maximum"
	alarm := func(region, statistic, metric string, threshold int) string {
		return fmt.Sprintf("in %s metric GreaterThanOrEqualToThreshold %d in 1 of 1, missing data is notBreaching, where metric is %s of %s in 300 s",
			region, threshold, statistic, metric)
	}
	answers := func(status string, threshold int, periods string) string {
		of := " DistributionId=${" + d.Distribution.ID + "} Region=Global in 60 s"
		return fmt.Sprintf("in us-east-1 requests * rate / 100 GreaterThanOrEqualToThreshold %v in %s, missing data is notBreaching, "+
			"where rate is Average of AWS/CloudFront %sErrorRate%s and requests is Sum of AWS/CloudFront Requests%s", float64(threshold)-0.5, periods, status, of, of)
	}
	var want []string
	if !d.Shared { // those of a shared distribution would be about their site as well
		want = append(want, answers("5xx", conf.Deploy.AlarmFailures, "3 of 15"), answers("403", conf.Deploy.AlarmRefusals, "1 of 1"))
	}
	for _, name := range programs(conf) {
		want = append(want, alarm(conf.Region, sum, "AWS/Lambda Errors FunctionName="+name, 1), alarm(conf.Region, sum, "AWS/Lambda Throttles FunctionName="+name, 1))
	}
	for _, j := range jobs(conf) {
		queue := conf.Deploy.FunctionName(j.name)
		want = append(want, alarm(conf.Region, max, "AWS/SQS ApproximateNumberOfMessagesVisible QueueName="+queue+"-dead", 1),
			alarm(conf.Region, max, "AWS/SQS ApproximateAgeOfOldestMessage QueueName="+queue, 3600))
	}
	if conf.Index == config.IndexDynamoDB {
		const table = "AWS/DynamoDB "
		of := " TableName=" + conf.Table()
		want = append(want, alarm(conf.Region, sum, table+"ReadThrottleEvents"+of, 1), alarm(conf.Region, sum, table+"WriteThrottleEvents"+of, 1),
			strings.Replace(alarm(conf.Region, sum, table+"SystemErrors Operation=UpdateItem"+of, 1), "in 1 of 1", "in 2 of 3", 1))
	}
	if conf.Acceptance.On {
		want = append(want, alarm(conf.Region, sum, "oncegate/"+conf.Deploy.Name+" LateVersions", 1))
	}
	if conf.Acceptance.Scan != "" {
		want = append(want, alarm(conf.Region, sum, "oncegate/"+conf.Deploy.Name+" Rejected", 1))
	}
	return want
}

// programs are the functions of the bucket's Region that the settings ask for.
func programs(conf config.Config) []string {
	var names []string
	if conf.Deploy.Runtime == config.RuntimeRegional {
		names = append(names, conf.Deploy.RegionalName("mint"), conf.Deploy.RegionalName("gate"))
	}
	for _, j := range jobs(conf) {
		names = append(names, conf.Deploy.FunctionName(j.name))
	}
	return names
}

// checkAlarms: each thing that can fail raises an alarm, and somebody can be told.
func checkAlarms(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	var got []string
	for _, a := range d.Monitoring.Alarms {
		got = append(got, a.String())
		checkMetrics(d, a, broken)
		topic := slices.IndexFunc(d.Monitoring.Topics, func(t *cfn.Topic) bool { return t.Stack == a.Stack && slices.Equal(a.AlarmActions, []string{t.ID}) })
		if topic < 0 {
			broken("%s tells %v, want the topic of its stack", a.AlarmName, a.AlarmActions)
		}
		if a.AlarmDescription == "" {
			broken("%s does not say what it means", a.AlarmName)
		}
	}
	compare(wantAlarms(d, conf), got, func(line string) { broken("there is no alarm: %s", line) },
		func(line string) { broken("there is an alarm that nobody asks for: %s", line) })
	if logs := "/aws/cloudfront/LambdaEdge/${" + d.Distribution.ID + "}"; !d.Shared && !slices.ContainsFunc(d.Monitoring.Alarms, func(a cfn.Alarm) bool {
		return strings.Contains(a.AlarmDescription, logs)
	}) {
		broken("no alarm names %s, where CloudFront logs what it did not take", logs)
	}
	for _, t := range d.Monitoring.Topics {
		may := "Allow sns:Publish on " + t.ID + " if StringEquals aws:SourceAccount ${AWS::AccountId} for Service cloudwatch.amazonaws.com"
		if !slices.Contains(t.Policy.Lines(), may) {
			broken("policy of the topic in %s does not say: %s", t.Stack, may)
		}
		var want []string
		if conf.Deploy.AlarmEmail != "" {
			want = append(want, conf.Deploy.AlarmEmail)
		}
		if !slices.Equal(t.Emails, want) {
			broken("the topic in %s mails %q, want %q", t.Stack, t.Emails, want)
		}
	}
}

// checkMetrics: CloudFront has the metrics of the alarm, and reports them where it is.
func checkMetrics(d *cfn.Deployment, a cfn.Alarm, broken func(string, ...any)) {
	for _, q := range a.Queries() {
		if q.MetricStat == nil || q.MetricStat.Metric.Namespace != "AWS/CloudFront" {
			continue
		}
		name, stat := q.MetricStat.Metric.MetricName, q.MetricStat.Stat
		if want, known := cloudFrontMetrics[name]; !known {
			broken("%s is on %s, which is not among CloudFront's metrics", a.AlarmName, name)
		} else if stat != want {
			broken("%s is on the %s of %s, which has %s alone", a.AlarmName, stat, name, want)
		}
		if a.Region != "us-east-1" {
			broken("%s is in %s: CloudFront reports in us-east-1", a.AlarmName, a.Region)
		}
		additional := strings.HasSuffix(name, "ErrorRate") && !slices.Contains([]string{"4xxErrorRate", "5xxErrorRate", "TotalErrorRate"}, name)
		if additional && d.Others["AWS::CloudFront::MonitoringSubscription"] == 0 {
			broken("%s is on %s, an additional metric, and these are not switched on", a.AlarmName, name)
		}
	}
}

// checkLogs: each function of the templates logs to a group that is kept for a while.
func checkLogs(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	groups := map[string]int{}
	for _, g := range d.Monitoring.LogGroups {
		groups[g.Region+" "+g.LogGroupName] = g.RetentionInDays
	}
	var want []string
	functions := []string{"mint", "gate"}
	if conf.Page.On {
		functions = append(functions, "page")
	}
	for _, name := range functions {
		want = append(want, "us-east-1 /aws/lambda/us-east-1."+conf.Deploy.FunctionName(name))
	}
	for _, name := range programs(conf) {
		want = append(want, conf.Region+" /aws/lambda/"+name)
	}
	for _, name := range want {
		if days, made := groups[name]; !made || days == 0 {
			broken("nothing says how long %s is kept", name)
		}
	}
}
