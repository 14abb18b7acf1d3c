package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"

	"oncegate/edge/setup"
	"oncegate/internal/config"
	"oncegate/internal/onetime"
	"oncegate/internal/s3wire"
)

// Which bucket, and which index, status, list, revoke, enable, key, invite, migrate, replay, url --direct and
// verify act on.

// siteHelp is in the help of each of them.
const siteHelp = `
The bucket is the one that --config names. Without --config it is the one in
$ONCEGATE_BUCKET, else the one of config.json in this folder. If --config and
$ONCEGATE_BUCKET name different buckets, nothing is done. With $ONCEGATE_BUCKET the index
is $ONCEGATE_INDEX, s3 or dynamodb. The bucket and its endpoint are printed first, on
standard error, and so is the table. A role that may do what is named above on
signatures/*, keys/* and invitations/* needs, for an index in a table, dynamodb:GetItem,
dynamodb:UpdateItem and dynamodb:Query on the table in its place.
` + credentialsHelp + `
The endpoints are AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL_DYNAMODB, if they are set. For
make dev: . build/dev/env
`

// operateHelp ends the help of those that are about URLs.
const operateHelp = `
Others on this machine can see arguments, and use a URL that is still good. With - it
comes from standard input.
` + siteHelp + `
Exit status: 0 done, 1 failed, 2 wrong usage, 3 the URL is not in a state for it
and nothing was changed.
`

// site is a bucket and where to find it.
type site struct {
	bucket string // "" where it is not known
	region string
	// endpoint is where S3 is, and tableEndpoint where DynamoDB is, "" for AWS.
	endpoint, tableEndpoint string
	// index is where the index is, config.IndexS3 or config.IndexDynamoDB.
	index string
	// conf is the settings of this bucket, read from path; nil if they are not known.
	conf *config.Config
	path string
	// missing says why there is no bucket.
	missing error
}

// findSite decides which bucket to act on. The order is: bucket and region of the command
// line, the settings that --config names, $ONCEGATE_BUCKET, config.json in this folder.
//
// If --config and $ONCEGATE_BUCKET disagree, it refuses. To let --config win would not be
// enough: the endpoint and the credentials come from the same environment. If a
// config.json that nobody named is about another bucket than $ONCEGATE_BUCKET, or another
// index than $ONCEGATE_INDEX, its settings are not used.
func findSite(configPath, bucket, region string) (site, error) {
	conf, path, err := readSettings(configPath)
	if err != nil {
		return site{}, err
	}
	fromEnv, index := os.Getenv("ONCEGATE_BUCKET"), os.Getenv("ONCEGATE_INDEX")
	s := site{
		bucket: bucket, region: region, conf: conf, path: path, index: config.IndexS3,
		endpoint: os.Getenv("AWS_ENDPOINT_URL_S3"), tableEndpoint: os.Getenv("AWS_ENDPOINT_URL_DYNAMODB"),
	}
	if index != "" && index != config.IndexS3 && index != config.IndexDynamoDB {
		return site{}, fmt.Errorf("ONCEGATE_INDEX is %q: allowed are %s and %s", index, config.IndexS3, config.IndexDynamoDB)
	}
	switch {
	case bucket != "":
	case configPath != "" && fromEnv != "" && fromEnv != conf.Bucket:
		return site{}, &hintError{
			fmt.Errorf("--config %s names the bucket %s, and ONCEGATE_BUCKET names %s: nothing was done", path, conf.Bucket, fromEnv),
			"unset ONCEGATE_BUCKET AWS_ENDPOINT_URL_S3 AWS_ENDPOINT_URL_SQS ONCEGATE_INDEX AWS_ENDPOINT_URL_DYNAMODB and set the credentials of " + conf.Bucket + ", or leave --config out",
		}
	case configPath != "" && index != "" && index != conf.Index:
		return site{}, &hintError{
			fmt.Errorf("--config %s names the index %s, and ONCEGATE_INDEX names %s: nothing was done", path, conf.Index, index),
			"unset ONCEGATE_INDEX, or leave --config out",
		}
	case fromEnv != "":
		s.bucket = fromEnv
		if conf != nil && (conf.Bucket != fromEnv || index != "" && conf.Index != index) {
			s.conf, s.path = nil, ""
		}
	}
	switch {
	case s.conf != nil && (s.bucket == "" || s.bucket == conf.Bucket):
		s.index = s.conf.Index
	case index != "":
		s.index = index
	}
	if conf != nil && (s.bucket == "" || s.bucket == conf.Bucket) {
		// At AWS the placeholder belongs to somebody else. It is fine on this machine.
		if err := conf.Deployable(); err != nil && s.endpoint == "" {
			s.bucket, s.missing = "", &hintError{err, devHint}
			return s, nil
		}
		s.bucket = conf.Bucket
		if s.region == "" {
			s.region = conf.Region
		}
	}
	if s.bucket == "" {
		s.missing = errors.New("there is no config.json here: name it with --config, or the bucket in ONCEGATE_BUCKET")
	}
	for _, other := range []string{os.Getenv("AWS_REGION"), config.DefaultRegion} {
		if s.region == "" {
			s.region = other
		}
	}
	return s, nil
}

