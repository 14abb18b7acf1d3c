//go:build !js

package s3index_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/invite"
	"oncegate/internal/invite/invitetest"
	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
	"oncegate/internal/s3index"
)

// everyLedger runs a subtest with the invitations in memory, and in a real S3 server by each
// client. So what is proved of the rule in memory holds of the bucket.
func everyLedger(t *testing.T, run func(t *testing.T, ledger invite.Ledger)) {
	t.Run("memory", func(t *testing.T) {
		run(t, &invitetest.Store{Objects: invitetest.NewObjects(t, onetimetest.NewStore(t))})
	})
	both(t, func(t *testing.T, c client, _ *s3server.Server, _ *atomic.Pointer[s3server.Fault]) {
		run(t, s3index.NewInvitations(c))
	})
}

func newInvitation(t *testing.T, part string) invite.ID { return invite.ID(newID(t, part)) }

// heldSlot is the body of a slot that this URL has.
func heldSlot(url onetime.ID) []byte {
	created := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	return invite.Slot{Version: 1, State: invite.SlotHeld, URL: url, Created: created, Expires: created.Add(time.Hour)}.Marshal()
}

func closedSlot() []byte { return invite.Slot{Version: 1, State: invite.SlotClosed}.Marshal() }

func TestInvitationsAreReadAsWritten(t *testing.T) {
	everyLedger(t, func(t *testing.T, ledger invite.Ledger) {
		ctx, id, other := t.Context(), newInvitation(t, ""), newInvitation(t, "other")
		if _, _, err := ledger.ReadInvitation(ctx, limit, id); !errors.Is(err, onetime.ErrAbsent) {
			t.Errorf("ReadInvitation of nothing = %v, want ErrAbsent", err)
		}
		if err := ledger.ReplaceInvitation(ctx, limit, id, `"00000000000000000000000000000000"`, []byte("x")); !errors.Is(err, onetime.ErrChanged) {
			t.Errorf("ReplaceInvitation of nothing = %v, want ErrChanged", err)
		}
		first, second := []byte(`{"text":"ä & <b> +"}`), []byte(`{"text":"second"}`)
		if err := ledger.CreateInvitation(ctx, limit, id, first); err != nil {
			t.Fatal(err)
		}
		if err := ledger.CreateInvitation(ctx, limit, id, second); !errors.Is(err, onetime.ErrExists) {
			t.Errorf("CreateInvitation again = %v, want ErrExists", err)
		}
		body, etag, err := ledger.ReadInvitation(ctx, limit, id)
		if err != nil || !bytes.Equal(body, first) || etag == "" {
			t.Errorf("ReadInvitation = %q, %q, %v", body, etag, err)
		}
		if err := ledger.ReplaceInvitation(ctx, limit, id, etag, second); err != nil {
			t.Errorf("ReplaceInvitation = %v", err)
		}
		if err := ledger.ReplaceInvitation(ctx, limit, id, etag, first); !errors.Is(err, onetime.ErrChanged) {
			t.Errorf("ReplaceInvitation with an old ETag = %v, want ErrChanged", err)
		}
		body, now, err := ledger.ReadInvitation(ctx, limit, id)
		if err != nil || !bytes.Equal(body, second) || now == etag {
			t.Errorf("after it ReadInvitation = %q, %q, %v", body, now, err)
		}
		if listed, err := ledger.ListSlots(ctx, limit, id); err != nil || len(listed) != 0 {
			t.Errorf("a new invitation has slots %v, %v", listed, err)
		}
		if err := ledger.CreateInvitation(ctx, limit, other, first); err != nil {
			t.Fatal(err)
		}
		if err := ledger.CreateSlot(ctx, limit, other, 0, heldSlot(newID(t, "url"))); err != nil {
			t.Fatal(err)
		}
		names, next, err := ledger.ListInvitations(ctx, limit, "")
		mine := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name != string(id) && name != string(other) })
		if err != nil || next != "" || len(mine) != 2 || !slices.IsSorted(names) {
			t.Errorf("ListInvitations = %v, %q, %v", names, next, err)
		}
		later, _, err := ledger.ListInvitations(ctx, limit, names[0])
		if err != nil || !slices.Equal(later, names[1:]) {
			t.Errorf("ListInvitations after the first = %v, %v, want %v", later, err, names[1:])
		}
	})
}

