package webhook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"oncegate/internal/acceptance/webhook"
)

const secret = "a made-up key of the signatures"

// event is a message of the queue, as EventBridge puts it there.
const event = `{"version":"0","id":"1","detail-type":"oncegate.accepted","source":"oncegate","detail":{"key":"uploads/x","version":"v1","size":5}}`

// accepted is what the bucket says of the upload, which is not what the message says.
const accepted = `{"key":"uploads/x","version":"v1","size":5,"by":"key:… photo app"}`

var errFault = errors.New("S3 gave no answer")

// look is the bucket: uploads/x was accepted, and S3 does not say whether uploads/fault was.
func look(_ context.Context, key string) ([]byte, string, error) {
	switch key {
	case "uploads/x":
		return []byte(accepted), "v1", nil
	case "uploads/fault":
		return nil, "", errFault
	}
	return nil, "", webhook.ErrGarbage
}

// hook answers with the next status, and verifies as docs/acceptance.md says.
type hook struct {
	t         *testing.T
	mu        sync.Mutex
	statuses  []int
	bodies    []string
	elsewhere bool
	anyTime   bool // the test has a clock of its own
	secret    string
	header    http.Header // of the last post
}

func (r *hook) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		r.t.Error(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if q.URL.Path != "/in" {
		r.elsewhere = true
		return
	}
	at, _ := strconv.ParseInt(q.Header.Get("webhook-timestamp"), 10, 64)
	key, err := webhook.Key(r.secret)
	id := q.Header.Get("webhook-id")
	want := webhook.Sign(key, id, time.Unix(at, 0), body)
	if err != nil || !hmac.Equal([]byte(want), []byte(q.Header.Get("webhook-signature"))) || !r.anyTime && time.Since(time.Unix(at, 0)).Abs() > time.Minute {
		r.t.Errorf("signature %q at %d: %v", q.Header.Get("webhook-signature"), at, err)
	}
	if id != webhook.ID("uploads/x", "v1") {
		r.t.Errorf("id %q", id)
	}
	// What receivers of before go by, with the same secret.
	old := webhook.SignOld(r.secret, time.Unix(at, 0), body)
	if got := q.Header.Get("x-oncegate-signature"); !hmac.Equal([]byte(old), []byte(got)) || q.Header.Get("x-oncegate-timestamp") != q.Header.Get("webhook-timestamp") {
		r.t.Errorf("the old signature %q at %q", got, q.Header.Get("x-oncegate-timestamp"))
	}
	if q.Method != http.MethodPost || q.Header.Get("x-oncegate-delivery") != "v1" || q.Header.Get("content-type") != "application/json" {
		r.t.Errorf("%s %v", q.Method, q.Header)
	}
	r.bodies, r.header = append(r.bodies, string(body)), q.Header
	status := http.StatusOK
	if len(r.statuses) > 0 {
		status, r.statuses = r.statuses[0], r.statuses[1:]
	}
	w.Header().Set("Location", "/elsewhere")
	w.WriteHeader(status)
	io.WriteString(w, "nothing that anybody reads")
}

func sender(t *testing.T, statuses ...int) (*webhook.Sender, *hook, *[]time.Duration) {
	r := &hook{t: t, statuses: statuses, secret: secret}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	var postponed []time.Duration
	return &webhook.Sender{
		URL: server.URL + "/in", Now: time.Now, Look: look,
		Secret: func(context.Context) (string, error) { return secret, nil },
		Postpone: func(_ context.Context, queue, receipt string, d time.Duration) error {
			if queue != "queue" || receipt != "receipt" {
				t.Errorf("queue %q, receipt %q", queue, receipt)
			}
			postponed = append(postponed, d)
			return nil
		},
	}, r, &postponed
}

// message is the announcement, handed out so many times.
func message(receives int) webhook.Message {
	return webhook.Message{Body: event, Queue: "queue", Receipt: "receipt", Receives: receives}
}

var nowhere = slog.New(slog.DiscardHandler)

func TestPost(t *testing.T) {
	for _, tt := range []struct {
		status    int
		ok        bool
		postponed []time.Duration
	}{
		{200, true, nil}, {204, true, nil},
		{301, false, []time.Duration{time.Minute}}, {302, false, []time.Duration{time.Minute}}, {307, false, []time.Duration{time.Minute}},
		{400, false, []time.Duration{time.Minute}}, {404, false, []time.Duration{time.Minute}}, {503, false, []time.Duration{time.Minute}},
	} {
		s, r, postponed := sender(t, tt.status)
		var log bytes.Buffer
		arrived := s.Follow(t.Context(), slog.New(slog.NewJSONHandler(&log, nil)), message(2))
		if arrived != tt.ok || !slices.Equal(*postponed, tt.postponed) {
			t.Errorf("%d: arrived %v, postponed %v", tt.status, arrived, *postponed)
		}
		if len(r.bodies) != 1 || r.bodies[0] != accepted || r.elsewhere {
			t.Errorf("%d: posted %v, followed %v", tt.status, r.bodies, r.elsewhere)
		}
		if strings.Contains(log.String(), secret) || strings.Contains(log.String(), "v1=") || strings.Contains(log.String(), "v1,") || strings.Contains(log.String(), "nothing that") {
			t.Errorf("the log tells too much: %s", &log)
		}
	}
}

