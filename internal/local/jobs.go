package local

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"oncegate/internal/cfn"
	"oncegate/internal/local/api"
	"oncegate/internal/local/cloudfront"
	"oncegate/internal/local/lambda"
	"oncegate/internal/local/queue"
	"oncegate/internal/local/s3server"
)

// Jobs say how to play what follows the bucket's notifications.
type Jobs struct {
	// Dir, if set, gets the events of the bus, in events.jsonl, and the messages of each
	// dead-letter queue, in <queue>.jsonl.
	Dir string
	// Parameters are those of Systems Manager.
	Parameters map[string]string
	// Visibility, if set, replaces the visibility timeout of every queue.
	Visibility time.Duration
	// Deliver, if set, gets each notification about a key instead of the queue. Each call of
	// send puts it into the queue, now or later. After the close nobody reads the queue.
	Deliver func(key string, send func())
	// Scan, if set, gives what GuardDuty finds in a version that was stored: each is told once,
	// after its time. Without it every version is told to be clean. It is asked only if the
	// templates have a rule for scans.
	Scan func(key, version string) []ScanResult
}

// ScanResult is the result of a scan in GuardDuty's words, such as NO_THREATS_FOUND.
type ScanResult struct {
	Status string
	After  time.Duration
}

// pollers is how many batches of one queue may be under way. Lambda begins with as many.
const pollers = 5

// jobs are the queues of a deployment and those that follow them.
type jobs struct {
	o      Jobs
	d      *cfn.Deployment
	log    *slog.Logger
	queues map[string]*queue.Queue // by ARN
	files  []io.Closer

	stop   context.CancelFunc
	follow sync.WaitGroup
	count  atomic.Uint64 // for sequencers
}

// newJobs makes the queues. What the templates ask for and cannot be played is an error.
func newJobs(d *cfn.Deployment, o Jobs, log *slog.Logger) (*jobs, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	j := &jobs{o: o, d: d, log: log, queues: map[string]*queue.Queue{}}
	for _, r := range d.Rules {
		if r.State != "ENABLED" {
			return nil, fmt.Errorf("rule %s is %s: only ENABLED is played", r.Name, r.State)
		}
		if _, err := matches(r.EventPattern, map[string]any{}); err != nil {
			return nil, fmt.Errorf("rule %s: %w", r.Name, err)
		}
		for _, t := range r.Targets {
			if d.Queues[t.Arn] == nil {
				return nil, fmt.Errorf("rule %s hands events to %s, which is no queue of the templates", r.Name, t.Arn)
			}
		}
	}
	for name, f := range d.Regional {
		for _, e := range f.Sources {
			if n := e.ScalingConfig.MaximumConcurrency; n != 0 && (n < 2 || n > 1000) {
				return nil, fmt.Errorf("function %s follows its queue %d times at once: Lambda takes 2 to 1000", name, n)
			}
		}
	}
	for _, arn := range slices.Sorted(maps.Keys(d.Queues)) {
		if _, err := j.queue(arn, nil); err != nil {
			j.close()
			return nil, err
		}
	}
	for _, n := range d.Bucket.NotificationConfiguration.QueueConfigurations {
		rules := n.Filter.S3Key.Rules
		switch {
		case n.Event != "s3:ObjectCreated:*":
			return nil, fmt.Errorf("the bucket tells of %s: only s3:ObjectCreated:* is played", n.Event)
		case len(rules) > 1 || len(rules) == 1 && rules[0].Name != "prefix":
			return nil, fmt.Errorf("the bucket tells by %v: only a prefix is played", rules)
		case d.Queues[n.Queue] == nil:
			return nil, fmt.Errorf("the bucket tells %s, which is no queue of the templates", n.Queue)
		}
		j.queues[n.Queue].Send(testEvent(d.Bucket.BucketName))
	}
	return j, nil
}

// queue makes the queue, and before it the one for its dead messages.
func (j *jobs) queue(arn string, above []string) (*queue.Queue, error) {
	if q := j.queues[arn]; q != nil {
		return q, nil
	}
	made := j.d.Queues[arn]
	if made == nil || slices.Contains(above, arn) {
		return nil, fmt.Errorf("dead messages go to %s, which is no queue of the templates, or to themselves", arn)
	}
	o := queue.Options{
		Name: made.QueueName, ARN: filled(arn), Visibility: time.Duration(made.VisibilityTimeout) * time.Second,
		MaxReceives: made.RedrivePolicy.MaxReceiveCount,
	}
	if j.o.Visibility > 0 {
		o.Visibility = j.o.Visibility
	}
	if dead := made.RedrivePolicy.DeadLetterTargetArn; dead != "" {
		var err error
		if o.Dead, err = j.queue(dead, append(above, arn)); err != nil {
			return nil, err
		}
	} else if j.o.Dir != "" {
		file, err := j.file(made.QueueName + ".jsonl")
		if err != nil {
			return nil, err
		}
		o.Lines = file
	}
	j.queues[arn] = queue.New(o)
	return j.queues[arn], nil
}

