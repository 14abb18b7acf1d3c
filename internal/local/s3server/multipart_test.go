package s3server_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
)

// TestMultipartActions: each request of a multipart upload needs one action, and nothing
// else will do.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuAndPermissions.html
func TestMultipartActions(t *testing.T) {
	actions := []string{"s3:PutObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload", "s3:ListBucket"}
	var roles []s3server.Role
	for _, action := range actions {
		resource := "@/uploads/*"
		if action == "s3:ListBucket" {
			resource = "@"
		}
		roles = append(roles, s3server.NewRole("arn:aws:iam::111122223333:role/"+strings.TrimPrefix(action, "s3:"),
			policy(`{"Effect":"Allow","Action":"`+action+`","Resource":"`+resource+`"}`)))
	}
	s := guarded(t, roles)
	operator := s3servertest.Client(s)
	begin := func(key string) (upload *string, parts []types.CompletedPart) {
		t.Helper()
		created, err := operator.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket(), Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		part, err := operator.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: bucket(), Key: &key, UploadId: created.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("x")})
		if err != nil {
			t.Fatal(err)
		}
		return created.UploadId, []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: part.ETag}}
	}
	for _, test := range []struct {
		name, needs string
		do          func(c *s3.Client, key string, upload *string, parts []types.CompletedPart) error
	}{
		{"create", "s3:PutObject", func(c *s3.Client, key string, _ *string, _ []types.CompletedPart) error {
			_, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket(), Key: &key})
			return err
		}},
		{"part", "s3:PutObject", func(c *s3.Client, key string, upload *string, _ []types.CompletedPart) error {
			_, err := c.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: bucket(), Key: &key, UploadId: upload, PartNumber: aws.Int32(2), Body: strings.NewReader("y")})
			return err
		}},
		{"list parts", "s3:ListMultipartUploadParts", func(c *s3.Client, key string, upload *string, _ []types.CompletedPart) error {
			_, err := c.ListParts(t.Context(), &s3.ListPartsInput{Bucket: bucket(), Key: &key, UploadId: upload})
			return err
		}},
		{"complete", "s3:PutObject", func(c *s3.Client, key string, upload *string, parts []types.CompletedPart) error {
			_, err := c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{Bucket: bucket(), Key: &key, UploadId: upload,
				IfNoneMatch: aws.String("*"), MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
			return err
		}},
		{"abort", "s3:AbortMultipartUpload", func(c *s3.Client, key string, upload *string, _ []types.CompletedPart) error {
			_, err := c.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: bucket(), Key: &key, UploadId: upload})
			return err
		}},
		{"find", "s3:ListBucket", func(c *s3.Client, key string, _ *string, _ []types.CompletedPart) error {
			_, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket(), Prefix: &key, MaxKeys: aws.Int32(1)})
			return err
		}},
	} {
		for i, action := range actions {
			key := "uploads/" + strings.ReplaceAll(test.name, " ", "-") + strings.TrimPrefix(action, "s3:")
			upload, parts := begin(key)
			err := test.do(s3servertest.ClientAs(s, roles[i]), key, upload, parts)
			if allowed := action == test.needs; (err == nil) != allowed || !allowed && status(err) != http.StatusForbidden {
				t.Errorf("%s with %s alone: %v", test.name, action, err)
			}
		}
	}
}

// TestStoredByComplete: the object that Complete makes is told of once for each answer, in
// full; a part and what is refused are not.
func TestStoredByComplete(t *testing.T) {
	var mu sync.Mutex
	var told []s3server.Stored
	server := s3servertest.New(t, func(o *s3server.Options) {
		o.Stored = func(s s3server.Stored) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, s)
		}
	})
	client, key := s3servertest.Client(server), aws.String("uploads/a b")
	created, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket(), Key: key})
	if err != nil {
		t.Fatal(err)
	}
	part, err := client.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: bucket(), Key: key, UploadId: created.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("seven b")})
	if err != nil {
		t.Fatal(err)
	}
	complete := func(etag *string) (*s3.CompleteMultipartUploadOutput, error) {
		return client.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{Bucket: bucket(), Key: key, UploadId: created.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: etag}}}})
	}
	if _, err := complete(aws.String(`"d41d8cd98f00b204e9800998ecf8427e"`)); status(err) != http.StatusBadRequest {
		t.Errorf("another part: %v", err)
	}
	done, err := complete(part.ETag)
	if err != nil {
		t.Fatal(err)
	}
	if other, err := complete(aws.String(`"d41d8cd98f00b204e9800998ecf8427e"`)); status(err) != http.StatusNotFound {
		t.Errorf("completed again of another part: %+v, %v", other, err)
	}
	client.ListParts(t.Context(), &s3.ListPartsInput{Bucket: bucket(), Key: key, UploadId: created.UploadId})
	mu.Lock()
	defer mu.Unlock()
	if len(told) != 1 {
		t.Fatalf("told of %+v, want one", told)
	}
	want := s3server.Stored{
		Event: "ObjectCreated:CompleteMultipartUpload", Key: *key, Version: aws.ToString(done.VersionId), ETag: strings.Trim(aws.ToString(done.ETag), `"`), Size: 7,
		RequestID: told[0].RequestID, SourceIP: "127.0.0.1",
	}
	if told[0] != want || want.Version == "" {
		t.Errorf("told of %+v, want %+v", told[0], want)
	}
}

// TestCompleteAfterBrokenOne: a client whose complete broke off and who asks again gets 200 only
// when the object is there. S3 goes on with what it has begun, whoever still listens.
func TestCompleteAfterBrokenOne(t *testing.T) {
	server := s3servertest.New(t)
	client, key := s3servertest.Client(server), aws.String("uploads/large")
	created, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket(), Key: key})
	if err != nil {
		t.Fatal(err)
	}
	var parts []types.CompletedPart
	for number := int32(1); number <= 4; number++ {
		part, err := client.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: bucket(), Key: key, UploadId: created.UploadId, PartNumber: &number,
			Body: bytes.NewReader(make([]byte, 32<<20))})
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, types.CompletedPart{ETag: part.ETag, PartNumber: &number})
	}
	complete := func(limit time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		_, err := client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: bucket(), Key: key, UploadId: created.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
		return err
	}
	if complete(20*time.Millisecond) == nil {
		t.Skip("it did not break off")
	}
	if err := complete(time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket(), Key: key}); err != nil {
		t.Errorf("completed, and there is no object: %v", err)
	}
}
