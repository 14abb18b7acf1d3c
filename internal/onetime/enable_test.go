package onetime_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

func (w *world) enable(t testing.TB, m onetime.Minted, options onetime.EnableOptions) onetime.Enabled {
	t.Helper()
	operator, _ := w.operator()
	done, err := operator.Enable(context.Background(), onetime.Target{ID: m.ID}, options)
	if err != nil {
		t.Fatalf("enable: %v", err)
	}
	return done
}

func TestEnableStates(t *testing.T) {
	for _, h := range histories {
		for _, replace := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/replace=%t", h.name, replace), func(t *testing.T) {
				w := newWorld(t)
				m := w.mint(t)
				h.make(t, w, m)
				want := h.enable
				if replace {
					want = h.replace
				}
				operator, _ := w.operator()
				expired, object := w.store.Versions(m.ID.ExpiredKey()), w.store.Versions(m.Key)
				done, err := operator.Enable(context.Background(), onetime.Target{ID: m.ID}, onetime.EnableOptions{Replace: replace})
				if stateError(err) != want || (err == nil) != (want == "") {
					t.Fatalf("%+v, %v, want state error %q", done, err, want)
				}
				if err != nil {
					if len(w.store.Versions(m.ID.ExpiredKey())) != len(expired) || len(w.store.Versions(m.Key)) != len(object) {
						t.Error("refused, and yet something has changed")
					}
					return
				}
				if len(done.Claims) != len(expired) || done.Replaced != h.stored || done.Spent != "" {
					t.Errorf("did %+v", done)
				}
				if n := len(w.store.Versions(m.ID.ExpiredKey())); n != 0 {
					t.Errorf("%d versions of the expired entry are left", n)
				}
				if _, exists, _ := w.store.Current(m.Key); exists {
					t.Error("an object is still there")
				}
				if n := len(w.store.Versions(m.Key)); done.Replaced && n != len(object)+1 {
					t.Errorf("%d versions of the object, were %d: its content must stay", n, len(object))
				}
				if reason := w.pass(t, m, "second"); reason != "" {
					t.Errorf("the next upload: %s", reason)
				}
				if reason := w.pass(t, m, "third"); reason != onetime.Used {
					t.Errorf("the one after: %q", reason)
				}
			})
		}
	}
}

// TestEnableOrder: delete markers go first, then the newest versions, so that until
// the last deletion a version is current.
func TestEnableOrder(t *testing.T) {
	w := newWorld(t)
	m := w.mint(t)
	key := m.ID.ExpiredKey()
	first := w.store.Overwrite(key, expiredEntry(onetime.Used))
	marker := w.store.Delete(key)
	second := w.store.Overwrite(key, expiredEntry(onetime.Used))
	third := w.store.Overwrite(key, expiredEntry(onetime.Revoked))
	operator, ledger := w.operator()
	ledger.Intercept = func(c onetimetest.Call) *onetimetest.Fault {
		if _, exists, _ := w.store.Current(key); c.Op == "DeleteExpired" && !exists {
			t.Errorf("no version is current before deletion %d", c.N)
		}
		return nil
	}
	done, err := operator.Enable(context.Background(), onetime.Target{ID: m.ID}, onetime.EnableOptions{})
	if want := []string{marker, third, second, first}; err != nil || !slices.Equal(done.Claims, want) {
		t.Errorf("removed %v, %v, want %v", done.Claims, err, want)
	}
	if got := ledger.Tally(); got != "ReadValid 1, HeadExpired 1, ReadExpired 1, ListExpired 1, HeadObject 1, DeleteExpired 4" {
		t.Errorf("requests: %s", got)
	}
}

// TestEnableUnversioned: by an id that S3 gives again somebody's later claim could
// be deleted.
func TestEnableUnversioned(t *testing.T) {
	w := newWorld(t)
	w.store.Unversioned = true
	m := w.mint(t)
	w.pass(t, m, "")
	operator, ledger := w.operator()
	if done, err := operator.Enable(context.Background(), onetime.Target{ID: m.ID}, onetime.EnableOptions{}); err == nil {
		t.Errorf("did %+v", done)
	}
	for _, c := range ledger.Calls() {
		if c.Op == "DeleteExpired" {
			t.Error("something was deleted")
		}
	}
}

