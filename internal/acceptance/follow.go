package acceptance

import (
	"context"
	"errors"
	"log/slog"
)

// LateMessage is the message of the log line for a late version. The deployment's
// metric filter counts it.
const LateMessage = "late version"

// RejectedMessage is the message of the log line for a scan that has not cleared an upload.
// The deployment's metric filter counts it.
const RejectedMessage = "rejected by the scan"

// Follow accepts the uploads that the body of a queue's message is about. It returns nil
// if all of it is done. If not, the message must be handed out again, and soon if the
// error is ErrUnfinished. That goes for a message that can never succeed as well: the
// queue gives it up after a few tries, and an alarm says so.
func (a *Acceptor) Follow(ctx context.Context, log *slog.Logger, body string) error {
	hints, err := ParseMessage(body)
	if err != nil {
		log.Error("not followed", "err", err)
		return err
	}
	var left error
	for _, hint := range hints {
		log := log.With("key", hint.Key, "version", hint.Version)
		result, err := a.Accept(ctx, hint)
		if result.Late {
			log.Warn(LateMessage, "first", result.First)
		}
		if hint.Verdict.rejects() && !errors.Is(err, ErrForeign) {
			// Also of a version that was accepted before, or is not the first.
			log.Warn(RejectedMessage, "verdict", hint.Verdict, "outcome", result.Outcome)
		}
		switch {
		case errors.Is(err, ErrUnfinished):
			log.Warn("not finished", "err", err)
		case errors.Is(err, ErrUnscanned):
			log.Info("not scanned yet")
		case err != nil:
			log.Error("not accepted", "err", err)
		}
		if err != nil {
			left = errors.Join(left, err)
			continue
		}
		log.Info("followed", "outcome", result.Outcome, "first", result.First)
	}
	return left
}
