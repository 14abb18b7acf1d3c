package cloudfront

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

// arrived is what the origin got.
type arrived struct {
	method, uri, host string
	header            http.Header
	te                []string
	body              string
}

// recorder is an origin that remembers and answers as S3 would.
func recorder(got chan<- arrived) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		h := w.Header()
		h.Set("ETag", `"e"`)
		h.Set("X-Amz-Version-Id", "v1")
		h.Set("X-Amz-Request-Id", "r")
		h.Set("X-Amz-Id-2", "r2")
		h.Set("Set-Cookie", "a=b")
		h.Set("Server", "AmazonS3")
		h.Set("Access-Control-Allow-Origin", "https://of-the-bucket.example")
		h["Content-Type"] = nil
		w.WriteHeader(http.StatusOK)
		got <- arrived{r.Method, r.RequestURI, r.Host, r.Header, r.TransferEncoding, string(body)}
	}
}

func TestForwardedRequest(t *testing.T) {
	got := make(chan arrived, 1)
	f := start(t, pass, recorder(got))
	res := f.raw("PUT", "PUT //a/./%2e%2E/b/\xe9?X-Amz-Credential=a%2Fb&x=+%20&b=&a HTTP/1.1\r\nHost: viewer.example\r\n"+
		"Content-Length: 3\r\nContent-Type: image/jpeg\r\nContent-MD5: kAFQmDzST7DWlj99KOF/cg==\r\nOrigin: https://app.example\r\n"+
		"Authorization: AWS4-HMAC-SHA256 x\r\nX-Amz-Meta-A: b\r\nX-Other: y\r\nCookie: c=d\r\nUser-Agent: curl/8\r\nReferer: r\r\n"+
		"Accept: */*\r\nAccept-Encoding: gzip\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\nIdempotency-Key: k\r\n\r\nabc")
	if res.StatusCode != 200 {
		t.Fatalf("got %d", res.StatusCode)
	}
	a := <-got
	if a.method != "PUT" || a.uri != "//a/./%2e%2E/b/\xe9?X-Amz-Credential=a%2Fb&x=+%20&b=&a" || a.host != "test-bucket.s3.us-east-1.amazonaws.com" || a.body != "abc" {
		t.Errorf("the origin got %s %q, host %s, body %q", a.method, a.uri, a.host, a.body)
	}
	want := http.Header{
		"Content-Length":  {"3"},
		"Content-Type":    {"image/jpeg"},
		"Content-Md5":     {"kAFQmDzST7DWlj99KOF/cg=="},
		"Origin":          {"https://app.example"},
		"User-Agent":      {"Amazon CloudFront"},
		"X-Amz-Cf-Id":     {res.Header.Get("X-Amz-Cf-Id")},
		"Via":             {"1.1 d111111abcdef8.cloudfront.net (CloudFront)"},
		"X-Forwarded-For": {"10.0.0.1, 127.0.0.1"},
		"Connection":      {"close"},
	}
	if !reflect.DeepEqual(a.header, want) {
		t.Errorf("the origin got headers\n%v, want\n%v", a.header, want)
	}
}

func TestForwardedAnswer(t *testing.T) {
	got := make(chan arrived, 1)
	f := start(t, pass, recorder(got))
	for origin, want := range map[string]http.Header{
		"": {"Vary": {"Origin"}},
		"https://app.example": {
			"Vary": {"Origin"}, "Access-Control-Allow-Origin": {"https://app.example"},
			"Access-Control-Expose-Headers": {"etag, x-amz-version-id, x-oncegate-reason"},
		},
		"https://other.example": {"Vary": {"Origin"}},
	} {
		res := f.do("PUT", "/x", strings.NewReader("abc"), "Origin", origin)
		<-got
		want["Etag"] = []string{`"e"`}
		want["X-Amz-Version-Id"] = []string{"v1"}
		want["Server"] = []string{"AmazonS3"}
		want["Content-Length"] = []string{"0"}
		want["Via"] = []string{"1.1 d111111abcdef8.cloudfront.net (CloudFront)"}
		want["X-Cache"] = []string{"Miss from cloudfront"}
		want["X-Amz-Cf-Id"] = res.Header["X-Amz-Cf-Id"]
		want["Date"] = res.Header["Date"]
		if !reflect.DeepEqual(res.Header, want) {
			t.Errorf("origin %q: the viewer got\n%v, want\n%v", origin, res.Header, want)
		}
	}
}

