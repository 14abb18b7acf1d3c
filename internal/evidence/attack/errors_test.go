package attack

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server/s3servertest"
)

// TestErrorBodies provokes every error that a viewer can provoke from S3 behind the gate,
// and looks for a signature in it. The URL is spent then, and nothing is stored.
func TestErrorBodies(t *testing.T) {
	everything := func(s *testbed.Setup) { s.Settings["sha256"], s.Settings["writeOnce"] = true, true }
	f := newField(t, everything)
	wrongMD5 := md5.Sum([]byte("something else"))
	for _, c := range []struct {
		name, options, wire, want string
		before                    func(t *testing.T, m target)
	}{
		{"wrong Content-MD5", "", put(good, "Content-MD5: "+base64.StdEncoding.EncodeToString(wrongMD5[:])), "400 BadDigest", nil},
		{"wrong sha256", "?sha256=" + strings.Repeat("ab", 32), put(good), "400 BadDigest", nil},
		{"an object that is there already", "", put(good), "412 PreconditionFailed", func(t *testing.T, m target) {
			_, err := s3servertest.Client(f.S3).PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(s3servertest.Bucket), Key: &m.Key, Body: strings.NewReader("the owner's")})
			if err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := f.order(t, c.options)
			stored := 0
			if c.before != nil {
				c.before(t, m)
				stored = 1
			}
			answer := f.speak(t, edge, f.fill(attempt{wire: c.wire}, m))
			f.CheckLeak(t, string(answer))
			if got := verdict("PUT", answer); got != c.want {
				t.Errorf("answered %q, want %q", got, c.want)
			}
			f.WantVersions(t, m.Key, stored)
			f.WantClaims(t, m.ID, 1)
			if again := f.Put(t, m.Minted, marker); again.Reason() != "used" {
				t.Errorf("again: %v, want 403 used", again)
			}
			if !t.Failed() {
				total.add(1)
			}
		})
	}
	// S3 may refuse these or not. Its answer must hold nothing secret, and what it stores
	// must be the body as it was sent.
	for _, header := range []string{
		"Content-Type: \xff\xfe", "Content-Type: text/plain; charset=\"", "Content-Type: ", "Content-Disposition: attachment; filename=\"../../x\"", "Content-Disposition: \x80",
		"Content-Encoding: x-unheard-of", "Content-Encoding: gzip", "Content-Language: " + strings.Repeat("x", 1900), "Cache-Control: \xe2\x80\xae", "Expires: never", "Origin: null", "Origin: https://" + strings.Repeat("a", 1900),
		"Content-Type: a/b\r\nContent-Type: c/d", "Content-Length: 0014", "Access-Control-Request-Method: X", "Via: " + strings.Repeat("v", 1900), "X-Forwarded-For: ' OR 1=1",
	} {
		t.Run(header[:min(len(header), 60)], func(t *testing.T) {
			m := f.order(t, "")
			wire := put(good, header)
			if strings.HasPrefix(header, "Content-Length:") {
				wire = head("PUT", good, header) + marker
			}
			answer := f.speak(t, edge, f.fill(attempt{wire: wire}, m))
			f.CheckLeak(t, string(answer))
			versions, _ := f.Versions(t, m.Key)
			if got := verdict("PUT", answer); (got == "200") != (versions == 1) {
				t.Errorf("answered %q with %d versions stored", got, versions)
			} else if versions == 1 && f.Stored(t, m.Key) != marker {
				t.Error("another body is stored than was sent")
			}
			if again := f.Put(t, m.Minted, "again"); versions == 1 && again.Reason() != "used" {
				t.Errorf("again: %v, want 403 used", again)
			}
			if !t.Failed() {
				total.add(1)
			}
		})
	}
}

// TestHalfABody: a body that breaks off is not stored, however it breaks off, and the URL
// stays spent.
func TestHalfABody(t *testing.T) {
	f := newField(t)
	for name, end := range map[string]func(*net.TCPConn) error{
		"reset": func(c *net.TCPConn) error { return c.SetLinger(0) },
		"end":   func(c *net.TCPConn) error { return c.CloseWrite() },
	} {
		for _, sent := range []int{0, 1, len(marker) - 1} {
			t.Run(fmt.Sprint(name, " after ", sent), func(t *testing.T) {
				m := aim(f.Mint(t))
				conn, err := net.Dial("tcp", f.edge)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, err := io.WriteString(conn, f.fill(attempt{wire: request("PUT", good) + marker[:sent]}, m)); err != nil {
					t.Fatal(err)
				}
				// The upload is under way once S3 has been asked for it.
				select {
				case <-f.uploads:
				case <-time.After(20 * time.Second):
					t.Fatal("S3 was never asked")
				}
				if err := end(conn.(*net.TCPConn)); err != nil {
					t.Fatal(err)
				}
				if name == "reset" {
					conn.Close()
				}
				rest, _ := io.ReadAll(conn) // fails on a closed connection
				f.CheckLeak(t, string(rest))
				if strings.HasPrefix(string(rest), "HTTP/1.1 2") {
					t.Errorf("half a body was acknowledged: %.40q", rest)
				}
				if again := f.Put(t, m.Minted, "again"); again.Reason() != "used" {
					t.Errorf("again: %v, want 403 used", again)
				}
				f.WantVersions(t, m.Key, 0)
				if !t.Failed() {
					total.add(1)
				}
			})
		}
	}
	f.untouched(t)
}
