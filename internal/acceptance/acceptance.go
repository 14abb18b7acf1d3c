// Package acceptance decides which version of an upload counts: the first one that
// its key ever had. It copies that version to accepted/ and announces it on an event
// bus.
//
// It follows hints that something was stored under a key. Hints come late, twice and
// in any order. Only their key is used; the decision depends on what S3 says now:
//
//   - If accepted/<name> exists, its metadata oncegate-version names the version that
//     was accepted. That never changes.
//   - If accepted/<name> is hidden by a delete marker, it was accepted and then
//     consumed. Its own first version names the version; nothing is made again.
//   - Otherwise the first version is the last one in the list of versions that is not
//     a delete marker. Lists are in S3's order. Times are never compared: they have
//     whole seconds.
//
// Then come, in this order, the copy, the event, and the tag oncegate=accepted on the
// version that was copied. What is too large for one copy is copied in parts; until that
// is done the tag names the multipart upload, so that the next call can go on with it. If
// anything else fails before the tag says accepted, the next delivery starts again from the
// beginning. After that all is done. Copying twice is harmless, because both copies are of
// the same version. The event may come twice.
//
// Any other version under the key is late: it stays where it is and is reported.
//
// With Acceptor.Scan a version is copied only after a scan of that very version has found
// no threat. That comes as a hint, from GuardDuty by the event bus. A version of which a scan
// says anything else stays where it is, gets the tag oncegate=rejected:<verdict>, and is
// reported.
package acceptance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"oncegate/internal/layout"
	"oncegate/internal/onetime"
)

// Marks on objects.
const (
	// VersionMetadata is the user metadata of an accepted object: the version of the
	// upload that it was copied from.
	VersionMetadata = "oncegate-version"

	// ETagMetadata is the user metadata of an accepted object: the ETag of that upload,
	// without quotes. That of the copy is another one if either was made of parts.
	ETagMetadata = "oncegate-etag"

	// Tag and TagValue mark a version of an upload for which everything is done. The
	// bucket's lifecycle removes such versions.
	Tag      = layout.AcceptanceTag
	TagValue = "accepted"
)

// Store is the bucket. Each method is one S3 operation, with the repeats and pages that
// it needs. A read sees every write that was answered before it began. An error that
// the method does not name is a fault: the outcome is unknown.
type Store interface {
	// HeadAccepted describes the current version of an accepted object. ErrAbsent:
	// there is none. ErrConsumed: it is hidden by a delete marker.
	HeadAccepted(ctx context.Context, key string) (Object, error)

	// ListVersions lists all versions of exactly this key, an upload or an accepted
	// object, in S3's order, newest first. Delete markers are left out.
	ListVersions(ctx context.Context, key string) ([]Version, error)

	// HeadVersion describes one version of an upload or an accepted object, or returns
	// ErrAbsent.
	HeadVersion(ctx context.Context, key, version string) (Object, error)

	// Tags returns the tags of one version of an upload. ErrAbsent: it is gone.
	Tags(ctx context.Context, key, version string) (map[string]string, error)

	// SetTags replaces the tags of one version of an upload. ErrAbsent: it is gone.
	SetTags(ctx context.Context, key, version string, tags map[string]string) error

	// Copy copies one version of an upload to the accepted object: content, headers, tags and
	// checksum, with CopyMetadata. It returns the copy's version. It asks S3 to copy only
	// if there is no accepted object, which a server may ignore. ErrExists: there is one.
	// ErrAbsent: the source is gone. ErrConflict: S3 could not decide, and nothing was
	// written.
	Copy(ctx context.Context, source Object, to string) (version string, err error)

	// BeginCopy begins a copy in parts of one version of an upload, with its headers, tags and
	// CopyMetadata, and returns the id of the multipart upload.
	BeginCopy(ctx context.Context, source Object, to string) (upload string, err error)

	// CopiedParts lists the parts that an upload has, in their order. ErrAbsent: there is
	// no such upload any more.
	CopiedParts(ctx context.Context, to, upload string) ([]Part, error)

	// CopyPart copies so many bytes of a version from this offset on. Again, it replaces
	// the part. ErrAbsent: the source or the upload is gone.
	CopyPart(ctx context.Context, source Object, to, upload string, number int, from, length int64) (Part, error)

	// CompleteCopy makes the accepted object of the parts. It asks S3 for the condition of
	// Copy, and to compare the size with the source's. ErrExists and ErrConflict are as
	// for Copy. ErrAbsent: there is no such upload any more.
	CompleteCopy(ctx context.Context, source Object, to, upload string, parts []Part) error

	// DropCopy drops an upload and its parts. ErrAbsent: there is none.
	DropCopy(ctx context.Context, to, upload string) error

	// ReadUpload returns the body of the upload entry, or ErrAbsent.
	ReadUpload(ctx context.Context, key string) ([]byte, error)
}

