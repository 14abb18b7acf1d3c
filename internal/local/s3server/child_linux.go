package s3server

import "syscall"

// sysProcAttr makes the child die with this process, even on SIGKILL, and keeps the terminal's Ctrl-C from it: Close
// ends it after the requests in progress.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
