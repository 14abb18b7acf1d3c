package e2e

import (
	"crypto/hmac"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"oncegate/internal/acceptance"
	"oncegate/internal/acceptance/webhook"
	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/api"
)

// hook is a webhook that a test listens on.
type hook struct {
	t      *testing.T
	secret string
	broken bool

	mu    sync.Mutex
	got   []acceptance.Event
	ids   []string // of all tries
	tries int
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		h.t.Error(err)
	}
	var e acceptance.Event
	if err := json.Unmarshal(body, &e); err != nil {
		h.t.Errorf("%s: %v", body, err)
	}
	verifier, err := standardwebhooks.NewWebhook(h.secret)
	if err == nil {
		err = verifier.Verify(body, r.Header)
	}
	if err != nil {
		h.t.Errorf("%s: %v of %v", body, err, r.Header)
	}
	// What receivers of before go by.
	at, _ := strconv.ParseInt(r.Header.Get("x-oncegate-timestamp"), 10, 64)
	if got := r.Header.Get("x-oncegate-signature"); !hmac.Equal([]byte(webhook.SignOld(h.secret, time.Unix(at, 0), body)), []byte(got)) {
		h.t.Errorf("%s: the old signature %q", body, got)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tries++
	h.ids = append(h.ids, r.Header.Get("webhook-id"))
	if h.broken {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	if e.Version != r.Header.Get("x-oncegate-delivery") {
		h.t.Errorf("delivery %q of %+v", r.Header.Get("x-oncegate-delivery"), e)
	}
	h.got = append(h.got, e)
}

func (h *hook) repair() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken = false
}

func (h *hook) seen() (tries int, got []acceptance.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tries, append([]acceptance.Event{}, h.got...)
}

// TestWebhook: an acceptance is posted and signed. One that cannot be posted ends in the
// dead-letter queue and is posted when it is replayed.
func TestWebhook(t *testing.T) {
	const secret = "whsec_YSBtYWRlLXVwIGtleSBvZiAzMiByYW5kb20gYnl0ZXM="
	h := &hook{t: t, secret: secret, broken: true}
	server := httptest.NewServer(h)
	defer server.Close()
	a := newAccepting(t, func(s *testbed.Setup) {
		s.Settings["acceptance"] = map[string]any{"webhook": map[string]string{"url": server.URL + "/in", "secret": "/test/key"}}
		s.Jobs.Parameters = map[string]string{"/test/key": secret}
	})
	a.Secret(secret)
	queue, dead := a.Queues["oncegate-webhook"], a.Queues["oncegate-webhook-dead"]
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("never: %s; queue %v, dead %v", what, queue.Bodies(), dead.Bodies())
			}
		}
	}
	var postponed atomic.Int32
	a.Services.SetIntercept(func(target string) api.Fault {
		if target == "AmazonSQS.ChangeMessageVisibility" {
			postponed.Add(1)
		}
		return api.Fault{}
	})
	first := newUploadKey()
	version := a.store(t, first, "first")
	until("a first try", func() bool { tries, _ := h.seen(); return tries > 0 })
	until("it was postponed", func() bool { return postponed.Load() > 0 && strings.Contains(a.Log(), "not posted") })
	if queue.Len() != 1 || dead.Len() != 0 || strings.Contains(a.Log(), "not postponed") {
		t.Errorf("%d messages, %d dead after a failure", queue.Len(), dead.Len())
	}
	h.repair()
	// Eight tries would take an hour, so the message starts in the dead-letter queue.
	queue.MoveTo(dead)
	dead.MoveTo(queue)
	until("it has arrived", func() bool { _, got := h.seen(); return len(got) == 1 })
	second := newUploadKey()
	a.store(t, second, "second")
	until("the second has arrived", func() bool { _, got := h.seen(); return len(got) == 2 })
	until("the queue is empty", func() bool { return queue.Len() == 0 })
	_, got := h.seen()
	if got[0].Key != first || got[0].Version != version || got[1].Key != second || got[1].Size != 6 {
		t.Errorf("posted %+v", got)
	}
	a.settle(t)
	a.want(t, first, version, "first")

	// Anybody who may put events on the bus may say that something was accepted. The bucket
	// knows better: nothing of it is posted.
	for _, detail := range []string{
		`{"bucket":"BUCKET","key":"` + newUploadKey() + `","version":"` + version + `","by":"mallory"}`,
		`{"bucket":"BUCKET","key":"` + first + `","version":"forged","by":"mallory"}`,
		`{"bucket":"BUCKET","key":"../keys","version":"v"}`,
	} {
		queue.Send(`{"source":"oncegate","detail-type":"oncegate.accepted","detail":` + detail + `}`)
	}
	until("all were refused", func() bool { return strings.Count(a.Log(), "not an event of an acceptance") == 3 })
	if _, got := h.seen(); len(got) != 2 {
		t.Errorf("posted %+v", got[2:])
	}
	// Of what was accepted, the bucket's own words are posted, whatever the message says.
	queue.Send(`{"source":"oncegate","detail-type":"oncegate.accepted","detail":{"key":"` + first + `","version":"` + version + `","by":"mallory","size":1}}`)
	until("it was posted", func() bool { _, got := h.seen(); return len(got) == 3 })
	if _, got := h.seen(); got[2] != got[0] {
		t.Errorf("posted %+v, want %+v", got[2], got[0])
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if again := h.ids[len(h.ids)-1]; again != h.ids[0] || again != webhook.ID(first, version) || slices.Index(h.ids, webhook.ID(second, got[1].Version)) < 0 {
		t.Errorf("ids %v of %s and %s", h.ids, first, second)
	}
}
