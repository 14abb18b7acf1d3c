package onetime

import (
	"errors"
	"fmt"
	"time"

	"oncegate/internal/lean/strictjson"
)

// entryVersion is written into every entry. An entry of another version was
// written by an oncegate that knows rules this one does not: it is refused.
const entryVersion = 1

// What is larger than these was not written here. A claim may hold the parts of a
// multipart upload.
const (
	maxEntryBytes = 16 << 10
	maxClaimBytes = 64 << 10
)

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
	// By is the credential that minted (Credential.By). Empty where anybody may mint.
	By string `json:"by,omitempty"`
	// Meta is what S3 keeps with the object.
	Meta Meta `json:"meta,omitempty"`
	// Tags are the object's.
	Tags Tags `json:"tags,omitempty"`
}

// UploadEntry is the content of signatures/uploads/<name>: the way back from an
// upload to the URL that it came by. It exists where uploads are accepted.
type UploadEntry struct {
	Version int    `json:"version"` // 1
	ID      ID     `json:"id"`
	Label   string `json:"label,omitempty"`
	Name    string `json:"name,omitempty"`
	By      string `json:"by,omitempty"`
	Meta    Meta   `json:"meta,omitempty"`
	Tags    Tags   `json:"tags,omitempty"`
}

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
	// Parts are those that the object is made of, where a multipart upload spent the
	// URL. Every repeat of its last step goes by them.
	Parts PartList `json:"parts,omitempty"`
	// ETag is what the client said that the object of these parts will have, or "". Then
	// it may be made of no others.
	ETag string `json:"etag,omitempty"`
}

// Marshal writes the entry as it is stored.
func (e ValidEntry) Marshal() []byte {
	var w strictjson.Writer
	w.Int("version", int64(e.Version))
	w.Time("created", e.Created)
	w.Time("expires", e.Expires)
	w.String("key", e.Key)
	w.Object("limits", e.Limits.Write)
	w.StringIf("name", e.Name)
	w.StringIf("label", e.Label)
	w.StringIf("by", e.By)
	w.StringIf("meta", string(e.Meta))
	w.StringIf("tags", string(e.Tags))
	return w.Bytes()
}

// Marshal writes the entry as it is stored.
func (e UploadEntry) Marshal() []byte {
	var w strictjson.Writer
	w.Int("version", int64(e.Version))
	w.String("id", string(e.ID))
	w.StringIf("label", e.Label)
	w.StringIf("name", e.Name)
	w.StringIf("by", e.By)
	w.StringIf("meta", string(e.Meta))
	w.StringIf("tags", string(e.Tags))
	return w.Bytes()
}

// Marshal writes the entry as it is stored.
func (e ExpiredEntry) Marshal() []byte {
	var w strictjson.Writer
	w.Int("version", int64(e.Version))
	w.String("reason", string(e.Reason))
	w.Time("at", e.At)
	w.String("nonce", e.Nonce)
	w.StringIf("request", e.Request)
	w.StringIf("parts", string(e.Parts))
	w.StringIf("etag", e.ETag)
	return w.Bytes()
}

// Write writes the limits as the members of an object, those that are set.
func (l Limits) Write(w *strictjson.Writer) {
	w.IntIf("minBytes", l.MinBytes)
	w.IntIf("maxBytes", l.MaxBytes)
	w.StringIf("type", l.Type)
	w.StringIf("sha256", l.SHA256)
}

