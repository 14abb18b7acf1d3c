package explore_test

import (
	"fmt"
	"slices"
	"strings"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/schedule"
)

// check returns what is wrong in the state that the execution is in, "" for nothing.
// It asks the list of all writes that ever took effect, never a time; only what
// participants were answered and what they answer is compared with it. What must
// never happen comes first, then what must be true, then the protocol's table.
func (r *run) check() string {
	if len(r.reports) > 0 {
		return "store: " + strings.Join(r.reports, "; ")
	}
	// The URL is good once, and once more for everybody who deletes versions of the
	// claim that spent it, if he may; all who may delete only this one count once.
	winners, generations := 0, 1
	if slices.ContainsFunc(r.log, func(e event) bool { return e.claim() && e.who == "earlier" }) {
		generations = 0
	}
	narrowed, completed := map[string]bool{}, false
	for _, a := range r.actors {
		if a.kind == enables && r.wroteAny(func(e event) bool { return e.who == a.name && e.what == "delete" }) {
			if claim := a.options.Claim; claim == "" || !narrowed[claim] {
				generations++
				narrowed[claim] = true
			}
		}
		if !a.wins() || a.kind == completes && completed {
			continue
		}
		completed = completed || a.kind == completes // the same object, however many complete it
		winners++
		switch {
		case r.scenario.unminted:
			return a.name + " wins, and the URL was never minted"
		case !r.claimed(a):
			return a.name + " wins without a claim of its own in the store"
		case r.scenario.regions < 2 && !r.first(a):
			return a.name + " wins, and its claim is not the first version"
		}
	}
	if winners > generations {
		return fmt.Sprintf("%d winners, at most %d are allowed", winners, generations)
	}
	if there := ""; r.scenario.kept {
		for _, e := range r.log {
			switch {
			case e.what == "stored" && there != "":
				return "the object of " + there + " is overwritten by " + e.who
			case e.what == "stored":
				there = e.who
			case e.what == "hidden":
				there = ""
			}
		}
	}
	for _, a := range r.actors {
		if !a.done {
			continue
		}
		var wrong string
		switch a.kind {
		case gates:
			wrong = r.checkGate(a)
			want := a.table(r.scenario.mode)
			if r.scenario.table && !a.twoTrips {
				want = a.spendTable()
			}
			if wrong == "" && a.result != want {
				wrong = "the protocol's table says " + want
			}
		case revokes:
			wrong = r.checkRevoke(a)
		case enables:
			wrong = r.checkEnable(a)
		case completes:
			wrong = r.checkComplete(a)
		case moves:
			wrong = r.checkMover(a)
		}
		if wrong != "" {
			return fmt.Sprintf("%s: %s (%v): %s", a.name, a.result, a.cause, wrong)
		}
	}
	return ""
}

// wins tells whether this participant has the URL for itself: an upload that passes,
// or an operator who is told that no upload ever will.
func (a *actor) wins() bool {
	return a.done && (a.kind == gates && a.result == pass || a.kind == revokes && a.result == "revoked" || a.kind == completes && a.result == stored)
}

// checkEnd returns what is wrong at an execution's end.
func (r *run) checkEnd() string {
	winners := 0
	for _, a := range r.actors {
		if !a.done {
			return "stuck: " + a.name + " neither waits nor is done"
		}
		if a.wins() {
			winners++
		}
	}
	s := r.scenario
	switch {
	case s.moved && len(s.before) == 0:
		// A gate of the new index may have been asked too early.
	case s.unminted || len(s.before) > 0:
		if winners > 0 && !s.has(enables) {
			return "the URL was not good, and somebody won"
		}
	case s.has(completes):
		// One may have to ask again to hear that it has the URL.
		if winners == 0 && r.faults == 0 {
			return "nobody won, though nothing went wrong"
		}
	case s.has(nature) || slices.ContainsFunc(r.actors, func(a *actor) bool { return !a.madeUpFor() }):
		// The URL may be lost.
	case s.has(enables):
		// A first try that nobody heard of is a fault as well.
		again := slices.ContainsFunc(r.actors, func(a *actor) bool { return a.again })
		if winners == 0 && r.faults == 0 && s.mode == onetime.Conditional && !again {
			return "nobody won, though nothing went wrong"
		}
	case winners != 1:
		return fmt.Sprintf("%d winners, want one: no more went wrong than there are repeats for", winners)
	}
	return ""
}

// madeUpFor tells whether no more went wrong with a participant's requests than
// there are repeats for.
func (a *actor) madeUpFor() bool { return !a.hard && a.faults < onetimeTries }

// onetimeTries is how often a request is made in all.
const onetimeTries = 3

func (r *run) wroteAny(found func(event) bool) bool { return slices.ContainsFunc(r.log, found) }

func (e event) claim() bool { return e.what == "used" || e.what == "revoked" }

func (r *run) claimed(a *actor) bool {
	return r.wroteAny(func(e event) bool { return e.claim() && r.sameClaimant(e.who, a) })
}

