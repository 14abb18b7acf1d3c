package invite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"oncegate/internal/onetime"
)

// Minter mints under invitations. Its methods may be called concurrently.
type Minter struct {
	Store   Store
	URLs    *onetime.Minter // whose Bounds hold for every invitation
	Closer  *onetime.Closer
	Clock   onetime.Clock
	Entropy onetime.Entropy // safe for concurrent use
	// Keep is how long the bucket keeps expired entries at least. A slot is not taken anew
	// that is held for longer: what its URL came to is no longer certain.
	Keep time.Duration
}

const (
	// maxTakes is how many slots one call tries to take, where others are faster.
	maxTakes = 16
	// maxLooks is how many taken slots one call looks at. Those that it finds spent it
	// marks as such, so that the next call looks at others.
	maxLooks = 16
)

// Mint makes a URL to this order under the invitation. Where all slots are taken it takes
// one whose URL is dead and unspent. It returns the URL only if a slot is known to name it.
//
// The error is ErrUnknown, ErrRevoked, ErrOver, ErrFull or ErrUnavailable, wrapped, or a
// *onetime.Refusal of the order. None of them has handed anything out. deadline is when
// the answer must be ready.
//
// Actions: s3:GetObject and s3:PutObject on invitations/*, s3:ListBucket, and what
// onetime.Minter and Operator.Revoke need.
func (m *Minter) Mint(ctx context.Context, id ID, order onetime.Order, deadline time.Time) (onetime.Minted, error) {
	record, err := m.read(ctx, id, deadline)
	if err != nil {
		return onetime.Minted{}, err
	}
	urls := *m.URLs
	order.By = record.credential(id).By()
	if order, urls.Bounds, err = m.granted(record, order); err != nil {
		return onetime.Minted{}, err
	}
	s := search{m: m, id: id, deadline: deadline}
	if err := s.begin(ctx, record.Uploads); err != nil {
		return onetime.Minted{}, err
	}
	found, err := s.next(ctx)
	if err != nil {
		return onetime.Minted{}, err
	}
	minted, err := urls.Mint(ctx, order, deadline)
	if err != nil {
		return onetime.Minted{}, err
	}
	body := Slot{recordVersion, SlotHeld, minted.ID, m.Clock.Now().UTC().Truncate(time.Second), minted.Expires}.Marshal()
	for range maxTakes {
		ours, err := m.take(ctx, id, found, minted.ID, body, deadline)
		if err != nil {
			// The slot may name the URL, which nobody will ever hold. Taken back, it does
			// not keep the slot until its time is over.
			_, _ = m.Closer.Close(ctx, minted.ID, deadline)
			return onetime.Minted{}, err
		}
		if ours {
			return minted, nil
		}
		if found, err = s.next(ctx); err != nil {
			return onetime.Minted{}, err
		}
	}
	return onetime.Minted{}, fmt.Errorf("%w: too many ask at once", ErrUnavailable)
}

// granted returns the order as it is filled under the invitation, and the bounds that it
// was held to.
func (m *Minter) granted(record Record, order onetime.Order) (onetime.Order, onetime.Bounds, error) {
	urls := *m.URLs
	order, bounds, err := record.within(order, urls.Bounds, record.Expires.Sub(m.Clock.Now()))
	if err != nil {
		return order, bounds, err
	}
	urls.Bounds = bounds
	order, err = urls.Grant(order)
	return order, bounds, err
}

// read reads the record of an invitation that is open.
func (m *Minter) read(ctx context.Context, id ID, deadline time.Time) (Record, error) {
	record, _, err := m.lookups(ctx, deadline).record(ctx, id)
	if err != nil {
		return Record{}, err
	}
	return record, record.open(m.Clock.Now())
}

// lookups are the requests that come before a mint, and leave it half of the time.
func (m *Minter) lookups(ctx context.Context, deadline time.Time) requests {
	return requests{m.Store, func(request func(limit time.Duration) error) error {
		return onetime.Lookup(ctx, m.Clock, m.Entropy, deadline, request)
	}}
}

// requests may take all the time that is left.
func (m *Minter) requests(ctx context.Context, deadline time.Time) requests {
	return requests{m.Store, func(request func(limit time.Duration) error) error {
		return onetime.Repeat(ctx, m.Clock, m.Entropy, deadline, request)
	}}
}

// place is a slot that can be taken: one that is not there, or, with an ETag, one whose
// URL is dead and unspent.
type place struct {
	n    int
	etag string
}

