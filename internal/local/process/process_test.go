//go:build unix

package process_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"oncegate/internal/local/process"
)

// start runs a shell script. lines may be read once the process is done.
func start(t *testing.T, script string) (p *process.Process, lines *[]string) {
	t.Helper()
	lines = new([]string)
	p, err := process.Start(exec.Command("sh", "-c", script), func(line string) { *lines = append(*lines, line) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p, lines
}

func TestOutputArrivesByLine(t *testing.T) {
	p, lines := start(t, `printf 'one\r\n\n two \nthr' ; printf 'ee' >&2; exit 3`)
	<-p.Done()
	if want := []string{"one", " two", "three"}; !slices.Equal(*lines, want) {
		t.Errorf("lines %q, want %q", *lines, want)
	}
	if p.State() != "exit status 3" {
		t.Errorf("state %q", p.State())
	}
}

func TestLineWithoutEndIsBounded(t *testing.T) {
	p, lines := start(t, `head -c 200000 /dev/zero | tr '\0' x`)
	<-p.Done()
	if all := strings.Join(*lines, ""); len(all) != 200000 || len(*lines) < 2 {
		t.Errorf("%d bytes in %d lines", len(all), len(*lines))
	}
}

func TestStop(t *testing.T) {
	for _, tt := range []struct {
		name, script, state string
		patience            time.Duration
	}{
		{"ends when asked", `trap 'exit 4' TERM; echo ready; while :; do sleep 0.01; done`, "exit status 4", time.Minute},
		{"ends when asked in vain", `trap '' TERM; echo ready; while :; do sleep 0.01; done`, "signal: killed", time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ready := make(chan struct{})
			p, err := process.Start(exec.Command("sh", "-c", tt.script), func(string) { close(ready) })
			if err != nil {
				t.Fatal(err)
			}
			<-ready
			p.Stop(tt.patience)
			if p.State() != tt.state {
				t.Errorf("state %q, want %q", p.State(), tt.state)
			}
			p.Stop(tt.patience) // nothing is left to do
			p.Kill()
		})
	}
}

func TestStartFails(t *testing.T) {
	if _, err := process.Start(exec.Command("/nonexistent/program"), func(string) {}); err == nil {
		t.Error("a program that is not there was started")
	}
}
