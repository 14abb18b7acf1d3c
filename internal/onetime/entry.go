package onetime

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// entryVersion is written into every entry. An entry of another version was
// written by an oncegate that knows rules this one does not: it is refused.
const entryVersion = 1

// maxEntryBytes bounds an entry; what is larger was not written here.
const maxEntryBytes = 16 << 10

// ValidEntry is the content of signatures/valid/<hash>.
type ValidEntry struct {
	Version int       `json:"version"` // 1
	Created time.Time `json:"created"` // whole seconds, UTC
	Expires time.Time `json:"expires"` // first moment at which the URL is no longer good
	Key     string    `json:"key"`     // the object that the URL uploads
	Limits  Limits    `json:"limits"`  // what the upload must keep to
	// Name is the original file's; it becomes the object's Content-Disposition.
	Name string `json:"name,omitempty"`
	// Label is the minter's note to the operator.
	Label string `json:"label,omitempty"`
	// By names the credential that minted: the label of an API key, the subject of
	// a token. Empty where anybody may mint.
	By string `json:"by,omitempty"`
}

// UploadEntry is the content of signatures/uploads/<name>: the way back from an
// upload to the URL that it came by. It exists where uploads are accepted.
type UploadEntry struct {
	Version int    `json:"version"` // 1
	ID      ID     `json:"id"`
	Label   string `json:"label,omitempty"`
	Name    string `json:"name,omitempty"`
	By      string `json:"by,omitempty"`
}

// UploadEntryKey is the key of the entry of the upload with this key.
func UploadEntryKey(key string) string { return "signatures/" + key }

// ExpiredEntry is the content of signatures/expired/<hash>.
type ExpiredEntry struct {
	Version int       `json:"version"` // 1
	Reason  Reason    `json:"reason"`  // Used or Revoked
	At      time.Time `json:"at"`      // when the claim was made, by the claimant's clock
	// Nonce is 128 random bits, in hex, of the one invocation that wrote the entry.
	// It is how a claimant whose answer got lost recognises its own claim.
	Nonce string `json:"nonce"`
	// Request is CloudFront's id of the request, for forensics only.
	Request string `json:"request,omitempty"`
}

// Marshal writes the entry as it is stored.
func (e ValidEntry) Marshal() []byte { return marshal(e) }

// Marshal writes the entry as it is stored.
func (e UploadEntry) Marshal() []byte { return marshal(e) }

// Marshal writes the entry as it is stored.
func (e ExpiredEntry) Marshal() []byte { return marshal(e) }

// ParseValidEntry reads a stored valid entry and checks that it makes sense.
func ParseValidEntry(body []byte) (ValidEntry, error) {
	var e ValidEntry
	if err := unmarshal(body, &e, func() int { return e.Version }); err != nil {
		return ValidEntry{}, fmt.Errorf("valid entry: %w", err)
	}
	if _, err := UploadKey("/" + e.Key); err != nil {
		return ValidEntry{}, errors.New("valid entry: key is not an upload's")
	}
	if life := e.Expires.Sub(e.Created); life < time.Second || life > MaxLife {
		return ValidEntry{}, errors.New("valid entry: expires is not within seven days of created")
	}
	if err := errors.Join(e.Limits.check(), checkName(e.Name), checkLabel(e.Label)); err != nil {
		return ValidEntry{}, fmt.Errorf("valid entry: %w", err)
	}
	return e, nil
}

// ParseUploadEntry reads a stored upload entry and checks that it makes sense.
func ParseUploadEntry(body []byte) (UploadEntry, error) {
	var e UploadEntry
	if err := unmarshal(body, &e, func() int { return e.Version }); err != nil {
		return UploadEntry{}, fmt.Errorf("upload entry: %w", err)
	}
	if _, err := ParseID(string(e.ID)); err != nil {
		return UploadEntry{}, fmt.Errorf("upload entry: %w", err)
	}
	if err := errors.Join(checkLabel(e.Label), checkName(e.Name)); err != nil {
		return UploadEntry{}, fmt.Errorf("upload entry: %w", err)
	}
	return e, nil
}

// ParseExpiredEntry reads a stored expired entry and checks that it makes sense.
func ParseExpiredEntry(body []byte) (ExpiredEntry, error) {
	var e ExpiredEntry
	if err := unmarshal(body, &e, func() int { return e.Version }); err != nil {
		return ExpiredEntry{}, fmt.Errorf("expired entry: %w", err)
	}
	if e.Reason != Used && e.Reason != Revoked {
		return ExpiredEntry{}, fmt.Errorf("expired entry: reason %q is neither %q nor %q", e.Reason, Used, Revoked)
	}
	if !isLowerHex(e.Nonce, 2*nonceBytes) {
		return ExpiredEntry{}, fmt.Errorf("expired entry: nonce is not %d lower-case hex digits", 2*nonceBytes)
	}
	return e, nil
}

func marshal(entry any) []byte {
	body, err := json.Marshal(entry)
	if err != nil {
		// Entries hold strings, integers and times of this millennium: none of
		// them can fail to encode.
		panic(err)
	}
	return body
}

func unmarshal(body []byte, entry any, version func() int) error {
	if len(body) > maxEntryBytes {
		return fmt.Errorf("%d bytes, at most %d are allowed", len(body), maxEntryBytes)
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(entry); err != nil {
		return fmt.Errorf("not the JSON of an entry: %w", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errors.New("more than one JSON value")
	}
	if v := version(); v != entryVersion {
		return fmt.Errorf("version %d, only %d is known", v, entryVersion)
	}
	return nil
}
