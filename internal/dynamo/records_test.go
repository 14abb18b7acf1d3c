//go:build !js

package dynamo_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"oncegate/internal/dynamo"
	"oncegate/internal/invite"
	"oncegate/internal/local/dynamoserver"
	"oncegate/internal/onetime"
)

// small makes pages of two items.
func small(o *dynamoserver.Options) { o.PageItems = 2 }

// spread are names that begin with each of the sixteen digits, several with some.
func spread(t *testing.T) (names []string) {
	for i := range 40 {
		names = append(names, "0123456789abcdef"[i%16:i%16+1]+string(newID(t, fmt.Sprint(i)))[1:])
	}
	slices.Sort(names)
	return names
}

func TestKeys(t *testing.T) {
	w := newWorld(t, small)
	if ids, err := w.ListKeys(t.Context(), limit); err != nil || len(ids) != 0 {
		t.Errorf("ListKeys of nothing = %v, %v", ids, err)
	}
	names := spread(t)
	for i, id := range names {
		if _, err := w.ReadKey(t.Context(), limit, id); !errors.Is(err, onetime.ErrAbsent) {
			t.Errorf("ReadKey of nothing = %v, want ErrAbsent", err)
		}
		w.must(w.CreateKey(t.Context(), limit, id, fmt.Append(nil, i)))
		if err := w.CreateKey(t.Context(), limit, id, []byte("another")); !errors.Is(err, onetime.ErrExists) {
			t.Errorf("CreateKey again = %v, want ErrExists", err)
		}
		if body, err := w.ReadKey(t.Context(), limit, id); err != nil || string(body) != fmt.Sprint(i) {
			t.Errorf("ReadKey = %q, %v", body, err)
		}
		w.must(w.ReplaceKey(t.Context(), limit, id, []byte("replaced")))
		if body, err := w.ReadKey(t.Context(), limit, id); err != nil || string(body) != "replaced" {
			t.Errorf("ReadKey = %q, %v", body, err)
		}
	}
	if ids, err := w.ListKeys(t.Context(), limit); err != nil || !slices.Equal(ids, names) {
		t.Errorf("ListKeys = %v, %v, want %v", ids, err, names)
	}
}

func TestInvitations(t *testing.T) {
	w, id := newWorld(t, small), newInvitation(t, "")
	if _, _, err := w.ReadInvitation(t.Context(), limit, id); !errors.Is(err, onetime.ErrAbsent) {
		t.Errorf("ReadInvitation of nothing = %v, want ErrAbsent", err)
	}
	if err := w.ReplaceInvitation(t.Context(), limit, id, "", []byte("x")); !errors.Is(err, onetime.ErrChanged) {
		t.Errorf("ReplaceInvitation of nothing = %v, want ErrChanged", err)
	}
	first, second := []byte(`{"text":"ä & <b> +"}`), []byte(`{"text":"second"}`)
	w.must(w.CreateInvitation(t.Context(), limit, id, first))
	if err := w.CreateInvitation(t.Context(), limit, id, second); !errors.Is(err, onetime.ErrExists) {
		t.Errorf("CreateInvitation again = %v, want ErrExists", err)
	}
	body, etag, err := w.ReadInvitation(t.Context(), limit, id)
	if err != nil || !bytes.Equal(body, first) || etag == "" {
		t.Errorf("ReadInvitation = %q, %q, %v", body, etag, err)
	}
	w.must(w.ReplaceInvitation(t.Context(), limit, id, etag, second))
	if err := w.ReplaceInvitation(t.Context(), limit, id, etag, first); !errors.Is(err, onetime.ErrChanged) {
		t.Errorf("ReplaceInvitation with an old ETag = %v, want ErrChanged", err)
	}
	body, now, err := w.ReadInvitation(t.Context(), limit, id)
	if err != nil || !bytes.Equal(body, second) || now == etag {
		t.Errorf("after it ReadInvitation = %q, %q, %v", body, now, err)
	}

	names := append(spread(t), string(id))
	slices.Sort(names)
	for _, name := range names {
		if name != string(id) {
			w.must(w.CreateInvitation(t.Context(), limit, invite.ID(name), []byte("record")))
		}
	}
	w.must(w.CreateSlot(t.Context(), limit, id, 3, []byte("a slot is no invitation")))
	for _, after := range append([]string{"", "0", "7~", "zzz"}, names...) {
		got, err := w.invitations(after)
		want := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name <= after })
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("after %q: %d invitations, %v, want %d", after, len(got), err, len(want))
		}
	}
}

