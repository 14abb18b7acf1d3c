package e2e

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"oncegate/edge/setup"
	"oncegate/internal/evidence/testbed"
	"oncegate/internal/invite"
	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
	"oncegate/internal/s3sdk"
)

// invitation is what whoever makes one is told.
type invitation struct{ ID, Token, Link string }

// invited makes an invitation with a key.
func invited(t *testing.T, st *testbed.Stack, key http.Header, terms string) (in invitation) {
	t.Helper()
	header := asJSON(key)
	header.Set("Content-Type", "application/json")
	a := st.Do(t, http.MethodPost, st.Edge.URL()+"/invitations", header, strings.NewReader(terms))
	if err := json.Unmarshal([]byte(a.Body), &in); err != nil || a.Status != http.StatusCreated {
		t.Fatalf("%v, %v", a, err)
	}
	if in.Link != st.Edge.URL()+"/upload#"+in.Token {
		t.Errorf("link %s of token %s", in.Link, in.Token)
	}
	st.Secret(in.Token) // from here on in no answer and no log
	return in
}

func (in invitation) header() http.Header {
	return http.Header{"Authorization": {"Bearer " + in.Token}}
}

// mint asks for a URL as a guest.
func (in invitation) mint(t *testing.T, st *testbed.Stack) testbed.Answer {
	t.Helper()
	return st.Do(t, http.MethodGet, st.Edge.URL()+"/url", in.header(), nil)
}

func (in invitation) url(st *testbed.Stack) string { return st.Edge.URL() + "/invitations/" + in.ID }

// TestInvitation: N URLs and no more, of which one that is given up makes place for another;
// a revoke stops all of it at once. Under the roles of the template.
func TestInvitation(t *testing.T) {
	st := testbed.New(t, owners)
	alice, bob := keyFor(t, st, "alice"), keyFor(t, st, "bob")
	in := invited(t, st, alice, `{"label":"Acme, May","uploads":3,"maxBytes":20}`)
	mint := func() testbed.Minted {
		t.Helper()
		return wantBy(t, st, in.mint(t, st), "Acme, May")
	}
	first, second, third := mint(), mint(), mint()
	wantRefused(t, in.mint(t, st), http.StatusConflict, "invitation-full")
	for _, m := range []testbed.Minted{first, second} {
		if a := st.Put(t, m, "hello"); a.Status != http.StatusOK {
			t.Fatal(a)
		}
	}
	wantRefused(t, st.Put(t, third, strings.Repeat("x", 21)), http.StatusRequestEntityTooLarge, "too-large")
	wantRefused(t, in.mint(t, st), http.StatusConflict, "invitation-full")
	if a := st.Do(t, http.MethodDelete, third.URL, nil, nil); a.Status != http.StatusOK {
		t.Fatal(a)
	}
	fourth := mint()
	wantRefused(t, in.mint(t, st), http.StatusConflict, "invitation-full")
	if a := st.Do(t, http.MethodGet, st.Edge.URL()+"/invitation", in.header(), nil); a.Status != http.StatusOK || !strings.HasPrefix(a.Body, "0 of 3 uploads are free") {
		t.Errorf("offer: %v", a)
	}

	// The key that mints is no part of it, and who has another key sees nothing.
	wantBy(t, st, mintWith(t, st, alice), "alice")
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		wantRefused(t, st.Do(t, method, in.url(st), bob, nil), http.StatusNotFound, "invitation-unknown")
		wantRefused(t, st.Do(t, method, in.url(st), in.header(), nil), http.StatusUnauthorized, "credential-invalid")
	}
	wantRefused(t, st.Do(t, http.MethodGet, ownURL(st, first.ID), in.header(), nil), http.StatusUnauthorized, "credential-invalid")
	if a := st.Do(t, http.MethodGet, in.url(st), alice, nil); a.Status != http.StatusOK || a.Body != "open" {
		t.Errorf("state: %v", a)
	}

	for range 2 {
		if a := st.Do(t, http.MethodDelete, in.url(st), alice, nil); a.Status != http.StatusOK || a.Body != "revoked" {
			t.Errorf("revoke: %v", a)
		}
	}
	wantRefused(t, st.Put(t, fourth, "hello"), http.StatusForbidden, "revoked")
	wantRefused(t, in.mint(t, st), http.StatusForbidden, "invitation-revoked")
	wantRefused(t, st.Do(t, http.MethodGet, st.Edge.URL()+"/invitation", in.header(), nil), http.StatusForbidden, "invitation-revoked")
	for _, m := range []testbed.Minted{first, second} {
		st.WantVersions(t, m.Key, 1)
	}
	for _, m := range []testbed.Minted{third, fourth} {
		st.WantVersions(t, m.Key, 0)
	}
}

