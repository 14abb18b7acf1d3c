package edge_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"oncegate/edge"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// TestEventRoundTrip: the types hold every field of an event, and no other.
func TestEventRoundTrip(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("events %v, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(load(t, filepath.Base(file)))
		if err != nil {
			t.Fatal(err)
		}
		var want, got any
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(again, &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s becomes\n%s", file, again)
		}
	}
}

func TestMint(t *testing.T) {
	w := newWorld(t)
	response := w.run(t, edge.MintFunction, load(t, "get-url.json")).Response
	if response == nil || response.Status != "200" || response.StatusDescription != "OK" {
		t.Fatalf("response %+v", response)
	}
	want := edge.Headers{
		"cache-control": {{Value: "no-store"}},
		"content-type":  {{Value: "text/plain; charset=utf-8"}},
	}
	if !reflect.DeepEqual(response.Headers, want) {
		t.Errorf("headers %v, want %v", response.Headers, want)
	}
	path, query, _ := strings.Cut(strings.TrimPrefix(response.Body, "https://d111111abcdef8.cloudfront.net"), "?")
	if _, err := onetime.UploadKey(path); err != nil {
		t.Errorf("%s: %v", response.Body, err)
	}
	if _, err := onetime.ParseQuery(query, onetimetest.Region); err != nil {
		t.Errorf("%s: %v", response.Body, err)
	}
	if got, want := w.store.Keys(), []string{onetime.Fingerprint(path, query).ValidKey()}; !slices.Equal(got, want) {
		t.Errorf("store holds %v, want %v", got, want)
	}

	w.Scheme = "http"
	event := load(t, "get-url.json")
	event.Records[0].CF.Request.Headers["host"][0].Value = "localhost:8080"
	if body := w.run(t, edge.MintFunction, event).Response.Body; !strings.HasPrefix(body, "http://localhost:8080/uploads/") {
		t.Errorf("URL %s, want it on the viewer's own host", body)
	}
}

// TestMintRefuses: what makes no URL writes no entry.
func TestMintRefuses(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*edge.Request)
		want   onetime.Reason // "" for a 200 without a URL
	}{
		{"HEAD", func(r *edge.Request) { r.Method = "HEAD" }, ""},
		{"HEAD with options", func(r *edge.Request) { r.Method, r.Querystring = "HEAD", "maxBytes=1&name=a.txt" }, ""},
		{"HEAD of what GET refuses", func(r *edge.Request) { r.Method, r.Querystring = "HEAD", "expires=604801" }, onetime.Options},
		{"HEAD with an unknown option", func(r *edge.Request) { r.Method, r.Querystring = "HEAD", "colour=red" }, onetime.Options},
		{"POST without a body", func(r *edge.Request) { r.Method = "POST" }, onetime.Options},
		{"DELETE", func(r *edge.Request) { r.Method = "DELETE" }, onetime.Method},
		{"PUT", func(r *edge.Request) { r.Method = "PUT" }, onetime.Method},
		{"get", func(r *edge.Request) { r.Method = "get" }, onetime.Method},
		{"no method", func(r *edge.Request) { r.Method = "" }, onetime.Method},
		{"an unknown option", func(r *edge.Request) { r.Querystring = "colour=red" }, onetime.Options},
		{"another path", func(r *edge.Request) { r.URI = "/url/" }, onetime.Path},
		{"HEAD of another path", func(r *edge.Request) { r.Method, r.URI = "HEAD", "/" }, onetime.Path},
		{"path in upper case", func(r *edge.Request) { r.URI = "/URL" }, onetime.Path},
		{"path escaped", func(r *edge.Request) { r.URI = "/%75rl" }, onetime.Path},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			event := load(t, "get-url.json")
			test.change(&event.Records[0].CF.Request)
			result := w.run(t, edge.MintFunction, event)
			if got := reasonOf(t, result); got != test.want {
				t.Errorf("reason %q, want %q", got, test.want)
			}
			if test.want == "" && (result.Response.Status != "200" || result.Response.Body != "") {
				t.Errorf("response %+v, want an empty 200", result.Response)
			}
			if tally := w.index.Tally(); tally != "" {
				t.Errorf("index requests: %s", tally)
			}
		})
	}
}

