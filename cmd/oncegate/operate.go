package main

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"time"

	"oncegate/internal/lean/strictjson"
	"oncegate/internal/onetime"
)

// What status, revoke and enable share: each is about one URL.

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

// open reads the arguments and finds the bucket and the URL in it. Its errors do not
// repeat a URL: whoever reads the error could use it.
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
	if found[0] == "-" {
		if found[0], err = readSecret("-"); err != nil {
			return nil, target, s, err
		}
	}
	named, err := parseName(f.fs, found[0], s.region)
	if err != nil {
		return nil, target, s, err
	}
	opened, err := s.open(ctx, f.stderr)
	if err != nil {
		return nil, target, s, err
	}
	o = s.operator(opened)
	target, err = named.find(ctx, f.fs, o, opened.index)
	return o, target, s, err
}

// writeStatus prints a URL as one JSON object, as status and list do.
func writeStatus(w io.Writer, s onetime.Status) error {
	_, err := w.Write(append(strictjson.Marshal(s.WriteAll), '\n'))
	return err
}

// shownTime is a time with whole seconds in UTC, or a dash for none.
func shownTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// writeReport writes a report whose lines were printed already, if it is for people: then
// text is what follows them. Else it is indented JSON.
func writeReport(w io.Writer, report any, asJSON bool, text string) error {
	if !asJSON {
		_, err := io.WriteString(w, text)
		return err
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(report)
}

// writeJSON writes v on one line.
func writeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
