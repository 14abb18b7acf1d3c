package check

import (
	"fmt"
	"maps"
	"slices"

	"oncegate/internal/cfn"
	"oncegate/internal/config"
	"oncegate/internal/layout"
)

// job is a regional function that follows a queue, as the settings ask for it.
type job struct {
	name        string
	permissions []string
	key         []string // actions on the bucket's KMS key
	senders     []string // who may send to the queue
}

// jobs returns all jobs that the settings ask for.
func jobs(conf config.Config) []job {
	if !conf.Acceptance.On {
		return nil
	}
	arn := "arn:aws:s3:::" + conf.Bucket
	bus := "arn:aws:events:" + conf.Region + ":${AWS::AccountId}:event-bus/default"
	all := []job{{
		name: "accept",
		permissions: []string{
			"Allow s3:ListBucket on " + arn,
			"Allow s3:ListBucketVersions on " + arn + " if StringLike s3:prefix " + layout.Uploads + "*|" + layout.Accepted + "*",
			"Allow s3:GetObjectVersion on " + arn + "/" + layout.Uploads + "*", "Allow s3:GetObjectVersionTagging on " + arn + "/" + layout.Uploads + "*",
			"Allow s3:PutObjectVersionTagging on " + arn + "/" + layout.Uploads + "*",
			"Allow s3:GetObject on " + arn + "/" + layout.Accepted + "*", "Allow s3:GetObjectVersion on " + arn + "/" + layout.Accepted + "*",
			"Allow s3:PutObject on " + arn + "/" + layout.Accepted + "*", "Allow s3:PutObjectTagging on " + arn + "/" + layout.Accepted + "*",
			"Allow s3:ListMultipartUploadParts on " + arn + "/" + layout.Accepted + "*", "Allow s3:AbortMultipartUpload on " + arn + "/" + layout.Accepted + "*",
			"Allow sqs:ChangeMessageVisibility on arn:aws:sqs:" + conf.Region + ":${AWS::AccountId}:" + conf.Deploy.Name + "-accept",
			readUploadEntries(conf),
			"Allow events:PutEvents on " + bus + " if StringEquals events:detail-type oncegate.accepted if StringEquals events:source oncegate",
		},
		key: []string{"kms:GenerateDataKey", "kms:Decrypt"},
		senders: []string{"Allow sqs:SendMessage on %s if ArnEquals aws:SourceArn " + arn +
			" if StringEquals aws:SourceAccount ${AWS::AccountId} for Service s3.amazonaws.com"},
	}}
	if conf.Acceptance.Scan != "" {
		all[0].senders = append(all[0].senders, ruleSends(conf, "scan"))
	}
	if w := conf.Acceptance.Webhook; w.URL != "" {
		name := conf.Deploy.Name + "-webhook"
		all = append(all, job{
			name: "webhook",
			permissions: []string{
				"Allow s3:ListBucket on " + arn,
				"Allow s3:ListBucketVersions on " + arn + " if StringLike s3:prefix " + layout.Accepted + "*",
				"Allow s3:GetObject on " + arn + "/" + layout.Accepted + "*", "Allow s3:GetObjectVersion on " + arn + "/" + layout.Accepted + "*",
				readUploadEntries(conf),
				"Allow ssm:GetParameter on arn:aws:ssm:" + conf.Region + ":${AWS::AccountId}:parameter" + w.Secret,
				"Allow sqs:ChangeMessageVisibility on arn:aws:sqs:" + conf.Region + ":${AWS::AccountId}:" + name,
			},
			key:     []string{"kms:Decrypt"},
			senders: []string{ruleSends(conf, "webhook")},
		})
	}
	return all
}

// ruleSends is the line of a queue's policy that lets a rule of the event bus send to it.
func ruleSends(conf config.Config, name string) string {
	return "Allow sqs:SendMessage on %s if ArnEquals aws:SourceArn arn:aws:events:" + conf.Region + ":${AWS::AccountId}:rule/" + conf.Deploy.Name + "-" + name +
		" for Service events.amazonaws.com"
}

