package verify_test

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/local/s3server/s3servertest"
	"oncegate/internal/verify"
)

// TestAccessLog plays both readings of AWS's page: the log has the viewer's query, or the
// gate's.
func TestAccessLog(t *testing.T) {
	st := newStack(t)
	m := st.Mint(t)
	_, minted, _ := strings.Cut(m.URL, "?")
	signed := strings.NewReplacer("X-Amz-Credential=oncegate", "X-Amz-Credential=ASIAEXAMPLE").Replace(minted) + "&X-Amz-Security-Token=a-token"
	put := func(key, status, query string) {
		t.Helper()
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write([]byte("#Version: 1.0\n#Fields: date time cs-method cs-uri-stem sc-status cs-uri-query\n" +
			"2026-01-01\t00:00:00\tGET\t/url\t200\t-\n" +
			"2026-01-01\t00:00:01\tPUT\t/" + m.Key + "\t" + status + "\t" + query + "\n"))
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := s3servertest.Client(st.S3).PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String(s3servertest.Bucket), Key: &key, Body: bytes.NewReader(b.Bytes()),
		}); err != nil {
			t.Fatal(err)
		}
	}
	line := func(bucket string) verify.Line {
		t.Helper()
		o := options(st)
		o.LogBucket = bucket
		return verify.AccessLog(t.Context(), t, o)
	}
	want := func(l verify.Line, result verify.Result, says string) {
		t.Helper()
		if l.Result != result || !strings.Contains(l.Reason+l.Got+l.Observed, says) || strings.Contains(l.Text(), "a-token") {
			t.Errorf("%s, want %s: %s", l.Text(), result, says)
		}
	}
	want(line(""), verify.Skipped, "--log-bucket")
	want(line(s3servertest.Bucket), verify.Skipped, "no upload in the newest 0 log files")
	put("logs/E1.2026-01-01-00.a.gz", "403", signed) // anybody may send that
	want(line(s3servertest.Bucket), verify.Skipped, "no upload in the newest 1 log files")
	put("logs/E1.2026-01-01-00.b.gz", "200", minted)
	want(line(s3servertest.Bucket), verify.OK, "1 uploads in 2 log files")
	put("logs/E1.2026-01-01-00.c.gz", "200", strings.ReplaceAll(minted, "%", "%25"))
	want(line(s3servertest.Bucket), verify.OK, "2 uploads in 3 log files")
	put("logs/E1.2026-01-01-00.d.gz", "200", signed)
	want(line(s3servertest.Bucket), verify.Fail, "E1.2026-01-01-00.d.gz holds queries that the gate signed")
	want(line("another-bucket"), verify.Fail, "s3:ListBucket on another-bucket")
}
