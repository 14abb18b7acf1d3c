//go:build !js

package s3index_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
	"oncegate/internal/s3index"
	"oncegate/internal/s3wire"
)

// bothParts is both for what is asked of multipart uploads. Each subtest has a key of its
// own.
func bothParts(t *testing.T, run func(t *testing.T, parts *s3index.Parts, c client, server *s3server.Server, key string)) {
	both(t, func(t *testing.T, c client, server *s3server.Server, _ *atomic.Pointer[s3server.Fault]) {
		run(t, s3index.NewParts(c), c, server, "uploads/"+string(newID(t, "key")))
	})
}

// create starts an upload.
func create(t *testing.T, parts *s3index.Parts, key string, headers map[string]string) string {
	t.Helper()
	upload, err := parts.CreateUpload(t.Context(), limit, key, headers, nil, map[string]string{"order": "17", "note": "a, b"})
	if err != nil || upload == "" {
		t.Fatalf("CreateUpload = %q, %v", upload, err)
	}
	return upload
}

// putPart puts a part as a viewer's request comes to S3, by its signature alone.
func putPart(t *testing.T, c client, server *s3server.Server, key, upload string, number int, body []byte) (status int) {
	t.Helper()
	query, err := c.PresignPart(t.Context(), key, upload, number, time.Now(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	s := sender{scheme: "http", host: s3wire.ProductionHost(s3servertest.Bucket, s3servertest.Region), dial: strings.TrimPrefix(server.URL(), "http://")}
	reply, err := s.Send(t.Context(), 30*time.Second, http.MethodPut, "/"+key+"?"+query, nil, body)
	if err != nil {
		t.Fatal(err)
	}
	return reply.Status
}

// partBodies are a part of the least size and a last one.
var partBodies = [][]byte{bytes.Repeat([]byte("one "), onetime.MinPartBytes/4), []byte("the last one")}

// putParts puts partBodies, the last one first.
func putParts(t *testing.T, c client, server *s3server.Server, key, upload string) {
	t.Helper()
	for i := len(partBodies); i > 0; i-- {
		if status := putPart(t, c, server, key, upload, i, partBodies[i-1]); status != http.StatusOK {
			t.Fatalf("part %d: status %d", i, status)
		}
	}
}

// underWay starts an upload, puts its parts, and returns its id and the parts as listed.
func underWay(t *testing.T, parts *s3index.Parts, c client, server *s3server.Server, key string) (upload string, listed []onetime.StoredPart) {
	t.Helper()
	upload = create(t, parts, key, nil)
	putParts(t, c, server, key, upload)
	listed, err := parts.ListParts(t.Context(), limit, key, upload)
	if err != nil {
		t.Fatal(err)
	}
	return upload, listed
}

func TestMultipartUpload(t *testing.T) {
	stored := map[string][]byte{}
	bothParts(t, func(t *testing.T, parts *s3index.Parts, c client, server *s3server.Server, key string) {
		ctx := t.Context()
		upload := create(t, parts, key, map[string]string{
			"content-type": "text/plain;  charset=utf-8", "content-disposition": `attachment; filename="Grüße €.txt"`, "cache-control": "no-store",
		})
		if got, err := parts.ListParts(ctx, limit, key, upload); err != nil || len(got) != 0 {
			t.Errorf("a new upload has parts %v, %v", got, err)
		}
		putParts(t, c, server, key, upload)
		listed, err := parts.ListParts(ctx, limit, key, upload)
		if err != nil || len(listed) != 2 {
			t.Fatalf("ListParts = %v, %v", listed, err)
		}
		want := []onetime.StoredPart{
			{Number: 1, Size: int64(len(partBodies[0])), ETag: md5Hex(partBodies[0])},
			{Number: 2, Size: int64(len(partBodies[1])), ETag: md5Hex(partBodies[1])},
		}
		if !slices.Equal(listed, want) {
			t.Errorf("ListParts = %v, want %v", listed, want)
		}
		if _, _, err := parts.FindObject(ctx, limit, key); !errors.Is(err, onetime.ErrAbsent) {
			t.Errorf("before Complete FindObject = %v, want ErrAbsent", err)
		}
		_, sum, err := parts.CompleteUpload(ctx, limit, key, upload, listed)
		if err != nil {
			t.Fatal(err)
		}
		if want := onetimetest.CRC64NVME(slices.Concat(partBodies...)); sum != want {
			t.Errorf("checksum %q, want %q", sum, want)
		}
		size, etag, err := parts.FindObject(ctx, limit, key)
		if err != nil || size != int64(len(partBodies[0])+len(partBodies[1])) || !strings.HasSuffix(etag, "-2") || strings.Contains(etag, `"`) {
			t.Errorf("FindObject = %d, %q, %v", size, etag, err)
		}
		out, err := s3servertest.Client(server).GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(s3servertest.Bucket), Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		defer out.Body.Close()
		body, err := io.ReadAll(out.Body)
		if err != nil || !bytes.Equal(body, slices.Concat(partBodies...)) {
			t.Errorf("the object is not its parts: %d bytes, %v", len(body), err)
		}
		if out.Metadata["order"] != "17" || out.Metadata["note"] != "a, b" || len(out.Metadata) != 2 {
			t.Errorf("metadata %v", out.Metadata)
		}
		stored[t.Name()] = fmt.Appendf(nil, "%s|%s|%s", aws.ToString(out.ContentType), aws.ToString(out.ContentDisposition), aws.ToString(out.CacheControl))
		if want := `text/plain;  charset=utf-8|attachment; filename="Grüße €.txt"|no-store`; string(stored[t.Name()]) != want {
			t.Errorf("stored with %s, want %s", stored[t.Name()], want)
		}
		// S3 tells the same again for a while, and then that there is no such upload.
		_, _, err = parts.CompleteUpload(ctx, limit, key, upload, listed)
		t.Logf("complete again: %v", err)
		if err != nil && !errors.Is(err, onetime.ErrAbsent) && !errors.Is(err, onetime.ErrExists) {
			t.Errorf("Complete again = %v", err)
		}
		if _, err = parts.ListParts(ctx, limit, key, upload); !errors.Is(err, onetime.ErrAbsent) {
			t.Errorf("after Complete ListParts = %v, want ErrAbsent", err)
		}
		if n := len(versionsOf(t, server, key)); n != 1 {
			t.Errorf("%d versions, want 1", n)
		}
	})
}

func md5Hex(b []byte) string {
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

// versionsOf are the ids of the object's versions.
func versionsOf(t *testing.T, server *s3server.Server, key string) (ids []string) {
	t.Helper()
	out, err := s3servertest.Client(server).ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String(s3servertest.Bucket), Prefix: &key})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range out.Versions {
		ids = append(ids, aws.ToString(v.VersionId))
	}
	return ids
}

// TestCompleteRefuses: what S3 does not make an object of, it does not make an object of,
// and what it answers is definite.
func TestCompleteRefuses(t *testing.T) {
	bothParts(t, func(t *testing.T, parts *s3index.Parts, c client, server *s3server.Server, key string) {
		ctx := t.Context()
		upload, listed := underWay(t, parts, c, server, key)
		complete := func(upload string, named ...onetime.StoredPart) error {
			_, _, err := parts.CompleteUpload(ctx, limit, key, upload, named)
			return err
		}
		other := listed[0]
		other.ETag = md5Hex(nil)
		odd := listed[0]
		odd.ETag = `a<b>&"c'`
		for name, err := range map[string]error{
			"another etag":   complete(upload, other, listed[1]),
			"an odd etag":    complete(upload, odd, listed[1]),
			"a missing part": complete(upload, listed[0], onetime.StoredPart{Number: 3, Size: 1, ETag: listed[1].ETag}),
			"another order":  complete(upload, listed[1], listed[0]),
		} {
			if !errors.Is(err, onetime.ErrParts) {
				t.Errorf("%s: %v, want ErrParts", name, err)
			}
		}
		if status := putPart(t, c, server, key, upload, 1, []byte("small")); status != http.StatusOK {
			t.Fatalf("a part again: status %d", status)
		}
		if err := complete(upload, listed...); !errors.Is(err, onetime.ErrParts) {
			t.Errorf("a part replaced since the list: %v, want ErrParts", err)
		}
		small := listed[0]
		small.ETag, small.Size = md5Hex([]byte("small")), 5
		if err := complete(upload, small, listed[1]); !errors.Is(err, onetime.ErrParts) {
			t.Errorf("too small: %v, want ErrParts", err)
		}
		if err := complete("AAAA.none_-+/=&x", listed...); !errors.Is(err, onetime.ErrAbsent) {
			t.Errorf("no such upload: %v, want ErrAbsent", err)
		}
		if _, err := parts.ListParts(ctx, limit, key, "AAAA.none_-+/=&x"); !errors.Is(err, onetime.ErrAbsent) {
			t.Errorf("list of no such upload: %v, want ErrAbsent", err)
		}
		if _, err := parts.ListParts(ctx, limit, key+"0", upload); !errors.Is(err, onetime.ErrAbsent) {
			t.Errorf("list of another key's upload: %v, want ErrAbsent", err)
		}
		if ids := versionsOf(t, server, key); len(ids) != 0 {
			t.Errorf("versions %v of what was refused", ids)
		}
	})
}

// TestCompleteOverAnObject: If-None-Match holds for Complete.
func TestCompleteOverAnObject(t *testing.T) {
	bothParts(t, func(t *testing.T, parts *s3index.Parts, c client, server *s3server.Server, key string) {
		ctx := t.Context()
		upload, listed := underWay(t, parts, c, server, key)
		put, err := s3servertest.Client(server).PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(s3servertest.Bucket), Key: &key, Body: strings.NewReader("first")})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := parts.CompleteUpload(ctx, limit, key, upload, listed); !errors.Is(err, onetime.ErrExists) {
			t.Errorf("Complete over an object = %v, want ErrExists", err)
		}
		if ids := versionsOf(t, server, key); len(ids) != 1 || ids[0] != aws.ToString(put.VersionId) {
			t.Errorf("versions %v, want just %s", ids, aws.ToString(put.VersionId))
		}
		if size, etag, err := parts.FindObject(ctx, limit, key); err != nil || size != 5 || etag != md5Hex([]byte("first")) {
			t.Errorf("FindObject = %d, %q, %v", size, etag, err)
		}
		if _, _, err := parts.FindObject(ctx, limit, key[:len(key)-1]); !errors.Is(err, onetime.ErrAbsent) {
			t.Errorf("FindObject of the beginning of a key = %v, want ErrAbsent", err)
		}
	})
}

