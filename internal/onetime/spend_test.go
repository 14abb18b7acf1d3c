package onetime_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// spender is a gate whose index looks up and claims in one request.
func (w *world) spender() (*onetime.Gate, *onetimetest.Index) {
	gate, index := w.gate(onetime.Conditional)
	gate.Spender = index
	return gate, index
}

func TestSpendAtOnce(t *testing.T) {
	w := newWorld(t)
	minted := w.mint(t)
	for i, want := range []onetime.Reason{"", onetime.Used, onetime.Used} {
		gate, index := w.spender()
		pass, err := gate.Decide(t.Context(), upload(minted, fmt.Sprint("request ", i)), w.deadline())
		if got := reasonOf(t, err); got != want {
			t.Errorf("upload %d: %q, want %q", i, got, want)
		}
		if err == nil && (pass.ID != minted.ID || pass.Key != minted.Key || !strings.Contains(pass.Query, "at="+start.Format(time.RFC3339))) {
			t.Errorf("pass %+v", pass)
		}
		if tally := index.Tally(); tally != "Spend 1" {
			t.Errorf("upload %d: requests %s", i, tally)
		}
	}
	if got := w.claimants(t, minted.ID); !slices.Equal(got, []string{"request 0"}) {
		t.Errorf("claimed by %q", got)
	}
}

// TestSpendSaysWhy: what is not spent is refused for the reason that the entries show, with no
// further request, and stays as it is.
func TestSpendSaysWhy(t *testing.T) {
	limited := onetime.Order{Limits: onetime.Limits{MinBytes: 5, MaxBytes: 9, Type: "image/*,text/plain"}}
	sized := func(n int, kind string) headers {
		h := headers{"content-length": {strconv.Itoa(n)}}
		if kind != "" {
			h["content-type"] = []string{kind}
		}
		return h
	}
	for _, test := range []struct {
		name    string
		order   onetime.Order
		before  func(*world, onetime.Minted)
		gate    func(*onetime.Gate)
		headers headers
		want    onetime.Reason
		tally   string
	}{
		{name: "used", before: func(w *world, m onetime.Minted) {
			w.store.Put(m.ID.ExpiredKey(), expiredEntry(onetime.Used), true)
		}, want: onetime.Used},
		{name: "revoked", before: func(w *world, m onetime.Minted) {
			w.store.Put(m.ID.ExpiredKey(), expiredEntry(onetime.Revoked), true)
		}, want: onetime.Revoked},
		{name: "used by a later oncegate", before: func(w *world, m onetime.Minted) {
			w.store.Put(m.ID.ExpiredKey(), onetimetest.Entry{Body: []byte(`{"version":2}`)}, true)
		}, want: onetime.Used},
		{name: "gone", before: func(w *world, m onetime.Minted) { w.store.Forget(m.ID) }, want: onetime.Unknown},
		{name: "used, and the valid entry gone", before: func(w *world, m onetime.Minted) {
			w.store.Forget(m.ID)
			w.store.Put(m.ID.ExpiredKey(), expiredEntry(onetime.Used), true)
		}, want: onetime.Used},
		{name: "of a later oncegate", before: func(w *world, m onetime.Minted) {
			w.store.Overwrite(m.ID.ValidKey(), onetimetest.Entry{Body: []byte(`{"version":2}`)})
		}, want: onetime.IndexUnavailable},
		{name: "over by the entry", before: func(w *world, m onetime.Minted) {
			w.rewrite(t, m.ID, func(e *onetime.ValidEntry) { e.Created, e.Expires = start.Add(-life), start })
		}, want: onetime.Expired},

		{name: "too large", order: limited, headers: sized(10, "image/png"), want: onetime.TooLarge},
		{name: "too small", order: limited, headers: sized(4, "image/png"), want: onetime.TooSmall},
		{name: "another type", order: limited, headers: sized(5, "text/html"), want: onetime.Type},
		{name: "no type", order: limited, headers: sized(5, ""), want: onetime.Type},
		{name: "a kind of types", order: limited, headers: sized(5, "image/*"), want: onetime.Type, tally: "ReadValid 1, HeadExpired 1"},
		{name: "a type and another", order: limited, headers: sized(5, "image/png;x,text/html"), want: onetime.Type, tally: "ReadValid 1, HeadExpired 1"},
		{name: "a type that is none", order: limited, headers: sized(5, "undefined"), want: onetime.Type, tally: "ReadValid 1, HeadExpired 1"},
		{name: "settings became stricter", gate: func(g *onetime.Gate) { g.MaxBytes = 4 }, want: onetime.TooLarge, tally: "ReadValid 1, HeadExpired 1"},
		{name: "sha256 was switched off", order: onetime.Order{Limits: onetime.Limits{SHA256: sumBase64}}, gate: func(g *onetime.Gate) { g.SHA256 = false }, want: onetime.IndexUnavailable},
		{name: "no room for the name", order: onetime.Order{Name: strings.Repeat("n", 255)},
			headers: headers{"content-length": {"5"}, "cache-control": {strings.Repeat("c", 1900)}}, want: onetime.Header},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			minted := w.order(t, test.order)
			if test.before != nil {
				test.before(w, minted)
			}
			before := w.claimed(minted.ID)
			gate, index := w.spender()
			if test.gate != nil {
				test.gate(gate)
			}
			put := upload(minted, "ours")
			if test.headers != nil {
				put.Headers = test.headers
			}
			_, err := gate.Decide(t.Context(), put, w.deadline())
			if got := reasonOf(t, err); got != test.want {
				t.Errorf("%v, want %s", err, test.want)
			}
			if test.tally == "" {
				test.tally = "Spend 1"
			}
			if tally := index.Tally(); tally != test.tally {
				t.Errorf("requests %s, want %s", tally, test.tally)
			}
			if after := w.claimed(minted.ID); after != before {
				t.Errorf("%s became %s", before, after)
			}
		})
	}
}

