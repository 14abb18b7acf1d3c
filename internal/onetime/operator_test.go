package onetime_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

func (w *world) operator() (*onetime.Operator, *onetimetest.Ledger) {
	ledger := &onetimetest.Ledger{Index: onetimetest.Index{Store: w.store, Clock: w.clock}}
	return &onetime.Operator{Ledger: ledger, Clock: w.clock, Entropy: w.entropy}, ledger
}

// pass lets an upload through the gate and stores it, or says why not.
func (w *world) pass(t testing.TB, m onetime.Minted, content string) onetime.Reason {
	t.Helper()
	gate, _ := w.gate(onetime.Conditional)
	pass, err := gate.Decide(context.Background(), upload(m, content), w.deadline())
	if err == nil && content != "" {
		w.store.Overwrite(pass.Key, onetimetest.Entry{Body: []byte(content)})
	}
	return reasonOf(t, err)
}

func (w *world) revoke(t testing.TB, m onetime.Minted) {
	t.Helper()
	operator, _ := w.operator()
	if now, err := operator.Revoke(context.Background(), onetime.Target{ID: m.ID}); err != nil || !now {
		t.Fatalf("revoke: %t, %v", now, err)
	}
}

func (w *world) state(t testing.TB, m onetime.Minted) onetime.State {
	t.Helper()
	operator, _ := w.operator()
	status, err := operator.Status(context.Background(), onetime.Target{ID: m.ID})
	if err != nil {
		t.Fatal(err)
	}
	return status.State
}

// stateError is the state that err speaks of, or "".
func stateError(err error) onetime.State {
	if e, ok := errors.AsType[*onetime.StateError](err); ok {
		return e.State
	}
	return ""
}

// histories are how a URL comes into each state, and what can be done then.
var histories = []struct {
	name   string
	make   func(testing.TB, *world, onetime.Minted)
	state  onetime.State
	stored bool
	// What revoke, enable and enable with replace answer: "" for done, else the
	// state for which they refuse.
	revoke, enable, replace onetime.State
}{
	{"minted", func(testing.TB, *world, onetime.Minted) {}, "minted", false, "", "minted", "minted"},
	{"used and stored", func(t testing.TB, w *world, m onetime.Minted) { w.pass(t, m, "a photo") },
		"used", true, "used", "used", ""},
	{"used, not stored", func(t testing.TB, w *world, m onetime.Minted) { w.pass(t, m, "") },
		"used", false, "used", "", ""},
	{"used, deleted since", func(t testing.TB, w *world, m onetime.Minted) {
		w.pass(t, m, "a photo")
		w.store.Delete(m.Key)
	}, "used", false, "used", "", ""},
	{"revoked", func(t testing.TB, w *world, m onetime.Minted) { w.revoke(t, m) },
		"revoked", false, "", "", ""},
	{"expired", func(_ testing.TB, w *world, m onetime.Minted) { w.clock.Set(m.Expires) },
		"expired", false, "", "expired", "expired"},
	{"used, then expired", func(t testing.TB, w *world, m onetime.Minted) {
		w.pass(t, m, "a photo")
		w.clock.Set(m.Expires)
	}, "used", true, "used", "expired", "expired"},
	{"used, claim under a delete marker", func(t testing.TB, w *world, m onetime.Minted) {
		w.pass(t, m, "")
		w.store.Delete(m.ID.ExpiredKey())
	}, "used", false, "used", "", ""},
	{"enabled", func(t testing.TB, w *world, m onetime.Minted) {
		w.revoke(t, m)
		w.enable(t, m, onetime.EnableOptions{})
	}, "minted", false, "", "minted", "minted"},
	{"replaced", func(t testing.TB, w *world, m onetime.Minted) {
		w.pass(t, m, "a photo")
		w.enable(t, m, onetime.EnableOptions{Replace: true})
	}, "minted", false, "", "minted", "minted"},
	{"used, valid entry gone", func(t testing.TB, w *world, m onetime.Minted) {
		w.pass(t, m, "a photo")
		w.store.Delete(m.ID.ValidKey())
	}, "used", true, "used", "unknown", "unknown"},
	{"all gone", func(_ testing.TB, w *world, m onetime.Minted) { w.store.Delete(m.ID.ValidKey()) },
		"unknown", false, "unknown", "unknown", "unknown"},
}

