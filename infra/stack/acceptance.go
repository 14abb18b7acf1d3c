package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"oncegate/internal/acceptance"
	"oncegate/internal/config"
	"oncegate/internal/layout"
)

const (
	acceptedKeys    = layout.Accepted + "*"
	uploadEntryKeys = layout.UploadEntries + "*"
)

// Limits of a regional job. Copying 5 GiB within a bucket takes a minute at most; what is
// larger goes on in the next call (internal/acceptance/parts.go has the arithmetic). The
// queue hands a message out again after six times the function's timeout, as AWS asks:
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
const (
	acceptSeconds  = 300
	webhookSeconds = 120
	jobMemory      = 256
	jobBatch       = 10
	jobsAtOnce     = 2  // the least that Lambda takes: see docs/acceptance.md
	receives       = 5  // then a message is dead
	posts          = 8  // the webhook's receives: about an hour, with the pauses between
	keepMessages   = 14 // days, the longest that SQS offers
)

// jobs makes the regional functions that follow queues, in the stack of the bucket.
type jobs struct {
	stack  awscdk.Stack
	conf   config.Config
	o      Options
	alarms alarms
	// seconds is the timeout of a function.
	seconds int
}

// newAcceptance makes what accepts uploads: the bucket notifies a queue of everything
// that is stored under uploads/, and a function follows the queue. bucket is nil if it was there.
func newAcceptance(stack awscdk.Stack, conf config.Config, o Options, bucket awss3.Bucket, alarms alarms) awslambda.Function {
	j := jobs{stack, conf, o, alarms, acceptSeconds}
	queue := j.queue("Accept", "accept", receives)
	j.notify(bucket, queue)
	statements := append(keyStatements(conf, "kms:GenerateDataKey", "kms:Decrypt"),
		allow("TellAbsentObjects", []string{"s3:ListBucket"}, bucketARN(conf)),
		when(allow("ListVersions", []string{"s3:ListBucketVersions"}, bucketARN(conf)),
			"StringLike", "s3:prefix", uploadKeys, acceptedKeys),
		allow("ReadUploads", []string{"s3:GetObjectVersion", "s3:GetObjectVersionTagging"}, objects(conf, uploadKeys)),
		allow("MarkUploads", []string{"s3:PutObjectVersionTagging"}, objects(conf, uploadKeys)),
		allow("ReadAccepted", []string{"s3:GetObject", "s3:GetObjectVersion"}, objects(conf, acceptedKeys)),
		allow("WriteAccepted", []string{"s3:PutObject", "s3:PutObjectTagging"}, objects(conf, acceptedKeys)),
		allow("ListAndDropCopies", []string{"s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"}, objects(conf, acceptedKeys)),
		allow("GoOn", []string{"sqs:ChangeMessageVisibility"}, *queue.QueueArn()),
		readUploadEntries(stack, conf),
		when(when(allow("Announce", []string{"events:PutEvents"}, "arn:aws:events:"+*stack.Region()+":"+*stack.Account()+":event-bus/default"),
			"StringEquals", "events:source", eventSource), "StringEquals", "events:detail-type", acceptedType),
	)
	function := j.function("Accept", "accept", "follows what is stored under uploads/", queue, statements...)
	if bucket != nil {
		protectAccepted(bucket, function.Role())
	}
	j.count("LateVersions", acceptance.LateMessage, function,
		"Something was stored over an upload: somebody writes past the gate, or an enabled URL was used late")
	if conf.Acceptance.Scan != "" {
		j.scan(queue, function)
	}
	if conf.Acceptance.Webhook.URL != "" {
		j.webhook()
	}
	return function
}

// scan makes what tells acceptance how the scans of uploads end: a rule of the event bus, to
// the same queue, and an alarm on what they have not cleared. GuardDuty scans what its
// protection plan says; of other objects, one of its own among them, the queue is not told.
// https://docs.aws.amazon.com/guardduty/latest/ug/monitor-with-eventbridge-s3-malware-protection.html
func (j jobs) scan(queue awssqs.Queue, function awslambda.Function) {
	j.rule("ScanRule", "scan", "oncegate: how the scans of uploads end", queue, map[string]interface{}{
		"source": []string{"aws.guardduty"}, "detail-type": []string{"GuardDuty Malware Protection Object Scan Result"},
		"detail": map[string]interface{}{"s3ObjectDetails": map[string]interface{}{
			"bucketName": []string{j.conf.Bucket}, "objectKey": []map[string]string{{"prefix": layout.Uploads}},
		}},
	})
	j.count("Rejected", acceptance.RejectedMessage, function,
		"A scan has not cleared an upload: it has found a threat, or could not look. The upload stays where it is. The function's log names it")
}

