// Command accept is the bootstrap of the regional Lambda functions of acceptance.
// Which job it has says ONCEGATE_JOB:
//
//	accept   follows the notifications of the bucket, and results of scans, that come by
//	         SQS: copies the first version of an upload to accepted/ and announces it
//	         (package acceptance)
//	webhook  follows the announcements that come by SQS from the event bus: posts
//	         each to the URL of the settings (package webhook), if the bucket says the same
//
// Its settings are config.json in LAMBDA_TASK_ROOT.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"oncegate/internal/acceptance"
	"oncegate/internal/acceptance/webhook"
	"oncegate/internal/awssdk"
	"oncegate/internal/config"
)

// reserve is left of the function's time for the answer: a message that would take
// longer fails alone, not the batch with it.
const reserve = 3 * time.Second

// pause is until a copy goes on that needs more than one call: this one is over by then.
const pause = 2 * reserve

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: names}))
	handler, err := newHandler(log)
	if err != nil {
		log.Error("cannot start", "err", err)
		os.Exit(1)
	}
	lambda.Start(handler)
}

// names are those that Lambda's own JSON lines have, and that metric filters expect.
func names(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 {
		switch a.Key {
		case slog.TimeKey:
			a.Key = "timestamp"
		case slog.MessageKey:
			a.Key = "message"
		}
	}
	return a
}

type handler func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)

// follow does what a message asks for and reports whether it is done.
type follow func(ctx context.Context, log *slog.Logger, m events.SQSMessage) bool

func newHandler(log *slog.Logger) (handler, error) {
	conf, err := config.Load(filepath.Join(os.Getenv("LAMBDA_TASK_ROOT"), "config.json"))
	if err != nil {
		return nil, err
	}
	provider := credentials.NewStaticCredentialsProvider(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("AWS_SESSION_TOKEN"))
	options := func(service string) awssdk.Options {
		return awssdk.Options{Region: conf.Region, Endpoint: os.Getenv("AWS_ENDPOINT_URL_" + service), Credentials: provider}
	}
	job, err := newJob(os.Getenv("ONCEGATE_JOB"), conf, provider, options)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
		if deadline, ok := ctx.Deadline(); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline.Add(-reserve))
			defer cancel()
		}
		log := log
		if lc, ok := lambdacontext.FromContext(ctx); ok {
			log = log.With("request", cmp.Or(lc.AwsRequestID, "none"))
		}
		return events.SQSEventResponse{BatchItemFailures: failures(ctx, log, event.Records, job)}, nil
	}, nil
}

// newJob is what the function is there for.
func newJob(name string, conf config.Config, provider aws.CredentialsProvider, options func(service string) awssdk.Options) (follow, error) {
	acceptor := &acceptance.Acceptor{Bucket: conf.Bucket, Store: newStore(conf, provider), Scan: conf.Acceptance.Scan != ""}
	switch name {
	case "accept":
		acceptor.Bus = awssdk.NewBus(options("EVENTBRIDGE"))
		queues := awssdk.NewQueues(options("SQS"))
		return func(ctx context.Context, log *slog.Logger, m events.SQSMessage) bool {
			err := acceptor.Follow(ctx, log, m.Body)
			if errors.Is(err, acceptance.ErrUnfinished) {
				goOn(ctx, log, queues, m)
			}
			return err == nil
		}, nil
	case "webhook":
		if conf.Acceptance.Webhook.URL == "" {
			return nil, errors.New("the settings have no webhook")
		}
		if endpoint := os.Getenv("AWS_ENDPOINT_URL_SQS"); conf.Acceptance.Webhook.Local() && endpoint == "" {
			return nil, errors.New("the webhook is not https, which is for the local Lambda alone")
		}
		sender := &webhook.Sender{
			URL: conf.Acceptance.Webhook.URL, Now: time.Now,
			Look: func(ctx context.Context, key string) ([]byte, string, error) { return look(ctx, acceptor, key) },
			Secret: func(ctx context.Context) (string, error) {
				return awssdk.Parameter(ctx, options("SSM"), conf.Acceptance.Webhook.Secret)
			},
			Postpone: awssdk.NewQueues(options("SQS")).Postpone,
		}
		return func(ctx context.Context, log *slog.Logger, m events.SQSMessage) bool {
			return sender.Follow(ctx, log, webhook.Message{Body: m.Body, Queue: m.EventSourceARN, Receipt: m.ReceiptHandle, Receives: receives(m)})
		}, nil
	}
	return nil, fmt.Errorf("ONCEGATE_JOB is %q: allowed are accept and webhook", name)
}

// goOn has a message handed out again soon: its time is over, and something is left to
// do. Without that it comes when the queue's own time is over.
func goOn(ctx context.Context, log *slog.Logger, queues *awssdk.Queues, m events.SQSMessage) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reserve/2)
	defer cancel()
	if err := queues.Postpone(ctx, m.EventSourceARN, m.ReceiptHandle, pause); err != nil {
		log.Warn("it goes on later than it could", "err", err)
	}
}

// look is what the webhook posts about an upload.
func look(ctx context.Context, acceptor *acceptance.Acceptor, key string) (body []byte, version string, err error) {
	e, err := acceptor.Event(ctx, key)
	switch {
	case errors.Is(err, acceptance.ErrAbsent), errors.Is(err, acceptance.ErrForeign):
		return nil, "", fmt.Errorf("%w: %w", webhook.ErrGarbage, err)
	case err != nil:
		return nil, "", err
	}
	body, err = json.Marshal(e)
	return body, e.Version, err
}

// receives is how often the message has been handed out. It is 0 if SQS does not say.
func receives(m events.SQSMessage) int {
	n, _ := strconv.Atoi(m.Attributes["ApproximateReceiveCount"])
	return n
}

// failures follows all messages at the same time and names those that must be handed
// out again. It is never nil: Lambda takes an answer without the list for a full
// success.
func failures(ctx context.Context, log *slog.Logger, messages []events.SQSMessage, job follow) []events.SQSBatchItemFailure {
	done := make([]bool, len(messages))
	var work sync.WaitGroup
	for i, m := range messages {
		work.Go(func() {
			done[i] = job(ctx, log.With("message_id", m.MessageId, "receives", receives(m)), m)
		})
	}
	work.Wait()
	failed := []events.SQSBatchItemFailure{}
	for i, m := range messages {
		if !done[i] {
			failed = append(failed, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
	}
	return failed
}
