package verify_test

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/client"
	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server/s3servertest"
	"oncegate/internal/verify"
)

// newStack gives functions more time than they have at the real edge: these tests
// are about what the suite sees, and may run on a busy machine.
func newStack(t *testing.T, options ...testbed.Option) *testbed.Stack {
	t.Helper()
	patience := func(s *testbed.Setup) { s.Settings["timeout"] = 30 }
	return testbed.New(t, append([]testbed.Option{patience}, options...)...)
}

// options verifies a stack with all there is to know about it.
func options(st *testbed.Stack) verify.Options {
	page := true // by default
	return verify.Options{
		URL:    st.Edge.URL(),
		Page:   &page,
		Bucket: s3servertest.Bucket, Region: s3servertest.Region, Endpoint: st.S3.URL(),
		Credentials: credentials.NewStaticCredentialsProvider(s3servertest.AccessKey, s3servertest.SecretKey, ""),
		LargeBytes:  4 << 20,
		EarlyBytes:  16 << 20,
	}
}

// check runs the suite and holds the lines that fail to exactly these.
func check(t *testing.T, o verify.Options, wantFailed ...string) verify.Report {
	t.Helper()
	report, err := verify.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var failed []string
	unclear := false
	for _, l := range report.Lines {
		if l.Result == verify.Fail {
			failed = append(failed, l.ID)
		}
		unclear = unclear || l.Result == verify.Unclear
	}
	if !slices.Equal(failed, wantFailed) {
		t.Errorf("failed %v, want %v", failed, wantFailed)
	}
	if report.OK != (len(failed) == 0 && !unclear) {
		t.Errorf("ok is %v with %d failed lines, unclear ones %v", report.OK, len(failed), unclear)
	}
	if t.Failed() || testing.Verbose() {
		for _, l := range report.Lines {
			t.Log(l.Text())
		}
		t.Logf("%d requests in %.1f s, %d objects", report.Requests, report.Seconds, len(report.Left))
	}
	return report
}

// TestGoodDeployment keeps every promise, and the run leaves what it says it leaves.
func TestGoodDeployment(t *testing.T) {
	regional := func(s *testbed.Setup) { s.Settings["runtime"] = "regional" }
	for name, with := range map[string][]testbed.Option{
		"conditional": nil, "listed": {testbed.Listed}, "regional": {regional}, "regional, listed": {regional, testbed.Listed},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStack(t, with...)
			o := options(st)
			var told int
			o.Line = func(verify.Line) { told++ }
			report := check(t, o)
			if told != len(report.Lines) {
				t.Errorf("told of %d lines, reported %d", told, len(report.Lines))
			}
			out, err := s3servertest.Client(st.S3).ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String(s3servertest.Bucket)})
			if err != nil {
				t.Fatal(err)
			}
			var there []string
			for _, v := range out.Versions {
				if aws.ToBool(v.IsLatest) {
					there = append(there, aws.ToString(v.Key))
				}
			}
			slices.Sort(there)
			slices.Sort(report.Left)
			if !slices.Equal(there, report.Left) {
				t.Errorf("in the bucket:\n%s\nreported:\n%s", strings.Join(there, "\n"), strings.Join(report.Left, "\n"))
			}
			if len(out.DeleteMarkers) > 0 {
				t.Errorf("%d delete markers", len(out.DeleteMarkers))
			}
		})
	}
}

// TestLines: ids are for scripts, sentences for people.
func TestLines(t *testing.T) {
	// Nothing listens there, so that every line is as quick as can be.
	report, err := verify.Run(t.Context(), verify.Options{URL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	id := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	seen := map[string]bool{}
	for _, l := range report.Lines {
		if !id.MatchString(l.ID) || len(l.ID) > 20 || seen[l.ID] || l.Promise == "" {
			t.Errorf("line %+v", l)
		}
		seen[l.ID] = true
		if l.Result == verify.OK {
			t.Errorf("%s is ok though nothing answers", l.ID)
		}
		if l.Result == verify.Skipped && l.Reason == "" || l.Result == verify.Fail && (l.Expected == "" || l.Got == "") {
			t.Errorf("line without a reason: %+v", l)
		}
	}
	if report.OK {
		t.Error("the report is ok though nothing answers")
	}
}

func TestTimeIsOver(t *testing.T) {
	o := verify.Options{URL: "http://127.0.0.1:1", Timeout: time.Nanosecond}
	report, err := verify.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if report.OK || report.Count(verify.Fail) != len(report.Lines) {
		t.Errorf("ok %v, %d of %d lines failed, want all", report.OK, report.Count(verify.Fail), len(report.Lines))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := verify.Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// TestCredential: a deployment that asks for one.
func TestCredential(t *testing.T) {
	o := withKeys(t, map[string]any{"auth": "api-key"})
	_, key := o.Credential.Header()
	for _, l := range check(t, o).Lines {
		if strings.Contains(l.Text(), key) {
			t.Errorf("%s shows the key", l.ID)
		}
	}
	alone := o
	alone.Credential = client.Credential{}
	if l := lineOf(t, check(t, alone, "mint"), "mint"); !strings.Contains(l.Got, "credential-missing: the deployment asks for a credential") {
		t.Errorf("without a credential: %s", l.Text())
	}
	o.URL = "http://deployment.example"
	if _, err := verify.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "plain http") {
		t.Errorf("a key over plain http: %v", err)
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []verify.Options{
		{}, {URL: "d111111abcdef8.cloudfront.net"}, {URL: "ftp://a.example"}, {URL: "https://a.example/url"},
		{URL: "https://a.example?x"}, {URL: "https://me@a.example"}, {URL: "https://a.example", LargeBytes: -1},
		{URL: "https://a.example", LargeBytes: 5<<30 + 1}, {URL: "https://a.example", Timeout: -1},
	} {
		if _, err := verify.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "allowed is") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
