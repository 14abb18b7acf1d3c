package explore_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// start is when every participant begins, plenty is its time. Time passes only for
// whom a slow answer takes all of it.
var start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

const (
	plenty = time.Minute
	life   = time.Hour
)

// run is one execution of a scenario. Participants run in goroutines of their own;
// each of their requests waits until the scheduler says what becomes of it. All else
// belongs to the scheduler, which acts only while everybody waits.
type run struct {
	scenario *scenario
	store    *onetimetest.Store
	truth    *onetimetest.Ledger // what a request means, on the store
	actors   []*actor
	log      []event
	late     []*request // given up, not yet made
	faults   int
	later    bool // the URL's time is over, by days
	reports  []string

	mu      sync.Mutex
	pending []*request
	over    bool
}

// event is one write that took effect.
type event struct {
	who, what string // what: used, revoked, marker, delete, stored, removed
	version   string
}

// actor is a participant.
type actor struct {
	part
	run      *run
	clock    *onetimetest.Clock
	deadline time.Time
	// What the scheduler answered, by method, and whether something went wrong.
	answers map[string][]string
	again   bool // what is answered is for its second try, and noted as such
	faults  int
	hard    bool // a fault that the rule need not make up for
	astray  bool // its clock, by what S3 says
	slow    bool // its time is up
	done    bool
	result  string // "pass", a reason, or an operator's outcome
	cause   error
}

// request is one request to S3 that waits to be answered.
type request struct {
	actor *actor
	op    string
	ready func() bool            // nil: at any time
	do    func() (string, error) // takes effect; returns what the answer says
	reply chan error
}

// write tells whether a request changes the store.
func (q *request) write() bool {
	return q.op == "Claim" || q.op == "HideObject" || q.op == "Upload" || strings.HasPrefix(q.op, "Delete")
}

// way is what becomes of a request.
type way struct {
	name string
	// done, later: it takes effect now, at a step of its own.
	done, later bool
	err         error // nil: its answer arrives
	slow        bool
	astray      bool // its date is another than that of the participant's clock
	// soft: the rule promises that so many of it do not cost the URL.
	soft bool
}

var (
	noAnswer = &onetime.Fault{Op: "request", Err: errors.New("lost by the explorer")}
	noAccess = &onetime.Fault{Op: "request", Status: 403}
	gaveUp   = &onetime.Fault{Op: "request", Status: 400, Err: errors.New("the execution is over")}

	good       = way{done: true}
	readFaults = withSlow([]way{
		{name: "lost", err: noAnswer, soft: true},
		{name: "403", err: noAccess},
	})
	datedFaults = append(slices.Clip(readFaults), way{name: "astray", done: true, astray: true})
	writeFaults = withSlow([]way{
		{name: "lost", err: noAnswer, soft: true},
		{name: "done", done: true, err: noAnswer, soft: true},
		{name: "late", later: true, err: noAnswer, soft: true},
		{name: "403", err: noAccess},
	})
	claimFaults = withSlow([]way{
		{name: "lost", err: noAnswer, soft: true},
		{name: "done", done: true, err: noAnswer, soft: true},
		{name: "late", later: true, err: noAnswer, soft: true},
		{name: "409", err: onetime.ErrConflict, soft: true},
		{name: "403", err: noAccess},
	})
)

// withSlow adds to every way the one in which it takes all the time there is. A
// request that will not be repeated anyway needs none.
func withSlow(ways []way) []way {
	all := append(slices.Clip(ways), way{name: "slow", done: true, slow: true})
	for _, w := range ways {
		if w.err != noAccess {
			w.name, w.slow, w.soft = w.name+"+slow", true, false
			all = append(all, w)
		}
	}
	return all
}

// action is one step of a schedule.
type action struct {
	who, op string
	arrives bool // a late request is made
	way     way
}

func (a action) String() string {
	switch {
	case a.arrives:
		return a.who + "." + a.op + "!arrives"
	case a.way.name != "":
		return a.who + "." + a.op + "!" + a.way.name
	}
	return a.who + "." + a.op
}

