// Package awssdk makes requests to AWS services other than S3 with the AWS SDK: events
// for EventBridge, messages of SQS, parameters of Systems Manager. Regional functions
// and the command line use it.
package awssdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"oncegate/internal/acceptance"
)

// Source and detail type of oncegate's events, which rules match.
const (
	EventSource  = "oncegate"
	AcceptedType = "oncegate.accepted"
)

// Options are where a service is, and the credentials to use. Endpoint is "" for AWS.
type Options struct {
	Region, Endpoint string
	Credentials      aws.CredentialsProvider
}

func (o Options) endpoint() *string {
	if o.Endpoint == "" {
		return nil
	}
	return &o.Endpoint
}

// retryer repeats requests that AWS throttles or does not answer. All requests of this
// package may be made twice.
func retryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = 4, 2*time.Second })
}

// answered shortens an error of the SDK, whose own text has several lines of request
// ids. It returns nil for nil.
func answered(op string, err error) error {
	if err == nil {
		return nil
	}
	if api, ok := errors.AsType[interface {
		error
		ErrorCode() string
		ErrorMessage() string
	}](err); ok {
		return &refusal{op, api.ErrorCode(), api.ErrorMessage()}
	}
	return fmt.Errorf("%s: %w", op, err)
}

// refusal is an answer of AWS that refuses.
type refusal struct{ op, code, message string }

func (r *refusal) Error() string { return r.op + ": " + r.code + ": " + r.message }

// ErrorCode returns AWS's code, such as ExpiredToken.
func (r *refusal) ErrorCode() string { return r.code }

// Bus is the account's default event bus.
type Bus struct{ client *eventbridge.Client }

var _ acceptance.Bus = (*Bus)(nil)

// NewBus returns the default bus in the Region of the options.
func NewBus(o Options) *Bus {
	return &Bus{eventbridge.New(eventbridge.Options{
		Region: o.Region, BaseEndpoint: o.endpoint(), Credentials: o.Credentials, Retryer: retryer(),
	})}
}

// Announce implements acceptance.Bus. PutEvents also answers 200 if it did not take the
// event: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
func (b *Bus) Announce(ctx context.Context, e acceptance.Event) error {
	detail, err := json.Marshal(e)
	if err != nil {
		return err
	}
	out, err := b.client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		Source: aws.String(EventSource), DetailType: aws.String(AcceptedType), Detail: aws.String(string(detail)),
		Resources: []string{"arn:aws:s3:::" + e.Bucket + "/" + e.Accepted}, Time: &e.At,
	}}})
	if err != nil {
		return answered("PutEvents", err)
	}
	if out.FailedEntryCount != 0 || len(out.Entries) != 1 || aws.ToString(out.Entries[0].EventId) == "" {
		code := ""
		if len(out.Entries) > 0 {
			code = aws.ToString(out.Entries[0].ErrorCode)
		}
		return fmt.Errorf("PutEvents: the event was not taken: %q", code)
	}
	return nil
}
