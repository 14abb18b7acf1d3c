// Package lambda plays AWS Lambda for native programs: it runs the bootstrap
// of an OS-only runtime and hands invocations to it by the Lambda Runtime API.
//
// Each process has a Runtime API of its own on 127.0.0.1, takes one invocation at a
// time, is frozen in between, and is killed when an invocation runs over the
// function's time or its memory. A process that ends fails the invocation that it
// had; the next one starts another process. What is played, and what the answers
// look like:
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
// https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
package lambda

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"oncegate/internal/lean/sigv4"
)

// ErrClosed is the answer of a function that is closed.
var ErrClosed = errors.New("the local lambda is closed")

// Bootstrap is the program that an OS-only runtime starts.
const Bootstrap = "bootstrap"

// Function says what to run. All but Environment and Log is needed.
type Function struct {
	Name      string
	ARN       string
	Region    string
	Directory string // the unpacked zip; the program in it is called bootstrap
	// Environment are the function's own variables.
	Environment map[string]string
	Credentials sigv4.Credentials // the temporary ones of the function's role
	MemoryMB    int
	Timeout     time.Duration
	// Concurrency bounds the processes. Beyond it invocations wait in line, where
	// Lambda would throttle or start one more container.
	Concurrency int
	// Log gets what the function prints, line by line, and how its processes end.
	Log *slog.Logger
}

// Result is what an invocation answers. FunctionError is "" or "Unhandled", with
// an object of errorType and errorMessage as Payload.
type Result struct {
	Payload       []byte
	FunctionError string
}

// Lambda is a function that can be invoked.
type Lambda struct {
	fn    Function
	env   []string
	slots chan struct{} // one taken for each invocation in progress

	closing chan struct{}

	mu     sync.Mutex
	idle   []*container // the one used last is last
	all    map[*container]bool
	closed bool
}

// New makes a function ready. Its processes start when invocations ask for them.
func New(fn Function) (*Lambda, error) {
	for _, f := range []struct {
		name string
		ok   bool
	}{
		{"Name", fn.Name != ""}, {"ARN", fn.ARN != ""}, {"Region", fn.Region != ""}, {"Directory", fn.Directory != ""},
		{"Credentials", fn.Credentials.AccessKeyID != "" && fn.Credentials.SecretAccessKey != ""},
		{"MemoryMB", fn.MemoryMB > 0}, {"Timeout", fn.Timeout > 0}, {"Concurrency", fn.Concurrency > 0},
	} {
		if !f.ok {
			return nil, fmt.Errorf("local lambda %s: %s is missing", fn.Name, f.name)
		}
	}
	dir, err := filepath.Abs(fn.Directory)
	if err != nil {
		return nil, err
	}
	fn.Directory = dir
	if info, err := os.Stat(filepath.Join(dir, Bootstrap)); err != nil {
		return nil, fmt.Errorf("local lambda %s: %w", fn.Name, err)
	} else if info.Mode()&0o111 == 0 {
		return nil, fmt.Errorf("local lambda %s: %s is not executable", fn.Name, filepath.Join(dir, Bootstrap))
	}
	if fn.Log == nil {
		fn.Log = slog.New(slog.DiscardHandler)
	}
	fn.Log = fn.Log.With("function", fn.Name)
	env, err := environment(fn)
	if err != nil {
		return nil, err
	}
	return &Lambda{
		fn: fn, env: env, slots: make(chan struct{}, fn.Concurrency), closing: make(chan struct{}), all: map[*container]bool{},
	}, nil
}

