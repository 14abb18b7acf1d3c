package invite_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oncegate/internal/invite"
	"oncegate/internal/invite/invitetest"
	"oncegate/internal/onetime/onetimetest"
)

// rounds is how many rounds a race has. ONCEGATE_RACE_ROUNDS asks for more.
func rounds(t *testing.T, usual int) int {
	t.Helper()
	text := os.Getenv("ONCEGATE_RACE_ROUNDS")
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("ONCEGATE_RACE_ROUNDS=%q: want a positive number", text)
	}
	return n
}

// ran is how many rounds there were, which prove says.
var ran atomic.Int64

func TestMain(m *testing.M) {
	code := m.Run()
	fmt.Printf("prove: %d races under invitations run\n", ran.Load())
	os.Exit(code)
}

// TestRace: 200 clients mint and upload at once under an invitation for 5 uploads, while
// requests get lost before and after they took effect, some URLs are taken back, and some
// are never used. Then the time of all URLs goes by, and one more client uploads what still
// can be uploaded. In every round exactly 5 uploads are let through.
func TestRace(t *testing.T) {
	const uploads, clients = 5, 200
	for round := range rounds(t, 25) {
		b := newBucket(t, invitation(uploads))
		var all sync.WaitGroup
		for i := range clients {
			seed := uint64(round*1000 + i)
			c := b.client(seed+1, start)
			c.lossy(rand.New(rand.NewPCG(seed, 1)))
			all.Go(func() { c.hurry(t, rand.New(rand.NewPCG(seed, 2))) })
		}
		all.Wait()
		if n := b.stored(); n > uploads {
			t.Fatalf("round %d: %d uploads, want at most %d", round, n, uploads)
		}
		if left := b.drain(t); left != nil {
			t.Fatalf("round %d: %v", round, left)
		}
		if n := b.stored(); n != uploads {
			t.Fatalf("round %d: %d uploads in the end, want %d", round, n, uploads)
		}
		ran.Add(1)
	}
}

// hurry is what one client does: it asks for a URL, up to three times, and uploads, waits
// for too long, or takes the URL back.
func (c *client) hurry(t *testing.T, random *rand.Rand) {
	for range 3 {
		url, err := c.mint(t.Context())
		if err != nil {
			continue
		}
		switch random.IntN(5) {
		case 0: // it goes away
		case 1:
			_, _ = c.closer.Close(t.Context(), url.ID, c.deadline())
			continue
		default:
			_ = c.upload(t.Context(), url)
		}
		return
	}
}

// lossy makes a twentieth of a client's requests fail, half of them after they took effect.
func (c *client) lossy(random *rand.Rand) {
	var mu sync.Mutex // the gate makes two requests at a time
	fault := func() (lost, applied bool) {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(20) == 0, random.IntN(2) == 0
	}
	c.store.Intercept = func(invitetest.Call) *invitetest.Fault {
		if lost, applied := fault(); lost {
			return &invitetest.Fault{Err: invitetest.ErrLost, Applied: applied}
		}
		return nil
	}
	c.index.Intercept = func(onetimetest.Call) *onetimetest.Fault {
		if lost, applied := fault(); lost {
			return &onetimetest.Fault{Applied: applied}
		}
		return nil
	}
}

// drain uploads until the invitation is full, when all URLs from before are over. It
// returns the error that ended it, if that is another one.
func (b *bucket) drain(t *testing.T) error {
	c := b.client(0, start.Add(2*time.Hour))
	for {
		url, err := c.mint(t.Context())
		switch {
		case err == invite.ErrFull:
			return nil
		case err != nil:
			return err
		}
		if err := c.upload(t.Context(), url); err != nil {
			return err
		}
	}
}

// TestRaceWithRevoke: while 50 clients mint and upload, the invitation is revoked. After
// that was answered nothing is let through any more.
func TestRaceWithRevoke(t *testing.T) {
	for round := range rounds(t, 25) {
		b := newBucket(t, invitation(20))
		var all sync.WaitGroup
		for i := range 50 {
			seed := uint64(round*1000 + i)
			c := b.client(seed+1, start)
			c.lossy(rand.New(rand.NewPCG(seed, 3)))
			all.Go(func() { c.hurry(t, rand.New(rand.NewPCG(seed, 4))) })
		}
		c := b.client(0, start)
		c.lossy(rand.New(rand.NewPCG(uint64(round), 5)))
		for c.keeper.Revoke(t.Context(), c.id, c.deadline()) != nil {
		}
		before := b.stored()
		all.Wait()
		if after := b.stored(); after != before {
			t.Fatalf("round %d: %d uploads when the revoke was answered, %d later", round, before, after)
		}
		for n, slot := range b.objects.Slots(b.id) {
			if slot.State == invite.SlotHeld {
				if entry, _, _ := b.index.Current(slot.URL.ExpiredKey()); entry.Reason != "used" {
					t.Fatalf("round %d: slot %d is still held by a URL that is not spent", round, n)
				}
			}
		}
		if n := len(b.objects.Slots(b.id)); n != 20 {
			t.Fatalf("round %d: %d of 20 slots are closed or taken", round, n)
		}
		ran.Add(1)
	}
}
