package e2e

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/dynamoserver"
	"oncegate/internal/onetime"
)

// onBothRuntimes runs a test of a deployment whose index is in a table, under the roles of
// its template. fault, when set, is asked about each request to the table.
func onBothRuntimes(t *testing.T, run func(t *testing.T, st *testbed.Stack, fault *atomic.Pointer[tableFault]), options ...testbed.Option) {
	testbed.DefaultRuntimeOnly(t, "it chooses its runtime")
	for name, runtime := range map[string]testbed.Option{"edge": func(*testbed.Setup) {}, "regional": regional} {
		t.Run(name, func(t *testing.T) {
			var fault atomic.Pointer[tableFault]
			st := testbed.New(t, slices.Concat([]testbed.Option{testbed.InTable, runtime, func(s *testbed.Setup) {
				s.Table.Fault = func(r dynamoserver.Request) dynamoserver.Fault {
					if f := fault.Load(); f != nil {
						return (*f)(r)
					}
					return dynamoserver.Fault{}
				}
			}}, options)...)
			run(t, st, &fault)
		})
	}
}

type tableFault func(r dynamoserver.Request) dynamoserver.Fault

// spending makes the first so many requests that spend go wrong like this.
func spending(times int32, f dynamoserver.Fault) *tableFault {
	var left atomic.Int32
	left.Store(times)
	fault := tableFault(func(r dynamoserver.Request) dynamoserver.Fault {
		if r.Operation == "UpdateItem" && left.Add(-1) >= 0 {
			return f
		}
		return dynamoserver.Fault{}
	})
	return &fault
}

// spent reports whether the table has a claim of the URL.
func spent(t *testing.T, st *testbed.Stack, m testbed.Minted) bool {
	t.Helper()
	return testbed.Claims(t, st.Records(), m.ID) == 1
}

// TestTableRequests: a mint is one request to the table and a gate is one, and neither asks
// the bucket. What is no upload that the URL allows spends nothing.
func TestTableRequests(t *testing.T) {
	onBothRuntimes(t, func(t *testing.T, st *testbed.Stack, _ *atomic.Pointer[tableFault]) {
		want := func(what string, requests map[string]int) {
			t.Helper()
			if got := st.Table.Requests(); !maps.Equal(got, requests) {
				t.Errorf("%s makes the requests %v, want %v", what, got, requests)
			}
			st.Table.ResetRequests()
		}
		st.Table.ResetRequests()
		a := st.Do(t, http.MethodGet, st.Edge.URL()+"/url?maxBytes=5&type=image/*", nil, nil)
		m := testbed.ParseMinted(t, a.Body)
		want("a mint", map[string]int{"UpdateItem": 1})
		photo := http.Header{"Content-Type": {"image/png"}}
		put := func(header http.Header, body string) testbed.Answer {
			t.Helper()
			return st.Do(t, http.MethodPut, m.URL, header, strings.NewReader(body))
		}
		wantRefused(t, put(photo, "123456"), http.StatusRequestEntityTooLarge, "too-large")
		want("a body that is too large", map[string]int{"UpdateItem": 1})
		wantRefused(t, put(http.Header{"Content-Type": {"text/html"}}, "12345"), http.StatusUnsupportedMediaType, "type")
		wantRefused(t, put(nil, "12345"), http.StatusUnsupportedMediaType, "type")
		if spent(t, st, m) {
			t.Fatal("a refusal has spent the URL")
		}
		st.Table.ResetRequests()
		if a := put(photo, "12345"); a.Status != http.StatusOK {
			t.Fatalf("PUT: %v", a)
		}
		want("a gate", map[string]int{"UpdateItem": 1})
		wantRefused(t, put(photo, "12345"), http.StatusForbidden, "used")
		want("a PUT of a spent URL", map[string]int{"UpdateItem": 1})
		if got := st.Stored(t, m.Key); got != "12345" {
			t.Errorf("stored %q", got)
		}
		for _, key := range []string{m.ID.ValidKey(), m.ID.ExpiredKey()} {
			st.WantVersions(t, key, 0)
		}
		unknown := testbed.ParseMinted(t, strings.Replace(m.URL, "X-Amz-Signature=", "X-Amz-Signature=0000", 1))
		unknown.URL = unknown.URL[:len(unknown.URL)-4]
		wantRefused(t, st.Put(t, unknown, "12345"), http.StatusForbidden, "unknown")
	})
}