// The definite answers of a Store, besides success.
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

// Object is one version of an object, as HEAD describes it, with its tags where it is to be copied.
type Object struct {
	Key, Version string
	Size         int64
	ETag         string // with its quotes, as S3 writes it
	KMS          bool   // encrypted with a key of KMS: the ETag is no MD5
	SHA256       string // of the whole content in hex, if S3 has it
	CRC64NVME    string // of the whole content in base64, if S3 has it
	Modified     time.Time
	Metadata     map[string]string // lower-case names
	Headers      map[string]string // what S3 keeps with the content, by lower-case name: content-type and the like
	Tags         map[string]string // without Tag
}

// CopyMetadata is the metadata of an accepted object that is copied from source.
func CopyMetadata(source Object) map[string]string {
	metadata := map[string]string{}
	maps.Copy(metadata, source.Metadata)
	metadata[VersionMetadata], metadata[ETagMetadata] = source.Version, strings.Trim(source.ETag, `"`)
	return metadata
}

// Bus is where acceptances are announced. Without an error the event was taken; with
// an error it may have been.
type Bus interface {
	Announce(ctx context.Context, e Event) error
}

// Event is the announcement that an upload was accepted. It is made at least once; a
// receiver recognizes repeats by Version.
type Event struct {
	ID         onetime.ID `json:"id,omitempty"`         // fingerprint of the URL; empty if the upload did not come through oncegate
	Bucket     string     `json:"bucket"`               //
	Key        string     `json:"key"`                  // of the upload
	Accepted   string     `json:"accepted"`             // key of the copy
	Version    string     `json:"version"`              // of the upload: the first one
	Size       int64      `json:"size"`                 // bytes
	ETag       string     `json:"etag"`                 // of the copy, without quotes
	UploadETag string     `json:"uploadEtag,omitempty"` // of the upload, without quotes; "" where it was not noted
	Parts      int        `json:"parts,omitempty"`      // of the upload; 0 for one PUT
	SHA256     string     `json:"sha256,omitempty"`     // of the content in hex, if the upload had one
	CRC64NVME  string     `json:"crc64nvme,omitempty"`  // of the content in base64, if S3 has it
	Label      string     `json:"label,omitempty"`      // as minted, like the next four
	Name       string     `json:"name,omitempty"`
	By         string     `json:"by,omitempty"`
	Meta       MetaPairs  `json:"meta,omitempty"`
	Tags       TagPairs   `json:"tags,omitempty"`
	At         time.Time  `json:"at"` // when it was accepted
}

// Hint is a notice that a version may have been stored under a key, or was scanned.
type Hint struct {
	Bucket, Key, Version string
	// Verdict is what a scan says of that version; "" if the hint is of no scan.
	Verdict Verdict
}

// Outcome is the result of following a hint.
type Outcome string

// All outcomes.
const (
	Accepted Outcome = "accepted" // copied, announced and tagged by this call
	Finished Outcome = "finished" // was copied before; announced and tagged by this call
	Done     Outcome = "done"     // everything was done before
	Stale    Outcome = "stale"    // there is no version of the upload any more, and none was accepted
	Rejected Outcome = "rejected" // a scan has not cleared it: it stays where it is
	Skipped  Outcome = "skipped"  // the hint is of another version than the one that counts, and that one waits for its scan
)

