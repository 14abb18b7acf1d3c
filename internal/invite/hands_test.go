package invite_test

import (
	"testing"

	"oncegate/internal/invite"
	"oncegate/internal/invite/invitetest"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// TestSomebodyElsesSlot: the request for a slot gets lost and has no effect, and before it
// is repeated somebody else takes the slot. What is there then is not our own write.
func TestSomebodyElsesSlot(t *testing.T) {
	for _, op := range []string{"CreateSlot", "ReplaceSlot"} {
		t.Run(op, func(t *testing.T) {
			b := newBucket(t, invitation(1))
			now := start
			if op == "ReplaceSlot" {
				now = b.client(3, start).mustMint(t).Expires
			}
			c, other := b.client(1, now), b.client(2, now)
			var theirs onetime.Minted
			c.store.Intercept = func(call invitetest.Call) *invitetest.Fault {
				if call.Op != op || theirs.ID != "" {
					return nil
				}
				theirs = other.mustMint(t)
				return &invitetest.Fault{Err: invitetest.ErrLost}
			}
			if url, err := c.mint(t.Context()); err != invite.ErrFull {
				t.Errorf("mint = %s, %v, want ErrFull: the slot is somebody else's", url.ID, err)
			}
			if slot := b.objects.Slots(b.id)[0]; slot.URL != theirs.ID {
				t.Errorf("the slot names %s, want %s", slot.URL, theirs.ID)
			}
		})
	}
}

// TestLateUploadKeepsItsSlot: between the look at a URL that is over and the claim that
// takes it back, an upload by a late clock is let through. Its slot stays its own.
func TestLateUploadKeepsItsSlot(t *testing.T) {
	for _, before := range []struct {
		op string
		n  int // which of these requests
	}{{"HeadExpired", 2}, {"Claim", 1}} {
		mint := func(t *testing.T, b *bucket, first onetime.Minted, interceptor func(onetimetest.Call) *onetimetest.Fault) {
			c := b.client(1, first.Expires)
			c.index.Intercept = interceptor
			wantErr(t, "a second URL", second(c.mint(t.Context())), invite.ErrFull)
		}
		revoke := func(t *testing.T, b *bucket, first onetime.Minted, interceptor func(onetimetest.Call) *onetimetest.Fault) {
			c := b.client(1, first.Expires)
			c.index.Intercept = interceptor
			if err := c.keeper.Revoke(t.Context(), c.id, c.deadline()); err != nil {
				t.Error(err)
			}
		}
		for name, who := range map[string]func(*testing.T, *bucket, onetime.Minted, func(onetimetest.Call) *onetimetest.Fault){"mint": mint, "revoke": revoke} {
			t.Run(name+" before "+before.op, func(t *testing.T) {
				b := newBucket(t, invitation(1))
				late := b.client(2, start)
				first := late.mustMint(t)
				sent := false
				who(t, b, first, func(call onetimetest.Call) *onetimetest.Fault {
					n := before.n
					if name == "revoke" { // which does not look first
						n = 1
					}
					if call.Op == before.op && call.N == n && !sent {
						sent = true
						if err := late.upload(t.Context(), first); err != nil {
							t.Errorf("the late upload: %v", err)
						}
					}
					return nil
				})
				if !sent || b.stored() != 1 {
					t.Fatalf("sent %t, %d uploads", sent, b.stored())
				}
				if slot := b.objects.Slots(b.id)[0]; slot.URL != first.ID || slot.State == invite.SlotClosed {
					t.Errorf("the slot is %+v, want that of %s", slot, first.ID)
				}
			})
		}
	}
}
