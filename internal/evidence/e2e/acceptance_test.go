package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/uuid"

	"oncegate/internal/acceptance"
	"oncegate/internal/evidence/testbed"
	"oncegate/internal/layout"
	"oncegate/internal/local/api"
	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
)

// acceptingStack is the whole chain with the real bootstrap of acceptance.
type acceptingStack struct {
	*testbed.Stack
	s3 *s3.Client

	mu         sync.Mutex
	deliveries map[string][]delivery // by key
}

const acceptFunction, acceptQueue, acceptDead = "oncegate-accept", "oncegate-accept", "oncegate-accept-dead"

func newAccepting(t *testing.T, options ...testbed.Option) *acceptingStack {
	t.Helper()
	a := &acceptingStack{deliveries: map[string][]delivery{}}
	a.Stack = testbed.New(t, append([]testbed.Option{testbed.Accepting, func(s *testbed.Setup) {
		s.Jobs.Visibility = 5 * time.Second
		s.Jobs.Deliver = func(key string, send func()) { a.delivery(key)(send) }
	}}, options...)...)
	a.s3 = s3servertest.Client(a.S3)
	return a
}

// delivery decides what becomes of one notification. Each call of send puts it into the queue.
type delivery func(send func())

// times sends a notification n times at once.
func times(n int) delivery {
	return func(send func()) {
		for range n {
			send()
		}
	}
}

// held keeps one notification back until release is called.
func held() (d delivery, release func()) {
	kept := make(chan func(), 1)
	return func(send func()) { kept <- send }, func() { (<-kept)() }
}

// deliver sets how the notifications of a key's versions are delivered, one after the other. The
// last delivery is for all that follow.
func (a *acceptingStack) deliver(key string, deliveries ...delivery) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.deliveries[key] = deliveries
}

// delivery returns how the next notification of a key is delivered.
func (a *acceptingStack) delivery(key string) delivery {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := a.deliveries[key]
	if len(all) == 0 {
		return times(1)
	}
	if len(all) > 1 {
		a.deliveries[key] = all[1:]
	}
	return all[0]
}

// newUploadKey returns a key that no URL was minted for.
func newUploadKey() string { return layout.Uploads + uuid.NewString() }

// store writes a version straight to the bucket, with the operator's credentials.
func (a *acceptingStack) store(t *testing.T, key, content string) (version string) {
	t.Helper()
	out, err := a.s3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(s3servertest.Bucket), Key: &key, Body: strings.NewReader(content), Metadata: map[string]string{"of": content}, ContentType: aws.String("text/x-" + content),
	})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.VersionId)
}

// events returns the events of this upload.
func (a *acceptingStack) events(t *testing.T, key string) (all []acceptance.Event) {
	t.Helper()
	for _, raw := range a.Services.Events() {
		var e struct {
			DetailType string `json:"detail-type"`
			Source     string
			Detail     acceptance.Event
		}
		if err := json.Unmarshal(raw, &e); err != nil || e.Source != "oncegate" || e.DetailType != "oncegate.accepted" {
			t.Errorf("event %s: %v", raw, err)
		}
		if e.Detail.Key == key {
			all = append(all, e.Detail)
		}
	}
	return all
}

// tagged reports whether everything is done for this version.
func (a *acceptingStack) tagged(t *testing.T, key, version string) bool {
	t.Helper()
	out, err := a.s3.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: aws.String(s3servertest.Bucket), Key: &key, VersionId: &version})
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(out.TagSet, func(tag types.Tag) bool { return *tag.Key == acceptance.Tag && *tag.Value == acceptance.TagValue })
}

// settle waits until nothing is left to follow.
func (a *acceptingStack) settle(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(time.Minute); a.Queues[acceptQueue].Len() > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("messages are left: %v", a.Queues[acceptQueue].Bodies())
		}
	}
}

// want checks that accepted/ has exactly the first version, that everything is done for
// it and nothing for the late ones, and that all late ones are still there.
func (a *acceptingStack) want(t *testing.T, key, first, content string, late ...string) {
	t.Helper()
	to := layout.AcceptedCopy(key)
	out, err := a.s3.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String(s3servertest.Bucket), Prefix: &to})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Versions) == 0 || len(out.DeleteMarkers) != 0 {
		t.Errorf("%s has %d versions and %d delete markers", to, len(out.Versions), len(out.DeleteMarkers))
	}
	for _, v := range out.Versions {
		head, err := a.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(s3servertest.Bucket), Key: &to, VersionId: v.VersionId})
		if err != nil {
			t.Fatal(err)
		}
		if head.Metadata[acceptance.VersionMetadata] != first || aws.ToInt64(head.ContentLength) != int64(len(content)) {
			t.Errorf("%s has %v, want version %s", to, head.Metadata, first)
		}
	}
	if got := a.Stored(t, to); got != content {
		t.Errorf("%s has content %q, want %q", to, got, content)
	}
	events := a.events(t, key)
	if len(events) == 0 {
		t.Errorf("%s was not announced", key)
	}
	for _, e := range events {
		if e.Version != first || e.Accepted != to || e.Size != int64(len(content)) || e.Bucket != s3servertest.Bucket || e.At.IsZero() {
			t.Errorf("announced %+v, want version %s", e, first)
		}
	}
	if !a.tagged(t, key, first) {
		t.Errorf("version %s of %s is not tagged", first, key)
	}
	for _, v := range late {
		if a.tagged(t, key, v) {
			t.Errorf("version %s of %s is late and tagged", v, key)
		}
		if line := fmt.Sprintf(`version\":\"%s\",\"first\":\"%s`, v, first); !strings.Contains(a.Log(), `late version`) || !strings.Contains(a.Log(), line) {
			t.Errorf("the log does not report that version %s of %s is late", v, key)
		}
	}
}

