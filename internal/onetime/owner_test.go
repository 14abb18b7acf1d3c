package onetime_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// credential is a token of this subject, or an API key with this label.
func credential(kind, id, label string) onetime.Credential {
	return onetime.Credential{Kind: kind, ID: strings.Repeat(id, onetime.CredentialDigits/len(id)), Label: label}
}

var alice = credential(onetime.CredentialToken, "a1", "alice")

func (w *world) owner() (*onetime.Owner, *onetimetest.Ledger) {
	ledger := &onetimetest.Ledger{Index: onetimetest.Index{Store: w.store, Clock: w.clock}}
	return &onetime.Owner{Records: ledger, Clock: w.clock, Entropy: w.entropy}, ledger
}

func (w *world) mintBy(t testing.TB, by onetime.Credential) onetime.Minted {
	t.Helper()
	minter, _ := w.minter()
	minted, err := minter.Mint(context.Background(), onetime.Order{By: by.By()}, w.deadline())
	if err != nil {
		t.Fatal(err)
	}
	return minted
}

// TestOwnerStates: an owner is told what an operator is told, and may revoke what an
// operator may; but a URL whose valid entry is gone is nobody's.
func TestOwnerStates(t *testing.T) {
	for _, h := range histories {
		t.Run(h.name, func(t *testing.T) {
			w := newWorld(t)
			m := w.mintBy(t, alice)
			h.make(t, w, m)
			owner, _ := w.owner()
			operator, _ := w.operator()
			ctx := context.Background()
			want, err := operator.Status(ctx, onetime.Target{ID: m.ID})
			if err != nil {
				t.Fatal(err)
			}
			got, err := owner.Status(ctx, alice, m.ID, w.deadline())
			switch {
			case want.Entry == nil:
				if reasonOf(t, err) != onetime.Unknown {
					t.Errorf("%+v, %v, want unknown", got, err)
				}
			case err != nil || !reflect.DeepEqual(got, want):
				t.Errorf("%+v, %v, want %+v", got, err, want)
			}

			before := w.store.Keys()
			now, err := owner.Revoke(ctx, alice, m.ID, w.deadline())
			wantReason := onetime.Reason("")
			if want.Entry == nil {
				wantReason = onetime.Unknown
			} else if h.revoke == onetime.StateUsed {
				wantReason = onetime.Used
			}
			if reason := reasonOf(t, err); reason != wantReason || now != (reason == "" && h.state != "revoked") {
				t.Fatalf("revoked now %t, %v, want %q", now, err, wantReason)
			}
			if err != nil {
				if after := w.store.Keys(); !reflect.DeepEqual(after, before) {
					t.Errorf("refused, and the store changed from %q to %q", before, after)
				}
				return
			}
			if reason := w.pass(t, m, "late"); reason != onetime.Revoked && h.state != onetime.StateExpired {
				t.Errorf("a late upload: %q, want revoked", reason)
			}
			if again, err := owner.Revoke(ctx, alice, m.ID, w.deadline()); again || err != nil {
				t.Errorf("revoked again: %t, %v", again, err)
			}
		})
	}
}

// TestOwnerSeesNobodyElses: a URL of another credential, of none, and one that never
// was are alike: the same answer after the same one request.
func TestOwnerSeesNobodyElses(t *testing.T) {
	for name, c := range map[string]struct {
		by     onetime.Credential // who minted
		as     onetime.Credential // who asks
		absent bool
	}{
		"another's":                 {credential(onetime.CredentialToken, "b2", "bob"), alice, false},
		"another's, of one label":   {credential(onetime.CredentialToken, "b2", "alice"), alice, false},
		"a key's, of one label":     {credential(onetime.CredentialKey, "b2", "alice"), alice, false},
		"a key's, of one id":        {credential(onetime.CredentialKey, "a1", "alice"), alice, false},
		"that of a key handed on":   {credential(onetime.CredentialKey, "c3", "ci"), handedOver("d4", "b2", "ci"), false},
		"of a key by its new one's": {credential(onetime.CredentialKey, "d4", "ci"), handedOver("d4", "b2", "ci"), false},
		"nobody's":                  {onetime.Credential{}, alice, false},
		"asked by nobody":           {alice, onetime.Credential{}, false},
		"nobody's, by nobody":       {onetime.Credential{}, onetime.Credential{}, false},
		"asked by an empty label":   {onetime.Credential{}, credential(onetime.CredentialKey, "a1", ""), false},
		"never minted":              {alice, alice, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m := w.mintBy(t, c.by)
			id := m.ID
			if c.absent {
				id = onetime.Fingerprint(m.Path, m.Query+"0")
			}
			keys := w.store.Keys()
			owner, ledger := w.owner()
			status, err := owner.Status(context.Background(), c.as, id, w.deadline())
			if reasonOf(t, err) != onetime.Unknown || status != (onetime.Status{}) || errors.Unwrap(err) != nil {
				t.Errorf("status %+v, %v, want unknown", status, err)
			}
			if got := ledger.Tally(); got != "ReadValid 1" {
				t.Errorf("status made requests %s", got)
			}
			owner, ledger = w.owner()
			now, err := owner.Revoke(context.Background(), c.as, id, w.deadline())
			if reasonOf(t, err) != onetime.Unknown || now || errors.Unwrap(err) != nil {
				t.Errorf("revoke %t, %v, want unknown", now, err)
			}
			if got := ledger.Tally(); got != "ReadValid 1" {
				t.Errorf("revoke made requests %s", got)
			}
			if got := w.store.Keys(); !reflect.DeepEqual(got, keys) {
				t.Errorf("the store has %q, had %q", got, keys)
			}
			if reason := w.pass(t, m, "a photo"); reason != "" {
				t.Errorf("the upload is refused: %s", reason)
			}
		})
	}
}

