package cloudfront

import (
	"net"
	"net/http"
	"strings"
)

// Continue is who answers 100 Continue to a viewer that waits for it. AWS's pages say only
// that CloudFront removes Expect from the request and shows it to no function. The zero
// Continue is the one that helps a client least: Expect gains it nothing.
type Continue int

const (
	// ContinueAtOnce answers before the function is asked, so that a refusal meets a viewer
	// that is sending.
	ContinueAtOnce Continue = iota
	// ContinueByAnswer answers once the function has let the request through; a refusal
	// comes instead.
	ContinueByAnswer
	// ContinueNever leaves it to the viewer how long it waits.
	ContinueNever
)

// greet answers a viewer that waits, if that is to be done at once.
func (c Continue) greet(w http.ResponseWriter, r *http.Request) {
	if c == ContinueAtOnce && r.ProtoAtLeast(1, 1) && r.ContentLength != 0 && strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		w.WriteHeader(http.StatusContinue)
	}
}

// listener is ln, where with ContinueNever nobody gets 100 Continue.
func (c Continue) listener(ln net.Listener) net.Listener {
	if c == ContinueNever {
		return silent{ln}
	}
	return ln
}

type silent struct{ net.Listener }

func (l silent) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return silentConn{conn}, nil
}

// silentConn keeps back the 100 Continue that net/http writes, by itself and in one piece,
// when a handler first reads the body. It has no switch for that.
type silentConn struct{ net.Conn }

func (c silentConn) Write(p []byte) (int, error) {
	if string(p) == "HTTP/1.1 100 Continue\r\n\r\n" {
		return len(p), nil
	}
	return c.Conn.Write(p)
}
