// Package verify holds a deployment to its promises, from outside: one line per
// promise of the README, each ok, failed or skipped with a reason.
//
// It needs the deployment's URL alone. The promises about the bucket are checked
// when there are credentials for it. A run makes some thirty URLs, spends most of
// them, stores small objects and one large one, and tries with its own credentials
// what the bucket policy must deny. It touches only what it made itself, deletes
// nothing unless that denial is missing (the delete marker is then reported), and
// says which objects it leaves behind.
//
// Requests are written by hand, byte for byte, each on a connection of its own:
// net/http would clean paths, choose the framing and repeat requests. They go
// straight to the host, not through a proxy.
package verify

import (
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

// Options says what to verify. Only URL is needed; what is not known makes lines
// skipped that need it.
type Options struct {
	// URL of the deployment, scheme and host: https://d111111abcdef8.cloudfront.net.
	URL string

	// Bucket and Region of the deployment. Endpoint is where S3 is, empty for AWS.
	Bucket, Region, Endpoint string
	// Credentials for the bucket, or nil.
	Credentials aws.CredentialsProvider

	// Origin is a web origin whose pages may upload, or empty. OtherOrigins says
	// that not every other origin may as well.
	Origin       string
	OtherOrigins bool
	// Expires is how long URLs are meant to live; 0 when not known.
	Expires time.Duration
	// WriteOnce says that the deployment was told to keep objects write-once, SHA256
	// that its URLs may be minted for the SHA-256 of a body.
	WriteOnce, SHA256 bool
	// Credential is for a deployment that asks for one.
	Credential client.Credential

	// OwnerAPI says whether owners may ask for their URLs; nil when not known.
	OwnerAPI *bool

	LargeBytes int64         // size of the large upload; 0 means 32 MiB
	EarlyBytes int64         // size of the body that is refused early; 0 means 64 MiB
	Timeout    time.Duration // of the whole run; 0 means 5 minutes

	// RootCAs replaces the system's certificate authorities, for tests.
	RootCAs *x509.CertPool
	// Line, if set, is told each line as soon as it is there.
	Line func(Line)
}

// Result is how a promise fared.
type Result string

// The results there are.
const (
	OK      Result = "ok"
	Fail    Result = "FAIL"
	Skipped Result = "skipped"
)

// Line is one promise and how it fared.
type Line struct {
	ID       string `json:"id"`      // stable, for scripts
	Promise  string `json:"promise"` // one sentence
	Result   Result `json:"result"`
	Reason   string `json:"reason,omitempty"`   // why it was skipped
	Expected string `json:"expected,omitempty"` // when it failed
	Got      string `json:"got,omitempty"`      // when it failed
	Observed string `json:"observed,omitempty"` // what was seen besides
}

// Report is a whole run.
type Report struct {
	URL      string   `json:"url"`
	OK       bool     `json:"ok"` // no line failed
	Lines    []Line   `json:"lines"`
	Left     []string `json:"left"` // keys of objects that may be left in the bucket
	Requests int      `json:"requests"`
	Seconds  float64  `json:"seconds"`
}

// Count says how many lines have this result.
func (r Report) Count(result Result) int {
	n := 0
	for _, l := range r.Lines {
		if l.Result == result {
			n++
		}
	}
	return n
}

// Run verifies a deployment. The error says that it could not begin, or that ctx
// ended; what a deployment gets wrong is in the report.
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
		report.OK = report.OK && l.Result != Fail
		if o.Line != nil {
			o.Line(l)
		}
	}
	report.Left = r.left()
	report.Requests = r.requests
	report.Seconds = time.Since(began).Seconds()
	return report, nil
}

// run is a run under way. Lines are checked one after the other.
type run struct {
	o      Options
	base   string // scheme://host
	host   string // as in the Host header
	addr   string // host:port
	tls    *tls.Config
	bucket *bucket // nil without credentials
	why    string  // there is no bucket

	results  map[string]Result
	observed []string  // by the line under way
	answers  []*answer // of the deployment, all of them
	requests int       // of both deployment and S3's own host
	young    int       // how often S3 did not know an entry that it had just stored
	urls     []*minted // every URL that was made

	// What lines hand on to later ones.
	first, raced, large     *minted
	mintAnswer, firstAnswer *answer // to the first GET /url and the first PUT
	winner                  string  // body that won the race
	largeSum                string  // SHA-256 of the large body
	refused                 []attempt
}

// attempt is a URL that must have survived what a line did to it.
type attempt struct {
	line string
	m    *minted
}

func newRun(o Options) (*run, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		u = &url.URL{} // the error might repeat more than it should
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
		r.why = "no AWS credentials in the environment"
	default:
		r.bucket = newBucket(r.o)
	}
	return r, nil
}

// noS3 says why the bucket's own host cannot be asked, or "".
func (r *run) noS3() string {
	switch {
	case r.o.Bucket == "" || r.o.Region == "":
		return "the bucket is not known: give --config, or --bucket and --region"
	case r.tls == nil && r.o.Endpoint == "":
		// The bucket of that name at AWS would be somebody else's.
		return "the deployment is plain http, so its S3 is not AWS: set AWS_ENDPOINT_URL_S3 (make dev writes build/dev/env)"
	}
	return ""
}

// promise is a line to be checked.
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
		default:
			return skip("it needs %s", id)
		}
	}
	return p.check(r, ctx)
}

// observe notes what was seen, for the line under way.
func (r *run) observe(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(r.observed, text) {
		r.observed = append(r.observed, text)
	}
}

// survives notes that the line has not spent the URL, as a later line will check.
func (r *run) survives(line string, m *minted) { r.refused = append(r.refused, attempt{line, m}) }

// left lists what the run may leave in the bucket: for every URL its valid entry,
// and for those that were put what the gate and S3 made of it.
func (r *run) left() []string {
	var keys []string
	for _, m := range r.urls {
		keys = append(keys, m.id.ValidKey())
		if m.spent {
			keys = append(keys, m.id.ExpiredKey())
		}
		if m.stored {
			keys = append(keys, m.key)
		}
	}
	return keys
}

// mismatch is a broken promise.
type mismatch struct{ expected, got string }

func (m *mismatch) Error() string { return "expected " + m.expected + ", got " + m.got }

func want(expected, got string, args ...any) error {
	return &mismatch{expected, fmt.Sprintf(got, args...)}
}

// skipped is a promise that could not be checked.
type skipped struct{ reason string }

func (s *skipped) Error() string { return s.reason }

func skip(reason string, args ...any) error { return &skipped{fmt.Sprintf(reason, args...)} }
