package main

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"oncegate/internal/onetime"
)

// What the verbs have in common that are about one URL: status, revoke, enable.

// targetFlags are the flags of a verb that is about one URL.
type targetFlags struct {
	fs     *flag.FlagSet
	config *string
	json   *bool
	stderr io.Writer
}

func newTargetFlags(name string, stderr io.Writer) targetFlags {
	fs := newFlags(name)
	return targetFlags{fs, fs.String("config", "", ""), fs.Bool("json", false, ""), stderr}
}

// open reads the arguments, a URL or id before, among or behind the flags, and finds
// the bucket and the URL in it. No error of it repeats a URL: whoever reads the error
// could use it.
func (f targetFlags) open(ctx context.Context, args []string) (o *onetime.Operator, target onetime.Target, s site, err error) {
	found, err := parseWords(f.fs, args)
	if err == nil && len(found) != 1 {
		err = usagef(f.fs, "%d URLs or ids given, want one", len(found))
	}
	if err != nil {
		return nil, target, s, err
	}
	if s, err = findSite(*f.config, "", ""); err != nil {
		return nil, target, s, err
	}
	named, err := parseName(f.fs, found[0], s.region)
	if err != nil {
		return nil, target, s, err
	}
	client, err := s.open(f.stderr)
	if err != nil {
		return nil, target, s, err
	}
	o = s.operator(client)
	target, err = named.find(ctx, f.fs, o, client)
	return o, target, s, err
}

// statusJSON is a URL as status and list print it. Times are RFC 3339, UTC.
type statusJSON struct {
	ID      onetime.ID    `json:"id"`
	State   onetime.State `json:"state"`
	Key     string        `json:"key,omitempty"`
	Created *time.Time    `json:"created,omitempty"`
	Expires *time.Time    `json:"expires,omitempty"`
	// What was asked for when it was minted, and by which credential.
	Name   string          `json:"name,omitempty"`
	Label  string          `json:"label,omitempty"`
	By     string          `json:"by,omitempty"`
	Limits *onetime.Limits `json:"limits,omitempty"`
	Spent  *spentJSON      `json:"spent,omitempty"`
	Object *objectJSON     `json:"object,omitempty"` // status only: what is stored
}

type spentJSON struct {
	At      *time.Time `json:"at,omitempty"`
	Request string     `json:"request,omitempty"`
	Claim   string     `json:"claim,omitempty"`
}

type objectJSON struct {
	Size    int64     `json:"size"`
	ETag    string    `json:"etag"`
	Version string    `json:"version,omitempty"`
	SHA256  string    `json:"sha256,omitempty"`
	Stored  time.Time `json:"stored"`
}

func statusOf(s onetime.Status) statusJSON {
	out := statusJSON{ID: s.ID, State: s.State, Key: s.Key}
	if e := s.Entry; e != nil {
		out.Created, out.Expires = moment(e.Created), moment(e.Expires)
		out.Name, out.Label, out.By = e.Name, e.Label, e.By
		if e.Limits != (onetime.Limits{}) {
			out.Limits = &e.Limits
		}
	}
	if spent := s.Spent; spent != nil {
		out.Spent = &spentJSON{moment(spent.At), spent.Request, spent.Claim}
	}
	if o := s.Object; o != nil {
		out.Object = &objectJSON{o.Size, o.ETag, o.Version, o.SHA256, *moment(o.Modified)}
	}
	return out
}

// moment is a time with whole seconds in UTC, or nil for none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}

func shownTime(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Format(time.RFC3339)
}

// printable quotes what a terminal might take for more than text: names from a
// token are whatever its issuer lets pass.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// writeJSON writes v on one line.
func writeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
