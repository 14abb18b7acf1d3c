package onetime

import (
	"strings"
	"time"
)

// Credential is what a request proves of who sent it. Entries and the log hold it as by:
//
//	key:5c3a… photo app          an API key, by the beginning of its id, and its label
//	key:81ab…/5c3a… photo app    an API key made for the owner of another one
//	jwt:9c01… alice              a token, by a digest of issuer and subject, and its subject
//	inv:77d0… Acme, May          an invitation, by the beginning of its id, and its label
//
// The id, the last one before the space, is the owner. The text after the space is for
// people and decides nothing. The zero Credential is nobody.
type Credential struct {
	Kind  string // one of the kinds below: ids of one kind are never those of the other
	ID    string // of the key, or of issuer and subject: credentialDigits hex digits
	Owner string // id of the key whose owner this is too; "" for ID itself
	Label string // of the key, or the subject
	Since time.Time
	// Allows is what it may ask for: all that the deployment has, or less.
	Allows Allowance
}

// The kinds of credentials.
const (
	CredentialKey        = "key"
	CredentialToken      = "jwt"
	CredentialInvitation = "inv"
)

// CredentialDigits is how long ids of credentials are: 128 bits, so that nobody can make
// one that is another's.
const CredentialDigits = 32

// By returns the credential as entries hold it, or "" for nobody.
func (c Credential) By() string {
	if c.Kind == "" {
		return ""
	}
	return c.Kind + ":" + c.ID + c.handedOver() + " " + c.Label
}

func (c Credential) handedOver() string {
	if c.Owner == "" || c.Owner == c.ID {
		return ""
	}
	return "/" + c.Owner
}

// ParseBy reads by. It returns false if by has no id: up to 0.1.0 it was the label
// alone.
func ParseBy(by string) (Credential, bool) {
	ids, label, ok := strings.Cut(by, " ")
	kind, ids, hasKind := strings.Cut(ids, ":")
	id, owner, handedOver := strings.Cut(ids, "/")
	ok = ok && hasKind && (kind == CredentialKey || kind == CredentialToken || kind == CredentialInvitation) && isLowerHex(id, CredentialDigits) &&
		(!handedOver || isLowerHex(owner, CredentialDigits))
	if !ok {
		return Credential{}, false
	}
	return Credential{Kind: kind, ID: id, Owner: owner, Label: label}, true
}

// owner is the id of the owner, with its kind.
func (c Credential) owner() string {
	if c.Owner == "" {
		return c.Kind + ":" + c.ID
	}
	return c.Kind + ":" + c.Owner
}

// Owns reports whether the credential's owner is the one that by names.
func (c Credential) Owns(by string) bool {
	other, ok := ParseBy(by)
	return ok && other.owner() == c.owner()
}

// owns reports whether the entry's URL belongs to the owner of the credential. An entry
// from before owners had ids names a label: it belongs to credentials with that label
// which existed when it was made, so that nobody gets at it by making a new key.
func (c Credential) owns(e ValidEntry) bool {
	if c.Kind == "" {
		return false
	}
	if by, ok := ParseBy(e.By); ok {
		return by.owner() == c.owner()
	}
	return e.By != "" && e.By == c.Label && !e.Created.Before(c.Since)
}
