package main

import (
	"context"
	"fmt"
	"io"

	"oncegate/internal/onetime"
)

const revokeHelp = `oncegate revoke URL|id|uploads/<uuid>|- [flags]

Takes a URL back: from then on no upload with it is let through. If an upload comes at
the same moment, S3 decides, and exactly one of the two wins. A URL that was revoked
before stays revoked. One that was used cannot be revoked (exit status 3).

    --config PATH  settings of the deployment (config.json)
    --json         print one JSON object

The role needs s3:GetObject on signatures/*, s3:PutObject on signatures/expired/*,
s3:ListBucket.
` + operateHelp + `
Example: oncegate revoke "$URL"
`

type revokedJSON struct {
	ID    onetime.ID    `json:"id"`
	State onetime.State `json:"state"`
	Now   bool          `json:"now"` // false: it was revoked before
}

func runRevoke(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := newTargetFlags("revoke", stderr)
	operator, target, _, err := f.open(ctx, args)
	if err != nil {
		return err
	}
	now, err := operator.Revoke(ctx, target)
	switch {
	case err != nil:
		return err
	case *f.json:
		return writeJSON(stdout, revokedJSON{target.ID, onetime.StateRevoked, now})
	case now:
		_, err = fmt.Fprintln(stdout, "revoked")
	default:
		_, err = fmt.Fprintln(stdout, "was revoked before")
	}
	return err
}
