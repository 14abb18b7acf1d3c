package s3server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"oncegate/internal/lean/sigv4"
	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
)

func bucket() *string { return aws.String(s3servertest.Bucket) }

func put(t testing.TB, c *s3.Client, key, body string) string {
	t.Helper()
	out, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket(), Key: &key, Body: strings.NewReader(body)})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.VersionId)
}

func get(t testing.TB, c *s3.Client, key string) string {
	t.Helper()
	out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket(), Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// presign makes a query-signed URL for the production host, dated at, with the given headers signed too.
func presign(t testing.TB, method, key, access, secret string, at time.Time, header ...string) string {
	t.Helper()
	return presignAs(t, s3server.Role{Credentials: sigv4.Credentials{AccessKeyID: access, SecretAccessKey: secret}}, method, key, at, header...)
}

func presignAs(t testing.TB, by s3server.Role, method, key string, at time.Time, header ...string) string {
	t.Helper()
	r, err := http.NewRequest(method, "https://"+s3servertest.Host+"/"+key+"?X-Amz-Expires=300", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	u, _, err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).PresignHTTP(t.Context(),
		aws.Credentials{AccessKeyID: by.AccessKeyID, SecretAccessKey: by.SecretAccessKey, SessionToken: by.SessionToken},
		r, "UNSIGNED-PAYLOAD", "s3", s3servertest.Region, at)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// via sends a request for the production host to the server, as the local edge does.
func via(t testing.TB, s *s3server.Server, method, presigned string, body io.Reader, header ...string) (*http.Response, string) {
	t.Helper()
	_, rest, _ := strings.Cut(presigned, s3servertest.Host)
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL()+rest, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = s3servertest.Host
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

func status(err error) int {
	var re *smithyhttp.ResponseError
	if errors.As(err, &re) {
		return re.HTTPStatusCode()
	}
	return 0
}

func TestPathStyle(t *testing.T) {
	s := s3servertest.New(t)
	c := s3servertest.Client(s)
	first, second := put(t, c, "a/b", "one"), put(t, c, "a/b", "two")
	if first == "" || first == second {
		t.Errorf("versions %q and %q, want two different ones", first, second)
	}
	if got := get(t, c, "a/b"); got != "two" {
		t.Errorf("got %q", got)
	}
	head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket(), Key: aws.String("a/b")})
	if err != nil || aws.ToInt64(head.ContentLength) != 3 || aws.ToString(head.VersionId) != second {
		t.Errorf("head: %+v, %v", head, err)
	}
	_, err = c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket(), Key: aws.String("a/absent")})
	if status(err) != 404 {
		t.Errorf("head of an absent key: %v", err)
	}
	want := map[string]int{"PUT a/": 2, "GET a/": 1, "HEAD a/": 2}
	got := s.Requests()
	for k, n := range want {
		if got[k] != n || len(got) != len(want) {
			t.Errorf("requests %v, want %v", got, want)
		}
	}
	s.ResetRequests()
	if got := s.Requests(); len(got) != 0 {
		t.Errorf("requests after a reset: %v", got)
	}
}

func TestProductionHost(t *testing.T) {
	s := s3servertest.New(t)
	u := presign(t, "PUT", "uploads/x", s3servertest.AccessKey, s3servertest.SecretKey, time.Now())
	res, body := via(t, s, "PUT", u, strings.NewReader("photo"))
	if res.StatusCode != 200 || res.Header.Get("X-Amz-Version-Id") == "" {
		t.Fatalf("presigned PUT: %s %s", res.Status, body)
	}
	if got := get(t, s3servertest.Client(s), "uploads/x"); got != "photo" {
		t.Errorf("stored %q", got)
	}
	if n := s.Requests()["PUT uploads/"]; n != 1 {
		t.Errorf("counted %v", s.Requests())
	}
	// The signature covers Host: the same query by the proxy's own address is worth nothing.
	path := strings.Replace(u, "https://"+s3servertest.Host, "https://"+s3servertest.Host+"/"+s3servertest.Bucket, 1)
	_, rest, _ := strings.Cut(path, s3servertest.Host)
	r, _ := http.NewRequestWithContext(t.Context(), "PUT", s.URL()+rest, strings.NewReader("x"))
	res2, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res2.Body.Close()
	if res2.StatusCode != 403 {
		t.Errorf("presigned query with another host: %s", res2.Status)
	}
}

