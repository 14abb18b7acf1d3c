// Package lambda plays AWS Lambda for regional functions: it runs the bootstrap of an
// OS-only runtime and hands invocations to it by the Lambda Runtime API.
//
// Each process has a Runtime API of its own on 127.0.0.1. A process that ends, or that
// takes more than the function's time or memory, fails the invocation that it had; the
// next one starts another process. What the answers look like:
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
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"oncegate/internal/lean/sigv4"
	"oncegate/internal/local/cloudwatch"
	"oncegate/internal/local/container"
)

// Bootstrap is the program that an OS-only runtime starts.
const Bootstrap = "bootstrap"

// Options say what to run. All but Environment, Account and Log are needed.
type Options struct {
	Name      string
	ARN       string
	Region    string
	Directory string // the unpacked zip; the program in it is called bootstrap
	// Environment are the function's own variables.
	Environment map[string]string
	Credentials sigv4.Credentials // the temporary ones of the function's role
	MemoryMB    int
	Timeout     time.Duration
	// Concurrency bounds the processes. Beyond it invocations wait in line.
	Concurrency int
	// Metrics counts invocations and errors, if set.
	Metrics *cloudwatch.Metrics
	// Account, if set, bounds the invocations of this and other functions.
	Account *container.Concurrency
	// Log gets what the function prints, line by line, and how its processes end.
	Log *slog.Logger
}

// Result is what an invocation answers. FunctionError is "" or "Unhandled", with
// an object of errorType and errorMessage as Payload.
type Result struct {
	Payload       []byte
	FunctionError string
}

// Function is a function that can be invoked.
type Function struct {
	o          Options
	throttled  atomic.Bool
	containers *container.Pool[invocation, Result]
}

// ErrThrottled says that the function may have no more concurrent executions now, by
// Throttle or by Options.Account.
var ErrThrottled = container.ErrThrottled

// Throttle has Lambda refuse every invocation from now on, or no more.
func (f *Function) Throttle(on bool) { f.throttled.Store(on) }

// New makes a function ready. Its processes start when invocations ask for them.
func New(o Options) (*Function, error) {
	for _, f := range []struct {
		name string
		ok   bool
	}{
		{"Name", o.Name != ""}, {"ARN", o.ARN != ""}, {"Region", o.Region != ""}, {"Directory", o.Directory != ""},
		{"Credentials", o.Credentials.AccessKeyID != "" && o.Credentials.SecretAccessKey != ""},
		{"MemoryMB", o.MemoryMB > 0}, {"Timeout", o.Timeout > 0}, {"Concurrency", o.Concurrency > 0},
	} {
		if !f.ok {
			return nil, fmt.Errorf("regional function %s: %s is missing", o.Name, f.name)
		}
	}
	dir, err := filepath.Abs(o.Directory)
	if err != nil {
		return nil, err
	}
	o.Directory = dir
	if info, err := os.Stat(filepath.Join(dir, Bootstrap)); err != nil {
		return nil, fmt.Errorf("regional function %s: %w", o.Name, err)
	} else if info.Mode()&0o111 == 0 {
		return nil, fmt.Errorf("regional function %s: %s is not executable", o.Name, filepath.Join(dir, Bootstrap))
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Log = o.Log.With("function", o.Name)
	env, err := environment(o)
	if err != nil {
		return nil, err
	}
	return &Function{o: o, containers: container.New(container.Options[invocation, Result]{
		Start: func() (container.Container[invocation, Result], error) { return startSandbox(o, env) },
		Limit: o.Concurrency, Account: o.Account, Timeout: o.Timeout, MemoryMB: o.MemoryMB, Log: o.Log,
	})}, nil
}

// environment is what Lambda gives a function of an OS-only runtime, which has no
// AWS_EXECUTION_ENV, and the function's own variables.
func environment(o Options) ([]string, error) {
	env := container.Function{
		Name: o.Name, Version: "$LATEST", Handler: Bootstrap, Region: o.Region, Directory: o.Directory,
		MemoryMB: o.MemoryMB, Credentials: o.Credentials,
	}.Environment()
	env["AWS_LAMBDA_LOG_FORMAT"] = "JSON"
	env["PATH"] += ":/opt/bin"
	for name, value := range o.Environment {
		if _, reserved := env[name]; reserved || name == runtimeAPI {
			return nil, fmt.Errorf("regional function %s: environment variable %s is reserved", o.Name, name)
		}
		env[name] = value
	}
	return container.List(env), nil
}

// Invoke runs the function once and waits for its answer, as RequestResponse does.
// The context bounds the wait for a free process alone. An error means that the function
// did not run: ErrThrottled, or after Close container.ErrClosed.
func (f *Function) Invoke(ctx context.Context, payload []byte) (Result, error) {
	if !json.Valid(payload) {
		return Result{}, errors.New("the payload is not JSON")
	}
	if f.throttled.Load() {
		f.o.Metrics.Add("AWS/Lambda", "Throttles", 1, "FunctionName", f.o.Name)
		return Result{}, ErrThrottled
	}
	result, err := f.invoke(ctx, payload)
	if errors.Is(err, ErrThrottled) {
		f.o.Metrics.Add("AWS/Lambda", "Throttles", 1, "FunctionName", f.o.Name)
	}
	if err == nil {
		failed := 0.0
		if result.FunctionError != "" {
			failed = 1
		}
		f.o.Metrics.Add("AWS/Lambda", "Invocations", 1, "FunctionName", f.o.Name)
		f.o.Metrics.Add("AWS/Lambda", "Errors", failed, "FunctionName", f.o.Name)
	}
	return result, err
}

func (f *Function) invoke(ctx context.Context, payload []byte) (Result, error) {
	id := requestID()
	result, err := f.containers.Invoke(ctx, invocation{id: id, payload: payload, arn: f.o.ARN})
	if err == nil || errors.Is(err, container.ErrClosed) || errors.Is(err, ErrThrottled) || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return result, err
	}
	f.o.Log.Error("the invocation failed", "request", id, "err", err)
	kind := "Runtime.Unknown"
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			kind = k.kind
			break
		}
	}
	message := err.Error()
	if kind == "Sandbox.Timedout" {
		message = fmt.Sprintf("Task timed out after %.2f seconds", f.o.Timeout.Seconds())
	}
	return failure(kind, fmt.Sprintf("RequestId: %s Error: %s", id, message)), nil
}

// kinds are Lambda's names for what can go wrong; the first one counts.
var kinds = []struct {
	err  error
	kind string
}{
	{container.ErrInit, "Runtime.ExitError"},
	{container.ErrExited, "Runtime.ExitError"},
	{errNoAnswer, "Runtime.ExitError"},
	{container.ErrTimeout, "Sandbox.Timedout"},
	{container.ErrMemory, "Runtime.OutOfMemory"},
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

// PIDs are the processes that there are now, for tests and for measuring.
func (f *Function) PIDs() []int { return f.containers.PIDs() }

// Close kills all processes and waits until they are gone. Invocations in progress
// end with container.ErrClosed.
func (f *Function) Close() { f.containers.Close() }
