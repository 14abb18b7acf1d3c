package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/local/s3server/s3servertest"
)

// What the settings ask of a mint holds for one from the command line too: where
// uploads are accepted, an entry leads from the upload to its URL.
func TestDirectLeadsToItsURL(t *testing.T) {
	server := s3servertest.New(t)
	t.Setenv("AWS_ENDPOINT_URL_S3", server.URL())
	t.Setenv("AWS_ACCESS_KEY_ID", s3servertest.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s3servertest.SecretKey)
	t.Setenv("AWS_SESSION_TOKEN", "")
	path := filepath.Join(t.TempDir(), "config.json")
	settings := `{"bucket":"` + s3servertest.Bucket + `","region":"` + s3servertest.Region + `","acceptance":true}`
	if err := os.WriteFile(path, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := runVerb(t, "url", "--direct", "--config", path, "https://upload.example.com")
	if err != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(out, "https://upload.example.com/uploads/"), "?")
	_, err = s3servertest.Client(server).HeadObject(t.Context(), &s3.HeadObjectInput{
		Bucket: aws.String(s3servertest.Bucket), Key: aws.String("signatures/uploads/" + name),
	})
	if err != nil {
		t.Errorf("no entry for the upload %s: %v", name, err)
	}
}
