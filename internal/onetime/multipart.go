package onetime

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"oncegate/internal/lean/digest"
)

// PartStore is what multipart uploads need of the index and the bucket. What Index promises
// holds here too: each method makes one request, and every error is a sentinel that the
// method's comment names, or a *Fault.
type PartStore interface {
	PartRecords
	PartObjects
}

// PartRecords are the parts entries of the index.
type PartRecords interface {
	// WriteParts creates the parts entry. ErrExists: there is one already. ErrConflict: S3
	// could not decide, and nothing was written.
	WriteParts(ctx context.Context, limit time.Duration, id ID, body []byte) error
	// ReadParts returns the body of the parts entry, or ErrAbsent.
	ReadParts(ctx context.Context, limit time.Duration, id ID) ([]byte, error)
}

// PartObjects are the multipart uploads. They are in the bucket, wherever the index is.
type PartObjects interface {
	// CreateUpload starts a multipart upload and returns S3's upload id. The object will have
	// this key, these headers and this metadata. S3 wants every header that begins with x-amz-
	// to be signed: those are in signed. A second call starts a second upload.
	CreateUpload(ctx context.Context, limit time.Duration, key string, headers, signed, metadata map[string]string) (upload string, err error)
	// ListParts returns the parts of the upload, in the order of their numbers, MaxParts at
	// most. ErrAbsent: there is no such upload, or no longer.
	ListParts(ctx context.Context, limit time.Duration, key, upload string) ([]StoredPart, error)
	// CompleteUpload makes the object from these parts, unless there is an object with this
	// key. ErrExists: there is one. ErrAbsent: there is no such upload, or no longer.
	// ErrParts: the upload has other parts than these. ErrConflict: S3 could not decide.
	// etag is the object's, without quotes; crc64nvme is S3's CRC-64/NVME of it in base64, or ""
	// if it gives none.
	CompleteUpload(ctx context.Context, limit time.Duration, key, upload string, parts []StoredPart) (etag, crc64nvme string, err error)
	// AbortUpload ends the upload and deletes its parts. It also succeeds if there is no such
	// upload.
	AbortUpload(ctx context.Context, limit time.Duration, key, upload string) error
	// FindObject returns the size and the ETag, without quotes, of the current object with
	// this key, or ErrAbsent.
	FindObject(ctx context.Context, limit time.Duration, key string) (size int64, etag string, err error)
}

// ErrParts says that the upload has other parts than the ones that were named.
var ErrParts = errors.New("the upload has other parts")

// PartPresigner signs parts as Presigner signs uploads.
type PartPresigner interface {
	Presigner
	// PresignPart signs the part with this number of a multipart upload of key.
	PresignPart(ctx context.Context, key, upload string, number int, at time.Time, life time.Duration) (query string, err error)
}

// Multipart decides about multipart uploads, the other way to use a URL. Its last step,
// Complete, spends the URL, and needs the same claim as a PUT. So at most one object is made,
// whatever PUTs and completes there are. The steps before spend nothing and may be repeated.
//
// Its errors are Refusals. Its methods may be called concurrently.
type Multipart struct {
	*Gate
	Parts     PartStore
	Presigner PartPresigner
	// OpaqueETags says that S3 does not make ETags of MD5s here, because it encrypts with a key
	// of KMS.
	OpaqueETags bool
}

// Started is a multipart upload that is under way.
type Started struct {
	ID       ID
	Plan     PartPlan
	MaxBytes int64 // the most that complete takes
	Expires  time.Time
}

// Start starts the URL's multipart upload, or finds the one that is under way. The headers of
// the request that starts it become those of the object.
func (m *Multipart) Start(ctx context.Context, put Put, deadline time.Time) (Started, error) {
	url, _, err := put.operation(m.Region, OpStart)
	if err != nil {
		return Started{}, err
	}
	started, err := m.start(ctx, url, put, deadline)
	return started, about(url.ID, err)
}

