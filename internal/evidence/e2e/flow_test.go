package e2e

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/config"
	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server/s3servertest"
)

// root is the root of the repository.
const root = "../../.."

// lenient forwards headers that only one of AWS's two pages lists as forwarded.
func lenient(s *testbed.Setup) { s.Edge.LenientHeaders = true }

func TestUploadOnce(t *testing.T) {
	for name, options := range map[string][]testbed.Option{
		"conditional": nil, "listed": {testbed.Listed}, "lenient headers": {lenient}, "write once": {writeOnce}, "node 24": {node24},
	} {
		t.Run(name, func(t *testing.T) {
			st := testbed.New(t, options...)
			m := st.Mint(t)
			if !strings.HasPrefix(m.URL, st.Edge.URL()+"/uploads/") {
				t.Fatalf("minted %.60s…, want it on %s", m.URL, st.Edge.URL())
			}
			hash := fmt.Sprintf("%x", sha256.Sum256([]byte(strings.TrimPrefix(m.URL, st.Edge.URL()))))
			st.WantVersions(t, "signatures/valid/"+hash, 1)
			st.WantVersions(t, "signatures/expired/"+hash, 0)

			first := st.Do(t, http.MethodPut, m.URL, http.Header{"Content-Type": {"image/jpeg"}}, strings.NewReader("a photo"))
			if first.Status != http.StatusOK || first.Header.Get("X-Amz-Version-Id") == "" || first.Header.Get("Etag") == "" {
				t.Fatalf("first PUT: %v %v, want 200 with version and ETag", first, first.Header)
			}
			if got := st.Stored(t, m.Key); got != "a photo" {
				t.Errorf("stored %q", got)
			}
			st.WantVersions(t, "signatures/expired/"+hash, 1)
			for range 3 {
				again := st.Put(t, m, "another photo")
				if again.Status != http.StatusForbidden || again.Reason() != "used" {
					t.Fatalf("later PUT: %v, want 403 used", again)
				}
			}
			st.WantVersions(t, m.Key, 1)
			st.WantVersions(t, "signatures/expired/"+hash, 1)
		})
	}
}

// TestWriteOnce: with "writeOnce" S3 itself refuses to write over an object, even
// one that was stored in another way.
func TestWriteOnce(t *testing.T) {
	for _, writeOnce := range []bool{true, false} {
		t.Run(fmt.Sprint(writeOnce), func(t *testing.T) {
			st := testbed.New(t, func(s *testbed.Setup) { s.Settings["writeOnce"] = writeOnce })
			if a := st.Put(t, st.Mint(t), "x"); a.Status != http.StatusOK {
				t.Fatalf("upload: %v, want 200", a)
			}
			m := st.Mint(t)
			if _, err := s3servertest.Client(st.S3).PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: aws.String(s3servertest.Bucket), Key: &m.Key, Body: strings.NewReader("from elsewhere"),
			}); err != nil {
				t.Fatal(err)
			}
			want := http.StatusOK
			if writeOnce {
				want = http.StatusPreconditionFailed
			}
			if a := st.Put(t, m, "x"); a.Status != want {
				t.Errorf("upload over an object: %v, want %d", a, want)
			}
		})
	}
}

// TestRequestsPerUpload is what an upload costs at S3.
func TestRequestsPerUpload(t *testing.T) {
	st := testbed.New(t)
	st.Mint(t) // the first of all also opens connections
	st.S3.ResetRequests()
	m := st.Mint(t)
	if a := st.Put(t, m, "x"); a.Status != http.StatusOK {
		t.Fatal(a)
	}
	counts := st.S3.Requests()
	total := 0
	for _, n := range counts {
		total += n
	}
	if total != 5 {
		t.Errorf("mint and upload made %d requests to S3, want 5 (2 index writes, 2 reads, the upload): %v", total, counts)
	}
}

// TestGoingRoundTheGate sends minted URLs to places without a gate.
func TestGoingRoundTheGate(t *testing.T) {
	st := testbed.New(t)
	m := st.Mint(t)
	direct := strings.Replace(m.URL, st.Edge.URL(), st.S3.URL(), 1)
	for name, host := range map[string]string{"production host": s3servertest.Host, "path style": ""} {
		t.Run(name, func(t *testing.T) {
			target := direct
			if host == "" {
				target = strings.Replace(direct, "/uploads/", "/"+s3servertest.Bucket+"/uploads/", 1)
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, target, strings.NewReader("x"))
			if err != nil {
				t.Fatal(err)
			}
			r.Host = host
			response, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, _ := io.ReadAll(response.Body)
			if response.StatusCode != http.StatusForbidden || !strings.Contains(string(body), "InvalidAccessKeyId") {
				t.Errorf("S3 answers %d %s, want 403 InvalidAccessKeyId", response.StatusCode, body)
			}
		})
	}
	st.WantVersions(t, m.Key, 0)
	if a := st.Put(t, m, "x"); a.Status != http.StatusOK {
		t.Errorf("through the gate: %v, want 200", a)
	}
}

