// Package doctor looks at an AWS account before oncegate is deployed to it: what the deploy, and
// verify after it, will run into. It only reads. Each check is one line, with what to do.
package doctor

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"oncegate/internal/config"
)

// Options says what to look at. Only Settings is required.
type Options struct {
	Settings config.Config
	// Credentials for the account, or nil; then NoCredentials says why, and Renew what to do.
	Credentials          aws.CredentialsProvider
	NoCredentials, Renew string
	// Endpoint returns where a service is: s3, sts and so on. "" is AWS. It may be nil.
	Endpoint func(service string) string
	// LookupCNAME returns the last name that a host leads to. nil asks no DNS.
	LookupCNAME func(ctx context.Context, host string) (string, error)
	// Tool runs a program and returns what it prints. nil asks for none.
	Tool func(ctx context.Context, name string, args ...string) (string, error)
	// Dir is the folder of the repository.
	Dir string
	// Line, if set, is called with each line as soon as it is known.
	Line func(Line)
}

// Result says what a check has found.
type Result string

// Every result.
const (
	OK      Result = "ok"
	Fail    Result = "FAIL"
	Unclear Result = "unclear" // nobody can say, or these credentials may not ask
	Skipped Result = "skipped" // there is nothing to ask
)

// Line is one check.
type Line struct {
	ID     string `json:"id"` // stable, for scripts
	Result Result `json:"result"`
	Found  string `json:"found"`        // in a sentence
	Do     string `json:"do,omitempty"` // what to do about it
}

// Text returns the line for people, without a line break at its end.
func (l Line) Text() string {
	s := fmt.Sprintf("%-7s %-18s %s", l.Result, l.ID, l.Found)
	if l.Do != "" {
		const margin = "\n                           "
		s += margin + strings.ReplaceAll(l.Do, "\n", margin)
	}
	return s
}

// Report is a whole run.
type Report struct {
	OK    bool   `json:"ok"` // no line failed
	Lines []Line `json:"lines"`
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

// limit bounds each check.
const limit = 20 * time.Second

// step is one line. It fills in the rest of a Line with this id.
type step struct {
	id      string
	account bool // needs credentials that work
	run     func(*run, context.Context) Line
}

// steps are the lines in order. The ids do not change. After the one about the bucket come those
// of existing, if there is one.
var steps = []step{
	{"go", false, (*run).goVersion},
	{"node", false, (*run).nodeVersion},
	{"npm", false, (*run).npmVersion},
	{"cdk", false, (*run).cdkVersion},
	{"account", false, (*run).account},
	{"bootstrap-edge", true, func(r *run, ctx context.Context) Line { return r.bootstrap(ctx, edgeRegion) }},
	{"bootstrap-bucket", true, (*run).bootstrapBucket},
	{"concurrency-edge", true, func(r *run, ctx context.Context) Line { return r.concurrency(ctx, edgeRegion) }},
	{"concurrency-bucket", true, (*run).concurrencyBucket},
	{"stacks", true, (*run).stacks},
	{"bucket", true, (*run).bucket},
	{"table", true, (*run).table},
	{"certificate", true, (*run).certificate},
	{"domain", true, (*run).domain},
	{"cloudfront", true, (*run).cloudfront},
}

// edgeRegion is where Lambda@Edge functions, their stack and a distribution's certificate are.
const edgeRegion = "us-east-1"

// run is one run in progress.
type run struct {
	o      Options
	conf   config.Config
	client *http.Client

	id string // of the account, "" until it is known
	// From the line about stacks: looked, it could read them; deployed, the edge's stack exists.
	looked, deployed bool
	// found: the bucket is there, and is the account's. bucketReader reads its parts, if it was
	// there before oncegate.
	found        bool
	bucketReader *bucketReader
	// The account's distributions, and why they are not known. Two lines need them.
	distributions []distribution
	listed        bool
	listErr       error
}

// Run makes all checks. It returns an error only if ctx ended.
func Run(ctx context.Context, o Options) (Report, error) {
	r := &run{o: o, conf: o.Settings, client: &http.Client{
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	report := Report{OK: true}
	all := steps
	if o.Settings.Deploy.ExistingBucket {
		i := 1 + slices.IndexFunc(steps, func(c step) bool { return c.id == "bucket" })
		all = slices.Insert(slices.Clone(steps), i, existing()...)
	}
	for _, c := range all {
		l := r.line(ctx, c)
		if err := ctx.Err(); err != nil {
			return Report{}, err
		}
		l.ID = c.id
		report.Lines = append(report.Lines, l)
		report.OK = report.OK && l.Result != Fail
		if o.Line != nil {
			o.Line(l)
		}
	}
	return report, nil
}

func (r *run) line(ctx context.Context, c step) Line {
	if c.account && r.id == "" {
		return Line{Result: Skipped, Found: "it needs the account"}
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return c.run(r, ctx)
}

func found(result Result, format string, args ...any) Line {
	return Line{Result: result, Found: fmt.Sprintf(format, args...)}
}

// do adds what to do.
func (l Line) do(format string, args ...any) Line {
	l.Do = fmt.Sprintf(format, args...)
	return l
}
