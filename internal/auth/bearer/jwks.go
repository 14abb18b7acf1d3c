package bearer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

const (
	// maxSetBytes and maxKeys bound what an issuer may publish; real sets hold a
	// handful of keys in a few KB.
	maxSetBytes = 256 << 10
	maxKeys     = 100

	// RSA keys: shorter ones are not allowed for RS256 (RFC 7518, 3.3), longer ones
	// would only make every mint dear.
	minRSABits = 2048
	maxRSABits = 8192
)

// key is a public key with the one algorithm that it is for.
type key struct {
	id, algorithm string
	public        crypto.PublicKey
}

// parseSet reads a JWKS (RFC 7517, 5). Keys that no accepted algorithm can use are
// passed over, as that section says: secret ones (oct) above all, which would let a
// public key serve as an HMAC secret.
func parseSet(body []byte) ([]key, error) {
	if len(body) > maxSetBytes {
		return nil, fmt.Errorf("JWKS: %d bytes, at most %d are allowed", len(body), maxSetBytes)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	// The text of JSON errors may quote what was read, which here is public.
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("JWKS: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("JWKS: %d keys, at most %d are allowed", len(set.Keys), maxKeys)
	}
	var keys []key
	for _, raw := range set.Keys {
		if k, ok := parseKey(raw); ok {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("JWKS: no key in it is for RS256, ES256 or EdDSA")
	}
	return keys, nil
}

// parseKey reads one JWK: RFC 7517, 4; RFC 7518, 6; RFC 8037, 2.
func parseKey(raw json.RawMessage) (key, bool) {
	var k struct {
		Type      string   `json:"kty"`
		ID        string   `json:"kid"`
		Use       string   `json:"use"`
		Ops       []string `json:"key_ops"`
		Algorithm string   `json:"alg"`
		Curve     string   `json:"crv"`
		N         string   `json:"n"`
		E         string   `json:"e"`
		X         string   `json:"x"`
		Y         string   `json:"y"`
	}
	if json.Unmarshal(raw, &k) != nil || k.Use != "" && k.Use != "sig" || k.Ops != nil && !slices.Contains(k.Ops, "verify") {
		return key{}, false
	}
	found := key{id: k.ID}
	var ok bool
	switch {
	case k.Type == "RSA":
		found.algorithm = "RS256"
		found.public, ok = parseRSA(k.N, k.E)
	case k.Type == "EC" && k.Curve == "P-256":
		found.algorithm = "ES256"
		found.public, ok = parseP256(k.X, k.Y)
	case k.Type == "OKP" && k.Curve == "Ed25519":
		found.algorithm = "EdDSA"
		var x []byte
		x, ok = number(k.X)
		found.public, ok = ed25519.PublicKey(x), ok && len(x) == ed25519.PublicKeySize
	}
	// "Ed25519" is RFC 9864's name for what tokens still call EdDSA.
	named := k.Algorithm == "" || k.Algorithm == found.algorithm || k.Algorithm == "Ed25519" && found.algorithm == "EdDSA"
	return found, ok && named
}

func parseRSA(n, e string) (crypto.PublicKey, bool) {
	modulus, ok := number(n)
	exponent, okE := number(e)
	if !ok || !okE || len(exponent) == 0 || len(exponent) > 4 {
		return nil, false
	}
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: int(new(big.Int).SetBytes(exponent).Int64())}
	bits := public.N.BitLen()
	return public, bits >= minRSABits && bits <= maxRSABits && public.N.Bit(0) == 1 &&
		public.E >= 3 && public.E&1 == 1 && public.E < 1<<31-1
}

func parseP256(x, y string) (crypto.PublicKey, bool) {
	px, okX := number(x)
	py, okY := number(y)
	if !okX || !okY || len(px) != 32 || len(py) != 32 {
		return nil, false
	}
	// Refuses what is not a point of the curve.
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, px, py))
	return public, err == nil
}

func number(s string) ([]byte, bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	return b, err == nil
}
