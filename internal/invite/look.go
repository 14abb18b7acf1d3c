package invite

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"oncegate/internal/lean/strictjson"
	"oncegate/internal/onetime"
)

// Offer is what an invitation has to offer now. Its Limits are those that a URL gets which
// asks for none, and Life is the longest that one may ask for.
type Offer struct {
	Record
	// Free is how many slots were never taken. More may become free: see Minter.Mint.
	Free int
}

// Look returns what the invitation has to offer, or ErrUnknown, ErrRevoked, ErrOver or
// ErrUnavailable, or a *onetime.Refusal if the deployment's settings leave no URL that fits.
func (m *Minter) Look(ctx context.Context, id ID, deadline time.Time) (Offer, error) {
	record, err := m.read(ctx, id, deadline)
	if err != nil {
		return Offer{}, err
	}
	order, _, err := m.granted(record, onetime.Order{})
	if err != nil {
		return Offer{}, err
	}
	record.Limits, record.Life = order.Limits, order.Life
	listed, err := m.lookups(ctx, deadline).slots(ctx, id)
	if err != nil {
		return Offer{}, err
	}
	free, _ := sorted(listed, record.Uploads)
	return Offer{record, len(free)}, nil
}

// String is the offer on one line.
func (o Offer) String() string {
	return fmt.Sprintf("%d of %d uploads are free, until %s", o.Free, o.Uploads, o.Expires.Format(time.RFC3339))
}

// Write writes the offer as openapi.yaml has it.
func (o Offer) Write(w *strictjson.Writer) {
	o.WriteTerms(w)
	w.Int("free", int64(o.Free))
}

// WriteTerms writes what was agreed on, as openapi.yaml has it.
func (r Record) WriteTerms(w *strictjson.Writer) {
	w.String("label", r.Label)
	w.Int("uploads", int64(r.Uploads))
	w.Time("expires", r.Expires)
	w.Int("life", int64(r.Life/time.Second))
	w.StringIf("prefix", r.Prefix)
	r.Meta.WriteIf(w, "meta")
	r.Tags.WriteIf(w, "tags")
	r.Limits.Write(w)
}

// State is what an invitation is good for.
type State string

// The states of an invitation.
const (
	StateOpen    State = "open"    // it may give URLs
	StateRevoked State = "revoked" // it was taken back
	StateOver    State = "over"    // its time is over
)

// StateAt is the state of the invitation at this time.
func (r Record) StateAt(now time.Time) State {
	switch err := r.open(now); {
	case errors.Is(err, ErrRevoked):
		return StateRevoked
	case err != nil:
		return StateOver
	}
	return StateOpen
}

// Holding is an invitation as its keeper sees it.
type Holding struct {
	ID ID
	Record
	State State
	Free  int // slots that were never taken; none if it is revoked, when all are closed
}

// Look returns an invitation, whatever its state. The error is ErrUnknown or ErrUnavailable.
func (k *Keeper) Look(ctx context.Context, id ID, deadline time.Time) (Holding, error) {
	record, _, err := k.Read(ctx, id, deadline)
	if err != nil {
		return Holding{}, err
	}
	listed, err := k.requests(ctx, deadline).slots(ctx, id)
	if err != nil {
		return Holding{}, err
	}
	h := Holding{id, record, record.StateAt(k.Clock.Now()), 0}
	if h.State != StateRevoked {
		free, _ := sorted(listed, record.Uploads)
		h.Free = len(free)
	}
	return h, nil
}

// Write writes the invitation as openapi.yaml has it. It holds nothing that a token could
// be made from.
func (h Holding) Write(w *strictjson.Writer) {
	w.String("id", string(h.ID))
	w.String("state", string(h.State))
	h.WriteTerms(w)
	w.Int("free", int64(h.Free))
	w.Time("created", h.Created)
	if !h.Revoked.IsZero() {
		w.Time("revoked", h.Revoked)
	}
}

// Slots returns what each slot that is there says, by its number.
func (k *Keeper) Slots(ctx context.Context, id ID, deadline time.Time) (map[int]Slot, error) {
	r := k.requests(ctx, deadline)
	listed, err := r.slots(ctx, id)
	if err != nil {
		return nil, err
	}
	read := make([]Slot, len(listed))
	err = each(len(listed), func(i int) (err error) {
		read[i], _, err = r.slot(ctx, id, listed[i].N)
		return err
	})
	if err != nil {
		return nil, err
	}
	slots := map[int]Slot{}
	for i, l := range listed {
		slots[l.N] = read[i]
	}
	return slots, nil
}

// sorted are the numbers of the slots that are free, and of those that are taken and may
// change. What the list has beyond these is final, or not ours.
func sorted(listed []ListedSlot, uploads int) (free, held []int) {
	there := make([]bool, uploads)
	for _, l := range listed {
		if l.N >= uploads {
			continue
		}
		there[l.N] = true
		if l.Size > MaxFinalBytes {
			held = append(held, l.N)
		}
	}
	for n, taken := range there {
		if !taken {
			free = append(free, n)
		}
	}
	return free, held
}

// maxTogether is how many slots are read or closed at once: a thousand of them one after
// the other would take longer than a function has.
const maxTogether = 16

// each calls do for 0 to n-1, several at once, and returns the first error. After one it
// begins no more.
func each(n int, do func(i int) error) error {
	var (
		mu    sync.Mutex
		next  int
		first error
	)
	one := func() (more bool) {
		mu.Lock()
		i := next
		next++
		stop := i >= n || first != nil
		mu.Unlock()
		if stop {
			return false
		}
		err := errors.New("panic") // if do does not return
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
			}
			mu.Lock()
			defer mu.Unlock()
			if first == nil {
				first = err
			}
		}()
		err = do(i)
		return true
	}
	var done sync.WaitGroup
	for range min(n, maxTogether) {
		done.Go(func() {
			for one() {
			}
		})
	}
	done.Wait()
	return first
}
