package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// dataLock is held by the one process that uses a data directory. The system releases it
// when that process ends, even if it is killed. The file stays.
type dataLock struct{ file *os.File }

// errLocked says that another process holds the lock.
var errLocked = errors.New("locked")

// lockData takes the lock of a data directory. Where another process holds it, the
// error names that process and its address.
func lockData(data string) (*dataLock, error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(data, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	l := &dataLock{f}
	if err := tryLock(f); errors.Is(err, errLocked) {
		holder := make([]byte, 200)
		n, _ := f.ReadAt(holder, 0) // what is missing is not said
		f.Close()
		return nil, fmt.Errorf("another oncegate dev runs on %s: %s; use that one or stop it, or run a second one with a bucket and ports of its own: "+
			"bin/oncegate dev --data %s2 --port 8081 --s3-port 9001", data, strings.TrimSpace(string(holder[:n])), data)
	} else if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	if err := l.note("that is starting"); err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

// note says in the file who holds the lock, and where it answers.
func (l *dataLock) note(where string) error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt(fmt.Appendf(nil, "process %d, %s\n", os.Getpid(), where), 0)
	return err
}

// release lets the lock go.
func (l *dataLock) release() { l.file.Close() }
