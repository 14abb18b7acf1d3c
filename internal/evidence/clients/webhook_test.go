package clients

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"oncegate/internal/acceptance/webhook"
)

// post is a post of the webhook as it has arrived, with the secret to verify it with.
type post struct {
	Secret  string            `json:"secret"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// with is the post with another header.
func (p post) with(name, value string) post {
	p.Headers = maps.Clone(p.Headers)
	p.Headers[name] = value
	return p
}

// without is the post less a header.
func (p post) without(name string) post {
	p.Headers = maps.Clone(p.Headers)
	delete(p.Headers, name)
	return p
}

// posted is what the webhook posts with this secret at this time.
func posted(t *testing.T, secret string, at time.Time) post {
	t.Helper()
	p := post{Secret: secret, Headers: map[string]string{}}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		p.Body = string(body)
		for name := range r.Header {
			p.Headers[strings.ToLower(name)] = r.Header.Get(name)
		}
	}))
	defer server.Close()
	const version = "9.Xa_3HL4kqt.J" // S3's version ids may have dots
	sender := webhook.Sender{
		URL: server.URL, Now: func() time.Time { return at },
		Look: func(context.Context, string) ([]byte, string, error) {
			return []byte(`{"key":"uploads/x","version":"` + version + `","name":"é \u2028.png"}`), version, nil
		},
		Secret:   func(context.Context) (string, error) { return secret, nil },
		Postpone: func(context.Context, string, string, time.Duration) error { return nil },
	}
	message := `{"source":"oncegate","detail-type":"oncegate.accepted","detail":{"key":"uploads/x","version":"` + version + `"}}`
	if !sender.Follow(t.Context(), slog.New(slog.DiscardHandler), webhook.Message{Body: message}) {
		t.Fatal("it was not posted")
	}
	return p
}

// verifiers are the published ones of Standard Webhooks. Each returns for each post "taken" or
// why it is not.
var verifiers = map[string]func(*testing.T, []post) []string{
	"npm": func(t *testing.T, posts []post) []string {
		text, err := json.Marshal(posts)
		path := filepath.Join(t.TempDir(), "posts.json")
		if err == nil {
			err = os.WriteFile(path, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		out, diagnostics := run(t, nodePath(t), "standardwebhooks.mjs", path)
		lines := strings.Split(out, "\n")
		if len(lines) != len(posts) {
			t.Fatalf("%q of %d posts (`make clients` fetches what is needed): %s", lines, len(posts), diagnostics)
		}
		return lines
	},
	"Go": func(t *testing.T, posts []post) (verdicts []string) {
		for _, p := range posts {
			header := http.Header{}
			for name, value := range p.Headers {
				header.Set(name, value)
			}
			verifier, err := standardwebhooks.NewWebhook(p.Secret)
			if err == nil {
				err = verifier.Verify([]byte(p.Body), header)
			}
			if err != nil {
				verdicts = append(verdicts, err.Error())
				continue
			}
			verdicts = append(verdicts, "taken")
		}
		return verdicts
	},
}

// TestStandardWebhooks: the published verifiers take what is posted, with a secret of the
// standard form and with one of before, and nothing that was changed on the way.
func TestStandardWebhooks(t *testing.T) {
	const standard = "whsec_YSBtYWRlLXVwIGtleSBvZiAzMiByYW5kb20gYnl0ZXM="
	const before = "a made-up key of the signatures" // as docs/acceptance.md has it brought to the standard form
	now := time.Now()
	second := func(p post, seconds int64) string {
		at, err := strconv.ParseInt(p.Headers["webhook-timestamp"], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return strconv.FormatInt(at+seconds, 10)
	}
	for name, secret := range map[string]string{"standard": standard, "before": before} {
		p := posted(t, secret, now)
		wantOldSignature(t, p, secret)
		old, early := posted(t, secret, now.Add(-6*time.Minute)), posted(t, secret, now.Add(6*time.Minute))
		again := posted(t, secret, now.Add(-4*time.Minute)) // an earlier try of the same
		if again.Headers["webhook-id"] != p.Headers["webhook-id"] || again.Headers["webhook-signature"] == p.Headers["webhook-signature"] {
			t.Errorf("%s: tries have the headers %v and %v", name, again.Headers, p.Headers)
		}
		changed := p
		changed.Body = strings.Replace(p.Body, "uploads/x", "uploads/y", 1)
		longer := p
		longer.Body += " "
		stranger := p
		stranger.Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
		cases := []struct {
			name string
			post post
			want string // what both verifiers say, among other words
		}{
			{"as posted", p, "taken"},
			{"an earlier try", again, "taken"},
			{"behind a signature of another version", p.with("webhook-signature", "v1a,AAAA "+p.Headers["webhook-signature"]), "taken"},
			{"a changed byte", changed, "matching signature"},
			{"a byte more", longer, "matching signature"},
			{"another time", p.with("webhook-timestamp", second(p, 1)), "matching signature"},
			{"the time of an earlier try", p.with("webhook-timestamp", again.Headers["webhook-timestamp"]), "matching signature"},
			{"another id", p.with("webhook-id", webhook.ID("uploads/x", "another")), "matching signature"},
			{"another secret", stranger, "matching signature"},
			{"six minutes old", old, "too old"},
			{"six minutes early", early, "too new"},
			{"no id", p.without("webhook-id"), "required headers"},
			{"no time", p.without("webhook-timestamp"), "required headers"},
			{"no signature", p.without("webhook-signature"), "required headers"},
			{"the old signature", p.with("webhook-signature", p.Headers["x-oncegate-signature"]), "matching signature"},
		}
		var posts []post
		for _, c := range cases {
			if c.post.Secret == before {
				c.post.Secret = "whsec_" + base64.StdEncoding.EncodeToString([]byte(before))
			}
			posts = append(posts, c.post)
		}
		for of, verify := range verifiers {
			t.Run(name+", "+of, func(t *testing.T) {
				verdicts := verify(t, posts)
				for i, c := range cases {
					if !strings.Contains(verdicts[i], c.want) {
						t.Errorf("%s: %s, want %s", c.name, verdicts[i], c.want)
					}
				}
			})
		}
	}
}

// wantOldSignature checks what receivers of before go by: the text of the secret is the key.
func wantOldSignature(t *testing.T, p post, secret string) {
	t.Helper()
	h := hmac.New(sha256.New, []byte(secret))
	io.WriteString(h, p.Headers["x-oncegate-timestamp"]+"."+p.Body)
	if got := p.Headers["x-oncegate-signature"]; got != "v1="+hex.EncodeToString(h.Sum(nil)) {
		t.Errorf("the old signature is %q", got)
	}
}
