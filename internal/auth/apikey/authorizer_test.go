package apikey_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"oncegate/internal/auth/apikey"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// details are all that a client is told.
var details = map[onetime.Reason]string{
	onetime.CredentialMissing: "a credential is needed here; send an API key in the header x-api-key",
	onetime.CredentialInvalid: "the API key in the header x-api-key is not valid here",
}

// headers are those of a request, by lower-case name.
type headers map[string][]string

func (h headers) Values(name string) []string { return h[name] }

// records are the bucket's. Each read takes a second by the clock.
type records struct {
	mu     sync.Mutex
	clock  *onetimetest.Clock
	bodies map[string][]byte
	reads  int
	faults []error // of the next reads; nil for none
}

func (r *records) ReadKey(ctx context.Context, limit time.Duration, id string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	body, ok := r.bodies[id] // S3 answers with what is true when it is asked
	r.clock.Sleep(ctx, time.Second)
	if limit <= 0 {
		return nil, errors.New("no time to answer in")
	}
	if len(r.faults) > 0 {
		fault := r.faults[0]
		r.faults = r.faults[1:]
		if fault != nil {
			return nil, fault
		}
	}
	if !ok {
		return nil, onetime.ErrAbsent
	}
	return body, nil
}

type world struct {
	*apikey.Authorizer
	records *records
	clock   *onetimetest.Clock
}

func newWorld() *world {
	clock := onetimetest.NewClock(start)
	r := &records{clock: clock, bodies: map[string][]byte{}}
	return &world{apikey.NewAuthorizer(r, clock, onetimetest.NewEntropy(9)), r, clock}
}

// store puts a record into the bucket and returns the key.
func (w *world) store(t testing.TB, seed uint64, label string, revoked bool) string {
	t.Helper()
	key, id := newKey(t, seed)
	r, err := apikey.NewRecord(label, start)
	if err != nil {
		t.Fatal(err)
	}
	if revoked {
		r.Revoked = w.clock.Now()
	}
	w.records.bodies[string(id)] = r.Marshal()
	return key
}

func (w *world) ask(h headers) (by onetime.Credential, reason onetime.Reason, err error) {
	by, err = w.Authorize(context.Background(), h, w.clock.Now().Add(5*time.Second))
	if err != nil {
		reason = onetime.ReasonOf(err)
	}
	return by, reason, err
}

func (w *world) reason(key string) onetime.Reason {
	_, reason, _ := w.ask(headers{"x-api-key": {key}})
	return reason
}

func TestAuthorize(t *testing.T) {
	key, _ := newKey(t, 1)
	strange, _ := newKey(t, 3)
	for _, tt := range []struct {
		name  string
		given headers
		want  onetime.Reason // "" for: may mint
		reads int
	}{
		{"a good key", headers{"x-api-key": {key}}, "", 1},
		{"no header", headers{}, onetime.CredentialMissing, 0},
		{"an empty header", headers{"x-api-key": {""}}, onetime.CredentialMissing, 0},
		{"the key as a bearer token", headers{"authorization": {"Bearer " + key}}, onetime.CredentialMissing, 0},
		{"the good key twice", headers{"x-api-key": {key, key}}, onetime.CredentialInvalid, 0},
		{"a good key and nothing", headers{"x-api-key": {key, ""}}, onetime.CredentialInvalid, 0},
		{"two keys in one line", headers{"x-api-key": {key + ", " + key}}, onetime.CredentialInvalid, 0},
		{"a malformed key", headers{"x-api-key": {key[:40]}}, onetime.CredentialInvalid, 0},
		{"a mistyped key", headers{"x-api-key": {key[:68] + "00000000"}}, onetime.CredentialInvalid, 0},
		{"its hash", headers{"x-api-key": {func() string { _, id := newKey(t, 1); return string(id) }()}}, onetime.CredentialInvalid, 0},
		{"a key of somebody else", headers{"x-api-key": {strange}}, onetime.CredentialInvalid, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			w.store(t, 1, "ci", false)
			by, reason, err := w.ask(tt.given)
			if reason != tt.want || w.records.reads != tt.reads {
				t.Errorf("got %q (%v) with %d reads, want %q with %d", reason, err, w.records.reads, tt.want, tt.reads)
			}
			_, id := newKey(t, 1)
			want := onetime.Credential{Kind: onetime.CredentialKey, ID: string(id[:onetime.CredentialDigits]), Label: "ci", Since: start}
			if tt.want != "" {
				want = onetime.Credential{}
			}
			if by != want {
				t.Errorf("minted by %+v, want %+v", by, want)
			}
			if err != nil && (strings.Contains(err.Error(), key[4:]) || strings.Contains(err.Error(), strange[4:])) {
				t.Errorf("the error holds a key: %v", err)
			}
			if refusal, ok := errors.AsType[*onetime.Refusal](err); ok && refusal.Detail != details[refusal.Reason] {
				t.Errorf("the client is told %q, want %q whatever the cause", refusal.Detail, details[refusal.Reason])
			}
		})
	}
}

