package indextest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"oncegate/internal/onetime"
)

func isAbsent(err error) bool { return errors.Is(err, onetime.ErrAbsent) }

func testEntries(t *testing.T, x Index) {
	id := newID(t, "")
	x.check(t, id, nil, nil)
	entry := x.entry(id)
	valid := x.write(t, id, entry)
	x.check(t, id, valid, nil)
	x.write(t, id, entry)
	claim, _ := x.mustClaim(t, id, onetime.Used, "first")
	x.check(t, id, valid, claim)

	revoked := newID(t, "revoked")
	valid = x.write(t, revoked, x.entry(revoked))
	claim, _ = x.mustClaim(t, revoked, onetime.Revoked, "an operator")
	x.check(t, revoked, valid, claim)
	unminted := newID(t, "unminted")
	x.check(t, unminted, nil, x.claimUnminted(t, unminted))
}

func testText(t *testing.T, x Index) {
	id := newID(t, "")
	entry := x.entry(id)
	entry.Name, entry.Label, entry.By = "Grüße  &<b>+'\".txt", "日本語 😀 \\ ,;=:#", "key:ä"
	entry.Limits = onetime.Limits{MinBytes: 1, MaxBytes: onetime.MaxUploadBytes, Type: "image/*,application/vnd.api+json", SHA256: strings.Repeat("A", 43) + "="}
	valid := x.write(t, id, entry)
	claim := x.claim(onetime.Used, "")
	claim.Request, claim.ETag = `a "request" of <somebody> & others`, strings.Repeat("0", 32)+"-2"
	if _, err := x.Claim(t.Context(), limit, id, onetime.Used, claim.Marshal()); err != nil {
		t.Fatal(err)
	}
	x.check(t, id, valid, claim.Marshal())
}

// testLargeClaim: the claim that completes a multipart upload names all of its parts.
func testLargeClaim(t *testing.T, x Index) {
	id := newID(t, "")
	x.write(t, id, x.entry(id))
	claim := x.claim(onetime.Used, "many parts")
	var parts strings.Builder
	for range onetime.MaxParts {
		fmt.Fprintf(&parts, "%x %s\n", int64(onetime.MaxBytes), strings.Repeat("f", 32))
	}
	claim.Request = parts.String()
	body := claim.Marshal()
	version, err := x.Claim(t.Context(), limit, id, onetime.Used, body)
	if err != nil {
		t.Fatal(err)
	}
	if got, v, err := x.ReadExpired(t.Context(), limit, id); err != nil || v != version || !bytes.Equal(got, body) {
		t.Errorf("ReadExpired = %d bytes, %q, %v, want %d bytes, %q", len(got), v, err, len(body), version)
	}
}

func testClaimOnce(t *testing.T, x Index) {
	id := newID(t, "")
	valid := x.write(t, id, x.entry(id))
	first, _ := x.mustClaim(t, id, onetime.Used, "first")
	again := x.claim(onetime.Used, "first") // as after a lost answer
	for who, claim := range map[string]onetime.ExpiredEntry{
		"another": x.claim(onetime.Used, "another"), "an operator": x.claim(onetime.Revoked, "an operator"), "the first again": again,
	} {
		if version, err := x.Claim(t.Context(), limit, id, claim.Reason, claim.Marshal()); !errors.Is(err, onetime.ErrExists) {
			t.Errorf("%s: Claim = %q, %v, want ErrExists", who, version, err)
		}
	}
	x.check(t, id, valid, first)
}

// testMintAgain: a write of the mint that was long under way takes nothing back.
func testMintAgain(t *testing.T, x Index) {
	id := newID(t, "")
	entry := x.entry(id)
	valid := x.write(t, id, entry)
	claim, _ := x.mustClaim(t, id, onetime.Used, "first")
	x.write(t, id, entry)
	x.check(t, id, valid, claim)
	early := newID(t, "early")
	claim = x.claimUnminted(t, early)
	valid = x.write(t, early, x.entry(early))
	x.check(t, early, valid, claim)
}

// testOthers: what happens to one URL changes nothing of another, whose name begins alike.
func testOthers(t *testing.T, x Index) {
	id := newID(t, "")
	last := byte('0')
	if id[len(id)-1] == last {
		last = '1'
	}
	other := id[:len(id)-1] + onetime.ID(last)
	valid := x.write(t, id, x.entry(id))
	x.write(t, other, x.entry(other))
	x.mustClaim(t, other, onetime.Used, "other")
	x.check(t, id, valid, nil)
	claim, _ := x.mustClaim(t, id, onetime.Used, "first")
	x.check(t, id, valid, claim)
}

// many is how many race for one URL.
const many = 20

// together runs one function for each of many, all at the same time.
func together(do func(i int)) {
	begin := make(chan struct{})
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			<-begin
			do(i)
		})
	}
	close(begin)
	all.Wait()
}

// rounds is how often there is a race.
func rounds() int {
	if testing.Short() {
		return 3
	}
	return 10
}

