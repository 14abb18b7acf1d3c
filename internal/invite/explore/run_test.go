package explore_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"oncegate/internal/invite"
	"oncegate/internal/invite/invitetest"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
	"oncegate/internal/onetime/schedule"
)

var start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

const (
	plenty = time.Minute
	life   = time.Hour
	keep   = 30 * 24 * time.Hour
)

// scenario is who takes part, under an invitation for so many uploads, and how much may go
// wrong.
type scenario struct {
	name    string
	uploads int
	faults  int
	long    int            // faults in the long run, where they are more
	before  func(w *world) // what happened before anybody begins
	cast    []part
	// lie, if set, changes what the bucket answers, for every participant.
	lie func(op string, err error) error
}

// part is what a participant does. late is how far its clock is from start.
type part struct {
	name string
	late time.Duration
	play func(a *actor) (result string)
}

// world is the bucket, and what a test knows of it.
type world struct {
	index   *onetimetest.Store
	objects *invitetest.Objects
	id      invite.ID
	first   []onetime.Minted // URLs from before
}

// run is one execution.
type run struct {
	*world
	schedule.Stage
	scenario *scenario
	actors   []*actor
	faults   int
	spent    int // uploads that were let through when a revoke was answered, or -1
	reports  []string
}

// actor is a participant.
type actor struct {
	part
	run      *run
	clock    *onetimetest.Clock
	deadline time.Time
	entropy  onetime.Entropy
	answers  map[string][]string // what the scheduler answered, by request
	handed   []onetime.ID        // URLs that it got
	done     bool
	result   string
}

var (
	noAnswer = &onetime.Fault{Op: "request", Err: errors.New("lost by the explorer")}
	noAccess = &onetime.Fault{Op: "request", Status: 403}
	gaveUp   = &onetime.Fault{Op: "request", Status: 400, Err: errors.New("the execution is over")}

	// readFaults and writeFaults are what can become of requests besides the good way.
	readFaults  = []string{"lost", "403"}
	writeFaults = []string{"lost", "done", "late", "409", "403"}
	ways        = map[string]schedule.Way{
		"":     {Done: true},
		"lost": {Err: noAnswer},
		"done": {Done: true, Err: noAnswer},
		"late": {Later: true, Err: noAnswer},
		"409":  {Err: onetime.ErrConflict},
		"403":  {Err: noAccess},
	}
)

// newRun starts all participants. It must be called in a synctest bubble.
func newRun(s *scenario) *run {
	r := &run{scenario: s, world: &world{}, spent: -1}
	r.index = onetimetest.NewStore(r)
	r.objects = invitetest.NewObjects(r, r.index)
	keeper := r.free(0, 99).keeper()
	var err error
	record := invite.Record{Label: "x", Uploads: s.uploads, Life: life, Expires: start.Add(14 * 24 * time.Hour)}
	if _, r.id, _, err = keeper.Create(context.Background(), record, start.Add(plenty)); err != nil {
		panic(err)
	}
	if s.before != nil {
		s.before(r.world)
	}
	for i, p := range s.cast {
		now := start.Add(p.late)
		r.actors = append(r.actors, &actor{part: p, run: r, clock: onetimetest.NewClock(now), deadline: now.Add(plenty),
			entropy: onetimetest.NewEntropy(uint64(i)), answers: map[string][]string{}})
	}
	for _, a := range r.actors {
		go func() {
			a.result = a.play(a)
			if a.result == "revoked" {
				r.spent = r.uploads()
			}
			a.done = true
		}()
	}
	synctest.Wait()
	return r
}

// free is a participant whose requests are made at once, and nothing goes wrong with them.
func (w *world) free(late time.Duration, seed uint64) *actor {
	now := start.Add(late)
	return &actor{run: &run{world: w}, clock: onetimetest.NewClock(now), deadline: now.Add(plenty), entropy: onetimetest.NewEntropy(seed)}
}

// Helper and Errorf take what the stores report.
func (r *run) Helper() {}

// Errorf keeps a report.
func (r *run) Errorf(format string, args ...any) {
	r.reports = append(r.reports, fmt.Sprintf(format, args...))
}

// ask is how a participant makes a request: it waits to be told what becomes of it.
func ask[T any](a *actor, op string, write bool, do func() (T, error)) (T, error) {
	var answer, nothing T
	if a.answers == nil {
		return do()
	}
	err := a.run.Ask(&schedule.Request{Who: a.name, Op: op, Write: write, Do: func() (note string, err error) {
		answer, err = do()
		return fmt.Sprint(answer), err
	}})
	if lie := a.run.scenario.lie; lie != nil && err != gaveUp {
		err = lie(op, err)
	}
	if err != nil {
		return nothing, err
	}
	return answer, nil
}

// Actions implements schedule.Execution.
func (r *run) Actions() []schedule.Action {
	return r.Stage.Actions(func(q *schedule.Request) []string {
		switch {
		case r.faults == r.scenario.faults:
			return nil
		case q.Write:
			return writeFaults
		}
		return readFaults
	})
}

// Step implements schedule.Execution.
func (r *run) Step(action schedule.Action) error {
	if action.Arrives {
		return r.Arrive(action)
	}
	q, err := r.Take(action)
	if err != nil {
		return err
	}
	if action.Way != "" {
		r.faults++
	}
	note, err := r.Follow(q, ways[action.Way])
	a := r.actors[slices.IndexFunc(r.actors, func(a *actor) bool { return a.name == q.Who })]
	a.answers[q.Op] = append(a.answers[q.Op], fmt.Sprint(note, err))
	q.Answer(err)
	return nil
}

// End implements schedule.Execution.
func (r *run) End() { r.Stage.End(gaveUp) }

// State implements schedule.Execution: what the bucket holds, which answers everybody got, what they wait for, what is
// under way, how much has gone wrong, how they ended.
func (r *run) State() [16]byte {
	h := sha256.New()
	fmt.Fprintln(h, r.faults, r.spent)
	for _, key := range r.index.Keys() {
		entry, _, _ := r.index.Current(key)
		fmt.Fprintln(h, key, string(entry.Body))
	}
	for n := range r.scenario.uploads {
		fmt.Fprintln(h, n, r.objects.Slots(r.id)[n])
	}
	var late []string
	for _, q := range r.Late {
		late = append(late, q.Who+q.Op)
	}
	slices.Sort(late)
	fmt.Fprintln(h, late)
	for _, a := range r.actors {
		fmt.Fprintln(h, a.name, a.result, a.handed)
		for _, op := range slices.Sorted(maps.Keys(a.answers)) {
			fmt.Fprintln(h, op, a.answers[op])
		}
	}
	for _, q := range r.Waiting() {
		fmt.Fprintln(h, q.Who, q.Op)
	}
	return [16]byte(h.Sum(nil))
}

// uploads counts the uploads that were let through: those whose claim is in the bucket.
func (w *world) uploads() (n int) {
	for _, key := range w.index.Keys() {
		if entry, ok, _ := w.index.Current(key); ok && entry.Reason == onetime.Used && strings.HasPrefix(key, "signatures/expired/") {
			n++
		}
	}
	return n
}

// search runs every schedule.
func (s *scenario) search(t *testing.T) (all schedule.Found) {
	synctest.Test(t, func(*testing.T) { all = schedule.Search(func() *run { return newRun(s) }, false, nil) })
	return all
}