// invitations lists all that come after a name.
func (w *world) invitations(after string) (all []string, err error) {
	for pages := 0; pages < 1000; pages++ {
		names, next, err := w.ListInvitations(w.t.Context(), limit, after)
		if err != nil || next == "" {
			return append(all, names...), err
		}
		if next <= after {
			return nil, fmt.Errorf("next is %q after %q", next, after)
		}
		all, after = append(all, names...), next
	}
	return nil, errors.New("no end")
}

func TestSlots(t *testing.T) {
	w, id := newWorld(t), newInvitation(t, "")
	body := []byte("the body of a slot")
	if listed, err := w.ListSlots(t.Context(), limit, id); err != nil || len(listed) != 0 {
		t.Errorf("ListSlots of nothing = %v, %v", listed, err)
	}
	if _, _, err := w.ReadSlot(t.Context(), limit, id, 0); !errors.Is(err, onetime.ErrAbsent) {
		t.Errorf("ReadSlot of nothing = %v, want ErrAbsent", err)
	}
	if err := w.ReplaceSlot(t.Context(), limit, id, 0, "another", body); !errors.Is(err, onetime.ErrChanged) {
		t.Errorf("ReplaceSlot of nothing = %v, want ErrChanged", err)
	}
	for _, n := range []int{999, 0, 42} {
		w.must(w.CreateSlot(t.Context(), limit, id, n, body))
	}
	w.must(w.CreateSlot(t.Context(), limit, newInvitation(t, "other"), 1, body))
	if err := w.CreateSlot(t.Context(), limit, id, 0, body); !errors.Is(err, onetime.ErrExists) {
		t.Errorf("CreateSlot again = %v, want ErrExists", err)
	}
	for _, name := range []string{"1000", "7", "0042", "-01", "x", "04x"} {
		w.put("slots#"+string(id), name, dynamo.Item{"body": {Text: "not of oncegate"}})
	}
	size := int64(len(body))
	want := []invite.ListedSlot{{N: 0, Size: size}, {N: 42, Size: size}, {N: 999, Size: size}}
	if listed, err := w.ListSlots(t.Context(), limit, id); err != nil || !slices.Equal(listed, want) {
		t.Errorf("ListSlots = %v, %v, want %v", listed, err, want)
	}
	got, etag, err := w.ReadSlot(t.Context(), limit, id, 42)
	if err != nil || !bytes.Equal(got, body) || etag == "" {
		t.Errorf("ReadSlot = %q, %q, %v", got, etag, err)
	}
	if err := w.ReplaceSlot(t.Context(), limit, id, 42, etag+"x", []byte("closed")); !errors.Is(err, onetime.ErrChanged) {
		t.Errorf("ReplaceSlot with another ETag = %v, want ErrChanged", err)
	}
	if got, again, err := w.ReadSlot(t.Context(), limit, id, 42); err != nil || !bytes.Equal(got, body) || again != etag {
		t.Errorf("after that ReadSlot = %q, %q, %v", got, again, err)
	}
}

// TestAllSlots: all slots that there can be are listed, though DynamoDB says of a full page
// that there may be more. One that is too many is an error, for then slots may be missing.
func TestAllSlots(t *testing.T) {
	w, id := newWorld(t), newInvitation(t, "")
	for n := range invite.MaxUploads {
		w.must(w.CreateSlot(t.Context(), limit, id, n, []byte("slot")))
	}
	if listed, err := w.ListSlots(t.Context(), limit, id); err != nil || len(listed) != invite.MaxUploads {
		t.Errorf("ListSlots = %d slots, %v, want %d", len(listed), err, invite.MaxUploads)
	}
	w.put("slots#"+string(id), "x", dynamo.Item{"body": {Text: "one too many"}})
	if listed, err := w.ListSlots(t.Context(), limit, id); err == nil {
		t.Errorf("ListSlots = %d slots", len(listed))
	}
}