// first tells whether this participant has a claim that was the first version that
// the expired entry had, but for those that an operator had taken away by then.
func (r *run) first(a *actor) bool {
	before := map[string]bool{}
	for _, e := range r.log {
		switch {
		case e.claim() && r.sameClaimant(e.who, a) && len(before) == 0:
			return true
		case e.claim():
			before[e.version] = true
		case e.what == "delete" && r.actor(e.who).kind == enables:
			delete(before, e.version)
		}
	}
	return false
}

func (r *run) actor(name string) *actor {
	for _, a := range r.actors {
		if a.name == name {
			return a
		}
	}
	return &actor{}
}

func (r *run) checkGate(a *actor) string {
	underWay := slices.ContainsFunc(r.Late, func(q *schedule.Request) bool {
		return q.Who == a.name && (q.Op == "Claim" || q.Op == "Spend" && !r.scenario.unminted) // what was never minted is not spent
	})
	forgotten := r.later && r.wroteAny(func(e event) bool { return e.what == "forgotten" })
	switch onetime.Reason(a.result) {
	case pass:
	case onetime.Used, onetime.Revoked:
		if r.scenario.moved && r.wroteAny(func(e event) bool { return e.what == "moved" }) {
			break
		}
		if a.result == string(onetime.Revoked) {
			if !r.wroteAny(func(e event) bool { return e.what == "revoked" }) {
				return "not true: the URL was not revoked"
			}
			break
		}
		// Once an operator deletes, a claim of its own that was under way for long
		// can be what is there in place of the one that it made.
		again := r.scenario.has(enables) && (len(a.answers["Claim"]) > 1 || len(a.answers["Spend"]) > 1 || a.again)
		if !r.wroteAny(func(e event) bool { return e.claim() && (e.who != a.name || again) || e.what == "marker" }) {
			return "not true: nobody else has claimed the URL"
		}
	case onetime.Unknown:
		if !r.scenario.unminted && !forgotten && a.region == 0 {
			return "not true: the URL was minted"
		}
	case onetime.Expired:
		if !r.later && a.last("Spend") != "ok over" {
			return "not true: the URL's time is not over"
		}
	case onetime.IndexUnavailable, onetime.ClaimUnknown:
	default:
		return "no reason that an upload of this form can have"
	}
	switch onetime.Reason(a.result) {
	case onetime.Unknown, onetime.Expired, onetime.IndexUnavailable:
		// A URL can be moved to where it was unknown while a try of the gate is still under way.
		early := r.scenario.moved && a.result == string(onetime.Unknown)
		if (r.claimed(a) || underWay) && !forgotten && !early && a.last("Spend") != "ok over" {
			return "the client is told that nothing was spent, and it was"
		}
	}
	switch onetime.Reason(a.result) {
	case onetime.IndexUnavailable, onetime.ClaimUnknown:
		if a.faults == 0 && a.result == string(onetime.IndexUnavailable) {
			return "without a fault"
		}
		if a.madeUpFor() && !r.scenario.has(enables) && !r.scenario.has(nature) {
			return "no more went wrong than there are repeats for"
		}
	}
	return ""
}

// table is the protocol's table: what an upload's outcome must be after these
// answers of S3, whatever a participant made of them.
func (a *actor) table(mode onetime.FirstVersion) string {
	ok := func(answer, want string) bool { return answer == strings.TrimSuffix("ok "+want, " ") }
	// "Nothing was spent" is not for a second try to say.
	unavailable := string(onetime.IndexUnavailable)
	if a.again {
		unavailable = string(onetime.ClaimUnknown)
	}
	if a.run.later && len(a.answers["ReadValid"]) == 0 {
		return string(onetime.Expired)
	}
	switch valid := a.last("ReadValid"); {
	case valid == "absent":
		return string(onetime.Unknown)
	case !ok(valid, ""):
		return unavailable
	}
	switch expired := a.last("HeadExpired"); {
	case ok(expired, "used") && a.again: // perhaps by the first try
	case ok(expired, "used"), expired == "deleted":
		return string(onetime.Used)
	case ok(expired, "revoked"):
		return string(onetime.Revoked)
	case expired != "absent":
		return unavailable
	}
	claims := a.answers[a.noted("Claim")]
	if len(claims) == 0 && a.slow {
		return unavailable // not begun, for want of time
	}
	version, claimed := strings.CutPrefix(a.last("Claim"), "ok ")
	switch {
	case claimed:
	case a.last("Claim") != "exists":
		return string(onetime.ClaimUnknown)
	case !a.again && !slices.Contains(claims, "lost") && !slices.Contains(claims, "denied") && !slices.Contains(claims, "throttled"):
		return string(onetime.Used)
	default:
		read, ok := strings.CutPrefix(a.last("ReadExpired"), "ok ")
		if !ok {
			return string(onetime.ClaimUnknown)
		}
		if by := a.run.wrote(read); by.what == "moved" {
			return string(onetime.Revoked)
		} else if by.who != a.name {
			return by.what
		}
		version = read
	}
	if mode == onetime.Conditional {
		return pass
	}
	list, listed := strings.CutPrefix(a.last("ListExpired"), "ok")
	versions := strings.Fields(list)
	switch {
	case !listed || len(versions) == 0:
		return string(onetime.ClaimUnknown)
	case strings.Contains(list, "(marker)"), versions[len(versions)-1] != version:
		return string(onetime.Used)
	}
	return pass
}

