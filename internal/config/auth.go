package config

import (
	"errors"
	"fmt"
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
	AuthAPIKey = "api-key" // who brings a key of oncegate's own
	AuthJWT    = "jwt"     // who brings a token of the issuer
)

// JWT says which tokens hold.
type JWT struct {
	Issuer   string `json:"issuer"`   // iss, byte for byte
	Audience string `json:"audience"` // is, or is one of, aud
	JWKS     string `json:"jwks"`     // URL of the issuer's keys
}

// Local tells that the keys come by plain http, from this machine. The real edge
// must refuse that.
func (j JWT) Local() bool { return strings.HasPrefix(j.JWKS, "http://") }

// MarshalJSON writes Auth as config.json has it.
func (a Auth) MarshalJSON() ([]byte, error) {
	if a.Kind != AuthJWT {
		return strictjson.AppendString(nil, a.Kind), nil
	}
	return strictjson.Marshal(func(w *strictjson.Writer) {
		w.Object(AuthJWT, func(w *strictjson.Writer) {
			w.String("issuer", a.JWT.Issuer)
			w.String("audience", a.JWT.Audience)
			w.String("jwks", a.JWT.JWKS)
		})
	}), nil
}

const authRule = `allowed are "none", "api-key" and {"jwt": {"issuer": "…", "audience": "…", "jwks": "https://…"}}`

func setAuth(c *Config, raw strictjson.Value) error {
	if s, ok := raw.Text(); ok {
		if s != AuthNone && s != AuthAPIKey {
			return fmt.Errorf("is %s: %s", shown(raw), authRule)
		}
		c.Auth = Auth{Kind: s}
		return nil
	}
	if raw.Kind != strictjson.Object || len(raw.Members) != 1 || raw.Members[0].Name != AuthJWT {
		return fmt.Errorf("is %s: %s", shown(raw), authRule)
	}
	j, err := parseJWT(raw.Members[0].Value)
	if err != nil {
		return fmt.Errorf("is %s: jwt: %w: %s", shown(raw), err, authRule)
	}
	c.Auth = Auth{AuthJWT, j}
	return nil
}

func parseJWT(raw strictjson.Value) (j JWT, err error) {
	if raw.Kind != strictjson.Object {
		return j, errors.New("want an object")
	}
	if problems := twice(raw); len(problems) > 0 {
		return j, errors.New(problems[0])
	}
	for _, f := range raw.Members {
		s, ok := f.Text()
		switch f.Name {
		case "issuer":
			j.Issuer, ok = s, ok && validClaim(s)
		case "audience":
			j.Audience, ok = s, ok && validClaim(s)
		case "jwks":
			j.JWKS, ok = s, ok && validKeysURL(s)
		default:
			return j, fmt.Errorf("unknown field %q", f.Name)
		}
		if !ok {
			return j, fmt.Errorf("%s is %s", f.Name, shown(f.Value))
		}
	}
	if j.Issuer == "" || j.Audience == "" || j.JWKS == "" {
		return j, errors.New("want issuer, audience and jwks")
	}
	return j, nil
}

// validClaim accepts what is compared byte for byte: visible ASCII.
func validClaim(s string) bool {
	return s != "" && len(s) <= 255 && only(s, func(c byte) bool { return c > ' ' && c < 0x7f })
}

// validKeysURL accepts https, and http from this very machine, which Deployable and
// the real edge refuse.
func validKeysURL(s string) bool {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || !validClaim(s) || strings.ContainsAny(s, "\"#<>\\^`{|}") {
		return false
	}
	authority := rest
	if end := strings.IndexAny(rest, "/?"); end >= 0 {
		authority = rest[:end]
	}
	host, port, hasPort := strings.Cut(authority, ":")
	if host == "" || !only(host, hostCharacter) || hasPort && (port == "" || len(port) > 5 || !only(port, digit)) {
		return false
	}
	return scheme == "https" || scheme == "http" && host == "127.0.0.1"
}

// hostCharacter is one of a host name or an address.
func hostCharacter(c byte) bool {
	return lower(c) || c >= 'A' && c <= 'Z' || digit(c) || c == '-' || c == '.'
}
