package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/config"
	"oncegate/internal/localedge"
	"oncegate/internal/locals3"
	"oncegate/internal/locals3/locals3test"
	"oncegate/internal/onetime"
)

const root = "../.."

// stack is a local edge on a local S3 server.
type stack struct {
	t    *testing.T
	s3   *locals3.Server
	edge *localedge.Server
	log  *syncBuffer

	mu      sync.Mutex
	faults  map[string]func(*http.Request) locals3.Fault // by the last part of an object key, or "" for all
	secrets map[string]bool                              // signatures and tokens that S3 was shown
}

type option func(settings map[string]any, s *locals3.Options, e *localedge.Options)

// newStack starts a stack whose config.json has these settings besides the bucket.
func newStack(t *testing.T, options ...option) *stack {
	t.Helper()
	st := &stack{t: t, log: &syncBuffer{}, faults: map[string]func(*http.Request) locals3.Fault{}, secrets: map[string]bool{}}
	settings := map[string]any{"bucket": locals3test.Bucket, "region": locals3test.Region}
	s3Options := locals3test.Options(t)
	s3Options.Fault = st.fault
	node, err := localedge.FindNode(root, 22)
	if err != nil {
		t.Fatal(err)
	}
	edgeOptions := localedge.Options{
		Node:       node,
		Addr:       "127.0.0.1:0",
		MaxWorkers: 4,
		Log:        slog.New(slog.NewTextHandler(st.log, nil)),
	}
	for _, o := range options {
		o(settings, &s3Options, &edgeOptions)
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if st.s3, err = locals3.Start(ctx, s3Options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.s3.Close() })

	edgeOptions.Artifact = artifact(t, settings)
	settingsJSON, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	conf, err := config.Parse(settingsJSON)
	if err != nil {
		t.Fatal(err)
	}
	edgeOptions.Distribution = localedge.Default(conf, localedge.Credentials{
		AccessKeyID: locals3test.AccessKey, SecretAccessKey: locals3test.SecretKey,
	})
	edgeOptions.S3 = st.s3.URL()
	if st.edge, err = localedge.Start(ctx, edgeOptions); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		st.edge.Close()
		st.checkLog()
		if t.Failed() {
			t.Log(st.log.String())
		}
	})
	return st
}

func listed(settings map[string]any, _ *locals3.Options, _ *localedge.Options) {
	settings["firstVersion"] = "listed"
}

// artifact copies build/edge with other settings.
func artifact(t *testing.T, settings map[string]any) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"index.mjs", "oncegate.wasm", "wasm_exec.js"} {
		data, err := os.ReadFile(filepath.Join(root, "build", "edge", name))
		if err != nil {
			t.Fatalf("%v: run `make build`", err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// fault notes what must never leak, and looks up the fault for the object.
func (st *stack) fault(r *http.Request) locals3.Fault {
	st.mu.Lock()
	defer st.mu.Unlock()
	query := r.URL.Query()
	if !strings.HasPrefix(query.Get("X-Amz-Credential"), onetime.MintedAccessKey) {
		st.noteSecret(query.Get("X-Amz-Signature"))
	}
	st.noteSecret(query.Get("X-Amz-Security-Token"))
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
	return locals3.Fault{}
}

func (st *stack) noteSecret(s string) {
	if s != "" {
		st.secrets[s] = true
	}
}

// faultOn plays f for requests on the object whose key ends in name.
func (st *stack) faultOn(name string, f func(*http.Request) locals3.Fault) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if f == nil {
		delete(st.faults, name)
		return
	}
	st.faults[name] = f
}

// everyRequest plays f for requests on every object.
func (st *stack) everyRequest(f func(*http.Request) locals3.Fault) { st.faultOn("", f) }

// answer is a whole answer, already searched for secrets.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) reason() string { return a.header.Get("X-Oncegate-Reason") }

func (a answer) String() string {
	return fmt.Sprintf("%d %s %.200q", a.status, a.reason(), a.body)
}

func (st *stack) do(t *testing.T, method, rawURL string, header http.Header, body io.Reader) answer {
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
	a := answer{response.StatusCode, response.Header, string(b)}
	st.checkLeak(t, fmt.Sprint(a.header)+a.body)
	return a
}

var leaks = regexp.MustCompile(`CanonicalRequest|StringToSign|AWS4-HMAC-SHA256\s|X-Amz-Security-Token|` + locals3test.SecretKey)

// checkLeak is the promise that no byte of an answer holds an upload signature, a
// session token or a canonical request.
func (st *stack) checkLeak(t *testing.T, text string) {
	t.Helper()
	if found := leaks.FindString(text); found != "" {
		t.Errorf("an answer holds %q", found)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	for secret := range st.secrets {
		if strings.Contains(text, secret) {
			t.Errorf("an answer holds a signature or token that was for S3 alone")
		}
	}
}

// checkLog holds the functions' log to the same.
func (st *stack) checkLog() {
	log := st.log.String()
	st.mu.Lock()
	defer st.mu.Unlock()
	for secret := range st.secrets {
		if strings.Contains(log, secret) {
			st.t.Errorf("the log holds a signature or token that was for S3 alone")
		}
	}
	if strings.Contains(log, "X-Amz-Signature") || strings.Contains(log, locals3test.SecretKey) {
		st.t.Error("the log holds a presigned query or the secret key")
	}
}

func (st *stack) mint(t *testing.T) minted {
	t.Helper()
	a := st.do(t, http.MethodGet, st.edge.URL()+"/url", nil, nil)
	if a.status != http.StatusOK {
		t.Fatalf("mint: %v", a)
	}
	return parseMinted(t, a.body)
}

// minted is a URL with what it stands for.
type minted struct {
	url, key, name string // name is the UUID
	id             onetime.ID
}

func parseMinted(t *testing.T, raw string) minted {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return minted{
		url:  raw,
		key:  strings.TrimPrefix(u.Path, "/"),
		name: strings.TrimPrefix(u.Path, "/uploads/"),
		id:   onetime.Fingerprint(u.Path, u.RawQuery),
	}
}

func (st *stack) put(t *testing.T, m minted, body string) answer {
	t.Helper()
	return st.do(t, http.MethodPut, m.url, nil, strings.NewReader(body))
}

// versions counts the versions, and the delete markers, of exactly this key.
func (st *stack) versions(t *testing.T, key string) (versions, markers int) {
	t.Helper()
	out, err := locals3test.Client(st.s3).ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{
		Bucket: aws.String(locals3test.Bucket), Prefix: &key,
	})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Versions), len(out.DeleteMarkers)
}

func (st *stack) wantVersions(t *testing.T, key string, want int) {
	t.Helper()
	if versions, markers := st.versions(t, key); versions != want || markers != 0 {
		t.Errorf("%s: %d versions and %d delete markers, want %d and 0", key, versions, markers, want)
	}
}

func (st *stack) stored(t *testing.T, key string) string {
	t.Helper()
	out, err := locals3test.Client(st.s3).GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(locals3test.Bucket), Key: &key})
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