// handedOver is a key made to take over from another one.
func handedOver(id, from, label string) onetime.Credential {
	c := credential(onetime.CredentialKey, id, label)
	c.Owner = credential(onetime.CredentialKey, from, "").ID
	return c
}

// TestHandOver: keys of one owner see the URLs of each other, whatever their labels.
func TestHandOver(t *testing.T) {
	old, second, third := credential(onetime.CredentialKey, "0a", "app"), handedOver("0b", "0a", "new app"), handedOver("0c", "0a", "app")
	for _, minted := range []onetime.Credential{old, second, third} {
		for _, asks := range []onetime.Credential{old, second, third} {
			w := newWorld(t)
			m := w.mintBy(t, minted)
			owner, _ := w.owner()
			if status, err := owner.Status(context.Background(), asks, m.ID, w.deadline()); err != nil || status.Entry.By != minted.By() {
				t.Errorf("%s asks about what %s minted: %v", asks.By(), minted.By(), err)
			}
			if now, err := owner.Revoke(context.Background(), asks, m.ID, w.deadline()); !now || err != nil {
				t.Errorf("%s revokes what %s minted: %t, %v", asks.By(), minted.By(), now, err)
			}
		}
	}
}

// TestOldOwners: a URL that was minted when by was a label alone belongs to the
// credentials of that label which there were then, and to no later one.
func TestOldOwners(t *testing.T) {
	w := newWorld(t)
	minter, _ := w.minter()
	m, err := minter.Mint(context.Background(), onetime.Order{By: "photo app"}, w.deadline())
	if err != nil {
		t.Fatal(err)
	}
	created := w.clock.Now().UTC().Truncate(time.Second)
	key := func(label string, since time.Time) onetime.Credential {
		c := credential(onetime.CredentialKey, "a1", label)
		c.Since = since
		return c
	}
	for name, c := range map[string]struct {
		as   onetime.Credential
		owns bool
	}{
		"the key":                         {key("photo app", created.Add(-time.Hour)), true},
		"a key of the same second":        {key("photo app", created), true},
		"a token":                         {credential(onetime.CredentialToken, "a1", "photo app"), true},
		"a key made later":                {key("photo app", created.Add(time.Second)), false},
		"another label":                   {key("photo", created.Add(-time.Hour)), false},
		"nobody, of that label":           {onetime.Credential{Label: "photo app"}, false},
		"a key whose by ends in that one": {credential(onetime.CredentialKey, "a1", "x photo app"), false},
	} {
		owner, _ := w.owner()
		_, err := owner.Status(context.Background(), c.as, m.ID, w.deadline())
		if (err == nil) != c.owns {
			t.Errorf("%s: %v, want owner %t", name, err, c.owns)
		}
	}
}

func TestOwns(t *testing.T) {
	other, heir := alice, alice
	other.ID = strings.Repeat("1", onetime.CredentialDigits)
	heir.ID, heir.Owner = other.ID, alice.ID
	for _, c := range []struct {
		credential onetime.Credential
		by         string
		want       bool
	}{
		{alice, alice.By(), true}, {heir, alice.By(), true}, {alice, heir.By(), true}, {other, alice.By(), false},
		{onetime.Credential{}, "", false}, {alice, "", false}, {alice, alice.Label, false}, {onetime.Credential{}, alice.By(), false},
	} {
		if got := c.credential.Owns(c.by); got != c.want {
			t.Errorf("%q owns what was made by %q: %v", c.credential.By(), c.by, got)
		}
	}
}

func TestParseBy(t *testing.T) {
	for _, c := range []onetime.Credential{alice, handedOver("b2", "c3", "photo app"), credential(onetime.CredentialKey, "d4", "")} {
		if got, ok := onetime.ParseBy(c.By()); !ok || got != c {
			t.Errorf("%q: %+v, %t", c.By(), got, ok)
		}
	}
	id := alice.ID
	for _, by := range []string{
		"", "photo app", "key:", "key:" + id, "key: " + id, "key:" + id[1:] + " x", "key:" + id + "0 x", "Key:" + id + " x", "key:" + strings.ToUpper(id) + " x",
		"key:" + id + "/ x", "key:" + id + "/" + id[1:] + " x", "key:" + id + "/" + id + "/" + id + " x", "none:" + id + " x", " key:" + id + " x", id + " x",
	} {
		if got, ok := onetime.ParseBy(by); ok {
			t.Errorf("%q: %+v", by, got)
		}
	}
}