// count makes a metric of the log lines with this message, and an alarm on it.
func (j jobs) count(name, message string, function awslambda.Function, what string) {
	namespace := "oncegate/" + j.conf.Deploy.Name
	awslogs.NewMetricFilter(j.stack, jsii.String(name), &awslogs.MetricFilterProps{
		LogGroup:        function.LogGroup(),
		FilterPattern:   awslogs.FilterPattern_StringValue(jsii.String("$.message"), jsii.String("="), jsii.String(message)),
		MetricNamespace: jsii.String(namespace),
		MetricName:      jsii.String(name),
		MetricValue:     jsii.String("1"),
	})
	j.alarms.add(name+"Alarm", alarm{name: name, what: what, metric: metric(namespace, name, "Sum", nil), threshold: 1})
}

// rule makes a rule of the event bus that puts the events of this pattern on a queue.
func (j jobs) rule(id, job, description string, queue awssqs.Queue, pattern map[string]interface{}) {
	name := j.conf.Deploy.FunctionName(job)
	awsevents.NewCfnRule(j.stack, jsii.String(id), &awsevents.CfnRuleProps{
		Name: jsii.String(name), Description: jsii.String(description), State: jsii.String("ENABLED"), EventPattern: pattern,
		Targets: &[]*awsevents.CfnRule_TargetProperty{{Id: jsii.String("queue"), Arn: queue.QueueArn()}},
	})
	queue.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("RuleSends"),
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("events.amazonaws.com"), nil)},
		Actions:    jsii.Strings("sqs:SendMessage"),
		Resources:  &[]*string{queue.QueueArn()},
		Conditions: &map[string]interface{}{"ArnEquals": map[string]string{"aws:SourceArn": "arn:aws:events:" + *j.stack.Region() + ":" + *j.stack.Account() + ":rule/" + name}},
	}))
}

// webhook makes what posts acceptances: a rule of the event bus, a queue of its own,
// a function.
func (j jobs) webhook() {
	j.seconds = webhookSeconds
	queue := j.queue("Webhook", "webhook", posts)
	j.rule("WebhookRule", "webhook", "oncegate: what the webhook is told of", queue, map[string]interface{}{
		"source": []string{eventSource}, "detail-type": []string{acceptedType}, "detail": map[string]interface{}{"bucket": []string{j.conf.Bucket}},
	})
	region, account := *j.stack.Region(), *j.stack.Account()
	statements := append(keyStatements(j.conf, "kms:Decrypt"),
		allow("TellAbsentObjects", []string{"s3:ListBucket"}, bucketARN(j.conf)),
		when(allow("ListAccepted", []string{"s3:ListBucketVersions"}, bucketARN(j.conf)), "StringLike", "s3:prefix", acceptedKeys),
		allow("ReadAccepted", []string{"s3:GetObject", "s3:GetObjectVersion"}, objects(j.conf, acceptedKeys)),
		readUploadEntries(j.stack, j.conf),
		allow("ReadSecret", []string{"ssm:GetParameter"}, "arn:aws:ssm:"+region+":"+account+":parameter"+j.conf.Acceptance.Webhook.Secret),
		allow("Postpone", []string{"sqs:ChangeMessageVisibility"}, *queue.QueueArn()),
	)
	j.function("Webhook", "webhook", "posts what was accepted", queue, statements...)
}

// What events are called, as package awssdk calls them; a test compares the two.
const (
	eventSource  = "oncegate"
	acceptedType = "oncegate.accepted"
)

// notify makes the bucket notify the queue. S3 tries the queue when it is configured, so
// the queue's policy must come first. That policy names the bucket as text: with a
// reference each would wait for the other.
func (j jobs) notify(bucket awss3.Bucket, queue awssqs.Queue) {
	queue.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("BucketNotifies"),
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("s3.amazonaws.com"), nil)},
		Actions:    jsii.Strings("sqs:SendMessage"),
		Resources:  &[]*string{queue.QueueArn()},
		Conditions: &map[string]interface{}{
			"ArnEquals":    map[string]string{"aws:SourceArn": bucketARN(j.conf)},
			"StringEquals": map[string]*string{"aws:SourceAccount": j.stack.Account()},
		},
	}))
	if bucket == nil { // it is somebody else's to notify
		return
	}
	resource := bucket.Node().DefaultChild().(awss3.CfnBucket)
	// GuardDuty listens by EventBridge and switches that on itself, if it must. A deploy that
	// does not say so would switch it off again.
	// https://docs.aws.amazon.com/guardduty/latest/ug/malware-protection-s3-iam-policy-prerequisite.html
	var toBus *awss3.CfnBucket_EventBridgeConfigurationProperty
	if j.conf.Acceptance.Scan != "" {
		toBus = &awss3.CfnBucket_EventBridgeConfigurationProperty{EventBridgeEnabled: jsii.Bool(true)}
	}
	resource.SetNotificationConfiguration(&awss3.CfnBucket_NotificationConfigurationProperty{
		EventBridgeConfiguration: toBus,
		QueueConfigurations: &[]*awss3.CfnBucket_QueueConfigurationProperty{{
			Event: jsii.String("s3:ObjectCreated:*"),
			Queue: queue.QueueArn(),
			Filter: &awss3.CfnBucket_NotificationFilterProperty{S3Key: &awss3.CfnBucket_S3KeyFilterProperty{
				Rules: &[]*awss3.CfnBucket_FilterRuleProperty{{Name: jsii.String("prefix"), Value: jsii.String(layout.Uploads)}},
			}},
		}},
	})
	policy := queue.Node().FindChild(jsii.String("Policy")).Node().DefaultChild().(awssqs.CfnQueuePolicy)
	resource.AddResourceDependency(policy, nil)
}

