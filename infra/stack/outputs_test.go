package stack

import (
	"testing"

	"oncegate/internal/config"
)

// TestCredential: the command that a deploy prints has the header that the mint asks for.
func TestCredential(t *testing.T) {
	for kind, want := range map[string]string{
		config.AuthNone:   "",
		config.AuthAPIKey: `-H "x-api-key: $ONCEGATE_KEY" `,
		config.AuthJWT:    `-H "authorization: Bearer $ONCEGATE_TOKEN" `,
	} {
		if got := credential(config.Config{Auth: config.Auth{Kind: kind}}); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
}
