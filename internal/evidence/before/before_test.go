package before

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"oncegate/internal/acceptance"
	"oncegate/internal/acceptance/webhook"
	"oncegate/internal/auth/apikey"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// records are what one version wrote.
type records struct {
	At     time.Time
	Region string
	URLs   []struct {
		Path, Query string
		ID          onetime.ID
		State       onetime.State // when the records were written
		By          string
	}
	Objects []struct{ Key, Body, Reason string }
	Keys    []struct{ Key, ID, Record string }
	// Message is what the webhook's queue held, Detail the event in it.
	Message, Detail string
}

// each runs f with the records of each version.
func each(t *testing.T, f func(t *testing.T, r records)) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var r records
			if err := json.Unmarshal(text, &r); err != nil {
				t.Fatal(err)
			}
			f(t, r)
		})
	}
}

// world is a bucket with the records, a minute after they were written.
type world struct {
	store   *onetimetest.Store
	clock   *onetimetest.Clock
	ledger  *onetimetest.Ledger
	records records
}

func (r records) world(t *testing.T) *world {
	store := onetimetest.NewStore(t)
	for _, o := range r.Objects {
		store.Overwrite(o.Key, onetimetest.Entry{Body: []byte(o.Body), Reason: onetime.Reason(o.Reason)})
	}
	clock := onetimetest.NewClock(r.At.Add(time.Minute))
	ledger := &onetimetest.Ledger{Index: onetimetest.Index{Store: store, Clock: clock}}
	return &world{store, clock, ledger, r}
}

func (w *world) deadline() time.Time { return w.clock.Now().Add(time.Minute) }

func (w *world) operator() *onetime.Operator {
	return &onetime.Operator{Ledger: w.ledger, Clock: w.clock, Entropy: onetimetest.NewEntropy(1)}
}

// headers implements onetime.PutHeaders.
type headers map[string][]string

func (h headers) Values(name string) []string { return h[name] }
func (h headers) Names() []string             { return slices.Collect(maps.Keys(h)) }

// upload sends a PUT with the URL to a gate, and returns the reason of a refusal.
func (w *world) upload(mode onetime.FirstVersion, path, query string) onetime.Reason {
	gate := &onetime.Gate{
		Index: &w.ledger.Index, Presigner: onetimetest.Presigner{}, Clock: w.clock, Entropy: onetimetest.NewEntropy(2),
		Region: w.records.Region, FirstVersion: mode, SHA256: true,
	}
	_, err := gate.Decide(context.Background(), onetime.Put{
		Method: "PUT", Path: path, Query: query, Request: "r",
		Headers: headers{"content-length": {"7"}, "content-type": {"image/png"}},
	}, w.deadline())
	if err != nil {
		return onetime.ReasonOf(err)
	}
	return ""
}

// TestURLs: a URL of before is good for one upload, and the operator sees, revokes and
// enables it.
func TestURLs(t *testing.T) {
	each(t, func(t *testing.T, r records) {
		for _, mode := range []onetime.FirstVersion{onetime.Conditional, onetime.Listed} {
			w := r.world(t)
			listed := map[onetime.ID]onetime.State{}
			for s, err := range w.operator().List(context.Background(), onetime.Filter{}) {
				if err != nil {
					t.Errorf("list: %v", err)
				}
				listed[s.ID] = s.State
			}
			for _, u := range r.URLs {
				status, err := w.operator().Status(context.Background(), onetime.Target{ID: u.ID})
				if err != nil || status.State != u.State || listed[u.ID] != u.State || status.Entry.By != u.By || "/"+status.Key != u.Path {
					t.Errorf("%s: %+v, %v, listed as %q, want %s", u.ID, status, err, listed[u.ID], u.State)
				}
				want := map[onetime.State]onetime.Reason{onetime.StateUsed: onetime.Used, onetime.StateRevoked: onetime.Revoked}[u.State]
				if got := w.upload(mode, u.Path, u.Query); got != want {
					t.Errorf("%s, %s: %q, want %q", u.ID, u.State, got, want)
				}
				if got := w.upload(mode, u.Path, u.Query); got == "" {
					t.Errorf("%s: a second upload passes", u.ID)
				}
			}
			w = r.world(t)
			for _, u := range r.URLs {
				target := onetime.Target{ID: u.ID}
				if now, err := w.operator().Revoke(context.Background(), target); u.State == onetime.StateMinted && (!now || err != nil) {
					t.Errorf("%s: revoke: %t, %v", u.ID, now, err)
				}
				if _, err := w.operator().Enable(context.Background(), target, onetime.EnableOptions{}); (err == nil) != (u.State != onetime.StateUsed) {
					t.Errorf("%s, %s: enable: %v", u.ID, u.State, err)
				}
			}
		}
	})
}

// bucket holds the records of keys.
type bucket struct{ records }

func (b bucket) ReadKey(_ context.Context, _ time.Duration, id string) ([]byte, error) {
	for _, k := range b.Keys {
		if k.ID == id {
			return []byte(k.Record), nil
		}
	}
	return nil, onetime.ErrAbsent
}

