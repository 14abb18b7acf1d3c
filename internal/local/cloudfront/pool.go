package cloudfront

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	"oncegate/edge"
)

var errClosed = errors.New("the local edge is closing")

// pool holds the workers of one function. It grows with demand up to its limit;
// beyond that invocations wait in line, where Lambda would start one more
// container. Idle workers are frozen, as Lambda freezes containers, and the one
// used last is used first.
type pool struct {
	fn     Function
	region string
	log    *slog.Logger
	start  func() (*worker, error)

	slots   chan struct{} // one taken for each invocation in progress
	closing chan struct{}

	mu     sync.Mutex
	idle   []*worker
	all    map[*worker]bool
	closed bool
}

func newPool(fn Function, region, endpoint string, further []string, node nodeBinary, limit int, log *slog.Logger) *pool {
	log = log.With("function", fn.Name)
	env := append(environment(fn, region, endpoint), further...)
	return &pool{
		fn:     fn,
		region: region,
		log:    log,
		start: func() (*worker, error) {
			return startWorker(node.path, fn, env, log)
		},
		slots:   make(chan struct{}, limit),
		closing: make(chan struct{}),
		all:     map[*worker]bool{},
	}
}

// environment is what Lambda gives a Node function at the edge, and two
// variables more that only the local edge has. Nothing of this process's own.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
func environment(fn Function, region, endpoint string) []string {
	name := "us-east-1." + fn.Name
	env := []string{
		"_HANDLER=" + fn.Handler,
		"AWS_ACCESS_KEY_ID=" + fn.Credentials.AccessKeyID,
		"AWS_DEFAULT_REGION=" + region,
		"AWS_EXECUTION_ENV=AWS_Lambda_" + fn.Runtime,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=" + strconv.Itoa(fn.MemoryMB),
		"AWS_LAMBDA_FUNCTION_NAME=" + name,
		"AWS_LAMBDA_FUNCTION_VERSION=1",
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/" + name,
		"AWS_REGION=" + region,
		"AWS_SECRET_ACCESS_KEY=" + fn.Credentials.SecretAccessKey,
		"LAMBDA_RUNTIME_DIR=/var/runtime",
		"LAMBDA_TASK_ROOT=" + fn.Directory,
		"LANG=en_US.UTF-8",
		"PATH=/usr/local/bin:/usr/bin:/bin",
		"TZ=:UTC",

		"AWS_ENDPOINT_URL_S3=" + endpoint,
		"ONCEGATE_VIEWER_SCHEME=http",
	}
	if t := fn.Credentials.SessionToken; t != "" {
		env = append(env, "AWS_SESSION_TOKEN="+t)
	}
	return env
}

// invoke runs the function once. The context bounds the wait for a free worker
// alone: an invocation that has begun goes on without its viewer, as in Lambda.
func (p *pool) invoke(ctx context.Context, requestID string, event edge.Event) (json.RawMessage, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a free worker: %w", ctx.Err())
	case <-p.closing:
		return nil, errClosed
	}
	defer func() { <-p.slots }()

	in := invocation{Event: event, Context: lambdaContext{
		AWSRequestID:       requestID,
		FunctionName:       "us-east-1." + p.fn.Name,
		FunctionVersion:    "1",
		MemoryLimitInMB:    strconv.Itoa(p.fn.MemoryMB),
		InvokedFunctionARN: "arn:aws:lambda:us-east-1:" + Account + ":function:" + p.fn.Name + ":1",
	}}
	for {
		w, fresh, err := p.take()
		if err != nil {
			return nil, err
		}
		result, err := w.invoke(in, time.Now().Add(p.fn.Timeout))
		if err == nil {
			err = checkMemory(w.pid(), p.fn.MemoryMB)
		}
		if err == nil {
			p.put(w)
			return result, nil
		}
		w.kill()
		p.forget(w)
		// A worker that died in its sleep never saw the event: take another.
		if errors.Is(err, errNotGiven) && !fresh {
			continue
		}
		if p.isClosed() {
			return nil, errClosed
		}
		return nil, err
	}
}

// take finds the idle worker that was used last, or starts a new one.
func (p *pool) take() (_ *worker, fresh bool, _ error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, false, errClosed
	}
	if n := len(p.idle); n > 0 {
		w := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return w, false, nil
	}
	p.mu.Unlock()
	w, err := p.start()
	if err != nil {
		return nil, false, err
	}
	p.mu.Lock()
	closed := p.closed
	p.all[w] = true // from here on close finds it
	p.mu.Unlock()
	go func() {
		<-w.process.Done()
		p.forget(w)
	}()
	if closed {
		w.kill()
		return nil, false, errClosed
	}
	if err := w.ready(); err != nil {
		w.kill()
		return nil, false, err
	}
	return w, true, nil
}

// put freezes the worker until its next invocation.
func (p *pool) put(w *worker) {
	if err := w.process.Freeze(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.log.Warn("a worker could not be frozen", "pid", w.pid(), "err", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all[w] && !p.closed {
		p.idle = append(p.idle, w)
	}
}

func (p *pool) forget(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, w)
	for i := range p.idle {
		if p.idle[i] == w {
			p.idle = append(p.idle[:i:i], p.idle[i+1:]...)
			break
		}
	}
}

func (p *pool) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

func (p *pool) pids() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	var pids []int
	for w := range p.all {
		pids = append(pids, w.pid())
	}
	return pids
}

// close kills every worker and waits until they are gone.
func (p *pool) close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.closing)
	}
	var workers []*worker
	for w := range p.all {
		workers = append(workers, w)
	}
	p.mu.Unlock()
	for _, w := range workers {
		w.kill()
		p.forget(w)
	}
}

// defaultLimit is how many workers one function may have where nobody says.
func defaultLimit(limit, cores int) int { return cmp.Or(limit, max(4, 2*cores)) }