// TestAcceptance tries everything that can reach acceptance, with the built bootstrap in
// real processes, the role of the templates and a real S3 server.
func TestAcceptance(t *testing.T) {
	a := newAccepting(t)
	t.Run("one upload with a URL", func(t *testing.T) {
		m := testbed.ParseMinted(t, a.Do(t, http.MethodGet, a.Edge.URL()+"/url?label=a+label&name=photo.jpg", nil, nil).Body)
		if r := a.Do(t, http.MethodPut, m.URL, http.Header{"Content-Type": {"image/jpeg"}}, strings.NewReader("content")); r.Status != http.StatusOK {
			t.Fatal(r)
		}
		a.settle(t)
		versions, err := a.s3.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String(s3servertest.Bucket), Prefix: &m.Key})
		if err != nil || len(versions.Versions) != 1 {
			t.Fatalf("%v, %v", versions, err)
		}
		a.want(t, m.Key, *versions.Versions[0].VersionId, "content")
		for _, e := range a.events(t, m.Key) {
			if e.ID != m.ID || e.Label != "a label" || e.Name != "photo.jpg" {
				t.Errorf("announced %+v, want id %s", e, m.ID)
			}
		}
		to := "accepted/" + m.Name
		if got, want := a.StoredHeader(t, to), a.StoredHeader(t, m.Key); !maps.EqualFunc(got, want, slices.Equal) || got.Get("Content-Type") != "image/jpeg" {
			t.Errorf("the copy has %v, the upload %v", got, want)
		}
		// Nobody but acceptance puts anything there, the operator included; he may
		// delete it.
		if _, err := a.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(s3servertest.Bucket), Key: &to, Body: strings.NewReader("forged")}); err == nil {
			t.Error("somebody else has accepted")
		}
		if _, err := a.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(s3servertest.Bucket), Key: &to}); err != nil {
			t.Errorf("consume: %v", err)
		}
		// Consumed is decided as well: the event once more makes nothing again.
		late := a.store(t, m.Key, "late")
		a.settle(t)
		if _, markers := a.Versions(t, to); markers != 1 || a.tagged(t, m.Key, late) {
			t.Errorf("%d markers after something late", markers)
		}
	})
	t.Run("two and three versions under one key", func(t *testing.T) {
		for n := 2; n <= 3; n++ {
			key := newUploadKey()
			var versions []string
			for i := range n {
				versions = append(versions, a.store(t, key, fmt.Sprintf("content%d", i)))
			}
			a.settle(t)
			a.want(t, key, versions[0], "content0", versions[1:]...)
		}
	})
	t.Run("too late", func(t *testing.T) {
		key := newUploadKey()
		first := a.store(t, key, "first")
		a.settle(t)
		late := a.store(t, key, "late")
		a.settle(t)
		a.want(t, key, first, "first", late)
	})
	t.Run("event 5 times", func(t *testing.T) {
		key := newUploadKey()
		a.deliver(key, times(5))
		first := a.store(t, key, "first")
		a.settle(t)
		a.want(t, key, first, "first")
	})
	t.Run("events reversed", func(t *testing.T) {
		key := newUploadKey()
		later, release := held()
		a.deliver(key, later, times(1))
		first, late := a.store(t, key, "first"), a.store(t, key, "second")
		a.settle(t)
		a.want(t, key, first, "first", late)
		release()
		a.settle(t)
		a.want(t, key, first, "first", late)
		if n := len(a.events(t, key)); n != 1 {
			t.Errorf("announced %d times", n)
		}
	})
	t.Run("two at once", func(t *testing.T) {
		for range 5 {
			key := newUploadKey()
			a.deliver(key, times(2))
			first, late := a.store(t, key, "first"), a.store(t, key, "second")
			a.settle(t)
			a.want(t, key, first, "first", late)
		}
	})
	t.Run("a crash after the copy", func(t *testing.T) {
		var crashes atomic.Int32
		a.Services.SetIntercept(func(target string) api.Fault {
			if target != "AWSEvents.PutEvents" || crashes.Add(1) > 1 {
				return api.Fault{}
			}
			for _, pid := range a.Lambda.Functions[acceptFunction].PIDs() {
				syscall.Kill(pid, syscall.SIGKILL)
			}
			return api.Fault{Lose: true}
		})
		defer a.Services.SetIntercept(nil)
		key := newUploadKey()
		first := a.store(t, key, "first")
		a.settle(t)
		a.want(t, key, first, "first")
		if crashes.Load() < 2 {
			t.Error("nothing has crashed")
		}
	})
	t.Run("answers that get lost", func(t *testing.T) {
		var lost atomic.Int32
		a.Services.SetIntercept(func(string) api.Fault { return api.Fault{Lose: lost.Add(1) <= 6, Applied: true} })
		defer a.Services.SetIntercept(nil)
		key := newUploadKey()
		a.FaultOn(strings.TrimPrefix(key, "uploads/"), func(r *http.Request) s3server.Fault {
			if r.Header.Get("X-Amz-Copy-Source") != "" && lost.Load() == 0 {
				return s3server.Fault{Kind: s3server.Drop, Apply: true}
			}
			return s3server.Fault{}
		})
		first := a.store(t, key, "first")
		for end := time.Now().Add(20 * time.Second); lost.Load() == 0 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if v, _ := a.Versions(t, layout.AcceptedCopy(key)); v > 0 {
				a.FaultOn(strings.TrimPrefix(key, "uploads/"), nil)
			}
		}
		a.settle(t)
		a.want(t, key, first, "first")
	})
	if dead := a.Queues[acceptDead].Bodies(); len(dead) != 0 {
		t.Errorf("given up: %v", dead)
	}
}

