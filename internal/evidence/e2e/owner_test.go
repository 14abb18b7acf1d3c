package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"oncegate/internal/auth/apikey"
	"oncegate/internal/config"
	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server"
	"oncegate/internal/onetime"
)

// owners is a stack that asks for keys and has ownerApi.
func owners(s *testbed.Setup) {
	s.Settings["auth"], s.Settings["ownerApi"] = config.AuthAPIKey, true
	s.Settings["allowedOrigins"] = []string{"https://app.example"}
}

// keyFor makes a key with this label and stores it.
func keyFor(t *testing.T, st *testbed.Stack, label string) http.Header {
	t.Helper()
	key, id := newKey(t, st)
	storeKey(t, st, id, label)
	return withKey(key)
}

func asJSON(h http.Header) http.Header {
	h = h.Clone()
	h.Set("Accept", "application/json")
	return h
}

func ownURL(st *testbed.Stack, id onetime.ID) string { return st.Edge.URL() + "/url/" + string(id) }

// ownedStatus is what the owner is told in JSON.
type ownedStatus struct {
	ID                            onetime.ID
	State                         onetime.State
	Key                           string
	CreatedAt, ExpiresAt, SpentAt time.Time
	Object                        *struct {
		Size                  int64
		ETag, Version, SHA256 string
		StoredAt              time.Time
	}
}

func statusBy(t *testing.T, st *testbed.Stack, key http.Header, id onetime.ID) (s ownedStatus) {
	t.Helper()
	a := st.Do(t, http.MethodGet, ownURL(st, id), asJSON(key), nil)
	if err := json.Unmarshal([]byte(a.Body), &s); err != nil || a.Status != http.StatusOK || s.ID != id {
		t.Fatalf("%v, %v", a, err)
	}
	return s
}

// TestOwner: under the roles of the template an owner sees the state of their own URLs and
// revokes them, and has no access to others.
func TestOwner(t *testing.T) {
	st := testbed.New(t, owners, func(s *testbed.Setup) { s.Settings["sha256"] = true })
	alice, bob := keyFor(t, st, "alice"), keyFor(t, st, "bob")

	m := wantBy(t, st, mintWith(t, st, alice), "alice")
	if s := statusBy(t, st, alice, m.ID); s.State != "minted" || s.Key != m.Key || s.Object != nil || !s.SpentAt.IsZero() {
		t.Errorf("%+v", s)
	}
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodDelete} {
		a := st.Do(t, method, ownURL(st, m.ID), bob, nil)
		never := st.Do(t, method, ownURL(st, onetime.Fingerprint("/x", "y")), bob, nil)
		if a.Status != http.StatusNotFound || a.Reason() != "unknown" || a.Body != never.Body || a.Status != never.Status {
			t.Errorf("%s of another's: %v; of what never was: %v", method, a, never)
		}
		if a := st.Do(t, method, ownURL(st, m.ID), nil, nil); a.Status != http.StatusUnauthorized {
			t.Errorf("%s without a key: %v", method, a)
		}
	}
	put := st.Put(t, m, "hello world")
	s := statusBy(t, st, alice, m.ID)
	if s.State != "used" || s.SpentAt.IsZero() || s.Object == nil || s.Object.Size != 11 || s.Object.ETag != put.Header.Get("Etag") ||
		s.Object.Version != put.Header.Get("X-Amz-Version-Id") || s.Object.SHA256 != "" || s.Object.StoredAt.IsZero() {
		t.Errorf("%+v", s)
	}
	if a := st.Do(t, http.MethodDelete, ownURL(st, m.ID), alice, nil); a.Status != http.StatusConflict || a.Reason() != "used" {
		t.Errorf("revoke of a used one: %v", a)
	}

	sum := sumOf(2) // of xx
	m = wantBy(t, st, st.Do(t, http.MethodGet, st.Edge.URL()+"/url?sha256="+sum, alice, nil), "alice")
	if a := st.Put(t, m, "xx"); a.Status != http.StatusOK {
		t.Fatal(a)
	}
	if s := statusBy(t, st, alice, m.ID); s.Object == nil || s.Object.SHA256 != sum {
		t.Errorf("%+v, want sha256 %s", s.Object, sum)
	}

	m = wantBy(t, st, mintWith(t, st, alice), "alice")
	for range 2 {
		if a := st.Do(t, http.MethodDelete, ownURL(st, m.ID), alice, nil); a.Status != http.StatusOK || a.Body != "revoked" {
			t.Errorf("revoke: %v", a)
		}
	}
	if a := st.Put(t, m, "x"); a.Status != http.StatusForbidden || a.Reason() != "revoked" {
		t.Errorf("upload: %v", a)
	}
	if s := statusBy(t, st, alice, m.ID); s.State != "revoked" {
		t.Errorf("%+v", s)
	}
	st.WantClaims(t, m.ID, 1)
	st.WantVersions(t, m.Key, 0)
	if a := st.Do(t, http.MethodHead, ownURL(st, m.ID), alice, nil); a.Status != http.StatusOK || a.Body != "" {
		t.Errorf("HEAD: %v", a)
	}
	a := st.Do(t, http.MethodOptions, ownURL(st, m.ID), http.Header{
		"Origin": {"https://app.example"}, "Access-Control-Request-Method": {"DELETE"}, "Access-Control-Request-Headers": {"x-api-key"},
	}, nil)
	if a.Status != http.StatusNoContent || a.Header.Get("Access-Control-Allow-Methods") != "GET, HEAD, DELETE" ||
		a.Header.Get("Access-Control-Allow-Origin") != "https://app.example" || !strings.Contains(a.Header.Get("Access-Control-Allow-Headers"), "x-api-key") {
		t.Errorf("preflight: %v %v", a, a.Header)
	}
}

