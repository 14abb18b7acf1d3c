//go:build !js

package dynamo_test

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oncegate/internal/config"
	"oncegate/internal/dynamo"
	"oncegate/internal/local/dynamoserver"
	"oncegate/internal/onetime"
)

// TestLostSpend: who repeats a Spend whose answer was lost finds the claim to be its own, and
// nobody else does.
func TestLostSpend(t *testing.T) {
	w := newWorld(t)
	for name, kind := range map[string]dynamoserver.Kind{"dropped": dynamoserver.Drop, "cut short": dynamoserver.Truncate} {
		for _, applied := range []bool{true, false} {
			id := newID(t, name+strconv.FormatBool(applied))
			valid, mine := w.mint(id), claim(onetime.Used, "mine")
			var err error
			w.under(dynamoserver.Fault{Kind: kind, Apply: applied}, func() { _, err = w.Spend(t.Context(), limit, id, mine, terms()) })
			if fault, ok := errors.AsType[*onetime.Fault](err); !ok || fault.Status != 0 {
				t.Fatalf("%s: Spend = %s, want a *Fault without a status", name, describe(err))
			}
			if _, spent := w.url(id)["nonce"]; spent != applied {
				t.Fatalf("%s: spent is %t, want %t", name, spent, applied)
			}
			if applied {
				other, err := w.Spend(t.Context(), limit, id, claim(onetime.Used, "other"), terms())
				if err != nil || other.Claimed || !bytes.Equal(other.Expired, mine.Marshal()) {
					t.Errorf("%s: another's Spend = %t, %q, %v", name, other.Claimed, other.Expired, err)
				}
			}
			again := mine
			again.Request = "again"
			want := again
			if applied {
				want = mine
			}
			got, err := w.Spend(t.Context(), limit, id, again, terms())
			if err != nil || !got.Claimed || !bytes.Equal(got.Valid, valid) || !bytes.Equal(got.Expired, want.Marshal()) {
				t.Errorf("%s: Spend again = %t, %q, %q, %v", name, got.Claimed, got.Valid, got.Expired, err)
			}
		}
	}
}

// TestStaleConnection: a request on a reused connection that turns out to be dead is told
// apart from one on a new connection, and from one that was only slow.
func TestStaleConnection(t *testing.T) {
	w, id := newWorld(t), newID(t, "")
	read := func(limit time.Duration) *onetime.Fault {
		_, err := w.HeadExpired(t.Context(), limit, id)
		fault, ok := errors.AsType[*onetime.Fault](err)
		if !ok {
			t.Fatalf("HeadExpired = %s, want a *Fault", describe(err))
		}
		return fault
	}
	w.under(dynamoserver.Fault{Kind: dynamoserver.Drop}, func() {
		if read(limit).Stale {
			t.Error("a new connection is called stale")
		}
	})
	w.mint(id)
	// An answer may leave a connection that works: net/http gives it back after the answer
	// was read, and not always (one time in 300 here). So there are several tries.
	stale := false
	for tries := 0; !stale && tries < 20; tries++ {
		w.url(id)
		w.under(dynamoserver.Fault{Kind: dynamoserver.Drop}, func() { stale = read(limit).Stale })
	}
	if !stale {
		t.Error("a reused connection is never called stale")
	}
	w.url(id)
	w.under(dynamoserver.Fault{Kind: dynamoserver.Hang}, func() {
		if read(100 * time.Millisecond).Stale {
			t.Error("a slow answer is called stale")
		}
	})
	w.url(id)
	w.under(dynamoserver.Fault{Kind: dynamoserver.Truncate, Apply: true}, func() {
		if read(limit).Stale {
			t.Error("an answer that began is called stale")
		}
	})
}

// TestCancelled: a context that ends ends the request.
func TestCancelled(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := w.ReadValid(ctx, limit, newID(t, "")); !errors.Is(err, context.Canceled) {
		t.Errorf("ReadValid = %s, want Canceled", describe(err))
	}
}

