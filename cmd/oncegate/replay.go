package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"oncegate/internal/awssdk"
	"oncegate/internal/config"
)

const replayHelp = `oncegate replay accept|webhook [flags]

Hands out again what acceptance or its webhook has given up: the messages in the
queue of dead ones go back to where they came from. SQS moves them by itself, which
can take a while. Mend what failed first; the function's log says what it was.

    --config PATH  settings of the deployment (config.json)

The role needs sqs:GetQueueUrl, sqs:StartMessageMoveTask, sqs:ReceiveMessage,
sqs:DeleteMessage and sqs:GetQueueAttributes on <name>-accept-dead or
<name>-webhook-dead, and sqs:SendMessage on the queue without -dead. Credentials are
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; for make dev:
. build/dev/env

Example: oncegate replay accept
`

func runReplay(ctx context.Context, args []string, stdout, _ io.Writer) error {
	fs := newFlags("replay")
	path := fs.String("config", "config.json", "")
	var job string
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		job, args = args[0], args[1:]
	}
	if err := parse(fs, args); err != nil {
		return err
	}
	if job != "accept" && job != "webhook" {
		return usagef(fs, "%q given, want accept or webhook", job)
	}
	conf, err := config.Load(*path)
	if err != nil {
		return err
	}
	if !conf.Acceptance.On || job == "webhook" && conf.Acceptance.Webhook.URL == "" {
		return fmt.Errorf("%s has no %s: there is nothing to replay", *path, map[string]string{"accept": "acceptance", "webhook": "webhook"}[job])
	}
	provider := environment()
	if provider == nil {
		return errors.New("no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN)")
	}
	queues := awssdk.NewQueues(awssdk.Options{Region: conf.Region, Endpoint: os.Getenv("AWS_ENDPOINT_URL_SQS"), Credentials: provider})
	name := conf.Deploy.FunctionName(job) + "-dead"
	arn, err := queues.ARN(ctx, conf.Region, name)
	if err == nil {
		err = queues.Replay(ctx, arn)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "the messages of %s are handed out again\n", name)
	return err
}
