package examples

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
)

// TestUppyParts: Uppy, unmodified, sends files in parts in a real browser: an empty one, one
// byte, two parts, many parts, where a connection breaks in a part, and where the answer of
// complete is lost. It is paused, and the page is loaded again. Each is one object.
func TestUppyParts(t *testing.T) {
	testbed.Browser(t)
	var oncegate string
	page := serve(t, bundle(t), func() string { return oncegate })
	st := testbed.New(t, allow(page))
	oncegate = st.Edge.URL()

	for _, c := range []struct {
		name  string
		size  int64
		parts int
		call  string // the first of these is faulty, or the third with then
		fault s3server.Fault
		then  string // what is done when two parts of three are there
	}{
		{"empty", 0, 0, "", s3server.Fault{}, ""},
		{"one byte", 1, 1, "", s3server.Fault{}, ""},
		{"6 MiB", 6 << 20, 1, "", s3server.Fault{}, ""},
		{"20 MiB, a part's answer is lost", 20 << 20, 3, "PUT uploads/?partNumber&uploadId", s3server.Fault{Kind: s3server.Drop, Apply: true}, ""},
		{"20 MiB, a part is refused", 20 << 20, 3, "PUT uploads/?partNumber&uploadId", s3server.Fault{Kind: s3server.Answer, Status: http.StatusForbidden}, ""},
		{"20 MiB, complete's answer is lost", 20 << 20, 3, "POST uploads/?uploadId", s3server.Fault{Kind: s3server.Drop, Apply: true}, ""},
		{"20 MiB, a pause", 20 << 20, 3, "PUT uploads/?partNumber&uploadId", s3server.Fault{Kind: s3server.Hang}, "pause"},
		{"20 MiB, the page is loaded again", 20 << 20, 3, "PUT uploads/?partNumber&uploadId", s3server.Fault{Kind: s3server.Hang}, "reload"},
		{"200 MiB", 200 << 20, 25, "", s3server.Fault{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var mu sync.Mutex
			keys := map[string]bool{}
			var calls atomic.Int64
			faulty, failed := int64(1), make(chan struct{})
			if c.then != "" {
				faulty = 3
			}
			st.EveryRequest(func(r *http.Request) s3server.Fault {
				if i := strings.Index(r.URL.Path, "uploads/"); i >= 0 && !strings.Contains(r.URL.Path, "signatures/") {
					mu.Lock()
					keys[r.URL.Path[i:]] = true
					mu.Unlock()
				}
				if c.call == s3server.Call(r) && calls.Add(1) == faulty {
					close(failed)
					return c.fault
				}
				return s3server.Fault{}
			})
			path := filepath.Join(t.TempDir(), "photo.jpg")
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Truncate(c.size); err != nil {
				t.Fatal(err)
			}
			f.Close()
			lines := driveThen(t, page+"/parts.html", "li", failed, c.then, path)
			st.EveryRequest(nil)
			if !strings.HasSuffix(lines[0], "Stored.") {
				t.Errorf("the page says %q, want Stored.", lines[0])
			}
			if len(keys) != 1 || (calls.Load() >= faulty) != (c.call != "") {
				t.Fatalf("%d objects, %d calls that may be faulty", len(keys), calls.Load())
			}
			if c.then != "" && calls.Load() != 4 {
				t.Errorf("%d parts were sent, want the third one twice and the others once", calls.Load())
			}
			for key := range keys {
				head, err := s3servertest.Client(st.S3).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(s3servertest.Bucket), Key: &key})
				if err != nil {
					t.Fatal(err)
				}
				etag := strings.Trim(aws.ToString(head.ETag), `"`)
				if aws.ToInt64(head.ContentLength) != c.size || c.parts > 0 && (!strings.HasSuffix(etag, "-"+strconv.Itoa(c.parts)) || aws.ToString(head.ContentType) != "image/jpeg") {
					t.Errorf("stored: %d bytes, ETag %s, type %s", aws.ToInt64(head.ContentLength), etag, aws.ToString(head.ContentType))
				}
				st.WantVersions(t, key, 1)
			}
		})
	}
}
