package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"oncegate/internal/onetime"
)

const enableHelp = `oncegate enable URL|id|uploads/<uuid>|- [flags]

Makes a spent URL good for one more upload, until its time is over: a URL that was
revoked, or whose upload broke off. Enable it when that upload is over: one that is
still under way is stored whenever it ends. A URL whose object is stored is refused
without --replace; with "acceptance" it is always refused. So is a URL whose time is
over.

    --replace      put a delete marker over the stored object first; what was
                   stored stays as an earlier version
    --claim ID     only if the URL is spent by this claim (see oncegate status); makes
                   it safe to run again after a failure, even if somebody has used
                   the URL in between
    --config PATH  settings of the deployment (config.json)
    --json         print one JSON object

The role needs s3:GetObject on signatures/* and uploads/*, s3:ListBucket,
s3:ListBucketVersions, s3:DeleteObjectVersion on signatures/expired/*; for
--replace also s3:DeleteObject on uploads/*.
` + operateHelp + `
Example: oncegate enable "$URL" --replace
`

type enabledJSON struct {
	ID       onetime.ID     `json:"id"`
	Removed  []string       `json:"removed"`  // version ids of the expired entry
	Replaced bool           `json:"replaced"` // the object is under a delete marker
	Spent    onetime.Reason `json:"spent,omitempty"`
}

func runEnable(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := newTargetFlags("enable", stderr)
	var options onetime.EnableOptions
	f.fs.BoolVar(&options.Replace, "replace", false, "")
	f.fs.StringVar(&options.Claim, "claim", "", "")
	operator, target, s, err := f.open(ctx, args)
	if err != nil {
		return err
	}
	done, err := operator.Enable(ctx, target, options)
	if uncertain, ok := errors.AsType[*onetime.UncertainError](err); ok {
		return fmt.Errorf("%w; run it again with --claim %s", err, uncertain.Claim)
	}
	switch {
	case err != nil && options.Replace && s.conf == nil:
		return &hintError{err, "without the settings of the bucket acceptance counts as on; name them with --config"}
	case err != nil:
		return err
	case *f.json:
		return writeJSON(stdout, enabledJSON{target.ID, append([]string{}, done.Claims...), done.Replaced, done.Spent})
	case len(done.Claims) == 0:
		_, err = fmt.Fprintln(stdout, "was enabled before")
	case done.Spent != "":
		_, err = fmt.Fprintf(stdout, "enabled, and %s again already\n", done.Spent)
	case done.Replaced:
		_, err = fmt.Fprintln(stdout, "enabled; the stored object is an earlier version now")
	default:
		_, err = fmt.Fprintln(stdout, "enabled")
	}
	return err
}