// newRun starts all participants. It must be called in a synctest bubble.
func newRun(s *scenario) *run {
	r := &run{scenario: s}
	r.store = onetimetest.NewStore(r)
	r.truth = &onetimetest.Ledger{Index: onetimetest.Index{Store: r.store}}
	if !s.unminted {
		r.store.Put(url().ID.ValidKey(), onetimetest.Entry{Body: url().entry}, false)
	}
	for _, what := range s.before {
		r.apply(what)
	}
	for _, part := range s.cast {
		a := &actor{part: part, run: r, clock: onetimetest.NewClock(start), deadline: start.Add(plenty), answers: map[string][]string{}}
		r.actors = append(r.actors, a)
	}
	for i, a := range r.actors {
		go func() {
			a.result, a.cause = a.play(a, onetimetest.NewEntropy(uint64(i)))
			a.done = true
		}()
	}
	synctest.Wait()
	return r
}

// apply is a write of somebody's long before.
func (r *run) apply(what string) {
	key := url().ID.ExpiredKey()
	var version string
	switch what {
	case "marker":
		version = r.store.Delete(key)
	case "used", "revoked":
		version = r.store.Overwrite(key, onetimetest.Entry{Reason: onetime.Reason(what), Body: onetime.ExpiredEntry{
			Version: 1, Reason: onetime.Reason(what), At: start, Nonce: "00112233445566778899aabbccddeeff", Request: "earlier",
		}.Marshal()})
	}
	r.log = append(r.log, event{"earlier", what, version})
}

// Helper and Errorf take what the store reports.
func (r *run) Helper() {}

// Errorf keeps a report of the store's.
func (r *run) Errorf(format string, args ...any) {
	r.reports = append(r.reports, fmt.Sprintf(format, args...))
}

