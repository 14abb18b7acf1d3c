package onetime

import (
	"time"

	"oncegate/internal/lean/strictjson"
)

// Status is what has become of a URL, and how that is known.
type Status struct {
	ID    ID
	State State
	Key   string // the object; "" if it is no longer known
	// Entry is the valid entry, nil when it is gone.
	Entry *ValidEntry
	// Spent is when and how it was spent, nil when it was not.
	Spent *Spent
	// Object is what is stored under Key. It is nil if nothing is, or if nobody looked
	// (as in a list).
	Object *Object
}

// Spent is the claim that spent a URL, as far as its entry can be read.
type Spent struct {
	At      time.Time // zero where it is not known
	Request string    // CloudFront's id of the request; "" where there was none
	Claim   string    // version id of the expired entry
}

// Write writes what is known as the members of an object, with the names of
// openapi.yaml. The URL cannot be made from them, and they hold nothing that only the
// operator should see.
func (s Status) Write(w *strictjson.Writer) {
	w.String("id", string(s.ID))
	w.String("state", string(s.State))
	w.StringIf("key", s.Key)
	if e := s.Entry; e != nil {
		w.Time("createdAt", e.Created)
		w.Time("expiresAt", e.Expires)
	}
	if s.Spent != nil && !s.Spent.At.IsZero() {
		w.Time("spentAt", wholeSeconds(s.Spent.At))
	}
	if e := s.Entry; e != nil {
		w.Object("limits", e.Limits.Write)
		w.StringIf("name", e.Name)
		w.StringIf("label", e.Label)
		e.Meta.WriteIf(w, "meta")
		e.Tags.WriteIf(w, "tags")
	}
	if o := s.Object; o != nil {
		w.Object("object", o.write)
	}
}

// WriteAll writes what Write does and, for the operator, which credential minted the
// URL and which request and claim spent it.
func (s Status) WriteAll(w *strictjson.Writer) {
	s.Write(w)
	if s.Entry != nil {
		w.StringIf("by", s.Entry.By)
	}
	if s.Spent != nil {
		w.StringIf("request", s.Spent.Request)
		w.StringIf("claim", s.Spent.Claim)
	}
}

func (o Object) write(w *strictjson.Writer) {
	w.Int("size", o.Size)
	w.String("etag", o.ETag)
	w.StringIf("version", o.Version)
	w.StringIf("sha256", o.SHA256)
	w.Time("storedAt", wholeSeconds(o.Modified))
}

func wholeSeconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
