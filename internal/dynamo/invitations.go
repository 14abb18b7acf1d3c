package dynamo

import (
	"context"
	"time"

	"oncegate/internal/invite"
	"oncegate/internal/onetime"
)

var _ invite.Ledger = (*Index)(nil)

// keepInvitations is how long a record or a slot of an invitation stays after it was last
// written: a day more than the longest life of an invitation. A slot that went before the
// record would be free again.
const keepInvitations = 91 * 24 * time.Hour

// What package invite calls an ETag is the body itself here. It is compared where it lies.

// ReadInvitation implements invite.Store.
func (x *Index) ReadInvitation(ctx context.Context, limit time.Duration, id invite.ID) (body []byte, etag string, err error) {
	return x.readTagged(ctx, "ReadInvitation", limit, key(invitations, string(id)))
}

// CreateInvitation implements invite.Ledger.
func (x *Index) CreateInvitation(ctx context.Context, limit time.Duration, id invite.ID, body []byte) error {
	return x.create(ctx, "CreateInvitation", limit, key(invitations, string(id)), body)
}

// ReplaceInvitation implements invite.Ledger.
func (x *Index) ReplaceInvitation(ctx context.Context, limit time.Duration, id invite.ID, etag string, body []byte) error {
	return x.replace(ctx, "ReplaceInvitation", limit, key(invitations, string(id)), etag, body)
}

// ListInvitations implements invite.Ledger. A page may be empty and not be the last, as in
// ListEntries.
func (x *Index) ListInvitations(ctx context.Context, limit time.Duration, after string) (names []string, next string, err error) {
	items, next, err := x.page(ctx, "ListInvitations", limit, invitations, after, "k")
	for _, item := range items {
		names = append(names, item["k"].Text)
	}
	return names, next, err
}

// ReadSlot implements invite.Store.
func (x *Index) ReadSlot(ctx context.Context, limit time.Duration, id invite.ID, n int) (body []byte, etag string, err error) {
	return x.readTagged(ctx, "ReadSlot", limit, slotKey(id, n))
}

// CreateSlot implements invite.Store.
func (x *Index) CreateSlot(ctx context.Context, limit time.Duration, id invite.ID, n int, body []byte) error {
	return x.create(ctx, "CreateSlot", limit, slotKey(id, n), body)
}

// ReplaceSlot implements invite.Store.
func (x *Index) ReplaceSlot(ctx context.Context, limit time.Duration, id invite.ID, n int, etag string, body []byte) error {
	return x.replace(ctx, "ReplaceSlot", limit, slotKey(id, n), etag, body)
}

// ListSlots implements invite.Store. All slots are on one page, which has room for one more:
// DynamoDB says that there are others whenever a page is full.
func (x *Index) ListSlots(ctx context.Context, limit time.Duration, id invite.ID) ([]invite.ListedSlot, error) {
	const op = "ListSlots"
	page, err := x.table.Query(ctx, limit, Query{Partition: slots + string(id), Max: invite.MaxUploads + 1, Attributes: []string{"k", "body"}})
	if err = outcome(op, page.Status, page.Code, err); err != nil {
		return nil, err
	}
	if page.More {
		return nil, refused(op, page.Status, "more slots than there can be")
	}
	var listed []invite.ListedSlot
	for _, item := range page.Items {
		if n, ok := invite.ParseSlotName(item["k"].Text); ok {
			listed = append(listed, invite.ListedSlot{N: n, Size: int64(len(item["body"].Text))})
		}
	}
	return listed, nil
}

func slotKey(id invite.ID, n int) Key { return Key{slots + string(id), invite.SlotName(n)} }

func (x *Index) readTagged(ctx context.Context, op string, limit time.Duration, key Key) (body []byte, etag string, err error) {
	body, err = x.read(ctx, op, limit, key, "body")
	return body, string(body), err
}

func (x *Index) create(ctx context.Context, op string, limit time.Duration, key Key, body []byte) error {
	return x.write(ctx, op, limit, onetime.ErrExists, Update{
		Key: key, Expression: "SET body = :body, forget = :forget", Condition: "attribute_not_exists(body)",
		Values: Item{":body": text(string(body)), ":forget": seconds(time.Now().Add(keepInvitations))},
	})
}

func (x *Index) replace(ctx context.Context, op string, limit time.Duration, key Key, etag string, body []byte) error {
	return x.write(ctx, op, limit, onetime.ErrChanged, Update{
		Key: key, Expression: "SET body = :body, forget = :forget", Condition: "body = :before",
		Values: Item{":body": text(string(body)), ":before": text(etag), ":forget": seconds(time.Now().Add(keepInvitations))},
	})
}
