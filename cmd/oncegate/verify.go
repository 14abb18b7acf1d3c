package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"oncegate/internal/client"
	"oncegate/internal/config"
	"oncegate/internal/verify"
)

const verifyHelp = `oncegate verify [flags] [DISTRIBUTION-URL]

Holds a deployment to every promise of the README, from outside: one line for
each, ok, FAIL or skipped. It makes some thirty URLs, spends most of them, and says
how many objects it leaves; --json names them.

The promises about the bucket are checked with the credentials in AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, at AWS_ENDPOINT_URL_S3 where that is
set. For a profile of the AWS CLI: eval "$(aws configure export-credentials --format env)".
For make dev: . build/dev/env

    --config PATH     settings of the deployment (config.json, if there is one)
    --bucket NAME     instead of the settings' ($ONCEGATE_BUCKET)
    --region REGION   instead of the settings' ($AWS_REGION with another bucket)
    --origin ORIGIN   an origin that may upload (the first of allowedOrigins)
    --large-bytes N   size of the large upload (33554432)
    --timeout D       for the whole run (5m)
    --json            print one JSON object
` + deploymentHelp + `
Exit status: 0 no promise is broken, 1 one is, 2 wrong usage.

Example: oncegate verify https://d111111abcdef8.cloudfront.net --json
`

// errFailed says that the report holds a line that failed.
var errFailed = errors.New("the deployment does not keep every promise")

func runVerify(ctx context.Context, args []string, stdout, _ io.Writer) error {
	fs := newFlags("verify")
	configPath := fs.String("config", "", "")
	bucket := fs.String("bucket", "", "")
	region := fs.String("region", "", "")
	origin := fs.String("origin", "", "")
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
	if _, err := client.New(url, credential); err != nil {
		return usagef(fs, "%w", err)
	}
	conf, err := verifyConfig(*configPath)
	if err != nil {
		return err
	}
	o := verify.Options{
		URL: url, Origin: *origin, LargeBytes: *largeBytes, Timeout: *timeout, Credential: credential,
		Endpoint: os.Getenv("AWS_ENDPOINT_URL_S3"), Credentials: environment(),
	}
	o.Bucket, o.Region = bucketOf(conf, *bucket, *region)
	if conf != nil {
		o.Expires, o.WriteOnce, o.SHA256 = conf.Expires, conf.WriteOnce, conf.SHA256
		o.OwnerAPI = &conf.OwnerAPI
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
	if *asJSON {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		err = encoder.Encode(report)
	} else {
		_, err = io.WriteString(stdout, report.Summary())
	}
	if err == nil && !report.OK {
		err = errFailed
	}
	return err
}

// verifyConfig reads the settings. Without --config they need not be there: a
// deployment can be verified from anywhere.
func verifyConfig(path string) (*config.Config, error) {
	explicit := path != ""
	if !explicit {
		path = "config.json"
	}
	c, err := config.Load(path)
	if !explicit && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &c, nil
}

// bucketOf decides which bucket is behind the deployment: the flags, then the
// environment that make dev writes, then the settings. The placeholder of the
// settings is a bucket on this machine only.
func bucketOf(conf *config.Config, bucket, region string) (string, string) {
	if bucket == "" {
		bucket = os.Getenv("ONCEGATE_BUCKET")
	}
	if conf != nil && (bucket == "" || bucket == conf.Bucket) {
		if conf.Deployable() != nil && os.Getenv("AWS_ENDPOINT_URL_S3") == "" {
			return "", ""
		}
		bucket = conf.Bucket
		if region == "" {
			region = conf.Region
		}
	}
	for _, other := range []string{os.Getenv("AWS_REGION"), config.DefaultRegion} {
		if region == "" {
			region = other
		}
	}
	return bucket, region
}

// environment is the credentials in the standard variables, or nil.
func environment() aws.CredentialsProvider {
	id, secret := os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
	if id == "" || secret == "" {
		return nil
	}
	return credentials.NewStaticCredentialsProvider(id, secret, os.Getenv("AWS_SESSION_TOKEN"))
}
