package explore_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"oncegate/internal/onetime"
)

var modes = []onetime.FirstVersion{onetime.Conditional, onetime.Listed}

// full asks for the long exploration.
var full = os.Getenv("ONCEGATE_EXPLORE") == "full"

// family is a scenario with so many faults every day, and more in the long run.
type family struct {
	scenario
	daily, long int
}

// families are all scenarios that must hold.
func families() []family {
	return slices.Concat(bucketFamilies(), tableFamilies(), moveFamilies())
}

func bucketFamilies() []family {
	g1, g2, g3 := gate("g1"), gate("g2"), gate("g3")
	return []family{
		{scenario{name: "1 gate", cast: []part{g1}}, 3, 4},
		{scenario{name: "2 gates", cast: []part{g1, g2}}, 2, 4},
		{scenario{name: "3 gates", cast: []part{g1, g2, g3}}, 1, 2},
		{scenario{name: "2 gates, two spellings", cast: []part{g1, spelt(g2, 1)}}, 1, 3},
		{scenario{name: "3 gates, three spellings", cast: []part{g1, spelt(g2, 3), spelt(g3, 10)}}, 0, 1},
		{scenario{name: "respelt gate, revoke", cast: []part{spelt(g1, 1), revoke("revoke")}}, 1, 2},
		{scenario{name: "2 gates, two spellings, enable", cast: []part{g1, spelt(g2, 4), enable("enable", once)}}, 1, 2},
		{scenario{name: "2 gates asked again, two spellings", cast: []part{gateTwice("g1"), spelt(gateTwice("g2"), 1)}}, 0, 1},
		{scenario{name: "gate, revoke", cast: []part{g1, revoke("revoke")}}, 2, 3},
		{scenario{name: "2 gates, revoke", cast: []part{g1, g2, revoke("revoke")}}, 1, 3},
		{scenario{name: "3 gates, revoke", cast: []part{g1, g2, g3, revoke("revoke")}}, 0, 1},
		{scenario{name: "gate, 2 revokes", cast: []part{g1, revoke("revoke"), revoke("again")}}, 1, 3},
		{scenario{name: "2 gates asked again", cast: []part{gateTwice("g1"), gateTwice("g2")}}, 1, 2},
		{scenario{name: "gate asked again, revoke", cast: []part{gateTwice("g1"), revoke("revoke")}}, 1, 2},
		{scenario{name: "gate asked again, enable", cast: []part{gateTwice("g1"), enable("enable", once)}}, 1, 2},
		{scenario{name: "gate, enable", cast: []part{g1, enable("enable", once)}}, 2, 3},
		{scenario{name: "2 gates, enable", cast: []part{g1, g2, enable("enable", once)}}, 1, 2},
		{scenario{name: "3 gates, enable", cast: []part{g1, g2, g3, enable("enable", once)}}, 0, 1},
		{scenario{name: "2 gates, enable twice", cast: []part{g1, g2, enable("enable", once), enable("again", once)}}, 0, 1},
		{scenario{name: "3 gates, enable twice", cast: []part{g1, g2, g3, enable("enable", once), enable("again", once)}}, -1, 0},
		{scenario{name: "gate, revoke, enable", cast: []part{g1, revoke("revoke"), enable("enable", once)}}, 1, 2},
		{scenario{name: "2 gates, enable until sure", cast: []part{g1, g2, enableUntilSure("enable", once)}}, 1, 2},
		{scenario{name: "used before, 2 gates, enable until sure", cast: []part{g1, g2, enableUntilSure("enable", once)}, before: []string{"used"}}, 1, 2},
		{scenario{name: "used before, 2 gates, enable this claim twice",
			cast: []part{g1, g2, enable("enable", onlyV2), enable("again", onlyV2)}, before: []string{"used"}}, 0, 1},
		{scenario{name: "2 uploads, enable", cast: []part{gateThen("g1"), gateThen("g2"), enable("enable", once)}}, 0, 1},
		{scenario{name: "2 uploads, enable replaces", cast: []part{gateThen("g1"), gateThen("g2"), enable("enable", replaces)}}, 0, 1},
		{scenario{name: "2 uploads, enable, write-once", writeOnce: true, kept: true,
			cast: []part{gateThen("g1"), gateThen("g2"), enable("enable", once)}}, 0, 1},
		{scenario{name: "2 uploads, enable replaces, write-once", writeOnce: true, kept: true,
			cast: []part{gateThen("g1"), gateThen("g2"), enable("enable", replaces)}}, 0, 1},
		{scenario{name: "2 gates, lifecycle", cast: []part{gateAtSomeTime("g1"), gateAtSomeTime("g2"), lifecycle("lifecycle")}}, 1, 2},
		{scenario{name: "3 gates, lifecycle", cast: []part{gateAtSomeTime("g1"), gateAtSomeTime("g2"), gateAtSomeTime("g3"), lifecycle("lifecycle")}}, 0, 1},
		{scenario{name: "never minted, 2 gates", cast: []part{g1, g2}, unminted: true}, 1, 2},
		{scenario{name: "never minted, gate, revoke", cast: []part{g1, revoke("revoke")}, unminted: true}, 1, 2},
		{scenario{name: "used and hidden before, gate, revoke", cast: []part{g1, revoke("revoke")}, before: []string{"used", "marker"}}, 1, 2},
		{scenario{name: "used before, 2 gates", cast: []part{g1, g2}, before: []string{"used"}}, 1, 2},
		{scenario{name: "revoked before, 2 gates", cast: []part{g1, g2}, before: []string{"revoked"}}, 1, 2},
		{scenario{name: "used and hidden before, 2 gates", cast: []part{g1, g2}, before: []string{"used", "marker"}}, 1, 2},
		{scenario{name: "used and hidden before, 2 gates, enable", cast: []part{g1, g2, enable("enable", once)}, before: []string{"used", "marker"}}, 0, 1},
		// The rule to the letter holds whoever deletes what and when, as long as no
		// version is gone for good. TestLimits has what the other one needs.
		{scenario{name: "2 gates, stray marker", mode: onetime.Listed, cast: []part{g1, g2, stray("stray", false)}}, 1, 2},
		{scenario{name: "3 gates, stray marker", mode: onetime.Listed, cast: []part{g1, g2, g3, stray("stray", false)}}, 0, 1},
	}
}

