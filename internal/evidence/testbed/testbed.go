// Package testbed gives a test the whole chain as it is deployed: HTTP, the
// local edge with the built artifact in real Node processes, and a real S3 server
// that verifies signatures.
package testbed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/cfn"
	"oncegate/internal/config"
	"oncegate/internal/local"
	"oncegate/internal/local/api"
	"oncegate/internal/local/cloudfront"
	"oncegate/internal/local/dynamoserver"
	"oncegate/internal/local/queue"
	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
	"oncegate/internal/onetime"
)

// Stack is a local edge on a local S3 server, both gone with the test.
type Stack struct {
	S3   *s3server.Server
	Edge *cloudfront.Server
	// Table is set where the index is in a table.
	Table *dynamoserver.Server
	// Lambda is set where the runtime is regional.
	Lambda *api.Lambda
	// Services and Queues, by name, are set where uploads are accepted.
	Services *api.Services
	Queues   map[string]*queue.Queue
	API      string // where Lambda and Services are called

	t       testing.TB
	aws     *local.AWS
	log     *syncBuffer
	mu      sync.Mutex
	faults  map[string]func(*http.Request) s3server.Fault // by the last part of an object key, or "" for all
	secrets map[string]bool                               // signatures and tokens that S3 was shown

	tableFaults map[string]func(Request) s3server.Fault // by the sort key, or "" for all
}

// Setup is what a stack is made of. Options change it before anything starts.
type Setup struct {
	// Settings become config.json of the artifact, and the templates are those that
	// they synthesize to.
	Settings map[string]any
	// Template may change the templates, to break them.
	Template func(*Templates)
	// Deployment may change what was read from the templates.
	Deployment func(*cfn.Deployment)
	// Artifact may change the copy of build/edge in dir, to break it.
	Artifact func(dir string) error
	// Distribution may change what the templates stand for.
	Distribution func(*cloudfront.Distribution)
	S3           s3server.Options
	// Table has the options of the table, where the index is in one.
	Table dynamoserver.Options
	// Edge has the options that the templates leave open.
	Edge cloudfront.Options
	// Jobs are how queues are played.
	Jobs local.Jobs
}

// Option changes one thing of a stack.
type Option func(*Setup)

// Accepting accepts uploads.
func Accepting(s *Setup) { s.Settings["acceptance"] = true }

// Listed is the stricter way to hold the first-version rule.
func Listed(s *Setup) { s.Settings["firstVersion"] = config.Listed }