// file opens a file to append to.
func (j *jobs) file(name string) (io.Writer, error) {
	if err := os.MkdirAll(j.o.Dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(j.o.Dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		j.files = append(j.files, f)
	}
	return f, err
}

func filled(text string) string {
	return strings.ReplaceAll(text, "${AWS::AccountId}", cloudfront.Account)
}

// stored notifies the queues of the bucket's notifications.
func (j *jobs) stored(s s3server.Stored) {
	for _, n := range j.d.Bucket.NotificationConfiguration.QueueConfigurations {
		if rules := n.Filter.S3Key.Rules; len(rules) > 0 && !strings.HasPrefix(s.Key, rules[0].Value) {
			continue
		}
		body := j.notification(s)
		send := func() { j.queues[n.Queue].Send(body) }
		if j.o.Deliver != nil {
			j.o.Deliver(s.Key, send)
		} else {
			send()
		}
	}
	j.scanned(s)
}

// scanned tells the bus what GuardDuty finds in a version. It scans what S3 notifies the bus
// of.
func (j *jobs) scanned(s s3server.Stored) {
	if !j.d.Bucket.NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled {
		return
	}
	results := []ScanResult{{Status: "NO_THREATS_FOUND"}}
	if j.o.Scan != nil {
		results = j.o.Scan(s.Key, s.Version)
	}
	for _, r := range results {
		event := j.scanResult(s, r.Status)
		if r.After == 0 {
			j.event(event)
			continue
		}
		time.AfterFunc(r.After, func() { j.event(event) })
	}
}

// scanResult is the event of GuardDuty about a version:
// https://docs.aws.amazon.com/guardduty/latest/ug/monitor-with-eventbridge-s3-malware-protection.html
func (j *jobs) scanResult(s s3server.Stored, status string) []byte {
	scan := "SKIPPED"
	var threats any
	switch status {
	case "NO_THREATS_FOUND":
		scan = "COMPLETED"
	case "THREATS_FOUND":
		scan, threats = "COMPLETED", []any{map[string]string{"name": "EICAR-Test-File (not a virus)"}}
	case "FAILED":
		scan = "FAILED"
	}
	plan := "arn:aws:guardduty:" + j.d.Bucket.Region + ":" + cloudfront.Account + ":malware-protection-plan/local"
	event, err := json.Marshal(map[string]any{
		"version": "0", "id": rand.Text(), "detail-type": "GuardDuty Malware Protection Object Scan Result", "source": "aws.guardduty",
		"account": cloudfront.Account, "time": time.Now().UTC().Format(time.RFC3339), "region": j.d.Bucket.Region, "resources": []string{plan},
		"detail": map[string]any{
			"schemaVersion": "1.0", "scanStatus": scan, "resourceType": "S3_OBJECT",
			"s3ObjectDetails": map[string]any{
				"bucketName": j.d.Bucket.BucketName, "objectKey": s.Key, "eTag": s.ETag, "versionId": s.Version, "s3Throttled": false,
			},
			"scanResultDetails": map[string]any{"scanResultStatus": status, "threats": threats, "statusReasons": nil},
		},
	})
	if err != nil {
		panic(err) // texts always encode
	}
	return event
}

// notification is the message that S3 sends:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
func (j *jobs) notification(s s3server.Stored) string {
	object := map[string]any{
		"key": url.QueryEscape(s.Key), "versionId": s.Version, "sequencer": fmt.Sprintf("%016X", uint64(time.Now().UnixNano())+j.count.Add(1)),
	}
	if s.Size >= 0 {
		object["size"] = s.Size
	}
	if s.ETag != "" {
		object["eTag"] = s.ETag
	}
	text, err := json.Marshal(map[string]any{"Records": []any{map[string]any{
		"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": j.d.Bucket.Region, "eventName": s.Event,
		"eventTime":    time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
		"userIdentity": map[string]string{"principalId": "AWS:LOCAL"}, "requestParameters": map[string]string{"sourceIPAddress": s.SourceIP},
		"responseElements": map[string]string{"x-amz-request-id": s.RequestID, "x-amz-id-2": rand.Text()},
		"s3": map[string]any{
			"s3SchemaVersion": "1.0", "configurationId": "local",
			"bucket": map[string]any{
				"name": j.d.Bucket.BucketName, "arn": "arn:aws:s3:::" + j.d.Bucket.BucketName, "ownerIdentity": map[string]string{"principalId": "LOCAL"},
			},
			"object": object,
		},
	}}})
	if err != nil {
		panic(err) // texts and numbers always encode
	}
	return string(text)
}

// event passes an event of the bus on to the targets of the rules that match it.
func (j *jobs) event(event []byte) {
	var fields map[string]any
	if err := json.Unmarshal(event, &fields); err != nil {
		panic(err) // it was made here
	}
	for _, r := range j.d.Rules {
		if ok, _ := matches(r.EventPattern, fields); ok {
			for _, t := range r.Targets {
				j.queues[t.Arn].Send(string(event))
			}
		}
	}
}

// matches reports whether an event matches a pattern: each field must equal one of the
// pattern's texts, or begin with one of its prefixes.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
func matches(pattern, event map[string]any) (all bool, err error) {
	all = true
	for name, want := range pattern {
		ok := false
		switch want := want.(type) {
		case map[string]any:
			inner, _ := event[name].(map[string]any)
			if ok, err = matches(want, inner); err != nil {
				return false, err
			}
		case []any:
			for _, w := range want {
				text, isText := w.(string)
				filter, _ := w.(map[string]any)
				prefix, isPrefix := filter["prefix"].(string)
				is, _ := event[name].(string)
				switch {
				case isText:
					ok = ok || event[name] == text
				case isPrefix && len(filter) == 1:
					ok = ok || event[name] != nil && strings.HasPrefix(is, prefix)
				default:
					return false, fmt.Errorf("its pattern has %v for %s: only texts and prefixes are played", w, name)
				}
			}
		default:
			return false, fmt.Errorf("its pattern has %v for %s", want, name)
		}
		all = all && ok
	}
	return all, nil
}

// testEvent is what S3 sends when notifications are set up.
func testEvent(bucket string) string {
	return fmt.Sprintf(`{"Service":"Amazon S3","Event":"s3:TestEvent","Time":%q,"Bucket":%q,"RequestId":"LOCAL","HostId":"local"}`,
		time.Now().UTC().Format(time.RFC3339), bucket)
}

// services are the APIs that jobs call.
func (j *jobs) services(callers []api.Caller) (*api.Services, error) {
	s := &api.Services{Region: j.d.Bucket.Region, Account: cloudfront.Account, Callers: callers, Parameters: j.o.Parameters, Rule: j.event, Log: j.log}
	if j.o.Dir != "" && len(j.queues) > 0 {
		var err error
		if s.Lines, err = j.file("events.jsonl"); err != nil {
			return nil, err
		}
	}
	for arn, q := range j.queues {
		queue := api.Queue{ARN: filled(arn), URL: filled(j.d.Queues[arn].URL), Queue: q}
		for source, made := range j.d.Queues {
			if made.RedrivePolicy.DeadLetterTargetArn == arn {
				queue.Source = filled(source)
			}
		}
		s.Queues = append(s.Queues, queue)
	}
	return s, nil
}

// start has the functions follow their queues.
func (j *jobs) start(functions map[string]*lambda.Function) {
	var ctx context.Context
	ctx, j.stop = context.WithCancel(context.Background())
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		for _, e := range j.d.Regional[name].Sources {
			source := &queue.Source{
				Queue: j.queues[e.EventSourceArn], Function: functions[name], Region: j.d.Regional[name].Region, BatchSize: e.BatchSize, Pollers: atOnce(e),
				ItemFailures: slices.Contains(e.FunctionResponseTypes, "ReportBatchItemFailures"), Log: j.log,
			}
			j.follow.Go(func() { source.Follow(ctx) })
		}
	}
}

// atOnce is how many batches of an event source may be under way.
func atOnce(e cfn.EventSource) int {
	return min(cmp.Or(e.ScalingConfig.MaximumConcurrency, pollers), pollers)
}

// close stops following the queues. The functions must be closed before, or soon: it
// waits for their invocations.
func (j *jobs) close() error {
	if j.stop != nil {
		j.stop()
	}
	j.follow.Wait()
	var errs []error
	for _, f := range j.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
