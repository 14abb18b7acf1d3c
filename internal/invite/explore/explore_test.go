package explore_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"oncegate/internal/invite"
	"oncegate/internal/onetime"
)

// scenarios are all that must hold, with so many faults every day, and more in the long run.
func scenarios() []scenario {
	g1, g2, g3 := guest("g1"), guest("g2"), guest("g3")
	return []scenario{
		{name: "1 upload, guest", uploads: 1, faults: 2, long: 3, cast: []part{g1}},
		{name: "1 upload, 2 guests", uploads: 1, faults: 1, long: 2, cast: []part{g1, g2}},
		{name: "2 uploads, 2 guests", uploads: 2, faults: 1, cast: []part{g1, g2}},
		{name: "2 uploads, 3 who wait", uploads: 2, faults: 0, long: 1, cast: []part{waits("g1"), waits("g2"), waits("g3")}},
		{name: "1 upload, 3 guests", uploads: 1, faults: 0, cast: []part{g1, g2, g3}},
		{name: "a URL that is over, guest", uploads: 1, faults: 2, long: 3, before: held(1), cast: []part{after(g1)}},
		{name: "late clock, guest", uploads: 1, faults: 1, long: 2, before: held(1), cast: []part{holder("holder", 0), after(g1)}},
		{name: "late clock, 2 guests", uploads: 1, faults: 0, before: held(1), cast: []part{holder("holder", 0), after(g1), after(g2)}},
		{name: "2 late clocks, guest", uploads: 2, faults: 0, long: 1, before: held(2), cast: []part{holder("holder", 0), holder("other", 1), after(g1)}},
		{name: "a dead URL, 2 guests", uploads: 1, faults: 1, long: 2, before: dead, cast: []part{waits("g1"), waits("g2")}},
		{name: "given up, guest", uploads: 1, faults: 1, long: 2, before: held(1), cast: []part{givesUp("gives up", 0), g1}},
		{name: "given up, holder, guest", uploads: 1, faults: 0, long: 1, before: held(1), cast: []part{givesUp("gives up", 0), holder("holder", 0), g1}},
		{name: "guest, revoke", uploads: 1, faults: 1, long: 2, cast: []part{g1, revoke("revoke")}},
		{name: "2 uploads, guest, revoke", uploads: 2, faults: 0, long: 1, cast: []part{g1, revoke("revoke")}},
		{name: "holder, revoke", uploads: 1, faults: 2, before: held(1), cast: []part{holder("holder", 0), revoke("revoke")}},
		{name: "late clock, guest, revoke", uploads: 1, faults: 0, before: held(1), cast: []part{holder("holder", 0), after(g1), revoke("revoke")}},
		{name: "dead URL, guest, revoke", uploads: 1, faults: 1, before: dead, cast: []part{g1, revoke("revoke")}},
		{name: "guest, 2 revokes", uploads: 1, faults: 0, cast: []part{g1, revoke("revoke"), revoke("again")}},
	}
}

// explored is what prove says of TestExplore.
var explored struct{ schedules, executions atomic.Uint64 }

func TestMain(m *testing.M) {
	code := m.Run()
	fmt.Printf("prove: %d schedules of invitations explored (%d executions)\n", explored.schedules.Load(), explored.executions.Load())
	os.Exit(code)
}

// TestExplore: no schedule of any scenario breaks an invariant.
func TestExplore(t *testing.T) {
	for _, s := range scenarios() {
		switch {
		case os.Getenv("ONCEGATE_EXPLORE") == "full":
			s.faults = max(s.faults, s.long)
		case testing.Short():
			s.faults = min(s.faults, 1)
		}
		t.Run(fmt.Sprintf("%s, %d faults", s.name, s.faults), func(t *testing.T) {
			t.Parallel()
			all := s.search(t)
			if all.Violation != "" {
				t.Fatalf("%s\nafter: %s", all.Violation, all.Steps())
			}
			t.Logf("%d schedules explored (%d executions, %d states)", all.Schedules, all.Executions, all.States)
			explored.schedules.Add(all.Schedules)
			explored.executions.Add(uint64(all.Executions))
		})
	}
}

