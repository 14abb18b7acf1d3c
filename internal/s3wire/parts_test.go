package s3wire_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"oncegate/internal/lean/sigv4"
	"oncegate/internal/lean/wire"
	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
	"oncegate/internal/s3wire"
)

const partsList = `<?xml version="1.0" encoding="UTF-8"?>
<ListPartsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId><Owner><ID>x</ID></Owner>` +
	`<PartNumberMarker>0</PartNumberMarker><MaxParts>1000</MaxParts><IsTruncated>false</IsTruncated>` +
	`<Part><PartNumber>1</PartNumber><LastModified>2010-11-10T20:48:34.000Z</LastModified><ETag>&quot;7778&quot;</ETag><Size>5</Size></Part>` +
	`<Part><PartNumber>3</PartNumber><ETag>"aaaa"</ETag><Size>10485760</Size><ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME></Part></ListPartsResult>`

const objectList = `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><IsTruncated>true</IsTruncated>` +
	`<Contents><Key>uploads%2Fx</Key><ETag>"e-1"</ETag><Size>7</Size></Contents></ListBucketResult>`

const completedUpload = `<CompleteMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Key>k</Key><ETag>"e-1"</ETag></CompleteMultipartUploadResult>`

// parts are the multipart uploads of a bucket that gives one answer to everything.
func parts(t *testing.T, status int, body string) *s3index.Parts {
	return s3index.NewParts(clientOf(t, saying{Status: status, Body: []byte(body)}))
}

// FuzzListParts: a list of parts is read as encoding/xml reads it, or it is an error; one
// that is cut short is never taken for the whole.
func FuzzListParts(f *testing.F) {
	f.Add(partsList)
	f.Add(strings.ReplaceAll(partsList, "false", "true"))
	f.Add(errorDocument)
	f.Add("<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>")
	f.Add("<ListPartsResult><IsTruncated>false</IsTruncated><Part><PartNumber>-1</PartNumber><ETag>x</ETag><Size>1e3</Size></Part></ListPartsResult>")
	f.Add("<ListPartsResult><IsTruncated>false</IsTruncated><Part><PartNumber>1</PartNumber><ETag>x</ETag><Size>99999999999999999999</Size></Part></ListPartsResult>")
	f.Fuzz(func(t *testing.T, body string) {
		got, err := parts(t, 200, body).ListParts(t.Context(), time.Second, "k", "u")
		if err != nil {
			if got != nil {
				t.Errorf("an error, and yet parts: %v", got)
			}
			return
		}
		var want struct {
			XMLName     xml.Name `xml:"ListPartsResult"`
			IsTruncated string
			Part        []struct{ PartNumber, ETag, Size string }
		}
		if err := xml.NewDecoder(strings.NewReader(body)).Decode(&want); err != nil {
			t.Fatalf("%q is read; encoding/xml says %v", body, err)
		}
		if want.IsTruncated != "false" || len(want.Part) != len(got) {
			t.Fatalf("%q is read as %v, want %+v", body, got, want)
		}
		for i, part := range want.Part {
			number, _ := strconv.Atoi(part.PartNumber)
			size, _ := strconv.ParseInt(part.Size, 10, 64)
			if w := (onetime.StoredPart{Number: number, Size: size, ETag: strings.Trim(part.ETag, `"`)}); got[i] != w || w.Size < 0 || w.ETag == "" {
				t.Errorf("%q: part %v, want %v", body, got[i], w)
			}
		}
		if end := "</ListPartsResult>"; strings.HasSuffix(body, end) && strings.Count(body, end) == 1 {
			if _, err := parts(t, 200, body[:len(body)-1]).ListParts(t.Context(), time.Second, "k", "u"); err == nil {
				t.Error("a list that is cut short is taken for the whole")
			}
		}
	})
}

