//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server/s3servertest"
)

// TestBigBodyInFlatMemory sends a big body through `oncegate dev` and looks at the
// memory of that process, S3 proxy included: the body must not be held in memory.
func TestBigBodyInFlatMemory(t *testing.T) {
	testbed.DefaultRuntimeOnly(t, "bodies do not pass through what decides")
	const limit = 32 << 10 // kB of growth; the body is 1048576 kB, or a multiple
	size := bigBody(t)
	dev := startDev(t, testbed.Assembly(t, map[string]any{"bucket": s3servertest.Bucket}, nil), t.TempDir())
	t.Cleanup(func() {
		if err := dev.stop(); err != nil {
			t.Errorf("oncegate dev ended with %v", err)
		}
	})

	mint := func() string {
		response, err := http.Get(dev.url + "/url")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("mint: %d %v", response.StatusCode, err)
		}
		return string(body)
	}
	put := func(n int64) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, mint(), io.LimitReader(zeros{}, n))
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = n
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Fatalf("PUT of %d bytes: %d", n, response.StatusCode)
		}
	}
	put(1 << 20)
	before := peakMemory(t, dev.cmd.Process.Pid)
	put(size)
	after := peakMemory(t, dev.cmd.Process.Pid)
	t.Logf("peak resident memory of the local edge: %d kB after 1 MiB, %d kB after %d GiB", before, after, size>>30)
	if after-before > limit {
		t.Errorf("peak resident memory grew by %d kB, at most %d are allowed", after-before, limit)
	}
}

// devProcess is a running `oncegate dev`.
type devProcess struct {
	cmd    *exec.Cmd
	url    string
	stderr *bytes.Buffer // to be read when it has ended
}

// startDev runs it on free ports and waits until it answers.
func startDev(t *testing.T, template, data string, flags ...string) *devProcess {
	t.Helper()
	d := &devProcess{stderr: &bytes.Buffer{}, cmd: exec.Command(filepath.Join("bin", "oncegate"), append([]string{
		"dev", "--template", template, "--port", "0", "--s3-port", "0", "--data", data,
	}, flags...)...)}
	d.cmd.Dir = root
	// What a killed process cannot remove is removed with the test.
	d.cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	d.cmd.Stderr = d.stderr
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatalf("%v: run `make build`", err)
	}
	listens := regexp.MustCompile(`curl -s (localhost:\d+)/url`)
	for lines := bufio.NewScanner(stdout); d.url == "" && lines.Scan(); {
		if m := listens.FindStringSubmatch(lines.Text()); m != nil {
			d.url = "http://" + m[1]
		}
	}
	if d.url == "" {
		d.cmd.Wait()
		t.Fatalf("oncegate dev never printed where it listens: %s", d.stderr)
	}
	go io.Copy(io.Discard, stdout)
	return d
}

// stop ends it as Ctrl-C does.
func (d *devProcess) stop() error {
	d.cmd.Process.Signal(os.Interrupt)
	return d.cmd.Wait()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// peakMemory is VmHWM in kB: https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return kb
		}
	}
	t.Fatal("no VmHWM")
	return 0
}
