package explore_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
	"oncegate/internal/onetime/schedule"
)

// start is when every participant begins, plenty is its time. Time passes only for
// whom a slow answer takes all of it.
var start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

const (
	plenty = time.Minute
	life   = time.Hour
)

// run is one execution of a scenario.
type run struct {
	schedule.Stage
	scenario *scenario
	store    *onetimetest.Store
	replicas []*onetimetest.Ledger // what a request means, on the store; several with the regions of a table
	actors   []*actor
	log      []event
	faults   int
	later    bool // the URL's time is over, by days
	reports  []string
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

// way is what becomes of a request.
type way struct {
	name string
	schedule.Way
	slow   bool
	astray bool // its date is another than that of the participant's clock
	// soft: the rule promises that so many of it do not cost the URL.
	soft bool
}

var (
	noAnswer = &onetime.Fault{Op: "request", Err: errors.New("lost by the explorer")}
	noAccess = &onetime.Fault{Op: "request", Status: 403}
	tooFast  = &onetime.Fault{Op: "request", Status: 429}
	gaveUp   = &onetime.Fault{Op: "request", Status: 400, Err: errors.New("the execution is over")}

	good       = way{Way: schedule.Way{Done: true}}
	readFaults = withSlow([]way{
		{name: "lost", Way: schedule.Way{Err: noAnswer}, soft: true},
		{name: "403", Way: schedule.Way{Err: noAccess}},
	})
	datedFaults = append(slices.Clip(readFaults), way{name: "astray", Way: schedule.Way{Done: true}, astray: true})
	writeFaults = withSlow([]way{
		{name: "lost", Way: schedule.Way{Err: noAnswer}, soft: true},
		{name: "done", Way: schedule.Way{Done: true, Err: noAnswer}, soft: true},
		{name: "late", Way: schedule.Way{Later: true, Err: noAnswer}, soft: true},
		{name: "403", Way: schedule.Way{Err: noAccess}},
	})
	claimFaults = withSlow([]way{
		{name: "lost", Way: schedule.Way{Err: noAnswer}, soft: true},
		{name: "done", Way: schedule.Way{Done: true, Err: noAnswer}, soft: true},
		{name: "late", Way: schedule.Way{Later: true, Err: noAnswer}, soft: true},
		{name: "409", Way: schedule.Way{Err: onetime.ErrConflict}, soft: true},
		{name: "403", Way: schedule.Way{Err: noAccess}},
	})
)

// withSlow adds to every way the one in which it takes all the time there is. A
// request that will not be repeated anyway needs none.
func withSlow(ways []way) []way {
	all := append(slices.Clip(ways), way{name: "slow", Way: schedule.Way{Done: true}, slow: true})
	for _, w := range ways {
		if w.Err != noAccess {
			w.name, w.slow, w.soft = w.name+"+slow", true, false
			all = append(all, w)
		}
	}
	return all
}

// ways are all ways by their names. One name is the same way for every request.
var ways = func() map[string]way {
	all := map[string]way{"": good}
	for _, faults := range [][]way{datedFaults, writeFaults, claimFaults, spendFaults} {
		for _, w := range faults {
			all[w.name] = w
		}
	}
	return all
}()

// newRun starts all participants. It must be called in a synctest bubble.
func newRun(s *scenario) *run {
	r := &run{scenario: s}
	if s.table {
		r.openTable()
	} else {
		r.store = onetimetest.NewStore(r)
		r.replicas = []*onetimetest.Ledger{{Index: onetimetest.Index{Store: r.store}}}
	}
	for i, replica := range r.replicas {
		if !s.unminted && !(s.moved && i > 0) {
			replica.Store.Put(url().ID.ValidKey(), onetimetest.Entry{Body: url().entry}, false)
		}
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
	err := a.run.Ask(&schedule.Request{Who: a.name, Op: op, Write: writes(op), Ready: ready, Do: func() (note string, err error) {
		answer, note, err = do()
		return note, err
	}})
	if err != nil {
		return nothing, err
	}
	return answer, nil
}

// writes tells whether a request changes the store.
func writes(op string) bool {
	return op == "Claim" || op == "Spend" || op == "HideObject" || op == "Upload" || strings.HasPrefix(op, "Delete") ||
		slices.Contains([]string{"WriteValid", "NewWriteValid", "NewClaim"}, op)
}

// Actions implements schedule.Execution.
func (r *run) Actions() []schedule.Action {
	return r.Stage.Actions(func(q *schedule.Request) (names []string) {
		a := r.actor(q.Who)
		if r.faults == r.scenario.faults || a.sure || q.Op == "Begin" {
			return nil
		}
		faults := readFaults
		switch {
		case r.scenario.table:
			faults = tableFaults(q, a)
		case q.Op == "ReadValid" && a.kind == gates:
			faults = datedFaults
		case q.Op == "Claim" || q.Op == "HideObject":
			faults = claimFaults
		case q.Write:
			faults = writeFaults
		}
		for _, w := range faults {
			if !w.slow || a.timed {
				names = append(names, w.name)
			}
		}
		return names
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
	a, w := r.actor(q.Who), ways[action.Way]
	if w.name != "" {
		r.faults++
		a.faults++
		a.hard = a.hard || !w.soft
	}
	if w.slow {
		a.slow = true
		// For an operator it is the time of this request that is up, and of what he
		// has to be through with together with it.
		a.clock.Set(a.deadline)
		if a.kind != gates {
			a.deadline = a.deadline.Add(plenty)
		}
	}
	a.astray = w.astray
	note, err := r.Follow(q, w.Way)
	name := a.noted(q.Op)
	a.answers[name] = append(a.answers[name], outcome(note, err))
	q.Answer(err)
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
	case err == tooFast:
		return "throttled"
	}
	return "lost"
}

// End implements schedule.Execution.
func (r *run) End() { r.Stage.End(gaveUp) }

// State implements schedule.Execution: what was written in which order, which answers everybody got by
// method, what they wait for, what is under way, how much has gone wrong. (Within one
// participant, only different methods run at the same time; whether one of them is
// repeated can depend on how much time another has taken.) States that differ only in which gate is
// which are the same state: gates are alike, and nothing asks for their names.
func (r *run) State() [16]byte {
	own := make([][]byte, len(r.actors))
	for i, a := range r.actors {
		own[i] = append(a.appendState(nil), a.result...)
	}
	for _, q := range r.Waiting() {
		i := r.indexOf(q.Who)
		own[i] = append(append(own[i], '?'), q.Op...)
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
		for _, q := range r.Late {
			late = append(late, string('a'+rune(as[r.indexOf(q.Who)]))+q.Op)
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
				for i, p := range s.cast {
					if q := s.cast[as[i]]; p.twoTrips != q.twoTrips || p.region != q.region {
						return // these two are not alike
					}
				}
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