// TestOwnersOfOneLabel: two keys with one label are two owners. A key that was made to take
// over from another one has the same owner.
func TestOwnersOfOneLabel(t *testing.T) {
	st := testbed.New(t, owners)
	key, id := newKey(t, st)
	storeKey(t, st, id, "app")
	first, second := withKey(key), keyFor(t, st, "app")
	key, heirID := newKey(t, st)
	record, err := apikey.NewRecord("app, new", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	record.Owner = id
	if err := st.Records().CreateKey(t.Context(), 10*time.Second, string(heirID), record.Marshal()); err != nil {
		t.Fatal(err)
	}
	heir := withKey(key)

	m := wantBy(t, st, mintWith(t, st, first), "app")
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		if a := st.Do(t, method, ownURL(st, m.ID), second, nil); a.Status != http.StatusNotFound {
			t.Errorf("%s with another key of the same label: %v", method, a)
		}
	}
	if a := st.Do(t, http.MethodDelete, ownURL(st, m.ID), heir, nil); a.Status != http.StatusOK {
		t.Errorf("DELETE with the key that took over: %v", a)
	}
	m = wantBy(t, st, mintWith(t, st, heir), "app, new")
	if s := statusBy(t, st, first, m.ID); s.State != onetime.StateMinted {
		t.Errorf("the old key asks about a URL of the new one: %+v", s)
	}
}

// TestOwnerByToken: the same with tokens; the subject is the owner.
func TestOwnerByToken(t *testing.T) {
	issuer := newIssuer(t)
	st := testbed.New(t, jwks(issuer.URL+"/keys"), func(s *testbed.Setup) { s.Settings["ownerApi"] = true })
	issuer.secret = st.Secret
	alice, bob := withToken(issuer.rs256(t, nil)), withToken(issuer.rs256(t, map[string]any{"sub": "bob"}))
	m := wantBy(t, st, mintWith(t, st, alice), "alice@example.com")
	if a := st.Do(t, http.MethodDelete, ownURL(st, m.ID), bob, nil); a.Status != http.StatusNotFound {
		t.Errorf("another's: %v", a)
	}
	if a := st.Do(t, http.MethodDelete, ownURL(st, m.ID), alice, nil); a.Status != http.StatusOK || a.Body != "revoked" {
		t.Errorf("revoke: %v", a)
	}
	if s := statusBy(t, st, alice, m.ID); s.State != "revoked" {
		t.Errorf("%+v", s)
	}
}