// TestForgedEvent: what somebody else puts on the bus about an accepted upload posts what the
// bucket says, and nothing of the event.
func TestForgedEvent(t *testing.T) {
	s, r, _ := sender(t)
	m := message(1)
	m.Body = strings.Replace(event, `"size":5`, `"size":9,"by":"mallory","VERSION":"v1","sha256":"00"`, 1)
	if !s.Follow(t.Context(), nowhere, m) || len(r.bodies) != 1 || r.bodies[0] != accepted {
		t.Errorf("posted %q, want %q", r.bodies, accepted)
	}
}

// TestBucketSilent: without an answer of the bucket nothing is posted yet.
func TestBucketSilent(t *testing.T) {
	s, r, postponed := sender(t)
	m := message(1)
	m.Body = strings.Replace(event, "uploads/x", "uploads/fault", 1)
	if s.Follow(t.Context(), nowhere, m) || len(r.bodies) != 0 || len(*postponed) != 1 {
		t.Errorf("posted %q, postponed %v", r.bodies, *postponed)
	}
}

func TestNoReceiver(t *testing.T) {
	s, _, postponed := sender(t)
	s.URL = "http://127.0.0.1:1/in"
	if s.Follow(t.Context(), nowhere, message(1)) || len(*postponed) != 1 {
		t.Errorf("arrived, or postponed %v", *postponed)
	}
}

func TestGarbage(t *testing.T) {
	s, r, postponed := sender(t)
	for _, body := range []string{
		"", "garbage", "{}", "null", strings.Replace(event, "oncegate.accepted", "other", 1), strings.Replace(event, `"source":"oncegate"`, `"source":"x"`, 1),
		strings.Replace(event, `"version":"v1",`, "", 1),
		// Whoever may put events on the bus: an upload that was not accepted, or another version.
		strings.Replace(event, "uploads/x", "uploads/y", 1), strings.Replace(event, `"version":"v1"`, `"version":"v2"`, 1), strings.Replace(event, `"key":"uploads/x",`, "", 1),
	} {
		if s.Follow(t.Context(), nowhere, webhook.Message{Body: body, Receives: 1}) {
			t.Errorf("%s: posted", body)
		}
	}
	if len(r.bodies) != 0 || len(*postponed) != 0 {
		t.Errorf("posted %v, postponed %v", r.bodies, *postponed)
	}
}

// The key is asked for once in a while, and without one nothing is posted.
func TestSecret(t *testing.T) {
	s, r, _ := sender(t)
	now := time.Now()
	s.Now = func() time.Time { return now }
	asked := 0
	answer, err := secret, error(nil)
	s.Secret = func(context.Context) (string, error) { asked++; return answer, err }
	post := func() bool { return s.Follow(t.Context(), nowhere, message(1)) }
	for range 2 {
		if !post() || asked != 1 {
			t.Errorf("asked %d times", asked)
		}
	}
	now = now.Add(6 * time.Minute)
	r.anyTime = true // its clock is another
	if !post() || asked != 2 {
		t.Errorf("asked %d times after a while", asked)
	}
	now = now.Add(6 * time.Minute)
	answer, err = "", errors.New("no such parameter")
	if post() {
		t.Error("posted without a key")
	}
	answer, err = "short", nil
	if post() {
		t.Error("posted with a short key")
	}
}

// TestSecretLength: 16 bytes are the least that a key may have.
func TestSecretLength(t *testing.T) {
	for length, want := range map[int]bool{15: false, 16: true} {
		s, r, _ := sender(t) // each has read no key yet
		key := secret[:length]
		r.secret = key
		s.Secret = func(context.Context) (string, error) { return key, nil }
		if got := s.Follow(t.Context(), nowhere, message(1)); got != want {
			t.Errorf("with a key of %d bytes it has arrived: %v", length, got)
		}
	}
}

