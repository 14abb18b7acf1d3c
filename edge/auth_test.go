package edge_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"oncegate/edge"
	"oncegate/internal/auth/apikey"
	"oncegate/internal/auth/bearer"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// named is the credential of an API key with this label.
func named(label string) onetime.Credential {
	sum := sha256.Sum256([]byte(label))
	return onetime.Credential{Kind: onetime.CredentialKey, ID: hex.EncodeToString(sum[:])[:onetime.CredentialDigits], Label: label}
}

// authorizer is an edge.Authorizer that does as it is told.
type authorizer struct {
	by    onetime.Credential
	err   error
	asked int
}

func (a *authorizer) Authorize(_ context.Context, headers onetime.Headers, deadline time.Time) (onetime.Credential, error) {
	a.asked++
	if a.err == nil && len(headers.Values("x-credential")) != 1 {
		return onetime.Credential{}, &onetime.Refusal{Reason: onetime.CredentialMissing}
	}
	return a.by, a.err
}

func (a *authorizer) Challenge(reason onetime.Reason) string { return "Test " + string(reason) }

// asking is a request for a URL with a credential.
func asking(t *testing.T) edge.Event {
	event := load(t, "get-url.json")
	event.Records[0].CF.Request.Headers["x-credential"] = []edge.Header{{Value: "CREDENTIAL"}}
	return event
}

// TestAuthLabel: who minted stands in the entry and in the log, and the credential
// nowhere.
func TestAuthLabel(t *testing.T) {
	w := newWorld(t)
	w.Auth = &authorizer{by: named("ci")}
	event := asking(t)
	event.Records[0].CF.Request.Querystring = "count=2"
	if response := w.run(t, edge.MintFunction, event).Response; response.Status != "200" {
		t.Fatalf("got %+v", response)
	}
	keys := w.store.Keys()
	if len(keys) != 2 {
		t.Fatalf("entries %v", keys)
	}
	for _, key := range keys {
		stored, _, _ := w.store.Current(key)
		if entry, err := onetime.ParseValidEntry(stored.Body); err != nil || entry.By != named("ci").By() {
			t.Errorf("entry %s, %v", stored.Body, err)
		}
		if strings.Contains(string(stored.Body), "CREDENTIAL") {
			t.Error("the entry holds the credential")
		}
	}
	if log := w.log.String(); strings.Count(log, `"by":"`+named("ci").By()+`"`) != 2 || strings.Contains(log, "CREDENTIAL") {
		t.Errorf("log %s", log)
	}
}

// TestAuthBounds: a credential gets no URL that it may not ask for, and what it leaves open is
// filled in.
func TestAuthBounds(t *testing.T) {
	allows := onetime.Allowance{Life: time.Minute, MinBytes: 10, MaxBytes: 100, Type: "image/*", Prefix: "kiosk"}
	for kind, who := range map[string]string{onetime.CredentialKey: "this API key", onetime.CredentialToken: "this token"} {
		by := named("kiosk")
		by.Kind, by.Allows = kind, allows
		t.Run(who, func(t *testing.T) { testAuthBounds(t, by, who) })
	}
}

func testAuthBounds(t *testing.T, by onetime.Credential, who string) {
	for query, says := range map[string]string{
		"":                        "",
		"expires=60":              "",
		"count=2&maxBytes=100":    "",
		"type=image/png":          "",
		"prefix=kiosk/12":         "",
		"expires=61":              "expires: want whole seconds from 1 to 60",
		"maxBytes=101":            "maxBytes: want 1 to 100",
		"minBytes=9":              "minBytes: " + who + " takes at least 10",
		"count=2&type=text/*":     "type: " + who + " takes image/*",
		"prefix=teams/red":        "prefix: " + who + " has kiosk, and what is below it",
		"prefix=kiosks":           "prefix: " + who + " has kiosk, and what is below it",
		"prefix=kiosk/12/drawers": "prefix: allowed are kiosk, kiosk/12, teams/*",
	} {
		w := newWorld(t)
		w.Minter.Bounds.Prefixes = []string{"kiosk", "kiosk/12", "teams/*"}
		w.Auth = &authorizer{by: by}
		event := asking(t)
		event.Records[0].CF.Request.Querystring = query
		response := w.run(t, edge.MintFunction, event).Response
		keys := w.store.Keys()
		if says != "" {
			if value(t, response, "x-oncegate-reason") != string(onetime.Options) || !strings.Contains(response.Body, says) || len(keys) > 0 {
				t.Errorf("%q: %+v, entries %v", query, response, keys)
			}
			continue
		}
		if response.Status != "200" || len(keys) == 0 {
			t.Errorf("%q: %+v, entries %v", query, response, keys)
		}
		for _, key := range keys {
			stored, _, _ := w.store.Current(key)
			entry, err := onetime.ParseValidEntry(stored.Body)
			if err != nil || entry.Limits.MinBytes != 10 || entry.Limits.MaxBytes != 100 || !strings.HasPrefix(entry.Limits.Type, "image/") ||
				!strings.HasPrefix(entry.Key, "uploads/kiosk/") || entry.Expires.Sub(entry.Created) != time.Minute {
				t.Errorf("%q: %+v, %v", query, entry, err)
			}
		}
	}
}

