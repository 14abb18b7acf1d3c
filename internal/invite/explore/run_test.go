package explore_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"oncegate/internal/invite"
	"oncegate/internal/invite/invitetest"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
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
	before  func(w *world) // what happened before anybody begins
	cast    []part
	// lie, if set, misreads the bucket's answers for everybody.
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

// run is one execution. Participants run in goroutines of their own; each of their requests
// waits until the scheduler says what becomes of it. All else belongs to the scheduler,
// which acts only while everybody waits.
type run struct {
	*world
	scenario *scenario
	actors   []*actor
	late     []*request // given up, not yet made
	faults   int
	spent    int // uploads that were let through when a revoke was answered, or -1
	reports  []string

	mu      sync.Mutex
	pending []*request
	over    bool
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

// request is one request that waits to be answered.
type request struct {
	actor *actor
	op    string
	write bool
	do    func() (note string, err error) // takes effect
	reply chan error
}

// way is what becomes of a request.
type way struct {
	name        string
	done, later bool // it takes effect now, or at a step of its own
	err         error
}

var (
	noAnswer = &onetime.Fault{Op: "request", Err: errors.New("lost by the explorer")}
	noAccess = &onetime.Fault{Op: "request", Status: 403}
	gaveUp   = &onetime.Fault{Op: "request", Status: 400, Err: errors.New("the execution is over")}

	readFaults  = []way{{name: "lost", err: noAnswer}, {name: "403", err: noAccess}}
	writeFaults = []way{
		{name: "lost", err: noAnswer}, {name: "done", done: true, err: noAnswer}, {name: "late", later: true, err: noAnswer},
		{name: "409", err: onetime.ErrConflict}, {name: "403", err: noAccess},
	}
)

// action is one step of a schedule.
type action struct {
	who, op string
	arrives bool // a late request is made
	way     way
}

func (a action) String() string {
	s := a.who + "." + a.op
	switch {
	case a.arrives:
		return s + "!arrives"
	case a.way.name != "":
		return s + "!" + a.way.name
	}
	return s
}

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
	q := &request{actor: a, op: op, write: write, reply: make(chan error, 1), do: func() (note string, err error) {
		answer, err = do()
		return fmt.Sprint(answer), err
	}}
	r := a.run
	r.mu.Lock()
	over := r.over
	if !over {
		r.pending = append(r.pending, q)
	}
	r.mu.Unlock()
	if over {
		return nothing, gaveUp
	}
	err := <-q.reply
	if lie := r.scenario.lie; lie != nil {
		err = lie(op, err)
	}
	if err != nil {
		return nothing, err
	}
	return answer, nil
}

// waiting are the requests that wait, in an order that is always the same.
func (r *run) waiting() []*request {
	r.mu.Lock()
	pending := slices.Clone(r.pending)
	r.mu.Unlock()
	slices.SortFunc(pending, func(a, b *request) int {
		return cmp.Or(cmp.Compare(a.actor.name, b.actor.name), cmp.Compare(a.op, b.op))
	})
	return pending
}

// actions are the steps that can come next, in an order that is always the same.
func (r *run) actions() (all []action) {
	pending := r.waiting()
	for i, q := range pending {
		if i > 0 && q.actor == pending[i-1].actor && q.op == pending[i-1].op {
			panic(fmt.Sprintf("two requests %s of %s wait: a step would not name one", q.op, q.actor.name))
		}
		all = append(all, action{who: q.actor.name, op: q.op, way: way{done: true}})
		if r.faults == r.scenario.faults {
			continue
		}
		faults := readFaults
		if q.write {
			faults = writeFaults
		}
		for _, w := range faults {
			all = append(all, action{who: q.actor.name, op: q.op, way: w})
		}
	}
	for i, q := range r.late {
		if !slices.ContainsFunc(r.late[:i], func(p *request) bool { return p.actor == q.actor && p.op == q.op }) {
			all = append(all, action{who: q.actor.name, op: q.op, arrives: true})
		}
	}
	return all
}

// step does what the action says and waits until everybody waits again.
func (r *run) step(a action) {
	named := func(q *request) bool { return q.actor.name == a.who && q.op == a.op }
	if a.arrives {
		i := slices.IndexFunc(r.late, named)
		_, _ = r.late[i].do()
		r.late = slices.Delete(r.late, i, i+1)
		return
	}
	r.mu.Lock()
	i := slices.IndexFunc(r.pending, named)
	if i < 0 {
		r.mu.Unlock()
		panic(a.String() + ": no such request waits: not deterministic")
	}
	q := r.pending[i]
	r.pending = slices.Delete(r.pending, i, i+1)
	r.mu.Unlock()
	if a.way.name != "" {
		r.faults++
	}
	var note string
	var err error
	if a.way.done {
		note, err = q.do()
	}
	if a.way.later {
		r.late = append(r.late, q)
	}
	if a.way.err != nil {
		note, err = "", a.way.err
	}
	q.actor.answers[q.op] = append(q.actor.answers[q.op], fmt.Sprint(note, err))
	q.reply <- err
	synctest.Wait()
}

// end lets all participants run out.
func (r *run) end() {
	r.mu.Lock()
	r.over = true
	for _, q := range r.pending {
		q.reply <- gaveUp
	}
	r.pending = nil
	r.mu.Unlock()
	synctest.Wait()
}

// state is a digest of all on which the rest of the execution, and whether it is right,
// depend: what the bucket holds, which answers everybody got, what they wait for, what is
// under way, how much has gone wrong, how they ended.
func (r *run) state() [16]byte {
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
	for _, q := range r.late {
		late = append(late, q.actor.name+q.op)
	}
	slices.Sort(late)
	fmt.Fprintln(h, late)
	for _, a := range r.actors {
		fmt.Fprintln(h, a.name, a.result, a.handed)
		for _, op := range slices.Sorted(maps.Keys(a.answers)) {
			fmt.Fprintln(h, op, a.answers[op])
		}
	}
	for _, q := range r.waiting() {
		fmt.Fprintln(h, q.actor.name, q.op)
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

// found is what a search came to.
type found struct {
	schedules          uint64
	executions, states int
	violation          string
	schedule           []action // that leads to it
}

// frame is one state on the way to the present one.
type frame struct {
	actions   []action
	next      int
	state     [16]byte
	schedules uint64
}

// search runs every schedule, depth first. It must be called in a synctest bubble.
func (s *scenario) search() (all found) {
	known := map[[16]byte]uint64{}
	var path []frame
	for {
		r := newRun(s)
		all.executions++
		for _, f := range path {
			r.step(f.actions[f.next])
		}
		var schedules uint64
		for {
			actions := r.actions()
			state := r.state()
			n, entered := known[state]
			if !entered {
				wrong := r.check()
				if wrong == "" && len(actions) == 0 {
					wrong = r.checkEnd()
				}
				if wrong != "" {
					all.violation = wrong
					for _, f := range path {
						all.schedule = append(all.schedule, f.actions[f.next])
					}
					r.end()
					return all
				}
				if len(actions) == 0 {
					n, entered, known[state] = 1, true, 1
				}
			}
			if entered {
				schedules = n
				break
			}
			path = append(path, frame{actions: actions, state: state})
			r.step(actions[0])
		}
		r.end()
		for len(path) > 0 {
			top := &path[len(path)-1]
			top.schedules += schedules
			if top.next++; top.next < len(top.actions) {
				break
			}
			schedules = top.schedules
			known[top.state] = schedules
			path = path[:len(path)-1]
		}
		if len(path) == 0 {
			all.schedules, all.states = schedules, len(known)
			return all
		}
	}
}
