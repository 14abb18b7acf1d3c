package check_test

import (
	"testing"

	"oncegate/internal/cfn/cfntest"
)

// TestCheckAcceptance: with acceptance on there is what it needs and nothing more. Without
// it there is none of that.
func TestCheckAcceptance(t *testing.T) {
	role := func(t *templates) object { return t.Bucket.Role("AcceptRole") }
	queue := func(t *templates) object { return t.Bucket.Properties("AWS::SQS::Queue", "AcceptQueue") }
	policy := func(t *templates) object {
		return t.Bucket.Properties("AWS::SQS::QueuePolicy", "AcceptQueue")["PolicyDocument"].(object)
	}
	dead := func(t *templates) object {
		return t.Bucket.Properties("AWS::SQS::QueuePolicy", "AcceptDead")["PolicyDocument"].(object)
	}
	notice := func(t *templates) object {
		return bucket(t)["NotificationConfiguration"].(object)["QueueConfigurations"].([]any)[0].(object)
	}
	source := func(t *templates) object { return t.Bucket.Properties("AWS::Lambda::EventSourceMapping", "") }
	scanned := func(t *templates) object {
		return t.Bucket.Properties("AWS::Events::Rule", "ScanRule")["EventPattern"].(object)["detail"].(object)["s3ObjectDetails"].(object)
	}
	const on = "accepting"
	for _, tt := range []damaged{
		{"it cannot copy", on, func(t *templates) { cfntest.Without(role(t), "WriteAccepted") },
			"acceptance: oncegate-accept lacks: Allow s3:PutObject on arn:aws:s3:::accepting-uploads/accepted/*"},
		{"it writes uploads", on, func(t *templates) {
			cfntest.Statement(role(t), "WriteAccepted")["Resource"] = []any{"arn:aws:s3:::accepting-uploads/accepted/*", "arn:aws:s3:::accepting-uploads/uploads/*"}
		}, "acceptance: oncegate-accept has what it does not need: Allow s3:PutObject on arn:aws:s3:::accepting-uploads/uploads/*"},
		{"it cannot go on with a copy", on, func(t *templates) { cfntest.Without(role(t), "ListAndDropCopies") },
			"acceptance: oncegate-accept lacks: Allow s3:AbortMultipartUpload on arn:aws:s3:::accepting-uploads/accepted/*"},
		{"it drops uploads under way", on, func(t *templates) {
			cfntest.Statement(role(t), "ListAndDropCopies")["Resource"] = []any{"arn:aws:s3:::accepting-uploads/accepted/*", "arn:aws:s3:::accepting-uploads/uploads/*"}
		}, "acceptance: oncegate-accept has what it does not need: Allow s3:AbortMultipartUpload on arn:aws:s3:::accepting-uploads/uploads/*"},
		{"a copy goes on when the queue likes", on, func(t *templates) { cfntest.Without(role(t), "GoOn") },
			"acceptance: oncegate-accept lacks: Allow sqs:ChangeMessageVisibility"},
		{"parts of copies stay", on, func(t *templates) { delete(rule(t, "unfinished-copies"), "AbortIncompleteMultipartUpload") },
			"lifecycle: the parts of copies that were not finished are dropped after 0 days, want 1"},
		{"it lists the whole bucket's versions", on, func(t *templates) { delete(cfntest.Statement(role(t), "ListVersions"), "Condition") },
			"acceptance: oncegate-accept lacks: Allow s3:ListBucketVersions on arn:aws:s3:::accepting-uploads if StringLike"},
		{"it announces anything", on, func(t *templates) { delete(cfntest.Statement(role(t), "Announce"), "Condition") },
			"acceptance: oncegate-accept lacks: Allow events:PutEvents"},
		{"the bucket notifies nobody", on, func(t *templates) { delete(bucket(t), "NotificationConfiguration") },
			"acceptance: the bucket notifies []"},
		{"the bucket notifies of everything", on, func(t *templates) {
			delete(bucket(t)["NotificationConfiguration"].(object)["QueueConfigurations"].([]any)[0].(object), "Filter")
		}, "acceptance: the bucket notifies"},
		{"the bucket may not notify", on, func(t *templates) { cfntest.Without(policy(t), "BucketNotifies") },
			"acceptance: policy of queue oncegate-accept lacks: Allow sqs:SendMessage"},
		{"any bucket may notify", on, func(t *templates) { delete(cfntest.Statement(policy(t), "BucketNotifies"), "Condition") },
			"acceptance: policy of queue oncegate-accept lacks: Allow sqs:SendMessage"},
		{"messages come again too early", on, func(t *templates) { queue(t)["VisibilityTimeout"] = 1799 },
			"acceptance: queue of oncegate-accept hands a message out again after 1799 s, want six times the function's 300 s"},
		{"poison comes for ever", on, func(t *templates) { delete(queue(t), "RedrivePolicy") },
			"acceptance: queue of oncegate-accept gives up after 0 receives"},
		{"one failure fails the batch", on, func(t *templates) { delete(source(t), "FunctionResponseTypes") },
			"acceptance: oncegate-accept follows"},
		{"anybody may accept", on, func(t *templates) { cfntest.Without(t.BucketPolicy(), "OnlyAcceptanceAccepts") },
			"bucket policy: does not say: Deny s3:PutObject on arn:aws:s3:::accepting-uploads/accepted/*"},
		{"uploads go before they are accepted", on, func(t *templates) { delete(rule(t, "accepted-uploads"), "TagFilters") },
			"lifecycle: rule accepted-uploads removes current objects"},
		{"accepted uploads go too early", on, func(t *templates) { rule(t, "accepted-uploads")["ExpirationInDays"] = 7 },
			"lifecycle: accepted uploads are removed after 7 days, the settings say 8"},
		{"mint does not lead back", on, func(t *templates) { cfntest.Without(t.RolePolicy("Mint"), "WriteUploadEntries") },
			"permissions: oncegate-mint lacks: Allow s3:PutObject on arn:aws:s3:::accepting-uploads/signatures/uploads/*"},
		{"the webhook cannot read its key", "full", func(t *templates) {
			cfntest.Without(t.Bucket.Role("WebhookRole"), "ReadSecret")
		}, "acceptance: full-webhook lacks: Allow ssm:GetParameter on arn:aws:ssm:eu-west-1:${AWS::AccountId}:parameter/oncegate/webhook"},
		{"the webhook posts what the bus says", "full", func(t *templates) {
			cfntest.Without(t.Bucket.Role("WebhookRole"), "ReadAccepted")
		}, "acceptance: full-webhook lacks: Allow s3:GetObject on arn:aws:s3:::full-uploads/accepted/*"},
		{"other buckets reach the webhook", "full", func(t *templates) {
			delete(t.Bucket.Properties("AWS::Events::Rule", "WebhookRule")["EventPattern"].(object), "detail")
		}, "acceptance: there is"},
		{"nobody tells of scans", "table", func(t *templates) { delete(t.Bucket["Resources"].(object), "ScanRule") },
			"acceptance: there is no rule ENABLED map[detail:map[s3ObjectDetails:map[bucketName:[table-uploads] objectKey:[map[prefix:uploads/]]]]"},
		{"the scan of another bucket counts", "table", func(t *templates) { delete(scanned(t), "bucketName") }, "acceptance: there is a rule ENABLED"},
		{"GuardDuty's own object comes to the queue", "table", func(t *templates) { delete(scanned(t), "objectKey") }, "acceptance: there is a rule ENABLED"},
		{"anybody tells of scans", "table", func(t *templates) {
			delete(t.Bucket.Properties("AWS::Events::Rule", "ScanRule")["EventPattern"].(object), "source")
		}, "acceptance: there is a rule ENABLED"},
		{"scans are told to the webhook", "table", func(t *templates) {
			t.Bucket.Properties("AWS::Events::Rule", "ScanRule")["Targets"] = t.Bucket.Properties("AWS::Events::Rule", "WebhookRule")["Targets"]
		}, "acceptance: there is a rule ENABLED"},
		{"the rule of scans may not send", "table", func(t *templates) {
			cfntest.Without(t.Bucket.Properties("AWS::SQS::QueuePolicy", "AcceptQueue")["PolicyDocument"].(object), "RuleSends")
		}, "acceptance: policy of queue oncegate-accept lacks: Allow sqs:SendMessage"},
		{"GuardDuty does not hear of uploads", "table", func(t *templates) {
			delete(bucket(t)["NotificationConfiguration"].(object), "EventBridgeConfiguration")
		}, "acceptance: the bucket notifies the event bus: false, want true"},
		{"the bus hears of uploads that nobody scans", on, func(t *templates) {
			bucket(t)["NotificationConfiguration"].(object)["EventBridgeConfiguration"] = object{"EventBridgeEnabled": true}
		}, "acceptance: the bucket notifies the event bus: true, want false"},
		{"the rule may not send", "full", func(t *templates) {
			cfntest.Without(t.Bucket.Properties("AWS::SQS::QueuePolicy", "WebhookQueue")["PolicyDocument"].(object), "RuleSends")
		}, "acceptance: policy of queue full-webhook lacks: Allow sqs:SendMessage"},
		{"a rule that nobody asks for", on, func(t *templates) {
			t.Bucket["Resources"].(object)["Extra"] = object{"Type": "AWS::Events::Rule", "Properties": object{"State": "ENABLED", "EventPattern": object{}}}
		}, "acceptance: there is a rule ENABLED"},
		{"the bucket notifies of some uploads", on, func(t *templates) { notice(t)["Event"] = "s3:ObjectCreated:Put" }, "acceptance: the bucket notifies"},
		{"the bucket notifies another queue", on, func(t *templates) { notice(t)["Queue"] = "arn:aws:sqs:us-east-1:111122223333:other" },
			"acceptance: the bucket notifies"},
		{"the bucket notifies twice", on, func(t *templates) {
			c := bucket(t)["NotificationConfiguration"].(object)
			c["QueueConfigurations"] = append(c["QueueConfigurations"].([]any), notice(t))
		}, "acceptance: the bucket notifies"},
		{"the bucket notifies though nothing accepts", "plain", func(t *templates) {
			bucket(t)["NotificationConfiguration"] = object{"QueueConfigurations": []any{object{"Event": "s3:ObjectCreated:*", "Queue": "arn:aws:sqs:us-east-1:111122223333:other"}}}
		}, "acceptance: the bucket notifies a queue, which the settings do not ask for"},
		{"nothing reaches the webhook", "full", func(t *templates) { delete(t.Bucket["Resources"].(object), "WebhookRule") },
			"acceptance: there is no rule ENABLED"},
		{"nothing follows the queue", on, func(t *templates) {
			for id, r := range t.Bucket["Resources"].(object) {
				if r.(object)["Type"] == "AWS::Lambda::EventSourceMapping" {
					delete(t.Bucket["Resources"].(object), id)
				}
			}
		}, "acceptance: oncegate-accept follows []"},
		{"it follows the dead letters", on, func(t *templates) {
			source(t)["EventSourceArn"] = dead(t)["Statement"].([]any)[0].(object)["Resource"]
		}, "acceptance: oncegate-accept follows"},
		{"dead letters go round", on, func(t *templates) {
			queue(t)["RedrivePolicy"].(object)["deadLetterTargetArn"] = cfntest.Statement(policy(t), "BucketNotifies")["Resource"]
		}, "acceptance: queue of oncegate-accept gives up after"},
		{"one failure is the last", on, func(t *templates) { queue(t)["RedrivePolicy"].(object)["maxReceiveCount"] = 1 },
			"acceptance: queue of oncegate-accept gives up after 1 receives"},
		{"a queue without encryption", on, func(t *templates) { delete(queue(t), "SqsManagedSseEnabled") },
			"acceptance: queue oncegate-accept is not encrypted"},
		{"a queue that forgets", on, func(t *templates) { delete(queue(t), "MessageRetentionPeriod") },
			"acceptance: queue oncegate-accept is not encrypted, or keeps messages for less than 14 days"},
		{"anybody may send", on, func(t *templates) {
			s := cfntest.Statement(policy(t), "BucketNotifies")
			cfntest.With(policy(t), object{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": s["Resource"]})
		}, "acceptance: policy of queue oncegate-accept must not say: Allow sqs:SendMessage on"},
		{"a queue that nobody asks for", "plain", func(t *templates) {
			t.Bucket["Resources"].(object)["Extra"] = object{"Type": "AWS::SQS::Queue", "Properties": object{"QueueName": "extra"}}
		}, "acceptance: the settings do not ask for queue arn:aws:sqs:us-east-1:${AWS::AccountId}:extra"},
		{"acceptance takes all concurrent executions", "accepting", func(t *templates) {
			delete(t.Bucket.Properties("AWS::Lambda::EventSourceMapping", "Accept"), "ScalingConfig")
		}, "acceptance: oncegate-accept follows its queue 0 times at once (0 is without a limit), want 2"},
	} {
		t.Run(tt.name, tt.isNamed)
	}
}