// TestOwners: keys of one label are two owners, and a key that was made to take over is
// the owner that the other one is. The answers of the cache say the same.
func TestOwners(t *testing.T) {
	w := newWorld()
	first, second := w.store(t, 1, "app", false), w.store(t, 2, "app", false)
	_, firstID := newKey(t, 1)
	third, thirdID := newKey(t, 3)
	r, err := apikey.NewRecord("app", start)
	if err != nil {
		t.Fatal(err)
	}
	r.Owner = firstID
	w.records.bodies[string(thirdID)] = r.Marshal()
	for range 2 {
		for key, want := range map[string]string{
			first:  "key:" + string(firstID[:32]) + " app",
			second: "key:" + func() string { _, id := newKey(t, 2); return string(id[:32]) }() + " app",
			third:  "key:" + string(thirdID[:32]) + "/" + string(firstID[:32]) + " app",
		} {
			if by, reason, err := w.ask(headers{"x-api-key": {key}}); by.By() != want {
				t.Errorf("by %q (%q, %v), want %q", by.By(), reason, err, want)
			}
		}
	}
}

// TestBoundsOfAKey: what a key may ask for comes with it, out of the cache too.
func TestBoundsOfAKey(t *testing.T) {
	w := newWorld()
	key, id := newKey(t, 1)
	r, err := apikey.NewRecord("app", start)
	if err != nil {
		t.Fatal(err)
	}
	r.Allows = onetime.Allowance{Life: time.Hour, MaxBytes: 100, Type: "image/*"}
	w.records.bodies[string(id)] = r.Marshal()
	for range 2 {
		if by, reason, err := w.ask(headers{"x-api-key": {key}}); by.Allows != r.Allows {
			t.Errorf("allowed is %+v (%q, %v)", by.Allows, reason, err)
		}
	}
}

// TestLifeOfAnAnswer: an answer is gone by for its life from before the question,
// and not a moment longer.
func TestLifeOfAnAnswer(t *testing.T) {
	w := newWorld()
	key := w.store(t, 1, "ci", false)
	if reason := w.reason(key); reason != "" {
		t.Fatal(reason)
	}
	asked := start
	w.store(t, 1, "ci", true)
	w.clock.Set(asked.Add(apikey.KnownLife - time.Nanosecond))
	if reason := w.reason(key); reason != "" || w.records.reads != 1 {
		t.Errorf("just before the end of its life: %q, %d reads", reason, w.records.reads)
	}
	w.clock.Set(asked.Add(apikey.KnownLife))
	if reason := w.reason(key); reason != onetime.CredentialInvalid || w.records.reads != 2 {
		t.Errorf("%v after it was revoked: %q, %d reads; want it refused", apikey.KnownLife, reason, w.records.reads)
	}

	// Refused answers live on their own.
	asked = asked.Add(apikey.KnownLife)
	w.store(t, 1, "ci", false)
	w.clock.Set(asked.Add(apikey.RefusedLife - time.Nanosecond))
	if reason := w.reason(key); reason != onetime.CredentialInvalid || w.records.reads != 2 {
		t.Errorf("refused a moment ago: %q, %d reads", reason, w.records.reads)
	}
	w.clock.Set(asked.Add(apikey.RefusedLife))
	if reason := w.reason(key); reason != "" || w.records.reads != 3 {
		t.Errorf("after the refusal's life: %q, %d reads", reason, w.records.reads)
	}

	// A clock that was set back must not lengthen a life.
	w.store(t, 1, "ci", true)
	w.clock.Set(start.Add(-time.Hour))
	if reason := w.reason(key); reason != onetime.CredentialInvalid {
		t.Errorf("after the clock was set back: %q", reason)
	}
}

// TestDocumentedLives: docs/auth.md says for how long an answer is gone by.
func TestDocumentedLives(t *testing.T) {
	page, err := os.ReadFile("../../../docs/auth.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf("**A revoked key stops working within %v seconds**", apikey.KnownLife.Seconds()),
		fmt.Sprintf("They cache a refused key for %v seconds, and at most %d", apikey.RefusedLife.Seconds(), apikey.MaxCached),
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("it does not say %q", want)
		}
	}
}

// TestRevokedIsForgotten: once a container knows that a key is revoked, no clock makes it
// mint again.
func TestRevokedIsForgotten(t *testing.T) {
	w := newWorld()
	key := w.store(t, 1, "ci", false)
	if reason := w.reason(key); reason != "" {
		t.Fatal(reason)
	}
	w.store(t, 1, "ci", true)
	w.clock.Set(start.Add(apikey.KnownLife))
	if reason := w.reason(key); reason != onetime.CredentialInvalid {
		t.Fatal(reason)
	}
	w.clock.Set(start.Add(time.Second)) // within the life of the first answer
	if reason := w.reason(key); reason != onetime.CredentialInvalid {
		t.Errorf("after the clock was set back: %q", reason)
	}
}