// ask is how a participant makes a request: it waits to be told what becomes of it.
// do returns the answer and what the scheduler is to note of it.
func ask[T any](a *actor, op string, ready func() bool, do func() (answer T, note string, err error)) (T, error) {
	var answer, nothing T
	q := &request{actor: a, op: op, ready: ready, reply: make(chan error, 1), do: func() (note string, err error) {
		answer, note, err = do()
		return note, err
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
	if err := <-q.reply; err != nil {
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
		if q.ready != nil && !q.ready() {
			continue
		}
		all = append(all, action{who: q.actor.name, op: q.op, way: good})
		if r.faults == r.scenario.faults || q.actor.sure || q.op == "Begin" {
			continue
		}
		faults := readFaults
		switch {
		case q.op == "ReadValid" && q.actor.kind == gates:
			faults = datedFaults
		case q.op == "Claim" || q.op == "HideObject":
			faults = claimFaults
		case q.write():
			faults = writeFaults
		}
		for _, w := range faults {
			if !w.slow || q.actor.timed {
				all = append(all, action{who: q.actor.name, op: q.op, way: w})
			}
		}
	}
	for i, q := range r.late {
		// To the store, a participant's requests of one name are all the same.
		if !slices.ContainsFunc(r.late[:i], func(p *request) bool { return p.actor == q.actor && p.op == q.op }) {
			all = append(all, action{who: q.actor.name, op: q.op, arrives: true})
		}
	}
	return all
}

// step does what the action says and waits until everybody waits again.
func (r *run) step(a action) error {
	if a.arrives {
		i := slices.IndexFunc(r.late, func(q *request) bool { return q.actor.name == a.who && q.op == a.op })
		if i < 0 {
			return fmt.Errorf("%s: no such request is under way", a)
		}
		_, _ = r.late[i].do()
		r.late = slices.Delete(r.late, i, i+1)
		return nil
	}
	r.mu.Lock()
	i := slices.IndexFunc(r.pending, func(q *request) bool { return q.actor.name == a.who && q.op == a.op })
	if i < 0 {
		r.mu.Unlock()
		return fmt.Errorf("%s: no such request waits", a)
	}
	q := r.pending[i]
	r.pending = slices.Delete(r.pending, i, i+1)
	r.mu.Unlock()

	if a.way.name != "" {
		r.faults++
		q.actor.faults++
		q.actor.hard = q.actor.hard || !a.way.soft
	}
	if a.way.slow {
		q.actor.slow = true
		// For an operator it is the time of this request that is up, and of what he
		// has to be through with together with it.
		q.actor.clock.Set(q.actor.deadline)
		if q.actor.kind != gates {
			q.actor.deadline = q.actor.deadline.Add(plenty)
		}
	}
	q.actor.astray = a.way.astray
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
	name := q.actor.noted(q.op)
	q.actor.answers[name] = append(q.actor.answers[name], outcome(note, err))
	q.reply <- err
	synctest.Wait()
	return nil
}

// noted is the name under which answers to this method are kept.
func (a *actor) noted(op string) string {
	if a.again {
		return "again " + op
	}
	return op
}

// outcome is an answer as the protocol's table names it.
func outcome(note string, err error) string {
	switch {
	case err == nil:
		return "ok " + note
	case errors.Is(err, onetime.ErrAbsent):
		return "absent"
	case errors.Is(err, onetime.ErrDeleted):
		return "deleted"
	case errors.Is(err, onetime.ErrExists):
		return "exists"
	case errors.Is(err, onetime.ErrConflict):
		return "conflict"
	case errors.Is(err, onetime.ErrChanged):
		return "changed"
	case err == noAccess:
		return "denied"
	}
	return "lost"
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

// state is a digest of all on which the rest of the execution, and whether it is
// right, depend: what was written in which order, which answers everybody got by
// method, what they wait for, what is under way, how much has gone wrong. (Within one
// participant, only different methods run at the same time; whether one of them is
// repeated can depend on how much time another has taken.) States that differ only in which gate is
// which are the same state: gates are alike, and nothing asks for their names.
func (r *run) state() [16]byte {
	own := make([][]byte, len(r.actors))
	for i, a := range r.actors {
		own[i] = append(a.appendState(nil), a.result...)
	}
	for _, q := range r.waiting() {
		i := r.indexOf(q.actor.name)
		own[i] = append(append(own[i], '?'), q.op...)
	}
	var least, b []byte
	for _, as := range r.scenario.renamings() {
		b = append(b[:0], byte(r.faults), is(r.later))
		for _, e := range r.log {
			who := byte(0)
			if i := r.indexOf(e.who); i >= 0 {
				who = 'a' + byte(as[i])
			}
			b = append(b, '|', who)
			b = append(append(b, e.what...), e.version...)
		}
		var late []string
		for _, q := range r.late {
			late = append(late, string('a'+rune(as[r.indexOf(q.actor.name)]))+q.op)
		}
		slices.Sort(late) // in which order they were sent says nothing about when they arrive
		for _, q := range late {
			b = append(append(b, '~'), q...)
		}
		for place := range own {
			b = append(append(b, '\n'), own[slices.Index(as, place)]...)
		}
		if least == nil || bytes.Compare(b, least) < 0 {
			least, b = b, nil
		}
	}
	sum := sha256.Sum256(least)
	return [16]byte(sum[:])
}

// appendState appends what the participant knows.
func (a *actor) appendState(b []byte) []byte {
	b = append(b, is(a.slow), is(a.hard), byte(a.faults))
	for _, op := range slices.Sorted(maps.Keys(a.answers)) {
		b = append(append(b, ','), op...)
		for _, answer := range a.answers[op] {
			b = append(append(b, ';'), answer...)
		}
	}
	return b
}

func is(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func (r *run) indexOf(name string) int {
	return slices.IndexFunc(r.actors, func(a *actor) bool { return a.name == name })
}

// renamings are all ways to exchange the gates with each other: at each index of the
// cast, the index that stands for it.
func (s *scenario) renamings() [][]int {
	if s.renamed == nil {
		as := make([]int, len(s.cast))
		var interchangeable []int
		for i, p := range s.cast {
			as[i] = i
			if p.kind == gates {
				interchangeable = append(interchangeable, i)
			}
		}
		var exchange func(done int)
		exchange = func(done int) {
			if done == len(interchangeable) {
				s.renamed = append(s.renamed, slices.Clone(as))
				return
			}
			for i := done; i < len(interchangeable); i++ {
				x, y := interchangeable[done], interchangeable[i]
				as[x], as[y] = as[y], as[x]
				exchange(done + 1)
				as[x], as[y] = as[y], as[x]
			}
		}
		exchange(0)
	}
	return s.renamed
}