// take writes the slot for the URL with this id and reports whether it names that URL now.
// After an error it may.
func (m *Minter) take(ctx context.Context, id ID, p place, url onetime.ID, body []byte, deadline time.Time) (ours bool, err error) {
	unanswered := false
	err = m.requests(ctx, deadline.Add(-onetime.ReadBackTime)).repeat(func(limit time.Duration) (err error) {
		if p.etag == "" {
			err = m.Store.CreateSlot(ctx, limit, id, p.n, body)
		} else {
			err = m.Store.ReplaceSlot(ctx, limit, id, p.n, p.etag, body)
		}
		if _, ok := errors.AsType[*onetime.Fault](err); ok {
			unanswered = true
		}
		return err
	})
	taken := errors.Is(err, onetime.ErrExists) || errors.Is(err, onetime.ErrChanged)
	switch {
	case err == nil:
		return true, nil
	case taken && !unanswered:
		return false, nil
	case !taken:
		return false, unclear("take a slot", err)
	}
	slot, _, err := m.requests(ctx, deadline).slot(ctx, id, p.n)
	if err != nil {
		return false, err
	}
	return slot.State == SlotHeld && slot.URL == url, nil
}

// search goes through the slots that may be taken, in random order, so that those who
// search at once do not all meet at the same one: first the free ones, then those that are
// held by a URL that is dead and unspent.
type search struct {
	m        *Minter
	id       ID
	deadline time.Time

	free, held []int
	looks      int
	unclear    error // what could not be looked at
}

// begin lists the slots.
func (s *search) begin(ctx context.Context, uploads int) error {
	listed, err := s.m.lookups(ctx, s.deadline).slots(ctx, s.id)
	if err != nil {
		return err
	}
	s.free, s.held = sorted(listed, uploads)
	return nil
}

// next finds the next slot. The error is ErrFull if there is none among those that were
// looked at, or ErrUnavailable if one of them gave no clear answer.
func (s *search) next(ctx context.Context) (place, error) {
	if len(s.free) > 0 {
		n, err := s.pick(&s.free)
		return place{n: n}, err
	}
	for ; len(s.held) > 0 && s.looks < maxLooks; s.looks++ {
		n, err := s.pick(&s.held)
		if err != nil {
			return place{}, err
		}
		p, ok, err := s.look(ctx, n)
		if err != nil {
			s.unclear = err
			continue
		}
		if ok {
			return p, nil
		}
	}
	if s.unclear != nil {
		return place{}, s.unclear
	}
	return place{}, ErrFull
}

// look makes sure that a taken slot can be taken anew.
func (s *search) look(ctx context.Context, n int) (p place, ok bool, err error) {
	m := s.m
	slot, etag, err := m.requests(ctx, s.deadline).slot(ctx, s.id, n)
	if err != nil || slot.State != SlotHeld {
		return place{}, false, err
	}
	state, err := m.Closer.Look(ctx, slot.URL, s.deadline)
	if err != nil {
		return place{}, false, unclear("look for an expired entry", err)
	}
	now := m.Clock.Now()
	if state == onetime.StateMinted && !now.Before(slot.Expires) && now.Before(slot.Created.Add(m.Keep)) {
		// Its time is over here. By another clock it may not be: a claim decides.
		unspent, err := m.Closer.Close(ctx, slot.URL, s.deadline)
		if err != nil {
			return place{}, false, unclear("claim a URL that is over", err)
		}
		if state = onetime.StateUsed; unspent {
			state = onetime.StateRevoked
		}
	}
	if state == onetime.StateUsed {
		// If that fails, the next call looks at it again, and that is all.
		_ = m.Store.ReplaceSlot(ctx, settleLimit, s.id, n, etag, Slot{Version: recordVersion, State: SlotSpent, URL: slot.URL}.Marshal())
	}
	return place{n, etag}, state == onetime.StateRevoked, nil
}

// settleLimit bounds the one try to mark a slot as spent.
const settleLimit = time.Second

// pick takes a random number out of the list.
func (s *search) pick(list *[]int) (int, error) {
	var b [4]byte
	if _, err := io.ReadFull(s.m.Entropy, b[:]); err != nil {
		return 0, unclear("read random bytes", err)
	}
	i := int(binary.LittleEndian.Uint32(b[:]) % uint32(len(*list)))
	n, last := (*list)[i], len(*list)-1
	(*list)[i] = (*list)[last]
	*list = (*list)[:last]
	return n, nil
}