// TestOwnerFaults: every request goes wrong in every way, applied and not applied.
// Revoked is said only of what no upload can use any more, and used only of what was.
func TestOwnerFaults(t *testing.T) {
	ctx := context.Background()
	for _, op := range []string{"ReadValid", "HeadObject", "HeadExpired", "Claim", "ReadExpired"} {
		for _, fault := range []onetimetest.Fault{{}, {Applied: true}, {Stale: true}, {Stale: true, Applied: true}, {Status: 403}, {Status: 500}, {Status: 500, Applied: true}, {Status: 503}} {
			for _, times := range []int{1, 99} {
				t.Run(fmt.Sprintf("%s %v, %d times", op, fault, times), func(t *testing.T) {
					w := newWorld(t)
					m := w.mintBy(t, alice)
					spoil := func(c onetimetest.Call) *onetimetest.Fault {
						if c.Op == op && c.N <= times {
							return &fault
						}
						return nil
					}
					owner, ledger := w.owner()
					ledger.Intercept = spoil
					status, err := owner.Status(ctx, alice, m.ID, w.deadline())
					if reason := reasonOf(t, err); reason != "" && reason != onetime.IndexUnavailable || reason == "" && status.State != onetime.StateMinted {
						t.Errorf("status %s, %v", status.State, err)
					}
					repeated := times == 1 && fault.Status != 403
					asked := op == "ReadValid" || op == "HeadObject" || op == "HeadExpired"
					if failed := err != nil; failed != (asked && !repeated) {
						t.Errorf("status: %v", err)
					}

					owner, ledger = w.owner()
					ledger.Intercept = spoil
					_, err = owner.Revoke(ctx, alice, m.ID, w.deadline())
					reason := reasonOf(t, err)
					state := w.state(t, m)
					switch {
					case reason == "" && state != onetime.StateRevoked:
						t.Errorf("said to be revoked, and is %s", state)
					case op == "Claim" && !repeated: // applied or not, nobody answered
						if reason != onetime.ClaimUnknown || !strings.Contains(err.(*onetime.Refusal).Detail, "same request again") {
							t.Errorf("a lost claim: %v", err)
						}
					case op == "Claim" && reason != "",
						op != "Claim" && reason != "" && reason != onetime.IndexUnavailable,
						(op == "ReadValid" || op == "HeadExpired") && (reason == "") != repeated:
						t.Errorf("revoke: %v, state %s", err, state)
					}
					// Asked again without faults, it is revoked in any case.
					owner, _ = w.owner()
					if _, err := owner.Revoke(ctx, alice, m.ID, w.deadline()); err != nil || w.state(t, m) != onetime.StateRevoked {
						t.Errorf("asked again: %v", err)
					}
				})
			}
		}
	}
}

// TestOwnerBudget: whatever S3 does, the answer is ready in time, and no request is
// given more time than the gate's are.
func TestOwnerBudget(t *testing.T) {
	const budget = 5 * time.Second
	for _, ask := range []string{"status", "revoke"} {
		for _, slow := range []string{"ReadValid", "HeadObject", "HeadExpired", "Claim", "ReadExpired", ""} {
			for _, left := range []time.Duration{0, 100 * time.Millisecond, 700 * time.Millisecond, 2 * time.Second, budget} {
				w := newWorld(t)
				m := w.mintBy(t, alice)
				owner, ledger := w.owner()
				begun := w.clock.Now()
				ledger.Intercept = func(c onetimetest.Call) *onetimetest.Fault {
					if c.Limit > 1500*time.Millisecond {
						t.Errorf("%s may take %v", c.Op, c.Limit)
					}
					if c.Op == slow || slow == "" {
						w.clock.Sleep(context.Background(), c.Limit)
						return &onetimetest.Fault{Applied: c.N%2 == 1}
					}
					w.clock.Sleep(context.Background(), min(c.Limit, 20*time.Millisecond))
					return nil
				}
				var err error
				if ask == "status" {
					_, err = owner.Status(context.Background(), alice, m.ID, begun.Add(left))
				} else {
					_, err = owner.Revoke(context.Background(), alice, m.ID, begun.Add(left))
				}
				if took := w.clock.Now().Sub(begun); took > left {
					t.Errorf("%s with %v, slow %q: took %v (%v)", ask, left, slow, took, err)
				}
				if usual := ask == "revoke" && slow == "HeadObject"; usual && left == budget && err != nil {
					t.Errorf("with %v, and S3 as it usually is: %v", left, err)
				}
				if reason := reasonOf(t, err); left < 200*time.Millisecond && reason != onetime.IndexUnavailable {
					t.Errorf("%s with %v: %v, want index-unavailable", ask, left, err)
				}
			}
		}
	}
}
