package edge_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"oncegate/edge"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// newOwnerWorld is a world where whoever brings the credential of the test is "ci",
// and may ask for what he minted.
func newOwnerWorld(t *testing.T) (*world, *onetimetest.Ledger, *authorizer) {
	w := newWorld(t)
	auth := &authorizer{by: named("ci")}
	ledger := &onetimetest.Ledger{Index: onetimetest.Index{Store: w.store, Clock: w.clock}}
	w.Auth = auth
	w.Owner = &onetime.Owner{Records: ledger, Clock: w.clock, Entropy: onetimetest.NewEntropy(2)}
	return w, ledger, auth
}

// owned mints a URL with options.
func (w *world) owned(t *testing.T, options string) (path, query string, id onetime.ID) {
	t.Helper()
	event := asking(t)
	event.Records[0].CF.Request.Querystring = options
	response := w.run(t, edge.MintFunction, event).Response
	url, ok := strings.CutPrefix(response.Body, "https://d111111abcdef8.cloudfront.net")
	if !ok {
		t.Fatalf("mint answers %+v", response)
	}
	path, query, _ = strings.Cut(url, "?")
	return path, query, onetime.Fingerprint(path, query)
}

// ask asks for a URL with the credential.
func (w *world) ask(t *testing.T, method, uri, accept string, change ...func(*edge.Request)) *edge.Response {
	t.Helper()
	event := asking(t)
	request := &event.Records[0].CF.Request
	request.Method, request.URI = method, uri
	request.Headers["accept"] = []edge.Header{{Value: accept}}
	for _, c := range change {
		c(request)
	}
	result := w.run(t, edge.MintFunction, event)
	if result.Response == nil {
		t.Fatalf("%s %s passes", method, uri)
	}
	return result.Response
}

// TestOwnerAnswers: what an owner sees of a URL in each state, in text and in JSON,
// and that none of it could make the URL.
func TestOwnerAnswers(t *testing.T) {
	w, _, _ := newOwnerWorld(t)
	for _, c := range []struct {
		state  string
		become func(path, query string, id onetime.ID)
		json   string // what stands between name and the end
	}{
		{"minted", func(string, string, onetime.ID) {}, ``},
		{"used", func(path, query string, _ onetime.ID) {
			forward := w.run(t, edge.GateFunction, upload(t, path, query)).Forward
			if forward == nil {
				t.Fatal("the upload does not pass")
			}
			w.store.Overwrite(path[1:], onetimetest.Entry{Body: []byte("hello world")})
		}, `,"object":{"size":11,"etag":"\"5eb63bbbe01eeed093cb22bb8f5acdc3\"","version":"VERSION","sha256":"b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9","storedAt":"STORED"}`},
		{"revoked", func(_, _ string, id onetime.ID) { w.ask(t, "DELETE", "/url/"+string(id), "*/*") }, ``},
		{"expired", func(string, string, onetime.ID) { w.clock.Set(w.clock.Now().Add(2 * time.Hour)) }, ``},
	} {
		created := w.clock.Now()
		path, query, id := w.owned(t, "maxBytes=20&type=image/*&name=a.jpg&label=x")
		c.become(path, query, id)
		uri := "/url/" + string(id)

		text := w.ask(t, "GET", uri, "*/*")
		if text.Status != "200" || text.Body != c.state || value(t, text, "content-type") != "text/plain; charset=utf-8" || value(t, text, "cache-control") != "no-store" {
			t.Errorf("%s: %+v", c.state, text)
		}
		object := w.ask(t, "GET", uri, "application/json")
		stored, _, _ := w.store.Current(path[1:])
		spent := ""
		if c.state == "used" || c.state == "revoked" {
			spent = `"spentAt":"` + created.Format(time.RFC3339) + `",`
		}
		want := `{"id":"` + string(id) + `","state":"` + c.state + `","key":"` + path[1:] + `","createdAt":"` + created.Format(time.RFC3339) +
			`","expiresAt":"` + created.Add(time.Hour).Format(time.RFC3339) + `",` + spent + `"limits":{"maxBytes":20,"type":"image/*"},"name":"a.jpg","label":"x"` +
			strings.NewReplacer("VERSION", stored.ID, "STORED", stored.Modified.UTC().Truncate(time.Second).Format(time.RFC3339)).Replace(c.json) + `}`
		if object.Status != "200" || object.Body != want || value(t, object, "content-type") != "application/json" {
			t.Errorf("%s: %+v\nwant %s", c.state, object, want)
		}
		head := w.ask(t, "HEAD", uri, "application/json")
		if head.Status != "200" || head.Body != "" || value(t, head, "content-type") != "application/json" {
			t.Errorf("HEAD of %s: %+v", c.state, head)
		}
		signature := query[strings.LastIndex(query, "=")+1:]
		expired, _, _ := w.store.Current(id.ExpiredKey())
		var claim onetime.ExpiredEntry
		json.Unmarshal(expired.Body, &claim)
		for what, secret := range map[string]string{"signature": signature, "query": query, "nonce": claim.Nonce} {
			if secret != "" && strings.Contains(text.Body+object.Body+w.log.String(), secret) {
				t.Errorf("%s: the answer or the log holds the %s", c.state, what)
			}
		}
	}
}

