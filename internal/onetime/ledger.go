package onetime

import (
	"context"
	"errors"
	"time"

	"oncegate/internal/layout"
)

// Records are the signature index and the uploads: all that says what has become of a
// URL. What Index promises holds for them too.
type Records interface {
	Index

	// HeadObject describes the current version of an upload. ErrAbsent: there is no
	// version, or a delete marker lies over it.
	HeadObject(ctx context.Context, limit time.Duration, key string) (Object, error)
}

// Ledger is the signature index as an operator uses it: Records, lists of all entries,
// and the removal of what spends a URL.
type Ledger interface {
	Records

	// HideObject puts a delete marker over the object, provided that its current
	// version has this ETag. ErrChanged: it has another. ErrAbsent: there is no
	// current version. ErrConflict: S3 could not decide, nothing was done.
	HideObject(ctx context.Context, limit time.Duration, key, etag string) error

	// DeleteExpired removes this one version of the expired entry, or this delete
	// marker, for good. It also succeeds if that version is gone already.
	DeleteExpired(ctx context.Context, limit time.Duration, id ID, version string) error

	// ListEntries lists one page of the entries of this kind that have a current
	// version, in the order of their names, after the given name ("" for the first).
	ListEntries(ctx context.Context, limit time.Duration, kind EntryKind, after string) (EntryPage, error)
}

// PartLedger is what an operator does about multipart uploads. What Index promises holds
// for it too.
type PartLedger interface {
	// ReadParts and AbortUpload are as in PartStore.
	ReadParts(ctx context.Context, limit time.Duration, id ID) ([]byte, error)
	AbortUpload(ctx context.Context, limit time.Duration, key, upload string) error
	// ListPartsEntry lists all versions and delete markers of exactly this parts entry.
	ListPartsEntry(ctx context.Context, limit time.Duration, id ID) ([]Version, error)
	// DeletePartsEntry removes this one version for good. It also succeeds if that
	// version is gone already.
	DeletePartsEntry(ctx context.Context, limit time.Duration, id ID, version string) error
}

// ErrChanged is a definite answer of a Ledger.
var ErrChanged = errors.New("another version is current")

// Object is an upload as it is stored.
type Object struct {
	Size     int64
	ETag     string // with its quotes
	Version  string
	SHA256   string // of the content, lower-case hex; "" where S3 does not know it
	Modified time.Time
}

// EntryKind is one half of the index, by the prefix of its keys.
type EntryKind string

// Both halves of the index.
const (
	ValidEntries   EntryKind = layout.ValidEntries
	ExpiredEntries EntryKind = layout.ExpiredEntries
)

// EntryPage is part of a list of entries. Next is the name to go on after, "" at
// the end.
type EntryPage struct {
	Entries []ListedEntry
	Next    string
}

// ListedEntry is what a list says of an entry.
type ListedEntry struct {
	Name     string // what follows the kind's prefix: a fingerprint, if oncegate wrote it
	Modified time.Time
}