// Ways to enable: without more ado, over a stored object, and undoing nothing but the
// claim that was there before (the valid entry is v1).
var (
	once     = onetime.EnableOptions{}
	replaces = onetime.EnableOptions{Replace: true}
	onlyV2   = onetime.EnableOptions{Claim: "v2"}
)

// scenarios are those of today's run.
func scenarios() (all []*scenario) {
	for _, f := range families() {
		for _, mode := range modes {
			if f.mode != "" && f.mode != mode {
				continue
			}
			faults := f.daily
			switch {
			case full:
				faults = f.long
			case testing.Short() && f.daily > 0:
				faults--
			}
			if faults < 0 {
				continue
			}
			s := f.scenario
			s.mode, s.faults = mode, faults
			all = append(all, &s)
		}
	}
	return all
}

// explored is what prove says of TestExplore, of the index in a bucket and of the one in a
// table.
var explored, exploredTable tally

type tally struct {
	schedules, executions atomic.Uint64
	overflown             atomic.Bool // more than 64 bits count
}

func (t *tally) add(all found) {
	if sum := t.schedules.Add(all.Schedules); sum < all.Schedules {
		t.overflown.Store(true)
	}
	t.executions.Add(uint64(all.Executions))
}

func (t *tally) print(what string) {
	more := ""
	if t.overflown.Load() {
		more = "more than 2^64 and "
	}
	fmt.Printf("prove: %s%d schedules %s (%d executions)\n", more, t.schedules.Load(), what, t.executions.Load())
}

func TestMain(m *testing.M) {
	code := m.Run()
	explored.print("explored")
	exploredTable.print("of the index in a table explored")
	os.Exit(code)
}

// TestExplore: no schedule of any scenario breaks an invariant.
func TestExplore(t *testing.T) {
	var failed atomic.Bool
	for _, s := range scenarios() {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			if failed.Load() {
				t.Skip("another scenario has failed, which is enough to look into")
			}
			all := s.search(t, false)
			if all.Violation != "" {
				failed.Store(true)
				s.report(t, all)
				return
			}
			t.Logf("%d schedules explored (%d executions, %d states)", all.Schedules, all.Executions, all.States)
			if s.table {
				exploredTable.add(all)
			} else {
				explored.add(all)
			}
		})
	}
}

