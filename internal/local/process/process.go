// Package process runs child processes that end when this one does, however it
// ends, and whose output becomes lines of the log. The containers of the local
// Lambdas are such processes.
package process

import (
	"bytes"
	"log/slog"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// Process is a running or ended child.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	kill func()
}

// Start runs the command. What it prints goes to log, line by line.
func Start(cmd *exec.Cmd, log *slog.Logger) (*Process, error) {
	p := &Process{cmd: cmd, done: make(chan struct{})}
	out := &lines{log: log}
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

// Done is closed when the process has ended and all it printed is in the log.
func (p *Process) Done() <-chan struct{} { return p.done }

// State says how the process ended, such as "exit status 1" or "signal: killed".
// Only for after Done.
func (p *Process) State() string { return p.cmd.ProcessState.String() }

// Kill ends the process and waits until it is gone.
func (p *Process) Kill() { p.kill() }

// longestLine bounds what is kept of a line that does not end.
const longestLine = 64 << 10

// lines logs what is written to it, line by line.
type lines struct {
	log  *slog.Logger
	mu   sync.Mutex
	rest []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		i := bytes.IndexByte(l.rest, '\n')
		if i < 0 && len(l.rest) > longestLine {
			i = len(l.rest) - 1
		}
		if i < 0 {
			return len(p), nil
		}
		l.print(l.rest[:i])
		l.rest = l.rest[i+1:]
	}
}

func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.print(l.rest)
	l.rest = nil
}

func (l *lines) print(line []byte) {
	if line = bytes.TrimRight(line, " \r\n"); len(line) > 0 {
		l.log.Info(string(line))
	}
}
