package onetime

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"oncegate/internal/layout"
	"oncegate/internal/lean/strictjson"
)

// Allowance is what one minter may ask for, an API key or an invitation, within the Bounds
// of the deployment. It only ever makes them narrower; the zero Allowance changes nothing.
type Allowance struct {
	Life     time.Duration // the longest of a URL
	MinBytes int64         // the least that an upload has
	MaxBytes int64         // the most that an upload has
	Type     string        // what an upload may be, as in Limits
	Prefix   string        // of the object's name: this one, or one below it
	PerDay   int64         // the most URLs on a day of UTC: Quota
}

// MaxPerDay bounds Allowance.PerDay. Whoever needs more needs no number.
const MaxPerDay = 1_000_000_000

// Check says what is wrong with an allowance that was stored or asked for.
func (a Allowance) Check() error {
	if a.Life < 0 || a.Life > MaxLife || a.Life%time.Second != 0 {
		return fmt.Errorf("expires: want whole seconds from 1 to %d", MaxLife/time.Second)
	}
	if a.Prefix != "" && !layout.ValidPrefix(a.Prefix) {
		return errors.New("prefix: want " + layout.PrefixRule)
	}
	if a.PerDay < 0 || a.PerDay > MaxPerDay {
		return fmt.Errorf("perDay: want 1 to %d", int64(MaxPerDay))
	}
	return Limits{MinBytes: a.MinBytes, MaxBytes: a.MaxBytes, Type: a.Type}.Check()
}

// Write adds the members of its JSON object.
func (a Allowance) Write(w *strictjson.Writer) {
	w.IntIf("expires", int64(a.Life/time.Second))
	w.IntIf("minBytes", a.MinBytes)
	w.IntIf("maxBytes", a.MaxBytes)
	w.StringIf("type", a.Type)
	w.StringIf("prefix", a.Prefix)
	w.IntIf("perDay", a.PerDay)
}

// MarshalJSON is that object.
func (a Allowance) MarshalJSON() ([]byte, error) {
	var w strictjson.Writer
	a.Write(&w)
	return w.Bytes(), nil
}

// ReadAllowance reads what Write has written. What is out of bounds, Check refuses.
func ReadAllowance(fields *strictjson.Fields) Allowance {
	life := min(max(fields.Int("expires"), -1), int64(MaxLife/time.Second)+1)
	return Allowance{
		Life:     time.Duration(life) * time.Second,
		MinBytes: fields.Int("minBytes"),
		MaxBytes: fields.Int("maxBytes"),
		Type:     fields.Text("type"),
		Prefix:   fields.Text("prefix"),
		PerDay:   fields.Int("perDay"),
	}
}

// Narrow returns the bounds that hold for the minter, and the order with what it leaves open
// filled in. It refuses an order that asks for less than MinBytes, another Type or Prefix; what
// the narrower bounds refuse is for Minter.Grant. who is the minter as the refusal names it.
func (a Allowance) Narrow(o Order, b Bounds, who string) (Order, Bounds, error) {
	if a.Life > 0 {
		b.MaxLife = min(b.MaxLife, a.Life)
		b.Life = min(b.Life, b.MaxLife)
	}
	if a.MaxBytes > 0 {
		b.MaxBytes = min(b.MaxBytes, a.MaxBytes)
	}
	switch {
	case o.Limits.MinBytes == 0 && a.MinBytes > 0:
		o.Limits.MinBytes = a.MinBytes
	case a.MinBytes > 0 && o.Limits.MinBytes < a.MinBytes:
		return o, b, refuseOption(fmt.Errorf("minBytes: %s takes at least %d", who, a.MinBytes))
	}
	switch {
	case o.Limits.Type == "":
		o.Limits.Type = a.Type
	case a.Type != "" && !TypesWithin(o.Limits.Type, a.Type):
		return o, b, refuseOption(errors.New("type: " + who + " takes " + a.Type))
	}
	switch {
	case o.Prefix == "":
		o.Prefix = a.Prefix
	case a.Prefix != "" && o.Prefix != a.Prefix && !strings.HasPrefix(o.Prefix, a.Prefix+"/"):
		return o, b, refuseOption(errors.New("prefix: " + who + " has " + a.Prefix + ", and what is below it"))
	}
	return o, b, nil
}