// jobNamed reports whether the function of this name is one of the jobs.
func jobNamed(conf config.Config, name string) bool {
	return slices.ContainsFunc(jobs(conf), func(j job) bool { return conf.Deploy.Name+"-"+j.name == name })
}

// checkAcceptance: with acceptance on, the functions and queues are exactly those of
// its jobs. Without it there are none.
func checkAcceptance(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	queues := map[string]bool{}
	for _, j := range jobs(conf) {
		arn := "arn:aws:sqs:" + conf.Region + ":${AWS::AccountId}:" + conf.Deploy.Name + "-" + j.name
		queues[arn], queues[arn+"-dead"] = true, true
		checkJob(d, conf, j, arn, broken)
	}
	for _, arn := range slices.Sorted(maps.Keys(d.Queues)) {
		if !queues[arn] {
			broken("the settings do not ask for queue %s", arn)
		}
	}
	checkBusRules(d, conf, broken)
	if conf.Deploy.ExistingBucket { // doctor looks whom it notifies
		return
	}
	if on, wanted := d.Bucket.NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled, conf.Acceptance.Scan != ""; on != wanted {
		broken("the bucket notifies the event bus: %t, want %t: GuardDuty listens there for uploads to scan", on, wanted)
	}
	told := d.Bucket.NotificationConfiguration.QueueConfigurations
	if !conf.Acceptance.On {
		if len(told) != 0 {
			broken("the bucket notifies a queue, which the settings do not ask for")
		}
		return
	}
	want := "arn:aws:sqs:" + conf.Region + ":${AWS::AccountId}:" + conf.Deploy.Name + "-accept"
	if len(told) != 1 || told[0].Event != "s3:ObjectCreated:*" || told[0].Queue != want || fmt.Sprint(told[0].Filter.S3Key.Rules) != "[{prefix "+layout.Uploads+"}]" {
		broken("the bucket notifies %v, want %s for everything stored under uploads/", told, want)
	}
}

// checkBusRules: results of scans of this bucket's uploads go to acceptance, acceptances go to
// the webhook, and nothing else does.
func checkBusRules(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	want := []string{}
	if conf.Acceptance.Scan != "" {
		want = append(want, "ENABLED map[detail:map[s3ObjectDetails:map[bucketName:["+conf.Bucket+"] objectKey:[map[prefix:"+layout.Uploads+"]]]]"+
			" detail-type:[GuardDuty Malware Protection Object Scan Result] source:[aws.guardduty]] [arn:aws:sqs:"+
			conf.Region+":${AWS::AccountId}:"+conf.Deploy.Name+"-accept]")
	}
	if conf.Acceptance.Webhook.URL != "" {
		want = append(want, "ENABLED map[detail:map[bucket:["+conf.Bucket+"]] detail-type:[oncegate.accepted] source:[oncegate]] [arn:aws:sqs:"+
			conf.Region+":${AWS::AccountId}:"+conf.Deploy.Name+"-webhook]")
	}
	var got []string
	for _, r := range d.Rules {
		var targets []string
		for _, t := range r.Targets {
			targets = append(targets, t.Arn)
		}
		got = append(got, fmt.Sprint(r.State, " ", r.EventPattern, " ", targets))
	}
	compare(want, got, func(line string) { broken("there is no rule %s", line) }, func(line string) { broken("there is a rule %s", line) })
}