// New starts a stack. It needs what `make build tools` makes.
func New(t testing.TB, options ...Option) *Stack {
	t.Helper()
	st, err := Start(t, options...)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// Start is New for a stack that may fail to start.
func Start(t testing.TB, options ...Option) (*Stack, error) {
	t.Helper()
	st := &Stack{
		t: t, log: &syncBuffer{}, secrets: map[string]bool{},
		faults: map[string]func(*http.Request) s3server.Fault{}, tableFaults: map[string]func(Request) s3server.Fault{},
	}
	root := root(t)
	log := slog.New(slog.NewTextHandler(st.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	setup := Setup{
		Settings: map[string]any{"bucket": s3servertest.Bucket, "region": s3servertest.Region},
		S3:       s3servertest.Options(t),
		Table:    dynamoserver.Options{Addr: "127.0.0.1:0"},
		Edge: cloudfront.Options{
			Node: func(runtime string) (string, error) { return cloudfront.FindNode(root, runtime) },
			Addr: "127.0.0.1:0", MaxWorkers: 4, Log: log,
		},
	}
	// The same tests for another runtime, and for another index.
	if name := runtime(); name != "" {
		setup.Settings["runtime"] = name
	}
	setup.S3.Fault, setup.S3.Log, setup.Table.Fault = st.fault, log, st.tableFault
	if os.Getenv("ONCEGATE_INDEX") == config.IndexDynamoDB {
		InTable(&setup)
	}
	for _, o := range options {
		o(&setup)
	}
	assembly := Assembly(t, setup.Settings, setup.Template)
	deployment, err := cfn.Read(assembly)
	if err != nil {
		return nil, err
	}
	if setup.Deployment != nil {
		setup.Deployment(deployment)
	}
	if setup.Artifact != nil {
		if setup.Settings["runtime"] == config.RuntimeRegional {
			t.Skip("this breaks what runs at the edge, and there it is a stub")
		}
		// All functions have the same one.
		for _, f := range deployment.Functions {
			if err := setup.Artifact(f.Directory); err != nil {
				return nil, err
			}
			break
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	aws, err := local.Start(ctx, deployment, local.Options{S3: setup.S3, Table: setup.Table, Edge: setup.Edge, Jobs: setup.Jobs, Change: func(d *cloudfront.Distribution) {
		for _, f := range d.Functions {
			st.noteSecret(f.Credentials.AccessKeyID)
			st.noteSecret(f.Credentials.SecretAccessKey)
			st.noteSecret(f.Credentials.SessionToken)
		}
		if setup.Distribution != nil {
			setup.Distribution(d)
		}
	}})
	if err != nil {
		return nil, err
	}
	st.aws = aws
	if aws.Lambda != nil {
		for _, c := range aws.Lambda.Callers {
			st.Secret(c.Credentials.SecretAccessKey)
			st.Secret(c.Credentials.SessionToken)
		}
	}
	st.S3, st.Table, st.Edge, st.Lambda = aws.S3, aws.Table, aws.Edge, aws.Lambda
	st.Services, st.Queues, st.API = aws.Services, aws.Queues, aws.API
	t.Cleanup(func() {
		aws.Close()
		st.checkLog()
		if t.Failed() {
			t.Log(st.log.String())
		}
	})
	return st, nil
}

// Log is what the stack has logged so far.
func (st *Stack) Log() string { return st.log.String() }

// Alarms returns the alarms of the templates by name, each with whether it would go off.
// It fails the test if one is on something that is not played.
func (st *Stack) Alarms(t testing.TB) map[string]bool {
	t.Helper()
	states, err := st.aws.Alarms()
	if err != nil {
		t.Fatal(err)
	}
	off := map[string]bool{}
	for name, s := range states {
		off[name] = s.Alarm
	}
	return off
}

// Requests is how many requests of viewers have been counted.
func (st *Stack) Requests() int {
	return int(st.aws.Metrics.Sum("AWS/CloudFront", "Requests", "DistributionId", "E1LOCALEDGE", "Region", "Global"))
}

// root finds the root of the repository.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		_, err := os.Stat(filepath.Join(dir, "go.mod"))
		if err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || up == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = up
	}
}

// fault notes what must never leak, and looks up the fault for the object.
func (st *Stack) fault(r *http.Request) s3server.Fault {
	st.mu.Lock()
	defer st.mu.Unlock()
	query := r.URL.Query()
	if !strings.HasPrefix(query.Get("X-Amz-Credential"), onetime.MintedAccessKey) {
		st.noteSecret(query.Get("X-Amz-Signature"))
	}
	st.noteSecret(query.Get("X-Amz-Security-Token"))
	st.noteSecret(r.Header.Get("X-Amz-Security-Token"))
	if _, signature, ok := strings.Cut(r.Header.Get("Authorization"), "Signature="); ok {
		st.noteSecret(signature)
	}
	name := r.URL.Path
	if query.Has("versions") {
		name = query.Get("prefix")
	}
	for _, name := range []string{name[strings.LastIndex(name, "/")+1:], ""} {
		if f := st.faults[name]; f != nil {
			return f(r)
		}
	}
	return s3server.Fault{}
}

func (st *Stack) noteSecret(s string) {
	if s != "" {
		st.secrets[s] = true
	}
}

// Secret has every answer and the log searched for s from now on.
func (st *Stack) Secret(s string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.noteSecret(s)
}

// FaultOn plays f for requests on the object whose key ends in name; nil ends it.
func (st *Stack) FaultOn(name string, f func(*http.Request) s3server.Fault) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if f == nil {
		delete(st.faults, name)
		return
	}
	st.faults[name] = f
}

// EveryRequest plays f for requests on every object; nil ends it.
func (st *Stack) EveryRequest(f func(*http.Request) s3server.Fault) { st.FaultOn("", f) }

// Answer is a whole answer, already searched for secrets.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Reason is the x-oncegate-reason, empty for none.
func (a Answer) Reason() string { return a.Header.Get("X-Oncegate-Reason") }

func (a Answer) String() string {
	return fmt.Sprintf("%d %s %.200q", a.Status, a.Reason(), a.Body)
}

// Do makes one request on a connection of its own.
func (st *Stack) Do(t testing.TB, method, rawURL string, header http.Header, body io.Reader) Answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, rawURL, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	// The transport's own pool would repeat requests on dead connections.
	r.Close = true
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s: read the answer: %v", method, err)
	}
	a := Answer{response.StatusCode, response.Header, string(b)}
	st.CheckLeak(t, fmt.Sprint(a.Header)+a.Body)
	return a
}

