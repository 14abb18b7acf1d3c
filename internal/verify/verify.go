// Package verify checks a deployment's promises from outside. Each promise is one line:
// ok, failed, unclear because CloudFront throttled, or skipped with a reason.
//
// It needs only the deployment's URL. With credentials for the bucket it also checks the
// promises about the bucket. A run makes some thirty URLs and spends most of them. It
// stores small objects and one large one. With its own credentials it tries what the
// bucket policy must deny. It touches only what it made itself. It deletes nothing, unless
// that denial is missing; then it reports the delete marker. It says which objects it
// leaves behind.
//
// Requests are written byte for byte, each on its own connection, because net/http would
// clean paths, choose the framing and repeat requests. They go straight to the host, not
// through a proxy.
package verify

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"oncegate/internal/client"
)

// Options says what to verify. Only URL is required. Lines that need a field that is not
// set are skipped.
type Options struct {
	// URL of the deployment, scheme and host: https://d111111abcdef8.cloudfront.net.
	URL string

	// Bucket and Region of the deployment. Endpoint is where S3 is, empty for AWS.
	Bucket, Region, Endpoint string
	// Index is where the index is, s3 (or empty) or dynamodb. TableEndpoint is where DynamoDB
	// is, empty for AWS.
	Index, TableEndpoint string
	// Versioned is the setting of this name; nil when not known.
	Versioned *bool
	// LogBucket is that of CloudFront's access logs, or empty.
	LogBucket string
	// Credentials for the buckets, or nil; then NoCredentials may say why.
	Credentials   aws.CredentialsProvider
	NoCredentials string

	// Origin is a web origin whose pages may upload, or empty. OtherOrigins says that
	// the pages of every other origin may, too.
	Origin       string
	OtherOrigins bool
	// Expires is how long URLs are meant to live; 0 when not known.
	Expires time.Duration
	// WriteOnce and SHA256 are the settings of these names.
	WriteOnce, SHA256 bool
	// Tags is the setting of this name; nil when not known.
	Tags []string
	// Credential is for minting, if the deployment asks for one.
	Credential client.Credential

	// OwnerAPI is the setting of this name; nil when not known.
	OwnerAPI *bool
	// Page says whether the settings have the page for people; nil when not known.
	Page *bool

	LargeBytes int64         // size of the large upload; 0 means 32 MiB
	EarlyBytes int64         // size of the body that is refused early; 0 means 64 MiB
	Timeout    time.Duration // of the whole run; 0 means 5 minutes

	// RootCAs replaces the system's certificate authorities, for tests.
	RootCAs *x509.CertPool
	// Line, if set, is called with each line as soon as it is known.
	Line func(Line)
}

// Result says whether a promise was kept.
type Result string

// Every result.
const (
	OK      Result = "ok"
	Fail    Result = "FAIL"
	Unclear Result = "unclear" // it was tried, and the answers do not tell
	Skipped Result = "skipped" // it was not tried
)

// Line is one promise and its result.
type Line struct {
	ID       string `json:"id"`      // stable, for scripts
	Promise  string `json:"promise"` // one sentence
	Result   Result `json:"result"`
	Reason   string `json:"reason,omitempty"`   // why it was skipped, or is unclear
	Expected string `json:"expected,omitempty"` // when it failed, or is unclear
	Got      string `json:"got,omitempty"`      // when it failed, or is unclear
	Observed string `json:"observed,omitempty"` // what else was seen
}

// Report is a whole run.
type Report struct {
	URL      string   `json:"url"`
	OK       bool     `json:"ok"` // no line failed, and none is unclear
	Lines    []Line   `json:"lines"`
	Left     []string `json:"left"` // keys of objects and items that may be left
	Requests int      `json:"requests"`
	Seconds  float64  `json:"seconds"`
}

// Count returns how many lines have this result.
func (r Report) Count(result Result) int {
	n := 0
	for _, l := range r.Lines {
		if l.Result == result {
			n++
		}
	}
	return n
}

