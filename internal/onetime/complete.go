package onetime

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Completed is what became of an upload's last step.
type Completed struct {
	ID  ID
	Key string
	// Stored says that the object is there. Else S3 is at it, or its answer got lost, and
	// the same request made again tells.
	Stored bool
	Size   int64
	ETag   string // without quotes
	Parts  []StoredPart
}

// Complete spends the URL and has S3 make the object of the parts. What it refuses before
// its claim spends nothing: parts that are missing, too small, or not the ones whose ETag
// the client named, and sums that the limits do not allow.
//
// The claim keeps the parts and is known by the upload, so a repeat, by whomever, goes on
// where an earlier try broke off, with the same parts, and gives the same answer; also
// when the URL's time is over. If S3 cannot be asked or does not answer in time,
// Completed.Stored is false and err nil.
func (m *Multipart) Complete(ctx context.Context, put Put, deadline time.Time) (Completed, error) {
	url, op, err := put.operation(m.Region, OpComplete)
	if err != nil {
		return Completed{}, err
	}
	completed, err := m.complete(ctx, url, op, put, deadline)
	return completed, about(url.ID, err)
}

func (m *Multipart) complete(ctx context.Context, url URL, op Operation, put Put, deadline time.Time) (Completed, error) {
	claimBy := m.claimBy(deadline)
	lookBy := claimBy.Add(-writeLimit - readBackLimit)
	u, err := m.find(ctx, url, lookBy)
	if err != nil {
		return Completed{}, err
	}
	var claim ExpiredEntry
	var version string
	if u.used {
		claim, version, err = m.ownClaim(ctx, url.ID, u, claimBy)
	} else {
		claim, version, err = m.claimParts(ctx, url, op, u, put, lookBy, claimBy)
	}
	if err == nil {
		err = m.checkClaim(ctx, url.ID, version, deadline)
	}
	if err != nil {
		return Completed{}, err
	}
	if op.ETag != "" && op.ETag != uploadETag(claim.Parts.Stored()) {
		return Completed{}, &Refusal{Reason: Used, Detail: "the object was made of other parts than the etag names"}
	}
	return m.join(ctx, url, u, claim, deadline)
}

// claimParts claims a URL that nobody has used for the parts that are there.
func (m *Multipart) claimParts(ctx context.Context, url URL, op Operation, u underURL, put Put, lookBy, claimBy time.Time) (ExpiredEntry, string, error) {
	refused := func(err error) (ExpiredEntry, string, error) { return ExpiredEntry{}, "", err }
	if err := u.mustBeUnderWay(m.Clock.Now()); err != nil {
		return refused(err)
	}
	parts, err := m.listParts(ctx, url.Key, u.parts.Upload, lookBy)
	if err != nil {
		return refused(err)
	}
	if err := u.entry.Limits.within(m.MaxBytes).checkParts(parts); err != nil {
		return refused(err)
	}
	if op.ETag != "" && op.ETag != uploadETag(parts) {
		return refused(refuseIncomplete("the parts that are there are not those that the etag names; list them, and send again what differs"))
	}
	// Repeated: others may complete the same upload, and their claim is as good as ours.
	return m.claimant().claim(ctx, url.ID, ExpiredEntry{Reason: Used, Request: put.Request, Parts: partList(parts), ETag: op.ETag},
		Attempt{Nonce: u.parts.completion(), Repeated: true}, claimBy)
}

// ownClaim reads the claim of a used URL if it is that of the upload's last step. Else the
// URL was used by a PUT.
func (m *Multipart) ownClaim(ctx context.Context, id ID, u underURL, until time.Time) (ExpiredEntry, string, error) {
	if u.parts == nil {
		return ExpiredEntry{}, "", refuse(Used, nil)
	}
	claim, version, err := m.claimant().recognise(ctx, id, u.parts.completion(), until)
	if err != nil && ReasonOf(err) == ClaimUnknown {
		err = refuse(IndexUnavailable, err) // it was not this request that spent the URL
	}
	return claim, version, err
}