// TestOwnerOff: without the setting there is nothing at these paths, and the mint's
// role could not do it.
func TestOwnerOff(t *testing.T) {
	st := testbed.New(t, apiKeys)
	alice := keyFor(t, st, "alice")
	m := wantBy(t, st, mintWith(t, st, alice), "alice")
	st.S3.ResetRequests()
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodDelete} {
		if a := st.Do(t, method, ownURL(st, m.ID), alice, nil); a.Status != http.StatusForbidden || a.Reason() != "path" {
			t.Errorf("%s: %v", method, a)
		}
	}
	if requests := st.S3.Requests(); len(requests) != 0 {
		t.Errorf("S3 was asked: %v", requests)
	}
	if a := st.Put(t, m, "x"); a.Status != http.StatusOK {
		t.Errorf("upload: %v", a)
	}

	// The setting without the rights: a fault, and no answer about the URL.
	st = testbed.New(t, owners, func(s *testbed.Setup) {
		s.Template = func(both *testbed.Templates) {
			testbed.Without(both.RolePolicy("Mint"), "ReadURLs")
			testbed.Without(both.RolePolicy("Mint"), "RevokeURLs")
		}
	})
	alice = keyFor(t, st, "alice")
	m = wantBy(t, st, mintWith(t, st, alice), "alice")
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		if a := st.Do(t, method, ownURL(st, m.ID), alice, nil); a.Status != http.StatusServiceUnavailable || a.Reason() != "index-unavailable" {
			t.Errorf("%s without the rights: %v", method, a)
		}
	}
}

// TestOwnerFaults: each request of a revoke gets lost, before and after S3 did it. The
// answer is true, and the same request again completes it.
func TestOwnerFaults(t *testing.T) {
	testbed.IndexInBucketOnly(t, "its faults are those of requests to the bucket's index")
	st := testbed.New(t, owners)
	alice := keyFor(t, st, "alice")
	mintWith(t, st, alice) // so that the key is known from now on
	for _, c := range []struct {
		method string // of the request to S3 that is lost
		fault  s3server.Fault
		always bool
		want   string // of the answer
	}{
		{"GET", s3server.Fault{Kind: s3server.Drop}, false, "revoked"},
		{"GET", s3server.Fault{Kind: s3server.Answer, Status: 403}, false, "index-unavailable"},
		{"GET", s3server.Fault{Kind: s3server.Answer, Status: 503}, true, "index-unavailable"},
		{"HEAD", s3server.Fault{Kind: s3server.Drop}, false, "revoked"},
		{"HEAD", s3server.Fault{Kind: s3server.Answer, Status: 503}, true, "index-unavailable"},
		{"PUT", s3server.Fault{Kind: s3server.Drop}, false, "revoked"},
		{"PUT", s3server.Fault{Kind: s3server.Drop, Apply: true}, false, "revoked"},
		{"PUT", s3server.Fault{Kind: s3server.Answer, Status: 500}, false, "revoked"},
		{"PUT", s3server.Fault{Kind: s3server.Answer, Status: 500, Apply: true}, false, "revoked"},
		{"PUT", s3server.Fault{Kind: s3server.Drop}, true, "claim-unknown"},
		{"PUT", s3server.Fault{Kind: s3server.Drop, Apply: true}, true, "claim-unknown"},
		{"PUT", s3server.Fault{Kind: s3server.Hang}, true, "claim-unknown"},
	} {
		t.Run(fmt.Sprintf("%s %v %d, applied %v, always %v", c.method, c.fault.Kind, c.fault.Status, c.fault.Apply, c.always), func(t *testing.T) {
			m := wantBy(t, st, mintWith(t, st, alice), "alice")
			var mu sync.Mutex
			done := false
			st.FaultOn(string(m.ID), func(r *http.Request) s3server.Fault {
				mu.Lock()
				defer mu.Unlock()
				if r.Method != c.method || done && !c.always {
					return s3server.Fault{}
				}
				done = true
				return c.fault
			})
			a := st.Do(t, http.MethodDelete, ownURL(st, m.ID), alice, nil)
			st.FaultOn(string(m.ID), nil)
			if got := a.Reason() + a.Body; got != c.want && a.Reason() != c.want {
				t.Errorf("got %v, want %s", a, c.want)
			}
			if a := st.Do(t, http.MethodDelete, ownURL(st, m.ID), alice, nil); a.Status != http.StatusOK || a.Body != "revoked" {
				t.Errorf("again: %v", a)
			}
			if a := st.Put(t, m, "x"); a.Reason() != "revoked" {
				t.Errorf("upload: %v", a)
			}
			st.WantClaims(t, m.ID, 1)
		})
	}
}

