package invite

import (
	"context"
	"strconv"
	"time"
)

// Store keeps invitations and their slots. What onetime.Index promises of its methods holds
// for these too: each is one request to S3, made once; limit bounds it; reads see every
// write that was answered before; every error is a sentinel that the method names, or a
// *onetime.Fault, after which a write may have taken effect.
type Store interface {
	// ReadInvitation returns the record with its ETag, or onetime.ErrAbsent.
	ReadInvitation(ctx context.Context, limit time.Duration, id ID) (body []byte, etag string, err error)
	// ListSlots lists the slots that are there, at most MaxUploads.
	ListSlots(ctx context.Context, limit time.Duration, id ID) ([]ListedSlot, error)
	// ReadSlot returns slot n with its ETag, or onetime.ErrAbsent.
	ReadSlot(ctx context.Context, limit time.Duration, id ID, n int) (body []byte, etag string, err error)
	// CreateSlot writes slot n if there is none. Of all concurrent calls at most one
	// succeeds. onetime.ErrExists: there is one. onetime.ErrConflict: S3 could not
	// decide, nothing was written.
	CreateSlot(ctx context.Context, limit time.Duration, id ID, n int, body []byte) error
	// ReplaceSlot writes slot n if it still has this ETag. onetime.ErrChanged: it has
	// another, or is gone. onetime.ErrConflict as for CreateSlot.
	ReplaceSlot(ctx context.Context, limit time.Duration, id ID, n int, etag string, body []byte) error
}

// Ledger is a Store as a Keeper uses it.
type Ledger interface {
	Store
	// CreateInvitation writes the record if there is none; otherwise onetime.ErrExists.
	CreateInvitation(ctx context.Context, limit time.Duration, id ID, body []byte) error
	// ReplaceInvitation writes the record if it still has this ETag. Errors as ReplaceSlot.
	ReplaceInvitation(ctx context.Context, limit time.Duration, id ID, etag string, body []byte) error
	// ListInvitations lists one page of the names of records after the given one ("" for
	// the first), and the name to go on after, "" at the end.
	ListInvitations(ctx context.Context, limit time.Duration, after string) (names []string, next string, err error)
}

// ListedSlot is what a list says of a slot.
type ListedSlot struct {
	N    int
	Size int64
}

// SlotName is the name of slot n in a store. It has three digits, so that the order of the
// names is that of the numbers.
func SlotName(n int) string {
	name := strconv.Itoa(n)
	for len(name) < 3 {
		name = "0" + name
	}
	return name
}

// ParseSlotName returns the number of the slot with this name. ok is false if no slot has it.
func ParseSlotName(name string) (n int, ok bool) {
	n, err := strconv.Atoi(name)
	return n, err == nil && n >= 0 && n < MaxUploads && SlotName(n) == name
}
