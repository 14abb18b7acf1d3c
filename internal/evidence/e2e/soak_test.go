//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server/s3servertest"
)

// load is how much TestSoak does: a little by default, all of it for the duration in
// ONCEGATE_SOAK.
type load struct {
	duration               time.Duration
	clients, slow, aborted int
}

func soak(t *testing.T) load {
	t.Helper()
	text := os.Getenv("ONCEGATE_SOAK")
	if text == "" {
		return load{2 * time.Second, 16, 10, 50}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		t.Fatalf("ONCEGATE_SOAK=%q: want a duration, such as 10m", text)
	}
	return load{d, 64, 500, 10_000}
}

// TestSoak keeps `oncegate dev` busy: clients that mint and put without a pause, a
// herd that sends its bodies byte by byte, uploads that break off. Afterwards it
// holds no more connections, goroutines and memory than before.
func TestSoak(t *testing.T) {
	testbed.DefaultRuntimeOnly(t, "it is long")
	l := soak(t)
	// A slow client learns from 100 Continue that it has passed the gate.
	dev := startDev(t, testbed.Assembly(t, map[string]any{"bucket": s3servertest.Bucket}, nil), t.TempDir(), "--continue", "by-answer")
	stopped := false
	t.Cleanup(func() {
		if !stopped {
			dev.cmd.Process.Kill()
			dev.cmd.Wait() // says that it was killed
		}
	})
	busy(t, dev.url, load{duration: l.duration / 5, clients: l.clients}) // until all that is kept is there
	idle := use(t, dev.cmd.Process.Pid)
	// The herd holds its connections all the while, and is let go at the end.
	herd, letGo := context.WithCancel(t.Context())
	var slow sync.WaitGroup
	uploading := make(chan bool, l.slow)
	starting := make(chan struct{}, 8)
	for range l.slow {
		slow.Go(func() { crawl(t, herd, dev.url, starting, uploading) })
	}
	for range l.slow {
		if !<-uploading {
			t.Fatal("a slow upload did not begin")
		}
	}
	before := use(t, dev.cmd.Process.Pid)
	latencies := busy(t, dev.url, l)
	abort(t, dev.url, l.aborted)
	letGo()
	slow.Wait()
	after := use(t, dev.cmd.Process.Pid)
	// Gates of broken uploads still wait for a worker: it is over when the connections
	// have not become fewer for a while.
	most := idle.files + 40
	for least, since := after.files, time.Now(); time.Since(since) < 2*time.Second || after.files > most && time.Since(since) < 20*time.Second; {
		time.Sleep(100 * time.Millisecond)
		if after = use(t, dev.cmd.Process.Pid); after.files < least {
			least, since = after.files, time.Now()
		}
	}
	t.Logf("%v of %d clients, %d slow ones beside them, then %d aborted uploads", l.duration, l.clients, l.slow, l.aborted)
	for _, what := range []string{"mint", "put"} {
		all := latencies[what]
		slices.Sort(all)
		at := func(q float64) time.Duration {
			return all[min(len(all)-1, int(q*float64(len(all))))].Round(time.Millisecond / 10)
		}
		t.Logf("%-4s %6d: p50 %v, p90 %v, p99 %v, p99.9 %v, longest %v", what, len(all), at(.5), at(.9), at(.99), at(.999), at(1))
	}
	t.Logf("before: %v; with the herd: %v; after: %v", idle, before, after)
	if after.files > most {
		t.Errorf("%d open files, want at most %d", after.files, most)
	}
	if limit := 64 << 10; after.memory > before.memory+limit {
		t.Errorf("%d kB of memory, %d before", after.memory, before.memory)
	}
	if after.processes > before.processes {
		t.Errorf("%d processes, %d before", after.processes, before.processes)
	}
	stopped = true
	if n := dev.goroutines(t); n > 200 {
		by := map[string]int{}
		for _, who := range creator.FindAllString(dev.stderr.String(), -1) {
			by[who]++
		}
		t.Errorf("%d goroutines are left: %v", n, by)
	} else {
		t.Logf("%d goroutines", n)
	}
}

// used is what a process holds: files, memory, child processes.
type used struct{ files, memory, processes int }

func (u used) String() string {
	return fmt.Sprintf("%d open files, %d kB resident, %d processes", u.files, u.memory, u.processes)
}

func use(t *testing.T, pid int) (u used) {
	t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "\nVmRSS:")
	if _, err := fmt.Sscan(rest, &u.memory); err != nil {
		t.Fatal(err)
	}
	u.files, u.processes = len(files), len(children(t, pid))
	return u
}

