package indextest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"oncegate/internal/onetime"
)

// terms are those of five bytes of no type.
func (x Index) terms() onetime.Terms {
	return onetime.Terms{Now: x.now(), Length: 5, SHA256: true, Tags: true, Room: 1 << 10}
}

// spend asks for a URL and checks that the answer says what is there.
func (x Index) spend(t *testing.T, id onetime.ID, claim onetime.ExpiredEntry, terms onetime.Terms) onetime.Spending {
	t.Helper()
	spent, err := x.Spender.Spend(t.Context(), limit, id, claim, terms)
	if err != nil {
		t.Fatalf("Spend = %v", err)
	}
	x.checkDate(t, "Spend", spent.At)
	x.check(t, id, spent.Valid, spent.Expired)
	return spent
}

func testSpend(t *testing.T, x Index) {
	id := newID(t, "")
	valid, claim := x.write(t, id, x.entry(id)), x.claim(onetime.Used, "first")
	spent := x.spend(t, id, claim, x.terms())
	if !spent.Claimed || !bytes.Equal(spent.Valid, valid) || !bytes.Equal(spent.Expired, claim.Marshal()) {
		t.Errorf("Spend = %t, %q, %q, want the valid entry %q and the claim %q", spent.Claimed, spent.Valid, spent.Expired, valid, claim.Marshal())
	}
	if version, err := x.Claim(t.Context(), limit, id, onetime.Used, x.claim(onetime.Used, "another").Marshal()); !errors.Is(err, onetime.ErrExists) {
		t.Errorf("Claim after it = %q, %v, want ErrExists", version, err)
	}
	x.check(t, id, valid, claim.Marshal())
}

// testSpendAgain: who comes again with the nonce of the claim has it, whatever his terms are by
// now. Nothing is written.
func testSpendAgain(t *testing.T, x Index) {
	id := newID(t, "")
	entry := x.entry(id)
	valid, first := x.write(t, id, entry), x.claim(onetime.Used, "first")
	x.spend(t, id, first, x.terms())
	again := first
	again.At, again.Request = first.At.Add(time.Second), "first, again"
	late, long := x.terms(), x.terms()
	late.Now, long.Length = entry.Expires.Add(time.Hour), onetime.MaxUploadBytes+1
	for _, terms := range []onetime.Terms{x.terms(), late, long} {
		spent := x.spend(t, id, again, terms)
		if !spent.Claimed || !bytes.Equal(spent.Valid, valid) || !bytes.Equal(spent.Expired, first.Marshal()) {
			t.Errorf("Spend again = %t, %q, %q, want the first claim %q", spent.Claimed, spent.Valid, spent.Expired, first.Marshal())
		}
	}
	// The way of the claim is the same.
	claimed := newID(t, "claimed")
	x.write(t, claimed, x.entry(claimed))
	body, _ := x.mustClaim(t, claimed, onetime.Used, "second")
	if spent := x.spend(t, claimed, x.claim(onetime.Used, "second"), x.terms()); !spent.Claimed || !bytes.Equal(spent.Expired, body) {
		t.Errorf("Spend after Claim with the same nonce = %t, %q", spent.Claimed, spent.Expired)
	}
}

func testSpendSpent(t *testing.T, x Index) {
	for _, reason := range []onetime.Reason{onetime.Used, onetime.Revoked} {
		id := newID(t, string(reason))
		valid := x.write(t, id, x.entry(id))
		claim, _ := x.mustClaim(t, id, reason, "somebody else")
		for range 2 {
			spent := x.spend(t, id, x.claim(onetime.Used, "late"), x.terms())
			if spent.Claimed || !bytes.Equal(spent.Valid, valid) || !bytes.Equal(spent.Expired, claim) {
				t.Errorf("%s: Spend = %t, %q, %q, want the claim %q", reason, spent.Claimed, spent.Valid, spent.Expired, claim)
			}
		}
	}
	spent := newID(t, "twice")
	x.write(t, spent, x.entry(spent))
	first := x.claim(onetime.Used, "first")
	x.spend(t, spent, first, x.terms())
	if got := x.spend(t, spent, x.claim(onetime.Used, "second"), x.terms()); got.Claimed || !bytes.Equal(got.Expired, first.Marshal()) {
		t.Errorf("Spend by another = %t, %q, want the claim %q", got.Claimed, got.Expired, first.Marshal())
	}
}

