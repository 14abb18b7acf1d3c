package local

import (
	"encoding/json"
	"strings"
	"testing"

	"oncegate/internal/cfn"
)

// What the templates ask for and is not played is named.
func TestJobsRefuse(t *testing.T) {
	const queue = "arn:aws:sqs:us-east-1:${AWS::AccountId}:q"
	for want, change := range map[string]func(*cfn.Deployment){
		"only s3:ObjectCreated:* is played": func(d *cfn.Deployment) {
			d.Bucket.NotificationConfiguration.QueueConfigurations = []cfn.Notification{{Event: "s3:ObjectRemoved:*", Queue: queue}}
		},
		"only a prefix is played": func(d *cfn.Deployment) {
			n := cfn.Notification{Event: "s3:ObjectCreated:*", Queue: queue}
			n.Filter.S3Key.Rules = []struct{ Name, Value string }{{"suffix", ".jpg"}}
			d.Bucket.NotificationConfiguration.QueueConfigurations = []cfn.Notification{n}
		},
		"tells other, which is no queue": func(d *cfn.Deployment) {
			d.Bucket.NotificationConfiguration.QueueConfigurations = []cfn.Notification{{Event: "s3:ObjectCreated:*", Queue: "other"}}
		},
		"rule r is DISABLED": func(d *cfn.Deployment) { d.Rules = []cfn.Rule{{Name: "r", State: "DISABLED"}} },
		"its pattern has map[suffix:x] for source": func(d *cfn.Deployment) {
			d.Rules = []cfn.Rule{{Name: "r", State: "ENABLED", EventPattern: map[string]any{"source": []any{map[string]any{"suffix": "x"}}}}}
		},
		"its pattern has map[prefix:x suffix:x] for source": func(d *cfn.Deployment) {
			d.Rules = []cfn.Rule{{Name: "r", State: "ENABLED", EventPattern: map[string]any{"source": []any{map[string]any{"prefix": "x", "suffix": "x"}}}}}
		},
		"hands events to other": func(d *cfn.Deployment) {
			d.Rules = []cfn.Rule{{Name: "r", State: "ENABLED", Targets: []struct{ Id, Arn string }{{"t", "other"}}}}
		},
		"Lambda takes 2 to 1000": func(d *cfn.Deployment) {
			e := cfn.EventSource{EventSourceArn: queue}
			e.ScalingConfig.MaximumConcurrency = 1
			d.Regional = map[string]*cfn.Function{"f": {Sources: []cfn.EventSource{e}}}
		},
		"or to themselves": func(d *cfn.Deployment) { d.Queues[queue].RedrivePolicy.DeadLetterTargetArn = queue },
	} {
		d := &cfn.Deployment{Queues: map[string]*cfn.Queue{queue: {ARN: queue, QueueProperties: cfn.QueueProperties{QueueName: "q"}}}}
		if j, err := newJobs(d, Jobs{}, nil); err != nil {
			t.Fatalf("unchanged: %v", err)
		} else {
			j.close()
		}
		change(d)
		if _, err := newJobs(d, Jobs{}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// An event source follows its queue as often at once as the template says, and by itself as
// often as Lambda begins with.
func TestAtOnce(t *testing.T) {
	for most, want := range map[int]int{0: 5, 2: 2, 5: 5, 1000: 5} {
		var e cfn.EventSource
		e.ScalingConfig.MaximumConcurrency = most
		if got := atOnce(e); got != want {
			t.Errorf("%d: %d, want %d", most, got, want)
		}
	}
}

func TestMatches(t *testing.T) {
	const pattern = `{"source": ["oncegate", "other"], "detail": {"bucket": ["b", {"prefix": "x-"}]}}`
	for event, want := range map[string]bool{
		`{"source": "oncegate", "detail": {"bucket": "b", "more": 1}}`: true,
		`{"source": "other", "detail": {"bucket": "b"}}`:               true,
		`{"source": "oncegate", "detail": {"bucket": "c"}}`:            false,
		`{"source": "x", "detail": {"bucket": "b"}}`:                   false,
		`{"source": "other", "detail": {"bucket": "x-b"}}`:             true,
		`{"source": "other", "detail": {"bucket": "x"}}`:               false,
		`{"source": "other", "detail": {"bucket": 1}}`:                 false,
		`{"source": "oncegate"}`:                                       false,
		`{}`:                                                           false,
	} {
		var p, e map[string]any
		if json.Unmarshal([]byte(pattern), &p) != nil || json.Unmarshal([]byte(event), &e) != nil {
			t.Fatal(event)
		}
		if got, err := matches(p, e); got != want || err != nil {
			t.Errorf("%s: %v, %v", event, got, err)
		}
	}
}
