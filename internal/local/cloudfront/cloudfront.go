// Package cloudfront plays CloudFront and Lambda@Edge on one machine: an HTTP
// server that runs the built edge functions in Node processes, one for each
// invocation in progress, and passes on to an S3 server what they let through.
//
// Everything that a distribution decides is in Distribution. FromDeployment reads it from
// the synthesized templates, and refuses what it would have to leave out. A request goes
// through these steps. Each follows the CloudFront developer guide; where its pages
// disagree, the stricter one holds:
//
//   - the name by which the viewer has found this machine
//   - limits on the URL and the headers, and the behavior for the path
//   - the viewer-request event, one invocation of the behavior's function within
//     its time and memory
//   - the check of what the function returned
//   - a generated response, or the request to the origin with raw path and query
//
// It has no caching, compression, TLS, HTTP/2, web ACLs or access logs. It speaks plain
// http and treats every viewer as one that connected by https. When all workers are busy
// an invocation waits, where Lambda would start one more container.
package cloudfront

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"oncegate/internal/local/cloudwatch"
	"oncegate/internal/local/container"
)

// Options says what to run and where. Distribution, Node and S3 are needed.
type Options struct {
	Distribution Distribution
	// Node finds the Node program for a function's runtime; FindNode is one.
	Node func(runtime string) (path string, err error)
	// S3 is the address of the S3 server, such as http://127.0.0.1:9000. It gets
	// the origin's name as Host.
	S3 string
	// Environment are further variables of every function, each NAME=value. They say where
	// the other local services are. The real edge has none.
	Environment []string
	// Addr is where viewers connect; empty means 127.0.0.1:8080, port 0 a free port.
	Addr string
	// Hosts are further names, without a port, that viewers may send as Host. The names and
	// addresses of this machine alone are always answered.
	Hosts []string
	// Listening, if set, is called with the URL before the first viewer is answered. Its
	// error ends the start.
	Listening func(url string) error
	// LenientHeaders forwards some headers that no policy names. AWS's pages disagree
	// about them; the stricter reading drops them.
	LenientHeaders bool
	// PolicyOnGenerated puts the response headers policy on what functions generate, as one
	// of AWS's pages can be read; by the other one it is for the origin's answers alone.
	PolicyOnGenerated bool
	// WideLimits takes the wider of AWS's limits on the size of a request, where its pages
	// disagree.
	WideLimits bool
	// Continue is who answers a viewer that waits for 100 Continue.
	Continue Continue
	// Concurrency is how many invocations all functions may have together; CloudFront
	// answers 503 to one more, as where an account's quota is used up. 0 means no bound.
	Concurrency int
	// MaxWorkers limits the processes of one function, and an invocation waits for a free
	// one; 0 means twice the number of cores, and at least 4. With Concurrency none waits.
	MaxWorkers int
	// patience is that of viewers' bodies; zero means a second for a piece and five for all.
	patience patience
	// Metrics counts what viewers are answered, if set.
	Metrics *cloudwatch.Metrics
	// Log gets the lines that the functions print, at info level with the
	// attribute "function", and what went wrong. Nil discards them.
	Log *slog.Logger
}

// Server is a running local edge.
type Server struct {
	d                 Distribution
	log               *slog.Logger
	s3                string // host:port
	url               string
	hosts             []string // Options.Hosts as hostName has them
	loose             bool     // Options.LenientHeaders
	patience          patience
	policyOnGenerated bool
	metrics           *cloudwatch.Metrics
	limits            limits
	expect            Continue
	functions         map[string]*function
	http              *http.Server

	ctx      context.Context // ends with Close; every forwarded request hangs on it
	cancel   context.CancelFunc
	served   chan struct{}
	closed   sync.Once
	mu       sync.Mutex // no request may begin while Close waits for the last
	closing  bool
	requests sync.WaitGroup
}

// Errors of Start that a program may want to explain in its own words.
var (
	// ErrNoArtifact says that Function.Directory holds no index.mjs.
	ErrNoArtifact = errors.New("no edge code")
	// ErrNoNode says that Node is missing or does not run.
	ErrNoNode = errors.New("no usable Node")
	// ErrPortBusy says that another program listens on Options.Addr.
	ErrPortBusy = errors.New("address in use")
)

