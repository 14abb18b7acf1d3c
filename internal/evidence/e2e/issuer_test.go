package e2e

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// issuer signs tokens and publishes its keys at /keys.
type issuer struct {
	URL     string
	rsa     *rsa.PrivateKey
	ec      *ecdsa.PrivateKey
	ed      ed25519.PrivateKey
	set     []byte
	fetches atomic.Int32
	secret  func(string) // is told each part of a token
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{secret: func(string) {}}
	var errs [3]error
	i.rsa, errs[0] = rsa.GenerateKey(rand.Reader, 2048)
	i.ec, errs[1] = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, i.ed, errs[2] = ed25519.GenerateKey(rand.Reader)
	point, err := i.ec.PublicKey.Bytes()
	for _, err := range append(errs[:], err) {
		if err != nil {
			t.Fatal(err)
		}
	}
	b64 := base64.RawURLEncoding.EncodeToString
	set, err := json.Marshal(map[string]any{"keys": []any{
		map[string]string{"kty": "RSA", "kid": "r", "use": "sig", "n": b64(i.rsa.N.Bytes()), "e": b64(big.NewInt(int64(i.rsa.E)).Bytes())},
		map[string]string{"kty": "EC", "kid": "e", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])},
		map[string]string{"kty": "OKP", "kid": "d", "crv": "Ed25519", "x": b64(i.ed.Public().(ed25519.PublicKey))},
	}})
	if err != nil {
		t.Fatal(err)
	}
	i.set = set
	i.URL = newSite(t, i.ServeHTTP)
	return i
}

// ServeHTTP publishes the keys, at any path.
func (i *issuer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	i.fetches.Add(1)
	w.Write(i.set)
}

// newSite is an HTTP server on this machine.
func newSite(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

func (i *issuer) hits() int { return int(i.fetches.Load()) }

// token signs good claims, changed by change.
func (i *issuer) token(t *testing.T, method jwt.SigningMethod, key any, kid string, change map[string]any) string {
	t.Helper()
	claims := jwt.MapClaims{
		"iss": "https://issuer.example", "aud": "uploads", "sub": "alice@example.com",
		"exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
	}
	maps.Copy(claims, change)
	token := jwt.NewWithClaims(method, claims)
	token.Header["kid"] = kid
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	for part := range strings.SplitSeq(text, ".") {
		i.secret(part)
	}
	return text
}

func (i *issuer) rs256(t *testing.T, change map[string]any) string {
	return i.token(t, jwt.SigningMethodRS256, i.rsa, "r", change)
}
func (i *issuer) es256(t *testing.T) string {
	return i.token(t, jwt.SigningMethodES256, i.ec, "e", nil)
}
func (i *issuer) eddsa(t *testing.T) string {
	return i.token(t, jwt.SigningMethodEdDSA, i.ed, "d", nil)
}
func (i *issuer) none(t *testing.T) string {
	return i.token(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "r", nil)
}
func (i *issuer) hs256(t *testing.T) string {
	return i.token(t, jwt.SigningMethodHS256, x509.MarshalPKCS1PublicKey(&i.rsa.PublicKey), "r", nil)
}
func (i *issuer) unknown(t *testing.T, kid string) string {
	return i.token(t, jwt.SigningMethodRS256, i.rsa, kid, nil)
}

func writeFile(name string, data []byte) error { return os.WriteFile(name, data, 0o644) }
