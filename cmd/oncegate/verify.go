package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"oncegate/internal/client"
	"oncegate/internal/verify"
)

const verifyHelp = `oncegate verify [flags] [DISTRIBUTION-URL]

Checks every promise of a deployment from outside, and prints one line for each: ok,
FAIL, unclear (CloudFront itself answered 503, as at a quota) or skipped. It makes some thirty URLs and spends most of them. It counts the
objects that it leaves; --json names them.

It also looks into the bucket and the index, if the bucket's name and credentials for it
are known. The index is the settings', or else $ONCEGATE_INDEX, s3 or dynamodb. The
endpoints are AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL_DYNAMODB, if they are set. For make
dev: . build/dev/env

    --config PATH     settings of the deployment (config.json, if there is one)
    --bucket NAME     instead of the settings' ($ONCEGATE_BUCKET)
    --region REGION   instead of the settings' ($AWS_REGION with another bucket)
    --origin ORIGIN   an origin that may upload (the first of allowedOrigins)
    --log-bucket NAME that of CloudFront's access logs, to look into them
    --large-bytes N   size of the large upload (33554432)
    --timeout D       for the whole run (5m)
    --json            print one JSON object
` + deploymentHelp + credentialsHelp + `
Exit status: 0 no promise is broken, 1 one is, 2 wrong usage, 4 none is broken, and one
is unclear.

Example: oncegate verify https://d111111abcdef8.cloudfront.net --json
`

// errFailed means that a line of the report failed, errUnclear that none did and one is unclear.
var (
	errFailed  = errors.New("the deployment does not keep every promise")
	errUnclear = errors.New("whether the deployment keeps every promise could not be told")
)

func runVerify(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := newFlags("verify")
	configPath := fs.String("config", "", "")
	bucket := fs.String("bucket", "", "")
	region := fs.String("region", "", "")
	origin := fs.String("origin", "", "")
	logBucket := fs.String("log-bucket", "", "")
	largeBytes := fs.Int64("large-bytes", 32<<20, "")
	timeout := fs.Duration("timeout", 5*time.Minute, "")
	asJSON := fs.Bool("json", false, "")
	f := newDeploymentFlags(fs)
	words, err := parseWords(fs, args)
	if err != nil {
		return err
	}
	url, err := f.base(words...)
	if err != nil {
		return err
	}
	credential, err := f.credential()
	if err != nil {
		return err
	}
	d, err := client.New(url, credential)
	if err != nil {
		return usagef(fs, "%w", err)
	}
	s, err := findSite(*configPath, *bucket, *region)
	if err != nil {
		return err
	}
	o := verify.Options{
		URL: d.URL(), Origin: *origin, LargeBytes: *largeBytes, Timeout: *timeout, Credential: credential,
		Endpoint: s.endpoint, Bucket: s.bucket, Region: s.region, LogBucket: *logBucket,
		Index: s.index, TableEndpoint: s.tableEndpoint,
	}
	if s.bucket != "" {
		if o.Credentials, err = findCredentials(ctx, s.region); err == nil {
			fmt.Fprintf(stderr, "oncegate: %v\n", s)
		} else {
			// The lines about the bucket are skipped, and this is the reason.
			o.NoCredentials = err.Error()
			if h, ok := errors.AsType[*hintError](err); ok {
				o.NoCredentials += " (" + h.hint + ")"
			}
		}
	}
	if conf := s.conf; conf != nil {
		o.Expires, o.WriteOnce, o.SHA256, o.Tags = conf.Expires, conf.WriteOnce, conf.SHA256, conf.Tags
		o.OwnerAPI, o.Page, o.Versioned = &conf.OwnerAPI, &conf.Page.On, &conf.Versioned
		if o.Origin == "" && len(conf.AllowedOrigins) > 0 {
			o.Origin = conf.AllowedOrigins[0]
		}
		if slices.Contains(conf.AllowedOrigins, "*") {
			o.OtherOrigins = true
			if o.Origin == "*" {
				o.Origin = "https://app.example.com"
			}
		}
	}
	if !*asJSON {
		o.Line = func(l verify.Line) { fmt.Fprintln(stdout, l.Text()) }
	}
	report, err := verify.Run(ctx, o)
	if err != nil {
		return err
	}
	err = writeReport(stdout, report, *asJSON, report.Summary())
	switch {
	case err != nil:
		return err
	case report.Count(verify.Fail) > 0:
		return errFailed
	case report.Count(verify.Unclear) > 0:
		return errUnclear
	}
	return nil
}