// Result is the outcome for the key, and whether the hint's own version is late.
type Result struct {
	Outcome Outcome
	First   string // the version that counts; "" when stale
	Late    bool
}

// ErrForeign is the error for a hint that can never be followed: it names another
// bucket, or a key that is not an upload's.
var ErrForeign = errors.New("not an upload of this bucket")

// ErrTooLarge is the error for an upload that is larger than MaxBytes. The gate lets no
// such upload through; somebody wrote it with other credentials.
var ErrTooLarge = errors.New("more than the 500 GiB that are accepted")

// Acceptor accepts the uploads of one bucket. Its methods may be called
// concurrently, and by several Acceptors for the same upload.
type Acceptor struct {
	Bucket string
	Store  Store
	Bus    Bus
	// Scan is whether an upload is copied only when a scan has cleared it.
	Scan bool
	// OneCopy is the size in bytes above which a copy is made in parts, PartBytes that of
	// a part, and AtOnce how many are copied at the same time. 0 stands for the constant
	// of this name.
	OneCopy, PartBytes int64
	AtOnce             int
}

// Accept does what is left to do for the upload of the hint. After an error it must be
// called again.
func (a *Acceptor) Accept(ctx context.Context, hint Hint) (Result, error) {
	if hint.Bucket != a.Bucket {
		return Result{}, fmt.Errorf("%w: bucket %q", ErrForeign, hint.Bucket)
	}
	key, err := onetime.UploadKey("/" + hint.Key)
	if err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	result, err := a.accept(ctx, key, hint)
	// Known as soon as the first version is, even if accept failed later.
	result.Late = result.First != "" && hint.Version != "" && hint.Version != result.First
	return result, err
}

func (a *Acceptor) accept(ctx context.Context, key string, hint Hint) (Result, error) {
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
		// Also if there is no accepted object: it was consumed so long ago that lifecycle
		// has removed its delete marker.
		return result, nil
	}
	if !decided {
		if outcome, err := a.heed(ctx, key, hint, first, tags); err != nil || outcome != "" {
			return Result{Outcome: outcome, First: first}, err
		}
	}
	source, err := a.Store.HeadVersion(ctx, key, first)
	if err != nil {
		return result, fmt.Errorf("look at %s, version %s: %w", key, first, err)
	}
	source.Tags = withoutTag(tags)
	result.Outcome = Finished
	if !decided {
		if copied, err = a.copy(ctx, source, tags, to); err != nil {
			return Result{First: first}, err
		}
		if won := copied.Metadata[VersionMetadata]; won != first {
			// Two calls saw two lists, and the other call's copy came first. That is
			// final; the next delivery does the rest.
			return Result{First: won}, fmt.Errorf("%s: version %s was accepted meanwhile", key, won)
		}
		result.Outcome = Accepted
	}
	if err := a.announce(ctx, source, copied); err != nil {
		return result, fmt.Errorf("announce %s: %w", to, err)
	}
	if id := upload(tags); id != "" && decided { // of a call that was not first, or did not see its answer
		if err := a.drop(ctx, to, id); err != nil {
			return result, err
		}
	}
	if err := a.Store.SetTags(ctx, key, first, withTag(tags, TagValue)); err != nil {
		return result, fmt.Errorf("tag %s, version %s: %w", key, first, err)
	}
	return result, nil
}

