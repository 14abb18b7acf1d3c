// Package onetime is the one-time rule: an upload URL lets one upload through, and
// every later one is refused. The package knows no AWS, no HTTP and no clock of its
// own; those are values that the caller brings.
//
// A URL is known by its fingerprint, a hash of its path and query. What has become
// of it is in small objects of the bucket, the entries of the signature index:
//
//	signatures/valid/<hash>     the URL was minted here (ValidEntry)
//	signatures/expired/<hash>   the URL is spent: used or revoked (ExpiredEntry)
//	signatures/parts/<hash>     the URL's multipart upload, if it has one (PartsEntry)
//
// A [Minter] makes a URL and writes its valid entry. The [Gate] decides over an
// upload: it reads both entries, and then claims the URL by creating the expired
// entry with a conditional write. S3 grants that write to one writer at most, and
// that is the whole rule. An [Owner] and an [Operator] ask what has become of a
// URL, and revoke it with the same claim. Only Operator.Enable makes a spent URL good
// again.
//
// A claim that is not known to have succeeded has not succeeded: every unclear answer
// is a [Refusal]. Its Reason says whether the URL may be spent.
package onetime

import (
	"errors"
	"fmt"
	"strings"

	"oncegate/internal/layout"
	"oncegate/internal/lean/digest"
)

// ID is a URL's fingerprint: 64 lower-case hex digits.
type ID string

// Fingerprint hashes the exact bytes of a minted URL's path and query. Neither is
// decoded, sorted or normalised here: ParseURL does that for what came from a client.
func Fingerprint(path, query string) ID {
	return ID(digest.Hex([]byte(path + "?" + query)))
}

// ParseID checks that s is a fingerprint.
func ParseID(s string) (ID, error) {
	if !isLowerHex(s, digest.Size*2) {
		return "", fmt.Errorf("fingerprint %q: want %d lower-case hex digits", s, digest.Size*2)
	}
	return ID(s), nil
}

// ValidKey is the object key of the entry that says: this URL was minted here.
func (id ID) ValidKey() string { return layout.ValidEntries + string(id) }

// ExpiredKey is the object key of the entry that says: this URL is spent.
func (id ID) ExpiredKey() string { return layout.ExpiredEntries + string(id) }

// Reason says why a request was refused, as one machine word. It is what a client
// sees in x-oncegate-reason; package edge holds status and sentence of each.
type Reason string

// Every reason there is.
const (
	Used             Reason = "used"              // the URL was spent by an upload
	Revoked          Reason = "revoked"           // the URL was taken back
	Unknown          Reason = "unknown"           // no such URL was minted here, or it was altered
	Expired          Reason = "expired"           // the URL's time is over
	Method           Reason = "method"            // not a PUT (gate), not a GET, HEAD or POST (mint)
	Path             Reason = "path"              // not a path that mint makes
	LengthRequired   Reason = "length-required"   // not exactly one decimal Content-Length, or a Transfer-Encoding
	TooLarge         Reason = "too-large"         // more than the URL takes, or than one PUT to S3 can hold
	TooSmall         Reason = "too-small"         // less than the URL takes
	Type             Reason = "type"              // not the content-type that the URL takes
	Header           Reason = "header"            // a header that S3 would refuse, or that changes what a PUT means
	Options          Reason = "options"           // mint was asked for something it does not know or does not allow
	NoMultipart      Reason = "no-multipart"      // this URL takes one PUT and no multipart upload
	NotStarted       Reason = "not-started"       // the URL has no multipart upload
	BadPart          Reason = "part"              // not a part that the URL takes, or a request about parts that makes no sense
	Incomplete       Reason = "incomplete"        // the parts do not make the object; nothing is spent
	IndexUnavailable Reason = "index-unavailable" // the index gave no clear answer; nothing is spent
	ClaimUnknown     Reason = "claim-unknown"     // the claim gave no clear answer; the URL may be spent
	Internal         Reason = "internal"          // a fault of oncegate itself or of its set-up
)

// Reasons of the check of credentials.
const (
	CredentialMissing Reason = "credential-missing" // there was no credential
	CredentialInvalid Reason = "credential-invalid" // the credential is not valid
	DayFull           Reason = "day-full"           // the credential has had its URLs of today
	KeysUnavailable   Reason = "keys-unavailable"   // the keys that check tokens could not be fetched
)

// Reasons why an invitation gives no URL: package invite.
const (
	InvitationUnknown Reason = "invitation-unknown" // there is no such invitation
	InvitationRevoked Reason = "invitation-revoked" // it was taken back
	InvitationOver    Reason = "invitation-over"    // its time is over
	InvitationFull    Reason = "invitation-full"    // all its uploads are taken for now
)

// Again reports whether the same request may succeed when it is sent again.
func (r Reason) Again() bool { return r == IndexUnavailable || r == KeysUnavailable }

// Refusal is the error of everything that does not pass. Reason is for the client,
// and so is Detail, if set: what is wrong and what is allowed, in our own words and
// numbers and never in the client's. ID, if the fingerprint is known, and Err, if
// there is one, are for the log only.
type Refusal struct {
	Reason Reason
	Detail string
	ID     ID
	Err    error
}

func (r *Refusal) Error() string {
	if r.Err == nil {
		return strings.TrimSuffix("refused: "+string(r.Reason)+": "+r.Detail, ": ")
	}
	return "refused: " + string(r.Reason) + ": " + r.Err.Error()
}

func (r *Refusal) Unwrap() error { return r.Err }

// ReasonOf is the Reason of a Refusal. Any other error is Internal.
func ReasonOf(err error) Reason {
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return refusal.Reason
	}
	return Internal
}

func refuse(reason Reason, err error) error { return &Refusal{Reason: reason, Err: err} }

func isLowerHex(s string, length int) bool {
	if len(s) != length {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
