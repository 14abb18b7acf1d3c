package explore_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/schedule"
)

// scenario is who takes part, on what, and how much may go wrong.
type scenario struct {
	name     string
	mode     onetime.FirstVersion
	faults   int // at most, in one schedule
	cast     []part
	before   []string // writes to the expired entry, long ago
	unminted bool
	unbegun  bool                           // the multipart upload is not under way at first
	readOnce bool                           // a mistake: an absent parts entry is not read again
	lie      func(scheduled) onetime.Ledger // stands between the participants and S3
	// table: the index is in a table, where gates look up and claim in one request. regions
	// is in how many it is written, if in more than one.
	table   bool
	regions int
	// moved: region 0 is the old index of a URL that is moved to region 1. moving changes the
	// mover.
	moved    bool
	moving   func(*onetime.Mover)
	spendLie func(scheduled) onetime.Spender // stands between the gates and the table
	// writeOnce is the gate's setting of that name, kept asks whether a stored object
	// is ever overwritten.
	writeOnce, kept bool

	renamed [][]int // see renamings
}

func (s *scenario) has(k kind) bool {
	return slices.ContainsFunc(s.cast, func(p part) bool { return p.kind == k })
}

// String is the scenario's name as a schedule is repeated by it.
func (s *scenario) String() string { return fmt.Sprintf("%s/%s/%d faults", s.name, s.mode, s.faults) }

// found is what a search came to.
type found struct {
	schedule.Found
	outcomes map[string]int // of executions: how often each came up
}

// search runs every schedule of a scenario. With plain, states that were entered before
// are entered again.
func (s *scenario) search(t *testing.T, plain bool) found {
	all := found{outcomes: map[string]int{}}
	synctest.Test(t, func(*testing.T) {
		all.Found = schedule.Search(func() *run { return newRun(s) }, plain, func(r *run) { all.outcomes[r.outcome()]++ })
	})
	return all
}

// Check implements schedule.Execution.
func (r *run) Check(atEnd bool) string {
	wrong := r.check()
	if wrong == "" && atEnd {
		wrong = r.checkEnd()
	}
	return wrong
}

// outcome is how everybody ended.
func (r *run) outcome() string {
	var all []string
	for _, a := range r.actors {
		if a.kind != nature {
			all = append(all, a.name+" "+a.result)
		}
	}
	return strings.Join(all, ", ")
}

// repeat runs one schedule, and returns what is wrong and how everybody ended.
func (s *scenario) repeat(t *testing.T, steps []string) (wrong, outcome string) {
	synctest.Test(t, func(t *testing.T) {
		r := newRun(s)
		defer r.End()
		wrong = r.Check(false)
		for _, step := range steps {
			actions := r.Actions()
			i := slices.IndexFunc(actions, func(a schedule.Action) bool { return a.String() == step })
			if i < 0 {
				t.Errorf("step %s is not possible here, but %v are", step, actions)
				return
			}
			if err := r.Step(actions[i]); err != nil {
				t.Error(err)
				return
			}
			if wrong = r.Check(false); wrong != "" {
				return
			}
		}
		if len(r.Actions()) == 0 {
			wrong = r.Check(true)
		}
		outcome = r.outcome()
	})
	return wrong, outcome
}

// wander runs n random schedules of a scenario.
func (s *scenario) wander(t *testing.T, seed uint64, n int) (all found) {
	all.outcomes = map[string]int{}
	synctest.Test(t, func(t *testing.T) {
		for i := range n {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			r := newRun(s)
			all.Schedule = nil
			for {
				actions := r.Actions()
				if all.Violation = r.Check(len(actions) == 0); all.Violation != "" || len(actions) == 0 {
					break
				}
				// Faults are most of what is possible, and make most of it: as many
				// as are allowed would come at the beginning of every schedule.
				a := actions[random.IntN(len(actions))]
				for a.Way != "" && random.IntN(4) > 0 {
					a = actions[random.IntN(len(actions))]
				}
				all.Schedule = append(all.Schedule, a)
				if err := r.Step(a); err != nil {
					panic(err)
				}
			}
			all.Executions++
			all.outcomes[r.outcome()]++
			r.End()
			if all.Violation != "" {
				return
			}
		}
	})
	return all
}
