package onetime

import (
	"context"
	"time"
)

// Lookup makes a read of the bucket, and again where that may help, as the gate
// does with its own: for those who decide over a request before Mint or Gate does.
// It takes at most half of the time that is left until deadline.
func Lookup(ctx context.Context, clock Clock, entropy Entropy, deadline time.Time, read func(limit time.Duration) error) error {
	now := clock.Now()
	return requests{clock, entropy}.repeat(ctx, now.Add(deadline.Sub(now)/2), leastLimit, lookupLimit, read)
}
