// Package process runs child processes. A child ends when this process does, however
// that ends, and what the child prints arrives line by line. The S3 server and the
// containers of functions are such children.
package process

import (
	"bytes"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Process is a running or ended child.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	kill func()
}

// Start runs the command. print gets each line of its output that is not blank, one
// call after the other; the last call returns before Done is closed.
func Start(cmd *exec.Cmd, print func(line string)) (*Process, error) {
	p := &Process{cmd: cmd, done: make(chan struct{})}
	out := &lines{print: print}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = attributes()
	cmd.WaitDelay = time.Second
	p.kill = sync.OnceFunc(func() {
		cmd.Process.Kill() // fails only when it is gone already
		<-p.done
	})
	started := make(chan error)
	go func() {
		// The parent-death signal goes out when the thread that started the
		// process ends, so that thread is held until then (golang.org/issue/27505).
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait() // how it ended is in State
		}
		out.flush()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended and all its output was handed over.
func (p *Process) Done() <-chan struct{} { return p.done }

// State says how the process ended, such as "exit status 1" or "signal: killed". It
// may be called after Done alone.
func (p *Process) State() string { return p.cmd.ProcessState.String() }

// Kill ends the process and waits until it is gone.
func (p *Process) Kill() { p.kill() }

// Stop asks the process to end, kills it when that takes longer than patience, and
// waits until it is gone.
func (p *Process) Stop(patience time.Duration) {
	p.cmd.Process.Signal(syscall.SIGTERM) // fails only when it is gone already
	select {
	case <-p.done:
	case <-time.After(patience):
		p.kill()
	}
}

// longestLine bounds what is kept of a line that does not end.
const longestLine = 64 << 10

// lines hands on what is written to it, line by line.
type lines struct {
	print func(line string)
	mu    sync.Mutex
	rest  []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole && len(line) <= longestLine {
			return len(p), nil
		}
		l.hand(line)
		l.rest = rest
	}
}

func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hand(l.rest)
	l.rest = nil
}

func (l *lines) hand(line []byte) {
	if line = bytes.TrimRight(line, " \r\n"); len(line) > 0 {
		l.print(string(line))
	}
}
