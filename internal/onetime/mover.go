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
	PartRecords
	// ReadUpload returns the body of the upload entry of the upload with this key, or ErrAbsent.
	ReadUpload(ctx context.Context, limit time.Duration, key string) ([]byte, error)
}

// AtOnce is a Movable that keeps all of a URL in one place, and takes no claim and no parts
// before the valid entry is there. URLs are moved into it by one request each.
type AtOnce interface {
	Movable
	// WriteAtOnce writes all entries of a URL if there is none of it: its valid entry, its claim
	// and its parts entry. Each of the last two may be nil. ErrExists: there is a valid entry;
	// nothing was written.
	WriteAtOnce(ctx context.Context, limit time.Duration, id ID, valid, claim, parts []byte) error
}

// Mover moves URLs from one index to another, while gates of both decide about uploads. At
// most one upload with a URL ever passes.
//
// A URL that is not spent is claimed in the old index first, as if it were revoked, so that
// gates there refuse it from then on. Only then is it written to the new one. The nonce of that
// claim follows from the URL, so a later Mover knows it: after a crash, or an error, Move is
// called again, as often as it takes. A URL that is spent is spent in the new index before it
// is known there, or in the same moment (AtOnce).
//
// No URL goes back to where it was moved from: the claim that keeps it from the gates there
// stays. What was moved before is left as it is in the new index: somebody may have made it good
// again there.
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
	MovedSpent   Move = "spent"   // it is spent, and was in the new index when it was moved
	MovedOver    Move = "over"    // its time is over: it stays where it is
	MovedStays   Move = "stays"   // it came from the new index, where it stays revoked; it stays good in the old one
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
	body, entry, done, err := m.begin(ctx, id)
	if err != nil || done != "" {
		return done, err
	}
	spent, err := m.take(ctx, id)
	if err != nil {
		return "", err
	}
	if err := m.copyUpload(ctx, entry.Key); err != nil {
		return "", err
	}
	if to, ok := m.To.(AtOnce); ok {
		err = m.writeAtOnce(ctx, to, id, body, spent)
	} else {
		err = m.writeInOrder(ctx, id, body, spent)
	}
	switch {
	case err != nil:
		return "", err
	case spent != nil:
		return MovedSpent, nil
	}
	return MovedGood, nil
}

// Look says what Move would, and changes nothing.
func (m *Mover) Look(ctx context.Context, id ID) (Move, error) {
	_, _, done, err := m.begin(ctx, id)
	if err != nil || done != "" {
		return done, err
	}
	switch err := m.headExpired(ctx, id); {
	case errors.Is(err, ErrAbsent):
		return MovedGood, nil
	case errors.Is(err, ErrDeleted):
		return MovedSpent, nil
	case err != nil:
		return "", err
	}
	switch spent, err := m.spentBy(ctx, id); {
	case err != nil:
		return "", err
	case spent != nil:
		return MovedSpent, nil
	}
	return MovedGood, nil
}

// begin reads the valid entry. done is set if there is nothing to be moved.
func (m *Mover) begin(ctx context.Context, id ID) (body []byte, entry ValidEntry, done Move, err error) {
	err = m.repeat(ctx, func(limit time.Duration) error {
		return dated(m.Clock, func() (at time.Time, err error) {
			body, at, err = m.From.ReadValid(ctx, limit, id)
			return at, err
		})
	})
	if errors.Is(err, ErrAbsent) {
		return nil, entry, MovedUnknown, nil
	}
	if err != nil {
		return nil, entry, "", fmt.Errorf("read valid entry: %w", err)
	}
	if entry, err = ParseValidEntry(body); err != nil {
		return nil, entry, "", err
	}
	if !m.Clock.Now().Before(entry.Expires) {
		return nil, entry, MovedOver, nil
	}
	came, err := m.cameFrom(ctx, id)
	if err == nil && came {
		done, err = m.stays(ctx, id)
	}
	return body, entry, done, err
}

// cameFrom reports whether the URL was moved out of the new index once.
func (m *Mover) cameFrom(ctx context.Context, id ID) (bool, error) {
	claim, err := m.readClaim(ctx, m.To, id)
	if errors.Is(err, ErrAbsent) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("the new index: %w", err)
	}
	return claim.Nonce == moveNonce(id), nil
}

// stays says what has become of a URL that came from the new index. It changes nothing.
func (m *Mover) stays(ctx context.Context, id ID) (Move, error) {
	err := m.headExpired(ctx, id)
	switch {
	case err == nil, errors.Is(err, ErrDeleted):
		return MovedSpent, nil
	case errors.Is(err, ErrAbsent):
		return MovedStays, nil
	}
	return "", err
}