// testSpendUnknown: what was not minted is not spent, and leaves no trace.
func testSpendUnknown(t *testing.T, x Index) {
	id := newID(t, "")
	if spent := x.spend(t, id, x.claim(onetime.Used, "first"), x.terms()); spent.Claimed || spent.Valid != nil || spent.Expired != nil {
		t.Errorf("Spend of nothing = %t, %q, %q", spent.Claimed, spent.Valid, spent.Expired)
	}
	revoked := newID(t, "revoked")
	claim := x.claimUnminted(t, revoked)
	if spent := x.spend(t, revoked, x.claim(onetime.Used, "first"), x.terms()); spent.Claimed || spent.Valid != nil || !bytes.Equal(spent.Expired, claim) {
		t.Errorf("Spend of a claim alone = %t, %q, %q", spent.Claimed, spent.Valid, spent.Expired)
	}
	if x.Parts != nil {
		parts := newID(t, "parts")
		if err := x.Parts.WriteParts(t.Context(), limit, parts, x.partsEntry("upload")); (err != nil) != x.Joined {
			t.Fatal(err)
		}
		if body, err := x.Parts.ReadParts(t.Context(), limit, parts); isAbsent(err) != x.Joined {
			t.Errorf("after it ReadParts = %q, %v", body, err)
		}
		if spent := x.spend(t, parts, x.claim(onetime.Used, "first"), x.terms()); spent.Claimed || spent.Valid != nil || spent.Expired != nil {
			t.Errorf("Spend of a parts entry alone = %t, %q, %q", spent.Claimed, spent.Valid, spent.Expired)
		}
	}
}

