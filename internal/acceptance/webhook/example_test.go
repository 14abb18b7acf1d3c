package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
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

// A receiver verifies a post before it parses it, and answers 2xx when it has taken it
// over. The same acceptance may be posted again: tell repeats by x-oncegate-delivery.
func Example() {
	secret := []byte("a made-up key of 32 random bytes")
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !genuine(r.Header, body, secret) {
			http.Error(w, "not from oncegate", http.StatusForbidden)
			return
		}
		fmt.Printf("delivery %s: %s\n", r.Header.Get("x-oncegate-delivery"), body)
	}))
	defer receiver.Close()

	post := func(key string) bool {
		sender := webhook.Sender{
			URL:      receiver.URL,
			Secret:   func(context.Context) (string, error) { return key, nil },
			Postpone: func(context.Context, string, string, time.Duration) error { return nil },
			Now:      time.Now,
		}
		return sender.Follow(context.Background(), slog.New(slog.DiscardHandler), webhook.Message{
			Body: `{"source": "oncegate", "detail-type": "oncegate.accepted", "detail": {"key": "uploads/x", "version": "v1"}}`,
		})
	}
	fmt.Println(post(string(secret)))
	fmt.Println(post("the key of somebody else"))
	// Output:
	// delivery v1: {"key": "uploads/x", "version": "v1"}
	// true
	// false
}
