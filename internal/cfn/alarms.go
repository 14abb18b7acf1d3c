package cfn

import (
	"fmt"
	"slices"
	"strings"
)

// Monitoring is what watches a deployment.
type Monitoring struct {
	Alarms        []Alarm
	Topics        []*Topic
	LogGroups     []LogGroup
	MetricFilters []MetricFilter
}

// Alarm is a CloudWatch alarm, on one metric or on an expression over several.
type Alarm struct {
	ID, Stack, Region string
	AlarmProperties
}

// AlarmProperties are those of AWS::CloudWatch::Alarm.
type AlarmProperties struct {
	AlarmActions                         []string
	AlarmDescription, AlarmName          string
	ComparisonOperator, TreatMissingData string
	DatapointsToAlarm, EvaluationPeriods int
	Threshold                            float64
	// Metrics, or else the metric itself, its statistic and its period in seconds.
	Metrics []MetricQuery
	Metric
	Statistic string
	Period    int
}

// Metric names one metric of CloudWatch.
type Metric struct {
	Namespace, MetricName string
	Dimensions            []Dimension
}

// Dimension is one dimension of a metric.
type Dimension struct{ Name, Value string }

// String is the metric in one line, with its dimensions in order.
func (m Metric) String() string {
	var all []string
	for _, d := range m.Dimensions {
		all = append(all, " "+d.Name+"="+d.Value)
	}
	slices.Sort(all)
	return m.Namespace + " " + m.MetricName + strings.Join(all, "")
}

// MetricQuery is one metric of an alarm under the name of Id, or the expression over the
// others.
type MetricQuery struct {
	Id, Expression, Label string
	ReturnData            bool
	MetricStat            *struct {
		Metric Metric
		Period int
		Stat   string
	}
}

// Queries returns what the alarm is about, also where it is one metric alone.
func (a Alarm) Queries() []MetricQuery {
	if len(a.Metrics) > 0 {
		return a.Metrics
	}
	q := MetricQuery{Id: "metric", ReturnData: true}
	q.MetricStat = &struct {
		Metric Metric
		Period int
		Stat   string
	}{a.Metric, a.Period, a.Statistic}
	return []MetricQuery{q}
}

// String says in one line when the alarm goes off. Alarms with the same line go off at
// the same time.
func (a Alarm) String() string {
	what, where := "", []string{}
	for _, q := range a.Queries() {
		if q.ReturnData {
			what += q.Id
			if q.Expression != "" {
				what = q.Expression
			}
		}
		if s := q.MetricStat; s != nil {
			where = append(where, fmt.Sprintf("%s is %s of %s in %d s", q.Id, s.Stat, s.Metric, s.Period))
		}
	}
	slices.Sort(where)
	reach := a.DatapointsToAlarm
	if reach == 0 {
		reach = a.EvaluationPeriods
	}
	return fmt.Sprintf("in %s %s %s %v in %d of %d, missing data is %s, where %s", a.Region, what, a.ComparisonOperator, a.Threshold,
		reach, a.EvaluationPeriods, a.TreatMissingData, strings.Join(where, " and "))
}

// Topic is an SNS topic with those who may use it.
type Topic struct {
	ID, Stack, Region string
	Policy            PolicyDocument
	Emails            []string
}

// LogGroup is a log group of CloudWatch Logs.
type LogGroup struct {
	ID, Region      string
	LogGroupName    string
	RetentionInDays int
}

// MetricFilter makes a metric of lines of a log group.
type MetricFilter struct {
	ID, Region                  string
	FilterPattern, LogGroupName string
	MetricTransformations       []struct {
		Dimensions                               []struct{ Key, Value string }
		MetricName, MetricNamespace, MetricValue string
	}
}

// readMonitoring reads a resource that watches. It reports whether the resource is one.
func (r *reader) readMonitoring(s stack, id string) (bool, error) {
	switch s.resources[id].Type {
	case "AWS::CloudWatch::Alarm":
		a := Alarm{ID: id, Stack: s.name, Region: s.region}
		if err := s.decode(id, &a.AlarmProperties); err != nil {
			return true, err
		}
		r.Monitoring.Alarms = append(r.Monitoring.Alarms, a)
	case "AWS::SNS::Topic":
		r.topic(s, "${"+id+"}")
	case "AWS::SNS::TopicPolicy":
		var p struct {
			PolicyDocument PolicyDocument
			Topics         []string
		}
		if err := s.decode(id, &p); err != nil {
			return true, err
		}
		for _, t := range p.Topics {
			r.topic(s, t).Policy = p.PolicyDocument
		}
	case "AWS::SNS::Subscription":
		var p struct{ Endpoint, Protocol, TopicArn string }
		if err := s.decode(id, &p); err != nil {
			return true, err
		}
		if p.Protocol != "email" {
			return true, fmt.Errorf("stack %s: subscription %s is by %s: only email is understood", s.name, id, p.Protocol)
		}
		t := r.topic(s, p.TopicArn)
		t.Emails = append(t.Emails, p.Endpoint)
	case "AWS::Logs::LogGroup":
		g := LogGroup{ID: id, Region: s.region}
		var p struct {
			LogGroupName    string
			RetentionInDays int
		}
		if err := s.decode(id, &p); err != nil {
			return true, err
		}
		g.LogGroupName, g.RetentionInDays = p.LogGroupName, p.RetentionInDays
		r.Monitoring.LogGroups = append(r.Monitoring.LogGroups, g)
	case "AWS::Logs::MetricFilter":
		f := MetricFilter{ID: id, Region: s.region}
		if err := s.decode(id, &f); err != nil {
			return true, err
		}
		r.Monitoring.MetricFilters = append(r.Monitoring.MetricFilters, f)
	default:
		return false, nil
	}
	return true, nil
}

// topic returns the topic of this stack that a reference names. Policies and subscriptions
// may be read before their topic.
func (r *reader) topic(s stack, ref string) *Topic {
	for _, t := range r.Monitoring.Topics {
		if t.Stack == s.name && t.ID == ref {
			return t
		}
	}
	t := &Topic{ID: ref, Stack: s.name, Region: s.region}
	r.Monitoring.Topics = append(r.Monitoring.Topics, t)
	return t
}
