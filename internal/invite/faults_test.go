package invite_test

import (
	"strconv"
	"testing"
	"time"

	"oncegate/internal/invite"
	"oncegate/internal/invite/invitetest"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// losing makes every request of this name to the index fail, applied or not.
func losing(op string, applied bool) func(onetimetest.Call) *onetimetest.Fault {
	return func(call onetimetest.Call) *onetimetest.Fault {
		if call.Op == op {
			return &onetimetest.Fault{Applied: applied}
		}
		return nil
	}
}

// TestNoURLTakesNoSlot: where no URL comes to be, no slot is taken.
func TestNoURLTakesNoSlot(t *testing.T) {
	c := newBucket(t, invitation(1)).client(1, start)
	c.index.Intercept = losing("WriteValid", false)
	if url, err := c.mint(t.Context()); err == nil || url.ID != "" {
		t.Errorf("mint = %q, %v", url.ID, err)
	}
	if n := len(c.objects.Slots(c.id)); n != 0 {
		t.Errorf("%d slots are taken", n)
	}
}

// TestOthersAreAlwaysFaster: a mint ends, though somebody else is faster at every slot.
func TestOthersAreAlwaysFaster(t *testing.T) {
	c := newBucket(t, invitation(40)).client(1, start)
	tried := 0
	c.store.Intercept = func(call invitetest.Call) *invitetest.Fault {
		if call.Op == "CreateSlot" {
			tried++
			url := onetime.Fingerprint("/other", strconv.Itoa(call.N))
			c.objects.Put(c.id, call.N, invite.Slot{Version: 1, State: invite.SlotHeld, URL: url, Created: start, Expires: start.Add(time.Hour)}.Marshal())
		}
		return nil
	}
	wantErr(t, "mint", second(c.mint(t.Context())), invite.ErrUnavailable)
	if tried != 16 {
		t.Errorf("%d slots were tried, want 16", tried)
	}
}

// TestLooksAreBounded: one mint looks at 16 slots that are taken.
func TestLooksAreBounded(t *testing.T) {
	c := newBucket(t, invitation(40)).client(1, start)
	for range 40 {
		c.mustMint(t)
	}
	looks := 0
	c.store.Intercept = func(call invitetest.Call) *invitetest.Fault {
		if call.Op == "ReadSlot" {
			looks++
		}
		return nil
	}
	wantErr(t, "mint", second(c.mint(t.Context())), invite.ErrFull)
	if looks != 16 {
		t.Errorf("%d slots were looked at, want 16", looks)
	}
}

// TestUnclearLooks: a slot that gives no clear answer is neither full nor free, and its URL
// is not known to be spent.
func TestUnclearLooks(t *testing.T) {
	over := func(t *testing.T) (*client, onetime.Minted) {
		c := newBucket(t, invitation(1)).client(1, start)
		first := c.mustMint(t)
		c.clock.Set(first.Expires)
		return c, first
	}
	untouched := func(t *testing.T, c *client, first onetime.Minted) {
		t.Helper()
		wantErr(t, "mint", second(c.mint(t.Context())), invite.ErrUnavailable)
		if slot := c.objects.Slots(c.id)[0]; slot.State != invite.SlotHeld || slot.URL != first.ID {
			t.Errorf("the slot is %+v", slot)
		}
	}
	t.Run("ReadSlot", func(t *testing.T) {
		c, first := over(t)
		c.store.Intercept = func(call invitetest.Call) *invitetest.Fault {
			if call.Op == "ReadSlot" {
				return &invitetest.Fault{Err: invitetest.ErrLost}
			}
			return nil
		}
		untouched(t, c, first)
	})
	for _, op := range []string{"HeadExpired", "Claim"} {
		t.Run(op, func(t *testing.T) {
			c, first := over(t)
			c.index.Intercept = losing(op, false)
			untouched(t, c, first)
		})
	}
	t.Run("one of two", func(t *testing.T) {
		c := newBucket(t, invitation(2)).client(1, start)
		c.mustMint(t)
		c.clock.Set(c.mustMint(t).Expires)
		broken := -1
		c.store.Intercept = func(call invitetest.Call) *invitetest.Fault {
			if call.Op == "ReadSlot" && broken < 0 {
				broken = call.N
			}
			if call.Op == "ReadSlot" && call.N == broken {
				return &invitetest.Fault{Err: invitetest.ErrLost}
			}
			return nil
		}
		url := c.mustMint(t)
		if slot := c.objects.Slots(c.id)[1-broken]; slot.URL != url.ID {
			t.Errorf("the other slot is %+v, want that of %s", slot, url.ID)
		}
	})
}

// TestSlotsBeyond: what somebody put beside the slots is none.
func TestSlotsBeyond(t *testing.T) {
	c := newBucket(t, invitation(2)).client(1, start)
	c.objects.Put(c.id, 2, []byte("x"))
	c.objects.Put(c.id, 999, []byte("y"))
	c.mustMint(t)
	c.mustMint(t)
	wantErr(t, "a third", second(c.mint(t.Context())), invite.ErrFull)
}

// TestKeeperLosesAnswers: a write whose answer gets lost took effect all the same, and is
// known for what it is.
func TestKeeperLosesAnswers(t *testing.T) {
	for _, applied := range []bool{false, true} {
		for _, op := range []string{"CreateInvitation", "ReplaceInvitation", "CreateSlot", "ReplaceSlot"} {
			t.Run(op+map[bool]string{true: ", applied"}[applied], func(t *testing.T) {
				c := newBucket(t, invitation(2)).client(1, start)
				c.mustMint(t)
				times := 0
				c.store.Intercept = func(call invitetest.Call) *invitetest.Fault {
					if call.Op != op || times > 0 {
						return nil
					}
					times++
					return &invitetest.Fault{Err: invitetest.ErrLost, Applied: applied}
				}
				token, id, _, err := c.keeper.Create(t.Context(), invitation(1), c.deadline())
				if parsed, wrong := invite.ParseToken(token); err != nil || wrong != nil || parsed != id {
					t.Fatalf("Create = %q, %v", id, err)
				}
				if _, _, err := c.keeper.Read(t.Context(), id, c.deadline()); err != nil {
					t.Errorf("what was made is not there: %v", err)
				}
				if err := c.keeper.Revoke(t.Context(), c.id, c.deadline()); err != nil {
					t.Errorf("Revoke = %v", err)
				}
				if times != 1 {
					t.Errorf("%s was lost %d times", op, times)
				}
				for n := range 2 {
					if slot := c.objects.Slots(c.id)[n]; slot.State != invite.SlotClosed {
						t.Errorf("slot %d is %+v", n, slot)
					}
				}
			})
		}
	}
}

// TestRevokeIsNotAnsweredTooSoon: while it is not known of one URL that it lets no upload
// through, the revoke has not ended.
func TestRevokeIsNotAnsweredTooSoon(t *testing.T) {
	c := newBucket(t, invitation(1)).client(1, start)
	url := c.mustMint(t)
	c.index.Intercept = losing("Claim", false)
	wantErr(t, "revoke", c.keeper.Revoke(t.Context(), c.id, c.deadline()), invite.ErrUnavailable)
	if err := c.client(2, start).upload(t.Context(), url); err != nil {
		t.Errorf("the URL was alive: %v", err)
	}
}

// TestRevokeMeetsATakenSlot: while a slot is closed somebody with an older record takes it
// anew. That URL is taken back as well.
func TestRevokeMeetsATakenSlot(t *testing.T) {
	for _, op := range []string{"CreateSlot", "ReplaceSlot"} {
		t.Run(op, func(t *testing.T) {
			b := newBucket(t, invitation(1))
			c, other := b.client(1, start), b.client(2, start)
			record, _, err := c.store.ReadInvitation(t.Context(), time.Second, b.id)
			if err != nil {
				t.Fatal(err)
			}
			other.minter.Store = oldRecord{other.store, record}
			if op == "ReplaceSlot" {
				c.mustMint(t)
			}
			var theirs onetime.Minted
			c.store.Intercept = func(call invitetest.Call) *invitetest.Fault {
				if call.Op == op && theirs.ID == "" {
					theirs = other.mustMint(t)
				}
				return nil
			}
			if err := c.keeper.Revoke(t.Context(), b.id, c.deadline()); err != nil {
				t.Fatal(err)
			}
			if theirs.ID == "" {
				t.Fatal("nobody took the slot")
			}
			if err := other.upload(t.Context(), theirs); onetime.ReasonOf(err) != onetime.Revoked {
				t.Errorf("their URL: %v, want revoked", err)
			}
			if slot := b.objects.Slots(b.id)[0]; slot.State != invite.SlotClosed {
				t.Errorf("the slot is %+v", slot)
			}
		})
	}
}
