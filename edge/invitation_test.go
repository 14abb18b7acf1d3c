package edge_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"oncegate/edge"
	"oncegate/internal/invite"
	"oncegate/internal/invite/invitetest"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// guests is a world with invitations.
type guests struct {
	*world
	objects *invitetest.Objects
	slots   *invitetest.Store
}

func newGuests(t testing.TB) *guests { return newWorld(t).addInvitations(t) }

// addInvitations gives a world invitations that are kept beside its URLs.
func (w *world) addInvitations(t testing.TB) *guests {
	g := &guests{world: w, objects: invitetest.NewObjects(t, w.store)}
	g.slots = &invitetest.Store{Objects: g.objects}
	ledger := &onetimetest.Ledger{Index: onetimetest.Index{Store: w.store, Clock: w.clock}}
	entropy := onetimetest.NewEntropy(3)
	closer := &onetime.Closer{Records: ledger, Clock: w.clock, Entropy: entropy}
	const keep = 30 * 24 * time.Hour
	w.Invitations = &invite.Minter{Store: g.slots, URLs: w.Minter, Closer: closer, Clock: w.clock, Entropy: entropy, Keep: keep}
	w.Keeper = &invite.Keeper{Ledger: g.slots, Closer: closer, Clock: w.clock, Entropy: entropy, Keep: keep}
	return g
}