// TestAbort: an aborted upload is gone, and aborting it again is no error.
func TestAbort(t *testing.T) {
	bothParts(t, func(t *testing.T, parts *s3index.Parts, c client, server *s3server.Server, key string) {
		ctx := t.Context()
		upload, listed := underWay(t, parts, c, server, key)
		for range 2 {
			if err := parts.AbortUpload(ctx, limit, key, upload); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := parts.ListParts(ctx, limit, key, upload); !errors.Is(err, onetime.ErrAbsent) {
			t.Errorf("ListParts = %v, want ErrAbsent", err)
		}
		if _, _, err := parts.CompleteUpload(ctx, limit, key, upload, listed); !errors.Is(err, onetime.ErrAbsent) {
			t.Errorf("CompleteUpload = %v, want ErrAbsent", err)
		}
		if status := putPart(t, c, server, key, upload, 1, []byte("x")); status != http.StatusNotFound {
			t.Errorf("a part: status %d, want 404", status)
		}
		if ids := versionsOf(t, server, key); len(ids) != 0 {
			t.Errorf("versions %v of what was aborted", ids)
		}
	})
}

// TestRaceOfCompletes: of many completes of one upload at once one object comes to be,
// one version of it, and whoever does not hear that hears something that tells him to look.
func TestRaceOfCompletes(t *testing.T) {
	bothParts(t, func(t *testing.T, parts *s3index.Parts, c client, server *s3server.Server, key string) {
		upload := create(t, parts, key, nil)
		putParts(t, c, server, key, upload)
		listed, err := parts.ListParts(t.Context(), limit, key, upload)
		if err != nil {
			t.Fatal(err)
		}
		const n = 20
		errs := make([]error, n)
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() { _, _, errs[i] = parts.CompleteUpload(t.Context(), 30*time.Second, key, upload, listed) })
		}
		all.Wait()
		names := map[string]int{}
		for _, err := range errs {
			names[outcomeName(err)]++
		}
		t.Logf("%v", names)
		if names["ok"] == 0 {
			t.Errorf("nobody completed it: %v", names)
		}
		if ids := versionsOf(t, server, key); len(ids) != 1 {
			t.Errorf("versions %v, want one", ids)
		}
		if size, _, err := parts.FindObject(t.Context(), limit, key); err != nil || size != int64(len(partBodies[0])+len(partBodies[1])) {
			t.Errorf("FindObject = %d, %v", size, err)
		}
	})
}

