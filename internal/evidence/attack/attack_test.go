package attack

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/dynamoserver"
	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
)

// place is where an attempt is made.
type place int

const (
	edge   place = iota // the distribution as it is deployed
	open                // the distribution with its gate taken off
	bucket              // S3, by the bucket's host name
	path                // S3, with the bucket in the path
)

// attempt is one try. It is refused if the first answer is want: "403 path" from
// oncegate, "403 InvalidAccessKeyId" from S3, "400" from an HTTP server. Where S3 servers
// refuse in different ways, every status from 400 up and a closed connection will do.
type attempt struct {
	name, why string
	at        place
	wire      string // what is written; @ names stand for the parts of a URL, see aim
	want      string
}

// target is a URL that is good for one upload, with the parts that attempts use.
type target struct {
	testbed.Minted
	query string
}

func aim(m testbed.Minted) target {
	_, query, _ := strings.Cut(m.URL, "?")
	return target{m, query}
}

// order mints a URL with these options, each as it stands in the query.
func (f *field) order(t *testing.T, options string) target {
	t.Helper()
	a := f.Do(t, http.MethodGet, f.Edge.URL()+"/url"+options, nil, nil)
	if a.Status != http.StatusOK {
		t.Fatalf("mint: %v", a)
	}
	return aim(testbed.ParseMinted(t, a.Body))
}

// marker is in every body that an attempt sends. No object may ever hold it.
const marker = "stolen passage"

// put is a well-formed upload to this path and query.
func put(pathAndQuery string, headers ...string) string {
	return request("PUT", pathAndQuery, headers...) + marker
}

// request has the marker's length as its Content-Length. Requests without a body use head.
func request(method, pathAndQuery string, headers ...string) string {
	return head(method, pathAndQuery, append(headers, fmt.Sprintf("Content-Length: %d", len(marker)))...)
}

func head(method, pathAndQuery string, headers ...string) string {
	lines := append([]string{method + " " + pathAndQuery + " HTTP/1.1", "Host: @host"}, headers...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// anyhow stands for every way to be refused ("closed" sorts behind all digits).
const anyhow = "anyhow"

// good is the URL's own path and query.
const good = "@path?@query"

// field is what attempts are made against.
type field struct {
	*testbed.Stack
	edge, s3 string // host:port
	gateless bool   // no URL is good for anything

	uploads chan struct{} // gets a value for each upload that S3 is asked for
	mu      sync.Mutex
	seen    []asked // by S3 and the table
}

// tableCall names a request to the table, as s3server.Call names one to S3: "GetItem url#",
// "UpdateItem slots#". A mint's is "UpdateItem url#, forget": no other names that attribute.
func tableCall(r dynamoserver.Request) string {
	kind, _, _ := strings.Cut(r.Partition, "#")
	call := r.Operation + " " + kind + "#"
	if slices.Contains(r.Names, "forget") {
		call += ", forget"
	}
	return call
}

// asked is a request that has reached S3 or the table.
type asked struct {
	call, host string
	header     http.Header
}

func newField(t *testing.T, options ...testbed.Option) *field {
	f := &field{uploads: make(chan struct{}, 1000)}
	st := testbed.New(t, append(options, func(s *testbed.Setup) {
		s.Table.Fault = func(r dynamoserver.Request) dynamoserver.Fault {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.seen = append(f.seen, asked{call: tableCall(r)})
			return dynamoserver.Fault{}
		}
	})...)
	f.Stack, f.edge, f.s3 = st, strings.TrimPrefix(st.Edge.URL(), "http://"), strings.TrimPrefix(st.S3.URL(), "http://")
	st.EveryRequest(func(r *http.Request) s3server.Fault {
		f.mu.Lock()
		defer f.mu.Unlock()
		request := asked{s3server.Call(r), r.Host, r.Header.Clone()}
		f.seen = append(f.seen, request)
		if strings.HasPrefix(request.call, "PUT uploads/") && !strings.Contains(request.call, "?") {
			f.uploads <- struct{}{}
		}
		return s3server.Fault{}
	})
	return f
}

// sinceThen returns the requests that reached S3 and the table since the last call.
func (f *field) sinceThen() []asked {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := f.seen
	f.seen = nil
	return seen
}

// fill returns the attempt with the target's parts in place of their names.
func (f *field) fill(a attempt, m target) string {
	host, prefix := f.edge, ""
	switch a.at {
	case bucket:
		host = s3servertest.Host
	case path:
		host, prefix = f.s3, "/"+s3servertest.Bucket
	}
	signature := m.query[strings.LastIndex(m.query, "=")+1:]
	return strings.NewReplacer("@host", host, "@path", prefix+"/"+m.Key, "@prefix", prefix, "@uuid", m.Name, "@UUID", strings.ToUpper(m.Name),
		"@query", m.query, "@signature", signature, "@id", string(m.ID)).Replace(a.wire)
}

// speak writes text to the place and reads until the other side closes. After the first
// answer it sends a harmless request that asks for the end of the connection.
func (f *field) speak(t *testing.T, at place, text string) []byte {
	t.Helper()
	address := f.edge
	if at == bucket || at == path {
		address = f.s3
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil && !broken(err) {
		t.Fatal(err)
	}
	var all bytes.Buffer
	in := bufio.NewReader(io.TeeReader(conn, &all))
	if res, err := http.ReadResponse(in, &http.Request{Method: strings.ToUpper(text[:strings.IndexAny(text+" ", " \t\r\n")])}); err == nil {
		io.Copy(io.Discard, res.Body) // what was read is in all, even if it was cut short
	}
	// It fails if the other side has closed already.
	io.WriteString(conn, "OPTIONS / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	if _, err := io.Copy(io.Discard, in); err != nil && !broken(err) {
		t.Errorf("the connection was left open: %v", err)
	}
	return all.Bytes()
}

func broken(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF)
}

var s3Code = regexp.MustCompile(`<Code>(\w+)</Code>`)

// verdict returns the first answer in the words of attempt.want.
func verdict(method string, answer []byte) string {
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), &http.Request{Method: method})
	if err != nil {
		return "closed"
	}
	body, _ := io.ReadAll(res.Body)
	text := fmt.Sprint(res.StatusCode)
	if reason := res.Header.Get("X-Oncegate-Reason"); reason != "" {
		return text + " " + reason
	}
	if code := s3Code.FindSubmatch(body); code != nil {
		return text + " " + string(code[1])
	}
	return text
}