// TestServersClock: the time of an answer is the server's.
func TestServersClock(t *testing.T) {
	const skew = 2 * time.Minute
	w, id := newWorld(t), newID(t, "")
	w.under(dynamoserver.Fault{Kind: dynamoserver.Redate, Apply: true, Skew: -skew}, func() {
		check := func(op string, at time.Time, err error) {
			if err != nil || (time.Since(at)-skew).Abs() > skew/2 {
				t.Errorf("%s at %v, %v, want %v ago", op, at, err, skew)
			}
		}
		at, err := w.WriteValid(t.Context(), limit, id, entry().Marshal())
		check("WriteValid", at, err)
		_, at, err = w.ReadValid(t.Context(), limit, id)
		check("ReadValid", at, err)
		unmet := terms()
		unmet.Length = 1
		for _, terms := range []onetime.Terms{unmet, terms()} {
			spent, err := w.Spend(t.Context(), limit, id, claim(onetime.Used, "first"), terms)
			check("Spend", spent.At, err)
		}
	})
}

// TestNoDate: an answer without a date that can be read has the zero time.
func TestNoDate(t *testing.T) {
	x := dynamo.New(scripted{answer: dynamo.Answer{Status: 200, Item: dynamo.Item{"valid": {Text: "v"}}, Date: "yesterday"}}, keep)
	if body, at, err := x.ReadValid(t.Context(), limit, newID(t, "")); err != nil || string(body) != "v" || !at.IsZero() {
		t.Errorf("ReadValid = %q, %v, %v, want the zero time", body, at, err)
	}
}

// scripted is a Table with one answer, for answers that no server gives.
type scripted struct {
	answer dynamo.Answer
	page   dynamo.Page
}

func (s scripted) Get(context.Context, time.Duration, dynamo.Key, ...string) (dynamo.Answer, error) {
	return s.answer, nil
}

func (s scripted) Update(context.Context, time.Duration, dynamo.Update) (dynamo.Answer, error) {
	return s.answer, nil
}

func (s scripted) Query(context.Context, time.Duration, dynamo.Query) (dynamo.Page, error) {
	return s.page, nil
}

// TestAnswersThatAreNone: only 400 with the right code is a condition that failed, and only
// 200 is success.
func TestAnswersThatAreNone(t *testing.T) {
	for _, answer := range []dynamo.Answer{
		{Status: 500, Code: dynamo.ConditionFailed}, {Status: 0}, {Status: 204}, {Status: 302}, {Status: 503}, {Status: 400},
	} {
		x := dynamo.New(scripted{answer: answer, page: dynamo.Page{Status: answer.Status, Code: answer.Code}}, keep)
		for _, op := range operations {
			if _, ok := errors.AsType[*onetime.Fault](op.call(x, t.Context(), limit, newID(t, ""))); !ok {
				t.Errorf("%s after %d %s is no *Fault", op.name, answer.Status, answer.Code)
			}
		}
	}
}

// TestCodes: DynamoDB throttles with the status 400, so what a refusal is worth is in its code.
func TestCodes(t *testing.T) {
	for code, status := range map[string]int{
		"ProvisionedThroughputExceededException": 429, "ThrottlingException": 429, "RequestLimitExceeded": 429, "LimitExceededException": 429,
		"TransactionConflictException": 429, "TransactionInProgressException": 429, "ReplicatedWriteConflictException": 429,
		"AccessDeniedException": 400, "ResourceNotFoundException": 400, "ValidationException": 400, "ItemCollectionSizeLimitExceededException": 400,
		"ExpiredTokenException": 400, "": 400,
	} {
		x := dynamo.New(scripted{answer: dynamo.Answer{Status: 400, Code: code}, page: dynamo.Page{Status: 400, Code: code}}, keep)
		for _, op := range operations {
			err := op.call(x, t.Context(), limit, newID(t, ""))
			fault, ok := errors.AsType[*onetime.Fault](err)
			if !ok || fault.Op != op.name || fault.Status != status || onetime.Repeatable(err) != (status == 429) || code != "" && fault.Err.Error() != code {
				t.Errorf("%s refused with %q = %s, want a *Fault with status %d", op.name, code, describe(err), status)
			}
		}
	}
}

