package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"oncegate/internal/config"
	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server"
)

// tally counts what make prove reports of these tests.
type tally struct{ races, kills atomic.Int64 }

// tallies has one for each index.
var tallies = map[string]*tally{config.IndexS3: {}, config.IndexDynamoDB: {}}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, index := range testbed.Indexes() {
		fmt.Printf("prove: %d races%s run, seed %d\n", tallies[index].races.Load(), testbed.WithIndex(index), seed)
		fmt.Printf("prove: %d kills%s survived, seed %d\n", tallies[index].kills.Load(), testbed.WithIndex(index), seed)
	}
	os.Exit(code)
}

// seed is the source of all choices: ONCEGATE_SEED, or 1. The same seed makes the same
// choices; their order in time still depends on the machine.
var seed = func() uint64 {
	n, err := strconv.ParseUint(os.Getenv("ONCEGATE_SEED"), 10, 64)
	if err != nil {
		return 1
	}
	return n
}()

// TestStorm is the race for one URL in bad weather: S3 and the table are slow, drop requests
// before or after they have done them, answer 503 and 409; clients break off and repeat
// themselves; workers and the S3 server are killed under way.
func TestStorm(t *testing.T) {
	testbed.DefaultRuntimeOnly(t, "it is long")
	for _, manner := range manners() {
		t.Run(manner.name, func(t *testing.T) {
			w := &storm{Stack: testbed.New(t, manner.option), tally: tallies[manner.index], kill: make(chan struct{}, 1)}
			w.countdown.Store(50)
			ctx, stop := context.WithCancel(t.Context())
			var killer, rounds sync.WaitGroup
			killer.Go(func() { w.killer(t, ctx) })
			n := testbed.Asked(t, "ONCEGATE_STORM_ROUNDS", 12)
			slots := make(chan struct{}, 4)
			for i := range n {
				slots <- struct{}{}
				if t.Failed() {
					break
				}
				rounds.Go(func() {
					defer func() { <-slots }()
					w.round(t, rand.New(rand.NewPCG(seed, uint64(i))))
				})
			}
			rounds.Wait()
			stop()
			killer.Wait()
			// What was acknowledged is there when all is over, a last kill included.
			w.S3.Kill()
			if err := w.S3.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			for key, sum := range w.acknowledged {
				if got := sha256.Sum256([]byte(w.Stored(t, key))); got != sum {
					t.Errorf("%s is not what was acknowledged", key)
				}
			}
			t.Logf("%d rounds, seed %d: %d uploads acknowledged, %d workers and %d times S3 killed; answers %v",
				n, seed, len(w.acknowledged), w.workers.Load(), w.servers.Load(), w.answers)
			if len(w.acknowledged) < n/4 {
				t.Errorf("only %d of %d rounds have seen an upload acknowledged", len(w.acknowledged), n)
			}
		})
	}
}

type storm struct {
	*testbed.Stack
	*tally
	// calm is held for reading while the bucket is looked at, and for writing while
	// the S3 server is down.
	calm             sync.RWMutex
	kill             chan struct{}
	countdown        atomic.Int64 // requests until the next kill
	workers, servers atomic.Int64

	mu           sync.Mutex
	acknowledged map[string][sha256.Size]byte // by key
	answers      map[string]int
}

// weather makes the faults of one URL. Requests come from many goroutines.
func (w *storm) weather(r *rand.Rand) func(testbed.Request) s3server.Fault {
	var mu sync.Mutex
	bad := r.IntN(3) // of ten requests
	return func(testbed.Request) s3server.Fault {
		if w.countdown.Add(-1) == 0 {
			w.kill <- struct{}{}
		}
		mu.Lock()
		defer mu.Unlock()
		f := s3server.Fault{Delay: time.Duration(r.IntN(30)) * time.Millisecond}
		if r.IntN(10) >= bad {
			return f
		}
		f.Apply = r.IntN(2) == 0
		switch r.IntN(5) {
		case 0, 1:
			f.Kind = s3server.Drop
		case 2:
			f.Kind = s3server.Truncate
		default:
			f.Kind, f.Status = s3server.Answer, []int{500, 503, 409}[r.IntN(3)]
		}
		return f
	}
}

// killer ends a worker, or the S3 server, whenever it is told to.
func (w *storm) killer(t *testing.T, ctx context.Context) {
	r := rand.New(rand.NewPCG(seed, 1<<32))
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.kill:
		}
		if pids := w.Edge.Workers(); len(pids) > 0 && r.IntN(3) > 0 {
			syscall.Kill(pids[r.IntN(len(pids))], syscall.SIGKILL) // it may have ended by itself
			w.workers.Add(1)
		} else {
			w.calm.Lock()
			w.S3.Kill()
			if err := w.S3.Restart(t.Context()); err != nil {
				t.Errorf("S3 does not come back: %v", err)
			}
			w.calm.Unlock()
			w.servers.Add(1)
		}
		w.countdown.Store(int64(20 + r.IntN(100)))
	}
}

