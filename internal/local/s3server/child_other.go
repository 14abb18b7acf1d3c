//go:build !linux

package s3server

import "syscall"

// sysProcAttr has nothing to ask for here: no parent-death signal. Close ends the child, and so does a terminal's
// Ctrl-C, which reaches it because it stays in this process's group.
func sysProcAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
