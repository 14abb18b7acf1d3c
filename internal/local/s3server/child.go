package s3server

import (
	"log/slog"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"oncegate/internal/local/process"
)

// child is one run of the server's program.
type child struct {
	*process.Process
	wanted atomic.Bool            // its end was asked for
	last   atomic.Pointer[string] // the last line that it printed
}

// startChild runs the program with exactly the given environment, so that no VGW_* variable of the user's reaches it.
func startChild(log *slog.Logger, binary string, args, env []string) (*child, error) {
	c := &child{}
	cmd := exec.Command(binary, args...)
	cmd.Env = env
	var err error
	c.Process, err = process.Start(cmd, func(line string) {
		line = strings.TrimSpace(line)
		c.last.Store(&line)
		log.Debug("versitygw", "line", line)
	})
	if err != nil {
		return nil, err
	}
	go func() {
		<-c.Done()
		if !c.wanted.Load() {
			log.Error("the s3 server has ended by itself", "state", c.State(), "last", c.lastLine())
		}
	}()
	return c, nil
}

// stop lets the child finish what it does, for three seconds.
func (c *child) stop() {
	c.wanted.Store(true)
	c.Stop(3 * time.Second)
}

func (c *child) kill() {
	c.wanted.Store(true)
	c.Kill()
}

func (c *child) lastLine() string {
	if last := c.last.Load(); last != nil {
		return *last
	}
	return "it printed nothing"
}
