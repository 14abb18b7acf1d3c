package attack

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/local/s3server/s3servertest"
)

// TestVerbs: only PUT uploads, even if a header says that another method is a PUT.
func TestVerbs(t *testing.T) {
	var all []attempt
	for _, method := range []string{"GET", "HEAD"} {
		all = append(all, attempt{"method " + method, "the URL of an upload must not read", edge, head(method, good), "403 method"})
	}
	// With the URL itself DELETE takes it back, and nobody but its holder can do that.
	all = append(all,
		attempt{"DELETE without the URL", "who does not hold the URL must not take it back", edge, head("DELETE", "@path"), "403 unknown"})
	for _, method := range []string{"POST", "PATCH"} {
		all = append(all, attempt{"method " + method, "only PUT is an upload", edge, request(method, good) + marker, "403 method"})
	}
	// CloudFront knows seven methods. Others do not reach the function.
	for _, method := range []string{"COPY", "MOVE", "MKCOL", "PROPFIND", "PURGE", "LOCK", "TRACE", "LINK", "put", "Put", "PUTS", "APPEND"} {
		all = append(all, attempt{"method " + method, "a method that S3 or a cache may take for PUT", edge, request(method, good) + marker, "403"})
	}
	for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		all = append(all,
			attempt{name + ": PUT beside POST", "a header must not make an upload of a POST", edge, request("POST", good, name+": PUT") + marker, "403 method"},
			attempt{name + ": PUT beside GET", "a header must not make an upload of a GET", edge, head("GET", good, name+": PUT"), "403 method"})
	}
	form := "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nuploads/@uuid\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"policy\"\r\n\r\neyJjb25kaXRpb25zIjpbXX0=\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"x-amz-signature\"\r\n\r\n@signature\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n" + marker + "\r\n--b--\r\n"
	post := func(to, length string) string {
		return head("POST", to, "Content-Type: multipart/form-data; boundary=b", "Content-Length: "+length) + form
	}
	// The uuid and the signature are longer than their names here.
	length := fmt.Sprint(len(form) + 36 - len("@uuid") + 64 - len("@signature"))
	all = append(all,
		attempt{"POST policy to the bucket", "a form with a policy uploads to S3 without PUT", edge, post("/", length), "403 method"},
		attempt{"POST policy to the upload", "a form with a policy uploads to S3 without PUT", edge, post(good, length), "403 method"},
		attempt{"POST policy to mint", "minting takes JSON alone", edge, post("/url", length), "400 options"},
		attempt{"POST to begin a multipart upload", "parts are not one upload", edge, head("POST", "@path?uploads", "Content-Length: 0"), "403 unknown"},
		attempt{"POST to complete a multipart upload", "parts are not one upload", edge, head("POST", "@path?uploadId=x", "Content-Length: 0"), "403 method"},
		attempt{"POST to delete many", "deleting is not uploading", edge, head("POST", "/?delete", "Content-Length: 0"), "403 method"},
		attempt{"GET with a body", "CloudFront takes none", edge, request("GET", good) + marker, "403"},
		attempt{"CONNECT", "a tunnel goes past everything", edge, "CONNECT @host HTTP/1.1\r\nHost: @host\r\n\r\n", "400"},
		attempt{"OPTIONS *", "there is nothing to ask of the server", edge, "OPTIONS * HTTP/1.1\r\nHost: @host\r\n\r\n", "400"},
	)
	for _, header := range []string{
		"X-Amz-Copy-Source: /oncegate-test/uploads/x", "x-amz-copy-source: /oncegate-test/signatures/valid/@id", "X-Amz-Copy-Source: ", "X-Amz-Copy-Source-Range: bytes=0-1",
		"Content-Encoding: aws-chunked", "Content-Encoding: gzip,AWS-chunked", "X-Amz-Decoded-Content-Length: 3", "X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
		"X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER", "Content-MD5: x", "Content-MD5: ", "Content-MD5: c2l4dGVlbiBieXRlcyEhIR==", "Cache-Control: " + strings.Repeat("a", 2100),
		"Content-Type: multipart/form-data; boundary=b", "Content-Type: Multipart/Form-Data", "Content-Type: text/plain, multipart/form-data; boundary=b", "Content-Type: multipart/byteranges; boundary=b",
		"Content-Type: \u0130mage/png", "Content-Type: image/png\u0085", "Content-Type: \xa0image/png",
		"Content-Range: bytes 0-1/2", "Content-Range: bytes 5-18/19", "Content-Range: bytes 0-13/*", "Content-Range: bytes */14", "Range: bytes=0-1", "Range: bytes=-5",
		"Upload-Offset: 5", "Upload-Complete: ?0", "Upload-Incomplete: ?1", "OC-Chunked: 1", "X-Update-Range: append", "X-Amz-Write-Offset-Bytes: 0",
		"X-HTTP-Method-Override: DELETE", "X-HTTP-Method: PATCH", "X-Method-Override: POST", "If-Match: \"x\"", "If-Match: *",
		"X-Amz-Object-Lock-Mode: COMPLIANCE", "X-Amz-Object-Lock-Retain-Until-Date: 2099-01-01T00:00:00Z", "X-Amz-Object-Lock-Legal-Hold: ON",
		"X-Amz-Server-Side-Encryption: aws:kms", "X-Amz-Server-Side-Encryption-Customer-Algorithm: AES256", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id: k",
	} {
		name, _, _ := strings.Cut(header, ":")
		all = append(all, attempt{"header " + header[:min(len(header), 60)], name + " makes S3 do or refuse another thing than an upload", edge, put(good, header), "400 header"})
	}
	newField(t).all(t, all)
}