// days counts what is minted, of everybody together.
type days struct{ counted int64 }

func (d *days) AddMinted(_ context.Context, _ time.Duration, _ string, n, most int64, _ time.Time) (bool, error) {
	if d.counted+n > most {
		return false, nil
	}
	d.counted += n
	return true, nil
}

// TestAuthPerDay: a key gets as many URLs as its day has, all of one request or none. What is
// refused for another reason does not count, and without a count nothing is minted.
func TestAuthPerDay(t *testing.T) {
	w := newWorld(t)
	by := named("kiosk")
	by.Allows = onetime.Allowance{PerDay: 3}
	w.Auth = &authorizer{by: by}
	counted := &days{}
	w.Quota = &onetime.Quota{Tally: counted, Clock: w.clock, Entropy: onetimetest.NewEntropy(3)}
	for _, step := range []struct {
		query  string
		want   onetime.Reason
		status string
		made   int64
	}{
		{"expires=0", onetime.Options, "400", 0},
		{"count=2", "", "200", 2},
		{"count=2", onetime.DayFull, "409", 2},
		{"", "", "200", 3},
		{"", onetime.DayFull, "409", 3},
	} {
		event := asking(t)
		event.Records[0].CF.Request.Querystring = step.query
		response := w.run(t, edge.MintFunction, event).Response
		reason := ""
		if step.want != "" {
			reason = value(t, response, "x-oncegate-reason")
		}
		if response.Status != step.status || reason != string(step.want) || counted.counted != step.made || int64(len(w.store.Keys())) != step.made {
			t.Errorf("%q: %s %s, %d counted, %d made; want %+v", step.query, response.Status, reason, counted.counted, len(w.store.Keys()), step)
		}
	}
	w.Quota = nil
	if response := w.run(t, edge.MintFunction, asking(t)).Response; response.Status != "503" || len(w.store.Keys()) != 3 {
		t.Errorf("without a count: %+v", response)
	}
}

// TestAuthRefuses: without a credential that holds nothing is written, and the
// client learns no more than the reason.
func TestAuthRefuses(t *testing.T) {
	secret := errors.New("for the log alone")
	for _, tt := range []struct {
		name   string
		err    error
		status string
		reason onetime.Reason
		body   string
	}{
		{"missing", &onetime.Refusal{Reason: onetime.CredentialMissing}, "401", onetime.CredentialMissing, "Unauthorized: a credential is needed here."},
		{"invalid", &onetime.Refusal{Reason: onetime.CredentialInvalid, Err: secret}, "401", onetime.CredentialInvalid, "Unauthorized: this credential is not valid here."},
		{"the index", &onetime.Refusal{Reason: onetime.IndexUnavailable, Err: secret}, "503", onetime.IndexUnavailable, "Service Unavailable: "},
		{"the issuer", &onetime.Refusal{Reason: onetime.KeysUnavailable, Err: secret}, "503", onetime.KeysUnavailable, "Service Unavailable: credentials cannot be checked right now; try the same request again."},
		{"a bug", secret, "503", onetime.Internal, "Service Unavailable: "},
	} {
		for _, accept := range []string{"*/*", "application/json"} {
			t.Run(tt.name+" "+accept, func(t *testing.T) {
				w := newWorld(t)
				w.Auth = &authorizer{by: named("ci"), err: tt.err}
				event := asking(t)
				event.Records[0].CF.Request.Querystring = "wrong=option" // is not looked at
				event.Records[0].CF.Request.Headers["accept"] = []edge.Header{{Value: accept}}
				response := w.run(t, edge.MintFunction, event).Response
				if response.Status != tt.status || value(t, response, "x-oncegate-reason") != string(tt.reason) {
					t.Errorf("got %+v", response)
				}
				body := response.Body
				if accept == "application/json" {
					var refusal struct {
						Status          int
						Reason, Message string
					}
					if err := json.Unmarshal([]byte(body), &refusal); err != nil || refusal.Reason != string(tt.reason) {
						t.Errorf("body %s, %v", body, err)
					}
					body = refusal.Message
				}
				if !strings.HasPrefix(body, tt.body) || strings.Contains(body, secret.Error()) {
					t.Errorf("body %q", body)
				}
				challenge := ""
				if tt.status == "401" {
					challenge = "Test " + string(tt.reason)
				}
				if got := value(t, response, "www-authenticate"); got != challenge {
					t.Errorf("www-authenticate %q, want %q", got, challenge)
				}
				wait := ""
				if tt.reason == onetime.IndexUnavailable || tt.reason == onetime.KeysUnavailable {
					wait = "1"
				}
				if got := value(t, response, "retry-after"); got != wait {
					t.Errorf("retry-after %q, want %q", got, wait)
				}
				if tally := w.index.Tally(); tally != "" {
					t.Errorf("index requests: %s", tally)
				}
			})
		}
	}
}

