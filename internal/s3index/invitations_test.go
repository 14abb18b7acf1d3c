package s3index_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"oncegate/internal/invite"
	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
)

// invitation is the ID of one.
const invitation = invite.ID("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")

const (
	recordKey = "invitations/" + string(invitation)
	slotsKey  = "invitations/slots/" + string(invitation) + "/"
)

// lists is a stub that answers lists of objects as well.
type lists struct {
	stub
	page  s3index.ObjectsPage
	asked []s3index.List
}

func (b *lists) ListObjects(_ context.Context, limit time.Duration, list s3index.List) (s3index.ObjectsPage, error) {
	b.note(limit, "LIST "+list.Prefix)
	b.asked = append(b.asked, list)
	return b.page, b.err
}

// invitationOps calls every method, and returns its error.
var invitationOps = map[string]func(*s3index.Invitations) error{
	"ReadInvitation": func(x *s3index.Invitations) error {
		_, _, err := x.ReadInvitation(context.Background(), askedLimit, invitation)
		return err
	},
	"CreateInvitation": func(x *s3index.Invitations) error {
		return x.CreateInvitation(context.Background(), askedLimit, invitation, []byte("body"))
	},
	"ReplaceInvitation": func(x *s3index.Invitations) error {
		return x.ReplaceInvitation(context.Background(), askedLimit, invitation, `"e"`, []byte("body"))
	},
	"ListInvitations": func(x *s3index.Invitations) error {
		_, _, err := x.ListInvitations(context.Background(), askedLimit, "abc")
		return err
	},
	"ReadSlot": func(x *s3index.Invitations) error {
		_, _, err := x.ReadSlot(context.Background(), askedLimit, invitation, 7)
		return err
	},
	"CreateSlot": func(x *s3index.Invitations) error {
		return x.CreateSlot(context.Background(), askedLimit, invitation, 7, []byte("body"))
	},
	"ReplaceSlot": func(x *s3index.Invitations) error {
		return x.ReplaceSlot(context.Background(), askedLimit, invitation, 7, `"e"`, []byte("body"))
	},
	"ListSlots": func(x *s3index.Invitations) error {
		_, err := x.ListSlots(context.Background(), askedLimit, invitation)
		return err
	},
}

// TestInvitationOutcomes: what every status means to every method. All that is not listed
// is a fault that keeps its status.
func TestInvitationOutcomes(t *testing.T) {
	create := map[int]error{412: onetime.ErrExists, 409: onetime.ErrConflict}
	replace := map[int]error{412: onetime.ErrChanged, 404: onetime.ErrChanged, 409: onetime.ErrConflict}
	read := map[int]error{404: onetime.ErrAbsent}
	definite := map[string]map[int]error{
		"ReadInvitation": read, "ReadSlot": read, "CreateInvitation": create, "CreateSlot": create, "ReplaceInvitation": replace, "ReplaceSlot": replace,
	}
	for op, call := range invitationOps {
		for _, status := range []int{0, 100, 200, 201, 204, 206, 301, 304, 307, 400, 401, 403, 404, 405, 409, 411, 412, 416, 429, 500, 501, 503, 504} {
			bucket := &lists{page: s3index.ObjectsPage{Status: status}}
			bucket.answer = s3index.Answer{Status: status, ETag: `"e"`}
			err := call(s3index.NewInvitations(bucket))
			fault, isFault := errors.AsType[*onetime.Fault](err)
			switch want := definite[op][status]; {
			case status == 200 && err != nil:
				t.Errorf("%s 200: %v", op, err)
			case status == 200:
			case want != nil && (!errors.Is(err, want) || isFault):
				t.Errorf("%s %d: %v, want %v", op, status, err, want)
			case want == nil && (!isFault || fault.Op != op || fault.Status != status):
				t.Errorf("%s %d: %v, want a fault with op and status", op, status, err)
			}
		}
		reset := errors.New("connection reset")
		bucket := &lists{}
		bucket.err = fmt.Errorf("%w: %w", s3index.ErrStale, reset)
		bucket.answer.Status, bucket.page.Status = 200, 200 // of an answer that broke off
		fault, ok := errors.AsType[*onetime.Fault](call(s3index.NewInvitations(bucket)))
		if !ok || fault.Op != op || fault.Status != 0 || !fault.Stale || !errors.Is(fault, reset) {
			t.Errorf("%s without an answer: %v", op, fault)
		}
	}
}