// TestMintedItem: what a mint writes, attribute by attribute, and when it may be forgotten.
func TestMintedItem(t *testing.T) {
	w := newWorld(t)
	demanding, plain := newID(t, "demanding"), newID(t, "plain")
	full, empty := entry(), entry()
	empty.Name, empty.Tags, empty.Limits = "", "", onetime.Limits{}
	several := empty
	several.Limits.Type = "image/*,text/plain"
	for id, e := range map[onetime.ID]onetime.ValidEntry{demanding: full, plain: empty, newID(t, "several"): several} {
		if _, err := w.WriteValid(t.Context(), limit, id, e.Marshal()); err != nil {
			t.Fatal(err)
		}
		number := func(n int64) dynamo.Value { return dynamo.Value{Text: strconv.FormatInt(n, 10), Number: true} }
		want := dynamo.Item{
			"p": {Text: "url#" + string(id[:1])}, "k": {Text: string(id)}, "valid": {Text: string(e.Marshal())},
			"expires": number(e.Expires.Unix()), "forget": number(e.Expires.Add(keep).Unix()),
			"least": number(e.Limits.MinBytes), "most": number(e.Demands().MaxBytes), "added": number(int64(e.Demands().Added)),
			"types": {Text: ","},
		}
		switch id {
		case demanding:
			yes := dynamo.Value{Text: "yes"}
			want["types"], want["sole"], want["sha"], want["tagged"] = dynamo.Value{Text: ",image/png,"}, yes, yes, yes
		case newID(t, "several"):
			want["types"] = dynamo.Value{Text: ",image/*,text/plain,"}
		}
		same(t, w.url(id), want)
	}
}

func same(t *testing.T, got, want dynamo.Item) {
	t.Helper()
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %v, want %v", name, got[name], value)
		}
	}
	for name, value := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is %v, want none", name, value)
		}
	}
}

// TestMintOverAnother: a mint changes no entry, and does not say that it has.
func TestMintOverAnother(t *testing.T) {
	w, id := newWorld(t), newID(t, "")
	w.mint(id)
	before := w.url(id)
	other := entry()
	other.Label = "another"
	_, err := w.WriteValid(t.Context(), limit, id, other.Marshal())
	if fault, ok := errors.AsType[*onetime.Fault](err); !ok || fault.Status != 400 || onetime.Repeatable(err) {
		t.Errorf("WriteValid over another = %s", describe(err))
	}
	same(t, w.url(id), before)
	w.must(w.WriteUpload(t.Context(), limit, uploadKey, []byte("first")))
	prefixed := strings.Replace(uploadKey, "uploads/", "uploads/teams/red/", 1)
	w.must(w.WriteUpload(t.Context(), limit, prefixed, []byte("with a prefix")))
	if body, err := w.ReadUpload(t.Context(), limit, prefixed); err != nil || string(body) != "with a prefix" {
		t.Errorf("with a prefix: %s, %v", body, err)
	}
	if w.item("upload#1", "teams/red/123e4567-e89b-42d3-a456-426614174000") == nil {
		t.Error("with a prefix: it is not in the partition of its UUID")
	}
	if err := w.WriteUpload(t.Context(), limit, uploadKey, []byte("second")); err == nil || onetime.Repeatable(err) {
		t.Errorf("WriteUpload over another = %s", describe(err))
	}
	if body, err := w.ReadUpload(t.Context(), limit, uploadKey); err != nil || string(body) != "first" {
		t.Errorf("ReadUpload = %q, %v", body, err)
	}
}

