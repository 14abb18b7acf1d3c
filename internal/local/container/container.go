// Package container keeps the containers of a function, as Lambda does: as many as there
// are invocations at once, up to a limit, each a process that is frozen between them.
// How a process is started and spoken to is up to the kind of function, which is a
// Container here.
package container

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"oncegate/internal/local/process"
)

// What can go wrong with an invocation.
var (
	ErrClosed   = errors.New("the function is closed")
	ErrInit     = errors.New("the function could not be loaded")
	ErrTimeout  = errors.New("the function timed out")
	ErrExited   = errors.New("the function's process ended")
	ErrMemory   = errors.New("the function ran out of memory")
	ErrNotGiven = errors.New("the container was gone before it got the event")
	// ErrThrottled says that the function did not run: Options.Account was used up.
	ErrThrottled = errors.New("too many invocations at once")
)

// initTimeout is Lambda's bound on the init phase:
// https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
const initTimeout = 10 * time.Second

// Container is one process that takes one invocation at a time. After an error it is of
// no more use.
type Container[In, Out any] interface {
	// Process is the process, which the pool freezes and thaws.
	Process() *process.Process
	// Ready waits until the function is loaded.
	Ready(deadline time.Time) error
	// Invoke hands the event over and waits for the answer. The error is ErrNotGiven if
	// the process cannot have begun, and ErrTimeout after the deadline.
	Invoke(in In, deadline time.Time) (Out, error)
	// Kill ends the process and releases what belongs to it. It may be called again.
	Kill()
}

// Options say what the containers are and what they may take. All but Account are needed.
type Options[In, Out any] struct {
	Start func() (Container[In, Out], error)
	// Limit bounds the containers. Beyond it invocations wait in line, where Lambda would
	// throttle or start one more container.
	Limit int
	// Account, if set, bounds the invocations of this and other functions. Beyond it an
	// invocation fails at once, as Lambda throttles.
	Account  *Concurrency
	Timeout  time.Duration // of one invocation
	MemoryMB int           // resident, of one process; enforced on Linux
	Log      *slog.Logger
}

// Pool holds the containers of one function. It may be used concurrently.
type Pool[In, Out any] struct {
	o       Options[In, Out]
	slots   chan struct{} // one taken for each invocation in progress
	closing chan struct{}

	mu     sync.Mutex
	idle   []Container[In, Out] // frozen; the one used last is last
	all    map[Container[In, Out]]bool
	closed bool
}

// New returns a pool. Its containers start when invocations ask for them.
func New[In, Out any](o Options[In, Out]) *Pool[In, Out] {
	return &Pool[In, Out]{
		o: o, slots: make(chan struct{}, o.Limit), closing: make(chan struct{}), all: map[Container[In, Out]]bool{},
	}
}

// Invoke runs the function once. The context bounds the wait for a free container
// alone: an invocation that has begun goes on without its caller, as in Lambda. The errors
// are those above and the Container's own.
func (p *Pool[In, Out]) Invoke(ctx context.Context, in In) (Out, error) {
	var none Out
	if !p.o.Account.enter() {
		return none, ErrThrottled
	}
	defer p.o.Account.leave()
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return none, fmt.Errorf("wait for a free container: %w", ctx.Err())
	case <-p.closing:
		return none, ErrClosed
	}
	defer func() { <-p.slots }()
	for {
		c, fresh, err := p.take()
		if err != nil {
			return none, err
		}
		out, err := p.invoke(c, in)
		if err == nil {
			p.put(c)
			return out, nil
		}
		p.drop(c)
		// A container that died in its sleep never saw the event: take another.
		if errors.Is(err, ErrNotGiven) && !fresh {
			continue
		}
		return none, p.cause(err)
	}
}

func (p *Pool[In, Out]) invoke(c Container[In, Out], in In) (out Out, err error) {
	if err := c.Process().Thaw(); err != nil {
		return out, fmt.Errorf("%w: %w", ErrNotGiven, err)
	}
	if out, err = c.Invoke(in, time.Now().Add(p.o.Timeout)); err != nil {
		return out, err
	}
	return out, p.checkMemory(c.Process().PID())
}

// checkMemory refuses a process that ever had more resident memory than its function
// may have. Lambda would have killed it then; here that shows after the invocation.
//
// What else counts in Lambda's sandbox, its kernel and the rest of the runtime, is set
// against what this counts too much: of a Node process some 50 MB are clean pages of the
// program, which a kernel takes back before it kills. AWS publishes neither figure.
func (p *Pool[In, Out]) checkMemory(pid int) error {
	if peak, known := process.PeakMemoryMB(pid); known && peak > p.o.MemoryMB {
		return fmt.Errorf("%w: its process had %d MB, the function has %d", ErrMemory, peak, p.o.MemoryMB)
	}
	return nil
}

// take finds the idle container that was used last, or starts a new one.
func (p *Pool[In, Out]) take() (_ Container[In, Out], fresh bool, _ error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, false, ErrClosed
	}
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return c, false, nil
	}
	p.mu.Unlock()
	c, err := p.o.Start()
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", ErrInit, err)
	}
	p.mu.Lock()
	closed := p.closed
	p.all[c] = true // from here on Close finds it
	p.mu.Unlock()
	go func() {
		<-c.Process().Done()
		p.drop(c)
	}()
	if closed {
		p.drop(c)
		return nil, false, ErrClosed
	}
	if err := c.Ready(time.Now().Add(initTimeout)); err != nil {
		p.drop(c)
		return nil, false, p.cause(fmt.Errorf("%w: %w", ErrInit, err))
	}
	return c, true, nil
}

// put freezes the container until its next invocation.
func (p *Pool[In, Out]) put(c Container[In, Out]) {
	if err := c.Process().Freeze(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.o.Log.Warn("a container could not be frozen", "pid", c.Process().PID(), "err", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all[c] && !p.closed {
		p.idle = append(p.idle, c)
	}
}

// drop kills the container and forgets it.
func (p *Pool[In, Out]) drop(c Container[In, Out]) {
	c.Kill()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, c)
	p.idle = slices.DeleteFunc(p.idle, func(other Container[In, Out]) bool { return other == c })
}

// cause is ErrClosed where Close has killed the container, else err.
func (p *Pool[In, Out]) cause(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	return err
}

// PIDs are the processes of all containers, frozen or not.
func (p *Pool[In, Out]) PIDs() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	var pids []int
	for c := range p.all {
		pids = append(pids, c.Process().PID())
	}
	return pids
}

// Close kills every container and waits until they are gone. Invocations in progress
// end with ErrClosed.
func (p *Pool[In, Out]) Close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.closing)
	}
	var all []Container[In, Out]
	for c := range p.all {
		all = append(all, c)
	}
	p.mu.Unlock()
	for _, c := range all {
		p.drop(c)
	}
}
