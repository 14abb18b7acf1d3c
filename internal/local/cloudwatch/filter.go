package cloudwatch

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"

	"oncegate/internal/cfn"
)

// filter makes a metric of the lines of one function.
type filter struct {
	function, field, value string
	metric                 cfn.Metric
	number                 float64
	dimensions             map[string]string // name -> field
}

// pattern is the one kind of pattern that is played: a field that has a text.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
var pattern = regexp.MustCompile(`^\{ \$\.(\w+) = "([^"*\\]*)" \}$`)

func newFilter(f cfn.MetricFilter) (filter, error) {
	found := pattern.FindStringSubmatch(f.FilterPattern)
	name, ok := strings.CutPrefix(f.LogGroupName, "/aws/lambda/")
	if found == nil || !ok || len(f.MetricTransformations) != 1 {
		return filter{}, fmt.Errorf("metric filter %s: %s on %s cannot be played", f.ID, f.FilterPattern, f.LogGroupName)
	}
	made := f.MetricTransformations[0]
	number, err := strconv.ParseFloat(made.MetricValue, 64)
	if err != nil {
		return filter{}, fmt.Errorf("metric filter %s: %w", f.ID, err)
	}
	out := filter{
		function: strings.TrimPrefix(name, "us-east-1."), field: found[1], value: found[2], number: number,
		metric: cfn.Metric{Namespace: made.MetricNamespace, MetricName: made.MetricName}, dimensions: map[string]string{},
	}
	for _, d := range made.Dimensions {
		out.dimensions[d.Key] = strings.TrimPrefix(d.Value, "$.")
	}
	return out, nil
}

// handler passes log records on, and counts the lines of functions that filters match.
type handler struct {
	slog.Handler
	metrics  *Metrics
	filters  []filter
	function string
}

// Handler returns a log handler that plays the metric filters on what functions print,
// and passes everything on. The lines of a function have its name in the attribute
// "function".
func (m *Metrics) Handler(inner slog.Handler, filters []cfn.MetricFilter) (slog.Handler, error) {
	h := &handler{Handler: inner, metrics: m}
	for _, f := range filters {
		made, err := newFilter(f)
		if err != nil {
			return nil, err
		}
		h.filters = append(h.filters, made)
	}
	return h, nil
}

// Enabled implements slog.Handler: functions' lines are counted even where nobody reads
// the log.
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || h.Handler.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	var line map[string]any
	if h.function != "" && json.Unmarshal([]byte(r.Message), &line) == nil {
		for _, f := range h.filters {
			if f.function == h.function && line[f.field] == f.value {
				f.count(h.metrics, line)
			}
		}
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (f filter) count(m *Metrics, line map[string]any) {
	var dimensions []string
	for name, field := range f.dimensions {
		dimensions = append(dimensions, name, fmt.Sprint(line[field]))
	}
	m.Add(f.metric.Namespace, f.metric.MetricName, f.number, dimensions...)
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.Handler = h.Handler.WithAttrs(attrs)
	for _, a := range attrs {
		if a.Key == "function" {
			c.function = a.Value.String()
		}
	}
	return &c
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	c := *h
	c.Handler = h.Handler.WithGroup(name)
	return &c
}
