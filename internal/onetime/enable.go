package onetime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// EnableOptions say what Enable may do.
type EnableOptions struct {
	// Replace enables the URL even if its object was stored. Enable puts a delete marker over
	// the object, which then is an earlier version of the next upload.
	Replace bool
	// Claim, if set, enables the URL only while it is spent by this claim (see Spent). A
	// repeat after a lost answer is then harmless, because it cannot undo what happened
	// after the first call.
	Claim string
}

// Enabled is what Enable did.
type Enabled struct {
	// Claims are the version ids that were removed. There are none if the URL had been
	// enabled before, which is possible with EnableOptions.Claim only.
	Claims []string
	// Replaced says that a delete marker was put over the object.
	Replaced bool
	// Spent is set if the URL was spent again before Enable had finished.
	Spent Reason
}

// UncertainError says that Enable does not know whether the URL is good again. To try again
// and undo no other claim, set EnableOptions.Claim to Claim.
type UncertainError struct {
	Claim string
	Err   error
}

func (e *UncertainError) Error() string {
	return "it is not known whether the URL is enabled: " + e.Err.Error()
}

func (e *UncertainError) Unwrap() error { return e.Err }

// Enable makes a spent URL good again. It removes the versions of the URL's expired entry
// permanently. One call lets at most one more upload through:
//
//   - It lists those versions once, and deletes only these, by id. S3 never gives an id
//     twice. So it does not matter how often a version is deleted, by whom, or how late a
//     deletion arrives whose answer was lost.
//   - The gate claims with a conditional write, which succeeds only while there is no current
//     version. A claim that is made after the list is not on the list, so it stays. While it
//     is there, no other claim succeeds, and the gate refuses until the next call of
//     Enable. So between any two claims there is a list, and n calls let at most n more
//     uploads through, whatever is lost and however the calls overlap.
//   - The gate refuses until the last deletion. Delete markers are deleted first. For a
//     conditional write S3 counts an entry under a marker as absent, so a marker must never
//     become the newest version. The other versions are deleted newest first.
//   - If there is a version at the end, somebody has claimed in the meantime. Enable reports
//     that and leaves the version alone.
//
// The marker over the object is put there before the first deletion. So it never hides an
// upload that this call has let through. S3 puts it there only if the object still has the
// ETag that was read. A request that arrives late can only hide an upload of the same bytes.
// An upload that is under way while Enable is called is stored when it ends. So enable a URL
// only when its upload is over.
//
// A second call finds no expired entry and says so, unless the URL has been used in between.
// Then the second call enables it once more, unless Claim forbids that.
//
// The error is a *StateError, and nothing was changed, if
//
//   - the URL is not spent, or is spent by another claim than Claim;
//   - its object is stored, and Replace is false or not allowed (Operator.Accepting);
//   - it can never be good again, because its time is over or its valid entry is gone;
//   - it was minted under an invitation and then revoked: another URL may have its place;
//   - it was moved to another index (Mover): it may be good there.
//
// It is an *UncertainError if a deletion had no clear answer. After any other error the URL is
// not enabled.
//
// A multipart upload of the URL is ended: its parts are gone, and the next one begins anew.
//
// Actions: s3:GetObject on signatures/* and uploads/*, s3:ListBucket and
// s3:ListBucketVersions on the bucket, s3:DeleteObjectVersion on
// signatures/expired/* and signatures/parts/*, s3:AbortMultipartUpload on uploads/*; to
// replace also s3:DeleteObject on uploads/*.
func (o *Operator) Enable(ctx context.Context, target Target, options EnableOptions) (Enabled, error) {
	entry, err := o.keeper().readEntry(ctx, target.ID)
	switch {
	case errors.Is(err, ErrAbsent):
		return Enabled{}, &StateError{StateUnknown, "the URL is not in the index and cannot be enabled: mint a new one"}
	case err != nil:
		return Enabled{}, err
	case !o.Clock.Now().Before(entry.Expires):
		return Enabled{}, &StateError{StateExpired, "the URL's time is over and it cannot be enabled: mint a new one"}
	}
	// This comes before the list. The marker may hide an upload of a claim on the list, but
	// never an upload of a later claim.
	object, objectErr := o.keeper().headObject(ctx, entry.Key)
	stored := objectErr == nil
	if !stored && !errors.Is(objectErr, ErrAbsent) {
		return Enabled{}, objectErr
	}
	versions, err := o.listExpired(ctx, target.ID)
	switch {
	case err != nil:
		return Enabled{}, err
	case len(versions) == 0 && options.Claim != "":
		return Enabled{}, nil
	case len(versions) == 0:
		return Enabled{}, &StateError{StateMinted, "the URL is not spent: there is nothing to enable"}
	case options.Claim != "" && !slices.ContainsFunc(versions, func(v Version) bool { return v.ID == options.Claim }):
		return Enabled{}, &StateError{StateUsed, "the URL is spent by another claim than " + options.Claim}
	case stored && !options.Replace:
		return Enabled{}, &StateError{StateUsed, "the URL was used and its object is stored: replace it, or mint a new URL"}
	case stored && o.Accepting:
		return Enabled{}, &StateError{StateUsed, "the URL was used and its object is stored; with acceptance on, the first version is the one that counts: mint a new URL"}
	}
	claim, version, err := o.readClaim(ctx, target.ID)
	if err != nil {
		return Enabled{}, err
	}
	if claim.Nonce == moveNonce(target.ID) {
		return Enabled{}, &StateError{StateRevoked, "the URL was moved to another index and is good or spent there: enable it there"}
	}
	// After a revoke, another URL may have taken the place of this one (package invite). So
	// only this one claim of an upload may be removed. A revoke that comes later has another
	// version, and stays.
	only := claim.Reason == Used && len(versions) == 1 && versions[0].ID == version
	if by, _ := ParseBy(entry.By); by.Kind == CredentialInvitation && !only {
		return Enabled{}, &StateError{StateRevoked, "the URL came from an invitation and was revoked; another may have its place: mint a new one with the invitation"}
	}
	ended, err := o.retire(ctx, target.ID, entry.Key)
	if err != nil {
		return Enabled{}, err
	}
	if ended && !stored {
		// Its last step may have come before the upload was aborted.
		if _, err := o.keeper().headObject(ctx, entry.Key); err == nil {
			return Enabled{}, &StateError{StateUsed, "the URL was used and its object was stored just now: look again"}
		} else if !errors.Is(err, ErrAbsent) {
			return Enabled{}, err
		}
	}
	var done Enabled
	if stored {
		if err := o.hideObject(ctx, entry.Key, object.ETag); err != nil {
			return Enabled{}, err
		}
		done.Replaced = true
	}
	// The version that is deleted last is the claim that spent the URL first.
	uncertain := func(err error) error { return &UncertainError{versions[len(versions)-1].ID, err} }
	for _, v := range versions {
		err := o.keeper().repeat(ctx, func(limit time.Duration) error {
			return o.Ledger.DeleteExpired(ctx, limit, target.ID, v.ID)
		})
		if err != nil {
			return Enabled{}, uncertain(fmt.Errorf("remove version %s of the expired entry: %w", v.ID, err))
		}
		done.Claims = append(done.Claims, v.ID)
	}
	reason, err := o.keeper().headExpired(ctx, target.ID)
	switch {
	case errors.Is(err, ErrAbsent):
		return done, nil
	case err == nil:
		done.Spent = reason
		return done, nil
	case errors.Is(err, ErrDeleted):
		return Enabled{}, uncertain(errors.New("somebody put a delete marker over the expired entry"))
	}
	return Enabled{}, uncertain(err)
}