func TestStates(t *testing.T) {
	for _, h := range histories {
		t.Run(h.name, func(t *testing.T) {
			for _, named := range []string{"by fingerprint", "by URL"} {
				w := newWorld(t)
				m := w.mint(t)
				h.make(t, w, m)
				operator, ledger := w.operator()
				target := onetime.Target{ID: m.ID}
				if named == "by URL" {
					target.Key = m.Key
				}
				before := w.store.Keys()
				got, err := operator.Status(context.Background(), target)
				if err != nil || got.State != h.state || got.ID != m.ID {
					t.Fatalf("%s: %+v, %v, want %s", named, got, err, h.state)
				}
				_, valid, _ := w.store.Current(m.ID.ValidKey())
				if (got.Entry != nil) != valid {
					t.Errorf("%s: entry %v", named, got.Entry)
				}
				knowsKey := valid || named == "by URL"
				if (got.Key == m.Key) != knowsKey {
					t.Errorf("%s: key %q", named, got.Key)
				}
				if (got.Object != nil) != (h.stored && knowsKey) {
					t.Errorf("%s: object %v, want it %t", named, got.Object, h.stored)
				}
				if o := got.Object; o != nil && (o.Size != 7 || o.ETag != `"e81fcea2ce6a3f7a4cef2ce9a4e4b51d"` && len(o.ETag) != 34 || o.Version == "" || len(o.SHA256) != 64) {
					t.Errorf("%s: object %+v", named, o)
				}
				spent := h.state == "used" || h.state == "revoked"
				if (got.Spent != nil) != spent {
					t.Errorf("%s: spent %v", named, got.Spent)
				}
				if current, exists, _ := w.store.Current(m.ID.ExpiredKey()); exists && (got.Spent.Claim != current.ID || !got.Spent.At.Equal(start)) {
					t.Errorf("%s: spent %+v, want version %s at %v", named, got.Spent, current.ID, start)
				}
				if fmt.Sprint(w.store.Keys()) != fmt.Sprint(before) || strings.Contains(ledger.Tally(), "Claim") {
					t.Errorf("%s: looking has changed something: %s", named, ledger.Tally())
				}
			}
		})
	}
}

func TestRevokeStates(t *testing.T) {
	for _, h := range histories {
		t.Run(h.name, func(t *testing.T) {
			w := newWorld(t)
			m := w.mint(t)
			h.make(t, w, m)
			operator, _ := w.operator()
			before := len(w.store.Versions(m.ID.ExpiredKey()))
			now, err := operator.Revoke(context.Background(), onetime.Target{ID: m.ID})
			if stateError(err) != h.revoke || (err == nil) != (h.revoke == "") {
				t.Fatalf("%t, %v, want state error %q", now, err, h.revoke)
			}
			if now != (err == nil && h.state != "revoked") {
				t.Errorf("revoked now %t, was %s", now, h.state)
			}
			want := before
			if now {
				want++
			}
			if got := len(w.store.Versions(m.ID.ExpiredKey())); got != want {
				t.Errorf("%d versions of the expired entry, want %d", got, want)
			}
			if err != nil {
				return
			}
			if state := w.state(t, m); state != "revoked" {
				t.Errorf("state %s", state)
			}
			w.clock.Set(start)
			if reason := w.pass(t, m, "late"); reason != onetime.Revoked {
				t.Errorf("an upload afterwards: %q", reason)
			}
		})
	}
}

// TestUnreadableEntry: an entry that cannot be parsed, of another version perhaps, keeps
// nobody from taking its URL back.
func TestUnreadableEntry(t *testing.T) {
	for _, body := range []string{"", "{}", `{"version":2}`, "\x1b[2J"} {
		w := newWorld(t)
		m := w.mint(t)
		w.store.Overwrite(m.ID.ValidKey(), onetimetest.Entry{Body: []byte(body)})
		operator, _ := w.operator()
		ctx, target := context.Background(), onetime.Target{ID: m.ID}
		if status, err := operator.Status(ctx, target); err == nil {
			t.Errorf("%q: it is %s before it is spent", body, status.State)
		}
		if now, err := operator.Revoke(ctx, target); !now || err != nil {
			t.Errorf("%q: revoked %t, %v", body, now, err)
		}
		if reason := w.pass(t, m, "late"); reason == "" {
			t.Errorf("%q: an upload passes", body)
		}
		for status, err := range operator.List(ctx, onetime.Filter{}) {
			if status.ID != m.ID {
				t.Errorf("%q: the list ends with %+v, %v", body, status, err)
			}
		}
	}
}

