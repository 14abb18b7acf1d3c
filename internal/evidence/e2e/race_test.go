package e2e

import (
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"oncegate/internal/config"
	"oncegate/internal/evidence/testbed"
	"oncegate/internal/onetime"
)

// rounds is how many URLs are raced for. ONCEGATE_RACE_ROUNDS asks for more.
func rounds(t *testing.T, index string) int {
	usual := 200
	if index == config.IndexDynamoDB {
		usual = 20
	}
	return testbed.Asked(t, "ONCEGATE_RACE_ROUNDS", usual)
}

// manner is one of the ways in which the first claim is found.
type manner struct {
	name, index string
	option      testbed.Option
}

// manners are those of all indexes that are tested.
func manners() (all []manner) {
	for _, index := range testbed.Indexes() {
		if index == config.IndexDynamoDB {
			all = append(all, manner{"table", index, testbed.InTable})
			continue
		}
		all = append(all, manner{"conditional", index, func(*testbed.Setup) {}}, manner{"listed", index, testbed.Listed})
	}
	return all
}

// inTime is the shortest limit that the gate sets for a request to the index (onetime's
// readBackLimit). If a round takes less time, no request has reached its limit.
const inTime = time.Second

// TestRaceForOneURL is the product: many clients put one URL at the same moment,
// through several processes of the gate, and exactly one of them is let through.
func TestRaceForOneURL(t *testing.T) {
	const clients = 50
	for _, manner := range manners() {
		t.Run(manner.name, func(t *testing.T) {
			st, n := testbed.New(t, manner.option), rounds(t, manner.index)
			undecided := 0
			for range n {
				m := st.Mint(t)
				answers := make([]testbed.Answer, clients)
				var start, done sync.WaitGroup
				start.Add(1)
				began := time.Now()
				for i := range clients {
					done.Go(func() {
						start.Wait()
						answers[i] = st.Put(t, m, "body "+strconv.Itoa(i))
					})
				}
				start.Done()
				done.Wait()
				slow := time.Since(began) > inTime

				winner, open := -1, 0
				for i, a := range answers {
					switch {
					case a.Status == http.StatusOK && winner < 0:
						winner = i
					case a.Status == http.StatusOK:
						t.Errorf("clients %d and %d both passed", winner, i)
					case a.Reason() == string(onetime.IndexUnavailable):
						// The index was too slow for this one, on a machine that has much to do.
						// Nothing was spent, so it may ask again.
						if a = putUntilClear(t, st, m, "body "+strconv.Itoa(i)); a.Reason() != "used" {
							t.Errorf("client %d, again: %v, want 403 used", i, a)
						}
					case slow && a.Reason() == string(onetime.ClaimUnknown):
						open++ // its claim may be the first one
					case a.Status != http.StatusForbidden || a.Reason() != "used":
						t.Errorf("client %d: %v, want 403 used", i, a)
					}
				}
				if winner < 0 && open > 0 {
					// The client whose claim is the first one was not told so in time. The URL is
					// spent, and nobody else may pass.
					if undecided++; undecided > n/10 {
						t.Fatalf("nobody passed in %d rounds", undecided)
					}
					stored := 0
					if a := putUntilClear(t, st, m, "afterwards"); a.Status == http.StatusOK {
						stored = 1 // there was no claim yet
					} else if a.Reason() != "used" {
						t.Errorf("afterwards: %v, want 403 used", a)
					}
					st.WantVersions(t, m.Key, stored)
					st.WantClaims(t, m.ID, 1)
					continue
				}
				if winner < 0 {
					t.Fatal("nobody passed")
				}
				st.WantVersions(t, m.Key, 1)
				st.WantClaims(t, m.ID, 1)
				if got, want := st.Stored(t, m.Key), "body "+strconv.Itoa(winner); got != want {
					t.Errorf("stored %q, but %q was acknowledged", got, want)
				}
				if t.Failed() {
					t.FailNow()
				}
				tallies[manner.index].races.Add(1)
			}
			t.Logf("%d rounds of %d clients over %d processes: one passed each time, but in %d that were too slow", n, clients, len(st.Edge.Workers()), undecided)
		})
	}
}

// putUntilClear sends the same PUT until the answer is not index-unavailable, at most 20 times.
// That answer means that nothing was spent.
func putUntilClear(t *testing.T, st *testbed.Stack, m testbed.Minted, body string) (a testbed.Answer) {
	t.Helper()
	for range 20 {
		if a = st.Put(t, m, body); a.Reason() != string(onetime.IndexUnavailable) {
			break
		}
	}
	return a
}