// invited makes an invitation for so many uploads, as an operator does.
func (g *guests) invited(t testing.TB, uploads int, change ...func(*invite.Record)) (token string, id invite.ID, record invite.Record) {
	t.Helper()
	record = invite.Record{Label: "Acme, May", Uploads: uploads, Life: time.Hour}
	for _, c := range change {
		c(&record)
	}
	token, id, record, err := g.Keeper.Create(t.Context(), record, g.clock.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return token, id, record
}

// asks sends a request to the mint with this value of authorization, "" for none.
func (g *guests) asks(t testing.TB, method, uri, authorization string, change ...func(*edge.Request)) *edge.Response {
	t.Helper()
	event := load(t, "get-url.json")
	request := &event.Records[0].CF.Request
	request.Method = method
	request.URI, request.Querystring, _ = strings.Cut(uri, "?")
	if authorization != "" {
		request.Headers["authorization"] = []edge.Header{{Value: authorization}}
	}
	for _, c := range change {
		c(request)
	}
	result := g.run(t, edge.MintFunction, event)
	if result.Response == nil {
		t.Fatalf("%s %s passes", method, uri)
	}
	return result.Response
}

func asJSON(r *edge.Request) { r.Headers["accept"] = []edge.Header{{Value: "application/json"}} }

// body is a JSON body of POST.
func body(text string) func(*edge.Request) {
	return func(r *edge.Request) {
		r.Headers["content-type"] = []edge.Header{{Value: "application/json"}}
		r.Body = &edge.Body{Action: "read-only", Encoding: "base64", Data: base64.StdEncoding.EncodeToString([]byte(text))}
	}
}

func wantReason(t *testing.T, what string, response *edge.Response, want onetime.Reason) {
	t.Helper()
	if got := reasonOf(t, edge.Result{Response: response}); got != want {
		t.Errorf("%s: %s %q, want %q: %s", what, response.Status, got, want, response.Body)
	}
}

// TestGuestMints: a token gives as many URLs as its invitation has, by GET and by POST, and
// these name it. Whoever sends it is held to it, whatever the deployment asks for.
func TestGuestMints(t *testing.T) {
	for name, auth := range map[string]edge.Authorizer{"no auth": nil, "auth": &authorizer{err: &onetime.Refusal{Reason: onetime.CredentialInvalid}}} {
		t.Run(name, func(t *testing.T) {
			g := newGuests(t)
			g.Auth = auth
			token, id, _ := g.invited(t, 3)
			bearer := "Bearer " + token
			wantReason(t, "GET", g.asks(t, "GET", "/url?maxBytes=5", bearer), "")
			wantReason(t, "POST", g.asks(t, "POST", "/url", "bearer  "+token+" ", body(`{"name":"a.txt"}`)), "")
			wantReason(t, "with another credential", g.asks(t, "GET", "/url?count=1", bearer, func(r *edge.Request) {
				r.Headers["x-credential"] = []edge.Header{{Value: "CREDENTIAL"}}
			}), "")
			wantReason(t, "a fourth", g.asks(t, "GET", "/url", bearer), onetime.InvitationFull)
			if a, ok := auth.(*authorizer); ok && a.asked != 0 {
				t.Errorf("the authorizer was asked %d times, and so was shown the token", a.asked)
			}
			by := "inv:" + string(id[:onetime.CredentialDigits]) + " Acme, May"
			for _, key := range g.store.Keys() {
				stored, _, _ := g.store.Current(key)
				if entry, err := onetime.ParseValidEntry(stored.Body); err != nil || entry.By != by {
					t.Errorf("%s: %s, %v, want by %s", key, stored.Body, err, by)
				}
			}
			log := g.log.String()
			if strings.Count(log, `"by":"`+by+`"`) != 3 || strings.Contains(log, token[4:40]) || !strings.Contains(log, `"reason":"invitation-full"`) {
				t.Errorf("log %s", log)
			}
		})
	}
}

// TestGuestIsHeldToTheInvitation: options may be stricter, and there is one URL at a time.
func TestGuestIsHeldToTheInvitation(t *testing.T) {
	g := newGuests(t)
	token, id, _ := g.invited(t, 5, func(r *invite.Record) { r.Limits = onetime.Limits{MaxBytes: 100} })
	for uri, want := range map[string]onetime.Reason{
		"/url?maxBytes=101": onetime.Options, "/url?expires=3601": onetime.Options, "/url?count=2": onetime.Options,
		"/url?maxBytes=99": "", "/url?expires=60": "", "/url": "",
	} {
		wantReason(t, uri, g.asks(t, "GET", uri, "Bearer "+token), want)
	}
	if n := len(g.objects.Slots(id)); n != 3 {
		t.Errorf("%d slots are taken, want 3: none by what was refused", n)
	}
}

// TestTokenIsGoodForNothingElse: not for other routes that ask for a credential, not twice,
// not altered, not where there are no invitations.
func TestTokenIsGoodForNothingElse(t *testing.T) {
	g := newGuests(t)
	g.Owner = &onetime.Owner{Records: &onetimetest.Ledger{Index: onetimetest.Index{Store: g.store, Clock: g.clock}}, Clock: g.clock, Entropy: onetimetest.NewEntropy(2)}
	token, id, _ := g.invited(t, 5)
	bearer := "Bearer " + token
	for _, auth := range []*authorizer{nil, {by: named("ci")}} {
		closed := onetime.CredentialInvalid
		if g.Auth = auth; auth == nil {
			g.Auth, closed = nil, onetime.Path // these routes are not there at all
		}
		both := func(r *edge.Request) { r.Headers["x-credential"] = []edge.Header{{Value: "CREDENTIAL"}} }
		for _, c := range []struct {
			method, uri string
			want        onetime.Reason
		}{
			{"GET", "/url/" + strings.Repeat("0", 64), closed}, {"DELETE", "/url/" + strings.Repeat("0", 64), closed},
			{"POST", "/invitations", closed}, {"GET", "/invitations/" + string(id), closed}, {"DELETE", "/invitations/" + string(id), closed},
			{"POST", "/s3/multipart", onetime.CredentialInvalid},
		} {
			response := g.asks(t, c.method, c.uri, bearer, both)
			wantReason(t, c.method+" "+c.uri, response, c.want)
			if response.Status == "401" && value(t, response, "www-authenticate") == "" {
				t.Errorf("%s %s: 401 without a challenge", c.method, c.uri)
			}
		}
		if auth != nil && auth.asked != 0 {
			t.Errorf("the authorizer was asked %d times", auth.asked)
		}
	}
	g.Auth = nil
	twice := func(r *edge.Request) {
		r.Headers["authorization"] = append(r.Headers["authorization"], edge.Header{Value: "Basic x"})
	}
	wantReason(t, "beside another value", g.asks(t, "GET", "/url", bearer, twice), onetime.InvitationUnknown)
	last := "0"
	if token[75] == '0' {
		last = "1"
	}
	reads := 0
	g.slots.Intercept = func(invitetest.Call) *invitetest.Fault { reads++; return nil }
	response := g.asks(t, "GET", "/invitation", bearer[:len(bearer)-1]+last)
	wantReason(t, "altered", response, onetime.InvitationUnknown)
	wantReason(t, "none", g.asks(t, "GET", "/invitation", ""), onetime.InvitationUnknown)
	wantReason(t, "another credential", g.asks(t, "GET", "/invitation", "Bearer x"), onetime.InvitationUnknown)
	if reads != 0 || value(t, response, "www-authenticate") == "" {
		t.Errorf("a mistyped token, or none, costs %d reads; headers %v", reads, response.Headers)
	}
	g.Invitations = nil
	wantReason(t, "switched off", g.asks(t, "GET", "/url", bearer), onetime.InvitationUnknown)
	wantReason(t, "switched off", g.asks(t, "GET", "/invitation", bearer), onetime.Path)
	if n := len(g.store.Keys()); n != 0 {
		t.Errorf("%d URLs were made", n)
	}
}

func TestOffer(t *testing.T) {
	g := newGuests(t)
	g.Minter.Bounds.MinBytes = 1
	token, id, record := g.invited(t, 3, func(r *invite.Record) {
		r.Limits, r.Life = onetime.Limits{MaxBytes: 100, Type: "image/*"}, 48*time.Hour
	})
	g.Minter.Bounds.MaxLife = 24 * time.Hour
	wantReason(t, "GET /url", g.asks(t, "GET", "/url", "Bearer "+token), "")
	response := g.asks(t, "GET", "/invitation", "Bearer "+token, asJSON)
	want := `{"label":"Acme, May","uploads":3,"expires":"` + record.Expires.Format(time.RFC3339) + `","life":86400,"minBytes":1,"maxBytes":100,"type":"image/*","free":2}`
	if response.Body != want || value(t, response, "content-type") != "application/json" || value(t, response, "cache-control") != "no-store" {
		t.Errorf("got %v %s\nwant %s", response.Headers, response.Body, want)
	}
	if text := g.asks(t, "GET", "/invitation", "Bearer "+token).Body; text != "2 of 3 uploads are free, until 2026-03-18T05:06:07Z" {
		t.Errorf("as text: %q", text)
	}
	wantReason(t, "an option", g.asks(t, "GET", "/invitation?x", "Bearer "+token), onetime.Options)
	if tally := g.index.Tally(); strings.Contains(tally, "WriteValid: 2") {
		t.Errorf("looking has made a URL: %s", tally)
	}
	reads := 0
	g.slots.Intercept = func(invitetest.Call) *invitetest.Fault { reads++; return nil }
	for _, authorization := range []string{"", "Bearer " + token, "Bearer ogi_x"} {
		if r := g.asks(t, "HEAD", "/invitation", authorization); authorization != "Bearer ogi_x" && (r.Status != "200" || r.Body != "") {
			t.Errorf("HEAD: %+v", r)
		}
	}
	if reads != 0 {
		t.Errorf("HEAD asks the bucket %d times", reads)
	}
	g.slots.Intercept = func(invitetest.Call) *invitetest.Fault { return &invitetest.Fault{Err: invitetest.ErrLost} }
	response = g.asks(t, "GET", "/invitation", "Bearer "+token)
	wantReason(t, "no answer", response, onetime.IndexUnavailable)
	if value(t, response, "retry-after") != "1" {
		t.Error("it does not say when to ask again")
	}
	g.slots.Intercept = nil
	if err := g.Keeper.Revoke(t.Context(), id, g.clock.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	wantReason(t, "revoked", g.asks(t, "GET", "/invitation", "Bearer "+token), onetime.InvitationRevoked)
}

// TestGuestPreflight: a page may send the token.
func TestGuestPreflight(t *testing.T) {
	g := newGuests(t)
	g.AllowedOrigins = []string{"https://app.example"}
	for _, uri := range []string{"/invitation", "/url"} {
		response := g.asks(t, "OPTIONS", uri, "", func(r *edge.Request) {
			r.Headers["origin"] = []edge.Header{{Value: "https://app.example"}}
			r.Headers["access-control-request-headers"] = []edge.Header{{Value: "authorization"}}
		})
		if got := value(t, response, "access-control-allow-headers"); got != "authorization" {
			t.Errorf("%s: a page may send %q", uri, got)
		}
	}
}

// TestHostInvites: whoever may mint makes invitations, and sees and revokes his own.
func TestHostInvites(t *testing.T) {
	g := newGuests(t)
	auth := &authorizer{by: named("ci")}
	g.Auth = auth
	credential := func(r *edge.Request) { r.Headers["x-credential"] = []edge.Header{{Value: "CREDENTIAL"}} }
	response := g.asks(t, "POST", "/invitations", "", credential, asJSON,
		body(`{"label":"Acme, May","uploads":"2","expires":1209600,"life":3600,"minBytes":0,"maxBytes":100,"type":"Image/PNG"}`))
	var made struct {
		ID, Token, Link, Label, Type, Expires string
		Uploads, Life, MaxBytes               int
	}
	if err := json.Unmarshal([]byte(response.Body), &made); err != nil || response.Status != "201" {
		t.Fatalf("%v: %+v", err, response)
	}
	if made.Link != "https://d111111abcdef8.cloudfront.net/upload#"+made.Token || made.Label != "Acme, May" || made.Uploads != 2 ||
		made.Life != 3600 || made.MaxBytes != 100 || made.Type != "image/png" || made.Expires != "2026-03-18T05:06:07Z" {
		t.Errorf("made %+v", made)
	}
	if id, err := invite.ParseToken(made.Token); err != nil || string(id) != made.ID {
		t.Errorf("the token's id is %s, %v", id, err)
	}
	if text := g.asks(t, "POST", "/invitations", "", credential, body(`{"label":"x","uploads":1}`)).Body; !strings.HasPrefix(text, "https://d111111abcdef8.cloudfront.net/upload#ogi_") {
		t.Errorf("as text: %s", text)
	}
	wantReason(t, "a URL", g.asks(t, "GET", "/url", "Bearer "+made.Token), "")

	path := "/invitations/" + made.ID
	want := `{"id":"` + made.ID + `","state":"open","label":"Acme, May","uploads":2,"expires":"2026-03-18T05:06:07Z","life":3600,` +
		`"maxBytes":100,"type":"image/png","free":1,"created":"2026-03-04T05:06:07Z"}`
	if got := g.asks(t, "GET", path, "", credential, asJSON).Body; got != want {
		t.Errorf("GET: %s\nwant %s", got, want)
	}
	for what, by := range map[string]onetime.Credential{"another": named("other"), "nobody": {}, "the invitation itself": {Kind: onetime.CredentialInvitation, ID: made.ID[:32]}} {
		auth.by = by
		for _, method := range []string{"GET", "DELETE"} {
			response := g.asks(t, method, path, "", credential)
			wantReason(t, method+" as "+what, response, onetime.InvitationUnknown)
			absent := g.asks(t, method, "/invitations/"+strings.Repeat("0", 64), "", credential)
			if response.Status != "404" || response.Body != absent.Body {
				t.Errorf("%s as %s: %s %s, want what is told of one that is not there: %s", method, what, response.Status, response.Body, absent.Body)
			}
		}
	}
	auth.by = named("ci")
	if g.asks(t, "GET", path, "", credential).Body != "open" {
		t.Error("somebody else has revoked it")
	}
	for range 2 {
		if got := g.asks(t, "DELETE", path, "", credential, asJSON).Body; got != `{"id":"`+made.ID+`","state":"revoked"}` {
			t.Errorf("DELETE: %s", got)
		}
	}
	wantReason(t, "a URL of a revoked one", g.asks(t, "GET", "/url", "Bearer "+made.Token), onetime.InvitationRevoked)
	if got := g.asks(t, "GET", path, "", credential, asJSON).Body; !strings.Contains(got, `"state":"revoked"`) || !strings.Contains(got, `"free":0`) {
		t.Errorf("GET: %s", got)
	}
	if log := g.log.String(); strings.Contains(log, made.Token[4:]) || strings.Contains(log, made.ID) {
		t.Errorf("log %s", log)
	}
}

// TestHostWithBounds: an invitation gives no URL that its maker may not ask for.
func TestHostWithBounds(t *testing.T) {
	g := newGuests(t)
	by := named("kiosk")
	by.Allows = onetime.Allowance{Life: time.Hour, MaxBytes: 100, Type: "image/*"}
	g.Auth = &authorizer{by: by}
	credential := func(r *edge.Request) { r.Headers["x-credential"] = []edge.Header{{Value: "CREDENTIAL"}} }
	token := by
	token.Kind = onetime.CredentialToken
	g.Auth = &authorizer{by: token}
	response := g.asks(t, "POST", "/invitations", "", credential, body(`{"label":"x","uploads":1,"type":"text/html"}`))
	wantReason(t, "of a token", response, onetime.Options)
	if !strings.HasPrefix(response.Body, "Bad Request: type: this token takes image/*") {
		t.Errorf("a token is told %s", response.Body)
	}
	g.Auth = &authorizer{by: by}
	for text, says := range map[string]string{
		`{"label":"x","uploads":1,"life":3601}`:        "expires: want whole seconds from 1 to 3600",
		`{"label":"x","uploads":1,"maxBytes":101}`:     "maxBytes: want 1 to 100",
		`{"label":"x","uploads":1,"type":"text/html"}`: "type: this API key takes image/*",
	} {
		response := g.asks(t, "POST", "/invitations", "", credential, body(text))
		wantReason(t, text, response, onetime.Options)
		if !strings.HasPrefix(response.Body, "Bad Request: "+says) {
			t.Errorf("%s: %s, want %s", text, response.Body, says)
		}
	}
	daily := by
	daily.Allows.PerDay = 100
	g.Auth = &authorizer{by: daily}
	wantReason(t, "a daily number", g.asks(t, "POST", "/invitations", "", credential, body(`{"label":"x","uploads":1}`)), onetime.Options)
	g.Auth = &authorizer{by: by}
	for text, want := range map[string]string{
		`{"label":"x","uploads":1}`: `"life":3600,"maxBytes":100,"type":"image/*"`,
		`{"label":"x","uploads":1,"life":60,"maxBytes":9,"type":"image/png"}`: `"life":60,"maxBytes":9,"type":"image/png"`,
	} {
		response := g.asks(t, "POST", "/invitations", "", credential, asJSON, body(text))
		if response.Status != "201" || !strings.Contains(response.Body, want) {
			t.Errorf("%s: %+v, want %s", text, response, want)
		}
	}
}

// TestHostIsTold: whoever makes an invitation is told what is wrong with it, and what to do
// after a revoke that was not finished.
func TestHostIsTold(t *testing.T) {
	g := newGuests(t)
	g.Auth = &authorizer{by: named("ci")}
	credential := func(r *edge.Request) { r.Headers["x-credential"] = []edge.Header{{Value: "CREDENTIAL"}} }
	for text, says := range map[string]string{
		`{}`:                             "label: want",
		`{"label":"x"}`:                  "uploads: want 1 to 1000",
		`{"label":"x","uploads":1001}`:   "uploads: want",
		`{"label":"x","uploads":"many"}`: "uploads: want",
		`{"label":"x","uploads":1,"expires":"14d"}`:      "expires: want",
		`{"label":"x","uploads":1,"expires":2592001}`:    "expires: the bucket keeps its entries for 30 days",
		`{"label":"x","uploads":1,"life":604801}`:        "life: want",
		`{"label":"x","uploads":1,"maxBytes":0}`:         "maxBytes: want",
		`{"label":"x","uploads":1,"type":"x"}`:           "type: want",
		`{"label":"x","uploads":1,"name":"x"}`:           "there is an unknown option; known are label, uploads, expires, life, minBytes, maxBytes, prefix, meta, tags, type",
		`{"label":"x","label":"x","uploads":1}`:          "an option is given twice",
		`{"label":"` + strings.Repeat("x", 129) + `"}`:   "label: want",
		`{"label":"a\u202eb","uploads":1,"expires":100}`: "label: want",
	} {
		response := g.asks(t, "POST", "/invitations", "", credential, body(text))
		wantReason(t, text, response, onetime.Options)
		if !strings.HasPrefix(response.Body, "Bad Request: "+says) {
			t.Errorf("%s: %s, want %s", text, response.Body, says)
		}
	}
	wantReason(t, "a query", g.asks(t, "POST", "/invitations?label=x", "", credential, body(`{}`)), onetime.Options)
	wantReason(t, "no credential", g.asks(t, "POST", "/invitations", "", body(`{}`)), onetime.CredentialMissing)
	wantReason(t, "no id", g.asks(t, "GET", "/invitations/x", "", credential), onetime.Path)
	wantReason(t, "no list", g.asks(t, "GET", "/invitations", "", credential), onetime.Method)

	g.slots.Intercept = func(call invitetest.Call) *invitetest.Fault {
		if call.Op == "CreateInvitation" || call.Op == "CreateSlot" && call.N == 2 {
			return &invitetest.Fault{Err: invitetest.ErrLost}
		}
		return nil
	}
	wantReason(t, "no answer", g.asks(t, "POST", "/invitations", "", credential, body(`{"label":"x","uploads":1}`)), onetime.IndexUnavailable)
	g.slots.Intercept = nil
	_, id, _ := g.invited(t, 3, func(r *invite.Record) { r.By = named("ci").By() })
	g.slots.Intercept = func(call invitetest.Call) *invitetest.Fault {
		if call.Op == "CreateSlot" && call.N == 2 {
			return &invitetest.Fault{Err: invitetest.ErrLost}
		}
		return nil
	}
	response := g.asks(t, "DELETE", "/invitations/"+string(id), "", credential)
	wantReason(t, "not finished", response, onetime.IndexUnavailable)
	if !strings.Contains(response.Body, "send the same request again") || value(t, response, "retry-after") == "" {
		t.Errorf("not finished: %+v", response)
	}
	g.slots.Intercept = nil
	wantReason(t, "again", g.asks(t, "DELETE", "/invitations/"+string(id), "", credential), "")
}