// queue makes a queue and its dead-letter queue, with an alarm on each.
func (j jobs) queue(id, name string, receives int) awssqs.Queue {
	props := func(name string) *awssqs.QueueProps {
		return &awssqs.QueueProps{
			QueueName: jsii.String(j.conf.Deploy.FunctionName(name)), Encryption: awssqs.QueueEncryption_SQS_MANAGED,
			EnforceSSL: jsii.Bool(true), RetentionPeriod: days(keepMessages),
		}
	}
	dead := awssqs.NewQueue(j.stack, jsii.String(id+"Dead"), props(name+"-dead"))
	p := props(name)
	p.VisibilityTimeout = awscdk.Duration_Seconds(jsii.Number(6 * j.seconds))
	p.DeadLetterQueue = &awssqs.DeadLetterQueue{Queue: dead, MaxReceiveCount: jsii.Number(receives)}
	queue := awssqs.NewQueue(j.stack, jsii.String(id+"Queue"), p)
	of := func(q awssqs.Queue) *map[string]*string { return &map[string]*string{"QueueName": q.QueueName()} }
	j.alarms.add(id+"DeadAlarm", alarm{
		name: id + "Dead", what: "Messages of " + name + " were given up. The function's log says why; oncegate replay " + name + " hands them out again",
		metric: metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", of(dead)), threshold: 1,
	})
	j.alarms.add(id+"BehindAlarm", alarm{
		name: id + "Behind", what: "A message of " + name + " waits for an hour",
		metric: metric("AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", of(queue)), threshold: 3600,
	})
	return queue
}

// function makes a function that follows the queue and may do only what the statements
// allow.
func (j jobs) function(id, name, what string, queue awssqs.Queue, statements ...awsiam.PolicyStatement) awslambda.Function {
	function := newProgram(j.stack, j.conf, j.o, program{
		id: id, name: j.conf.Deploy.FunctionName(name), description: name + ": " + what, directory: j.o.Accept,
		memory: jobMemory, timeout: j.seconds, environment: map[string]string{"ONCEGATE_JOB": name},
		statements: append(statements, allow("FollowQueue", []string{"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}, *queue.QueueArn())),
	})
	awslambda.NewEventSourceMapping(j.stack, jsii.String(id+"Source"), &awslambda.EventSourceMappingProps{
		Target: function, EventSourceArn: queue.QueueArn(), BatchSize: jsii.Number(jobBatch), ReportBatchItemFailures: jsii.Bool(true),
		MaxConcurrency: jsii.Number(jobsAtOnce),
	})
	j.alarms.watch(id, j.conf.Deploy.FunctionName(name), "its messages come again, and are given up in the end")
	return function
}

// protectAccepted denies writing under accepted/ to everybody else, because consumers
// trust what is there. They may delete it when they are done.
func protectAccepted(bucket awss3.Bucket, role awsiam.IRole) {
	bucket.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("OnlyAcceptanceAccepts"),
		Effect:     awsiam.Effect_DENY,
		Principals: &[]awsiam.IPrincipal{awsiam.NewAnyPrincipal()},
		Actions:    jsii.Strings("s3:PutObject"),
		Resources:  &[]*string{bucket.ArnForObjects(jsii.String(acceptedKeys))},
		Conditions: &map[string]interface{}{"ArnNotEquals": map[string]*string{"aws:PrincipalArn": role.RoleArn()}},
	}))
}

// acceptanceLifecycle returns the rules that acceptance adds. An accepted version is
// removed when its URL can no longer be enabled: until then enable must see that the
// object is stored. Days are exact enough: nobody can read under uploads/ with a URL,
// and a spent URL stores nothing more.
func acceptanceLifecycle(conf config.Config) []*awss3.LifecycleRule {
	return []*awss3.LifecycleRule{
		// What a crash leaves of a copy in parts. One that is still wanted begins again.
		{Id: jsii.String("unfinished-copies"), Prefix: jsii.String(layout.Accepted), AbortIncompleteMultipartUploadAfter: days(1)},
		{Id: jsii.String("upload-entries"), Prefix: jsii.String(layout.UploadEntries), Expiration: days(config.KeepValidDays)},
		{
			Id: jsii.String("accepted-uploads"), Prefix: jsii.String(layout.Uploads),
			TagFilters:                  &map[string]interface{}{acceptance.Tag: acceptance.TagValue},
			Expiration:                  days(conf.Acceptance.RemoveAfterDays),
			NoncurrentVersionExpiration: days(1),
		},
	}
}

// when adds a condition to a statement.
func when(s awsiam.PolicyStatement, operator, key string, values ...string) awsiam.PolicyStatement {
	s.AddCondition(jsii.String(operator), map[string]interface{}{key: values})
	return s
}