// rewrite changes a valid entry, which nobody else does.
func (w *world) rewrite(t *testing.T, id onetime.ID, change func(*onetime.ValidEntry)) {
	t.Helper()
	entry, err := onetime.ParseValidEntry(w.stored(t, id.ValidKey()))
	if err != nil {
		t.Fatal(err)
	}
	change(&entry)
	w.store.Overwrite(id.ValidKey(), onetimetest.Entry{Body: entry.Marshal()})
}

// claimed is the claim that is there, as it is stored.
func (w *world) claimed(id onetime.ID) string {
	entry, _, _ := w.store.Current(id.ExpiredKey())
	return string(entry.Body)
}

// TestSpendTheLongWay: an upload that the rule allows and the terms do not describe passes, with
// a claim of the other kind.
func TestSpendTheLongWay(t *testing.T) {
	for name, test := range map[string]struct {
		order   onetime.Order
		headers headers
		tally   string
	}{
		"a type that is none":      {onetime.Order{}, headers{"content-length": {"5"}, "content-type": {"undefined"}}, "ReadValid 1, HeadExpired 1, Claim 1"},
		"an empty type":            {onetime.Order{}, headers{"content-length": {"5"}, "content-type": {""}}, "ReadValid 1, HeadExpired 1, Claim 1"},
		"two types":                {onetime.Order{}, headers{"content-length": {"5"}, "content-type": {"a/b", "a/c"}}, "ReadValid 1, HeadExpired 1, Claim 1"},
		"a name replaces a longer": {onetime.Order{Name: "n"}, headers{"content-length": {"5"}, "content-disposition": {strings.Repeat("d", 2000)}}, "ReadValid 1, HeadExpired 1, Claim 1, Spend 1"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			minted := w.order(t, test.order)
			for i, want := range []onetime.Reason{"", onetime.Used} {
				gate, index := w.spender()
				put := upload(minted, fmt.Sprint("request ", i))
				put.Headers = test.headers
				_, err := gate.Decide(t.Context(), put, w.deadline())
				if got := reasonOf(t, err); got != want {
					t.Errorf("upload %d: %v, want %q", i, err, want)
				}
				if tally := index.Tally(); i == 0 && tally != test.tally {
					t.Errorf("requests %s, want %s", tally, test.tally)
				}
			}
			if got := w.claimants(t, minted.ID); !slices.Equal(got, []string{"request 0"}) {
				t.Errorf("claimed by %q", got)
			}
		})
	}
}

// spendFaults are the ways in which an answer of a Spender fails to come, and whether the fault
// itself says that nothing was written.
var spendFaults = []struct {
	onetimetest.Fault
	nothing bool
}{
	{onetimetest.Fault{}, false}, {onetimetest.Fault{Stale: true}, false}, {onetimetest.Fault{Status: 500}, false}, {onetimetest.Fault{Status: 503}, false},
	{onetimetest.Fault{Status: 200}, false}, {onetimetest.Fault{Status: 400}, true}, {onetimetest.Fault{Status: 403}, true}, {onetimetest.Fault{Status: 429}, true},
	{onetimetest.Fault{Applied: true}, false}, {onetimetest.Fault{Stale: true, Applied: true}, false},
	{onetimetest.Fault{Status: 500, Applied: true}, false}, {onetimetest.Fault{Status: 200, Applied: true}, false},
}

