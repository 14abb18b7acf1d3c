// Package invite is the rule of invitations: at most N uploads under one link.
//
// An invitation is a link for people. Its secret, the token, mints upload URLs and can do
// nothing else. The bucket holds a [Record] of it, and up to N slots:
//
//	invitations/<id>              the Record; <id> is the token's SHA-256
//	invitations/slots/<id>/<n>    slot n, from 000 to N-1: the URL that has this place (Slot)
//
// The slots are the bound. A [Minter] makes a URL and then takes a slot for it with a
// conditional write; only a URL that has a slot is handed out. A slot changes hands only
// when its URL is known never to have let an upload through and never to do so: it is
// revoked, by its expired entry, which a claim has created. So
//
//   - at any time, at most N of the URLs that were handed out are alive or spent, because
//     each of these has a slot of its own;
//   - a spent URL keeps its slot for ever;
//   - one URL stores at most one object (package onetime);
//   - therefore at most N objects are ever stored under an invitation.
//
// No clock and no answer has to be trusted for that. A URL whose time is over is claimed
// as revoked before its slot is taken, and S3 decides between that claim and a late
// upload's. A write whose answer got lost is recognised by the URL that the slot names. The
// URL that made it, if that stays unclear, is not handed out.
//
// The reverse holds too: no slot is lost for ever while its URL is dead and unspent. It is
// taken anew by somebody who finds all slots taken, and looks at them.
//
// A [Keeper] makes, shows and revokes invitations. To revoke is to write so in the record,
// and then to close all slots: a free one is created closed, and a taken one is closed once
// its URL is claimed as revoked. Whoever mints with an older record gets no slot. So after
// a revoke that was answered no upload is let through.
//
// What the rule demands of the bucket: nobody deletes below invitations/ while an
// invitation lives; slots are written conditionally and in no other way; and expired
// entries are kept for longer than an invitation lives (Minter.Keep, Keeper.Keep).
package invite

import (
	"errors"
	"strings"

	"oncegate/internal/auth/secret"
	"oncegate/internal/onetime"
)

// prefix of tokens.
const prefix = "ogi_"

var kind = secret.Kind{Prefix: prefix, Name: "an invitation", ErrForm: ErrForm, ErrChecksum: ErrChecksum}

// LooksLikeToken reports whether s is meant as a token of an invitation, and is no other
// credential. Whether it is one is for ParseToken to say.
func LooksLikeToken(s string) bool { return strings.HasPrefix(s, prefix) }

// Link is what people get: the page at base, scheme and host of the deployment, with the
// token in the fragment, which browsers do not send.
func Link(base, token string) string { return base + "/upload#" + token }

// ID is the SHA-256 of a token, in lower-case hex. It is no secret.
type ID string

// Short is the beginning of the ID, enough to tell invitations apart.
func (id ID) Short() string { return string(id[:12]) }

// NewToken makes a token.
func NewToken(entropy onetime.Entropy) (token string, err error) { return kind.New(entropy) }

// What can be wrong with the text of a token.
var (
	ErrForm     = errors.New("not the token of an invitation: want " + prefix + " and 72 hex digits in lower case")
	ErrChecksum = errors.New("the token's checksum does not fit: it was mistyped or altered")
)

// ParseToken checks the form of a token and returns the invitation's ID. Each token has one
// spelling. Its errors are ErrForm and ErrChecksum and hold nothing of the token.
func ParseToken(token string) (ID, error) {
	id, err := kind.Parse(token)
	return ID(id), err
}

// ParseID checks that s is an ID.
func ParseID(s string) (ID, error) {
	if err := kind.CheckID(s); err != nil {
		return "", err
	}
	return ID(s), nil
}

// Why an invitation mints no URL. All but the last are definite. After ErrUnavailable the
// same request may succeed, and it has handed nothing out.
var (
	ErrUnknown     = errors.New("there is no such invitation")
	ErrRevoked     = errors.New("the invitation is revoked")
	ErrOver        = errors.New("the invitation's time is over")
	ErrFull        = errors.New("all uploads of the invitation are taken for now")
	ErrUnavailable = errors.New("the bucket gave no clear answer about the invitation")
)
