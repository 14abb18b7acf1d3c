package bearer_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"oncegate/internal/auth/bearer"
	"oncegate/internal/onetime"
)

// lasting is a token that outlives every test.
func lasting(t testing.TB, kid string) string {
	return sign(t, jwt.SigningMethodRS256, rsaKey, kid, with("exp", start.Add(24*time.Hour).Unix()))
}

// TestKeysLife: a set is fetched once, again at half its life, and never gone by
// for longer than its life after it was asked for.
func TestKeysLife(t *testing.T) {
	w := newWorld()
	token := lasting(t, "r")
	at := func(after time.Duration, want onetime.Reason, hits int) {
		t.Helper()
		w.clock.Set(start.Add(after))
		if got := w.reason(token); got != want || w.site.hits != hits {
			t.Errorf("after %v: %q with %d fetches, want %q with %d", after, got, w.site.hits, want, hits)
		}
	}
	at(0, "", 1)
	at(time.Minute, "", 1)
	at(bearer.KeysLife/2-time.Nanosecond, "", 1)
	at(bearer.KeysLife/2, "", 2)

	// From here on the issuer cannot be reached: the set of KeysLife/2 serves on.
	w.site.err = errors.New("no answer")
	const second = bearer.KeysLife / 2
	at(second+bearer.KeysLife/2, "", 3)
	at(second+bearer.KeysLife/2+5*time.Second, "", 3)
	at(second+bearer.KeysLife/2+bearer.UnknownKeyPause, "", 4)
	at(second+bearer.KeysLife-2*time.Second, "", 5) // the fetch takes one of the two
	at(second+bearer.KeysLife, onetime.KeysUnavailable, 5)
	at(second+bearer.KeysLife+5*time.Second, onetime.KeysUnavailable, 6)
	w.site.err = nil
	at(second+bearer.KeysLife+6*time.Second, onetime.KeysUnavailable, 6)
	at(second+bearer.KeysLife+11*time.Second, "", 7)

	// A clock that was set back makes the set old.
	at(time.Second, "", 8)
}

// TestWithdrawnKey: so long after the issuer withdrew a key it mints no more, even
// when nothing else happens.
func TestWithdrawnKey(t *testing.T) {
	w := newWorld()
	token := lasting(t, "r")
	if reason := w.reason(token); reason != "" {
		t.Fatal(reason)
	}
	w.site.set = setOf(jwk("r2", strangerKey))
	w.clock.Set(start.Add(bearer.KeysLife))
	if reason := w.reason(token); reason != onetime.CredentialInvalid {
		t.Errorf("got %q", reason)
	}
}

// TestNewKey: a key that the issuer adds is found as soon as a token names it, and
// tokens that name keys which there are not cost the issuer one request in a while.
func TestNewKey(t *testing.T) {
	w := newWorld()
	w.site.set = setOf(jwk("e", ecKey))
	token := lasting(t, "r")
	at := func(after time.Duration, token string, want onetime.Reason, hits int) {
		t.Helper()
		w.clock.Set(start.Add(after))
		if got := w.reason(token); got != want || w.site.hits != hits {
			t.Errorf("after %v: %q with %d fetches, want %q with %d", after, got, w.site.hits, want, hits)
		}
	}
	at(0, token, onetime.CredentialInvalid, 1)
	w.site.set = fullSet()
	at(bearer.UnknownKeyPause-time.Nanosecond, token, onetime.CredentialInvalid, 1)
	at(bearer.UnknownKeyPause, token, "", 2)
	for i := range 100 {
		at(bearer.UnknownKeyPause+time.Duration(i)*200*time.Millisecond, lasting(t, fmt.Sprint("x", i)), onetime.CredentialInvalid, 2)
	}
	// While the issuer is away nobody can say that a key is unknown.
	w.site.err = errors.New("no answer")
	at(3*time.Minute, lasting(t, "x"), onetime.KeysUnavailable, 3)
	at(3*time.Minute+10*time.Second, token, "", 3)
}

