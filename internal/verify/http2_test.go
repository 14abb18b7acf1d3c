package verify_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"oncegate/internal/local/cloudfront"
)

// TestHTTP2 puts a front before the edge that speaks HTTP/2 as well, and plays
// there what a client may see of an early refusal. The local edge has no HTTP/2.
func TestHTTP2(t *testing.T) {
	for name, c := range map[string]struct {
		refuse http.HandlerFunc
		failed []string
	}{
		"readable": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("X-Oncegate-Reason", "used")
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, "Forbidden: this URL has already been used.")
		}, []string{"security-headers"}},
		"reset": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, []string{"early-refusal-http2", "security-headers"}},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStack(t,
				patch("process.env[text(...name)]", "{ ...process.env, ONCEGATE_VIEWER_SCHEME: 'https' }[text(...name)]"),
				behaviors(func(b *cloudfront.Behavior) { b.ResponseHeaders = cloudfront.ResponseHeadersPolicy{} }))
			certified := httptest.NewUnstartedServer(nil)
			certified.StartTLS() // for its certificate
			defer certified.Close()
			o := options(st)
			o.URL = front(t, certified.TLS.Certificates, st.Edge.URL(), c.refuse)
			o.RootCAs = x509.NewCertPool()
			o.RootCAs.AddCert(certified.Certificate())
			o.Credentials = nil
			check(t, o, c.failed...)
		})
	}
}

// front serves HTTP/2 itself and passes all other connections on to the edge.
func front(t *testing.T, certificates []tls.Certificate, to string, h2 http.Handler) string {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: certificates, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	accepted := &handed{Listener: ln, conns: make(chan net.Conn)}
	server := &http.Server{Handler: h2}
	go server.Serve(accepted)
	t.Cleanup(func() {
		ln.Close()
		server.Close()
	})
	go func() {
		defer close(accepted.conns)
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				if err := client.(*tls.Conn).HandshakeContext(t.Context()); err != nil {
					client.Close()
					return
				}
				if client.(*tls.Conn).ConnectionState().NegotiatedProtocol == "h2" {
					select {
					case accepted.conns <- client:
					case <-t.Context().Done():
						client.Close()
					}
					return
				}
				edge, err := net.Dial("tcp", strings.TrimPrefix(to, "http://"))
				if err != nil {
					client.Close()
					return
				}
				go func() {
					io.Copy(client, edge)
					client.(*tls.Conn).CloseWrite()
				}()
				io.Copy(edge, client)
				io.Copy(io.Discard, client)
				client.Close()
				edge.Close()
			}()
		}
	}()
	return "https://" + ln.Addr().String()
}

// handed is a listener whose connections somebody else has accepted.
type handed struct {
	net.Listener
	conns chan net.Conn
}

func (h *handed) Accept() (net.Conn, error) {
	if conn, ok := <-h.conns; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}
