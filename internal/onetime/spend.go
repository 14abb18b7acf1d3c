package onetime

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Spender is an Index that looks up and claims in one request. Everything that Index
// promises holds for it too.
type Spender interface {
	// Spend claims the URL with this claim if its valid entry is there, no claim is, and
	// what the entry demands is met by the terms (Demands.Meet). It also succeeds, and
	// writes nothing, if the URL is spent by a claim with the same nonce: then an earlier
	// answer was lost. Of all concurrent calls with different nonces at most one ever
	// succeeds, calls of Claim included.
	//
	// If it does not succeed it has written nothing. Spending says what is there, in both
	// cases. Every error is a *Fault. One with a status from 400 to 499 also says that nothing
	// was written.
	Spend(ctx context.Context, limit time.Duration, id ID, claim ExpiredEntry, terms Terms) (Spending, error)
}

// Spending is the answer of a Spender: the URL's entries as they are after the request. The
// gate looks at them even if the URL was claimed for it.
type Spending struct {
	Claimed bool
	Valid   []byte    // body of the valid entry, nil if there is none
	Expired []byte    // body of the expired entry, nil if there is none
	At      time.Time // when the answer was given, by the index's clock, cut to the second; zero if it does not say
}

// Terms are what a Spender needs to know of an upload.
type Terms struct {
	Now    time.Time // by the clock here
	Length int64     // of the body
	// Type is the content-type that was sent, in lower case and without parameters, "" if
	// none was.
	Type string
	// SHA256 says that the gate can have S3 hold the body to a sha256.
	SHA256 bool
	// Tags says that the gate can have S3 tag the object.
	Tags bool
	// Room is how many bytes the headers may have that the gate adds, names and values.
	Room int
}

// Demands are what a valid entry demands of an upload, in plain values that an index can
// compare. They are no looser than the rule of the gate and a little stricter, so that no
// URL is spent on an upload that the gate would refuse. An upload that does not meet them may
// still be allowed.
type Demands struct {
	Expires            time.Time
	MinBytes, MaxBytes int64
	Types              string // as Limits.Type
	OnlyType           bool   // Types is one type, which an upload without any gets
	SHA256             bool
	Tags               bool
	Added              int // bytes of the headers that the gate adds, at most
}

// Demands returns what the entry demands.
func (e ValidEntry) Demands() Demands {
	d := Demands{
		Expires:  e.Expires,
		MinBytes: e.Limits.MinBytes,
		MaxBytes: e.Limits.most(),
		Types:    e.Limits.Type,
		OnlyType: e.Limits.OnlyType() != "",
		SHA256:   e.Limits.SHA256 != "",
		Tags:     e.Tags != "",
	}
	if d.OnlyType {
		d.Added += len("content-type") + len(e.Limits.Type)
	}
	if e.Name != "" {
		d.Added += len("content-disposition") + len(disposition(e.Name))
	}
	return d
}

// Meet reports whether the terms meet the demands.
func (d Demands) Meet(t Terms) bool {
	switch {
	case !t.Now.Before(d.Expires), t.Length < d.MinBytes, t.Length > d.MaxBytes, d.SHA256 && !t.SHA256, d.Tags && !t.Tags, d.Added > t.Room:
		return false
	case d.Types == "":
		return true
	case t.Type == "":
		return d.OnlyType
	}
	return typeWithin(t.Type, d.Types)
}

// terms returns the terms of an upload. ok is false if the gate has to see the entry first.
func (g *Gate) terms(length int64, put Put) (terms Terms, ok bool) {
	if length > (Limits{}).within(g.MaxBytes).most() {
		return Terms{}, false
	}
	terms = Terms{Now: g.Clock.Now(), Length: length, SHA256: g.SHA256, Tags: g.Tags}
	if given := put.Headers.Values("content-type"); len(given) != 0 {
		if terms.Type = essenceOf(given); terms.Type == "" {
			return Terms{}, false
		}
	}
	sizes := put.sizesBut(nil)
	terms.Room = min(maxMetadataBytes-sizes.metadata, maxForwardedBytes-sizes.all)
	return terms, true
}

