package s3server_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
)

// TestConditionalDelete: what is not there is 404 and stays as it is, a mismatch 412.
func TestConditionalDelete(t *testing.T) {
	s := s3servertest.New(t)
	c := s3servertest.Client(s)
	remove := func(key, etag string) error {
		_, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket(), Key: &key, IfMatch: &etag})
		return err
	}
	markers := func() int {
		out, err := c.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: bucket()})
		if err != nil {
			t.Fatal(err)
		}
		return len(out.DeleteMarkers)
	}
	put(t, c, "uploads/there", "x")
	head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket(), Key: aws.String("uploads/there")})
	if err != nil {
		t.Fatal(err)
	}
	etag := aws.ToString(head.ETag)

	for _, condition := range []string{etag, "*"} {
		if err := remove("uploads/never", condition); status(err) != 404 || code(err) != "NoSuchKey" {
			t.Errorf("what never was, if it is %s: %v, want 404 NoSuchKey", condition, err)
		}
	}
	if err := remove("uploads/there", `"other"`); status(err) != 412 {
		t.Errorf("another: %v, want 412", err)
	}
	if n := markers(); n != 0 {
		t.Errorf("%d delete markers", n)
	}
	if err := remove("uploads/there", etag); err != nil {
		t.Fatal(err)
	}
	// What lies under the marker has this ETag still, and is not the current version.
	if err := remove("uploads/there", etag); status(err) != 404 || code(err) != "NoSuchKey" {
		t.Errorf("under a marker: %v, want 404 NoSuchKey", err)
	}
	if n := markers(); n != 1 {
		t.Errorf("%d delete markers, want 1", n)
	}
	// Without a condition another marker comes on top, as in S3.
	if _, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket(), Key: aws.String("uploads/there")}); err != nil || markers() != 2 {
		t.Errorf("without a condition: %v, %d markers", err, markers())
	}
	if _, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket(), Key: aws.String("uploads/never")}); err != nil {
		t.Errorf("without a condition, of what never was: %v", err)
	}
}

// TestDeleteOfGoneVersion: it is as good as deleted; an id of another form is none.
func TestDeleteOfGoneVersion(t *testing.T) {
	s := s3servertest.New(t)
	c := s3servertest.Client(s)
	remove := func(key, version string) (*s3.DeleteObjectOutput, error) {
		return c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket(), Key: &key, VersionId: &version})
	}
	gone := put(t, c, "k", "first")
	current := put(t, c, "k", "second")
	for try := range 3 {
		for _, key := range []string{"k", "never"} {
			out, err := remove(key, gone)
			if err != nil || aws.ToString(out.VersionId) != gone {
				t.Errorf("%s, time %d: %+v, %v", key, try+1, out, err)
			}
		}
	}
	if _, err := remove("k", "null"); err != nil {
		t.Errorf("null: %v", err)
	}
	for _, id := range []string{"x", gone[:25], gone + "0", "U" + gone[1:], gone[:25] + "!"} {
		if _, err := remove("k", id); status(err) != 400 || code(err) != "InvalidArgument" {
			t.Errorf("version id %s: %v, want 400 InvalidArgument", id, err)
		}
	}
	if got := get(t, c, "k"); got != "second" {
		t.Errorf("there is %q", got)
	}
	if out, err := remove("k", current); err != nil || aws.ToString(out.VersionId) != current {
		t.Errorf("the current version: %+v, %v", out, err)
	}
}

// TestDeleteTellsNoMore: who may not delete is not told what there is.
func TestDeleteTellsNoMore(t *testing.T) {
	gate := gateRole()
	s := guarded(t, []s3server.Role{gate})
	operator, c := s3servertest.Client(s), s3servertest.ClientAs(s, gate)
	gone := put(t, operator, "uploads/hidden", "x")
	put(t, operator, "uploads/hidden", "y")
	for _, version := range []*string{&gone, nil} {
		if _, err := operator.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket(), Key: aws.String("uploads/hidden"), VersionId: version}); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"uploads/hidden", "uploads/never"} {
		for _, input := range []*s3.DeleteObjectInput{{IfMatch: aws.String(`"x"`)}, {VersionId: &gone}} {
			input.Bucket, input.Key = bucket(), &key
			if _, err := c.DeleteObject(t.Context(), input); status(err) != 403 || code(err) != "AccessDenied" {
				t.Errorf("%s: %v, want 403 AccessDenied", key, err)
			}
		}
	}
}

// TestConditionalReplace: what is not there is 404 and does not come back, a mismatch 412.
func TestConditionalReplace(t *testing.T) {
	s := s3servertest.New(t)
	c := s3servertest.Client(s)
	replace := func(key, etag string) error {
		_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket(), Key: &key, IfMatch: &etag, Body: strings.NewReader("new")})
		return err
	}
	put(t, c, "uploads/there", "x")
	head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket(), Key: aws.String("uploads/there")})
	if err != nil {
		t.Fatal(err)
	}
	if err := replace("uploads/never", aws.ToString(head.ETag)); status(err) != 404 || code(err) != "NoSuchKey" {
		t.Errorf("what never was: %v, want 404 NoSuchKey", err)
	}
	if err := replace("uploads/there", `"other"`); status(err) != 412 || code(err) != "PreconditionFailed" {
		t.Errorf("another: %v, want 412", err)
	}
	if got := get(t, c, "uploads/there"); got != "x" {
		t.Errorf("after a refusal there is %q", got)
	}
	if _, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket(), Key: aws.String("uploads/there")}); err != nil {
		t.Fatal(err)
	}
	if err := replace("uploads/there", aws.ToString(head.ETag)); status(err) != 404 || code(err) != "NoSuchKey" {
		t.Errorf("under a marker: %v, want 404 NoSuchKey", err)
	}
	put(t, c, "uploads/there", "y")
	if err := replace("uploads/there", `"415290769594460e2e485922904f345d"`); err != nil {
		t.Errorf("of what is there: %v", err)
	}
	if got := get(t, c, "uploads/there"); got != "new" {
		t.Errorf("there is %q", got)
	}
}
