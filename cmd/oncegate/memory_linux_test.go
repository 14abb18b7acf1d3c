package main

import (
	"os/exec"
	"syscall"
)

// mostMemory is the largest resident set of a process that has ended, in bytes.
func mostMemory(cmd *exec.Cmd) int64 {
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		return usage.Maxrss << 10
	}
	return 0
}