// unversioned lists the version that an entry has where versioning is suspended.
type unversioned struct{ *onetimetest.Ledger }

func (unversioned) ListExpired(context.Context, time.Duration, onetime.ID) ([]onetime.Version, error) {
	return []onetime.Version{{ID: "null"}}, nil
}

func TestEnableSuspendedVersioning(t *testing.T) {
	w := newWorld(t)
	m := w.mint(t)
	w.pass(t, m, "")
	operator, ledger := w.operator()
	operator.Ledger = unversioned{ledger}
	if done, err := operator.Enable(context.Background(), onetime.Target{ID: m.ID}, onetime.EnableOptions{}); err == nil {
		t.Errorf("did %+v", done)
	}
	if tally := ledger.Tally(); strings.Contains(tally, "DeleteExpired") {
		t.Errorf("requests: %s", tally)
	}
}

// TestEnableSpentAgain: an upload that comes after the last deletion is told of, and
// left alone.
func TestEnableSpentAgain(t *testing.T) {
	w := newWorld(t)
	m := w.mint(t)
	w.revoke(t, m)
	operator, ledger := w.operator()
	ledger.Intercept = func(c onetimetest.Call) *onetimetest.Fault {
		if c.Op == "HeadExpired" {
			if reason := w.pass(t, m, "at once"); reason != "" {
				t.Errorf("upload: %s", reason)
			}
		}
		return nil
	}
	done, err := operator.Enable(context.Background(), onetime.Target{ID: m.ID}, onetime.EnableOptions{})
	if err != nil || done.Spent != onetime.Used {
		t.Errorf("%+v, %v", done, err)
	}
	if state := w.state(t, m); state != "used" {
		t.Errorf("state %s", state)
	}
}

// late is a write whose answer was lost and which S3 makes much later.
type late func()

// enableFaults lets the requests of an enable fail at random: not received, answer
// lost, or received late; or refused by S3 for good.
func enableFaults(r *rand.Rand, rate float64, x *onetimetest.Ledger, pending *[]late) func(onetimetest.Call) *onetimetest.Fault {
	return func(c onetimetest.Call) *onetimetest.Fault {
		if r.Float64() >= rate {
			return nil
		}
		write := c.Op == "DeleteExpired" || c.Op == "HideObject"
		switch n := r.IntN(5); {
		case n == 0:
			return &onetimetest.Fault{Status: []int{403, 429, 500, 503}[r.IntN(4)]}
		case n == 1 && write:
			return &onetimetest.Fault{Applied: true}
		case n == 2 && c.Op == "DeleteExpired":
			*pending = append(*pending, func() { x.Store.DeleteVersion(c.ID.ExpiredKey(), c.Version) })
			return &onetimetest.Fault{}
		case n == 3:
			return &onetimetest.Fault{Stale: true, Applied: write}
		}
		return &onetimetest.Fault{}
	}
}

