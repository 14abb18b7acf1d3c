package e2e

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oncegate/internal/auth/apikey"
	"oncegate/internal/config"
	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server"
	"oncegate/internal/onetime"
)

// apiKeys is a stack that asks for keys.
func apiKeys(s *testbed.Setup) { s.Settings["auth"] = config.AuthAPIKey }

func oneWorker(s *testbed.Setup) { s.Edge.MaxWorkers = 1 }

// newKey makes a key, which must not appear in any output.
func newKey(t *testing.T, st *testbed.Stack) (string, apikey.ID) {
	t.Helper()
	key, err := apikey.New(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := apikey.Parse(key)
	if err != nil {
		t.Fatal(err)
	}
	st.Secret(key[4:])
	return key, id
}

func storeKey(t *testing.T, st *testbed.Stack, id apikey.ID, label string) apikey.Record {
	t.Helper()
	record, err := apikey.NewRecord(label, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Records().CreateKey(t.Context(), 10*time.Second, string(id), record.Marshal()); err != nil {
		t.Fatal(err)
	}
	return record
}

func mintWith(t *testing.T, st *testbed.Stack, header http.Header) testbed.Answer {
	t.Helper()
	return st.Do(t, http.MethodGet, st.Edge.URL()+"/url", header, nil)
}

func withKey(keys ...string) http.Header { return http.Header{"X-Api-Key": keys} }

// wantRefused checks the status and reason of an answer, and that it has no URL.
func wantRefused(t *testing.T, a testbed.Answer, status int, reason onetime.Reason) {
	t.Helper()
	if a.Status != status || a.Reason() != string(reason) || strings.Contains(a.Body, "X-Amz") {
		t.Errorf("got %v, want %d %s", a, status, reason)
	}
	if (a.Header.Get("Www-Authenticate") != "") != (status == http.StatusUnauthorized) {
		t.Errorf("%d with www-authenticate %q", a.Status, a.Header.Get("Www-Authenticate"))
	}
}

// wantBy checks who minted a URL, by the label in its entry.
func wantBy(t *testing.T, st *testbed.Stack, a testbed.Answer, by string) testbed.Minted {
	t.Helper()
	if a.Status != http.StatusOK {
		t.Fatalf("got %v, want a URL", a)
	}
	m := testbed.ParseMinted(t, a.Body)
	entry := validEntry(t, st, m.ID)
	if c, ok := onetime.ParseBy(entry.By); !ok || c.Label != by {
		t.Errorf("minted by %q, want %q", entry.By, by)
	}
	return m
}

// validEntry is what the index knows of a URL.
func validEntry(t *testing.T, st *testbed.Stack, id onetime.ID) onetime.ValidEntry {
	t.Helper()
	body, _, err := st.Records().ReadValid(t.Context(), 10*time.Second, id)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := onetime.ParseValidEntry(body)
	if err != nil {
		t.Fatal(err)
	}
	return entry
}

// TestAPIKey: who may mint with keys, under the roles of the template.
func TestAPIKey(t *testing.T) {
	st := testbed.New(t, apiKeys)
	key, id := newKey(t, st)
	storeKey(t, st, id, "photo app")
	unknown, _ := newKey(t, st)

	wantRefused(t, mintWith(t, st, nil), 401, onetime.CredentialMissing)
	st.S3.ResetRequests()
	for _, header := range []http.Header{
		withKey(key[:len(key)-1]), withKey(key[:68] + "00000000"), withKey(key, key), withKey(key, unknown), withKey(string(id)), withKey("x"),
	} {
		wantRefused(t, mintWith(t, st, header), 401, onetime.CredentialInvalid)
	}
	if n := st.S3.Requests(); len(n) != 0 {
		t.Errorf("keys of the wrong form got as far as S3: %v", n)
	}
	// 404 and not 403: the mint's role may list.
	wantRefused(t, mintWith(t, st, withKey(unknown)), 401, onetime.CredentialInvalid)

	m := wantBy(t, st, mintWith(t, st, withKey(key)), "photo app")
	if a := st.Put(t, m, "x"); a.Status != http.StatusOK {
		t.Errorf("upload without a key: %v, want 200", a)
	}
	for _, method := range []string{http.MethodHead, http.MethodOptions} {
		if a := st.Do(t, method, st.Edge.URL()+"/url", nil, nil); a.Status >= 300 {
			t.Errorf("%s without a key: %v", method, a)
		}
	}
}

// TestBoundedKey: a key gets no URL that it may not ask for, and what it leaves open is as the
// key has it, on the way through the whole chain.
func TestBoundedKey(t *testing.T) {
	st := testbed.New(t, apiKeys, func(s *testbed.Setup) { s.Settings["prefixes"] = []string{"kiosk"} })
	key, id := newKey(t, st)
	record, err := apikey.NewRecord("kiosk", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	record.Allows = onetime.Allowance{Life: time.Minute, MaxBytes: 5, Type: "text/plain", Prefix: "kiosk"}
	if err := st.Records().CreateKey(t.Context(), 10*time.Second, string(id), record.Marshal()); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{"?maxBytes=6", "?type=image/png", "?expires=61", "?prefix=other"} {
		wantRefused(t, st.Do(t, http.MethodGet, st.Edge.URL()+"/url"+query, withKey(key), nil), 400, onetime.Options)
	}
	m := wantBy(t, st, mintWith(t, st, withKey(key)), "kiosk")
	if !strings.HasPrefix(m.Key, "uploads/kiosk/") {
		t.Errorf("the object is %s", m.Key)
	}
	wantFiveBytesOfText(t, st, m)
}

// wantFiveBytesOfText checks that a URL takes an upload of five bytes of text, and none that is
// larger or of another type.
func wantFiveBytesOfText(t *testing.T, st *testbed.Stack, m testbed.Minted) {
	t.Helper()
	put := func(contentType, body string) testbed.Answer {
		return st.Do(t, http.MethodPut, m.URL, http.Header{"Content-Type": {contentType}}, strings.NewReader(body))
	}
	wantRefused(t, put("text/plain", "123456"), 413, onetime.TooLarge)
	wantRefused(t, put("image/png", "12345"), 415, onetime.Type)
	if a := put("text/plain", "12345"); a.Status != http.StatusOK {
		t.Errorf("an upload within the bounds: %v", a)
	}
}

// TestKeyPerDay: the index in a table counts what a key mints, under the role of the template;
// the one in the bucket cannot, and gives nothing.
func TestKeyPerDay(t *testing.T) {
	testbed.EachIndex(t, func(t *testing.T, index string) {
		st := testbed.New(t, apiKeys, testbed.In(index))
		key, id := newKey(t, st)
		record, err := apikey.NewRecord("kiosk", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		record.Allows.PerDay = 5
		if err := st.Records().CreateKey(t.Context(), 10*time.Second, string(id), record.Marshal()); err != nil {
			t.Fatal(err)
		}
		if index != config.IndexDynamoDB {
			wantRefused(t, mintWith(t, st, withKey(key)), 503, onetime.IndexUnavailable)
			return
		}
		var given, refused atomic.Int64
		var all sync.WaitGroup
		for range 12 {
			all.Go(func() {
				switch a := mintWith(t, st, withKey(key)); {
				case a.Status == http.StatusOK:
					given.Add(1)
				case a.Status == http.StatusConflict && a.Reason() == string(onetime.DayFull):
					refused.Add(1)
				default:
					t.Errorf("got %v", a)
				}
			})
		}
		all.Wait()
		// A request that starts before midnight and one after it are of two days.
		if given.Load() != 5 && time.Now().UTC().Hour() != 0 || given.Load()+refused.Load() != 12 {
			t.Errorf("%d URLs given, %d refused; want 5 and 7", given.Load(), refused.Load())
		}
	})
}

// TestAPIKeyFaults: without a clear answer of S3 no URL is minted.
func TestAPIKeyFaults(t *testing.T) {
	testbed.IndexInBucketOnly(t, "its faults are those of requests to the bucket's index")
	st := testbed.New(t, apiKeys)
	key, id := newKey(t, st)
	storeKey(t, st, id, "a")
	for _, bad := range []s3server.Fault{
		{Kind: s3server.Answer, Status: 403}, {Kind: s3server.Answer, Status: 500}, {Kind: s3server.Answer, Status: 503},
		{Kind: s3server.Answer, Status: 200}, {Kind: s3server.Truncate, Body: "{"}, {Kind: s3server.Drop}, {Kind: s3server.Hang},
	} {
		t.Run(fmt.Sprintf("%v %d", bad.Kind, bad.Status), func(t *testing.T) {
			st.FaultOn(string(id), func(*http.Request) s3server.Fault { return bad })
			wantRefused(t, mintWith(t, st, withKey(key)), 503, onetime.IndexUnavailable)
		})
	}
	st.FaultOn(string(id), nil)
	wantBy(t, st, mintWith(t, st, withKey(key)), "a")

	t.Run("without s3:ListBucket", func(t *testing.T) {
		st := testbed.New(t, apiKeys, func(s *testbed.Setup) {
			s.Template = func(both *testbed.Templates) { testbed.Without(both.RolePolicy("Mint"), "TellAbsent") }
		})
		unknown, _ := newKey(t, st)
		wantRefused(t, mintWith(t, st, withKey(unknown)), 503, onetime.IndexUnavailable)
	})
}

// TestRevokedKeyStops: a revoked key stops working within the documented time, in
// containers that are warm and busy.
func TestRevokedKeyStops(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it waits for the documented time, " + apikey.KnownLife.String())
	}
	st := testbed.New(t, apiKeys)
	key, id := newKey(t, st)
	record := storeKey(t, st, id, "a")
	// burst asks through as many containers as there may be, and counts the URLs.
	burst := func() (minted int) {
		var done sync.WaitGroup
		answers := make([]testbed.Answer, 8)
		for i := range answers {
			done.Go(func() { answers[i] = mintWith(t, st, withKey(key)) })
		}
		done.Wait()
		for _, a := range answers {
			if a.Status == http.StatusOK {
				minted++
			} else {
				wantRefused(t, a, 401, onetime.CredentialInvalid)
			}
		}
		return minted
	}
	if n := burst(); n != 8 {
		t.Fatalf("%d of 8 mint with a good key", n)
	}
	record.Revoked = time.Now()
	if err := st.Records().ReplaceKey(t.Context(), 10*time.Second, string(id), record.Marshal()); err != nil {
		t.Fatal(err)
	}
	revoked := time.Now()
	late := 0
	for tick := time.NewTicker(time.Second); ; <-tick.C {
		since := time.Since(revoked)
		n := burst()
		if since > apikey.KnownLife {
			late++
			if n > 0 {
				t.Errorf("%v after it was revoked the key mints", since)
			}
		}
		if late == 3 {
			return
		}
	}
}

// jwks is the settings of a stack that asks for tokens, with the keys at url.
func jwks(url string) testbed.Option {
	return func(s *testbed.Setup) {
		s.Settings["auth"] = map[string]any{"jwt": map[string]any{"issuer": "https://issuer.example", "audience": "uploads", "jwks": url}}
	}
}

func withToken(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// TestJWT: who may mint with tokens, and how often the issuer is asked.
func TestJWT(t *testing.T) {
	issuer := newIssuer(t)
	st := testbed.New(t, jwks(issuer.URL+"/keys"), oneWorker)
	issuer.secret = st.Secret

	for name, token := range map[string]string{"RS256": issuer.rs256(t, nil), "ES256": issuer.es256(t), "EdDSA": issuer.eddsa(t)} {
		m := wantBy(t, st, mintWith(t, st, withToken(token)), "alice@example.com")
		if a := st.Put(t, m, name); a.Status != http.StatusOK {
			t.Errorf("%s: upload: %v", name, a)
		}
	}
	wantBy(t, st, mintWith(t, st, http.Header{"Authorization": {"bearer " + issuer.rs256(t, nil)}}), "alice@example.com")
	if n := issuer.hits(); n != 1 {
		t.Errorf("%d requests for the keys, want one for all", n)
	}
	wantRefused(t, mintWith(t, st, nil), 401, onetime.CredentialMissing)
	good := issuer.rs256(t, nil)
	for name, header := range map[string]http.Header{
		"expired":        withToken(issuer.rs256(t, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()})),
		"not yet valid":  withToken(issuer.rs256(t, map[string]any{"nbf": time.Now().Add(time.Minute).Unix()})),
		"wrong audience": withToken(issuer.rs256(t, map[string]any{"aud": "x"})),
		"wrong issuer":   withToken(issuer.rs256(t, map[string]any{"iss": "x"})),
		"SUB":            withToken(issuer.rs256(t, map[string]any{"SUB": "bob"})),
		"a long s":       withToken(issuer.rs256(t, map[string]any{"\u017fub": "bob"})), // encoding/json takes it for sub
		"Exp":            withToken(issuer.rs256(t, map[string]any{"Exp": time.Now().Add(time.Hour).Unix()})),
		"a filler":       withToken(issuer.rs256(t, map[string]any{"sub": "alice@example.com\u3164"})),
		"alg none":       withToken(issuer.none(t)),
		"HS256":          withToken(issuer.hs256(t)),
		"truncated":      withToken(good[:len(good)-4]),
		"two headers":    {"Authorization": {"Bearer " + good, "Bearer " + good}},
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, mintWith(t, st, header), 401, onetime.CredentialInvalid) })
	}
	// Unknown key ids: the set is fresh, so it is not fetched again.
	for i := range 20 {
		wantRefused(t, mintWith(t, st, withToken(issuer.unknown(t, fmt.Sprint("x", i)))), 401, onetime.CredentialInvalid)
	}
	if n := issuer.hits(); n != 1 {
		t.Errorf("%d requests for the keys, want 1", n)
	}
}

