// Package s3servertest gives a test its own local S3 server: a random port, an empty versioned bucket, gone with the test.
package s3servertest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/lean/sigv4"
	"oncegate/internal/local/s3server"
)

// What every test server is set up with. The key is a made-up one.
const (
	Bucket    = "oncegate-test"
	Region    = "us-east-1"
	AccessKey = "ONCEGATETESTKEY"
	SecretKey = "oncegate-test-secret"
	Host      = Bucket + ".s3." + Region + ".amazonaws.com" // the production host name
)

// Operator are the credentials of a test server's operator.
var Operator = sigv4.Credentials{AccessKeyID: AccessKey, SecretAccessKey: SecretKey}

// New starts a server that is closed when the test ends. The given functions may change its options first.
func New(t testing.TB, change ...func(*s3server.Options)) *s3server.Server {
	t.Helper()
	o := Options(t)
	for _, f := range change {
		f(&o)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s, err := s3server.Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// Options is what New starts from: a fresh data directory and a port of its own.
func Options(t testing.TB) s3server.Options {
	t.Helper()
	return s3server.Options{
		Binary: Binary(t), Dir: t.TempDir(), Bucket: Bucket, Region: Region,
		Operator: Operator, Addr: "127.0.0.1:0",
	}
}

// Binary is the path of versitygw: $ONCEGATE_VERSITYGW, else build/tools/versitygw of this repository.
func Binary(t testing.TB) string {
	t.Helper()
	if p := os.Getenv("ONCEGATE_VERSITYGW"); p != "" {
		return p
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		_, err := os.Stat(filepath.Join(dir, "go.mod"))
		if err == nil {
			return filepath.Join(dir, "build", "tools", "versitygw")
		}
		if up := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && up != dir {
			dir = up
			continue
		}
		t.Fatal("no go.mod above the test: set ONCEGATE_VERSITYGW to the path of versitygw")
	}
}

// Client is an SDK client of the server that speaks path style and never retries.
func Client(s *s3server.Server) *s3.Client {
	return ClientAs(s, s3server.Role{Credentials: Operator})
}

// ClientAs is Client with a role's credentials.
func ClientAs(s *s3server.Server, r s3server.Role) *s3.Client {
	return s3.New(s3.Options{
		Region: Region, BaseEndpoint: aws.String(s.URL()), UsePathStyle: true, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(r.AccessKeyID, r.SecretAccessKey, r.SessionToken),
	})
}

// Tags are those of the newest version of an object, as S3 tells them.
func Tags(t testing.TB, s *s3server.Server, key string) map[string]string {
	t.Helper()
	out, err := Client(s).GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: aws.String(Bucket), Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	tags := map[string]string{}
	for _, tag := range out.TagSet {
		tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return tags
}

// StorageClass is that of the newest version of an object, as S3's HEAD tells it: "" for STANDARD.
func StorageClass(t testing.TB, s *s3server.Server, key string) string {
	t.Helper()
	out, err := Client(s).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(Bucket), Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	return string(out.StorageClass)
}
