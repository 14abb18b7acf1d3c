package testbed

import (
	"cmp"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"oncegate/internal/config"
)

// Program returns the path of a program that a test needs.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, name)
	}
	return path
}

// Missing skips a test for want of a program or a library. In CI it fails: nobody would
// see there that it was skipped.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI=true, and there is no %s on this machine", what)
	}
	t.Skipf("there is no %s on this machine", what)
}

// Browser returns the path of Chromium: that in $CHROMIUM, or Debian's.
func Browser(t testing.TB) string {
	t.Helper()
	return Program(t, cmp.Or(os.Getenv("CHROMIUM"), "/usr/bin/chromium"))
}

// runtime is what ONCEGATE_RUNTIME says: the tests of the whole chain are run once more
// with the regional runtime.
func runtime() string { return os.Getenv("ONCEGATE_RUNTIME") }

// DefaultRuntimeOnly skips a test when the chain is run with the regional runtime. The
// reason says why the test would show nothing new.
func DefaultRuntimeOnly(t testing.TB, reason string) {
	t.Helper()
	if runtime() == config.RuntimeRegional {
		t.Skip(reason)
	}
}

// Asked reads from the environment how often a test does something, or where its random
// choices begin. usual is for a machine that does not say.
func Asked(t testing.TB, name string, usual int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q: want a positive number", name, text)
	}
	return n
}
