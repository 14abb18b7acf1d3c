package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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
// ago. It needs nothing but the standard library: copy it to your receiver. body is
// the bytes as they came, before anything parses them.
func genuine(header http.Header, body, secret []byte) bool {
	timestamp := header.Get("x-oncegate-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, secret)
	io.WriteString(mac, timestamp+".")
	mac.Write(body)
	want := "v1=" + hex.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(want), []byte(header.Get("x-oncegate-signature")))
}

// receiver takes each acceptance over once. The signature covers time and body, so a repeat
// is recognized by the version in the body, and by no header: somebody who has seen a post
// may send it again within five minutes, under another x-oncegate-delivery. Keep the
// versions for as long as posts may come, which is weeks if failed ones are replayed.
type receiver struct {
	secret []byte
	take   func(body []byte)

	mu    sync.Mutex
	taken map[string]bool // by version
}

// ServeHTTP verifies a post before it parses it, and answers 2xx when it has taken it over
// or had before.
func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil || !genuine(q.Header, body, r.secret) {
		http.Error(w, "not from oncegate", http.StatusForbidden)
		return
	}
	var event struct{ Version string }
	if err := json.Unmarshal(body, &event); err != nil || event.Version == "" {
		http.Error(w, "not an acceptance", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.taken[event.Version] {
		r.take(body)
		r.taken[event.Version] = true
	}
}

func Example() {
	r := &receiver{
		secret: []byte("a made-up key of 32 random bytes"), taken: map[string]bool{},
		take: func(body []byte) { fmt.Printf("%s\n", body) },
	}
	server := httptest.NewServer(r)
	defer server.Close()

	post := func(key string) bool {
		sender := webhook.Sender{
			URL: server.URL,
			Look: func(context.Context, string) ([]byte, string, error) {
				return []byte(`{"key":"uploads/x","version":"v1"}`), "v1", nil
			},
			Secret:   func(context.Context) (string, error) { return key, nil },
			Postpone: func(context.Context, string, string, time.Duration) error { return nil },
			Now:      time.Now,
		}
		return sender.Follow(context.Background(), slog.New(slog.DiscardHandler), webhook.Message{
			Body: `{"source": "oncegate", "detail-type": "oncegate.accepted", "detail": {"key": "uploads/x", "version": "v1"}}`,
		})
	}
	fmt.Println(post(string(r.secret)))
	fmt.Println(post(string(r.secret))) // a repeat
	fmt.Println(post("the key of somebody else"))
	// Output:
	// {"key":"uploads/x","version":"v1"}
	// true
	// true
	// false
}

// TestCapturedPost: a post that somebody has seen and sends again is taken for the same one,
// whatever headers it has.
func TestCapturedPost(t *testing.T) {
	const secret = "a made-up key of 32 random bytes"
	taken := 0
	r := &receiver{secret: []byte(secret), taken: map[string]bool{}, take: func([]byte) { taken++ }}
	body := `{"key":"uploads/x","version":"v1"}`
	at := time.Now()
	send := func(delivery, body string) int {
		q := httptest.NewRequest(http.MethodPost, "/in", strings.NewReader(body))
		q.Header.Set("x-oncegate-delivery", delivery)
		q.Header.Set("x-oncegate-timestamp", strconv.FormatInt(at.Unix(), 10))
		q.Header.Set("x-oncegate-signature", webhook.Sign(secret, at, []byte(`{"key":"uploads/x","version":"v1"}`)))
		w := httptest.NewRecorder()
		r.ServeHTTP(w, q)
		return w.Code
	}
	for _, delivery := range []string{"v1", "v1", "v2", ""} {
		if status := send(delivery, body); status != http.StatusOK || taken != 1 {
			t.Errorf("delivery %q: %d, taken %d times", delivery, status, taken)
		}
	}
	if status := send("v2", strings.Replace(body, "v1", "v2", 1)); status != http.StatusForbidden || taken != 1 {
		t.Errorf("another version: %d, taken %d times", status, taken)
	}
}