func (s *scenario) report(t *testing.T, all found) {
	t.Helper()
	t.Errorf("%s\nafter %d executions; to repeat:\nONCEGATE_SCHEDULE='%s: %s' go test -run TestRepeat -v ./internal/onetime/explore",
		all.Violation, all.Executions, s, all.Steps())
}

// TestExploreUnknownRule: a firstVersion that nobody has heard of is the stricter one.
func TestExploreUnknownRule(t *testing.T) {
	s := &scenario{name: "unknown rule", mode: "unheard of", cast: []part{gate("g1"), gate("g2"), stray("stray", false)}}
	all := s.search(t, false)
	if all.Violation != "" {
		s.report(t, all)
	}
	t.Logf("%d schedules explored", all.Schedules)
}

// TestOutcomes: everything comes up that can, so the invariants were asked. Without
// faults exactly one gate passes.
func TestOutcomes(t *testing.T) {
	for name, want := range map[string][]string{
		"2 gates":                         {"g1 pass, g2 used", "g1 used, g2 pass"},
		"2 gates, two spellings":          {"g1 pass, g2 used", "g1 used, g2 pass"},
		"3 gates":                         {"g1 pass, g2 used, g3 used", "g1 used, g2 pass, g3 used", "g1 used, g2 used, g3 pass"},
		"2 gates asked again":             {"g1 pass, g2 used", "g1 used, g2 pass"},
		"gate, revoke":                    {"g1 pass, revoke not, used", "g1 revoked, revoke revoked", "g1 used, revoke revoked"},
		"gate, enable":                    {"g1 pass, enable enabled", "g1 pass, enable not, minted"},
		"2 gates, lifecycle":              {"g1 expired, g2 expired", "g1 expired, g2 pass", "g1 pass, g2 expired", "g1 pass, g2 used", "g1 used, g2 pass"},
		"never minted, 2 gates":           {"g1 unknown, g2 unknown"},
		"used and hidden before, 2 gates": {"g1 used, g2 used"},

		"table: 2 gates":                          {"g1 pass, g2 used", "g1 used, g2 pass"},
		"table: 3 gates":                          {"g1 pass, g2 used, g3 used", "g1 used, g2 pass, g3 used", "g1 used, g2 used, g3 pass"},
		"table: 2 gates asked again":              {"g1 pass, g2 used", "g1 used, g2 pass"},
		"table: gate, revoke":                     {"g1 pass, revoke not, used", "g1 revoked, revoke revoked"},
		"table: gate, enable":                     {"g1 pass, enable enabled", "g1 pass, enable not, minted"},
		"table: gate, complete":                   {"g1 pass, c1 used", "g1 used, c1 stored"},
		"table: not begun, 2 completes, c2":       {"c1 stored, c2 not-started", "c1 stored, c2 stored"},
		"table: 2 gates, forgotten at any moment": {"g1 pass, g2 unknown", "g1 pass, g2 used", "g1 unknown, g2 pass", "g1 unknown, g2 unknown", "g1 used, g2 pass"},
		"table: never minted, g2":                 {"g1 unknown, g2 unknown"},
	} {
		i := slices.IndexFunc(families(), func(f family) bool { return f.name == name })
		s := families()[i].scenario
		s.mode = onetime.Conditional
		all := s.search(t, true) // or those that differ in names only are missing
		if all.Violation != "" {
			s.report(t, all)
		}
		if got := slices.Sorted(maps.Keys(all.outcomes)); !slices.Equal(got, want) {
			t.Errorf("%s: outcomes %q, want %q", &s, got, want)
		}
	}
}

// TestCounting: that every state is entered once changes neither the number of
// schedules nor what they come to.
func TestCounting(t *testing.T) {
	most := uint64(3000)
	if full {
		most = 400_000
	}
	for _, f := range families() {
		for _, mode := range modes {
			s := f.scenario
			if s.mode != "" && s.mode != mode {
				continue
			}
			t.Run(f.name+"/"+string(mode), func(t *testing.T) {
				t.Parallel()
				for s.mode, s.faults = mode, 0; s.faults <= 3; s.faults++ {
					quick := s.search(t, false)
					if quick.Violation != "" {
						s.report(t, quick)
					}
					if quick.Schedules > most {
						return // the other way takes too long
					}
					plain := s.search(t, true)
					if plain.Violation != "" {
						s.report(t, plain)
					}
					if n := uint64(plain.Executions); n != plain.Schedules || n != quick.Schedules {
						t.Errorf("%s: %d schedules counted, %d executed", &s, quick.Schedules, n)
					}
				}
			})
		}
	}
}

