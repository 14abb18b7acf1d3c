package awssdk

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// Queues are the account's queues in one Region.
type Queues struct{ client *sqs.Client }

// NewQueues returns the queues in the Region of the options.
func NewQueues(o Options) *Queues {
	return &Queues{sqs.New(sqs.Options{Region: o.Region, BaseEndpoint: o.endpoint(), Credentials: o.Credentials, Retryer: retryer()})}
}

// Postpone makes the queue hand a message out again after d, and not before. SQS allows
// at most 12 hours. Action: sqs:ChangeMessageVisibility.
func (q *Queues) Postpone(ctx context.Context, queueARN, receipt string, d time.Duration) error {
	url, err := queueURL(queueARN)
	if err != nil {
		return err
	}
	_, err = q.client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &url, ReceiptHandle: &receipt, VisibilityTimeout: int32(d / time.Second),
	})
	return answered("ChangeMessageVisibility", err)
}

// Replay starts moving the messages of a dead-letter queue back to the queue that they
// came from. SQS continues on its own. Actions: sqs:StartMessageMoveTask,
// sqs:ReceiveMessage, sqs:DeleteMessage and sqs:GetQueueAttributes on the dead-letter
// queue, sqs:SendMessage on the other.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
func (q *Queues) Replay(ctx context.Context, deadARN string) error {
	_, err := q.client.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{SourceArn: &deadARN})
	return answered("StartMessageMoveTask", err)
}

// Waiting counts the messages of a queue that nobody has been handed, as far as SQS
// knows: a message that came in the last minute may be missing. Action:
// sqs:GetQueueAttributes.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
func (q *Queues) Waiting(ctx context.Context, queueARN string) (int, error) {
	url, err := queueURL(queueARN)
	if err != nil {
		return 0, err
	}
	const name = types.QueueAttributeNameApproximateNumberOfMessages
	out, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{name}})
	if err != nil {
		return 0, answered("GetQueueAttributes", err)
	}
	n, err := strconv.Atoi(out.Attributes[string(name)])
	if err != nil {
		return 0, fmt.Errorf("GetQueueAttributes: no number of messages in the answer")
	}
	return n, nil
}

// ARN returns the ARN of the queue with this name. Action: sqs:GetQueueUrl.
func (q *Queues) ARN(ctx context.Context, region, name string) (string, error) {
	out, err := q.client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		return "", answered("GetQueueUrl", err)
	}
	parts := strings.Split(aws.ToString(out.QueueUrl), "/") // https://sqs.<region>.amazonaws.com/<account>/<name>
	if len(parts) < 5 || parts[len(parts)-1] != name {
		return "", fmt.Errorf("GetQueueUrl: %s is not the URL of a queue", aws.ToString(out.QueueUrl))
	}
	return "arn:aws:sqs:" + region + ":" + parts[len(parts)-2] + ":" + name, nil
}

func queueURL(arn string) (string, error) {
	parts := strings.Split(arn, ":")
	if len(parts) != 6 || parts[2] != "sqs" {
		return "", fmt.Errorf("%q is not the ARN of a queue", arn)
	}
	return "https://sqs." + parts[3] + ".amazonaws.com/" + parts[4] + "/" + parts[5], nil
}

// Parameter returns the value of a SecureString of Systems Manager. Actions:
// ssm:GetParameter, and kms:Decrypt if it is encrypted with a KMS key of your own.
func Parameter(ctx context.Context, o Options, name string) (string, error) {
	client := ssm.New(ssm.Options{Region: o.Region, BaseEndpoint: o.endpoint(), Credentials: o.Credentials, Retryer: retryer()})
	out, err := client.GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
	if err != nil {
		return "", answered("GetParameter", err)
	}
	if out.Parameter == nil {
		return "", fmt.Errorf("GetParameter: no parameter in the answer")
	}
	return aws.ToString(out.Parameter.Value), nil
}
