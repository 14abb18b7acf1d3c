package onetime_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"oncegate/internal/layout"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// move is a URL between two indexes: old, where it was minted, and new.
type move struct {
	*world           // the old one
	new       *world // the new one, with the same clock and entropy
	minted    onetime.Minted
	intercept func(onetimetest.Call) *onetimetest.Fault // for both indexes
	atOnce    bool                                      // the new index is an onetime.AtOnce
}

func newMove(t *testing.T, atOnce bool) *move {
	old, other := newWorld(t), newWorld(t)
	other.clock, other.entropy = old.clock, old.entropy
	return &move{world: old, new: other, minted: old.mint(t), atOnce: atOnce}
}

// toBoth runs a test with each kind of new index.
func toBoth(t *testing.T, test func(t *testing.T, newMove func(*testing.T) *move)) {
	for name, atOnce := range map[string]bool{"in order": false, "at once": true} {
		t.Run(name, func(t *testing.T) { test(t, func(t *testing.T) *move { return newMove(t, atOnce) }) })
	}
}

func (m *move) mover() *onetime.Mover {
	index := func(w *world) *onetimetest.Index {
		return &onetimetest.Index{Store: w.store, Clock: w.clock, Intercept: m.intercept}
	}
	mover := &onetime.Mover{From: index(m.world), To: index(m.new), Clock: m.clock, Entropy: m.entropy}
	if m.atOnce {
		mover.To = onetimetest.Table{Index: index(m.new)}
	}
	return mover
}

// back is the mover of the other direction.
func (m *move) back() *onetime.Mover {
	mover := m.mover()
	mover.From, mover.To = mover.To, mover.From
	return mover
}

func (m *move) must(t *testing.T, want onetime.Move) {
	t.Helper()
	before, now := len(m.store.Keys()), len(m.new.store.Keys())
	if got, err := m.mover().Look(t.Context(), m.minted.ID); err != nil || got != want {
		t.Errorf("Look = %q, %v, want %q", got, err, want)
	}
	if len(m.store.Keys()) != before || len(m.new.store.Keys()) != now {
		t.Error("Look writes")
	}
	if got, err := m.mover().Move(t.Context(), m.minted.ID); err != nil || got != want {
		t.Fatalf("Move = %q, %v, want %q", got, err, want)
	}
}

// ask asks an old or a new gate.
func (m *move) ask(t *testing.T, w *world, who string) onetime.Reason {
	t.Helper()
	gate, _ := w.spender()
	if w == m.world {
		gate.Spender = nil
	}
	_, err := gate.Decide(t.Context(), upload(m.minted, who), m.deadline())
	return reasonOf(t, err)
}

// TestMoveGood: once moved, a URL is good at the new gate alone, and once.
func TestMoveGood(t *testing.T) { toBoth(t, testMoveGood) }

func testMoveGood(t *testing.T, newMove func(*testing.T) *move) {
	m := newMove(t)
	if got := m.ask(t, m.new, "too early"); got != onetime.Unknown {
		t.Errorf("before the move: %q, want unknown", got)
	}
	for range 3 {
		m.must(t, onetime.MovedGood)
	}
	if got := m.ask(t, m.world, "old"); got != onetime.Revoked {
		t.Errorf("at the old gate: %q, want revoked", got)
	}
	for i, want := range []onetime.Reason{"", onetime.Used} {
		if got := m.ask(t, m.new, fmt.Sprint("new ", i)); got != want {
			t.Errorf("at the new gate: %q, want %q", got, want)
		}
		m.must(t, onetime.MovedGood) // gives nothing back
	}
	if got := m.ask(t, m.new, "new again"); got != onetime.Used {
		t.Errorf("at the new gate: %q, want used", got)
	}
}

// TestMoveSpent: what is spent in the old index is spent in the new one, for the same reason and
// with the same claim.
func TestMoveSpent(t *testing.T) { toBoth(t, testMoveSpent) }