// readClaim reads the current expired entry and its version id. Both are empty if there is none,
// or none that this oncegate can read.
func (o *Operator) readClaim(ctx context.Context, id ID) (claim ExpiredEntry, version string, err error) {
	k := o.keeper()
	var body []byte
	err = k.repeat(ctx, func(limit time.Duration) (err error) {
		body, version, err = k.records.ReadExpired(ctx, limit, id)
		return err
	})
	if err != nil && !errors.Is(err, ErrAbsent) {
		return ExpiredEntry{}, "", fmt.Errorf("read the expired entry: %w", err)
	}
	if claim, err = ParseExpiredEntry(body); err != nil {
		return ExpiredEntry{}, "", nil
	}
	return claim, version, nil
}

// retire ends the multipart upload of a spent URL, so that the next one begins anew and no
// late Complete makes an object of the old one. ended says that there was one.
func (o *Operator) retire(ctx context.Context, id ID, key string) (ended bool, err error) {
	if o.Parts == nil {
		return false, nil
	}
	k := o.keeper()
	var body []byte
	err = k.repeat(ctx, func(limit time.Duration) (err error) {
		body, err = o.Parts.ReadParts(ctx, limit, id)
		return err
	})
	var entry PartsEntry
	switch {
	case errors.Is(err, ErrAbsent):
		return false, nil
	case err == nil:
		entry, err = ParsePartsEntry(body)
	}
	if err == nil {
		err = k.repeat(ctx, func(limit time.Duration) error {
			return o.Parts.AbortUpload(ctx, limit, key, entry.Upload)
		})
	}
	var versions []Version
	if err == nil {
		err = k.repeat(ctx, func(limit time.Duration) (err error) {
			versions, err = o.Parts.ListPartsEntry(ctx, limit, id)
			return err
		})
	}
	for _, v := range versions {
		if err == nil {
			err = k.repeat(ctx, func(limit time.Duration) error {
				return o.Parts.DeletePartsEntry(ctx, limit, id, v.ID)
			})
		}
	}
	if err != nil {
		return false, fmt.Errorf("end the multipart upload: %w", err)
	}
	return true, nil
}

// listExpired lists the versions to remove, in the order in which they are removed.
func (o *Operator) listExpired(ctx context.Context, id ID) (versions []Version, err error) {
	err = o.keeper().repeat(ctx, func(limit time.Duration) (err error) {
		versions, err = o.Ledger.ListExpired(ctx, limit, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the versions of the expired entry: %w", err)
	}
	for _, v := range versions {
		// Without versioning, or while it is suspended, S3 gives the same id again and again.
		// Deleting by such an id could remove a later claim.
		if v.ID == "" || v.ID == "null" {
			return nil, errors.New("the expired entry has a version without an id of its own: is the bucket versioned?")
		}
	}
	slices.SortStableFunc(versions, func(a, b Version) int {
		switch {
		case a.DeleteMarker == b.DeleteMarker:
			return 0
		case a.DeleteMarker:
			return -1
		}
		return 1
	})
	return versions, nil
}

// hideObject puts a delete marker over the object with this ETag.
func (o *Operator) hideObject(ctx context.Context, key, etag string) error {
	err := o.keeper().repeat(ctx, func(limit time.Duration) error {
		return o.Ledger.HideObject(ctx, limit, key, etag)
	})
	if err == nil || errors.Is(err, ErrAbsent) {
		return nil
	}
	// A request may have taken effect and its answer been lost. The repeat then met the
	// marker.
	if _, errNow := o.keeper().headObject(ctx, key); errors.Is(errNow, ErrAbsent) {
		return nil
	}
	return fmt.Errorf("put a delete marker over the object: %w", err)
}
