// Package apikey has the API keys that may mint: how a key looks, what the bucket keeps
// of it, and how a request with a key is checked.
//
// A key is a secret (package secret) that begins with "ogk_". The bucket holds the key's
// ID, its SHA-256, and a Record:
//
//	keys/<id>   {"version":1,"label":"ci","created":"…","revoked":"…","owner":"<id>"}
//
// By its ID, and not by its label, a key owns what it mints. The record of a key that was
// made to take over from another one names that one as owner.
package apikey

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"oncegate/internal/auth/secret"
	"oncegate/internal/lean/strictjson"
	"oncegate/internal/lean/text"
	"oncegate/internal/onetime"
)

const prefix = "ogk_"

var kind = secret.Kind{Prefix: prefix, Name: "a key", ErrForm: ErrForm, ErrChecksum: ErrChecksum}

// ID is the SHA-256 of a key, in lower-case hex. It is no secret.
type ID string

// Short is the beginning of the ID, enough to tell keys apart.
func (id ID) Short() string { return string(id[:12]) }

// New makes a key.
func New(entropy onetime.Entropy) (key string, err error) { return kind.New(entropy) }

// What can be wrong with the text of a key.
var (
	ErrForm     = errors.New("not a key: want " + prefix + " and 72 hex digits in lower case")
	ErrChecksum = errors.New("the key's checksum does not fit: it was mistyped or altered")
)

// Parse checks the form of a key and returns its ID. Each key has one spelling.
// Its errors are ErrForm and ErrChecksum and hold nothing of the key.
func Parse(key string) (ID, error) {
	id, err := kind.Parse(key)
	return ID(id), err
}

// ParseID checks that s is an ID.
func ParseID(s string) (ID, error) {
	if err := kind.CheckID(s); err != nil {
		return "", err
	}
	return ID(s), nil
}

// recordVersion is written into every record; one of another version was written by
// an oncegate that knows rules this one does not: it is refused.
const recordVersion = 1

// maxRecordBytes bounds a record; what is larger was not written here.
const maxRecordBytes = 4 << 10

// MaxLabelBytes bounds a key's label.
const MaxLabelBytes = 64

// Record is what the bucket holds of a key.
type Record struct {
	Version int       `json:"version"` // 1
	Label   string    `json:"label"`
	Created time.Time `json:"created"`
	Revoked time.Time `json:"revoked,omitzero"` // once set, the key mints no more
	// Owner is the key that this one was made to take over from, or the one that that one
	// was: the first of all keys of one owner. "" for a key with an owner of its own.
	Owner ID `json:"owner,omitempty"`
	// Allows is what the URLs of this key may be, if it may not ask for all that the
	// deployment has.
	Allows onetime.Allowance `json:"allows,omitzero"`
}

// credential is the key with this ID, as its entries name it.
func (r Record) credential(id ID) onetime.Credential {
	c := onetime.Credential{Kind: onetime.CredentialKey, ID: id.digits(), Label: r.Label, Since: r.Created, Allows: r.Allows}
	if r.Owner != "" {
		c.Owner = r.Owner.digits()
	}
	return c
}

func (id ID) digits() string { return string(id[:onetime.CredentialDigits]) }

// NewRecord is the record of a key that is made now.
func NewRecord(label string, now time.Time) (Record, error) {
	if err := CheckLabel(label); err != nil {
		return Record{}, err
	}
	return Record{Version: recordVersion, Label: label, Created: now.UTC().Truncate(time.Second)}, nil
}

// Marshal writes the record as it is stored.
func (r Record) Marshal() []byte {
	var w strictjson.Writer
	w.Int("version", int64(r.Version))
	w.String("label", r.Label)
	w.Time("created", r.Created)
	if !r.Revoked.IsZero() {
		w.Time("revoked", r.Revoked)
	}
	w.StringIf("owner", string(r.Owner))
	if r.Allows != (onetime.Allowance{}) {
		w.Object("allows", r.Allows.Write)
	}
	return w.Bytes()
}

// ParseRecord reads a stored record and checks that it makes sense.
func ParseRecord(body []byte) (Record, error) {
	if len(body) > maxRecordBytes {
		return Record{}, fmt.Errorf("record of a key: %d bytes, at most %d are allowed", len(body), maxRecordBytes)
	}
	document, err := strictjson.Parse(string(body))
	if err != nil {
		return Record{}, fmt.Errorf("record of a key: not its JSON: %w", err)
	}
	fields := strictjson.Of(document)
	allows := fields.Object("allows")
	r := Record{
		Version: int(fields.Int("version")),
		Label:   fields.Text("label"),
		Created: fields.Time("created"),
		Revoked: fields.Time("revoked"),
		Owner:   ID(fields.Text("owner")),
		Allows:  onetime.ReadAllowance(allows),
	}
	if err := errors.Join(fields.Done(), allows.Done()); err != nil {
		return Record{}, fmt.Errorf("record of a key: not its JSON: %w", err)
	}
	if r.Version != recordVersion {
		return Record{}, fmt.Errorf("record of a key: version %d, only %d is known", r.Version, recordVersion)
	}
	if r.Created.IsZero() {
		return Record{}, errors.New("record of a key: created is missing")
	}
	if r.Owner != "" {
		if _, err := ParseID(string(r.Owner)); err != nil {
			return Record{}, fmt.Errorf("record of a key: owner: %w", err)
		}
	}
	if err := r.Allows.Check(); err != nil {
		return Record{}, fmt.Errorf("record of a key: %w", err)
	}
	if !storedLabel(r.Label) {
		return Record{}, errors.New("record of a key: its label is not printable text")
	}
	return r, nil
}

// CheckLabel wants a label for a new key that people can read and tell from others.
func CheckLabel(label string) error {
	if len(label) > MaxLabelBytes || !text.Name(label) {
		return fmt.Errorf("label: want 1 to %d bytes of text without invisible characters, words apart by one space", MaxLabelBytes)
	}
	return nil
}

// storedLabel is what records may hold. It takes more than CheckLabel, for keys that
// were made when fillers and variation selectors still passed.
func storedLabel(label string) bool {
	ok := label != "" && len(label) <= MaxLabelBytes && utf8.ValidString(label) && label == strings.TrimSpace(label)
	for _, r := range label {
		ok = ok && unicode.IsPrint(r)
	}
	return ok
}
