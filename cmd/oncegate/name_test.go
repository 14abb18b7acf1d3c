package main

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/layout"
	"oncegate/internal/local/s3server/s3servertest"
	"oncegate/internal/onetime"
)

// TestNames: a URL is found by the first digits of its id and by its object, and by
// nothing that several have.
func TestNames(t *testing.T) {
	clearAWS(t)
	server := s3servertest.New(t)
	t.Chdir(t.TempDir())
	t.Setenv("AWS_ENDPOINT_URL_S3", server.URL())
	t.Setenv("AWS_ACCESS_KEY_ID", s3servertest.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s3servertest.SecretKey)
	t.Setenv("AWS_REGION", s3servertest.Region)
	t.Setenv("ONCEGATE_BUCKET", s3servertest.Bucket)
	put := func(key string, body []byte) {
		t.Helper()
		_, err := s3servertest.Client(server).PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String(s3servertest.Bucket), Key: &key, Body: strings.NewReader(string(body)),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	id := func(begin string) onetime.ID { return onetime.ID(begin + strings.Repeat("0", 64-len(begin))) }
	const name = "7f1e2d3c-4b5a-4678-9abc-def01234567"
	now := time.Now().UTC().Truncate(time.Second)
	for i, begin := range []string{"aaaaaaaa1", "aaaaaaaa2", "bbbbbbbbbbbb"} {
		e := onetime.ValidEntry{Version: 1, Created: now, Expires: now.Add(time.Minute), Key: "uploads/" + name + string(rune('0'+i))}
		put(id(begin).ValidKey(), e.Marshal())
	}
	// Of this one only the expired entry is left.
	put(id("cccccccc").ExpiredKey(), onetime.ExpiredEntry{Version: 1, Reason: onetime.Revoked, At: now, Nonce: strings.Repeat("0", 32)}.Marshal())
	// Where uploads are accepted an entry leads from the object to the URL.
	put(layout.UploadEntry("uploads/"+name+"9"), onetime.UploadEntry{Version: 1, ID: id("bbbbbbbbbbbb")}.Marshal())

	for _, tt := range []struct {
		given string
		want  onetime.ID
		err   string
		exit  int
	}{
		{"bbbbbbbb", id("bbbbbbbbbbbb"), "", 0},
		{"bbbbbbbbbbbb", id("bbbbbbbbbbbb"), "", 0},
		{" id=bbbbbbbbbbbb ", id("bbbbbbbbbbbb"), "", 0},
		{"aaaaaaaa1", id("aaaaaaaa1"), "", 0},
		{"cccccccc", id("cccccccc"), "", 0},
		{"uploads/" + name + "1", id("aaaaaaaa2"), "", 0},
		{"/uploads/" + name + "1", id("aaaaaaaa2"), "", 0},
		{"uploads/" + name + "9", id("bbbbbbbbbbbb"), "", 0},
		{"aaaaaaaa", "", "2 ids begin with aaaaaaaa, give more digits of one: " + string(id("aaaaaaaa1")) + ", " + string(id("aaaaaaaa2")), 2},
		{"aaaaaaa", "", "an id needs at least 8 of its 64 digits, 7 given", 2},
		{"AAAAAAAA", "", "neither an id", 2},
		{"", "", "neither an id", 2},
		{"dddddddd", "", "no URL of this bucket has an id that begins with dddddddd", 3},
		{"uploads/" + name + "8", "", "no URL of this bucket uploads uploads/" + name + "8", 3},
	} {
		out, err := runVerb(t, "status", "--json", "--", tt.given)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) || exitStatus(err) != tt.exit {
				t.Errorf("%q: %v, want %q", tt.given, err, tt.err)
			}
			continue
		}
		if err != nil || !strings.HasPrefix(out, `{"id":"`+string(tt.want)) {
			t.Errorf("%q: %s %v, want %s", tt.given, out, err, tt.want)
		}
	}
}

// TestNextStep: what to do about a URL whose upload did not arrive.
func TestNextStep(t *testing.T) {
	now := time.Unix(1e9, 0)
	entry := func(left time.Duration) *onetime.ValidEntry { return &onetime.ValidEntry{Expires: now.Add(left)} }
	for _, tt := range []struct {
		status onetime.Status
		config string
		want   string
	}{
		{onetime.Status{ID: "id", State: onetime.StateMinted, Entry: entry(1)}, "", ""},
		{onetime.Status{ID: "id", State: onetime.StateUnknown}, "", ""},
		{onetime.Status{ID: "id", State: onetime.StateUsed, Entry: entry(1), Object: &onetime.Object{}}, "", ""},
		{onetime.Status{ID: "id", State: onetime.StateUsed, Entry: entry(1)}, "", "oncegate enable id (once no upload is under way"},
		{onetime.Status{ID: "id", State: onetime.StateRevoked, Entry: entry(1)}, "p.json", "oncegate enable id --config p.json (good for one"},
		{onetime.Status{ID: "id", State: onetime.StateUsed, Entry: entry(0)}, "", "oncegate url (its time is over"},
		{onetime.Status{ID: "id", State: onetime.StateUsed}, "", "oncegate url (its time is over"},
		{onetime.Status{ID: "id", State: onetime.StateExpired}, "", "oncegate url (its time is over"},
	} {
		got := nextStep(tt.status, tt.config, now)
		if !strings.HasPrefix(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("%+v: %q, want %q", tt.status, got, tt.want)
		}
	}
}
