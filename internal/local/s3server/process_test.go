package s3server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"oncegate/internal/lean/sigv4"
)

// options repeats those of s3servertest, which cannot be imported from inside the package.
func options(t testing.TB) Options {
	t.Helper()
	bin := os.Getenv("ONCEGATE_VERSITYGW")
	if bin == "" {
		bin = filepath.Join("..", "..", "..", "build", "tools", "versitygw")
	}
	return Options{
		Binary: bin, Dir: t.TempDir(), Bucket: "oncegate-test", Region: "us-east-1",
		Operator: sigv4.Credentials{AccessKeyID: "ONCEGATETESTKEY", SecretAccessKey: "oncegate-test-secret"}, Addr: "127.0.0.1:0",
	}
}

// alive does not count a zombie: reaping an orphan is up to the machine's first process.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err == nil && strings.Contains(string(stat), ") Z ") {
		return false
	}
	return syscall.Kill(pid, 0) == nil
}

func waitGone(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); alive(pid); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("process %d is left behind", pid)
		}
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	s, err := Start(t.Context(), options(t))
	if err != nil {
		t.Fatal(err)
	}
	pid := s.child.PID()
	if !alive(pid) {
		t.Fatal("no child")
	}
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if runtime.GOOS == "linux" && (err != nil || strings.Contains(string(args), s.o.Operator.SecretAccessKey)) {
		t.Errorf("the child's command line: %q %v", args, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if syscall.Kill(pid, 0) == nil { // reaped, so not even a zombie may be there
		t.Errorf("process %d is left behind", pid)
	}
	if _, err := http.Get(s.URL()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the proxy after Close: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if err := s.Restart(t.Context()); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Restart after Close: %v", err)
	}
}

// The child dies with a parent that is killed. The parent is this test binary, run again.
func TestParentKilled(t *testing.T) {
	if os.Getenv("ONCEGATE_TEST_PARENT") != "" {
		o := options(t)
		o.Dir = os.Getenv("ONCEGATE_TEST_PARENT")
		s, err := Start(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("child %d\n", s.child.PID())
		select {}
	}
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has a parent-death signal")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestParentKilled$", "-test.timeout=60s")
	dir := t.TempDir() // what the killed parent cannot remove goes with the test
	cmd.Env = append(os.Environ(), "ONCEGATE_TEST_PARENT="+dir, "TMPDIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	line, err := bufio.NewReader(out).ReadString('\n')
	if _, serr := fmt.Sscanf(line, "child %d", &pid); err != nil || serr != nil {
		cmd.Process.Kill()
		t.Fatalf("the parent said %q, %v %v", line, err, serr)
	}
	cmd.Process.Kill()
	cmd.Wait()
	waitGone(t, pid)
}

// The server by itself lets nobody in: what the proxy has not announced is denied, whoever signed it.
func TestPastTheProxy(t *testing.T) {
	o := options(t)
	role := NewRole("arn:aws:iam::111122223333:role/r", []byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`))
	o.Roles = []Role{role}
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	keys := aws.Credentials{AccessKeyID: role.AccessKeyID, SecretAccessKey: role.SecretAccessKey, SessionToken: role.SessionToken}
	for host, want := range map[string]int{strings.TrimPrefix(s.URL(), "http://"): 200, s.addr.Load().(string): 403} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+host+"/"+o.Bucket+"/k", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		if err := v4.NewSigner().SignHTTP(t.Context(), keys, r, "UNSIGNED-PAYLOAD", "s3", o.Region, time.Now()); err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("PUT to %s: %s, want %d", host, res.Status, want)
		}
	}
}

// sized is a body of zeros that is never held in memory.
type sized struct{ left int64 }

func (s *sized) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), s.left)
	s.left -= n
	return int(n), nil
}

// A big body flows through without being held: the proxy's heap grows by far less than the body.
func TestBigBodyStreams(t *testing.T) {
	const size = 64 << 20
	n := int64(size)
	if mb, err := strconv.Atoi(os.Getenv("ONCEGATE_BODY_MIB")); err == nil {
		n = int64(mb) << 20
	}
	s, err := Start(t.Context(), options(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	res := send(t, s, "PUT", "", n)
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Fatalf("PUT: %s", res.Status)
	}
	res = send(t, s, "GET", "", 0)
	got, err := io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if err != nil || got != n || res.StatusCode != 200 {
		t.Errorf("GET: %s, %d bytes of %d, %v", res.Status, got, n, err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
		t.Errorf("%d bytes allocated to pass %d through, both ways", used, n)
	} else {
		t.Logf("%d KiB allocated to pass %d MiB in and out", used>>10, n>>20)
	}
	// A server that refuses before it has read the body: the refusal arrives, not a broken connection.
	res = send(t, s, "PUT", "wrong", n)
	res.Body.Close()
	if res.StatusCode != 403 {
		t.Errorf("big PUT with a wrong signature: %s", res.Status)
	}
}

// send sends a header-signed request with n bytes of body.
func send(t testing.TB, s *Server, method, secret string, n int64) *http.Response {
	t.Helper()
	var body io.Reader
	if n > 0 {
		body = &sized{n}
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL()+"/"+s.o.Bucket+"/big", body)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = n
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	if secret == "" {
		secret = s.o.Operator.SecretAccessKey
	}
	err = v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: s.o.Operator.AccessKeyID, SecretAccessKey: secret},
		r, "UNSIGNED-PAYLOAD", "s3", s.o.Region, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	// Not "Connection: close": then net/http's server closes at once behind an early answer, which can get lost.
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	res, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// A server that drops a request on what looks like a kept-alive connection gets it once: no retry is hidden here.
// It is a GET, which http.Transport would repeat.
func TestNothingIsSentTwice(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int32
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for r := bufio.NewReader(conn); ; {
					if _, err := http.ReadRequest(r); err != nil || requests.Add(1) > 1 {
						return
					}
					io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
			}()
		}
	}()
	defer ln.Close()
	o := options(t)
	o.Log = slog.New(slog.DiscardHandler)
	a, err := newAccess(o)
	if err != nil {
		t.Fatal(err)
	}
	p := httptest.NewServer(newProxy(o, a, func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", ln.Addr().String())
	}, nil))
	defer p.Close()
	for i := range 2 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+"/b/", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
		if (err == nil) != (i == 0) {
			t.Errorf("request %d: %v %v", i, res, err)
		}
		if res != nil {
			res.Body.Close()
		}
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("the server saw %d requests, want 2", n)
	}
}