// TestHeaders: headers that a viewer adds to a good upload do not reach S3, where they
// would mean another operation or other credentials. The upload goes on.
func TestHeaders(t *testing.T) {
	f := newField(t)
	for _, header := range []string{
		"X-Amz-Acl: public-read", "x-amz-grant-read: uri=http://acs.amazonaws.com/groups/global/AllUsers", "X-Amz-Grant-Full-Control: id=x",
		"X-Amz-Storage-Class: GLACIER", "X-Amz-Website-Redirect-Location: https://evil.example/", "X-Amz-Tagging: a=b",
		"X-Amz-Meta-Evil: yes", "x-amz-meta-oncegate-reason: revoked",
		"X-Amz-Server-Side-Encryption: AES256", "X-Amz-Request-Payer: requester", "X-Amz-Expected-Bucket-Owner: 111111111111",
		"X-Amz-Mp-Object-Size: 1", "X-Amz-Checksum-Crc32: AAAAAA==", "X-Amz-Sdk-Checksum-Algorithm: CRC32", "X-Amz-Trailer: x-amz-checksum-crc32",
		"X-Amz-Date: 20200101T000000Z", "X-Amz-Security-Token: x", "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD", "X-Amz-Cf-Id: mine", "X-Amz-Bypass-Governance-Retention: true", "X-Amz-Unheard-Of: x",
		"Authorization: AWS4-HMAC-SHA256 Credential=oncegate/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=@signature",
		"Authorization: AWS oncegate:c2lnbmF0dXJl", "Authorization: Bearer x", "authorization: Basic eDp5", "Proxy-Authorization: Basic eDp5",
		"Date: Wed, 01 Jan 2020 00:00:00 GMT", "If-None-Match: *", "If-Modified-Since: Wed, 01 Jan 2020 00:00:00 GMT", "If-Unmodified-Since: Wed, 01 Jan 2020 00:00:00 GMT", "Range: bytes=0-", "Content-Range: bytes 0-10/11",
		"X-HTTP-Method-Override: PUT", "User-Agent: evil", "Accept: text/html", "Accept-Language: de", "Prefer: return=minimal", "Content-Location: /signatures/valid/@id", "Digest: md5=x", "Want-Digest: md5", "Content-Digest: md5=:x:",
		"Upload-Offset: 0", "Upload-Complete: ?1", "Traceparent: 00-0-0-01", "X-Unheard-Of: x", "X-Forwarded-For: 198.51.100.1", "X-Forwarded-Host: evil.example", "X-Original-URL: /signatures/valid/@id", "X-Rewrite-URL: /signatures/valid/@id", "Forwarded: host=evil.example",
		"Cookie: a=b", "Referer: https://evil.example/", "Upgrade: h2c", "Connection: content-length", "Connection: host, x-amz-date", "TE: trailers", "Trailer: x-amz-acl", "Expect: 200-ok",
		"X-Edge-Result-Type: Hit", "CloudFront-Viewer-Country: XX", "X-Real-IP: 127.0.0.1", "Accept-Encoding: gzip", "Keep-Alive: timeout=1000", "Max-Forwards: 0", "Via: 1.0 evil", "X-Oncegate-Reason: passed",
	} {
		t.Run(header[:min(len(header), 70)], func(t *testing.T) {
			m := aim(f.Mint(t))
			f.sinceThen()
			body := "the owner's"
			wire := head("PUT", good, header, fmt.Sprintf("Content-Length: %d", len(body))) + body
			answer := f.speak(t, edge, f.fill(attempt{wire: wire}, m))
			f.CheckLeak(t, string(answer))
			want, stored := "200", 1
			if strings.HasPrefix(header, "Expect:") {
				want, stored = "417", 0 // the HTTP server's own refusal
			}
			if got := verdict("PUT", answer); got != want {
				t.Errorf("answered %q, want %q", got, want)
			}
			uploads := 0
			for _, r := range f.sinceThen() {
				if r.call != "PUT uploads/" {
					continue
				}
				uploads++
				f.plain(t, r)
			}
			if uploads != stored {
				t.Errorf("S3 was asked to store %d times, want %d", uploads, stored)
			}
			f.WantVersions(t, m.Key, stored)
			if stored == 1 {
				f.ordinary(t, m.Key, body)
			}
			if !t.Failed() {
				total.add(1)
			}
		})
	}
	f.untouched(t)
}

