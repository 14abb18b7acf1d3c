package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"oncegate/internal/acceptance/webhook"
)

// genuine reports whether a post was signed with the secret, less than five minutes
// ago. It needs nothing but the standard library: copy it to your receiver, or take a library
// of https://www.standardwebhooks.com, which does the same. body is the bytes as they came,
// before anything parses them.
func genuine(header http.Header, body []byte, secret string) bool {
	id, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	io.WriteString(mac, id+"."+timestamp+".")
	mac.Write(body)
	want := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	for _, signature := range strings.Fields(header.Get("webhook-signature")) {
		if hmac.Equal(want, []byte(signature)) {
			return true
		}
	}
	return false
}

// receiver takes each acceptance over once. The id is signed and is the same for every try,
// so it tells repeats, and posts that somebody has seen and sends again. Keep the ids for as
// long as posts may come, which is weeks if failed ones are replayed.
type receiver struct {
	secret string // whsec_…
	take   func(body []byte)

	mu    sync.Mutex
	taken map[string]bool // by webhook-id
}

// ServeHTTP verifies a post before it parses it, and answers 2xx when it has taken it over
// or had before.
func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil || !genuine(q.Header, body, r.secret) {
		http.Error(w, "not from oncegate", http.StatusForbidden)
		return
	}
	id := q.Header.Get("webhook-id")
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.taken[id] {
		r.take(body)
		r.taken[id] = true
	}
}

func Example() {
	r := &receiver{
		secret: "whsec_YSBtYWRlLXVwIGtleSBvZiAzMiByYW5kb20gYnl0ZXM=", taken: map[string]bool{},
		take: func(body []byte) { fmt.Printf("%s\n", body) },
	}
	server := httptest.NewServer(r)
	defer server.Close()

	post := func(secret string) bool {
		sender := webhook.Sender{
			URL: server.URL,
			Look: func(context.Context, string) ([]byte, string, error) {
				return []byte(`{"key":"uploads/x","version":"v1"}`), "v1", nil
			},
			Secret:   func(context.Context) (string, error) { return secret, nil },
			Postpone: func(context.Context, string, string, time.Duration) error { return nil },
			Now:      time.Now,
		}
		return sender.Follow(context.Background(), slog.New(slog.DiscardHandler), webhook.Message{
			Body: `{"source": "oncegate", "detail-type": "oncegate.accepted", "detail": {"key": "uploads/x", "version": "v1"}}`,
		})
	}
	fmt.Println(post(r.secret))
	fmt.Println(post(r.secret)) // a repeat
	fmt.Println(post("the secret of somebody else"))
	// Output:
	// {"key":"uploads/x","version":"v1"}
	// true
	// true
	// false
}

// TestCapturedPost: a post that somebody has seen and sends again is taken for the same one,
// whatever headers it has that are not signed, and no other one can be made of it.
func TestCapturedPost(t *testing.T) {
	const secret = "whsec_YSBtYWRlLXVwIGtleSBvZiAzMiByYW5kb20gYnl0ZXM="
	key, err := webhook.Key(secret)
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	r := &receiver{secret: secret, taken: map[string]bool{}, take: func([]byte) { taken++ }}
	const body = `{"key":"uploads/x","version":"v1"}`
	id, at := webhook.ID("uploads/x", "v1"), time.Now()
	signature := webhook.Sign(key, id, at, []byte(body))
	send := func(id string, at time.Time, signature, delivery, body string) int {
		q := httptest.NewRequest(http.MethodPost, "/in", strings.NewReader(body))
		q.Header.Set("x-oncegate-delivery", delivery)
		q.Header.Set("webhook-id", id)
		q.Header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
		q.Header.Set("webhook-signature", signature)
		w := httptest.NewRecorder()
		r.ServeHTTP(w, q)
		return w.Code
	}
	for _, delivery := range []string{"v1", "v1", "v2", ""} {
		if status := send(id, at, signature, delivery, body); status != http.StatusOK || taken != 1 {
			t.Errorf("delivery %q: %d, taken %d times", delivery, status, taken)
		}
	}
	if status := send(id, at, "v1,AAAA v2,x "+signature, "v1", body); status != http.StatusOK || taken != 1 {
		t.Errorf("among other signatures: %d, taken %d times", status, taken)
	}
	for name, status := range map[string]int{
		"another version": send(id, at, signature, "v2", strings.Replace(body, "v1", "v2", 1)),
		"another id":      send(webhook.ID("uploads/x", "v2"), at, signature, "v1", body),
		"another time":    send(id, at.Add(time.Second), signature, "v1", body),
		"no id":           send("", at, signature, "v1", body),
		"an old post":     send(id, at.Add(-6*time.Minute), webhook.Sign(key, id, at.Add(-6*time.Minute), []byte(body)), "v1", body),
		"a late post":     send(id, at.Add(6*time.Minute), webhook.Sign(key, id, at.Add(6*time.Minute), []byte(body)), "v1", body),
		"no signature":    send(id, at, "", "v1", body),
	} {
		if status != http.StatusForbidden || taken != 1 {
			t.Errorf("%s: %d, taken %d times", name, status, taken)
		}
	}
}