// TestLargestSet: a set may be as large as docs/auth.md says, and hold a hundred keys.
func TestLargestSet(t *testing.T) {
	full := fullSet()
	for name, set := range map[string][]byte{
		"256 KB":   append(full, slices.Repeat([]byte(" "), 256<<10-len(full))...),
		"100 keys": setOf(slices.Repeat([]map[string]any{jwk("r", rsaKey)}, 100)...),
	} {
		w := newWorld()
		w.site.set = set
		if reason := w.reason(good(t)); reason != "" {
			t.Errorf("%s: %q", name, reason)
		}
	}
}

// TestDocumentedLife: docs/auth.md says for how long a set is gone by.
func TestDocumentedLife(t *testing.T) {
	page, err := os.ReadFile("../../../docs/auth.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf("**%v minutes after the issuer withdrew a key", bearer.KeysLife.Minutes()),
		fmt.Sprintf("a container fetch the keys at most every %v seconds", bearer.UnknownKeyPause.Seconds()),
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("it does not say %q", want)
		}
	}
}

// TestKeysFaults: without a set nobody mints, and it is not asked for all the time.
func TestKeysFaults(t *testing.T) {
	short := must(rsa.GenerateKey(rand.Reader, 1024))
	off := jwk("e", ecKey)
	off["y"] = off["x"]
	change := func(name string, value any) map[string]any {
		k := jwk("r", rsaKey)
		k[name] = value
		return k
	}
	for name, set := range map[string][]byte{
		"empty":                        nil,
		"HTML":                         []byte("<html>"),
		"null":                         []byte("null"),
		"a list":                       []byte("[]"),
		"no keys":                      setOf(),
		"keys null":                    []byte(`{"keys":null}`),
		"too large":                    append(fullSet(), slices.Repeat([]byte(" "), 256<<10)...),
		"too many":                     setOf(slices.Repeat([]map[string]any{jwk("r", rsaKey)}, 101)...),
		"a secret key":                 setOf(map[string]any{"kty": "oct", "kid": "r", "alg": "RS256", "k": b64([]byte("secret"))}),
		"for encryption":               setOf(change("use", "enc")),
		"for other operations":         setOf(change("key_ops", []string{"encrypt"})),
		"for another algorithm":        setOf(change("alg", "RS512")),
		"for none":                     setOf(change("alg", "none")),
		"short":                        setOf(jwk("r", short)),
		"even":                         setOf(change("n", b64(append(rsaKey.N.Bytes()[:255:255], 0)))),
		"exponent 1":                   setOf(change("e", b64([]byte{1}))),
		"exponent 4":                   setOf(change("e", b64([]byte{4}))),
		"long":                         setOf(change("n", b64(slices.Concat([]byte{1}, make([]byte, 1023), []byte{1})))),
		"exponent missing":             setOf(change("e", nil)),
		"a huge exponent":              setOf(change("e", b64([]byte{1, 0, 0, 0, 1}))),
		"padding":                      setOf(change("n", b64(rsaKey.N.Bytes())+"==")),
		"another curve":                setOf(map[string]any{"kty": "EC", "kid": "r", "crv": "secp256k1", "x": off["x"], "y": off["x"]}),
		"not on the curve":             setOf(off),
		"an Ed25519 key cut by one":    setOf(map[string]any{"kty": "OKP", "kid": "d", "crv": "Ed25519", "x": b64(make([]byte, 31))}),
		"an X25519 key":                setOf(map[string]any{"kty": "OKP", "kid": "d", "crv": "X25519", "x": b64(make([]byte, 32))}),
		"keys in capitals":             []byte(strings.Replace(string(fullSet()), `"keys"`, `"KEYS"`, 1)),
		"keys twice":                   append([]byte(`{"keys":[],`), fullSet()[1:]...),
		"keys twice, the second empty": append(fullSet()[:len(fullSet())-1:len(fullSet())-1], `,"keys":[]}`...),
		"kty twice":                    []byte(strings.Replace(string(setOf(jwk("r", rsaKey))), `"kid"`, `"kty":"RSA","kid"`, 1)),
		"Use besides":                  []byte(strings.Replace(string(setOf(jwk("r", rsaKey))), `"kid"`, `"Use":"sig","kid"`, 1)),
		"keys an object":               []byte(strings.NewReplacer("[", `{"a":`, "]", "}").Replace(string(setOf(jwk("r", rsaKey))))),
		"key_ops no list":              setOf(change("key_ops", "verify")),
		"a number in place of a text":  []byte(`{"keys":[{"kty":"RSA","kid":7}]}`),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.site.set = set
			if reason := w.reason(good(t)); reason != onetime.KeysUnavailable {
				t.Fatalf("got %q, want keys-unavailable", reason)
			}
			if reason := w.reason(good(t)); reason != onetime.KeysUnavailable || w.site.hits != 1 {
				t.Errorf("at once again: %q with %d fetches", reason, w.site.hits)
			}
			w.site.set = fullSet()
			w.clock.Set(start.Add(5 * time.Second))
			if reason := w.reason(good(t)); reason != "" {
				t.Errorf("when it is back: %q", reason)
			}
		})
	}
	t.Run("no time", func(t *testing.T) {
		w := newWorld()
		_, err := w.Authorize(t.Context(), headers{"authorization": {"Bearer " + good(t)}}, start.Add(300*time.Millisecond))
		if onetime.ReasonOf(err) != onetime.KeysUnavailable || w.site.hits != 0 {
			t.Errorf("got %v with %d fetches", err, w.site.hits)
		}
		if reason := w.reason(good(t)); reason != "" {
			t.Errorf("with time again: %q", reason)
		}
	})
}

