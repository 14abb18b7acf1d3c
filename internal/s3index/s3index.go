// Package s3index keeps the signature index in an S3 bucket: it says which request
// each index operation is and what each answer of S3 means. The requests are
// carried by a Bucket: package s3wire at the edge, package s3sdk everywhere else.
//
// Objects and the requests made for them:
//
//	key                          made by          read by
//	signatures/valid/<hash>      PutObject        GetObject
//	signatures/expired/<hash>    PutObject with   HeadObject, GetObject after a lost answer,
//	                             If-None-Match:*  ListObjectVersions with "firstVersion": "listed"
//	signatures/uploads/<name>    PutObject        GetObject, both with "acceptance"
//	keys/<id>                    PutObject        GetObject with "auth": "api-key"; ListObjectVersions
//	                                              by oncegate key
//	invitations/...              see Invitations
//
// Actions that a role needs: s3:PutObject on what it writes, s3:GetObject on what
// it reads, s3:ListBucket on the bucket (without it S3 answers 403 where an object
// is absent, and every upload would be refused 503), s3:ListBucketVersions for
// "listed". The bucket must be versioned, and nobody but its lifecycle rules may
// delete under signatures/: an expired entry that is gone makes its URL good again.
package s3index

import (
	"context"
	"errors"
	"fmt"
	"time"

	"oncegate/internal/layout"
	"oncegate/internal/lean/httpdate"
	"oncegate/internal/lean/wire"
	"oncegate/internal/onetime"
)

// MetadataPrefix begins the headers, or the parameters of a signed query, by which S3 is told the
// metadata of an object.
const MetadataPrefix = "x-amz-meta-"

// reasonMetadata is the user metadata of an expired entry by which a HEAD tells
// used from revoked (on the wire: x-amz-meta-oncegate-reason).
const reasonMetadata = "oncegate-reason"

// contentType of every entry.
const contentType = "application/json"

// ErrStale is wrapped by a Bucket's error when the request went out on a reused
// connection that turned out to be dead.
var ErrStale = wire.ErrStale

// Bucket makes single requests to one bucket. It repeats nothing. An error means
// that no complete answer came within limit; every complete answer, whatever its
// status, is an Answer.
type Bucket interface {
	Get(ctx context.Context, limit time.Duration, key string) (Answer, error)
	Head(ctx context.Context, limit time.Duration, key string) (Answer, error)
	Put(ctx context.Context, limit time.Duration, object Object) (Answer, error)
	// ListVersions makes the request for one page of the versions and delete
	// markers whose keys begin with prefix, in S3's order.
	ListVersions(ctx context.Context, limit time.Duration, prefix string, from Marker) (Page, error)
}

// Code is the code of an answer that refuses, such as AccessDenied.
type Code string

func (c Code) Error() string { return string(c) }

// Answer is what the index reads of an answer of S3.
type Answer struct {
	Status       int
	Code         Code              // of a refusal, where the Bucket knows it
	VersionID    string            // x-amz-version-id
	ETag         string            // of a Get, with its quotes
	DeleteMarker bool              // x-amz-delete-marker: true
	Metadata     map[string]string // x-amz-meta-*, lower-case names without the prefix
	Date         string            // date
	Body         []byte
}

// at is when S3 gave the answer, or zero.
func (a Answer) at() time.Time {
	at, err := httpdate.Parse(a.Date)
	if err != nil {
		return time.Time{}
	}
	return at
}

// Object is what a Put stores.
type Object struct {
	Key         string
	Body        []byte
	ContentType string
	Metadata    map[string]string // lower-case names
	IfAbsent    bool              // If-None-Match: *
	IfMatch     string            // If-Match: this ETag, if not ""
}

// Page is one page of a list of versions. Next is set when there are more.
type Page struct {
	Status   int
	Code     Code // as in Answer
	Versions []KeyVersion
	Next     *Marker
}

// KeyVersion is a version, or a delete marker, of the object Key.
type KeyVersion struct {
	Key string
	onetime.Version
}

// Marker is where a page begins; the zero Marker is the beginning.
type Marker struct {
	Key, VersionID string
}

// Index is the signature index in a bucket.
type Index struct {
	bucket Bucket
}

var _ onetime.Index = (*Index)(nil)

// New returns the index in this bucket.
func New(bucket Bucket) *Index { return &Index{bucket} }

// ReadValid implements onetime.Index.
func (x *Index) ReadValid(ctx context.Context, limit time.Duration, id onetime.ID) ([]byte, time.Time, error) {
	answer, err := x.bucket.Get(ctx, limit, id.ValidKey())
	if err = outcome("ReadValid", answer, err, readAnswer); err != nil {
		return nil, time.Time{}, err
	}
	return answer.Body, answer.at(), nil
}

// WriteValid implements onetime.Index.
func (x *Index) WriteValid(ctx context.Context, limit time.Duration, id onetime.ID, body []byte) (time.Time, error) {
	answer, err := x.bucket.Put(ctx, limit, Object{Key: id.ValidKey(), Body: body, ContentType: contentType})
	if err = outcome("WriteValid", answer, err, nil); err != nil {
		return time.Time{}, err
	}
	return answer.at(), nil
}

