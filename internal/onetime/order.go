package onetime

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"oncegate/internal/layout"
	"oncegate/internal/lean/text"
)

// Order is what is asked of a new URL. The zero Order is a plain URL.
type Order struct {
	Life   time.Duration // 0: as long as Bounds has it
	Limits Limits
	Empty  bool   // an upload may be empty: no MinBytes of 0 is filled in
	Name   string // original file name
	Label  string // note to the operator
	Prefix string // of the object's name
	Meta   Meta   // that S3 keeps with the object
	Tags   Tags   // of the object
	By     string // the credential that mints (Credential.By)
}

// Bounds are what orders are held to, from the settings of the deployment.
type Bounds struct {
	Life     time.Duration // of a URL that asks for none
	MaxLife  time.Duration // at least Life, at most the constant MaxLife
	MaxBytes int64         // no URL takes more; at most the constant MaxUploadBytes
	MinBytes int64         // of a URL that asks for none
	SHA256   bool          // the distribution forwards the checksum to S3
	Prefixes []string      // that may be asked for; patterns of package layout
	Tags     []string      // keys of the tags that may be asked for
}

// within returns the order with the bounds filled in, or refuses what is out of
// them with a Detail that names the option and what is allowed.
func (o Order) within(b Bounds) (Order, error) {
	if o.Life == 0 {
		o.Life = b.Life
	}
	if o.Life < time.Second || o.Life > b.MaxLife || o.Life%time.Second != 0 {
		return o, refuseOption(fmt.Errorf("expires: want whole seconds from 1 to %d", b.MaxLife/time.Second))
	}
	if o.Limits.MaxBytes < 0 || o.Limits.MaxBytes > b.MaxBytes {
		return o, refuseOption(fmt.Errorf("maxBytes: want 1 to %d", b.MaxBytes))
	}
	if o.Limits.MaxBytes == 0 && b.MaxBytes != MaxBytes { // which is what no limit means
		o.Limits.MaxBytes = b.MaxBytes
	}
	// Clients that probe before they send, and those that were given an array for a
	// file, send an empty PUT that nobody means as an upload.
	if o.Limits.MinBytes == 0 && !o.Empty {
		o.Limits.MinBytes = min(b.MinBytes, o.Limits.most())
	}
	if o.Limits.SHA256 != "" && !b.SHA256 {
		return o, refuseOption(fmt.Errorf("sha256: not enabled here; set \"sha256\" in config.json"))
	}
	for _, err := range []error{o.Limits.Check(), b.CheckPrefix(o.Prefix), checkName(o.Name, text.Visible), checkLabel(o.Label, text.Visible), o.Meta.Check(), b.CheckTags(o.Tags)} {
		if err != nil {
			return o, refuseOption(err)
		}
	}
	return o, nil
}

// CheckPrefix wants a prefix that can be one and is in Prefixes, or none. Its error is for the
// client.
func (b Bounds) CheckPrefix(prefix string) error {
	switch {
	case prefix == "":
		return nil
	case len(b.Prefixes) == 0:
		return errors.New("prefix: not enabled here; set \"prefixes\" in config.json")
	case !layout.ValidPrefix(prefix):
		return errors.New("prefix: want " + layout.PrefixRule)
	}
	for _, pattern := range b.Prefixes {
		if layout.PrefixMatches(prefix, pattern) {
			return nil
		}
	}
	return errors.New("prefix: allowed are " + strings.Join(b.Prefixes, ", "))
}

// refuseOption refuses an order. err is for the client: it names the option and
// what is allowed, and repeats nothing of what was sent.
func refuseOption(err error) error { return &Refusal{Reason: Options, Detail: err.Error()} }