// TestBoundedToken: with boundsClaim a token gets no URL that its claim does not allow, what it
// leaves open is as the claim has it, and a token without a clear claim gets none.
func TestBoundedToken(t *testing.T) {
	const claim = "https://example.com/uploads"
	issuer := newIssuer(t)
	st := testbed.New(t, func(s *testbed.Setup) {
		jwks(issuer.URL + "/keys")(s)
		s.Settings["auth"].(map[string]any)["jwt"].(map[string]any)["boundsClaim"] = claim
		s.Settings["prefixes"] = []string{"kiosk", "other"}
	})
	issuer.secret = st.Secret
	holding := func(bounds any) http.Header { return withToken(issuer.rs256(t, map[string]any{claim: bounds})) }
	ask := func(query string, header http.Header) testbed.Answer {
		return st.Do(t, http.MethodGet, st.Edge.URL()+"/url"+query, header, nil)
	}

	kiosk := holding(map[string]any{"expires": 60, "maxBytes": 5, "type": "text/plain", "prefix": "kiosk"})
	for query, says := range map[string]string{
		"?maxBytes=6":     "maxBytes: want 1 to 5",
		"?type=image/png": "type: this token takes text/plain",
		"?expires=61":     "expires: want whole seconds from 1 to 60",
		"?prefix=other":   "prefix: this token has kiosk, and what is below it",
	} {
		a := ask(query, kiosk)
		wantRefused(t, a, 400, onetime.Options)
		if !strings.Contains(a.Body, says) {
			t.Errorf("%s: the client is told %q, want %q", query, a.Body, says)
		}
	}
	m := wantBy(t, st, mintWith(t, st, kiosk), "alice@example.com")
	if !strings.HasPrefix(m.Key, "uploads/kiosk/") || !strings.Contains(m.URL, "X-Amz-Expires=60&") {
		t.Errorf("the URL is %s", m.Key)
	}
	wantFiveBytesOfText(t, st, m)

	all := wantBy(t, st, ask("?prefix=other&maxBytes=6", holding(map[string]any{})), "alice@example.com")
	if !strings.HasPrefix(all.Key, "uploads/other/") {
		t.Errorf("without bounds the object is %s", all.Key)
	}
	for name, header := range map[string]http.Header{
		"no claim":        withToken(issuer.rs256(t, nil)),
		"another case":    withToken(issuer.rs256(t, map[string]any{strings.ToUpper(claim): map[string]any{}})),
		"null":            holding(nil),
		"a list":          holding([]any{}),
		"an unknown name": holding(map[string]any{"MaxBytes": 5}),
		"perDay":          holding(map[string]any{"perDay": 5}),
		"nothing at all":  holding(map[string]any{"maxBytes": 0}),
		"text":            holding(map[string]any{"maxBytes": "5"}),
		"a way out":       holding(map[string]any{"prefix": "../signatures"}),
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, mintWith(t, st, header), 401, onetime.CredentialInvalid) })
	}
}