func (m *Multipart) start(ctx context.Context, url URL, put Put, deadline time.Time) (Started, error) {
	put.Headers = startHeaders{put.Headers}
	if err := put.checkHeaders(0); err != nil {
		return Started{}, err
	}
	// Time is kept to create the upload, to write the entry, and to read who was first.
	u, err := m.find(ctx, url, deadline.Add(-2*writeLimit-readBackLimit))
	if err == nil {
		err = u.mustBeGood(m.Clock.Now())
	}
	if err != nil {
		return Started{}, err
	}
	limits := u.entry.Limits.within(m.MaxBytes)
	if limits.SHA256 != "" {
		return Started{}, &Refusal{Reason: NoMultipart, Detail: "this URL was minted with a sha256, which S3 cannot check over parts; upload with one PUT"}
	}
	if err := limits.checkType(put.Headers); err != nil {
		return Started{}, err
	}
	plan := limits.plan()
	if u.parts == nil {
		if u.parts, err = m.begin(ctx, url, u.entry, put, plan, deadline); err != nil {
			return Started{}, err
		}
	}
	plan.Bytes = u.parts.PartBytes
	return Started{ID: url.ID, Plan: plan, MaxBytes: limits.most(), Expires: u.entry.Expires}, nil
}

// begin creates an upload and writes the parts entry. If another client's entry came first,
// begin aborts its own upload and returns the other. If it is not known which came first, it
// aborts nothing, because others may use the upload. The bucket's lifecycle removes it.
func (m *Multipart) begin(ctx context.Context, url URL, entry ValidEntry, put Put, plan PartPlan, deadline time.Time) (*PartsEntry, error) {
	if err := m.checkTags(entry); err != nil {
		return nil, err
	}
	add := m.additions(entry, put.Headers)
	headers := add.plain
	delete(add.signed, "if-none-match") // the last step sends it
	if err := put.checkSizes(headers); err != nil {
		return nil, err
	}
	for _, name := range put.Headers.Names() {
		if _, set := headers[name]; !set && ruleOf(name).handling == stored {
			headers[name] = strings.Join(put.Headers.Values(name), ", ")
		}
	}
	r := requests{m.Clock, m.Entropy}
	own := PartsEntry{Version: entryVersion, Created: m.Clock.Now().UTC().Truncate(time.Second), PartBytes: plan.Bytes}
	err := r.repeat(ctx, deadline.Add(-writeLimit-readBackLimit), leastLimit, writeLimit, func(limit time.Duration) (err error) {
		own.Upload, err = m.Parts.CreateUpload(ctx, limit, url.Key, headers, add.signed, add.metadata)
		return err
	})
	if err != nil {
		return nil, refuse(IndexUnavailable, fmt.Errorf("create the upload: %w", err))
	}
	body := own.Marshal()
	err = r.repeat(ctx, deadline.Add(-readBackLimit), leastLimit, writeLimit, func(limit time.Duration) error {
		return m.Parts.WriteParts(ctx, limit, url.ID, body)
	})
	switch {
	case err == nil:
		return &own, nil
	case !errors.Is(err, ErrExists):
		return nil, refuse(IndexUnavailable, fmt.Errorf("write the parts entry: %w", err))
	}
	first, err := m.readParts(ctx, url.ID, deadline)
	switch {
	case err != nil:
		return nil, err
	case first == nil:
		return nil, refuse(IndexUnavailable, errors.New("the parts entry is gone"))
	case first.Upload != own.Upload: // if they are equal, only our own answer was lost
		if limit := deadline.Sub(m.Clock.Now()); limit > leastLimit {
			_ = m.Parts.AbortUpload(ctx, min(limit, writeLimit), url.Key, own.Upload) // if it fails, lifecycle removes it
		}
	}
	return first, nil
}

// Part lets one part through. The same part may come again.
func (m *Multipart) Part(ctx context.Context, put Put, deadline time.Time) (Pass, error) {
	url, op, err := put.operation(m.Region, OpPart)
	if err != nil {
		return Pass{}, err
	}
	pass, err := m.part(ctx, url, op, put, deadline)
	return pass, about(url.ID, err)
}