func writeOnce(s *testbed.Setup) { s.Settings["writeOnce"] = true }

func node24(s *testbed.Setup) { s.Settings["nodeRuntime"] = config.Node24 }

// TestRawRequests sends requests to the edge without an HTTP library.
func TestRawRequests(t *testing.T) {
	for name, options := range map[string][]testbed.Option{"strict headers": nil, "lenient headers": {lenient}} {
		t.Run(name, func(t *testing.T) { rawRequests(t, testbed.New(t, options...)) })
	}
}

func rawRequests(t *testing.T, st *testbed.Stack) {
	address := strings.TrimPrefix(st.Edge.URL(), "http://")
	speak := func(t *testing.T, texts ...string) []*http.Response {
		t.Helper()
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		reader := bufio.NewReader(conn)
		var responses []*http.Response
		for _, text := range texts {
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(reader, nil)
			for err == nil && response.StatusCode == http.StatusContinue {
				response, err = http.ReadResponse(reader, nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			st.CheckLeak(t, fmt.Sprint(response.Header)+string(body))
			response.Body = io.NopCloser(strings.NewReader(string(body)))
			responses = append(responses, response)
		}
		return responses
	}
	head := func(method, target string) string {
		return method + " " + target + " HTTP/1.1\r\nHost: " + address + "\r\n"
	}
	target := func(m testbed.Minted) string { return strings.TrimPrefix(m.URL, st.Edge.URL()) }

	t.Run("keep-alive", func(t *testing.T) {
		m := st.Mint(t)
		responses := speak(t,
			head("GET", "/url")+"\r\n",
			head("PUT", target(m))+"Content-Length: 4\r\n\r\nbody",
			head("PUT", target(m))+"Content-Length: 4\r\n\r\nbody",
		)
		var statuses []int
		for _, r := range responses {
			statuses = append(statuses, r.StatusCode)
		}
		if fmt.Sprint(statuses) != "[200 200 403]" {
			t.Errorf("on one connection: %v", statuses)
		}
	})

	t.Run("re-encoded query", func(t *testing.T) { // it is one URL however it is spelled
		m := st.Mint(t)
		again := strings.ReplaceAll(target(m), "%2F", "%2f")
		responses := speak(t, head("PUT", again)+"Content-Length: 4\r\n\r\nbody", head("PUT", target(m))+"Content-Length: 4\r\n\r\nbody")
		if responses[0].StatusCode != 200 || responses[1].Header.Get("X-Oncegate-Reason") != "used" {
			t.Errorf("%d, and then %q, want 200 and used", responses[0].StatusCode, responses[1].Header.Get("X-Oncegate-Reason"))
		}
	})

	m := st.Mint(t)
	for _, c := range []struct {
		name, text string
		status     int
		reason     string
	}{
		{"GET", head("GET", target(m)) + "\r\n", 403, "method"},
		{"POST", head("POST", target(m)) + "Content-Length: 1\r\n\r\nx", 403, "method"},
		{"PATCH", head("PATCH", target(m)) + "Content-Length: 1\r\n\r\nx", 403, "method"},
		{"no length", head("PUT", target(m)) + "\r\n", 411, "length-required"},
		{"chunked", head("PUT", target(m)) + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 411, "length-required"},
		{"over 5 GiB", head("PUT", target(m)) + "Expect: 100-continue\r\nContent-Length: 5368709121\r\n\r\n", 413, "too-large"},
		{"copy", head("PUT", target(m)) + "x-amz-copy-source: /b/k\r\nContent-Length: 1\r\n\r\nx", 400, "header"},
		{"aws-chunked", head("PUT", target(m)) + "Content-Encoding: aws-chunked\r\nContent-Length: 1\r\n\r\nx", 400, "header"},
		{"double slash", head("PUT", "/"+target(m)) + "Content-Length: 1\r\n\r\nx", 403, "path"},
		{"dot segment", head("PUT", "/."+target(m)) + "Content-Length: 1\r\n\r\nx", 403, "path"},
		{"encoded path", head("PUT", strings.Replace(target(m), "/uploads", "/%75ploads", 1)) + "Content-Length: 1\r\n\r\nx", 403, "path"},
		{"trailing slash", head("PUT", strings.Replace(target(m), "?", "/?", 1)) + "Content-Length: 1\r\n\r\nx", 403, "path"},
		{"index", head("PUT", strings.Replace(target(m), "/uploads/", "/signatures/valid/", 1)) + "Content-Length: 1\r\n\r\nx", 403, "path"},
		{"extra parameter", head("PUT", target(m)+"&acl") + "Content-Length: 1\r\n\r\nx", 403, "unknown"},
		{"no query", head("PUT", "/"+m.Key) + "Content-Length: 1\r\n\r\nx", 403, "unknown"},
		{"broken escape", head("PUT", strings.Replace(target(m), "%2F", "%2", 1)) + "Content-Length: 1\r\n\r\nx", 403, "unknown"},
		{"another signature", head("PUT", target(m)[:len(target(m))-1]+flip(target(m))) + "Content-Length: 1\r\n\r\nx", 403, "unknown"},
		{"mint with an unknown option", head("GET", "/url?x=1") + "\r\n", 400, "options"},
		{"mint by POST without a body", head("POST", "/url") + "Content-Length: 0\r\n\r\n", 400, "options"},
		{"mint by PUT", head("PUT", "/url") + "Content-Length: 0\r\n\r\n", 403, "method"},
		{"below mint", head("GET", "/url/x") + "\r\n", 403, "path"},
		{"preflight", head("OPTIONS", target(m)) + "Origin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n\r\n", 204, ""},
		{"URL over 8192 bytes", head("PUT", target(m)+"&x="+strings.Repeat("a", 8192)) + "Content-Length: 1\r\n\r\nx", 413, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := speak(t, c.text)[0]
			if r.StatusCode != c.status || r.Header.Get("X-Oncegate-Reason") != c.reason {
				t.Errorf("%d %q, want %d %q", r.StatusCode, r.Header.Get("X-Oncegate-Reason"), c.status, c.reason)
			}
			if c.reason != "" && r.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("cache-control %q", r.Header.Get("Cache-Control"))
			}
		})
	}
	t.Run("two lengths", func(t *testing.T) {
		r := speak(t, head("PUT", target(m))+"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx")[0]
		if r.StatusCode != http.StatusBadRequest { // the front refuses; the function's own refusal is tested in package edge
			t.Errorf("%d, want 400", r.StatusCode)
		}
	})
	t.Run("and nothing of that spent it", func(t *testing.T) {
		st.WantClaims(t, m.ID, 0)
		st.WantVersions(t, m.Key, 0)
		if a := st.Put(t, m, "x"); a.Status != http.StatusOK {
			t.Errorf("the good PUT: %v", a)
		}
	})
}