func TestAnyOriginIsAllowedByStar(t *testing.T) {
	got := make(chan arrived, 1)
	f := start(t, pass, recorder(got), func(o *Options) { o.Distribution.Behaviors[2].ResponseHeaders.CORS.AllowedOrigins = []string{"*"} })
	res := f.do("PUT", "/x", nil, "Origin", "https://any.example")
	<-got
	if got := res.Header.Get("Access-Control-Allow-Origin"); got != "*" || res.Header.Get("Vary") != "" {
		t.Errorf("got %q, vary %q", got, res.Header.Get("Vary"))
	}
}

func TestOriginGetsWhatTheFunctionChanged(t *testing.T) {
	got := make(chan arrived, 1)
	f := start(t, `export const gate = async (event) => {
	const { request } = event.Records[0].cf;
	request.uri = '/other/é';
	request.querystring = 'sig=a%2Fb';
	request.headers['content-type'] = [{ value: 'text/plain' }];
	request.headers['cache-control'] = [{ key: 'Cache-Control', value: 'no-store' }];
	request.headers['x-amz-meta-a'] = [{ value: 'dropped: no policy names it' }];
	delete request.headers.origin;
	return request;
}`, recorder(got))
	f.do("PUT", "/x?y=z", strings.NewReader("abc"), "Content-Type", "image/png", "Origin", "https://app.example")
	a := <-got
	if a.uri != "/other/é?sig=a%2Fb" {
		t.Errorf("the origin got %s", a.uri)
	}
	for name, want := range map[string]string{"Content-Type": "text/plain", "Cache-Control": "no-store", "X-Amz-Meta-A": "", "Origin": ""} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestPolicyWithoutQueryStrings(t *testing.T) {
	got := make(chan arrived, 1)
	f := start(t, pass, recorder(got), func(o *Options) { o.Distribution.Behaviors[2].OriginRequest.QueryStrings = false })
	f.do("PUT", "/x?y=z", nil)
	if a := <-got; a.uri != "/x" {
		t.Errorf("the origin got %s", a.uri)
	}
}

func TestFraming(t *testing.T) {
	got := make(chan arrived, 1)
	f := start(t, pass, recorder(got))
	for _, tt := range []struct{ name, rest, length, te, body string }{
		{"no length", "\r\n", "", "", ""},
		{"length 0", "Content-Length: 0\r\n\r\n", "0", "", ""},
		{"length 3", "Content-Length: 3\r\n\r\nabc", "3", "", "abc"},
		{"chunked", "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", "", "chunked", "abc"},
		{"chunked with a trailer", "Transfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n1\r\nc\r\n0\r\nX-A: b\r\n\r\n", "", "chunked", "c"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if res := f.raw("PUT", "PUT /x HTTP/1.1\r\nHost: h\r\n"+tt.rest); res.StatusCode != 200 {
				t.Fatalf("got %d", res.StatusCode)
			}
			a := <-got
			if a.header.Get("Content-Length") != tt.length || strings.Join(a.te, "") != tt.te || a.body != tt.body || a.header["Trailer"] != nil {
				t.Errorf("the origin got length %q, transfer encoding %v, body %q", a.header.Get("Content-Length"), a.te, a.body)
			}
		})
	}
}