// TestSecretAge: a key is used for five minutes and no longer, also by a clock that goes
// back; a key that was read before does not stand in for an answer.
func TestSecretAge(t *testing.T) {
	for _, tt := range []struct {
		name  string
		later time.Duration
		asked int
	}{
		{"just before", 5*time.Minute - time.Nanosecond, 1}, {"five minutes later", 5 * time.Minute, 2},
		{"a little before", -time.Minute, 1}, {"a clock that goes back", -time.Hour, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, r, _ := sender(t)
			r.anyTime = true
			now, asked := time.Unix(1_800_000_000, 0), 0
			s.Now = func() time.Time { return now }
			fault := error(nil)
			s.Secret = func(context.Context) (string, error) { asked++; return secret, fault }
			first := s.Follow(t.Context(), nowhere, message(1))
			now = now.Add(tt.later)
			fault = errFault
			second := s.Follow(t.Context(), nowhere, message(1))
			if !first || asked != tt.asked || second != (tt.asked == 1) {
				t.Errorf("asked %d times, want %d; arrived %v, then %v", asked, tt.asked, first, second)
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	for tries, want := range map[int]time.Duration{1: 30 * time.Second, 2: time.Minute, 3: 2 * time.Minute, 7: 32 * time.Minute, 8: time.Hour, 99: time.Hour} {
		if got := webhook.Backoff(tries); got != want {
			t.Errorf("%d: %v, want %v", tries, got, want)
		}
	}
}

// By another implementation:
//
//	printf 'msg_1.1.{}' | openssl dgst -sha256 -hmac key -binary | base64
//	printf '1.{}' | openssl dgst -sha256 -hmac key
func TestSign(t *testing.T) {
	const want = "v1,jKGHVBDuJf5ZbCMVrrutoMHDN1OlFFCE9iogVIO9MLQ="
	if got := webhook.Sign([]byte("key"), "msg_1", time.Unix(1, 0), []byte("{}")); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	const old = "v1=1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224"
	if got := webhook.SignOld("key", time.Unix(1, 0), []byte("{}")); got != old {
		t.Errorf("%s, want %s", got, old)
	}
}

// TestKey: a secret of the standard form is decoded, any other one is the key itself.
func TestKey(t *testing.T) {
	standard := func(length int) string {
		return "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xfb}, length))
	}
	for secret, want := range map[string]string{
		secret:                   secret,
		secret[:16]:              secret[:16],
		standard(24):             strings.Repeat("\xfb", 24),
		standard(64):             strings.Repeat("\xfb", 64),
		"WHSEC_" + standard(24):  "WHSEC_" + standard(24),
		"plain " + standard(24):  "plain " + standard(24),
		"whsec-0123456789abcdef": "whsec-0123456789abcdef",
	} {
		if key, err := webhook.Key(secret); err != nil || string(key) != want {
			t.Errorf("%q: %q, %v, want %q", secret, key, err, want)
		}
	}
	for secret, want := range map[string]string{
		"":                             "it has 0 bytes",
		secret[:15]:                    "it has 15 bytes",
		"whsec_":                       "encodes 0 bytes",
		standard(23):                   "encodes 23 bytes",
		standard(65):                   "encodes 65 bytes",
		standard(24) + "\n":            "not base64",
		standard(24) + " ":             "not base64",
		standard(25)[:6+34]:            "not base64", // without what fills it up
		standard(25)[:6+33] + "/==":    "not base64", // with bits that mean nothing
		"whsec_a made-up key, in text": "not base64",
		strings.ReplaceAll(standard(24), "+", "-"): "not base64", // the other alphabet
	} {
		key, err := webhook.Key(secret)
		if err == nil || !strings.Contains(err.Error(), want) || key != nil {
			t.Errorf("%q: %q, %v, want %q", secret, key, err, want)
		}
		if _, encoded, _ := strings.Cut(secret, "whsec_"); err != nil && len(encoded) > 8 && strings.Contains(err.Error(), encoded) {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
}

func FuzzKey(f *testing.F) {
	f.Add(secret)
	f.Add("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	f.Fuzz(func(t *testing.T, secret string) {
		key, err := webhook.Key(secret)
		switch {
		case err != nil && key != nil, err == nil && len(key) < 16:
			t.Errorf("%q, %v", key, err)
		case err == nil && string(key) != secret && "whsec_"+base64.StdEncoding.EncodeToString(key) != secret:
			t.Errorf("%q is the key of %q, and of another spelling", key, secret)
		}
	})
}

// TestID: an id is of one version of one upload, and has no dot, whatever S3 calls the version.
func TestID(t *testing.T) {
	// By another implementation: printf 'uploads/x\nv.1' | sha256sum
	const want = "msg_2fb5726d38828266315ef621aebe7a96"
	if got := webhook.ID("uploads/x", "v.1"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if id := webhook.ID("uploads/x", "v.2"); id == want || id != webhook.ID("uploads/x", "v.2") {
		t.Errorf("another version is %s", id)
	}
	if id := webhook.ID("uploads/y", "v.1"); id == want {
		t.Errorf("another upload is %s", id)
	}
}

// TestTriesHaveOneID: a post that is tried again, at another time and by another process, is
// the same one for a receiver.
func TestTriesHaveOneID(t *testing.T) {
	const standard = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	ids, times := map[string]bool{}, map[string]bool{}
	for try := range 3 {
		s, r, _ := sender(t, 500)
		r.anyTime, r.secret = true, standard
		s.Secret = func(context.Context) (string, error) { return standard, nil }
		s.Now = func() time.Time { return time.Unix(1_800_000_000+int64(try), 0) }
		if s.Follow(t.Context(), nowhere, message(try+1)) {
			t.Error("it has arrived")
		}
		ids[r.header.Get("webhook-id")], times[r.header.Get("webhook-timestamp")] = true, true
	}
	if len(ids) != 1 || len(times) != 3 {
		t.Errorf("ids %v at %v", ids, times)
	}
}