// TestOneReplaces: of many who replace one slot at once, with the ETag that all have read, one
// does; and of many who create one, one does.
func TestOneReplaces(t *testing.T) {
	const many = 20
	w, id := newWorld(t), newInvitation(t, "")
	for round := range 10 {
		for what, write := range map[string]func(body []byte) error{
			"create":  func(body []byte) error { return w.CreateSlot(t.Context(), limit, id, round, body) },
			"replace": func(body []byte) error { return w.ReplaceSlot(t.Context(), limit, id, 100+round, "read by all", body) },
		} {
			lost := onetime.ErrExists
			if n := 100 + round; what == "replace" {
				lost = onetime.ErrChanged
				w.must(w.CreateSlot(t.Context(), limit, id, n, []byte("read by all")))
			}
			errs := make([]error, many)
			begin := make(chan struct{})
			var all sync.WaitGroup
			for i := range errs {
				all.Go(func() {
					<-begin
					errs[i] = write(fmt.Append(nil, "body ", i))
				})
			}
			close(begin)
			all.Wait()
			won := slices.Index(errs, nil)
			n := round
			if what == "replace" {
				n += 100
			}
			if got, _, err := w.ReadSlot(t.Context(), limit, id, n); err != nil || string(got) != fmt.Sprint("body ", won) {
				t.Errorf("%s, round %d: the slot says %q, %v, and %d has won", what, round, got, err, won)
			}
			for i, err := range errs {
				if i != won && !errors.Is(err, lost) {
					t.Errorf("%s, round %d: %d got %v, want %v", what, round, i, err, lost)
				}
			}
		}
	}
}

// TestListedTimes: an entry has the time of its making. One that cannot be read is there, and
// is not taken for an old one.
func TestListedTimes(t *testing.T) {
	w, minted := newWorld(t), newID(t, "")
	e, c := entry(), claim(onetime.Used, "first")
	e.Created, e.Expires, c.At = e.Created.Add(-50*time.Hour), e.Expires.Add(-50*time.Hour), c.At.Add(-49*time.Hour)
	if _, err := w.WriteValid(t.Context(), limit, minted, e.Marshal()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Claim(t.Context(), limit, minted, onetime.Used, c.Marshal()); err != nil {
		t.Fatal(err)
	}
	broken := onetime.ID(string(minted[:1]) + strings.Repeat("f", 63))
	w.put("url#"+string(broken[:1]), string(broken), dynamo.Item{"valid": {Text: "?"}, "claim": {Text: "?"}, "nonce": {Text: "x"}})
	for kind, want := range map[onetime.EntryKind]time.Time{onetime.ValidEntries: e.Created, onetime.ExpiredEntries: c.At} {
		page, err := w.ListEntries(t.Context(), limit, kind, string(minted[:1]))
		if err != nil || len(page.Entries) != 2 || page.Entries[0].Name != string(minted) || page.Entries[1].Name != string(broken) {
			t.Fatalf("%s: %v, %v", kind, page, err)
		}
		if at := page.Entries[0].Modified; !at.Equal(want) {
			t.Errorf("%s: %v, want %v", kind, at, want)
		}
		if at := page.Entries[1].Modified; time.Since(at).Abs() > time.Minute {
			t.Errorf("%s: what cannot be read is of %v", kind, at)
		}
	}
}

// TestListStandsStill: a list ends, whatever the pages say.
func TestListStandsStill(t *testing.T) {
	for _, last := range []string{"", "5", "5a", "6", "5~", "5~a"} {
		x := dynamo.New(scripted{page: dynamo.Page{Status: 200, More: true, Last: last}}, keep)
		if _, err := x.ListEntries(t.Context(), limit, onetime.ValidEntries, "5a"); err == nil {
			t.Errorf("a page after 5a that ends at %q is taken", last)
		}
	}
}