func testMoveSpent(t *testing.T, newMove func(*testing.T) *move) {
	for _, reason := range []onetime.Reason{onetime.Used, onetime.Revoked} {
		m := newMove(t)
		m.store.Put(m.minted.ID.ExpiredKey(), expiredEntry(reason), true)
		for range 2 {
			m.must(t, onetime.MovedSpent)
		}
		if got := m.ask(t, m.new, "new"); got != reason {
			t.Errorf("%q, want %q", got, reason)
		}
		if old, now := m.claimed(m.minted.ID), m.new.claimed(m.minted.ID); old != now {
			t.Errorf("the claim %s became %s", old, now)
		}
	}
	m := newMove(t)
	m.store.Put(m.minted.ID.ExpiredKey(), expiredEntry(onetime.Used), true)
	m.store.Delete(m.minted.ID.ExpiredKey())
	m.must(t, onetime.MovedSpent)
	if got := m.ask(t, m.new, "new"); got != onetime.Used {
		t.Errorf("hidden by a delete marker: %q, want used", got)
	}
}

// TestMoveNothing: what is not there, or over, is left alone, and so is what cannot be read.
func TestMoveNothing(t *testing.T) { toBoth(t, testMoveNothing) }

func testMoveNothing(t *testing.T, newMove func(*testing.T) *move) {
	m := newMove(t)
	if got, err := m.mover().Move(t.Context(), onetime.Fingerprint("/another", "")); err != nil || got != onetime.MovedUnknown {
		t.Errorf("Move of nothing = %q, %v", got, err)
	}
	m.clock.Set(start.Add(life))
	m.must(t, onetime.MovedOver)
	m.clock.Set(start)
	m.store.Overwrite(m.minted.ID.ValidKey(), onetimetest.Entry{Body: []byte(`{"version":2}`)})
	if got, err := m.mover().Move(t.Context(), m.minted.ID); err == nil {
		t.Errorf("Move of a later oncegate's URL = %q", got)
	}
	m = newMove(t)
	mover := m.mover()
	mover.From.(*onetimetest.Index).Clock = onetimetest.NewClock(start.Add(-time.Minute))
	if got, err := mover.Move(t.Context(), m.minted.ID); err == nil {
		t.Errorf("Move with a clock that is off = %q", got)
	}
	m = newMove(t)
	m.store.Put(m.minted.ID.ExpiredKey(), onetimetest.Entry{Body: []byte(`{"version":2}`)}, true)
	if got, err := m.mover().Move(t.Context(), m.minted.ID); err == nil {
		t.Errorf("Move of a claim that cannot be read = %q", got)
	}
	if keys := m.new.store.Keys(); len(keys) != 0 {
		t.Errorf("the new index has %q", keys)
	}
}

// TestMoveRecords: what goes with a URL goes along, spent or not.
func TestMoveRecords(t *testing.T) { toBoth(t, testMoveRecords) }

func testMoveRecords(t *testing.T, newMove func(*testing.T) *move) {
	for _, spent := range []bool{false, true} {
		m := newMove(t)
		records := map[string]string{m.minted.ID.PartsKey(): "parts", layout.UploadEntry(m.minted.Key): "upload"}
		for key, body := range records {
			m.store.Put(key, onetimetest.Entry{Body: []byte(body)}, true)
		}
		want := onetime.MovedGood
		if spent {
			m.store.Put(m.minted.ID.ExpiredKey(), expiredEntry(onetime.Used), true)
			want = onetime.MovedSpent
		}
		for range 2 {
			m.must(t, want)
		}
		for key, body := range records {
			if got := m.new.stored(t, key); string(got) != body {
				t.Errorf("spent %t: %s is %q, want %q", spent, key, got, body)
			}
		}
	}
}

// TestMoveLostAnswers: each request of a move fails, with and without effect, once and always.
// Whatever had become of the move by then, one upload passes at most, and after another move,
// which finds everything well, exactly one.
func TestMoveLostAnswers(t *testing.T) { toBoth(t, testMoveLostAnswers) }

