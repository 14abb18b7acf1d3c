package onetime_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// failure is one index request made to fail: the nth of a method.
type failure struct {
	op string
	n  int
	onetimetest.Fault
}

func (f failure) String() string { return fmt.Sprintf("%s %d: %s", f.op, f.n, f.Fault) }

// failures are all ways in which these methods' requests can fail, lies of S3's
// included.
func failures(ops ...string) (all []failure) {
	for _, op := range ops {
		for n := 1; n <= onetime.MaxTries; n++ {
			for _, fault := range []onetimetest.Fault{
				{Status: 403}, {Status: 404}, {Status: 409}, {Status: 412},
				{Status: 429}, {Status: 500}, {Status: 503}, {}, {Stale: true},
			} {
				all = append(all, failure{op, n, fault})
				if op == "Claim" || op == "WriteValid" {
					fault.Applied = true
					all = append(all, failure{op, n, fault})
				}
			}
		}
	}
	return all
}

func gateFailures() []failure {
	return failures("ReadValid", "HeadExpired", "Claim", "ReadExpired", "ListExpired")
}

func inject(failures ...failure) func(onetimetest.Call) *onetimetest.Fault {
	return func(call onetimetest.Call) *onetimetest.Fault {
		for i := range failures {
			if failures[i].op == call.Op && failures[i].n == call.N {
				return &failures[i].Fault
			}
		}
		return nil
	}
}

// trial lets two uploads with one URL meet these failures, one each, and checks
// what must hold whatever fails.
func trial(t *testing.T, mode onetime.FirstVersion, concurrent bool, failures [2][]failure) {
	w := newWorld(t)
	minted := w.mint(t)
	names := [2]string{"first", "second"}
	var errs [2]error
	decide := func(i int) {
		gate, index := w.gate(mode)
		index.Intercept = inject(failures[i]...)
		_, errs[i] = gate.Decide(context.Background(), upload(minted, names[i]), start.Add(plenty))
	}
	if concurrent {
		var both sync.WaitGroup
		for i := range errs {
			both.Go(func() { decide(i) })
		}
		both.Wait()
	} else {
		decide(0)
		decide(1)
	}

	claimants := w.claimants(t, minted.ID)
	if len(claimants) > 1 {
		t.Errorf("%v: %d claims succeeded", failures, len(claimants))
	}
	passes := 0
	for i, err := range errs {
		claimed := slices.Contains(claimants, names[i])
		switch reason := reasonOf(t, err); reason {
		case "":
			passes++
			if !claimed {
				t.Errorf("%v: %s passed without a claim", failures, names[i])
			}
		case onetime.IndexUnavailable:
			if claimed {
				t.Errorf("%v: %s is told that nothing was spent, and it was", failures, names[i])
			}
		}
	}
	if passes > 1 {
		t.Errorf("%v: two passes", failures)
	}
}

// TestEveryFailure makes every request of two uploads fail in every way, and every
// two requests of both. Uploads at the same time meet a part of that in each run.
func TestEveryFailure(t *testing.T) {
	all := gateFailures()
	for _, mode := range modes {
		for _, concurrent := range []bool{false, true} {
			stride := 1 // else a number that divides nothing, so that every kind has its turn
			switch {
			case slow || testing.Short():
				stride = 37
			case concurrent:
				stride = 7
			}
			t.Run(fmt.Sprintf("%s/concurrent=%t", mode, concurrent), func(t *testing.T) {
				trials := 0
				for i, a := range all {
					for j := i % stride; j < len(all); j += stride {
						trial(t, mode, concurrent, [2][]failure{{a}, {all[j]}})
						trials++
						if j >= i && !concurrent {
							trial(t, mode, concurrent, [2][]failure{{a, all[j]}, nil})
							trials++
						}
					}
					if t.Failed() {
						return
					}
				}
				t.Logf("%d failures, %d trials", len(all), trials)
			})
		}
	}
}

// TestOneTransientFailure: a single request that gets no answer, or is throttled,
// never costs a URL.
func TestOneTransientFailure(t *testing.T) {
	for _, mode := range modes {
		for _, failure := range gateFailures() {
			switch failure.Status {
			case 403, 404, 409, 412:
				continue // S3 said no, or lied
			}
			w := newWorld(t)
			minted := w.mint(t)
			gate, index := w.gate(mode)
			index.Intercept = inject(failure)
			if _, err := gate.Decide(context.Background(), upload(minted, "ours"), w.deadline()); err != nil {
				t.Errorf("%s, %s: %v", mode, failure, err)
			}
		}
	}
}

// TestMintFailures: a URL is handed out exactly when its valid entry is there, and
// no more than one entry is ever written for it.
func TestMintFailures(t *testing.T) {
	all := failures("WriteValid")
	for _, a := range all {
		for _, b := range all {
			w := newWorld(t)
			minter, index := w.minter()
			index.Intercept = inject(a, b)
			minted, err := minter.Mint(context.Background(), onetime.Order{}, w.deadline())
			keys := w.store.Keys()
			switch reasonOf(t, err) {
			case "":
				if !slices.Equal(keys, []string{minted.ID.ValidKey()}) {
					t.Errorf("%s, %s: a URL, and in the store %v", a, b, keys)
				}
			case onetime.IndexUnavailable:
				if minted != (onetime.Minted{}) {
					t.Errorf("%s, %s: refused, and yet there is a URL", a, b)
				}
				if len(keys) > 1 {
					t.Errorf("%s, %s: several entries %v", a, b, keys)
				}
			default:
				t.Errorf("%s, %s: %v", a, b, err)
			}
			if calls := len(index.Calls()); calls > onetime.MaxTries {
				t.Errorf("%s, %s: %d requests", a, b, calls)
			}
		}
	}
}

