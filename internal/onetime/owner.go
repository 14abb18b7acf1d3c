package onetime

import (
	"context"
	"errors"
	"time"
)

// Owner lets those who mint look after what they minted: each credential sees and
// takes back its own URLs and no others. It works at the edge, in the time that an
// invocation has. Its methods may be called concurrently.
type Owner struct {
	Records Records
	Clock   Clock
	Entropy Entropy // safe for concurrent use
}

// Status tells what became of a URL that by minted, as Operator's Status does. The
// error is a Refusal: Unknown where there is no such URL, or where somebody else
// minted it, which must not show; IndexUnavailable without a clear answer.
//
// Actions: as for Operator.Status.
func (o *Owner) Status(ctx context.Context, by string, id ID, deadline time.Time) (Status, error) {
	k := o.keeper(deadline)
	entry, err := k.ownEntry(ctx, by, id)
	if err != nil {
		return Status{}, ownerRefusal(id, err)
	}
	status, err := k.status(ctx, Target{ID: id}, &entry)
	if err != nil {
		return Status{}, ownerRefusal(id, err)
	}
	return status, nil
}

// Revoke takes a URL back that by minted, as Operator's Revoke does. The error is a
// Refusal: Unknown and IndexUnavailable as of Status; Used where an upload was let
// through; ClaimUnknown where it is not known whether the URL is revoked now, and
// calling again finds out.
//
// Actions: as for Operator.Revoke.
func (o *Owner) Revoke(ctx context.Context, by string, id ID, deadline time.Time) (now bool, err error) {
	k := o.keeper(deadline)
	if _, err := k.ownEntry(ctx, by, id); err != nil {
		return false, ownerRefusal(id, err)
	}
	now, err = k.revoke(ctx, id, true)
	if err != nil {
		return false, ownerRefusal(id, err)
	}
	return now, nil
}

func (o *Owner) keeper(deadline time.Time) keeper {
	return keeper{
		records:  o.Records,
		clock:    o.Clock,
		entropy:  o.Entropy,
		read:     lookupLimit,
		write:    writeLimit,
		readBack: readBackLimit,
		deadline: deadline,
	}
}

// ownEntry reads the valid entry of a URL that by minted. To everybody else the URL
// is as absent as one that there never was: nothing but this one read tells them
// apart, and it comes first. A URL that nobody is named for is nobody's.
func (k keeper) ownEntry(ctx context.Context, by string, id ID) (ValidEntry, error) {
	entry, err := k.readEntry(ctx, id)
	if err != nil {
		return ValidEntry{}, err
	}
	if by == "" || entry.By != by {
		return ValidEntry{}, ErrAbsent
	}
	return entry, nil
}

// ownerRefusal is what an owner is told of an error.
func ownerRefusal(id ID, err error) error {
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		out := &Refusal{Reason: refusal.Reason, ID: id, Err: err}
		if refusal.Reason == ClaimUnknown {
			out.Detail = "it is not known whether this URL is revoked; send the same request again"
		}
		return out
	}
	if state, ok := errors.AsType[*StateError](err); ok && state.State == StateUsed {
		return &Refusal{Reason: Used, ID: id}
	}
	if errors.Is(err, ErrAbsent) {
		return &Refusal{Reason: Unknown, ID: id}
	}
	return &Refusal{Reason: IndexUnavailable, ID: id, Err: err}
}
