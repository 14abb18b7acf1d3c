package s3server

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"syscall"
	"time"
)

// proxy passes requests to the server and bodies through as they come, in both directions.
type proxy struct {
	log    *slog.Logger
	fault  func(*http.Request) Fault
	stored func(Stored)
	access *access
	bucket string // has versioning
	marker func(ctx context.Context, bucket, key string) (bool, error)
	// describe returns size and ETag, without its quotes, of a version of an object.
	describe func(ctx context.Context, bucket, key, version string) (size int64, etag string, err error)
	pass     *httputil.ReverseProxy
	counts   counts
	closing  chan struct{}
	// completing has a lock for each upload that was ever completed.
	completing sync.Map
	classes    classes

	mu     sync.Mutex // guards closed, and orders active.Add before active.Wait
	closed bool
	active sync.WaitGroup
}

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

func newProxy(o Options, a *access, dial dialFunc, marker func(context.Context, string, string) (bool, error)) *proxy {
	p := &proxy{
		log: o.Log, fault: o.Fault, stored: o.Stored, access: a, bucket: o.Bucket, marker: marker, closing: make(chan struct{}),
	}
	p.pass = &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			rewrite(pr)
			p.access.moveMetadata(pr)
		},
		// One connection for each request: http.Transport sends a request again only when a reused connection
		// turns out dead, and nothing may be sent twice here.
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := dial(ctx, network, addr)
				return earlyAnswer{c}, err
			},
			DisableKeepAlives:     true,
			DisableCompression:    true,
			ExpectContinueTimeout: time.Minute,
		},
		ModifyResponse: p.putRight,
		ErrorHandler: func(_ http.ResponseWriter, r *http.Request, err error) {
			p.log.Debug("s3 request broken off", "call", Call(r), "err", err)
			panic(http.ErrAbortHandler) // a server that is down closes the connection and answers nothing
		},
		ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	return p
}

// ServeHTTP plays the fault meant for the request, if any, around passing it on.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !p.begin() {
		panic(http.ErrAbortHandler)
	}
	defer p.active.Done()
	p.counts.add(Call(r))
	var f Fault
	if p.fault != nil {
		f = p.fault(r)
	}
	if !f.Apply && (f.Kind != Pass || f.Delay > 0) {
		if err := p.refuseOrDelay(w, r, f); err != nil {
			panic(http.ErrAbortHandler)
		}
		if f.Kind != Pass {
			return
		}
	}
	if datedAhead(r, time.Now()) {
		write(w, errorAnswer(r, http.StatusForbidden, "AccessDenied", "Request is not valid yet"))
		return
	}
	if unknownClass(r) {
		write(w, errorAnswer(r, http.StatusBadRequest, "InvalidStorageClass", "The storage class you specified is not valid"))
		return
	}
	if completes(r) {
		lock, _ := p.completing.LoadOrStore(r.URL.Query().Get("uploadId"), &sync.Mutex{})
		lock.(*sync.Mutex).Lock()
		defer lock.(*sync.Mutex).Unlock()
		// The server goes on when the client is gone, so the lock is held until it is done.
		ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
		defer cancel()
		r = r.WithContext(ctx)
	}
	c, ctx := p.access.begin(r)
	defer p.access.end(c)
	p.pass.ServeHTTP(w, r.WithContext(context.WithValue(ctx, faultKey{}, f)))
}

func (p *proxy) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.active.Add(1)
	return true
}

func (p *proxy) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	close(p.closing)
}

// rewrite sends the request to the child as it came; Host and query stay byte for byte, they are signed.
func rewrite(pr *httputil.ProxyRequest) {
	pr.Out.URL.Scheme, pr.Out.URL.Host = "http", "versitygw"
	pr.Out.URL.RawQuery = pr.In.URL.RawQuery
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if v, ok := pr.In.Header[h]; ok { // ReverseProxy takes them out, but they may be signed
			pr.Out.Header[h] = v
		}
	}
	pr.Out.Header.Del("X-Amz-Cf-Id")
	// The only thing of a request that versitygw hands on to its IAM service as it is, besides User-Agent.
	pr.Out.Header.Set("Referer", callOf(pr.In).id)
}

func callOf(r *http.Request) *call { return r.Context().Value(callKey{}).(*call) }

// putRight turns the child's answer into the one that S3 gives, then plays an Apply fault.
func (p *proxy) putRight(res *http.Response) error {
	r := res.Request
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	bucket, key := target(r)
	if read && res.StatusCode == http.StatusNotFound && key != "" && !strings.Contains(Call(r), "?") {
		if p.access.hidesAbsent(callOf(r), bucket) {
			res.Body.Close()
			*res = *errorAnswer(r, http.StatusForbidden, "AccessDenied", "Access Denied")
		} else if marker, err := p.marker(r.Context(), bucket, key); err != nil {
			return err // "absent" might be a lie, so say nothing at all
		} else if marker {
			res.Header.Set("X-Amz-Delete-Marker", "true")
		}
	}
	if r.Method == http.MethodDelete && key != "" {
		if err := p.putDeleteRight(res, bucket); err != nil {
			return err
		}
	}
	if r.Method == http.MethodPut && callOf(r).absent.Load() {
		answerNoSuchKey(res)
	}
	if err := p.putCompleteRight(res); err != nil {
		return err
	}
	if err := p.classes.putClassRight(res); err != nil {
		return err
	}
	p.tellStored(res)
	// S3 sends both with every answer, and a client must be able to read them:
	// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTCommonResponseHeaders.html
	for name, value := range supportIDs {
		if res.Header.Get(name) == "" {
			res.Header.Set(name, value)
		}
	}
	if f, _ := r.Context().Value(faultKey{}).(Fault); f.Apply {
		return p.spoil(res, f)
	}
	return nil
}

// supportIDs are what S3's support asks for, of the form that they have there.
var supportIDs = map[string]string{
	"X-Amz-Id-2":       "oncegateLocalEdge+d1JvZHVjdGlvbnNOZWl0aGVyTWVhbnNBbnl0aGluZw/x5rQ0=",
	"X-Amz-Request-Id": "0123456789ABCDEF",
}

const amzDate = "20060102T150405Z"

// datedAhead reports whether a presigned request is dated more than 15 minutes ahead of now, which S3 refuses
// ("Request is not valid yet") and versitygw takes.
func datedAhead(r *http.Request, now time.Time) bool {
	t, err := time.Parse(amzDate, r.URL.Query().Get("X-Amz-Date"))
	return err == nil && t.Sub(now) > 15*time.Minute
}

// earlyAnswer is a connection to a server that may answer and close before it has read the body. Writing then fails,
// and http.Transport would report that instead of the answer, which still waits to be read: so what is written after
// the server has closed counts as written. Without an answer, reading fails and so does the request.
type earlyAnswer struct{ net.Conn }

func (c earlyAnswer) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return len(b), nil
	}
	return n, err
}

// counts is a tally of requests by name.
type counts struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counts) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[name]++
}

func (c *counts) get() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		return map[string]int{}
	}
	return maps.Clone(c.n)
}

func (c *counts) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n = nil
}
