package onetime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// EnableOptions narrow or widen what Enable may do.
type EnableOptions struct {
	// Replace enables the URL even if its object was stored: a delete marker is put
	// over the object, which becomes an earlier version of the next upload.
	Replace bool
	// Claim, if set, enables the URL only while it is spent by this claim (see Spent).
	// With it a repeat after a lost answer is harmless: it cannot undo what came after
	// the first call.
	Claim string
}

// Enabled is what Enable did.
type Enabled struct {
	// Claims are the version ids that were removed, none when the URL had been
	// enabled before (possible with EnableOptions.Claim only).
	Claims []string
	// Replaced says that the object was put under a delete marker.
	Replaced bool
	// Spent says, if set, that the URL was spent again before Enable had finished.
	Spent Reason
}

// UncertainError says that Enable does not know whether the URL is good again. Set
// EnableOptions.Claim to try again and undo nothing but this claim.
type UncertainError struct {
	Claim string
	Err   error
}

func (e *UncertainError) Error() string {
	return "it is not known whether the URL is enabled: " + e.Err.Error()
}

func (e *UncertainError) Unwrap() error { return e.Err }

// Enable makes a spent URL good again by removing the versions of its expired
// entry, for good. One call lets at most one more upload through:
//
//   - It lists those versions once and from then on deletes only these, by id. S3
//     never gives an id twice, so it does not matter how often one is deleted, how
//     late a deletion arrives whose answer got lost, or who else deletes it too.
//   - The gate claims with a conditional write, which succeeds only while no current
//     version exists. A claim made after the list is not on it. It stays, and so no
//     other claim succeeds: the gate refuses until the next call of Enable, whose
//     list has it. Between any two claims lies a list of its own, so n calls let at
//     most n more uploads through, whatever is lost and however they overlap.
//   - Until the last deletion the gate refuses. Delete markers go first: S3 counts
//     an entry under a marker as absent for a conditional write, so no marker may
//     come to lie on top. The other versions go newest first.
//   - If a version is there at the end, somebody has claimed since. Enable says so
//     and leaves it alone.
//
// The marker over the object comes before the first deletion, so what it hides was
// never uploaded by grace of this call. S3 puts it there only if the object is
// still the one that was looked at (by ETag); a request that arrives late could
// only hide an upload of the very same bytes. An upload that was let through
// before and is still under way when Enable is called will be stored whenever it
// ends: enable a URL when its upload is over.
//
// Running it twice: the second call finds no expired entry and says so, unless the
// URL has been used in between. Then the second call enables it once more, unless
// Claim forbids that.
//
// The error is a *StateError when nothing was changed since the URL is not spent,
// is spent by another claim than Claim, has a stored object and Replace is false
// or not to be had (Operator.Accepting), or can never be good again: its time is over or its valid entry gone. It is an
// *UncertainError when deletions gave no clear answer. After any other error the
// URL is not enabled.
//
// Actions: s3:GetObject on signatures/* and uploads/*, s3:ListBucket and
// s3:ListBucketVersions on the bucket, s3:DeleteObjectVersion on
// signatures/expired/*; to replace also s3:DeleteObject on uploads/*.
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
	// Before the list: a marker may go over an upload of the claims on the list,
	// never over one that came later.
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
	var done Enabled
	if stored {
		if err := o.hideObject(ctx, entry.Key, object.ETag); err != nil {
			return Enabled{}, err
		}
		done.Replaced = true
	}
	// The last to go is the one that the URL was spent by first.
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

// listExpired lists what there is to remove, in the order in which to remove it.
func (o *Operator) listExpired(ctx context.Context, id ID) (versions []Version, err error) {
	err = o.keeper().repeat(ctx, func(limit time.Duration) (err error) {
		versions, err = o.Ledger.ListExpired(ctx, limit, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the versions of the expired entry: %w", err)
	}
	for _, v := range versions {
		// Without versioning, or while it is suspended, S3 gives this id again and
		// again: to delete by it could remove somebody's later claim.
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
	// The answer to a request that took effect may have got lost, and the repeat
	// have met its marker.
	if _, errNow := o.keeper().headObject(ctx, key); errors.Is(errNow, ErrAbsent) {
		return nil
	}
	return fmt.Errorf("put a delete marker over the object: %w", err)
}
