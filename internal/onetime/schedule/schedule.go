// Package schedule makes participants wait with each of their requests, and goes through all
// orders in which these can be answered. It knows neither the requests nor what must hold: the
// explorers of the rules do.
package schedule

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"testing/synctest"
)

// Request is one request that waits to be answered.
type Request struct {
	Who, Op string                          // together they name one that waits
	Write   bool                            // it changes something
	Ready   func() bool                     // nil: at any time
	Do      func() (note string, err error) // makes the request take effect, and returns what is answered
	reply   chan error
}

// Action is one step of a schedule: the request Op of Who goes Way, or, with Arrives, one that
// was given up takes effect.
type Action struct {
	Who, Op string
	Way     string // "" is the good one
	Arrives bool
}

// String is the action as schedules are written: "g1.Claim", "g1.Claim!lost".
func (a Action) String() string {
	switch {
	case a.Arrives:
		return a.Who + "." + a.Op + "!arrives"
	case a.Way != "":
		return a.Who + "." + a.Op + "!" + a.Way
	}
	return a.Who + "." + a.Op
}

func (a Action) names(q *Request) bool { return q.Who == a.Who && q.Op == a.Op }

// Stage holds the requests of one execution. Participants run in goroutines of a synctest
// bubble and call Ask. All else belongs to the scheduler, which acts only while all of them
// wait.
type Stage struct {
	// Late are the requests that were given up and may still take effect.
	Late []*Request

	mu      sync.Mutex
	pending []*Request
	over    error
}

// Ask waits until the scheduler answers the request, and returns its error, or that of End.
func (s *Stage) Ask(q *Request) error {
	q.reply = make(chan error, 1)
	s.mu.Lock()
	over := s.over
	if over == nil {
		s.pending = append(s.pending, q)
	}
	s.mu.Unlock()
	if over != nil {
		return over
	}
	return <-q.reply
}

// Waiting are the requests that wait, in an order that is always the same.
func (s *Stage) Waiting() []*Request {
	s.mu.Lock()
	pending := slices.Clone(s.pending)
	s.mu.Unlock()
	slices.SortFunc(pending, func(a, b *Request) int { return cmp.Or(cmp.Compare(a.Who, b.Who), cmp.Compare(a.Op, b.Op)) })
	return pending
}

// Actions are the steps that can come next, in an order that is always the same. ways are
// those besides the good one that a request can go.
func (s *Stage) Actions(ways func(*Request) []string) (all []Action) {
	waiting := s.Waiting()
	for i, q := range waiting {
		a := Action{Who: q.Who, Op: q.Op}
		if i > 0 && a.names(waiting[i-1]) {
			panic(fmt.Sprintf("two requests %s wait: a step would not name one", a))
		}
		if q.Ready != nil && !q.Ready() {
			continue
		}
		all = append(all, a)
		for _, way := range ways(q) {
			all = append(all, Action{Who: q.Who, Op: q.Op, Way: way})
		}
	}
	for i, q := range s.Late {
		// To the store, a participant's requests of one name are all the same.
		a := Action{Who: q.Who, Op: q.Op, Arrives: true}
		if !slices.ContainsFunc(s.Late[:i], a.names) {
			all = append(all, a)
		}
	}
	return all
}

// Arrive has a request that was given up take effect.
func (s *Stage) Arrive(a Action) error {
	i := slices.IndexFunc(s.Late, a.names)
	if i < 0 {
		return fmt.Errorf("%s: no such request is under way", a)
	}
	_, _ = s.Late[i].Do()
	s.Late = slices.Delete(s.Late, i, i+1)
	return nil
}

// Take returns the request that an action names. It waits no more: Answer must follow.
func (s *Stage) Take(a Action) (*Request, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.pending, a.names)
	if i < 0 {
		return nil, fmt.Errorf("%s: no such request waits", a)
	}
	q := s.pending[i]
	s.pending = slices.Delete(s.pending, i, i+1)
	return q, nil
}

// Way is what becomes of a request.
type Way struct {
	Done, Later bool  // it takes effect now, or at a step of its own
	Err         error // nil: its answer arrives
}

// Follow makes a request that was taken go a way, and returns what it is to be answered.
func (s *Stage) Follow(q *Request, w Way) (note string, err error) {
	if w.Done {
		note, err = q.Do()
	}
	if w.Later {
		s.Late = append(s.Late, q)
	}
	if w.Err != nil {
		return "", w.Err
	}
	return note, err
}

// Answer answers a request and waits until everybody waits again.
func (q *Request) Answer(err error) {
	q.reply <- err
	synctest.Wait()
}

// End answers all requests, and those that come, with an error, so that everybody runs out.
func (s *Stage) End(err error) {
	s.mu.Lock()
	s.over = err
	for _, q := range s.pending {
		q.reply <- err
	}
	s.pending = nil
	s.mu.Unlock()
	synctest.Wait()
}
