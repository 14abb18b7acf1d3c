package onetimetest

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"oncegate/internal/onetime"
)

// Ledger is an Index that is a onetime.Ledger too.
type Ledger struct {
	Index
	// PageSize is how many entries a page of a list holds; 0 stands for 1000, which
	// is S3's.
	PageSize int
}

var _ onetime.Ledger = (*Ledger)(nil)

// HeadObject implements onetime.Ledger.
func (x *Ledger) HeadObject(_ context.Context, limit time.Duration, key string) (object onetime.Object, err error) {
	err = x.do("HeadObject", limit, "", func() error {
		entry, exists, _ := x.Store.Current(key)
		if !exists {
			return onetime.ErrAbsent
		}
		sum := sha256.Sum256(entry.Body)
		object = onetime.Object{
			Size: int64(len(entry.Body)), ETag: etag(entry), Version: entry.ID,
			SHA256: hex.EncodeToString(sum[:]), Modified: entry.Modified,
		}
		return nil
	})
	return object, err
}

// HideObject implements onetime.Ledger.
func (x *Ledger) HideObject(_ context.Context, limit time.Duration, key, tag string) error {
	return x.do("HideObject", limit, "", func() error {
		err := onetime.ErrAbsent
		x.Store.update(key, func(current Entry, exists bool) *Entry {
			switch {
			case !exists:
				return nil
			case etag(current) != tag:
				err = onetime.ErrChanged
				return nil
			}
			err = nil
			return &Entry{DeleteMarker: true}
		})
		return err
	})
}

// DeleteExpired implements onetime.Ledger.
func (x *Ledger) DeleteExpired(_ context.Context, limit time.Duration, id onetime.ID, version string) error {
	return x.call(Call{Op: "DeleteExpired", N: 1, ID: id, Limit: limit, Version: version}, func() error {
		x.Store.DeleteVersion(id.ExpiredKey(), version)
		return nil
	})
}

// ListEntries implements onetime.Ledger.
func (x *Ledger) ListEntries(_ context.Context, limit time.Duration, kind onetime.EntryKind, after string) (page onetime.EntryPage, err error) {
	err = x.do("ListEntries", limit, "", func() error {
		size := x.PageSize
		if size == 0 {
			size = 1000
		}
		keys, entries, more := x.Store.List(string(kind), string(kind)+after, size)
		for i, key := range keys {
			name := strings.TrimPrefix(key, string(kind))
			page.Entries = append(page.Entries, onetime.ListedEntry{Name: name, Modified: entries[i].Modified})
			if more {
				page.Next = name
			}
		}
		return nil
	})
	return page, err
}

// etag is what S3 makes of content that came in one PUT, or of its parts.
func etag(entry Entry) string {
	if entry.ETag != "" {
		return `"` + entry.ETag + `"`
	}
	sum := md5.Sum(entry.Body)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}