// environment is what Lambda gives a function of an OS-only runtime: nothing of
// this process's own, and no AWS_EXECUTION_ENV.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
func environment(fn Function) ([]string, error) {
	env := map[string]string{
		"_HANDLER":                        Bootstrap,
		"AWS_ACCESS_KEY_ID":               fn.Credentials.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY":           fn.Credentials.SecretAccessKey,
		"AWS_DEFAULT_REGION":              fn.Region,
		"AWS_REGION":                      fn.Region,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(fn.MemoryMB),
		"AWS_LAMBDA_FUNCTION_NAME":        fn.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     "$LATEST",
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_FORMAT":           "JSON",
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + fn.Name,
		"LAMBDA_RUNTIME_DIR":              "/var/runtime",
		"LAMBDA_TASK_ROOT":                fn.Directory,
		"LANG":                            "en_US.UTF-8",
		"PATH":                            "/usr/local/bin:/usr/bin:/bin:/opt/bin",
		"TZ":                              ":UTC",
	}
	if t := fn.Credentials.SessionToken; t != "" {
		env["AWS_SESSION_TOKEN"] = t
	}
	for name, value := range fn.Environment {
		if _, reserved := env[name]; reserved || name == runtimeAPI {
			return nil, fmt.Errorf("local lambda %s: environment variable %s is reserved", fn.Name, name)
		}
		env[name] = value
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list, nil
}

// Invoke runs the function once and waits for its answer, as RequestResponse does.
// The context bounds the wait for a free process alone: an invocation that has
// begun goes on without its caller, as in Lambda. An error means that the function
// did not run.
func (l *Lambda) Invoke(ctx context.Context, payload []byte) (Result, error) {
	if !json.Valid(payload) {
		return Result{}, errors.New("the payload is not JSON")
	}
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return Result{}, fmt.Errorf("wait for a free process: %w", ctx.Err())
	case <-l.closing:
		return Result{}, ErrClosed
	}
	defer func() { <-l.slots }()

	id := requestID()
	for {
		c, fresh, err := l.take()
		if err != nil && l.isClosed() {
			return Result{}, ErrClosed
		}
		if err != nil {
			l.fn.Log.Error("the function did not start", "err", err)
			return failure("Runtime.ExitError", fmt.Sprintf("RequestId: %s Error: %v", id, err)), nil
		}
		result, err := c.invoke(invocation{
			id: id, payload: payload, arn: l.fn.ARN, deadline: time.Now().Add(l.fn.Timeout),
		}, l.fn.Timeout)
		// A container that died in its sleep never saw the invocation: take another.
		if errors.Is(err, errNotGiven) && !fresh {
			l.drop(c)
			continue
		}
		if err == nil {
			err = c.checkMemory()
		}
		if err != nil {
			l.drop(c)
			if l.isClosed() {
				return Result{}, ErrClosed
			}
			l.fn.Log.Error("the invocation failed", "request", id, "err", err)
			var f *fault
			if !errors.As(err, &f) {
				f = &fault{"Runtime.Unknown", err.Error()}
			}
			return failure(f.kind, fmt.Sprintf("RequestId: %s Error: %s", id, f.text)), nil
		}
		l.put(c)
		return result, nil
	}
}

// requestID has the form of Lambda's.
func requestID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// failure is how Lambda itself says that a function failed.
func failure(kind, text string) Result {
	payload, err := json.Marshal(map[string]string{"errorType": kind, "errorMessage": text})
	if err != nil {
		panic(err) // two strings always encode
	}
	return Result{payload, unhandled}
}

const unhandled = "Unhandled"

// take finds the idle container that was used last, or starts a new one.
func (l *Lambda) take() (_ *container, fresh bool, _ error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, false, ErrClosed
	}
	if n := len(l.idle); n > 0 {
		c := l.idle[n-1]
		l.idle = l.idle[:n-1]
		l.mu.Unlock()
		return c, false, nil
	}
	l.mu.Unlock()
	c, err := startContainer(l.fn, l.env)
	if err != nil {
		return nil, false, err
	}
	l.mu.Lock()
	closed := l.closed
	l.all[c] = true // from here on Close finds it
	l.mu.Unlock()
	go func() {
		<-c.process.Done()
		l.drop(c)
	}()
	if closed {
		l.drop(c)
		return nil, false, ErrClosed
	}
	if err := c.ready(); err != nil {
		l.drop(c)
		return nil, false, err
	}
	return c, true, nil
}

// put keeps the container for the next invocation.
func (l *Lambda) put(c *container) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all[c] && !l.closed {
		l.idle = append(l.idle, c)
	}
}

// drop kills the container and forgets it.
func (l *Lambda) drop(c *container) {
	c.kill()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, c)
	l.idle = slices.DeleteFunc(l.idle, func(other *container) bool { return other == c })
}

func (l *Lambda) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// PIDs are the processes that there are now, for tests and for measuring.
func (l *Lambda) PIDs() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	var pids []int
	for c := range l.all {
		pids = append(pids, c.process.PID())
	}
	return pids
}

// Close kills all processes and waits until they are gone. Invocations in progress
// end with ErrClosed.
func (l *Lambda) Close() error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.closing)
	}
	containers := slices.Collect(maps.Keys(l.all))
	l.mu.Unlock()
	for _, c := range containers {
		c.kill()
	}
	return nil
}

// fault is why an invocation has no answer of the function.
type fault struct{ kind, text string }

func (f *fault) Error() string { return strings.ToLower(f.kind) + ": " + f.text }
