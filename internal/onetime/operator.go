package onetime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Operator works on URLs that were minted: it reports what has become of them, revokes
// them, and makes them good again. Its methods may be called concurrently, by several
// operators, and while uploads are under way.
type Operator struct {
	Ledger  Ledger
	Clock   Clock
	Entropy Entropy // safe for concurrent use
	// Parts ends multipart uploads; nil: there are none.
	Parts PartLedger
	// Accepting says that uploads are accepted (package acceptance). Then the first
	// version of an upload counts for ever and can never be replaced.
	Accepting bool
}

// operatorLimit bounds one request of an operator. It is longer than the gate's: no
// upload waits for it, and the operator may be far from the bucket.
const operatorLimit = 10 * time.Second

// State is what has become of a URL.
type State string

// Every state there is.
const (
	StateMinted  State = "minted"  // good for one upload
	StateUsed    State = "used"    // spent by an upload, whether or not it arrived
	StateRevoked State = "revoked" // taken back before an upload came
	StateExpired State = "expired" // its time went by, and no upload came
	StateUnknown State = "unknown" // not minted here, or so long ago that all entries are gone
)

// States are all of them.
var States = []State{StateMinted, StateUsed, StateRevoked, StateExpired, StateUnknown}

// StateError says that a URL is not in a state for what was asked. Nothing was
// changed.
type StateError struct {
	State State
	Why   string
}

func (e *StateError) Error() string { return e.Why }

// Target names a URL. Key is its object where the URL itself was given; a
// fingerprint alone does not tell it.
type Target struct {
	ID  ID
	Key string
}

// ParseTarget reads a fingerprint, or a URL that was minted for a bucket in region, on
// any host. Its errors do not repeat s, which may still be a good URL.
func ParseTarget(s, region string) (Target, error) {
	if id, err := ParseID(s); err == nil {
		return Target{ID: id}, nil
	}
	if scheme, rest, ok := strings.Cut(s, "://"); ok && (scheme == "https" || scheme == "http") {
		_, s, _ = strings.Cut(rest, "/")
		s = "/" + s
	}
	path, query, _ := strings.Cut(s, "?")
	url, err := ParseURL(path, query, region)
	if err != nil {
		return Target{}, fmt.Errorf("neither a fingerprint (64 lower-case hex digits) nor a URL as it was minted: %w", errors.Unwrap(err))
	}
	return Target{url.ID, url.Key}, nil
}

// Status reports what has become of a URL. For an upload that is just arriving it may
// answer "used" without an object, and never "minted" with one: it looks at the object
// before the claim, and every claim comes before its object.
//
// Actions: s3:GetObject on signatures/* and uploads/*, s3:ListBucket on the bucket
// (without it S3 says 403 where something is absent).
func (o *Operator) Status(ctx context.Context, target Target) (Status, error) {
	k := o.keeper()
	entry, err := k.readEntry(ctx, target.ID)
	switch {
	case errors.Is(err, ErrAbsent):
		return k.status(ctx, target, nil)
	case err != nil:
		return Status{}, err
	}
	return k.status(ctx, target, &entry)
}

// Revoke revokes a URL. It makes a claim as the gate does, and so S3 decides between
// it and every upload. If the error is nil, no upload with this URL was let through,
// and none will be until the URL is enabled again. now is true if this call revoked
// it, and false if it was revoked before. A URL whose time is over is revoked too,
// for the gate's clock may differ.
//
// The error is a *StateError if the URL was used or never minted. After any other
// error the state is not known: revoke again.
//
// Actions: s3:GetObject on signatures/*, s3:PutObject on signatures/expired/*,
// s3:ListBucket on the bucket.
func (o *Operator) Revoke(ctx context.Context, target Target) (now bool, err error) {
	k := o.keeper()
	// An entry that cannot be parsed counts: gates of another version may take it.
	_, err = k.readValid(ctx, target.ID)
	if err != nil && !errors.Is(err, ErrAbsent) {
		return false, err
	}
	return k.revoke(ctx, target.ID, err == nil)
}

// keeper is what does an operator's work.
func (o *Operator) keeper() keeper {
	return keeper{
		records:  o.Ledger,
		clock:    o.Clock,
		entropy:  o.Entropy,
		read:     operatorLimit,
		write:    operatorLimit,
		readBack: operatorLimit,
	}
}