// flip returns another hex digit than the last one of s.
func flip(s string) string {
	if strings.HasSuffix(s, "0") {
		return "1"
	}
	return "0"
}

func TestExpiredURL(t *testing.T) {
	st := testbed.New(t, func(s *testbed.Setup) { s.Settings["expires"] = 1 })
	m := st.Mint(t)
	time.Sleep(2 * time.Second) // until its second is over for certain: that is what is tested
	if a := st.Put(t, m, "x"); a.Status != http.StatusForbidden || a.Reason() != "expired" {
		t.Errorf("%v, want 403 expired", a)
	}
	st.WantClaims(t, m.ID, 0)
}

// TestFrozenWorkers stops the function's processes for longer than S3 keeps idle
// connections, as Lambda freezes containers.
func TestFrozenWorkers(t *testing.T) {
	testbed.DefaultRuntimeOnly(t, "it is about the Node processes of the edge")
	const idle = 300 * time.Millisecond
	st := testbed.New(t, func(s *testbed.Setup) { s.S3.IdleTimeout = idle })
	for range 3 {
		m := st.Mint(t)
		if a := st.Put(t, m, "x"); a.Status != http.StatusOK {
			t.Fatal(a)
		}
		spare := st.Mint(t)
		signal(t, st, syscall.SIGSTOP)
		time.Sleep(3 * idle) // the server's timeout runs on its own clock
		signal(t, st, syscall.SIGCONT)
		if a := st.Put(t, spare, "x"); a.Status != http.StatusOK {
			t.Errorf("gate after the freeze: %v, want 200", a)
		}
		if a := st.Put(t, st.Mint(t), "x"); a.Status != http.StatusOK {
			t.Errorf("mint and gate after the freeze: %v, want 200", a)
		}
	}
}

func signal(t *testing.T, st *testbed.Stack, sig syscall.Signal) {
	t.Helper()
	pids := st.Edge.Workers()
	if len(pids) == 0 {
		t.Fatal("no workers")
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, sig); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKilledWorkers: a killed process costs only its own request.
func TestKilledWorkers(t *testing.T) {
	st := testbed.New(t)
	m := st.Mint(t)
	if a := st.Put(t, st.Mint(t), "x"); a.Status != http.StatusOK {
		t.Fatal(a)
	}
	signal(t, st, syscall.SIGKILL)
	for range 3 { // the first may find the process gone
		a := st.Put(t, m, "x")
		if a.Status == http.StatusOK {
			return
		}
		if a.Status != http.StatusServiceUnavailable {
			t.Fatal(a)
		}
	}
	t.Error("no upload went through after the workers were killed")
}