// TestGate: the first PUT is forwarded with an upload signature in place of the
// viewer's query, without what S3 must not see, and unchanged otherwise; the second
// is refused.
func TestGate(t *testing.T) {
	w := newWorld(t)
	path, query := w.mint(t)
	event := upload(t, path, query)

	got := w.run(t, edge.GateFunction, event).Forward
	upload, err := w.presigner.PresignUpload(t.Context(), strings.TrimPrefix(path, "/"), nil, nil, start, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	want := &edge.Forward{Querystring: upload, Drop: []string{"authorization", "if-none-match", "x-amz-acl", "x-amz-meta-colour", "x-forwarded-for"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("forward %+v\nwant    %+v", got, want)
	}

	entry, _, _ := w.store.Current(onetime.Fingerprint(path, query).ExpiredKey())
	expired, err := onetime.ParseExpiredEntry(entry.Body)
	if err != nil || expired.Request != event.Records[0].CF.Config.RequestID {
		t.Errorf("expired entry %s (%v), want CloudFront's request id in it", entry.Body, err)
	}

	response := w.run(t, edge.GateFunction, event).Response
	if response == nil || response.Status != "403" || response.Body != "Forbidden: this URL has already been used; if an earlier try was your own, it may be stored, and any other upload needs a new URL." {
		t.Errorf("second PUT: %+v", response)
	}
}

// TestPreflight: OPTIONS is answered at the edge, without the index, and the URL
// stays good.
func TestPreflight(t *testing.T) {
	w := newWorld(t)
	path, query := w.mint(t)
	minted := w.index.Tally()
	event := load(t, "preflight.json")
	event.Records[0].CF.Request.URI, event.Records[0].CF.Request.Querystring = path, query
	for function, methods := range map[string]string{edge.GateFunction: "PUT, POST, GET, DELETE", edge.MintFunction: "GET, HEAD, POST"} {
		response := w.run(t, function, event).Response
		if response == nil || response.Status != "204" || response.Body != "" {
			t.Fatalf("%s: response %+v, want an empty 204", function, response)
		}
		if got := value(t, response, "access-control-allow-methods"); got != methods {
			t.Errorf("%s: allowed methods %q, want %q", function, got, methods)
		}
		if got := value(t, response, "cache-control"); got != "no-store" {
			t.Errorf("%s: cache-control %q", function, got)
		}
	}
	if got := w.index.Tally(); got != minted {
		t.Errorf("index requests %q, want only mint's %q", got, minted)
	}
	if result := w.run(t, edge.GateFunction, upload(t, path, query)); result.Forward == nil {
		t.Errorf("after preflights: %+v", result.Response)
	}
}

// TestPanic: a panic below is a refusal like any other.
func TestPanic(t *testing.T) {
	lost := onetimetest.Fault{Applied: true}
	for _, op := range onetimetest.Ops {
		t.Run(op, func(t *testing.T) {
			w := newWorld(t)
			w.Gate.FirstVersion = onetime.Listed
			path, query := w.mint(t)
			w.index.Intercept = func(call onetimetest.Call) *onetimetest.Fault {
				switch {
				case call.Op == op:
					panic("out of order")
				case op == "ReadExpired" && call.Op == "Claim" && call.N == 1:
					return &lost
				}
				return nil
			}
			var result edge.Result
			if op == "WriteValid" {
				result = w.run(t, edge.MintFunction, load(t, "get-url.json"))
			} else {
				result = w.run(t, edge.GateFunction, upload(t, path, query))
			}
			if got := reasonOf(t, result); got != onetime.Internal || result.Response.Status != "503" {
				t.Errorf("result %+v, want 503 internal", result)
			}
			if strings.Contains(fmt.Sprint(result.Response), "out of order") {
				t.Errorf("the client is told: %+v", result.Response)
			}
			if !strings.Contains(w.log.String(), "out of order") {
				t.Errorf("the log does not tell: %s", w.log.String())
			}
			w.index.Intercept = nil
			if path, query := w.mint(t); w.run(t, edge.GateFunction, upload(t, path, query)).Forward == nil {
				t.Error("the next invocation is not healthy")
			}
		})
	}
}

// TestPanicOfOneMint: of several URLs that are made at the same time, one takes the
// answer with it, and not the process.
func TestPanicOfOneMint(t *testing.T) {
	for n := 1; n <= 3; n++ {
		w := newWorld(t)
		w.index.Intercept = func(call onetimetest.Call) *onetimetest.Fault {
			if call.N == n {
				panic("out of order")
			}
			return nil
		}
		event := load(t, "get-url.json")
		event.Records[0].CF.Request.Querystring = "count=3"
		if got := reasonOf(t, w.run(t, edge.MintFunction, event)); got != onetime.Internal {
			t.Errorf("panic of write %d: reason %q, want internal", n, got)
		}
	}
}

// TestBadEvents: whatever is not one viewer request of a known function is 503.
func TestBadEvents(t *testing.T) {
	good, err := json.Marshal(load(t, "get-url.json"))
	if err != nil {
		t.Fatal(err)
	}
	edited := func(old, new string) string {
		s := strings.Replace(string(good), old, new, 1)
		if s == string(good) {
			t.Fatalf("%q is not in the event", old)
		}
		return s
	}
	for name, text := range map[string]string{
		"empty":            "",
		"blank":            " \n",
		"null":             "null",
		"number":           "1",
		"string":           `"x"`,
		"list":             "[]",
		"empty object":     "{}",
		"no records":       `{"Records":[]}`,
		"null records":     `{"Records":null}`,
		"null record":      `{"Records":[null]}`,
		"two records":      `{"Records":[` + strings.TrimSuffix(strings.TrimPrefix(string(good), `{"Records":[`), `]}`) + `,{}]}`,
		"cut short":        string(good[:len(good)-1]),
		"more behind":      string(good) + "x",
		"another trigger":  edited("viewer-request", "origin-request"),
		"no trigger":       edited("viewer-request", ""),
		"method a number":  edited(`"GET"`, "1"),
		"headers a list":   edited(`"headers":{`, `"headers":[],"x":{`),
		"header no list":   edited(`"host":[`, `"host":"x","y":[`),
		"deeply nested":    strings.Repeat("[", 20000),
		"bytes":            "\x00\xff\xfe",
		"records a string": `{"Records":"x"}`,
	} {
		for _, function := range []string{edge.MintFunction, edge.GateFunction} {
			w := newWorld(t)
			result := w.runJSON(t, function, []byte(text))
			if got := reasonOf(t, result); got != onetime.Internal || result.Response.Status != "503" {
				t.Errorf("%s, %s: %+v, want 503 internal", function, name, result)
			}
			if tally := w.index.Tally(); tally != "" {
				t.Errorf("%s, %s: index requests %s", function, name, tally)
			}
		}
	}
	for _, function := range []string{"", "Gate", "gate ", "toString"} {
		w := newWorld(t)
		if got := reasonOf(t, w.runJSON(t, function, good)); got != onetime.Internal {
			t.Errorf("function %q: reason %q, want internal", function, got)
		}
	}
}

// TestNothingLeaks brings about every reason and looks for what must not be told:
// of a minted URL, its query; of an upload, its signature and the role's token.
func TestNothingLeaks(t *testing.T) {
	w := newWorld(t)
	path, query := w.mint(t)
	uploadQuery, err := w.presigner.PresignUpload(t.Context(), strings.TrimPrefix(path, "/"), nil, nil, start, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	signature := regexp.MustCompile(`X-Amz-Signature=([0-9a-f]{64})`)
	secrets := []string{
		signature.FindStringSubmatch(query)[1], signature.FindStringSubmatch(uploadQuery)[1],
		sessionToken, "secret of the role", "ASIAROLEOFTHEGATE", "X-Amz-Signature", "X-Amz-Credential", "aws4_request",
	}
	told := map[onetime.Reason]bool{}
	invocations := 1 // the mint above
	check := func(result edge.Result) {
		invocations++
		told[reasonOf(t, result)] = true
		response := fmt.Sprint(result.Response)
		for _, secret := range secrets {
			if result.Response != nil && strings.Contains(response, secret) {
				t.Errorf("response %s holds %s", response, secret)
			}
			if strings.Contains(w.log.String(), secret) {
				t.Fatalf("log holds %s:\n%s", secret, w.log.String())
			}
		}
	}
	gate := func(change func(*edge.Request)) {
		event := upload(t, path, query)
		change(&event.Records[0].CF.Request)
		check(w.run(t, edge.GateFunction, event))
	}
	mint := func(change func(*edge.Request)) {
		event := load(t, "get-url.json")
		change(&event.Records[0].CF.Request)
		check(w.run(t, edge.MintFunction, event))
	}

	gate(func(r *edge.Request) { r.Method = "GET" })
	gate(func(r *edge.Request) { r.URI = "/" + r.Querystring })
	gate(func(r *edge.Request) { r.Querystring += "&a" })
	gate(func(r *edge.Request) { r.Querystring = "x&" + r.Querystring })
	gate(func(r *edge.Request) { r.Headers["content-length"][0].Value = r.Querystring })
	gate(func(r *edge.Request) { r.Headers["content-length"][0].Value = "99999999999" })
	gate(func(r *edge.Request) { r.Headers["content-md5"] = []edge.Header{{Value: r.Querystring}} })
	limitedPath, limitedQuery := w.order(t, "minBytes=1&type=image/png")
	invocations++
	for _, spoil := range []struct{ length, kind string }{{"0", "image/png"}, {"1", query}} {
		event := upload(t, limitedPath, limitedQuery)
		event.Records[0].CF.Request.Headers["content-length"][0].Value = spoil.length
		event.Records[0].CF.Request.Headers["content-type"] = []edge.Header{{Value: spoil.kind}}
		check(w.run(t, edge.GateFunction, event))
	}
	mint(func(r *edge.Request) { r.Querystring = query })
	mint(func(r *edge.Request) { r.Headers["host"] = append(r.Headers["host"], edge.Header{Value: query}) })
	check(w.runJSON(t, edge.GateFunction, []byte(`{"Records":"`+query+`"}`)))
	check(w.runJSON(t, edge.GateFunction, []byte(query)))
	for _, op := range []string{"ReadValid", "HeadExpired"} {
		w.index.Intercept = always(op, onetimetest.Fault{Status: 500})
		gate(func(*edge.Request) {})
	}
	w.index.Intercept = nil
	multipart := func(method, operation string) {
		gate(func(r *edge.Request) { r.Method, r.Querystring = method, r.Querystring+operation })
	}
	multipart("PUT", "&partNumber=1")
	multipart("PUT", "&partNumber=0")
	multipart("POST", "&uploads")
	multipart("POST", "&complete")
	checksumPath, checksumQuery := w.order(t, "sha256="+strings.Repeat("0", 64))
	invocations++
	event := upload(t, checksumPath, checksumQuery+"&uploads")
	event.Records[0].CF.Request.Method = "POST"
	check(w.run(t, edge.GateFunction, event))
	w.index.Intercept = always("Claim", onetimetest.Fault{Status: 500})
	gate(func(*edge.Request) {})
	w.index.Intercept = nil
	gate(func(*edge.Request) {}) // passes
	gate(func(*edge.Request) {}) // used
	if !told[""] {
		t.Error("no upload passed: its signature was never there to leak")
	}
	key := onetime.Fingerprint(path, query).ExpiredKey()
	w.store.Overwrite(key, onetimetest.Entry{Reason: onetime.Revoked})
	gate(func(*edge.Request) {})
	w.clock.Set(start.Add(2 * time.Hour))
	gate(func(*edge.Request) {})
	for _, reason := range []onetime.Reason{onetime.CredentialMissing, onetime.CredentialInvalid, onetime.DayFull, onetime.KeysUnavailable} {
		w.Auth = &authorizer{err: &onetime.Refusal{Reason: reason}}
		mint(func(r *edge.Request) { r.Headers["authorization"] = []edge.Header{{Value: query}} })
	}

	w.Auth = nil
	g := w.addInvitations(t)
	token, id, _ := g.invited(t, 1)
	secrets = append(secrets, token[4:40], token[40:])
	guest := func(uri, token string) {
		mint(func(r *edge.Request) {
			r.URI, r.Headers["authorization"] = uri, []edge.Header{{Value: "Bearer " + token}}
		})
	}
	guest("/url", token[:75]+"x")
	g.asks(t, "GET", "/url", "Bearer "+token) // a URL
	invocations++
	guest("/url", token) // full
	guest("/invitation", token)
	g.clock.Set(g.clock.Now().Add(15 * 24 * time.Hour))
	guest("/url", token)
	if err := g.Keeper.Revoke(t.Context(), id, g.clock.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	guest("/url", token)

	for reason := range edge.Refusals {
		if !told[reason] {
			t.Errorf("reason %s was not brought about: make a request above that is refused by it", reason)
		}
	}
	if lines := strings.Count(w.log.String(), "\n"); lines != invocations {
		t.Errorf("%d invocations logged %d lines", invocations, lines)
	}
}
