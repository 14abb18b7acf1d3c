package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"oncegate/internal/onetime"
)

// keptURL is a URL as a deployment makes it.
const keptURL = "https://d.example/uploads/7f1e2d3c-4b5a-4678-9abc-def012345678?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + onetime.MintedAccessKey +
	"%2F20260301%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20260301T120000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&x-id=PutObject" +
	"&X-Amz-Signature=5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e"

func mustOpen(t *testing.T, dir string) *record {
	t.Helper()
	r, err := openRecord(dir, "https://d.example", "/film")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r
}

// TestRecord: what is kept is found again by another run, by one at a time, until it is
// forgotten.
func TestRecord(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "uploads")
	r := mustOpen(t, dir)
	if b, _, err := r.begun(); err != nil || b.Version != 0 {
		t.Errorf("new: %+v, %v", b, err)
	}
	want := begun{Version: begunVersion, Deployment: "https://d.example", File: "/film", Size: 7, Modified: time.Unix(1, 2).UTC(), Options: "o", URL: keptURL}
	longer := want
	longer.Options = strings.Repeat("o", 100)
	for _, b := range []begun{longer, want} {
		if err := r.write(b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := openRecord(dir, "https://d.example", "/film"); (runtime.GOOS == "linux" || runtime.GOOS == "darwin") && !errors.Is(err, errLocked) {
		t.Errorf("at the same time: %v", err)
	}
	r.close()
	again := mustOpen(t, dir)
	if b, u, err := again.begun(); b != want || err != nil || u.URL != keptURL {
		t.Errorf("got %+v, %v", b, err)
	}
	if other, err := openRecord(dir, "https://other.example", "/film"); err != nil {
		t.Error(err)
	} else if b, _, err := other.begun(); b.Version != 0 || err != nil {
		t.Errorf("of another deployment: %+v, %v", b, err)
	} else {
		other.forget()
	}
	again.forget()
	if entries, err := os.ReadDir(dir); len(entries) != 0 || err != nil {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// TestRecordIsNotTrusted: a record that is not of this program, or that others can reach, is
// not gone on from.
func TestRecordIsNotTrusted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "uploads")
	r := mustOpen(t, dir)
	for name, content := range map[string]string{
		"cut short":             `{"version":1,"deploym`,
		"of another version":    `{"version":2,"deployment":"https://d.example","url":"` + keptURL + `"}`,
		"without a URL":         `{"version":1,"deployment":"https://d.example"}`,
		"of another deployment": `{"version":1,"deployment":"https://other.example","url":"` + keptURL + `"}`,
	} {
		if err := os.WriteFile(r.path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if b, u, err := r.begun(); err == nil || u.URL != "" || strings.Contains(err.Error(), "X-Amz") {
			t.Errorf("%s: %+v, %v", name, b, err)
		}
	}
	path := r.path
	r.close()
	if runtime.GOOS == "windows" {
		return
	}
	for name, spoil := range map[string]func() error{
		"readable for others": func() error { return os.WriteFile(path, nil, 0o600) },
		"a link":              func() error { return os.Symlink(filepath.Join(dir, "elsewhere"), path) },
		"a directory":         func() error { return os.Mkdir(path, 0o700) },
	} {
		os.Remove(path)
		err := spoil()
		if err == nil && name == "readable for others" {
			err = os.Chmod(path, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := openRecord(dir, "https://d.example", "/film"); !errors.Is(err, errForeign) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "elsewhere")); err == nil {
		t.Error("the link was followed")
	}
	os.Remove(path)
	if err := os.Chmod(dir, 0o770); err != nil {
		t.Fatal(err)
	}
	if _, err := openRecord(dir, "https://d.example", "/film"); err == nil {
		t.Error("others can open the directory")
	}
}

// TestRecordsAreSwept: what is older than any URL goes, and nothing else.
func TestRecordsAreSwept(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, age := range map[string]time.Duration{"old.json": staleAfter + time.Minute, "young.json": staleAfter - time.Hour, "old.txt": staleAfter + time.Minute} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	mustOpen(t, dir).forget()
	var left []string
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if strings.Join(left, " ") != "old.txt young.json" {
		t.Errorf("left: %v", left)
	}
}

// TestStateDir: where the records are.
func TestStateDir(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", "/state")
	if dir, err := stateDir(); runtime.GOOS == "linux" && (dir != "/state/oncegate/uploads" || err != nil) {
		t.Errorf("%s, %v", dir, err)
	}
	t.Setenv("XDG_STATE_HOME", "relative") // to be passed over, says the specification
	t.Setenv("HOME", "/home/user")
	if dir, err := stateDir(); runtime.GOOS == "linux" && (dir != "/home/user/.local/state/oncegate/uploads" || err != nil) {
		t.Errorf("%s, %v", dir, err)
	}
}
