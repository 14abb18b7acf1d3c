// Package indextest holds an index to what package onetime says of it: the same tests for every
// index, against its real server.
package indextest

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"oncegate/internal/layout"
	"oncegate/internal/lean/digest"
	"oncegate/internal/onetime"
)

// Index is what is tested. The parts may be several values that have one store. Those that are
// nil are left out.
type Index struct {
	onetime.Index
	Spender onetime.Spender
	Uploads Uploads
	Parts   Parts
	Ledger  Ledger
	// PartLedger needs Parts.
	PartLedger PartLedger
	// Joined: what belongs to a URL is in one place, and begins with its valid entry. Where there
	// is none, nothing else is written.
	Joined bool
	// Clock is the index's. nil: it is close to the one here.
	Clock onetime.Clock
}

// Uploads are the ways from uploads back to their URLs.
type Uploads interface {
	onetime.UploadIndex
	ReadUpload(ctx context.Context, limit time.Duration, key string) ([]byte, error)
}

// Parts are the records of onetime.PartStore.
type Parts interface {
	WriteParts(ctx context.Context, limit time.Duration, id onetime.ID, body []byte) error
	ReadParts(ctx context.Context, limit time.Duration, id onetime.ID) ([]byte, error)
}

// Ledger are the records of onetime.Ledger.
type Ledger interface {
	DeleteExpired(ctx context.Context, limit time.Duration, id onetime.ID, version string) error
	ListEntries(ctx context.Context, limit time.Duration, kind onetime.EntryKind, after string) (onetime.EntryPage, error)
}

// PartLedger are the records of onetime.PartLedger.
type PartLedger interface {
	ListPartsEntry(ctx context.Context, limit time.Duration, id onetime.ID) ([]onetime.Version, error)
	DeletePartsEntry(ctx context.Context, limit time.Duration, id onetime.ID, version string) error
}

// Test runs the suite as subtests. open returns an index, a new one or one that was used before:
// what is written has a name of the subtest's own.
func Test(t *testing.T, open func(t *testing.T) Index) {
	for _, test := range []struct {
		name string
		has  func(Index) bool
		run  func(*testing.T, Index)
	}{
		{"entries are read as written", always, testEntries},
		{"odd text is kept", always, testText},
		{"a large claim", always, testLargeClaim},
		{"a URL is claimed once", always, testClaimOnce},
		{"a claim outlives a mint that comes again", always, testMintAgain},
		{"URLs do not touch each other", always, testOthers},
		{"one claim wins", always, testClaimRace},
		{"upload entries", func(x Index) bool { return x.Uploads != nil }, testUploads},
		{"parts entries", func(x Index) bool { return x.Parts != nil }, testParts},
		{"one parts entry wins", func(x Index) bool { return x.Parts != nil }, testPartsRace},
		{"deleted parts entries", func(x Index) bool { return x.Parts != nil && x.PartLedger != nil }, testDeleteParts},
		{"deleted claims", func(x Index) bool { return x.Ledger != nil }, testDelete},
		{"lists", func(x Index) bool { return x.Ledger != nil }, testList},
		{"spending", spends, testSpend},
		{"spending again", spends, testSpendAgain},
		{"spending what is spent", spends, testSpendSpent},
		{"spending what is unknown", spends, testSpendUnknown},
		{"spending after enable", func(x Index) bool { return spends(x) && x.Ledger != nil }, testSpendEnabled},
		{"demands", spends, testDemands},
		{"demands at random", spends, testRandomDemands},
		{"one of many wins", spends, testSpendRace},
		{"one nonce at the same time", spends, testSpendTogether},
		{"spending while the terms are not met", spends, testUnmetRace},
		{"spending races revoking", spends, testRevokeRace},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := open(t)
			if !test.has(x) {
				t.Skip("this index has no such part")
			}
			test.run(t, x)
		})
	}
}

func always(Index) bool { return true }

func spends(x Index) bool { return x.Spender != nil }

// limit is more time than any request needs.
const limit = 30 * time.Second

func newID(t *testing.T, part string) onetime.ID { return onetime.Fingerprint(t.Name(), part) }

// now is the time of the index.
func (x Index) now() time.Time {
	if x.Clock != nil {
		return x.Clock.Now()
	}
	return time.Now()
}

