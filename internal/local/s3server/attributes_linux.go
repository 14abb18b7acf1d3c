package s3server

import (
	"errors"
	"os"
	"syscall"
)

func setAttribute(path, name string) error {
	if err := syscall.Setxattr(path, name, []byte("1"), 0); err != nil {
		return &os.PathError{Op: "setxattr", Path: path, Err: err}
	}
	return nil
}

func hasAttribute(path, name string) (bool, error) {
	_, err := syscall.Getxattr(path, name, nil)
	if errors.Is(err, syscall.ENODATA) {
		return false, nil
	}
	if err != nil {
		return false, &os.PathError{Op: "getxattr", Path: path, Err: err}
	}
	return true, nil
}