// TestNonsenseIsNotSent: what is no entry, and a claim that nobody could recognise, make no request.
func TestNonsenseIsNotSent(t *testing.T) {
	w, id := newWorld(t), newID(t, "")
	w.mint(id)
	nameless := claim(onetime.Used, "first")
	nameless.Nonce = ""
	calls := w.under(dynamoserver.Fault{}, func() {
		_, mintErr := w.WriteValid(t.Context(), limit, newID(t, "other"), []byte("{}"))
		_, claimErr := w.Claim(t.Context(), limit, id, onetime.Used, nameless.Marshal())
		_, spendErr := w.Spend(t.Context(), limit, id, nameless, terms())
		for op, err := range map[string]error{"WriteValid": mintErr, "Claim": claimErr, "Spend": spendErr} {
			if fault, ok := errors.AsType[*onetime.Fault](err); !ok || fault.Op != op || onetime.Repeatable(err) {
				t.Errorf("%s = %s, want a *Fault that stays", op, describe(err))
			}
		}
	})
	if len(calls) != 0 {
		t.Errorf("%d requests", len(calls))
	}
}

// TestClaimedItem: a claim is three attributes beside what was minted, whichever way it is
// made, and enabling the URL removes these three and nothing else.
func TestClaimedItem(t *testing.T) {
	w := newWorld(t)
	for _, reason := range []onetime.Reason{onetime.Used, onetime.Revoked} {
		id, c := newID(t, string(reason)), claim(reason, "first")
		w.mint(id)
		w.must(w.WriteParts(t.Context(), limit, id, []byte("parts")))
		before := w.url(id)
		if reason == onetime.Used {
			if spent, err := w.Spend(t.Context(), limit, id, c, terms()); err != nil || !spent.Claimed {
				t.Fatalf("Spend = %t, %v", spent.Claimed, err)
			}
		} else if version, err := w.Claim(t.Context(), limit, id, reason, c.Marshal()); err != nil || version != c.Nonce {
			t.Fatalf("Claim = %q, %v, want the nonce", version, err)
		}
		claimed := w.url(id)
		if claimed["claim"].Text != string(c.Marshal()) || claimed["nonce"].Text != c.Nonce || claimed["why"].Text != string(reason) || len(claimed) != len(before)+3 {
			t.Errorf("%s: the item is %v", reason, claimed)
		}
		w.must(w.DeleteExpired(t.Context(), limit, id, claim(reason, "another").Nonce))
		same(t, w.url(id), claimed)
		w.must(w.DeleteExpired(t.Context(), limit, id, c.Nonce))
		same(t, w.url(id), before)
	}
}

// TestGone: of a URL whose item was deleted nothing can be claimed, and nothing comes back.
func TestGone(t *testing.T) {
	w, id := newWorld(t), newID(t, "")
	if version, err := w.Claim(t.Context(), limit, id, onetime.Revoked, claim(onetime.Revoked, "late").Marshal()); !errors.Is(err, onetime.ErrAbsent) {
		t.Errorf("Claim = %q, %v, want ErrAbsent", version, err)
	}
	if spent, err := w.Spend(t.Context(), limit, id, claim(onetime.Used, "late"), terms()); err != nil || spent.Claimed || spent.Valid != nil || spent.Expired != nil {
		t.Errorf("Spend = %+v, %v", spent, err)
	}
	w.must(w.DeleteExpired(t.Context(), limit, id, claim(onetime.Used, "late").Nonce))
	w.must(w.DeletePartsEntry(t.Context(), limit, id, "parts"))
	if err := w.WriteParts(t.Context(), limit, id, []byte("parts")); err == nil || errors.Is(err, onetime.ErrExists) || onetime.Repeatable(err) {
		t.Errorf("WriteParts = %s", describe(err))
	}
	if item := w.url(id); item != nil {
		t.Errorf("there is %v", item)
	}
}

