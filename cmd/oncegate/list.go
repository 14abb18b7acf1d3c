package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"oncegate/internal/layout"
	"oncegate/internal/onetime"
)

const listHelp = `oncegate list [flags]

Lists the URLs that the bucket knows, one per line: id, state, when it was minted,
object, by which key or token, label. The order is that of the ids, not of time: S3
lists them so, and each is printed as soon as it is read, however many there are. For
the order of time there is --latest. Valid entries are kept for 8 days.

    --state STATE  only minted, used, revoked or expired
    --label LABEL  only URLs with this label
    --prefix PREFIX  only URLs whose objects have this prefix, or one below it
    --by WHO       only URLs minted with an API key of this label or id, one that
                   took over from it, or a token with this sub
    --invitation WHICH  only URLs minted with the invitation of this label or id
    --since WHEN   only URLs minted since: 90m, 36h, 7d, 2026-03-01, or
                   2026-03-01T12:00:00Z
    --latest N     only the last N, newest first; 1 to 10000; printed at the end
    --brief        leave out what takes one request per URL
    --config PATH  settings of the deployment (config.json)
    --json         print one JSON object per line

The role needs s3:ListBucket, and s3:GetObject on signatures/*.
` + operateHelp + `
Example: oncegate list --state used --since 24h --latest 20
`

// errIncomplete means that some URLs are missing from the list.
var errIncomplete = errors.New("not all URLs could be read")

// mostLatest limits what --latest holds in memory.
const mostLatest = 10_000

func runList(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := newFlags("list")
	configPath := fs.String("config", "", "")
	state := fs.String("state", "", "")
	since := fs.String("since", "", "")
	label := fs.String("label", "", "")
	prefix := fs.String("prefix", "", "")
	by := fs.String("by", "", "")
	invitation := fs.String("invitation", "", "")
	newest := fs.Int("latest", 0, "")
	brief := fs.Bool("brief", false, "")
	asJSON := fs.Bool("json", false, "")
	if err := parse(fs, args); err != nil {
		return err
	}
	filter := onetime.Filter{State: onetime.State(*state), Label: *label, Brief: *brief}
	states := []onetime.State{"", onetime.StateMinted, onetime.StateUsed, onetime.StateRevoked, onetime.StateExpired}
	var err error
	switch filter.Since, err = sinceTime(*since, time.Now()); {
	case err != nil:
		return usagef(fs, "%w", err)
	case !slices.Contains(states, filter.State):
		return usagef(fs, "--state is %q: allowed are minted, used, revoked and expired", *state)
	case *newest < 0 || *newest > mostLatest:
		return usagef(fs, "--latest is %d: allowed is 1 to %d", *newest, mostLatest)
	case *brief && (*by != "" || *invitation != "" || *prefix != "" || *newest > 0):
		return usagef(fs, "--by, --invitation, --prefix and --latest need what --brief leaves out")
	case *prefix != "" && !layout.ValidPrefix(*prefix):
		return usagef(fs, "--prefix: want %s", layout.PrefixRule)
	}
	s, opened, err := openSite(ctx, *configPath, stderr)
	if err != nil {
		return err
	}
	show := func(status onetime.Status) error {
		if *asJSON {
			return writeStatus(stdout, status)
		}
		return writeRow(stdout, status)
	}
	if !*asJSON {
		if _, err := fmt.Fprintf(stdout, rowFormat, "ID", "STATE", "MINTED", "OBJECT", "BY", "LABEL"); err != nil {
			return err
		}
	}
	last := latest{most: *newest}
	incomplete := false
	for status, err := range s.operator(opened).List(ctx, filter) {
		switch {
		case err != nil && status.ID != "":
			fmt.Fprintf(stderr, "oncegate: %v\n", err)
			incomplete = true
			continue
		case err != nil:
			return err
		case *by != "" && (status.Entry == nil || !mintedBy(status.Entry.By, *by)):
			continue
		case *invitation != "" && (status.Entry == nil || !mintedUnder(status.Entry.By, *invitation)):
			continue
		case *prefix != "" && !strings.HasPrefix(status.Key, layout.Uploads+*prefix+"/"):
			continue
		case last.most > 0:
			last.add(status)
			continue
		}
		if err := show(status); err != nil {
			return err
		}
	}
	for _, status := range last.rows {
		if err := show(status); err != nil {
			return err
		}
	}
	if incomplete {
		return errIncomplete
	}
	return nil
}

// rowFormat is a line of the list. An id has 64 digits, an object's key 44 or, with
// a prefix, more.
const rowFormat = "%-64s  %-7s  %-20s  %-44s  %-16s  %s\n"

func writeRow(w io.Writer, s onetime.Status) error {
	var entry onetime.ValidEntry
	if s.Entry != nil {
		entry = *s.Entry
	}
	_, err := fmt.Fprintf(w, rowFormat, s.ID, s.State, shownTime(entry.Created), orDash(shown(s.Key)), orDash(shown(shortBy(entry.By))), orDash(shown(entry.Label)))
	return err
}

// shortBy is who minted as people read it: with the 12 digits of ids that key list shows.
func shortBy(by string) string {
	c, ok := onetime.ParseBy(by)
	if !ok {
		return by
	}
	c.ID, c.Owner = c.ID[:shortDigits], c.Owner[:min(len(c.Owner), shortDigits)]
	return c.By()
}

const shortDigits = 12

// mintedBy reports whether who is the label or the subject of the credential, or, with 8
// digits or more, the beginning of its id or its owner's.
func mintedBy(by, who string) bool {
	c, ok := onetime.ParseBy(by)
	if !ok {
		return by == who // before there were ids
	}
	who = strings.TrimPrefix(who, c.Kind+":")
	digits := who[:min(len(who), onetime.CredentialDigits)]
	return c.Label == who || len(digits) >= leastDigits && (strings.HasPrefix(c.ID, digits) || strings.HasPrefix(c.Owner, digits))
}

// mintedUnder reports whether the credential is the invitation with this label, or with an
// id that begins so.
func mintedUnder(by, invitation string) bool {
	c, ok := onetime.ParseBy(by)
	return ok && c.Kind == onetime.CredentialInvitation && mintedBy(by, invitation)
}

// latest holds the rows that were minted last, newest first. A row whose time of minting
// is not known counts as the oldest.
type latest struct {
	rows []onetime.Status
	most int
}

func (l *latest) add(s onetime.Status) {
	i, _ := slices.BinarySearchFunc(l.rows, s, func(a, b onetime.Status) int { return minted(b).Compare(minted(a)) })
	if i == l.most {
		return
	}
	l.rows = slices.Insert(l.rows, i, s)
	l.rows = l.rows[:min(len(l.rows), l.most)]
}

// minted is when a URL was minted, or zero.
func minted(s onetime.Status) time.Time {
	if s.Entry == nil {
		return time.Time{}
	}
	return s.Entry.Created
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// sinceTime reads a time, or a duration before now.
func sinceTime(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	ago, err := parseSpan(s)
	if err != nil {
		return time.Time{}, fmt.Errorf("--since is %q: allowed are 90m, 36h, 7d, 2026-03-01 and 2026-03-01T12:00:00Z", s)
	}
	return now.Add(-ago), nil
}
