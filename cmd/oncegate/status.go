package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"oncegate/internal/onetime"
)

const statusHelp = `oncegate status URL|id [flags]

Says what became of a URL: minted, used, revoked, expired or unknown; and whether
its object is stored. id is the URL's fingerprint, the SHA-256 of its path and
query; the host does not matter. Nothing is changed, and the URL not printed.

    minted   good for one upload
    used     spent by an upload, whether or not it arrived
    revoked  taken back before an upload came
    expired  its time went by, and no upload came
    unknown  not minted here, or so long ago that its entries are gone

    --config PATH  settings of the deployment (config.json)
    --json         print one JSON object

The role needs s3:GetObject on signatures/* and uploads/*, s3:ListBucket.
` + operateHelp + `
Example: oncegate status "$URL"
`

func runStatus(ctx context.Context, args []string, stdout, _ io.Writer) error {
	f := newTargetFlags("status")
	operator, target, err := f.open(args)
	if err != nil {
		return err
	}
	status, err := operator.Status(ctx, target)
	if err != nil {
		return err
	}
	if *f.json {
		return writeJSON(stdout, statusOf(status))
	}
	_, err = io.WriteString(stdout, statusText(status))
	return err
}

func statusText(status onetime.Status) string {
	s := statusOf(status)
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-8s %s\n", name, value)
		}
	}
	line("state", string(s.State))
	line("id", string(s.ID))
	if s.Created != nil {
		line("created", shownTime(s.Created))
		line("expires", shownTime(s.Expires))
	}
	if s.Spent != nil {
		if s.Spent.At != nil {
			line(string(s.State), shownTime(s.Spent.At))
		}
		line("request", s.Spent.Request)
		line("claim", s.Spent.Claim)
	}
	line("object", s.Key)
	switch o := s.Object; {
	case o != nil:
		line("stored", shownTime(&o.Stored))
		line("size", fmt.Sprint(o.Size))
		line("etag", strings.Trim(o.ETag, `"`))
		line("version", o.Version)
		line("sha256", o.SHA256)
	case s.Key != "":
		line("stored", "no")
	}
	return b.String()
}
