package attack

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
)

// listsParts is how the edge asks S3 for the parts of an upload.
const listsParts = "GET uploads/?uploadId"

// TestParts: with a multipart upload under way, no part goes anywhere but to its place, and
// nothing is completed that is not whole. S3's upload id is in no answer and in no log.
func TestParts(t *testing.T) {
	f := newField(t)
	ids := map[string]bool{}
	var mu sync.Mutex
	f.EveryRequest(func(r *http.Request) s3server.Fault {
		mu.Lock()
		defer mu.Unlock()
		// An attempt can only send what it has been told, so this is one that S3 gave out.
		if id := r.URL.Query().Get("uploadId"); len(id) > 20 && !ids[id] {
			ids[id] = true
			go f.Secret(id) // it takes the lock that is held here
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.seen = append(f.seen, asked{s3server.Call(r), r.Host, r.Header.Clone()})
		return s3server.Fault{}
	})
	m, other := aim(f.Mint(t)), aim(f.Mint(t))
	start := func(url string) testbed.Answer {
		return testbed.Patiently(func() testbed.Answer { return f.Do(t, http.MethodPost, url+"&uploads", nil, nil) })
	}
	// 50 clients begin at once. All have the same upload.
	var together sync.WaitGroup
	for range 50 {
		together.Go(func() {
			if a := start(m.URL); a.Status != http.StatusOK {
				t.Errorf("start: %v", a)
			}
		})
	}
	together.Wait()
	if a := start(other.URL); a.Status != http.StatusOK {
		t.Fatalf("start: %v", a)
	}
	uploads, err := s3servertest.Client(f.S3).ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: aws.String(s3servertest.Bucket)})
	if err != nil || len(uploads.Uploads) != 2 {
		t.Fatalf("%d uploads for two URLs, %v", len(uploads.Uploads), err)
	}
	anothers := ""
	for _, u := range uploads.Uploads {
		f.Secret(aws.ToString(u.UploadId))
		if aws.ToString(u.Key) == other.Key {
			anothers = aws.ToString(u.UploadId)
		}
	}
	var all []attempt
	for _, number := range []string{"0", "1001", "10001", "-1", "1e9", "1000000000", "01", "+1", "%31", "1.0", "", "1&partNumber=2", "1&partNumber=1"} {
		all = append(all, attempt{"part " + number, "there are parts 1 to 1,000, each named once", edge, put(good + "&partNumber=" + number), "400 part"})
	}
	all = append(all,
		attempt{"an empty part", "S3 cannot tell it from one that was lost", edge, head("PUT", good+"&partNumber=1", "Content-Length: 0"), "400 part"},
		attempt{"complete without parts", "there is nothing to make", edge, head("POST", good+"&complete", "Content-Length: 0"), "409 incomplete"},
	)
	for _, operation := range []string{"&partNumber=1&uploadId=", "&uploadId="} {
		all = append(all, attempt{"part with another's upload: " + operation, "a part belongs to the URL's own upload", edge, put(good + operation + anothers), anyhow})
	}
	for _, a := range all {
		if t.Run(a.name, func(t *testing.T) { f.refused(t, a, m, listsParts) }) {
			total.add(1)
		}
	}
	// A gap, then a whole upload; afterwards the URL is good for nothing.
	send := func(number int, body string) {
		t.Helper()
		if a := f.Do(t, http.MethodPut, fmt.Sprintf("%s&partNumber=%d", m.URL, number), nil, strings.NewReader(body)); a.Status != http.StatusOK {
			t.Fatalf("part %d: %v", number, a)
		}
	}
	send(2, "the owner's")
	f.refused(t, attempt{"complete with a gap", "part 1 is not there", edge, head("POST", good+"&complete", "Content-Length: 0"), "409 incomplete"}, m, listsParts)
	f.WantClaims(t, m.ID, 0)
	send(1, strings.Repeat("x", 5<<20))
	if a := f.Do(t, http.MethodPost, m.URL+"&complete", nil, nil); a.Status != http.StatusOK {
		t.Fatalf("complete: %v", a)
	}
	for _, operation := range []string{"&partNumber=1", "&partNumber=3", ""} {
		a := attempt{"a PUT after the claim: " + operation, "the URL is spent", edge, put(good + operation), "403 used"}
		if t.Run(a.name, func(t *testing.T) { f.refused(t, a, m, listsParts) }) {
			total.add(1)
		}
	}
	f.WantVersions(t, m.Key, 1)
	if got := f.Stored(t, m.Key); len(got) != 5<<20+len("the owner's") || strings.Contains(got, marker) {
		t.Errorf("%d bytes are stored", len(got))
	}
	f.WantVersions(t, other.Key, 0)
}
