package onetime

import (
	"time"

	"oncegate/internal/lean/strictjson"
)

// Status is what became of a URL, and how it is known.
type Status struct {
	ID    ID
	State State
	Key   string // the object; "" where nobody knows it any more
	// Entry is the valid entry, nil when it is gone.
	Entry *ValidEntry
	// Spent is when and how it was spent, nil when it was not.
	Spent *Spent
	// Object is what is stored under Key, nil when nothing is, or when that was not
	// looked at (as in a list).
	Object *Object
}

// Spent is the claim that spent a URL, as far as its entry can be read.
type Spent struct {
	At      time.Time // zero where it is not known
	Request string    // CloudFront's id of the request; "" where there was none
	Claim   string    // version id of the expired entry
}

// Write writes the status as the members of an object, those that are known, under
// the names of openapi.yaml. They hold nothing that the URL could be made from, and
// nothing that is for the operator alone.
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
	}
	if o := s.Object; o != nil {
		w.Object("object", o.write)
	}
}

// WriteAll writes what Write does and, for the operator, who minted the URL and what
// spent it.
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