// TestAcceptancePoison: a message that can never be handled ends in the dead-letter queue
// and delays no other.
func TestAcceptancePoison(t *testing.T) {
	testbed.DefaultRuntimeOnly(t, "acceptance does not depend on the runtime")
	a := newAccepting(t, func(s *testbed.Setup) { s.Jobs.Visibility = time.Second })
	a.Queues[acceptQueue].Send("garbage")
	foreign := a.store(t, "uploads/no-uuid", "content")
	key := newUploadKey()
	first := a.store(t, key, "first")
	dead := a.Queues[acceptDead]
	for end := time.Now().Add(time.Minute); dead.Len() < 2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("dead: %v, left: %v", dead.Bodies(), a.Queues[acceptQueue].Bodies())
		}
	}
	a.settle(t)
	a.want(t, key, first, "first")
	bodies := strings.Join(dead.Bodies(), "\n")
	if dead.Len() != 2 || !strings.Contains(bodies, "garbage") || !strings.Contains(bodies, foreign) {
		t.Errorf("dead: %s", bodies)
	}
}

// TestRaceAcceptance: rounds of one to three versions, each announced one to three times,
// late and in any order. ONCEGATE_ACCEPT_ROUNDS sets the number of rounds.
func TestRaceAcceptance(t *testing.T) {
	testbed.DefaultRuntimeOnly(t, "acceptance does not depend on the runtime")
	rounds := 40
	if text := os.Getenv("ONCEGATE_ACCEPT_ROUNDS"); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil || rounds < 1 {
			t.Fatalf("ONCEGATE_ACCEPT_ROUNDS=%q: want a positive number", text)
		}
	}
	a := newAccepting(t, func(s *testbed.Setup) { s.Jobs.Visibility = 20 * time.Second })
	type upload struct {
		key      string
		versions []string
	}
	var uploads []upload
	var onTheWay sync.WaitGroup // notifications
	began := time.Now()
	for round := range rounds {
		r := rand.New(rand.NewPCG(uint64(round), 1))
		u := upload{key: newUploadKey()}
		n := 1 + r.IntN(3)
		var deliveries []delivery
		for range n {
			var delays []time.Duration
			for range 1 + r.IntN(3) {
				delays = append(delays, time.Duration(r.IntN(3))*50*time.Millisecond)
			}
			onTheWay.Add(len(delays))
			deliveries = append(deliveries, func(send func()) {
				for _, d := range delays {
					time.AfterFunc(d, func() { send(); onTheWay.Done() })
				}
			})
		}
		a.deliver(u.key, deliveries...)
		for i := range n {
			u.versions = append(u.versions, a.store(t, u.key, fmt.Sprintf("content%d", i)))
		}
		uploads = append(uploads, u)
	}
	onTheWay.Wait()
	a.settle(t)
	for _, u := range uploads {
		a.want(t, u.key, u.versions[0], "content0", u.versions[1:]...)
	}
	if dead := a.Queues[acceptDead].Bodies(); len(dead) != 0 {
		t.Errorf("given up: %v", dead)
	}
	t.Logf("%d rounds in %v", rounds, time.Since(began).Round(time.Second))
}