func TestOwnerRevokes(t *testing.T) {
	w, _, _ := newOwnerWorld(t)
	path, query, id := w.owned(t, "")
	for range 2 { // again is as good
		text := w.ask(t, "DELETE", "/url/"+string(id), "*/*")
		if text.Status != "200" || text.Body != "revoked" {
			t.Errorf("%+v", text)
		}
		object := w.ask(t, "DELETE", "/url/"+string(id), "application/json")
		if object.Status != "200" || object.Body != `{"id":"`+string(id)+`","state":"revoked"}` {
			t.Errorf("%+v", object)
		}
	}
	if got := reasonOf(t, w.run(t, edge.GateFunction, upload(t, path, query))); got != onetime.Revoked {
		t.Errorf("an upload is %q, want revoked", got)
	}
	if log := w.log.String(); strings.Count(log, `"message":"revoked"`) != 4 || strings.Count(log, `"now":true`) != 1 || !strings.Contains(log, `"by":"`+named("ci").By()+`"`) {
		t.Errorf("log %s", log)
	}

	path, query, id = w.owned(t, "")
	w.run(t, edge.GateFunction, upload(t, path, query))
	response := w.ask(t, "DELETE", "/url/"+string(id), "application/json")
	if response.Status != "409" || value(t, response, "x-oncegate-reason") != "used" ||
		response.Body != `{"status":409,"reason":"used","message":"Conflict: this URL has been used and cannot be taken back."}` {
		t.Errorf("of a used one: %+v", response)
	}
}

