package doctor_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"oncegate/internal/config"
	"oncegate/internal/doctor"
	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
)

// TestLocalS3 asks a real S3 server, which has about half of these configurations. What it does
// not know the lines do not know either, and say so.
func TestLocalS3(t *testing.T) {
	o := s3servertest.Options(t)
	s, err := s3server.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	operator := credentials.NewStaticCredentialsProvider(o.Operator.AccessKeyID, o.Operator.SecretAccessKey, "")
	client := s3.New(s3.Options{Region: o.Region, Credentials: operator, BaseEndpoint: aws.String(s.URL()), UsePathStyle: true})
	acl, err := client.GetBucketAcl(t.Context(), &s3.GetBucketAclInput{Bucket: &o.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>a</Arn><Account>%s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`, *acl.Owner.ID)
	}))
	t.Cleanup(sts.Close)
	conf, err := config.Parse([]byte(`{"bucket":"` + o.Bucket + `","region":"` + o.Region + `","existingBucket":true}`))
	if err != nil {
		t.Fatal(err)
	}
	results := func() map[string]doctor.Result {
		report, err := doctor.Run(t.Context(), doctor.Options{Settings: conf, Credentials: operator, Endpoint: func(service string) string {
			if service == "s3" {
				return s.URL()
			}
			return sts.URL
		}})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]doctor.Result{}
		for _, l := range report.Lines {
			if strings.HasPrefix(l.ID, "bucket-") {
				got[l.ID] = l.Result
			}
			if l.Result == doctor.Unclear && strings.HasPrefix(l.ID, "bucket-") && !strings.Contains(l.Found, "NotImplemented") {
				t.Errorf("%s", l.Text())
			}
		}
		return got
	}
	want := map[string]doctor.Result{
		"bucket-keys": doctor.OK, "bucket-versions": doctor.OK, "bucket-policy": doctor.Fail, "bucket-public": doctor.Unclear, "bucket-ownership": doctor.OK,
		"bucket-encryption": doctor.Unclear, "bucket-lifecycle": doctor.Unclear, "bucket-events": doctor.Unclear, "bucket-cors": doctor.OK, "bucket-lock": doctor.OK,
	}
	if got := results(); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &o.Bucket, Key: aws.String("uploads/cat.jpg"), Body: strings.NewReader("cat")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &o.Bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: "Suspended"}}); err != nil {
		t.Fatal(err)
	}
	want["bucket-keys"], want["bucket-versions"] = doctor.Fail, doctor.Fail
	if got := results(); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
