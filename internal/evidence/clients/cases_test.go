package clients

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	public "oncegate/client"
	"oncegate/internal/evidence/testbed"
)

// table is clients/cases.json, which says what its fields are.
type table struct {
	Size, PartBytes int
	Repeated        struct {
		Requests []string
		Faults   []fault
	}
	Cases []example
}

type example struct {
	Name      string
	Size      *int
	Multipart *bool
	Faults    map[string][]fault
	Runs      []struct {
		outcome
		Fate  []string
		Size  *int
		Other bool
	}
	Requests []string
	Times    map[string]int
}

// outcome is what an upload ended with.
type outcome struct {
	Parts                 int
	Reason, Fate, Message string
	Failed                bool
	Retries               int
}

// fault is what happens to a request between client and deployment.
type fault struct {
	Kind         string // drop or lose; "" for an answer, or for nothing
	Status       int
	Reason, Body string
	Headers      map[string]string
	Applied      bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *fault) UnmarshalJSON(text []byte) error {
	if text[0] == '"' {
		return json.Unmarshal(text, &f.Kind)
	}
	type plain fault
	return json.Unmarshal(text, (*plain)(f))
}

// uploader runs one client of this repository. multipart is true, false or null.
type uploader func(t *testing.T, url, file, multipart string, partBytes int) outcome

var uploaders = map[string]uploader{
	"python":     script(func(t *testing.T) string { return testbed.Program(t, "python3") }, "cases.py"),
	"javascript": script(nodePath, "cases.mjs"),
	"go":         goUpload,
}

func script(interpreter func(*testing.T) string, name string) uploader {
	return func(t *testing.T, url, file, multipart string, partBytes int) (o outcome) {
		t.Helper()
		out, diagnostics := run(t, interpreter(t), name, url, file, multipart, strconv.Itoa(partBytes))
		if err := json.Unmarshal([]byte(out), &o); err != nil {
			t.Fatalf("it prints %q: %v\n%s", out, err, diagnostics)
		}
		return o
	}
}

func goUpload(t *testing.T, rawURL, file, multipart string, partBytes int) (o outcome) {
	t.Helper()
	u, err := public.ParseURL(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	way := map[string]public.Way{"null": public.BySize, "true": public.InParts, "false": public.Whole}[multipart]
	stored, err := public.UploadFile(t.Context(), u, file, public.Upload{
		Way: way, PartBytes: int64(partBytes), Parallel: 1, Waits: func(time.Duration) { o.Retries++ },
	})
	o.Parts = stored.Parts
	if err != nil {
		o.Failed, o.Message = true, err.Error()
		if e, ok := errors.AsType[*public.Error](err); ok {
			o.Reason, o.Fate = e.Reason, string(e.Fate)
		}
	}
	return o
}

// TestCases: the clients of this repository do what clients/cases.json says, on the local edge.
func TestCases(t *testing.T) {
	text, err := os.ReadFile(root + "/clients/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var all table
	if err := json.Unmarshal(text, &all); err != nil || len(all.Cases) < 20 || len(all.Repeated.Faults) < 5 {
		t.Fatalf("clients/cases.json: %v, %d cases", err, len(all.Cases))
	}
	cases := slices.Clone(all.Cases)
	for _, request := range all.Repeated.Requests {
		for i, f := range all.Repeated.Faults {
			c := example{Name: fmt.Sprintf("%s, fault %d, and again", request, i), Faults: map[string][]fault{request: {f}}, Times: map[string]int{request: 2}}
			c.Runs = append(c.Runs, all.Cases[2].Runs[0])
			c.Runs[0].Retries = 1
			cases = append(cases, c)
		}
	}
	st := testbed.New(t, func(s *testbed.Setup) { s.Settings["minBytes"] = 0 })
	for name, upload := range uploaders {
		t.Run(name, func(t *testing.T) {
			cases := cases
			if testing.Short() && name != "go" { // they wait before they repeat
				cases = all.Cases
			}
			if testing.Short() && name == "javascript" {
				t.Skip("its own tests play the table too")
			}
			for _, c := range cases {
				t.Run(c.Name, func(t *testing.T) { c.play(t, st, upload, all, name == "python") })
			}
		})
	}
}

// play plays one case. picky: what the client sends has no header that it need not have.
func (c example) play(t *testing.T, st *testbed.Stack, upload uploader, all table, picky bool) {
	m := st.Mint(t)
	b := between(t, st.Edge.URL(), c.Faults)
	for i, want := range c.Runs {
		size := all.Size
		for _, given := range []*int{c.Size, want.Size} {
			if given != nil {
				size = *given
			}
		}
		file, content := random(t, "recording", size)
		if want.Other {
			content = strings.Repeat("o", size)
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		multipart := "null"
		if c.Multipart != nil {
			multipart = strconv.FormatBool(*c.Multipart)
		}
		got := upload(t, strings.Replace(m.URL, st.Edge.URL(), b.url, 1), file, multipart, all.PartBytes)
		st.CheckLeak(t, got.Message)
		if failed := len(want.Fate) > 0; got.Failed != failed || got.Parts != want.Parts || got.Reason != want.Reason || failed && !slices.Contains(want.Fate, got.Fate) {
			t.Errorf("run %d: %+v, want %+v", i+1, got, want)
		}
		if want.Retries > 0 && got.Retries != want.Retries {
			t.Errorf("run %d: %d retries, want %d", i+1, got.Retries, want.Retries)
		}
		if !got.Failed && st.Stored(t, m.Key) != content {
			t.Errorf("run %d: other bytes are stored than were sent", i+1)
		}
	}
	seen := b.requests()
	if c.Requests != nil && !slices.Equal(seen, c.Requests) {
		t.Errorf("requests are %q, want %q", seen, c.Requests)
	}
	for _, kind := range slices.Sorted(maps.Keys(c.Times)) {
		if n := count(seen, kind); n != c.Times[kind] {
			t.Errorf("%d times %s, want %d: %q", n, kind, c.Times[kind], seen)
		}
	}
	if picky && len(b.stray) > 0 {
		t.Errorf("it sends %q", b.stray)
	}
}

func count(seen []string, kind string) (n int) {
	for _, k := range seen {
		if k == kind {
			n++
		}
	}
	return n
}

// proxy stands between a client and a deployment.
type proxy struct {
	url, next string
	faults    map[string][]fault
	mu        sync.Mutex
	seen      []string // by kind
	stray     []string // headers that no upload needs, and chunked bodies
}

func between(t *testing.T, next string, faults map[string][]fault) *proxy {
	p := &proxy{next: next, faults: faults}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *proxy) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.seen)
}

// kindOf names a request as the table does.
func kindOf(r *http.Request) string {
	query := r.URL.Query()
	for _, op := range []string{"uploads", "parts", "complete"} {
		if query.Has(op) {
			return r.Method + " " + op
		}
	}
	return strings.TrimSpace(r.Method + " " + query.Get("partNumber"))
}

// needed are the headers of uploads in this table, but for Host.
var needed = []string{"Accept", "Content-Length", "Content-Md5", "Content-Type", "User-Agent"}

// meet notes a request, and says what is to happen to it.
func (p *proxy) meet(r *http.Request) fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	kind := kindOf(r)
	p.seen = append(p.seen, kind)
	for name := range r.Header {
		if !slices.Contains(needed, name) {
			p.stray = append(p.stray, name)
		}
	}
	p.stray = append(p.stray, r.TransferEncoding...)
	if n := count(p.seen, kind); n <= len(p.faults[kind]) {
		return p.faults[kind][n-1]
	}
	return fault{}
}

