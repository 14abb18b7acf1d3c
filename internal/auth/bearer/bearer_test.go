package bearer_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"oncegate/internal/auth/bearer"
	"oncegate/internal/onetime"
)

// TestTokens is the table of what mints and what never does.
func TestTokens(t *testing.T) {
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(rsaKey.Public()))})
	rs := func(c jwt.Claims) string { return sign(t, jwt.SigningMethodRS256, rsaKey, "r", c) }
	withHeader := func(name string, value any) string {
		token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims())
		token.Header["kid"] = "r"
		token.Header[name] = value
		return must(token.SignedString(rsaKey))
	}
	parts := strings.Split(good(t), ".")
	other := strings.Split(rs(with("sub", "mallory")), ".")
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))

	const invalid, missing = onetime.CredentialInvalid, onetime.CredentialMissing
	for _, tt := range []struct {
		name  string
		token string
		want  onetime.Reason // "" for: may mint
	}{
		{"RS256", good(t), ""},
		{"ES256", sign(t, jwt.SigningMethodES256, ecKey, "e", claims()), ""},
		{"EdDSA", sign(t, jwt.SigningMethodEdDSA, edKey, "d", claims()), ""},
		{"no kid, one key for the algorithm", sign(t, jwt.SigningMethodES256, ecKey, "", claims()), ""},
		{"audience in a list", rs(with("aud", []string{"other", audience})), ""},
		{"expired within the leeway", rs(with("exp", start.Add(-29*time.Second).Unix())), ""},
		{"from a clock that is fast by the leeway", rs(with("iat", start.Add(29*time.Second).Unix())), ""},
		{"no nbf and no iat", rs(jwt.MapClaims{"iss": issuer, "aud": audience, "sub": "alice", "exp": start.Add(time.Minute).Unix()}), ""},

		{"expired", rs(with("exp", start.Add(-31*time.Second).Unix())), invalid},
		{"never expires", rs(with("exp", nil)), invalid},
		{"exp is text", rs(with("exp", "2026")), invalid},
		{"exp is 0", rs(with("exp", 0)), invalid},
		{"not yet valid", rs(with("nbf", start.Add(31*time.Second).Unix())), invalid},
		{"issued in the future", rs(with("iat", start.Add(31*time.Second).Unix())), invalid},
		{"wrong audience", rs(with("aud", "other")), invalid},
		{"audience in another case", rs(with("aud", "Uploads")), invalid},
		{"no audience", rs(with("aud", nil)), invalid},
		{"empty list of audiences", rs(with("aud", []string{})), invalid},
		{"wrong issuer", rs(with("iss", "https://issuer.example")), invalid},
		{"no issuer", rs(with("iss", nil)), invalid},
		{"no subject", rs(with("sub", nil)), invalid},
		{"a subject of two lines", rs(with("sub", "a\nb")), invalid},
		{"a subject with a filler", rs(with("sub", "alice\u3164")), invalid},
		{"a subject with a blank", rs(with("sub", "al\u2800ice")), invalid},
		{"a subject with a joiner", rs(with("sub", "al\u034fice")), invalid},
		{"a subject with a selector", rs(with("sub", "alice\ufe0f")), invalid},
		{"a subject that is turned around", rs(with("sub", "\u202eecila")), invalid},
		{"a subject with two spaces", rs(with("sub", "a  lice")), invalid},
		{"a subject that ends in a space", rs(with("sub", "alice ")), invalid},
		{"a subject with a wide space", rs(with("sub", "al\u2003ice")), invalid},
		{"a subject that is no text", rs(with("sub", 7)), invalid},

		{"sub twice", raw(t, "", `{"sub":"bob",`), invalid},
		{"SUB besides", raw(t, "", `{"SUB":"bob",`), invalid},
		{"SUB at the end", rawEnd(t, `,"SUB":"bob"}`), invalid},
		{"a long s in sub", rawEnd(t, `,"\u017fub":"bob"}`), invalid},
		{"Exp at the end", rawEnd(t, `,"Exp":9999999999}`), invalid},
		{"AUD at the end", rawEnd(t, `,"AUD":"uploads"}`), invalid},
		{"ISS at the end", rawEnd(t, `,"ISS":"https://issuer.example/"}`), invalid},
		{"Nbf at the end", rawEnd(t, `,"Nbf":0}`), invalid},
		{"a name of one's own twice", rawEnd(t, `,"role":"a","role":"b"}`), invalid},
		{"claims of one's own", rawEnd(t, `,"role":"a","Role":"b"}`), ""},
		{"half a surrogate pair", rawEnd(t, `,"name":"\ud800"}`), invalid},
		{"alg twice", raw(t, `{"alg":"none",`, ""), invalid},
		{"ALG besides", raw(t, `{"ALG":"none",`, ""), invalid},
		{"kid twice", raw(t, `{"kid":"x",`, ""), invalid},
		{"KID besides", raw(t, `{"KID":"x",`, ""), invalid},
		{"Crit", raw(t, `{"Crit":["b64"],`, ""), invalid},

		{"a long subject", rs(with("sub", strings.Repeat("a", 129))), invalid},
		{"claims null", must(jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims(nil)).SignedString(rsaKey)), invalid},

		{"alg none", sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "r", claims()), invalid},
		{"alg none with a good signature", b64([]byte(`{"alg":"none","kid":"r"}`)) + "." + parts[1] + "." + parts[2], invalid},
		{"alg None", b64([]byte(`{"alg":"None","kid":"r"}`)) + "." + parts[1] + ".", invalid},
		{"alg rs256", b64([]byte(`{"alg":"rs256","kid":"r"}`)) + "." + parts[1] + "." + parts[2], invalid},
		{"no alg", b64([]byte(`{"kid":"r"}`)) + "." + parts[1] + "." + parts[2], invalid},
		{"HS256 with the public key, PEM", sign(t, jwt.SigningMethodHS256, publicPEM, "r", claims()), invalid},
		{"HS256 with the public key, DER", sign(t, jwt.SigningMethodHS256, x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey), "r", claims()), invalid},
		{"HS256 with the modulus", sign(t, jwt.SigningMethodHS256, rsaKey.N.Bytes(), "r", claims()), invalid},
		{"HS256 with an empty secret", sign(t, jwt.SigningMethodHS256, []byte{}, "r", claims()), invalid},
		{"RS384", sign(t, jwt.SigningMethodRS384, rsaKey, "r", claims()), invalid},
		{"PS256", sign(t, jwt.SigningMethodPS256, rsaKey, "r", claims()), invalid},
		{"ES384", sign(t, jwt.SigningMethodES384, p384, "e", claims()), invalid},
		{"ES256 under the RSA key's id", sign(t, jwt.SigningMethodES256, ecKey, "r", claims()), invalid},
		{"unknown kid", sign(t, jwt.SigningMethodRS256, rsaKey, "x", claims()), invalid},
		{"kid is a number", withHeader("kid", 7), invalid},
		{"kid is null", withHeader("kid", nil), invalid},
		{"a demanded extension", withHeader("crit", []string{"b64"}), invalid},
		{"a key in the header", strings.Join(strings.Split(must(func() (string, error) {
			token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims())
			token.Header["kid"], token.Header["jwk"] = "r", jwk("r", strangerKey)
			return token.SignedString(strangerKey)
		}()), "."), "."), invalid},
		{"signed by a stranger", sign(t, jwt.SigningMethodRS256, strangerKey, "r", claims()), invalid},
		{"claims of another token", parts[0] + "." + other[1] + "." + parts[2], invalid},
		{"a signature without its last byte", good(t)[:len(good(t))-2], invalid},
		{"no signature", parts[0] + "." + parts[1] + ".", invalid},
		{"no third part", parts[0] + "." + parts[1], invalid},
		{"four parts", good(t) + ".x", invalid},
		{"five parts, as an encrypted token", good(t) + ".x.y", invalid},
		{"padding", parts[0] + "=." + parts[1] + "." + parts[2], invalid},
		{"truncated", good(t)[:100], invalid},
		{"too long", rs(with("more", strings.Repeat("a", 9000))), invalid},
		{"another spelling of the same signature", respelt(good(t)), invalid},
		{"garbage", "!", invalid},
		{"two tokens", good(t) + "," + good(t), invalid},
		{"empty", "", missing},
		{"spaces", "   ", missing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			w.reason(good(t)) // fetches the set, which takes a second
			w.clock.Set(start)
			by, reason, err := w.ask(headers{"authorization": {"Bearer " + tt.token}})
			if reason != tt.want {
				t.Errorf("got %q (%v), want %q", reason, err, tt.want)
			}
			if want := map[bool]string{true: "alice"}[tt.want == ""]; by.Label != want {
				t.Errorf("minted by %q, want %q", by.Label, want)
			}
			nothingOf(t, tt.token, err)
			if w.site.hits > 1 {
				t.Errorf("%d fetches for one token", w.site.hits)
			}
		})
	}
}

