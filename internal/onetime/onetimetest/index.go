package onetimetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"oncegate/internal/onetime"
)

// Ops are the methods of onetime.Index, in the order in which they first occur.
// LedgerOps are those that onetime.Ledger has besides.
var (
	Ops       = []string{"WriteValid", "ReadValid", "HeadExpired", "Claim", "ReadExpired", "ListExpired"}
	LedgerOps = []string{"HeadObject", "HideObject", "DeleteExpired", "ListEntries"}
	// UploadOps are those of onetime.Movable for the ways from uploads to their URLs.
	UploadOps = []string{"WriteUpload", "ReadUpload"}
	// PartOps are the methods of onetime.PartStore.
	PartOps = []string{"CreateUpload", "WriteParts", "ReadParts", "ListParts", "CompleteUpload", "AbortUpload", "FindObject"}
)

// Call is one request to the index.
type Call struct {
	Op    string
	N     int // counts the calls of Op, from 1
	ID    onetime.ID
	Limit time.Duration
	// Version is the one that DeleteExpired is to remove.
	Version string
}

// Fault is how a request goes wrong. A status means to the index what it means to
// package s3index: some are definite answers, the others are faults. A definite
// answer that is not true of the store is a lie of S3's.
type Fault struct {
	Status  int  // 0: no answer came
	Stale   bool // no answer, for a reused connection was dead
	Applied bool // a write took effect nevertheless
}

func (f Fault) String() string {
	s := fmt.Sprint(f.Status)
	switch {
	case f.Stale:
		s = "stale connection"
	case f.Status == 0:
		s = "no answer"
	}
	if f.Applied {
		s += ", applied"
	}
	return s
}

// What S3's 404, and its 412 and 409, are definite answers to.
var (
	absentOps = []string{"ReadValid", "ReadUpload", "HeadExpired", "ReadExpired", "HeadObject", "HideObject", "ReadParts", "ListParts", "CompleteUpload", "FindObject"}
	createOps = []string{"Claim", "WriteParts", "CompleteUpload"}
)

func (f Fault) err(op string) error {
	switch {
	case f.Status == 404 && slices.Contains(absentOps, op):
		return onetime.ErrAbsent
	case f.Status == 404 && op == "AbortUpload":
		return nil
	case f.Status == 412 && op == "HideObject":
		return onetime.ErrChanged
	case f.Status == 412 && slices.Contains(createOps, op):
		return onetime.ErrExists
	case f.Status == 409 && (op == "HideObject" || slices.Contains(createOps, op)):
		return onetime.ErrConflict
	}
	err := &onetime.Fault{Op: op, Status: f.Status, Stale: f.Stale}
	if f.Status == 0 {
		err.Err = errors.New("made to fail by a test")
	}
	return err
}

// Index is a signature index over a Store. Several may share one store.
type Index struct {
	Store *Store
	// Clock is S3's, which answers are dated by. nil: answers say no date.
	Clock onetime.Clock
	// Intercept, when set, is asked before every call takes effect. It returns nil
	// to let the call through. It may take its time, change the store, or panic.
	Intercept func(Call) *Fault

	mu    sync.Mutex
	calls []Call
}

var _ onetime.Index = (*Index)(nil)

// Calls returns all calls so far, in the order in which they began.
func (x *Index) Calls() []Call {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.calls)
}

// Tally counts all calls so far, in the order of the lists above: "ReadValid 1, Claim 2".
func (x *Index) Tally() string {
	var counts []string
	for _, op := range slices.Concat(Ops, SpenderOps, LedgerOps, UploadOps, AtOnceOps, PartOps) {
		n := 0
		for _, call := range x.Calls() {
			if call.Op == op {
				n++
			}
		}
		if n > 0 {
			counts = append(counts, fmt.Sprintf("%s %d", op, n))
		}
	}
	return strings.Join(counts, ", ")
}

func (x *Index) do(op string, limit time.Duration, id onetime.ID, request func() error) error {
	return x.call(Call{Op: op, N: 1, ID: id, Limit: limit}, request)
}

func (x *Index) call(call Call, request func() error) error {
	x.mu.Lock()
	for _, earlier := range x.calls {
		if earlier.Op == call.Op {
			call.N++
		}
	}
	x.calls = append(x.calls, call)
	x.mu.Unlock()

	if x.Intercept != nil {
		if fault := x.Intercept(call); fault != nil {
			if fault.Applied {
				_ = request() // its answer is what gets lost
			}
			return fault.err(call.Op)
		}
	}
	return request()
}

// ReadValid implements onetime.Index.
func (x *Index) ReadValid(_ context.Context, limit time.Duration, id onetime.ID) (body []byte, at time.Time, err error) {
	err = x.do("ReadValid", limit, id, func() error {
		entry, exists, _ := x.Store.Current(id.ValidKey())
		if !exists {
			return onetime.ErrAbsent
		}
		body, at = entry.Body, x.date()
		return nil
	})
	return body, at, err
}

// date is that of an answer given now.
func (x *Index) date() time.Time {
	if x.Clock == nil {
		return time.Time{}
	}
	return x.Clock.Now().Truncate(time.Second)
}

// WriteValid implements onetime.Index.
func (x *Index) WriteValid(_ context.Context, limit time.Duration, id onetime.ID, body []byte) (at time.Time, err error) {
	err = x.do("WriteValid", limit, id, func() error {
		x.Store.Put(id.ValidKey(), Entry{Body: body}, false)
		at = x.date()
		return nil
	})
	return at, err
}

// HeadExpired implements onetime.Index.
func (x *Index) HeadExpired(_ context.Context, limit time.Duration, id onetime.ID) (reason onetime.Reason, err error) {
	err = x.do("HeadExpired", limit, id, func() error {
		entry, exists, hidden := x.Store.Current(id.ExpiredKey())
		switch {
		case hidden:
			return onetime.ErrDeleted
		case !exists:
			return onetime.ErrAbsent
		case entry.Reason == onetime.Revoked:
			reason = onetime.Revoked
		default:
			reason = onetime.Used
		}
		return nil
	})
	return reason, err
}

// Claim implements onetime.Index.
func (x *Index) Claim(_ context.Context, limit time.Duration, id onetime.ID, reason onetime.Reason, body []byte) (version string, err error) {
	err = x.do("Claim", limit, id, func() error {
		v, ok := x.Store.Put(id.ExpiredKey(), Entry{Reason: reason, Body: body}, true)
		if !ok {
			return onetime.ErrExists
		}
		version = v
		return nil
	})
	if err != nil {
		return "", err
	}
	return version, nil
}

// ReadExpired implements onetime.Index.
func (x *Index) ReadExpired(_ context.Context, limit time.Duration, id onetime.ID) (body []byte, version string, err error) {
	err = x.do("ReadExpired", limit, id, func() error {
		entry, exists, _ := x.Store.Current(id.ExpiredKey())
		if !exists {
			return onetime.ErrAbsent
		}
		body, version = entry.Body, entry.ID
		return nil
	})
	return body, version, err
}

// ListExpired implements onetime.Index.
func (x *Index) ListExpired(_ context.Context, limit time.Duration, id onetime.ID) (versions []onetime.Version, err error) {
	err = x.do("ListExpired", limit, id, func() error {
		for _, entry := range x.Store.Versions(id.ExpiredKey()) {
			versions = append(versions, onetime.Version{ID: entry.ID, DeleteMarker: entry.DeleteMarker})
		}
		return nil
	})
	return versions, err
}
