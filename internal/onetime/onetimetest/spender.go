package onetimetest

import (
	"context"
	"time"

	"oncegate/internal/onetime"
)

// SpenderOps are the methods that onetime.Spender has besides those of onetime.Index.
var SpenderOps = []string{"Spend"}

var _ onetime.Spender = (*Index)(nil)

// Spend implements onetime.Spender.
func (x *Index) Spend(_ context.Context, limit time.Duration, id onetime.ID, claim onetime.ExpiredEntry, terms onetime.Terms) (spent onetime.Spending, err error) {
	err = x.do("Spend", limit, id, func() error {
		spent = x.Store.spend(id, claim, terms)
		spent.At = x.date()
		return nil
	})
	if err != nil {
		return onetime.Spending{}, err
	}
	return spent, nil
}

// spend looks up and claims with nothing in between.
func (s *Store) spend(id onetime.ID, claim onetime.ExpiredEntry, terms onetime.Terms) (spent onetime.Spending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	valid, minted := s.current(id.ValidKey())
	if minted {
		spent.Valid = valid.Body
	}
	there, taken := s.current(id.ExpiredKey())
	switch {
	case taken:
		spent.Expired = there.Body
		earlier, err := onetime.ParseExpiredEntry(there.Body)
		spent.Claimed = err == nil && earlier.Nonce == claim.Nonce
	case minted:
		entry, err := onetime.ParseValidEntry(valid.Body)
		if spent.Claimed = err == nil && entry.Demands().Meet(terms); spent.Claimed {
			spent.Expired = claim.Marshal()
			s.put(id.ExpiredKey(), Entry{Reason: claim.Reason, Body: spent.Expired})
		}
	}
	return spent
}

// Forget removes all that the index has of a URL, at once, as DynamoDB does with an item whose
// time to live is over.
func (s *Store) Forget(id onetime.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range []string{id.ValidKey(), id.ExpiredKey(), id.PartsKey()} {
		delete(s.objects, key)
	}
	s.sorted = nil
}
