// Package acceptance decides which version of an upload counts, the first one that
// its key ever had, copies it to accepted/ and says so on an event bus.
//
// It is driven by hints that something was stored under a key. Hints come late,
// twice and in any order; nothing is believed of them but the key, and everything
// is decided by what S3 says now:
//
//   - accepted/<name> exists: its metadata oncegate-version names the version that
//     was accepted. That is decided, for ever.
//   - accepted/<name> is hidden by a delete marker: it was accepted and then
//     consumed. Its own first version says which; nothing is made again.
//   - otherwise the first version is the last of the list of versions that is no
//     delete marker. Lists are in S3's order; times, which have whole seconds, are
//     never compared.
//
// Then, in this order: the copy, the event, the tag oncegate=accepted on the
// version that was copied. Whatever breaks off before the tag is done again from
// the beginning by the next delivery; with the tag all is done. Copying twice is
// harmless since both copies are of the same version. The event may come twice.
//
// Any other version under the key is late: it is left where it is and reported.
package acceptance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"oncegate/internal/layout"
	"oncegate/internal/onetime"
)

// What objects are marked with.
const (
	// VersionMetadata is the user metadata of an accepted object that names the
	// version of the upload it was copied from.
	VersionMetadata = "oncegate-version"

	// Tag and TagValue mark the version of an upload for which everything is done.
	// The bucket's lifecycle removes what has it.
	Tag      = "oncegate"
	TagValue = "accepted"
)

// MaxBytes is the largest object that one copy can make:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
const MaxBytes = 5 << 30

// Store is the bucket. Each method is one S3 operation, with whatever repeats and
// pages it needs; reads see every write that was answered before they began. Any
// error but those that a method names is a fault: it is not known what holds.
type Store interface {
	// HeadAccepted looks at the object. ErrAbsent: there is none as far as the
	// current version tells. ErrConsumed: it is hidden by a delete marker.
	HeadAccepted(ctx context.Context, key string) (Object, error)

	// ListVersions lists the versions of exactly this key, an upload or an accepted
	// object, all pages, in S3's order: newest first. Delete markers are left out.
	ListVersions(ctx context.Context, key string) ([]Version, error)

	// HeadVersion looks at one version of either, or returns ErrAbsent.
	HeadVersion(ctx context.Context, key, version string) (Object, error)

	// Tags are those of one version of an upload. ErrAbsent: the version is gone.
	Tags(ctx context.Context, key, version string) (map[string]string, error)

	// SetTags replaces the tags of one version of an upload. ErrAbsent: it is gone.
	SetTags(ctx context.Context, key, version string, tags map[string]string) error

	// Copy makes the accepted object out of one version of the upload, with its
	// content, headers, metadata and checksum, and oncegate-version besides, and
	// returns the copy's version id. It asks S3 to do so only while there is none;
	// a server may ignore that. ErrExists: there is one. ErrAbsent: the source is
	// gone. ErrConflict: S3 could not decide, nothing was written.
	Copy(ctx context.Context, source Object, to string) (version string, err error)

	// ReadUpload returns the body of the upload entry, or ErrAbsent.
	ReadUpload(ctx context.Context, key string) ([]byte, error)
}

// The definite answers of a Store besides success.
var (
	ErrAbsent   = errors.New("absent")
	ErrConsumed = errors.New("hidden by a delete marker")
	ErrExists   = errors.New("exists already")
	ErrConflict = errors.New("conflicting operation")
)

// Version is one version of an object.
type Version struct {
	ID   string
	Size int64
}

// Object is one version of an object, as a HEAD tells it.
type Object struct {
	Key, Version string
	Size         int64
	ETag         string // with its quotes, as S3 writes it
	SHA256       string // of the whole content in hex, if S3 has it
	Modified     time.Time
	Metadata     map[string]string // lower-case names
	Headers      map[string]string // what S3 keeps with the content, by lower-case name: content-type and the like
}

// Bus is where acceptances are announced. An announcement without an error has been
// taken over; after an error it may have been.
type Bus interface {
	Announce(ctx context.Context, e Event) error
}

