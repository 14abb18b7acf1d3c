//go:build unix

package localedge

import (
	"os"
	"syscall"
)

// freeze stops a process between invocations, as Lambda freezes a container.
func freeze(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }

// thaw lets it go on. It fails when the process is gone.
func thaw(p *os.Process) error { return p.Signal(syscall.SIGCONT) }
