package examples

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// badLine is a line to a server on which a large upload breaks off.
type badLine struct {
	address string
	server  string
	passed  <-chan struct{}
	large   atomic.Int32 // connections that have carried more than largeBytes
}

const largeBytes = 1 << 20

// newBadLine gives a line to the server at this address. The first connection that
// carries more than largeBytes towards it breaks there, once passed says that the upload
// has passed the gate. The second, on which the client repeats it, carries no more until
// the server ends it. All others are good.
func newBadLine(t *testing.T, server string, passed <-chan struct{}) *badLine {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	line := &badLine{address: listener.Addr().String(), server: server, passed: passed}
	var connections sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		connections.Wait()
	})
	connections.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Go(func() { line.carry(client.(*net.TCPConn)) })
		}
	})
	return line
}

func (line *badLine) carry(client *net.TCPConn) {
	defer client.Close()
	// What the kernel takes from the client counts as sent there.
	client.SetReadBuffer(64 << 10)
	server, err := net.Dial("tcp", line.server)
	if err != nil {
		return
	}
	defer server.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		io.Copy(client, server)
		client.Close() // ends the copying below
	}()
	if _, err := io.CopyN(server, client, largeBytes); err != nil {
		return
	}
	switch line.large.Add(1) {
	case 1:
		select {
		case <-line.passed:
		case <-ended:
		}
	case 2:
		<-ended
	default:
		io.Copy(server, client)
	}
}
