package s3index

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"oncegate/internal/invite"
	"oncegate/internal/layout"
	"oncegate/internal/onetime"
)

// Lister is a Bucket that lists objects as well.
type Lister interface {
	Bucket
	// ListObjects makes the request for one page of the current objects, in S3's order.
	ListObjects(ctx context.Context, limit time.Duration, list List) (ObjectsPage, error)
}

// List says which objects are asked for: those whose keys begin with Prefix and come after
// the key After.
type List struct {
	Prefix, After string
	Delimiter     string // leaves out keys that have it behind Prefix, if not ""
	Max           int    // the most objects on the page
}

// ObjectsPage is one page of a list of objects. More says that there are others.
type ObjectsPage struct {
	Status  int
	Code    Code // as in Answer
	Objects []ListedObject
	More    bool
}

// ListedObject is what a list says of an object.
type ListedObject struct {
	Key  string
	Size int64
	ETag string // without quotes
}

// Invitations are the invitations in a bucket. Requests and the actions that a role needs,
// all on invitations/* but for the lists:
//
//	GetObject                             s3:GetObject
//	PutObject with If-None-Match: *       s3:PutObject
//	PutObject with If-Match               s3:PutObject, s3:GetObject
//	ListObjectsV2                         s3:ListBucket
//
// What S3 promises of If-Match:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
type Invitations struct {
	bucket Lister
}

var _ invite.Ledger = (*Invitations)(nil)

// NewInvitations returns the invitations in this bucket.
func NewInvitations(bucket Lister) *Invitations { return &Invitations{bucket} }

// ReadInvitation implements invite.Store.
func (x *Invitations) ReadInvitation(ctx context.Context, limit time.Duration, id invite.ID) (body []byte, etag string, err error) {
	return x.read(ctx, "ReadInvitation", limit, recordKey(id))
}

// CreateInvitation implements invite.Ledger.
func (x *Invitations) CreateInvitation(ctx context.Context, limit time.Duration, id invite.ID, body []byte) error {
	return x.create(ctx, "CreateInvitation", limit, recordKey(id), body)
}

// ReplaceInvitation implements invite.Ledger.
func (x *Invitations) ReplaceInvitation(ctx context.Context, limit time.Duration, id invite.ID, etag string, body []byte) error {
	return x.replace(ctx, "ReplaceInvitation", limit, recordKey(id), etag, body)
}

// ReadSlot implements invite.Store.
func (x *Invitations) ReadSlot(ctx context.Context, limit time.Duration, id invite.ID, n int) (body []byte, etag string, err error) {
	return x.read(ctx, "ReadSlot", limit, slotKey(id, n))
}

// CreateSlot implements invite.Store.
func (x *Invitations) CreateSlot(ctx context.Context, limit time.Duration, id invite.ID, n int, body []byte) error {
	return x.create(ctx, "CreateSlot", limit, slotKey(id, n), body)
}

// ReplaceSlot implements invite.Store.
func (x *Invitations) ReplaceSlot(ctx context.Context, limit time.Duration, id invite.ID, n int, etag string, body []byte) error {
	return x.replace(ctx, "ReplaceSlot", limit, slotKey(id, n), etag, body)
}

// ListSlots implements invite.Store. All slots are on one page. One that is not the last
// has objects of somebody else on it, and then slots may be missing.
func (x *Invitations) ListSlots(ctx context.Context, limit time.Duration, id invite.ID) ([]invite.ListedSlot, error) {
	const op = "ListSlots"
	prefix := layout.Slots(string(id))
	page, err := x.list(ctx, op, limit, List{Prefix: prefix, Max: invite.MaxUploads})
	if err != nil {
		return nil, err
	}
	if page.More {
		return nil, &onetime.Fault{Op: op, Status: page.Status, Err: fmt.Errorf("more than %d objects", invite.MaxUploads)}
	}
	var listed []invite.ListedSlot
	for _, object := range page.Objects {
		name, under := strings.CutPrefix(object.Key, prefix)
		if n, ok := invite.ParseSlotName(name); under && ok {
			listed = append(listed, invite.ListedSlot{N: n, Size: object.Size})
		}
	}
	return listed, nil
}

// ListInvitations implements invite.Ledger.
func (x *Invitations) ListInvitations(ctx context.Context, limit time.Duration, after string) (names []string, next string, err error) {
	const op = "ListInvitations"
	list := List{Prefix: layout.Invitations, Delimiter: "/", Max: invite.MaxUploads}
	if after != "" {
		list.After = layout.Invitations + after
	}
	page, err := x.list(ctx, op, limit, list)
	if err != nil {
		return nil, "", err
	}
	for _, object := range page.Objects {
		names = append(names, strings.TrimPrefix(object.Key, layout.Invitations))
	}
	if page.More {
		if len(names) == 0 || names[len(names)-1] <= after {
			return nil, "", &onetime.Fault{Op: op, Status: page.Status, Err: errors.New("the next page is the same page")}
		}
		next = names[len(names)-1]
	}
	return names, next, nil
}

func recordKey(id invite.ID) string { return layout.Invitations + string(id) }

func slotKey(id invite.ID, n int) string { return layout.Slots(string(id)) + invite.SlotName(n) }

func (x *Invitations) read(ctx context.Context, op string, limit time.Duration, key string) (body []byte, etag string, err error) {
	answer, err := x.bucket.Get(ctx, limit, key)
	if err = outcome(op, answer, err, readAnswer); err != nil {
		return nil, "", err
	}
	if answer.ETag == "" {
		return nil, "", &onetime.Fault{Op: op, Status: answer.Status, Err: errors.New("no ETag")}
	}
	return answer.Body, answer.ETag, nil
}

func (x *Invitations) create(ctx context.Context, op string, limit time.Duration, key string, body []byte) error {
	answer, err := x.bucket.Put(ctx, limit, Object{Key: key, Body: body, ContentType: contentType, IfAbsent: true})
	return outcome(op, answer, err, claimAnswer)
}

func (x *Invitations) replace(ctx context.Context, op string, limit time.Duration, key, etag string, body []byte) error {
	if etag == "" { // the write would have no condition
		return &onetime.Fault{Op: op, Err: errors.New("no ETag")}
	}
	answer, err := x.bucket.Put(ctx, limit, Object{Key: key, Body: body, ContentType: contentType, IfMatch: etag})
	return outcome(op, answer, err, replaceAnswer)
}

func (x *Invitations) list(ctx context.Context, op string, limit time.Duration, list List) (ObjectsPage, error) {
	page, err := x.bucket.ListObjects(ctx, limit, list)
	return page, outcome(op, Answer{Status: page.Status, Code: page.Code}, err, nil)
}

// replaceAnswer is for writes with If-Match. 404 says that the key has no current version.
func replaceAnswer(status int) error {
	switch status {
	case 412, 404:
		return onetime.ErrChanged
	case 409:
		return onetime.ErrConflict
	}
	return nil
}
