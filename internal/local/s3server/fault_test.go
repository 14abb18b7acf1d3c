package s3server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
)

// faulty starts a server whose next faults are chosen by the returned pointer.
func faulty(t testing.TB) (*s3server.Server, *atomic.Pointer[s3server.Fault]) {
	var f atomic.Pointer[s3server.Fault]
	s := s3servertest.New(t, func(o *s3server.Options) {
		o.Fault = func(*http.Request) s3server.Fault {
			if p := f.Load(); p != nil {
				return *p
			}
			return s3server.Fault{}
		}
	})
	return s, &f
}

// try sends one presigned request on a connection of its own.
func try(ctx context.Context, s *s3server.Server, method, presigned, body string) (status int, answer string, h http.Header, err error) {
	_, rest, _ := strings.Cut(presigned, s3servertest.Host)
	r, err := http.NewRequestWithContext(ctx, method, s.URL()+rest, strings.NewReader(body))
	if err != nil {
		return 0, "", nil, err
	}
	r.Host = s3servertest.Host
	tr := &http.Transport{DisableKeepAlives: true}
	res, err := tr.RoundTrip(r)
	if err != nil {
		return 0, "", nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), res.Header, err
}

func TestFaults(t *testing.T) {
	s, next := faulty(t)
	c := s3servertest.Client(s)
	const none = -1 // no answer at all
	tests := []struct {
		name   string
		fault  s3server.Fault
		method string
		status int
		body   string // that the answer contains
		cut    bool   // the answer's body breaks off
	}{
		{"error", s3server.Fault{Kind: s3server.Answer, Status: 503}, "PUT", 503, "<Code>SlowDown</Code>", false},
		{"error, HEAD", s3server.Fault{Kind: s3server.Answer, Status: 403}, "HEAD", 403, "", false},
		{"error, own body", s3server.Fault{Kind: s3server.Answer, Status: 500, Body: "oops"}, "GET", 500, "oops", false},
		{"garbage", s3server.Fault{Kind: s3server.Answer, Body: "\x00garbage"}, "GET", 200, "\x00garbage", false},
		{"cut", s3server.Fault{Kind: s3server.Truncate, Status: 200, Body: "12345678"}, "GET", 200, "1234", true},
		{"cut, no body", s3server.Fault{Kind: s3server.Truncate}, "PUT", 200, "", true},
		{"cut, HEAD", s3server.Fault{Kind: s3server.Truncate}, "HEAD", none, "", false},
		{"drop", s3server.Fault{Kind: s3server.Drop}, "PUT", none, "", false},
		{"drop, HEAD", s3server.Fault{Kind: s3server.Drop}, "HEAD", none, "", false},
		{"delay", s3server.Fault{Delay: time.Millisecond}, "PUT", 200, "", false},
	}
	for i, tt := range tests {
		for _, apply := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, apply %t", tt.name, apply), func(t *testing.T) {
				key := fmt.Sprintf("faults/%d-%t", i, apply)
				if tt.method != "PUT" {
					put(t, c, key, "real body")
				}
				fault := tt.fault
				fault.Apply = apply
				next.Store(&fault)
				u := presign(t, tt.method, key, s3servertest.AccessKey, s3servertest.SecretKey, time.Now())
				code, body, _, err := try(t.Context(), s, tt.method, u, map[string]string{"PUT": "new body"}[tt.method])
				next.Store(nil)
				switch {
				case tt.status == none && err == nil:
					t.Errorf("answered %d, want none", code)
				case tt.status == none && code != 0:
					t.Errorf("answered %d %v, want nothing", code, err)
				case tt.status != none && (code != tt.status || !strings.Contains(body, tt.body)):
					t.Errorf("answered %d %q %v, want %d %q", code, body, err, tt.status, tt.body)
				case tt.cut != errors.Is(err, io.ErrUnexpectedEOF):
					t.Errorf("body %q ends with %v", body, err)
				}
				if tt.method != "PUT" {
					return
				}
				applied := apply || tt.fault.Kind == s3server.Pass
				code, body, _, err = try(t.Context(), s, "GET", presign(t, "GET", key, s3servertest.AccessKey, s3servertest.SecretKey, time.Now()), "")
				if err != nil || (code == 200) != applied || applied && body != "new body" {
					t.Errorf("afterwards GET %d %q %v, applied should be %t", code, body, err, applied)
				}
			})
		}
	}
}

// With Apply and no status of its own a fault keeps the server's headers, so that only the body is wrong.
func TestFaultKeepsHeaders(t *testing.T) {
	s, next := faulty(t)
	c := s3servertest.Client(s)
	version := put(t, c, "k", "12345678")
	u := presign(t, "GET", "k", s3servertest.AccessKey, s3servertest.SecretKey, time.Now())
	for _, tt := range []struct {
		fault s3server.Fault
		body  string
		err   error
	}{
		{s3server.Fault{Kind: s3server.Answer, Body: "garbage", Apply: true}, "garbage", nil},
		{s3server.Fault{Kind: s3server.Truncate, Apply: true}, "1234", io.ErrUnexpectedEOF},
	} {
		next.Store(&tt.fault)
		code, body, h, err := try(t.Context(), s, "GET", u, "")
		if code != 200 || body != tt.body || !errors.Is(err, tt.err) || h.Get("X-Amz-Version-Id") != version {
			t.Errorf("%+v: %d %q %v %v", tt.fault, code, body, h, err)
		}
	}
}

