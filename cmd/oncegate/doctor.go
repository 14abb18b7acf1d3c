package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"

	"oncegate/internal/doctor"
)

const doctorHelp = `oncegate doctor [flags]

Looks at what a deploy with these settings will run into, and verify after it: versions
of the tools, account, CDK bootstrap, Lambda's concurrency, stacks of earlier deploys,
bucket name, certificate, domain. It prints a line for each: ok, FAIL, unclear or
skipped, and what to do. It only reads.

With "existingBucket" in the settings it also reads what the bucket has, part by part:
versions, policy, public access, ownership, encryption, lifecycle, notifications, CORS,
Object Lock, and whether anything else is where uploads and index go. What must change
it says with the commands; it changes nothing.

    --config PATH  settings of the deployment (config.json)
    --json         print one JSON object

To ask everything the credentials need ssm:GetParameter, lambda:GetAccountSettings,
cloudformation:DescribeStacks, cloudformation:DescribeStackResources, s3:ListBucket,
acm:DescribeCertificate and cloudfront:ListDistributions, and for an existing bucket
those that docs/cli.md lists. A service is at AWS_ENDPOINT_URL_<SERVICE>, if that is set.
` + credentialsHelp + `
Exit status: 0 no line failed, 1 one did, 2 wrong usage.

Example: oncegate doctor --config prod.json
`

// errSick means that a line failed.
var errSick = errors.New("something has to be done before a deploy")

// lookupCNAME asks DNS. Tests replace it.
var lookupCNAME = net.DefaultResolver.LookupCNAME

func runDoctor(ctx context.Context, args []string, stdout, _ io.Writer) error {
	fs := newFlags("doctor")
	path := fs.String("config", "", "")
	asJSON := fs.Bool("json", false, "")
	if err := parse(fs, args); err != nil {
		return err
	}
	s, err := findSettings(*path, "")
	if err != nil {
		return err
	}
	o := doctor.Options{
		Settings:    *s.conf,
		Endpoint:    func(service string) string { return os.Getenv("AWS_ENDPOINT_URL_" + strings.ToUpper(service)) },
		LookupCNAME: lookupCNAME,
		Tool: func(ctx context.Context, name string, args ...string) (string, error) {
			out, err := exec.CommandContext(ctx, name, args...).Output()
			if notFound, ok := errors.AsType[*exec.Error](err); ok {
				err = notFound.Err
			}
			return string(out), err
		},
		Dir:   ".",
		Renew: "use other credentials: " + environmentHint(),
	}
	if o.Credentials, err = findCredentials(ctx, s.region); err != nil {
		o.NoCredentials = err.Error()
		if h, ok := errors.AsType[*hintError](err); ok {
			o.Renew = h.hint
		}
	} else if os.Getenv("AWS_ACCESS_KEY_ID") == "" {
		o.Renew = "renew those of the profile " + chosenProfile() + ", or use another: export AWS_PROFILE=NAME"
	}
	if !*asJSON {
		o.Line = func(l doctor.Line) { fmt.Fprintln(stdout, l.Text()) }
	}
	report, err := doctor.Run(ctx, o)
	if err != nil {
		return err
	}
	err = writeReport(stdout, report, *asJSON, fmt.Sprintf("\n%s: %d ok, %d failed, %d unclear, %d skipped\n", s.path,
		report.Count(doctor.OK), report.Count(doctor.Fail), report.Count(doctor.Unclear), report.Count(doctor.Skipped)))
	if err == nil && !report.OK {
		err = errSick
	}
	return err
}
