// Package s3server runs a real S3 server, versitygw, behind a small proxy. The proxy corrects what versitygw does
// differently from S3, and lets tests inject faults.
//
// The server is a child process on a port of 127.0.0.1 that only the proxy uses. Objects and their versions live below
// Options.Dir and outlast the process, whether it ends by Close or by SIGKILL. The child verifies SigV4, path style at
// URL and also for the production host name <bucket>.s3.<region>.amazonaws.com where a request carries that in Host. It
// says 100 Continue also to an upload that it then refuses.
//
// Access is decided in two steps, as at AWS. The child verifies the signature and the session token, with a key that it
// gets from here. Then it asks here about each action on each resource that the request needs, and package iam decides
// by the role's policies and the bucket policy. Only roles and the operator have access. A write with If-Match needs
// s3:GetObject besides.
//
// What the proxy corrects:
//   - x-amz-cf-id, which CloudFront adds to what it sends to S3, is dropped; the server refuses any unsigned x-amz header.
//   - GET and HEAD of an absent key answer 403 to a principal that may not list the bucket.
//   - GET and HEAD of a key whose newest version is a delete marker answer 404 with x-amz-delete-marker: true.
//   - DELETE and PUT with If-Match of a key that has no current version answer 404 and do nothing.
//   - DELETE of a version that is gone answers 204.
//   - completes of one upload go one after the other. While one is under way the server answers another 200, also if the
//     first then fails because a part has changed.
//   - a presigned request dated more than 15 minutes ahead is refused with 403.
//   - an upload that its client breaks off stores nothing. The server takes the end of the connection for the end of
//     the body, so the proxy resets the connection instead of closing it.
//
// What stays different from S3: the server looks at a request when it has the first 8 KB of the body, so a presigned
// query can run out while they come, where S3 looks at the headers alone. A PUT with If-None-Match: * over a delete
// marker answers 412, S3 answers 200. DELETE of a key that never existed makes no delete marker. Keys are paths of
// files: "a" and "a/b" cannot both exist (409), and PUT and DELETE racing on one key can lose versions. A refusal by the
// bucket policy speaks of an identity-based policy; the log names the statement. A policy put over the API is the
// server's own and knows few conditions; Options.BucketPolicy stays in force. A request that signs Referer is refused:
// the proxy needs that header.
package s3server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"oncegate/internal/lean/sigv4"
)

// ErrNoBinary says that the S3 server's program is not there.
var ErrNoBinary = errors.New("versitygw not found")

// Options says what to run and where. The fields up to Addr are needed.
type Options struct {
	Binary         string            // path of versitygw
	Dir            string            // data: objects, versions and accounts; survives restarts
	Bucket, Region string            // the one bucket
	Unversioned    bool              // the bucket keeps no versions; otherwise versioning is enabled
	Operator       sigv4.Credentials // may do everything that BucketPolicy does not deny
	Addr           string            // where the proxy listens, such as 127.0.0.1:9000; port 0 picks a free one

	// Roles may do what their policies and BucketPolicy allow, with their own credentials.
	Roles []Role
	// BucketPolicy is the bucket's policy; nil means none.
	BucketPolicy json.RawMessage

	// IdleTimeout is how long the proxy keeps an idle client connection; 0 keeps it for ever.
	IdleTimeout time.Duration
	// Log gets the server's own output at debug level; nil discards it.
	Log *slog.Logger
	// Fault is called once for each request, from many goroutines at once; nil means no faults.
	Fault func(*http.Request) Fault
	// Stored, if set, is called with every version of an object that a request stores, from
	// many goroutines at once.
	Stored func(Stored)
}

// Server is a running S3 server with its proxy.
type Server struct {
	o      Options
	url    string
	root   string     // secret of the child's root account, which is nobody's outside of this package
	direct *s3.Client // to the child as root, past the proxy and all policies
	iam    *iamService
	proxy  *proxy
	http   *http.Server
	// objects and versions are the folders of the child.
	objects, versions string
	served            chan struct{}

	addr atomic.Value // string: where the child listens

	mu     sync.Mutex // guards the rest
	child  *child
	closed bool
}

