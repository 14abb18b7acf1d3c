package invite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"oncegate/internal/onetime"
)

// requests reads what the bucket holds of an invitation. repeat makes one request until it
// has a definite answer, in the time that is there for it.
type requests struct {
	store  Store
	repeat func(request func(limit time.Duration) error) error
}

// record returns the record, whatever its state, and its ETag. The error is ErrUnknown or
// ErrUnavailable.
func (r requests) record(ctx context.Context, id ID) (record Record, etag string, err error) {
	var body []byte
	err = r.repeat(func(limit time.Duration) (err error) {
		body, etag, err = r.store.ReadInvitation(ctx, limit, id)
		return err
	})
	if errors.Is(err, onetime.ErrAbsent) {
		return Record{}, "", ErrUnknown
	}
	if err == nil {
		record, err = ParseRecord(body)
	}
	if err != nil {
		return Record{}, "", unclear("read the record", err)
	}
	return record, etag, nil
}

// slots lists the slots that are there.
func (r requests) slots(ctx context.Context, id ID) (listed []ListedSlot, err error) {
	err = r.repeat(func(limit time.Duration) (err error) {
		listed, err = r.store.ListSlots(ctx, limit, id)
		return err
	})
	if err != nil {
		return nil, unclear("list the slots", err)
	}
	return listed, nil
}

// slot returns a slot that is there, and its ETag.
func (r requests) slot(ctx context.Context, id ID, n int) (slot Slot, etag string, err error) {
	var body []byte
	err = r.repeat(func(limit time.Duration) (err error) {
		body, etag, err = r.store.ReadSlot(ctx, limit, id, n)
		return err
	})
	if err == nil {
		slot, err = ParseSlot(body)
	}
	if err != nil {
		return Slot{}, "", unclear("read a slot", err)
	}
	return slot, etag, nil
}

func unclear(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, what, err)
}
