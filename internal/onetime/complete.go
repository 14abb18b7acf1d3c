package onetime

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Completed is the outcome of Complete.
type Completed struct {
	ID  ID
	Key string
	// Stored says that the object is there. If it is false, S3 is still making the object, or
	// its answer was lost; the same request sent again finds out.
	Stored bool
	Size   int64
	ETag   string // without quotes
	// CRC64NVME is S3's checksum of the object in base64. It is "" if S3 gave none, as when
	// an earlier try has made the object.
	CRC64NVME string
	Parts     []StoredPart
}

// Complete spends the URL and has S3 make the object from the parts. It refuses before the
// claim, and spends nothing, if a part is missing or too small, if the parts are not those
// whose ETag the client named, or if the limits do not allow their sum.
//
// The claim holds the list of parts, and every repeat recognises it. So a repeat continues
// where an earlier try ended, with the same parts, and gives the same answer, even when the
// URL's time is over. If S3 gives no answer in time, Completed.Stored is false and the error
// is nil.
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
	if !u.used {
		claim, version, err = m.claimParts(ctx, url, op, u, put, lookBy, claimBy)
		if partsMissing(err) {
			u, err = m.lookAgain(ctx, url, err, lookBy)
		}
	}
	if err == nil && u.used {
		claim, version, err = m.ownClaim(ctx, url.ID, u, claimBy)
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

// claimParts lists the parts and claims the unspent URL for them.
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
	// Repeated, because other requests may complete the same upload, and their claim is as
	// good as ours.
	return m.claimant().claim(ctx, url.ID, ExpiredEntry{Reason: Used, Request: put.Request, Parts: partList(parts), ETag: op.ETag},
		Attempt{Nonce: u.parts.completion(), Repeated: true}, claimBy)
}

// ownClaim reads the claim of a used URL. It refuses unless the claim was made to complete
// this upload; otherwise a PUT has used the URL.
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

// join has S3 make the object. It is called only when the claim to complete this upload has
// been made.
func (m *Multipart) join(ctx context.Context, url URL, u underURL, claim ExpiredEntry, deadline time.Time) (Completed, error) {
	completed := Completed{ID: url.ID, Key: url.Key, Parts: claim.Parts.Stored()}
	for _, part := range completed.Parts {
		completed.Size += part.Size
	}
	r := requests{m.Clock, m.Entropy}
	completeParts := func() error {
		// S3 may take minutes to complete an upload, so the request gets all the time there is.
		return r.repeat(ctx, deadline, leastLimit, deadline.Sub(m.Clock.Now()), func(limit time.Duration) (err error) {
			completed.ETag, completed.CRC64NVME, err = m.Parts.CompleteUpload(ctx, limit, url.Key, u.parts.Upload, completed.Parts)
			return err
		})
	}
	err := ErrAbsent
	if u.used {
		// An earlier try has claimed, and may have made the object.
		err = m.recogniseObject(ctx, url.Key, &completed, claim.ETag, ErrAbsent, deadline.Add(-leastLimit))
	}
	if err != nil {
		err = completeParts()
	}
	if errors.Is(err, ErrParts) {
		// A part that the gate had let through before the claim arrived after it.
		if completed.Parts, err = m.sameShape(ctx, url, u, claim, deadline); err == nil {
			err = completeParts()
		}
	}
	if errors.Is(err, ErrExists) || errors.Is(err, ErrAbsent) || errors.Is(err, ErrConflict) {
		// Another try has made the object, or nobody can.
		err = m.recogniseObject(ctx, url.Key, &completed, claim.ETag, err, deadline)
	}
	switch {
	case err == nil:
		completed.Stored = true
		return completed, nil
	case errors.Is(err, errNoTime), Repeatable(err):
		return completed, nil
	}
	return Completed{}, refuse(ClaimUnknown, fmt.Errorf("complete the upload: %w", err))
}

// sameShape lists the parts of a claimed upload again. Numbers and sizes must be those of the
// claim. The content may differ, unless the client has named the object's ETag.
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
	parts = parts[:len(claimed)] // without parts that came after the claim
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

// recogniseObject looks whether the object of these parts is there, and takes its ETag. The error
// is nil if it is, why if there is no object, ErrExists if there is another one, or what went
// wrong. An ETag that is not made of MD5s still ends in the number of parts, and so does the ETag
// of an object in which a late part has taken the place of another (sameShape). named is the ETag
// that the client has named, or "": with it, the object must have exactly these parts.
func (m *Multipart) recogniseObject(ctx context.Context, key string, completed *Completed, named string, why error, until time.Time) error {
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
	case size != completed.Size || etag != uploadETag(completed.Parts) &&
		!((m.OpaqueETags || named == "") && strings.HasSuffix(etag, "-"+strconv.Itoa(len(completed.Parts)))):
		return fmt.Errorf("another object is there: %w", ErrExists)
	}
	completed.ETag = etag
	return nil
}
