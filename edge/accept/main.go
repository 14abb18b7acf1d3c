// Command accept is the bootstrap of the regional Lambda functions of acceptance.
// Which job it has says ONCEGATE_JOB:
//
//	accept   follows the notifications of the bucket that come by SQS: copies the first
//	         version of an upload to accepted/ and announces it (package acceptance)
//	webhook  follows the announcements that come by SQS from the event bus: posts
//	         each to the URL of the settings (package webhook)
//
// Its settings are config.json in LAMBDA_TASK_ROOT.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"oncegate/internal/acceptance"
	"oncegate/internal/acceptance/webhook"
	"oncegate/internal/awssdk"
	"oncegate/internal/config"
	"oncegate/internal/s3sdk"
)

// reserve is left of the function's time for the answer: a message that would take
// longer fails alone, not the batch with it.
const reserve = 3 * time.Second

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

// newWebhook makes the job that posts.
func newWebhook(conf config.Config, options func(service string) awssdk.Options) func(*slog.Logger) job {
	queues := awssdk.NewQueues(options("SQS"))
	sender := &webhook.Sender{
		URL: conf.Acceptance.Webhook.URL, Now: time.Now,
		Secret: func(ctx context.Context) (string, error) {
			return awssdk.Parameter(ctx, options("SSM"), conf.Acceptance.Webhook.Secret)
		},
	}
	return func(log *slog.Logger) job {
		sender.Log = log // one invocation at a time
		return func(ctx context.Context, messages []events.SQSMessage) []string {
			var all []webhook.Message
			for _, m := range messages {
				receives, _ := strconv.Atoi(m.Attributes["ApproximateReceiveCount"]) // 0 waits as long as 1
				all = append(all, webhook.Message{ID: m.MessageId, Body: m.Body, Receipt: m.ReceiptHandle, Receives: receives})
				sender.Postpone = func(ctx context.Context, receipt string, d time.Duration) error {
					return queues.Postpone(ctx, m.EventSourceARN, receipt, d)
				}
			}
			return sender.Handle(ctx, all)
		}
	}
}

type handler func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)

// job follows messages and returns the ids of those that have failed.
type job func(ctx context.Context, messages []events.SQSMessage) (failed []string)

func newHandler(log *slog.Logger) (handler, error) {
	conf, err := config.Load(filepath.Join(os.Getenv("LAMBDA_TASK_ROOT"), "config.json"))
	if err != nil {
		return nil, err
	}
	provider := credentials.NewStaticCredentialsProvider(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("AWS_SESSION_TOKEN"))
	options := func(service string) awssdk.Options {
		return awssdk.Options{Region: conf.Region, Endpoint: os.Getenv("AWS_ENDPOINT_URL_" + service), Credentials: provider}
	}
	var run func(log *slog.Logger) job
	switch name := os.Getenv("ONCEGATE_JOB"); name {
	case "accept":
		acceptor := &acceptance.Acceptor{
			Bucket: conf.Bucket,
			Store:  s3sdk.NewAcceptanceStore(conf.Bucket, conf.Region, os.Getenv("AWS_ENDPOINT_URL_S3"), provider),
			Bus:    awssdk.NewBus(options("EVENTBRIDGE")),
		}
		run = func(log *slog.Logger) job {
			worker := &acceptance.Worker{Acceptor: acceptor, Log: log}
			return func(ctx context.Context, messages []events.SQSMessage) []string {
				var all []acceptance.Message
				for _, m := range messages {
					all = append(all, acceptance.Message{ID: m.MessageId, Body: m.Body, Receives: m.Attributes["ApproximateReceiveCount"]})
				}
				return worker.Handle(ctx, all)
			}
		}
	case "webhook":
		if conf.Acceptance.Webhook.URL == "" {
			return nil, errors.New("the settings have no webhook")
		}
		if endpoint := os.Getenv("AWS_ENDPOINT_URL_SQS"); conf.Acceptance.Webhook.Local() && endpoint == "" {
			return nil, errors.New("the webhook is not https, which is for the local Lambda alone")
		}
		run = newWebhook(conf, options)
	default:
		return nil, fmt.Errorf("ONCEGATE_JOB is %q: allowed are accept and webhook", name)
	}
	return func(ctx context.Context, event events.SQSEvent) (response events.SQSEventResponse, err error) {
		if deadline, ok := ctx.Deadline(); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline.Add(-reserve))
			defer cancel()
		}
		log := log
		if lc, ok := lambdacontext.FromContext(ctx); ok {
			log = log.With("request", cmp.Or(lc.AwsRequestID, "none"))
		}
		// Never null: Lambda takes an answer without the list for a full success.
		response.BatchItemFailures = []events.SQSBatchItemFailure{}
		for _, id := range run(log)(ctx, event.Records) {
			response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: id})
		}
		return response, nil
	}, nil
}
