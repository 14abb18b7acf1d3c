package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
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
	if a.Kind == AuthJWT {
		return json.Marshal(map[string]JWT{AuthJWT: a.JWT})
	}
	return json.Marshal(a.Kind)
}

const authRule = `allowed are "none", "api-key" and {"jwt": {"issuer": "…", "audience": "…", "jwks": "https://…"}}`

func setAuth(c *Config, raw json.RawMessage) error {
	if s, ok := text(raw); ok {
		if s != AuthNone && s != AuthAPIKey {
			return fmt.Errorf("is %s: %s", shown(raw), authRule)
		}
		c.Auth = Auth{Kind: s}
		return nil
	}
	fields, problems, err := object(raw)
	if err != nil || len(problems) > 0 || len(fields) != 1 || fields[0].name != AuthJWT {
		return fmt.Errorf("is %s: %s", shown(raw), authRule)
	}
	j, err := parseJWT(fields[0].value)
	if err != nil {
		return fmt.Errorf("is %s: jwt: %w: %s", shown(raw), err, authRule)
	}
	c.Auth = Auth{AuthJWT, j}
	return nil
}

func parseJWT(raw json.RawMessage) (j JWT, err error) {
	fields, problems, err := object(raw)
	if err != nil {
		return j, errors.New("want an object")
	}
	if len(problems) > 0 {
		return j, errors.New(problems[0])
	}
	for _, f := range fields {
		s, ok := text(f.value)
		switch f.name {
		case "issuer":
			j.Issuer, ok = s, ok && validClaim(s)
		case "audience":
			j.Audience, ok = s, ok && validClaim(s)
		case "jwks":
			j.JWKS, ok = s, ok && validKeysURL(s)
		default:
			return j, fmt.Errorf("unknown field %q", f.name)
		}
		if !ok {
			return j, fmt.Errorf("%s is %s", f.name, shown(f.value))
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
	u, err := url.Parse(s)
	if err != nil || !validClaim(s) || u.User != nil || u.Fragment != "" || u.Opaque != "" || u.Hostname() == "" {
		return false
	}
	return u.Scheme == "https" && strings.HasPrefix(s, "https://") ||
		u.Scheme == "http" && strings.HasPrefix(s, "http://") && u.Hostname() == "127.0.0.1"
}
