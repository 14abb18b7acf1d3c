package onetime_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// tally counts as an index does, and fails as it is told.
type tally struct {
	mu     sync.Mutex
	counts map[string]int64
	faults []onetimetest.Fault // of the next requests
}

func (t *tally) AddMinted(_ context.Context, _ time.Duration, name string, n, most int64, _ time.Time) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var fault *onetimetest.Fault
	if len(t.faults) > 0 {
		fault, t.faults = &t.faults[0], t.faults[1:]
	}
	had, there := t.counts[name]
	room := !there || had+n <= most // the first one is the caller's to hold to most
	if room && (fault == nil || fault.Applied) {
		t.counts[name] += n
	}
	if fault != nil {
		return false, &onetime.Fault{Op: "AddMinted", Status: fault.Status, Stale: fault.Stale}
	}
	return room, nil
}

var kiosk = onetime.Credential{Kind: onetime.CredentialKey, ID: "0123456789abcdef0123456789abcdef", Allows: onetime.Allowance{PerDay: 5}}

func newQuota() (*onetime.Quota, *tally, *onetimetest.Clock) {
	t, clock := &tally{counts: map[string]int64{}}, onetimetest.NewClock(time.Date(2026, 3, 4, 23, 0, 0, 0, time.UTC))
	return &onetime.Quota{Tally: t, Clock: clock, Entropy: onetimetest.NewEntropy(1)}, t, clock
}

func take(q *onetime.Quota, by onetime.Credential, n int64) onetime.Reason {
	err := q.Take(context.Background(), by, n, q.Clock.Now().Add(5*time.Second))
	if err == nil {
		return ""
	}
	return onetime.ReasonOf(err)
}

// TestQuota: a day has as many URLs as the key may have, and the next one has them again. Who
// takes over from a key has what is left of its day.
func TestQuota(t *testing.T) {
	q, _, clock := newQuota()
	heir := onetime.Credential{Kind: onetime.CredentialKey, ID: "f" + kiosk.ID[1:], Owner: kiosk.ID, Allows: kiosk.Allows}
	other := onetime.Credential{Kind: onetime.CredentialKey, ID: "e" + kiosk.ID[1:], Allows: kiosk.Allows}
	for i, step := range []struct {
		by   onetime.Credential
		n    int64
		want onetime.Reason
	}{
		{kiosk, 6, onetime.DayFull}, {kiosk, 3, ""}, {kiosk, 3, onetime.DayFull}, {heir, 1, ""}, {kiosk, 1, ""},
		{kiosk, 1, onetime.DayFull}, {heir, 1, onetime.DayFull}, {other, 5, ""}, {onetime.Credential{}, 100, ""},
	} {
		if got := take(q, step.by, step.n); got != step.want {
			t.Errorf("step %d: %q, want %q", i, got, step.want)
		}
	}
	clock.Set(clock.Now().Add(time.Hour))
	if got := take(q, kiosk, 5); got != "" {
		t.Errorf("on the next day: %q", got)
	}
}

// TestQuotaRace: however many ask at once, a day has no more.
func TestQuotaRace(t *testing.T) {
	q, _, _ := newQuota()
	var given atomic.Int64
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if take(q, kiosk, 1) == "" {
				given.Add(1)
			}
		})
	}
	all.Wait()
	if given.Load() != 5 {
		t.Errorf("%d URLs, want 5", given.Load())
	}
}

// TestQuotaFaults: a lost answer never gives more, whether it had an effect or not, and
// without an answer nothing is given.
func TestQuotaFaults(t *testing.T) {
	for _, fault := range []onetimetest.Fault{{}, {Stale: true}, {Status: 500}, {Status: 503}, {Status: 429}} {
		for _, applied := range []bool{false, true} {
			fault.Applied = applied
			t.Run(fmt.Sprintf("%+v", fault), func(t *testing.T) {
				q, tally, _ := newQuota()
				given := int64(0)
				for range 10 {
					tally.faults = []onetimetest.Fault{fault}
					if take(q, kiosk, 1) == "" {
						given++
					}
				}
				if given > 5 || !applied && given != 5 || given > tally.counts[kiosk.ID+"/2026-03-04"] {
					t.Errorf("%d URLs given, %d counted", given, tally.counts[kiosk.ID+"/2026-03-04"])
				}
			})
		}
	}
	q, tally, _ := newQuota()
	for range 100 {
		tally.faults = append(tally.faults, onetimetest.Fault{Status: 503})
	}
	if got := take(q, kiosk, 1); got != onetime.IndexUnavailable {
		t.Errorf("without an answer: %q", got)
	}
	for name, q := range map[string]*onetime.Quota{"no quota": nil, "no tally": {}} {
		err := q.Take(t.Context(), kiosk, 1, time.Now().Add(time.Second))
		if refusal, ok := errors.AsType[*onetime.Refusal](err); !ok || refusal.Reason != onetime.IndexUnavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
}