// TestAnswersToComplete: S3 may begin its answer with 200 and say in the body that it
// failed, and it sends white space while it works. Both clients read the same.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
func TestAnswersToComplete(t *testing.T) {
	const declaration = `<?xml version="1.0" encoding="UTF-8"?>`
	code := func(code string) string {
		return declaration + "\n\n<Error><Code>" + code + "</Code><Message>It &lt;failed&gt;.</Message><RequestId>1</RequestId></Error>"
	}
	const good = `<CompleteMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Location>http://x/y</Location><Bucket>b</Bucket>` +
		`<Key>k</Key><ETag>&quot;abc-1&quot;</ETag><ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME><ChecksumType>FULL_OBJECT</ChecksumType></CompleteMultipartUploadResult>`
	for _, test := range []struct {
		name   string
		status int
		body   string
		want   string // with the checksum, if there is one
	}{
		{"good", 200, declaration + "\n" + good, "ok AAAAAAAAAAA="},
		{"without a checksum", 200, strings.Replace(good, "ChecksumCRC64NVME", "ChecksumCRC32", 2), "ok"},
		{"a checksum of another length", 200, strings.Replace(good, "AAAAAAAAAAA=", "AAAA", 1), "ok"},
		{"no checksum at all", 200, strings.Replace(good, "AAAAAAAAAAA=", "(AAAAAAAAAA=", 1), "ok"},
		{"good after a while", 200, declaration + strings.Repeat(" \n", 2000) + good, "ok AAAAAAAAAAA="},
		{"good after white space alone", 200, "\n\n  " + good, "ok AAAAAAAAAAA="},
		{"internal error", 200, code("InternalError"), "fault 500"},
		{"slow down", 200, code("SlowDown"), "fault 500"},
		{"denied", 200, code("AccessDenied"), "fault 500"},
		{"a part that is gone", 200, code("InvalidPart"), "parts"},
		{"too small", 200, code("EntityTooSmall"), "parts"},
		{"order", 200, code("InvalidPartOrder"), "parts"},
		{"there is an object", 200, code("PreconditionFailed"), "exists"},
		{"undecided", 200, code("ConditionalRequestConflict"), "conflict"},
		{"no such upload", 200, code("NoSuchUpload"), "absent"},
		{"no such upload, at once", 404, code("NoSuchUpload"), "absent"},
		{"no such bucket", 404, code("NoSuchBucket"), "fault 404"},
		{"an object, at once", 412, code("PreconditionFailed"), "exists"},
		{"undecided, at once", 409, code("ConditionalRequestConflict"), "conflict"},
		{"aborted, at once", 409, code("OperationAborted"), "conflict"},
		{"parts, at once", 400, code("InvalidPart"), "parts"},
		{"order, at once", 400, code("InvalidPartOrder"), "parts"},
		{"too small, at once", 400, code("EntityTooSmall"), "parts"},
		{"malformed", 400, code("MalformedXML"), "fault 400"},
		{"a status alone", 400, " ", "fault 400"},
		{"white space and nothing more", 200, declaration + "   ", "fault 0"},
		{"nothing", 200, " ", "fault 0"},
		{"another document", 200, declaration + "<Other/>", "fault 0"},
		{"a document without an ETag", 200, "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>", "fault 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/xml")
				w.WriteHeader(test.status)
				io.WriteString(w, test.body)
			}))
			defer server.Close()
			for name, c := range map[string]client{"wire": wireClient(t, server.URL, testKey), "sdk": sdkClient(server.URL, testKey)} {
				_, sum, err := s3index.NewParts(c).CompleteUpload(t.Context(), limit, "uploads/x", "upload", []onetime.StoredPart{{Number: 1, Size: 1, ETag: "abc"}})
				if got := strings.TrimSpace(outcomeName(err) + " " + sum); got != test.want {
					t.Errorf("%s: %s, want %s (%v)", name, got, test.want, err)
				}
			}
		})
	}
}

