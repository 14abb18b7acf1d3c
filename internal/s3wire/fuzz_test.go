package s3wire_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"oncegate/internal/lean/sigv4"
	"oncegate/internal/lean/wire"
	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
	"oncegate/internal/s3wire"
)

// saying is an S3 that gives one answer to everything.
type saying wire.Reply

func (s saying) Send(context.Context, time.Duration, string, string, []wire.Header, []byte) (wire.Reply, error) {
	return wire.Reply(s), nil
}

func clientOf(t *testing.T, s3 saying) *s3wire.Client {
	t.Helper()
	endpoint, err := s3wire.NewEndpoint("bucket", "us-east-1", "")
	if err != nil {
		t.Fatal(err)
	}
	return s3wire.New("bucket", "us-east-1", endpoint, sigv4.Credentials{AccessKeyID: "role", SecretAccessKey: "role"}, s3, time.Now)
}

const list = `<?xml version="1.0" encoding="UTF-8"?>
<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><Prefix>p</Prefix><IsTruncated>false</IsTruncated>` +
	`<Version><Key>p</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest></Version><DeleteMarker><Key>p</Key><VersionId>v1</VersionId></DeleteMarker></ListVersionsResult>`

const errorDocument = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message><RequestId>x</RequestId></Error>`

// FuzzListVersions: whatever S3 says for a list is that list or an error. What is cut
// short is never taken for the whole, and what is read is what stands there.
func FuzzListVersions(f *testing.F) {
	for _, body := range []string{list, errorDocument, "", "<", "<ListVersionsResult/>", list[:len(list)-1],
		`<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>p</NextKeyMarker></ListVersionsResult>`,
		`<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><ListVersionsResult>&b;</ListVersionsResult>`,
		`<ListVersionsResult><IsTruncated>false</IsTruncated><Version><Key>%zz</Key></Version></ListVersionsResult>`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		page, err := clientOf(t, saying{Status: 200, Body: body}).ListVersions(t.Context(), time.Second, "p", s3index.Marker{})
		if err != nil {
			if !reflect.DeepEqual(page, s3index.Page{}) {
				t.Errorf("an error, and yet a page: %+v", page)
			}
			return
		}
		if n := bytes.Count(body, []byte("Version")) + bytes.Count(body, []byte("DeleteMarker")); len(page.Versions) > n {
			t.Errorf("%d versions of at most %d", len(page.Versions), n)
		}
		if end := []byte("</ListVersionsResult>"); bytes.HasSuffix(body, end) && bytes.Count(body, end) == 1 {
			if _, err := clientOf(t, saying{Status: 200, Body: body[:len(body)-1]}).ListVersions(t.Context(), time.Second, "p", s3index.Marker{}); err == nil {
				t.Error("a list that is cut short is taken for the whole")
			}
		}
		// An independent reading, of the tokens alone.
		if want := markersIn(body); want >= 0 {
			got := 0
			for _, v := range page.Versions {
				if v.DeleteMarker {
					got++
				}
			}
			if got != want {
				t.Errorf("%d delete markers, there are %d", got, want)
			}
		}
	})
}

// markersIn counts the delete markers right below the first element, or is -1.
func markersIn(body []byte) (n int) {
	decoder := xml.NewDecoder(bytes.NewReader(body))
	for depth := 0; ; {
		token, err := decoder.Token()
		if err != nil {
			return -1
		}
		switch e := token.(type) {
		case xml.StartElement:
			if depth == 1 && e.Name.Local == "DeleteMarker" {
				n++
			}
			depth++
		case xml.EndElement:
			if depth--; depth == 0 {
				return n
			}
		}
	}
}

// FuzzAnswers: what the index takes an answer of S3 for follows from its status, and
// no error document or header changes that.
func FuzzAnswers(f *testing.F) {
	f.Add(200, "X-Amz-Version-Id", "v1", []byte(`{"version":1}`))
	f.Add(404, "X-Amz-Delete-Marker", "true", []byte(errorDocument))
	f.Add(412, "X-Amz-Meta-Oncegate-Reason", "revoked", []byte(`<Error><Code>PreconditionFailed</Code></Error>`))
	f.Add(409, "", "", []byte(`<Error><Code>ConditionalRequestConflict</Code></Error>`))
	f.Add(503, "Retry-After", "1", []byte(errorDocument))
	f.Add(200, "", "", []byte(errorDocument))
	id := onetime.Fingerprint("/path", "query")
	f.Fuzz(func(t *testing.T, status int, name, value string, body []byte) {
		headers := []wire.Header{{Name: strings.ToLower(name), Value: value}}
		index := s3index.New(clientOf(t, saying{Status: status, Headers: headers, Body: body}))
		_, _, read := index.ReadValid(t.Context(), time.Second, id)
		reason, looked := index.HeadExpired(t.Context(), time.Second, id)
		_, claimed := index.Claim(t.Context(), time.Second, id, onetime.Used, []byte("x"))
		_, written := index.WriteValid(t.Context(), time.Second, id, []byte("x"))
		for what, err := range map[string]error{"read": read, "look": looked, "claim": claimed, "write": written} {
			if (err == nil) != (status == 200) {
				t.Errorf("%s: status %d is %v", what, status, err)
			}
			absent := errors.Is(err, onetime.ErrAbsent) || errors.Is(err, onetime.ErrDeleted)
			if absent != (status == 404 && (what == "read" || what == "look")) {
				t.Errorf("%s: status %d is %v", what, status, err)
			}
			if errors.Is(err, onetime.ErrExists) != (status == 412 && what == "claim") || errors.Is(err, onetime.ErrConflict) != (status == 409 && what == "claim") {
				t.Errorf("%s: status %d is %v", what, status, err)
			}
		}
		if looked == nil && reason != onetime.Used && reason != onetime.Revoked {
			t.Errorf("a spent URL is %q", reason)
		}
	})
}
