package bearer_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"oncegate/internal/auth/bearer"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

var start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

const (
	issuer   = "https://issuer.example/"
	audience = "uploads"
)

var accepted = bearer.Accepted{Issuer: issuer, Audience: audience}

// The issuer's key pairs, and one of a stranger.
var (
	rsaKey, strangerKey = mustRSA(), mustRSA()
	ecKey               = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	_, edKey, _         = ed25519.GenerateKey(rand.Reader)
)

func mustRSA() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwk is the public half of a key, as a set has it.
func jwk(id string, private crypto.Signer) map[string]any {
	switch k := private.Public().(type) {
	case *rsa.PublicKey:
		return map[string]any{"kty": "RSA", "kid": id, "use": "sig", "alg": "RS256", "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())}
	case *ecdsa.PublicKey:
		point := must(k.Bytes())
		return map[string]any{"kty": "EC", "kid": id, "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])}
	case ed25519.PublicKey:
		return map[string]any{"kty": "OKP", "kid": id, "crv": "Ed25519", "alg": "EdDSA", "x": b64(k)}
	}
	panic("no such key")
}

func setOf(keys ...map[string]any) []byte { return must(json.Marshal(map[string]any{"keys": keys})) }

// fullSet has one key for each algorithm.
func fullSet() []byte { return setOf(jwk("r", rsaKey), jwk("e", ecKey), jwk("d", edKey)) }

// claims of a token that holds.
func claims() jwt.MapClaims {
	return jwt.MapClaims{
		"iss": issuer, "aud": audience, "sub": "alice",
		"iat": start.Unix(), "nbf": start.Unix(), "exp": start.Add(time.Hour).Unix(),
	}
}

// with is claims, changed; a nil value takes one away.
func with(name string, value any) jwt.MapClaims {
	c := claims()
	c[name] = value
	if value == nil {
		delete(c, name)
	}
	return c
}

// sign makes a token. kid "" leaves the key id away.
func sign(t testing.TB, method jwt.SigningMethod, key any, kid string, c jwt.Claims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, c)
	if kid != "" {
		token.Header["kid"] = kid
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func good(t testing.TB) string { return sign(t, jwt.SigningMethodRS256, rsaKey, "r", claims()) }

// site is where the set is published. Each fetch takes a second by the clock.
type site struct {
	mu    sync.Mutex
	clock *onetimetest.Clock
	set   []byte
	err   error
	hits  int
}

func (s *site) FetchKeys(ctx context.Context, limit time.Duration) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hits++
	set := s.set
	s.clock.Sleep(ctx, time.Second)
	if limit <= 0 || limit > 2*time.Second {
		panic("limit " + limit.String())
	}
	return set, s.err
}

type world struct {
	*bearer.Authorizer
	site  *site
	clock *onetimetest.Clock
}

func newWorld() *world {
	clock := onetimetest.NewClock(start)
	s := &site{clock: clock, set: fullSet()}
	return &world{bearer.NewAuthorizer(accepted, s, clock), s, clock}
}

// headers are those of a request, by lower-case name.
type headers map[string][]string

func (h headers) Values(name string) []string { return h[name] }

func (w *world) ask(h headers) (by onetime.Credential, reason onetime.Reason, err error) {
	by, err = w.Authorize(context.Background(), h, w.clock.Now().Add(5*time.Second))
	if err != nil {
		reason = onetime.ReasonOf(err)
	}
	return by, reason, err
}

func (w *world) reason(token string) onetime.Reason {
	_, reason, _ := w.ask(headers{"authorization": {"Bearer " + token}})
	return reason
}
