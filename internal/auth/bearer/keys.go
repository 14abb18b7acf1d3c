package bearer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"oncegate/internal/onetime"
)

// How long a set of keys is gone by, from before it was fetched, and how often the
// issuer is asked. Nothing that a caller sends makes a container ask more often.
const (
	// KeysLife is the promise: so long after the issuer has withdrawn a key, no
	// token signed with it mints any more.
	KeysLife = 10 * time.Minute
	// refreshAge is when a set is fetched anew, while the old one still serves.
	refreshAge = KeysLife / 2
	// UnknownKeyPause is the least time between two fetches because of a token that
	// names a key which is not in the set: so long may a new key take to be known.
	UnknownKeyPause = 30 * time.Second
	// failurePause is the least time between two fetches while there is no set to
	// go by.
	failurePause = 5 * time.Second
	// fetchLimit bounds a fetch.
	fetchLimit = 2 * time.Second
	// leastLimit is the shortest time in which an answer is worth hoping for.
	leastLimit = 200 * time.Millisecond
)

// Fetcher gets the issuer's key set, by HTTPS and from nowhere but where the
// settings say it is.
type Fetcher interface {
	// FetchKeys makes one request and returns the body of a 200. limit bounds it.
	FetchKeys(ctx context.Context, limit time.Duration) ([]byte, error)
}

// keys is the issuer's set as it was last fetched.
type keys struct {
	fetcher Fetcher
	clock   onetime.Clock

	mu      sync.Mutex // held while fetching: who comes then waits for the same set
	set     []key
	fetched time.Time // just before set was asked for
	tried   time.Time // just before the last fetch
	failed  error     // why that fetch failed, if it did
}

// find returns the keys that a token with this algorithm and key id may be signed
// with, or errUnknownKey. Any other error says that the set could not be had.
func (k *keys) find(ctx context.Context, algorithm, id string, deadline time.Time) ([]jwt.VerificationKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	fresh := within(now, k.fetched, KeysLife)
	found := k.fitting(algorithm, id)
	if fresh && len(found) > 0 && within(now, k.fetched, refreshAge) {
		return found, nil
	}
	pause := UnknownKeyPause
	if !fresh {
		pause = failurePause
	}
	if !within(now, k.tried, pause) {
		k.fetch(ctx, deadline)
		fresh, found = within(k.now(), k.fetched, KeysLife), k.fitting(algorithm, id)
	}
	switch {
	case fresh && len(found) > 0:
		return found, nil
	case k.failed != nil:
		return nil, fmt.Errorf("the issuer's keys: %w", k.failed)
	}
	return nil, errUnknownKey
}

// fitting is what the set holds for this algorithm and key id. Without an id the
// set must leave no choice.
func (k *keys) fitting(algorithm, id string) []jwt.VerificationKey {
	var found []jwt.VerificationKey
	for _, key := range k.set {
		if key.algorithm == algorithm && (id == "" || key.id == id) {
			found = append(found, key.public)
		}
	}
	if id == "" && len(found) != 1 {
		return nil
	}
	return found
}

var errNoTime = errors.New("not enough time left to fetch them")

// fetch replaces the set, or notes why it could not.
func (k *keys) fetch(ctx context.Context, deadline time.Time) {
	now := k.now()
	limit := min(fetchLimit, deadline.Sub(k.clock.Now())/2)
	if limit < leastLimit {
		k.failed = errNoTime
		return
	}
	k.tried = now
	body, err := k.fetcher.FetchKeys(ctx, limit)
	var set []key
	if err == nil {
		set, err = parseSet(body)
	}
	if k.failed = err; err == nil {
		k.set, k.fetched = set, now
	}
}

// now is without the monotonic clock, which stands still while a container is
// frozen.
func (k *keys) now() time.Time { return k.clock.Now().Round(0) }

// within reports whether then is less than d ago. A clock that was set back makes
// everything old.
func within(now, then time.Time, d time.Duration) bool {
	return !now.Before(then) && now.Sub(then) < d
}
