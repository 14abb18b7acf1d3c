package acceptance

import (
	"context"
	"log/slog"
	"sync"
)

// Message is one message of the queue.
type Message struct {
	ID, Body string
	Receives string // how often the queue has handed it out, in digits
}

// LateMessage is the message of the log line for a late version. The deployment's
// metric filter counts it.
const LateMessage = "late version"

// Worker follows the messages of a queue.
type Worker struct {
	Acceptor *Acceptor
	Log      *slog.Logger
}

// Handle follows all messages at the same time and returns the ids of those that
// must be handed out again. What can never succeed is among them: the queue gives it
// up after a few times, and somebody looks at it.
func (w *Worker) Handle(ctx context.Context, messages []Message) (failed []string) {
	failures := make([]bool, len(messages))
	var work sync.WaitGroup
	for i, m := range messages {
		work.Go(func() { failures[i] = !w.follow(ctx, m) })
	}
	work.Wait()
	for i, m := range messages {
		if failures[i] {
			failed = append(failed, m.ID)
		}
	}
	return failed
}

// follow tells whether all of the message is done.
func (w *Worker) follow(ctx context.Context, m Message) bool {
	log := w.Log.With("message_id", m.ID, "receives", m.Receives)
	hints, err := ParseMessage(m.Body)
	if err != nil {
		log.Error("not followed", "err", err)
		return false
	}
	done := true
	for _, hint := range hints {
		log := log.With("key", hint.Key, "version", hint.Version)
		result, err := w.Acceptor.Accept(ctx, hint)
		if result.Late {
			log.Warn(LateMessage, "first", result.First)
		}
		if err != nil {
			log.Error("not accepted", "err", err)
			done = false
			continue
		}
		log.Info("followed", "outcome", result.Outcome, "first", result.First)
	}
	return done
}
