package onetime

import (
	"context"
	"errors"
	"io"
	"strconv"
	"time"
)

// Index is the signature index: each method is one S3 request, made once and never
// repeated by the implementation (but for paging), because only the caller can
// tell a repeated claim from a stranger's. limit bounds that request; when it has
// passed, the implementation gives the request up and answers with a *Fault.
//
// Methods may be called concurrently. Reads see every write that was answered
// before they began (S3 is strongly consistent).
//
// Every error is one of the outcome sentinels below, where the method names it, or
// a *Fault. A *Fault says nothing about whether a write took effect.
type Index interface {
	// ReadValid returns the body of the valid entry and when S3 answered, or
	// ErrAbsent. The time is that of S3's clock, cut to the second, and zero if the
	// answer does not say it.
	ReadValid(ctx context.Context, limit time.Duration, id ID) (body []byte, at time.Time, err error)

	// WriteValid writes the valid entry, and returns when S3 answered, as ReadValid does.
	WriteValid(ctx context.Context, limit time.Duration, id ID, body []byte) (at time.Time, err error)

	// HeadExpired asks whether the expired entry exists, and for which reason it
	// was written. ErrAbsent: it never existed as far as the current version tells.
	// ErrDeleted: it is absent because a delete marker hides earlier versions.
	HeadExpired(ctx context.Context, limit time.Duration, id ID) (Reason, error)

	// Claim creates the expired entry if no current version of it exists, and
	// returns the version id of what it wrote ("" on a bucket without versioning).
	// Of all concurrent claims at most one succeeds. ErrExists: there is a current
	// version. ErrConflict: S3 could not decide because the entry was being deleted;
	// nothing was written, the claim may be repeated. ErrAbsent: there is no valid entry, in
	// an index that keeps both in one place; nothing was written.
	Claim(ctx context.Context, limit time.Duration, id ID, reason Reason, body []byte) (version string, err error)

	// ReadExpired returns the body and the version id of the expired entry, or
	// ErrAbsent.
	ReadExpired(ctx context.Context, limit time.Duration, id ID) (body []byte, version string, err error)

	// ListExpired lists all versions and delete markers of exactly this expired
	// entry, newest first, as S3 lists them. limit bounds all pages together.
	ListExpired(ctx context.Context, limit time.Duration, id ID) ([]Version, error)
}

// Version is one version of an entry, or one delete marker over it.
type Version struct {
	ID           string
	DeleteMarker bool
}

// The definite answers of an Index other than success.
var (
	ErrAbsent   = errors.New("entry absent")
	ErrDeleted  = errors.New("entry hidden by a delete marker")
	ErrExists   = errors.New("entry exists already")
	ErrConflict = errors.New("conflicting operation on the entry")
)

// Fault is every other outcome of an index request: an unexpected status, no
// answer, an answer cut short.
type Fault struct {
	Op     string // the Index method
	Status int    // HTTP status, 0 when no complete answer came
	// Stale: the request went out on a reused connection that was dead. It may
	// still have been received. A repeat on a fresh connection is worth it at once.
	Stale bool
	Err   error // may be nil
}

func (f *Fault) Error() string {
	s := f.Op + ": "
	switch {
	case f.Status != 0:
		s += "status " + strconv.Itoa(f.Status)
	case f.Stale:
		s += "reused connection was dead"
	default:
		s += "no answer"
	}
	if f.Err != nil {
		s += ": " + f.Err.Error()
	}
	return s
}

func (f *Fault) Unwrap() error { return f.Err }

// Repeatable reports whether an index request that ended with this error may end
// otherwise when it is made again: S3 could not decide, gave no answer, throttled or
// had a fault of its own. Any other outcome will be the same again.
func Repeatable(err error) bool {
	fault, ok := errors.AsType[*Fault](err)
	return errors.Is(err, ErrConflict) || ok && (fault.Status == 0 || fault.Status == 429 || fault.Status >= 500)
}

// Presigner signs uploads with SigV4 query authentication for the bucket's
// production host.
type Presigner interface {
	// PresignUpload signs with the credentials of the running role. The upload must
	// then carry exactly these headers (lower-case name to value). It may carry others,
	// which are not signed. What metadata S3 is to keep (name to value, without
	// x-amz-meta-) is in the query. It returns the whole query, without "?".
	PresignUpload(ctx context.Context, key string, headers, metadata map[string]string, at time.Time, life time.Duration) (query string, err error)
}

// Clock is time as the domain sees it.
type Clock interface {
	Now() time.Time
	// Sleep waits, or returns early with the context's error.
	Sleep(ctx context.Context, d time.Duration) error
}

// Entropy is a source of random bytes fit for secrets, as crypto/rand.Reader is.
type Entropy = io.Reader