// TestAuthIsForMint: only what would make a URL asks for a credential.
func TestAuthIsForMint(t *testing.T) {
	for _, tt := range []struct {
		name, function string
		change         func(*edge.Request)
		want           onetime.Reason
		asked          int
	}{
		{"GET", edge.MintFunction, func(*edge.Request) {}, onetime.CredentialMissing, 1},
		{"POST", edge.MintFunction, func(r *edge.Request) { r.Method = "POST" }, onetime.CredentialMissing, 1},
		{"GET with a wrong option", edge.MintFunction, func(r *edge.Request) { r.Querystring = "x=1" }, onetime.CredentialMissing, 1},
		{"HEAD", edge.MintFunction, func(r *edge.Request) { r.Method = "HEAD" }, "", 0},
		{"preflight", edge.MintFunction, func(r *edge.Request) { r.Method = "OPTIONS" }, "", 0},
		{"another method", edge.MintFunction, func(r *edge.Request) { r.Method = "DELETE" }, onetime.Method, 0},
		{"another path", edge.MintFunction, func(r *edge.Request) { r.URI = "/url/x" }, onetime.Path, 0},
		{"the gate", edge.GateFunction, func(r *edge.Request) {}, onetime.Method, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			auth := &authorizer{by: named("ci")}
			w.Auth = auth
			event := load(t, "get-url.json")
			tt.change(&event.Records[0].CF.Request)
			if got := reasonOf(t, w.run(t, tt.function, event)); got != tt.want || auth.asked != tt.asked {
				t.Errorf("got %q, asked %d times; want %q, %d times", got, auth.asked, tt.want, tt.asked)
			}
		})
	}
}

// TestCredentialsDoNotLeak has real keys and tokens, good ones and bad ones, pass
// through and looks for them in all that is told or kept.
func TestCredentialsDoNotLeak(t *testing.T) {
	key, err := apikey.New(onetimetest.NewEntropy(1))
	if err != nil {
		t.Fatal(err)
	}
	id, err := apikey.Parse(key)
	if err != nil {
		t.Fatal(err)
	}
	record, err := apikey.NewRecord("ci", start)
	if err != nil {
		t.Fatal(err)
	}
	revoked := record
	revoked.Revoked = start
	const token = "eyJhbGciOiJSUzI1NiIsImtpZCI6InNlY3JldC1rZXktaWQifQ.eyJzdWIiOiJhbGljZS1pbi1zZWNyZXQifQ.c2lnbmF0dXJl"
	secrets := []string{key[4:20], key[20:60], key[60:]}
	for part := range strings.SplitSeq(token, ".") {
		secrets = append(secrets, part)
	}
	for name, records := range map[string]stored{
		"good":            {body: record.Marshal()},
		"revoked":         {body: revoked.Marshal()},
		"unknown":         {err: onetime.ErrAbsent},
		"a broken record": {body: []byte(`{"version":1,"label":"` + key + `"}`)},
		"no answer":       {err: &onetime.Fault{Op: "ReadKey", Status: 503}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, auth := range []edge.Authorizer{
				apikey.NewAuthorizer(records, w.clock, onetimetest.NewEntropy(2)),
				bearer.NewAuthorizer(bearer.Accepted{Issuer: "https://issuer.example", Audience: "uploads"}, stored{err: errors.New("no answer")}, w.clock),
			} {
				w.Auth = auth
				for _, values := range [][]string{{key}, {key, key}, {key[:70]}, {key + "0"}, {"Bearer " + token}, {"Bearer " + token + ".x"}, {"Bearer " + token, token}} {
					event := load(t, "get-url.json")
					for _, header := range []string{"x-api-key", "authorization"} {
						for _, value := range values {
							lines := event.Records[0].CF.Request.Headers
							lines[header] = append(lines[header], edge.Header{Value: value})
						}
					}
					result, _ := json.Marshal(w.run(t, edge.MintFunction, event))
					text := string(result) + w.log.String()
					for _, key := range w.store.Keys() {
						entry, _, _ := w.store.Current(key)
						text += string(entry.Body)
					}
					for _, secret := range secrets {
						if strings.Contains(text, secret) {
							t.Fatalf("%s is in %s", secret, text)
						}
					}
				}
			}
			log := w.log.String()
			if name == "good" && (len(w.store.Keys()) != 1 || !strings.Contains(log, `"by":"key:`+string(id[:onetime.CredentialDigits])+` ci"`)) {
				t.Errorf("the good key alone, given once, should mint: %s", log)
			}
			if name != "good" && (len(w.store.Keys()) != 0 || !strings.Contains(log, id.Short())) {
				t.Errorf("nothing should be minted, and the log say which key it was: %s", log)
			}
		})
	}
}

// stored is what every read gets.
type stored struct {
	body []byte
	err  error
}

func (s stored) ReadKey(context.Context, time.Duration, string) ([]byte, error) { return s.body, s.err }
func (s stored) FetchKeys(context.Context, time.Duration) ([]byte, error)       { return s.body, s.err }
