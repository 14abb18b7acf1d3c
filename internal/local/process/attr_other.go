//go:build !linux

package process

import "syscall"

// attributes has nothing to ask for here. A process that outlives this one ends
// when its pipes and connections do, unless it is frozen.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

// PeakMemoryMB is not known here.
func PeakMemoryMB(int) (mb int, known bool) { return 0, false }
