package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"oncegate/internal/acceptance"
	"oncegate/internal/evidence/testbed"
	"oncegate/internal/layout"
	"oncegate/internal/local"
	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
)

// scanning is acceptance that waits for scans.
func scanning(s *testbed.Setup) {
	testbed.Accepting(s)
	s.Settings["acceptance"] = map[string]any{"scan": "guardduty"}
}

// scanningStack is the whole chain with scans. A test says what they find.
type scanningStack struct {
	*acceptingStack

	mu    sync.Mutex
	finds map[string][]local.ScanResult // by key; everything else is clean
}

func newScanning(t *testing.T) *scanningStack {
	t.Helper()
	s := &scanningStack{finds: map[string][]local.ScanResult{}}
	s.acceptingStack = newAccepting(t, scanning, func(setup *testbed.Setup) {
		// A notification that came before its scan comes again after this time.
		setup.Jobs.Visibility = 2 * time.Second
		setup.Jobs.Scan = func(key, _ string) []local.ScanResult {
			s.mu.Lock()
			defer s.mu.Unlock()
			if found, ok := s.finds[key]; ok {
				return found
			}
			return []local.ScanResult{{Status: "NO_THREATS_FOUND"}}
		}
	})
	return s
}

// find says what scans of this key find, each in its time.
func (s *scanningStack) find(key string, results ...local.ScanResult) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finds[key] = results
}

// tell puts the result of a scan on the queue, as a rule of the bus does.
func (s *scanningStack) tell(key, version, verdict string) {
	status := map[string]string{"NO_THREATS_FOUND": "COMPLETED", "THREATS_FOUND": "COMPLETED", "FAILED": "FAILED"}[verdict]
	if status == "" {
		status = "SKIPPED"
	}
	s.Queues[acceptQueue].Send(fmt.Sprintf(`{"version":"0","detail-type":"GuardDuty Malware Protection Object Scan Result","source":"aws.guardduty",
		"detail":{"schemaVersion":"1.0","scanStatus":%q,"resourceType":"S3_OBJECT","s3ObjectDetails":{"bucketName":%q,"objectKey":%q,"eTag":"e","versionId":%q,
		"s3Throttled":false},"scanResultDetails":{"scanResultStatus":%q,"threats":null}}}`, status, s3servertest.Bucket, key, version, verdict))
}

// wantRejected checks that nothing was accepted of a version, and that it is there still, with
// the tag that says why.
func (s *scanningStack) wantRejected(t *testing.T, key, version, content, verdict string) {
	t.Helper()
	if versions, markers := s.Versions(t, layout.AcceptedCopy(key)); versions != 0 || markers != 0 || len(s.events(t, key)) != 0 {
		t.Errorf("%s: %d accepted versions, %d events", verdict, versions, len(s.events(t, key)))
	}
	if got := s.Stored(t, key); got != content {
		t.Errorf("the upload is %q, want %q", got, content)
	}
	out, err := s.s3.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: aws.String(s3servertest.Bucket), Key: &key, VersionId: &version})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(out.TagSet, func(tag types.Tag) bool { return *tag.Key == acceptance.Tag && *tag.Value == "rejected:"+verdict }) {
		t.Errorf("%s: tags %v", verdict, out.TagSet)
	}
	if line := fmt.Sprintf(`version\":\"%s\",\"verdict\":\"%s\"`, version, verdict); !strings.Contains(s.Log(), line) {
		t.Errorf("the log does not say that %s of %s was rejected: %s", version, key, verdict)
	}
}

