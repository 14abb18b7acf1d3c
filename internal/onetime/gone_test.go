package onetime_test

import (
	"context"
	"testing"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// goneLedger is an index that keeps a URL's entries in one place, which are deleted just before
// a claim of the URL.
type goneLedger struct{ *onetimetest.Ledger }

func (goneLedger) Claim(context.Context, time.Duration, onetime.ID, onetime.Reason, []byte) (string, error) {
	return "", onetime.ErrAbsent
}

// TestGoneBeforeTheClaim: a URL whose entries are gone is unknown to all that claim it. Nobody
// takes that for a URL that is known to be unspent.
func TestGoneBeforeTheClaim(t *testing.T) {
	w := newWorld(t)
	m := w.mintBy(t, alice)
	ledger := goneLedger{&onetimetest.Ledger{Index: onetimetest.Index{Store: w.store, Clock: w.clock}}}

	gate, _ := w.gate(onetime.Conditional)
	gate.Index = ledger
	_, err := gate.Decide(t.Context(), upload(m, "late"), w.deadline())
	if reason := reasonOf(t, err); reason != onetime.Unknown {
		t.Errorf("the gate refuses with %q, want %q", reason, onetime.Unknown)
	}
	operator := &onetime.Operator{Ledger: ledger, Clock: w.clock, Entropy: w.entropy}
	if now, err := operator.Revoke(t.Context(), onetime.Target{ID: m.ID}); now || stateError(err) != onetime.StateUnknown {
		t.Errorf("Operator.Revoke = %t, %v, want the state unknown", now, err)
	}
	owner := &onetime.Owner{Records: ledger, Clock: w.clock, Entropy: w.entropy}
	if now, err := owner.Revoke(t.Context(), alice, m.ID, w.deadline()); now || reasonOf(t, err) != onetime.Unknown {
		t.Errorf("Owner.Revoke = %t, %v, want unknown", now, err)
	}
	closer := &onetime.Closer{Records: ledger, Clock: w.clock, Entropy: w.entropy}
	if unspent, err := closer.Close(t.Context(), m.ID, w.deadline()); unspent || err != nil {
		t.Errorf("Close = %t, %v, want that nobody can tell", unspent, err)
	}
}
