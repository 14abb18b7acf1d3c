// Package webhook posts acceptances to a URL, signed, at least once and in any order.
//
// What comes on the queue only says which upload to look at: whoever may put events on the
// bus can put it there. The body is what the bucket says of that upload, as the detail of
// the event oncegate.accepted has it. The headers are those of Standard Webhooks:
//
//	webhook-id          the acceptance, the same for every try
//	webhook-timestamp   Unix seconds of this try
//	webhook-signature   v1,<base64 HMAC-SHA256 of id + "." + timestamp + "." + body>
//
// A receiver recognizes repeats by the id or by the version in the body. Both are signed.
// For receivers of before, which have the same secret, come three more, deprecated:
//
//	x-oncegate-delivery    the upload's version id, which is not signed
//	x-oncegate-timestamp   Unix seconds of this try
//	x-oncegate-signature   v1=<hex HMAC-SHA256 of timestamp + "." + body>
//
// A post has arrived if the status is 200 to 299. Redirects are not followed, so that
// posts go to the configured URL only.
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

const (
	// limit is the time for one try: connection, handshake and answer included.
	limit = 10 * time.Second
	// keepSecret is how long a secret is used before it is read again.
	keepSecret = 5 * time.Minute
)

// Backoff returns how long to wait after so many tries: half a minute, then twice as
// long each time, at most an hour.
func Backoff(tries int) time.Duration {
	d := 30 * time.Second
	for range tries - 1 {
		if d *= 2; d > time.Hour {
			return time.Hour
		}
	}
	return d
}

// ErrGarbage is the error for a message that is not the event of an acceptance.
var ErrGarbage = errors.New("not an event of an acceptance")

// Message is one message of a queue.
type Message struct {
	Body string
	// Queue and Receipt are what Postpone needs: the queue's ARN, and the receipt that
	// the message was handed out with.
	Queue, Receipt string
	// Receives is how often the message has been handed out.
	Receives int
}

// Sender posts to one URL. Its methods may be called concurrently.
type Sender struct {
	URL string
	// Look returns what to post about the upload with this key, and its version that was
	// accepted. The error wraps ErrGarbage if none was.
	Look func(ctx context.Context, key string) (body []byte, version string, err error)
	// Secret reads the secret of the signatures, which Key explains.
	Secret func(ctx context.Context) (string, error)
	// Postpone makes the queue hand a message out again after d, and not before.
	Postpone func(ctx context.Context, queue, receipt string, d time.Duration) error
	Now      func() time.Time

	mu     sync.Mutex
	signer signer
	read   time.Time
}

// client uses no proxy and follows no redirect: it goes to the configured URL only.
var client = &http.Client{
	Transport:     &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Follow posts the announcement of a message, and reports whether it has arrived. If
// not, the message must be handed out again.
func (s *Sender) Follow(ctx context.Context, log *slog.Logger, m Message) bool {
	version, status, err := s.post(ctx, m)
	log = log.With("version", version, "status", status)
	if err == nil {
		log.Info("posted")
		return true
	}
	log.Error("not posted", "err", err)
	if errors.Is(err, ErrGarbage) {
		return false
	}
	if err := s.Postpone(ctx, m.Queue, m.Receipt, Backoff(m.Receives)); err != nil {
		log.Warn("not postponed: it is tried again when the queue's own time is over", "err", err)
	}
	return false
}

func (s *Sender) post(ctx context.Context, m Message) (version string, status int, err error) {
	var event struct {
		DetailType string `json:"detail-type"`
		Source     string
		Detail     struct{ Key, Version string }
	}
	if err := json.Unmarshal([]byte(m.Body), &event); err != nil {
		return "", 0, fmt.Errorf("%w: %w", ErrGarbage, err)
	}
	if event.Source != "oncegate" || event.DetailType != "oncegate.accepted" {
		return "", 0, fmt.Errorf("%w: %q of %q", ErrGarbage, event.DetailType, event.Source)
	}
	body, version, err := s.Look(ctx, event.Detail.Key)
	if err != nil {
		return "", 0, err
	}
	if event.Detail.Version != version {
		return "", 0, fmt.Errorf("%w: it names version %q of %q, and %q was accepted", ErrGarbage, event.Detail.Version, event.Detail.Key, version)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	signer, err := s.current(ctx)
	if err != nil {
		return version, 0, fmt.Errorf("the secret of the signatures: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(body))
	if err != nil {
		return version, 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "oncegate")
	sign(r.Header, signer, event.Detail.Key, version, s.Now(), body)
	res, err := client.Do(r)
	if err != nil {
		return version, 0, err
	}
	defer res.Body.Close()
	io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection can be reused
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return version, res.StatusCode, errors.New("the receiver does not answer 2xx")
	}
	return version, res.StatusCode, nil
}

// current returns the secret with its key, read again after keepSecret. If it cannot be
// read, that is an error even if an older one is known: it may have been changed because it
// leaked.
func (s *Sender) current(ctx context.Context) (signer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.signer.secret != "" && s.Now().Sub(s.read).Abs() < keepSecret {
		return s.signer, nil
	}
	secret, err := s.Secret(ctx)
	if err != nil {
		return signer{}, err
	}
	key, err := Key(secret)
	if err != nil {
		return signer{}, err
	}
	s.signer, s.read = signer{secret, key}, s.Now()
	return s.signer, nil
}