// testSpendEnabled: once the claim is removed, the URL is good once more, for the nonce that had
// it as well.
func testSpendEnabled(t *testing.T, x Index) {
	id := newID(t, "")
	x.write(t, id, x.entry(id))
	for i, who := range []string{"first", "second", "second"} {
		claim := x.claim(onetime.Used, who)
		if spent := x.spend(t, id, claim, x.terms()); !spent.Claimed {
			t.Fatalf("Spend %d is refused: %q", i, spent.Expired)
		}
		if spent := x.spend(t, id, x.claim(onetime.Used, "another"), x.terms()); spent.Claimed {
			t.Fatalf("after Spend %d another is granted", i)
		}
		_, version, err := x.ReadExpired(t.Context(), limit, id)
		if err == nil {
			err = x.Ledger.DeleteExpired(t.Context(), limit, id, version)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// demand mints a URL with these demands and asks for it.
func (x Index) demand(t *testing.T, id onetime.ID, entry onetime.ValidEntry, terms onetime.Terms) {
	t.Helper()
	valid, claim := x.write(t, id, entry), x.claim(onetime.Used, "somebody")
	spent, err := x.Spender.Spend(t.Context(), limit, id, claim, terms)
	if err != nil {
		t.Fatal(err)
	}
	want := entry.Demands().Meet(terms)
	var expired []byte
	if want {
		expired = claim.Marshal()
	}
	if spent.Claimed != want || !bytes.Equal(spent.Valid, valid) || !bytes.Equal(spent.Expired, expired) {
		t.Errorf("%+v\nwith %+v\nSpend = %t, %q, %q, want %t", entry.Demands(), terms, spent.Claimed, spent.Valid, spent.Expired, want)
	}
	if reason, err := x.HeadExpired(t.Context(), limit, id); !absentIf(!want, err) {
		t.Errorf("%+v\nwith %+v\nHeadExpired = %q, %v, want a claim: %t", entry.Demands(), terms, reason, err, want)
	}
}

// demanded is a row of the table: a change of the plain entry, a change of the plain terms, and
// whether the one is met by the other.
type demanded struct {
	name  string
	entry func(*onetime.ValidEntry)
	terms func(*onetime.Terms)
	met   bool
}

func demands() []demanded {
	const image = "image/png,image/*,text/plain"
	bytes := func(least, most, length int64, met bool) demanded {
		return demanded{fmt.Sprintf("%d to %d bytes, %d", least, most, length),
			func(e *onetime.ValidEntry) { e.Limits.MinBytes, e.Limits.MaxBytes = least, most },
			func(t *onetime.Terms) { t.Length = length }, met}
	}
	types := func(types, sent string, met bool) demanded {
		return demanded{fmt.Sprintf("type %q, %q", types, sent),
			func(e *onetime.ValidEntry) { e.Limits.Type = types }, func(t *onetime.Terms) { t.Type = sent }, met}
	}
	after := func(d time.Duration, met bool) demanded {
		return demanded{fmt.Sprintf("%v after the end", d), nil, func(t *onetime.Terms) { t.Now = t.Now.Truncate(time.Second).Add(time.Hour + d) }, met}
	}
	sum := func(asked, can, met bool) demanded {
		return demanded{fmt.Sprintf("sha256 %t, %t", asked, can), func(e *onetime.ValidEntry) {
			if asked {
				e.Limits.SHA256 = strings.Repeat("A", 43) + "="
			}
		}, func(t *onetime.Terms) { t.SHA256 = can }, met}
	}
	tags := func(asked, can, met bool) demanded {
		return demanded{fmt.Sprintf("tags %t, %t", asked, can), func(e *onetime.ValidEntry) {
			if asked {
				e.Tags = "customer=acme&project=blue"
			}
		}, func(t *onetime.Terms) { t.Tags = can }, met}
	}
	// A name of so many plain letters is content-disposition: attachment; filename*=UTF-8''…
	room := func(name string, types string, room int, met bool) demanded {
		return demanded{fmt.Sprintf("name %q, type %q, room for %d", name, types, room),
			func(e *onetime.ValidEntry) { e.Name, e.Limits.Type = name, types }, func(t *onetime.Terms) { t.Room = room }, met}
	}
	const disposition = len("content-disposition") + len("attachment; filename*=UTF-8''")
	return []demanded{
		{"plain", nil, nil, true},
		after(-time.Second, true), after(-1, true), after(0, false), after(1, false), after(time.Hour, false), after(24*time.Hour, false),
		bytes(0, 0, 0, true), bytes(0, 0, onetime.MaxBytes, true), bytes(0, 0, onetime.MaxBytes+1, false),
		bytes(0, 9, 9, true), bytes(0, 9, 10, false), bytes(0, 100, 99, true), bytes(0, 100, 9, true), bytes(0, 99, 100, false),
		bytes(7, 100, 6, false), bytes(7, 100, 7, true), bytes(7, 100, 10, true), bytes(10, 100, 9, false), bytes(10, 0, 9, false),
		bytes(5, 5, 5, true), bytes(5, 5, 4, false), bytes(5, 5, 6, false),
		bytes(0, onetime.MaxUploadBytes, onetime.MaxBytes, true), bytes(onetime.MaxUploadBytes, onetime.MaxUploadBytes, onetime.MaxBytes, false),
		types("", "", true), types("", "text/plain", true),
		types("text/plain", "text/plain", true), types("text/plain", "", true), types("text/plain", "text/plai", false), types("text/plain", "text/plainer", false),
		types("text/plain", "ext/plain", false), types("text/plain", "plain", false), types("text/plain", "atext/plain", false), types("text/plain", "text/html", false),
		types("text/*", "text/html", true), types("text/*", "", false), types("text/*", "texts/html", false), types("text/*", "a/text", false), types("text/*", "tex/html", false),
		types(image, "image/png", true), types(image, "image/gif", true), types(image, "text/plain", true), types(image, "text/html", false), types(image, "", false),
		types("a/b,c/d", "b,c/d", false), types("a/b,c/d", "a/b", true), types("a/b,c/d", "c/d", true), types("a/b,c/d", "a/d", false), types("a/b,c/d", "", false), types("a/b,c/d", "a/b,c/d", false),
		types("application/vnd.a+b", "application/vnd.a+b", true), types("application/vnd.a+b", "application/vnd.a", false),
		types("application/vnd.a", "application/vnd.a+b", false), types("x-a/*,x/b", "x/c", false), types("x-a/*,x/b", "x-a/c", true), types("x-a/*", "a/c", false),
		sum(false, false, true), sum(false, true, true), sum(true, true, true), sum(true, false, false),
		tags(false, false, true), tags(false, true, true), tags(true, true, true), tags(true, false, false),
		room("", "", 0, true), room("", "", -1, false), room("abc", "", disposition+3, true), room("abc", "", disposition+2, false),
		room("ä", "", disposition+6, true), room("ä", "", disposition+5, false), room("", "a/b", len("content-type")+3, true), room("", "a/b", len("content-type")+2, false),
		room("abc", "a/b", disposition+len("content-type")+6, true), room("abc", "a/b", disposition+len("content-type")+5, false),
		room("", "a/*", 0, false), room("abc", "", 9, false), room("abc", "", 100, true),
	}
}

// testDemands: an index claims exactly where Demands.Meet says so.
func testDemands(t *testing.T, x Index) {
	for _, row := range demands() {
		id := newID(t, row.name)
		entry, terms := x.entry(id), x.terms()
		terms.Now = entry.Created
		if row.entry != nil {
			row.entry(&entry)
		}
		if row.terms != nil {
			row.terms(&terms)
		}
		if met := entry.Demands().Meet(terms); met != row.met {
			t.Errorf("%s: Meet = %t, want %t", row.name, met, row.met)
		}
		x.demand(t, id, entry, terms)
	}
}

// testRandomDemands does the same for entries and terms that nobody has thought of.
func testRandomDemands(t *testing.T, x Index) {
	random := rand.New(rand.NewPCG(1, 1))
	types := []string{"", "a/b", "a/c", "a/*", "a.b/*", "b/a+c", "a/b,a/c", "a/*,b/c", "b/*,a/b,c/d"}
	sent := []string{"", "a/b", "a/c", "a/b+c", "a.b/c", "b/a", "b/a+c", "c/d", "ba/b"}
	near := func(n int64) int64 { return max(0, n+random.Int64N(3)-1) }
	for i := range 20 * rounds() {
		id := newID(t, fmt.Sprint(i))
		entry := x.entry(id)
		entry.Expires = entry.Created.Add(time.Second * time.Duration(1+random.IntN(3)))
		entry.Limits.Type = types[random.IntN(len(types))]
		entry.Name = strings.Repeat("n", random.IntN(3))
		if random.IntN(2) == 0 {
			entry.Limits.MaxBytes = int64(1) << random.IntN(32)
			entry.Limits.MinBytes = entry.Limits.MaxBytes >> random.IntN(4)
		}
		if random.IntN(3) == 0 {
			entry.Limits.SHA256 = strings.Repeat("A", 43) + "="
		}
		if random.IntN(3) == 0 {
			entry.Tags = "project=blue"
		}
		d := entry.Demands()
		x.demand(t, id, entry, onetime.Terms{
			Now:    entry.Created.Add(time.Duration(random.Int64N(int64(4 * time.Second)))),
			Length: []int64{near(d.MinBytes), near(d.MaxBytes), d.MinBytes, d.MaxBytes}[random.IntN(4)],
			Type:   sent[random.IntN(len(sent))],
			SHA256: random.IntN(3) > 0,
			Tags:   random.IntN(3) > 0,
			Room:   d.Added + random.IntN(4) - 1,
		})
	}
}

// testSpendRace: of many who spend and claim one URL at once, one has it.
func testSpendRace(t *testing.T, x Index) {
	for round := range rounds() {
		id := newID(t, fmt.Sprint(round))
		valid := x.write(t, id, x.entry(id))
		claims, won, errs := make([]onetime.ExpiredEntry, many), make([]bool, many), make([]error, many)
		answers := make([]onetime.Spending, many)
		together(func(i int) {
			claims[i] = x.claim(onetime.Used, fmt.Sprint(round, " ", i))
			if i%4 == 3 {
				_, errs[i] = x.Claim(t.Context(), limit, id, onetime.Used, claims[i].Marshal())
				won[i] = errs[i] == nil
				return
			}
			answers[i], errs[i] = x.Spender.Spend(t.Context(), limit, id, claims[i], x.terms())
			won[i] = errs[i] == nil && answers[i].Claimed
		})
		x.checkOne(t, fmt.Sprint("round ", round), id, valid, claims, won, errs)
		body, version, err := x.ReadExpired(t.Context(), limit, id)
		if err != nil {
			t.Fatal(err)
		}
		for i, answer := range answers {
			if i%4 != 3 && errs[i] == nil && !bytes.Equal(answer.Expired, body) {
				t.Errorf("round %d: %d was told of %q, and version %s is %q", round, i, answer.Expired, version, body)
			}
		}
	}
}

// checkOne checks that one has won, that the others know it, and that what is there is his.
func (x Index) checkOne(t *testing.T, what string, id onetime.ID, valid []byte, claims []onetime.ExpiredEntry, won []bool, errs []error) {
	t.Helper()
	winner := -1
	for i := range claims {
		switch {
		case won[i] && winner >= 0:
			t.Errorf("%s: %d and %d have the URL", what, winner, i)
		case won[i]:
			winner = i
		case errs[i] != nil && !errors.Is(errs[i], onetime.ErrExists) && !undecided(errs[i]):
			t.Errorf("%s: %s", what, describe(errs[i]))
		}
	}
	if winner < 0 {
		t.Fatalf("%s: nobody has the URL", what)
	}
	x.check(t, id, valid, claims[winner].Marshal())
}

// testSpendTogether: several tries of one request at once all succeed, with one claim.
func testSpendTogether(t *testing.T, x Index) {
	for round := range rounds() {
		id := newID(t, fmt.Sprint(round))
		x.write(t, id, x.entry(id))
		answers, errs := make([]onetime.Spending, many), make([]error, many)
		together(func(i int) {
			claim := x.claim(onetime.Used, fmt.Sprint(round))
			claim.Request = fmt.Sprint("try ", i)
			answers[i], errs[i] = x.Spender.Spend(t.Context(), limit, id, claim, x.terms())
		})
		body, _, err := x.ReadExpired(t.Context(), limit, id)
		if err != nil {
			t.Fatal(err)
		}
		for i, answer := range answers {
			if errs[i] != nil && undecided(errs[i]) {
				continue
			}
			if errs[i] != nil || !answer.Claimed || !bytes.Equal(answer.Expired, body) {
				t.Errorf("round %d, try %d: Spend = %t, %q, %v, want the one claim %q", round, i, answer.Claimed, answer.Expired, errs[i], body)
			}
		}
	}
}

// testUnmetRace: who does not meet the demands changes nothing for who does.
func testUnmetRace(t *testing.T, x Index) {
	for round := range rounds() {
		id := newID(t, fmt.Sprint(round))
		entry := x.entry(id)
		entry.Limits.MaxBytes = 9
		valid := x.write(t, id, entry)
		claims, won, errs := make([]onetime.ExpiredEntry, many), make([]bool, many), make([]error, many)
		together(func(i int) {
			claims[i] = x.claim(onetime.Used, fmt.Sprint(round, " ", i))
			terms := x.terms()
			terms.Length = int64(5 + i%2*5)
			var spent onetime.Spending
			spent, errs[i] = x.Spender.Spend(t.Context(), limit, id, claims[i], terms)
			won[i] = errs[i] == nil && spent.Claimed
			if won[i] && terms.Length > 9 {
				t.Errorf("round %d: %d bytes have the URL", round, terms.Length)
			}
		})
		x.checkOne(t, fmt.Sprint("round ", round), id, valid, claims, won, errs)
	}
}

// testRevokeRace: an operator and an upload at the same time never both succeed.
func testRevokeRace(t *testing.T, x Index) {
	revoked := 0
	for round := range 3 * rounds() {
		id := newID(t, fmt.Sprint(round))
		valid := x.write(t, id, x.entry(id))
		claims, won, errs := make([]onetime.ExpiredEntry, many), make([]bool, many), make([]error, many)
		together(func(i int) {
			if i == many/2 {
				claims[i] = x.claim(onetime.Revoked, fmt.Sprint(round, " operator"))
				_, errs[i] = x.Claim(t.Context(), limit, id, onetime.Revoked, claims[i].Marshal())
				won[i] = errs[i] == nil
				return
			}
			claims[i] = x.claim(onetime.Used, fmt.Sprint(round, " ", i))
			if i%5 != 0 {
				return // few, so that the operator sometimes wins
			}
			var spent onetime.Spending
			spent, errs[i] = x.Spender.Spend(t.Context(), limit, id, claims[i], x.terms())
			won[i] = errs[i] == nil && spent.Claimed
		})
		x.checkOne(t, fmt.Sprint("round ", round), id, valid, claims, won, errs)
		if won[many/2] {
			revoked++
		}
	}
	t.Logf("revoked in %d of %d rounds", revoked, 3*rounds())
}
