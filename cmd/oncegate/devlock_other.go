//go:build !darwin && !linux

package main

import "os"

// tryLock does nothing here: the busy port alone stops a second oncegate dev.
func tryLock(*os.File) error { return nil }
