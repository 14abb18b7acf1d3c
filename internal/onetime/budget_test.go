package onetime_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// bubbleClock is real time, which inside a synctest bubble passes at no cost.
type bubbleClock struct{}

func (bubbleClock) Now() time.Time { return time.Now() }

func (bubbleClock) Sleep(_ context.Context, d time.Duration) error {
	time.Sleep(d)
	return nil
}

// slowness is how an index takes its time: each request of a method this long, or
// until its limit, when it is given up like one that was never answered. The first
// failing requests of each method are always given up.
type slowness struct {
	took    map[string]time.Duration
	failing map[string]int
}

// timed runs an upload against a slow index with so much time, and reports how long
// it took. Every request is checked against the deadline.
func timed(t *testing.T, mode onetime.FirstVersion, budget time.Duration, slow slowness) (reason onetime.Reason, tally string, took time.Duration, claimed bool) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.clock.Set(time.Now()) // of minting
		minted := w.mint(t)
		gate, index := w.gate(mode)
		gate.Clock = bubbleClock{}
		begun := time.Now()
		deadline := begun.Add(budget)
		index.Intercept = func(call onetimetest.Call) *onetimetest.Fault {
			left := time.Until(deadline)
			if call.Limit <= 0 || call.Limit > left {
				t.Errorf("%s %d: limit %v, and %v are left", call.Op, call.N, call.Limit, left)
			}
			if need := onetime.WriteLimit + onetime.ReadBackLimit; call.Op == "Claim" && left < need {
				t.Errorf("claim %d begun with %v left, it needs %v", call.N, left, need)
			}
			need := slow.took[call.Op]
			if call.N <= slow.failing[call.Op] || need > call.Limit {
				time.Sleep(call.Limit)
				return &onetimetest.Fault{Applied: need <= call.Limit}
			}
			time.Sleep(need)
			return nil
		}
		_, err := gate.Decide(t.Context(), upload(minted, "ours"), deadline)
		reason, tally, took = reasonOf(t, err), index.Tally(), time.Since(begun)
		claimed = len(w.claimants(t, minted.ID)) > 0
	})
	return reason, tally, took, claimed
}

func TestTimeBudget(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	every := func(d time.Duration) map[string]time.Duration {
		return map[string]time.Duration{"ReadValid": d, "HeadExpired": d, "Claim": d, "ReadExpired": d, "ListExpired": d}
	}
	for _, test := range []struct {
		name   string
		budget time.Duration
		slow   slowness
		reason onetime.Reason
		tally  string
	}{
		{"at once", 4800 * ms, slowness{}, "", claimed1},
		{"a third of a second each", 4800 * ms, slowness{took: every(333 * ms)}, "", claimed1},
		{"a second each", 4800 * ms, slowness{took: every(s)}, "", claimed1},
		{"no time", 0, slowness{}, onetime.IndexUnavailable, ""},
		{"time is over", -s, slowness{}, onetime.IndexUnavailable, ""},
		{"too little for a claim", 2500 * ms, slowness{}, onetime.IndexUnavailable, ""},
		{"just enough for everything", 2700 * ms, slowness{}, "", claimed1},
		{"lookups leave just enough", 2700 * ms, slowness{took: map[string]time.Duration{"ReadValid": 200 * ms}}, "", claimed1},
		{"a lookup leaves no repeat", 2800 * ms, slowness{failing: map[string]int{"ReadValid": 1}},
			onetime.IndexUnavailable, looked},
		{"lookups never answered", 4800 * ms, slowness{took: every(10 * s)},
			onetime.IndexUnavailable, "ReadValid 2, HeadExpired 2"},
		{"first claim never answered, no time for another", 4800 * ms,
			slowness{took: every(s), failing: map[string]int{"Claim": 1}}, onetime.ClaimUnknown, claimed1},
		{"first claim never answered, time for another and a read back", 4800 * ms,
			slowness{took: every(600 * ms), failing: map[string]int{"Claim": 1}}, "", claimed2 + ", ReadExpired 1"},
		{"read back never answered", 10 * s,
			slowness{took: map[string]time.Duration{"ReadExpired": 5 * s}, failing: map[string]int{"Claim": 1}},
			onetime.ClaimUnknown, claimed2 + ", ReadExpired 3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			reason, tally, took, claimed := timed(t, onetime.Conditional, test.budget, test.slow)
			if reason != test.reason || tally != test.tally {
				t.Errorf("reason %q with %q, want %q with %q", reason, tally, test.reason, test.tally)
			}
			if took > max(0, test.budget) {
				t.Errorf("took %v of %v", took, test.budget)
			}
			if claimed && reason == onetime.IndexUnavailable {
				t.Error("nothing was to be spent")
			}
		})
	}
}

