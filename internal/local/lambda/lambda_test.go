//go:build unix

package lambda_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	awslambda "github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"oncegate/internal/lean/sigv4"
	"oncegate/internal/local/container"
	"oncegate/internal/local/lambda"
)

// order is what the bootstrap of these tests is asked for.
type order struct {
	Do, Path string
	N        int
}

type answer struct {
	PID                int
	Request, ARN, Name string
	Left               time.Duration
	Env                []string
}

// TestMain makes this test binary a bootstrap where Lambda's runtime starts it.
func TestMain(m *testing.M) {
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") == "" {
		os.Exit(m.Run())
	}
	switch os.Getenv("INIT") {
	case "exit":
		fmt.Println("cannot begin")
		os.Exit(3)
	}
	var memory [][]byte
	awslambda.Start(func(ctx context.Context, in order) (any, error) {
		switch in.Do {
		case "error":
			return nil, errors.New("a fault of the function's own")
		case "panic":
			panic("out of my depth")
		case "exit":
			os.Exit(in.N)
		case "hang":
			select {} // not even the deadline ends it
		case "deadline":
			<-ctx.Done()
			return "noticed", nil
		case "wait":
			for {
				if _, err := os.Stat(in.Path); err == nil {
					break
				}
				time.Sleep(2 * time.Millisecond)
			}
		case "memory":
			block := bytes.Repeat([]byte{1}, in.N<<20)
			memory = append(memory, block)
		case "large":
			return strings.Repeat("x", in.N), nil
		}
		fmt.Println("ran", in.Do)
		lc, _ := lambdacontext.FromContext(ctx)
		deadline, _ := ctx.Deadline()
		return answer{os.Getpid(), lc.AwsRequestID, lc.InvokedFunctionArn, lambdacontext.FunctionName, time.Until(deadline), os.Environ()}, nil
	})
}

type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func function(t *testing.T) (lambda.Options, *log) {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "bootstrap")); err != nil {
		t.Fatal(err)
	}
	out := &log{}
	return lambda.Options{
		Name: "fn", ARN: "arn:aws:lambda:eu-west-1:111122223333:function:fn", Region: "eu-west-1", Directory: dir,
		Credentials: sigv4.Credentials{AccessKeyID: "ASIAX", SecretAccessKey: "made-up", SessionToken: "token"},
		MemoryMB:    1024, Timeout: 20 * time.Second, Concurrency: 2,
		Log: slog.New(slog.NewTextHandler(out, nil)),
	}, out
}