// A hanging request ends when its client leaves or the server is closed, whichever side of the server it hangs on.
func TestHang(t *testing.T) {
	s, next := faulty(t)
	u := presign(t, "PUT", "k", s3servertest.AccessKey, s3servertest.SecretKey, time.Now())
	for _, apply := range []bool{false, true} {
		next.Store(&s3server.Fault{Kind: s3server.Hang, Apply: apply})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, _, _, err := try(ctx, s, "PUT", u, "x")
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("apply %t: %v, want the client's own timeout", apply, err)
		}
	}
	next.Store(&s3server.Fault{Kind: s3server.Hang})
	gone := make(chan error)
	s.ResetRequests()
	go func() {
		_, _, _, err := try(t.Context(), s, "PUT", u, "x")
		gone <- err
	}()
	waitFor(t, func() bool { return s.Requests()["PUT "] == 1 })
	s.Close() // waits for every request, the two left ones included
	if err := <-gone; err == nil {
		t.Error("a hanging request was answered when the server closed")
	}
}

// A delay with Apply comes after the server has acted: who gives up early finds the object there.
func TestLateAnswer(t *testing.T) {
	s, next := faulty(t)
	u := func(method string) string {
		return presign(t, method, "k", s3servertest.AccessKey, s3servertest.SecretKey, time.Now())
	}
	next.Store(&s3server.Fault{Delay: time.Hour, Apply: true})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	gone := make(chan error)
	go func() {
		_, _, _, err := try(ctx, s, "PUT", u("PUT"), "x")
		gone <- err
	}()
	waitFor(t, func() bool { return s.Requests()["PUT "] == 1 })
	next.Store(nil)
	waitFor(t, func() bool {
		code, _, _, _ := try(t.Context(), s, "GET", u("GET"), "")
		return code == 200
	})
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the late request: %v", err)
	}
}

// A client that breaks off in the middle of a body leaves nothing behind, wherever it breaks off.
func TestClientBreaksOff(t *testing.T) {
	o := s3servertest.Options(t)
	s := s3servertest.New(t, func(p *s3server.Options) { *p = o })
	breaks := []struct{ length, sent int }{{20, 0}, {20, 10}, {1 << 20, 0}, {1 << 20, 100}, {1 << 20, 100 << 10}, {1 << 20, 1<<20 - 1}}
	key := func(i int) string { return fmt.Sprintf("broken-%d", i) }
	for i, b := range breaks {
		_, rest, _ := strings.Cut(presign(t, "PUT", key(i), s3servertest.AccessKey, s3servertest.SecretKey, time.Now()), s3servertest.Host)
		conn := dial(t, s)
		fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", rest, s3servertest.Host, b.length, strings.Repeat("x", b.sent))
		waitFor(t, func() bool { return s.Requests()["PUT "] == i+1 })
		if i%2 == 0 {
			conn.(*net.TCPConn).SetLinger(0) // leave with a reset
		}
		conn.Close()
	}
	s.Close() // waits for the broken requests, in the proxy and in the server
	s = s3servertest.New(t, func(p *s3server.Options) { *p = o })
	for i, b := range breaks {
		code, body, _, err := try(t.Context(), s, "GET", presign(t, "GET", key(i), s3servertest.AccessKey, s3servertest.SecretKey, time.Now()), "")
		if err != nil || code != 404 {
			t.Errorf("after %d of %d bytes: %d with %d bytes, %v, want 404", b.sent, b.length, code, len(body), err)
		}
	}
}

// Expect: 100-continue is the server's to answer; this one says 100 also to what it refuses afterwards.
func TestExpectContinue(t *testing.T) {
	s := s3servertest.New(t)
	for secret, want := range map[string]int{s3servertest.SecretKey: 200, "wrong": 403} {
		conn := dial(t, s)
		_, rest, _ := strings.Cut(presign(t, "PUT", "k", s3servertest.AccessKey, secret, time.Now()), s3servertest.Host)
		fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n", rest, s3servertest.Host)
		r := bufio.NewReader(conn)
		for continues := 0; ; continues++ { // net/http may say it twice
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode == 100 && continues == 0 {
				io.WriteString(conn, "body")
			}
			if res.StatusCode != 100 {
				if res.StatusCode != want || continues == 0 {
					t.Errorf("secret %s: %d after %d times 100, want %d", secret, res.StatusCode, continues, want)
				}
				break
			}
		}
	}
}

func dial(t testing.TB, s *s3server.Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn
}

// waitFor polls until the condition holds; a test that waits in vain fails.
func waitFor(t testing.TB, cond func() bool) {
	t.Helper()
	end := time.Now().Add(20 * time.Second)
	for !cond() {
		if time.Now().After(end) {
			t.Fatal("waited in vain")
		}
		time.Sleep(2 * time.Millisecond)
	}
}
