package webhook_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"oncegate/internal/acceptance/webhook"
)

// pipes are the other side of posts that travel by net.Pipe, so that their time is the
// bubble's.
type pipes struct {
	mu     sync.Mutex
	dials  int
	closed []time.Time // when the connections ended
}

// posts has n messages posted and returns whether the last one has arrived, and after what
// time they all were done with.
func (r *pipes) posts(t *testing.T, s *webhook.Sender, n int, serve func(net.Conn)) (arrived bool, took time.Duration) {
	undo := webhook.DialBy(func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		r.mu.Lock()
		r.dials++
		r.mu.Unlock()
		go func() {
			serve(there)
			io.Copy(io.Discard, there) // until the client has closed it
			r.mu.Lock()
			r.closed = append(r.closed, time.Now())
			r.mu.Unlock()
			there.Close()
		}()
		return here, nil
	})
	begun := time.Now()
	for range n {
		arrived = s.Follow(t.Context(), nowhere, message(1))
	}
	took = time.Since(begun)
	undo()
	return arrived, took
}

// answer reads one request and sends a status and so much of a body, of which length is said.
func answer(c net.Conn, length, sent int) {
	q, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	io.Copy(io.Discard, q.Body)
	fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", length)
	c.Write(make([]byte, sent))
}

// TestLimit: a try takes ten seconds at most, whatever the receiver leaves undone, and leaves
// no connection behind.
func TestLimit(t *testing.T) {
	for _, tt := range []struct {
		name, address string
		serve         func(net.Conn)
		arrived       bool // its status has come by then
	}{
		{"no answer", "http://hook.example/in", func(net.Conn) {}, false},
		{"no handshake", "https://hook.example/in", func(net.Conn) {}, false},
		{"half an answer", "http://hook.example/in", func(c net.Conn) { answer(c, 100, 50) }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _, _ := sender(t)
			s.URL = tt.address
			synctest.Test(t, func(t *testing.T) {
				var r pipes
				begun := time.Now()
				arrived, took := r.posts(t, s, 1, tt.serve)
				if arrived != tt.arrived || took != 10*time.Second {
					t.Errorf("arrived %v after %v, want %v after 10 s", arrived, took, tt.arrived)
				}
				synctest.Wait()
				if len(r.closed) != 1 || r.closed[0].Sub(begun) != 10*time.Second {
					t.Errorf("its connection ended at %v, the post began at %v", r.closed, begun)
				}
			})
		})
	}
}

// TestAnswerLength: of an answer 64 KiB are read, so that the connection is used again. A
// longer one is not waited for.
func TestAnswerLength(t *testing.T) {
	s, _, _ := sender(t)
	s.URL = "http://hook.example/in"
	synctest.Test(t, func(t *testing.T) {
		const most = 64 << 10
		var r pipes
		arrived, took := r.posts(t, s, 2, func(c net.Conn) {
			answer(c, most, most)
			answer(c, most, most)
		})
		if !arrived || took != 0 || r.dials != 1 {
			t.Errorf("64 KiB: arrived %v after %v, over %d connections", arrived, took, r.dials)
		}
		var longer pipes
		arrived, took = longer.posts(t, s, 1, func(c net.Conn) { answer(c, 1<<40, most) })
		if !arrived || took != 0 {
			t.Errorf("more than 64 KiB: arrived %v after %v", arrived, took)
		}
		synctest.Wait()
	})
}
