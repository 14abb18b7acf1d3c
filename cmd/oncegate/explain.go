package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"oncegate/internal/client"
	"oncegate/internal/onetime"
)

const explainHelp = `oncegate explain URL [flags]

Says what a URL is: which upload it is for, how long it is good, and how it is spelled.
If something has changed it on the way, so that the gate refuses it as unknown, it says
what. It is for an upload that was refused. Nothing is sent, no credentials are needed,
and the URL is not printed. URL may be -, which reads it from standard input.

Some clients write a query in another way than it was minted. "spelling" says how; the
gate takes every spelling that S3 takes, so that is not what is wrong.

If AWS_ACCESS_KEY_ID or AWS_PROFILE is set, or --config is given, this also asks the
bucket what became of the URL, as oncegate status does.

    --config PATH  settings of the deployment (config.json)
` + siteHelp + `
Exit status: 0 done, 1 failed, 2 wrong usage, 3 the gate does not take this URL.

Example: oncegate explain "$URL"
`

func runExplain(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := newFlags("explain")
	configPath := fs.String("config", "", "")
	words, err := parseWords(fs, args)
	if err == nil && len(words) != 1 {
		err = usagef(fs, "%d URLs given, want one", len(words))
	}
	if err != nil {
		return err
	}
	raw := words[0]
	if raw == "-" {
		if raw, err = readSecret("-"); err != nil {
			return err
		}
	}
	explained, err := client.Explain(raw)
	if err != nil {
		what := otherURL(raw)
		if what == "" {
			return &onetime.StateError{State: onetime.StateUnknown, Why: err.Error()}
		}
		return &onetime.StateError{State: onetime.StateUnknown, Why: "not a URL for an upload: " + what}
	}
	if _, err := io.WriteString(stdout, explainedText(explained, time.Now())); err != nil {
		return err
	}
	if *configPath == "" && os.Getenv("AWS_ACCESS_KEY_ID") == "" && os.Getenv("AWS_PROFILE") == "" {
		return nil
	}
	s, err := findSite(*configPath, "", "")
	if err != nil {
		return err
	}
	if s.bucket == "" && *configPath == "" {
		return nil // the credentials are for something else
	}
	opened, err := s.open(ctx, stderr)
	if err != nil {
		return err
	}
	status, err := s.operator(opened).Status(ctx, onetime.Target{ID: explained.ID, Key: explained.Key})
	if err != nil {
		return err
	}
	_, err = io.WriteString(stdout, "\n"+statusText(status, nextStep(status, s.path, time.Now())))
	return err
}

// explainedText describes a URL for people, one fact per line.
func explainedText(e client.Explained, now time.Time) string {
	spelling := "as it was minted"
	if len(e.Respelled) > 0 {
		spelling = "another than minted, which is fine: " + strings.Join(e.Respelled, "; ")
	}
	var b strings.Builder
	for _, line := range [][2]string{
		{"what", "a one-time URL: one PUT uploads one object"},
		{"host", e.Host},
		{"object", e.Key},
		{"id", string(e.ID)},
		{"region", e.Query.Region},
		{"created", shownTime(e.Query.Date) + ", " + relative(e.Query.Date, now)},
		{"expires", shownTime(e.Expires) + ", " + relative(e.Expires, now)},
		{"spelling", spelling},
	} {
		fmt.Fprintf(&b, "%-8s %s\n", line[0], line[1])
	}
	return b.String()
}

// relative says how far a time is from now.
func relative(t, now time.Time) string {
	if d := t.Sub(now).Round(time.Second); d > 0 {
		return "in " + d.String()
	}
	return now.Sub(t).Round(time.Second).String() + " ago"
}

// otherURL says what a URL is that is none for an upload, or "" if that is not known.
func otherURL(raw string) string {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil || u.Host == "" {
		return ""
	}
	key, _, _ := strings.Cut(u.Query().Get("X-Amz-Credential"), "/")
	switch {
	case key != "" && key != onetime.MintedAccessKey:
		return "it is a presigned URL that S3 itself takes, and no oncegate made it"
	case u.Path == "/url":
		return "it is where a deployment is asked for URLs"
	case strings.HasPrefix(u.Path, "/url/"):
		return "it is where the owner of a URL asks about it"
	}
	return ""
}