func TestConnectionsOfViewersAreKept(t *testing.T) {
	got := make(chan arrived, 8)
	f := start(t, `export const gate = async (e) => e.Records[0].cf.request.uri === '/no' ? { status: '403', body: 'no' } : e.Records[0].cf.request`, recorder(got))
	conn := f.dial()
	br := bufio.NewReader(conn)
	for _, path := range []string{"/a", "/no", "/no", "/b", "/no"} {
		fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", path)
		res, err := http.ReadResponse(br, &http.Request{Method: "PUT"})
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		io.Copy(io.Discard, res.Body)
	}
}

// The origin sees the first bytes before the viewer has sent the last, the
// viewer sees the first of the answer before the origin has written the last.
func TestBothWaysAreStreamed(t *testing.T) {
	half := make(chan struct{})
	rest := make(chan struct{})
	f := start(t, pass, func(w http.ResponseWriter, r *http.Request) {
		first := make([]byte, 3)
		io.ReadFull(r.Body, first)
		close(half)
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, strings.Repeat("a", 1<<16))
		w.(http.Flusher).Flush()
		<-rest
		io.WriteString(w, "end")
	})
	conn := f.dial()
	io.WriteString(conn, "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc")
	<-half
	io.WriteString(conn, "def")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(res.Body, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	close(rest)
	if b := readAll(t, res); len(b) != 1<<16 || !strings.HasSuffix(b, "end") {
		t.Errorf("got %d bytes", len(b))
	}
}

// zeros is a body of n bytes made as it is read.
type zeros struct{ n int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.n == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.n)
	clear(p[:n])
	z.n -= n
	return int(n), nil
}

func TestLargeBodiesNeedNoMemory(t *testing.T) {
	const size = 256 << 20
	f := start(t, pass, func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		n, err := io.Copy(sum, r.Body)
		w.Header().Set("X-Amz-Version-Id", fmt.Sprintf("%d %x %v", n, sum.Sum(nil), err))
	})
	f.do("PUT", "/x", strings.NewReader("warm"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	req, err := http.NewRequest("PUT", f.URL()+"/x", &zeros{size})
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = size
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	runtime.ReadMemStats(&after)
	sum := sha256.New()
	io.Copy(sum, &zeros{size})
	if got, want := res.Header.Get("X-Amz-Version-Id"), fmt.Sprintf("%d %x <nil>", size, sum.Sum(nil)); got != want {
		t.Errorf("the origin got %s, want %s", got, want)
	}
	if grown := int64(after.Sys) - int64(before.Sys); grown > 32<<20 {
		t.Errorf("memory grew by %d MB for a body of %d MB", grown>>20, size>>20)
	}
}

// When the viewer breaks off, the origin must not take half for the whole.
func TestViewerThatBreaksOff(t *testing.T) {
	began, read := make(chan struct{}, 2), make(chan error, 2)
	f := start(t, pass, func(w http.ResponseWriter, r *http.Request) {
		io.ReadFull(r.Body, make([]byte, 3))
		began <- struct{}{}
		_, err := io.Copy(io.Discard, r.Body)
		read <- err
	})
	for _, framing := range []string{"Content-Length: 6\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"} {
		conn := f.dial()
		io.WriteString(conn, "PUT /x HTTP/1.1\r\nHost: h\r\n"+framing)
		<-began
		conn.Close()
		if err := <-read; err == nil {
			t.Errorf("%q: the origin took it for a whole body", framing)
		}
	}
}

func TestViewerThatLeavesBeforeTheAnswer(t *testing.T) {
	began, gone := make(chan struct{}), make(chan struct{})
	f := start(t, pass, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		close(began)
		<-r.Context().Done()
		close(gone)
	})
	conn := f.dial()
	io.WriteString(conn, "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
	<-began
	conn.Close()
	<-gone
}

// An origin that answers before it has read the body is heard.
func TestEarlyAnswer(t *testing.T) {
	f := start(t, pass, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, "early")
	})
	res := f.raw("PUT", "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\nabc")
	if res.StatusCode != 403 || readAll(t, res) != "early" || res.Header.Get("X-Cache") != xCacheError {
		t.Errorf("got %d", res.StatusCode)
	}
}

