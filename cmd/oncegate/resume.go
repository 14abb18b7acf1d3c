package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"oncegate/internal/client"
)

// begun is an upload in parts that has begun, as a file of the user's state directory keeps
// it. The file exists from before the first part is sent until the upload is over. It holds
// the URL, so only the user may read it.
type begun struct {
	Version    int       `json:"version"`
	Deployment string    `json:"deployment"`
	File       string    `json:"file"` // its absolute path
	Size       int64     `json:"size"`
	Modified   time.Time `json:"modified"`
	Options    string    `json:"options"` // what the URL and the object were to be
	URL        string    `json:"url"`
}

const begunVersion = 1

// staleAfter is when no URL of a file in the state directory can be good any more: S3 has
// dropped its parts 8 days after the start.
const staleAfter = 9 * 24 * time.Hour

// stateDir is the directory of the uploads that have begun.
// https://specifications.freedesktop.org/basedir-spec/latest/
func stateDir() (string, error) {
	dir := os.Getenv("XDG_STATE_HOME")
	var err error
	switch {
	case filepath.IsAbs(dir):
	case runtime.GOOS == "windows":
		dir, err = os.UserCacheDir()
	case runtime.GOOS == "darwin":
		dir, err = os.UserConfigDir()
	default:
		dir, err = os.UserHomeDir()
		dir = filepath.Join(dir, ".local", "state")
	}
	return filepath.Join(dir, "oncegate", "uploads"), err
}

// record is the file that keeps one upload. It is locked while it is open, so that two runs
// with one file do not share a URL.
type record struct {
	file *os.File
	path string
}

// errForeign means that the record may be somebody else's: its URL could lead anywhere.
var errForeign = errors.New("others can read or write it, or it is no plain file")

// openRecord opens the record of a file, which is empty if nothing has begun. The error is
// errLocked if another run has it.
func openRecord(dir, deployment, file string) (*record, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if info, err := os.Stat(dir); err != nil || open(info) {
		return nil, errors.Join(err, fmt.Errorf("others can open %s", dir))
	}
	sweep(dir)
	sum := sha256.Sum256([]byte(deployment + "\n" + file))
	path := filepath.Join(dir, hex.EncodeToString(sum[:16])+".json")
	for {
		if info, err := os.Lstat(path); err == nil && (!info.Mode().IsRegular() || open(info)) {
			return nil, fmt.Errorf("%s: %w", path, errForeign)
		}
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := tryLock(f); err != nil {
			f.Close()
			return nil, err
		}
		// Whoever had the lock may have removed the file.
		mine, err := f.Stat()
		if there, gone := os.Lstat(path); err == nil && gone == nil && os.SameFile(mine, there) {
			return &record{f, path}, nil
		}
		f.Close()
	}
}

// open reports whether others than the owner may do anything with a file. Windows has no
// such bits.
func open(info os.FileInfo) bool { return runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 }

// sweep removes what no upload goes on from. A file that cannot be removed harms nothing.
func sweep(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), ".json") && time.Since(info.ModTime()) > staleAfter {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// begun returns the upload that has begun, and its URL. Its Version is 0 if there is none.
func (r *record) begun() (begun, client.URL, error) {
	text, err := io.ReadAll(io.LimitReader(io.NewSectionReader(r.file, 0, 1<<20), 1<<20))
	if err != nil || len(text) == 0 {
		return begun{}, client.URL{}, err
	}
	var b begun
	if json.Unmarshal(text, &b) != nil || b.Version != begunVersion {
		return begun{}, client.URL{}, errors.New("is not what oncegate writes there")
	}
	u, err := client.ParseURL(b.URL)
	if err != nil || !strings.HasPrefix(b.URL, b.Deployment+"/") {
		return begun{}, client.URL{}, errors.New("has no URL of the deployment")
	}
	return b, u, nil
}

// write keeps an upload, in place of an earlier one.
func (r *record) write(b begun) error {
	text, err := json.Marshal(b)
	if err == nil {
		err = r.file.Truncate(0)
	}
	if err == nil {
		_, err = r.file.WriteAt(text, 0)
	}
	if err == nil {
		err = r.file.Sync()
	}
	if dir, openErr := os.Open(filepath.Dir(r.path)); openErr == nil {
		dir.Sync() // not every system can
		dir.Close()
	}
	return err
}

// forget removes the record: its upload is over. Nothing of the URL stays, even if the file
// cannot be removed.
func (r *record) forget() {
	r.file.Truncate(0)
	os.Remove(r.path)
	r.file.Close()
}

// close keeps the record, for another run to go on from.
func (r *record) close() { r.file.Close() }