func TestRefused(t *testing.T) {
	s := s3servertest.New(t)
	now := time.Now()
	const ak, sk = s3servertest.AccessKey, s3servertest.SecretKey
	tests := []struct {
		name, url, code string
	}{
		{"wrong secret", presign(t, "PUT", "k", ak, "other", now), "SignatureDoesNotMatch"},
		{"other method", presign(t, "GET", "k", ak, sk, now), "SignatureDoesNotMatch"},
		{"other path", strings.Replace(presign(t, "PUT", "j", ak, sk, now), "/j?", "/k?", 1), "SignatureDoesNotMatch"},
		{"unknown access key", presign(t, "PUT", "k", "oncegate", sk, now), "InvalidAccessKeyId"},
		{"expired", presign(t, "PUT", "k", ak, sk, now.Add(-time.Hour)), "AccessDenied"},
		{"dated ahead", presign(t, "PUT", "k", ak, sk, now.Add(16*time.Minute)), "AccessDenied"},
		{"no signature", "https://" + s3servertest.Host + "/k", "AccessDenied"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, body := via(t, s, "PUT", tt.url, strings.NewReader("x"))
			if res.StatusCode != 403 || !strings.Contains(body, "<Code>"+tt.code+"</Code>") {
				t.Errorf("%s %s, want 403 %s", res.Status, body, tt.code)
			}
		})
	}
	if res, body := via(t, s, "PUT", presign(t, "PUT", "k", ak, sk, now.Add(10*time.Minute)), strings.NewReader("x")); res.StatusCode != 200 {
		t.Errorf("dated ahead by less than 15 minutes: %s %s", res.Status, body)
	}
	// The same refusals for requests signed in a header.
	c := s3servertest.Client(s)
	for key, code := range map[string]string{"nobody": "InvalidAccessKeyId", ak: "SignatureDoesNotMatch"} {
		_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket(), Key: aws.String("k"), Body: strings.NewReader("")},
			func(o *s3.Options) {
				o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
					return aws.Credentials{AccessKeyID: key, SecretAccessKey: "wrong"}, nil
				})
			})
		var ae smithy.APIError
		if !errors.As(err, &ae) || ae.ErrorCode() != code || status(err) != 403 {
			t.Errorf("header signature of %s: %v, want 403 %s", key, err, code)
		}
	}
}

// What a proxy on the way adds does no harm, and what was signed arrives.
func TestHeaders(t *testing.T) {
	s := s3servertest.New(t)
	u := presign(t, "PUT", "k", s3servertest.AccessKey, s3servertest.SecretKey, time.Now())
	res, body := via(t, s, "PUT", u, strings.NewReader("x"), "X-Amz-Cf-Id", "abc", "X-Forwarded-For", "192.0.2.1")
	if res.StatusCode != 200 {
		t.Errorf("with x-amz-cf-id: %s %s", res.Status, body)
	}
	if res.Header.Get("X-Amz-Id-2") == "" || res.Header.Get("X-Amz-Request-Id") == "" {
		t.Errorf("S3's ids for its support are missing: %v", res.Header)
	}
	forwarded := []string{"X-Forwarded-For", "192.0.2.1"}
	u = presign(t, "PUT", "k", s3servertest.AccessKey, s3servertest.SecretKey, time.Now(), forwarded...)
	if res, body := via(t, s, "PUT", u, strings.NewReader("x"), forwarded...); res.StatusCode != 200 {
		t.Errorf("with a signed x-forwarded-for: %s %s", res.Status, body)
	}
	if res, _ := via(t, s, "PUT", u, strings.NewReader("x"), "X-Forwarded-For", "192.0.2.1", "X-Amz-Acl", "private"); res.StatusCode != 403 {
		t.Errorf("with another unsigned x-amz header: %s, want 403", res.Status)
	}
}

func TestConditionalPutHasOneWinner(t *testing.T) {
	s := s3servertest.New(t)
	c := s3servertest.Client(s)
	for _, size := range []int{100, 512 << 10} {
		key := aws.String(fmt.Sprintf("race/%d", size))
		var wg sync.WaitGroup
		codes := make(chan int, 50)
		for range cap(codes) {
			wg.Go(func() {
				_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket(), Key: key,
					IfNoneMatch: aws.String("*"), Body: bytes.NewReader(make([]byte, size))})
				if err != nil && status(err) != 412 && status(err) != 409 {
					t.Error(err)
				}
				if err == nil {
					codes <- 200
				}
			})
		}
		wg.Wait()
		if len(codes) != 1 {
			t.Errorf("%d bytes: %d winners of %d, want 1", size, len(codes), cap(codes))
		}
		out, err := c.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: bucket(), Prefix: key})
		if err != nil || len(out.Versions) != 1 {
			t.Errorf("%d bytes: %d versions, %v", size, len(out.Versions), err)
		}
	}
}