// raw is a good token whose header and claims begin in another way, if not "".
func raw(t testing.TB, header, claims string) string {
	parts := strings.Split(good(t), ".")
	for i, begin := range []string{header, claims} {
		if begin != "" {
			parts[i] = b64([]byte(begin + strings.TrimPrefix(string(must(base64.RawURLEncoding.DecodeString(parts[i]))), "{")))
		}
	}
	return signed(parts[0] + "." + parts[1])
}

// rawEnd is a good token whose claims end in another way.
func rawEnd(t testing.TB, end string) string {
	parts := strings.Split(good(t), ".")
	return signed(parts[0] + "." + b64([]byte(strings.TrimSuffix(string(must(base64.RawURLEncoding.DecodeString(parts[1]))), "}")+end)))
}

// signed has the signature of the issuer's RSA key.
func signed(content string) string {
	sum := sha256.Sum256([]byte(content))
	return content + "." + b64(must(rsa.SignPKCS1v15(rand.Reader, rsaKey, crypto.SHA256, sum[:])))
}

// TestSubjects: what a token mints belongs to its issuer and subject, and to no key.
func TestSubjects(t *testing.T) {
	by := func(issuer, subject string) onetime.Credential {
		w := newWorld()
		w.Authorizer = bearer.NewAuthorizer(bearer.Accepted{Issuer: issuer, Audience: audience}, w.site, w.clock)
		c := with("sub", subject)
		c["iss"] = issuer
		by, reason, err := w.ask(headers{"authorization": {"Bearer " + sign(t, jwt.SigningMethodRS256, rsaKey, "r", c)}})
		if reason != "" || by.Kind != onetime.CredentialToken || by.Label != subject || by.Owner != "" {
			t.Fatalf("%+v, %q, %v", by, reason, err)
		}
		return by
	}
	alice := by(issuer, "alice")
	if alice != by(issuer, "alice") || alice.By() != "jwt:"+alice.ID+" alice" {
		t.Errorf("alice is %+v, then another", alice)
	}
	ids := map[string]bool{}
	// The last two are the same text, cut in two ways.
	for _, c := range [][2]string{{issuer, "alice"}, {issuer, "Alice"}, {issuer, "alic\u0435"}, {"https://isuser.example/", "alice"}, {issuer + "a", "lice"}} {
		ids[by(c[0], c[1]).ID] = true
	}
	if len(ids) != 5 {
		t.Errorf("%d owners, want 5", len(ids))
	}
	key := strings.Repeat("0a", 32)
	if got := by(issuer, "key:"+key[:32]+" app"); got.Kind == onetime.CredentialKey || got.ID == key[:32] {
		t.Errorf("a subject that looks like a key is %+v", got)
	}
}

