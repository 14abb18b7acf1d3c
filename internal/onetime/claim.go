package onetime

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// nonceBytes is what makes a claim known to its claimant.
const nonceBytes = 16

// claimant spends URLs: the gate does for an upload, the operator to take one back.
type claimant struct {
	index   Index
	clock   Clock
	entropy Entropy
	// How long one request may take: the write, and reading it back.
	write, readBack time.Duration
}

// claim creates the expired entry and returns it with its version id. After an answer
// that got lost, S3's "exists already" may speak of our own write: the nonce tells. No
// write is begun after which there would be no time to read it back. Version, At and
// Nonce of the entry are filled in.
//
// Where one nonce is used by several claimants, as for the last step of a multipart
// upload, the entry that is returned may be another one's with that nonce.
func (c claimant) claim(ctx context.Context, id ID, entry ExpiredEntry, attempt Attempt, deadline time.Time) (claimed ExpiredEntry, version string, err error) {
	if entry, err = c.entry(entry, attempt); err != nil {
		return ExpiredEntry{}, "", err
	}
	body := entry.Marshal()

	unanswered := attempt.Repeated
	err = requests{c.clock, c.entropy}.repeat(ctx, deadline.Add(-c.readBack), c.write, c.write, func(limit time.Duration) (err error) {
		version, err = c.index.Claim(ctx, limit, id, entry.Reason, body)
		if _, ok := errors.AsType[*Fault](err); ok {
			unanswered = true
		}
		return err
	})
	switch {
	case err == nil:
		return entry, version, nil
	case errors.Is(err, errNoTime):
		return ExpiredEntry{}, "", refuse(IndexUnavailable, fmt.Errorf("claim not begun: %w", err))
	case errors.Is(err, ErrAbsent):
		return ExpiredEntry{}, "", refuse(Unknown, errors.New("the valid entry is gone"))
	case errors.Is(err, ErrExists) && !unanswered:
		return ExpiredEntry{}, "", refuse(Used, nil)
	case errors.Is(err, ErrExists):
		return c.recognise(ctx, id, entry.Nonce, deadline)
	default:
		return ExpiredEntry{}, "", refuse(ClaimUnknown, fmt.Errorf("claim: %w", err))
	}
}

// entry fills in what every claim has: Version, At and Nonce.
func (c claimant) entry(entry ExpiredEntry, attempt Attempt) (ExpiredEntry, error) {
	entry.Version, entry.At, entry.Nonce = entryVersion, c.clock.Now().UTC(), attempt.Nonce
	if entry.Nonce == "" {
		var err error
		if entry.Nonce, err = randomHex(c.entropy, nonceBytes); err != nil {
			return ExpiredEntry{}, refuse(Internal, err)
		}
	}
	return entry, nil
}

// recognise finds out whose claim the expired entry is.
func (c claimant) recognise(ctx context.Context, id ID, nonce string, deadline time.Time) (entry ExpiredEntry, version string, err error) {
	var body []byte
	err = requests{c.clock, c.entropy}.repeat(ctx, deadline, leastLimit, c.readBack, func(limit time.Duration) (err error) {
		body, version, err = c.index.ReadExpired(ctx, limit, id)
		return err
	})
	if err != nil {
		return ExpiredEntry{}, "", refuse(ClaimUnknown, fmt.Errorf("read the claim back: %w", err))
	}
	entry, err = ParseExpiredEntry(body)
	switch {
	case err != nil:
		return ExpiredEntry{}, "", refuse(ClaimUnknown, fmt.Errorf("read the claim back: %w", err))
	case entry.Nonce != nonce:
		return ExpiredEntry{}, "", refuse(entry.Reason, errors.New("somebody else's claim came first"))
	}
	return entry, version, nil
}
