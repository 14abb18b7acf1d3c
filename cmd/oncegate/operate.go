package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"oncegate/edge/setup"
	"oncegate/internal/config"
	"oncegate/internal/onetime"
	"oncegate/internal/s3sdk"
)

// What the verbs of an operator have in common: status, list, revoke, enable.

// operateHelp ends the help of each of them.
const operateHelp = `
It talks straight to the bucket of config.json (or of $ONCEGATE_BUCKET), with the
credentials in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, at
AWS_ENDPOINT_URL_S3 where that is set. For a profile of the AWS CLI:
eval "$(aws configure export-credentials --format env)". For make dev: . build/dev/env

Exit status: 0 done, 1 failed, 2 wrong usage, 3 the URL is not in a state for it
and nothing was changed.
`

// targetFlags are the flags of a verb that is about one URL.
type targetFlags struct {
	fs     *flag.FlagSet
	config *string
	json   *bool
}

func newTargetFlags(name string) targetFlags {
	fs := newFlags(name)
	return targetFlags{fs, fs.String("config", "", ""), fs.Bool("json", false, "")}
}

// open reads the arguments, a URL or fingerprint before, among or behind the flags,
// and finds the bucket. No error of it repeats the URL: whoever reads the error
// could use it.
func (f targetFlags) open(args []string) (*onetime.Operator, onetime.Target, error) {
	found, err := parseWords(f.fs, args)
	if err != nil {
		return nil, onetime.Target{}, err
	}
	if len(found) != 1 {
		return nil, onetime.Target{}, usagef(f.fs, "%d URLs or fingerprints given, want one", len(found))
	}
	operator, region, err := openBucket(*f.config)
	if err != nil {
		return nil, onetime.Target{}, err
	}
	target, err := onetime.ParseTarget(found[0], region)
	if err != nil {
		return nil, onetime.Target{}, usagef(f.fs, "%w (quote it: a shell takes & and ? for its own)", err)
	}
	return operator, target, nil
}

// openBucket finds the bucket and the credentials for it.
func openBucket(configPath string) (*onetime.Operator, string, error) {
	client, region, conf, err := openClient(configPath)
	if err != nil {
		return nil, "", err
	}
	return &onetime.Operator{
		Ledger: client.Ledger(), Clock: setup.Clock{}, Entropy: rand.Reader, Accepting: conf != nil && conf.Acceptance.On,
	}, region, nil
}

// openClient is openBucket for what is not about URLs. The settings are nil where
// there are none.
func openClient(configPath string) (*s3sdk.Client, string, *config.Config, error) {
	conf, err := verifyConfig(configPath)
	if err != nil {
		return nil, "", nil, err
	}
	bucket, region := bucketOf(conf, "", "")
	switch {
	case bucket == "" && conf != nil:
		return nil, "", nil, conf.Deployable()
	case bucket == "":
		return nil, "", nil, errors.New("there is no config.json here: name it with --config, or the bucket in ONCEGATE_BUCKET")
	}
	provider := environment()
	if provider == nil {
		return nil, "", nil, errors.New("no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN)")
	}
	return s3sdk.New(bucket, region, os.Getenv("AWS_ENDPOINT_URL_S3"), provider), region, conf, nil
}

// statusJSON is a URL as status and list print it. Times are RFC 3339, UTC.
type statusJSON struct {
	ID      onetime.ID    `json:"id"`
	State   onetime.State `json:"state"`
	Key     string        `json:"key,omitempty"`
	Created *time.Time    `json:"created,omitempty"`
	Expires *time.Time    `json:"expires,omitempty"`
	// What was asked for when it was minted, and by which credential.
	Name   string          `json:"name,omitempty"`
	Label  string          `json:"label,omitempty"`
	By     string          `json:"by,omitempty"`
	Limits *onetime.Limits `json:"limits,omitempty"`
	Spent  *spentJSON      `json:"spent,omitempty"`
	Object *objectJSON     `json:"object,omitempty"` // status only: what is stored
}

type spentJSON struct {
	At      *time.Time `json:"at,omitempty"`
	Request string     `json:"request,omitempty"`
	Claim   string     `json:"claim,omitempty"`
}

type objectJSON struct {
	Size    int64     `json:"size"`
	ETag    string    `json:"etag"`
	Version string    `json:"version,omitempty"`
	SHA256  string    `json:"sha256,omitempty"`
	Stored  time.Time `json:"stored"`
}

func statusOf(s onetime.Status) statusJSON {
	out := statusJSON{ID: s.ID, State: s.State, Key: s.Key}
	if e := s.Entry; e != nil {
		out.Created, out.Expires = moment(e.Created), moment(e.Expires)
		out.Name, out.Label, out.By = e.Name, e.Label, e.By
		if e.Limits != (onetime.Limits{}) {
			out.Limits = &e.Limits
		}
	}
	if spent := s.Spent; spent != nil {
		out.Spent = &spentJSON{moment(spent.At), spent.Request, spent.Claim}
	}
	if o := s.Object; o != nil {
		out.Object = &objectJSON{o.Size, o.ETag, o.Version, o.SHA256, *moment(o.Modified)}
	}
	return out
}

// moment is a time with whole seconds in UTC, or nil for none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}

func shownTime(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Format(time.RFC3339)
}

// printable quotes what a terminal might take for more than text: names from a
// token are whatever its issuer lets pass.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// writeJSON writes v on one line.
func writeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
