// Package api plays the HTTP APIs of AWS other than S3, as far as a deployment's own
// functions and its operator call them. It verifies the signature of each call and
// decides by the caller's policies.
package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"oncegate/internal/lean/sigv4"
	"oncegate/internal/local/iam"
)

// Caller is a principal with one set of its credentials.
type Caller struct {
	ARN string
	sigv4.Credentials
	Policies []iam.Policy
}

// Refusal is an error that AWS answers: its HTTP status, its type such as
// AccessDeniedException, and a sentence.
type Refusal struct {
	Status        int
	Type, Message string
}

func (r *Refusal) Error() string { return r.Type + ": " + r.Message }

// maxSkew is how far the caller's clock may be off:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
const maxSkew = 5 * time.Minute

// Authenticate finds the caller that signed the request, with Signature Version 4 in the
// Authorization header, for this service in this Region. The error is a *Refusal.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func Authenticate(callers []Caller, r *http.Request, body []byte, service, region string, now time.Time) (Caller, error) {
	refused := func(kind, message string) (Caller, error) {
		return Caller{}, &Refusal{http.StatusForbidden, kind, message}
	}
	given := r.Header.Get("Authorization")
	credential, signed, ok := parseAuthorization(given)
	if !ok {
		return refused("MissingAuthenticationTokenException", "the request is not signed")
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || now.Sub(at).Abs() > maxSkew {
		return refused("InvalidSignatureException", "the date of the signature is missing or too far off")
	}
	key, scope, _ := strings.Cut(credential, "/")
	if want := at.Format("20060102") + "/" + region + "/" + service + "/aws4_request"; scope != want {
		return refused("InvalidSignatureException", fmt.Sprintf("the scope is %s, not %s", scope, want))
	}
	for _, c := range callers {
		if c.AccessKeyID != key {
			continue
		}
		if subtle.ConstantTimeCompare([]byte(c.SessionToken), []byte(r.Header.Get("X-Amz-Security-Token"))) != 1 {
			return refused("UnrecognizedClientException", "the security token is not the one of the key")
		}
		want, err := sign(c, r, signed, body, service, region, at)
		if err != nil || subtle.ConstantTimeCompare([]byte(want), []byte(given)) != 1 {
			return refused("InvalidSignatureException", "the signature does not match")
		}
		return c, nil
	}
	return refused("UnrecognizedClientException", "the access key is not known")
}

// parseAuthorization takes the header apart: key and scope, and the signed headers.
func parseAuthorization(header string) (credential string, signed []string, ok bool) {
	rest, ok := strings.CutPrefix(header, "AWS4-HMAC-SHA256 Credential=")
	if !ok {
		return "", nil, false
	}
	credential, rest, ok = strings.Cut(rest, ", SignedHeaders=")
	if !ok {
		return "", nil, false
	}
	names, _, ok := strings.Cut(rest, ", Signature=")
	return credential, strings.Split(names, ";"), ok
}

// sign returns the Authorization header that the request must have.
func sign(c Caller, r *http.Request, signed []string, body []byte, service, region string, at time.Time) (string, error) {
	again, err := http.NewRequest(r.Method, "http://"+r.Host+r.URL.RequestURI(), nil)
	if err != nil {
		return "", err
	}
	for _, name := range signed {
		switch name {
		case "host", "x-amz-date", "x-amz-security-token":
		case "content-length":
			again.ContentLength = r.ContentLength
		default:
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	sum := sha256.Sum256(body)
	keys := aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}
	if err := v4.NewSigner().SignHTTP(r.Context(), keys, again, hex.EncodeToString(sum[:]), service, region, at); err != nil {
		return "", err
	}
	return again.Header.Get("Authorization"), nil
}

// Authorize decides by the caller's policies. The error is a *Refusal.
func (c Caller) Authorize(action, resource string, context map[string]string) error {
	return c.AuthorizeLists(action, resource, context, nil)
}

// AuthorizeLists is Authorize for a request that has condition keys with several values.
func (c Caller) AuthorizeLists(action, resource string, context map[string]string, lists map[string][]string) error {
	decision, why := iam.Decide(iam.Request{Principal: c.ARN, Action: action, Resource: resource, Context: context, Lists: lists}, c.Policies...)
	if decision == iam.Allowed {
		return nil
	}
	return &Refusal{http.StatusForbidden, "AccessDeniedException", fmt.Sprintf("%s may not %s on %s: %s", c.ARN, action, resource, why)}
}

// refuse answers as AWS's JSON and REST-JSON protocols do.
func refuse(w http.ResponseWriter, err error) {
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok {
		refusal = &Refusal{http.StatusInternalServerError, "ServiceException", "internal error"}
	}
	body, _ := json.Marshal(map[string]string{"__type": refusal.Type, "Message": refusal.Message}) // strings only
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-Errortype", refusal.Type)
	w.WriteHeader(refusal.Status)
	w.Write(body)
}
