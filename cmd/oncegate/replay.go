package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"oncegate/internal/awssdk"
)

const replayHelp = `oncegate replay accept|webhook [flags]

Moves the failed messages of acceptance, or of its webhook, from the dead-letter queue
back to where they came from. SQS moves them by itself, which can take a while. Fix the
cause first; the function's log names it.

    --config PATH  settings of the deployment (config.json)

The role needs sqs:GetQueueUrl, sqs:StartMessageMoveTask, sqs:ReceiveMessage,
sqs:DeleteMessage and sqs:GetQueueAttributes on <name>-accept-dead or
<name>-webhook-dead, and sqs:SendMessage on the queue without -dead. The queues are at
AWS_ENDPOINT_URL_SQS, if it is set.
` + siteHelp + `
Example: oncegate replay accept
`

func runReplay(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := newFlags("replay")
	path := fs.String("config", "", "")
	words, err := parseWords(fs, args)
	if err != nil {
		return err
	}
	if len(words) != 1 || words[0] != "accept" && words[0] != "webhook" {
		return usagef(fs, "want what to replay: accept or webhook")
	}
	job := words[0]
	s, err := findSettings(*path, ", which name the queues,")
	switch {
	case err != nil:
		return err
	case !s.conf.Acceptance.On || job == "webhook" && s.conf.Acceptance.Webhook.URL == "":
		return fmt.Errorf("%s has no %s: there is nothing to replay", s.path, map[string]string{"accept": "acceptance", "webhook": "webhook"}[job])
	}
	provider, err := findCredentials(ctx, s.region)
	if err != nil {
		return err
	}
	endpoint := os.Getenv("AWS_ENDPOINT_URL_SQS")
	queues := awssdk.NewQueues(awssdk.Options{Region: s.region, Endpoint: endpoint, Credentials: provider})
	name := s.conf.Deploy.FunctionName(job) + "-dead"
	if endpoint == "" {
		endpoint = "https://sqs." + s.region + ".amazonaws.com"
	}
	fmt.Fprintf(stderr, "oncegate: bucket %s in %s; queue %s at %s\n", s.bucket, s.region, name, redacted(endpoint))
	arn, err := queues.ARN(ctx, s.region, name)
	if err != nil {
		return err
	}
	waiting, err := queues.Waiting(ctx, arn)
	if err != nil {
		return err
	}
	if waiting == 0 {
		_, err = fmt.Fprintf(stdout, "%s has no messages: nothing to replay (SQS may count up to a minute late)\n", name)
		return err
	}
	if err := queues.Replay(ctx, arn); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "messages moved back from %s: %d\n", name, waiting)
	return err
}