// writeInOrder writes the URL by one request for each entry. The valid entry is the last: from
// there on gates of the new index know the URL.
func (m *Mover) writeInOrder(ctx context.Context, id ID, body []byte, spent *ExpiredEntry) error {
	err := m.repeat(ctx, func(limit time.Duration) error {
		_, _, err := m.To.ReadValid(ctx, limit, id)
		return err
	})
	switch {
	case err == nil:
		return nil // moved before
	case !errors.Is(err, ErrAbsent):
		return fmt.Errorf("read valid entry of the new index: %w", err)
	}
	if spent != nil {
		err := m.repeat(ctx, func(limit time.Duration) error {
			_, err := m.To.Claim(ctx, limit, id, spent.Reason, spent.Marshal())
			return err
		})
		if err != nil && !errors.Is(err, ErrExists) {
			return fmt.Errorf("copy the claim: %w", err)
		}
	}
	parts, err := m.readRecord(ctx, func(limit time.Duration) ([]byte, error) { return m.From.ReadParts(ctx, limit, id) })
	if err == nil && parts != nil {
		err = m.repeat(ctx, func(limit time.Duration) error { return m.To.WriteParts(ctx, limit, id, parts) })
	}
	if err != nil && !errors.Is(err, ErrExists) {
		return fmt.Errorf("copy the parts entry: %w", err)
	}
	err = m.repeat(ctx, func(limit time.Duration) error {
		_, err := m.To.WriteValid(ctx, limit, id, body)
		return err
	})
	if err != nil {
		return fmt.Errorf("write valid entry: %w", err)
	}
	return nil
}

// writeAtOnce writes the URL by one request.
func (m *Mover) writeAtOnce(ctx context.Context, to AtOnce, id ID, body []byte, spent *ExpiredEntry) error {
	var claim []byte
	if spent != nil {
		claim = spent.Marshal()
	}
	parts, err := m.readRecord(ctx, func(limit time.Duration) ([]byte, error) { return m.From.ReadParts(ctx, limit, id) })
	if err != nil {
		return fmt.Errorf("read the parts entry: %w", err)
	}
	err = m.repeat(ctx, func(limit time.Duration) error { return to.WriteAtOnce(ctx, limit, id, body, claim, parts) })
	if err != nil && !errors.Is(err, ErrExists) {
		return fmt.Errorf("write all entries: %w", err)
	}
	return nil
}

// take claims the URL in the old index. It returns nil if it has, now or earlier, and the claim
// that is there if somebody else was first.
func (m *Mover) take(ctx context.Context, id ID) (spent *ExpiredEntry, err error) {
	c := claimant{m.From, m.Clock, m.Entropy, operatorLimit, operatorLimit}
	ours := ExpiredEntry{Reason: Revoked, Request: moved}
	attempt := Attempt{Nonce: moveNonce(id), Repeated: true}
	switch err := m.headExpired(ctx, id); {
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
		return nil, err
	}
	return m.spentBy(ctx, id)
}

// spentBy returns the claim that is there in the old index, or nil if it is a mover's.
func (m *Mover) spentBy(ctx context.Context, id ID) (*ExpiredEntry, error) {
	claim, err := m.readClaim(ctx, m.From, id)
	switch {
	case err != nil:
		return nil, err
	case claim.Nonce == moveNonce(id):
		return nil, nil
	}
	return &claim, nil
}

// headExpired asks the old index whether the URL is spent, as Index.HeadExpired does.
func (m *Mover) headExpired(ctx context.Context, id ID) error {
	err := m.repeat(ctx, func(limit time.Duration) error {
		_, err := m.From.HeadExpired(ctx, limit, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("look for expired entry: %w", err)
	}
	return nil
}

// readClaim reads the claim that is there in one of the indexes. The error is ErrAbsent if there
// is none.
func (m *Mover) readClaim(ctx context.Context, index Index, id ID) (ExpiredEntry, error) {
	var body []byte
	err := m.repeat(ctx, func(limit time.Duration) (err error) {
		body, _, err = index.ReadExpired(ctx, limit, id)
		return err
	})
	if err != nil {
		return ExpiredEntry{}, fmt.Errorf("read expired entry: %w", err)
	}
	return ParseExpiredEntry(body)
}

// copyUpload copies the way back from the URL's upload, if there is one.
func (m *Mover) copyUpload(ctx context.Context, key string) error {
	body, err := m.readRecord(ctx, func(limit time.Duration) ([]byte, error) { return m.From.ReadUpload(ctx, limit, key) })
	if err == nil && body != nil {
		err = m.repeat(ctx, func(limit time.Duration) error { return m.To.WriteUpload(ctx, limit, key, body) })
	}
	if err != nil {
		return fmt.Errorf("copy the upload entry: %w", err)
	}
	return nil
}

// readRecord reads a record, nil if there is none.
func (m *Mover) readRecord(ctx context.Context, read func(time.Duration) ([]byte, error)) (body []byte, err error) {
	err = m.repeat(ctx, func(limit time.Duration) (err error) {
		body, err = read(limit)
		return err
	})
	if errors.Is(err, ErrAbsent) {
		return nil, nil
	}
	return body, err
}

func (m *Mover) repeat(ctx context.Context, request func(limit time.Duration) error) error {
	return requests{m.Clock, m.Entropy}.repeat(ctx, m.Clock.Now().Add(patience), leastLimit, operatorLimit, request)
}
