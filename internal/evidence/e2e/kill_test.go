//go:build linux

package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/lean/sigv4"
	"oncegate/internal/local/s3server/s3servertest"
	"oncegate/internal/onetime"
)

// TestKills ends a worker, the local edge with all that belongs to it, or the S3
// server by SIGKILL, while clients mint and put. After each restart what was
// acknowledged is stored, what was spent is spent, and nothing was accepted twice.
// ONCEGATE_KILLS says how often. The moment of a kill is a number of answers.
func TestKills(t *testing.T) {
	testbed.DefaultRuntimeOnly(t, "it is long")
	testbed.EachIndex(t, killsWith)
}

func killsWith(t *testing.T, index string) {
	k := &kills{
		template: testbed.Assembly(t, map[string]any{"bucket": s3servertest.Bucket, "index": index}, nil),
		data:     t.TempDir(),
	}
	k.dev = startDev(t, k.template, k.data)
	t.Cleanup(func() {
		k.dev.cmd.Process.Kill()
		k.dev.cmd.Wait() // says that it was killed
	})
	n := testbed.Asked(t, "ONCEGATE_KILLS", 3)
	r := rand.New(rand.NewPCG(seed, 2))
	done := map[string]int{}
	for i := range n {
		victim := []string{"node", "oncegate", "versitygw"}[i%3]
		k.round(t, victim, 1+r.IntN(60))
		if t.Failed() {
			t.Fatalf("kill %d of %d, of %s, seed %d", i+1, n, victim, seed)
		}
		done[victim]++
		tallies[index].kills.Add(1)
	}
	uploads := k.uploads
	k.check(t, uploads) // all of them once more
	acknowledged := 0
	for _, u := range uploads {
		if u.acknowledged {
			acknowledged++
		}
	}
	t.Logf("%d kills (%v), seed %d: %d URLs, %d uploads acknowledged, all there and all spent", n, done, seed, len(uploads), acknowledged)
	if acknowledged < n {
		t.Errorf("%d uploads acknowledged in %d rounds: the kills came too early to mean anything", acknowledged, n)
	}
}

type kills struct {
	template, data string
	dev            *devProcess
	uploads        []*upload
}

// upload is one URL and what its client knows of it.
type upload struct {
	target       string // path and query: the host is another one after a restart
	key          string
	id           onetime.ID
	body         []byte
	acknowledged bool
	open         bool // no answer, or one that leaves it open
	spent        bool // so said the gate
}

// round lets four clients upload until the victim is killed, restarts what is gone,
// and looks at what is there.
func (k *kills) round(t *testing.T, victim string, after int) {
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var mu sync.Mutex
	var round []*upload
	var answers atomic.Int64
	now := make(chan struct{})
	for client := range 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				u, got := k.upload(t, ctx, fmt.Sprintf("round %d, client %d, ", len(k.uploads), client))
				if u != nil {
					mu.Lock()
					round = append(round, u)
					mu.Unlock()
				}
				if answers.Add(got) >= int64(after) {
					select {
					case <-now:
					default:
						stopOnce(&mu, now)
					}
				}
			}
		})
	}
	<-now
	k.kill(t, victim)
	stop() // what is under way is broken off, as with a client that is killed
	clients.Wait()
	if victim != "node" {
		// Without its S3 server the local edge is of no use, and it does not start another.
		k.dev.cmd.Process.Kill()
		k.dev.cmd.Wait() // says that it was killed
		k.dev = startDev(t, k.template, k.data)
	}
	k.check(t, round)
	k.uploads = append(k.uploads, round...)
}

// stopOnce closes the channel unless it is closed.
func stopOnce(mu *sync.Mutex, c chan struct{}) {
	mu.Lock()
	defer mu.Unlock()
	select {
	case <-c:
	default:
		close(c)
	}
}

// upload mints and puts once. It returns how many answers there were.
func (k *kills) upload(t *testing.T, ctx context.Context, name string) (*upload, int64) {
	a, text := once(ctx, http.MethodGet, k.dev.url+"/url", nil)
	if a.err != nil {
		return nil, 0
	}
	if a.status != http.StatusOK {
		return nil, 1
	}
	m := testbed.ParseMinted(t, text)
	u := &upload{target: strings.TrimPrefix(m.URL, k.dev.url), key: m.Key, id: m.ID}
	u.body = fmt.Appendf(nil, "%s%s %s", name, m.Name, strings.Repeat("x", len(m.Name)*int(m.ID[0])))
	a, _ = once(ctx, http.MethodPut, m.URL, bytes.NewReader(u.body))
	u.acknowledged = a.err == nil && a.status == http.StatusOK
	u.open = a.err != nil || a.status >= 500
	return u, 2
}

