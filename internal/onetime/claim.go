package onetime

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// claimant spends URLs. Each request of its claim may take limit.
type claimant struct {
	index   Index
	clock   Clock
	entropy Entropy
	limit   time.Duration
}

// claim creates the expired entry and returns its version id. After an answer that
// got lost, S3's "exists already" may speak of our own write: the nonce tells.
func (c claimant) claim(ctx context.Context, id ID, reason Reason, deadline time.Time) (version string, err error) {
	nonce, err := randomHex(c.entropy, nonceBytes)
	if err != nil {
		return "", refuse(Internal, err)
	}
	body := ExpiredEntry{Version: entryVersion, Reason: reason, At: c.clock.Now().UTC(), Nonce: nonce}.Marshal()

	unanswered := false
	err = requests{c.clock, c.entropy}.repeat(ctx, deadline.Add(-c.limit), c.limit, c.limit, func(limit time.Duration) (err error) {
		version, err = c.index.Claim(ctx, limit, id, reason, body)
		if _, ok := errors.AsType[*Fault](err); ok {
			unanswered = true
		}
		return err
	})
	switch {
	case err == nil:
		return version, nil
	case errors.Is(err, errNoTime):
		return "", refuse(IndexUnavailable, fmt.Errorf("claim not begun: %w", err))
	case errors.Is(err, ErrExists) && !unanswered:
		return "", refuse(Used, nil)
	case errors.Is(err, ErrExists):
		return c.readBack(ctx, id, nonce, deadline)
	default:
		return "", refuse(ClaimUnknown, fmt.Errorf("claim: %w", err))
	}
}

// readBack finds out whose claim the expired entry is.
func (c claimant) readBack(ctx context.Context, id ID, nonce string, deadline time.Time) (version string, err error) {
	var body []byte
	err = requests{c.clock, c.entropy}.repeat(ctx, deadline, leastLimit, c.limit, func(limit time.Duration) (err error) {
		body, version, err = c.index.ReadExpired(ctx, limit, id)
		return err
	})
	if err != nil {
		return "", refuse(ClaimUnknown, fmt.Errorf("read the claim back: %w", err))
	}
	entry, err := ParseExpiredEntry(body)
	switch {
	case err != nil:
		return "", refuse(ClaimUnknown, fmt.Errorf("read the claim back: %w", err))
	case entry.Nonce != nonce:
		return "", refuse(entry.Reason, errors.New("somebody else's claim came first"))
	}
	return version, nil
}
