package bearer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"oncegate/internal/lean/strictjson"
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
	// The text of JSON errors may quote what was read, which here is public.
	set, err := strictjson.Parse(string(body))
	if err != nil {
		return nil, fmt.Errorf("JWKS: %w", err)
	}
	if !exact(set, setNames) {
		return nil, fmt.Errorf("JWKS: %w", errInexact)
	}
	list := set.Get("keys")
	if len(list.Members) > maxKeys {
		return nil, fmt.Errorf("JWKS: %d keys, at most %d are allowed", len(list.Members), maxKeys)
	}
	var keys []key
	for _, m := range list.Members {
		if k, ok := parseKey(m.Value); ok && list.Kind == strictjson.Array {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("JWKS: no key in it is for RS256, ES256 or EdDSA")
	}
	return keys, nil
}

// parseKey reads one JWK: RFC 7517, 4; RFC 7518, 6; RFC 8037, 2.
func parseKey(v strictjson.Value) (key, bool) {
	ok := exact(v, keyNames)
	text := func(name string) string {
		m := v.Get(name)
		s, isText := m.Text()
		ok = ok && (isText || m.Kind == strictjson.Absent || m.Kind == strictjson.Null)
		return s
	}
	found := key{id: text("kid")}
	kind, curve, use, algorithm := text("kty"), text("crv"), text("use"), text("alg")
	n, e, x, y := text("n"), text("e"), text("x"), text("y")
	if !ok || use != "" && use != "sig" || !mayVerify(v.Get("key_ops")) {
		return key{}, false
	}
	switch {
	case kind == "RSA":
		found.algorithm = "RS256"
		found.public, ok = parseRSA(n, e)
	case kind == "EC" && curve == "P-256":
		found.algorithm = "ES256"
		found.public, ok = parseP256(x, y)
	case kind == "OKP" && curve == "Ed25519":
		found.algorithm = "EdDSA"
		var public []byte
		public, ok = number(x)
		found.public, ok = ed25519.PublicKey(public), ok && len(public) == ed25519.PublicKeySize
	default:
		return key{}, false
	}
	// "Ed25519" is RFC 9864's name for what tokens still call EdDSA.
	named := algorithm == "" || algorithm == found.algorithm || algorithm == "Ed25519" && found.algorithm == "EdDSA"
	return found, ok && named
}

// mayVerify reads key_ops, which may be missing.
func mayVerify(ops strictjson.Value) bool {
	switch ops.Kind {
	case strictjson.Absent, strictjson.Null:
		return true
	case strictjson.Array:
		for _, m := range ops.Members {
			if s, _ := m.Text(); s == "verify" {
				return true
			}
		}
	}
	return false
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
