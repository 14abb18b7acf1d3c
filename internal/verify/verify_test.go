package verify_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"oncegate/internal/locals3"
	"oncegate/internal/locals3/locals3test"
	"oncegate/internal/localstack"
	"oncegate/internal/verify"
)

// bucketPolicy stands for the two denials of the deployment's bucket policy.
func bucketPolicy(r *http.Request) locals3.Fault {
	index := strings.Contains(r.URL.Path, "/signatures/")
	if r.Method == http.MethodDelete && index && !r.URL.Query().Has("versionId") ||
		r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/signatures/expired/") && r.Header.Get("If-None-Match") == "" {
		return locals3.Fault{Kind: locals3.Answer, Status: http.StatusForbidden}
	}
	return locals3.Fault{}
}

// options verifies a stack with all there is to know about it.
func options(st *localstack.Stack) verify.Options {
	return verify.Options{
		URL:    st.Edge.URL(),
		Bucket: locals3test.Bucket, Region: locals3test.Region, Endpoint: st.S3.URL(),
		Credentials: credentials.NewStaticCredentialsProvider(locals3test.AccessKey, locals3test.SecretKey, ""),
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
	for _, l := range report.Lines {
		if l.Result == verify.Fail {
			failed = append(failed, l.ID)
		}
	}
	if !slices.Equal(failed, wantFailed) {
		t.Errorf("failed %v, want %v", failed, wantFailed)
	}
	if report.OK != (len(failed) == 0) {
		t.Errorf("ok is %v with %d failed lines", report.OK, len(failed))
	}
	if t.Failed() || testing.Verbose() {
		for _, l := range report.Lines {
			t.Log(l.Text())
		}
		t.Logf("%d requests in %.1f s, %d objects", report.Requests, report.Seconds, len(report.Left))
	}
	return report
}

func TestGoodDeployment(t *testing.T) {
	st := localstack.New(t)
	st.EveryRequest(bucketPolicy)
	check(t, options(st))
}
