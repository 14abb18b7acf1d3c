package config

import (
	"slices"
	"strconv"
	"strings"

	"oncegate/internal/lean/strictjson"
)

// Auth is who may mint. JWT is set exactly when Kind is AuthJWT.
type Auth struct {
	Kind string // AuthNone, AuthAPIKey or AuthJWT
	JWT  JWT
}

// The values of Auth.Kind.
const (
	AuthNone   = "none"    // anybody
	AuthAPIKey = "api-key" // clients with an API key of oncegate
	AuthJWT    = "jwt"     // clients with a token of the issuer
)

// JWT is which tokens are accepted.
type JWT struct {
	Issuer   string // iss, byte for byte
	Audience string // is, or is one of, aud
	JWKS     string // URL of the issuer's keys
	// BoundsClaim names the claim that says what a token may ask for. "" for none: then
	// every token may ask for all that the deployment has.
	BoundsClaim string
}

// registeredClaims are the claims whose meaning is the same in every token: RFC 7519, 4.1.
var registeredClaims = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"}

const maxBoundsClaimBytes = 128

// validBoundsClaim reports whether an issuer can have a claim of its own with this name. Auth0
// takes only URLs, others take plain words. A registered name in another case is refused too:
// with it, no token would hold.
func validBoundsClaim(s string) bool {
	return validClaim(s) && len(s) <= maxBoundsClaimBytes && !slices.Contains(registeredClaims, strings.ToLower(s))
}

// Local reports whether the keys come by plain http from this machine. The real edge
// must refuse that.
func (j JWT) Local() bool { return strings.HasPrefix(j.JWKS, "http://") }

// authKind is the setting auth.
type authKind struct{}

func (authKind) read(c *Config, value strictjson.Value) (string, bool) {
	if s, ok := value.Text(); ok {
		c.Auth = Auth{Kind: s}
		return "", s == AuthNone || s == AuthAPIKey
	}
	if value.Kind != strictjson.Object || len(value.Members) != 1 || value.Members[0].Name != AuthJWT {
		return "", false
	}
	c.Auth = Auth{Kind: AuthJWT}
	return readMembers(value.Members[0].Value, []member{
		{"issuer", validClaim, &c.Auth.JWT.Issuer},
		{"audience", validClaim, &c.Auth.JWT.Audience},
		{"jwks", validURL, &c.Auth.JWT.JWKS},
	}, member{"boundsClaim", validBoundsClaim, &c.Auth.JWT.BoundsClaim})
}

func (authKind) print(c Config) []byte {
	if c.Auth.Kind != AuthJWT {
		return strictjson.AppendString(nil, c.Auth.Kind)
	}
	return strictjson.Marshal(func(w *strictjson.Writer) {
		w.Object(AuthJWT, func(w *strictjson.Writer) {
			w.String("issuer", c.Auth.JWT.Issuer)
			w.String("audience", c.Auth.JWT.Audience)
			w.String("jwks", c.Auth.JWT.JWKS)
			w.StringIf("boundsClaim", c.Auth.JWT.BoundsClaim)
		})
	})
}

func (authKind) allowed() string {
	return `"none", "api-key" or {"jwt": {"issuer": "…", "audience": "…", "jwks": "https://…", "boundsClaim": "…"}}, where boundsClaim is optional, ` +
		"1 to " + strconv.Itoa(maxBoundsClaimBytes) + " visible ASCII characters and none of " + strings.Join(registeredClaims, ", ")
}
