package history

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"oncegate/internal/config"
	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
)

// judged counts what TestMain prints.
type judged struct{ histories, requests, unknown int }

// judgedOf has one for each index.
var judgedOf = map[string]*judged{config.IndexS3: {}, config.IndexDynamoDB: {}}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, index := range testbed.Indexes() {
		n := judgedOf[index]
		fmt.Printf("prove: %d histories%s judged, %d requests, %d of them with an unknown outcome\n", n.histories, testbed.WithIndex(index), n.requests, n.unknown)
	}
	os.Exit(code)
}

// recorder sends requests with one URL, and records them.
type recorder struct {
	*testbed.Stack
	*judged
	m     testbed.Minted
	began time.Time

	mu  sync.Mutex
	all []porcupine.Operation
}

// do sends a request and records it. The context may break it off.
func (r *recorder) do(t *testing.T, ctx context.Context, client int, q request) answer {
	t.Helper()
	sent := time.Since(r.began).Nanoseconds()
	a, err := r.answer(ctx, q)
	answered := time.Since(r.began).Nanoseconds()
	if err != nil {
		t.Errorf("%v: %v", q, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, operation(client, q, sent, a, answered))
	return a
}

var requests = map[string]struct{ method, operation string }{
	start: {"POST", "&uploads"}, part: {"PUT", "&partNumber=1"}, list: {"GET", "&parts"}, complete: {"POST", "&complete"}, put: {"PUT", ""}, giveUp: {"DELETE", ""},
}

var listed = regexp.MustCompile(`^1 \d+ ([0-9a-f]{32})$`)

func (r *recorder) answer(ctx context.Context, q request) (answer, error) {
	if q.do == look {
		return r.look(ctx)
	}
	to := requests[q.do]
	request, err := http.NewRequestWithContext(ctx, to.method, r.m.URL+to.operation, strings.NewReader(q.content))
	if err != nil {
		return answer{}, err
	}
	request.Close = true
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return answer{said: "unknown"}, nil
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{said: "unknown"}, nil
	}
	body := string(raw)
	if leak := r.Leak(fmt.Sprint(response.Header) + body); leak != "" {
		return answer{}, errors.New(leak)
	}
	reason := response.Header.Get("X-Oncegate-Reason")
	switch {
	case response.StatusCode == http.StatusAccepted && q.do == complete:
		return answer{said: "accepted"}, nil
	case response.StatusCode >= 500:
		return answer{said: "unknown"}, nil
	case response.StatusCode != http.StatusOK && reason != "":
		return answer{said: reason}, nil
	case response.StatusCode == http.StatusNotFound && q.do == part && strings.Contains(body, "<Code>NoSuchUpload</Code>"):
		// The gate had let it pass before the upload was over: S3 stores nothing then.
		return answer{said: "unknown"}, nil
	case response.StatusCode != http.StatusOK:
		return answer{}, fmt.Errorf("%d %s %.200s", response.StatusCode, reason, body)
	}
	a := answer{said: "ok"}
	switch q.do {
	case complete:
		_, a.etag, _ = strings.Cut(body, "\n")
	case list:
		if m := listed.FindStringSubmatch(body); m != nil {
			a.etag = m[1]
		} else if body != "" {
			return a, fmt.Errorf("a list of parts that makes no sense: %.200s", body)
		}
	}
	return a, nil
}

// look reads the object past the edge.
func (r *recorder) look(ctx context.Context) (answer, error) {
	out, err := s3servertest.Client(r.S3).GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(s3servertest.Bucket), Key: &r.m.Key})
	if absent := (*types.NoSuchKey)(nil); errors.As(err, &absent) {
		return answer{said: "ok"}, nil
	} else if err != nil {
		return answer{}, err
	}
	defer out.Body.Close()
	content, err := io.ReadAll(out.Body)
	return answer{said: "ok", content: string(content)}, err
}

// race is what clients do at the same time, after what was done one by one before.
type race struct {
	name    string
	before  []request
	at      []request // each client does one of them, by turns
	clients int
}

var (
	sent  = []request{{do: start}, {do: part, content: "a"}}
	races = []race{
		{"20 completes", sent, []request{{do: complete}}, 20},
		{"complete against PUT", sent, []request{{do: complete}, {do: put, content: "bb"}}, 20},
		{"complete against giving up", sent, []request{{do: complete}, {do: complete}, {do: complete}, {do: giveUp}}, 16},
		{"complete against parts", sent, []request{{do: complete}, {do: part, content: "bb"}, {do: list}, {do: part, content: "ccc"}}, 16},
		{"everything", nil, []request{{do: start}, {do: part, content: "a"}, {do: complete}, {do: list}, {do: part, content: "bb"}, {do: complete}, {do: put, content: "ccc"}, {do: start}, {do: giveUp}}, 18},
	}
)