// Start runs the server, creates the bucket where it is missing, and returns once requests are
// answered. The context bounds the start alone; Close ends the server.
func Start(ctx context.Context, o Options) (_ *Server, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	access, err := newAccess(o)
	if err != nil {
		return nil, err
	}
	objects, versions, err := prepareData(o.Dir, o.Bucket)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", o.Addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("another program already listens on %s: %w", o.Addr, syscall.EADDRINUSE)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for s3 requests on %q: %w", o.Addr, err)
	}
	s := &Server{
		o: o, objects: objects, versions: versions, url: "http://" + ln.Addr().String(), root: rand.Text(), served: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			ln.Close()
			if s.child != nil {
				s.child.kill()
			}
			if s.iam != nil {
				s.iam.close()
			}
		}
	}()
	if s.iam, err = startIAM(access); err != nil {
		return nil, fmt.Errorf("start the iam service: %w", err)
	}
	s.direct = newDirect(o.Region, s.root, s.dial)
	access.marker = s.newestIsMarker
	s.proxy = newProxy(o, access, s.dial, s.newestIsMarker)
	s.proxy.describe = s.describe
	if err := s.run(ctx); err != nil {
		return nil, err
	}
	if err := s.makeBucket(ctx); err != nil {
		return nil, err
	}
	s.http = &http.Server{
		Handler:           s.proxy,
		IdleTimeout:       o.IdleTimeout,
		ReadHeaderTimeout: 30 * time.Second,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(s.served)
		if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			o.Log.Error("the s3 proxy has stopped", "err", err)
		}
	}()
	return s, nil
}

func (o Options) check() error {
	for _, f := range []struct{ name, value string }{
		{"Binary", o.Binary}, {"Dir", o.Dir}, {"Bucket", o.Bucket}, {"Region", o.Region},
		{"Operator.AccessKeyID", o.Operator.AccessKeyID}, {"Operator.SecretAccessKey", o.Operator.SecretAccessKey}, {"Addr", o.Addr},
	} {
		if f.value == "" {
			return fmt.Errorf("s3 server: option %s is missing", f.name)
		}
	}
	if _, err := os.Stat(o.Binary); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w at %s: run `make tools`", ErrNoBinary, o.Binary)
	} else if err != nil {
		return err
	}
	return nil
}

// URL is the endpoint that everyone uses, such as http://127.0.0.1:9000.
func (s *Server) URL() string { return s.url }

// Requests counts the requests that reached the proxy since the start or the last ResetRequests, by Call.
func (s *Server) Requests() map[string]int { return s.proxy.counts.get() }

// ResetRequests sets all counts back to none.
func (s *Server) ResetRequests() { s.proxy.counts.reset() }

// Close stops the proxy and the server and waits until both are gone. Requests in progress are broken off.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.proxy.close()
	err := s.http.Close() // also frees handlers that are reading a client's body
	<-s.served
	s.proxy.active.Wait()
	s.child.stop()
	s.iam.close()
	return err
}

// Kill ends the server process with SIGKILL, as a crash would, and waits until it is gone. The proxy stays: it closes
// every client's connection without an answer until Restart.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.child.kill()
}

// Restart kills the server process if it runs and starts it again on the same data.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return http.ErrServerClosed
	}
	s.child.kill()
	return s.run(ctx)
}

// run starts the child and waits until it answers; the caller holds mu or is alone.
func (s *Server) run(ctx context.Context) (err error) {
	if err := undoCompletes(s.objects); err != nil {
		return fmt.Errorf("undo what a crash has left of a complete: %w", err)
	}
	for range 5 {
		if err = s.runOnce(ctx); !errors.Is(err, errPortTaken) {
			break
		}
	}
	return err
}

const rootAccessKey = "oncegate-local-root"

var errPortTaken = errors.New("its port was taken by another program")

