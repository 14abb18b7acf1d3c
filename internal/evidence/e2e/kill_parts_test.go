//go:build linux

package e2e

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server/s3servertest"
)

// partsSteps are the requests of an upload in parts, in their order. The last two are two
// ways to end it.
var partsSteps = []string{"start", "part", "list", "complete", "give up"}

// TestKillsInParts ends a worker, the local edge or the S3 server by SIGKILL while clients
// are in one step of an upload in parts. After a restart all that was acknowledged holds, the
// rest can be sent again, and in the end there is one object and one claim for each URL, or
// none where the client gave up. ONCEGATE_KILLS says how often.
func TestKillsInParts(t *testing.T) { testbed.EachIndex(t, killsInPartsWith) }

func killsInPartsWith(t *testing.T, index string) {
	settings := map[string]any{"bucket": s3servertest.Bucket, "index": index}
	victims := []string{"node", "oncegate", "versitygw"}
	if runtime := os.Getenv("ONCEGATE_RUNTIME"); runtime != "" {
		settings["runtime"] = runtime
		victims[0] = "bootstrap"
	}
	k := &kills{template: testbed.Assembly(t, settings, nil), data: t.TempDir()}
	k.dev = startDev(t, k.template, k.data)
	t.Cleanup(func() {
		k.dev.cmd.Process.Kill()
		k.dev.cmd.Wait() // says that it was killed
	})
	r := rand.New(rand.NewPCG(seed, 3))
	n := max(len(partsSteps), testbed.Asked(t, "ONCEGATE_KILLS", 0)) // 15 are every step with every victim
	for i := range n {
		step, victim := partsSteps[i%len(partsSteps)], victims[i%len(victims)]
		if k.partsRound(t, step, victim, r.IntN(3)); t.Failed() {
			t.Fatalf("kill %d of %d, of %s during %s, seed %d", i+1, n, victim, step, seed)
		}
		tallies[index].kills.Add(1)
	}
}

// inParts is one upload in parts and what its client was told.
type inParts struct {
	minted testbed.Minted
	target string // path and query: the host is another one after a restart
	parts  [][]byte
	said   map[string]string // the answers to requests that were acknowledged
}

// request is the one of this step, with its body. The part is the second one.
func (u *inParts) request(step string) (method, operation string, body []byte) {
	switch step {
	case "start":
		return http.MethodPost, "&uploads", nil
	case "first part":
		return http.MethodPut, "&partNumber=1", u.parts[0]
	case "part":
		return http.MethodPut, "&partNumber=2", u.parts[1]
	case "list":
		return http.MethodGet, "&parts", nil
	case "complete":
		return http.MethodPost, "&complete", nil
	}
	return http.MethodDelete, "", nil
}

// ask sends the request of this step once. Only 200 acknowledges it.
func (k *kills) ask(t *testing.T, u *inParts, step string) (answer, string) {
	method, operation, body := u.request(step)
	return once(t.Context(), method, k.dev.url+u.target+operation, bytes.NewReader(body))
}

// insist sends it until there is an answer that says what became of it.
func (k *kills) insist(t *testing.T, u *inParts, step string) (a answer, text string) {
	t.Helper()
	for range 10 {
		if a, text = k.ask(t, u, step); a.err == nil && a.status < 500 && a.status != http.StatusAccepted {
			return a, text
		}
	}
	return a, text
}

// must is insist, and the answer is 200.
func (k *kills) must(t *testing.T, u *inParts, step string) string {
	t.Helper()
	a, text := k.insist(t, u, step)
	if a.status != http.StatusOK {
		t.Errorf("%s of %s: %v %s", step, u.minted.Name, a, text)
	}
	return text
}

// partsRound has four clients come to one step. It kills the victim when so many have an
// answer, restarts what is gone, and looks at what is there.
func (k *kills) partsRound(t *testing.T, step, victim string, after int) {
	all := make([]*inParts, 4)
	for i := range all {
		a, text := once(t.Context(), http.MethodGet, k.dev.url+"/url", nil)
		if a.status != http.StatusOK {
			t.Fatal(a)
		}
		m := testbed.ParseMinted(t, text)
		u := &inParts{minted: m, target: strings.TrimPrefix(m.URL, k.dev.url), said: map[string]string{}}
		u.parts = [][]byte{bytes.Repeat([]byte(m.Name[:8]), 5<<20/8), []byte("the end of " + m.Name)}
		for _, before := range []string{"start", "first part", "part", "list"} {
			if before == step {
				break
			}
			u.said[before] = k.must(t, u, before)
		}
		all[i] = u
	}
	var clients sync.WaitGroup
	var mu sync.Mutex
	answers := make(chan struct{}, len(all))
	for _, u := range all {
		clients.Go(func() {
			if a, text := k.ask(t, u, step); a.err == nil && a.status == http.StatusOK {
				mu.Lock()
				u.said[step] = text
				mu.Unlock()
			}
			answers <- struct{}{}
		})
	}
	for range after {
		<-answers
	}
	k.kill(t, victim)
	clients.Wait()
	if victim == "oncegate" || victim == "versitygw" {
		// Without its S3 server the local edge is of no use, and it does not start another.
		k.dev.cmd.Process.Kill()
		k.dev.cmd.Wait() // says that it was killed
		k.dev = startDev(t, k.template, k.data)
	}
	for _, u := range all {
		k.checkParts(t, u, step)
	}
}

// checkParts holds what was acknowledged against what is there, and brings the upload to its
// end.
func (k *kills) checkParts(t *testing.T, u *inParts, step string) {
	t.Helper()
	_, completed := u.said["complete"]
	if step != "complete" && step != "give up" {
		if text, told := u.said["start"]; told && k.must(t, u, "start") != text {
			t.Errorf("%s: started again, it is another upload than %q", u.minted.Name, text)
		}
		list, started := "", step != "start" || u.said["start"] != ""
		if started {
			list = k.must(t, u, "list")
		}
		for n, name := range []string{"first part", "part"} {
			line := fmt.Sprintf("%d %d %x\n", n+1, len(u.parts[n]), md5.Sum(u.parts[n]))
			if _, told := u.said[name]; told && !strings.Contains(list+"\n", line) {
				t.Errorf("%s: acknowledged %s, and S3 has\n%s", u.minted.Name, line, list)
			}
		}
		for _, again := range []string{"start", "first part", "part"} {
			k.must(t, u, again)
		}
	}
	want := 1
	if step == "give up" {
		k.must(t, u, step)
		want = 0
		if a, _ := k.insist(t, u, "complete"); a.reason != "revoked" {
			t.Errorf("%s: given up, and complete is %v", u.minted.Name, a)
		}
	} else if text := k.must(t, u, "complete"); completed && text != u.said["complete"] {
		t.Errorf("%s: complete was %q, and is %q", u.minted.Name, u.said["complete"], text)
	}
	bucket, index := k.open(t)
	objects, content := look(t, bucket, u.minted.Key)
	claims := testbed.Claims(t, index, u.minted.ID)
	if objects != want || claims != 1 {
		t.Errorf("%s: %d objects and %d claims, want %d and one", u.minted.Name, objects, claims, want)
	}
	if objects == 1 && !bytes.Equal(content, bytes.Join(u.parts, nil)) {
		t.Errorf("%s: stored are %d bytes that are not those of the parts", u.minted.Name, len(content))
	}
	if a := k.put(t, &upload{target: u.target, body: []byte("another")}); a.status != http.StatusForbidden {
		t.Errorf("%s: in the end a PUT is %v", u.minted.Name, a)
	}
}
