package onetime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"oncegate/internal/lean/digest"
)

// Movable is an index that URLs can be moved out of, or into. What Index promises holds for it
// too.
type Movable interface {
	Index
	UploadIndex
	// ReadUpload returns the body of the upload entry of the upload with this key, or ErrAbsent.
	ReadUpload(ctx context.Context, limit time.Duration, key string) ([]byte, error)
	// WriteParts and ReadParts are as in PartStore.
	WriteParts(ctx context.Context, limit time.Duration, id ID, body []byte) error
	ReadParts(ctx context.Context, limit time.Duration, id ID) ([]byte, error)
}

// Mover moves URLs from one index to another, while gates of both decide about uploads. At
// most one upload with a URL ever passes.
//
// A URL that is not spent is claimed in the old index first, as if it were revoked, so that
// gates there refuse it from then on. Only then is it written to the new one. The nonce of that
// claim follows from the URL, so a later Mover knows it: after a crash, or an error, Move is
// called again, as often as it takes. A URL that is spent is spent in the new index before it
// is known there.
//
// It is right only while nobody makes a URL good again in the old index (Operator.Enable).
// Whoever revokes a URL there that was moved is told that it was revoked before.
type Mover struct {
	From, To Movable
	Clock    Clock
	Entropy  Entropy // safe for concurrent use
}

// Move is what became of a URL that was to be moved.
type Move string

// Every outcome of a Move.
const (
	MovedGood    Move = "good"    // it is good for one upload in the new index, or was since it was moved
	MovedSpent   Move = "spent"   // it is spent, in the new index too
	MovedOver    Move = "over"    // its time is over: it stays where it is
	MovedUnknown Move = "unknown" // the old index does not know it
)

// moved is the Request of a claim that moves a URL. It decides nothing.
const moved = "moved to another index"

// moveNonce is the nonce of the claim that moves a URL. No gate has it: its own are random.
func moveNonce(id ID) string { return digest.Hex([]byte("move\n" + string(id)))[:2*nonceBytes] }

// Move moves one URL. After an error it is refused by the old index or good there, and not
// good in the new one unless it was moved before. Move may then be called again. It may be
// called concurrently, for the same URL too.
func (m *Mover) Move(ctx context.Context, id ID) (Move, error) {
	var body []byte
	err := m.repeat(ctx, func(limit time.Duration) error {
		return dated(m.Clock, func() (at time.Time, err error) {
			body, at, err = m.From.ReadValid(ctx, limit, id)
			return at, err
		})
	})
	if errors.Is(err, ErrAbsent) {
		return MovedUnknown, nil
	}
	if err != nil {
		return "", fmt.Errorf("read valid entry: %w", err)
	}
	entry, err := ParseValidEntry(body)
	if err != nil {
		return "", err
	}
	if !m.Clock.Now().Before(entry.Expires) {
		return MovedOver, nil
	}
	spent, err := m.take(ctx, id)
	if err != nil {
		return "", err
	}
	if spent != nil {
		err := m.repeat(ctx, func(limit time.Duration) error {
			_, err := m.To.Claim(ctx, limit, id, spent.Reason, spent.Marshal())
			return err
		})
		if err != nil && !errors.Is(err, ErrExists) {
			return "", fmt.Errorf("copy the claim: %w", err)
		}
	}
	if err := m.copyRecords(ctx, id, entry.Key); err != nil {
		return "", err
	}
	// Last: from here on gates of the new index know the URL.
	err = m.repeat(ctx, func(limit time.Duration) error {
		_, err := m.To.WriteValid(ctx, limit, id, body)
		return err
	})
	switch {
	case err != nil:
		return "", fmt.Errorf("write valid entry: %w", err)
	case spent != nil:
		return MovedSpent, nil
	}
	return MovedGood, nil
}

// take claims the URL in the old index. It returns nil if it has, now or earlier, and the claim
// that is there if somebody else was first.
func (m *Mover) take(ctx context.Context, id ID) (spent *ExpiredEntry, err error) {
	c := claimant{m.From, m.Clock, m.Entropy, operatorLimit, operatorLimit}
	ours := ExpiredEntry{Reason: Revoked, Request: moved}
	attempt := Attempt{Nonce: moveNonce(id), Repeated: true}
	err = m.repeat(ctx, func(limit time.Duration) (err error) {
		_, err = m.From.HeadExpired(ctx, limit, id)
		return err
	})
	switch {
	case errors.Is(err, ErrAbsent):
		_, _, err := c.claim(ctx, id, ours, attempt, m.Clock.Now().Add(patience))
		if err == nil {
			return nil, nil
		}
		if reason := ReasonOf(err); reason != Used && reason != Revoked {
			return nil, fmt.Errorf("claim it in the old index: %w", err)
		}
	case errors.Is(err, ErrDeleted):
		// By whom it was spent is hidden, and that it was is enough.
		entry, err := c.entry(ExpiredEntry{Reason: Used, Request: moved}, attempt)
		return &entry, err
	case err != nil:
		return nil, fmt.Errorf("look for expired entry: %w", err)
	}
	var body []byte
	err = m.repeat(ctx, func(limit time.Duration) (err error) {
		body, _, err = m.From.ReadExpired(ctx, limit, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read expired entry: %w", err)
	}
	claim, err := ParseExpiredEntry(body)
	switch {
	case err != nil:
		return nil, err
	case claim.Nonce == attempt.Nonce:
		return nil, nil
	}
	return &claim, nil
}

// copyRecords copies what goes with a URL: the multipart upload that it has, and the way back
// from its upload.
func (m *Mover) copyRecords(ctx context.Context, id ID, key string) error {
	err := m.copyRecord(ctx,
		func(limit time.Duration) ([]byte, error) { return m.From.ReadParts(ctx, limit, id) },
		func(limit time.Duration, body []byte) error { return m.To.WriteParts(ctx, limit, id, body) })
	if err != nil {
		return fmt.Errorf("copy the parts entry: %w", err)
	}
	err = m.copyRecord(ctx,
		func(limit time.Duration) ([]byte, error) { return m.From.ReadUpload(ctx, limit, key) },
		func(limit time.Duration, body []byte) error { return m.To.WriteUpload(ctx, limit, key, body) })
	if err != nil {
		return fmt.Errorf("copy the upload entry: %w", err)
	}
	return nil
}

// copyRecord copies one record, if it is there and was not copied before.
func (m *Mover) copyRecord(ctx context.Context, read func(time.Duration) ([]byte, error), write func(time.Duration, []byte) error) error {
	var body []byte
	err := m.repeat(ctx, func(limit time.Duration) (err error) {
		body, err = read(limit)
		return err
	})
	if errors.Is(err, ErrAbsent) {
		return nil
	}
	if err != nil {
		return err
	}
	err = m.repeat(ctx, func(limit time.Duration) error { return write(limit, body) })
	if errors.Is(err, ErrExists) {
		return nil
	}
	return err
}

func (m *Mover) repeat(ctx context.Context, request func(limit time.Duration) error) error {
	return requests{m.Clock, m.Entropy}.repeat(ctx, m.Clock.Now().Add(patience), leastLimit, operatorLimit, request)
}