// TestEnableLetsOneMoreThrough is the property: whatever gets lost or late, however
// calls of Enable overlap with each other, with revokes and with uploads, n calls
// let at most n more uploads through. With Claim set all of them together let one.
func TestEnableLetsOneMoreThrough(t *testing.T) {
	trials := uint64(10_000)
	if slow || testing.Short() {
		trials = 1000
	}
	more, uncertain, full := 0, 0, 0
	for seed := range trials {
		r := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(t)
		m := w.mint(t)
		target := onetime.Target{ID: m.ID}
		if r.IntN(4) == 0 {
			w.revoke(t, m)
		} else if reason := w.pass(t, m, []string{"", "first"}[r.IntN(2)]); reason != "" {
			t.Fatal(reason)
		}
		claim := ""
		if r.IntN(2) == 0 {
			claim = w.store.Versions(m.ID.ExpiredKey())[0].ID
		}
		rate := []float64{0, 0.1, 0.5}[r.IntN(3)]
		var pending []late
		passes, calls := 0, 0

		// Between any two requests of an enable comes, at random: an upload, a late
		// write, a revoke, or another enable as a whole.
		var enable func(depth int)
		meddle := func(depth int) {
			switch r.IntN(6) {
			case 0, 1:
				if w.pass(t, m, []string{"", "again", "first"}[r.IntN(3)]) == "" {
					passes++
				}
			case 2:
				if n := len(pending); n > 0 {
					pending[n-1]()
					pending = pending[:n-1]
				}
			case 3:
				if r.IntN(8) == 0 {
					operator, _ := w.operator()
					operator.Revoke(context.Background(), target)
				}
			case 4:
				if depth < 2 && r.IntN(4) == 0 {
					enable(depth + 1)
				}
			}
		}
		enable = func(depth int) {
			calls++
			operator, ledger := w.operator()
			spoil := enableFaults(r, rate, ledger, &pending)
			ledger.Intercept = func(c onetimetest.Call) *onetimetest.Fault {
				meddle(depth)
				return spoil(c)
			}
			done, err := operator.Enable(context.Background(), target, onetime.EnableOptions{Replace: true, Claim: claim})
			if _, ok := errors.AsType[*onetime.UncertainError](err); ok {
				uncertain++
			}
			if err == nil && len(done.Claims) > 0 && depth == 0 && calls == 1 && rate == 0 && done.Spent == "" {
				full++
			}
		}
		enable(0)
		meddle(0)
		enable(0) // run twice, whatever came of the first
		for _, f := range pending {
			f()
		}
		for range 3 {
			if w.pass(t, m, "last") == "" {
				passes++
			}
		}
		limit := calls
		if claim != "" {
			limit = 1
		}
		if passes > limit {
			t.Fatalf("seed %d: %d calls of Enable (claim %q) let %d uploads through", seed, calls, claim, passes)
		}
		more += passes
	}
	t.Logf("%d trials: %d more uploads, %d calls without a clear answer, %d undisturbed", trials, more, uncertain, full)
	if more == 0 || uncertain == 0 || full == 0 {
		t.Error("the trials do not reach what they are about")
	}
}

// TestEnableLostAnswers: each write applied, its answer lost; run again, the URL is
// enabled once, and one upload goes through.
func TestEnableLostAnswers(t *testing.T) {
	for _, op := range []string{"HideObject", "DeleteExpired"} {
		for _, fault := range []onetimetest.Fault{{Applied: true}, {}} {
			for _, lost := range []int{1, 2, 3} { // of the first run's tries
				w := newWorld(t)
				m := w.mint(t)
				w.pass(t, m, "first")
				claim := w.store.Versions(m.ID.ExpiredKey())[0].ID
				operator, ledger := w.operator()
				ledger.Intercept = func(c onetimetest.Call) *onetimetest.Fault {
					if c.Op == op && c.N <= lost {
						return &fault
					}
					return nil
				}
				options := onetime.EnableOptions{Replace: true}
				_, err := operator.Enable(context.Background(), onetime.Target{ID: m.ID}, options)
				if e, ok := errors.AsType[*onetime.UncertainError](err); ok {
					if e.Claim != claim || op != "DeleteExpired" {
						t.Errorf("uncertain of claim %q: %v", e.Claim, err)
					}
					options.Claim = e.Claim
				}
				if err == nil != (lost < 3 || op == "HideObject" && fault.Applied) {
					t.Errorf("%s %v, %d lost: %v", op, fault, lost, err)
				}
				if err != nil {
					if done := w.enable(t, m, options); done.Spent != "" {
						t.Errorf("%+v", done)
					}
				}
				for i, want := range []onetime.Reason{"", onetime.Used, onetime.Used} {
					if got := w.pass(t, m, "second"); got != want {
						t.Errorf("%s %v, %d lost: upload %d: %q, want %q", op, fault, lost, i, got, want)
					}
				}
				// Once the URL has been used again, a repeat with the claim undoes nothing.
				_, err = operator.Enable(context.Background(), onetime.Target{ID: m.ID}, onetime.EnableOptions{Replace: true, Claim: claim})
				if stateError(err) != onetime.StateUsed {
					t.Errorf("a repeat of what is done: %v", err)
				}
				if current, exists, _ := w.store.Current(m.Key); !exists || string(current.Body) != "second" {
					t.Error("the second upload is not the current version")
				}
			}
		}
	}
}

