package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"oncegate/internal/acceptance"
	"oncegate/internal/config"
)

// The settings allow as much as is accepted.
func TestMaxBytes(t *testing.T) {
	if config.MaxAccepted != acceptance.MaxBytes {
		t.Errorf("the settings allow %d bytes, %d are accepted", int64(config.MaxAccepted), int64(acceptance.MaxBytes))
	}
}

// What fails is handed out again, and it alone. All messages are followed at the same
// time: each waits here until all have begun.
func TestFailures(t *testing.T) {
	var begun sync.WaitGroup
	begun.Add(3)
	job := func(_ context.Context, log *slog.Logger, m events.SQSMessage) bool {
		begun.Done()
		begun.Wait()
		log.Info("followed")
		return m.Body == "good"
	}
	message := func(id, body string) events.SQSMessage {
		return events.SQSMessage{MessageId: id, Body: body, Attributes: map[string]string{"ApproximateReceiveCount": "2"}}
	}
	var lines strings.Builder
	log := slog.New(slog.NewJSONHandler(&lines, nil))
	got := failures(t.Context(), log, []events.SQSMessage{message("1", "bad"), message("2", "good"), message("3", "bad")}, job)
	if want := []events.SQSBatchItemFailure{{ItemIdentifier: "1"}, {ItemIdentifier: "3"}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if !strings.Contains(lines.String(), `"message_id":"2","receives":2`) {
		t.Errorf("the log does not name the message: %s", &lines)
	}
	if got := failures(t.Context(), log, nil, job); got == nil || len(got) != 0 {
		t.Errorf("of no messages: %v", got)
	}
}
