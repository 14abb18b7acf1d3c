//go:build !linux

package localedge

import "syscall"

// procAttr has nothing to ask for here. A worker that outlives this process ends
// when its event pipe does, unless it is frozen.
func procAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

// peakMemoryMB is not known here, so the memory setting is not enforced.
func peakMemoryMB(int) (mb int, known bool) { return 0, false }
