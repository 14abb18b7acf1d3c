package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server/s3servertest"
)

// TestReplay: a failed message is moved back, and accepted.
func TestReplay(t *testing.T) {
	st := testbed.New(t, testbed.Accepting, func(s *testbed.Setup) {
		s.Jobs.Deliver = func(string, func()) {} // every notification gets lost
	})
	const key = "uploads/123e4567-e89b-42d3-a456-426614174000"
	_, err := s3servertest.Client(st.S3).PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(s3servertest.Bucket), Key: aws.String(key), Body: strings.NewReader("content"),
	})
	if err != nil {
		t.Fatal(err)
	}
	dead := st.Queues["oncegate-accept-dead"]
	dead.Send(fmt.Sprintf(`{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":%q},"object":{"key":%q}}}]}`,
		s3servertest.Bucket, key))
	settings := filepath.Join(t.TempDir(), "config.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("AWS_ENDPOINT_URL_SQS", st.API)
	t.Setenv("AWS_ACCESS_KEY_ID", s3servertest.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s3servertest.SecretKey)
	t.Setenv("AWS_SESSION_TOKEN", "")

	write(`{"bucket": "` + s3servertest.Bucket + `"}`)
	if _, err := runVerb(t, "replay", "accept", "--config", settings); err == nil || !strings.Contains(err.Error(), "has no acceptance") {
		t.Errorf("without acceptance: %v", err)
	}
	write(`{"bucket": "` + s3servertest.Bucket + `", "acceptance": true}`)
	if _, err := runVerb(t, "replay", "webhook", "--config", settings); err == nil || !strings.Contains(err.Error(), "has no webhook") {
		t.Errorf("without a webhook: %v", err)
	}
	for _, args := range [][]string{{"replay"}, {"replay", "all"}, {"replay", "accept", "more"}} {
		if _, err := runVerb(t, args...); exitStatus(err) != 2 {
			t.Errorf("%v: %v", args, err)
		}
	}
	out, err := runVerb(t, "replay", "accept", "--config", settings)
	if err != nil || out != "messages moved back from oncegate-accept-dead: 1\n" {
		t.Fatalf("%q, %v", out, err)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if len(st.Services.Events()) > 0 && dead.Len() == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("never accepted; dead %v", dead.Bodies())
		}
	}
	// Once more there is nothing to do, and it says so.
	out, err = runVerb(t, "replay", "accept", "--config", settings)
	if err != nil || !strings.HasPrefix(out, "oncegate-accept-dead has no messages: nothing to replay") {
		t.Errorf("%q, %v", out, err)
	}
}