// allowed are the requests that the edge may send while it refuses. It may read the index, with
// its own credentials. If the index is in a table, the edge may also ask to spend the URL: the
// condition of that request does not hold.
func (f *field) allowed() []string {
	if f.Table != nil {
		return []string{"GetItem url#", "UpdateItem url#"}
	}
	return []string{"GET signatures/valid/", "GET signatures/parts/", "HEAD signatures/expired/"}
}

// refused makes one attempt and checks that it is refused as it should be. more are calls that
// are allowed beside those that always are.
func (f *field) refused(t *testing.T, a attempt, m target, more ...string) {
	t.Helper()
	f.sinceThen()
	text := f.fill(a, m)
	answer := f.speak(t, a.at, text)
	f.CheckLeak(t, string(answer))
	if bytes.Contains(answer, []byte(`"nonce"`)) || bytes.Contains(answer, []byte("ListBucketResult")) {
		t.Errorf("the answer shows what is in the bucket")
	}
	method, _, _ := strings.Cut(text, " ")
	if got := verdict(strings.ToUpper(method), answer); got != a.want && (a.want != anyhow || got < "400") {
		t.Errorf("%s: answered %q, want %q", a.why, got, a.want)
	}
	if a.at != edge {
		return // S3 sees the attempt itself. What it stored is looked at afterwards.
	}
	for _, r := range f.sinceThen() {
		if !slices.Contains(f.allowed(), r.call) && !slices.Contains(more, r.call) {
			t.Errorf("S3 or the table was asked to %s", r.call)
		}
	}
}

// count is how many attempts were refused in all tests.
type count struct {
	mu sync.Mutex
	n  int
}

func (c *count) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += n
}

var total count

// TestMain prints how many attempts there were.
func TestMain(m *testing.M) {
	code := m.Run()
	index := testbed.Indexes()[0]
	fmt.Printf("prove: %d attempts%s refused\n", total.n, testbed.WithIndex(index))
	os.Exit(code)
}

// all makes the attempts one after the other with one URL, which must still be good
// afterwards.
func (f *field) all(t *testing.T, attempts []attempt) {
	t.Helper()
	f.allWith(t, aim(f.Mint(t)), attempts)
}

// allWith is all with a URL that was minted for the attempts.
func (f *field) allWith(t *testing.T, m target, attempts []attempt) {
	t.Helper()
	names := map[string]bool{}
	for _, a := range attempts {
		if names[a.name] {
			t.Errorf("there are two attempts %q", a.name)
		}
		names[a.name] = true
		if t.Run(a.name, func(t *testing.T) { f.refused(t, a, m) }) {
			total.add(1)
		}
	}
	f.WantClaims(t, m.ID, 0)
	f.WantVersions(t, m.Key, 0)
	f.untouched(t)
	if f.gateless {
		return
	}
	// They failed because of what they were, and not because the URL was bad.
	if a := f.Put(t, m.Minted, "the owner's"); a.Status != http.StatusOK {
		t.Errorf("the URL is spent: %v", a)
	} else if got := f.Stored(t, m.Key); got != "the owner's" {
		t.Errorf("stored %q", got)
	}
}

// untouched looks at every version of every object in the bucket. All must be where
// oncegate puts them, and none may hold what an attempt has sent.
func (f *field) untouched(t *testing.T) {
	t.Helper()
	client := s3servertest.Client(f.S3)
	pages := s3.NewListObjectVersionsPaginator(client, &s3.ListObjectVersionsInput{Bucket: aws.String(s3servertest.Bucket)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(page.DeleteMarkers) > 0 {
			t.Errorf("%s was deleted", aws.ToString(page.DeleteMarkers[0].Key))
		}
		for _, v := range page.Versions {
			key := aws.ToString(v.Key)
			if !known.MatchString(key) {
				t.Errorf("there is an object %q", key)
			}
			out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(s3servertest.Bucket), Key: v.Key, VersionId: v.VersionId})
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(out.Body)
			out.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(body), marker) {
				t.Errorf("%s holds what an attempt has sent", key)
			}
		}
	}
	uploads, err := client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: aws.String(s3servertest.Bucket)})
	if err != nil {
		t.Fatal(err)
	}
	if len(uploads.Uploads) > 0 {
		t.Errorf("a multipart upload was begun: %s", aws.ToString(uploads.Uploads[0].Key))
	}
}

var known = regexp.MustCompile(`^(uploads/(teams/red/)?[0-9a-f-]{36}|signatures/(valid|expired)/[0-9a-f]{64})$`)