// respelt changes the last character of a token in the bits that stand for nothing:
// an RSA signature of 256 bytes leaves four over.
func respelt(token string) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	end := len(token) - 1
	return token[:end] + string(digits[strings.IndexByte(digits, token[end])+1])
}

// details are all that a client is told.
var details = map[onetime.Reason]string{
	onetime.CredentialMissing: "a credential is needed here; send a token in the header Authorization: Bearer <token>",
	onetime.CredentialInvalid: "the token in the header Authorization is not valid here",
}

// nothingOf holds the error to the promise that the log gets no part of a token.
func nothingOf(t *testing.T, token string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for part := range strings.SplitSeq(token, ".") {
		if len(part) > 8 && strings.Contains(err.Error(), part[:8]) {
			t.Errorf("the error holds a part of the token: %v", err)
		}
	}
	if refusal, ok := errors.AsType[*onetime.Refusal](err); ok && refusal.Detail != details[refusal.Reason] {
		t.Errorf("the client is told %q, want %q whatever the cause", refusal.Detail, details[refusal.Reason])
	}
}

func TestHeaders(t *testing.T) {
	token := good(t)
	for _, tt := range []struct {
		name  string
		given headers
		want  onetime.Reason
	}{
		{"as it should be", headers{"authorization": {"Bearer " + token}}, ""},
		{"scheme in lower case", headers{"authorization": {"bearer " + token}}, ""},
		{"scheme in upper case", headers{"authorization": {"BEARER   " + token}}, ""},
		{"none", headers{}, onetime.CredentialMissing},
		{"empty", headers{"authorization": {""}}, onetime.CredentialMissing},
		{"no scheme", headers{"authorization": {token}}, onetime.CredentialMissing},
		{"another scheme", headers{"authorization": {"Basic YTpi"}}, onetime.CredentialMissing},
		{"a token in x-api-key", headers{"x-api-key": {token}}, onetime.CredentialMissing},
		{"two headers", headers{"authorization": {"Bearer " + token, "Bearer " + token}}, onetime.CredentialInvalid},
		{"a good and an empty header", headers{"authorization": {"Bearer " + token, ""}}, onetime.CredentialInvalid},
		{"two tokens in one", headers{"authorization": {"Bearer " + token + ", Bearer " + token}}, onetime.CredentialInvalid},
		{"a tab", headers{"authorization": {"Bearer\t" + token}}, onetime.CredentialMissing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, reason, err := newWorld().ask(tt.given); reason != tt.want {
				t.Errorf("got %q (%v), want %q", reason, err, tt.want)
			}
		})
	}
}

