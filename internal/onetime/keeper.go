package onetime

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// keeper reports what has become of URLs, and revokes them. Operator and Owner share
// it; each sets how much time there is.
type keeper struct {
	records Records
	clock   Clock
	entropy Entropy
	// How long one request may take.
	read, write, readBack time.Duration
	// deadline is when all must be done; zero: each request gets patience.
	deadline time.Time
}

// patience is how long one request may take with its repeats if there is no deadline
// for the whole.
const patience = 40 * time.Second

func (k keeper) until() time.Time {
	if k.deadline.IsZero() {
		return k.clock.Now().Add(patience)
	}
	return k.deadline
}

// status is what became of a URL with this valid entry, nil when it has none. The
// object is looked at before the claim.
func (k keeper) status(ctx context.Context, target Target, entry *ValidEntry) (Status, error) {
	status := Status{ID: target.ID, Key: target.Key, Entry: entry}
	if entry != nil {
		status.Key = entry.Key
	}
	if status.Key != "" {
		object, err := k.headObject(ctx, status.Key)
		switch {
		case errors.Is(err, ErrAbsent):
		case err != nil:
			return Status{}, err
		default:
			status.Object = &object
		}
	}
	reason, err := k.headExpired(ctx, target.ID)
	if status.State, err = k.state(entry, reason, err); err != nil {
		return Status{}, err
	}
	if status.State == StateUsed || status.State == StateRevoked {
		status.Spent = k.spent(ctx, target.ID)
	}
	return status, nil
}

// state says what both halves of the index mean together: reason and err are the
// answer about the expired entry, and mean what they mean to the gate.
func (k keeper) state(entry *ValidEntry, reason Reason, err error) (State, error) {
	switch {
	case err == nil && reason == Revoked:
		return StateRevoked, nil
	case err == nil, errors.Is(err, ErrDeleted):
		return StateUsed, nil
	case !errors.Is(err, ErrAbsent):
		return "", err
	case entry == nil:
		return StateUnknown, nil
	case k.clock.Now().Before(entry.Expires):
		return StateMinted, nil
	}
	return StateExpired, nil
}

// spent reads the claim for what it says of itself. The state is known without it,
// so what cannot be read is left out.
func (k keeper) spent(ctx context.Context, id ID) *Spent {
	spent := &Spent{}
	var body []byte
	err := k.repeat(ctx, func(limit time.Duration) (err error) {
		body, spent.Claim, err = k.records.ReadExpired(ctx, limit, id)
		return err
	})
	if err != nil {
		return &Spent{}
	}
	if entry, err := ParseExpiredEntry(body); err == nil {
		spent.At, spent.Request = entry.At, entry.Request
	}
	return spent
}

// revoke revokes a URL. minted says that its valid entry is there.
func (k keeper) revoke(ctx context.Context, id ID, minted bool) (now bool, err error) {
	reason, err := k.headExpired(ctx, id)
	switch {
	case err == nil, errors.Is(err, ErrDeleted):
		return false, alreadySpent(reason)
	case !errors.Is(err, ErrAbsent):
		return false, err
	case !minted:
		return false, errGone
	}
	claimant := claimant{k.records, k.clock, k.entropy, k.write, k.readBack}
	_, _, err = claimant.claim(ctx, id, ExpiredEntry{Reason: Revoked}, Attempt{}, k.until())
	if err == nil {
		return true, nil
	}
	switch ReasonOf(err) {
	case Unknown: // gone, between the look and the claim
		return false, errGone
	case Used, Revoked: // by somebody else, between the look and the claim
		if reason, err = k.headExpired(ctx, id); err != nil {
			return false, err
		}
		return false, alreadySpent(reason)
	}
	return false, fmt.Errorf("it is not known whether the URL is revoked: %w", err)
}

// errGone is what a revoke says of a URL that the index does not know.
var errGone = &StateError{StateUnknown, "no such URL was minted here, or its entries are gone"}

// alreadySpent is what a revoke says where an expired entry was there before.
func alreadySpent(reason Reason) error {
	if reason == Revoked {
		return nil
	}
	return &StateError{StateUsed, "the URL was used already"}
}

// readValid reads the valid entry, whatever is in it. The error is ErrAbsent if there is
// none.
func (k keeper) readValid(ctx context.Context, id ID) (body []byte, err error) {
	err = k.repeat(ctx, func(limit time.Duration) (err error) {
		body, _, err = k.records.ReadValid(ctx, limit, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read valid entry: %w", err)
	}
	return body, nil
}

// readEntry reads and parses the valid entry. The error is ErrAbsent if there is none.
func (k keeper) readEntry(ctx context.Context, id ID) (ValidEntry, error) {
	body, err := k.readValid(ctx, id)
	if err != nil {
		return ValidEntry{}, err
	}
	return ParseValidEntry(body)
}

func (k keeper) headExpired(ctx context.Context, id ID) (reason Reason, err error) {
	err = k.repeat(ctx, func(limit time.Duration) (err error) {
		reason, err = k.records.HeadExpired(ctx, limit, id)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("look for expired entry: %w", err)
	}
	return reason, nil
}

func (k keeper) headObject(ctx context.Context, key string) (object Object, err error) {
	err = k.repeat(ctx, func(limit time.Duration) (err error) {
		object, err = k.records.HeadObject(ctx, limit, key)
		return err
	})
	if err != nil {
		return Object{}, fmt.Errorf("look for the object: %w", err)
	}
	return object, nil
}

// repeat makes one request, again where that may help.
func (k keeper) repeat(ctx context.Context, request func(limit time.Duration) error) error {
	return requests{k.clock, k.entropy}.repeat(ctx, k.until(), leastLimit, k.read, request)
}
