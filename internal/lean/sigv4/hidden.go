//go:build !js

package sigv4

// The edge leaves these methods out: together they cost its wasm 3 kB.

// String hides the secrets.
func (c Credentials) String() string { return "credentials of " + c.AccessKeyID }

// GoString hides the secrets.
func (c Credentials) GoString() string { return c.String() }

// MarshalText hides the secrets from encoding/json and log/slog.
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
