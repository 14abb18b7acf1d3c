package cloudfront

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"oncegate/edge"
	"oncegate/internal/local/container"
	"oncegate/internal/local/process"
)

// syncBuffer collects the log.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// fixture is a local edge whose functions are a few lines of JavaScript and
// whose origin is the test's.
type fixture struct {
	*Server
	t   *testing.T
	log *syncBuffer
}

type change func(*Options)

func findNode(runtime string) (string, error) { return FindNode("../../..", runtime) }

// start runs module as the artifact; it exports gate, and mint where a test needs it.
func start(t *testing.T, module string, origin http.HandlerFunc, changes ...change) *fixture {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.mjs"), []byte(module), 0o600); err != nil {
		t.Fatal(err)
	}
	s3 := httptest.NewServer(origin)
	t.Cleanup(s3.Close)
	f := &fixture{t: t, log: &syncBuffer{}}
	o := Options{
		Distribution: defaults(t),
		Node:         findNode,
		S3:           s3.URL,
		Addr:         "127.0.0.1:0",
		Hosts:        []string{"h", "d.example", "viewer.example", "d111111abcdef8.cloudfront.net"},
		Log:          slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range changes {
		c(&o)
	}
	for i := range o.Distribution.Functions {
		o.Distribution.Functions[i].Directory = dir
	}
	var err error
	if f.Server, err = Start(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.Close()
		if t.Failed() {
			t.Logf("log:\n%s", f.log)
		}
	})
	return f
}

// noOrigin is an origin that must not be contacted.
func noOrigin(t *testing.T) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the origin got %s %s", r.Method, r.RequestURI)
	}
}

// pass lets every request through unchanged.
const pass = `export const gate = async (event) => event.Records[0].cf.request`

func (f *fixture) dial() net.Conn {
	f.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.URL(), "http://"))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

// raw sends bytes on a connection of its own and reads one answer.
func (f *fixture) raw(method, request string) *http.Response {
	f.t.Helper()
	conn := f.dial()
	if _, err := io.WriteString(conn, request); err != nil {
		f.t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		f.t.Fatal(err)
	}
	return res
}

func (f *fixture) do(method, target string, body io.Reader, headers ...string) *http.Response {
	f.t.Helper()
	req, err := http.NewRequest(method, f.URL()+target, body)
	if err != nil {
		f.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { res.Body.Close() })
	return res
}