// TestAnswersAboutParts does the same for the other requests.
func TestAnswersAboutParts(t *testing.T) {
	const part = `<Part><PartNumber>2</PartNumber><LastModified>2010-11-10T20:48:34.000Z</LastModified><ETag>&quot;7778aef83f66abc1fa1e8477f296d394&quot;</ETag>` +
		`<Size>10485760</Size><ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME></Part>`
	list := func(inner string) string {
		return `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ListPartsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId>` +
			`<Initiator><ID>arn</ID><DisplayName>me</DisplayName></Initiator><Owner><ID>x</ID></Owner><StorageClass>STANDARD</StorageClass>` + inner + `</ListPartsResult>`
	}
	contents := func(key string) string {
		return `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>uploads/x</Prefix><KeyCount>1</KeyCount><MaxKeys>1</MaxKeys>` +
			`<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><Contents><Key>` + key + `</Key><ETag>"e-1"</ETag><Size>7</Size><StorageClass>STANDARD</StorageClass>` +
			`<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm></Contents></ListBucketResult>`
	}
	call := func(p *s3index.Parts, op string) (string, error) {
		switch op {
		case "create":
			return p.CreateUpload(t.Context(), limit, "uploads/x", nil, nil, nil)
		case "list":
			parts, err := p.ListParts(t.Context(), limit, "uploads/x", "u")
			return fmt.Sprint(parts), err
		case "abort":
			return "", p.AbortUpload(t.Context(), limit, "uploads/x", "u")
		}
		size, etag, err := p.FindObject(t.Context(), limit, "uploads/x")
		return fmt.Sprint(size, " ", etag), err
	}
	for _, test := range []struct {
		op, name string
		status   int
		body     string
		want     string // the result, or the name of the error
	}{
		{"create", "good", 200, `<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>a.b_c-d</UploadId></InitiateMultipartUploadResult>`, "a.b_c-d"},
		{"create", "without an id", 200, `<InitiateMultipartUploadResult><Bucket>b</Bucket></InitiateMultipartUploadResult>`, "fault 200"},
		{"list", "none", 200, list("<IsTruncated>false</IsTruncated>"), "[]"},
		{"list", "one", 200, list("<IsTruncated>false</IsTruncated>" + part), "[{2 10485760 7778aef83f66abc1fa1e8477f296d394}]"},
		{"list", "more than an answer holds", 200, list("<IsTruncated>true</IsTruncated>" + part), "fault 200"},
		{"list", "no such upload", 404, `<Error><Code>NoSuchUpload</Code></Error>`, "absent"},
		{"list", "404 without a body", 404, "", "fault 404"},
		{"abort", "done", 204, "", ""},
		{"abort", "no such upload", 404, `<Error><Code>NoSuchUpload</Code></Error>`, ""},
		{"abort", "no such bucket", 404, `<Error><Code>NoSuchBucket</Code></Error>`, "fault 404"},
		{"find", "there", 200, contents("uploads%2Fx"), "7 e-1"},
		{"find", "another", 200, contents("uploads%2Fx2"), "absent"},
		{"find", "none", 200, "<ListBucketResult><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType></ListBucketResult>", "absent"},
	} {
		t.Run(test.op+" "+test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(test.status)
				io.WriteString(w, test.body)
			}))
			defer server.Close()
			for name, c := range map[string]client{"wire": wireClient(t, server.URL, testKey), "sdk": sdkClient(server.URL, testKey)} {
				got, err := call(s3index.NewParts(c), test.op)
				if err != nil {
					got = outcomeName(err)
				}
				if got != test.want {
					t.Errorf("%s: %s, want %s (%v)", name, got, test.want, err)
				}
			}
		})
	}
}

// TestPartSignature: as TestUploadSignature, for parts.
func TestPartSignature(t *testing.T) {
	at := time.Date(2026, 3, 1, 23, 59, 59, 0, time.UTC)
	for name, key := range map[string]aws.Credentials{
		"long-lived key": testKey,
		"role":           {AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "secret", SessionToken: "to/ken+with=odd&characters"},
	} {
		wire, sdk := wireClient(t, "http://127.0.0.1:9", key), sdkClient("http://127.0.0.1:9", key)
		for _, upload := range []string{"x", "2~abc.def_g-h", "a+b/c=&d e%20"} {
			for _, number := range []int{1, 7, 1000} {
				a, err := wire.PresignPart(t.Context(), "uploads/x", upload, number, at, time.Minute)
				b, sdkErr := sdk.PresignPart(t.Context(), "uploads/x", upload, number, at, time.Minute)
				if err != nil || sdkErr != nil || a != b || !strings.Contains(a, fmt.Sprintf("&partNumber=%d&uploadId=", number)) {
					t.Errorf("%s, upload %q, part %d:\nwire %s, %v\nsdk  %s, %v", name, upload, number, a, err, b, sdkErr)
				}
			}
		}
	}
}