// TestRevokeFailures: every request of a revoke fails in every way, by itself and in
// pairs, while an upload comes before, in between or after. Never do both win, and
// what Revoke says is so.
func TestRevokeFailures(t *testing.T) {
	all := failures("ReadValid", "HeadExpired", "Claim", "ReadExpired")
	stride := 7 // divides nothing, so that every kind has its turn
	if slow || testing.Short() {
		stride = 37
	}
	trials, revoked, uncertain := 0, 0, 0
	for i := range all {
		for j := i % stride; j < len(all); j += stride {
			for when := range 6 { // the upload comes before this request of the revoke
				w := newWorld(t)
				m := w.mint(t)
				operator, ledger := w.operator()
				spoil, calls := inject(all[i], all[j]), 0
				var passed onetime.Reason = "not tried"
				ledger.Intercept = func(c onetimetest.Call) *onetimetest.Fault {
					if calls == when {
						passed = w.pass(t, m, "a photo")
					}
					calls++
					return spoil(c)
				}
				now, err := operator.Revoke(context.Background(), onetime.Target{ID: m.ID})
				if passed == "not tried" {
					passed = w.pass(t, m, "a photo")
				}
				lies := lying(all[i], all[j])
				state := w.state(t, m)
				if (state == "used") != (passed == "") {
					t.Errorf("%s, %s, upload at %d: upload %q, state %s", all[i], all[j], when, passed, state)
				}
				switch {
				case err == nil && state != "revoked" && !lies:
					t.Errorf("%s, %s, upload at %d: revoked %t, state %s", all[i], all[j], when, now, state)
				case stateError(err) == "used" && state != "used" && !lies:
					t.Errorf("%s, %s, upload at %d: said to be used, state %s", all[i], all[j], when, state)
				}
				if n := len(w.store.Versions(m.ID.ExpiredKey())); n > 1 {
					t.Errorf("%s, %s, upload at %d: %d claims", all[i], all[j], when, n)
				}
				trials++
				if err == nil {
					revoked++
				} else if stateError(err) == "" {
					uncertain++
				}
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d trials: revoked %d, without a clear answer %d", trials, revoked, uncertain)
}

// lying tells whether S3 gives a definite answer that may not be true.
func lying(failures ...failure) bool {
	for _, f := range failures {
		switch {
		case f.Status == 404, f.Status == 412, f.Status == 409 && f.Applied:
			return true
		}
	}
	return false
}

// TestRevokeRace lets uploads and a revoke loose on one URL in memory.
func TestRevokeRace(t *testing.T) {
	rounds := 500
	if slow || testing.Short() {
		rounds = 50
	}
	revokes := 0
	for range rounds {
		w := newWorld(t)
		m := w.mint(t)
		operator, _ := w.operator()
		var passes [4]onetime.Reason
		var err error
		var all sync.WaitGroup
		for i := range passes {
			all.Go(func() { passes[i] = w.pass(t, m, fmt.Sprint("body ", i)) })
		}
		all.Go(func() { _, err = operator.Revoke(context.Background(), onetime.Target{ID: m.ID}) })
		all.Wait()
		winners := 0
		for _, reason := range passes {
			if reason == "" {
				winners++
			}
		}
		if err == nil {
			winners++
			revokes++
		} else if stateError(err) != "used" {
			t.Fatal(err)
		}
		if winners != 1 || (err == nil) != (w.state(t, m) == "revoked") {
			t.Fatalf("%d winners, uploads %q, revoke %v, state %s", winners, passes, err, w.state(t, m))
		}
	}
	t.Logf("%d rounds: the revoke won %d times", rounds, revokes)
}

func TestParseTarget(t *testing.T) {
	w := newWorld(t)
	m := w.mint(t)
	pathQuery := m.Path + "?" + m.Query
	for _, s := range []string{
		string(m.ID), pathQuery, "https://d111.cloudfront.net" + pathQuery, "http://localhost:8080" + pathQuery,
		"https://upload.example.com" + pathQuery,
	} {
		got, err := onetime.ParseTarget(s, onetimetest.Region)
		if err != nil || got.ID != m.ID || (got.Key != m.Key && s != string(m.ID)) {
			t.Errorf("%.40s…: %+v, %v", s, got, err)
		}
	}
	for _, s := range []string{
		"", "x", string(m.ID) + "0", strings.ToUpper(string(m.ID)), m.Path, m.Path + "?", "ftp://host" + pathQuery,
		"https://host", "https://host/", "host" + pathQuery, pathQuery + "&x=y", pathQuery + "#f", pathQuery + " ",
		strings.Replace(pathQuery, "/uploads/", "/uploads//", 1),
		strings.Replace(pathQuery, onetimetest.Region, "mars-north-1", 1),
	} {
		got, err := onetime.ParseTarget(s, onetimetest.Region)
		if err == nil {
			t.Errorf("%q is %+v", s, got)
			continue
		}
		if signature := m.Query[len(m.Query)-64:]; strings.Contains(err.Error(), signature) || strings.Contains(err.Error(), string(m.ID)) {
			t.Errorf("the error repeats what it was given: %v", err)
		}
	}
}

// TestStatusFaults: without a clear answer there is no state.
func TestStatusFaults(t *testing.T) {
	for _, op := range []string{"ReadValid", "HeadExpired", "HeadObject"} {
		w := newWorld(t)
		m := w.mint(t)
		w.pass(t, m, "a photo")
		operator, ledger := w.operator()
		ledger.Intercept = func(c onetimetest.Call) *onetimetest.Fault {
			if c.Op == op {
				return &onetimetest.Fault{Status: 503}
			}
			return nil
		}
		if status, err := operator.Status(context.Background(), onetime.Target{ID: m.ID}); err == nil {
			t.Errorf("%s: state %s", op, status.State)
		}
	}
	// What the claim says of itself is not needed for the state.
	w := newWorld(t)
	m := w.mint(t)
	w.pass(t, m, "")
	operator, ledger := w.operator()
	ledger.Intercept = func(c onetimetest.Call) *onetimetest.Fault {
		if c.Op == "ReadExpired" {
			return &onetimetest.Fault{Status: 503}
		}
		return nil
	}
	if status, err := operator.Status(context.Background(), onetime.Target{ID: m.ID}); err != nil || status.State != "used" || *status.Spent != (onetime.Spent{}) {
		t.Errorf("%+v, %v", status, err)
	}
	// A valid entry that cannot be read is not taken for an absent one.
	w.store.Overwrite(m.ID.ValidKey(), onetimetest.Entry{Body: []byte(`{"version":2}`)})
	if status, err := operator.Status(context.Background(), onetime.Target{ID: m.ID}); err == nil {
		t.Errorf("an unknown entry: %+v", status)
	}
	if now, err := operator.Revoke(context.Background(), onetime.Target{ID: m.ID}); stateError(err) != onetime.StateUsed {
		t.Errorf("revoke over an unknown entry: %t, %v", now, err)
	}
}

// TestOperatorPatience: no request may take longer than an operator waits, and with
// its repeats it ends.
func TestOperatorPatience(t *testing.T) {
	w := newWorld(t)
	m := w.mint(t)
	operator, ledger := w.operator()
	ledger.Intercept = func(c onetimetest.Call) *onetimetest.Fault {
		w.clock.Sleep(context.Background(), c.Limit)
		return &onetimetest.Fault{}
	}
	_, err := operator.Status(context.Background(), onetime.Target{ID: m.ID})
	if took := w.clock.Now().Sub(start); err == nil || took > time.Minute {
		t.Errorf("took %v: %v", took, err)
	}
}

// TestRevokeWithoutEntropy: a claim that its claimant could not recognise is not made.
func TestRevokeWithoutEntropy(t *testing.T) {
	w := newWorld(t)
	m := w.mint(t)
	operator, ledger := w.operator()
	operator.Entropy = &limited{w.entropy, 15}
	if now, err := operator.Revoke(t.Context(), onetime.Target{ID: m.ID}); now || err == nil {
		t.Errorf("revoked %t, %v", now, err)
	}
	if got := ledger.Tally(); got != looked {
		t.Errorf("requests %q, want %q", got, looked)
	}
}
