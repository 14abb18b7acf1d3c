package lambda

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"oncegate/internal/local/container"
	"oncegate/internal/local/process"
)

const (
	// runtimeAPI names the variable that says where the Runtime API is.
	runtimeAPI = "AWS_LAMBDA_RUNTIME_API"
	version    = "/2018-06-01"
	// maxPayload is Lambda's bound on a synchronous answer.
	maxPayload = 6 << 20
)

// errNoAnswer is an error of the function's own.
var errNoAnswer = errors.New("the function asked for the next invocation and never answered this one")

// sandbox is one process of the function with its Runtime API. Its invocations come one
// after the other.
type sandbox struct {
	process *process.Process
	server  *http.Server
	kill    func()

	waiting chan struct{}   // the process asks for work, once for each time it does
	work    chan invocation // what it gets
	answers chan Result     // what it posts
	inits   chan string     // the error of an init that failed

	mu      sync.Mutex
	current string // id of the invocation that may be answered
}

var _ container.Container[invocation, Result] = (*sandbox)(nil)

// invocation is one event on its way to the process.
type invocation struct {
	id, arn  string
	payload  []byte
	deadline time.Time
}

func startSandbox(o Options, env []string) (*sandbox, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &sandbox{
		waiting: make(chan struct{}, 1), work: make(chan invocation), answers: make(chan Result, 1), inits: make(chan string, 1),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+version+"/runtime/invocation/next", c.next)
	mux.HandleFunc("POST "+version+"/runtime/invocation/{id}/response", c.response)
	mux.HandleFunc("POST "+version+"/runtime/invocation/{id}/error", c.response)
	mux.HandleFunc("POST "+version+"/runtime/init/error", c.initError)
	c.server = &http.Server{Handler: mux, ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		c.server.Serve(ln) // ends with Close
	}()
	cmd := exec.Command(filepath.Join(o.Directory, Bootstrap))
	cmd.Dir = o.Directory
	cmd.Env = append(env[:len(env):len(env)], runtimeAPI+"="+ln.Addr().String())
	if c.process, err = process.Start(cmd, func(line string) { o.Log.Info(line) }); err != nil {
		c.server.Close()
		<-served
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	c.kill = sync.OnceFunc(func() {
		c.process.Kill()
		c.server.Close()
		<-served
	})
	return c, nil
}

func (c *sandbox) Process() *process.Process { return c.process }
func (c *sandbox) Kill()                     { c.kill() }

// Ready waits until the process asks for its first invocation.
func (c *sandbox) Ready(deadline time.Time) error {
	timeout := time.NewTimer(time.Until(deadline))
	defer timeout.Stop()
	select {
	case <-c.waiting:
		return nil
	case text := <-c.inits:
		return fmt.Errorf("the init phase failed: %s", text)
	case <-c.process.Done():
		return fmt.Errorf("the process ended in the init phase: %s", c.process.State())
	case <-timeout.C:
		return errors.New("the init phase took too long")
	}
}

// Invoke hands the invocation to the process that waits for one. It returns when the
// process has answered and waits again.
func (c *sandbox) Invoke(in invocation, deadline time.Time) (Result, error) {
	in.deadline = deadline
	timeout := time.NewTimer(time.Until(deadline))
	defer timeout.Stop()
	c.expect(in.id)
	defer c.expect("")
	select {
	case c.work <- in:
	case <-c.process.Done():
		return Result{}, container.ErrNotGiven
	case <-timeout.C:
		return Result{}, container.ErrNotGiven
	}
	var result *Result
	for {
		select {
		case r := <-c.answers:
			result = &r
		case <-c.waiting:
			// What it has posted before it asked for more counts.
			return c.last(result, errNoAnswer)
		case <-c.process.Done():
			return c.last(result, fmt.Errorf("%w: %s", container.ErrExited, c.process.State()))
		case <-timeout.C:
			defer c.kill() // one that has answered and does not ask for more is of no more use
			return c.last(result, container.ErrTimeout)
		}
	}
}

// last is the result that the process has posted, or else err.
func (c *sandbox) last(result *Result, err error) (Result, error) {
	if result != nil {
		return *result, nil
	}
	select {
	case r := <-c.answers:
		return r, nil
	default:
		return Result{}, err
	}
}

func (c *sandbox) expect(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = id
}

// next blocks until there is an invocation. The process is frozen meanwhile.
func (c *sandbox) next(w http.ResponseWriter, r *http.Request) {
	select {
	case c.waiting <- struct{}{}:
	default:
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "the process waits for an invocation already")
		return
	}
	select {
	case in := <-c.work:
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", in.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(in.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", in.arn)
		h.Set("Lambda-Runtime-Trace-Id", "Root=1-00000000-000000000000000000000000;Sampled=0")
		w.Write(in.payload) // what fails here is the process, and its end is noticed
	case <-r.Context().Done():
	}
}

// response takes what the function answers, its error included: an error has the
// object that describes it for a body.
func (c *sandbox) response(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayload))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "the answer has more than 6 MB")
		return
	} else if err != nil {
		return
	}
	c.mu.Lock()
	known := r.PathValue("id") == c.current && c.current != ""
	if known {
		c.current = "" // once
	}
	c.mu.Unlock()
	if !known {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "no such invocation is under way")
		return
	}
	result := Result{Payload: body}
	if filepath.Base(r.URL.Path) == "error" {
		result.FunctionError = unhandled
	} else if t := r.Trailer.Get("Lambda-Runtime-Function-Error-Type"); t != "" {
		result = failure(t, "the function failed while it answered")
	}
	c.answers <- result // has room: there is one answer for each invocation
	accepted(w)
}

func (c *sandbox) initError(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil {
		return
	}
	select {
	case c.inits <- string(body):
	default:
	}
	accepted(w)
}

func accepted(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	io.WriteString(w, `{"status":"OK"}`)
}

func refuse(w http.ResponseWriter, status int, kind, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"errorType": kind, "errorMessage": text})
}