func TestDeleteMarker(t *testing.T) {
	s := s3servertest.New(t)
	c := s3servertest.Client(s)
	put(t, c, "k", "x")
	put(t, c, "k-longer", "x") // a key that starts like the one asked for
	put(t, c, "j", "x")
	marker := func(method, key string) string {
		t.Helper()
		u := presign(t, method, key, s3servertest.AccessKey, s3servertest.SecretKey, time.Now())
		res, _ := via(t, s, method, u, nil)
		if res.StatusCode != 404 {
			t.Errorf("%s %s: %s", method, key, res.Status)
		}
		return res.Header.Get("X-Amz-Delete-Marker")
	}
	for _, key := range []string{"k-longer", "j"} {
		if _, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket(), Key: &key}); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range []string{"HEAD", "GET"} {
		if got := marker(m, "j"); got != "true" {
			t.Errorf("%s over a delete marker: x-amz-delete-marker %q", m, got)
		}
		if got := marker(m, "k-long"); got != "" {
			t.Errorf("%s of an absent key: x-amz-delete-marker %q", m, got)
		}
	}
	// A deviation that the package documents: S3 counts a marker as absent and answers 200.
	_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket(), Key: aws.String("j"), IfNoneMatch: aws.String("*")})
	if status(err) != 412 {
		t.Errorf("If-None-Match over a delete marker: %v, documented as 412", err)
	}
	put(t, c, "j", "again")
	if got := get(t, c, "j"); got != "again" {
		t.Errorf("after a new version: %q", got)
	}
}

func TestSurvives(t *testing.T) {
	o := s3servertest.Options(t)
	start := func() *s3server.Server {
		return s3servertest.New(t, func(p *s3server.Options) { *p = o })
	}
	s := start()
	c := s3servertest.Client(s)
	first := put(t, c, "k", "one")
	second := put(t, c, "k", "two")
	check := func(c *s3.Client) {
		t.Helper()
		out, err := c.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: bucket()})
		if err != nil {
			t.Fatal(err)
		}
		if v := out.Versions; len(v) != 2 || *v[0].VersionId != second || *v[1].VersionId != first || !*v[0].IsLatest {
			t.Errorf("versions %+v, want %s then %s", v, second, first)
		}
		if got := get(t, c, "k"); got != "two" {
			t.Errorf("got %q", got)
		}
	}
	s.Kill()
	if _, err := c.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: bucket()}); err == nil || status(err) != 0 {
		t.Errorf("while the server is down: %v, want a connection error", err)
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(c)
	if err := s.Restart(t.Context()); err != nil { // one that runs
		t.Fatal(err)
	}
	check(c)
	s.Close()
	check(s3servertest.Client(start()))
}

func TestOtherRegion(t *testing.T) {
	s := s3servertest.New(t, func(o *s3server.Options) { o.Region = "eu-central-1" })
	c := s3servertest.Client(s)
	_, err := c.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: bucket()}, func(o *s3.Options) { o.Region = "eu-central-1" })
	if err != nil {
		t.Error(err)
	}
	out, err := c.GetBucketVersioning(t.Context(), &s3.GetBucketVersioningInput{Bucket: bucket()}, func(o *s3.Options) { o.Region = "eu-central-1" })
	if err != nil || out.Status != types.BucketVersioningStatusEnabled {
		t.Errorf("versioning %v, %v", out, err)
	}
}

func TestIdleTimeout(t *testing.T) {
	s := s3servertest.New(t, func(o *s3server.Options) { o.IdleTimeout = 20 * time.Millisecond })
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(io.Discard, conn); err != nil { // ends only when the server closes
		t.Errorf("idle connection: %v", err)
	}
}

func TestStartErrors(t *testing.T) {
	o := s3servertest.Options(t)
	gone := o
	gone.Binary = filepath.Join(t.TempDir(), "versitygw")
	_, err := s3server.Start(t.Context(), gone)
	if !errors.Is(err, s3server.ErrNoBinary) || err.Error() != "versitygw not found at "+gone.Binary+": run `make tools`" {
		t.Errorf("no binary: %v", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	busy := o
	busy.Addr = ln.Addr().String()
	_, err = s3server.Start(t.Context(), busy)
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), busy.Addr) {
		t.Errorf("busy port: %v", err)
	}
	file := o
	file.Dir = filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(file.Dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = s3server.Start(t.Context(), file); err == nil {
		t.Error("a file for a data directory was taken")
	}
	bad := o
	bad.Bucket = "UPPER"
	if _, err = s3server.Start(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "UPPER") {
		t.Errorf("bad bucket name: %v", err)
	}
	bad = o
	bad.Operator.AccessKeyID = ""
	if _, err = s3server.Start(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "AccessKeyID") {
		t.Errorf("no access key: %v", err)
	}
}

func TestLogHasNoSecrets(t *testing.T) {
	var log bytes.Buffer // slog's handler locks around each write; read after Close
	s := s3servertest.New(t, func(o *s3server.Options) {
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	u := presign(t, "PUT", "k", s3servertest.AccessKey, "wrong", time.Now())
	via(t, s, "PUT", u, strings.NewReader("x"))
	via(t, s, "PUT", presign(t, "PUT", "k", s3servertest.AccessKey, s3servertest.SecretKey, time.Now()), strings.NewReader("x"))
	s.Close()
	for _, secret := range []string{s3servertest.SecretKey, "X-Amz-Signature"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log has %s:\n%s", secret, log.String())
		}
	}
}
