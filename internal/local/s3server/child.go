package s3server

import (
	"bytes"
	"log/slog"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// child is one run of the server's program.
type child struct {
	cmd    *exec.Cmd
	out    *lineLog
	done   chan struct{} // closed when the process is gone and reaped
	wanted atomic.Bool   // its end was asked for
}

// startChild runs the program with exactly the given environment, so that no VGW_* variable of the user's reaches it.
func startChild(log *slog.Logger, binary string, args, env []string) (*child, error) {
	c := &child{cmd: exec.Command(binary, args...), out: &lineLog{log: log}, done: make(chan struct{})}
	c.cmd.Env = env
	c.cmd.Stdout, c.cmd.Stderr = c.out, c.out
	c.cmd.SysProcAttr = sysProcAttr()
	started := make(chan error)
	go func() {
		// The kernel's parent-death signal fires when the thread that started the child ends, so this thread is
		// kept for as long as the child lives (golang.org/issue/27505).
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		err = c.cmd.Wait()
		if !c.wanted.Load() {
			log.Error("the s3 server has ended by itself", "err", err, "last", c.out.lastLine())
		}
		close(c.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// stop asks the process to end and kills it when it takes too long.
func (c *child) stop() {
	c.wanted.Store(true)
	c.cmd.Process.Signal(syscall.SIGTERM) // fails only when it is gone already
	select {
	case <-c.done:
	case <-time.After(3 * time.Second):
		c.kill()
	}
}

func (c *child) kill() {
	c.wanted.Store(true)
	c.cmd.Process.Kill()
	<-c.done
}

// lineLog logs what is written to it line by line and remembers the last line that says something.
type lineLog struct {
	log  *slog.Logger
	mu   sync.Mutex
	rest []byte
	last string
}

func (l *lineLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		i := bytes.IndexByte(l.rest, '\n')
		if i < 0 {
			return len(p), nil
		}
		if line := bytes.TrimSpace(l.rest[:i]); len(line) > 0 {
			l.last = string(line)
			l.log.Debug("versitygw", "line", l.last)
		}
		l.rest = l.rest[i+1:]
	}
}

func (l *lineLog) lastLine() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if rest := bytes.TrimSpace(l.rest); len(rest) > 0 {
		return string(rest)
	}
	if l.last == "" {
		return "it printed nothing"
	}
	return l.last
}