// round races for one URL and counts the results.
func (w *storm) round(t *testing.T, r *rand.Rand) {
	m, ok := w.tryMint(t)
	if !ok {
		return
	}
	weather := w.weather(rand.New(rand.NewPCG(seed, r.Uint64())))
	w.Trouble(string(m.ID), weather)
	w.Trouble(m.Name, weather)
	bodies := make([][]byte, 2+r.IntN(10))
	answers := make([][]answer, len(bodies))
	brokeOff := false
	var start, done sync.WaitGroup
	start.Add(1)
	for i := range bodies {
		bodies[i] = fmt.Appendf(nil, "body %d of %s %s", i, m.Name, strings.Repeat("x", r.IntN(1<<uint(r.IntN(17)))))
		breaksOff, repeats := r.IntN(8) == 0, r.IntN(3)
		brokeOff = brokeOff || breaksOff
		done.Go(func() {
			start.Wait()
			if breaksOff {
				w.half(t, m, bodies[i])
				return
			}
			for range 1 + repeats {
				answers[i] = append(answers[i], w.put(t, m, bodies[i]))
			}
		})
	}
	start.Done()
	done.Wait()
	w.Trouble(string(m.ID), nil)
	w.Trouble(m.Name, nil)

	w.calm.RLock()
	defer w.calm.RUnlock()
	w.races.Add(1)
	winner := -1
	for i, all := range answers {
		for _, a := range all {
			w.note(a)
			if a.status != http.StatusOK {
				continue
			}
			if winner >= 0 {
				t.Errorf("%s: clients %d and %d were both acknowledged", m.Name, winner, i)
			}
			winner = i
		}
	}
	objects, markers := w.Versions(t, m.Key)
	spent := testbed.Claims(t, w.Records(), m.ID)
	switch {
	case objects > 1 || spent > 1 || markers > 0:
		t.Errorf("%s: %d versions of the object, %d claims, %d delete markers", m.Name, objects, spent, markers)
	case objects > spent:
		t.Errorf("%s: an object is stored and nobody has claimed the URL", m.Name)
	case winner >= 0 && objects == 0:
		t.Errorf("%s: client %d was acknowledged and nothing is stored", m.Name, winner)
	case objects == 1:
		stored := w.Stored(t, m.Key)
		whole := false
		for i, body := range bodies {
			whole = whole || stored == string(body) && (winner < 0 || winner == i)
		}
		if !whole {
			t.Errorf("%s: what is stored (%d bytes) is not a whole body of the one who was acknowledged (client %d)", m.Name, len(stored), winner)
		}
	}
	if winner >= 0 {
		w.mu.Lock()
		if w.acknowledged == nil {
			w.acknowledged = map[string][sha256.Size]byte{}
		}
		w.acknowledged[m.Key] = sha256.Sum256(bodies[winner])
		w.mu.Unlock()
	}
	// Afterwards, without faults: spent is spent, and the rest is good.
	last := w.put(t, m, []byte("afterwards"))
	switch {
	case last.err != nil || last.status >= 500: // a worker was killed under it
	case spent == 1 && last.reason != "used":
		t.Errorf("%s: the URL is spent, but the next PUT gets %v, want 403 used", m.Name, last)
	case spent == 0 && last.reason == "used" && brokeOff:
		// The gate of who broke off may have been under way: it decides without him.
		w.WantClaims(t, m.ID, 1)
	case spent == 0 && last.status != http.StatusOK:
		t.Errorf("%s: nothing was spent, but the next PUT is refused: %v", m.Name, last)
	}
}

// answer is one answer, or none.
type answer struct {
	status int
	reason string
	err    error
}

func (a answer) String() string {
	if a.err != nil {
		return "none"
	}
	return strings.TrimSpace(strconv.Itoa(a.status) + " " + a.reason)
}

func (w *storm) note(a answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.answers == nil {
		w.answers = map[string]int{}
	}
	w.answers[a.String()]++
}

// put uploads on a connection of its own. Other than Stack.Put it may fail.
func (w *storm) put(t *testing.T, m testbed.Minted, body []byte) answer {
	a, text := once(t.Context(), http.MethodPut, m.URL, bytes.NewReader(body))
	w.CheckLeak(t, text)
	return a
}

// once makes one request and reads the whole answer.
func once(ctx context.Context, method, url string, body io.Reader) (answer, string) {
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return answer{err: err}, ""
	}
	r.Close = true
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return answer{err: err}, ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header.Get("X-Oncegate-Reason"), err}, string(text)
}

// tryMint mints, and tries again while workers or S3 are down.
func (w *storm) tryMint(t *testing.T) (testbed.Minted, bool) {
	for range 20 {
		a, text := once(t.Context(), http.MethodGet, w.Edge.URL()+"/url", nil)
		if a.err == nil && a.status == http.StatusOK {
			return testbed.ParseMinted(t, text), true
		}
		w.waitForS3()
	}
	t.Error("no URL in 20 tries")
	return testbed.Minted{}, false
}

// waitForS3 returns when the server is not on its way back up.
func (w *storm) waitForS3() {
	w.calm.RLock()
	defer w.calm.RUnlock()
}

// half sends a part of the body and breaks off.
func (w *storm) half(t *testing.T, m testbed.Minted, body []byte) {
	host, target, _ := strings.Cut(strings.TrimPrefix(m.URL, "http://"), "/")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "PUT /%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", target, host, len(body)+1, body)
	conn.(*net.TCPConn).SetLinger(0)
}