// FuzzFindObject: what is found is the object of this key that encoding/xml finds.
func FuzzFindObject(f *testing.F) {
	f.Add(objectList)
	f.Add(strings.ReplaceAll(objectList, "%2Fx", "%2Fxy"))
	f.Add(strings.ReplaceAll(objectList, "%2Fx", "%zz"))
	f.Add(objectList[:len(objectList)-1])
	f.Add("<ListBucketResult/>")
	f.Add(errorDocument)
	f.Fuzz(func(t *testing.T, body string) {
		size, etag, err := parts(t, 200, body).FindObject(t.Context(), time.Second, "uploads/x")
		var want struct {
			XMLName  xml.Name `xml:"ListBucketResult"`
			Contents []struct{ Key, ETag, Size string }
		}
		wrong := xml.NewDecoder(strings.NewReader(body)).Decode(&want)
		switch {
		case errors.Is(err, onetime.ErrAbsent):
			if wrong != nil || len(want.Contents) > 1 || len(want.Contents) == 1 && want.Contents[0].Key == "uploads/x" {
				t.Errorf("%q has no object, want %+v, %v", body, want, wrong)
			}
		case err == nil:
			if wrong != nil || len(want.Contents) != 1 || strings.Trim(want.Contents[0].ETag, `"`) != etag || etag == "" || size < 0 {
				t.Errorf("%q is %d, %q, want %+v, %v", body, size, etag, want, wrong)
			}
		}
	})
}

// FuzzComplete: an object is taken for made only where S3 says so in a whole answer, and
// for made by another only where S3 says that.
func FuzzComplete(f *testing.F) {
	for _, status := range []int{200, 400, 404, 409, 412, 500} {
		for _, body := range []string{completedUpload, errorDocument, strings.ReplaceAll(errorDocument, "SlowDown", "NoSuchUpload"), " \n" + completedUpload, "",
			strings.ReplaceAll(errorDocument, "SlowDown", "InvalidPart"), completedUpload[:len(completedUpload)-1], "<Error/>", "<Error><Code></Code></Error>"} {
			f.Add(status, body)
		}
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		_, _, err := parts(t, status, body).CompleteUpload(t.Context(), time.Second, "k", "u", []onetime.StoredPart{{Number: 1, Size: 1, ETag: "e"}})
		var document struct {
			XMLName xml.Name
			Code    string
			ETag    string
		}
		wrong := xml.NewDecoder(strings.NewReader(body)).Decode(&document)
		switch {
		case err == nil:
			if status != 200 || wrong != nil || document.XMLName.Local != "CompleteMultipartUploadResult" || document.ETag == "" {
				t.Errorf("%d %q is taken for done", status, body)
			}
		case errors.Is(err, onetime.ErrExists):
			if status != 412 && document.Code != "PreconditionFailed" {
				t.Errorf("%d %q: %v", status, body, err)
			}
		case errors.Is(err, onetime.ErrConflict):
			if status != 409 && document.Code != "ConditionalRequestConflict" {
				t.Errorf("%d %q: %v", status, body, err)
			}
		case errors.Is(err, onetime.ErrAbsent):
			if document.Code != "NoSuchUpload" {
				t.Errorf("%d %q: %v", status, body, err)
			}
		case errors.Is(err, onetime.ErrParts):
			if !slices.Contains([]string{"InvalidPart", "InvalidPartOrder", "EntityTooSmall"}, document.Code) {
				t.Errorf("%d %q: %v", status, body, err)
			}
		}
	})
}

// keeping remembers the last request.
type keeping struct {
	method, target string
	headers        []wire.Header
	body           []byte
}

func (k *keeping) Send(_ context.Context, _ time.Duration, method, target string, headers []wire.Header, body []byte) (wire.Reply, error) {
	k.method, k.target, k.headers, k.body = method, target, headers, body
	return wire.Reply{}, io.ErrUnexpectedEOF
}

