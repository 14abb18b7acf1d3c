package e2e

import (
	"net/http"
	"strconv"
	"sync"
	"testing"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/onetime"
)

// rounds is how many URLs are raced for. ONCEGATE_RACE_ROUNDS asks for more.
func rounds(t *testing.T) int { return testbed.Asked(t, "ONCEGATE_RACE_ROUNDS", 200) }

// TestRaceForOneURL is the product: many clients put one URL at the same moment,
// through several processes of the gate, and exactly one of them is let through.
func TestRaceForOneURL(t *testing.T) {
	const clients = 50
	for name, options := range map[string][]testbed.Option{"conditional": nil, "listed": {testbed.Listed}} {
		t.Run(name, func(t *testing.T) {
			st := testbed.New(t, options...)
			for range rounds(t) {
				m := st.Mint(t)
				answers := make([]testbed.Answer, clients)
				var start, done sync.WaitGroup
				start.Add(1)
				for i := range clients {
					done.Go(func() {
						start.Wait()
						answers[i] = st.Put(t, m, "body "+strconv.Itoa(i))
					})
				}
				start.Done()
				done.Wait()

				winner := -1
				for i, a := range answers {
					switch {
					case a.Status == http.StatusOK && winner < 0:
						winner = i
					case a.Status == http.StatusOK:
						t.Errorf("clients %d and %d both passed", winner, i)
					case a.Reason() == string(onetime.IndexUnavailable):
						// S3 was too slow for this one, on a machine that has much to do.
						// Nothing was spent, so it may ask again.
						if a = st.Put(t, m, "body "+strconv.Itoa(i)); a.Reason() != "used" {
							t.Errorf("client %d, again: %v, want 403 used", i, a)
						}
					case a.Status != http.StatusForbidden || a.Reason() != "used":
						t.Errorf("client %d: %v, want 403 used", i, a)
					}
				}
				if winner < 0 {
					t.Fatal("nobody passed")
				}
				st.WantVersions(t, m.Key, 1)
				st.WantVersions(t, m.ID.ExpiredKey(), 1)
				if got, want := st.Stored(t, m.Key), "body "+strconv.Itoa(winner); got != want {
					t.Errorf("stored %q, but %q was acknowledged", got, want)
				}
				if t.Failed() {
					t.FailNow()
				}
				tally.races.Add(1)
			}
			t.Logf("%d rounds of %d clients over %d processes: one passed each time", rounds(t), clients, len(st.Edge.Workers()))
		})
	}
}
