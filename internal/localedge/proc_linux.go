package localedge

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// procAttr makes a worker die with this process even on SIGKILL, frozen or not,
// and keeps the terminal's Ctrl-C from it: Close ends it.
func procAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// peakMemoryMB is the most that was ever resident of a process (VmHWM in proc(5)),
// rounded up. Of a process that is gone it is not known.
func peakMemoryMB(pid int) (mb int, known bool) {
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
