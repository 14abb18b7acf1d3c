package onetimetest

import (
	"context"
	"errors"
	"time"

	"oncegate/internal/onetime"
)

// AtOnceOps are the methods that onetime.AtOnce has besides those of onetime.Movable.
var AtOnceOps = []string{"WriteAtOnce"}

// Table is an Index that keeps all of a URL in one place, as one in a table does.
type Table struct{ *Index }

var _ onetime.AtOnce = Table{}

// Claim implements onetime.Index.
func (x Table) Claim(ctx context.Context, limit time.Duration, id onetime.ID, reason onetime.Reason, body []byte) (string, error) {
	if _, minted, _ := x.Store.Current(id.ValidKey()); !minted {
		return "", onetime.ErrAbsent
	}
	return x.Index.Claim(ctx, limit, id, reason, body)
}

// WriteParts implements onetime.PartStore.
func (x Table) WriteParts(ctx context.Context, limit time.Duration, id onetime.ID, body []byte) error {
	if _, minted, _ := x.Store.Current(id.ValidKey()); !minted {
		return &onetime.Fault{Op: "WriteParts", Status: 400, Err: errors.New("there is no valid entry")}
	}
	return x.Index.WriteParts(ctx, limit, id, body)
}

// WriteAtOnce implements onetime.AtOnce.
func (x Table) WriteAtOnce(_ context.Context, limit time.Duration, id onetime.ID, valid, claim, parts []byte) error {
	return x.do("WriteAtOnce", limit, id, func() error {
		s := x.Store
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, minted := s.current(id.ValidKey()); minted {
			return onetime.ErrExists
		}
		s.put(id.ValidKey(), Entry{Body: valid})
		if claim != nil {
			entry, err := onetime.ParseExpiredEntry(claim)
			if err != nil {
				return err
			}
			s.put(id.ExpiredKey(), Entry{Reason: entry.Reason, Body: claim})
		}
		if parts != nil {
			s.put(id.PartsKey(), Entry{Body: parts})
		}
		return nil
	})
}
