package onetime_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// liar answers for a Spender.
type liar struct {
	*onetimetest.Index
	lie func(onetime.Spending, error) (onetime.Spending, error)
}

func (l liar) Spend(ctx context.Context, limit time.Duration, id onetime.ID, claim onetime.ExpiredEntry, terms onetime.Terms) (onetime.Spending, error) {
	return l.lie(l.Index.Spend(ctx, limit, id, claim, terms))
}

// TestSpenderThatLies: what a Spender says is compared with what it shows. It costs the URL, and
// lets nothing through.
func TestSpenderThatLies(t *testing.T) {
	entry := func(change func(*onetime.ValidEntry)) func(onetime.Spending, error) (onetime.Spending, error) {
		return func(s onetime.Spending, err error) (onetime.Spending, error) {
			e, _ := onetime.ParseValidEntry(s.Valid)
			change(&e)
			s.Valid = e.Marshal()
			return s, err
		}
	}
	claim := func(body []byte) func(onetime.Spending, error) (onetime.Spending, error) {
		return func(s onetime.Spending, err error) (onetime.Spending, error) {
			s.Expired = body
			return s, err
		}
	}
	ours := expiredEntry(onetime.Revoked).Body
	ours = []byte(strings.Replace(string(ours), "00112233445566778899aabbccddeeff", ourNonce, 1))
	for name, test := range map[string]struct {
		lie  func(onetime.Spending, error) (onetime.Spending, error)
		want onetime.Reason
	}{
		"another's claim":     {claim(expiredEntry(onetime.Used).Body), onetime.ClaimUnknown},
		"no claim":            {claim(nil), onetime.ClaimUnknown},
		"a claim of another":  {claim([]byte(`{"version":2}`)), onetime.ClaimUnknown},
		"an operator's claim": {claim(ours), onetime.ClaimUnknown},
		"no valid entry":      {func(s onetime.Spending, err error) (onetime.Spending, error) { s.Valid = nil; return s, err }, onetime.ClaimUnknown},
		"a later valid entry": {func(s onetime.Spending, err error) (onetime.Spending, error) {
			s.Valid = []byte(`{"version":2}`)
			return s, err
		}, onetime.ClaimUnknown},
		"another object":      {entry(func(e *onetime.ValidEntry) { e.Key = "uploads/" + aUUID }), onetime.ClaimUnknown},
		"too large":           {entry(func(e *onetime.ValidEntry) { e.Limits.MaxBytes = 4 }), onetime.ClaimUnknown},
		"too small":           {entry(func(e *onetime.ValidEntry) { e.Limits.MinBytes = 6 }), onetime.ClaimUnknown},
		"another type":        {entry(func(e *onetime.ValidEntry) { e.Limits.Type = "a/*" }), onetime.ClaimUnknown},
		"over":                {entry(func(e *onetime.ValidEntry) { e.Created, e.Expires = start.Add(-life), start }), onetime.Expired},
		"no form of an error": {func(onetime.Spending, error) (onetime.Spending, error) { return onetime.Spending{}, errors.New("odd") }, onetime.ClaimUnknown},
		"not claimed, and free": {func(s onetime.Spending, err error) (onetime.Spending, error) {
			s.Claimed, s.Expired = false, nil
			return s, err
		}, onetime.Used},
		"not claimed, another object": {func(s onetime.Spending, err error) (onetime.Spending, error) {
			s, err = entry(func(e *onetime.ValidEntry) { e.Key = "uploads/" + aUUID })(s, err)
			s.Claimed, s.Expired = false, nil
			return s, err
		}, onetime.IndexUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			minted := w.mint(t)
			gate, index := w.gate(onetime.Conditional)
			gate.Spender = liar{index, test.lie}
			put := upload(minted, "ours")
			put.Attempt = onetime.Attempt{Nonce: ourNonce}
			_, err := gate.Decide(t.Context(), put, w.deadline())
			if got := reasonOf(t, err); got != test.want {
				t.Errorf("%v, want %q", err, test.want)
			}
			if claims := w.claimants(t, minted.ID); len(claims) != 1 {
				t.Errorf("claims %q", claims)
			}
		})
	}
}