// kill ends the victim with SIGKILL.
func (k *kills) kill(t *testing.T, victim string) {
	t.Helper()
	pid := k.dev.cmd.Process.Pid
	if victim == "oncegate" {
		k.dev.cmd.Process.Kill()
		return
	}
	killed := 0
	for _, child := range children(t, pid) {
		name, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", child))
		if err == nil && filepath.Base(name) == victim && syscall.Kill(child, syscall.SIGKILL) == nil {
			killed++
		}
	}
	if killed == 0 {
		t.Errorf("there is no %s to kill", victim)
	}
}

// children returns the living processes that a process has started:
// https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
func children(t *testing.T, pid int) (all []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // ended
		}
		// The name, in parentheses, may hold anything.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if parent, _ := strconv.Atoi(fields[1]); parent == pid && fields[0] != "Z" {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			all = append(all, child)
		}
	}
	return all
}

// check checks the promise for every upload, from outside and in the bucket.
func (k *kills) check(t *testing.T, uploads []*upload) {
	t.Helper()
	bucket, index := k.open(t)
	for _, u := range uploads {
		objects, content := look(t, bucket, u.key)
		claims := testbed.Claims(t, index, u.id)
		if objects > 1 || claims > 1 || objects > claims {
			t.Errorf("%s: %d versions of the object, %d of the claim", u.key, objects, claims)
		}
		if u.acknowledged && (objects != 1 || sha256.Sum256(content) != sha256.Sum256(u.body)) {
			t.Errorf("%s: acknowledged, and now %d versions, %d bytes instead of %d", u.key, objects, len(content), len(u.body))
		}
		if !u.acknowledged && !u.open && objects > 0 {
			t.Errorf("%s: refused, and yet stored", u.key)
		}
		if objects == 1 && !bytes.Equal(content, u.body) {
			t.Errorf("%s: half of a body is stored, or another one", u.key)
		}
		if u.spent && claims == 0 {
			t.Errorf("%s: it was spent once and is not any more", u.key)
		}
		// An unused URL is good for this very upload, a spent one for none.
		a := k.put(t, u)
		switch {
		case claims == 1 && a.reason != "used":
			t.Errorf("%s: spent, and now %v, want 403 used", u.key, a)
		case claims == 0 && a.status != http.StatusOK:
			t.Errorf("%s: not spent, and now %v, want 200", u.key, a)
		case claims == 0:
			u.acknowledged = true
		}
		u.spent = true
	}
}

// put uploads the same body again. After a killed worker it may need one more try, if
// nothing was spent.
func (k *kills) put(t *testing.T, u *upload) (a answer) {
	for range 5 {
		if a, _ = once(t.Context(), http.MethodPut, k.dev.url+u.target, bytes.NewReader(u.body)); a.err == nil && a.status < 500 {
			break
		}
	}
	return a
}

// look counts the versions of exactly this key and reads what is stored.
func look(t *testing.T, client *s3.Client, key string) (versions int, content []byte) {
	t.Helper()
	bucket := aws.String(s3servertest.Bucket)
	list, err := client.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: bucket, Prefix: &key})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Versions) == 0 {
		return 0, nil
	}
	out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	if content, err = io.ReadAll(out.Body); err != nil {
		t.Fatal(err)
	}
	return len(list.Versions), content
}

// open opens bucket and index with what `oncegate dev` leaves for its user.
func (k *kills) open(t *testing.T) (*s3.Client, testbed.Records) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(k.data, "env"))
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		env[name] = strings.Trim(value, "'")
	}
	if _, err := url.Parse(env["AWS_ENDPOINT_URL_S3"]); err != nil || env["AWS_SECRET_ACCESS_KEY"] == "" {
		t.Fatalf("%s/env has no endpoint or no credentials", k.data)
	}
	client := s3.New(s3.Options{
		Region: env["AWS_REGION"], BaseEndpoint: aws.String(env["AWS_ENDPOINT_URL_S3"]), UsePathStyle: true, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], ""),
	})
	return client, testbed.OpenRecords(env["AWS_ENDPOINT_URL_S3"], env["AWS_ENDPOINT_URL_DYNAMODB"],
		sigv4.Credentials{AccessKeyID: env["AWS_ACCESS_KEY_ID"], SecretAccessKey: env["AWS_SECRET_ACCESS_KEY"]})
}