func (r *run) checkRevoke(a *actor) string {
	switch a.result {
	case "revoked before":
		if r.scenario.moved {
			break // in the old index, of a URL that was moved
		}
		fallthrough
	case "revoked":
		if !r.wroteAny(func(e event) bool { return e.what == "revoked" }) {
			return "not true"
		}
		for _, other := range r.actors {
			if other.kind != revokes && other.wins() && !r.scenario.has(enables) {
				return "and " + other.name + " passes"
			}
		}
	case "not, used":
		if !r.wroteAny(func(e event) bool { return e.what == "used" || e.what == "marker" }) {
			return "not true"
		}
	case "not, unknown":
		if !r.scenario.unminted && !r.later && a.region == 0 {
			return "not true"
		}
	case "open":
		if a.madeUpFor() && !r.scenario.has(enables) {
			return "no more went wrong than there are repeats for"
		}
	default:
		return "no outcome of a revoke"
	}
	return ""
}

func (r *run) checkEnable(a *actor) string {
	deleted := func(version string) bool {
		return r.wroteAny(func(e event) bool { return e.what == "delete" && e.version == version })
	}
	changed := slices.ContainsFunc(r.log, func(e event) bool { return e.who == a.name }) ||
		slices.ContainsFunc(r.Late, func(q *schedule.Request) bool { return q.Who == a.name })
	var listed []string
	for _, answer := range a.answers["ListExpired"] {
		if list, ok := strings.CutPrefix(answer, "ok"); ok {
			listed = append(listed, strings.Fields(strings.ReplaceAll(list, "(marker)", ""))...)
		}
	}
	// Hidden is what was there when the operator looked, never a later upload.
	for _, e := range r.log {
		if e.who == a.name && e.what == "hidden" && !slices.Contains(a.answers["HeadObject"], "ok "+e.version) {
			return "it hid " + e.version + ", which it never saw"
		}
		if e.who == a.name && e.what == "delete" && !slices.Contains(listed, e.version) {
			return "it deleted " + e.version + ", which was on no list of its own"
		}
	}
	did := func(what string) bool {
		return r.wroteAny(func(e event) bool { return e.who == a.name && e.what == what })
	}
	switch {
	case did("hidden") && !a.options.Replace:
		return "it hid an object that was to stay"
	case did("delete") && !a.options.Replace && !slices.Contains(a.answers["HeadObject"], "absent"):
		return "it deleted without knowing whether the object is stored"
	case strings.HasSuffix(a.result, "enabled") && a.last("HeadExpired") != "absent":
		return "it does not know whether somebody has claimed since"
	}
	result := strings.TrimPrefix(a.result, "again ")
	switch result {
	case "enabled", "spent again":
		for _, version := range listed {
			if !deleted(version) {
				return "not true: " + version + " is still there"
			}
		}
		// In a table, a claim that comes again has the version that it had.
		mine := slices.IndexFunc(r.log, func(e event) bool { return e.who == a.name && e.what == "delete" })
		again := func(e event) bool { return e.claim() && !slices.Contains(listed, e.version) }
		if result == "spent again" && !r.wroteAny(again) && !slices.ContainsFunc(r.log[mine+1:], event.claim) {
			return "not true: nobody claimed it again"
		}
	case "enabled before":
		if claim := a.options.Claim; claim != "" && !deleted(claim) {
			return "not true: " + claim + " was not deleted"
		}
	case "not, minted":
		if len(listed) > 0 {
			return "not true: it was spent"
		}
	case "not, unknown":
		if !r.scenario.unminted {
			return "not true: the URL was minted"
		}
	case "not, used":
		stored := slices.ContainsFunc(a.answers["HeadObject"], func(answer string) bool { return strings.HasPrefix(answer, "ok ") })
		if !stored && a.options.Claim == "" && result == a.result {
			return "not true: nothing was stored"
		}
	case "failed", "uncertain":
		if a.madeUpFor() && result == "uncertain" && !r.scenario.has(nature) {
			return "no more went wrong than there are repeats for"
		}
	default:
		return "no outcome of an enable here"
	}
	if changed && result == a.result && (strings.HasPrefix(result, "not, ") || result == "enabled before") {
		return "and yet it has changed something"
	}
	if result == a.result && result == "failed" && did("delete") {
		return "not enabled, and yet it has deleted something"
	}
	return ""
}