// ServeHTTP implements http.Handler.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := p.meet(r)
	if f.Kind == "drop" {
		panic(http.ErrAbortHandler)
	}
	if f.Status != 0 && !f.Applied {
		io.Copy(io.Discard, r.Body)
		f.answer(w)
		return
	}
	// A refusal can come while the client still sends. It is passed on at once, and then the rest
	// of the body is read. Otherwise net/http closes the connection while the client still sends,
	// and if the client sent Expect, it closes at once. The client can then get a connection reset
	// before it has read the refusal.
	rc := http.NewResponseController(w)
	if err := rc.EnableFullDuplex(); err != nil {
		panic(err)
	}
	answer, body, err := p.pass(r)
	if err != nil || f.Kind == "lose" {
		panic(http.ErrAbortHandler)
	}
	if f.Status != 0 {
		f.answer(w)
	} else {
		maps.Copy(w.Header(), answer.Header)
		w.WriteHeader(answer.StatusCode)
		w.Write(body)
	}
	rc.Flush()
	rc.SetReadDeadline(time.Now().Add(time.Minute))
	io.Copy(io.Discard, r.Body) // ends also when the client has gone
}

// answer answers as the fault says.
func (f fault) answer(w http.ResponseWriter) {
	for name, value := range f.Headers {
		w.Header().Set(name, value)
	}
	body := f.Body
	if f.Reason != "" {
		w.Header().Set("x-oncegate-reason", f.Reason)
		body = fmt.Sprintf(`{"status": %d, "reason": %q, "message": "Refused by the test."}`, f.Status, f.Reason)
	}
	w.WriteHeader(f.Status)
	io.WriteString(w, body)
}

// pass sends a request on as it came.
func (p *proxy) pass(r *http.Request) (*http.Response, []byte, error) {
	next, err := url.Parse(p.next)
	if err != nil {
		return nil, nil, err
	}
	u := *r.URL
	u.Scheme, u.Host = next.Scheme, next.Host
	out := &http.Request{Method: r.Method, URL: &u, Header: r.Header.Clone(), Body: io.NopCloser(r.Body), ContentLength: r.ContentLength, Host: next.Host}
	if r.ContentLength == 0 {
		out.Body = http.NoBody
	}
	out.Header.Del("Connection")
	out.Header.Del("Expect") // this server has said it already
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	answer, err := transport.RoundTrip(out.WithContext(r.Context()))
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer, body, err
}