func testMoveLostAnswers(t *testing.T, newMove func(*testing.T) *move) {
	ops := []string{"ReadValid", "HeadExpired", "Claim", "ReadExpired", "WriteValid", "ReadParts", "WriteParts", "ReadUpload", "WriteUpload", "WriteAtOnce"}
	for _, spent := range []bool{false, true} {
		for _, op := range ops {
			for _, fault := range []onetimetest.Fault{{}, {Applied: true}, {Status: 403}, {Status: 503, Applied: true}, {Status: 429}} {
				for _, always := range []bool{false, true} {
					m := newMove(t)
					m.store.Put(m.minted.ID.PartsKey(), onetimetest.Entry{Body: []byte("parts")}, true)
					m.store.Put(layout.UploadEntry(m.minted.Key), onetimetest.Entry{Body: []byte("upload")}, true)
					if spent {
						m.store.Put(m.minted.ID.ExpiredKey(), expiredEntry(onetime.Used), true)
					}
					m.intercept = func(call onetimetest.Call) *onetimetest.Fault {
						if call.Op == op && (always || call.N == 1) {
							return &fault
						}
						return nil
					}
					name := fmt.Sprintf("spent %t, %s, %v, always %t", spent, op, fault, always)
					if got, err := m.mover().Move(context.WithoutCancel(t.Context()), m.minted.ID); err == nil && (got == onetime.MovedSpent) != spent {
						t.Errorf("%s: %q", name, got)
					}
					m.intercept = nil
					passes := 0
					ask := func(w *world) {
						if m.ask(t, w, fmt.Sprint("upload ", passes)) == "" {
							passes++
						}
					}
					ask(m.new)
					ask(m.world)
					if _, err := m.mover().Move(t.Context(), m.minted.ID); err != nil {
						t.Errorf("%s, and again: %v", name, err)
					}
					ask(m.world)
					ask(m.new)
					if want := map[bool]int{false: 1, true: 0}[spent]; passes != want {
						t.Errorf("%s: %d uploads pass, want %d", name, passes, want)
					}
				}
			}
		}
	}
}

// TestMoveBack: a URL that was moved never goes back, and the try changes nothing.
func TestMoveBack(t *testing.T) { toBoth(t, testMoveBack) }

func testMoveBack(t *testing.T, newMove func(*testing.T) *move) {
	back := func(m *move, want onetime.Move) {
		t.Helper()
		if got, err := m.back().Move(t.Context(), m.minted.ID); err != nil || got != want {
			t.Errorf("Move back = %q, %v, want %q", got, err, want)
		}
	}
	m := newMove(t)
	m.must(t, onetime.MovedGood)
	for range 2 {
		back(m, onetime.MovedStays)
	}
	m.must(t, onetime.MovedGood)
	if got := m.ask(t, m.world, "old"); got != onetime.Revoked {
		t.Errorf("at the old gate: %q, want revoked", got)
	}
	if got := m.ask(t, m.new, "new"); got != "" {
		t.Errorf("at the new gate: %q, want a pass", got)
	}
	back(m, onetime.MovedSpent)
	m.new.store.Delete(m.minted.ID.ExpiredKey())
	back(m, onetime.MovedSpent)

	for _, op := range []string{"ReadExpired", "HeadExpired"} {
		m := newMove(t)
		m.must(t, onetime.MovedGood)
		m.intercept = func(call onetimetest.Call) *onetimetest.Fault {
			if call.Op == op {
				return &onetimetest.Fault{Status: 403}
			}
			return nil
		}
		if got, err := m.back().Move(t.Context(), m.minted.ID); err == nil {
			t.Errorf("%s fails, and Move back = %q", op, got)
		}
		m.intercept = nil
		if got := m.ask(t, m.new, "new"); got != "" {
			t.Errorf("%s failed, at the new gate: %q, want a pass", op, got)
		}
	}
	m = newMove(t)
	m.new.store.Put(m.minted.ID.ExpiredKey(), onetimetest.Entry{Body: []byte(`{"version":2}`)}, true)
	if got, err := m.mover().Move(t.Context(), m.minted.ID); err == nil {
		t.Errorf("Move with a claim in the new index that cannot be read = %q", got)
	}
	if got := m.ask(t, m.world, "old"); got != "" {
		t.Errorf("at the old gate: %q, want a pass", got)
	}
}