func (m *Multipart) part(ctx context.Context, url URL, op Operation, put Put, deadline time.Time) (Pass, error) {
	number, err := partNumber(op.Value)
	if err != nil {
		return Pass{}, err
	}
	length, err := put.checkFraming()
	if err != nil {
		return Pass{}, err
	}
	if err := put.checkHeaders(length); err != nil {
		return Pass{}, err
	}
	if err := (PartPlan{Bytes: MaxBytes, Count: MaxParts}).check(number, length); err != nil {
		return Pass{}, err // before any request to S3
	}
	u, err := m.find(ctx, url, deadline)
	if err == nil {
		err = u.mustBeUnderWay(m.Clock.Now())
	}
	if err != nil {
		return Pass{}, err
	}
	plan := u.entry.Limits.within(m.MaxBytes).plan()
	plan.Bytes = u.parts.PartBytes
	if err := plan.check(number, length); err != nil {
		return Pass{}, err
	}
	query, err := m.Presigner.PresignPart(ctx, url.Key, u.parts.Upload, number, u.at, uploadLife)
	if err != nil {
		return Pass{}, refuse(IndexUnavailable, fmt.Errorf("sign the part: %w", err))
	}
	return Pass{ID: url.ID, Key: url.Key, Query: query}, nil
}

// List returns the parts that S3 has. After Complete it returns those of the object.
func (m *Multipart) List(ctx context.Context, put Put, deadline time.Time) (ID, []StoredPart, error) {
	url, _, err := put.operation(m.Region, OpList)
	if err != nil {
		return "", nil, err
	}
	parts, err := m.list(ctx, url, deadline)
	return url.ID, parts, about(url.ID, err)
}

func (m *Multipart) list(ctx context.Context, url URL, deadline time.Time) ([]StoredPart, error) {
	u, err := m.find(ctx, url, deadline.Add(-readBackLimit))
	if err != nil {
		return nil, err
	}
	var parts []StoredPart
	if !u.used {
		if err := u.mustBeUnderWay(m.Clock.Now()); err != nil {
			return nil, err
		}
		parts, err = m.listParts(ctx, url.Key, u.parts.Upload, deadline.Add(-readBackLimit))
		if partsMissing(err) || err == nil && len(parts) == 0 {
			u, err = m.lookAgain(ctx, url, err, deadline.Add(-readBackLimit))
		}
	}
	if err == nil && u.used {
		var claim ExpiredEntry
		claim, _, err = m.ownClaim(ctx, url.ID, u, deadline)
		parts = claim.Parts.Stored()
	}
	return parts, err
}

// partsMissing reports whether the refusal is for parts that S3 does not list.
func partsMissing(err error) bool {
	switch ReasonOf(err) {
	case Incomplete, TooSmall:
		return true
	case NotStarted:
		return errors.Is(err, ErrAbsent)
	}
	return false
}

// lookAgain says what became of a URL that was good when the index was read, and some of whose
// parts S3 does not list. Another request may have completed the upload since, or given it up,
// and meanwhile nobody promises that S3's list is whole. If no request has, the error is missing.
func (m *Multipart) lookAgain(ctx context.Context, url URL, missing error, until time.Time) (underURL, error) {
	u, err := m.find(ctx, url, until)
	if err == nil && !u.used {
		err = missing
	}
	return u, err
}

// GiveUp revokes the URL for its holder and has S3 delete the parts. If the error is nil,
// nothing was stored with this URL, and nothing will be. Parts that could not be deleted are
// removed by the bucket's lifecycle.
func (m *Multipart) GiveUp(ctx context.Context, put Put, deadline time.Time) (ID, error) {
	url, err := ParseURL(put.Path, put.Query, m.Region)
	if err != nil {
		return "", err
	}
	return url.ID, about(url.ID, m.giveUp(ctx, url, put, deadline))
}

func (m *Multipart) giveUp(ctx context.Context, url URL, put Put, deadline time.Time) error {
	claimBy := deadline.Add(-leastLimit)
	u, err := m.find(ctx, url, claimBy.Add(-writeLimit-readBackLimit))
	switch {
	case err != nil && ReasonOf(err) == Revoked:
		// It is taken back. An earlier try may have ended before it dropped the parts.
	case err != nil:
		return err
	case u.used:
		return refuse(Used, nil)
	default:
		// Repeated, so that who was overtaken learns by what: another may have given up too.
		_, _, err = m.claimant().claim(ctx, url.ID, ExpiredEntry{Reason: Revoked, Request: put.Request}, Attempt{Nonce: put.Attempt.Nonce, Repeated: true}, claimBy)
		if err != nil && ReasonOf(err) != Revoked {
			return err
		}
	}
	if limit := deadline.Sub(m.Clock.Now()); u.parts != nil && limit >= leastLimit {
		_ = m.Parts.AbortUpload(ctx, min(limit, writeLimit), url.Key, u.parts.Upload)
	}
	return nil
}