var leaks = regexp.MustCompile(`CanonicalRequest|StringToSign|AWS4-HMAC-SHA256\s|X-Amz-Security-Token|` + s3servertest.SecretKey)

// CheckLeak fails the test if text holds an upload signature, a session token or a
// canonical request.
func (st *Stack) CheckLeak(t testing.TB, text string) {
	t.Helper()
	if leak := st.Leak(text); leak != "" {
		t.Error(leak)
	}
}

// Leak says which secret an answer holds, or nothing.
func (st *Stack) Leak(text string) string {
	if found := leaks.FindString(text); found != "" {
		return fmt.Sprintf("an answer holds %q", found)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	for secret := range st.secrets {
		if strings.Contains(text, secret) {
			return "an answer holds a signature, key or token that was for S3 alone"
		}
	}
	return ""
}

// checkLog fails the test if the log holds one of them.
func (st *Stack) checkLog() {
	log := st.log.String()
	st.mu.Lock()
	defer st.mu.Unlock()
	for secret := range st.secrets {
		if strings.Contains(log, secret) {
			st.t.Errorf("the log holds a signature or token that was for S3 alone")
		}
	}
	if strings.Contains(log, "X-Amz-Signature=") || strings.Contains(log, s3servertest.SecretKey) {
		st.t.Error("the log holds a presigned query or the secret key")
	}
}

// Patiently makes a request that is no more than a preparation, and again while it is answered
// 503, as the answer itself advises: on a busy machine a function may have too little time.
func Patiently(request func() Answer) Answer {
	a := request()
	for range 4 {
		if a.Status != http.StatusServiceUnavailable {
			break
		}
		a = request()
	}
	return a
}

// Mint gets a URL, patiently.
func (st *Stack) Mint(t testing.TB) Minted {
	t.Helper()
	a := Patiently(func() Answer { return st.Do(t, http.MethodGet, st.Edge.URL()+"/url", nil, nil) })
	if a.Status != http.StatusOK {
		t.Fatalf("mint: %v", a)
	}
	return ParseMinted(t, a.Body)
}

// Minted is a URL with what it stands for.
type Minted struct {
	URL  string
	Key  string // of the object
	Name string // the UUID
	ID   onetime.ID
}

// ParseMinted reads the body of an answer to GET /url.
func ParseMinted(t testing.TB, raw string) Minted {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return Minted{
		URL:  raw,
		Key:  strings.TrimPrefix(u.Path, "/"),
		Name: path.Base(u.Path),
		ID:   onetime.Fingerprint(u.Path, u.RawQuery),
	}
}

// Put uploads body with the URL.
func (st *Stack) Put(t testing.TB, m Minted, body string) Answer {
	t.Helper()
	return st.Do(t, http.MethodPut, m.URL, nil, strings.NewReader(body))
}

// Versions counts the versions, and the delete markers, of exactly this key.
func (st *Stack) Versions(t testing.TB, key string) (versions, markers int) {
	t.Helper()
	out, err := s3servertest.Client(st.S3).ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{
		Bucket: aws.String(s3servertest.Bucket), Prefix: &key,
	})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Versions), len(out.DeleteMarkers)
}

// WantVersions fails the test unless the key has so many versions and no delete marker.
func (st *Stack) WantVersions(t testing.TB, key string, want int) {
	t.Helper()
	if versions, markers := st.Versions(t, key); versions != want || markers != 0 {
		t.Errorf("%s: %d versions and %d delete markers, want %d and 0", key, versions, markers, want)
	}
}

// Stored returns the content of the object.
func (st *Stack) Stored(t testing.TB, key string) string {
	t.Helper()
	out, err := s3servertest.Client(st.S3).GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(s3servertest.Bucket), Key: &key})
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

// StoredHeader returns the headers that the object was stored with.
func (st *Stack) StoredHeader(t testing.TB, key string) http.Header {
	t.Helper()
	out, err := s3servertest.Client(st.S3).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(s3servertest.Bucket), Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	for name, value := range map[string]*string{
		"Cache-Control": out.CacheControl, "Content-Disposition": out.ContentDisposition, "Content-Encoding": out.ContentEncoding,
		"Content-Language": out.ContentLanguage, "Content-Type": out.ContentType,
	} {
		h.Set(name, aws.ToString(value))
	}
	return h
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
