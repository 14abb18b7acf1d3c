package invite_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"oncegate/internal/invite"
	"oncegate/internal/invite/invitetest"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

func TestToken(t *testing.T) {
	token, err := invite.NewToken(onetimetest.NewEntropy(1))
	if err != nil || !strings.HasPrefix(token, "ogi_") || len(token) != 76 {
		t.Fatalf("token %q, %v", token, err)
	}
	if id, err := invite.ParseToken(token); err != nil || len(id) != 64 {
		t.Errorf("ParseToken = %q, %v", id, err)
	}
	last := "0"
	if token[75] == '0' {
		last = "1"
	}
	wantErr(t, "one digit changed", second(invite.ParseToken(token[:75]+last)), invite.ErrChecksum)
	wantErr(t, "an API key", second(invite.ParseToken("ogk_"+token[4:])), invite.ErrForm)
	wantErr(t, "nothing", second(invite.ParseToken("")), invite.ErrForm)
}

func second[T any](_ T, err error) error { return err }

func TestAtMostNURLs(t *testing.T) {
	c := newBucket(t, invitation(3)).client(1, start)
	for range 3 {
		if err := c.upload(t.Context(), c.mustMint(t)); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, "a fourth URL", second(c.mint(t.Context())), invite.ErrFull)
	c.clock.Set(start.Add(2 * time.Hour))
	wantErr(t, "a fourth URL when the others are over", second(c.mint(t.Context())), invite.ErrFull)
	if n := c.stored(); n != 3 {
		t.Errorf("%d uploads, want 3", n)
	}
	for n, slot := range c.objects.Slots(c.id) {
		if slot.State != invite.SlotSpent {
			t.Errorf("slot %d is %s, want it marked as spent", n, slot.State)
		}
	}
}

func TestEntryNamesTheInvitation(t *testing.T) {
	c := newBucket(t, invitation(1)).client(1, start)
	url := c.mustMint(t)
	body, _, err := c.index.ReadValid(t.Context(), time.Second, url.ID)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := onetime.ParseValidEntry(body)
	if err != nil {
		t.Fatal(err)
	}
	if want := "inv:" + string(c.id[:32]) + " Acme, invoices May"; entry.By != want {
		t.Errorf("by %q, want %q", entry.By, want)
	}
	if by, ok := onetime.ParseBy(entry.By); !ok || by.Kind != onetime.CredentialInvitation || by.Label != "Acme, invoices May" {
		t.Errorf("ParseBy = %+v, %v", by, ok)
	}
}

