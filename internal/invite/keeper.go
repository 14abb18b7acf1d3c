package invite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"oncegate/internal/onetime"
)

// Keeper makes, shows and revokes invitations. Its methods may be called concurrently, and
// while others mint.
type Keeper struct {
	Ledger  Ledger
	Closer  *onetime.Closer
	Clock   onetime.Clock
	Entropy onetime.Entropy // safe for concurrent use
	// Keep is as in Minter. No invitation is made that lives for longer.
	Keep time.Duration
	// Prefixes are those that an invitation may have, as in onetime.Bounds.
	Prefixes []string
	// Tags are the keys of those that an invitation may have, as in onetime.Bounds.
	Tags []string
}

// Create makes an invitation that begins now. Of the record it takes Label, Uploads,
// Limits, Prefix, Meta, Tags, Life, Expires and By. A Life of zero becomes DefaultURLLife, and an
// Expires of zero the time DefaultLife from now. The token is shown only now. The error is a
// *onetime.Refusal of the record, or ErrUnavailable: then there may be an invitation, whose
// token nobody has.
//
// Actions: s3:PutObject on invitations/*.
func (k *Keeper) Create(ctx context.Context, record Record, deadline time.Time) (token string, id ID, made Record, err error) {
	record.Version, record.Created, record.Revoked = recordVersion, k.Clock.Now().UTC().Truncate(time.Second), time.Time{}
	record.Life = cmp.Or(record.Life, DefaultURLLife)
	if record.Expires.IsZero() {
		record.Expires = record.Created.Add(min(DefaultLife, k.Keep))
	}
	record.Expires = record.Expires.UTC().Truncate(time.Second)
	if err := record.check(); err != nil {
		return "", "", Record{}, refuse(err)
	}
	bounds := onetime.Bounds{Prefixes: k.Prefixes, Tags: k.Tags}
	if err := cmp.Or(bounds.CheckPrefix(record.Prefix), bounds.CheckTags(record.Tags)); err != nil {
		return "", "", Record{}, refuse(err)
	}
	if record.Expires.Sub(record.Created) > k.Keep {
		return "", "", Record{}, refuse(fmt.Errorf("expires: the bucket keeps its entries for %d days, and no invitation may live for longer", k.Keep/(24*time.Hour)))
	}
	if token, err = NewToken(k.Entropy); err != nil {
		return "", "", Record{}, err
	}
	if id, err = ParseToken(token); err != nil {
		return "", "", Record{}, err
	}
	tries := 0
	err = k.requests(ctx, deadline).repeat(func(limit time.Duration) error {
		tries++
		return k.Ledger.CreateInvitation(ctx, limit, id, record.Marshal())
	})
	// Only we know the token, so a record that is there is ours, and an answer got lost.
	if err != nil && !(tries > 1 && errors.Is(err, onetime.ErrExists)) {
		return "", "", Record{}, unclear("write the record", err)
	}
	return token, id, record, nil
}

// Read returns the record of an invitation, whatever its state, and its ETag. The error is
// ErrUnknown if there is none.
func (k *Keeper) Read(ctx context.Context, id ID, deadline time.Time) (record Record, etag string, err error) {
	return k.requests(ctx, deadline).record(ctx, id)
}

func (k *Keeper) requests(ctx context.Context, deadline time.Time) requests {
	return requests{k.Ledger, func(request func(limit time.Duration) error) error {
		return onetime.Repeat(ctx, k.Clock, k.Entropy, deadline, request)
	}}
}

// Revoke revokes an invitation. If the error is nil, no upload is let through that was not
// let through before, and no URL is handed out; uploads that were let through stay. It
// writes the record, closes the free slots and then the others. After an error the
// invitation may be revoked in part, and Revoke may be called again. It never reopens
// anything. The error is ErrUnknown if there is no such invitation.
//
// Actions: as for Minter.Mint, but for the valid entries.
func (k *Keeper) Revoke(ctx context.Context, id ID, deadline time.Time) error {
	record, err := k.markRevoked(ctx, id, deadline)
	if err != nil {
		return err
	}
	listed, err := k.requests(ctx, deadline).slots(ctx, id)
	if err != nil {
		return err
	}
	free, held := sorted(listed, record.Uploads)
	err = each(len(free), func(i int) error { return k.closeSlot(ctx, id, free[i], true, deadline) })
	if err != nil {
		return err
	}
	return each(len(held), func(i int) error { return k.closeSlot(ctx, id, held[i], false, deadline) })
}

// maxRounds bounds how often a record or a slot is looked at again because somebody else
// has changed it.
const maxRounds = 16

// markRevoked writes in the record that the invitation is revoked.
func (k *Keeper) markRevoked(ctx context.Context, id ID, deadline time.Time) (Record, error) {
	for range maxRounds {
		record, etag, err := k.Read(ctx, id, deadline)
		if err != nil || !record.Revoked.IsZero() {
			return record, err
		}
		record.Revoked = k.Clock.Now().UTC().Truncate(time.Second)
		err = k.requests(ctx, deadline).repeat(func(limit time.Duration) error {
			return k.Ledger.ReplaceInvitation(ctx, limit, id, etag, record.Marshal())
		})
		switch {
		case err == nil:
			return record, nil
		case !errors.Is(err, onetime.ErrChanged): // else look: it may be our own write
			return Record{}, unclear("write the record", err)
		}
	}
	return Record{}, fmt.Errorf("%w: the record changes all the time", ErrUnavailable)
}

// closeSlot makes sure that slot n is never taken again, and that the URL that holds it, if
// any, lets no upload through unless it has already.
func (k *Keeper) closeSlot(ctx context.Context, id ID, n int, free bool, deadline time.Time) error {
	closed := Slot{Version: recordVersion, State: SlotClosed}.Marshal()
	r := k.requests(ctx, deadline)
	if free {
		err := r.repeat(func(limit time.Duration) error { return k.Ledger.CreateSlot(ctx, limit, id, n, closed) })
		if err == nil {
			return nil
		}
		if !errors.Is(err, onetime.ErrExists) { // else look: it may be our own write
			return unclear("close a slot", err)
		}
	}
	for range maxRounds {
		slot, etag, err := r.slot(ctx, id, n)
		if err != nil {
			return err
		}
		if slot.State != SlotHeld {
			return nil
		}
		unspent, err := k.Closer.Close(ctx, slot.URL, deadline)
		if err != nil {
			return unclear("revoke a URL", err)
		}
		if !unspent {
			return nil // it keeps its slot for ever
		}
		err = r.repeat(func(limit time.Duration) error { return k.Ledger.ReplaceSlot(ctx, limit, id, n, etag, closed) })
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, onetime.ErrChanged):
			return unclear("close a slot", err)
		}
	}
	return fmt.Errorf("%w: a slot changes all the time", ErrUnavailable)
}