// errNotJudged: the index did not claim the URL, and the rule of the gate has nothing against
// the upload. The gate goes the long way then. A try that was not answered and arrives late
// spends nothing either: it had the same terms, and an entry never changes.
var errNotJudged = errors.New("the index did not say whether the upload is allowed")

// spendAtOnce claims the URL in one request. It passes only if the claim is known to be this
// upload's. errNotJudged says that nothing was spent; any other error is a Refusal.
func (g *Gate) spendAtOnce(ctx context.Context, id ID, key string, terms Terms, put Put, deadline time.Time) (Pass, error) {
	claim, err := g.claimant().entry(ExpiredEntry{Reason: Used, Request: put.Request}, put.Attempt)
	if err != nil {
		return Pass{}, err
	}
	var spent Spending
	unanswered := false // of an earlier try with this nonce, Decide knows
	err = requests{g.Clock, g.Entropy}.repeat(ctx, deadline, writeLimit, writeLimit, func(limit time.Duration) (err error) {
		spent, err = g.Spender.Spend(ctx, limit, id, claim, terms)
		if err != nil && !wroteNothing(err) {
			unanswered = true
		}
		return err
	})
	switch {
	case errors.Is(err, errNoTime):
		return Pass{}, refuse(IndexUnavailable, fmt.Errorf("claim not begun: %w", err))
	case err != nil && unanswered:
		return Pass{}, refuse(ClaimUnknown, fmt.Errorf("spend: %w", err))
	case err != nil:
		return Pass{}, refuse(IndexUnavailable, fmt.Errorf("spend: %w", err))
	case !spent.Claimed:
		return Pass{}, g.whyNotSpent(spent, key, terms, put)
	}
	// From here on the URL is spent.
	there, err := ParseExpiredEntry(spent.Expired)
	if err == nil && (there.Nonce != claim.Nonce || there.Reason != Used) {
		err = errors.New("the index says that it claimed, and another claim is there")
	}
	if err != nil {
		return Pass{}, refuse(ClaimUnknown, err)
	}
	entry, err := entryFor(spent.Valid, key)
	switch {
	case err != nil:
		return Pass{}, refuse(ClaimUnknown, err)
	case spent.At.IsZero():
		return Pass{}, refuse(ClaimUnknown, errNoDate)
	case !spent.At.Before(entry.Expires):
		return Pass{}, refuse(Expired, errors.New("the clock here is behind the index's"))
	}
	add, err := g.allow(entry, terms.Length, put)
	if err != nil {
		return Pass{}, refuse(ClaimUnknown, fmt.Errorf("the index spent the URL on an upload that breaks its limits: %w", err))
	}
	return g.pass(ctx, id, key, add, spent.At)
}

// wroteNothing reports whether an error of a Spender says that its request has changed nothing.
func wroteNothing(err error) bool {
	fault, ok := errors.AsType[*Fault](err)
	return ok && fault.Status >= 400 && fault.Status < 500
}

// whyNotSpent is the reason why a Spender did not claim.
func (g *Gate) whyNotSpent(there Spending, key string, terms Terms, put Put) error {
	if there.Expired != nil {
		claim, err := ParseExpiredEntry(there.Expired)
		if err != nil {
			return refuse(Used, err) // by whom, only a later oncegate can say
		}
		return refuse(claim.Reason, nil)
	}
	if there.Valid == nil {
		return refuse(Unknown, nil)
	}
	entry, err := entryFor(there.Valid, key)
	switch {
	case err != nil:
		return refuse(IndexUnavailable, err)
	case !terms.Now.Before(entry.Expires), !there.At.Before(entry.Expires):
		return refuse(Expired, nil)
	}
	if _, err := g.allow(entry, terms.Length, put); err != nil {
		return err
	}
	return errNotJudged
}
