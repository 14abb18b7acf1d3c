package invite

import (
	"errors"
	"fmt"
	"time"

	"oncegate/internal/lean/strictjson"
	"oncegate/internal/onetime"
)

// SlotState is what a slot says of itself.
type SlotState string

// The states of a slot. A slot that is not there is free.
const (
	SlotHeld   SlotState = "held"   // its URL may be alive, spent, or dead
	SlotSpent  SlotState = "spent"  // its URL was seen to be spent; it stays so
	SlotClosed SlotState = "closed" // the invitation was revoked; it stays so
)

// Slot is the content of invitations/slots/<id>/<n>.
type Slot struct {
	Version int
	State   SlotState
	URL     onetime.ID // "" for a closed slot
	// Created and Expires are the URL's. They are left out of a slot that will not change,
	// which makes it shorter than every one that may (MaxFinalBytes).
	Created, Expires time.Time
}

// MaxFinalBytes is how long a slot is at most that is spent or closed, and shorter than any
// that is held. So a list tells which are worth a look. Nothing but time depends on it.
const MaxFinalBytes = 130

// Marshal writes the slot as it is stored.
func (s Slot) Marshal() []byte {
	var w strictjson.Writer
	w.Int("version", int64(s.Version))
	w.String("state", string(s.State))
	w.StringIf("url", string(s.URL))
	if s.State == SlotHeld {
		w.Time("created", s.Created)
		w.Time("expires", s.Expires)
	}
	return w.Bytes()
}

// ParseSlot reads a stored slot and checks that it makes sense.
func ParseSlot(body []byte) (Slot, error) {
	fields, err := fieldsOf(body)
	if err != nil {
		return Slot{}, fmt.Errorf("slot of an invitation: %w", err)
	}
	s := Slot{
		Version: recordVersion,
		State:   SlotState(fields.Text("state")),
		URL:     onetime.ID(fields.Text("url")),
		Created: fields.Time("created"),
		Expires: fields.Time("expires"),
	}
	if err := fields.Done(); err != nil {
		return Slot{}, fmt.Errorf("slot of an invitation: not its JSON: %w", err)
	}
	_, err = onetime.ParseID(string(s.URL))
	ok := false
	switch s.State {
	case SlotHeld:
		ok = err == nil && s.Expires.After(s.Created) && !s.Created.IsZero()
	case SlotSpent:
		ok = err == nil && s.Created.IsZero() && s.Expires.IsZero()
	case SlotClosed:
		ok = s.URL == "" && s.Created.IsZero() && s.Expires.IsZero()
	}
	if !ok {
		return Slot{}, errors.New("slot of an invitation: it makes no sense")
	}
	return s, nil
}
