//go:build unix

package process

import "syscall"

// Freeze stops the process until Thaw, as Lambda freezes a container between
// invocations.
func (p *Process) Freeze() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }

// Thaw lets a frozen process go on. It fails when the process is gone.
func (p *Process) Thaw() error { return p.cmd.Process.Signal(syscall.SIGCONT) }
