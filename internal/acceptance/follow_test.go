package acceptance_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"oncegate/internal/acceptance"
)

// notification has the form of S3's, with what else S3 puts in.
func notification(bucket, key, version string) string {
	return fmt.Sprintf(`{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1","eventTime":"2026-03-04T05:06:07.000Z",
		"eventName":"ObjectCreated:Put","userIdentity":{"principalId":"AWS:AIDA"},"requestParameters":{"sourceIPAddress":"203.0.113.1"},
		"responseElements":{"x-amz-request-id":"x"},"s3":{"s3SchemaVersion":"1.0","configurationId":"c","bucket":{"name":%q,"arn":"arn:aws:s3:::b"},
		"object":{"key":%q,"size":7,"eTag":"etag","versionId":%q,"sequencer":"0055AED6DCD90281E5"}}}]}`, bucket, key, version)
}

const testEvent = `{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-03-04T05:06:07.000Z","Bucket":"b","RequestId":"x","HostId":"y"}`

func TestParseMessage(t *testing.T) {
	hints, err := acceptance.ParseMessage(notification("b", "uploads/a%2Bb+c", "v"))
	if err != nil || !slices.Equal(hints, []acceptance.Hint{{Bucket: "b", Key: "uploads/a+b c", Version: "v"}}) {
		t.Errorf("%v, %v", hints, err)
	}
	if hints, err := acceptance.ParseMessage(testEvent); err != nil || hints != nil {
		t.Errorf("the test event: %v, %v", hints, err)
	}
	good := notification("b", "k", "v")
	for _, body := range []string{
		"", "null", "{}", "[]", "garbage", `{"Records":[]}`, `{"Event":"s3:TestEvent"}`, good + "x", good[:len(good)-1],
		strings.Replace(good, "2.1", "3.0", 1), strings.Replace(good, "aws:s3", "aws:sns", 1), strings.Replace(good, "ObjectCreated", "ObjectRemoved", 1),
		notification("b", "%zz", "v"),
	} {
		if hints, err := acceptance.ParseMessage(body); !errors.Is(err, acceptance.ErrGarbage) {
			t.Errorf("%s: %v, %v", body, hints, err)
		}
	}
}

func FuzzParseMessage(f *testing.F) {
	f.Add(notification("b", "k", "v"))
	f.Add(testEvent)
	f.Fuzz(func(t *testing.T, body string) {
		if hints, err := acceptance.ParseMessage(body); err != nil && hints != nil {
			t.Errorf("%v and %v", hints, err)
		}
	})
}

// A message is done when all of its uploads are; a late version is reported.
func TestFollow(t *testing.T) {
	w := newWorld(t, true)
	first, late := w.upload("content"), w.upload("another")
	var lines bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&lines, nil))
	v := &view{world: w}
	acceptor := &acceptance.Acceptor{Bucket: bucket, Store: v, Bus: v}
	if acceptor.Follow(t.Context(), log, notification(bucket, key, first)) != nil {
		t.Error("an upload is not done")
	}
	w.want(first)
	if strings.Contains(lines.String(), acceptance.LateMessage) {
		t.Errorf("nothing was late: %s", &lines)
	}
	if acceptor.Follow(t.Context(), log, notification(bucket, key, late)) != nil {
		t.Error("a late version is not done")
	}
	if line := `"level":"WARN","msg":"late version"`; strings.Count(lines.String(), line) != 1 || !strings.Contains(lines.String(), `"version":"`+late+`","first":"`+first+`"`) {
		t.Errorf("the log does not say that %s is late: %s", late, &lines)
	}
	if acceptor.Follow(t.Context(), log, testEvent) != nil {
		t.Error("the test event is not done")
	}
	for _, body := range []string{"garbage", notification("another", key, first), notification(bucket, "accepted/x", "v")} {
		if acceptor.Follow(t.Context(), log, body) == nil {
			t.Errorf("done: %s", body)
		}
	}
	v.step = func(string) fault { return lost }
	if acceptor.Follow(t.Context(), log, notification(bucket, key, first)) == nil {
		t.Error("done without an answer of S3")
	}
}
