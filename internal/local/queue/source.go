package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"sync"

	"oncegate/internal/local/lambda"
)

// Source has a function follow a queue in batches, as an event source mapping of Lambda
// does. When the function succeeds, the messages of the batch are deleted. With
// ItemFailures the function may name messages that failed, which are kept.
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
type Source struct {
	Queue        *Queue
	Function     Invoker
	Region       string
	BatchSize    int
	ItemFailures bool
	// Pollers is how many batches may be under way.
	Pollers int
	Log     *slog.Logger
}

// Invoker runs a function once.
type Invoker interface {
	Invoke(ctx context.Context, payload []byte) (lambda.Result, error)
}

// Follow follows the queue until the context ends, and returns when the invocations
// under way have ended as well.
func (s *Source) Follow(ctx context.Context) {
	var pollers sync.WaitGroup
	for range s.Pollers {
		pollers.Go(func() {
			for {
				messages, err := s.Queue.Receive(ctx, s.BatchSize)
				if err != nil {
					return
				}
				s.follow(ctx, messages)
			}
		})
	}
	pollers.Wait()
}

// record is one message as a function gets it:
// https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
type record struct {
	MessageID         string            `json:"messageId"`
	ReceiptHandle     string            `json:"receiptHandle"`
	Body              string            `json:"body"`
	Attributes        map[string]string `json:"attributes"`
	MessageAttributes struct{}          `json:"messageAttributes"`
	EventSource       string            `json:"eventSource"`
	EventSourceARN    string            `json:"eventSourceARN"`
	AWSRegion         string            `json:"awsRegion"`
}

// follow gives the function one batch. What is not deleted comes again by itself.
func (s *Source) follow(ctx context.Context, messages []Message) {
	var event struct{ Records []record }
	for _, m := range messages {
		event.Records = append(event.Records, record{
			MessageID: m.ID, ReceiptHandle: m.Receipt, Body: m.Body, EventSource: "aws:sqs", EventSourceARN: s.Queue.o.ARN, AWSRegion: s.Region,
			Attributes: map[string]string{
				"ApproximateReceiveCount": strconv.Itoa(m.Receives), "SenderId": "local",
				"SentTimestamp":                    strconv.FormatInt(m.Sent.UnixMilli(), 10),
				"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.First.UnixMilli(), 10),
			},
		})
	}
	payload, err := json.Marshal(event)
	if err != nil {
		panic(err) // strings always encode
	}
	result, err := s.Function.Invoke(ctx, payload)
	if err != nil {
		return // throttled, or closing
	}
	failed, err := s.failed(result)
	if err != nil {
		s.Log.Warn("a batch failed", "queue", s.Queue.o.Name, "messages", len(messages), "err", err)
		return
	}
	for _, m := range messages {
		if !failed[m.ID] {
			s.Queue.Delete(m.Receipt)
		}
	}
}

// failed are the ids of the messages that failed, or an error where all of them did.
func (s *Source) failed(result lambda.Result) (map[string]bool, error) {
	if result.FunctionError != "" {
		return nil, fmt.Errorf("%s: %s", result.FunctionError, result.Payload)
	}
	failed := map[string]bool{}
	if !s.ItemFailures {
		return failed, nil
	}
	var answer struct {
		BatchItemFailures []struct{ ItemIdentifier *string }
	}
	if err := json.Unmarshal(result.Payload, &answer); err != nil {
		return nil, fmt.Errorf("the function's answer: %w", err)
	}
	for _, f := range answer.BatchItemFailures {
		// Without an id, or with an empty one, Lambda takes the whole batch for failed.
		if f.ItemIdentifier == nil || *f.ItemIdentifier == "" {
			return nil, fmt.Errorf("a failure without itemIdentifier")
		}
		failed[*f.ItemIdentifier] = true
	}
	return failed, nil
}
