package edge

import (
	"context"
	"time"

	"oncegate/internal/onetime"
)

// Authorizer decides who may mint. Packages apikey and bearer have one each.
type Authorizer interface {
	// Authorize checks the credential in a request's headers and returns whose it is,
	// which goes into the entry and the log. Every error is a Refusal:
	// CredentialMissing, CredentialInvalid, or that the check was not possible. Neither
	// result nor error holds the secret or a part of it. deadline is when the
	// whole invocation must be done; it leaves half of the time to the mint. It may
	// be called concurrently.
	Authorize(ctx context.Context, headers onetime.Headers, deadline time.Time) (by onetime.Credential, err error)

	// Challenge is the WWW-Authenticate that a 401 must have: RFC 9110, 11.6.1.
	Challenge(reason onetime.Reason) string
}