// TestWander goes on where exploration has to stop: many participants, many faults,
// schedules at random. ONCEGATE_SEED repeats a run.
func TestWander(t *testing.T) {
	schedules := 2000
	if full {
		schedules = 100_000
	}
	seed := uint64(1)
	if text := os.Getenv("ONCEGATE_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range wanderings() {
		all := s.wander(t, seed, schedules)
		if all.Violation != "" {
			s.report(t, all)
			continue
		}
		t.Logf("%s: %d schedules at random, seed %d, %d outcomes", s, all.Executions, seed, len(all.outcomes))
	}
}

// wanderings are the scenarios with everybody in it.
func wanderings() (all []*scenario) {
	cast := []part{
		gateThen("g1"), gateThen("g2"), gateThen("g3"), gateThen("g4"),
		revoke("revoke"), enable("enable", once), enable("again", replaces),
	}
	for _, mode := range modes {
		all = append(all, &scenario{name: "everybody", mode: mode, faults: 6, cast: cast})
	}
	inTable := append(slices.Clip(cast), inTwoTrips(gate("g5")), gateTwice("g6"), mintAgain("mint"))
	return append(all, &scenario{name: "table: everybody", mode: onetime.Conditional, table: true, faults: 6, cast: inTable})
}

// TestRepeat runs the one schedule of ONCEGATE_SCHEDULE.
func TestRepeat(t *testing.T) {
	text := os.Getenv("ONCEGATE_SCHEDULE")
	if text == "" {
		t.Skip("ONCEGATE_SCHEDULE names no schedule to repeat")
	}
	end := strings.LastIndex(text, ": ") // a name may have ": " in it
	if end < 0 {
		t.Fatal(`ONCEGATE_SCHEDULE has no ": " between a scenario and its schedule`)
	}
	name, schedule := text[:end], text[end+len(": "):]
	s := lookup(name)
	if s == nil {
		t.Fatalf("there is no scenario %q", name)
	}
	wrong, outcome := s.repeat(t, strings.Fields(schedule))
	t.Logf("outcome: %s", outcome)
	if wrong != "" {
		t.Error(wrong)
	}
}

// lookup finds a scenario by what String says of it.
func lookup(name string) *scenario {
	var all []scenario
	for _, s := range wanderings() {
		all = append(all, *s)
	}
	for _, f := range families() {
		all = append(all, f.scenario)
	}
	for _, b := range bugs() {
		all = append(all, b.scenario)
	}
	for _, l := range limits() {
		all = append(all, l.scenario)
	}
	for _, b := range slices.Concat(tableBugs(), tableLimits(), moveBugs()) {
		all = append(all, b.scenario)
	}
	for _, s := range all {
		for _, mode := range modes {
			for s.mode, s.faults = mode, 0; s.faults < 10; s.faults++ {
				if s.String() == name {
					return &s
				}
			}
		}
	}
	return nil
}

// TestSameVersion repeats a schedule in which an object has the version that the claim of another
// gate has in the table, where claims are counted apart.
func TestSameVersion(t *testing.T) {
	s := lookup("table: everybody/conditional/6 faults")
	if s == nil {
		t.Fatal("there is no such scenario any more")
	}
	wrong, outcome := s.repeat(t, strings.Fields(`g5.HeadExpired g4.Spend g5.ReadValid g5.Claim!done g3.Spend!astray again.ReadValid!slow g4.Upload
		enable.ReadValid enable.HeadObject!429 g1.Spend!astray g5.Claim!429 again.HeadObject again.ListExpired g6.Spend g2.Spend revoke.ReadValid revoke.HeadExpired
		again.ReadExpired enable.HeadObject enable.ListExpired mint.WriteValid again.HideObject again.Delete(v2) g6.Spend again.HeadExpired g5.Claim g5.ReadExpired`))
	if wrong != "" || !strings.Contains(outcome, "g4 pass") || !strings.Contains(outcome, "g5 used") || !strings.Contains(outcome, "g6 pass") {
		t.Errorf("%s: %s", wrong, outcome)
	}
}