// TestBugs: whoever misreads one answer of S3 breaks an invariant, and that is found.
func TestBugs(t *testing.T) {
	as := func(request string, misread, found error) func(string, error) error {
		return func(op string, err error) error {
			if strings.Contains(op, request) && err != nil && errors.Is(err, misread) {
				return found
			}
			return err
		}
	}
	g1, g2 := guest("g1"), guest("g2")
	for _, s := range []struct {
		scenario
		want string // in the violation that is found
	}{
		{scenario{name: "a slot that is there is taken", uploads: 1, cast: []part{g1, g2}, lie: as("CreateSlot", onetime.ErrExists, nil)}, "slots name it"},
		{scenario{name: "a slot that has changed is taken", uploads: 1, before: dead, cast: []part{waits("g1"), waits("g2")}, lie: as("ReplaceSlot", onetime.ErrChanged, nil)}, "slots name it"},
		{scenario{name: "an unanswered slot is taken", uploads: 1, faults: 1, cast: []part{g1, g2}, lie: as("CreateSlot", noAnswer, nil)}, "slots name it"},
		{scenario{name: "an unanswered slot is taken anew", uploads: 1, faults: 1, before: dead, cast: []part{g1}, lie: as("ReplaceSlot", noAnswer, nil)}, "slots name it"},
		{scenario{name: "a URL that somebody else has claimed is dead", uploads: 1, before: held(1), cast: []part{holder("holder", 0), after(g1)},
			lie: as("revoked", onetime.ErrExists, nil)}, "not revoked"},
		{scenario{name: "a claim without an answer is one", uploads: 1, faults: 1, before: held(1), cast: []part{after(g1)}, lie: as("revoked", noAnswer, nil)}, "not revoked"},
		{scenario{name: "a URL without an expired entry is spent", uploads: 1, before: held(1), cast: []part{g1}, lie: as("HeadExpired", onetime.ErrAbsent, onetime.ErrDeleted)}, "marked as spent"},
		{scenario{name: "a slot taken meanwhile is closed", uploads: 1, cast: []part{g1, revoke("revoke")}, lie: as("CreateSlot", onetime.ErrExists, nil)}, "when the revoke was answered"},
		{scenario{name: "a revoke that was not written down", uploads: 1, faults: 1, before: held(1), cast: []part{holder("holder", 0), revoke("revoke")},
			lie: as("revoked", noAccess, nil)}, "not revoked"},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			all := s.search(t)
			if !strings.Contains(all.Violation, s.want) {
				t.Errorf("found %q, want %q\nafter: %s", all.Violation, s.want, all.Steps())
			}
		})
	}
}

// Check implements schedule.Execution.
func (r *run) Check(atEnd bool) string {
	wrong := r.check()
	if wrong == "" && atEnd {
		wrong = r.checkEnd()
	}
	return wrong
}

// check returns what is wrong in the present state.
func (r *run) check() string {
	if len(r.reports) > 0 {
		return r.reports[0]
	}
	stored := r.uploads()
	switch {
	case stored > r.scenario.uploads:
		return fmt.Sprintf("%d uploads are let through, at most %d are allowed", stored, r.scenario.uploads)
	case r.spent >= 0 && stored > r.spent:
		return fmt.Sprintf("%d uploads were let through when the revoke was answered, and %d are now", r.spent, stored)
	}
	slots := r.objects.Slots(r.id)
	named := map[onetime.ID]int{}
	for _, slot := range slots {
		if slot.URL != "" {
			named[slot.URL]++
		}
	}
	var handed []onetime.ID
	for _, url := range r.first {
		handed = append(handed, url.ID)
	}
	for _, a := range r.actors {
		handed = append(handed, a.handed...)
	}
	for _, url := range handed {
		entry, spent, _ := r.index.Current(url.ExpiredKey())
		if !(spent && entry.Reason == onetime.Revoked) && named[url] != 1 {
			return fmt.Sprintf("URL %s is alive or spent, and %d slots name it", url[:4], named[url])
		}
	}
	return ""
}

// checkEnd returns what is wrong at an execution's end.
func (r *run) checkEnd() string {
	for _, a := range r.actors {
		if !a.done {
			return "stuck: " + a.name + " neither waits nor is done"
		}
	}
	revoked := slices.ContainsFunc(r.actors, func(a *actor) bool { return strings.HasPrefix(a.result, "revoked") })
	if r.faults == 0 && !revoked {
		uploading, gaveUp := 0, false
		for _, a := range r.actors {
			if strings.HasPrefix(a.result, "stored") {
				uploading++
			}
			gaveUp = gaveUp || a.result == "given up"
		}
		if want := min(r.scenario.uploads, uploading); !gaveUp && r.uploads() < want {
			return fmt.Sprintf("%d of %d who got a URL are let through, and nothing went wrong", r.uploads(), uploading)
		}
	}
	// When all URLs are over, one more guest uploads what is left.
	last := r.free(3*time.Hour, 100)
	for {
		url, err := last.mint()
		if err == nil {
			err = last.upload(url)
		}
		if err == nil {
			continue
		}
		switch stored := r.uploads(); {
		case errors.Is(err, invite.ErrFull) && stored == r.scenario.uploads:
			return ""
		case revoked && (errors.Is(err, invite.ErrRevoked) || errors.Is(err, invite.ErrFull)):
			if r.spent >= 0 && stored > r.spent {
				return "an upload after the revoke was answered"
			}
			return ""
		default:
			return fmt.Sprintf("%d of %d uploads can be had in the end: %v", stored, r.scenario.uploads, err)
		}
	}
}