// ParseValidEntry reads a stored valid entry and checks that it makes sense.
func ParseValidEntry(body []byte) (ValidEntry, error) {
	fields, err := entryFields(body, maxEntryBytes)
	if err != nil {
		return ValidEntry{}, fmt.Errorf("valid entry: %w", err)
	}
	limits := fields.Object("limits")
	e := ValidEntry{
		Version: entryVersion,
		Created: fields.Time("created"),
		Expires: fields.Time("expires"),
		Key:     fields.Text("key"),
		Limits: Limits{
			MinBytes: limits.Int("minBytes"),
			MaxBytes: limits.Int("maxBytes"),
			Type:     limits.Text("type"),
			SHA256:   limits.Text("sha256"),
		},
		Name:  fields.Text("name"),
		Label: fields.Text("label"),
		By:    fields.Text("by"),
		Meta:  Meta(fields.Text("meta")),
		Tags:  Tags(fields.Text("tags")),
	}
	if err := errors.Join(fields.Done(), limits.Done()); err != nil {
		return ValidEntry{}, fmt.Errorf("valid entry: not the JSON of an entry: %w", err)
	}
	if _, err := UploadKey("/" + e.Key); err != nil {
		return ValidEntry{}, errors.New("valid entry: key is not an upload's")
	}
	if life := e.Expires.Sub(e.Created); life < time.Second || life > MaxLife {
		return ValidEntry{}, errors.New("valid entry: expires is not within seven days of created")
	}
	if err := errors.Join(e.Limits.Check(), checkName(e.Name, storedText), checkLabel(e.Label, storedText), e.Meta.Check(), e.Tags.Check()); err != nil {
		return ValidEntry{}, fmt.Errorf("valid entry: %w", err)
	}
	return e, nil
}

// ParseUploadEntry reads a stored upload entry and checks that it makes sense.
func ParseUploadEntry(body []byte) (UploadEntry, error) {
	fields, err := entryFields(body, maxEntryBytes)
	if err != nil {
		return UploadEntry{}, fmt.Errorf("upload entry: %w", err)
	}
	e := UploadEntry{
		Version: entryVersion,
		ID:      ID(fields.Text("id")),
		Label:   fields.Text("label"),
		Name:    fields.Text("name"),
		By:      fields.Text("by"),
		Meta:    Meta(fields.Text("meta")),
		Tags:    Tags(fields.Text("tags")),
	}
	if err := fields.Done(); err != nil {
		return UploadEntry{}, fmt.Errorf("upload entry: not the JSON of an entry: %w", err)
	}
	if _, err := ParseID(string(e.ID)); err != nil {
		return UploadEntry{}, fmt.Errorf("upload entry: %w", err)
	}
	if err := errors.Join(checkLabel(e.Label, storedText), checkName(e.Name, storedText), e.Meta.Check(), e.Tags.Check()); err != nil {
		return UploadEntry{}, fmt.Errorf("upload entry: %w", err)
	}
	return e, nil
}

// ParseExpiredEntry reads a stored expired entry and checks that it makes sense.
func ParseExpiredEntry(body []byte) (ExpiredEntry, error) {
	fields, err := entryFields(body, maxClaimBytes)
	if err != nil {
		return ExpiredEntry{}, fmt.Errorf("expired entry: %w", err)
	}
	e := ExpiredEntry{
		Version: entryVersion,
		Reason:  Reason(fields.Text("reason")),
		At:      fields.Time("at"),
		Nonce:   fields.Text("nonce"),
		Request: fields.Text("request"),
		Parts:   PartList(fields.Text("parts")),
		ETag:    fields.Text("etag"),
	}
	if err := fields.Done(); err != nil {
		return ExpiredEntry{}, fmt.Errorf("expired entry: not the JSON of an entry: %w", err)
	}
	if _, err := e.Parts.parse(); err != nil {
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

// entryFields are the fields of an entry of the known version, which is taken.
func entryFields(body []byte, most int) (*strictjson.Fields, error) {
	if len(body) > most {
		return nil, fmt.Errorf("%d bytes, at most %d are allowed", len(body), most)
	}
	document, err := strictjson.Parse(string(body))
	if err != nil {
		return nil, fmt.Errorf("not the JSON of an entry: %w", err)
	}
	fields := strictjson.Of(document)
	if v := fields.Int("version"); v != entryVersion {
		return nil, fmt.Errorf("version %d, only %d is known", v, entryVersion)
	}
	return fields, nil
}
