package schedule

import "strings"

// Execution is one execution, from its beginning on.
type Execution interface {
	// Actions are the steps that can come next. Without any it is at its end.
	Actions() []Action
	// Step does what an action says and waits until everybody waits again. The error is
	// that nothing waits which it names.
	Step(Action) error
	// State is a digest of all on which the rest of the execution, and whether it is right,
	// depend.
	State() [16]byte
	// Check returns what is wrong in the present state, or "". At the end it may go on by
	// itself.
	Check(atEnd bool) string
	// End lets all participants run out.
	End()
}

// Found is what a search came to.
type Found struct {
	Schedules  uint64 // complete ones, each counted
	Executions int
	States     int
	Violation  string   // the first one
	Schedule   []Action // that leads to it
}

// Steps writes the schedule, as a list with spaces.
func (f Found) Steps() string {
	var all []string
	for _, a := range f.Schedule {
		all = append(all, a.String())
	}
	return strings.Join(all, " ")
}

// frame is one state on the way to the present one.
type frame struct {
	actions   []Action
	next      int // the action that is being followed
	state     [16]byte
	schedules uint64
}

// Search runs every schedule, depth first: each execution follows the present path from the
// beginning and then goes on where nobody has been. The schedules through a state that was
// entered before are counted and not repeated; with plain they are repeated. ended, if set,
// is called for every execution that comes to a new end. Search must be called in a synctest
// bubble.
func Search[E Execution](begin func() E, plain bool, ended func(E)) (all Found) {
	known := map[[16]byte]uint64{}
	var path []frame
	wrong := func(what string) Found {
		all.Violation = what
		for _, f := range path {
			all.Schedule = append(all.Schedule, f.actions[f.next])
		}
		return all
	}
	for {
		e := begin()
		all.Executions++
		for _, f := range path {
			if err := e.Step(f.actions[f.next]); err != nil {
				e.End()
				return wrong("not deterministic: " + err.Error())
			}
		}
		var schedules uint64
		for {
			actions, state := e.Actions(), e.State()
			if what := e.Check(len(actions) == 0); what != "" {
				e.End()
				return wrong(what)
			}
			if n, ok := known[state]; ok && !plain {
				schedules = n
				break
			}
			if len(actions) == 0 {
				schedules, known[state] = 1, 1
				if ended != nil {
					ended(e)
				}
				break
			}
			path = append(path, frame{actions: actions, state: state})
			if err := e.Step(actions[0]); err != nil {
				panic(err) // it was offered just now
			}
		}
		e.End()
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
			all.Schedules, all.States = schedules, len(known)
			return all
		}
	}
}