// TestSpendLostAnswers: for every way to fail of each of three tries, a pass has the one claim,
// "nothing is spent" is true, and another upload has the URL exactly if nobody else does.
func TestSpendLostAnswers(t *testing.T) {
	outcomes := map[onetime.Reason]int{}
	for _, repeated := range []bool{false, true} {
		for first := range spendFaults {
			for second := range len(spendFaults) + 1 {
				for third := range len(spendFaults) + 1 {
					w := newWorld(t)
					minted := w.mint(t)
					gate, index := w.spender()
					failing, unanswered := []failure{}, repeated
					for n, fault := range []int{first, second, third} {
						if fault == len(spendFaults) {
							break // answered
						}
						failing = append(failing, failure{"Spend", n + 1, spendFaults[fault].Fault})
					}
					index.Intercept = inject(failing...)
					put := upload(minted, "ours")
					if repeated {
						put.Attempt = onetime.Attempt{Nonce: ourNonce, Repeated: true}
					}
					_, err := gate.Decide(t.Context(), put, w.deadline())
					got := reasonOf(t, err)
					outcomes[got]++
					calls := 0
					for _, call := range index.Calls() {
						if call.Op != "Spend" {
							t.Fatalf("%v: request %s", failing, call.Op)
						}
						if call.N > len(failing) {
							break
						}
						calls = call.N
						unanswered = unanswered || !(failing[call.N-1].Status >= 400 && failing[call.N-1].Status < 500)
					}
					want := onetime.Reason("")
					switch answered := len(index.Calls()) > calls; {
					case answered:
					case unanswered:
						want = onetime.ClaimUnknown
					default:
						want = onetime.IndexUnavailable
					}
					if got != want {
						t.Errorf("%v, repeated %t: %v, want %q", failing, repeated, err, want)
					}
					claims := w.claimants(t, minted.ID)
					if len(claims) > 1 || got == "" && len(claims) != 1 || got == onetime.IndexUnavailable && len(claims) != 0 {
						t.Errorf("%v: %q, claims %q", failing, got, claims)
					}
					another, _ := w.spender()
					_, err = another.Decide(t.Context(), upload(minted, "another"), w.deadline())
					if got := reasonOf(t, err); (got == "") != (len(claims) == 0) {
						t.Errorf("%v: claims %q, and another upload %q", failing, claims, got)
					}
				}
			}
		}
	}
	for _, reason := range []onetime.Reason{"", onetime.IndexUnavailable, onetime.ClaimUnknown} {
		if outcomes[reason] == 0 {
			t.Errorf("outcome %q never came up: %v", reason, outcomes)
		}
	}
}

// TestSpendAgain: a caller that asks again has what its first try claimed, whichever way either
// goes, and nothing of a stranger's.
func TestSpendAgain(t *testing.T) {
	first, again := onetime.Attempt{Nonce: ourNonce}, onetime.Attempt{Nonce: ourNonce, Repeated: true}
	stranger := onetime.Attempt{Nonce: otherNonce, Repeated: true}
	odd := headers{"content-length": {"5"}, "content-type": {"undefined"}} // goes the long way
	for name, steps := range map[string][]struct {
		attempt onetime.Attempt
		headers headers
		want    onetime.Reason
	}{
		"at once":            {{attempt: first}, {attempt: again}, {attempt: again}, {attempt: stranger, want: onetime.Used}},
		"the first was lost": {{attempt: again}, {attempt: again}, {attempt: stranger, want: onetime.Used}},
		"the long way first": {{attempt: first, headers: odd}, {attempt: again}, {attempt: stranger, want: onetime.Used}},
		"the long way then":  {{attempt: first}, {attempt: again, headers: odd}, {attempt: stranger, headers: odd, want: onetime.Used}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			minted := w.mint(t)
			for i, step := range steps {
				gate, _ := w.spender()
				put := upload(minted, "tries of "+step.attempt.Nonce)
				put.Attempt = step.attempt
				if step.headers != nil {
					put.Headers = step.headers
				}
				_, err := gate.Decide(t.Context(), put, w.deadline())
				if got := reasonOf(t, err); got != step.want {
					t.Errorf("step %d: %v, want %q", i, err, step.want)
				}
			}
			if claims := w.claimants(t, minted.ID); len(claims) != 1 {
				t.Errorf("claims %q", claims)
			}
		})
	}
}

