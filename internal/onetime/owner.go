package onetime

import (
	"context"
	"errors"
	"time"
)

// Owner asks about URLs and revokes them for whoever owns them (see Credential), who
// sees no others. Owner works at the edge, in the time that one invocation has. Its
// methods may be called concurrently.
type Owner struct {
	Records Records
	Clock   Clock
	Entropy Entropy // safe for concurrent use
}

// Status reports what has become of a URL that the owner of the credential minted, as
// Operator.Status does. The error is a Refusal: Unknown if there is no such URL or it
// has another owner, which must look the same; IndexUnavailable if there
// was no clear answer.
//
// Actions: as for Operator.Status.
func (o *Owner) Status(ctx context.Context, by Credential, id ID, deadline time.Time) (Status, error) {
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

// Revoke revokes a URL that the owner of the credential minted, as Operator.Revoke does. The
// error is a Refusal: Unknown and IndexUnavailable as for Status; Used if an upload
// was let through; ClaimUnknown if it is not known whether the URL is revoked now.
// Calling again finds out.
//
// Actions: as for Operator.Revoke.
func (o *Owner) Revoke(ctx context.Context, by Credential, id ID, deadline time.Time) (now bool, err error) {
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

// ownEntry reads the valid entry of a URL of the credential's owner. To any other the
// URL looks absent: only this one read tells the two apart, and it comes first. A URL
// that no credential minted belongs to nobody.
func (k keeper) ownEntry(ctx context.Context, by Credential, id ID) (ValidEntry, error) {
	entry, err := k.readEntry(ctx, id)
	if err != nil {
		return ValidEntry{}, err
	}
	if !by.owns(entry) {
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
	if errors.Is(err, errGone) {
		err = ErrAbsent
	}
	if errors.Is(err, ErrAbsent) {
		return &Refusal{Reason: Unknown, ID: id}
	}
	return &Refusal{Reason: IndexUnavailable, ID: id, Err: err}
}
