package onetime

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Tally counts what minters have had. Only an index that adds and compares in one step can
// (package dynamo): S3 has no such write.
type Tally interface {
	// AddMinted adds n, which is at most most, to what stands under this name. If that would
	// make it more than most, it adds nothing and returns false. It is one request; the error
	// is a *Fault.
	AddMinted(ctx context.Context, limit time.Duration, name string, n, most int64, forget time.Time) (bool, error)
}

// Quota holds credentials to a number of URLs a day.
type Quota struct {
	Tally   Tally // nil: nothing can be counted
	Clock   Clock
	Entropy Entropy
}

// Take takes n URLs out of what the owner of the credential may have today, by UTC. It never
// lets through more than Allowance.PerDay. An answer that gets lost may have been counted, and
// then counts twice; so may a URL whose mint fails. The error is a *Refusal: DayFull, or that
// nothing is known. deadline is when the whole invocation must be done.
func (q *Quota) Take(ctx context.Context, by Credential, n int64, deadline time.Time) error {
	most := by.Allows.PerDay
	if most == 0 {
		return nil
	}
	if q == nil || q.Tally == nil {
		return refuse(IndexUnavailable, errors.New("a key with a daily number, which this index cannot count"))
	}
	if n > most {
		return dayFull(most)
	}
	day := q.Clock.Now().UTC().Truncate(24 * time.Hour)
	name := by.ID
	if by.Owner != "" {
		name = by.Owner // who takes over takes over what is left of the day
	}
	name += "/" + day.Format("2006-01-02")
	room := false
	err := Lookup(ctx, q.Clock, q.Entropy, deadline, func(limit time.Duration) (err error) {
		room, err = q.Tally.AddMinted(ctx, limit, name, n, most, day.Add(48*time.Hour))
		return err
	})
	switch {
	case err != nil:
		return refuse(IndexUnavailable, fmt.Errorf("count the URLs of a day: %w", err))
	case !room:
		return dayFull(most)
	}
	return nil
}

func dayFull(most int64) error {
	return &Refusal{Reason: DayFull, Detail: fmt.Sprintf("this API key gets %d URLs a day, and today's are taken; the next day begins at 00:00 UTC", most)}
}