// TestListTimeBudget: a claim that leaves the list no time is not begun.
func TestListTimeBudget(t *testing.T) {
	for _, test := range []struct {
		budget time.Duration
		reason onetime.Reason
		tally  string
	}{
		{3 * time.Second, onetime.IndexUnavailable, ""},
		{3700 * time.Millisecond, "", claimed1 + ", ListExpired 1"},
	} {
		reason, tally, _, _ := timed(t, onetime.Listed, test.budget, slowness{})
		if reason != test.reason || tally != test.tally {
			t.Errorf("%v: reason %q with %q, want %q with %q", test.budget, reason, tally, test.reason, test.tally)
		}
	}
}

// TestLateLookup: an index that keeps its limit a little too loosely leaves the
// claim too little time. It is not begun, and the refusal says that nothing is spent.
func TestLateLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.clock.Set(time.Now())
		minted := w.mint(t)
		gate, index := w.gate(onetime.Conditional)
		gate.Clock = bubbleClock{}
		index.Intercept = func(call onetimetest.Call) *onetimetest.Fault {
			time.Sleep(call.Limit + time.Millisecond)
			return nil
		}
		_, err := gate.Decide(t.Context(), upload(minted, "ours"), time.Now().Add(3*time.Second))
		if got := reasonOf(t, err); got != onetime.IndexUnavailable {
			t.Errorf("reason %q, want index-unavailable", got)
		}
		if got := index.Tally(); got != looked {
			t.Errorf("index requests %q, want %q", got, looked)
		}
	})
}

// TestTimeBudgetSweep: whatever the budget and the pace of the index, the decision
// is in time, and a claim is only made with time to see it through.
func TestTimeBudgetSweep(t *testing.T) {
	step := 170 * time.Millisecond
	if slow {
		step = 610 * time.Millisecond
	}
	var late sync.Once
	for _, mode := range modes {
		passes, refusals := 0, 0
		for budget := time.Duration(0); budget < 7*time.Second; budget += step {
			for pace := time.Duration(0); pace < 1700*time.Millisecond; pace += step {
				for failing := range 3 {
					slow := slowness{took: map[string]time.Duration{}, failing: map[string]int{}}
					for i, op := range []string{"ReadValid", "HeadExpired", "Claim", "ReadExpired", "ListExpired"} {
						slow.took[op] = pace * time.Duration(i%3+1) / 2
						slow.failing[op] = failing
					}
					reason, tally, took, claimed := timed(t, mode, budget, slow)
					at := fmt.Sprintf("%s, budget %v, pace %v, %d failing: %s, %q after %v", mode, budget, pace, failing, tally, reason, took)
					if took > budget {
						late.Do(func() { t.Errorf("too late: %s", at) })
					}
					if claimed && reason == onetime.IndexUnavailable || !claimed && reason == "" {
						t.Errorf("claimed %t: %s", claimed, at)
					}
					if reason == "" {
						passes++
					} else {
						refusals++
					}
				}
			}
		}
		if passes == 0 || refusals == 0 {
			t.Errorf("%s: %d passes and %d refusals tell nothing", mode, passes, refusals)
		}
	}
}
