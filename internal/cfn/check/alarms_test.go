package check_test

import (
	"testing"

	"oncegate/internal/cfn/cfntest"
)

// TestCheckAlarms breaks one alarm, topic or log group at a time.
func TestCheckAlarms(t *testing.T) {
	const kind = "AWS::CloudWatch::Alarm"
	failures := func(t *templates) object { return t.Edge.Properties(kind, "Failures") }
	query := func(alarm object, id string) object {
		for _, q := range alarm["Metrics"].([]any) {
			if q := q.(object); q["Id"] == id {
				return q["MetricStat"].(object)
			}
		}
		panic("no query " + id)
	}
	remove := func(template cfntest.Template, id string) {
		for name := range template["Resources"].(object) {
			if template["Resources"].(object)[name].(object)["Type"] == kind && len(name) >= len(id) && name[:len(id)] == id {
				delete(template["Resources"].(object), name)
				return
			}
		}
		panic("no alarm " + id)
	}
	for _, tt := range []damaged{
		{"nothing watches 5xx", "plain", func(t *templates) { remove(t.Edge, "Failures") }, "alarms: there is no alarm: in us-east-1 requests * rate / 100"},
		{"the rate alone", "plain", func(t *templates) { failures(t)["Metrics"].([]any)[0].(object)["Expression"] = "rate" },
			"alarms: there is no alarm: in us-east-1 requests * rate / 100"},
		{"a metric that no page has", "plain", func(t *templates) {
			query(failures(t), "rate")["Metric"].(object)["MetricName"] = "LambdaExecutionError"
		}, "alarms: oncegate-Failures is on LambdaExecutionError, which is not among CloudFront's metrics"},
		{"a statistic that it has not", "plain", func(t *templates) { query(failures(t), "rate")["Stat"] = "Sum" },
			"alarms: oncegate-Failures is on the Sum of 5xxErrorRate, which has Average alone"},
		{"another distribution's", "plain", func(t *templates) {
			query(failures(t), "rate")["Metric"].(object)["Dimensions"].([]any)[0].(object)["Value"] = "E1OTHER"
		}, "alarms: there is no alarm: in us-east-1 requests * rate / 100"},
		{"no Region Global", "plain", func(t *templates) {
			m := query(failures(t), "requests")["Metric"].(object)
			m["Dimensions"] = m["Dimensions"].([]any)[:1]
		}, "alarms: there is no alarm: in us-east-1 requests * rate / 100"},
		{"five minutes, of which no page says how they are averaged", "plain", func(t *templates) { query(failures(t), "rate")["Period"] = 300 },
			"alarms: there is no alarm: in us-east-1 requests * rate / 100"},
		{"no traffic is an outage", "plain", func(t *templates) { failures(t)["TreatMissingData"] = "breaching" },
			"alarms: there is no alarm: in us-east-1 requests * rate / 100"},
		{"a threshold that a rounded rate misses", "plain", func(t *templates) { failures(t)["Threshold"] = 1 },
			"alarms: there is no alarm: in us-east-1 requests * rate / 100 GreaterThanOrEqualToThreshold 0.5"},
		{"it takes all fifteen minutes", "plain", func(t *templates) { delete(failures(t), "DatapointsToAlarm") },
			"alarms: there is no alarm: in us-east-1 requests * rate / 100"},
		{"another threshold than the settings'", "full", func(t *templates) { failures(t)["Threshold"] = 1 },
			"alarms: there is no alarm: in us-east-1 requests * rate / 100 GreaterThanOrEqualToThreshold 4.5"},
		{"it goes off when there are few", "plain", func(t *templates) { failures(t)["ComparisonOperator"] = "LessThanThreshold" },
			"alarms: there is no alarm: in us-east-1 requests * rate / 100"},
		{"nobody is told", "plain", func(t *templates) { delete(failures(t), "AlarmActions") }, "alarms: oncegate-Failures tells []"},
		{"it means nothing", "plain", func(t *templates) { t.Edge.Properties(kind, "Refusals")["AlarmDescription"] = "" },
			"alarms: oncegate-Refusals does not say what it means"},
		{"it does not say where CloudFront logs", "plain", func(t *templates) { failures(t)["AlarmDescription"] = "5xx" },
			"alarms: no alarm names /aws/cloudfront/LambdaEdge/${Distribution"},
		{"CloudWatch may not publish", "plain", func(t *templates) {
			cfntest.Without(t.Edge.Properties("AWS::SNS::TopicPolicy", "")["PolicyDocument"].(object), "AlarmsPublish")
		}, "alarms: policy of the topic in oncegate-edge does not say: Allow sns:Publish"},
		{"nobody is subscribed", "full", func(t *templates) { t.Edge.Properties("AWS::SNS::Subscription", "")["Endpoint"] = "other@example.com" },
			`alarms: the topic in full-edge mails ["other@example.com"], want ["ops@example.com"]`},
		{"additional metrics are off", "plain", func(t *templates) { delete(t.Edge["Resources"].(object), "DistributionMonitoringSubscription2503EB92") },
			"alarms: oncegate-Refusals is on 403ErrorRate, an additional metric, and these are not switched on"},

		{"nothing watches the regional gate", "regional", func(t *templates) { remove(t.Regional, "RegionalGateErrors") },
			"alarms: there is no alarm: in us-east-1 metric GreaterThanOrEqualToThreshold 1 in 1 of 1, missing data is notBreaching, where metric is Sum of AWS/Lambda Errors FunctionName=oncegate-regional-gate"},
		{"nor its throttles", "regional", func(t *templates) { t.Regional.Properties(kind, "RegionalGateThrottles")["MetricName"] = "Throttle" },
			"alarms: there is no alarm: in us-east-1 metric GreaterThanOrEqualToThreshold 1 in 1 of 1, missing data is notBreaching, where metric is Sum of AWS/Lambda Throttles FunctionName=oncegate-regional-gate"},
		{"an average of errors", "accepting", func(t *templates) { t.Bucket.Properties(kind, "AcceptErrors")["Statistic"] = "Average" },
			"alarms: there is an alarm that nobody asks for: in us-east-1 metric GreaterThanOrEqualToThreshold 1 in 1 of 1, missing data is notBreaching, where metric is Average of AWS/Lambda Errors"},
		{"nothing watches the webhook", "full", func(t *templates) { remove(t.Bucket, "WebhookThrottles") },
			"alarms: there is no alarm: in eu-west-1 metric GreaterThanOrEqualToThreshold 1 in 1 of 1, missing data is notBreaching, where metric is Sum of AWS/Lambda Throttles FunctionName=full-webhook"},
		{"dead letters of the wrong queue", "accepting", func(t *templates) {
			t.Bucket.Properties(kind, "AcceptDead")["Dimensions"] = t.Bucket.Properties(kind, "AcceptBehind")["Dimensions"]
		}, "alarms: there is no alarm: in us-east-1 metric GreaterThanOrEqualToThreshold 1 in 1 of 1, missing data is notBreaching, where metric is Maximum of AWS/SQS ApproximateNumberOfMessagesVisible QueueName=oncegate-accept-dead"},
		{"what scans reject is not watched", "table", func(t *templates) { remove(t.Bucket, "Rejected") },
			"alarms: there is no alarm: in eu-central-1 metric GreaterThanOrEqualToThreshold 1 in 1 of 1, missing data is notBreaching, where metric is Sum of oncegate/oncegate Rejected"},
		{"late versions are not watched", "accepting", func(t *templates) { remove(t.Bucket, "LateVersions") },
			"alarms: there is no alarm: in us-east-1 metric GreaterThanOrEqualToThreshold 1 in 1 of 1, missing data is notBreaching, where metric is Sum of oncegate/oncegate LateVersions"},

		{"logs are kept for ever", "plain", func(t *templates) { delete(t.Edge.Properties("AWS::Logs::LogGroup", "GateLogs"), "RetentionInDays") },
			"logs: nothing says how long us-east-1 /aws/lambda/us-east-1.oncegate-gate is kept"},
		{"a group of another name", "accepting", func(t *templates) {
			t.Edge.Properties("AWS::Logs::LogGroup", "MintLogs")["LogGroupName"] = "/aws/lambda/oncegate-mint"
		}, "logs: nothing says how long us-east-1 /aws/lambda/us-east-1.oncegate-mint is kept"},
	} {
		t.Run(tt.name, tt.isNamed)
	}
}
