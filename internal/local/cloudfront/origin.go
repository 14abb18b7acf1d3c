package cloudfront

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"oncegate/edge"
)

// connectAttempts is how often CloudFront tries to connect to an origin. It never sends a
// request twice.
const connectAttempts = 3

// forward sends the request to the origin and the answer to the viewer. It writes
// HTTP/1.1 itself, on a fresh connection: net/http would rewrite paths such as //x, and
// may send a request twice.
func (s *Server) forward(w http.ResponseWriter, r *http.Request, b Behavior, id string, v viewerRequest, out edge.Request) {
	ctx, cancel := s.upTo(r.Context())
	defer cancel()
	if ctx.Err() != nil {
		panic(http.ErrAbortHandler) // nobody is left to answer
	}
	page := func(err error) {
		s.log.Error("the origin does not answer", "request", id, "err", err)
		if timedOut(err) {
			s.page(w, r, id, http.StatusGatewayTimeout, xCacheError, "The origin did not answer in time.")
			return
		}
		s.page(w, r, id, http.StatusBadGateway, xCacheError, "The origin could not be reached or closed the connection.")
	}

	if s.d.Origin.Signs {
		s.collide(w, r, b, id, out)
		return
	}
	// What the function made of the request is held to the limits as well.
	head := s.head(r, b, id, v, out)
	if status, sentence := s.limits.refuse(s.d.Origin.Domain, targetOf(head), len(head), r.ContentLength); status != 0 {
		s.log.Error("the request to the origin is too large", "request", id, "bytes", len(head))
		w.Header().Set("Connection", "close")
		s.page(w, r, id, status, xCacheError, sentence)
		return
	}
	conn, err := s.dial(ctx)
	if err != nil {
		if ctx.Err() != nil {
			panic(http.ErrAbortHandler)
		}
		page(err)
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	o := &originConn{Conn: conn, timeout: s.d.Origin.ResponseTimeout}
	body := &viewerBody{Reader: r.Body}
	sent := make(chan error, 1)
	go func() {
		err := send(o, head, body, len(r.TransferEncoding) > 0)
		if body.err != nil {
			conn.Close() // the viewer broke off: the origin must not store half a body as a whole one
		}
		o.await(err)
		sent <- err
	}()

	rc := http.NewResponseController(w)
	res, err := readResponse(bufio.NewReader(o), r.Method)
	if err != nil {
		gone := ctx.Err() != nil // before the deadline below, which ends the context too
		// The sender ends with the connection. If it waits for the viewer, it has to be
		// woken.
		conn.Close()
		rc.SetReadDeadline(time.Now())
		if sendErr := <-sent; timedOut(sendErr) && body.err == nil {
			err = sendErr
		}
		if gone || body.err != nil && !timedOut(body.err) {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Connection", "close")
		page(err)
		return
	}
	defer res.Body.Close()

	// An origin may answer before it has read the body, and CloudFront passes that answer
	// on at once. Nobody wants the rest of the body, and the viewer's connection cannot be
	// used again.
	early := false
	select {
	case err := <-sent:
		early = err != nil
		sent <- err
	case <-time.After(100 * time.Millisecond):
		early = true
	}
	if early {
		w.Header().Set("Connection", "close")
		defer func() {
			rc.Flush()
			conn.Close()
			rc.SetReadDeadline(time.Now().Add(s.patience.piece))
			<-sent
			s.linger(w, r)
		}()
	}

	h := w.Header()
	for name, values := range res.Header {
		if !droppedFromAnswer[name] {
			h[name] = append(h[name], values...)
		}
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // net/http would guess one
	}
	b.ResponseHeaders.apply(h, r)
	if res.StatusCode >= 400 {
		s.mark(h, id, xCacheError)
	} else {
		s.mark(h, id, xCacheMiss)
	}
	w.WriteHeader(res.StatusCode)
	if r.Method == http.MethodHead {
		return
	}
	if _, err := io.Copy(w, res.Body); err != nil {
		panic(http.ErrAbortHandler) // a broken answer must not look whole
	}
}

// collide answers as S3 does to a presigned query together with the Authorization header
// of an origin access control. The control signs every request without an Authorization
// header, and CloudFront forwards none here.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-s3.html
func (s *Server) collide(w http.ResponseWriter, r *http.Request, b Behavior, id string, out edge.Request) {
	if !b.OriginRequest.QueryStrings || !strings.Contains(out.Querystring, "X-Amz-Algorithm=") {
		s.log.Error("cannot play the signature of an origin access control: only a presigned query beside it has a known answer", "request", id)
		s.page(w, r, id, http.StatusBadGateway, xCacheError, "The origin access control signs this request, which the local edge cannot play.")
		return
	}
	s.log.Error("the origin access control signs a request that is presigned: S3 takes one of the two", "request", id)
	h := w.Header()
	h.Set("Content-Type", "application/xml")
	h.Set("Server", "AmazonS3")
	b.ResponseHeaders.apply(h, r)
	s.mark(h, id, xCacheError)
	s.write(w, r, http.StatusBadRequest, []byte(`<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, `+
		`Signature query string parameter or the Authorization header should be specified</Message>`+
		`<ArgumentName>Authorization</ArgumentName></Error>
`))
}

// Headers of the origin's answer that the viewer does not get: those for S3's support,
// and those of the connection.
var droppedFromAnswer = map[string]bool{
	"X-Amz-Request-Id": true, "X-Amz-Id-2": true, "Set-Cookie": true,
	"Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Connection": true,
	"Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
}

func (s *Server) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{Timeout: s.d.Origin.ConnectTimeout}
	var err error
	for range connectAttempts {
		var conn net.Conn
		if conn, err = d.DialContext(ctx, "tcp", s.s3); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// head is the request line and the headers for the origin: what CloudFront
// always sends, and of the rest what the policy names.
func (s *Server) head(r *http.Request, b Behavior, id string, v viewerRequest, out edge.Request) string {
	// What the function left alone goes out with the bytes that came in.
	target := v.rawURI
	if out.URI != v.URI {
		target = out.URI
	}
	query := v.rawQuerystring
	if out.Querystring != v.Querystring {
		query = out.Querystring
	}
	if query = b.OriginRequest.query(query); query != "" {
		target += "?" + query
	}
	var head strings.Builder
	add := func(name, value string) { head.WriteString(name + ": " + value + "\r\n") }
	head.WriteString(r.Method + " " + target + " HTTP/1.1\r\n")
	add("Host", s.d.Origin.Domain)
	if !b.OriginRequest.AllButHost || len(out.Headers["user-agent"]) == 0 {
		add("User-Agent", "Amazon CloudFront")
	}
	add("X-Amz-Cf-Id", id)
	via := append(v.Headers.Values("via"), "1.1 "+s.d.Domain+" (CloudFront)")
	add("Via", strings.Join(via, ", "))
	forwardedFor := append(out.Headers.Values("x-forwarded-for"), v.ClientIP)
	add("X-Forwarded-For", strings.Join(forwardedFor, ", "))
	add("Connection", "close")
	switch {
	case len(r.TransferEncoding) > 0:
		add("Transfer-Encoding", "chunked")
	case r.Header.Get("Content-Length") != "":
		add("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	for _, name := range b.OriginRequest.forwarded(r.Method, out.Headers, s.loose) {
		for i, h := range out.Headers[name] {
			value := h.Value
			if sameValues(v.Headers, out.Headers, name) {
				value = v.rawHeaders[name][i]
			}
			add(canonical(name), value)
		}
	}
	head.WriteString("\r\n")
	return head.String()
}

// pieces are what bodies pass through: with io.Copy's own 32 KiB there are eight times as many
// system calls.
var pieces = sync.Pool{New: func() any { piece := make([]byte, 256<<10); return &piece }}

// send writes the request. The body passes through as it comes.
func send(o *originConn, head string, body io.Reader, chunked bool) error {
	if _, err := io.WriteString(o, head); err != nil {
		return err
	}
	piece := pieces.Get().(*[]byte)
	defer pieces.Put(piece)
	if !chunked {
		_, err := io.CopyBuffer(o, body, *piece)
		return err
	}
	cw := httputil.NewChunkedWriter(o)
	if _, err := io.CopyBuffer(cw, body, *piece); err != nil {
		return err
	}
	if err := cw.Close(); err != nil {
		return err
	}
	_, err := io.WriteString(o, "\r\n") // no trailers
	return err
}

// readResponse reads the final response; those before it (1xx) are dropped.
func readResponse(br *bufio.Reader, method string) (*http.Response, error) {
	for {
		res, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			return nil, fmt.Errorf("read the origin's answer: %w", err)
		}
		if res.StatusCode == http.StatusSwitchingProtocols {
			return nil, errors.New("the origin wants to switch protocols")
		}
		if res.StatusCode >= 200 {
			return res, nil
		}
	}
}

// originConn bounds the origin's silence: in each write, and in reads once the request is
// sent. Until then the answer may take as long as the viewer takes to upload.
type originConn struct {
	net.Conn
	timeout  time.Duration
	awaiting atomic.Bool
}

func (c *originConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *originConn) Read(p []byte) (int, error) {
	if c.awaiting.Load() {
		if err := c.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(p)
}

// await starts the clock for the answer. After a failed write an answer may be in the
// buffers already; no other one will come.
func (c *originConn) await(sendErr error) {
	wait := c.timeout
	if sendErr != nil {
		wait = min(wait, time.Second)
	} else {
		c.awaiting.Store(true)
	}
	c.SetReadDeadline(time.Now().Add(wait)) // fails only on a closed connection
}

// viewerBody remembers that the viewer's side failed.
type viewerBody struct {
	io.Reader
	err error
}

func (b *viewerBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

func timedOut(err error) bool {
	var ne net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}