// TestTableFaults: a request that had no effect is made again, and one whose answer got lost
// is known by its nonce. If nothing is known the upload is refused, and says whether its URL
// may be spent.
func TestTableFaults(t *testing.T) {
	const always = 1000
	onBothRuntimes(t, func(t *testing.T, st *testbed.Stack, fault *atomic.Pointer[tableFault]) {
		for _, test := range []struct {
			name  string
			times int32
			fault dynamoserver.Fault
			// reason of the refusal, "" if the upload is stored. isSpent is whether the URL is
			// spent afterwards.
			reason  onetime.Reason
			isSpent bool
		}{
			{"throttled once", 1, dynamoserver.Fault{Kind: dynamoserver.Answer, Code: dynamoserver.Throttled}, "", true},
			{"throttled", always, dynamoserver.Fault{Kind: dynamoserver.Answer, Code: dynamoserver.Exceeded}, "index-unavailable", false},
			{"down once", 1, dynamoserver.Fault{Kind: dynamoserver.Answer, Code: dynamoserver.Internal}, "", true},
			{"down", always, dynamoserver.Fault{Kind: dynamoserver.Answer, Code: dynamoserver.Internal}, "claim-unknown", false},
			{"no right", always, dynamoserver.Fault{Kind: dynamoserver.Answer, Code: "AccessDeniedException"}, "index-unavailable", false},
			{"dropped once", 1, dynamoserver.Fault{Kind: dynamoserver.Drop}, "", true},
			{"dropped", always, dynamoserver.Fault{Kind: dynamoserver.Drop}, "claim-unknown", false},
			{"answer lost once", 1, dynamoserver.Fault{Kind: dynamoserver.Drop, Apply: true}, "", true},
			{"answer cut short once", 1, dynamoserver.Fault{Kind: dynamoserver.Truncate, Apply: true}, "", true},
			{"spent, and an error", 1, dynamoserver.Fault{Kind: dynamoserver.Answer, Code: dynamoserver.Internal, Apply: true}, "", true},
			{"answers lost", always, dynamoserver.Fault{Kind: dynamoserver.Drop, Apply: true}, "claim-unknown", true},
		} {
			t.Run(test.name, func(t *testing.T) {
				m := st.Mint(t)
				fault.Store(spending(test.times, test.fault))
				a := st.Put(t, m, "a body")
				fault.Store(nil)
				if a.Reason() != string(test.reason) || (a.Status == http.StatusOK) != (test.reason == "") || test.reason != "" && a.Status != http.StatusServiceUnavailable {
					t.Errorf("PUT: %v, want %q", a, test.reason)
				}
				if got := spent(t, st, m); got != test.isSpent {
					t.Errorf("spent: %v", got)
				}
				again := st.Put(t, m, "another body")
				if test.isSpent {
					wantRefused(t, again, http.StatusForbidden, "used")
				} else if again.Status != http.StatusOK {
					t.Errorf("later PUT: %v", again)
				}
				versions := 1
				if test.isSpent && test.reason != "" {
					versions = 0
				}
				st.WantVersions(t, m.Key, versions)
			})
		}
		fault.Store(spending(always, dynamoserver.Fault{Kind: dynamoserver.Answer, Code: dynamoserver.Throttled}))
		wantRefused(t, st.Do(t, http.MethodGet, st.Edge.URL()+"/url", nil, nil), http.StatusServiceUnavailable, "index-unavailable")
	})
}

// TestTableMultipart: the parts and their list are S3's, the entry and the claim the table's.
func TestTableMultipart(t *testing.T) {
	onBothRuntimes(t, func(t *testing.T, st *testbed.Stack, _ *atomic.Pointer[tableFault]) {
		m := st.Mint(t)
		for _, step := range []struct{ method, more, body string }{
			{http.MethodPost, "&uploads", ""}, {http.MethodPost, "&uploads", ""}, {http.MethodPut, "&partNumber=1", "in parts"}, {http.MethodGet, "&parts", ""},
		} {
			if a := st.Do(t, step.method, m.URL+step.more, nil, strings.NewReader(step.body)); a.Status != http.StatusOK {
				t.Fatalf("%s: %v", step.more, a)
			}
			if spent(t, st, m) {
				t.Fatalf("%s has spent the URL", step.more)
			}
		}
		first := st.Do(t, http.MethodPost, m.URL+"&complete", nil, nil)
		again := st.Do(t, http.MethodPost, m.URL+"&complete", nil, nil)
		if first.Status != http.StatusOK || again.Status != http.StatusOK || again.Body != first.Body || !spent(t, st, m) {
			t.Errorf("complete: %v, again: %v", first, again)
		}
		wantRefused(t, st.Put(t, m, "late"), http.StatusForbidden, "used")
		if got := st.Stored(t, m.Key); got != "in parts" {
			t.Errorf("stored %q", got)
		}
		st.WantVersions(t, m.Key, 1)
		st.WantVersions(t, m.ID.PartsKey(), 0)

		given := st.Mint(t)
		if a := st.Do(t, http.MethodDelete, given.URL, nil, nil); a.Status != http.StatusOK {
			t.Fatalf("give up: %v", a)
		}
		wantRefused(t, st.Put(t, given, "late"), http.StatusForbidden, "revoked")
	})
}

// TestTableOwners: keys, the owner's verbs and invitations with the index in a table.
func TestTableOwners(t *testing.T) {
	onBothRuntimes(t, func(t *testing.T, st *testbed.Stack, _ *atomic.Pointer[tableFault]) {
		key := keyFor(t, st, "alice")
		wantRefused(t, mintWith(t, st, nil), http.StatusUnauthorized, "credential-missing")
		minted := mintWith(t, st, key)
		if minted.Status != http.StatusOK {
			t.Fatalf("mint: %v", minted)
		}
		m := testbed.ParseMinted(t, minted.Body)
		url := st.Edge.URL() + "/url/" + string(m.ID)
		if a := st.Do(t, http.MethodGet, url, asJSON(key), nil); a.Status != http.StatusOK || !strings.Contains(a.Body, `"state":"minted"`) {
			t.Errorf("status: %v", a)
		}
		if a := st.Do(t, http.MethodDelete, url, key, nil); a.Status != http.StatusOK {
			t.Errorf("revoke: %v", a)
		}
		wantRefused(t, st.Put(t, m, "late"), http.StatusForbidden, "revoked")

		in := invited(t, st, key, `{"label":"Acme, May","uploads":2}`)
		for range 2 {
			a := in.mint(t, st)
			if a.Status != http.StatusOK {
				t.Fatalf("a guest's mint: %v", a)
			}
			if a := st.Put(t, testbed.ParseMinted(t, a.Body), "hello"); a.Status != http.StatusOK {
				t.Errorf("a guest's upload: %v", a)
			}
		}
		wantRefused(t, in.mint(t, st), http.StatusConflict, "invitation-full")
	}, owners)
}