func (k *keeping) header(name string) string {
	for _, h := range k.headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// TestPartRequests: what the requests are, byte for byte.
func TestPartRequests(t *testing.T) {
	endpoint, err := s3wire.NewEndpoint("bucket", "us-east-1", "")
	if err != nil {
		t.Fatal(err)
	}
	sent := &keeping{}
	c := s3wire.New("bucket", "us-east-1", endpoint, sigv4.Credentials{AccessKeyID: "role", SecretAccessKey: "role"}, sent, time.Now)

	c.CreateUpload(t.Context(), time.Second, "uploads/x", map[string]string{"content-disposition": "ä €", "content-type": "text/plain"}, nil, nil)
	if sent.method != "POST" || sent.target != "/uploads/x?uploads=" || sent.header("content-length") != "0" || sent.header("content-disposition") != "ä €" {
		t.Errorf("create: %+v", sent)
	}
	if signed := sent.header("authorization"); !strings.Contains(signed, "SignedHeaders=host;x-amz-content-sha256;x-amz-date,") {
		t.Errorf("create signs more than its own headers: %s", signed)
	}
	c.CreateUpload(t.Context(), time.Second, "uploads/x", map[string]string{"content-type": "text/plain"}, map[string]string{"x-amz-tagging": "a=1&b=2"}, map[string]string{"order": "17"})
	if signed := sent.header("authorization"); sent.header("x-amz-meta-order") != "17" || sent.header("x-amz-tagging") != "a=1&b=2" ||
		!strings.Contains(signed, "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-meta-order;x-amz-tagging,") {
		t.Errorf("create signs %s, want metadata and tags too: %+v", signed, sent)
	}
	c.CompleteUpload(t.Context(), time.Second, "uploads/x", "a+b/c=&d", []onetime.StoredPart{{Number: 1, Size: 9, ETag: "aa-1"}, {Number: 2, Size: 1, ETag: `<&>"`}})
	const body = `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Part><ETag>aa-1</ETag><PartNumber>1</PartNumber></Part>` +
		`<Part><ETag>&lt;&amp;&gt;"</ETag><PartNumber>2</PartNumber></Part></CompleteMultipartUpload>`
	if sent.method != "POST" || sent.target != "/uploads/x?uploadId=a%2Bb%2Fc%3D%26d" || !bytes.Equal(sent.body, []byte(body)) {
		t.Errorf("complete: %s %s %s", sent.method, sent.target, sent.body)
	}
	if sent.header("if-none-match") != "*" || !strings.Contains(sent.header("authorization"), ";if-none-match;") {
		t.Errorf("complete has no signed if-none-match: %v", sent.headers)
	}
	c.ListParts(t.Context(), time.Second, "uploads/x", "a+b")
	if sent.method != "GET" || sent.target != "/uploads/x?max-parts=1000&uploadId=a%2Bb" {
		t.Errorf("list: %s %s", sent.method, sent.target)
	}
	c.AbortUpload(t.Context(), time.Second, "uploads/x", "a+b")
	if sent.method != "DELETE" || sent.target != "/uploads/x?uploadId=a%2Bb" {
		t.Errorf("abort: %s %s", sent.method, sent.target)
	}
	c.ListObjects(t.Context(), time.Second, s3index.List{Prefix: "uploads/x", Max: 1})
	if sent.method != "GET" || sent.target != "/?encoding-type=url&list-type=2&max-keys=1&prefix=uploads%2Fx" {
		t.Errorf("find: %s %s", sent.method, sent.target)
	}
	c.ListObjects(t.Context(), time.Second, s3index.List{Prefix: "a/", After: "a/b", Delimiter: "/", Max: 1000})
	if sent.target != "/?delimiter=%2F&encoding-type=url&list-type=2&max-keys=1000&prefix=a%2F&start-after=a%2Fb" {
		t.Errorf("list: %s", sent.target)
	}
	c.ListVersions(t.Context(), time.Second, "keys/", s3index.Marker{})
	if sent.target != "/?encoding-type=url&prefix=keys%2F&versions=" {
		t.Errorf("list versions: %s", sent.target)
	}
	c.ListVersions(t.Context(), time.Second, "keys/", s3index.Marker{Key: "keys/b", VersionID: "v+1"})
	if sent.target != "/?encoding-type=url&key-marker=keys%2Fb&prefix=keys%2F&version-id-marker=v%2B1&versions=" {
		t.Errorf("list versions, next page: %s", sent.target)
	}
	c.Put(t.Context(), time.Second, s3index.Object{Key: "k", Body: []byte("x"), IfMatch: `"e"`})
	if sent.header("if-match") != `"e"` || !strings.Contains(sent.header("authorization"), ";if-match;") {
		t.Errorf("put has no signed if-match: %v", sent.headers)
	}
}

func BenchmarkListParts(b *testing.B) {
	end := strings.LastIndex(partsList, "</")
	one := partsList[strings.LastIndex(partsList, "<Part>"):end]
	body := partsList[:end] + strings.Repeat(one, 998) + partsList[end:]
	endpoint, err := s3wire.NewEndpoint("bucket", "us-east-1", "")
	if err != nil {
		b.Fatal(err)
	}
	p := s3index.NewParts(s3wire.New("bucket", "us-east-1", endpoint, sigv4.Credentials{AccessKeyID: "role", SecretAccessKey: "role"}, saying{Status: 200, Body: []byte(body)}, time.Now))
	for b.Loop() {
		if parts, err := p.ListParts(b.Context(), time.Second, "k", "u"); err != nil || len(parts) != 1000 {
			b.Fatal(len(parts), err)
		}
	}
}
