package awssdk_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"oncegate/internal/acceptance"
	"oncegate/internal/awssdk"
)

// service answers each request with the next of these bodies, and keeps what came.
type service struct {
	t       *testing.T
	answers []string
	targets []string
	bodies  []map[string]any
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	var in map[string]any
	if err := json.Unmarshal(body, &in); err != nil {
		s.t.Errorf("%s: %v", body, err)
	}
	if !strings.Contains(r.Header.Get("Authorization"), "Credential=ASIAX/") || r.Header.Get("X-Amz-Security-Token") != "token" {
		s.t.Errorf("signed by %q", r.Header.Get("Authorization"))
	}
	s.targets, s.bodies = append(s.targets, r.Header.Get("X-Amz-Target")), append(s.bodies, in)
	answer := s.answers[0]
	if s.answers = s.answers[1:]; answer == "" {
		w.WriteHeader(http.StatusInternalServerError)
	}
	io.WriteString(w, answer)
}

func start(t *testing.T, answers ...string) (*service, awssdk.Options) {
	s := &service{t: t, answers: answers}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, awssdk.Options{Region: "eu-west-1", Endpoint: server.URL, Credentials: credentials.NewStaticCredentialsProvider("ASIAX", "made-up", "token")}
}

func TestAnnounce(t *testing.T) {
	event := acceptance.Event{Bucket: "b", Key: "uploads/x", Accepted: "accepted/x", Version: "v1", Size: 7, ETag: "e", At: time.Unix(1e9, 0).UTC()}
	const taken = `{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}`
	s, o := start(t, "", taken) // the second try succeeds
	if err := awssdk.NewBus(o).Announce(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	if len(s.bodies) != 2 || s.targets[1] != "AWSEvents.PutEvents" {
		t.Fatalf("requests %v", s.targets)
	}
	entry := s.bodies[1]["Entries"].([]any)[0].(map[string]any)
	if entry["Source"] != "oncegate" || entry["DetailType"] != "oncegate.accepted" || entry["Resources"].([]any)[0] != "arn:aws:s3:::b/accepted/x" || entry["EventBusName"] != nil {
		t.Errorf("entry %v", entry)
	}
	if got, want := entry["Detail"], `{"bucket":"b","key":"uploads/x","accepted":"accepted/x","version":"v1","size":7,"etag":"e","at":"2001-09-09T01:46:40Z"}`; got != want {
		t.Errorf("detail %s\nwant   %s", got, want)
	}
	for _, answer := range []string{
		`{"FailedEntryCount":1,"Entries":[{"ErrorCode":"ThrottlingException","ErrorMessage":"x"}]}`,
		`{"FailedEntryCount":0,"Entries":[]}`, `{}`,
	} {
		_, o := start(t, answer)
		if err := awssdk.NewBus(o).Announce(t.Context(), event); err == nil || !strings.Contains(err.Error(), "not taken") {
			t.Errorf("%s: %v", answer, err)
		}
	}
}
