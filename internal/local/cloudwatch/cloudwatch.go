// Package cloudwatch counts what the local services would report to CloudWatch, and says
// which alarms of the templates that would set off.
//
// It keeps no time series: all that was counted since the start is one period. An alarm
// that wants several periods goes off with that one, as if they had all been like it.
package cloudwatch

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"oncegate/internal/cfn"
)

// Metrics are counted metrics. A nil *Metrics counts nothing.
type Metrics struct {
	mu     sync.Mutex
	series map[string]*series // by cfn.Metric.String
}

// series is what CloudWatch keeps of the values of one period.
type series struct{ sum, max, count float64 }

// New returns metrics without data.
func New() *Metrics { return &Metrics{series: map[string]*series{}} }

// Add counts one value. Dimensions are names and values in turn.
func (m *Metrics) Add(namespace, name string, value float64, dimensions ...string) {
	if m == nil {
		return
	}
	id := metric(namespace, name, dimensions).String()
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.series[id]
	if s == nil {
		s = &series{max: value}
		m.series[id] = s
	}
	s.sum += value
	s.max = max(s.max, value)
	s.count++
}

// Sum returns the sum of all values of a metric.
func (m *Metrics) Sum(namespace, name string, dimensions ...string) float64 {
	sum, _, err := m.value(metric(namespace, name, dimensions), "Sum")
	if err != nil {
		panic(err) // Sum is known
	}
	return sum
}

func metric(namespace, name string, dimensions []string) cfn.Metric {
	m := cfn.Metric{Namespace: namespace, MetricName: name}
	for i := 0; i < len(dimensions); i += 2 {
		m.Dimensions = append(m.Dimensions, cfn.Dimension{Name: dimensions[i], Value: dimensions[i+1]})
	}
	return m
}

// value is a statistic of a metric. Without data it is not there.
func (m *Metrics) value(metric cfn.Metric, statistic string) (value float64, there bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.series[metric.String()]
	if s == nil {
		s = &series{}
	}
	switch statistic {
	case "Sum":
		value = s.sum
	case "Average":
		value = s.sum / max(s.count, 1)
	case "Maximum":
		value = s.max
	default:
		return 0, false, fmt.Errorf("statistic %s of %v: only Sum, Average and Maximum are played", statistic, metric)
	}
	return value, s.count > 0, nil
}

// State is what an alarm sees.
type State struct {
	Value   float64
	Missing bool // there is no data
	Alarm   bool // it would go off
}

// State judges an alarm by what was counted. What cannot be played is an error.
func (m *Metrics) State(a cfn.Alarm) (State, error) {
	var s State
	values, result := map[string]float64{}, cfn.MetricQuery{}
	for _, q := range a.Queries() {
		if q.ReturnData {
			result = q
		}
		if q.MetricStat == nil {
			continue
		}
		value, there, err := m.value(q.MetricStat.Metric, q.MetricStat.Stat)
		if err != nil {
			return s, fmt.Errorf("%s: %w", a.AlarmName, err)
		}
		values[q.Id] = value
		s.Missing = s.Missing || !there // an expression over nothing has no value
	}
	s.Value = values[result.Id]
	if result.Expression != "" {
		var err error
		if s.Value, err = evaluate(result.Expression, values); err != nil {
			return s, fmt.Errorf("%s: %w", a.AlarmName, err)
		}
	}
	if a.ComparisonOperator != "GreaterThanOrEqualToThreshold" {
		return s, fmt.Errorf("%s: %s is not played", a.AlarmName, a.ComparisonOperator)
	}
	s.Alarm = s.Value >= a.Threshold
	if s.Missing {
		switch a.TreatMissingData {
		case "breaching":
			s.Alarm = true
		case "notBreaching":
			s.Alarm = false
		default:
			return s, fmt.Errorf("%s: missing data is %q: only breaching and notBreaching are played", a.AlarmName, a.TreatMissingData)
		}
	}
	return s, nil
}

// evaluate computes products and quotients, from left to right: a * b / 100.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
func evaluate(expression string, values map[string]float64) (float64, error) {
	result, operator := 1.0, "*"
	for i, word := range strings.Fields(expression) {
		if i%2 == 1 {
			operator = word
			continue
		}
		value, known := values[word]
		if !known {
			var err error
			if value, err = strconv.ParseFloat(word, 64); err != nil {
				return 0, fmt.Errorf("expression %q: %q is no metric of the alarm and no number", expression, word)
			}
		}
		switch operator {
		case "*":
			result *= value
		case "/":
			result /= value
		default:
			return 0, fmt.Errorf("expression %q: %q is not played", expression, operator)
		}
	}
	return result, nil
}
