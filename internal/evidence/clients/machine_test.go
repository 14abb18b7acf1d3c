package clients

import (
	"os"
	"os/exec"
	"testing"
)

// program returns the path of a program that a test needs.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name)
	}
	return path
}

// missing skips a test for want of a program or a library. In CI it fails: nobody would
// see there that it was skipped.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI=true, and there is no %s on this machine", what)
	}
	t.Skipf("there is no %s on this machine", what)
}