// TestSpendAgainWithoutAnIndex: a second try never says that nothing was spent.
func TestSpendAgainWithoutAnIndex(t *testing.T) {
	for name, fault := range map[string]*onetimetest.Fault{"no answer": {}, "throttled": {Status: 429}, "denied": {Status: 403}, "no time": nil} {
		w := newWorld(t)
		minted := w.mint(t)
		gate, index := w.spender()
		index.Intercept = func(onetimetest.Call) *onetimetest.Fault { return fault }
		put := upload(minted, "ours")
		put.Attempt = onetime.Attempt{Nonce: ourNonce, Repeated: true}
		deadline := w.deadline()
		if fault == nil {
			deadline = w.clock.Now().Add(onetime.WriteLimit - 1)
		}
		_, err := gate.Decide(t.Context(), put, deadline)
		if got := reasonOf(t, err); got != onetime.ClaimUnknown {
			t.Errorf("%s: %v, want claim-unknown", name, err)
		}
	}
}

// TestSpendNeedsTime: nothing is begun that may not be answered in time.
func TestSpendNeedsTime(t *testing.T) {
	w := newWorld(t)
	minted := w.mint(t)
	gate, index := w.spender()
	_, err := gate.Decide(t.Context(), upload(minted, "ours"), w.clock.Now().Add(onetime.WriteLimit-1))
	if got := reasonOf(t, err); got != onetime.IndexUnavailable || len(index.Calls()) != 0 {
		t.Errorf("%v, requests %s", err, index.Tally())
	}
	if _, err := gate.Decide(t.Context(), upload(minted, "ours"), w.clock.Now().Add(onetime.WriteLimit)); err != nil {
		t.Errorf("with just enough time: %v", err)
	}
}

// TestSpendByTheIndexesClock: the time of a URL ends by the index's clock, which also dates the
// upload signature; how far the clock here is off matters no more.
func TestSpendByTheIndexesClock(t *testing.T) {
	for _, test := range []struct {
		into  time.Duration // how far into the URL's life the index is
		ahead time.Duration // of it, the clock here
		want  onetime.Reason
	}{
		{0, 0, ""}, {0, 40 * time.Minute, ""}, {50 * time.Minute, -50 * time.Minute, ""}, {life - time.Second, 0, ""},
		{life - 1, -time.Second, ""},
		{life, -1, onetime.Expired}, {life, -time.Minute, onetime.Expired}, {life, -life, onetime.Expired}, {24 * time.Hour, -24 * time.Hour, onetime.Expired},
		{life - time.Second, time.Second, onetime.Expired}, // by the clock here, as on S3
	} {
		t.Run(fmt.Sprintf("%v, clock %v ahead", test.into, test.ahead), func(t *testing.T) {
			w := newWorld(t)
			minted := w.mint(t)
			there := start.Add(test.into)
			w.clock.Set(there.Add(test.ahead))
			gate, index := w.spender()
			index.Clock = onetimetest.NewClock(there)
			pass, err := gate.Decide(t.Context(), upload(minted, "ours"), w.deadline())
			if got := reasonOf(t, err); got != test.want {
				t.Errorf("%v, want %q", err, test.want)
			}
			if err == nil && !strings.Contains(pass.Query, "at="+there.Truncate(time.Second).Format(time.RFC3339)) {
				t.Errorf("signed as %s, want the index's %s", pass.Query, there)
			}
		})
	}
}

// TestSpendOverByEitherClock: the time of what is not spent is over when either clock says so, and
// no second look is taken.
func TestSpendOverByEitherClock(t *testing.T) {
	for name, test := range map[string]struct {
		ends   time.Duration // of the entry
		there  time.Duration
		length string
	}{
		"here":  {ends: -time.Second, there: -10 * time.Second, length: "5"},
		"there": {ends: time.Minute, there: time.Minute, length: "4"},
	} {
		w := newWorld(t)
		minted := w.order(t, onetime.Order{Limits: onetime.Limits{MinBytes: 5}})
		w.rewrite(t, minted.ID, func(e *onetime.ValidEntry) { e.Created, e.Expires = start.Add(-life), start.Add(test.ends) })
		gate, index := w.spender()
		index.Clock = onetimetest.NewClock(start.Add(test.there))
		put := upload(minted, "ours")
		put.Headers = headers{"content-length": {test.length}}
		_, err := gate.Decide(t.Context(), put, w.deadline())
		if got := reasonOf(t, err); got != onetime.Expired || index.Tally() != "Spend 1" {
			t.Errorf("%s: %v, requests %s", name, err, index.Tally())
		}
	}
}