// TestOwnerRefuses: what is refused, for what, and that nothing was asked or changed.
func TestOwnerRefuses(t *testing.T) {
	for _, c := range []struct {
		name         string
		method, tail string // after /url/; ID stands for the URL's
		change       func(*world, *authorizer, *edge.Request)
		status       string
		reason       onetime.Reason
		asked        int // the authorizer
	}{
		{"no credential", "GET", "ID", func(_ *world, _ *authorizer, r *edge.Request) { delete(r.Headers, "x-credential") }, "401", onetime.CredentialMissing, 1},
		{"no credential, HEAD", "HEAD", "ID", func(_ *world, _ *authorizer, r *edge.Request) { delete(r.Headers, "x-credential") }, "401", onetime.CredentialMissing, 1},
		{"no credential, DELETE", "DELETE", "ID", func(_ *world, _ *authorizer, r *edge.Request) { delete(r.Headers, "x-credential") }, "401", onetime.CredentialMissing, 1},
		{"a wrong credential", "DELETE", "ID", func(_ *world, a *authorizer, _ *edge.Request) {
			a.err = &onetime.Refusal{Reason: onetime.CredentialInvalid}
		}, "401", onetime.CredentialInvalid, 1},
		{"a credential that cannot be checked", "DELETE", "ID", func(_ *world, a *authorizer, _ *edge.Request) {
			a.err = &onetime.Refusal{Reason: onetime.IndexUnavailable}
		}, "503", onetime.IndexUnavailable, 1},
		{"a bug of the authorizer", "DELETE", "ID", func(_ *world, a *authorizer, _ *edge.Request) { a.err = errors.New("x") }, "503", onetime.Internal, 1},
		{"another's", "GET", "ID", func(_ *world, a *authorizer, _ *edge.Request) { a.by = named("somebody") }, "404", onetime.Unknown, 1},
		{"another's, DELETE", "DELETE", "ID", func(_ *world, a *authorizer, _ *edge.Request) { a.by = named("somebody") }, "404", onetime.Unknown, 1},
		{"no name", "DELETE", "ID", func(_ *world, a *authorizer, _ *edge.Request) { a.by = onetime.Credential{} }, "404", onetime.Unknown, 1},
		{"never minted", "GET", strings.Repeat("0", 64), nil, "404", onetime.Unknown, 1},
		{"options", "GET", "ID", func(_ *world, _ *authorizer, r *edge.Request) { r.Querystring = "x=y" }, "400", onetime.Options, 1},
		{"options, DELETE", "DELETE", "ID", func(_ *world, _ *authorizer, r *edge.Request) { r.Querystring = "x" }, "400", onetime.Options, 1},
		{"POST", "POST", "ID", nil, "403", onetime.Method, 0},
		{"PUT", "PUT", "ID", nil, "403", onetime.Method, 0},
		{"PATCH", "PATCH", "ID", nil, "403", onetime.Method, 0},
		{"no id", "GET", "", nil, "403", onetime.Path, 0},
		{"a short id", "DELETE", strings.Repeat("0", 63), nil, "403", onetime.Path, 0},
		{"an id in capitals", "DELETE", strings.Repeat("A", 64), nil, "403", onetime.Path, 0},
		{"something behind the id", "GET", "ID/", nil, "403", onetime.Path, 0},
		{"the index's own key", "GET", "signatures/valid/ID", nil, "403", onetime.Path, 0},
		{"credentials are not asked for here", "GET", "ID", func(w *world, _ *authorizer, _ *edge.Request) { w.Auth = nil }, "403", onetime.Path, 0},
		{"switched off", "GET", "ID", func(w *world, _ *authorizer, _ *edge.Request) { w.Owner = nil }, "403", onetime.Path, 0},
		{"switched off, DELETE", "DELETE", "ID", func(w *world, _ *authorizer, _ *edge.Request) { w.Owner = nil }, "403", onetime.Path, 0},
		{"DELETE of what mints", "DELETE", "../url", func(_ *world, _ *authorizer, r *edge.Request) { r.URI = "/url" }, "403", onetime.Method, 0},
	} {
		for _, accept := range []string{"*/*", "application/json"} {
			t.Run(c.name+" "+accept, func(t *testing.T) {
				w, ledger, auth := newOwnerWorld(t)
				path, query, id := w.owned(t, "")
				auth.asked = 0
				keys := w.store.Keys()
				response := w.ask(t, c.method, "/url/"+strings.ReplaceAll(c.tail, "ID", string(id)), accept, func(r *edge.Request) {
					if c.change != nil {
						c.change(w, auth, r)
					}
				})
				if response.Status != c.status || value(t, response, "x-oncegate-reason") != string(c.reason) || value(t, response, "cache-control") != "no-store" {
					t.Errorf("%+v, want %s %s", response, c.status, c.reason)
				}
				text := http.StatusText(map[string]int{"401": 401, "403": 403, "404": 404, "400": 400, "503": 503}[c.status]) + ": "
				if accept == "application/json" {
					text = `,"message":"` + text
				}
				if !strings.Contains(response.Body, text) || strings.Contains(response.Body, "ci") && c.status == "404" {
					t.Errorf("body %q", response.Body)
				}
				if (value(t, response, "www-authenticate") != "") != (c.status == "401") {
					t.Errorf("headers %v", response.Headers)
				}
				if auth.asked != c.asked {
					t.Errorf("the credential was asked for %d times, want %d", auth.asked, c.asked)
				}
				if tally := ledger.Tally(); tally != "" && c.status != "404" || c.status == "404" && tally != "ReadValid 1" {
					t.Errorf("requests %s", tally)
				}
				if log := w.log.String(); !strings.Contains(log, `"reason":"`+string(c.reason)+`"`) {
					t.Errorf("log %s", log)
				}
				if got := w.store.Keys(); len(got) != len(keys) {
					t.Errorf("the store has %q", got)
				}
				if w.run(t, edge.GateFunction, upload(t, path, query)).Forward == nil {
					t.Error("the URL is spent")
				}
			})
		}
	}
}

