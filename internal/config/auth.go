package config

import (
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
	return readMembers(value.Members[0].Value,
		member{"issuer", validClaim, &c.Auth.JWT.Issuer},
		member{"audience", validClaim, &c.Auth.JWT.Audience},
		member{"jwks", validURL, &c.Auth.JWT.JWKS})
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
		})
	})
}

func (authKind) allowed() string {
	return `"none", "api-key" or {"jwt": {"issuer": "…", "audience": "…", "jwks": "https://…"}}`
}