// undecided reports whether a request may be made again, which the rule does.
func undecided(err error) bool { return err != nil && onetime.Repeatable(err) }

func testClaimRace(t *testing.T, x Index) {
	for round := range rounds() {
		id := newID(t, fmt.Sprint(round))
		valid := x.write(t, id, x.entry(id))
		bodies, errs := make([][]byte, many), make([]error, many)
		together(func(i int) {
			reason := []onetime.Reason{onetime.Used, onetime.Revoked}[i%2]
			bodies[i] = x.claim(reason, fmt.Sprint(round, " ", i)).Marshal()
			_, errs[i] = x.Claim(t.Context(), limit, id, reason, bodies[i])
		})
		won := -1
		for i, err := range errs {
			switch {
			case err == nil && won >= 0:
				t.Errorf("round %d: %d and %d have claimed", round, won, i)
			case err == nil:
				won = i
			case !errors.Is(err, onetime.ErrExists) && !undecided(err):
				t.Errorf("round %d: Claim = %s, want ErrExists", round, describe(err))
			}
		}
		if won < 0 {
			t.Fatalf("round %d: nobody has claimed", round)
		}
		x.check(t, id, valid, bodies[won])
	}
}

func testUploads(t *testing.T, x Index) {
	id := newID(t, "")
	key := keyOf(id)
	if body, err := x.Uploads.ReadUpload(t.Context(), limit, key); !isAbsent(err) {
		t.Errorf("ReadUpload of nothing = %q, %v, want ErrAbsent", body, err)
	}
	body := onetime.UploadEntry{Version: 1, ID: id, Label: "ä & <b>", Name: "n", By: "b"}.Marshal()
	for range 2 {
		if err := x.Uploads.WriteUpload(t.Context(), limit, key, body); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := x.Uploads.ReadUpload(t.Context(), limit, key); err != nil || !bytes.Equal(got, body) {
		t.Errorf("ReadUpload = %q, %v, want %q", got, err, body)
	}
	x.check(t, id, nil, nil)
}

func (x Index) partsEntry(upload string) []byte {
	return onetime.PartsEntry{Version: 1, Created: x.now().UTC().Truncate(time.Second), Upload: upload, PartBytes: 8 << 20}.Marshal()
}

func testParts(t *testing.T, x Index) {
	id := newID(t, "")
	if body, err := x.Parts.ReadParts(t.Context(), limit, id); !isAbsent(err) {
		t.Errorf("ReadParts of nothing = %q, %v, want ErrAbsent", body, err)
	}
	valid := x.write(t, id, x.entry(id))
	if body, err := x.Parts.ReadParts(t.Context(), limit, id); !isAbsent(err) {
		t.Errorf("after the mint ReadParts = %q, %v, want ErrAbsent", body, err)
	}
	first := x.partsEntry("2~first.upload_id-1")
	if err := x.Parts.WriteParts(t.Context(), limit, id, first); err != nil {
		t.Fatal(err)
	}
	for _, body := range [][]byte{x.partsEntry("another"), first} {
		if err := x.Parts.WriteParts(t.Context(), limit, id, body); !errors.Is(err, onetime.ErrExists) {
			t.Errorf("a second WriteParts = %v, want ErrExists", err)
		}
	}
	x.check(t, id, valid, nil)
	claim, _ := x.mustClaim(t, id, onetime.Used, "complete")
	if got, err := x.Parts.ReadParts(t.Context(), limit, id); err != nil || !bytes.Equal(got, first) {
		t.Errorf("ReadParts = %q, %v, want %q", got, err, first)
	}
	x.check(t, id, valid, claim)
}

func testPartsRace(t *testing.T, x Index) {
	for round := range rounds() {
		id := newID(t, fmt.Sprint(round))
		x.write(t, id, x.entry(id))
		bodies, errs := make([][]byte, many), make([]error, many)
		together(func(i int) {
			bodies[i] = x.partsEntry(fmt.Sprint("upload", i))
			errs[i] = x.Parts.WriteParts(t.Context(), limit, id, bodies[i])
		})
		won := -1
		for i, err := range errs {
			switch {
			case err == nil && won >= 0:
				t.Errorf("round %d: %d and %d have written", round, won, i)
			case err == nil:
				won = i
			case !errors.Is(err, onetime.ErrExists) && !undecided(err):
				t.Errorf("round %d: WriteParts = %s, want ErrExists", round, describe(err))
			}
		}
		if won < 0 {
			t.Fatalf("round %d: nobody has written", round)
		}
		if got, err := x.Parts.ReadParts(t.Context(), limit, id); err != nil || !bytes.Equal(got, bodies[won]) {
			t.Errorf("round %d: ReadParts = %q, %v, want what was answered", round, got, err)
		}
	}
}

func testDeleteParts(t *testing.T, x Index) {
	id := newID(t, "")
	valid := x.write(t, id, x.entry(id))
	claim, _ := x.mustClaim(t, id, onetime.Used, "complete")
	if versions, err := x.PartLedger.ListPartsEntry(t.Context(), limit, id); err != nil || len(versions) != 0 {
		t.Errorf("ListPartsEntry of nothing = %v, %v", versions, err)
	}
	if err := x.Parts.WriteParts(t.Context(), limit, id, x.partsEntry("first")); err != nil {
		t.Fatal(err)
	}
	first, err := x.PartLedger.ListPartsEntry(t.Context(), limit, id)
	if err != nil || len(first) != 1 || first[0].ID == "" || first[0].DeleteMarker {
		t.Fatalf("ListPartsEntry = %v, %v, want one version", first, err)
	}
	for range 2 { // gone already is as good
		if err := x.PartLedger.DeletePartsEntry(t.Context(), limit, id, first[0].ID); err != nil {
			t.Fatal(err)
		}
	}
	if body, err := x.Parts.ReadParts(t.Context(), limit, id); !isAbsent(err) {
		t.Errorf("ReadParts = %q, %v, want ErrAbsent", body, err)
	}
	second := x.partsEntry("second")
	if err := x.Parts.WriteParts(t.Context(), limit, id, second); err != nil {
		t.Fatal(err)
	}
	if err := x.PartLedger.DeletePartsEntry(t.Context(), limit, id, first[0].ID); err != nil {
		t.Fatal(err)
	}
	if body, err := x.Parts.ReadParts(t.Context(), limit, id); err != nil || !bytes.Equal(body, second) {
		t.Errorf("after the first was deleted again, ReadParts = %q, %v, want %q", body, err, second)
	}
	x.check(t, id, valid, claim)
}

func testDelete(t *testing.T, x Index) {
	id := newID(t, "")
	valid := x.write(t, id, x.entry(id))
	_, first := x.mustClaim(t, id, onetime.Used, "first")
	if err := x.Ledger.DeleteExpired(t.Context(), limit, id, first[:len(first)-1]+"x"); err != nil {
		t.Logf("DeleteExpired of a version that there never was = %v", err)
	}
	if _, version, err := x.ReadExpired(t.Context(), limit, id); err != nil || version != first {
		t.Fatalf("after another version was deleted, ReadExpired = %q, %v, want %q", version, err, first)
	}
	for range 2 { // gone already is as good
		if err := x.Ledger.DeleteExpired(t.Context(), limit, id, first); err != nil {
			t.Fatal(err)
		}
	}
	x.check(t, id, valid, nil)
	claim, second := x.mustClaim(t, id, onetime.Revoked, "second")
	if second == first {
		t.Errorf("the second claim has the first one's version, %s", second)
	}
	if err := x.Ledger.DeleteExpired(t.Context(), limit, id, first); err != nil {
		t.Fatal(err)
	}
	x.check(t, id, valid, claim)
	unknown := newID(t, "unknown")
	if err := x.Ledger.DeleteExpired(t.Context(), limit, unknown, first); err != nil {
		t.Errorf("DeleteExpired of nothing = %v", err)
	}
	x.check(t, unknown, nil, nil)
}

// testList: lists have the entries that there are, in the order of their names, and can be gone
// on with after any of them.
func testList(t *testing.T, x Index) {
	var all, spent []string
	for i := range 40 {
		id := newID(t, fmt.Sprint(i))
		x.write(t, id, x.entry(id))
		all = append(all, string(id))
		switch i % 4 {
		case 0:
			x.mustClaim(t, id, onetime.Used, "somebody")
			spent = append(spent, string(id))
		case 1:
			_, version := x.mustClaim(t, id, onetime.Used, "somebody")
			if err := x.Ledger.DeleteExpired(t.Context(), limit, id, version); err != nil {
				t.Fatal(err)
			}
		}
	}
	slices.Sort(all)
	slices.Sort(spent)
	for kind, want := range map[onetime.EntryKind][]string{onetime.ValidEntries: all, onetime.ExpiredEntries: spent} {
		for _, after := range []string{"", want[0], want[len(want)/2], want[len(want)/2][:20], want[len(want)-1]} {
			var names []string
			for from, pages := after, 0; ; pages++ {
				page, err := x.Ledger.ListEntries(t.Context(), limit, kind, from)
				if err != nil || pages > 1000 {
					t.Fatalf("%s after %q, page %d: %v", kind, from, pages, err)
				}
				for _, entry := range page.Entries {
					names = append(names, entry.Name)
				}
				if from = page.Next; from == "" {
					break
				}
			}
			if !slices.IsSorted(names) || slices.ContainsFunc(names, func(name string) bool { return name <= after }) {
				t.Errorf("%s after %q: not in order, or not after it: %q", kind, after, names)
			}
			mine := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !slices.Contains(all, name) })
			later := slices.DeleteFunc(slices.Clone(want), func(name string) bool { return name <= after })
			if !slices.Equal(mine, later) {
				t.Errorf("%s after %q: %d of them, want %d", kind, after, len(mine), len(later))
			}
		}
	}
}