func TestSlots(t *testing.T) {
	everyLedger(t, func(t *testing.T, ledger invite.Ledger) {
		ctx, id := t.Context(), newInvitation(t, "")
		if err := ledger.CreateInvitation(ctx, limit, id, []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := ledger.ReadSlot(ctx, limit, id, 0); !errors.Is(err, onetime.ErrAbsent) {
			t.Errorf("ReadSlot of nothing = %v, want ErrAbsent", err)
		}
		body := heldSlot(newID(t, "url"))
		if err := ledger.ReplaceSlot(ctx, limit, id, 0, `"00000000000000000000000000000000"`, body); !errors.Is(err, onetime.ErrChanged) {
			t.Errorf("ReplaceSlot of nothing = %v, want ErrChanged", err)
		}
		for _, n := range []int{999, 0, 42} {
			if err := ledger.CreateSlot(ctx, limit, id, n, body); err != nil {
				t.Fatal(err)
			}
		}
		if err := ledger.CreateSlot(ctx, limit, id, 0, body); !errors.Is(err, onetime.ErrExists) {
			t.Errorf("CreateSlot again = %v, want ErrExists", err)
		}
		size := int64(len(body))
		want := []invite.ListedSlot{{N: 0, Size: size}, {N: 42, Size: size}, {N: 999, Size: size}}
		if listed, err := ledger.ListSlots(ctx, limit, id); err != nil || !slices.Equal(listed, want) {
			t.Errorf("ListSlots = %v, %v, want %v", listed, err, want)
		}
		got, etag, err := ledger.ReadSlot(ctx, limit, id, 42)
		if err != nil || !bytes.Equal(got, body) || etag == "" {
			t.Errorf("ReadSlot = %q, %q, %v", got, etag, err)
		}
		if err := ledger.ReplaceSlot(ctx, limit, id, 42, strings.Replace(etag, etag[1:2], "x", 1), closedSlot()); !errors.Is(err, onetime.ErrChanged) {
			t.Errorf("ReplaceSlot with another ETag = %v, want ErrChanged", err)
		}
		if got, again, err := ledger.ReadSlot(ctx, limit, id, 42); err != nil || !bytes.Equal(got, body) || again != etag {
			t.Errorf("after that ReadSlot = %q, %q, %v", got, again, err)
		}
	})
}

// TestOneReplaces: of many who replace one slot at once, in two buckets' clients, with the
// ETag that all of them have read, one does.
func TestOneReplaces(t *testing.T) {
	both(t, func(t *testing.T, c client, _ *s3server.Server, _ *atomic.Pointer[s3server.Fault]) {
		x, id := s3index.NewInvitations(c), newInvitation(t, "")
		for round := range 20 {
			if err := x.CreateSlot(t.Context(), limit, id, round, heldSlot(newID(t, "first"))); err != nil {
				t.Fatal(err)
			}
			_, etag, err := x.ReadSlot(t.Context(), limit, id, round)
			if err != nil {
				t.Fatal(err)
			}
			bodies, errs := make([][]byte, 16), make([]error, 16)
			var done sync.WaitGroup
			begin := make(chan struct{})
			for i := range bodies {
				bodies[i] = heldSlot(newID(t, fmt.Sprint(round, i)))
				done.Go(func() {
					<-begin
					errs[i] = x.ReplaceSlot(t.Context(), limit, id, round, etag, bodies[i])
				})
			}
			close(begin)
			done.Wait()
			won := -1
			for i, err := range errs {
				switch {
				case err == nil && won < 0:
					won = i
				case err == nil:
					t.Errorf("round %d: %d and %d have replaced the slot", round, won, i)
				case !errors.Is(err, onetime.ErrChanged):
					t.Errorf("round %d: %v, want ErrChanged", round, err)
				}
			}
			if won < 0 {
				t.Fatalf("round %d: nobody has replaced the slot", round)
			}
			if got, _, err := x.ReadSlot(t.Context(), limit, id, round); err != nil || !bytes.Equal(got, bodies[won]) {
				t.Errorf("round %d: the slot says %q, %v, want what was answered", round, got, err)
			}
		}
	})
}

// TestSlotThatIsGone: a slot under a delete marker is not replaced.
func TestSlotThatIsGone(t *testing.T) {
	both(t, func(t *testing.T, c client, server *s3server.Server, _ *atomic.Pointer[s3server.Fault]) {
		x, id := s3index.NewInvitations(c), newInvitation(t, "")
		if err := x.CreateSlot(t.Context(), limit, id, 0, heldSlot(newID(t, "url"))); err != nil {
			t.Fatal(err)
		}
		_, etag, err := x.ReadSlot(t.Context(), limit, id, 0)
		if err != nil {
			t.Fatal(err)
		}
		key := "invitations/slots/" + string(id) + "/000"
		if _, err := s3servertest.Client(server).DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(s3servertest.Bucket), Key: &key}); err != nil {
			t.Fatal(err)
		}
		if err := x.ReplaceSlot(t.Context(), limit, id, 0, etag, closedSlot()); !errors.Is(err, onetime.ErrChanged) {
			t.Errorf("ReplaceSlot = %v, want ErrChanged", err)
		}
		if _, _, err := x.ReadSlot(t.Context(), limit, id, 0); !errors.Is(err, onetime.ErrAbsent) {
			t.Errorf("ReadSlot = %v, want ErrAbsent", err)
		}
	})
}