// Run verifies a deployment. It returns an error if it could not begin or if ctx ended.
// Broken promises are in the report, not in the error.
func Run(ctx context.Context, o Options) (Report, error) {
	r, err := newRun(o)
	if err != nil {
		return Report{}, err
	}
	began := time.Now()
	timed, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	report := Report{URL: r.base, OK: true}
	for _, p := range promises {
		l := r.line(timed, p)
		if err := ctx.Err(); err != nil {
			return Report{}, err
		}
		r.results[p.id] = l.Result
		report.Lines = append(report.Lines, l)
		report.OK = report.OK && l.Result != Fail && l.Result != Unclear
		if o.Line != nil {
			o.Line(l)
		}
	}
	report.Left = r.left()
	report.Requests = r.requests
	report.Seconds = time.Since(began).Seconds()
	return report, nil
}

// run is one run in progress. Lines are checked one after the other.
type run struct {
	o      Options
	base   string // scheme://host
	host   string // as in the Host header
	addr   string // host:port
	tls    *tls.Config
	bucket *bucket // nil without credentials
	why    string  // why there is no bucket

	results  map[string]Result
	observed []string  // by the current line
	answers  []*answer // of the deployment, all of them
	requests int       // of both deployment and S3's own host
	young    int       // how often S3 did not know an entry it had just stored
	urls     []*minted // every URL that was made
	slot     string    // key of the slot that was made, if one was

	// What later lines need from earlier ones.
	first, raced, large     *minted
	mintAnswer, firstAnswer *answer // to the first GET /url and the first PUT
	winner                  string  // body that won the race
	largeSum                string  // SHA-256 of the large body
	refused                 []attempt
}

// attempt is a URL that a line tried and must not have spent.
type attempt struct {
	line string
	m    *minted
}

func newRun(o Options) (*run, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		u = &url.URL{} // the error might repeat a secret
	}
	if _, err := client.New(o.URL, o.Credential); err != nil {
		return nil, err
	}
	for _, d := range []struct {
		name  string
		value *int64
		usual int64
	}{{"large body", &o.LargeBytes, 32 << 20}, {"refused body", &o.EarlyBytes, 64 << 20}} {
		if *d.value == 0 {
			*d.value = d.usual
		}
		if *d.value < 1 || *d.value > 5<<30 {
			return nil, fmt.Errorf("%s of %d bytes: allowed is 1 to 5368709120", d.name, *d.value)
		}
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Minute
	}
	if o.Timeout < 0 {
		return nil, fmt.Errorf("timeout %v: allowed is more than 0", o.Timeout)
	}
	r := &run{o: o, host: strings.ToLower(u.Host), results: map[string]Result{}}
	r.base = u.Scheme + "://" + r.host
	port := u.Port()
	if u.Scheme == "https" {
		r.tls = &tls.Config{ServerName: u.Hostname(), RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
		if port == "" {
			port = "443"
		}
	} else if port == "" {
		port = "80"
	}
	r.addr = net.JoinHostPort(u.Hostname(), port)

	switch r.why = r.noS3(); {
	case r.why != "":
	case o.Credentials == nil:
		r.why = cmp.Or(o.NoCredentials, "no AWS credentials")
	default:
		r.bucket = newBucket(r.o)
	}
	return r, nil
}

// noS3 says why S3 itself cannot be asked, or "".
func (r *run) noS3() string {
	switch {
	case r.o.Bucket == "" || r.o.Region == "":
		return "the bucket is not known: give --config, or --bucket and --region"
	case r.tls == nil && r.o.Endpoint == "":
		// At AWS a bucket of this name would belong to somebody else.
		return "the deployment is plain http, so its S3 is not AWS: set AWS_ENDPOINT_URL_S3 (make dev writes build/dev/env)"
	case r.o.inTable() && (r.o.Endpoint == "") != (r.o.TableEndpoint == ""):
		return "of AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL_DYNAMODB only one is set (make dev writes build/dev/env)"
	}
	return ""
}

