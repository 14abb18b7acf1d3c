//go:build unix

package cloudfront

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// until waits for a state that another process reaches in its own time.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// barrier holds invocations until the file named in the query exists, and
// answers with the worker's process id.
const barrier = `
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
export const gate = async (event) => {
	const file = event.Records[0].cf.request.querystring;
	console.log('waiting');
	while (file && !existsSync(file)) await sleep(2);
	return { status: '200', body: String(process.pid) };
}`

func TestPoolGrowsQueuesAndReuses(t *testing.T) {
	f := start(t, barrier, noOrigin(t), func(o *Options) { o.MaxWorkers = 3 })
	door := t.TempDir() + "/open"
	var wg sync.WaitGroup
	var mu sync.Mutex
	pids := map[string]int{}
	for range 5 {
		wg.Go(func() {
			res, err := http.Get(f.URL() + "/x?" + door)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			body, _ := io.ReadAll(res.Body)
			mu.Lock()
			defer mu.Unlock()
			pids[string(body)]++
			if res.StatusCode != 200 {
				t.Errorf("got %d: %s", res.StatusCode, body)
			}
		})
	}
	until(t, "three invocations", func() bool { return strings.Count(f.log.String(), "msg=waiting") == 3 })
	if n := len(f.Workers()); n != 3 {
		t.Errorf("%d workers, want 3", n)
	}
	if err := os.WriteFile(door, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if len(pids) != 3 {
		t.Errorf("answers came from workers %v, want 3 of them", pids)
	}
	// The one used last is used again.
	first := readAll(t, f.do("GET", "/x", nil))
	for range 3 {
		if got := readAll(t, f.do("GET", "/x", nil)); got != first {
			t.Errorf("worker %s answers, want %s", got, first)
		}
	}
	if n := len(f.Workers()); n != 3 {
		t.Errorf("%d workers, want 3", n)
	}
}

func TestFunctionsHaveWorkersOfTheirOwn(t *testing.T) {
	f := start(t, barrier+`; export const mint = gate`, noOrigin(t))
	if a, b := readAll(t, f.do("GET", "/x", nil)), readAll(t, f.do("GET", "/url", nil)); a == b {
		t.Errorf("both functions ran in process %s", a)
	}
}

// state is the letter that ps has for a process: T is stopped.
func state(t *testing.T, pid int) string {
	t.Helper()
	out, err := exec.Command("ps", "-o", "stat=", "-p", fmt.Sprint(pid)).Output()
	if err != nil {
		return "" // gone
	}
	return strings.TrimSpace(string(out))[:1]
}

func TestWorkersAreFrozenBetweenInvocations(t *testing.T) {
	f := start(t, `
let ticks = 0;
setInterval(() => ticks++, 1);
export const gate = async () => ({ status: '200', body: String(ticks) });`, noOrigin(t))
	f.do("GET", "/x", nil)
	pid := f.Workers()[0]
	until(t, "the worker is frozen", func() bool { return state(t, pid) == "T" })
	readAll(t, f.do("GET", "/x", nil))
	if got := f.Workers(); !slices.Equal(got, []int{pid}) {
		t.Errorf("workers %v, want the same %d", got, pid)
	}
	until(t, "the worker is frozen again", func() bool { return state(t, pid) == "T" })
}

func TestWorkerThatDiedInItsSleepIsReplaced(t *testing.T) {
	f := start(t, barrier, noOrigin(t))
	f.do("GET", "/x", nil)
	pid := f.Workers()[0]
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "the worker is forgotten", func() bool { return len(f.Workers()) == 0 })
	if res := f.do("GET", "/x", nil); res.StatusCode != 200 || readAll(t, res) == fmt.Sprint(pid) {
		t.Errorf("got %d", res.StatusCode)
	}
}

// A worker that hangs is not asked again, and does not hold up the next one.
func TestStoppedWorkerTimesOut(t *testing.T) {
	f := start(t, `
export const gate = async (event) => {
	if (event.Records[0].cf.request.querystring) process.kill(process.pid, 'SIGSTOP');
	return { status: '200' };
}`, noOrigin(t), func(o *Options) { o.Distribution.Functions[1].Timeout = 300 * time.Millisecond })
	if res := f.do("GET", "/x?stop", nil); res.StatusCode != 503 || res.Header.Get("X-Cache") != xCacheExecution {
		t.Errorf("got %d", res.StatusCode)
	}
	if res := f.do("GET", "/x", nil); res.StatusCode != 200 {
		t.Errorf("afterwards: got %d", res.StatusCode)
	}
}

// As in Lambda, an invocation goes on without its viewer.
func TestInvocationOutlivesItsViewer(t *testing.T) {
	door := t.TempDir() + "/open"
	f := start(t, strings.Replace(barrier, "return", "console.log('finished'); return", 1), noOrigin(t))
	conn := f.dial()
	fmt.Fprintf(conn, "GET /x?%s HTTP/1.1\r\nHost: h\r\n\r\n", door)
	until(t, "the invocation began", func() bool { return strings.Contains(f.log.String(), "msg=waiting") })
	conn.Close()
	if err := os.WriteFile(door, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "the invocation ended", func() bool { return strings.Contains(f.log.String(), "msg=finished") })
}

func TestCloseEndsEverything(t *testing.T) {
	f := start(t, barrier+`; export const mint = async () => { for (;;); }`, noOrigin(t))
	f.do("GET", "/x", nil) // leaves a frozen worker
	var wg sync.WaitGroup
	for _, path := range []string{"/x?/nonexistent", "/url"} { // a sleeping and a spinning one
		wg.Go(func() {
			if res, err := http.Get(f.URL() + path); err == nil {
				res.Body.Close()
			}
		})
	}
	until(t, "the workers run", func() bool { return len(f.Workers()) == 2 })
	pids := f.Workers()
	began := time.Now()
	f.Close()
	if took := time.Since(began); took > time.Second {
		t.Errorf("Close took %v", took)
	}
	wg.Wait()
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
			t.Errorf("worker %d is still there: %v", pid, err)
		}
	}
	if n := len(f.Workers()); n != 0 {
		t.Errorf("%d workers are still known", n)
	}
}

// The parent of the workers is this test binary, run once more.
func TestWorkersDieWithTheirParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has a parent-death signal")
	}
	if os.Getenv("ONCEGATE_TEST_PARENT") != "" {
		f := start(t, barrier, noOrigin(t))
		f.do("GET", "/x", nil)
		fmt.Printf("worker %d\n", f.Workers()[0])
		select {} // until killed
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestWorkersDieWithTheirParent$")
	// What the killed parent cannot remove goes with the test.
	cmd.Env = append(os.Environ(), "ONCEGATE_TEST_PARENT=1", "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanf(out, "worker %d\n", &pid); err != nil {
		t.Fatal(err)
	}
	until(t, "the worker is frozen", func() bool { return state(t, pid) == "T" })
	cmd.Process.Kill()
	cmd.Wait()
	until(t, "the worker is gone", func() bool { s := state(t, pid); return s == "" || s == "Z" })
}

func TestDefaultLimit(t *testing.T) {
	for _, tt := range []struct{ limit, cores, want int }{{0, 1, 4}, {0, 8, 16}, {1, 8, 1}} {
		if got := defaultLimit(tt.limit, tt.cores); got != tt.want {
			t.Errorf("defaultLimit(%d, %d) = %d, want %d", tt.limit, tt.cores, got, tt.want)
		}
	}
}