// TestEnableDoesNotHideALaterUpload: between looking at the object and putting the
// marker another operator has enabled the URL, and it was used.
func TestEnableDoesNotHideALaterUpload(t *testing.T) {
	w := newWorld(t)
	m := w.mint(t)
	w.pass(t, m, "first")
	operator, ledger := w.operator()
	ledger.Intercept = func(c onetimetest.Call) *onetimetest.Fault {
		if c.Op == "HideObject" && c.N == 1 {
			w.enable(t, m, onetime.EnableOptions{Replace: true})
			if reason := w.pass(t, m, "second"); reason != "" {
				t.Errorf("upload: %s", reason)
			}
		}
		return nil
	}
	_, err := operator.Enable(context.Background(), onetime.Target{ID: m.ID}, onetime.EnableOptions{Replace: true})
	if !errors.Is(err, onetime.ErrChanged) {
		t.Errorf("got %v", err)
	}
	if current, exists, _ := w.store.Current(m.Key); !exists || string(current.Body) != "second" {
		t.Error("the second upload is hidden")
	}
	if state := w.state(t, m); state != "used" {
		t.Errorf("state %s", state)
	}
}

// TestEnableWhereUploadsAreAccepted: what was stored first counts for ever, and so
// cannot be replaced; a URL whose upload broke off is enabled as ever.
func TestEnableWhereUploadsAreAccepted(t *testing.T) {
	for _, stored := range []bool{true, false} {
		w := newWorld(t)
		m := w.mint(t)
		content := ""
		if stored {
			content = "content"
		}
		if reason := w.pass(t, m, content); reason != "" {
			t.Fatalf("upload: %s", reason)
		}
		operator, _ := w.operator()
		operator.Accepting = true
		before := w.store.Keys()
		done, err := operator.Enable(context.Background(), onetime.Target{ID: m.ID}, onetime.EnableOptions{Replace: true})
		state, refused := errors.AsType[*onetime.StateError](err)
		if refused != stored || !stored && (err != nil || len(done.Claims) != 1) {
			t.Errorf("stored %v: %+v, %v", stored, done, err)
		}
		if stored && (!strings.Contains(state.Why, "first version") || !slices.Equal(before, w.store.Keys())) {
			t.Errorf("refused with %q; before %v, after %v", state.Why, before, w.store.Keys())
		}
	}
}

// TestEnableUnderAnInvitation: the place of a revoked URL may be another's by now.
func TestEnableUnderAnInvitation(t *testing.T) {
	w := newWorld(t)
	by := onetime.Credential{Kind: onetime.CredentialInvitation, ID: strings.Repeat("a", onetime.CredentialDigits), Label: "Acme"}.By()
	operator, _ := w.operator()
	revoked := w.order(t, onetime.Order{By: by})
	if _, err := operator.Revoke(t.Context(), onetime.Target{ID: revoked.ID}); err != nil {
		t.Fatal(err)
	}
	if _, err := operator.Enable(t.Context(), onetime.Target{ID: revoked.ID}, onetime.EnableOptions{}); stateError(err) != onetime.StateRevoked {
		t.Errorf("enable what was revoked: %v", err)
	}
	used := w.order(t, onetime.Order{By: by})
	gate, _ := w.gate(onetime.Conditional)
	if _, err := gate.Decide(t.Context(), upload(used, "content"), w.deadline()); err != nil {
		t.Fatal(err)
	}
	if done := w.enable(t, used, onetime.EnableOptions{}); len(done.Claims) != 1 {
		t.Errorf("enable what was used: %+v", done)
	}
}