// TestInvitationInTime: a URL whose time is over gives its place back, and an invitation
// whose time is over gives no URL.
func TestInvitationInTime(t *testing.T) {
	st := testbed.New(t, owners)
	key := keyFor(t, st, "alice")
	in := invited(t, st, key, `{"label":"x","uploads":1,"life":1}`)
	first := wantBy(t, st, in.mint(t, st), "x")
	var second testbed.Answer
	within(t, func() bool { second = in.mint(t, st); return second.Status == http.StatusOK })
	if a := st.Put(t, first, "hello"); a.Reason() != "revoked" && a.Reason() != "expired" {
		t.Errorf("the URL whose place was taken: %v", a)
	}
	st.WantClaims(t, first.ID, 1) // a claim has decided it

	short := invited(t, st, key, `{"label":"x","uploads":5,"expires":1}`)
	within(t, func() bool { return short.mint(t, st).Reason() == "invitation-over" })
	wantRefused(t, short.mint(t, st), http.StatusForbidden, "invitation-over")
}

// within waits until something holds that time brings about.
func within(t *testing.T, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come about within a minute")
		}
	}
}

// TestInvitationWithoutAuth: where anybody may mint, a token still binds.
func TestInvitationWithoutAuth(t *testing.T) {
	st := testbed.New(t)
	for _, token := range []string{"ogi_" + strings.Repeat("0", 72), "ogi_"} {
		wantRefused(t, invitation{Token: token}.mint(t, st), http.StatusUnauthorized, "invitation-unknown")
	}
	a := st.Do(t, http.MethodPost, st.Edge.URL()+"/invitations", http.Header{"Content-Type": {"application/json"}}, strings.NewReader(`{"label":"x","uploads":1}`))
	wantRefused(t, a, http.StatusForbidden, "path")
}

