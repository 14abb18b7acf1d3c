package client

import (
	"errors"
	"strings"

	"oncegate/internal/auth/apikey"
)

// Credential is what a deployment with auth wants from who mints. The zero value is
// none. It cannot be printed.
type Credential struct{ name, value string }

// Header is the header that carries the credential, name "" for none.
func (c Credential) Header() (name, value string) { return c.name, c.value }

// String implements fmt.Stringer and shows nothing.
func (c Credential) String() string { return "credential" }

// GoString is String, for %#v.
func (c Credential) GoString() string { return c.String() }

// Key is an API key. A typo in it is told here.
func Key(text string) (Credential, error) {
	if _, err := apikey.Parse(text); err != nil {
		return Credential{}, err
	}
	return Credential{"x-api-key", text}, nil
}

// Token is a bearer token; only the issuer's deployment can say whether it is good.
func Token(text string) (Credential, error) {
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Credential{}, errors.New("not a token: want one word of printable ASCII")
	}
	return Credential{"authorization", "Bearer " + text}, nil
}