// TestUnspentURLGivesItsSlotBack: whoever let a URL's time go by, or took it back, can mint
// again.
func TestUnspentURLGivesItsSlotBack(t *testing.T) {
	t.Run("over", func(t *testing.T) {
		c := newBucket(t, invitation(1)).client(1, start)
		first := c.mustMint(t)
		c.clock.Set(first.Expires.Add(-time.Second))
		wantErr(t, "while it is good", second(c.mint(t.Context())), invite.ErrFull)
		c.clock.Set(first.Expires)
		again := c.mustMint(t)
		late := c.client(2, first.Expires.Add(-2*time.Second)) // a gate whose clock is behind
		if err := late.upload(t.Context(), first); onetime.ReasonOf(err) != onetime.Revoked {
			t.Errorf("a late upload: %v, want revoked", err)
		}
		if err := c.upload(t.Context(), again); err != nil {
			t.Errorf("the new URL: %v", err)
		}
	})
	t.Run("taken back", func(t *testing.T) {
		c := newBucket(t, invitation(1)).client(1, start)
		first := c.mustMint(t)
		if unspent, err := c.closer.Close(t.Context(), first.ID, c.deadline()); err != nil || !unspent {
			t.Fatalf("Close = %v, %v", unspent, err)
		}
		if err := c.upload(t.Context(), c.mustMint(t)); err != nil {
			t.Errorf("the new URL: %v", err)
		}
	})
	t.Run("spent by a late upload", func(t *testing.T) {
		c := newBucket(t, invitation(1)).client(1, start)
		first := c.mustMint(t)
		late := c.client(2, first.Expires.Add(-time.Second))
		if err := late.upload(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		c.clock.Set(first.Expires)
		wantErr(t, "a second URL", second(c.mint(t.Context())), invite.ErrFull)
	})
	// What lies longer than the bucket keeps expired entries says nothing any more.
	t.Run("for longer than entries are kept", func(t *testing.T) {
		record := invitation(1)
		record.Expires = start.Add(keep)
		c := newBucket(t, record).client(1, start)
		c.minter.Keep = 20 * 24 * time.Hour
		first := c.mustMint(t)
		if err := c.upload(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		for _, v := range c.bucket.index.Versions(first.ID.ExpiredKey()) {
			c.bucket.index.DeleteVersion(first.ID.ExpiredKey(), v.ID)
		}
		c.clock.Set(start.Add(20 * 24 * time.Hour))
		wantErr(t, "a second URL", second(c.mint(t.Context())), invite.ErrFull)
	})
	t.Run("its expired entry was deleted", func(t *testing.T) {
		c := newBucket(t, invitation(1)).client(1, start)
		first := c.mustMint(t)
		if err := c.upload(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		c.bucket.index.Delete(first.ID.ExpiredKey())
		c.clock.Set(first.Expires)
		wantErr(t, "a second URL", second(c.mint(t.Context())), invite.ErrFull)
	})
}

// TestEverySlotIsLookedAtInTheEnd: the one dead URL among many that are spent is found, in
// bounded steps.
func TestEverySlotIsLookedAtInTheEnd(t *testing.T) {
	c := newBucket(t, invitation(100)).client(1, start)
	for i := range 100 {
		url := c.mustMint(t)
		if i == 42 {
			continue
		}
		if err := c.upload(t.Context(), url); err != nil {
			t.Fatal(err)
		}
	}
	c.clock.Set(start.Add(2 * time.Hour))
	for range 7 {
		_, err := c.mint(t.Context())
		if err == nil {
			return
		}
		wantErr(t, "mint", err, invite.ErrFull)
	}
	t.Error("the slot of the dead URL was not found")
}

func TestWhenItMintsNoMore(t *testing.T) {
	c := newBucket(t, invitation(5)).client(1, start)
	wantErr(t, "another id", second(c.minter.Mint(t.Context(), invite.ID(strings.Repeat("0", 64)), onetime.Order{}, c.deadline())), invite.ErrUnknown)
	end := start.Add(14 * 24 * time.Hour)
	c.clock.Set(end.Add(-time.Minute))
	if url := c.mustMint(t); url.Expires.After(end) {
		t.Errorf("a URL until %s of an invitation until %s", url.Expires, end)
	}
	c.clock.Set(end)
	wantErr(t, "at its end", second(c.mint(t.Context())), invite.ErrOver)
	c.clock.Set(start)
	if err := c.keeper.Revoke(t.Context(), c.id, c.deadline()); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "revoked", second(c.mint(t.Context())), invite.ErrRevoked)
	wantErr(t, "look at a revoked one", second(c.minter.Look(t.Context(), c.id, c.deadline())), invite.ErrRevoked)
}

func TestOrdersAreHeldToTheInvitation(t *testing.T) {
	record := invitation(100)
	record.Limits, record.Prefix, record.Meta, record.Tags = onetime.Limits{MinBytes: 10, MaxBytes: 1000, Type: "image/*"}, "teams/red", "order=17", "project=blue"
	for name, test := range map[string]struct {
		order   onetime.Order
		refused string // what the detail begins with
		want    onetime.Limits
		life    time.Duration
	}{
		"nothing":          {onetime.Order{}, "", record.Limits, time.Hour},
		"stricter":         {onetime.Order{Life: time.Minute, Limits: onetime.Limits{MinBytes: 20, MaxBytes: 30}}, "", onetime.Limits{MinBytes: 20, MaxBytes: 30, Type: "image/*"}, time.Minute},
		"an empty one":     {onetime.Order{Empty: true}, "", record.Limits, time.Hour},
		"larger":           {onetime.Order{Limits: onetime.Limits{MaxBytes: 1001}}, "maxBytes", onetime.Limits{}, 0},
		"smaller":          {onetime.Order{Limits: onetime.Limits{MinBytes: 9}}, "minBytes", onetime.Limits{}, 0},
		"longer":           {onetime.Order{Life: time.Hour + time.Second}, "expires", onetime.Limits{}, 0},
		"another type":     {onetime.Order{Limits: onetime.Limits{Type: "text/plain"}}, "type", onetime.Limits{}, 0},
		"one of a kind":    {onetime.Order{Limits: onetime.Limits{Type: "image/png,image/gif"}}, "", onetime.Limits{MinBytes: 10, MaxBytes: 1000, Type: "image/png,image/gif"}, time.Hour},
		"one of two kinds": {onetime.Order{Limits: onetime.Limits{Type: "image/png,text/plain"}}, "type", onetime.Limits{}, 0},
		"any kind":         {onetime.Order{Limits: onetime.Limits{Type: "image/*,text/*"}}, "type", onetime.Limits{}, 0},
		"its own prefix":   {onetime.Order{Prefix: "teams/red"}, "", record.Limits, time.Hour},
		"its own metadata": {onetime.Order{Meta: "order=17"}, "", record.Limits, time.Hour},
		"other metadata":   {onetime.Order{Meta: "order=18"}, "meta", onetime.Limits{}, 0},
		"its own tags":     {onetime.Order{Tags: "project=blue"}, "", record.Limits, time.Hour},
		"other tags":       {onetime.Order{Tags: "project=red"}, "tags", onetime.Limits{}, 0},
		"another prefix":   {onetime.Order{Prefix: "teams/blue"}, "prefix", onetime.Limits{}, 0},
		"a name that lies": {onetime.Order{Name: "a\u202egnp.exe"}, "name", onetime.Limits{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := newBucket(t, record).client(1, start)
			c.minter.URLs.Bounds.Prefixes, c.minter.URLs.Bounds.Tags = []string{"teams/*"}, []string{"project"}
			url, err := c.minter.Mint(t.Context(), c.id, test.order, c.deadline())
			if refusal, ok := errors.AsType[*onetime.Refusal](err); test.refused != "" {
				if !ok || refusal.Reason != onetime.Options || !strings.HasPrefix(refusal.Detail, test.refused) {
					t.Errorf("%v, want that %s is refused", err, test.refused)
				}
				if n := len(c.objects.Slots(c.id)); n != 0 {
					t.Errorf("it has taken %d slots", n)
				}
				return
			}
			if err != nil || url.Order.Limits != test.want || url.Order.Life != test.life || url.Order.Meta != "order=17" || url.Order.Tags != "project=blue" || !strings.HasPrefix(url.Key, "uploads/teams/red/") {
				t.Errorf("%+v, %v, want %+v for %s", url.Order, err, test.want, test.life)
			}
		})
	}
}

// TestGuestsChooseNoPrefix: under an invitation without a prefix there is none, whatever the
// deployment allows to others; and one that the deployment allows no more mints nothing.
func TestGuestsChooseNoPrefix(t *testing.T) {
	c := newBucket(t, invitation(1)).client(1, start)
	c.minter.URLs.Bounds.Prefixes, c.minter.URLs.Bounds.Tags = []string{"*"}, []string{"project"}
	if url, err := c.minter.Mint(t.Context(), c.id, onetime.Order{Prefix: "teams"}, c.deadline()); onetime.ReasonOf(err) != onetime.Options {
		t.Errorf("a guest with a prefix: %+v, %v", url, err)
	}
	if url, err := c.minter.Mint(t.Context(), c.id, onetime.Order{Meta: "order=17"}, c.deadline()); onetime.ReasonOf(err) != onetime.Options {
		t.Errorf("a guest with metadata: %+v, %v", url, err)
	}
	if url, err := c.minter.Mint(t.Context(), c.id, onetime.Order{Tags: "project=blue"}, c.deadline()); onetime.ReasonOf(err) != onetime.Options {
		t.Errorf("a guest with tags: %+v, %v", url, err)
	}
	record := invitation(1)
	record.Tags = "project=blue"
	c = newBucket(t, record).client(1, start)
	if url, err := c.minter.Mint(t.Context(), c.id, onetime.Order{}, c.deadline()); onetime.ReasonOf(err) != onetime.Options {
		t.Errorf("tags that the settings do not have: %+v, %v", url, err)
	}
	record = invitation(1)
	record.Prefix = "teams"
	c = newBucket(t, record).client(1, start)
	if url, err := c.minter.Mint(t.Context(), c.id, onetime.Order{}, c.deadline()); onetime.ReasonOf(err) != onetime.Options {
		t.Errorf("a prefix that the settings do not have: %+v, %v", url, err)
	}
}

func TestRevokeIsDefinite(t *testing.T) {
	c := newBucket(t, invitation(4)).client(1, start)
	used, alive, dead := c.mustMint(t), c.mustMint(t), c.mustMint(t)
	if err := c.upload(t.Context(), used); err != nil {
		t.Fatal(err)
	}
	if _, err := c.closer.Close(t.Context(), dead.ID, c.deadline()); err != nil {
		t.Fatal(err)
	}
	// Somebody who has read the record before mints on.
	old := c.client(2, start)
	record, _, err := c.store.ReadInvitation(t.Context(), time.Second, c.id)
	if err != nil {
		t.Fatal(err)
	}
	old.minter.Store = oldRecord{old.store, record}
	for range 2 { // again does no harm
		if err := c.keeper.Revoke(t.Context(), c.id, c.deadline()); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, "with the old record", second(old.mint(t.Context())), invite.ErrFull)
	if err := c.upload(t.Context(), alive); onetime.ReasonOf(err) != onetime.Revoked {
		t.Errorf("a URL from before: %v, want revoked", err)
	}
	if n := c.stored(); n != 1 {
		t.Errorf("%d uploads, want the one from before", n)
	}
	closed := 0
	for _, slot := range c.objects.Slots(c.id) {
		if slot.State == invite.SlotClosed {
			closed++
		}
	}
	if closed != 3 {
		t.Errorf("%d slots are closed, want 3 of 4", closed)
	}
	wantErr(t, "revoke what is not there", c.keeper.Revoke(t.Context(), invite.ID(strings.Repeat("0", 64)), c.deadline()), invite.ErrUnknown)
}

// oldRecord shows a record from before.
type oldRecord struct {
	*invitetest.Store
	body []byte
}

func (s oldRecord) ReadInvitation(_ context.Context, _ time.Duration, _ invite.ID) ([]byte, string, error) {
	return s.body, "", nil
}

// TestLostAnswers: each write whose answer gets lost, applied or not, ends well when it is
// repeated.
func TestLostAnswers(t *testing.T) {
	for _, op := range []string{"CreateSlot", "ReplaceSlot", "ReadSlot", "ListSlots", "ReadInvitation"} {
		for _, applied := range []bool{false, true} {
			t.Run(op+map[bool]string{true: ", applied"}[applied], func(t *testing.T) {
				c := newBucket(t, invitation(1)).client(1, start)
				if op == "ReplaceSlot" || op == "ReadSlot" {
					c.mustMint(t)
					c.clock.Set(start.Add(time.Hour))
				}
				times := 0
				c.store.Intercept = func(call invitetest.Call) *invitetest.Fault {
					if call.Op != op || times == 1 {
						return nil
					}
					times++
					return &invitetest.Fault{Err: invitetest.ErrLost, Applied: applied}
				}
				url := c.mustMint(t)
				if times != 1 {
					t.Fatalf("%s was asked for %d times", op, times)
				}
				if slot := c.objects.Slots(c.id)[0]; slot.URL != url.ID {
					t.Errorf("the slot names %s, handed out is %s", slot.URL, url.ID)
				}
			})
		}
	}
}

// TestUnclearTakeHandsNothingOut: where it stays unclear whether a slot was taken, there is
// no URL, and the slot is free for the next at once.
func TestUnclearTakeHandsNothingOut(t *testing.T) {
	for _, applied := range []bool{false, true} {
		c := newBucket(t, invitation(1)).client(1, start)
		c.store.Intercept = func(call invitetest.Call) *invitetest.Fault {
			if call.Op == "CreateSlot" {
				return &invitetest.Fault{Err: invitetest.ErrLost, Applied: applied}
			}
			if call.Op == "ReadSlot" {
				return &invitetest.Fault{Err: invitetest.ErrLost}
			}
			return nil
		}
		wantErr(t, "mint", second(c.mint(t.Context())), invite.ErrUnavailable)
		c.store.Intercept = nil
		if err := c.upload(t.Context(), c.mustMint(t)); err != nil {
			t.Error(err)
		}
	}
}

func TestCreateIsHeldToBounds(t *testing.T) {
	c := newBucket(t, invitation(1)).client(1, start)
	c.keeper.Prefixes, c.keeper.Tags = []string{"red"}, []string{"project"}
	for name, change := range map[string]func(r *invite.Record){
		"uploads":         func(r *invite.Record) { r.Uploads = 1001 },
		"no uploads":      func(r *invite.Record) { r.Uploads = 0 },
		"label":           func(r *invite.Record) { r.Label = "" },
		"invisible label": func(r *invite.Record) { r.Label = "a\u200bb" },
		"life":            func(r *invite.Record) { r.Life = onetime.MaxLife + time.Second },
		"negative life":   func(r *invite.Record) { r.Life = -time.Second },
		"end":             func(r *invite.Record) { r.Expires = start.Add(invite.MaxLife + time.Hour) },
		"end before":      func(r *invite.Record) { r.Expires = start },
		"beyond entries":  func(r *invite.Record) { r.Expires = start.Add(keep + time.Second) },
		"sha256":          func(r *invite.Record) { r.Limits.SHA256 = strings.Repeat("A", 43) + "=" },
		"prefix":          func(r *invite.Record) { r.Prefix = "a//b" },
		"metadata":        func(r *invite.Record) { r.Meta = "A=1" },
		"tags":            func(r *invite.Record) { r.Tags = "project" },
		"other tags":      func(r *invite.Record) { r.Tags = "customer=acme" },
		"another prefix":  func(r *invite.Record) { r.Prefix = "blue" },
		"limits":          func(r *invite.Record) { r.Limits.MaxBytes = -1 },
	} {
		record := invitation(1)
		change(&record)
		if _, _, _, err := c.keeper.Create(t.Context(), record, c.deadline()); onetime.ReasonOf(err) != onetime.Options {
			t.Errorf("%s: %v, want a refusal that says so", name, err)
		}
	}
	record := invitation(1)
	record.Life, record.Expires, record.Prefix, record.Tags = 0, time.Time{}, "red", "project=blue"
	_, _, made, err := c.keeper.Create(t.Context(), record, c.deadline())
	if err != nil || made.Prefix != "red" || made.Tags != "project=blue" || made.Life != 24*time.Hour || made.Expires != start.Add(14*24*time.Hour) {
		t.Errorf("what is left open: %+v, %v", made, err)
	}
	c.keeper.Keep = 2 * invite.MaxLife
	record.Expires = start.Add(invite.MaxLife + time.Second)
	if _, _, _, err := c.keeper.Create(t.Context(), record, c.deadline()); onetime.ReasonOf(err) != onetime.Options {
		t.Errorf("for longer than any invitation, where entries are kept: %v, want a refusal", err)
	}
	record.Expires = time.Time{}
	c.keeper.Keep = 9 * 24 * time.Hour
	if _, _, made, err = c.keeper.Create(t.Context(), record, c.deadline()); err != nil || made.Expires != start.Add(9*24*time.Hour) {
		t.Errorf("where entries are kept for 9 days: %+v, %v", made, err)
	}
}

func TestRecordIsReadAsWritten(t *testing.T) {
	record := invite.Record{
		Version: 1, Label: "Ä & <b>", Uploads: 1000, Life: onetime.MaxLife, Created: start, Expires: start.Add(invite.MaxLife),
		Limits: onetime.Limits{MinBytes: 1, MaxBytes: 2, Type: "image/*"}, By: "key:x y", Revoked: start, Prefix: "teams/red", Meta: "a=1", Tags: "b=1",
	}
	if got, err := invite.ParseRecord(record.Marshal()); err != nil || got != record {
		t.Errorf("%+v, %v, want %+v", got, err, record)
	}
	for _, body := range []string{"", "{}", `{"version":2}`, strings.Replace(string(record.Marshal()), `"version":1`, `"version":2`, 1),
		strings.Replace(string(record.Marshal()), `"uploads":1000`, `"uploads":1001`, 1), string(record.Marshal()) + strings.Repeat(" ", 8192),
		strings.Replace(string(record.Marshal()), `"life":604800`, `"life":36028797018967568`, 1), // 3,600 of 2^55 seconds more
		strings.Replace(string(record.Marshal()), `"by"`, `"bi"`, 1), strings.Replace(string(record.Marshal()), "teams/red", "../red", 1), strings.Replace(string(record.Marshal()), "a=1", "A=1", 1), strings.Replace(string(record.Marshal()), "b=1", "aws:b=1", 1)} {
		if _, err := invite.ParseRecord([]byte(body)); err == nil {
			t.Errorf("%q is taken for a record", body)
		}
	}
}

// TestLargestRecord: what is made can be read, however long its texts are.
func TestLargestRecord(t *testing.T) {
	meta, err := onetime.ParseMeta("a=" + strings.Repeat("%25", 1023))
	if err != nil {
		t.Fatal(err)
	}
	tags, err := onetime.ParseTags("a=" + strings.Repeat("%2B", 170) + "&b=" + strings.Repeat("%2B", 167))
	if err != nil {
		t.Fatal(err)
	}
	record := invitation(1)
	record.Created, record.Expires = start, start.Add(time.Hour)
	record.Version, record.Label, record.Meta, record.Tags = 1, strings.Repeat(`"`, 128), meta, tags
	record.Prefix, record.Limits.Type, record.By = strings.Repeat("x", 64), strings.Repeat("a/b,", 63)+"c/d", "key:"+strings.Repeat(`"`, 128)
	if got, err := invite.ParseRecord(record.Marshal()); err != nil || got.Meta != meta || got.Tags != tags {
		t.Errorf("a record of %d bytes: %v", len(record.Marshal()), err)
	}
}

func TestSlotIsReadAsWritten(t *testing.T) {
	url := onetime.Fingerprint("/a", "b")
	held := invite.Slot{Version: 1, State: invite.SlotHeld, URL: url, Created: start, Expires: start.Add(time.Hour)}
	spent := invite.Slot{Version: 1, State: invite.SlotSpent, URL: url}
	closed := invite.Slot{Version: 1, State: invite.SlotClosed}
	for _, slot := range []invite.Slot{held, spent, closed} {
		body := slot.Marshal()
		if got, err := invite.ParseSlot(body); err != nil || got != slot {
			t.Errorf("%+v, %v, want %+v", got, err, slot)
		}
		if final := slot.State != invite.SlotHeld; final != (len(body) <= invite.MaxFinalBytes) {
			t.Errorf("%s has %d bytes", slot.State, len(body))
		}
	}
	for _, slot := range []invite.Slot{{}, {State: invite.SlotHeld, URL: url}, {State: invite.SlotClosed, URL: url}, {State: invite.SlotSpent}, {State: "free"}} {
		slot.Version = 1
		if _, err := invite.ParseSlot(slot.Marshal()); err == nil {
			t.Errorf("%s is taken for a slot", slot.Marshal())
		}
	}
}

func TestSlotNames(t *testing.T) {
	for n := range invite.MaxUploads {
		if got, ok := invite.ParseSlotName(invite.SlotName(n)); !ok || got != n {
			t.Fatalf("slot %d is called %s, which is slot %d, %t", n, invite.SlotName(n), got, ok)
		}
	}
	if first, second := invite.SlotName(9), invite.SlotName(10); first >= second {
		t.Errorf("%s does not come before %s", first, second)
	}
	for _, name := range []string{"", "0", "00", "0000", "+01", "-01", " 01", "1000", "00a", invite.SlotName(invite.MaxUploads)} {
		if n, ok := invite.ParseSlotName(name); ok {
			t.Errorf("%q is slot %d", name, n)
		}
	}
}
