// Package layout says where everything lies in the bucket. It is plain text, with no rules but
// that of names, so that the deployment can use it as well as the code that runs.
//
//	key                          is
//	uploads/<name>               an upload; <name> is a UUIDv4, or <prefix>/<UUIDv4>
//	accepted/<name>              the copy of the version of it that counts
//	signatures/valid/<hash>      the entry that says: this URL was minted here
//	signatures/expired/<hash>    the entry that says: this URL is spent
//	signatures/parts/<hash>      which multipart upload the URL has
//	signatures/uploads/<name>    the way back from an upload to its URL
//	keys/<id>                    the record of an API key; <id> is its SHA-256
//	invitations/<id>             the record of an invitation; <id> is its token's SHA-256
//	invitations/slots/<id>/<n>   a slot of it: which URL takes the place number n
//
// <hash> is a URL's fingerprint. All under signatures/ is the signature index.
package layout

import "strings"

// Prefixes of keys. Each ends in a slash.
const (
	Uploads  = "uploads/"
	Accepted = "accepted/"
	APIKeys  = "keys/"

	Invitations     = "invitations/"
	InvitationSlots = Invitations + "slots/"

	Index          = "signatures/"
	ValidEntries   = Index + "valid/"
	ExpiredEntries = Index + "expired/"
	PartsEntries   = Index + "parts/"
	UploadEntries  = Index + Uploads
)

// UploadEntry is the key of the entry that belongs to the upload with this key.
func UploadEntry(upload string) string { return Index + upload }

// AcceptedCopy is the key of the copy that is made of the upload with this key.
func AcceptedCopy(upload string) string { return Accepted + strings.TrimPrefix(upload, Uploads) }

// Slots is the prefix of the slots of the invitation with this id. It is not the key of the
// record and a slash: on an S3 server that keeps objects in files, as the local one does,
// a record and such slots could not both exist.
func Slots(id string) string { return InvitationSlots + id + "/" }