// TestHistories records races through real Node and a real S3 server, in good weather and
// in bad: requests to S3 and to the table get lost, before or after they are carried out, and
// clients break off. ONCEGATE_HISTORIES says how often each race is run.
func TestHistories(t *testing.T) { testbed.EachIndex(t, histories) }

func histories(t *testing.T, index string) {
	usual := 4
	if index == config.IndexDynamoDB {
		usual = 1
	}
	rounds, seed := testbed.Asked(t, "ONCEGATE_HISTORIES", usual), uint64(testbed.Asked(t, "ONCEGATE_SEED", 1))
	if testing.Short() {
		rounds = 1
	}
	st := testbed.New(t, testbed.In(index))
	for _, weather := range []string{"good", "bad"} {
		for _, race := range races {
			t.Run(race.name+", "+weather+" weather", func(t *testing.T) {
				for round := range rounds {
					record(t, st, judgedOf[index], race, weather == "bad", rand.New(rand.NewPCG(seed, uint64(round))))
					if t.Failed() {
						t.Fatalf("round %d, seed %d", round, seed)
					}
				}
			})
		}
	}
}

// record runs a race once and has it judged.
func record(t *testing.T, st *testbed.Stack, judged *judged, race race, bad bool, random *rand.Rand) {
	r := &recorder{Stack: st, judged: judged, m: st.Mint(t), began: time.Now()}
	for _, q := range race.before {
		r.do(t, t.Context(), 0, q)
	}
	var mu sync.Mutex
	chance := func(n int) bool {
		mu.Lock()
		defer mu.Unlock()
		return bad && random.IntN(n) == 0
	}
	st.Trouble("", func(testbed.Request) s3server.Fault {
		switch {
		case chance(25):
			return s3server.Fault{Kind: s3server.Drop}
		case chance(25):
			return s3server.Fault{Kind: s3server.Drop, Apply: true}
		}
		return s3server.Fault{}
	})
	var together sync.WaitGroup
	for i := range race.clients {
		q := race.at[i%len(race.at)]
		if q.do == put {
			// Each has its own content, so that what is stored says whose PUT it was, also if
			// its answer got lost.
			q.content += strconv.Itoa(i)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if chance(6) {
			mu.Lock()
			after := time.Duration(random.IntN(60)) * time.Millisecond
			mu.Unlock()
			time.AfterFunc(after, cancel)
		}
		together.Go(func() {
			defer cancel()
			r.do(t, ctx, i+1, q)
		})
	}
	together.Wait()
	st.Trouble("", nil)
	// What is asked afterwards must agree with all of it.
	for _, q := range []request{{do: complete}, {do: look}, {do: put, content: "ccc"}, {do: complete}, {do: giveUp}, {do: look}} {
		r.do(t, t.Context(), 0, q)
	}
	r.judge(t, r.all)
}

// judge has a history checked, and then the same history with one answer turned into its
// opposite, which must not pass.
func (j *judged) judge(t *testing.T, all []porcupine.Operation) {
	t.Helper()
	all = withLate(all)
	verdict, info := porcupine.CheckOperationsVerbose(model, all, time.Minute)
	if verdict != porcupine.Ok {
		file, err := os.CreateTemp("", "history-*.html")
		if err == nil {
			defer file.Close()
			err = porcupine.Visualize(model, info, file)
		}
		t.Errorf("%s: no order of these requests explains their answers (%v, %v):", verdict, file.Name(), err)
		for _, op := range all {
			t.Errorf("%4d to %4d ms  client %2d  %s", op.Call/1e6, min(op.Return/1e6, 1e6), op.ClientId, model.DescribeOperation(op.Input, op.Output))
		}
		return
	}
	j.histories++
	j.requests += len(all)
	forgedOne := false
	for i, op := range all {
		a := op.Output.(answer)
		if a.said == "unknown" {
			j.unknown++
		}
		if op.Input.(request).do != put || a.said != "used" && a.said != "revoked" || forgedOne {
			continue
		}
		forgedOne = true
		forged := append([]porcupine.Operation(nil), all...)
		a.said = "ok"
		forged[i].Output = a
		// That no order explains it can take long to find out. It must not find one.
		if porcupine.CheckOperationsTimeout(model, forged, 200*time.Millisecond) == porcupine.Ok {
			t.Errorf("the same history passes with an upload more, by client %d", op.ClientId)
		}
	}
}
