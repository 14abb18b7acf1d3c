package s3server_test

import (
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
)

// TestCompleteBrokenOff: what a crash leaves of a complete is an upload that can be completed, with
// all its parts; and nothing is said to be complete that is not there.
func TestCompleteBrokenOff(t *testing.T) {
	dir := t.TempDir()
	s := s3servertest.New(t, func(o *s3server.Options) { o.Dir = dir })
	client, key := s3servertest.Client(s), aws.String("uploads/broken")
	created, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket(), Key: key, Metadata: map[string]string{"mine": "yes"}})
	if err != nil {
		t.Fatal(err)
	}
	var parts []types.CompletedPart
	send := func(number int32, content string) {
		t.Helper()
		part, err := client.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: bucket(), Key: key, UploadId: created.UploadId, PartNumber: &number, Body: strings.NewReader(content)})
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, types.CompletedPart{PartNumber: &number, ETag: part.ETag})
	}
	first := strings.Repeat("x", 5<<20)
	send(1, first)
	send(2, "y")
	folders, err := filepath.Glob(filepath.Join(dir, "objects", s3servertest.Bucket, ".sgwtmp", "multipart", "*", *created.UploadId))
	if err != nil || len(folders) != 1 {
		t.Fatalf("folders of the upload: %v, %v", folders, err)
	}
	complete := func() error {
		_, err := client.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
			Bucket: bucket(), Key: key, UploadId: created.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		})
		return err
	}
	// As versitygw does at first when it completes an upload.
	before, sum, last := folders[0], md5.Sum([]byte(first)), md5.Sum([]byte("y"))
	etag := md5.Sum(append(sum[:], last[:]...))
	while := fmt.Sprintf("%s.%x-2.inprogress", before, etag)
	if err := os.Rename(before, while); err != nil {
		t.Fatal(err)
	}
	if err := complete(); err == nil {
		t.Error("complete, and there is no object")
	} else if answer, ok := errors.AsType[*awshttp.ResponseError](err); !ok || answer.HTTPStatusCode() == http.StatusOK {
		t.Errorf("complete, with no object: %v", err)
	}
	// A part that comes at that moment finds no folder, and makes one.
	if err := errors.Join(os.Mkdir(before, 0o700), os.Rename(filepath.Join(while, "2"), filepath.Join(before, "2"))); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := complete(); err != nil {
		t.Fatal(err)
	}
	out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket(), Key: key})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	if content, err := io.ReadAll(out.Body); err != nil || string(content) != first+"y" || out.Metadata["mine"] != "yes" {
		t.Errorf("%d bytes, %v, metadata %v", len(content), err, out.Metadata)
	}
}
