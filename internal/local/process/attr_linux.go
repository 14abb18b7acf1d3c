package process

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// attributes make a process die with this one even on SIGKILL, frozen or not, and
// keep the terminal's Ctrl-C from it.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// PeakMemoryMB is the most that was ever resident of a process (VmHWM in proc(5)),
// rounded up. Of a process that is gone it is not known.
func PeakMemoryMB(pid int) (mb int, known bool) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			var kB int
			_, err := fmt.Sscan(value, &kB)
			return (kB + 1023) / 1024, err == nil
		}
	}
	return 0, false
}