// Start listens and returns; workers start with the first requests. The context
// bounds the start alone, Close ends the server.
func Start(ctx context.Context, o Options) (*Server, error) {
	if err := o.Distribution.check(); err != nil {
		return nil, fmt.Errorf("distribution: %w", err)
	}
	o.Distribution.Functions = slices.Clone(o.Distribution.Functions) // prepare changes them
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s3, ok := strings.CutPrefix(o.S3, "http://")
	if _, _, err := net.SplitHostPort(s3); !ok || err != nil {
		return nil, fmt.Errorf("s3 address %q: allowed is http://host:port", o.S3)
	}
	nodes := map[string]nodeBinary{} // by runtime
	for i := range o.Distribution.Functions {
		if err := prepare(ctx, &o.Distribution.Functions[i], o.Node, nodes); err != nil {
			return nil, err
		}
	}
	if o.patience == (patience{}) {
		o.patience = patience{time.Second, 5 * time.Second}
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:8080"
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%w: %s", ErrPortBusy, o.Addr)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", o.Addr, err)
	}
	url := "http://" + ln.Addr().String()
	if o.Listening != nil {
		if err := o.Listening(url); err != nil {
			ln.Close()
			return nil, err
		}
	}
	s := &Server{
		d:                 o.Distribution,
		log:               o.Log,
		s3:                s3,
		url:               url,
		loose:             o.LenientHeaders,
		patience:          o.patience,
		policyOnGenerated: o.PolicyOnGenerated,
		metrics:           o.Metrics,
		limits:            strictLimits,
		expect:            o.Continue,
		functions:         map[string]*function{},
		served:            make(chan struct{}),
	}
	for _, host := range o.Hosts {
		s.hosts = append(s.hosts, hostName(host))
	}
	if o.WideLimits {
		s.limits = wideLimits
	}
	for _, warning := range o.Distribution.warnings() {
		o.Log.Warn(warning)
	}
	account := container.NewConcurrency(o.Concurrency)
	limit := max(defaultLimit(o.MaxWorkers, runtime.NumCPU()), o.Concurrency)
	for _, fn := range o.Distribution.Functions {
		s.functions[fn.Name] = newFunction(fn, o.Distribution.EdgeRegion, o.S3, o.Environment, nodes[fn.Runtime], limit, account, o.Log)
	}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 30 * time.Second,
		MaxHeaderBytes:    8 * maxRequest, // so that what is over maxRequest gets CloudFront's answer, not Go's
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		// OPTIONS * is refused like any other odd request target.
		DisableGeneralOptionsHandler: true,
	}
	go func() {
		defer close(s.served)
		if err := s.http.Serve(o.Continue.listener(ln)); !errors.Is(err, http.ErrServerClosed) {
			o.Log.Error("the local edge has stopped", "err", err)
		}
	}()
	return s, nil
}

// URL is where viewers connect, such as http://127.0.0.1:8080.
func (s *Server) URL() string { return s.url }

// Workers lists the process ids of the workers of all functions, frozen or not.
func (s *Server) Workers() []int {
	var pids []int
	for _, f := range s.functions {
		pids = append(pids, f.containers.PIDs()...)
	}
	return pids
}

// Close breaks off requests in progress, ends the workers and returns when
// nothing that Start began is left.
func (s *Server) Close() error {
	s.closed.Do(func() {
		s.http.Close()
		<-s.served
		s.mu.Lock()
		s.closing = true
		s.mu.Unlock()
		s.cancel()
		for _, f := range s.functions {
			f.containers.Close()
		}
		s.requests.Wait()
	})
	return nil
}

// enter counts a request in, unless the server is closing.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing {
		s.requests.Add(1)
	}
	return !s.closing
}

// prepare finds what a function needs: its code, and the Node program of its runtime.
func prepare(ctx context.Context, fn *Function, find func(string) (string, error), nodes map[string]nodeBinary) error {
	dir, err := filepath.Abs(fn.Directory) // workers run in it
	if err != nil {
		return err
	}
	index := filepath.Join(fn.Directory, "index.mjs")
	if _, err := os.Stat(index); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("function %s: %w: %s is missing", fn.Name, ErrNoArtifact, index)
	} else if err != nil {
		return err
	}
	fn.Directory = dir
	if _, done := nodes[fn.Runtime]; done {
		return nil
	}
	path, err := find(fn.Runtime)
	if err != nil {
		return err
	}
	node, err := inspectNode(ctx, path)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(fn.Runtime, fmt.Sprintf("nodejs%d.", node.major)) {
		return fmt.Errorf("%w for %s: %s is version %d: run `npm ci`", ErrNoNode, fn.Runtime, path, node.major)
	}
	nodes[fn.Runtime] = node
	return nil
}

// nodeBinary is a Node program that has been run once.
type nodeBinary struct {
	path  string
	major int
}

func inspectNode(ctx context.Context, path string) (nodeBinary, error) {
	path, err := filepath.Abs(path) // workers run in another directory
	if err != nil {
		return nodeBinary{}, err
	}
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.Env = []string{}
	out, err := cmd.Output()
	if err != nil {
		return nodeBinary{}, fmt.Errorf("%w: %s --version: %w: run `npm ci`", ErrNoNode, path, err)
	}
	version := strings.TrimSpace(string(out)) // v22.23.3
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	n, err := strconv.Atoi(major)
	if err != nil {
		return nodeBinary{}, fmt.Errorf("%w: %s says version %.40q: run `npm ci`", ErrNoNode, path, version)
	}
	return nodeBinary{path, n}, nil
}

// FindNode finds the Node program that npm installed below the repository's root for a
// runtime such as nodejs22.x.
func FindNode(root, lambdaRuntime string) (string, error) {
	arch := map[string]string{"amd64": "x64"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	version := strings.TrimSuffix(strings.TrimPrefix(lambdaRuntime, "nodejs"), ".x")
	path := filepath.Join(root, "node_modules", fmt.Sprintf("node%s-%s-%s", version, runtime.GOOS, arch), "bin", "node")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w: %s is missing: run `npm ci`", ErrNoNode, path)
	}
	return path, nil
}