// TestHalfAnItem: an item that nothing of oncegate has written is no reason to let an upload
// through.
func TestHalfAnItem(t *testing.T) {
	w := newWorld(t)
	for name, missing := range map[string]string{"no time": "expires", "no least": "least", "no most": "most", "no types": "types", "no size": "added", "no entry": "valid"} {
		id := newID(t, name)
		w.mint(id)
		item := w.url(id)
		delete(item, "p")
		delete(item, "k")
		delete(item, missing)
		half := newID(t, name+" half")
		w.put("url#"+string(half[:1]), string(half), item)
		if spent, err := w.Spend(t.Context(), limit, half, claim(onetime.Used, "first"), terms()); err != nil || spent.Claimed {
			t.Errorf("%s: Spend = %t, %v", name, spent.Claimed, err)
		}
	}
	// A nonce alone is a claim: whoever wrote it, the URL is spent.
	id := newID(t, "nonce alone")
	w.mint(id)
	w.put("url#"+string(id[:1]), string(id), dynamo.Item{"nonce": {Text: "x"}})
	if reason, err := w.HeadExpired(t.Context(), limit, id); err != nil || reason != onetime.Used {
		t.Errorf("HeadExpired = %q, %v", reason, err)
	}
	if spent, err := w.Spend(t.Context(), limit, id, claim(onetime.Used, "first"), terms()); err != nil || spent.Claimed {
		t.Errorf("Spend = %t, %v", spent.Claimed, err)
	}
}

// TestKeepInvitations: the table keeps invitations as long as the bucket does.
func TestKeepInvitations(t *testing.T) {
	w, id := newWorld(t), newInvitation(t, "")
	within := func(what string, item dynamo.Item, want time.Duration) {
		t.Helper()
		seconds, err := strconv.ParseInt(item["forget"].Text, 10, 64)
		if err != nil || !item["forget"].Number || time.Until(time.Unix(seconds, 0)).Round(time.Hour) != want {
			t.Errorf("%s is forgotten at %v, want in %v", what, item["forget"], want)
		}
	}
	const days = config.KeepInvitationsDays * 24 * time.Hour
	record, slot := func() dynamo.Item { return w.item("invitation#"+string(id[:1]), string(id)) }, func() dynamo.Item { return w.item("slots#"+string(id), "042") }
	w.must(w.CreateInvitation(t.Context(), limit, id, []byte("record")))
	w.must(w.CreateSlot(t.Context(), limit, id, 42, []byte("slot")))
	within("a record", record(), days)
	within("a slot", slot(), days)
	for _, item := range []dynamo.Item{record(), slot()} {
		w.put(item["p"].Text, item["k"].Text, dynamo.Item{"forget": {Text: "1", Number: true}})
	}
	w.must(w.ReplaceInvitation(t.Context(), limit, id, "record", []byte("record 2")))
	w.must(w.ReplaceSlot(t.Context(), limit, id, 42, "slot", []byte("slot 2")))
	within("a new record", record(), days)
	within("a new slot", slot(), days)

	w.must(w.WriteUpload(t.Context(), limit, uploadKey, []byte("upload")))
	within("a way back", w.item("upload#1", "123e4567-e89b-42d3-a456-426614174000"), onetime.MaxLife+keep)
	w.must(w.CreateKey(t.Context(), limit, string(id), []byte("key")))
	if forget, ok := w.item("key#"+string(id[:1]), string(id))["forget"]; ok {
		t.Errorf("the record of a key is forgotten at %v", forget)
	}
}

// TestAddMinted: a name has as much as it may have, however many add at once, and what was
// refused has added nothing.
func TestAddMinted(t *testing.T) {
	w := newWorld(t)
	forget := time.Now().Add(time.Hour)
	var added atomic.Int64
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			ok, err := w.AddMinted(t.Context(), 10*time.Second, "f/2026-03-04", 2, 15, forget)
			if err != nil {
				t.Error(describe(err))
			}
			if ok {
				added.Add(2)
			}
		})
	}
	all.Wait()
	item := w.item("day#f", "f/2026-03-04")
	if added.Load() != 14 || item["minted"].Text != "14" || item["forget"].Text != strconv.FormatInt(forget.Unix(), 10) {
		t.Errorf("%d were let through, the item is %v, want 14", added.Load(), item)
	}
	for _, step := range []struct {
		n    int64
		want bool
	}{{2, false}, {1, true}, {1, false}} {
		if ok, err := w.AddMinted(t.Context(), limit, "f/2026-03-04", step.n, 15, forget); err != nil || ok != step.want {
			t.Errorf("%d more: %t, %v, want %t", step.n, ok, err, step.want)
		}
	}
}
