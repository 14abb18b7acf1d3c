package explore_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"oncegate/internal/onetime"
)

// scenario is who takes part, on what, and how much may go wrong.
type scenario struct {
	name     string
	mode     onetime.FirstVersion
	faults   int // at most, in one schedule
	cast     []part
	before   []string // writes to the expired entry, long ago
	unminted bool
	lie      func(scheduled) onetime.Ledger // stands between the participants and S3
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
	schedules  uint64 // complete ones, each counted
	executions int
	states     int
	outcomes   map[string]int // of executions: how often each came up
	violation  string         // the first one
	schedule   []action       // that leads to it
}

// frame is one state on the way to the present one.
type frame struct {
	actions   []action
	next      int // the action that is being followed
	state     [16]byte
	schedules uint64
}

// search runs every schedule of a scenario, depth first: each execution follows the
// present path from the start and then goes on where nobody has been. With plain,
// states that were entered before are entered again.
func (s *scenario) search(t *testing.T, plain bool) (all found) {
	synctest.Test(t, func(t *testing.T) {
		all = s.searchInBubble(plain)
	})
	return all
}

func (s *scenario) searchInBubble(plain bool) found {
	all := found{outcomes: map[string]int{}}
	known := map[[16]byte]uint64{}
	var path []frame
	for {
		r := newRun(s)
		all.executions++
		for _, f := range path {
			if err := r.step(f.actions[f.next]); err != nil {
				all.violation, all.schedule = "not deterministic: "+err.Error(), schedule(path)
				r.end()
				return all
			}
		}
		var schedules uint64
		for {
			wrong := r.check()
			actions := r.actions()
			if len(actions) == 0 && wrong == "" {
				wrong = r.checkEnd()
			}
			if wrong != "" {
				all.violation, all.schedule = wrong, schedule(path)
				r.end()
				return all
			}
			state := r.state()
			if n, ok := known[state]; ok && !plain {
				schedules = n
				break
			}
			if len(actions) == 0 {
				schedules = 1
				known[state] = 1
				all.outcomes[r.outcome()]++
				break
			}
			path = append(path, frame{actions: actions, state: state})
			if err := r.step(actions[0]); err != nil {
				panic(err) // it was offered just now
			}
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

func schedule(path []frame) (steps []action) {
	for _, f := range path {
		steps = append(steps, f.actions[f.next])
	}
	return steps
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
		defer r.end()
		wrong = r.check()
		for _, step := range steps {
			actions := r.actions()
			i := slices.IndexFunc(actions, func(a action) bool { return a.String() == step })
			if i < 0 {
				t.Errorf("step %s is not possible here, but %v are", step, actions)
				return
			}
			if err := r.step(actions[i]); err != nil {
				t.Error(err)
				return
			}
			if wrong = r.check(); wrong != "" {
				return
			}
		}
		if len(r.actions()) == 0 {
			wrong = r.checkEnd()
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
			all.schedule = nil
			for {
				actions := r.actions()
				if all.violation = r.check(); all.violation == "" && len(actions) == 0 {
					all.violation = r.checkEnd()
				}
				if all.violation != "" || len(actions) == 0 {
					break
				}
				// Faults are most of what is possible, and make most of it: as many
				// as are allowed would come at the beginning of every schedule.
				a := actions[random.IntN(len(actions))]
				for a.way.name != "" && random.IntN(4) > 0 {
					a = actions[random.IntN(len(actions))]
				}
				all.schedule = append(all.schedule, a)
				if err := r.step(a); err != nil {
					panic(err)
				}
			}
			all.executions++
			all.outcomes[r.outcome()]++
			r.end()
			if all.violation != "" {
				return
			}
		}
	})
	return all
}

// steps writes a schedule as doc.go says.
func steps(schedule []action) string {
	var all []string
	for _, a := range schedule {
		all = append(all, a.String())
	}
	return strings.Join(all, " ")
}
