package s3server_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
)

// TestUnversioned: the bucket keeps the last object of a key alone, still takes one
// conditional PUT of many, and a DELETE leaves nothing. One that had versions is suspended.
func TestUnversioned(t *testing.T) {
	dir := t.TempDir()
	unversioned := func(o *s3server.Options) { o.Unversioned, o.Dir = true, dir }
	c := s3servertest.Client(s3servertest.New(t, unversioned))
	ctx, key := t.Context(), aws.String("uploads/a")
	status, err := c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: bucket()})
	if err != nil || status.Status != "" {
		t.Fatalf("versioning is %q, %v", status.Status, err)
	}
	for i, body := range []string{"first", "second"} {
		out, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket(), Key: key, Body: strings.NewReader(body)})
		if err != nil || out.VersionId != nil {
			t.Errorf("PUT %d: version %q, %v", i, aws.ToString(out.VersionId), err)
		}
	}
	if _, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket(), Key: key, Body: strings.NewReader("x"), IfNoneMatch: aws.String("*")}); err == nil {
		t.Error("a conditional PUT over an object succeeds")
	}
	list := func() *s3.ListObjectVersionsOutput {
		out, err := c.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: bucket()})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if all := list(); len(all.Versions) != 1 || aws.ToString(all.Versions[0].VersionId) != "null" || aws.ToInt64(all.Versions[0].Size) != int64(len("second")) {
		t.Errorf("the versions are %+v", all.Versions)
	}
	if _, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket(), Key: key}); err != nil {
		t.Fatal(err)
	}
	if all := list(); len(all.Versions)+len(all.DeleteMarkers) != 0 {
		t.Errorf("left are %+v and %+v", all.Versions, all.DeleteMarkers)
	}
}

// TestSuspended: a bucket that had versions is suspended, as on AWS, and keeps what it has.
func TestSuspended(t *testing.T) {
	dir := t.TempDir()
	ctx, key := t.Context(), aws.String("uploads/a")
	server := s3servertest.New(t, func(o *s3server.Options) { o.Dir = dir })
	if _, err := s3servertest.Client(server).PutObject(ctx, &s3.PutObjectInput{Bucket: bucket(), Key: key, Body: strings.NewReader("first")}); err != nil {
		t.Fatal(err)
	}
	server.Close()
	c := s3servertest.Client(s3servertest.New(t, func(o *s3server.Options) { o.Dir, o.Unversioned = dir, true }))
	status, err := c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: bucket()})
	if err != nil || status.Status != types.BucketVersioningStatusSuspended {
		t.Errorf("versioning is %q, %v", status.Status, err)
	}
	if _, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket(), Key: key}); err != nil {
		t.Errorf("the object is gone: %v", err)
	}
}