// TestKeysOutOfReach: without the issuer's keys minting is refused in time, and no
// redirect is followed.
func TestKeysOutOfReach(t *testing.T) {
	elsewhere := newIssuer(t)
	for name, answer := range map[string]http.HandlerFunc{
		"404":     http.NotFound,
		"500":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"HTML":    func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"no keys": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":[]}`) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/keys", http.StatusFound)
		},
		"too much": func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 4<<20)) },
		"silence":  func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"cut short": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.Write([]byte(`{"keys":[`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := newSite(t, answer)
			st := testbed.New(t, jwks(site+"/keys"), oneWorker)
			began := time.Now()
			wantRefused(t, mintWith(t, st, withToken(elsewhere.rs256(t, nil))), 503, onetime.KeysUnavailable)
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	t.Cleanup(func() {
		if n := elsewhere.hits(); n != 0 {
			t.Errorf("a redirect was followed %d times", n)
		}
	})
}

// TestTokensAreTheMintsBusiness: the gate never loads the code that checks tokens, and a
// mint without that code refuses everybody.
func TestTokensAreTheMintsBusiness(t *testing.T) {
	issuer := newIssuer(t)
	for name, spoil := range map[string]func(dir string) error{
		"broken":           func(dir string) error { return writeFile(dir+"/oncegate-jwt.wasm", []byte("broken")) },
		"the gate's build": func(dir string) error { return copyFile(dir+"/oncegate.wasm", dir+"/oncegate-jwt.wasm") },
	} {
		t.Run(name, func(t *testing.T) {
			st := testbed.New(t, jwks(issuer.URL+"/keys"), func(s *testbed.Setup) { s.Artifact = spoil })
			a := st.Do(t, http.MethodPut, st.Edge.URL()+"/uploads/x", nil, strings.NewReader("x"))
			if a.Status != http.StatusForbidden || a.Reason() != "path" {
				t.Errorf("the gate: %v, want 403 path", a)
			}
			if a := mintWith(t, st, withToken(issuer.rs256(t, nil))); a.Status != http.StatusServiceUnavailable {
				t.Errorf("the mint: %v, want 503", a)
			}
		})
	}
	if n := issuer.hits(); n != 0 {
		t.Errorf("%d requests for the keys", n)
	}
}