// TestGuestIsAnnounced: what is accepted names the invitation that an operator made. The
// operator needs no setting for that.
func TestGuestIsAnnounced(t *testing.T) {
	a := newAccepting(t)
	bucket := s3sdk.New(s3servertest.Bucket, s3servertest.Region, a.S3.URL(), credentials.NewStaticCredentialsProvider(s3servertest.AccessKey, s3servertest.SecretKey, ""))
	keeper := &invite.Keeper{
		Ledger: s3index.NewInvitations(bucket), Clock: setup.Clock{}, Entropy: rand.Reader, Keep: 29 * 24 * time.Hour,
		Closer: &onetime.Closer{Records: bucket.Ledger(), Clock: setup.Clock{}, Entropy: rand.Reader},
	}
	token, id, _, err := keeper.Create(t.Context(), invite.Record{Label: "Acme, May", Uploads: 1}, time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	m := testbed.ParseMinted(t, invitation{Token: token}.mint(t, a.Stack).Body)
	if r := a.Put(t, m, "content"); r.Status != http.StatusOK {
		t.Fatal(r)
	}
	a.settle(t)
	events := a.events(t, m.Key)
	if len(events) == 0 {
		t.Fatal("nothing is announced")
	}
	for _, e := range events {
		if want := "inv:" + string(id[:onetime.CredentialDigits]) + " Acme, May"; e.By != want {
			t.Errorf("announced by %q, want %q", e.By, want)
		}
	}
}

// TestGuestsRace: many guests with one link at once store exactly as many objects as it
// allows, while answers about slots and claims get lost, before and after they took effect.
// ONCEGATE_GUEST_ROUNDS and ONCEGATE_GUESTS ask for more.
func TestGuestsRace(t *testing.T) { testbed.EachIndex(t, guestsRace) }

func guestsRace(t *testing.T, index string) {
	const uploads = 5
	guests, rounds := testbed.Asked(t, "ONCEGATE_GUESTS", 30), testbed.Asked(t, "ONCEGATE_GUEST_ROUNDS", 1)
	st := testbed.New(t, owners, testbed.In(index), unhurried)
	key := keyFor(t, st, "alice")
	for round := range rounds {
		in := invited(t, st, key, fmt.Sprintf(`{"label":"x","uploads":%d}`, uploads))
		st.Trouble("", losing())
		var acknowledged atomic.Int64
		var begin, all sync.WaitGroup
		begin.Add(1)
		for range guests {
			all.Go(func() {
				begin.Wait()
				for range 3 {
					a := in.mint(t, st)
					if a.Status != http.StatusOK {
						continue
					}
					m := testbed.ParseMinted(t, a.Body)
					if put := putUntilClear(t, st, m, "hello"); put.Status == http.StatusOK {
						acknowledged.Add(1)
					}
					return
				}
			})
		}
		begin.Done()
		all.Wait()
		st.Trouble("", nil)
		before, _ := st.Versions(t, "uploads/")
		if n := before - round*uploads; n > uploads || int64(n) < acknowledged.Load() {
			t.Fatalf("round %d: %d objects are stored under an invitation for %d, and %d were acknowledged", round, n, uploads, acknowledged.Load())
		}
		for before < (round+1)*uploads { // what the lost answers have left over is not lost
			if a := st.Put(t, wantBy(t, st, in.mint(t, st), "x"), "hello"); a.Status != http.StatusOK {
				t.Fatal(a)
			}
			before++
		}
		wantRefused(t, in.mint(t, st), http.StatusConflict, "invitation-full")
		if n, _ := st.Versions(t, "uploads/"); n != (round+1)*uploads {
			t.Fatalf("round %d: %d objects in the end, want %d for each round", round, n, uploads)
		}
		tallies[index].races.Add(1)
	}
	t.Logf("%d rounds of %d guests: %d objects each time", rounds, guests, uploads)
}

// losing drops a quarter of the requests that write slots, and the first one of each that
// claims, half of them after they took effect.
func losing() func(r testbed.Request) s3server.Fault {
	var mu sync.Mutex
	writes, claims := 0, map[string]bool{}
	return func(r testbed.Request) s3server.Fault {
		mu.Lock()
		defer mu.Unlock()
		slot, claim := r.About == testbed.Slot, r.About == testbed.Expired
		if !r.Write || !slot && !claim {
			return s3server.Fault{}
		}
		if writes++; slot && writes%4 == 1 || claim && !claims[r.Name] {
			claims[r.Name] = true
			return s3server.Fault{Kind: s3server.Drop, Apply: writes%8 < 4}
		}
		return s3server.Fault{}
	}
}

// invitationAnswers causes the answers that the document has for invitations.
func invitationAnswers(t *testing.T, d *driver) {
	key := keyFor(t, d.Stack, "alice")
	site := d.Edge.URL()
	for _, header := range []http.Header{key, asJSON(key)} {
		header.Set("Content-Type", "application/json")
		nobody := header.Clone()
		nobody.Del("X-Api-Key")
		d.do(t, http.MethodPost, site+"/invitations", header, `{"label":"a","uploads":1}`)
		d.do(t, http.MethodPost, site+"/invitations", header, `{"label":"a"}`)
		d.do(t, http.MethodPost, site+"/invitations", nobody, `{}`)
		in := invited(t, d.Stack, key, `{"label":"Acme","uploads":1,"maxBytes":5,"minBytes":1,"type":"image/*"}`)
		guest := nobody.Clone()
		guest.Set("Authorization", "Bearer "+in.Token)
		for _, url := range []string{in.url(d.Stack), site + "/invitations", site + "/invitation"} {
			d.do(t, http.MethodOptions, url, header, "")
		}
		d.do(t, http.MethodHead, site+"/invitation", nobody, "")
		offer := func() { d.do(t, http.MethodGet, site+"/invitation", guest, "") }
		offer()
		d.do(t, http.MethodGet, site+"/invitation", nobody, "")
		d.do(t, http.MethodGet, site+"/invitation?x=1", guest, "")
		d.do(t, http.MethodGet, site+"/url", guest, "")
		d.do(t, http.MethodGet, site+"/url", guest, "") // full
		d.do(t, http.MethodPost, site+"/url", guest, "{}")
		unknown := site + "/invitations/" + strings.Repeat("0", 64)
		for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodGet} {
			d.EveryRequest(func(*http.Request) s3server.Fault { return s3server.Fault{Kind: s3server.Answer, Status: 403} })
			d.do(t, method, in.url(d.Stack), header, "")
			d.do(t, http.MethodPost, site+"/invitations", header, `{"label":"a","uploads":1}`)
			offer()
			d.EveryRequest(nil)
			d.do(t, method, in.url(d.Stack), header, "")
			d.do(t, method, in.url(d.Stack), nobody, "")
			d.do(t, method, in.url(d.Stack)+"?x=1", header, "")
			d.do(t, method, unknown, header, "")
		}
		offer() // revoked
		d.do(t, http.MethodGet, site+"/url", guest, "")
		d.do(t, http.MethodPost, site+"/url", guest, "{}")
	}
}
