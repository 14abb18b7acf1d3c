package invite_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"oncegate/internal/invite"
	"oncegate/internal/invite/invitetest"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// start is when everything begins, patience what one call gets, keep how long the bucket
// keeps expired entries.
var start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

const (
	patience = 5 * time.Second
	keep     = 30 * 24 * time.Hour
)

// bucket is what all clients share.
type bucket struct {
	index   *onetimetest.Store
	objects *invitetest.Objects
	token   string
	id      invite.ID
}

// client is one process with a clock of its own, which shows what the test says.
type client struct {
	*bucket
	clock  *onetimetest.Clock
	index  *onetimetest.Ledger
	store  *invitetest.Store
	minter *invite.Minter
	keeper *invite.Keeper
	gate   *onetime.Gate
	closer *onetime.Closer
}

// invitation is what tests make, but for what they change.
func invitation(uploads int) invite.Record {
	return invite.Record{Label: "Acme, invoices May", Uploads: uploads, Life: time.Hour, Expires: start.Add(14 * 24 * time.Hour)}
}

func newBucket(t *testing.T, record invite.Record) *bucket {
	t.Helper()
	index := onetimetest.NewStore(t)
	b := &bucket{index: index, objects: invitetest.NewObjects(t, index)}
	c := b.client(0, start)
	var err error
	b.token, b.id, _, err = c.keeper.Create(t.Context(), record, c.deadline())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bucket) client(seed uint64, now time.Time) *client {
	c := &client{bucket: b, clock: onetimetest.NewClock(now), store: &invitetest.Store{Objects: b.objects}}
	c.index = &onetimetest.Ledger{Index: onetimetest.Index{Store: b.index, Clock: c.clock}}
	entropy := onetimetest.NewEntropy(seed)
	c.closer = &onetime.Closer{Records: c.index, Clock: c.clock, Entropy: entropy}
	c.minter = &invite.Minter{
		Store: c.store,
		URLs: &onetime.Minter{
			Index: c.index, Clock: c.clock, Entropy: entropy, Region: onetimetest.Region,
			Bounds: onetime.Bounds{Life: time.Hour, MaxLife: onetime.MaxLife, MaxBytes: onetime.MaxBytes, MinBytes: 1},
		},
		Closer: c.closer, Clock: c.clock, Entropy: entropy, Keep: keep,
	}
	c.keeper = &invite.Keeper{Ledger: c.store, Closer: c.closer, Clock: c.clock, Entropy: entropy, Keep: keep, Prefixes: []string{"*"}, Tags: []string{"project"}}
	c.gate = &onetime.Gate{
		Index: c.index, Presigner: onetimetest.Presigner{}, Clock: c.clock, Entropy: entropy,
		Region: onetimetest.Region, FirstVersion: onetime.Conditional,
	}
	return c
}

func (c *client) deadline() time.Time { return c.clock.Now().Add(patience) }

// mint mints without an option.
func (c *client) mint(ctx context.Context) (onetime.Minted, error) {
	return c.minter.Mint(ctx, c.id, onetime.Order{}, c.deadline())
}

// upload sends 10 bytes with PUT.
func (c *client) upload(ctx context.Context, url onetime.Minted) error {
	_, err := c.gate.Decide(ctx, onetime.Put{
		Method: "PUT", Path: url.Path, Query: url.Query, Headers: length(10),
	}, c.deadline())
	return err
}

type length int

// Values implements onetime.Headers.
func (n length) Values(name string) []string {
	if name == "content-length" {
		return []string{strconv.Itoa(int(n))}
	}
	return nil
}

// Names implements onetime.PutHeaders.
func (length) Names() []string { return []string{"content-length"} }

// mustMint mints, or fails the test.
func (c *client) mustMint(t *testing.T) onetime.Minted {
	t.Helper()
	url, err := c.mint(t.Context())
	if err != nil {
		t.Fatalf("mint: %v", err)
	}
	return url
}

// stored counts the uploads that were let through.
func (b *bucket) stored() int {
	n := 0
	for _, key := range b.index.Keys() {
		for _, v := range b.index.Versions(key) {
			if !v.DeleteMarker && v.Reason == onetime.Used {
				n++
			}
		}
	}
	return n
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}