func (x Index) checkDate(t *testing.T, op string, at time.Time) {
	t.Helper()
	if at.Sub(x.now()).Abs() > time.Minute || !at.Equal(at.Truncate(time.Second)) {
		t.Errorf("%s at %s, want the present second", op, at)
	}
}

// entry is a valid entry without limits, for the URL with this id.
func (x Index) entry(id onetime.ID) onetime.ValidEntry {
	created := x.now().UTC().Truncate(time.Second)
	return onetime.ValidEntry{Version: 1, Created: created, Expires: created.Add(time.Hour), Key: keyOf(id)}
}

// keyOf is an upload's key that follows from the id.
func keyOf(id onetime.ID) string {
	return fmt.Sprintf("%s%s-%s-4%s-8%s-%s", layout.Uploads, id[:8], id[8:12], id[12:15], id[15:18], id[18:30])
}

func (x Index) write(t *testing.T, id onetime.ID, entry onetime.ValidEntry) []byte {
	t.Helper()
	body := entry.Marshal()
	if _, err := onetime.ParseValidEntry(body); err != nil {
		t.Fatal(err)
	}
	at, err := x.WriteValid(t.Context(), limit, id, body)
	if err != nil {
		t.Fatal(err)
	}
	x.checkDate(t, "WriteValid", at)
	return body
}

// claim is one that this text tells from others.
func (x Index) claim(reason onetime.Reason, who string) onetime.ExpiredEntry {
	return onetime.ExpiredEntry{
		Version: 1, Reason: reason, At: x.now().UTC().Truncate(time.Millisecond), Nonce: digest.Hex([]byte(who))[:32], Request: who,
	}
}

// mustClaim claims, and returns the body and the version of the claim.
func (x Index) mustClaim(t *testing.T, id onetime.ID, reason onetime.Reason, who string) (body []byte, version string) {
	t.Helper()
	body = x.claim(reason, who).Marshal()
	version, err := x.Claim(t.Context(), limit, id, reason, body)
	if err != nil || version == "" {
		t.Fatalf("Claim = %q, %v", version, err)
	}
	return body, version
}

// claimUnminted claims a URL that was not minted, and returns the body of the claim, nil if
// nothing was written.
func (x Index) claimUnminted(t *testing.T, id onetime.ID) []byte {
	t.Helper()
	if !x.Joined {
		body, _ := x.mustClaim(t, id, onetime.Revoked, "before the mint")
		return body
	}
	if version, err := x.Claim(t.Context(), limit, id, onetime.Revoked, x.claim(onetime.Revoked, "before the mint").Marshal()); !isAbsent(err) {
		t.Errorf("Claim of what was not minted = %q, %v, want ErrAbsent", version, err)
	}
	return nil
}

// check compares all that is there of a URL with bodies; nil stands for an entry that is not there.
func (x Index) check(t *testing.T, id onetime.ID, valid, expired []byte) {
	t.Helper()
	body, at, err := x.ReadValid(t.Context(), limit, id)
	if !same(body, err, valid) {
		t.Errorf("ReadValid = %q, %v, want %q", body, err, valid)
	}
	if err == nil {
		x.checkDate(t, "ReadValid", at)
	}
	body, version, err := x.ReadExpired(t.Context(), limit, id)
	if !same(body, err, expired) || (version == "") != (expired == nil) {
		t.Errorf("ReadExpired = %q, %q, %v, want %q", body, version, err, expired)
	}
	var want []onetime.Version
	reason := onetime.Reason("")
	if expired != nil {
		claim, err := onetime.ParseExpiredEntry(expired)
		if err != nil {
			t.Fatal(err)
		}
		want, reason = []onetime.Version{{ID: version}}, claim.Reason
	}
	if got, err := x.ListExpired(t.Context(), limit, id); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("ListExpired = %v, %v, want %v", got, err, want)
	}
	if got, err := x.HeadExpired(t.Context(), limit, id); got != reason || !absentIf(reason == "", err) {
		t.Errorf("HeadExpired = %q, %v, want %q", got, err, reason)
	}
}

// same reports whether this body was read, or, if there is none, that it is absent.
func same(got []byte, err error, want []byte) bool {
	return absentIf(want == nil, err) && bytes.Equal(got, want)
}

func absentIf(absent bool, err error) bool {
	if absent {
		return isAbsent(err)
	}
	return err == nil
}

func describe(err error) string { return fmt.Sprintf("%T %v", err, err) }