// TestIndexFaults: what the index cannot say is never a yes, and never remembered.
func TestIndexFaults(t *testing.T) {
	unanswered := &onetime.Fault{Op: "ReadKey", Err: errors.New("no answer")}
	denied := &onetime.Fault{Op: "ReadKey", Status: 403}
	for _, tt := range []struct {
		name   string
		faults []error
		want   onetime.Reason
		reads  int
	}{
		{"no answer once", []error{unanswered}, "", 2},
		{"a dead connection", []error{&onetime.Fault{Op: "ReadKey", Stale: true}}, "", 2},
		{"no answer ever", []error{unanswered, unanswered, unanswered, unanswered}, onetime.IndexUnavailable, 3},
		{"503 ever", []error{&onetime.Fault{Status: 503}, &onetime.Fault{Status: 503}, &onetime.Fault{Status: 503}}, onetime.IndexUnavailable, 3},
		// 403 hides "absent" where s3:ListBucket is missing.
		{"403", []error{denied}, onetime.IndexUnavailable, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			key := w.store(t, 1, "ci", false)
			w.records.faults = tt.faults
			// Reads take a second each: time for three.
			_, err := w.Authorize(t.Context(), headers{"x-api-key": {key}}, w.clock.Now().Add(8*time.Second))
			reason := onetime.Reason("")
			if err != nil {
				reason = onetime.ReasonOf(err)
			}
			if reason != tt.want || w.records.reads != tt.reads {
				t.Errorf("got %q with %d reads, want %q with %d", reason, w.records.reads, tt.want, tt.reads)
			}
			w.records.faults = nil
			if reason := w.reason(key); reason != "" {
				t.Errorf("when the index is back: %q", reason)
			}
		})
	}
	t.Run("a record that cannot be read", func(t *testing.T) {
		w := newWorld()
		key, id := newKey(t, 1)
		w.records.bodies[string(id)] = []byte(`{"version":2,"label":"ci","created":"2026-03-04T05:06:07Z"}`)
		if reason := w.reason(key); reason != onetime.IndexUnavailable {
			t.Errorf("got %q", reason)
		}
	})
	t.Run("no time", func(t *testing.T) {
		w := newWorld()
		key := w.store(t, 1, "ci", false)
		_, err := w.Authorize(t.Context(), headers{"x-api-key": {key}}, w.clock.Now().Add(300*time.Millisecond))
		if onetime.ReasonOf(err) != onetime.IndexUnavailable || w.records.reads != 0 {
			t.Errorf("got %v with %d reads", err, w.records.reads)
		}
	})
}

// TestGarbageDoesNotGrow: well-formed keys that nobody made neither fill memory nor
// push a good key out of the cache.
func TestGarbageDoesNotGrow(t *testing.T) {
	w := newWorld()
	good := w.store(t, 1, "ci", false)
	if reason := w.reason(good); reason != "" {
		t.Fatal(reason)
	}
	w.records.clock = onetimetest.NewClock(start) // reads take no time from here on
	for i := range uint64(3 * apikey.MaxCached) {
		key, _ := newKey(t, 100+i)
		if reason := w.reason(key); reason != onetime.CredentialInvalid {
			t.Fatal(reason)
		}
	}
	if known, refused := w.Cached(); known != 1 || refused != apikey.MaxCached {
		t.Errorf("%d known and %d refused keys in memory, want 1 and %d", known, refused, apikey.MaxCached)
	}
	before := w.records.reads
	if reason := w.reason(good); reason != "" || w.records.reads != before {
		t.Errorf("the good key: %q, %d more reads", reason, w.records.reads-before)
	}
	// The latest are remembered.
	key, _ := newKey(t, 100+3*apikey.MaxCached-1)
	if w.reason(key); w.records.reads != before {
		t.Error("the key refused last is not remembered")
	}
	for i := range uint64(2 * apikey.MaxCached) {
		w.clock.Set(w.clock.Now().Add(time.Millisecond))
		w.reason(w.store(t, 10_000+i, fmt.Sprint("k", i), false))
	}
	before = w.records.reads
	for i := range uint64(apikey.MaxCached) {
		key, _ := newKey(t, 10_000+apikey.MaxCached+i)
		if w.reason(key); w.records.reads != before {
			t.Fatal("a key of the latest is not remembered")
		}
	}
	if known, _ := w.Cached(); known != apikey.MaxCached {
		t.Errorf("%d known keys in memory, want %d", known, apikey.MaxCached)
	}
}

func TestConcurrentUse(t *testing.T) {
	w := newWorld()
	keys := []string{w.store(t, 1, "a", false), w.store(t, 2, "b", true)}
	var done sync.WaitGroup
	for i := range 20 {
		done.Go(func() {
			if got, want := w.reason(keys[i%2]), []onetime.Reason{"", onetime.CredentialInvalid}[i%2]; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	done.Wait()
}
