package onetime

import (
	"context"
	"time"
)

// Lookup reads from the bucket, and repeats the read if that may help, as the gate
// does. It is for a check that comes before Mint or Decide, and takes at most half of
// the time that is left until deadline.
func Lookup(ctx context.Context, clock Clock, entropy Entropy, deadline time.Time, read func(limit time.Duration) error) error {
	now := clock.Now()
	return requests{clock, entropy}.repeat(ctx, now.Add(deadline.Sub(now)/2), leastLimit, lookupLimit, read)
}
