package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"oncegate/edge"
	"oncegate/edge/setup"
	"oncegate/internal/client"
	"oncegate/internal/onetime"
)

const urlHelp = `oncegate url [flags] [DISTRIBUTION-URL]

Asks a deployment for one-time upload URLs and prints them, one per line. Options that
are omitted are not sent. The deployment decides about all of them.

    --expires N      seconds that the URL lives
    --max-bytes N    largest upload that it takes
    --min-bytes N    smallest upload that it takes
    --type TYPES     a MIME type, image/jpeg, or all of a kind, image/*, or several:
                     application/pdf,image/*
    --sha256 SUM     of the file, 64 hex digits or base64
    --name NAME      original file name, kept with the object
    --label LABEL    note to the operator, kept in the index
    --prefix PREFIX  before the object's name, as far as the setting prefixes allows
    --meta PAIRS     metadata that S3 keeps with the object: order=17&customer=acme
    --tags PAIRS     tags of the object, with keys that the setting tags has: project=blue
    --count N        this many equal URLs
    --json           print the JSON that the deployment sends
    --direct         make the URL here, for DISTRIBUTION-URL, and write its entry into
                     the bucket: for operators, without a request to the deployment.
                     The bounds of the settings hold. Bucket and credentials are those
                     of oncegate status; the role needs s3:PutObject on
                     signatures/valid/*, with acceptance also on signatures/uploads/*
    --config PATH    settings for --direct (config.json)
` + deploymentHelp + `
Example: oncegate url --max-bytes 1000000 --type 'image/*' https://d111111abcdef8.cloudfront.net
`

// mintOptions maps flags to options of /url.
var mintOptions = map[string]string{
	"expires": "expires", "max-bytes": "maxBytes", "min-bytes": "minBytes", "type": "type",
	"sha256": "sha256", "name": "name", "label": "label", "prefix": "prefix", "meta": "meta", "tags": "tags", "count": "count",
}

// given returns the options whose flags were given, with their values unchanged.
func given(fs *flag.FlagSet) url.Values {
	options := url.Values{}
	fs.Visit(func(f *flag.Flag) {
		if name := mintOptions[f.Name]; name != "" {
			options.Set(name, f.Value.String())
		}
	})
	return options
}

func runURL(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := newFlags("url")
	for name := range mintOptions {
		fs.String(name, "", "")
	}
	asJSON := fs.Bool("json", false, "")
	direct := fs.Bool("direct", false, "")
	configPath := fs.String("config", "", "")
	f := newDeploymentFlags(fs)
	words, err := parseWords(fs, args)
	if err != nil {
		return err
	}
	if *configPath != "" && !*direct {
		return usagef(fs, "--config is for --direct: a deployment has settings of its own")
	}
	var m client.Minted
	if *direct {
		m, err = mintDirect(ctx, f, *configPath, words, given(fs), stderr)
	} else {
		var d *client.Deployment
		if d, _, err = f.open(words...); err == nil {
			m, err = d.Mint(ctx, given(fs))
		}
	}
	if err != nil {
		return refusedOptions(fs, err)
	}
	if *asJSON {
		_, err = fmt.Fprintf(stdout, "%s\n", strings.TrimSuffix(string(m.JSON), "\n"))
		return err
	}
	for _, u := range m.URLs {
		if _, err := fmt.Fprintln(stdout, u.URL); err != nil {
			return err
		}
	}
	return nil
}

// refusedOptions turns a refusal of options into an error of usage.
func refusedOptions(fs *flag.FlagSet, err error) error {
	if r, ok := errors.AsType[*client.Refusal](err); ok {
		switch r.Reason {
		case onetime.Options:
			return usagef(fs, "%w", err)
		case onetime.CredentialMissing:
			return fmt.Errorf("%w: give --key-file or --token-file, or set ONCEGATE_KEY or ONCEGATE_TOKEN", err)
		}
	}
	return err
}

// mintDirect runs the deployment's mint on this machine.
func mintDirect(ctx context.Context, f deploymentFlags, configPath string, words []string, options url.Values, stderr io.Writer) (client.Minted, error) {
	var none client.Minted
	base, err := f.base(words...)
	if err != nil {
		return none, err
	}
	d, err := client.New(base, client.Credential{})
	if err != nil {
		return none, usagef(f.fs, "%w", err)
	}
	s, err := findSite(configPath, "", "")
	if err != nil {
		return none, err
	}
	if s.bucket != "" && s.conf == nil {
		return none, fmt.Errorf("the settings of the bucket %s, which hold the bounds, are not known: name them with --config", s.bucket)
	}
	opened, err := s.open(ctx, stderr)
	if err != nil {
		return none, err
	}
	scheme, host, _ := strings.Cut(d.URL(), "://")
	functions := setup.New(*s.conf, opened.index, opened.index, opened.bucket, rand.Reader, scheme, func(line []byte) {
		// The operator may see why there is no URL.
		var l struct{ Level, Reason, Error string }
		if json.Unmarshal(line, &l) == nil && l.Level == "ERROR" {
			fmt.Fprintf(stderr, "oncegate: %s: %s\n", l.Reason, l.Error)
		}
	})
	var event edge.Event
	event.Records = make([]edge.Record, 1)
	cf := &event.Records[0].CF
	cf.Config.EventType = edge.EventViewerRequest
	cf.Request = edge.Request{Method: "GET", URI: "/url", Querystring: options.Encode(), Headers: edge.Headers{
		"host": {{Value: host}}, "accept": {{Value: "application/json"}},
	}}
	response := functions.Decide(ctx, edge.MintFunction, event, time.Now().Add(30*time.Second)).Response
	if response.Status == "200" {
		m := client.Minted{JSON: []byte(response.Body)}
		m.URLs, err = d.Minted(m.JSON)
		return m, err
	}
	refusal := &client.Refusal{Message: "the mint answered " + response.Status}
	refusal.Status, _ = strconv.Atoi(response.Status) // the mint's own
	var j struct {
		Reason  onetime.Reason
		Message string
	}
	if json.Unmarshal([]byte(response.Body), &j) == nil {
		refusal.Reason, refusal.Message = j.Reason, strings.TrimSuffix(j.Message, ".")
	}
	return none, refusal
}