func (s *Server) runOnce(ctx context.Context) error {
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	s.addr.Store(addr)
	// Between choosing the port and the child's taking it another server may have come in, perhaps another of ours:
	// only our child answers at this path.
	health := "/health-" + rand.Text()
	c, err := startChild(s.o.Log, s.o.Binary, []string{
		"--quiet", "--port", addr, "--health", health, "--region", s.o.Region,
		"--virtual-domain", "s3." + s.o.Region + ".amazonaws.com", "--iam-standalone-endpoint", s.iam.socket(),
		"posix", "--versioning-dir", s.versions, s.objects,
	}, []string{
		"ROOT_ACCESS_KEY=" + rootAccessKey, "ROOT_SECRET_KEY=" + s.root,
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir(),
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", s.o.Binary, err)
	}
	s.child = c
	client := &http.Client{Transport: &http.Transport{DialContext: s.dial, DisableKeepAlives: true}}
	for {
		if r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+health, nil); err != nil {
			return err
		} else if res, err := client.Do(r); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-c.Done():
			last := c.lastLine()
			if strings.Contains(last, syscall.EADDRINUSE.Error()) {
				return fmt.Errorf("the s3 server cannot start: %w", errPortTaken)
			}
			return fmt.Errorf("the s3 server ended while starting: %s", last)
		case <-ctx.Done():
			c.kill()
			return fmt.Errorf("the s3 server does not answer: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

// dial connects to the child. Closing such a connection resets it: after a whole answer that makes no difference, but
// a child that waits for the rest of a body must see an error, not an end.
func (s *Server) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", s.addr.Load().(string))
	if err != nil {
		return nil, err
	}
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func (s *Server) makeBucket(ctx context.Context) error {
	in := &s3.CreateBucketInput{Bucket: &s.o.Bucket}
	if s.o.Region != "us-east-1" { // the one region that S3 does not allow to be named here
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{
			LocationConstraint: types.BucketLocationConstraint(s.o.Region),
		}
	}
	var owned *types.BucketAlreadyOwnedByYou
	var exists *types.BucketAlreadyExists // data of a version that had another root
	if _, err := s.direct.CreateBucket(ctx, in); err != nil && !errors.As(err, &owned) && !errors.As(err, &exists) {
		return fmt.Errorf("create bucket %s: %w", s.o.Bucket, err)
	}
	versioning := types.BucketVersioningStatusEnabled
	if s.o.Unversioned {
		now, err := s.direct.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &s.o.Bucket})
		if err != nil {
			return fmt.Errorf("read versioning of bucket %s: %w", s.o.Bucket, err)
		}
		if now.Status == "" {
			return nil
		}
		versioning = types.BucketVersioningStatusSuspended // S3 knows no way back to none
	}
	_, err := s.direct.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket: &s.o.Bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: versioning},
	})
	if err != nil {
		return fmt.Errorf("set versioning of bucket %s to %s: %w", s.o.Bucket, versioning, err)
	}
	return nil
}

// newestIsMarker reports whether the newest version of exactly this key is a delete marker. It asks the server for a
// list. Lists are in key order, so the key itself comes first among the keys that start with it.
//
// The server keeps the newest version of a key, also a marker, in the file of that name. Without such a file it need not
// be asked, and is not: to make a list it reads a whole folder.
func (s *Server) newestIsMarker(ctx context.Context, bucket, key string) (bool, error) {
	_, err := os.Lstat(filepath.Join(s.objects, bucket, filepath.FromSlash(key)))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return false, nil
	}
	out, err := s.direct.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{
		Bucket: &bucket, Prefix: &key, MaxKeys: aws.Int32(1),
	})
	var absent *types.NoSuchBucket
	if errors.As(err, &absent) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("list versions of %s: %w", key, err)
	}
	for _, m := range out.DeleteMarkers {
		if aws.ToString(m.Key) == key && aws.ToBool(m.IsLatest) {
			return true, nil
		}
	}
	return false, nil
}

// describe returns size and ETag, without its quotes, of a version of an object.
func (s *Server) describe(ctx context.Context, bucket, key, version string) (int64, string, error) {
	out, err := s.direct.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key, VersionId: &version})
	if err != nil {
		return 0, "", err
	}
	return aws.ToInt64(out.ContentLength), strings.Trim(aws.ToString(out.ETag), `"`), nil
}

// newDirect makes the client for the proxy's own requests. It never retries, so that no failure is hidden.
func newDirect(region, secret string, dial dialFunc) *s3.Client {
	return s3.New(s3.Options{
		Region:       region,
		BaseEndpoint: aws.String("http://localhost"),
		UsePathStyle: true,
		Retryer:      aws.NopRetryer{},
		HTTPClient:   &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: rootAccessKey, SecretAccessKey: secret}, nil
		}),
	})
}

// Call names a request as Requests counts it: the method, then the key up to its last slash, then the query
// parameters that make it another S3 operation. "PUT uploads/", "HEAD signatures/expired/", "GET ?versions",
// "PUT uploads/?partNumber&uploadId".
func Call(r *http.Request) string {
	_, key := target(r)
	name := r.Method + " " + key[:strings.LastIndexByte(key, '/')+1]
	sep := "?"
	q := r.URL.Query()
	for _, p := range []string{
		"acl", "attributes", "cors", "delete", "lifecycle", "list-type", "location", "partNumber", "policy", "tagging",
		"uploadId", "uploads", "versionId", "versioning", "versions",
	} {
		if q.Has(p) {
			name += sep + p
			sep = "&"
		}
	}
	return name
}

// target finds the bucket and the key in a production host name or, with any other host, in the path.
func target(r *http.Request) (bucket, key string) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	host := strings.ToLower(r.Host)
	if b, rest, ok := strings.Cut(host, ".s3."); ok && strings.HasSuffix(rest, ".amazonaws.com") {
		return b, path
	}
	bucket, key, _ = strings.Cut(path, "/")
	return bucket, key
}