// TestKeys: a key of before mints, unless it was revoked, and asks about the URLs that it
// minted then, and about no other's.
func TestKeys(t *testing.T) {
	each(t, func(t *testing.T, r records) {
		live := 0
		for _, k := range r.Keys {
			w := r.world(t)
			authorizer := apikey.NewAuthorizer(bucket{r}, w.clock, onetimetest.NewEntropy(3))
			credential, err := authorizer.Authorize(context.Background(), headers{"x-api-key": {k.Key}}, w.deadline())
			if revoked := strings.Contains(k.Record, `"revoked"`); revoked {
				if onetime.ReasonOf(err) != onetime.CredentialInvalid {
					t.Errorf("%s, revoked: %+v, %v", k.ID, credential, err)
				}
				continue
			}
			if err != nil || credential.ID != k.ID[:onetime.CredentialDigits] || !strings.Contains(k.Record, `"`+credential.Label+`"`) {
				t.Errorf("%s: %+v, %v", k.ID, credential, err)
			}
			live++
			owner := &onetime.Owner{Records: w.ledger, Clock: w.clock, Entropy: onetimetest.NewEntropy(4)}
			// A key that somebody makes now, with the same label.
			later := credential
			later.ID, later.Since = strings.Repeat("0a", onetime.CredentialDigits/2), w.clock.Now()
			for _, u := range r.URLs {
				if _, err := owner.Status(context.Background(), credential, u.ID, w.deadline()); (err == nil) != (u.By == credential.Label) {
					t.Errorf("key %q asks about a URL of %q: %v", credential.Label, u.By, err)
				}
				if _, err := owner.Revoke(context.Background(), later, u.ID, w.deadline()); onetime.ReasonOf(err) != onetime.Unknown {
					t.Errorf("a later key revokes a URL of %q: %v", u.By, err)
				}
			}
		}
		if live < 2 || live == len(r.Keys) {
			t.Errorf("%d of %d keys are live", live, len(r.Keys))
		}
	})
}

// TestTokens: a token asks about the URLs that tokens with its subject minted before.
func TestTokens(t *testing.T) {
	each(t, func(t *testing.T, r records) {
		w := r.world(t)
		owner := &onetime.Owner{Records: w.ledger, Clock: w.clock, Entropy: onetimetest.NewEntropy(5)}
		alice := onetime.Credential{Kind: onetime.CredentialToken, ID: strings.Repeat("0b", onetime.CredentialDigits/2), Label: "alice@example.com"}
		asked := 0
		for _, u := range r.URLs {
			_, err := owner.Revoke(context.Background(), alice, u.ID, w.deadline())
			if (err == nil) != (u.By == alice.Label) {
				t.Errorf("asks for a URL of %q: %v", u.By, err)
			}
			if err == nil {
				asked++
			}
		}
		if asked == 0 {
			t.Error("no URL was hers")
		}
	})
}

// TestWebhook: a message that waited through the update is posted, and a receiver of before
// verifies it: by timestamp and body, and takes the delivery from its header.
func TestWebhook(t *testing.T) {
	each(t, func(t *testing.T, r records) {
		const secret = "a made-up key of the signatures"
		var event acceptance.Event
		if err := json.Unmarshal([]byte(r.Detail), &event); err != nil {
			t.Fatal(err)
		}
		posts := 0
		receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			body, err := io.ReadAll(q.Body)
			h := hmac.New(sha256.New, []byte(secret))
			h.Write([]byte(q.Header.Get("x-oncegate-timestamp") + "."))
			h.Write(body)
			if got := q.Header.Get("x-oncegate-signature"); err != nil || got != "v1="+hex.EncodeToString(h.Sum(nil)) {
				t.Errorf("signature %q, %v", got, err)
			}
			if q.Header.Get("x-oncegate-delivery") != event.Version || string(body) != r.Detail {
				t.Errorf("delivery %q of %s, want %s", q.Header.Get("x-oncegate-delivery"), body, r.Detail)
			}
			posts++
		}))
		defer receiver.Close()
		sender := &webhook.Sender{
			URL: receiver.URL, Now: time.Now,
			Look: func(_ context.Context, key string) ([]byte, string, error) {
				if key != event.Key {
					t.Errorf("looks at %q, want %q", key, event.Key)
				}
				body, err := json.Marshal(event)
				return body, event.Version, err
			},
			Secret:   func(context.Context) (string, error) { return secret, nil },
			Postpone: func(context.Context, string, string, time.Duration) error { return nil },
		}
		if !sender.Follow(t.Context(), slog.New(slog.DiscardHandler), webhook.Message{Body: r.Message, Receives: 1}) || posts != 1 {
			t.Errorf("%d posts", posts)
		}
	})
}

// TestUploadEntries: an upload of before, accepted now, leads back to its URL.
func TestUploadEntries(t *testing.T) {
	each(t, func(t *testing.T, r records) {
		read := 0
		for _, o := range r.Objects {
			if !strings.HasPrefix(o.Key, "signatures/uploads/") {
				continue
			}
			read++
			e, err := onetime.ParseUploadEntry([]byte(o.Body))
			if err != nil || string(e.Marshal()) != o.Body {
				t.Errorf("%s: %+v, %v", o.Key, e, err)
			}
		}
		if read == 0 {
			t.Error("there is none")
		}
	})
}