func readAll(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// echo answers with what the function was given.
const echo = `
export const gate = async (event, context) => ({
	status: '200',
	headers: { 'content-type': [{ value: 'application/json' }] },
	body: JSON.stringify({ event, context: { ...context, left: context.getRemainingTimeInMillis() }, env: process.env, cwd: process.cwd() }),
})`

type echoed struct {
	Event   edge.Event
	Context map[string]any
	Env     map[string]string
	Cwd     string
}

func echoOf(t *testing.T, res *http.Response) echoed {
	t.Helper()
	if res.StatusCode != 200 {
		t.Fatalf("status %d: %s", res.StatusCode, readAll(t, res))
	}
	var e echoed
	if err := json.NewDecoder(res.Body).Decode(&e); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEventIsWhatCloudFrontSends(t *testing.T) {
	f := start(t, echo, noOrigin(t))
	res := f.raw("PUT", "PUT //uploads/./%2e/\xe9?a=1&b=%2F&A=\xff HTTP/1.1\r\nHost: d.example:81\r\nContent-Length: 3\r\n"+
		"X-Two: 1\r\nx-two: 2\r\nConnection: close\r\nX-Edge-Thing: x\r\nX-Real-IP: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n"+
		"x-amz-cf-id: mine\r\nX-Forwarded-For: 10.0.0.1\r\nX-Latin: caf\xe9\r\n\r\nabc")
	e := echoOf(t, res)
	cf := e.Event.Records[0].CF
	want := edge.Request{
		ClientIP:    "127.0.0.1",
		Method:      "PUT",
		URI:         "//uploads/./%2e/é",
		Querystring: "a=1&b=%2F&A=ÿ",
		Headers: edge.Headers{
			"host":            {{Key: "Host", Value: "d.example:81"}},
			"content-length":  {{Key: "Content-Length", Value: "3"}},
			"x-two":           {{Key: "X-Two", Value: "1"}, {Key: "X-Two", Value: "2"}},
			"x-forwarded-for": {{Key: "X-Forwarded-For", Value: "10.0.0.1"}},
			"x-latin":         {{Key: "X-Latin", Value: "café"}},
		},
	}
	if !reflect.DeepEqual(cf.Request, want) {
		t.Errorf("got request\n%+v, want\n%+v", cf.Request, want)
	}
	id := cf.Config.RequestID
	if len(id) != 56 || res.Header.Get("X-Amz-Cf-Id") != id {
		t.Errorf("request id %q, x-amz-cf-id %q", id, res.Header.Get("X-Amz-Cf-Id"))
	}
	cf.Config.RequestID = ""
	if (cf.Config != edge.Config{DistributionDomainName: f.d.Domain, DistributionID: f.d.ID, EventType: "viewer-request"}) {
		t.Errorf("got config %+v", cf.Config)
	}
}

func TestEventOfChunkedRequestWithoutQuery(t *testing.T) {
	f := start(t, echo, noOrigin(t))
	r := echoOf(t, f.raw("PUT", "PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")).Event.Records[0].CF.Request
	if got := r.Headers.Values("transfer-encoding"); !slices.Equal(got, []string{"chunked"}) || r.Headers["content-length"] != nil {
		t.Errorf("got headers %v", r.Headers)
	}
	if r.Querystring != "" {
		t.Errorf("got query %q", r.Querystring)
	}
}

// The members' presence matters to JavaScript, not only their values.
func TestEventMembers(t *testing.T) {
	f := start(t, `export const gate = async (e) => ({ status: '200', body: [e, e.Records[0], e.Records[0].cf, e.Records[0].cf.request].map((o) => Object.keys(o).sort().join()).join(' ') })`, noOrigin(t))
	const want = "Records cf config,request clientIp,headers,method,querystring,uri"
	if got := readAll(t, f.do("PUT", "/x", nil)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFunctionSeesOnlyWhatLambdaGives(t *testing.T) {
	t.Setenv("ONCEGATE_SECRET_OF_THE_PARENT", "x")
	for _, token := range []string{"", "a-token"} {
		f := start(t, echo, noOrigin(t), func(o *Options) { o.Distribution.Functions[1].Credentials.SessionToken = token })
		e := echoOf(t, f.do("PUT", "/x", nil))
		dir, err := filepath.EvalSymlinks(e.Env["LAMBDA_TASK_ROOT"])
		if err != nil || dir != e.Cwd {
			t.Errorf("task root %s, working directory %s, %v", dir, e.Cwd, err)
		}
		want := map[string]string{
			"_HANDLER": "index.gate", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret",
			"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1", "AWS_EXECUTION_ENV": "AWS_Lambda_nodejs22.x",
			"AWS_LAMBDA_FUNCTION_NAME": "us-east-1.oncegate-gate", "AWS_LAMBDA_FUNCTION_VERSION": "1",
			"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128", "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
			"AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/us-east-1.oncegate-gate", "LAMBDA_RUNTIME_DIR": "/var/runtime",
			"LAMBDA_TASK_ROOT": e.Env["LAMBDA_TASK_ROOT"], "LANG": "en_US.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin", "TZ": ":UTC",
			"AWS_ENDPOINT_URL_S3": "http://" + f.s3, "ONCEGATE_VIEWER_SCHEME": "http",
		}
		if token != "" {
			want["AWS_SESSION_TOKEN"] = token
		}
		if !reflect.DeepEqual(e.Env, want) {
			t.Errorf("got environment\n%v, want\n%v", e.Env, want)
		}
		left, _ := e.Context["left"].(float64)
		if left < 10000 || left > 30000 {
			t.Errorf("%v ms remain of 30 s", left)
		}
		for name, want := range map[string]string{
			"functionName": "us-east-1.oncegate-gate", "functionVersion": "1", "memoryLimitInMB": "128",
			"awsRequestId":       e.Event.Records[0].CF.Config.RequestID,
			"invokedFunctionArn": "arn:aws:lambda:us-east-1:" + Account + ":function:oncegate-gate:1",
		} {
			if e.Context[name] != want {
				t.Errorf("context.%s is %v, want %s", name, e.Context[name], want)
			}
		}
	}
}

func TestGeneratedResponse(t *testing.T) {
	f := start(t, `
export const mint = async () => ({ status: '204', headers: { 'x-a': [{ value: '1' }, { value: '2' }] } });
export const gate = async (event) => ({ status: '403', statusDescription: 'No', body: 'bm8=', bodyEncoding: 'base64',
	headers: { server: [{ value: 'mine' }], 'cache-control': [{ key: 'Cache-Control', value: 'no-store' }] } });
`, noOrigin(t))
	res := f.do("PUT", "/x", strings.NewReader("body"), "Origin", "https://app.example")
	if got := readAll(t, res); res.StatusCode != 403 || got != "no" || res.ContentLength != 2 {
		t.Errorf("got %d %q, length %d", res.StatusCode, got, res.ContentLength)
	}
	for name, want := range map[string]string{
		"Server": "CloudFront", "X-Cache": "LambdaGeneratedResponse from cloudfront", "Cache-Control": "no-store",
		"Via": "1.1 d111111abcdef8.cloudfront.net (CloudFront)", "Content-Type": "",
		"Access-Control-Allow-Origin": "", // the response headers policy is for the origin's answers
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if res.Header.Get("X-Amz-Cf-Id") == "" || res.Header.Get("Date") == "" {
		t.Errorf("got headers %v", res.Header)
	}
	if res := f.do("HEAD", "/x", nil); res.StatusCode != 403 || res.ContentLength != 2 || readAll(t, res) != "" {
		t.Errorf("HEAD: got %d, length %d", res.StatusCode, res.ContentLength)
	}
	res = f.do("GET", "/url", nil)
	if res.StatusCode != 204 || !slices.Equal(res.Header["X-A"], []string{"1", "2"}) || readAll(t, res) != "" {
		t.Errorf("got %d %v", res.StatusCode, res.Header)
	}
}

// A refusal must not wait for a body that the viewer has not sent.
func TestGeneratedResponseDoesNotWaitForTheBody(t *testing.T) {
	f := start(t, `export const gate = async () => ({ status: '403', body: 'no' })`, noOrigin(t))
	for _, length := range []string{"5", "5368709120"} {
		res := f.raw("PUT", "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: "+length+"\r\n\r\n")
		if res.StatusCode != 403 || readAll(t, res) != "no" {
			t.Errorf("length %s: got %d", length, res.StatusCode)
		}
	}
}

func TestRequestsThatCloudFrontRefuses(t *testing.T) {
	f := start(t, `export const gate = async () => { console.log('INVOKED'); return { status: '200' } }; export const mint = gate`, noOrigin(t),
		func(o *Options) { o.Distribution.Behaviors[0].AllowedMethods = ReadOptionsMethods })
	for _, tt := range []struct {
		name, request string
		status        int
	}{
		{"absolute form", "GET http://h/url HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"authority", "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"fragment", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"no host", "GET /a HTTP/1.1\r\n\r\n", 400},
		{"two content lengths", "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
		{"GET with a body", "GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx", 403},
		{"GET with a chunked body", "GET /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 403},
		{"method that the behavior lacks", "PUT /url HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 403},
		{"method that no behavior has", "TRACE /a HTTP/1.1\r\nHost: h\r\n\r\n", 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := f.raw("GET", tt.request)
			if res.StatusCode != tt.status {
				t.Errorf("got %d, want %d: %s", res.StatusCode, tt.status, readAll(t, res))
			}
			if strings.Contains(f.log.String(), "INVOKED") {
				t.Error("the function ran")
			}
		})
	}
}

func TestFailuresOfTheFunction(t *testing.T) {
	for _, tt := range []struct {
		name, module string
		status       int
		xCache, log  string
	}{
		{"throws", `export const gate = async () => { throw new Error('broken on purpose') }`, 503, xCacheExecution, "broken on purpose"},
		{"throws at once", `export const gate = () => { throw new Error('broken on purpose') }`, 503, xCacheExecution, "broken on purpose"},
		{"throws no error", `export const gate = async () => { throw 'text' }`, 503, xCacheExecution, "thrown: text"},
		{"unhandled rejection", `export const gate = async () => { Promise.reject(new Error('lost')); await new Promise(() => {}) }`, 503, xCacheExecution, "lost"},
		{"exits", `export const gate = async () => process.exit(0)`, 503, xCacheExecution, container.ErrExited.Error()},
		{"aborts", `export const gate = async () => process.abort()`, 503, xCacheExecution, container.ErrExited.Error()},
		{"never ends", `export const gate = async () => new Promise(() => {})`, 503, xCacheExecution, container.ErrTimeout.Error()},
		{"spins", `export const gate = async () => { for (;;); }`, 503, xCacheExecution, container.ErrTimeout.Error()},
		{"not loadable", `throw new Error('cannot load')`, 503, xCacheExecution, "cannot load"},
		{"syntax error", `export const gate = (`, 503, xCacheExecution, "SyntaxError"},
		{"exits while loading", `console.error('last words'); process.exit(3)`, 503, xCacheExecution, "last words"},
		{"no such export", `export const other = 1`, 503, xCacheExecution, "exports no function gate"},
		{"callback style", `export const gate = (event, context, callback) => callback(null, { status: '200' })`, 503, xCacheExecution, "takes a callback"},
		{"no JSON", `export const gate = async () => { const a = { status: '200' }; a.a = a; return a }`, 503, xCacheExecution, "circular"},
		{"returns nothing", `export const gate = async () => {}`, 502, xCacheValidation, "no object"},
		{"drops a read-only header", `export const gate = async (e) => { delete e.Records[0].cf.request.headers.host; return e.Records[0].cf.request }`, 502, xCacheValidation, "delete read-only header, headerName : Host"},
		{"number as status", `export const gate = async () => ({ status: 200 })`, 502, xCacheValidation, "status is not a string"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := start(t, tt.module, noOrigin(t), func(o *Options) {
				if tt.log == container.ErrTimeout.Error() { // the others end by themselves
					o.Distribution.Functions[1].Timeout = 500 * time.Millisecond
				}
			})
			for range 2 { // the second one meets a fresh worker
				res := f.do("PUT", "/x", strings.NewReader("abc"))
				page := readAll(t, res)
				if res.StatusCode != tt.status || res.Header.Get("X-Cache") != tt.xCache {
					t.Errorf("got %d, x-cache %q; want %d, %q", res.StatusCode, res.Header.Get("X-Cache"), tt.status, tt.xCache)
				}
				if res.Header.Get("Content-Type") != "text/html" || !strings.Contains(page, fmt.Sprintf("<h1>%d ERROR</h1>", tt.status)) ||
					!strings.Contains(page, "Generated by cloudfront (CloudFront)") || !strings.Contains(page, res.Header.Get("X-Amz-Cf-Id")) {
					t.Errorf("not CloudFront's page: %s", page)
				}
				if strings.Contains(page, tt.log) {
					t.Errorf("the page tells the viewer %q", tt.log)
				}
			}
			if !strings.Contains(f.log.String(), tt.log) {
				t.Errorf("the log does not say %q", tt.log)
			}
		})
	}
}

// A function that outgrows its memory setting fails; one that has more does not.
func TestMemory(t *testing.T) {
	if _, known := process.PeakMemoryMB(os.Getpid()); !known {
		t.Skip("what is resident of a process is not known on this system")
	}
	const module = `export const gate = async () => ({ status: Buffer.alloc(150e6, 1)[0] ? '200' : '500' })`
	for memory, want := range map[int]int{128: 503, 512: 200} {
		f := start(t, module, noOrigin(t), func(o *Options) { o.Distribution.Functions[1].MemoryMB = memory })
		res := f.do("PUT", "/x", strings.NewReader("abc"))
		if page := readAll(t, res); res.StatusCode != want {
			t.Errorf("with %d MB: %d %s, want %d", memory, res.StatusCode, page, want)
		}
		if want == 503 && (res.Header.Get("X-Cache") != xCacheExecution || !strings.Contains(f.log.String(), "MB, the function has 128")) {
			t.Errorf("with %d MB: x-cache %q", memory, res.Header.Get("X-Cache"))
		}
	}
}

func TestStartRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.mjs"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	d := defaults(t)
	for i := range d.Functions {
		d.Functions[i].Directory = dir
	}
	found := func(path string) func(*Options) {
		return func(o *Options) { o.Node = func(string) (string, error) { return path, nil } }
	}
	node22, err := findNode(Node22)
	if err != nil {
		t.Fatal(err)
	}
	function := func(change func(*Function)) func(*Options) {
		return func(o *Options) {
			o.Distribution.Functions = slices.Clone(d.Functions)
			change(&o.Distribution.Functions[0])
		}
	}
	good := Options{Distribution: d, Node: findNode, S3: "http://127.0.0.1:1", Addr: "127.0.0.1:0"}
	for _, tt := range []struct {
		name  string
		spoil func(*Options)
		want  string
	}{
		{"busy port", func(o *Options) { o.Addr = ln.Addr().String() }, ErrPortBusy.Error()},
		{"artifact missing", function(func(f *Function) { f.Directory = t.TempDir() }), "index.mjs is missing"},
		{"node not found", func(o *Options) {
			o.Node = func(runtime string) (string, error) { return FindNode("/nonexistent", runtime) }
		}, ErrNoNode.Error()},
		{"node absent", found("/nonexistent/node"), ErrNoNode.Error()},
		{"node is another program", found("/bin/echo"), ErrNoNode.Error()},
		{"node of another version", func(o *Options) {
			function(func(f *Function) { f.Runtime = Node24 })(o)
			found(node22)(o)
		}, "is version 22"},
		{"s3 address", func(o *Options) { o.S3 = "127.0.0.1:9000" }, "http://host:port"},
		{"distribution", func(o *Options) { o.Distribution.Behaviors = nil }, "no behaviors"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := good
			tt.spoil(&o)
			s, err := Start(context.Background(), o)
			if err == nil {
				s.Close()
				t.Fatal("started")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