// TestMintRepeats: what is worth a repeat, and what is not.
func TestMintRepeats(t *testing.T) {
	for _, test := range []struct {
		fault onetimetest.Fault
		want  string
		good  bool
	}{
		{onetimetest.Fault{Status: 403}, "WriteValid 1", false},
		{onetimetest.Fault{Status: 404, Applied: true}, "WriteValid 1", false},
		{onetimetest.Fault{Status: 409}, "WriteValid 1", false},
		{onetimetest.Fault{Status: 412}, "WriteValid 1", false},
		{onetimetest.Fault{Status: 429}, "WriteValid 2", true},
		{onetimetest.Fault{Status: 500}, "WriteValid 2", true},
		{onetimetest.Fault{Status: 503, Applied: true}, "WriteValid 2", true},
		{onetimetest.Fault{}, "WriteValid 2", true},
		{onetimetest.Fault{Applied: true}, "WriteValid 2", true},
		{onetimetest.Fault{Stale: true}, "WriteValid 2", true},
	} {
		t.Run(test.fault.String(), func(t *testing.T) {
			w := newWorld(t)
			minter, index := w.minter()
			index.Intercept = inject(failure{"WriteValid", 1, test.fault})
			_, err := minter.Mint(context.Background(), onetime.Order{}, w.deadline())
			if good := err == nil; good != test.good {
				t.Errorf("error %v, want a URL: %t", err, test.good)
			}
			if got := index.Tally(); got != test.want {
				t.Errorf("index requests %q, want %q", got, test.want)
			}
		})
	}
}

// TestPauses: a repeat waits a little, and longer the second time, but on a dead
// connection it does not wait at all. Without random bytes, or when the invocation
// is over, there is no repeat.
func TestPauses(t *testing.T) {
	mintWith := func(fault onetimetest.Fault, change func(*onetime.Minter), ctx context.Context) (pauses []int64, calls int, err error) {
		w := newWorld(t)
		minter, index := w.minter()
		index.Intercept = func(onetimetest.Call) *onetimetest.Fault {
			pauses = append(pauses, w.clock.Now().Sub(start).Milliseconds())
			return &fault
		}
		if change != nil {
			change(minter)
		}
		_, err = minter.Mint(ctx, onetime.Order{}, w.deadline())
		return pauses, len(pauses), err
	}
	ctx := context.Background()
	if at, _, _ := mintWith(onetimetest.Fault{Status: 503}, nil, ctx); len(at) != 3 || at[1] < 1 || at[1] > 60 || at[2]-at[1] < 1 || at[2]-at[1] > 120 {
		t.Errorf("requests at %v ms, want pauses of up to 60 and 120 ms", at)
	}
	if at, _, _ := mintWith(onetimetest.Fault{Stale: true}, nil, ctx); !slices.Equal(at, []int64{0, 0, 0}) {
		t.Errorf("dead connections: requests at %v ms, want no pause", at)
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if _, calls, err := mintWith(onetimetest.Fault{Status: 503}, nil, canceled); calls != 1 || onetime.ReasonOf(err) != onetime.IndexUnavailable {
		t.Errorf("canceled: %d requests, %v", calls, err)
	}
	if _, calls, err := mintWith(onetimetest.Fault{Status: 503}, func(m *onetime.Minter) {
		m.Entropy = &limited{m.Entropy, 16 + 32}
	}, ctx); calls != 1 || onetime.ReasonOf(err) != onetime.IndexUnavailable {
		t.Errorf("entropy at its end: %d requests, %v", calls, err)
	}
}

// limited is entropy that fails after so many bytes.
type limited struct {
	onetime.Entropy
	left int
}

var errEntropy = errors.New("no more entropy")

func (l *limited) Read(b []byte) (int, error) {
	if len(b) > l.left {
		return 0, errEntropy
	}
	l.left -= len(b)
	return l.Entropy.Read(b)
}

// TestRace: of all uploads with one URL exactly one passes.
func TestRace(t *testing.T) {
	uploads, rounds := 50, 200
	if slow {
		rounds = 10
	}
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			for range rounds {
				w := newWorld(t)
				minted := w.mint(t)
				gun := make(chan struct{})
				passed := make(chan string, uploads)
				var all sync.WaitGroup
				for i := range uploads {
					all.Go(func() {
						gate, _ := w.gate(mode)
						name := fmt.Sprint(i)
						<-gun
						_, err := gate.Decide(context.Background(), upload(minted, name), start.Add(plenty))
						switch reason := reasonOf(t, err); reason {
						case "":
							passed <- name
						case onetime.Used:
						default:
							t.Errorf("reason %q", reason)
						}
					})
				}
				close(gun)
				all.Wait()
				close(passed)
				var winners []string
				for name := range passed {
					winners = append(winners, name)
				}
				if claimants := w.claimants(t, minted.ID); len(winners) != 1 || !slices.Equal(winners, claimants) {
					t.Fatalf("passed %v, claimed %v", winners, claimants)
				}
			}
		})
	}
}
