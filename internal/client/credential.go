package client

import (
	"errors"

	"oncegate/internal/auth/apikey"
)

// Credential is what a deployment with auth asks for before it mints. The zero value is
// no credential. Printing one shows nothing of it.
type Credential struct{ name, value string }

// Header returns the header that carries the credential. The name is "" for none.
func (c Credential) Header() (name, value string) { return c.name, c.value }

// String implements fmt.Stringer and hides the credential.
func (c Credential) String() string { return "credential" }

// GoString hides the credential from %#v.
func (c Credential) GoString() string { return c.String() }

// Key returns the credential for an API key. Typos are detected here.
func Key(text string) (Credential, error) {
	if _, err := apikey.Parse(text); err != nil {
		return Credential{}, err
	}
	return Credential{"x-api-key", text}, nil
}

// Token returns the credential for a bearer token. Only the deployment can tell whether
// it is good.
func Token(text string) (Credential, error) {
	if text == "" || !ascii(text) {
		return Credential{}, errors.New("not a token: want one word of printable ASCII")
	}
	return Credential{"authorization", "Bearer " + text}, nil
}