// busy has clients mint and put for so long, and returns how long each took.
func busy(t *testing.T, url string, l load) map[string][]time.Duration {
	ctx, stop := context.WithTimeout(t.Context(), l.duration)
	defer stop()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: l.clients}}
	defer client.CloseIdleConnections()
	var clients sync.WaitGroup
	var mu sync.Mutex
	all := map[string][]time.Duration{}
	unavailable := 0
	do := func(what, method, url string, body io.Reader) string {
		began := time.Now()
		r, err := http.NewRequestWithContext(t.Context(), method, url, body)
		if err != nil {
			t.Error(err)
			return ""
		}
		res, err := client.Do(r)
		if err != nil {
			t.Error(err)
			return ""
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil && res.StatusCode == http.StatusServiceUnavailable:
			unavailable++ // a machine that is busy with more than this may leave a gate no time
			return ""
		case err != nil || res.StatusCode != http.StatusOK:
			t.Errorf("%s: %d %.200s %v", what, res.StatusCode, text, err)
			return ""
		}
		all[what] = append(all[what], time.Since(began))
		return string(text)
	}
	body := bytes.Repeat([]byte("x"), 4<<10)
	for range l.clients {
		clients.Go(func() {
			for ctx.Err() == nil && !t.Failed() {
				if minted := do("mint", http.MethodGet, url+"/url", nil); minted != "" {
					do("put", http.MethodPut, minted, bytes.NewReader(body))
				}
			}
		})
	}
	clients.Wait()
	if n := len(all["put"]); n == 0 || unavailable*10 > n {
		t.Fatalf("%d uploads, and %d answers 503", n, unavailable)
	}
	return all
}

// begin mints, opens a connection and sends the head of an upload of 1 MiB.
func begin(t *testing.T, url string, headers string) (net.Conn, error) {
	a, text := once(t.Context(), http.MethodGet, url+"/url", nil)
	if a.err != nil || a.status != http.StatusOK {
		return nil, fmt.Errorf("mint: %v", a)
	}
	host, target, _ := strings.Cut(strings.TrimPrefix(text, "http://"), "/")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(conn, "PUT /%s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %d\r\n\r\n", target, host, headers, 1<<20)
	return conn, err
}

// crawl uploads a byte at a time, once it has passed the gate, and is let go before
// it is through. On a machine that is busy with more than this a gate may run out of
// time: then it begins again.
func crawl(t *testing.T, ctx context.Context, url string, starting chan struct{}, uploading chan<- bool) {
	starting <- struct{}{}
	var conn net.Conn
	for try := 0; try < 5 && conn == nil; try++ {
		c, err := begin(t, url, "Expect: 100-continue\r\n")
		if err != nil {
			continue
		}
		if line, _ := bufio.NewReader(c).ReadString('\n'); strings.HasPrefix(line, "HTTP/1.1 100") {
			conn = c
		} else {
			c.Close()
		}
	}
	<-starting
	uploading <- conn != nil
	if conn == nil {
		return
	}
	defer conn.Close()
	// The local S3 server looks at a signature when it has the first 8 KB of the body,
	// by when this one would be over.
	if _, err := conn.Write(make([]byte, 16<<10)); err != nil {
		t.Errorf("a slow upload was ended: %v", err)
		return
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Errorf("a slow upload was ended: %v", err)
			return
		}
	}
}

// abort breaks off so many uploads, sixteen at a time.
func abort(t *testing.T, url string, n int) {
	var all sync.WaitGroup
	slots := make(chan struct{}, 16)
	for range n {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			conn, err := begin(t, url, "")
			if err != nil {
				t.Error(err)
				return
			}
			conn.Write([]byte("half"))
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		})
	}
	all.Wait()
}

var creator = regexp.MustCompile(`(?m)^created by \S+`)

var goroutine = regexp.MustCompile(`(?m)^goroutine \d+ `)

// goroutines ends the process with SIGQUIT, upon which a Go program writes down what
// all its goroutines do.
func (d *devProcess) goroutines(t *testing.T) int {
	t.Helper()
	// What it has started ends with it.
	if err := d.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	d.cmd.Wait() // says that it was killed
	n := len(goroutine.FindAll(d.stderr.Bytes(), -1))
	if n == 0 {
		t.Errorf("it did not say what its goroutines do: %.500s", d.stderr)
	}
	return n
}

// bigBody is the size of TestBigBodyInFlatMemory's upload, 1 GiB or ONCEGATE_BIG_BODY
// of them.
func bigBody(t *testing.T) int64 { return int64(testbed.Asked(t, "ONCEGATE_BIG_BODY", 1)) << 30 }