var _ onetime.UploadIndex = (*Index)(nil)

// WriteUpload implements onetime.UploadIndex.
func (x *Index) WriteUpload(ctx context.Context, limit time.Duration, key string, body []byte) error {
	answer, err := x.bucket.Put(ctx, limit, Object{Key: layout.UploadEntry(key), Body: body, ContentType: contentType})
	return outcome("WriteUpload", answer, err, nil)
}

// ReadUpload returns the body of the upload entry of the upload with this key, or
// onetime.ErrAbsent.
func (x *Index) ReadUpload(ctx context.Context, limit time.Duration, key string) ([]byte, error) {
	answer, err := x.bucket.Get(ctx, limit, layout.UploadEntry(key))
	if err = outcome("ReadUpload", answer, err, readAnswer); err != nil {
		return nil, err
	}
	return answer.Body, nil
}

// HeadExpired implements onetime.Index.
func (x *Index) HeadExpired(ctx context.Context, limit time.Duration, id onetime.ID) (onetime.Reason, error) {
	answer, err := x.bucket.Head(ctx, limit, id.ExpiredKey())
	err = outcome("HeadExpired", answer, err, readAnswer)
	switch {
	case errors.Is(err, onetime.ErrAbsent) && answer.DeleteMarker:
		return "", onetime.ErrDeleted
	case err != nil:
		return "", err
	case answer.Metadata[reasonMetadata] == string(onetime.Revoked):
		return onetime.Revoked, nil
	}
	return onetime.Used, nil
}

// Claim implements onetime.Index.
func (x *Index) Claim(ctx context.Context, limit time.Duration, id onetime.ID, reason onetime.Reason, body []byte) (string, error) {
	answer, err := x.bucket.Put(ctx, limit, Object{
		Key:         id.ExpiredKey(),
		Body:        body,
		ContentType: contentType,
		Metadata:    map[string]string{reasonMetadata: string(reason)},
		IfAbsent:    true,
	})
	if err = outcome("Claim", answer, err, claimAnswer); err != nil {
		return "", err
	}
	return answer.VersionID, nil
}

// ReadExpired implements onetime.Index.
func (x *Index) ReadExpired(ctx context.Context, limit time.Duration, id onetime.ID) ([]byte, string, error) {
	answer, err := x.bucket.Get(ctx, limit, id.ExpiredKey())
	if err = outcome("ReadExpired", answer, err, readAnswer); err != nil {
		return nil, "", err
	}
	return answer.Body, answer.VersionID, nil
}

// maxPages bounds a list: an entry has a handful of versions, never thousands.
const maxPages = 10

// ListExpired implements onetime.Index.
func (x *Index) ListExpired(ctx context.Context, limit time.Duration, id onetime.ID) ([]onetime.Version, error) {
	return listVersions(ctx, x.bucket, "ListExpired", limit, id.ExpiredKey())
}

// listVersions lists all versions and delete markers of exactly this key.
func listVersions(ctx context.Context, bucket Bucket, op string, limit time.Duration, key string) ([]onetime.Version, error) {
	var versions []onetime.Version
	var from Marker
	left, began := limit, time.Now()
	for range maxPages {
		if left <= 0 {
			return nil, &onetime.Fault{Op: op, Err: errors.New("no time left for the next page")}
		}
		page, err := bucket.ListVersions(ctx, left, key, from)
		if err = outcome(op, Answer{Status: page.Status, Code: page.Code}, err, nil); err != nil {
			return nil, err
		}
		for _, v := range page.Versions {
			if v.Key == key { // a prefix matches longer keys as well
				versions = append(versions, v.Version)
			}
		}
		if page.Next == nil {
			return versions, nil
		}
		if *page.Next == from {
			return nil, &onetime.Fault{Op: op, Status: page.Status, Err: errors.New("the next page is the same page")}
		}
		from = *page.Next
		left = limit - time.Since(began)
	}
	return nil, &onetime.Fault{Op: op, Status: 200, Err: fmt.Errorf("more than %d pages", maxPages)}
}

// Statuses other than 200 that are definite answers. For a read 404 is one; for writes and
// lists it is not, it means that the bucket is missing. These are functions and no maps,
// which every cold start would fill.

func readAnswer(status int) error {
	if status == 404 {
		return onetime.ErrAbsent
	}
	return nil
}

func claimAnswer(status int) error {
	switch status {
	case 412:
		return onetime.ErrExists
	case 409:
		return onetime.ErrConflict
	}
	return nil
}

// outcome turns an answer into the error that package onetime gives it: nil for
// 200, what definite says, or a fault.
func outcome(op string, answer Answer, err error, definite func(status int) error) error {
	switch {
	case err != nil:
		return &onetime.Fault{Op: op, Stale: errors.Is(err, ErrStale), Err: err}
	case answer.Status == 200:
		return nil
	case definite != nil && definite(answer.Status) != nil:
		return definite(answer.Status)
	}
	fault := &onetime.Fault{Op: op, Status: answer.Status}
	if answer.Code != "" {
		fault.Err = answer.Code
	}
	return fault
}
