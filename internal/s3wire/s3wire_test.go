package s3wire_test

import (
	"testing"
	"time"

	"oncegate/internal/s3wire"
	"oncegate/internal/sigv4"
)

// TestSecretOfItsOwn: every URL is signed with its own throw-away secret, also right
// after another one.
func TestSecretOfItsOwn(t *testing.T) {
	endpoint, err := s3wire.NewEndpoint("bucket", "us-east-1", "")
	if err != nil {
		t.Fatal(err)
	}
	client := s3wire.New("bucket", "us-east-1", endpoint, sigv4.Credentials{AccessKeyID: "role", SecretAccessKey: "role"}, nil, time.Now)
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	seen := map[string]string{}
	for _, secret := range []string{"one", "two", "three"} {
		query, err := client.PresignMinted(t.Context(), "uploads/x", secret, at, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[query]; ok {
			t.Errorf("secrets %q and %q make the same URL", other, secret)
		}
		seen[query] = secret
	}
}
