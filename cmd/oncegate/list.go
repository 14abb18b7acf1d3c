package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"oncegate/internal/onetime"
)

const listHelp = `oncegate list [flags]

Lists the URLs that the bucket knows, a line each in the order of their ids: id,
state, when it was minted, object. It streams: what is there is printed at once,
and any number of URLs fits into memory. Valid entries are kept for 8 days.

    --state STATE  only minted, used, revoked or expired
    --since WHEN   only what was minted since: 90m, 36h, 7d, 2026-03-01, or
                   2026-03-01T12:00:00Z
    --brief        leave out what takes a request of its own for each URL
    --config PATH  settings of the deployment (config.json)
    --json         print a JSON object on each line

The role needs s3:ListBucket, and s3:GetObject on signatures/*.
` + operateHelp + `
Example: oncegate list --state used --since 24h
`

// errIncomplete says that some URLs are missing from a list.
var errIncomplete = errors.New("not all URLs could be read")

func runList(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := newFlags("list")
	configPath := fs.String("config", "", "")
	state := fs.String("state", "", "")
	since := fs.String("since", "", "")
	brief := fs.Bool("brief", false, "")
	asJSON := fs.Bool("json", false, "")
	if err := parse(fs, args); err != nil {
		return err
	}
	filter := onetime.Filter{State: onetime.State(*state), Brief: *brief}
	states := []onetime.State{"", onetime.StateMinted, onetime.StateUsed, onetime.StateRevoked, onetime.StateExpired}
	if !slices.Contains(states, filter.State) {
		return usagef(fs, "--state is %q: allowed are minted, used, revoked and expired", *state)
	}
	var err error
	if filter.Since, err = sinceTime(*since, time.Now()); err != nil {
		return usagef(fs, "%w", err)
	}
	operator, _, err := openBucket(*configPath)
	if err != nil {
		return err
	}
	incomplete := false
	for status, err := range operator.List(ctx, filter) {
		if err != nil && status.ID != "" {
			fmt.Fprintf(stderr, "oncegate: %v\n", err)
			incomplete = true
			continue
		}
		if err != nil {
			return err
		}
		s := statusOf(status)
		if *asJSON {
			err = writeJSON(stdout, s)
		} else {
			_, err = fmt.Fprintf(stdout, "%s  %-7s  %-20s  %s\n", s.ID, s.State, shownTime(s.Created), orDash(s.Key))
		}
		if err != nil {
			return err
		}
	}
	if incomplete {
		return errIncomplete
	}
	return nil
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// sinceTime reads a time, or how long ago it was.
func sinceTime(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	ago, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 16)
		ago = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || ago < 0 {
		return time.Time{}, fmt.Errorf("--since is %q: allowed are 90m, 36h, 7d, 2026-03-01 and 2026-03-01T12:00:00Z", s)
	}
	return now.Add(-ago), nil
}