func start(t *testing.T, fn lambda.Options) *lambda.Function {
	t.Helper()
	l, err := lambda.New(fn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func invoke(t *testing.T, l *lambda.Function, in order) lambda.Result {
	t.Helper()
	payload, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.Invoke(t.Context(), payload)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func answered(t *testing.T, r lambda.Result) (a answer) {
	t.Helper()
	if r.FunctionError != "" {
		t.Fatalf("function error %s: %s", r.FunctionError, r.Payload)
	}
	if err := json.Unmarshal(r.Payload, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// failed holds the result to an error of this type whose message has this in it.
func failed(t *testing.T, r lambda.Result, kind, message string) {
	t.Helper()
	var e struct{ ErrorType, ErrorMessage string }
	if err := json.Unmarshal(r.Payload, &e); err != nil || r.FunctionError != "Unhandled" || e.ErrorType != kind || !strings.Contains(e.ErrorMessage, message) {
		t.Errorf("%q %s, want a %s of %q", r.FunctionError, r.Payload, kind, message)
	}
}

func TestInvocation(t *testing.T) {
	fn, out := function(t)
	fn.Environment = map[string]string{"MINE": "my value"}
	t.Setenv("NOT_THEIRS", "x")
	l := start(t, fn)
	first := answered(t, invoke(t, l, order{}))
	second := answered(t, invoke(t, l, order{}))
	if first.PID != second.PID {
		t.Errorf("processes %d and %d, want one to be kept", first.PID, second.PID)
	}
	if first.Request == second.Request || len(first.Request) != 36 || first.ARN != fn.ARN || first.Name != "fn" {
		t.Errorf("%+v, %+v", first, second)
	}
	if first.Left <= 0 || first.Left > fn.Timeout {
		t.Errorf("time left %v of %v", first.Left, fn.Timeout)
	}
	for _, want := range []string{
		"MINE=my value", "AWS_ACCESS_KEY_ID=ASIAX", "AWS_SESSION_TOKEN=token", "AWS_REGION=eu-west-1",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=1024", "_HANDLER=bootstrap", "LAMBDA_TASK_ROOT=" + fn.Directory,
	} {
		if !slices.Contains(first.Env, want) {
			t.Errorf("the environment lacks %s: %v", want, first.Env)
		}
	}
	for _, v := range first.Env {
		if strings.HasPrefix(v, "NOT_THEIRS=") || strings.HasPrefix(v, "AWS_EXECUTION_ENV=") {
			t.Errorf("the environment has %s", v)
		}
	}
	if !strings.Contains(out.String(), `msg="ran "`) && !strings.Contains(out.String(), "msg=ran") {
		t.Errorf("what it printed is not in the log: %s", out)
	}
	if _, err := l.Invoke(t.Context(), []byte("{")); err == nil {
		t.Error("took a payload that is no JSON")
	}
}

func TestFailures(t *testing.T) {
	fn, _ := function(t)
	l := start(t, fn)
	was := answered(t, invoke(t, l, order{})).PID
	failed(t, invoke(t, l, order{Do: "error"}), "errorString", "a fault of the function's own")
	if now := answered(t, invoke(t, l, order{})).PID; now != was {
		t.Errorf("process %d after an error, want %d to be kept", now, was)
	}
	for _, tt := range []struct {
		in            order
		kind, message string
	}{
		{order{Do: "panic"}, "string", "out of my depth"},
		{order{Do: "exit", N: 7}, "Runtime.ExitError", "exit status 7"},
		{order{Do: "large", N: 6<<20 + 1}, "Runtime.ExitError", "exit status 1"},
	} {
		failed(t, invoke(t, l, tt.in), tt.kind, tt.message)
		now := answered(t, invoke(t, l, order{})).PID
		if now == was {
			t.Errorf("%s: process %d goes on", tt.in.Do, was)
		}
		was = now
	}
}

// TestAccount: the functions of an account share its concurrency. One more invocation is
// throttled at once, does not run, and there is room again when one has ended.
func TestAccount(t *testing.T) {
	fn, out := function(t)
	fn.Account = container.NewConcurrency(2)
	first := start(t, fn)
	second := start(t, fn)
	door := filepath.Join(t.TempDir(), "open")
	var held sync.WaitGroup
	for _, l := range []*lambda.Function{first, second} {
		held.Go(func() { invoke(t, l, order{Do: "wait", Path: door}) })
		for len(l.PIDs()) == 0 { // an invocation that has a process has entered
			time.Sleep(time.Millisecond)
		}
	}
	for _, l := range []*lambda.Function{first, second} {
		if r, err := l.Invoke(t.Context(), []byte(`{"Do": "extra"}`)); !errors.Is(err, lambda.ErrThrottled) {
			t.Errorf("one more: %s, %v, want it throttled", r.Payload, err)
		}
	}
	if err := os.WriteFile(door, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	held.Wait()
	if strings.Contains(out.String(), "extra") {
		t.Error("a throttled invocation ran")
	}
	answered(t, invoke(t, first, order{}))
}

func TestDeadline(t *testing.T) {
	fn, _ := function(t)
	fn.Timeout = 1500 * time.Millisecond
	l := start(t, fn)
	was := answered(t, invoke(t, l, order{})).PID
	failed(t, invoke(t, l, order{Do: "hang"}), "Sandbox.Timedout", "timed out after 1.50 seconds")
	if err := syscall.Kill(was, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is still there: %v", was, err)
	}
	answered(t, invoke(t, l, order{}))
}

func TestMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("peak memory is known on Linux alone")
	}
	fn, _ := function(t)
	fn.MemoryMB = 128
	l := start(t, fn)
	answered(t, invoke(t, l, order{Do: "memory", N: 1}))
	failed(t, invoke(t, l, order{Do: "memory", N: 160}), "Runtime.OutOfMemory", "the function has 128")
	answered(t, invoke(t, l, order{}))
}

func TestInit(t *testing.T) {
	fn, out := function(t)
	fn.Environment = map[string]string{"INIT": "exit"}
	l := start(t, fn)
	failed(t, invoke(t, l, order{}), "Runtime.ExitError", "ended in the init phase: exit status 3")
	if !strings.Contains(out.String(), "cannot begin") {
		t.Errorf("the log does not say why: %s", out)
	}
	if pids := l.PIDs(); len(pids) != 0 {
		t.Errorf("processes %v are left", pids)
	}
}

// One invocation at a time for each process, as many processes as asked for, and
// more invocations than that wait.
func TestConcurrency(t *testing.T) {
	fn, _ := function(t)
	l := start(t, fn)
	door := filepath.Join(t.TempDir(), "open")
	var mu sync.Mutex
	pids := map[int]int{}
	var work sync.WaitGroup
	for range 6 {
		work.Go(func() {
			a := answered(t, invoke(t, l, order{Do: "wait", Path: door}))
			mu.Lock()
			defer mu.Unlock()
			pids[a.PID]++
		})
	}
	until(t, "two processes", func() bool { return len(l.PIDs()) == 2 })
	late, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := l.Invoke(late, []byte("{}")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no process is free: %v", err)
	}
	if err := os.WriteFile(door, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	work.Wait()
	if len(pids) != 2 {
		t.Errorf("processes %v, want two", slices.Collect(maps.Keys(pids)))
	}
}

// A process that dies in its sleep has not cost an invocation.
func TestDeathBetweenInvocations(t *testing.T) {
	fn, _ := function(t)
	l := start(t, fn)
	was := answered(t, invoke(t, l, order{})).PID
	if err := syscall.Kill(was, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "its end is noticed", func() bool { return len(l.PIDs()) == 0 })
	if now := answered(t, invoke(t, l, order{})).PID; now == was {
		t.Error("a dead process has answered")
	}
}

func TestClose(t *testing.T) {
	fn, _ := function(t)
	l := start(t, fn)
	done := make(chan error)
	go func() {
		_, err := l.Invoke(t.Context(), []byte(`{"Do":"hang"}`))
		done <- err
	}()
	until(t, "a process", func() bool { return len(l.PIDs()) == 1 })
	pid := l.PIDs()[0]
	l.Close()
	if err := <-done; !errors.Is(err, container.ErrClosed) {
		t.Errorf("the invocation under way ended with %v", err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is still there: %v", pid, err)
	}
	if _, err := l.Invoke(t.Context(), []byte("{}")); !errors.Is(err, container.ErrClosed) {
		t.Errorf("invoked after Close: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	good, _ := function(t)
	for what, change := range map[string]func(*lambda.Options){
		"Name":                   func(f *lambda.Options) { f.Name = "" },
		"Timeout":                func(f *lambda.Options) { f.Timeout = 0 },
		"Credentials":            func(f *lambda.Options) { f.Credentials = sigv4.Credentials{} },
		"no such file":           func(f *lambda.Options) { f.Directory = t.TempDir() },
		"AWS_REGION is reserved": func(f *lambda.Options) { f.Environment = map[string]string{"AWS_REGION": "x"} },
	} {
		fn := good
		change(&fn)
		if _, err := lambda.New(fn); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// until waits for a state that another process reaches in its own time.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}