// forwarded are the headers that an upload's request to S3 may have: those that the
// gate lets through, and CloudFront's own.
var forwarded = map[string]bool{
	"Accept-Encoding": false, "Cache-Control": true, "Connection": true, "Content-Disposition": true, "Content-Encoding": true, "Content-Language": true, "Content-Length": true,
	"Content-Md5": true, "Content-Type": true, "Expires": true, "Origin": true,
	"User-Agent": true, "Via": true, "X-Amz-Cf-Id": true, "X-Forwarded-For": true,
}

// plain checks that a request to S3 is exactly the upload that the edge makes.
func (f *field) plain(t *testing.T, r asked) {
	t.Helper()
	if r.host != s3servertest.Host {
		t.Errorf("S3 was asked as %q", r.host)
	}
	for name, values := range r.header {
		if !forwarded[name] {
			t.Errorf("S3 got the header %s: %q", name, values)
		}
	}
	if agent := r.header.Get("User-Agent"); agent != "Amazon CloudFront" {
		t.Errorf("S3 was asked by %q", agent)
	}
	if from := r.header.Get("X-Forwarded-For"); strings.Contains(from, "198.51.100.1") {
		t.Errorf("S3 was told of %q", from)
	}
	if id := r.header["X-Amz-Cf-Id"]; len(id) != 1 || id[0] == "mine" {
		t.Errorf("X-Amz-Cf-Id is %q", id)
	}
}

// ordinary checks that the stored object is that of an upload without extra headers.
func (f *field) ordinary(t *testing.T, key, body string) {
	t.Helper()
	client, ctx, in := s3servertest.Client(f.S3), t.Context(), aws.String(s3servertest.Bucket)
	out, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: in, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	if class := out.StorageClass; class != "" && class != "STANDARD" {
		t.Errorf("storage class %s", class)
	}
	if out.WebsiteRedirectLocation != nil || len(out.Metadata) > 0 || out.ObjectLockMode != "" || out.ServerSideEncryption != "" && out.ServerSideEncryption != "AES256" {
		t.Errorf("stored with %+v", out)
	}
	tags, err := client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: in, Key: &key})
	if err == nil && len(tags.TagSet) > 0 {
		t.Errorf("stored with tags")
	}
	if got := f.Stored(t, key); got != body {
		t.Errorf("stored %q, want %q", got, body)
	}
	anonymous, err := http.Get(f.S3.URL() + "/" + s3servertest.Bucket + "/" + key)
	if err != nil {
		t.Fatal(err)
	}
	anonymous.Body.Close()
	if anonymous.StatusCode != http.StatusForbidden {
		t.Errorf("everybody may read it: %d", anonymous.StatusCode)
	}
}
