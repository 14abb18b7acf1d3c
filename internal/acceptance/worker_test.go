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

// What fails is handed out again, and it alone; a late version is reported.
func TestWorker(t *testing.T) {
	w := newWorld(t, true)
	first, late := w.upload("content"), w.upload("another")
	var log bytes.Buffer
	v := &view{world: w}
	worker := &acceptance.Worker{
		Acceptor: &acceptance.Acceptor{Bucket: bucket, Store: v, Bus: v},
		Log:      slog.New(slog.NewJSONHandler(&log, nil)),
	}
	failed := func(bodies ...string) []string {
		var messages []acceptance.Message
		for i, body := range bodies {
			messages = append(messages, acceptance.Message{ID: fmt.Sprint(i), Body: body})
		}
		return worker.Handle(t.Context(), messages)
	}
	if got := failed(notification(bucket, key, first)); got != nil {
		t.Errorf("failed: %v", got)
	}
	w.want(first)
	if strings.Contains(log.String(), acceptance.LateMessage) {
		t.Errorf("nothing was late: %s", &log)
	}
	if got, want := failed(notification(bucket, key, late)), []string(nil); !slices.Equal(got, want) {
		t.Errorf("failed: %v", got)
	}
	if line := `"level":"WARN","msg":"late version"`; strings.Count(log.String(), line) != 1 || !strings.Contains(log.String(), `"version":"`+late+`","first":"`+first+`"`) {
		t.Errorf("the log does not say that %s is late: %s", late, &log)
	}
	if got, want := failed("garbage", testEvent, notification("another", key, first), notification(bucket, "accepted/x", "v")), []string{"0", "2", "3"}; !slices.Equal(got, want) {
		t.Errorf("failed: %v, want %v", got, want)
	}
	v.step = func(string) fault { return lost }
	if got := failed(notification(bucket, key, first)); !slices.Equal(got, []string{"0"}) {
		t.Errorf("failed: %v", got)
	}
}