// TestMoveEnabled: a URL that was moved spent and is made good again in the new index stays good
// there, however often it is moved.
func TestMoveEnabled(t *testing.T) { toBoth(t, testMoveEnabled) }

func testMoveEnabled(t *testing.T, newMove func(*testing.T) *move) {
	m := newMove(t)
	m.store.Put(m.minted.ID.ExpiredKey(), expiredEntry(onetime.Used), true)
	m.must(t, onetime.MovedSpent)
	operator, _ := m.new.operator()
	if _, err := operator.Enable(t.Context(), onetime.Target{ID: m.minted.ID}, onetime.EnableOptions{}); err != nil {
		t.Fatal(err)
	}
	m.must(t, onetime.MovedSpent)
	for i, want := range []onetime.Reason{"", onetime.Used} {
		if got := m.ask(t, m.new, fmt.Sprint("new ", i)); got != want {
			t.Errorf("at the new gate: %q, want %q", got, want)
		}
	}
}

// TestMoveAtOnce: the new index of this kind gets one write about the URL, and one about its
// upload.
func TestMoveAtOnce(t *testing.T) {
	m := newMove(t, true)
	m.store.Put(m.minted.ID.PartsKey(), onetimetest.Entry{Body: []byte("parts")}, true)
	m.store.Put(m.minted.ID.ExpiredKey(), expiredEntry(onetime.Used), true)
	mover := m.mover()
	if got, err := mover.Move(t.Context(), m.minted.ID); err != nil || got != onetime.MovedSpent {
		t.Errorf("Move = %q, %v", got, err)
	}
	if got, want := mover.To.(onetimetest.Table).Tally(), "ReadExpired 1, WriteAtOnce 1"; got != want {
		t.Errorf("requests to the new index: %s, want %s", got, want)
	}
}

// TestMoveRace: old gates, new gates and movers at the same time.
func TestMoveRace(t *testing.T) { toBoth(t, testMoveRace) }

func testMoveRace(t *testing.T, newMove func(*testing.T) *move) {
	for round := range 50 {
		m := newMove(t)
		reasons, errs := make([]onetime.Reason, 12), make([]error, 12)
		var all sync.WaitGroup
		for i := range reasons {
			all.Go(func() {
				switch i % 3 {
				case 0:
					_, errs[i] = m.mover().Move(t.Context(), m.minted.ID)
					reasons[i] = onetime.Unknown
				case 1:
					reasons[i] = m.ask(t, m.world, fmt.Sprint(i))
				default:
					reasons[i] = m.ask(t, m.new, fmt.Sprint(i))
				}
			})
		}
		all.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
		passes := len(slices.DeleteFunc(reasons, func(r onetime.Reason) bool { return r != "" }))
		if m.ask(t, m.new, "the last") == "" {
			passes++
		}
		if passes != 1 {
			t.Errorf("round %d: %d uploads pass", round, passes)
		}
	}
}

// TestEnableMoved: a URL that was moved stays refused in the old index, for it would be good in
// both.
func TestEnableMoved(t *testing.T) {
	m := newMove(t, true)
	m.must(t, onetime.MovedGood)
	operator, _ := m.operator()
	_, err := operator.Enable(t.Context(), onetime.Target{ID: m.minted.ID}, onetime.EnableOptions{Replace: true})
	if state, ok := errors.AsType[*onetime.StateError](err); !ok || !strings.Contains(err.Error(), "moved to another index") || state.State != onetime.StateRevoked {
		t.Errorf("Enable: %v", err)
	}
	if got := m.ask(t, m.world, "at the old gate"); got != onetime.Revoked {
		t.Errorf("the old gate: %q, want revoked", got)
	}
	if got := m.ask(t, m.new, "at the new gate"); got != "" {
		t.Errorf("the new gate: %q, want a pass", got)
	}
}
