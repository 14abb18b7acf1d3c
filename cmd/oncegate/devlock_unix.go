//go:build darwin || linux

package main

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the lock of an open file, or returns errLocked.
func tryLock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errLocked
	}
	return err
}
