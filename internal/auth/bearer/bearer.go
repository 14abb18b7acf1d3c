// Package bearer checks the JSON Web Token that a request brings from an issuer
// whose keys are published as a JWKS (RFC 7519, RFC 7517, RFC 6750).
//
// A token holds when it is signed with RS256, ES256 or EdDSA (Ed25519) by a key of
// the issuer's set that is meant for that algorithm; when iss is the issuer and aud
// names the audience; when exp is in the future, and nbf and iat, if present, are not;
// when sub is there; and when its header demands no extension (crit). The key says
// which algorithm it is for, never the token.
//
// Where a claim is named for it, a token says what it may ask for, as the record of an API
// key does: see onetime.Allowance. A token without that claim does not hold.
//
// Names in tokens and key sets are read exactly. encoding/json, and with it the library,
// takes "SUB" for sub, and the last of two. So a token with a registered name in another
// case, or with any name twice, does not hold, and such a key is no key.
package bearer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"oncegate/internal/lean/text"
	"oncegate/internal/onetime"
)

const (
	// Leeway is how far the issuer's clock may be off.
	Leeway = 30 * time.Second

	// maxTokenBytes bounds the work on garbage; CloudFront takes 20 KB of headers.
	maxTokenBytes = 8 << 10

	// maxSubjectBytes bounds what goes into the entry.
	maxSubjectBytes = 128
)

const header = "authorization"

// algorithms are all that are accepted.
var algorithms = []string{
	jwt.SigningMethodRS256.Alg(), jwt.SigningMethodES256.Alg(), jwt.SigningMethodEdDSA.Alg(),
}

// Accepted says which tokens hold.
type Accepted struct {
	Issuer   string // iss, byte for byte
	Audience string // is, or is one of, aud
	// BoundsClaim names the claim that says what a token may ask for, and that each must
	// then have. "" for none.
	BoundsClaim string
}

// Authorizer lets clients with a token mint. It implements edge.Authorizer.
type Authorizer struct {
	accepted Accepted
	keys     *keys
	clock    onetime.Clock
	parser   *jwt.Parser
}

// NewAuthorizer returns an Authorizer for the accepted tokens. It fetches nothing before it
// is asked.
func NewAuthorizer(accepted Accepted, fetcher Fetcher, clock onetime.Clock) *Authorizer {
	return &Authorizer{
		accepted: accepted,
		keys:     &keys{fetcher: fetcher, clock: clock},
		clock:    clock,
		parser: jwt.NewParser(
			jwt.WithValidMethods(algorithms),
			jwt.WithIssuer(accepted.Issuer),
			jwt.WithAudience(accepted.Audience),
			jwt.WithExpirationRequired(),
			jwt.WithIssuedAt(),
			jwt.WithLeeway(Leeway),
			jwt.WithTimeFunc(clock.Now),
			jwt.WithStrictDecoding(), // one spelling of a token
		),
	}
}

// Challenge implements edge.Authorizer: RFC 6750, 3.
func (a *Authorizer) Challenge(reason onetime.Reason) string {
	if reason == onetime.CredentialInvalid {
		return `Bearer realm="oncegate", error="invalid_token"`
	}
	return `Bearer realm="oncegate"`
}

// Authorize implements edge.Authorizer. The label is the token's subject.
func (a *Authorizer) Authorize(ctx context.Context, headers onetime.Headers, deadline time.Time) (onetime.Credential, error) {
	values := headers.Values(header)
	if len(values) == 0 {
		return onetime.Credential{}, missing()
	}
	if len(values) > 1 {
		return onetime.Credential{}, invalid(errors.New("more than one authorization header"))
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	// The scheme is read without regard to case: RFC 9110, 11.1.
	if token = strings.TrimLeft(token, " "); token == "" || !strings.EqualFold(scheme, "bearer") {
		return onetime.Credential{}, missing()
	}
	if len(token) > maxTokenBytes || strings.Trim(token, tokenAlphabet) != "" {
		return onetime.Credential{}, invalid(errors.New("not a token"))
	}

	var claims jwt.RegisteredClaims
	var unavailable error
	_, err := a.parser.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		if _, err := readExact(t.Raw, 0, headerNames); err != nil {
			return nil, err
		}
		if _, demanded := t.Header["crit"]; demanded {
			return nil, errCritical
		}
		kid, isText := t.Header["kid"].(string)
		if _, given := t.Header["kid"]; given && !isText {
			return nil, errUnknownKey
		}
		found, err := a.keys.find(ctx, t.Method.Alg(), kid, deadline)
		if err != nil && !errors.Is(err, errUnknownKey) {
			unavailable = err
		}
		return jwt.VerificationKeySet{Keys: found}, err
	})
	if unavailable != nil {
		return onetime.Credential{}, &onetime.Refusal{Reason: onetime.KeysUnavailable, Err: unavailable}
	}
	if err != nil {
		return onetime.Credential{}, invalid(cause(err))
	}
	// The library has read the same claims: no name in them has a second reading.
	exact, err := readExact(token, 1, claimNames)
	if err != nil {
		return onetime.Credential{}, invalid(err)
	}
	subject, _ := exact.Get("sub").Text()
	if len(subject) > maxSubjectBytes || !text.Name(subject) {
		return onetime.Credential{}, invalid(errSubject)
	}
	by := a.credential(subject)
	if a.accepted.BoundsClaim != "" {
		if by.Allows, err = readBounds(exact.Get(a.accepted.BoundsClaim)); err != nil {
			return onetime.Credential{}, invalid(err)
		}
	}
	return by, nil
}

// credential is a subject of the issuer, as its entries name it.
func (a *Authorizer) credential(subject string) onetime.Credential {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s%s", len(a.accepted.Issuer), a.accepted.Issuer, subject))
	return onetime.Credential{Kind: onetime.CredentialToken, ID: hex.EncodeToString(sum[:])[:onetime.CredentialDigits], Label: subject}
}

// tokenAlphabet is base64url and the dot: RFC 7515, 2 and 3.1.
const tokenAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

var (
	errCritical   = errors.New("the header demands an extension (crit)")
	errUnknownKey = errors.New("no key of the issuer fits")
	errSubject    = fmt.Errorf("sub: want 1 to %d bytes of text without invisible characters, words apart by one space", maxSubjectBytes)
)

// cause says in words of ours why a token does not hold: the library's errors quote
// from the token.
func cause(err error) error {
	for _, known := range []error{
		errCritical, errUnknownKey, errInexact,
		jwt.ErrTokenMalformed,
		jwt.ErrTokenExpired, jwt.ErrTokenNotValidYet, jwt.ErrTokenUsedBeforeIssued,
		jwt.ErrTokenInvalidAudience, jwt.ErrTokenInvalidIssuer, jwt.ErrTokenRequiredClaimMissing,
		jwt.ErrTokenSignatureInvalid, jwt.ErrTokenUnverifiable,
	} {
		if errors.Is(err, known) {
			return known
		}
	}
	return errors.New("the token does not hold")
}

func missing() error {
	return &onetime.Refusal{Reason: onetime.CredentialMissing, Detail: "a credential is needed here; send a token in the header Authorization: Bearer <token>"}
}

func invalid(cause error) error {
	return &onetime.Refusal{Reason: onetime.CredentialInvalid, Detail: "the token in the header Authorization is not valid here", Err: cause}
}
