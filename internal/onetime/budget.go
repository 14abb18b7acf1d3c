package onetime

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"
)

// The time budget of one invocation, sized for the 5 s that CloudFront long gave a
// viewer-request function. A round trip across the world on a new TLS connection
// is about 1 s; on a warm one a third of that.
const (
	maxTries = 3 // of one index request, the first included

	lookupLimit   = 1500 * time.Millisecond
	writeLimit    = 1500 * time.Millisecond
	readBackLimit = 1000 * time.Millisecond

	// leastLimit is the shortest time in which an answer is worth hoping for.
	leastLimit = 200 * time.Millisecond

	// pauseUnit is the longest pause before the second try; it doubles from there.
	// The actual pause is random below that, so that those who failed together do
	// not come back together.
	pauseUnit = 60 * time.Millisecond
)

// errNoTime: the request was never made, for want of time.
var errNoTime = errors.New("not enough time left")

// requests makes index requests again where that may help, within a deadline.
type requests struct {
	clock   Clock
	entropy Entropy
}

// repeat calls request until it gives a definite answer, maxTries at the most. No
// try is started unless at least least remains before until, and each gets at most
// limit. Returned is the last try's error, or errNoTime if there was none.
func (r requests) repeat(ctx context.Context, until time.Time, least, limit time.Duration, request func(limit time.Duration) error) error {
	last := errNoTime
	for try := range maxTries {
		if try > 0 {
			if !Repeatable(last) {
				return last
			}
			if fault, ok := errors.AsType[*Fault](last); !ok || !fault.Stale {
				if until.Sub(r.clock.Now()) < least+pauseUnit<<(try-1) {
					return last // the pause alone could outlast the deadline
				}
				if err := r.pause(ctx, try); err != nil {
					return last
				}
			}
		}
		left := until.Sub(r.clock.Now())
		if left < least {
			return last
		}
		if last = request(min(limit, left)); last == nil {
			return nil
		}
	}
	return last
}

func (r requests) pause(ctx context.Context, try int) error {
	var b [1]byte
	if _, err := io.ReadFull(r.entropy, b[:]); err != nil {
		return err
	}
	longest := pauseUnit << (try - 1)
	return r.clock.Sleep(ctx, longest*time.Duration(b[0])/256)
}

// together runs two functions at the same time, the first where it is called, and
// returns when both have. A panic of the second becomes the caller's, who can refuse
// this one request; else it would end the process.
func together(here, there func()) {
	var panicked any
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { panicked = recover() }()
		there()
	}()
	defer func() { <-done }() // a panic here must not leave the other behind
	here()
	<-done
	if panicked != nil {
		panic(panicked)
	}
}

// randomHex reads n random bytes and writes them as 2n hex digits.
func randomHex(entropy Entropy, n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(entropy, b); err != nil {
		return "", fmt.Errorf("read random bytes: %w", err)
	}
	return hex.EncodeToString(b), nil
}