func TestChallenge(t *testing.T) {
	w := newWorld()
	for reason, want := range map[onetime.Reason]string{
		onetime.CredentialMissing: `Bearer realm="oncegate"`,
		onetime.CredentialInvalid: `Bearer realm="oncegate", error="invalid_token"`,
	} {
		if got := w.Challenge(reason); got != want {
			t.Errorf("%s: %s, want %s", reason, got, want)
		}
	}
}

// FuzzToken: only a token that the issuer signed ever holds.
func FuzzToken(f *testing.F) {
	token := good(f)
	parts := strings.Split(token, ".")
	for _, seed := range []string{
		token, "", "a.b.c", parts[0] + "." + parts[1] + ".", b64([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		b64([]byte(`{"alg":"RS256","kid":"r","crit":[]}`)) + "." + parts[1] + "." + parts[2],
		raw(f, `{"kid":"x",`, ""), raw(f, "", `{"SUB":"bob",`), rawEnd(f, `,"\u017fub":"bob"}`),
		b64([]byte(`null`)) + "." + b64([]byte(`null`)) + "." + parts[2],
	} {
		f.Add(seed)
	}
	w := newWorld()
	f.Fuzz(func(t *testing.T, s string) {
		w.clock.Set(start) // fetching moved it on
		by, reason, err := w.ask(headers{"authorization": {"Bearer " + s}})
		if reason == "" && (strings.TrimLeft(s, " ") != token || by.Label != "alice") {
			t.Errorf("%q mints for %q", s, by.Label)
		}
		if reason != "" && reason != onetime.CredentialMissing && reason != onetime.CredentialInvalid {
			t.Errorf("%q: %q, %v", s, reason, err)
		}
	})
}
