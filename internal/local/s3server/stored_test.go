package s3server_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
)

// TestStored: every version that a request stores is told of once, and nothing else,
// also when the answer gets lost.
func TestStored(t *testing.T) {
	var mu sync.Mutex
	var told []s3server.Stored
	lost := false
	server := s3servertest.New(t, func(o *s3server.Options) {
		o.Stored = func(s s3server.Stored) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, s)
		}
		o.Fault = func(*http.Request) s3server.Fault {
			mu.Lock()
			defer mu.Unlock()
			if lost {
				return s3server.Fault{Kind: s3server.Drop, Apply: true}
			}
			return s3server.Fault{}
		}
	})
	client := s3servertest.Client(server)
	bucket, ctx := aws.String(s3servertest.Bucket), t.Context()
	put, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("uploads/a b"), Body: strings.NewReader("seven b")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: bucket, Key: aws.String("copy"), CopySource: aws.String(*bucket + "/uploads/a%20b")}); err != nil {
		t.Fatal(err)
	}
	client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("copy")})
	client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("copy")})
	client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("uploads/a b"), IfNoneMatch: aws.String("*")})
	mu.Lock()
	lost = true
	mu.Unlock()
	if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("lost"), Body: strings.NewReader("x")}); err == nil {
		t.Fatal("the answer was not lost")
	}
	mu.Lock()
	defer mu.Unlock()
	if len(told) != 3 {
		t.Fatalf("told of %+v, want three", told)
	}
	a, b, c := told[0], told[1], told[2]
	if a.Event != "ObjectCreated:Put" || a.Key != "uploads/a b" || a.Version != *put.VersionId || a.ETag != strings.Trim(*put.ETag, `"`) || a.Size != 7 {
		t.Errorf("the upload: %+v", a)
	}
	if b.Event != "ObjectCreated:Copy" || b.Key != "copy" || b.Version == "" || b.Size != -1 {
		t.Errorf("the copy: %+v", b)
	}
	if c.Key != "lost" || c.Version == "" || c.Size != 1 {
		t.Errorf("the lost answer: %+v", c)
	}
}
