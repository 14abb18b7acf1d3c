package onetimetest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"oncegate/internal/onetime"
)

// Region is the bucket's in what Presigner signs.
const Region = "eu-central-1"

// Clock stands still until it is set or somebody sleeps by it.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that shows now.
func NewClock(now time.Time) *Clock { return &Clock{now: now} }

// Now implements onetime.Clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Set makes the clock show now.
func (c *Clock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// Sleep implements onetime.Clock: it moves the clock on and returns at once.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return ctx.Err()
}

// NewEntropy returns bytes that look random and follow from seed.
func NewEntropy(seed uint64) onetime.Entropy {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return &entropy{source: rand.NewChaCha8(key)}
}

type entropy struct {
	mu     sync.Mutex
	source io.Reader
}

func (e *entropy) Read(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.source.Read(b)
}

// Presigner makes queries of the right form without SigV4: the signature is a hash
// of what is signed.
type Presigner struct {
	Err error // what every method fails with, if set
}

var _ onetime.Presigner = Presigner{}

// PresignUpload implements onetime.Presigner.
func (p Presigner) PresignUpload(_ context.Context, key string, _, metadata map[string]string, at time.Time, life time.Duration) (string, error) {
	if p.Err != nil {
		return "", p.Err
	}
	sum := sha256.Sum256([]byte(key))
	query := "role=gate&life=" + life.String() + "&at=" + at.UTC().Format(time.RFC3339)
	for _, name := range slices.Sorted(maps.Keys(metadata)) {
		query += "&x-amz-meta-" + name + "=" + url.QueryEscape(metadata[name])
	}
	return query + "&signature=" + hex.EncodeToString(sum[:]), nil
}

var _ onetime.PartPresigner = Presigner{}

// PresignPart implements onetime.PartPresigner.
func (p Presigner) PresignPart(_ context.Context, key, upload string, number int, at time.Time, life time.Duration) (string, error) {
	if p.Err != nil {
		return "", p.Err
	}
	sum := sha256.Sum256([]byte(key + upload))
	return "part=" + strconv.Itoa(number) + "&role=gate&life=" + life.String() + "&at=" + at.UTC().Format(time.RFC3339) + "&signature=" + hex.EncodeToString(sum[:]), nil
}
