package onetime_test

import (
	"context"
	"strings"
	"testing"

	"oncegate/internal/onetime"
)

const (
	ourNonce   = "0123456789abcdef0123456789abcdef"
	otherNonce = "fedcba9876543210fedcba9876543210"
)

// try asks a gate of its own, as a try in another container does.
func (w *world) try(t *testing.T, mode onetime.FirstVersion, m onetime.Minted, a onetime.Attempt, failures ...failure) onetime.Reason {
	t.Helper()
	gate, index := w.gate(mode)
	index.Intercept = inject(failures...)
	put := upload(m, "tries of "+a.Nonce)
	put.Attempt = a
	_, err := gate.Decide(context.Background(), put, w.deadline())
	return reasonOf(t, err)
}

// A repeated request finds its own claim and nobody else's.
func TestRepeatedRequest(t *testing.T) {
	first := onetime.Attempt{Nonce: ourNonce}
	again := onetime.Attempt{Nonce: ourNonce, Repeated: true}
	stranger := onetime.Attempt{Nonce: otherNonce, Repeated: true}
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t)
			m := w.mint(t)
			for i, step := range []struct {
				attempt onetime.Attempt
				want    onetime.Reason
			}{
				{first, ""},
				{again, ""},
				{again, ""},
				{first, onetime.Used}, // who does not say that it asks again is somebody else
				{stranger, onetime.Used},
				{onetime.Attempt{}, onetime.Used},
				{again, ""},
			} {
				if got := w.try(t, mode, m, step.attempt); got != step.want {
					t.Errorf("step %d: %q, want %q", i, got, step.want)
				}
			}
			if claims := w.claimants(t, m.ID); len(claims) != 1 {
				t.Errorf("claims: %v", claims)
			}

			m = w.mint(t)
			if got := w.try(t, mode, m, again); got != "" {
				t.Errorf("the first try never arrived: %q", got)
			}
			m = w.mint(t)
			w.store.Put(m.ID.ExpiredKey(), expiredEntry(onetime.Revoked), true)
			if got := w.try(t, mode, m, again); got != onetime.Revoked {
				t.Errorf("revoked between the tries: %q", got)
			}
			m = w.mint(t)
			w.try(t, mode, m, first)
			w.store.Delete(m.ID.ExpiredKey())
			if got := w.try(t, mode, m, again); got != onetime.Used {
				t.Errorf("a delete marker between the tries: %q", got)
			}
		})
	}
}

// Whatever fails in the first try or the second: at most one claim, a pass only with
// it, and never the word that nothing was spent when something was.
func TestRepeatedRequestFaults(t *testing.T) {
	none := failure{n: -1}
	all := append(gateFailures(), none)
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			for i, one := range all {
				for j, two := range all {
					if one != none && two != none && (slow || testing.Short() || (i+j)%3 != 0) {
						continue
					}
					w := newWorld(t)
					m := w.mint(t)
					w.try(t, mode, m, onetime.Attempt{Nonce: ourNonce}, one)
					got := w.try(t, mode, m, onetime.Attempt{Nonce: ourNonce, Repeated: true}, two)
					claims := w.claimants(t, m.ID)
					switch {
					case len(claims) > 1, got == "" && len(claims) != 1:
						t.Errorf("%v, then %v: %q with claims %v", one, two, got, claims)
					case got == onetime.IndexUnavailable:
						t.Errorf("%v, then %v: said that nothing was spent", one, two)
					case two == none && got != "":
						t.Errorf("%v, then nothing wrong: %q", one, got)
					}
					if late := w.try(t, mode, m, onetime.Attempt{Nonce: otherNonce, Repeated: true}); late == "" && len(claims) > 0 {
						t.Errorf("%v, then %v: another request passed as well", one, two)
					}
				}
			}
		})
	}
}

func TestBadNonce(t *testing.T) {
	w := newWorld(t)
	m := w.mint(t)
	for _, a := range []onetime.Attempt{
		{Repeated: true}, {Nonce: "00"}, {Nonce: strings.ToUpper(ourNonce)}, {Nonce: ourNonce + "00"}, {Nonce: strings.Repeat("x", 32), Repeated: true},
	} {
		gate, index := w.gate(onetime.Conditional)
		put := upload(m, "")
		put.Attempt = a
		_, err := gate.Decide(context.Background(), put, w.deadline())
		if got := reasonOf(t, err); got != onetime.Internal || len(index.Calls()) > 0 {
			t.Errorf("%+v: %q after %s", a, got, index.Tally())
		}
	}
}
