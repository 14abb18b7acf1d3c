package cloudwatch_test

import (
	"log/slog"
	"strings"
	"testing"

	"oncegate/internal/cfn"
	"oncegate/internal/local/cloudwatch"
)

// onRate is an alarm on the failures among the requests.
func onRate(threshold float64) cfn.Alarm {
	query := func(id, name, statistic string) cfn.MetricQuery {
		q := cfn.Alarm{AlarmProperties: cfn.AlarmProperties{Metric: cfn.Metric{Namespace: "AWS/CloudFront", MetricName: name}, Statistic: statistic, Period: 60}}.Queries()[0]
		q.Id, q.ReturnData = id, false
		return q
	}
	return cfn.Alarm{AlarmProperties: cfn.AlarmProperties{
		AlarmName: "failures", ComparisonOperator: "GreaterThanOrEqualToThreshold", Threshold: threshold, TreatMissingData: "notBreaching",
		Metrics: []cfn.MetricQuery{
			{Id: "failures", Expression: "requests * rate / 100", ReturnData: true}, query("requests", "Requests", "Sum"), query("rate", "5xxErrorRate", "Average"),
		},
	}}
}

// TestRateTimesRequests: one failure among three requests is one failure, though its rate
// is a number without an end.
func TestRateTimesRequests(t *testing.T) {
	m := cloudwatch.New()
	for i, rate := range []float64{0, 100, 0} {
		m.Add("AWS/CloudFront", "Requests", 1)
		m.Add("AWS/CloudFront", "5xxErrorRate", rate)
		for threshold, want := range map[float64]bool{0.5: i > 0, 1.5: false} {
			s, err := m.State(onRate(threshold))
			if err != nil || s.Alarm != want || s.Missing {
				t.Errorf("after %d requests, threshold %v: %+v, %v; want %v", i+1, threshold, s, err, want)
			}
		}
	}
}

func TestMissingData(t *testing.T) {
	m := cloudwatch.New()
	m.Add("AWS/CloudFront", "Requests", 1) // and no rate
	for treat, want := range map[string]bool{"notBreaching": false, "breaching": true} {
		a := onRate(0.5)
		a.TreatMissingData = treat
		if s, err := m.State(a); err != nil || s.Alarm != want || !s.Missing {
			t.Errorf("%s: %+v, %v", treat, s, err)
		}
	}
}

func TestOneMetric(t *testing.T) {
	m := cloudwatch.New()
	for _, depth := range []float64{0, 3, 0} {
		m.Add("AWS/SQS", "ApproximateNumberOfMessagesVisible", depth, "QueueName", "dead")
	}
	for statistic, want := range map[string]float64{"Maximum": 3, "Sum": 3, "Average": 1} {
		a := cfn.Alarm{AlarmProperties: cfn.AlarmProperties{
			ComparisonOperator: "GreaterThanOrEqualToThreshold", Threshold: 3, TreatMissingData: "notBreaching", Statistic: statistic,
			Metric: cfn.Metric{Namespace: "AWS/SQS", MetricName: "ApproximateNumberOfMessagesVisible", Dimensions: []cfn.Dimension{{Name: "QueueName", Value: "dead"}}},
		}}
		if s, err := m.State(a); err != nil || s.Value != want || s.Alarm != (want >= 3) {
			t.Errorf("%s: %+v, %v", statistic, s, err)
		}
		a.Dimensions = nil
		if s, err := m.State(a); err != nil || !s.Missing {
			t.Errorf("%s of another metric: %+v, %v", statistic, s, err)
		}
	}
}

// TestNotPlayed: what an alarm asks for and cannot be computed is an error.
func TestNotPlayed(t *testing.T) {
	for name, change := range map[string]func(*cfn.Alarm){
		"LessThanThreshold": func(a *cfn.Alarm) { a.ComparisonOperator = "LessThanThreshold" },
		"p99":               func(a *cfn.Alarm) { a.Metrics[1].MetricStat.Stat = "p99" },
		`"+"`:               func(a *cfn.Alarm) { a.Metrics[0].Expression = "requests + rate" },
		`"other"`:           func(a *cfn.Alarm) { a.Metrics[0].Expression = "requests * other" },
		`"missing"`:         func(a *cfn.Alarm) { a.TreatMissingData = "missing" },
	} {
		a := onRate(0.5)
		change(&a)
		if _, err := cloudwatch.New().State(a); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "failures") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFilters: lines of the function are counted, and nobody else's.
func TestFilters(t *testing.T) {
	d, err := cfn.Read("../../cfn/testdata/plain")
	if err != nil {
		t.Fatal(err)
	}
	m := cloudwatch.New()
	var out strings.Builder
	h, err := m.Handler(slog.NewTextHandler(&out, nil), d.Monitoring.MetricFilters)
	if err != nil {
		t.Fatal(err)
	}
	const line = `{"message":"refused","reason":"used"}`
	log := slog.New(h)
	log.Info(line)
	log.With("function", "other").Info(line)
	gate := log.With("function", "oncegate-gate")
	gate.Info(`{"message":"passed"}`)
	gate.Info(`refused`)
	if n := m.Sum("oncegate/oncegate", "Refused", "reason", "used"); n != 0 {
		t.Errorf("%v counted before any", n)
	}
	gate.WithGroup("x").Info(line)
	if n := m.Sum("oncegate/oncegate", "Refused", "reason", "used"); n != 1 {
		t.Errorf("%v counted, want 1", n)
	}
	if n := strings.Count(out.String(), "\n"); n != 5 {
		t.Errorf("%d lines passed on, want 5:\n%s", n, &out)
	}
	silent, err := m.Handler(slog.DiscardHandler, d.Monitoring.MetricFilters)
	if err != nil {
		t.Fatal(err)
	}
	slog.New(silent).With("function", "oncegate-mint").Info(line)
	if n := m.Sum("oncegate/oncegate", "Refused", "reason", "used"); n != 2 {
		t.Errorf("%v counted, want 2: nobody reads the log", n)
	}
	d.Monitoring.MetricFilters[0].FilterPattern = "refused"
	if _, err := m.Handler(slog.DiscardHandler, d.Monitoring.MetricFilters); err == nil || !strings.Contains(err.Error(), "cannot be played") {
		t.Errorf("another pattern: %v", err)
	}
}

// TestNobodyCounts: parts of the local edge may run without metrics.
func TestNobodyCounts(t *testing.T) {
	var m *cloudwatch.Metrics
	m.Add("AWS/Lambda", "Errors", 1)
}
