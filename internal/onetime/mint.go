package onetime

import (
	"context"
	"fmt"
	"time"

	"oncegate/internal/layout"
)

// signatureBytes is the entropy of a minted URL. To guess a URL is to guess these.
const signatureBytes = 32

// Minter makes one-time URLs.
type Minter struct {
	Index   Index
	Clock   Clock
	Entropy Entropy
	Region  string // the bucket's
	Bounds  Bounds
	// Uploads, if set, gets an entry for each URL that leads from its upload back to
	// it. The URL is handed out only when both entries are written.
	Uploads UploadIndex
}

// UploadIndex is the part of the index that leads from an upload to its URL.
type UploadIndex interface {
	// WriteUpload writes the upload entry of the upload with this key, as
	// Index.WriteValid writes a valid entry.
	WriteUpload(ctx context.Context, limit time.Duration, key string, body []byte) error
}

// Minted is a URL that the index knows.
type Minted struct {
	ID      ID
	Key     string // object key that it uploads
	Path    string // "/" + Key
	Query   string // without "?"
	Expires time.Time
	Order   Order // as it was granted
}

// Check refuses an order that Mint would refuse, and makes nothing.
func (m *Minter) Check(order Order) error {
	_, err := m.Grant(order)
	return err
}

// Grant returns the order as Mint would fill it, and makes nothing. To grant it again
// changes nothing.
func (m *Minter) Grant(order Order) (Order, error) { return order.within(m.Bounds) }

// Mint makes a URL to this order and registers it. It returns the URL only if its
// entries are known to be written. Otherwise the error is a Refusal, and an entry that
// may have been written belongs to a URL that nobody holds. deadline is when the
// answer must be ready. Mint may be called concurrently.
func (m *Minter) Mint(ctx context.Context, order Order, deadline time.Time) (Minted, error) {
	order, err := order.within(m.Bounds)
	if err != nil {
		return Minted{}, err
	}
	name, err := newUUID(m.Entropy)
	if err != nil {
		return Minted{}, refuse(Internal, fmt.Errorf("make object name: %w", err))
	}
	// A URL is proved by its fingerprint in the index, and never by its signature: S3
	// does not know the access key. So the signature is a random value, which saves the
	// thirteen digests of a real one.
	signature, err := randomHex(m.Entropy, signatureBytes)
	if err != nil {
		return Minted{}, refuse(Internal, err)
	}
	now := m.Clock.Now().UTC().Truncate(time.Second)
	minted := Minted{Key: layout.Uploads + layout.UploadName(order.Prefix, name), Expires: now.Add(order.Life), Order: order}
	minted.Path = "/" + minted.Key
	minted.Query = Query{Region: m.Region, Date: now, Life: order.Life, Signature: signature}.String()
	minted.ID = Fingerprint(minted.Path, minted.Query)

	entry := ValidEntry{
		Version: entryVersion,
		Created: now,
		Expires: minted.Expires,
		Key:     minted.Key,
		Limits:  order.Limits,
		Name:    order.Name,
		Label:   order.Label,
		By:      order.By,
		Meta:    order.Meta,
		Tags:    order.Tags,
	}.Marshal()
	if err := m.register(ctx, minted, entry, deadline); err != nil {
		return Minted{}, refuse(IndexUnavailable, err)
	}
	return minted, nil
}

// register writes the entries of a URL, at the same time if there are two. Writing
// the same entry twice is the same as once: the keys are nobody else's.
func (m *Minter) register(ctx context.Context, minted Minted, valid []byte, deadline time.Time) error {
	r := requests{m.Clock, m.Entropy}
	var validErr, uploadErr error
	writeValid := func() {
		validErr = r.repeat(ctx, deadline, leastLimit, writeLimit, func(limit time.Duration) error {
			return dated(m.Clock, func() (time.Time, error) { return m.Index.WriteValid(ctx, limit, minted.ID, valid) })
		})
	}
	if m.Uploads == nil {
		writeValid()
	} else {
		together(writeValid, func() {
			body := UploadEntry{entryVersion, minted.ID, minted.Order.Label, minted.Order.Name, minted.Order.By, minted.Order.Meta, minted.Order.Tags}.Marshal()
			uploadErr = r.repeat(ctx, deadline, leastLimit, writeLimit, func(limit time.Duration) error {
				return m.Uploads.WriteUpload(ctx, limit, minted.Key, body)
			})
		})
	}
	switch {
	case validErr != nil:
		return fmt.Errorf("write valid entry: %w", validErr)
	case uploadErr != nil:
		return fmt.Errorf("write upload entry: %w", uploadErr)
	}
	return nil
}
