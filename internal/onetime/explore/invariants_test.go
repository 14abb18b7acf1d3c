package explore_test

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"oncegate/internal/onetime"
)

func hexOf(b [16]byte) string { return hex.EncodeToString(b[:]) }

// check returns what is wrong in the state that the execution is in, "" for nothing.
// It asks the list of all writes that ever took effect, never a time; only what
// participants were answered and what they answer is compared with it. What must
// never happen comes first, then what must be true, then the protocol's table.
func (r *run) check() string {
	if len(r.reports) > 0 {
		return "store: " + strings.Join(r.reports, "; ")
	}
	winners, generations := 0, 1
	for _, a := range r.actors {
		// Whoever deletes versions of what was claimed lets one more upload through,
		// if he may do that.
		if a.kind == enables && r.wroteAny(func(e event) bool { return e.who == a.name && e.what == "delete" }) {
			generations++
		}
		if !a.wins() {
			continue
		}
		winners++
		switch {
		case r.scenario.unminted:
			return a.name + " wins, and the URL was never minted"
		case !r.claimed(a):
			return a.name + " wins without a claim of its own in the store"
		case !r.first(a):
			return a.name + " wins, and its claim is not the first version"
		}
	}
	if winners > generations {
		return fmt.Sprintf("%d winners, at most %d are allowed", winners, generations)
	}
	for _, a := range r.actors {
		if !a.done {
			continue
		}
		var wrong string
		switch a.kind {
		case gates:
			wrong = r.checkGate(a)
			if want := a.table(r.scenario.mode); wrong == "" && a.result != want {
				wrong = "the protocol's table says " + want
			}
		case revokes:
			wrong = r.checkRevoke(a)
		case enables:
			wrong = r.checkEnable(a)
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
	return a.done && (a.kind == gates && a.result == pass || a.kind == revokes && a.result == "revoked")
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
	case s.unminted || len(s.before) > 0:
		if winners > 0 && !s.has(enables) {
			return "the URL was not good, and somebody won"
		}
	case s.has(nature) || slices.ContainsFunc(r.actors, func(a *actor) bool { return !a.madeUpFor() }):
		// The URL may be lost.
	case s.has(enables):
		if winners == 0 && r.faults == 0 && s.mode == onetime.Conditional {
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
	return r.wroteAny(func(e event) bool { return e.claim() && e.who == a.name })
}

// first tells whether this participant has a claim that was the first version that
// the expired entry had, but for those that an operator had taken away by then.
func (r *run) first(a *actor) bool {
	before := map[string]bool{}
	for _, e := range r.log {
		switch {
		case e.claim() && e.who == a.name && len(before) == 0:
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
	underWay := slices.ContainsFunc(r.late, func(q *request) bool { return q.actor == a && q.op == "Claim" })
	switch onetime.Reason(a.result) {
	case pass:
	case onetime.Used:
		// Once an operator deletes, a claim of its own that was under way for long
		// can be what is there in place of the one that it made.
		again := r.scenario.has(enables) && len(a.answers["Claim"]) > 1
		if !r.wroteAny(func(e event) bool { return e.claim() && (e.who != a.name || again) || e.what == "marker" }) {
			return "not true: nobody else has claimed the URL"
		}
	case onetime.Revoked:
		if !r.wroteAny(func(e event) bool { return e.what == "revoked" }) {
			return "not true: the URL was not revoked"
		}
	case onetime.Unknown:
		if !r.scenario.unminted {
			return "not true: the URL was minted"
		}
	case onetime.Expired:
		if !r.later {
			return "not true: the URL's time is not over"
		}
	case onetime.IndexUnavailable, onetime.ClaimUnknown:
	default:
		return "no reason that an upload of this form can have"
	}
	switch onetime.Reason(a.result) {
	case onetime.Unknown, onetime.Expired, onetime.IndexUnavailable:
		if r.claimed(a) || underWay {
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
	if a.run.later && len(a.answers["ReadValid"]) == 0 {
		return string(onetime.Expired)
	}
	switch valid := a.last("ReadValid"); {
	case valid == "absent":
		return string(onetime.Unknown)
	case !ok(valid, ""):
		return string(onetime.IndexUnavailable)
	}
	switch expired := a.last("HeadExpired"); {
	case ok(expired, "used"), expired == "deleted":
		return string(onetime.Used)
	case ok(expired, "revoked"):
		return string(onetime.Revoked)
	case expired != "absent":
		return string(onetime.IndexUnavailable)
	}
	claims := a.answers["Claim"]
	if len(claims) == 0 && a.slow {
		return string(onetime.IndexUnavailable) // not begun, for want of time
	}
	version, claimed := strings.CutPrefix(a.last("Claim"), "ok ")
	switch {
	case claimed:
	case a.last("Claim") != "exists":
		return string(onetime.ClaimUnknown)
	case !slices.Contains(claims, "lost") && !slices.Contains(claims, "denied"):
		return string(onetime.Used)
	default:
		read, ok := strings.CutPrefix(a.last("ReadExpired"), "ok ")
		if !ok {
			return string(onetime.ClaimUnknown)
		}
		if by := a.run.wrote(read); by.who != a.name {
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
	case "revoked":
	case "already used", "already revoked":
		what := strings.TrimPrefix(a.result, "already ")
		if !r.wroteAny(func(e event) bool { return e.what == what && e.who != a.name }) {
			return "not true"
		}
	case "unknown":
		if a.faults == 0 && !r.scenario.has(enables) {
			return "without a fault"
		}
	default:
		return "no outcome of a revoke"
	}
	return ""
}

func (r *run) checkEnable(a *actor) string {
	list, listed := strings.CutPrefix(a.last("ListExpired"), "ok")
	versions := strings.Fields(strings.ReplaceAll(list, "(marker)", ""))
	switch a.result {
	case "enabled", "spent again":
		for _, version := range versions {
			if !r.wroteAny(func(e event) bool { return e.what == "delete" && e.version == version }) {
				return "not true: " + version + " is still there"
			}
		}
		if a.result == "spent again" && !r.wroteAny(func(e event) bool { return e.claim() && !slices.Contains(versions, e.version) }) {
			return "not true: nobody claimed it again"
		}
	case "not spent":
		if !listed || len(versions) > 0 {
			return "not true"
		}
	case "stored":
		if !r.wroteAny(func(e event) bool { return e.what == "stored" }) {
			return "not true: nothing was stored"
		}
	case "unfinished":
		if a.faults == 0 {
			return "without a fault"
		}
	default:
		return "no outcome of an enable here"
	}
	return ""
}
