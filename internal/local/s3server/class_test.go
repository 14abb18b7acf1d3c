package s3server_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"oncegate/internal/local/s3server/s3servertest"
)

// TestStorageClasses: each version of an object is in the class that it was stored with. S3 names
// every class but STANDARD.
func TestStorageClasses(t *testing.T) {
	s := s3servertest.New(t)
	client := s3servertest.Client(s)
	put := func(key string, class types.StorageClass) (version string) {
		t.Helper()
		out, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket(), Key: &key, StorageClass: class, Body: strings.NewReader("x")})
		if err != nil {
			t.Fatal(err)
		}
		return aws.ToString(out.VersionId)
	}
	want := func(key, version, class string) {
		t.Helper()
		in := &s3.GetObjectInput{Bucket: bucket(), Key: &key}
		if version != "" {
			in.VersionId = &version
		}
		out, err := client.GetObject(t.Context(), in)
		if err != nil || string(out.StorageClass) != class {
			t.Errorf("%s, version %q, has %v, %v, want %q", key, version, out.StorageClass, err, class)
		}
		if got := s3servertest.StorageClass(t, s, key); version == "" && got != class {
			t.Errorf("HEAD of %s says %q, want %q", key, got, class)
		}
	}
	put("uploads/plain", "")
	want("uploads/plain", "", "")
	put("uploads/standard", types.StorageClassStandard)
	want("uploads/standard", "", "")
	first := put("uploads/kept", types.StorageClassStandardIa)
	want("uploads/kept", "", "STANDARD_IA")
	put("uploads/kept", "")
	want("uploads/kept", "", "")
	want("uploads/kept", first, "STANDARD_IA")

	for class, said := range map[types.StorageClass]string{types.StorageClassGlacierIr: "GLACIER_IR", "": ""} {
		source := aws.String(s3servertest.Bucket + "/uploads/kept?versionId=" + first)
		if _, err := client.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: bucket(), Key: aws.String("accepted/copy" + said), CopySource: source, StorageClass: class}); err != nil {
			t.Fatal(err)
		}
		want("accepted/copy"+said, "", said)
		key := aws.String("uploads/parts" + said)
		created, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket(), Key: key, StorageClass: class})
		if err != nil {
			t.Fatal(err)
		}
		part, err := client.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: bucket(), Key: key, UploadId: created.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("x")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
			Bucket: bucket(), Key: key, UploadId: created.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: part.ETag}}},
		}); err != nil {
			t.Fatal(err)
		}
		want(*key, "", said)
	}

	_, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket(), Key: aws.String("uploads/no"), StorageClass: "standard_ia", Body: strings.NewReader("x")})
	if api, ok := errors.AsType[smithy.APIError](err); !ok || api.ErrorCode() != "InvalidStorageClass" {
		t.Errorf("a class that there is none of: %v", err)
	}
}
