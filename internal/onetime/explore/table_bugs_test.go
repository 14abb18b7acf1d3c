package explore_test

import (
	"context"
	"testing"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// tableLiar misreads the table's answers for gates.
type tableLiar struct {
	scheduled
	lie func(claim onetime.ExpiredEntry, s onetime.Spending, err error) (onetime.Spending, error)
}

func (l tableLiar) Spend(ctx context.Context, limit time.Duration, id onetime.ID, claim onetime.ExpiredEntry, terms onetime.Terms) (onetime.Spending, error) {
	s, err := l.scheduled.Spend(ctx, limit, id, claim, terms)
	return l.lie(claim, s, err)
}

func misread(lie func(claim onetime.ExpiredEntry, s onetime.Spending, err error) (onetime.Spending, error)) func(scheduled) onetime.Spender {
	return func(x scheduled) onetime.Spender { return tableLiar{x, lie} }
}

// ours is the answer that the URL was claimed with this claim.
func ours(claim onetime.ExpiredEntry) onetime.Spending {
	return onetime.Spending{Claimed: true, Valid: url().entry, Expired: claim.Marshal(), At: start}
}

// unconditional is a table whose condition lacks something: what is not free is claimed where
// anyway says so.
type unconditional struct {
	scheduled
	anyway func(minted, taken bool) bool
}

func (u unconditional) Spend(ctx context.Context, limit time.Duration, id onetime.ID, claim onetime.ExpiredEntry, terms onetime.Terms) (onetime.Spending, error) {
	return u.spend(claim, func() (onetime.Spending, error) {
		store := u.truth().Store
		_, minted, _ := store.Current(id.ValidKey())
		_, taken, _ := store.Current(id.ExpiredKey())
		if !u.anyway(minted, taken) {
			return u.truth().Spend(ctx, limit, id, claim, terms)
		}
		store.Overwrite(id.ExpiredKey(), onetimetest.Entry{Reason: claim.Reason, Body: claim.Marshal()})
		return ours(claim), nil
	})
}

func without(anyway func(minted, taken bool) bool) func(scheduled) onetime.Spender {
	return func(x scheduled) onetime.Spender { return unconditional{x, anyway} }
}

// tableBugs are mistakes in the one request of a table, or in what is made of its answer.
func tableBugs() []bug {
	two := []part{gate("g1"), gate("g2")}
	twice := []part{gateTwice("g1"), gate("g2")}
	all := []bug{
		{scenario{name: "the condition lacks: no claim", cast: two, spendLie: without(func(minted, taken bool) bool { return minted && taken })},
			"not the first version"},
		{scenario{name: "the condition lacks: no claim of an operator", cast: []part{gate("g1"), revoke("revoke")},
			spendLie: without(func(minted, taken bool) bool { return minted && taken })}, "not the first version"},
		{scenario{name: "the condition lacks: minted", cast: two, unminted: true, spendLie: without(func(minted, taken bool) bool { return !taken })},
			"never minted"},
		{scenario{name: "the nonce is not compared", cast: two, spendLie: misread(func(claim onetime.ExpiredEntry, s onetime.Spending, err error) (onetime.Spending, error) {
			s.Claimed = s.Claimed || s.Expired != nil
			return s, err
		})}, "claim-unknown"}, // the gate compares it once more
		{scenario{name: "the nonce is compared by nobody", cast: two, spendLie: misread(func(claim onetime.ExpiredEntry, s onetime.Spending, err error) (onetime.Spending, error) {
			if s.Expired != nil {
				return ours(claim), err
			}
			return s, err
		})}, "without a claim of its own"},
		{scenario{name: "the condition lacks: or the nonce is ours", cast: two, faults: 1, spendLie: func(x scheduled) onetime.Spender { return forgetful{x} }},
			"nobody else has claimed"},
		{scenario{name: "a second try has another nonce", cast: twice, spendLie: func(x scheduled) onetime.Spender { return renamer{x} }},
			"without a claim of its own"},
		{scenario{name: "no answer as claimed", cast: two, faults: 1, spendLie: misread(func(claim onetime.ExpiredEntry, s onetime.Spending, err error) (onetime.Spending, error) {
			if unanswered(err) {
				return ours(claim), nil
			}
			return s, err
		})}, "without a claim of its own"},
		{scenario{name: "throttled as claimed", cast: two, faults: 1, spendLie: misread(func(claim onetime.ExpiredEntry, s onetime.Spending, err error) (onetime.Spending, error) {
			if status(err) == 429 {
				return ours(claim), nil
			}
			return s, err
		})}, "without a claim of its own"},
		{scenario{name: "no answer as throttled", cast: two, faults: 3, spendLie: misread(func(_ onetime.ExpiredEntry, s onetime.Spending, err error) (onetime.Spending, error) {
			if unanswered(err) {
				err = &onetime.Fault{Op: "Spend", Status: 429}
			}
			return s, err
		})}, "the protocol's table says claim-unknown"},
		{scenario{name: "no answer as not claimed", cast: two, faults: 1, spendLie: misread(func(_ onetime.ExpiredEntry, s onetime.Spending, err error) (onetime.Spending, error) {
			if unanswered(err) {
				return onetime.Spending{}, nil
			}
			return s, err
		})}, "not true: the URL was minted"},
		{scenario{name: "throttled is not tried again", cast: two, faults: 1, spendLie: misread(func(_ onetime.ExpiredEntry, s onetime.Spending, err error) (onetime.Spending, error) {
			if status(err) == 429 {
				err = &onetime.Fault{Op: "Spend", Status: 400}
			}
			return s, err
		})}, "no more went wrong than there are repeats for"},
		{scenario{name: "the item is not returned", cast: two, spendLie: misread(func(_ onetime.ExpiredEntry, s onetime.Spending, err error) (onetime.Spending, error) {
			if !s.Claimed {
				s.Valid, s.Expired = nil, nil
			}
			return s, err
		})}, "not true: the URL was minted"},
		{scenario{name: "the claim is not returned", cast: two, spendLie: misread(func(_ onetime.ExpiredEntry, s onetime.Spending, err error) (onetime.Spending, error) {
			s.Expired = nil
			return s, err
		})}, "claim-unknown"},
		{scenario{name: "the table's time is not looked at", cast: two, faults: 1, spendLie: misread(func(_ onetime.ExpiredEntry, s onetime.Spending, err error) (onetime.Spending, error) {
			s.At = start
			return s, err
		})}, "the protocol's table says expired"},
		{scenario{name: "revoked as used", cast: two, before: []string{"revoked"}, spendLie: misread(func(claim onetime.ExpiredEntry, s onetime.Spending, err error) (onetime.Spending, error) {
			if s.Expired != nil && !s.Claimed {
				claim.Nonce = "00112233445566778899aabbccddeeff"
				s.Expired = claim.Marshal()
			}
			return s, err
		})}, "the protocol's table says revoked"},
		{scenario{name: "the parts entry is not read again", unbegun: true, readOnce: true, cast: []part{beginFirst(complete("c1")), complete("c2")}},
			"no PUT has used the URL"},
	}
	for i := range all {
		all[i].name, all[i].table = "table: "+all[i].name, true
	}
	return all
}

// forgetful is a table that does not know a claim by its nonce.
type forgetful struct{ scheduled }

func (f forgetful) Spend(ctx context.Context, limit time.Duration, id onetime.ID, claim onetime.ExpiredEntry, terms onetime.Terms) (onetime.Spending, error) {
	return f.spend(claim, func() (onetime.Spending, error) {
		_, taken, _ := f.truth().Store.Current(id.ExpiredKey())
		s, err := f.truth().Spend(ctx, limit, id, claim, terms)
		s.Claimed = s.Claimed && !taken
		return s, err
	})
}

// renamer takes each claim for its own gate's.
type renamer struct{ scheduled }

func (x renamer) Spend(ctx context.Context, limit time.Duration, id onetime.ID, claim onetime.ExpiredEntry, terms onetime.Terms) (onetime.Spending, error) {
	s, err := x.scheduled.Spend(ctx, limit, id, claim, terms)
	if err == nil && s.Expired != nil && x.again {
		return ours(claim), nil
	}
	return s, err
}

// tableLimits are tables that the contract excludes.
func tableLimits() []bug {
	two := []part{gate("g1"), gate("g2")}
	all := []bug{
		// Why a global table is refused: each Region grants the claim by what it has itself.
		{scenario{name: "limit: two Regions", regions: 2, cast: []part{gate("g1"), inRegion(gate("g2"), 1)}},
			"2 winners, at most 1 are allowed"},
		{scenario{name: "limit: two Regions, the last writer wins", regions: 2, cast: []part{gate("g1"), inRegion(gate("g2"), 1), replicate("replication")}},
			"2 winners, at most 1 are allowed"},
		{scenario{name: "limit: two Regions, upload and revoke", regions: 2, cast: []part{gate("g1"), inRegion(revoke("revoke"), 1)}},
			"2 winners, at most 1 are allowed"},
		// Why items outlive their URL.
		{scenario{name: "limit: forgotten before the end", cast: append(two[:2:2], expiry("expiry", true, true))},
			"not true: the URL was minted"},
		// (By their names, this order comes first.)
		{scenario{name: "limit: forgotten before the end, and the mint comes again", cast: []part{gate("g1"), expiry("ttl", true, true), mintAgain("ttl-mint"), gate("z")}},
			"z wins, and its claim is not the first version"},
		// Why they outlive it by more than a request takes.
		{scenario{name: "limit: forgotten while a gate is between two trips", cast: []part{gate("g1"), inTwoTrips(gate("g2")), expiry("expiry", true, false)}},
			"not the first version"},
		{scenario{name: "limit: forgotten while an operator revokes", cast: []part{gate("g1"), revoke("revoke"), expiry("expiry", true, false)}},
			"revoke wins, and its claim is not the first version"},
	}
	for i := range all {
		all[i].name, all[i].table = "table: "+all[i].name, true
	}
	return all
}

// TestTableBugs: every mistake is found, by a schedule that shows it again.
func TestTableBugs(t *testing.T) {
	for _, b := range tableBugs() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			b.find(t)
		})
	}
}

// TestTableLimits: where items vanish early, or two Regions write, the rule does not hold.
func TestTableLimits(t *testing.T) {
	for _, l := range tableLimits() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			l.find(t)
		})
	}
}