func checkJob(d *cfn.Deployment, conf config.Config, j job, arn string, broken func(string, ...any)) {
	name := conf.Deploy.Name + "-" + j.name
	f, queue, dead := d.Regional[name], d.Queues[arn], d.Queues[arn+"-dead"]
	if f == nil || queue == nil || dead == nil {
		broken("function %s, its queue or its dead-letter queue is missing", name)
		return
	}
	checkProgram(f, conf, map[string]string{"ONCEGATE_JOB": j.name}, append(slices.Concat(j.permissions, keyPermissions(conf, j.key...)),
		"Allow sqs:ReceiveMessage on "+arn, "Allow sqs:DeleteMessage on "+arn, "Allow sqs:GetQueueAttributes on "+arn), broken)
	if len(f.Sources) != 1 || f.Sources[0].EventSourceArn != arn || !slices.Equal(f.Sources[0].FunctionResponseTypes, []string{"ReportBatchItemFailures"}) {
		broken("%s follows %v, want its queue, with failures reported one by one", name, f.Sources)
	}
	// It takes from the concurrent executions of the account, which the gate needs: a new
	// account has 10 of them. 2 is the least that Lambda takes:
	// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
	for _, s := range f.Sources {
		if n := s.ScalingConfig.MaximumConcurrency; n != 2 {
			broken("%s follows its queue %d times at once (0 is without a limit), want 2: it must leave the gate enough", name, n)
		}
	}
	if queue.VisibilityTimeout < 6*f.Timeout {
		broken("queue of %s hands a message out again after %d s, want six times the function's %d s", name, queue.VisibilityTimeout, f.Timeout)
	}
	if p := queue.RedrivePolicy; p.DeadLetterTargetArn != dead.ARN || p.MaxReceiveCount < 2 {
		broken("queue of %s gives up after %d receives, to %q", name, p.MaxReceiveCount, p.DeadLetterTargetArn)
	}
	for _, q := range []*cfn.Queue{queue, dead} {
		if !q.SqsManagedSseEnabled || q.MessageRetentionPeriod != 14*24*3600 {
			broken("queue %s is not encrypted, or keeps messages for less than 14 days", q.QueueName)
		}
		want := []string{"Deny sqs:* on " + q.ARN + " if Bool aws:SecureTransport false for AWS *"}
		if q == queue {
			for _, s := range j.senders {
				want = append(want, fmt.Sprintf(s, q.ARN))
			}
		}
		compare(want, q.Policy.Lines(), func(line string) { broken("policy of queue %s lacks: %s", q.QueueName, line) },
			func(line string) { broken("policy of queue %s must not say: %s", q.QueueName, line) })
	}
}

// checkRemoval: accepted uploads are removed after the days that the settings say, and
// what is left of copies in parts after a day, long after a copy has ended.
func checkRemoval(rules []cfn.LifecycleRule, conf config.Config, broken func(string, ...any)) {
	removed, dropped := 0, 0
	for _, r := range rules {
		if r.Status == "Enabled" && r.Prefix == layout.Uploads && onlyAccepted(r) {
			removed = r.ExpirationInDays
		}
		if r.Status == "Enabled" && r.Prefix == layout.Accepted {
			dropped = r.AbortIncompleteMultipartUpload.DaysAfterInitiation
		}
	}
	if conf.Acceptance.On && dropped != 1 {
		broken("the parts of copies that were not finished are dropped after %d days, want 1", dropped)
	}
	if conf.Acceptance.On && removed != conf.Acceptance.RemoveAfterDays {
		broken("accepted uploads are removed after %d days, the settings say %d", removed, conf.Acceptance.RemoveAfterDays)
	}
}

// acceptedTag is the tag of such an upload, written out: what is checked does not say what it
// should be.
var acceptedTag = struct{ Key, Value string }{"oncegate", "accepted"}

// onlyAccepted reports whether a lifecycle rule touches only uploads that are accepted
// and announced.
func onlyAccepted(r cfn.LifecycleRule) bool {
	return len(r.TagFilters) == 1 && r.TagFilters[0] == acceptedTag
}

// acceptanceRole is who alone may write under accepted/.
func acceptanceRole(d *cfn.Deployment, conf config.Config) string {
	if f := d.Regional[conf.Deploy.Name+"-accept"]; f != nil {
		return "${" + f.Role.ID + ".Arn}"
	}
	return "(no role)"
}