// promise is one line to check.
type promise struct {
	id, text string
	needs    []string // lines that must be ok for this one to mean anything
	bucket   bool     // needs credentials
	check    func(*run, context.Context) error
}

// line checks one promise.
func (r *run) line(ctx context.Context, p promise) Line {
	l := Line{ID: p.id, Promise: p.text}
	r.observed = nil
	before := len(r.answers)
	err := r.check(ctx, p)
	l.Observed = strings.Join(r.observed, "; ")
	var skip *skipped
	var wrong *mismatch
	switch {
	case err == nil:
		l.Result = OK
	case errors.As(err, &skip):
		l.Result, l.Reason = Skipped, skip.reason
	case errors.As(err, &wrong):
		l.Result, l.Expected, l.Got = Fail, wrong.expected, wrong.got
		// The last answer of a line is the one that did not fit.
		last := len(r.answers) - 1
		if wrong.throttled || last >= before && r.answers[last].throttled() && !wrong.certain {
			l.Result, l.Reason = Unclear, throttledReason
		}
	default:
		l.Result, l.Expected, l.Got = Fail, "an answer", err.Error()
	}
	return l
}

func (r *run) check(ctx context.Context, p promise) error {
	if ctx.Err() != nil {
		return want("to be checked", "not run: the %v for the whole run are over", r.o.Timeout)
	}
	if p.bucket && r.bucket == nil {
		return skip("%s", r.why)
	}
	for _, id := range p.needs {
		switch r.results[id] {
		case OK:
		case Fail:
			return skip("%s failed", id)
		case Unclear:
			return skip("%s is unclear", id)
		default:
			return skip("it needs %s", id)
		}
	}
	return p.check(r, ctx)
}

// observe notes what was seen, for the current line.
func (r *run) observe(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(r.observed, text) {
		r.observed = append(r.observed, text)
	}
}

// survives notes that the line must not have spent the URL; a later line checks that.
func (r *run) survives(line string, m *minted) { r.refused = append(r.refused, attempt{line, m}) }

// left lists what the run may leave in the bucket: the valid entry of every URL, and the
// expired entry and the object of those that were used, the parts entry of those in parts. In
// a table a URL is one item.
func (r *run) left() []string {
	var keys []string
	for _, m := range r.urls {
		if r.o.inTable() {
			keys = append(keys, "url#"+string(m.id[:1])+" "+string(m.id))
			if m.stored {
				keys = append(keys, m.key)
			}
			continue
		}
		keys = append(keys, m.id.ValidKey())
		if m.spent {
			keys = append(keys, m.id.ExpiredKey())
		}
		if m.parts {
			keys = append(keys, m.id.PartsKey())
		}
		if m.stored {
			keys = append(keys, m.key)
		}
	}
	if r.slot != "" {
		keys = append(keys, r.slot)
	}
	return keys
}

// mismatch is a broken promise. If throttled, CloudFront's own 503s may be the reason. If
// certain, they cannot be.
type mismatch struct {
	expected, got      string
	throttled, certain bool
}

func (m *mismatch) Error() string { return "expected " + m.expected + ", got " + m.got }

// optionsRefused reports whether a mint was refused for its options, and what was answered.
func optionsRefused(err error) (got string, refused bool) {
	wrong, ok := errors.AsType[*mismatch](err)
	if !ok || wrong.got != "400 options" {
		return "", false
	}
	return wrong.got, true
}

func want(expected, got string, args ...any) error {
	return &mismatch{expected: expected, got: fmt.Sprintf(got, args...)}
}

// skipped is a promise that could not be checked.
type skipped struct{ reason string }

func (s *skipped) Error() string { return s.reason }

func skip(reason string, args ...any) error { return &skipped{fmt.Sprintf(reason, args...)} }