// TestOwnerRacesUpload: over HTTP too, the index decides between a revoke and an upload.
func TestOwnerRacesUpload(t *testing.T) { testbed.EachIndex(t, ownerRacesUpload) }

func ownerRacesUpload(t *testing.T, index string) {
	st := testbed.New(t, owners, testbed.In(index))
	alice := keyFor(t, st, "alice")
	rounds, revoked := 60, 0
	if testing.Short() {
		rounds = 10
	}
	var head time.Duration // how much earlier the upload begins; below 0 the revoke
	for round := range rounds {
		m := wantBy(t, st, mintWith(t, st, alice), "alice")
		var upload, revoke testbed.Answer
		var done sync.WaitGroup
		done.Go(func() {
			time.Sleep(-head)
			upload = st.Put(t, m, "x")
		})
		done.Go(func() {
			time.Sleep(head)
			revoke = st.Do(t, http.MethodDelete, ownURL(st, m.ID), alice, nil)
		})
		done.Wait()
		s := statusBy(t, st, alice, m.ID)
		switch {
		case upload.Status == http.StatusOK && revoke.Status == http.StatusConflict && revoke.Reason() == "used" && s.State == "used" && s.Object != nil:
			head -= time.Millisecond
			st.WantVersions(t, m.Key, 1)
		// The claim that comes too late by a hair is told "used", whoever made the other.
		case (upload.Reason() == "revoked" || upload.Reason() == "used") && revoke.Status == http.StatusOK && s.State == "revoked" && s.Object == nil:
			head += time.Millisecond
			revoked++
			st.WantVersions(t, m.Key, 0)
		default:
			t.Fatalf("round %d: upload %v, revoke %v, state %+v", round, upload, revoke, s)
		}
		st.WantClaims(t, m.ID, 1)
	}
	if revoked == 0 || revoked == rounds {
		t.Errorf("of %d rounds the revoke won %d: they did not race", rounds, revoked)
	}
	t.Logf("%d rounds, the revoke won %d", rounds, revoked)
}

// owned causes the answers that the document has for owners.
func owned(t *testing.T, doc *openapi3.T, seen *sightings) {
	st := testbed.New(t, owners, func(s *testbed.Setup) { s.Settings["sha256"] = true })
	d := &driver{st, doc, seen}
	invitationAnswers(t, d)
	alice := keyFor(t, st, "alice")
	for _, header := range []http.Header{alice, asJSON(alice)} {
		nobody := header.Clone()
		nobody.Del("X-Api-Key")
		mint := func() testbed.Minted {
			return wantBy(t, st, st.Do(t, http.MethodGet, st.Edge.URL()+"/url?type=image/png&name=a.png&label=x&sha256="+sumOf(2), alice, nil), "alice")
		}
		used, revoked := mint(), mint()
		if a := st.Put(t, used, "xx"); a.Status != http.StatusOK {
			t.Fatal(a)
		}
		for _, id := range []onetime.ID{used.ID, revoked.ID, onetime.Fingerprint("/x", "y")} {
			d.do(t, http.MethodOptions, ownURL(st, id), header, "")
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodGet} {
				d.do(t, method, ownURL(st, id), header, "")
				d.do(t, method, ownURL(st, id), nobody, "")
			}
		}
		d.do(t, http.MethodGet, ownURL(st, used.ID)+"?x=y", header, "")
		d.do(t, http.MethodDelete, ownURL(st, used.ID)+"?x=y", header, "")
		st.EveryRequest(func(*http.Request) s3server.Fault { return s3server.Fault{Kind: s3server.Answer, Status: 403} })
		d.do(t, http.MethodGet, ownURL(st, used.ID), header, "")
		d.do(t, http.MethodDelete, ownURL(st, used.ID), header, "")
		st.EveryRequest(nil)
	}
}
