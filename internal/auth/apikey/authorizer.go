package apikey

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"oncegate/internal/onetime"
)

// How long an answer of the bucket is used, counted from before the request.
// KnownLife is the promise: that long after its revocation was written, a key mints
// nowhere (except for a mint that is under way).
const (
	KnownLife   = 30 * time.Second
	RefusedLife = 10 * time.Second
)

// maxCached bounds each of the two caches of a container. Known and refused keys do
// not share one, so that garbage cannot push good keys out.
const maxCached = 256

const header = "x-api-key"

// Records is where the records of keys are read.
type Records interface {
	// ReadKey returns the record of the key with this ID, or onetime.ErrAbsent. It
	// is one request to S3; every other error is a *onetime.Fault.
	ReadKey(ctx context.Context, limit time.Duration, id string) ([]byte, error)
}

// Authorizer lets clients with a key mint. It implements edge.Authorizer.
type Authorizer struct {
	records Records
	clock   onetime.Clock
	entropy onetime.Entropy

	mu             sync.Mutex
	known, refused cache
}

// NewAuthorizer returns an Authorizer with empty caches.
func NewAuthorizer(records Records, clock onetime.Clock, entropy onetime.Entropy) *Authorizer {
	return &Authorizer{
		records: records, clock: clock, entropy: entropy,
		known:   cache{life: KnownLife, entries: map[ID]cached{}},
		refused: cache{life: RefusedLife, entries: map[ID]cached{}},
	}
}

// Challenge implements edge.Authorizer. No scheme is registered for a key in a
// header of its own.
func (a *Authorizer) Challenge(onetime.Reason) string { return `ApiKey realm="oncegate"` }

// Authorize implements edge.Authorizer.
func (a *Authorizer) Authorize(ctx context.Context, headers onetime.Headers, deadline time.Time) (onetime.Credential, error) {
	values := headers.Values(header)
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return onetime.Credential{}, &onetime.Refusal{Reason: onetime.CredentialMissing, Detail: "a credential is needed here; send an API key in the header " + header}
	}
	if len(values) > 1 {
		return onetime.Credential{}, invalid(errors.New("more than one key"))
	}
	id, err := Parse(values[0])
	if err != nil {
		return onetime.Credential{}, invalid(err)
	}
	// The time before the request, so that no answer is used for longer than its life
	// after it was true. Round takes the monotonic clock away, which stands still while
	// a container is frozen.
	now := a.clock.Now().Round(0)
	a.mu.Lock()
	known, isKnown := a.known.get(id, now)
	refused, isRefused := a.refused.get(id, now)
	a.mu.Unlock()
	switch {
	case isKnown:
		return known.credential, nil
	case isRefused:
		return onetime.Credential{}, invalid(refused.cause)
	}

	var body []byte
	err = onetime.Lookup(ctx, a.clock, a.entropy, deadline, func(limit time.Duration) (err error) {
		body, err = a.records.ReadKey(ctx, limit, string(id))
		return err
	})
	var record Record
	switch {
	case errors.Is(err, onetime.ErrAbsent):
		return onetime.Credential{}, a.refuse(id, now, fmt.Errorf("key %s… is not known", id.Short()))
	case err == nil:
		record, err = ParseRecord(body)
	}
	if err != nil {
		return onetime.Credential{}, &onetime.Refusal{Reason: onetime.IndexUnavailable, Err: fmt.Errorf("key %s…: %w", id.Short(), err)}
	}
	if !record.Revoked.IsZero() {
		return onetime.Credential{}, a.refuse(id, now, fmt.Errorf("key %s… (%s) is revoked", id.Short(), record.Label))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	credential := record.credential(id)
	a.known.put(id, cached{read: now, credential: credential})
	return credential, nil
}

// refuse remembers why a key is refused, and refuses it.
func (a *Authorizer) refuse(id ID, now time.Time, cause error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.known.entries, id)
	a.refused.put(id, cached{read: now, cause: cause})
	return invalid(cause)
}

func invalid(cause error) error {
	return &onetime.Refusal{Reason: onetime.CredentialInvalid, Detail: "the API key in the header " + header + " is not valid here", Err: cause}
}

// cache holds what was read, for life, of at most maxCached keys.
type cache struct {
	life    time.Duration
	entries map[ID]cached
}

type cached struct {
	read       time.Time
	credential onetime.Credential
	cause      error
}

// get finds what was read within life. A clock that was set back ages everything.
func (c *cache) get(id ID, now time.Time) (cached, bool) {
	e, ok := c.entries[id]
	if !ok || now.Before(e.read) || now.Sub(e.read) >= c.life {
		return cached{}, false
	}
	return e, true
}

// put adds an entry, in the place of the oldest one if need be.
func (c *cache) put(id ID, e cached) {
	if _, ok := c.entries[id]; !ok && len(c.entries) >= maxCached {
		var oldest ID
		for other, entry := range c.entries {
			if oldest == "" || entry.read.Before(c.entries[oldest].read) {
				oldest = other
			}
		}
		delete(c.entries, oldest)
	}
	c.entries[id] = e
}
