package invite

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"oncegate/internal/layout"
	"oncegate/internal/lean/strictjson"
	"oncegate/internal/lean/text"
	"oncegate/internal/onetime"
)

// Bounds of invitations.
const (
	MaxUploads = 1000 // so many slots are on one page of S3's list
	MaxLife    = 90 * 24 * time.Hour
)

// What an invitation gets that asks for nothing else. DefaultURLLife is long enough for an
// upload that goes on the next morning, and short enough that a slot whose upload never came
// is free again the day after.
const (
	DefaultLife    = 14 * 24 * time.Hour
	DefaultURLLife = 24 * time.Hour
)

// recordVersion is written into every record and slot. One of another version was written
// by an oncegate that knows rules this one does not: it is refused.
const recordVersion = 1

// maxRecordBytes bounds a record and a slot; what is larger was not written here.
const maxRecordBytes = 8 << 10

// Record is what the bucket holds of an invitation. Only Revoked ever changes.
type Record struct {
	Version int
	Label   string // for people; the entries of its URLs show it
	Uploads int    // the most objects that are ever stored: 1 to MaxUploads
	// Limits hold for each of its URLs, and Life is the longest time that one gets.
	Limits  onetime.Limits
	Life    time.Duration
	Prefix  string // of the names of all its objects
	Meta    onetime.Meta
	Tags    onetime.Tags
	Created time.Time
	Expires time.Time // first moment at which it mints no more, and none of its URLs is good
	By      string    // who made it: Credential.By, or "" for an operator
	Revoked time.Time // zero: it is not revoked
}

// check says what is wrong with a record that was stored or asked for.
func (r Record) check() error {
	switch {
	case len(r.Label) > onetime.MaxLabelBytes || !text.Name(r.Label):
		return fmt.Errorf("label: want 1 to %d bytes of text without invisible characters, words apart by one space", onetime.MaxLabelBytes)
	case r.Uploads < 1 || r.Uploads > MaxUploads:
		return fmt.Errorf("uploads: want 1 to %d", MaxUploads)
	case r.Life < time.Second || r.Life > onetime.MaxLife || r.Life%time.Second != 0:
		return fmt.Errorf("life: want whole seconds from 1 to %d", onetime.MaxLife/time.Second)
	case r.Expires.Sub(r.Created) < time.Second || r.Expires.Sub(r.Created) > MaxLife:
		return fmt.Errorf("expires: want 1 second to %d days", MaxLife/(24*time.Hour))
	case r.Prefix != "" && !layout.ValidPrefix(r.Prefix):
		return errors.New("prefix: want " + layout.PrefixRule)
	case r.Limits.SHA256 != "":
		return errors.New("sha256: an invitation is for more than one content")
	}
	return cmp.Or(r.Meta.Check(), r.Tags.Check(), r.Limits.Check())
}

// Marshal writes the record as it is stored.
func (r Record) Marshal() []byte {
	var w strictjson.Writer
	w.Int("version", int64(r.Version))
	w.String("label", r.Label)
	w.Int("uploads", int64(r.Uploads))
	w.Object("limits", r.Limits.Write)
	w.Int("life", int64(r.Life/time.Second))
	w.StringIf("prefix", r.Prefix)
	w.StringIf("meta", string(r.Meta))
	w.StringIf("tags", string(r.Tags))
	w.Time("created", r.Created)
	w.Time("expires", r.Expires)
	w.StringIf("by", r.By)
	if !r.Revoked.IsZero() {
		w.Time("revoked", r.Revoked)
	}
	return w.Bytes()
}