// TestInvitationRequests: which request each method makes, once, with which limit and on
// which condition.
func TestInvitationRequests(t *testing.T) {
	object := func(key string, absent bool, etag string) *s3index.Object {
		return &s3index.Object{Key: key, Body: []byte("body"), ContentType: "application/json", IfAbsent: absent, IfMatch: etag}
	}
	for op, want := range map[string]struct {
		request string
		object  *s3index.Object
		list    *s3index.List
	}{
		"ReadInvitation":    {"GET " + recordKey, nil, nil},
		"CreateInvitation":  {"PUT " + recordKey, object(recordKey, true, ""), nil},
		"ReplaceInvitation": {"PUT " + recordKey, object(recordKey, false, `"e"`), nil},
		"ListInvitations":   {"LIST invitations/", nil, &s3index.List{Prefix: "invitations/", After: "invitations/abc", Delimiter: "/", Max: 1000}},
		"ReadSlot":          {"GET " + slotsKey + "007", nil, nil},
		"CreateSlot":        {"PUT " + slotsKey + "007", object(slotsKey+"007", true, ""), nil},
		"ReplaceSlot":       {"PUT " + slotsKey + "007", object(slotsKey+"007", false, `"e"`), nil},
		"ListSlots":         {"LIST " + slotsKey, nil, &s3index.List{Prefix: slotsKey, Max: 1000}},
	} {
		for _, status := range []int{200, 409, 500} {
			bucket := &lists{page: s3index.ObjectsPage{Status: status}}
			bucket.answer.Status = status
			_ = invitationOps[op](s3index.NewInvitations(bucket))
			if !slices.Equal(bucket.requests, []string{want.request}) || !slices.Equal(bucket.limits, []time.Duration{askedLimit}) {
				t.Errorf("%s %d: %q, %v", op, status, bucket.requests, bucket.limits)
			}
			if want.object != nil && !reflect.DeepEqual(bucket.objects, []s3index.Object{*want.object}) {
				t.Errorf("%s: puts %+v, want %+v", op, bucket.objects, *want.object)
			}
			if want.list != nil && !slices.Equal(bucket.asked, []s3index.List{*want.list}) {
				t.Errorf("%s: asks for %+v, want %+v", op, bucket.asked, *want.list)
			}
		}
	}
}

// TestInvitationETags: an answer without an ETag is no clear one, and nothing is replaced
// without one.
func TestInvitationETags(t *testing.T) {
	bucket := &lists{}
	bucket.answer = s3index.Answer{Status: 200, ETag: `"e"`, Body: []byte("stored")}
	x := s3index.NewInvitations(bucket)
	if body, etag, err := x.ReadSlot(t.Context(), askedLimit, invitation, 1); string(body) != "stored" || etag != `"e"` || err != nil {
		t.Errorf("ReadSlot = %q, %q, %v", body, etag, err)
	}
	bucket.answer.ETag = ""
	if body, etag, err := x.ReadInvitation(t.Context(), askedLimit, invitation); body != nil || etag != "" || !isFault(err) {
		t.Errorf("without an ETag ReadInvitation = %q, %q, %v", body, etag, err)
	}
	if err := x.ReplaceSlot(t.Context(), askedLimit, invitation, 1, "", nil); !isFault(err) || len(bucket.objects) != 0 {
		t.Errorf("ReplaceSlot without an ETag = %v, and put %v", err, bucket.objects)
	}
}

func isFault(err error) bool {
	_, ok := errors.AsType[*onetime.Fault](err)
	return ok
}

func page(more bool, keys ...string) s3index.ObjectsPage {
	p := s3index.ObjectsPage{Status: 200, More: more}
	for i, key := range keys {
		p.Objects = append(p.Objects, s3index.ListedObject{Key: key, Size: int64(i + 1), ETag: "e"})
	}
	return p
}

// TestListSlots: what is no slot is not taken for one, and a page that is not the last
// tells nothing.
func TestListSlots(t *testing.T) {
	bucket := &lists{page: page(false, slotsKey+"000", slotsKey+"00", slotsKey+"0001", slotsKey+"+12", slotsKey+"-01", slotsKey+"042", slotsKey+"1000", slotsKey+"999", slotsKey+"x", slotsKey, recordKey)}
	listed, err := s3index.NewInvitations(bucket).ListSlots(t.Context(), askedLimit, invitation)
	if want := []invite.ListedSlot{{N: 0, Size: 1}, {N: 42, Size: 6}, {N: 999, Size: 8}}; err != nil || !slices.Equal(listed, want) {
		t.Errorf("ListSlots = %v, %v, want %v", listed, err, want)
	}
	bucket.page = page(true, slotsKey+"000")
	if listed, err := s3index.NewInvitations(bucket).ListSlots(t.Context(), askedLimit, invitation); listed != nil || !isFault(err) {
		t.Errorf("of a page that is not the last: %v, %v", listed, err)
	}
}

// TestListInvitations: pages are asked for one after the other, and end.
func TestListInvitations(t *testing.T) {
	for _, test := range []struct {
		after string
		page  s3index.ObjectsPage
		names string
		next  string
		fails bool
	}{
		{"", page(false), "", "", false},
		{"", page(false, "invitations/a", "invitations/b"), "a b", "", false},
		{"", page(true, "invitations/a", "invitations/b"), "a b", "b", false},
		{"b", page(true, "invitations/c"), "c", "c", false},
		{"b", page(true, "invitations/b"), "", "", true},
		{"b", page(true), "", "", true},
		{"b", page(false), "", "", false},
	} {
		names, next, err := s3index.NewInvitations(&lists{page: test.page}).ListInvitations(t.Context(), askedLimit, test.after)
		if strings.Join(names, " ") != test.names || next != test.next || isFault(err) != test.fails {
			t.Errorf("after %q, %+v: %q, %q, %v", test.after, test.page, names, next, err)
		}
	}
}