// readSettings returns the settings and the file they are from. Without --config there
// need not be any.
func readSettings(path string) (*config.Config, string, error) {
	explicit := path != ""
	if !explicit {
		path = "config.json"
	}
	c, err := config.Load(path)
	if !explicit && errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	return &c, path, nil
}

// String says which bucket it is, where, and at which endpoint.
func (s site) String() string {
	endpoint := "https://" + s3wire.ProductionHost(s.bucket, s.region)
	if s.endpoint != "" {
		endpoint = redacted(s.endpoint)
	}
	text := "bucket " + s.bucket + " in " + s.region + " at " + endpoint
	if s.index == config.IndexDynamoDB {
		text += ", index in table " + s.table()
		if s.tableEndpoint != "" {
			text += " at " + redacted(s.tableEndpoint)
		}
	}
	return text
}

// redacted returns an endpoint without its password.
func redacted(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "an endpoint that is not a URL"
	}
	return u.Redacted()
}

// open returns the bucket and its index. It first prints where it will act.
func (s site) open(ctx context.Context, stderr io.Writer) (store, error) {
	switch {
	case s.bucket == "":
		return store{}, s.missing
	case s.index == config.IndexDynamoDB && (s.endpoint == "") != (s.tableEndpoint == ""):
		// The bucket here and a table at AWS, or the other way round, are two deployments'.
		return store{}, &hintError{
			errors.New("of AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL_DYNAMODB only one is set: nothing was done"),
			"set both, as make dev does in build/dev/env, or none",
		}
	}
	provider, err := findCredentials(ctx, s.region)
	if err != nil {
		return store{}, err
	}
	fmt.Fprintf(stderr, "oncegate: %v\n", s)
	return s.openStore(provider), nil
}

// findSettings is findSite for a verb that needs the settings. which goes into the error,
// behind what it names: ", which name the queues,".
func findSettings(configPath, which string) (site, error) {
	s, err := findSite(configPath, "", "")
	switch {
	case err != nil:
		return s, err
	case s.missing != nil:
		return s, s.missing
	case s.conf == nil:
		return s, fmt.Errorf("the settings of the bucket %s%s are not known: name them with --config", s.bucket, which)
	}
	return s, nil
}

// openSite finds the bucket and opens it.
func openSite(ctx context.Context, configPath string, stderr io.Writer) (site, store, error) {
	s, err := findSite(configPath, "", "")
	if err != nil {
		return s, store{}, err
	}
	opened, err := s.open(ctx, stderr)
	return s, opened, err
}

// operator returns an operator of the bucket. If the settings are not known, acceptance
// counts as on, so that no upload is replaced that somebody may rely on.
func (s site) operator(opened store) *onetime.Operator {
	return &onetime.Operator{
		Ledger: opened.index, Parts: opened.index, Clock: setup.Clock{}, Entropy: rand.Reader, Accepting: s.conf == nil || s.conf.Acceptance.On,
	}
}