// rawOrigin is an origin below HTTP. It counts connections.
func rawOrigin(t *testing.T, serve func(net.Conn)) (url string, connections func() int) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	count := make(chan int, 1)
	count <- 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			count <- <-count + 1
			go serve(conn)
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return "http://" + ln.Addr().String(), func() int { n := <-count; count <- n; return n }
}

func TestOriginFailures(t *testing.T) {
	request := func(c net.Conn) { http.ReadRequest(bufio.NewReader(c)) }
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	for _, tt := range []struct {
		name   string
		serve  func(net.Conn)
		status int
	}{
		{"closes at once", func(c net.Conn) { c.Close() }, 502},
		{"closes after the request", func(c net.Conn) { request(c); c.Close() }, 502},
		{"garbage", func(c net.Conn) { request(c); io.WriteString(c, "hello\r\n\r\n"); c.Close() }, 502},
		{"half a header", func(c net.Conn) { request(c); io.WriteString(c, "HTTP/1.1 200 OK\r\nA: "); c.Close() }, 502},
		{"switches protocols", func(c net.Conn) { request(c); io.WriteString(c, "HTTP/1.1 101 x\r\n\r\n"); c.Close() }, 502},
		{"silent", func(c net.Conn) { request(c); <-hold; c.Close() }, 504},
		{"continues, then silent", func(c net.Conn) { request(c); io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n"); <-hold; c.Close() }, 504},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, connections := rawOrigin(t, tt.serve)
			f := start(t, pass, noOrigin(t), func(o *Options) {
				o.S3 = url
				if tt.status == 504 { // the others answer when the machine lets them
					o.Distribution.Origin.ResponseTimeout = 300 * time.Millisecond
				}
			})
			res := f.do("PUT", "/x", strings.NewReader("abc"))
			if res.StatusCode != tt.status || res.Header.Get("X-Cache") != xCacheError || !strings.Contains(readAll(t, res), "cloudfront") {
				t.Errorf("got %d, want %d", res.StatusCode, tt.status)
			}
			if n := connections(); n != 1 {
				t.Errorf("the PUT was sent %d times", n)
			}
		})
	}
	t.Run("unreachable", func(t *testing.T) {
		// Not a port that was free a moment ago: another run of the tests may take it.
		f := start(t, pass, noOrigin(t), func(o *Options) { o.S3 = "http://127.0.0.1:1" })
		if res := f.do("PUT", "/x", strings.NewReader("abc")); res.StatusCode != 502 {
			t.Errorf("got %d, want 502", res.StatusCode)
		}
	})
	t.Run("silent while the viewer uploads", func(t *testing.T) {
		// The origin's clock starts when the request is sent, however slow the viewer.
		url, _ := rawOrigin(t, func(c net.Conn) {
			br := bufio.NewReader(c)
			if r, err := http.ReadRequest(br); err == nil {
				io.Copy(io.Discard, r.Body)
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			c.Close()
		})
		f := start(t, pass, noOrigin(t), func(o *Options) {
			o.S3 = url
			o.Distribution.Origin.ResponseTimeout = 2 * time.Second
		})
		conn := f.dial()
		io.WriteString(conn, "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n")
		for range 4 {
			time.Sleep(600 * time.Millisecond) // a slow viewer is what is tested
			io.WriteString(conn, "a")
		}
		if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || res.StatusCode != 200 {
			t.Errorf("got %v, %v", res, err)
		}
	})
	t.Run("breaks off its answer", func(t *testing.T) {
		url, _ := rawOrigin(t, func(c net.Conn) {
			request(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("a", 50000))
			c.Close()
		})
		f := start(t, pass, noOrigin(t), func(o *Options) { o.S3 = url })
		res := f.do("PUT", "/x", nil)
		if _, err := io.ReadAll(res.Body); err == nil {
			t.Error("a broken answer looks whole")
		}
	})
}