// underURL is what the index says of a URL and its multipart upload.
type underURL struct {
	found
	parts *PartsEntry // nil: no multipart upload was started
}

func (u underURL) mustBeGood(now time.Time) error {
	switch {
	case u.used:
		return refuse(Used, nil)
	case !now.Before(u.entry.Expires):
		return refuse(Expired, nil)
	}
	return nil
}

// mustBeUnderWay refuses a URL that is not good, or whose multipart upload was not started.
func (u underURL) mustBeUnderWay(now time.Time) error {
	if err := u.mustBeGood(now); err != nil {
		return err
	}
	if u.parts == nil {
		return refuse(NotStarted, nil)
	}
	return nil
}

// find reads the URL's entries at the same time. It refuses a URL that was revoked, and then
// still returns its parts, and one that was not minted here. It does not refuse one that was
// used.
func (m *Multipart) find(ctx context.Context, url URL, until time.Time) (u underURL, err error) {
	var lookErr, partsErr error
	together(func() {
		u.found, lookErr = m.lookUp(ctx, url.ID, url.Key, Attempt{Repeated: true}, until)
	}, func() {
		u.parts, partsErr = m.readParts(ctx, url.ID, until)
	})
	if lookErr != nil {
		return u, lookErr
	}
	if u.used && u.parts == nil && partsErr == nil {
		// The two reads are not made at the same moment. Another request may have started the upload
		// after the entry was read, and completed it before the claim was read. A complete
		// claims only when the entry is there, so a read after the claim finds it.
		u.parts, partsErr = m.readParts(ctx, url.ID, until)
	}
	return u, partsErr
}

// readParts reads the parts entry, nil if there is none.
func (m *Multipart) readParts(ctx context.Context, id ID, until time.Time) (*PartsEntry, error) {
	var body []byte
	err := requests{m.Clock, m.Entropy}.repeat(ctx, until, leastLimit, lookupLimit, func(limit time.Duration) (err error) {
		body, err = m.Parts.ReadParts(ctx, limit, id)
		return err
	})
	if errors.Is(err, ErrAbsent) {
		return nil, nil
	}
	var entry PartsEntry
	if err == nil {
		entry, err = ParsePartsEntry(body)
	}
	if err != nil {
		return nil, refuse(IndexUnavailable, fmt.Errorf("read the parts entry: %w", err))
	}
	return &entry, nil
}

func (m *Multipart) listParts(ctx context.Context, key, upload string, until time.Time) (parts []StoredPart, err error) {
	err = requests{m.Clock, m.Entropy}.repeat(ctx, until, leastLimit, lookupLimit, func(limit time.Duration) (err error) {
		parts, err = m.Parts.ListParts(ctx, limit, key, upload)
		return err
	})
	switch {
	case errors.Is(err, ErrAbsent):
		return nil, &Refusal{Reason: NotStarted, Detail: "the parts of this URL's upload are gone; upload with one PUT or get a new URL", Err: err}
	case err != nil:
		return nil, refuse(IndexUnavailable, fmt.Errorf("list the parts: %w", err))
	}
	return parts, nil
}

// partNumber reads a number as S3 writes it.
func partNumber(s string) (int, error) {
	if !isDecimal(s) || len(s) > 4 || s[0] == '0' {
		return 0, refusePartly("partNumber: want 1 to " + strconv.Itoa(MaxParts))
	}
	n := 0
	for _, c := range []byte(s) {
		n = 10*n + int(c-'0')
	}
	return n, nil
}

// completion is the nonce of the claim that completes this upload. It follows from the upload
// id, so every repeat recognises the claim as its own.
func (e PartsEntry) completion() string {
	return digest.Hex([]byte("complete\n" + e.Upload))[:2*nonceBytes]
}

// about adds the URL's id to a refusal.
func about(id ID, err error) error {
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		refusal.ID = id
	}
	return err
}

// startHeaders are the headers of a request that starts an upload, without the content type
// that curl -d and forms send with every body. It says nothing about the file.
type startHeaders struct{ PutHeaders }

func (h startHeaders) Values(name string) []string {
	values := h.PutHeaders.Values(name)
	if name == "content-type" && len(values) == 1 && values[0] == "application/x-www-form-urlencoded" {
		return nil
	}
	return values
}