// TestSets: what is of no use in a set does not spoil the rest.
func TestSets(t *testing.T) {
	named := jwk("d", edKey)
	named["alg"] = "Ed25519"
	for name, tt := range map[string]struct {
		set   []byte
		token string
		want  onetime.Reason
	}{
		"keys of other kinds beside": {
			setOf(map[string]any{"kty": "oct", "k": "AA"}, map[string]any{"kty": "EC", "crv": "P-521"}, jwk("r", rsaKey)), good(t), "",
		},
		"one of two with the same id":     {setOf(jwk("r", strangerKey), jwk("r", rsaKey)), good(t), ""},
		"no kid, two for the algorithm":   {setOf(jwk("a", strangerKey), jwk("r", rsaKey)), sign(t, jwt.SigningMethodRS256, rsaKey, "", claims()), onetime.CredentialInvalid},
		"no kid on either side":           {setOf(jwk("", rsaKey)), sign(t, jwt.SigningMethodRS256, rsaKey, "", claims()), ""},
		"no alg":                          {setOf(func() map[string]any { k := jwk("r", rsaKey); delete(k, "alg"); return k }()), good(t), ""},
		"alg Ed25519":                     {setOf(named), sign(t, jwt.SigningMethodEdDSA, edKey, "d", claims()), ""},
		"an empty kid is no kid":          {setOf(jwk("", strangerKey), jwk("r", rsaKey)), sign(t, jwt.SigningMethodRS256, rsaKey, "", claims()), onetime.CredentialInvalid},
		"other members, such as x5c":      {[]byte(strings.Replace(string(setOf(jwk("r", rsaKey))), `"kid"`, `"x5c":["!"],"x5t":7,"kid"`, 1)), good(t), ""},
		"an RSA key that claims EdDSA":    {setOf(func() map[string]any { k := jwk("r", rsaKey); k["alg"] = "EdDSA"; return k }(), jwk("e", ecKey)), good(t), onetime.CredentialInvalid},
		"the private half, still ignored": {setOf(func() map[string]any { k := jwk("r", rsaKey); k["d"] = "AQAB"; return k }()), good(t), ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.site.set = tt.set
			if reason := w.reason(tt.token); reason != tt.want {
				t.Errorf("got %q, want %q", reason, tt.want)
			}
		})
	}
}

// FuzzSet: no set makes a token of somebody else's hold, or a panic.
func FuzzSet(f *testing.F) {
	f.Add(fullSet())
	f.Add([]byte(`{"keys":[{"kty":"RSA","kid":"r","n":"AQAB","e":"AQAB"},{"kty":"EC","kid":"e","crv":"P-256","x":"","y":""}]}`))
	f.Add(must(json.Marshal(map[string]any{"keys": []any{nil, 7, "x", map[string]any{}}})))
	token := sign(f, jwt.SigningMethodRS256, strangerKey, "r", claims())
	f.Fuzz(func(t *testing.T, set []byte) {
		w := newWorld()
		w.site.set = set
		if reason := w.reason(token); reason == "" {
			t.Errorf("mints with %q", set)
		}
	})
}
