package localedge

import "syscall"

// procAttr makes a worker die with this process even on SIGKILL, frozen or not,
// and keeps the terminal's Ctrl-C from it: Close ends it.
func procAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
