package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"oncegate/internal/onetime"
)

const statusHelp = `oncegate status URL|id|uploads/<uuid>|- [flags]

Shows what became of a URL, whether its object is stored, and the next step if there is
one. Nothing is changed, and the URL is not printed.

id is the SHA-256 of the URL's path and query; the host does not matter. Its first 8
digits are enough; the functions' log shows 12. uploads/<uuid> is the URL's object;
without acceptance this reads all entries of the bucket.

    minted   good for one upload
    used     spent by an upload, whether or not it arrived
    revoked  taken back before an upload came
    expired  its time is over, and no upload came
    unknown  not minted here, or so long ago that its entries are gone

    --config PATH  settings of the deployment (config.json)
    --json         print one JSON object

The role needs s3:GetObject on signatures/* and uploads/*, s3:ListBucket.
` + operateHelp + `
Example: oncegate status "$URL"
`

func runStatus(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := newTargetFlags("status", stderr)
	operator, target, _, err := f.open(ctx, args)
	if err != nil {
		return err
	}
	status, err := operator.Status(ctx, target)
	if err != nil {
		return err
	}
	if *f.json {
		return writeStatus(stdout, status)
	}
	_, err = io.WriteString(stdout, statusText(status, nextStep(status, *f.config, time.Now())))
	return err
}

// statusText describes a URL for people, one fact per line.
func statusText(s onetime.Status, next string) string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-8s %s\n", name, shown(value))
		}
	}
	line("state", string(s.State))
	line("id", string(s.ID))
	if e := s.Entry; e != nil {
		line("created", shownTime(e.Created))
		line("expires", shownTime(e.Expires))
		line("name", e.Name)
		line("label", e.Label)
		line("meta", string(e.Meta))
		line("tags", string(e.Tags))
		line("by", shortBy(e.By))
		line("limits", limitsText(e.Limits))
	}
	if s.Spent != nil {
		if !s.Spent.At.IsZero() {
			line(string(s.State), shownTime(s.Spent.At))
		}
		line("request", s.Spent.Request)
		line("claim", s.Spent.Claim)
	}
	line("object", s.Key)
	switch o := s.Object; {
	case o != nil:
		line("stored", shownTime(o.Modified))
		line("size", fmt.Sprint(o.Size))
		line("etag", strings.Trim(o.ETag, `"`))
		line("version", o.Version)
		line("sha256", o.SHA256)
	case s.Key != "":
		line("stored", "no")
	}
	line("next", next)
	return b.String()
}

// limitsText returns the limits by their names in /url.
func limitsText(l onetime.Limits) string {
	return optionsText([]shownOption{{"minBytes", l.MinBytes}, {"maxBytes", l.MaxBytes}, {"type", l.Type}, {"sha256", l.SHA256}})
}

// shownOption is an option of /url and its value: a text, or an int64.
type shownOption struct {
	name  string
	value any
}

// optionsText lists those that have a value.
func optionsText(all []shownOption) string {
	var texts []string
	for _, o := range all {
		if o.value != int64(0) && o.value != "" {
			texts = append(texts, fmt.Sprintf("%s %v", o.name, o.value))
		}
	}
	return strings.Join(texts, ", ")
}

// nextStep returns a command to use if no upload arrived, and says when it helps. It is
// "" if there is nothing to do.
func nextStep(s onetime.Status, configPath string, now time.Time) string {
	if s.Object != nil || s.State == onetime.StateMinted || s.State == onetime.StateUnknown {
		return ""
	}
	if s.Entry == nil || !now.Before(s.Entry.Expires) {
		return "oncegate url (its time is over: only a new URL helps)"
	}
	enable := "oncegate enable " + string(s.ID)
	if configPath != "" {
		enable += " --config " + configPath
	}
	if s.State == onetime.StateUsed {
		return enable + " (once no upload is under way: good for one more)"
	}
	return enable + " (good for one upload again)"
}
