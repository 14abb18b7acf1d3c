package invite_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"oncegate/internal/invite"
	"oncegate/internal/invite/invitetest"
	"oncegate/internal/onetime"
)

// TestOfferIsWhatAURLGets: an offer tells the limits and the life that a URL gets, with
// those of the deployment, and how many slots nobody has begun.
func TestOfferIsWhatAURLGets(t *testing.T) {
	record := invitation(3)
	record.Limits = onetime.Limits{MaxBytes: 1000, Type: "image/*"}
	record.Life = 3 * time.Hour
	c := newBucket(t, record).client(1, start)
	c.minter.URLs.Bounds.MaxBytes, c.minter.URLs.Bounds.MaxLife = 500, 2*time.Hour
	url := c.mustMint(t)
	offer, err := c.minter.Look(t.Context(), c.id, c.deadline())
	if err != nil || offer.Limits != url.Order.Limits || offer.Life != url.Order.Life || offer.Free != 2 || offer.Label != record.Label {
		t.Errorf("%+v, %v; the URL has %+v", offer, err, url.Order)
	}
	if offer.Limits.MaxBytes != 500 || offer.Limits.MinBytes != 1 || offer.Life != 2*time.Hour {
		t.Errorf("%+v: the deployment's bounds are not in it", offer)
	}
	c.clock.Set(record.Expires.Add(-time.Minute))
	if offer, err := c.minter.Look(t.Context(), c.id, c.deadline()); err != nil || offer.Life != time.Minute {
		t.Errorf("a minute before its end: %+v, %v", offer, err)
	}
	record.Limits.MinBytes = 600
	c = newBucket(t, record).client(1, start)
	c.minter.URLs.Bounds.MaxBytes = 500
	if _, err := c.minter.Look(t.Context(), c.id, c.deadline()); onetime.ReasonOf(err) != onetime.Options {
		t.Errorf("where no URL fits: %v, want a refusal", err)
	}
}

func TestKeeperLooks(t *testing.T) {
	c := newBucket(t, invitation(3)).client(1, start)
	want := func(what string, state invite.State, free int) {
		t.Helper()
		h, err := c.keeper.Look(t.Context(), c.id, c.deadline())
		if err != nil || h.State != state || h.Free != free || h.ID != c.id {
			t.Errorf("%s: %s with %d free, %v; want %s with %d", what, h.State, h.Free, err, state, free)
		}
	}
	want("new", invite.StateOpen, 3)
	url := c.mustMint(t)
	want("with a URL", invite.StateOpen, 2)
	slots, err := c.keeper.Slots(t.Context(), c.id, c.deadline())
	if err != nil || len(slots) != 1 {
		t.Errorf("slots %v, %v", slots, err)
	}
	for _, slot := range slots {
		if slot.URL != url.ID {
			t.Errorf("slot %+v, want that of %s", slot, url.ID)
		}
	}
	c.clock.Set(start.Add(14 * 24 * time.Hour))
	want("at its end", invite.StateOver, 2)
	if err := c.keeper.Revoke(t.Context(), c.id, c.deadline()); err != nil {
		t.Fatal(err)
	}
	want("revoked", invite.StateRevoked, 0)
	_, err = c.keeper.Look(t.Context(), invite.ID(strings.Repeat("0", 64)), c.deadline())
	wantErr(t, "another", err, invite.ErrUnknown)
}

// TestRevokeGoesOn: a revoke that did not end closes the rest when it is called again, and
// does not look again at what is final.
func TestRevokeGoesOn(t *testing.T) {
	c := newBucket(t, invitation(40)).client(1, start)
	if err := c.upload(t.Context(), c.mustMint(t)); err != nil {
		t.Fatal(err)
	}
	c.mustMint(t)
	c.store.Intercept = func(call invitetest.Call) *invitetest.Fault {
		if call.Op == "CreateSlot" && call.N == 39 {
			return &invitetest.Fault{Err: invitetest.ErrLost}
		}
		return nil
	}
	wantErr(t, "no answer for the last slot", c.keeper.Revoke(t.Context(), c.id, c.deadline()), invite.ErrUnavailable)
	_, err := c.mint(t.Context())
	wantErr(t, "mint already", err, invite.ErrRevoked)
	if h, err := c.keeper.Look(t.Context(), c.id, c.deadline()); err != nil || h.State != invite.StateRevoked || h.Free != 0 {
		t.Errorf("half revoked it is %s with %d free, %v", h.State, h.Free, err)
	}
	closed := len(c.objects.Slots(c.id))
	var asked atomic.Int64 // the slots are asked for at once
	c.store.Intercept = func(call invitetest.Call) *invitetest.Fault {
		if call.Op == "CreateSlot" || call.Op == "ReadSlot" {
			asked.Add(1)
		}
		return nil
	}
	if err := c.keeper.Revoke(t.Context(), c.id, c.deadline()); err != nil {
		t.Fatal(err)
	}
	if asked, most := asked.Load(), int64(40-closed+2); asked > most {
		t.Errorf("the second call asks for %d slots, want at most %d: %d were final", asked, most, closed)
	}
	for n, slot := range c.objects.Slots(c.id) {
		if slot.State == invite.SlotHeld && c.spent(slot.URL) || slot.State != invite.SlotHeld {
			continue
		}
		t.Errorf("slot %d is %s", n, slot.State)
	}
	if n := len(c.objects.Slots(c.id)); n != 40 {
		t.Errorf("%d slots are there, want all 40", n)
	}
}

// spent reports whether an upload with this URL was let through.
func (b *bucket) spent(url onetime.ID) bool {
	entry, ok, _ := b.index.Current(url.ExpiredKey())
	return ok && entry.Reason == onetime.Used
}

// TestPanicInASlot: what panics while slots are handled at once is an error.
func TestPanicInASlot(t *testing.T) {
	c := newBucket(t, invitation(40)).client(1, start)
	c.store.Intercept = func(call invitetest.Call) *invitetest.Fault {
		if call.Op == "CreateSlot" && call.N == 20 {
			panic("of a test")
		}
		return nil
	}
	if err := c.keeper.Revoke(t.Context(), c.id, c.deadline()); err == nil || !strings.Contains(err.Error(), "of a test") {
		t.Errorf("%v, want the panic", err)
	}
}
