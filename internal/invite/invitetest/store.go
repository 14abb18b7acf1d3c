// Package invitetest is the store of invitations in memory, for tests: it polices the rule
// of the slots, and every request to it can be made to fail.
package invitetest

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"oncegate/internal/invite"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// Objects are the records and slots of a bucket. It reports to t when a slot changes that
// must not: one that is spent or closed, or one whose URL was not revoked.
type Objects struct {
	t     onetimetest.Reporter
	index *onetimetest.Store // where the URLs' entries are

	mu      sync.Mutex
	objects map[string][]byte
}

// NewObjects returns an empty bucket beside the URLs in index.
func NewObjects(t onetimetest.Reporter, index *onetimetest.Store) *Objects {
	return &Objects{t: t, index: index, objects: map[string][]byte{}}
}

// Slots returns the slots of an invitation by their number.
func (o *Objects) Slots(id invite.ID) map[int]invite.Slot {
	o.mu.Lock()
	defer o.mu.Unlock()
	slots := map[int]invite.Slot{}
	for n, body := range o.slots(id) {
		slot, err := invite.ParseSlot(body)
		if err != nil {
			o.t.Errorf("slot %d: %v", n, err)
		}
		slots[n] = slot
	}
	return slots
}

// Put writes an object as somebody would who does not keep to the rule.
func (o *Objects) Put(id invite.ID, n int, body []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.objects[slotKey(id, n)] = body
}

// slots are the slots that are there, in any order.
func (o *Objects) slots(id invite.ID) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		for key, body := range o.objects {
			place, ok := strings.CutPrefix(key, string(id)+"/")
			if n, err := strconv.Atoi(place); ok && err == nil && !yield(n, body) {
				return
			}
		}
	}
}

func slotKey(id invite.ID, n int) string { return string(id) + "/" + strconv.Itoa(n) }

// police reports a change of a slot that breaks the rule.
func (o *Objects) police(key string, before, after []byte) {
	o.t.Helper()
	old, err := invite.ParseSlot(before)
	if err != nil {
		return // a record
	}
	next, err := invite.ParseSlot(after)
	entry, exists, hidden := o.index.Current(old.URL.ExpiredKey())
	spentByUpload := exists && entry.Reason != onetime.Revoked || hidden
	revoked := exists && entry.Reason == onetime.Revoked
	switch {
	case err != nil:
		o.t.Errorf("%s becomes what is no slot: %s", key, after)
	case old.State != invite.SlotHeld:
		o.t.Errorf("%s is %s and changes: %s", key, old.State, after)
	case next.State == invite.SlotSpent && (next.URL != old.URL || !spentByUpload):
		o.t.Errorf("%s is marked as spent, and is not: %s", key, before)
	case next.State != invite.SlotSpent && !revoked:
		o.t.Errorf("%s is taken from a URL that is not revoked: %s becomes %s", key, before, after)
	}
}

func etag(body []byte) string {
	sum := md5.Sum(body)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

// Call is one request. Op is the method.
type Call struct {
	Op string
	N  int // of the slot
}

// Fault is how a request goes wrong: Err is its answer, and Applied says that a write took
// effect nevertheless.
type Fault struct {
	Err     error
	Applied bool
}

// ErrLost is a request without an answer.
var ErrLost = &onetime.Fault{Op: "request", Err: errors.New("lost by a test")}

// Store is a client of the bucket. Several may share one.
type Store struct {
	*Objects
	// Intercept, when set, is asked before every request takes effect. It returns nil to
	// let it through.
	Intercept func(Call) *Fault
}

var _ invite.Ledger = (*Store)(nil)

// do makes one request.
func (s *Store) do(op string, n int, request func() error) error {
	locked := func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		return request()
	}
	if s.Intercept != nil {
		if fault := s.Intercept(Call{op, n}); fault != nil {
			if fault.Applied {
				_ = locked() // its answer is what gets lost
			}
			return fault.Err
		}
	}
	return locked()
}

func (s *Store) read(op string, n int, key string) (body []byte, tag string, err error) {
	err = s.do(op, n, func() error {
		var ok bool
		if body, ok = s.objects[key]; !ok {
			return onetime.ErrAbsent
		}
		tag = etag(body)
		return nil
	})
	return body, tag, err
}

func (s *Store) create(op string, n int, key string, body []byte) error {
	return s.do(op, n, func() error {
		if _, ok := s.objects[key]; ok {
			return onetime.ErrExists
		}
		s.objects[key] = body
		return nil
	})
}

func (s *Store) replace(op string, n int, key, tag string, body []byte) error {
	return s.do(op, n, func() error {
		before, ok := s.objects[key]
		if !ok || etag(before) != tag {
			return onetime.ErrChanged
		}
		s.police(key, before, body)
		s.objects[key] = body
		return nil
	})
}

// ReadInvitation implements invite.Store.
func (s *Store) ReadInvitation(_ context.Context, _ time.Duration, id invite.ID) ([]byte, string, error) {
	return s.read("ReadInvitation", 0, string(id))
}

// ListSlots implements invite.Store.
func (s *Store) ListSlots(_ context.Context, _ time.Duration, id invite.ID) (listed []invite.ListedSlot, err error) {
	err = s.do("ListSlots", 0, func() error {
		listed = nil
		for n, body := range s.slots(id) {
			listed = append(listed, invite.ListedSlot{N: n, Size: int64(len(body))})
		}
		slices.SortFunc(listed, func(a, b invite.ListedSlot) int { return a.N - b.N })
		return nil
	})
	return listed, err
}

// ReadSlot implements invite.Store.
func (s *Store) ReadSlot(_ context.Context, _ time.Duration, id invite.ID, n int) ([]byte, string, error) {
	return s.read("ReadSlot", n, slotKey(id, n))
}

// CreateSlot implements invite.Store.
func (s *Store) CreateSlot(_ context.Context, _ time.Duration, id invite.ID, n int, body []byte) error {
	return s.create("CreateSlot", n, slotKey(id, n), body)
}

// ReplaceSlot implements invite.Store.
func (s *Store) ReplaceSlot(_ context.Context, _ time.Duration, id invite.ID, n int, tag string, body []byte) error {
	return s.replace("ReplaceSlot", n, slotKey(id, n), tag, body)
}

// CreateInvitation implements invite.Ledger.
func (s *Store) CreateInvitation(_ context.Context, _ time.Duration, id invite.ID, body []byte) error {
	return s.create("CreateInvitation", 0, string(id), body)
}

// ReplaceInvitation implements invite.Ledger.
func (s *Store) ReplaceInvitation(_ context.Context, _ time.Duration, id invite.ID, tag string, body []byte) error {
	return s.replace("ReplaceInvitation", 0, string(id), tag, body)
}

// ListInvitations implements invite.Ledger: one page has all of them.
func (s *Store) ListInvitations(_ context.Context, _ time.Duration, after string) (names []string, next string, err error) {
	err = s.do("ListInvitations", 0, func() error {
		for _, key := range slices.Sorted(maps.Keys(s.objects)) {
			if _, err := invite.ParseID(key); err == nil && key > after {
				names = append(names, key)
			}
		}
		return nil
	})
	return names, "", err
}