// TestScan tries what GuardDuty may say of an upload, in every order, with the built bootstrap,
// the role and the rule of the templates, and a real S3 server.
func TestScan(t *testing.T) {
	a := newScanning(t)
	t.Run("one upload with a URL", func(t *testing.T) {
		t.Parallel()
		m := a.Mint(t)
		if r := a.Put(t, m, "content"); r.Status != http.StatusOK {
			t.Fatal(r)
		}
		a.settleKey(t, m.Key)
		versions, err := a.s3.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String(s3servertest.Bucket), Prefix: &m.Key})
		if err != nil || len(versions.Versions) != 1 {
			t.Fatalf("%v, %v", versions, err)
		}
		a.want(t, m.Key, *versions.Versions[0].VersionId, "content")
	})
	for _, verdict := range []string{"THREATS_FOUND", "UNSUPPORTED", "ACCESS_DENIED", "FAILED"} {
		t.Run(verdict, func(t *testing.T) {
			t.Parallel()
			key := newUploadKey()
			a.find(key, local.ScanResult{Status: verdict})
			first := a.store(t, key, "content")
			a.settleKey(t, key)
			a.wantRejected(t, key, first, "content", verdict)
			// A scan that finds nothing later lets it through, but for a threat.
			a.tell(key, first, "NO_THREATS_FOUND")
			a.settleKey(t, key)
			if verdict == "THREATS_FOUND" {
				a.wantRejected(t, key, first, "content", verdict)
			} else {
				a.want(t, key, first, "content")
			}
		})
	}
	t.Run("the scan comes before the notification", func(t *testing.T) {
		t.Parallel()
		key := newUploadKey()
		later, release := held()
		a.deliver(key, later)
		first := a.store(t, key, "content")
		a.settleKey(t, key)
		a.want(t, key, first, "content")
		release()
		a.settleKey(t, key)
		a.want(t, key, first, "content")
		if n := len(a.events(t, key)); n != 1 {
			t.Errorf("announced %d times", n)
		}
	})
	t.Run("everything three times", func(t *testing.T) {
		t.Parallel()
		key := newUploadKey()
		clean := local.ScanResult{Status: "NO_THREATS_FOUND"}
		a.find(key, clean, clean, clean)
		a.deliver(key, times(3))
		first := a.store(t, key, "content")
		a.settleKey(t, key)
		a.want(t, key, first, "content")
	})
	t.Run("another version", func(t *testing.T) {
		t.Parallel()
		key := newUploadKey()
		a.find(key) // of the first version nothing is told
		a.deliver(key, times(0), times(1))
		first, late := a.store(t, key, "first"), a.store(t, key, "second")
		a.tell(key, late, "NO_THREATS_FOUND")
		a.tell(key, "no-such-version", "NO_THREATS_FOUND")
		a.settleKey(t, key)
		if versions, _ := a.Versions(t, layout.AcceptedCopy(key)); versions != 0 {
			t.Errorf("the scan of another version has let %d versions through", versions)
		}
		a.tell(key, late, "THREATS_FOUND")
		a.tell(key, first, "NO_THREATS_FOUND")
		a.settleKey(t, key)
		a.want(t, key, first, "first", late)
	})
	for _, applied := range []bool{false, true} {
		t.Run(fmt.Sprintf("a tag that gets lost, applied %t", applied), func(t *testing.T) {
			t.Parallel()
			key := newUploadKey()
			a.find(key, local.ScanResult{Status: "THREATS_FOUND"})
			var lost atomic.Int32
			a.FaultOn(strings.TrimPrefix(key, "uploads/"), func(r *http.Request) s3server.Fault {
				// As often as the SDK asks, so that the delivery fails.
				if r.Method == http.MethodPut && r.URL.Query().Has("tagging") && lost.Add(1) <= 4 {
					return s3server.Fault{Kind: s3server.Drop, Apply: applied}
				}
				return s3server.Fault{}
			})
			first := a.store(t, key, "content")
			a.settleKey(t, key)
			a.wantRejected(t, key, first, "content", "THREATS_FOUND")
			if lost.Load() == 0 {
				t.Error("nothing got lost")
			}
		})
	}
}

// settleKey waits until no message is about this key.
func (s *scanningStack) settleKey(t *testing.T, key string) {
	t.Helper()
	about := func(body string) bool { return strings.Contains(body, strings.TrimPrefix(key, layout.Uploads)) }
	for end := time.Now().Add(time.Minute); slices.ContainsFunc(s.Queues[acceptQueue].Bodies(), about); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("messages are left: %v", s.Queues[acceptQueue].Bodies())
		}
	}
	if dead := slices.DeleteFunc(s.Queues[acceptDead].Bodies(), func(body string) bool { return !about(body) }); len(dead) > 0 {
		t.Errorf("messages were given up: %v", dead)
	}
}

// TestNoScan: an upload that nobody scans is not accepted, and its message is given up, which
// is an alarm. What is told later accepts it.
func TestNoScan(t *testing.T) {
	a := newScanning(t)
	key := newUploadKey()
	a.find(key)
	first := a.store(t, key, "content")
	for end := time.Now().Add(time.Minute); a.Queues[acceptDead].Len() == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it waits for ever: %v", a.Queues[acceptQueue].Bodies())
		}
	}
	if versions, _ := a.Versions(t, layout.AcceptedCopy(key)); versions != 0 {
		t.Errorf("%d versions were accepted", versions)
	}
	a.tell(key, first, "NO_THREATS_FOUND")
	a.settle(t)
	a.want(t, key, first, "content")
	a.Queues[acceptDead].MoveTo(a.Queues[acceptQueue]) // as oncegate replay does
	a.settle(t)
	a.want(t, key, first, "content")
	if n := len(a.events(t, key)); n != 1 || a.Queues[acceptDead].Len() != 0 {
		t.Errorf("announced %d times, %d messages were given up", n, a.Queues[acceptDead].Len())
	}
}
