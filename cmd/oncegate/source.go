package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"oncegate/internal/onetime"
)

// errChanged means that a file is not what it was when it was opened.
var errChanged = errors.New("the file changed while it was read")

// source is a file that is being uploaded. It returns the last byte only if nothing follows
// it, and size and time of the file are still those of when it was opened. So a changed
// file is never stored. Of an empty file it returns the end only if it is still empty.
type source struct {
	file *os.File
	info fs.FileInfo
	left int64
}

// openSource opens a file. It refuses what cannot be one upload.
func openSource(path string) (*source, error) {
	// Check first: opening a pipe would wait for its other end.
	info, err := os.Stat(path)
	if err != nil {
		return nil, errors.Unwrap(err) // a *PathError, whose path the caller names
	}
	if err := uploadable(info); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	if info, err = f.Stat(); err == nil {
		err = uploadable(info)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	s := &source{f, info, info.Size()}
	if s.size() == 0 && s.changed() {
		f.Close()
		return nil, errors.New("has content but no size, as files of the system have: S3 needs the length first, so save it to a file")
	}
	return s, nil
}

func uploadable(info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return errors.New("is a directory: upload its files one by one, or an archive of them")
	case !info.Mode().IsRegular():
		return errors.New("is not a regular file: S3 needs the length first, so save it to a file")
	case info.Size() > onetime.MaxUploadBytes:
		return fmt.Errorf("has %d bytes: one upload holds at most %d (1,000 parts of 5 GiB)", info.Size(), int64(onetime.MaxUploadBytes))
	}
	return nil
}

func (s *source) size() int64 { return s.info.Size() }

func (s *source) Close() error { return s.file.Close() }

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	if s.left == 0 {
		if s.changed() {
			return 0, errChanged
		}
		return 0, io.EOF
	}
	n, err := s.file.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	if err == io.EOF && s.left > 0 {
		return 0, errChanged
	}
	if s.left == 0 && s.changed() {
		return 0, errChanged
	}
	return n, err
}

// changed reports whether the file is not what it was when it was opened. It reads one byte
// past the end: not every file system keeps size and time up to date.
func (s *source) changed() bool {
	n, err := s.file.ReadAt(make([]byte, 1), s.info.Size())
	now, statErr := s.file.Stat()
	return n > 0 || err != io.EOF || statErr != nil || now.Size() != s.info.Size() || !now.ModTime().Equal(s.info.ModTime())
}

// Seek implements io.Seeker, to the beginning only.
func (s *source) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekStart {
		return 0, errors.ErrUnsupported
	}
	s.left = s.info.Size()
	return s.file.Seek(0, io.SeekStart)
}

// sum returns the SHA-256 of the whole file, in hex.
func (s *source) sum(ctx context.Context) (string, error) {
	h := sha256.New()
	for {
		_, err := io.CopyN(h, s, 1<<20)
		switch {
		case ctx.Err() != nil:
			return "", ctx.Err()
		case err == io.EOF:
			_, err = s.Seek(0, io.SeekStart)
			return hex.EncodeToString(h.Sum(nil)), err
		case err != nil:
			return "", err
		}
	}
}