// Event says that an upload was accepted. It is announced at least once: whoever
// receives it tells repeats by Version.
type Event struct {
	ID       onetime.ID `json:"id,omitempty"`     // fingerprint of the URL; none for an upload past oncegate
	Bucket   string     `json:"bucket"`           //
	Key      string     `json:"key"`              // of the upload
	Accepted string     `json:"accepted"`         // key of the copy
	Version  string     `json:"version"`          // of the upload: the first one
	Size     int64      `json:"size"`             // bytes
	ETag     string     `json:"etag"`             // of the copy, without quotes
	SHA256   string     `json:"sha256,omitempty"` // of the content in hex, if the upload had one
	Label    string     `json:"label,omitempty"`  // as minted, like the next two
	Name     string     `json:"name,omitempty"`
	By       string     `json:"by,omitempty"`
	At       time.Time  `json:"at"` // when it was accepted
}

// Hint is that a version may have been stored under a key.
type Hint struct {
	Bucket, Key, Version string
}

// Outcome is what came of a hint.
type Outcome string

// Every outcome there is.
const (
	Accepted Outcome = "accepted" // copied, announced and tagged by this call
	Finished Outcome = "finished" // was copied before; announced and tagged by this call
	Done     Outcome = "done"     // everything was done before
	Stale    Outcome = "stale"    // there is no version of the upload any more, and none was accepted
)

// Result is the outcome for the key, and whether the hint's own version is late.
type Result struct {
	Outcome Outcome
	First   string // the version that counts; "" when stale
	Late    bool
}

// ErrForeign says that no hint of this kind can ever be followed: another bucket,
// or a key that is no upload's.
var ErrForeign = errors.New("not an upload of this bucket")

// ErrTooLarge says that an upload is larger than one copy can be. The gate lets none
// through; somebody has written it with other credentials.
var ErrTooLarge = errors.New("more than the 5 GiB that one copy can have")

// Acceptor accepts the uploads of one bucket. Its methods may be called
// concurrently, and by several Acceptors for the same upload.
type Acceptor struct {
	Bucket string
	Store  Store
	Bus    Bus
}

// Accept does what is to do for the upload that the hint is about. After an error
// it must be called again.
func (a *Acceptor) Accept(ctx context.Context, hint Hint) (Result, error) {
	if hint.Bucket != a.Bucket {
		return Result{}, fmt.Errorf("%w: bucket %q", ErrForeign, hint.Bucket)
	}
	key, err := onetime.UploadKey("/" + hint.Key)
	if err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	result, err := a.accept(ctx, key)
	// What is late is known as soon as the first version is, whatever came after.
	result.Late = result.First != "" && hint.Version != "" && hint.Version != result.First
	return result, err
}

func (a *Acceptor) accept(ctx context.Context, key string) (Result, error) {
	to := layout.AcceptedCopy(key)
	copied, err := a.accepted(ctx, to)
	decided := err == nil
	if err != nil && !errors.Is(err, ErrAbsent) {
		return Result{}, fmt.Errorf("look at %s: %w", to, err)
	}
	first := copied.Metadata[VersionMetadata]
	if decided && first == "" {
		return Result{Outcome: Done}, nil // consumed so long ago that its versions are gone
	}
	if !decided {
		versions, err := a.Store.ListVersions(ctx, key)
		if err != nil {
			return Result{}, fmt.Errorf("list versions of %s: %w", key, err)
		}
		if len(versions) == 0 {
			return Result{Outcome: Stale}, nil
		}
		oldest := versions[len(versions)-1]
		first = oldest.ID
		if oldest.Size > MaxBytes {
			return Result{First: first}, fmt.Errorf("%s, version %s: %w", key, first, ErrTooLarge)
		}
	}
	result := Result{Outcome: Done, First: first}

	tags, err := a.Store.Tags(ctx, key, first)
	switch {
	case errors.Is(err, ErrAbsent) && decided:
		return result, nil // lifecycle has removed it, so it was tagged
	case err != nil:
		return result, fmt.Errorf("read tags of %s, version %s: %w", key, first, err)
	case tags[Tag] == TagValue:
		// Without an accepted object as well: it was consumed so long ago that
		// lifecycle has removed its delete marker.
		return result, nil
	}
	source, err := a.Store.HeadVersion(ctx, key, first)
	if err != nil {
		return result, fmt.Errorf("look at %s, version %s: %w", key, first, err)
	}
	result.Outcome = Finished
	if !decided {
		if copied, err = a.copy(ctx, source, to); err != nil {
			return Result{First: first}, err
		}
		if won := copied.Metadata[VersionMetadata]; won != first {
			// Two calls saw two lists, and the other one's copy came first. That is
			// decided; the next delivery does the rest.
			return Result{First: won}, fmt.Errorf("%s: version %s was accepted meanwhile", key, won)
		}
		result.Outcome = Accepted
	}
	if err := a.announce(ctx, source, copied); err != nil {
		return result, fmt.Errorf("announce %s: %w", to, err)
	}
	all := map[string]string{Tag: TagValue}
	for name, value := range tags {
		if name != Tag {
			all[name] = value
		}
	}
	if err := a.Store.SetTags(ctx, key, first, all); err != nil {
		return result, fmt.Errorf("tag %s, version %s: %w", key, first, err)
	}
	return result, nil
}

