package bearer

import (
	"encoding/base64"
	"errors"
	"strings"

	"oncegate/internal/lean/strictjson"
)

// Names that mean something, by the places that they stand in. RFC 7515, 4.1, and RFC
// 7797, 3; RFC 7519, 4.1; RFC 7517, 4 and 5, RFC 7518, 6, and RFC 8037, 2.
var (
	headerNames = []string{"alg", "jku", "jwk", "kid", "x5u", "x5c", "x5t", "x5t#S256", "typ", "cty", "crit", "b64"}
	claimNames  = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"}
	setNames    = []string{"keys"}
	keyNames    = []string{"kty", "use", "key_ops", "alg", "kid", "crv", "x", "y", "n", "e"}
)

var errInexact = errors.New("not an object in which each name stands once, and registered ones as they are registered")

// readExact reads a part of a token, its header or its claims.
func readExact(token string, part int, registered []string) (strictjson.Value, error) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(strings.Split(token, ".")[part])
	if err != nil {
		return strictjson.Value{}, errInexact
	}
	v, err := strictjson.Parse(string(text))
	if err != nil || !exact(v, registered) {
		return strictjson.Value{}, errInexact
	}
	return v, nil
}

// exact reports whether no name of the object can be read as another one: each is there
// once, and none differs from a registered name by case alone.
func exact(v strictjson.Value, registered []string) bool {
	seen := map[string]bool{}
	for _, m := range v.Members {
		if seen[m.Name] {
			return false
		}
		seen[m.Name] = true
		for _, name := range registered {
			// As encoding/json folds names: "\u017fub" is sub to it.
			if m.Name != name && strings.EqualFold(m.Name, name) {
				return false
			}
		}
	}
	return v.Kind == strictjson.Object
}
