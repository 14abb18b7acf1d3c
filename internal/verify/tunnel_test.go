package verify_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"oncegate/internal/local/cloudfront"
)

// TestReset puts something in front of the edge that resets a long upload in the middle
// of its body, before the client has read the refusal. It never passes such a request on:
// the refusal would race with the reset.
func TestReset(t *testing.T) {
	st := newStack(t)
	o := options(st)
	o.LargeBytes = 64 << 10
	long := []byte(fmt.Sprintf("\r\nContent-Length: %d\r\n", o.EarlyBytes))
	o.URL = tunnel(t, nil, st.Edge.URL(), func(client, edge net.Conn) {
		br := bufio.NewReader(client)
		head, err := readHead(br)
		if err != nil {
			return
		}
		if bytes.Contains(head, long) && !bytes.Contains(head, []byte("\r\nExpect:")) {
			io.CopyN(io.Discard, br, 1<<20)
			client.(*net.TCPConn).SetLinger(0)
			client.Close()
			return
		}
		if _, err := edge.Write(head); err == nil {
			io.Copy(edge, br)
		}
	})
	check(t, o, "early-refusal")
}

// readHead reads a request line and its headers, with the empty line that ends them.
func readHead(br *bufio.Reader) (head []byte, err error) {
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		line, err := br.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		head = append(head, line...)
	}
	return head, nil
}

// TestHTTPS is a deployment that speaks TLS but lacks the headers that go with it.
func TestHTTPS(t *testing.T) {
	tlsServer := httptest.NewUnstartedServer(nil)
	tlsServer.StartTLS() // for its certificate
	defer tlsServer.Close()
	st := newStack(t,
		patch("process.env[text(...name)]", "{ ...process.env, ONCEGATE_VIEWER_SCHEME: 'https' }[text(...name)]"),
		behaviors(func(b *cloudfront.Behavior) { b.ResponseHeaders = cloudfront.ResponseHeadersPolicy{} }))
	o := options(st)
	o.URL = tunnel(t, &tls.Config{Certificates: tlsServer.TLS.Certificates, NextProtos: []string{"http/1.1"}}, st.Edge.URL(),
		func(client, edge net.Conn) { io.Copy(edge, client) })
	check(t, o, "mint", "gate", "page") // a certificate that nobody vouches for
	o.RootCAs = x509.NewCertPool()
	o.RootCAs.AddCert(tlsServer.Certificate())
	check(t, o, "security-headers")
}

// tunnel passes connections on to the edge and returns its own URL. upload copies
// what the client sends.
func tunnel(t *testing.T, config *tls.Config, to string, upload func(client, edge net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	scheme := "http"
	if config != nil {
		ln, scheme = tls.NewListener(ln, config), "https"
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			client, err := ln.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			edge, err := net.Dial("tcp", strings.TrimPrefix(to, "http://"))
			if err != nil {
				client.Close()
				continue
			}
			go func() {
				upload(client, edge)
				// Whoever closes while the other still sends may destroy what is under way.
				io.Copy(io.Discard, client)
				client.Close()
				edge.Close()
			}()
			go func() {
				io.Copy(client, edge)
				client.(interface{ CloseWrite() error }).CloseWrite()
			}()
		}
	}()
	return scheme + "://" + ln.Addr().String()
}