// accepted looks at the accepted object, which must be one that was made here. Of
// one that was consumed it finds the first version, if that is there still: what
// came later under its key was made by a call that had looked before it was
// consumed. ErrAbsent: nothing was accepted.
func (a *Acceptor) accepted(ctx context.Context, to string) (Object, error) {
	object, err := a.Store.HeadAccepted(ctx, to)
	if errors.Is(err, ErrConsumed) {
		versions, err := a.Store.ListVersions(ctx, to)
		if err != nil || len(versions) == 0 {
			return Object{}, err
		}
		object, err = a.Store.HeadVersion(ctx, to, versions[len(versions)-1].ID)
		if errors.Is(err, ErrAbsent) {
			return Object{}, nil // lifecycle has come between
		} else if err != nil {
			return Object{}, err
		}
	} else if err != nil {
		return Object{}, err
	}
	if object.Metadata[VersionMetadata] == "" {
		return object, errors.New("it has no " + VersionMetadata + ": somebody else has put it there")
	}
	return object, nil
}

// copy makes the accepted object and looks at what has come of it.
func (a *Acceptor) copy(ctx context.Context, source Object, to string) (Object, error) {
	_, err := a.Store.Copy(ctx, source, to)
	if err != nil && !errors.Is(err, ErrExists) {
		return Object{}, fmt.Errorf("copy %s, version %s: %w", source.Key, source.Version, err)
	}
	copied, err := a.accepted(ctx, to)
	if err != nil {
		return Object{}, fmt.Errorf("look at the copy %s: %w", to, err)
	}
	if copied.Metadata[VersionMetadata] != source.Version {
		return copied, nil
	}
	// The ETag of a multipart upload tells its parts, and the copy has none.
	sameTag := copied.ETag == source.ETag || strings.Contains(source.ETag, "-")
	sameSum := source.SHA256 == "" || copied.SHA256 == source.SHA256
	if copied.Size != source.Size || !sameTag || !sameSum {
		return Object{}, fmt.Errorf("copy %s is not what was copied: %d bytes and ETag %s, want %d and %s", to, copied.Size, copied.ETag, source.Size, source.ETag)
	}
	return copied, nil
}

// announce puts the event together.
func (a *Acceptor) announce(ctx context.Context, source, copied Object) error {
	e := Event{
		Bucket: a.Bucket, Key: source.Key, Accepted: copied.Key, Version: source.Version,
		Size: copied.Size, ETag: strings.Trim(copied.ETag, `"`), SHA256: copied.SHA256, At: copied.Modified.UTC(),
	}
	body, err := a.Store.ReadUpload(ctx, source.Key)
	switch {
	case errors.Is(err, ErrAbsent): // written past oncegate
	case err != nil:
		return fmt.Errorf("read the upload entry: %w", err)
	default:
		entry, err := onetime.ParseUploadEntry(body)
		if err != nil {
			return err
		}
		e.ID, e.Label, e.Name, e.By = entry.ID, entry.Label, entry.Name, entry.By
	}
	return a.Bus.Announce(ctx, e)
}
