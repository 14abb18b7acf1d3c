package acceptance

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// ErrGarbage is the error for a message that is neither a notification of S3 nor the result
// of a scan.
var ErrGarbage = errors.New("not an event notification of S3, nor a scan result")

// ParseMessage reads a message of the queue: a notification of S3 with a record for each
// stored version, the test event that S3 sends when notifications are set up, which has no
// hints, or the result of a scan.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
func ParseMessage(body string) ([]Hint, error) {
	var m struct {
		Event, Service string // of a test event
		Source         string // of an event of the bus
		Records        []struct {
			EventVersion string `json:"eventVersion"`
			EventSource  string `json:"eventSource"`
			EventName    string `json:"eventName"`
			S3           struct {
				Bucket struct {
					Name string `json:"name"`
				} `json:"bucket"`
				Object struct {
					Key       string `json:"key"`
					VersionID string `json:"versionId"`
				} `json:"object"`
			} `json:"s3"`
		}
	}
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGarbage, err)
	}
	if m.Event == "s3:TestEvent" && m.Service == "Amazon S3" {
		return nil, nil
	}
	if m.Source != "" {
		hint, err := parseScanResult(body)
		if err != nil {
			return nil, err
		}
		return []Hint{hint}, nil
	}
	if len(m.Records) == 0 {
		return nil, fmt.Errorf("%w: it has no records", ErrGarbage)
	}
	var hints []Hint
	for _, r := range m.Records {
		// Within one major version S3 adds fields and changes none.
		if !strings.HasPrefix(r.EventVersion, "2.") || r.EventSource != "aws:s3" || !strings.HasPrefix(r.EventName, "ObjectCreated:") {
			return nil, fmt.Errorf("%w: record of %q, version %q, event %q", ErrGarbage, r.EventSource, r.EventVersion, r.EventName)
		}
		key, err := url.QueryUnescape(r.S3.Object.Key)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrGarbage, err)
		}
		hints = append(hints, Hint{Bucket: r.S3.Bucket.Name, Key: key, Version: r.S3.Object.VersionID})
	}
	return hints, nil
}