// join has S3 make the object. The URL is spent by the upload's own claim, and the upload
// has no other end than this object.
func (m *Multipart) join(ctx context.Context, url URL, u underURL, claim ExpiredEntry, deadline time.Time) (Completed, error) {
	completed := Completed{ID: url.ID, Key: url.Key, Parts: claim.Parts.Stored()}
	for _, part := range completed.Parts {
		completed.Size += part.Size
	}
	r := requests{m.Clock, m.Entropy}
	completeParts := func() error {
		// A Complete may take S3 minutes; it has all the time there is.
		return r.repeat(ctx, deadline, leastLimit, deadline.Sub(m.Clock.Now()), func(limit time.Duration) error {
			return m.Parts.CompleteUpload(ctx, limit, url.Key, u.parts.Upload, completed.Parts)
		})
	}
	err := ErrAbsent
	if u.used {
		// An earlier try is over, or S3 is still at it: then it may be asked again.
		err = m.recogniseObject(ctx, url.Key, completed, ErrAbsent, deadline.Add(-leastLimit))
	}
	if err != nil {
		err = completeParts()
	}
	if errors.Is(err, ErrParts) {
		// A part was sent again meanwhile, by somebody whom the gate had let through.
		if completed.Parts, err = m.sameShape(ctx, url, u, claim, deadline); err == nil {
			err = completeParts()
		}
	}
	if errors.Is(err, ErrExists) || errors.Is(err, ErrAbsent) || errors.Is(err, ErrConflict) {
		// Made by another try, or it never will be.
		err = m.recogniseObject(ctx, url.Key, completed, err, deadline)
	}
	switch {
	case err == nil:
		completed.Stored, completed.ETag = true, uploadETag(completed.Parts)
		return completed, nil
	case errors.Is(err, errNoTime), Repeatable(err):
		return completed, nil
	}
	return Completed{}, refuse(ClaimUnknown, fmt.Errorf("complete the upload: %w", err))
}

// sameShape lists the parts of a claimed upload again. They may only differ from those of
// the claim in their content, and not where the client has named it.
func (m *Multipart) sameShape(ctx context.Context, url URL, u underURL, claim ExpiredEntry, deadline time.Time) ([]StoredPart, error) {
	claimed := claim.Parts.Stored()
	parts, err := m.listParts(ctx, url.Key, u.parts.Upload, deadline)
	switch {
	case err != nil && ReasonOf(err) == NotStarted:
		return claimed, ErrAbsent
	case err != nil:
		return claimed, errNoTime
	}
	differ := errors.New("the parts are not those of the claim")
	if len(parts) < len(claimed) {
		return nil, differ
	}
	parts = parts[:len(claimed)] // one that came later is left out
	if claim.ETag != "" && uploadETag(parts) != claim.ETag {
		return nil, differ
	}
	for i, part := range parts {
		if part.Number != claimed[i].Number || part.Size != claimed[i].Size {
			return nil, differ
		}
	}
	return parts, nil
}

// recogniseObject finds out whether the object is there that Complete makes, when S3 said
// that it cannot make it. It returns nil, why if the object is not ours, or what makes it
// worth to ask again.
func (m *Multipart) recogniseObject(ctx context.Context, key string, completed Completed, why error, until time.Time) error {
	var size int64
	var etag string
	err := requests{m.Clock, m.Entropy}.repeat(ctx, until, leastLimit, readBackLimit, func(limit time.Duration) (err error) {
		size, etag, err = m.Parts.FindObject(ctx, limit, key)
		return err
	})
	switch {
	case errors.Is(err, ErrAbsent):
		return why
	case err != nil:
		return err
	case size != completed.Size || etag != uploadETag(completed.Parts):
		return fmt.Errorf("another object is there: %w", ErrExists)
	}
	return nil
}
