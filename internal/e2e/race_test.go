package e2e

import (
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
)

// rounds is how many URLs are raced for. ONCEGATE_RACE_ROUNDS asks for more.
func rounds(t *testing.T) int {
	t.Helper()
	text := os.Getenv("ONCEGATE_RACE_ROUNDS")
	if text == "" {
		return 200
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("ONCEGATE_RACE_ROUNDS=%q: want a positive number", text)
	}
	return n
}

// TestRaceForOneURL is the product: many clients put one URL at the same moment,
// through several processes of the gate, and exactly one of them is let through.
func TestRaceForOneURL(t *testing.T) {
	const clients = 50
	for name, options := range map[string][]option{"conditional": nil, "listed": {listed}} {
		t.Run(name, func(t *testing.T) {
			st := newStack(t, options...)
			for range rounds(t) {
				m := st.mint(t)
				answers := make([]answer, clients)
				var start, done sync.WaitGroup
				start.Add(1)
				for i := range clients {
					done.Go(func() {
						start.Wait()
						answers[i] = st.put(t, m, "body "+strconv.Itoa(i))
					})
				}
				start.Done()
				done.Wait()

				winner := -1
				for i, a := range answers {
					switch {
					case a.status == http.StatusOK && winner < 0:
						winner = i
					case a.status == http.StatusOK:
						t.Errorf("clients %d and %d both passed", winner, i)
					case a.status != http.StatusForbidden || a.reason() != "used":
						t.Errorf("client %d: %v, want 403 used", i, a)
					}
				}
				if winner < 0 {
					t.Fatal("nobody passed")
				}
				st.wantVersions(t, m.key, 1)
				st.wantVersions(t, m.id.ExpiredKey(), 1)
				if got, want := st.stored(t, m.key), "body "+strconv.Itoa(winner); got != want {
					t.Errorf("stored %q, but %q was acknowledged", got, want)
				}
				if t.Failed() {
					t.FailNow()
				}
			}
			t.Logf("%d rounds of %d clients over %d processes: one passed each time", rounds(t), clients, len(st.edge.Workers()))
		})
	}
}