// ParseRecord reads a stored record and checks that it makes sense.
func ParseRecord(body []byte) (Record, error) {
	fields, err := fieldsOf(body)
	if err != nil {
		return Record{}, fmt.Errorf("record of an invitation: %w", err)
	}
	limits := fields.Object("limits")
	r := Record{
		Version: recordVersion,
		Label:   fields.Text("label"),
		Limits:  onetime.Limits{MinBytes: limits.Int("minBytes"), MaxBytes: limits.Int("maxBytes"), Type: limits.Text("type")},
		Prefix:  fields.Text("prefix"),
		Meta:    onetime.Meta(fields.Text("meta")),
		Tags:    onetime.Tags(fields.Text("tags")),
		Created: fields.Time("created"),
		Expires: fields.Time("expires"),
		By:      fields.Text("by"),
		Revoked: fields.Time("revoked"),
	}
	uploads, life := fields.Int("uploads"), fields.Int("life")
	if err := errors.Join(fields.Done(), limits.Done()); err != nil {
		return Record{}, fmt.Errorf("record of an invitation: not its JSON: %w", err)
	}
	if uploads > MaxUploads || life > int64(onetime.MaxLife/time.Second) {
		return Record{}, errors.New("record of an invitation: a number out of bounds")
	}
	r.Uploads, r.Life = int(uploads), time.Duration(life)*time.Second
	if err := r.check(); err != nil {
		return Record{}, fmt.Errorf("record of an invitation: %w", err)
	}
	return r, nil
}

// fieldsOf are the fields of a record or a slot of the known version, which is taken.
func fieldsOf(body []byte) (*strictjson.Fields, error) {
	if len(body) > maxRecordBytes {
		return nil, fmt.Errorf("%d bytes, at most %d are allowed", len(body), maxRecordBytes)
	}
	document, err := strictjson.Parse(string(body))
	if err != nil {
		return nil, fmt.Errorf("not its JSON: %w", err)
	}
	fields := strictjson.Of(document)
	if v := fields.Int("version"); v != recordVersion {
		return nil, fmt.Errorf("version %d, only %d is known", v, recordVersion)
	}
	return fields, nil
}

// credential is the invitation with this ID, as entries of its URLs name it.
func (r Record) credential(id ID) onetime.Credential {
	return onetime.Credential{Kind: onetime.CredentialInvitation, ID: string(id[:onetime.CredentialDigits]), Label: r.Label, Since: r.Created}
}

// open refuses an invitation that mints no more at this time.
func (r Record) open(now time.Time) error {
	switch {
	case !r.Revoked.IsZero():
		return ErrRevoked
	case r.Expires.Sub(now) < time.Second: // the shortest life of a URL
		return ErrOver
	}
	return nil
}

// within fills in what an order leaves open, and refuses with a onetime.Refusal what the
// invitation does not allow. An order may only be stricter. left is how long the invitation
// will live; bounds are the deployment's.
func (r Record) within(order onetime.Order, bounds onetime.Bounds, left time.Duration) (onetime.Order, onetime.Bounds, error) {
	most := min(r.Life, bounds.MaxLife, left.Truncate(time.Second))
	bounds.Life, bounds.MaxLife = most, most
	switch {
	case order.Prefix == "":
		order.Prefix = r.Prefix
	case order.Prefix != r.Prefix:
		return order, bounds, refuse(errors.New("prefix: this invitation has its own, or none; omit the option"))
	}
	switch {
	case order.Meta == "":
		order.Meta = r.Meta
	case order.Meta != r.Meta:
		return order, bounds, refuse(errors.New("meta: this invitation has its own, or none; omit the option"))
	}
	switch {
	case order.Tags == "":
		order.Tags = r.Tags
	case order.Tags != r.Tags:
		return order, bounds, refuse(errors.New("tags: this invitation has its own, or none; omit the option"))
	}
	allowed := onetime.Allowance{MinBytes: r.Limits.MinBytes, MaxBytes: r.Limits.MaxBytes, Type: r.Limits.Type}
	return allowed.Narrow(order, bounds, "this invitation")
}

func refuse(err error) error { return &onetime.Refusal{Reason: onetime.Options, Detail: err.Error()} }
