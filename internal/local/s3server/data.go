package s3server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Errors of Start that are about Options.Dir.
var (
	// ErrNoAttributes says that its file system has no extended attributes.
	ErrNoAttributes = errors.New("the file system has no extended attributes")
	// ErrLostAttributes says that the bucket in it has none any more.
	ErrLostAttributes = errors.New("the bucket has lost its extended attributes")
)

// spaceWanted is what a bucket and its first uploads need at the least.
const spaceWanted = 1 << 20

// aclAttribute is the one that versitygw gives to every bucket (its package backend/posix).
const aclAttribute = "user.acl"

// prepareData makes the folders of the data directory and finds out whether versitygw can keep objects there: all
// that it knows of them stands in extended attributes. Where it cannot write them it answers InternalError alone.
func prepareData(dir, bucket string) (objects, versions string, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return "", "", err
	}
	objects, versions = filepath.Join(dir, "objects"), filepath.Join(dir, "versions")
	for _, d := range []string{objects, versions} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return "", "", err
		}
	}
	if err := probe(dir); err != nil {
		return "", "", err
	}
	known, err := hasAttribute(filepath.Join(objects, bucket), aclAttribute)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", "", err
	case !known:
		return "", "", fmt.Errorf("%w, as it does when it is copied without them: copy %s again with them (cp -a, rsync -aX, tar --xattrs), "+
			"or remove it and begin with an empty bucket", ErrLostAttributes, dir)
	}
	return objects, versions, nil
}

// probe writes a file with an attribute, and removes it.
func probe(dir string) error {
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(make([]byte, spaceWanted))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := setAttribute(f.Name(), "user.oncegate"); errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("%w, in which the S3 server keeps what it knows of the objects in %s", ErrNoAttributes, dir)
	} else if err != nil {
		return fmt.Errorf("give a file in %s an extended attribute: %w", dir, err)
	}
	return nil
}