// accepted describes the accepted object, which must have been made here. If a consumer
// has deleted it, accepted describes its first version, as long as that exists. Later
// versions come from calls that looked before the deletion. ErrAbsent: nothing was
// accepted.
func (a *Acceptor) accepted(ctx context.Context, to string) (Object, error) {
	object, err := a.Store.HeadAccepted(ctx, to)
	if errors.Is(err, ErrConsumed) {
		versions, err := a.Store.ListVersions(ctx, to)
		if err != nil || len(versions) == 0 {
			return Object{}, err
		}
		object, err = a.Store.HeadVersion(ctx, to, versions[len(versions)-1].ID)
		if errors.Is(err, ErrAbsent) {
			return Object{}, nil // lifecycle has removed it meanwhile
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

// copy makes the accepted object and checks it. The tags are the source's.
func (a *Acceptor) copy(ctx context.Context, source Object, tags map[string]string, to string) (Object, error) {
	inParts := source.Size > cmp.Or(a.OneCopy, OneCopy)
	var err error
	if inParts {
		err = a.copyInParts(ctx, source, tags, to)
	} else {
		_, err = a.Store.Copy(ctx, source, to)
	}
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
	// The ETag of a multipart upload depends on its parts, and with a key of KMS on the key. A copy
	// in parts has no SHA-256, and its source is too large to have one.
	summed := source.SHA256 != "" || source.CRC64NVME != "" && copied.CRC64NVME != ""
	sameTag := copied.ETag == source.ETag || strings.Contains(source.ETag, "-") || inParts || (copied.KMS || source.KMS) && summed
	sameSum := source.SHA256 == "" || copied.SHA256 == source.SHA256 || inParts
	sameCRC := source.CRC64NVME == "" || copied.CRC64NVME == "" || copied.CRC64NVME == source.CRC64NVME
	if copied.Size != source.Size || !sameTag || !sameSum || !sameCRC {
		return Object{}, fmt.Errorf("copy %s is not what was copied: %d bytes, ETag %s and CRC-64 %s, want %d, %s and %s",
			to, copied.Size, copied.ETag, copied.CRC64NVME, source.Size, source.ETag, source.CRC64NVME)
	}
	return copied, nil
}

// announce announces the event.
func (a *Acceptor) announce(ctx context.Context, source, copied Object) error {
	e, err := a.event(ctx, source.Key, source.Version, copied)
	if err != nil {
		return err
	}
	return a.Bus.Announce(ctx, e)
}

// event is what there is to say about the accepted object of an upload.
func (a *Acceptor) event(ctx context.Context, key, version string, copied Object) (Event, error) {
	e := Event{
		Bucket: a.Bucket, Key: key, Accepted: copied.Key, Version: version,
		Size: copied.Size, ETag: strings.Trim(copied.ETag, `"`), SHA256: copied.SHA256, At: copied.Modified.UTC(),
		UploadETag: copied.Metadata[ETagMetadata], CRC64NVME: copied.CRC64NVME,
	}
	// S3 writes how many parts there are behind the MD5 of their MD5s:
	// https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
	if _, parts, ok := strings.Cut(e.UploadETag, "-"); ok {
		e.Parts, _ = strconv.Atoi(parts)
	}
	body, err := a.Store.ReadUpload(ctx, key)
	switch {
	case errors.Is(err, ErrAbsent): // not uploaded through oncegate
	case err != nil:
		return Event{}, fmt.Errorf("read the upload entry: %w", err)
	default:
		entry, err := onetime.ParseUploadEntry(body)
		if err != nil {
			return Event{}, err
		}
		e.ID, e.Label, e.Name, e.By = entry.ID, entry.Label, entry.Name, entry.By
		e.Meta, e.Tags = MetaPairs(entry.Meta), TagPairs(entry.Tags)
	}
	return e, nil
}

// Event returns the event of an upload that was accepted, as S3 has it now, whoever says
// that there is one: only the role of acceptance can write accepted objects. It is ErrAbsent
// if nothing was accepted, or was consumed so long ago that no version is left, and
// ErrForeign if the key is not an upload's. It makes nothing and needs no Bus.
//
// The entry of the URL is kept for 8 days. After that the event has no id and nothing else of
// what was minted.
func (a *Acceptor) Event(ctx context.Context, key string) (Event, error) {
	key, err := onetime.UploadKey("/" + key)
	if err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	to := layout.AcceptedCopy(key)
	copied, err := a.accepted(ctx, to)
	if err != nil {
		return Event{}, fmt.Errorf("look at %s: %w", to, err)
	}
	version := copied.Metadata[VersionMetadata]
	if version == "" {
		return Event{}, fmt.Errorf("look at %s: %w", to, ErrAbsent)
	}
	return a.event(ctx, key, version, copied)
}