func TestSpendWithoutADate(t *testing.T) {
	w := newWorld(t)
	minted := w.mint(t)
	gate, index := w.spender()
	index.Clock = nil
	_, err := gate.Decide(t.Context(), upload(minted, "ours"), w.deadline())
	if got := reasonOf(t, err); got != onetime.ClaimUnknown {
		t.Errorf("%v, want claim-unknown", err)
	}
}

func TestSpendWithoutEntropy(t *testing.T) {
	w := newWorld(t)
	minted := w.mint(t)
	gate, index := w.spender()
	gate.Entropy = strings.NewReader("")
	_, err := gate.Decide(t.Context(), upload(minted, "ours"), w.deadline())
	if got := reasonOf(t, err); got != onetime.Internal || len(index.Calls()) != 0 {
		t.Errorf("%v, requests %s", err, index.Tally())
	}
}

func TestSpendWithoutASignature(t *testing.T) {
	w := newWorld(t)
	minted := w.mint(t)
	gate, _ := w.spender()
	gate.Presigner = onetimetest.Presigner{Err: errors.New("no credentials")}
	_, err := gate.Decide(t.Context(), upload(minted, "ours"), w.deadline())
	if got := reasonOf(t, err); got != onetime.ClaimUnknown {
		t.Errorf("%v, want claim-unknown", err)
	}
}

// TestForgottenURL: an item that DynamoDB has deleted is a URL that is unknown, and its time is
// over by then.
func TestForgottenURL(t *testing.T) {
	w := newWorld(t)
	minted := w.mint(t)
	gate, _ := w.spender()
	if _, err := gate.Decide(t.Context(), upload(minted, "first"), w.deadline()); err != nil {
		t.Fatal(err)
	}
	w.store.Forget(minted.ID)
	for into, want := range map[time.Duration]onetime.Reason{0: onetime.Unknown, life: onetime.Expired, 24 * life: onetime.Expired} {
		w.clock.Set(start.Add(into))
		_, err := gate.Decide(t.Context(), upload(minted, "second"), w.deadline())
		if got := reasonOf(t, err); got != want {
			t.Errorf("after %v: %v, want %q", into, err, want)
		}
	}
	if w.claimed(minted.ID) != "" {
		t.Error("what was forgotten is claimed")
	}
}

// TestSpendersAndOthers: gates that spend at once, gates that do not, and operators, all at the
// same time: one has the URL.
func TestSpendersAndOthers(t *testing.T) {
	for round := range 50 {
		w := newWorld(t)
		minted := w.mint(t)
		var all sync.WaitGroup
		errs := make([]error, 12)
		for i := range errs {
			all.Go(func() {
				switch i % 4 {
				case 3:
					operator := &onetime.Operator{Ledger: &onetimetest.Ledger{Index: onetimetest.Index{Store: w.store}}, Clock: w.clock, Entropy: w.entropy}
					var now bool
					if now, errs[i] = operator.Revoke(t.Context(), onetime.Target{ID: minted.ID}); errs[i] == nil && !now {
						errs[i] = errors.New("revoked before")
					}
				case 2:
					gate, _ := w.gate(modes[round%2])
					_, errs[i] = gate.Decide(t.Context(), upload(minted, fmt.Sprint(i)), start.Add(plenty))
				default:
					gate, _ := w.spender()
					_, errs[i] = gate.Decide(t.Context(), upload(minted, fmt.Sprint(i)), start.Add(plenty))
				}
			})
		}
		all.Wait()
		won := 0
		for i, err := range errs {
			if err == nil {
				won++
			} else if reason := onetime.ReasonOf(err); i%4 != 3 && reason != onetime.Used && reason != onetime.Revoked {
				t.Errorf("round %d: %v", round, err)
			}
		}
		if won != 1 || len(w.claimants(t, minted.ID)) != 1 {
			t.Errorf("round %d: %d have the URL, claims %q", round, won, w.claimants(t, minted.ID))
		}
	}
}
