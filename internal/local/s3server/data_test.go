//go:build linux

package s3server_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
)

// mounted is a fresh file system of this kind.
func mounted(t *testing.T, kind, data string, flags uintptr) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount(kind, dir, kind, flags, data); errors.Is(err, fs.ErrPermission) {
		t.Skipf("only root may mount a %s: %v", kind, err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// startIn is the error of a server with its data in dir.
func startIn(t *testing.T, dir string) error {
	t.Helper()
	o := s3servertest.Options(t)
	o.Dir = dir
	s, err := s3server.Start(t.Context(), o)
	if err == nil {
		s.Close()
	}
	return err
}

func TestFileSystemWithoutAttributes(t *testing.T) {
	dir := mounted(t, "ramfs", "", 0)
	err := startIn(t, dir)
	if !errors.Is(err, s3server.ErrNoAttributes) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
}

func TestFullFileSystem(t *testing.T) {
	if err := startIn(t, mounted(t, "tmpfs", "size=256k", 0)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
}

func TestReadOnlyFileSystem(t *testing.T) {
	if err := startIn(t, mounted(t, "tmpfs", "", syscall.MS_RDONLY)); !errors.Is(err, syscall.EROFS) {
		t.Errorf("got %v", err)
	}
}

// A bucket that was copied without its attributes is named as such, and left as it is;
// one that was copied with them goes on.
func TestCopiedBucket(t *testing.T) {
	o := s3servertest.Options(t)
	s, err := s3server.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s3servertest.Client(s), "uploads/a", "body")
	s.Close()

	bare := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(bare, os.DirFS(o.Dir)); err != nil {
		t.Fatal(err)
	}
	err = startIn(t, bare)
	if !errors.Is(err, s3server.ErrLostAttributes) || !strings.Contains(err.Error(), bare) || !strings.Contains(err.Error(), "cp -a") {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile(filepath.Join(bare, "objects", s3servertest.Bucket, "uploads", "a")); err != nil || string(text) != "body" {
		t.Errorf("the copy has %q, %v", text, err)
	}

	whole := filepath.Join(t.TempDir(), "copy")
	if out, err := exec.Command("cp", "-a", o.Dir, whole).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := startIn(t, whole); err != nil {
		t.Errorf("a whole copy: %v", err)
	}
}