// TestOwnerFaults: what S3 does not say clearly is neither a state nor a revocation.
func TestOwnerFaults(t *testing.T) {
	w, ledger, _ := newOwnerWorld(t)
	_, _, id := w.owned(t, "")
	for _, op := range []string{"ReadValid", "HeadObject", "HeadExpired"} {
		ledger.Intercept = always(op, onetimetest.Fault{Status: 503})
		response := w.ask(t, "GET", "/url/"+string(id), "*/*")
		if response.Status != "503" || value(t, response, "x-oncegate-reason") != "index-unavailable" || value(t, response, "retry-after") != "1" {
			t.Errorf("%s: %+v", op, response)
		}
	}
	for _, applied := range []bool{false, true} {
		ledger.Intercept = always("Claim", onetimetest.Fault{Applied: applied})
		response := w.ask(t, "DELETE", "/url/"+string(id), "*/*")
		if response.Status != "503" || value(t, response, "x-oncegate-reason") != "claim-unknown" ||
			response.Body != "Service Unavailable: it is not known whether this URL is revoked; send the same request again." {
			t.Errorf("applied %v: %+v", applied, response)
		}
	}
	ledger.Intercept = nil
	if response := w.ask(t, "DELETE", "/url/"+string(id), "*/*"); response.Body != "revoked" {
		t.Errorf("the same request again: %+v", response)
	}
	ledger.Intercept = func(onetimetest.Call) *onetimetest.Fault { panic("a bug") }
	if response := w.ask(t, "DELETE", "/url/"+string(id), "*/*"); response.Status != "503" || value(t, response, "x-oncegate-reason") != "internal" {
		t.Errorf("a panic: %+v", response)
	}
}

// TestOwnerPreflight: pages may send DELETE to the URLs of owners and nowhere else,
// and only while these are asked for.
func TestOwnerPreflight(t *testing.T) {
	for _, c := range []struct {
		function, uri string
		on            bool
		want          string
	}{
		{edge.MintFunction, "/url/" + strings.Repeat("0", 64), true, "GET, HEAD, DELETE"},
		{edge.MintFunction, "/url/" + strings.Repeat("0", 64), false, "GET, HEAD, POST"},
		{edge.MintFunction, "/url", true, "GET, HEAD, POST"},
		{edge.GateFunction, "/url/" + strings.Repeat("0", 64), true, "PUT, POST, GET, DELETE"},
		{edge.GateFunction, "/uploads/x", true, "PUT, POST, GET, DELETE"},
	} {
		w, _, auth := newOwnerWorld(t)
		w.AllowedOrigins = []string{"*"}
		if !c.on {
			w.Owner = nil
		}
		event := load(t, "preflight.json")
		event.Records[0].CF.Request.URI = c.uri
		response := w.run(t, c.function, event).Response
		if response.Status != "204" || value(t, response, "access-control-allow-methods") != c.want || auth.asked != 0 {
			t.Errorf("%s %s, on %v: %+v", c.function, c.uri, c.on, response)
		}
	}
}
