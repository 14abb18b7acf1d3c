package explore_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
	"oncegate/internal/onetime/schedule"
)

// Ways in which requests to a table go wrong: as those to a bucket do, or throttled, which says
// that nothing was done.
var (
	throttled       = way{name: "429", Way: schedule.Way{Err: tooFast}, soft: true}
	tableReadFaults = append(slices.Clip(readFaults), throttled)
	tableDateFaults = append(slices.Clip(datedFaults), throttled)
	tableFaultsOf   = append(slices.Clip(writeFaults), throttled)
	// astray: by the table's clock, the URL's time is over.
	spendFaults = append(slices.Clip(tableFaultsOf), way{name: "astray", Way: good.Way, astray: true})
)

func tableFaults(q *schedule.Request, a *actor) []way {
	switch {
	case q.Op == "Spend":
		return spendFaults
	case q.Op == "ReadValid" && a.kind == gates:
		return tableDateFaults
	case q.Op == "HideObject":
		return claimFaults // it is S3's
	case q.Write:
		return tableFaultsOf
	}
	return tableReadFaults
}

// openTable makes the table, empty, in each of its Regions. In a table, a claim's version is its
// nonce: who claims again after an operator has removed his claim has the same one. The names
// that they get here do not depend on which gate is which.
func (r *run) openTable() {
	names := map[string]string{}
	name := func(key string, entry onetimetest.Entry, id string) string {
		claim, err := onetime.ParseExpiredEntry(entry.Body)
		if key != url().ID.ExpiredKey() || err != nil {
			return id
		}
		if names[claim.Nonce] == "" {
			names[claim.Nonce] = fmt.Sprintf("v%d", 2+len(names))
		}
		return names[claim.Nonce]
	}
	for range max(1, r.scenario.regions) {
		store := onetimetest.NewStore(r)
		store.Version = name
		r.replicas = append(r.replicas, &onetimetest.Ledger{Index: onetimetest.Index{Store: store}})
	}
	r.store = r.replicas[0].Store
	if r.scenario.has(completes) && !r.scenario.unbegun {
		r.startUpload()
	}
}

// truth is what the participant's requests mean.
func (a *actor) truth() *onetimetest.Ledger { return a.run.replicas[a.region] }

// spender is what a gate takes for the table.
func (a *actor) spender() onetime.Spender {
	if lie := a.run.scenario.spendLie; lie != nil {
		return lie(scheduled{a})
	}
	return scheduled{a}
}

var _ onetime.Spender = scheduled{}

func (x scheduled) Spend(ctx context.Context, limit time.Duration, id onetime.ID, claim onetime.ExpiredEntry, terms onetime.Terms) (onetime.Spending, error) {
	return x.spend(claim, func() (onetime.Spending, error) { return x.truth().Spend(ctx, limit, id, claim, terms) })
}

// spend asks for what do does.
func (x scheduled) spend(claim onetime.ExpiredEntry, do func() (onetime.Spending, error)) (onetime.Spending, error) {
	return ask(x.actor, "Spend", nil, func() (onetime.Spending, string, error) {
		key := url().ID.ExpiredKey()
		before, _, _ := x.truth().Store.Current(key)
		spent, err := do()
		after, _, _ := x.truth().Store.Current(key)
		if after.ID != before.ID {
			x.run.log = append(x.run.log, event{x.name, string(claim.Reason), after.ID})
		}
		spent.At = x.clock.Now()
		if x.astray {
			spent.At = url().Expires
		}
		note := "unknown"
		switch {
		case spent.Claimed && x.astray:
			note = "over"
		case spent.Claimed:
			note = "claimed " + after.ID
		case spent.Expired != nil:
			note = string(after.Reason)
		}
		return spent, note, err
	})
}

// spendTable is the protocol's table where gates look up and claim in one request.
func (a *actor) spendTable() string {
	tries := a.answers[a.noted("Spend")]
	note, answered := strings.CutPrefix(a.last("Spend"), "ok ")
	switch {
	case len(tries) == 0 && a.run.later:
		return string(onetime.Expired)
	case answered && note == "over":
		return string(onetime.Expired)
	case answered && strings.HasPrefix(note, "claimed "):
		return pass
	case answered:
		return note
	case a.again, slices.Contains(tries, "lost"):
		return string(onetime.ClaimUnknown)
	}
	return string(onetime.IndexUnavailable)
}

// inTwoTrips is a gate that does not spend at once, as one does whose client sends an odd type,
// and as all did before.
func inTwoTrips(p part) part {
	p.twoTrips = true
	return p
}

func inRegion(p part, region int) part {
	p.region = region
	return p
}

// expiry deletes the URL's item, as the table does some time after its time to live is over. At
// any moment: also while others are under way. Early: while the URL is still good.
func expiry(name string, anyMoment, early bool) part {
	return part{name: name, kind: nature, sure: true, play: func(a *actor, _ onetime.Entropy) (string, error) {
		ready := func() bool {
			return anyMoment || len(a.run.Late) == 0 && !slices.ContainsFunc(a.run.actors, (*actor).underWay)
		}
		_, _ = ask(a, "Forget", ready, func() (struct{}, string, error) {
			a.run.later = a.run.later || !early
			a.run.store.Forget(url().ID)
			a.run.log = append(a.run.log, event{a.name, "forgotten", ""})
			return struct{}{}, "", nil
		})
		return "over", nil
	}}
}

func (a *actor) underWay() bool { return a.kind != nature && len(a.answers) > 0 && !a.done }

// mintAgain is the mint's write of the valid entry once more, when it was long under way.
func mintAgain(name string) part {
	return part{name: name, kind: nature, sure: true, play: func(a *actor, _ onetime.Entropy) (string, error) {
		_, _ = ask(a, "WriteValid", nil, func() (struct{}, string, error) {
			a.run.store.Put(url().ID.ValidKey(), onetimetest.Entry{Body: url().entry}, false)
			a.run.log = append(a.run.log, event{a.name, "minted", ""})
			return struct{}{}, "", nil
		})
		return "over", nil
	}}
}

// replicate is a global table's copying: of two writes to one item, the last one is everywhere
// in the end. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html
func replicate(name string) part {
	return part{name: name, kind: nature, sure: true, play: func(a *actor, _ onetime.Entropy) (string, error) {
		for _, op := range []string{"Copy", "CopyAgain"} {
			_, _ = ask(a, op, nil, func() (struct{}, string, error) {
				key := url().ID.ExpiredKey()
				for _, e := range slices.Backward(a.run.log) {
					if !e.claim() {
						continue
					}
					last, _, _ := a.run.actor(e.who).truth().Store.Current(key)
					for _, replica := range a.run.replicas {
						replica.Store.Overwrite(key, last)
					}
					break
				}
				a.run.log = append(a.run.log, event{a.name, "copied", ""})
				return struct{}{}, "", nil
			})
		}
		return "over", nil
	}}
}

// stored is the outcome of who completes the URL's multipart upload.
const stored = "stored"

// complete is the last step of a multipart upload. What it asks of the bucket always works; what
// it asks of the table goes its way as everything does.
func complete(name string) part {
	return part{name: name, kind: completes, timed: true, play: func(a *actor, entropy onetime.Entropy) (string, error) {
		gate := &onetime.Gate{Index: a.ledger(), Spender: a.spender(), Clock: a.clock, Entropy: entropy, Region: onetimetest.Region, FirstVersion: a.run.scenario.mode}
		m := onetime.Multipart{Gate: gate, Parts: parts{scheduled{a}, a.truth()}}
		done, err := m.Complete(context.Background(), onetime.Put{
			Method: "POST", Path: url().Path, Query: url().Query + "&complete", Headers: fiveBytes{}, Request: a.name,
		}, a.deadline)
		switch {
		case err != nil:
			return string(onetime.ReasonOf(err)), err
		case done.Stored:
			return stored, nil
		}
		return "not yet", nil
	}}
}

// beginFirst is a participant that first starts the multipart upload, and then completes it.
func beginFirst(p part) part {
	play := p.play
	p.play = func(a *actor, entropy onetime.Entropy) (string, error) {
		_, _ = ask(a, "Begin", nil, func() (struct{}, string, error) {
			a.run.startUpload()
			a.run.log = append(a.run.log, event{a.name, "begun", ""})
			return struct{}{}, "", nil
		})
		return play(a, entropy)
	}
	return p
}

// startUpload has a multipart upload of one part under way.
func (r *run) startUpload() {
	ctx, truth := context.Background(), r.replicas[0]
	upload, err := truth.CreateUpload(ctx, plenty, url().Key, nil, nil, nil)
	if err != nil || !r.store.PutPart(upload, 1, []byte("a part")) {
		panic(err)
	}
	r.store.Put(url().ID.PartsKey(), onetimetest.Entry{Body: onetime.PartsEntry{Version: 1, Created: start, Upload: upload, PartBytes: 8 << 20}.Marshal()}, true)
}

// parts is a onetime.PartStore of which only the index may fail.
type parts struct {
	scheduled
	onetime.PartStore
}

func (p parts) ReadParts(ctx context.Context, limit time.Duration, id onetime.ID) ([]byte, error) {
	if p.run.scenario.readOnce && p.last("ReadParts") == "absent" {
		return nil, onetime.ErrAbsent
	}
	return ask(p.actor, "ReadParts", nil, func() ([]byte, string, error) {
		body, err := p.truth().ReadParts(ctx, limit, id)
		return body, "", err
	})
}

// sameClaimant reports whether a claim of who's is as good as the participant's own.
func (r *run) sameClaimant(who string, a *actor) bool {
	return who == a.name || a.kind == completes && r.actor(who).kind == completes
}

func (r *run) checkComplete(a *actor) string {
	own := r.wroteAny(func(e event) bool { return e.claim() && e.who == a.name }) ||
		slices.ContainsFunc(r.Late, func(q *schedule.Request) bool { return q.Who == a.name && q.Op == "Claim" })
	switch a.result {
	case stored:
	case string(onetime.Used):
		if !r.wroteAny(func(e event) bool { return e.what == "used" && r.actor(e.who).kind == gates }) {
			return "not true: no PUT has used the URL"
		}
	case string(onetime.Revoked):
		if !r.wroteAny(func(e event) bool { return e.what == "revoked" }) {
			return "not true: the URL was not revoked"
		}
	case string(onetime.NotStarted):
		if !r.scenario.unbegun {
			return "not true: the upload was begun"
		}
		if own {
			return "the client is told that nothing was spent, and it was"
		}
	case string(onetime.IndexUnavailable), string(onetime.ClaimUnknown), "not yet":
		switch {
		case a.faults == 0:
			return "without a fault"
		case a.madeUpFor():
			return "no more went wrong than there are repeats for"
		case a.result == string(onetime.IndexUnavailable) && own:
			return "the client is told that nothing was spent, and it was"
		}
	default:
		return "no outcome of a complete here"
	}
	return ""
}

// tableFamilies are the scenarios of the index in a table.
func tableFamilies() (all []family) {
	g1, g2, g3 := gate("g1"), gate("g2"), gate("g3")
	twice1, twice2 := gateTwice("g1"), gateTwice("g2")
	later1, later2 := gateAtSomeTime("g1"), gateAtSomeTime("g2")
	revoke, enables := revoke("revoke"), enable("enable", once)
	add := func(name string, daily, long int, before []string, cast ...part) {
		all = append(all, family{scenario{name: "table: " + name, table: true, mode: onetime.Conditional, before: before, cast: cast}, daily, long})
	}
	add("1 gate", 3, 5, nil, g1)
	add("2 gates", 3, 5, nil, g1, g2)
	add("3 gates", 2, 4, nil, g1, g2, g3)
	add("2 gates, two spellings", 1, 3, nil, g1, spelt(g2, 1))
	add("gate, revoke", 2, 4, nil, g1, revoke)
	add("2 gates, revoke", 1, 3, nil, g1, g2, revoke)
	add("2 gates asked again", 2, 4, nil, twice1, twice2)
	add("gate asked again, revoke", 1, 2, nil, twice1, revoke)
	add("gate asked again, enable", 1, 3, nil, twice1, enables)
	add("gate asked again, gate, enable", 0, 1, nil, twice1, g2, enables)
	add("gate, enable", 2, 4, nil, g1, enables)
	add("2 gates, enable", 1, 2, nil, g1, g2, enables)
	add("2 gates, enable twice", 0, 1, nil, g1, g2, enables, enable("again", once))
	add("gate, revoke, enable", 1, 2, nil, g1, revoke, enables)
	add("2 gates, enable until sure", 1, 2, nil, g1, g2, enableUntilSure("enable", once))
	add("used before, 3 gates, enabled twice by claim", 0, 1, []string{"used"}, g1, g2, g3, enable("enable", onlyV2), enable("again", onlyV2))
	add("2 uploads, enable replaces", 0, 1, nil, gateThen("g1"), gateThen("g2"), enable("enable", replaces))
	add("gate, gate in two trips", 2, 3, nil, g1, inTwoTrips(g2))
	add("gate, gate in two trips, revoke", 0, 2, nil, g1, inTwoTrips(g2), revoke)
	add("gate, gate in two trips, enable", 0, 1, nil, g1, inTwoTrips(g2), enables)
	add("gate, complete", 1, 2, nil, g1, complete("c1"))
	add("gate, 2 completes", 0, 1, nil, g1, complete("c1"), complete("c2"))
	add("gate, complete, revoke", 0, 1, nil, g1, complete("c1"), revoke)
	begins := beginFirst(complete("c1"))
	for _, cast := range [][]part{{begins, complete("c2")}, {begins, complete("c2"), g1}, {begins, complete("c2"), revoke}} {
		add("not begun, 2 completes, "+cast[len(cast)-1].name, 0, 1, nil, cast...)
		all[len(all)-1].unbegun = true
	}
	add("2 gates, mint again", 2, 4, nil, g1, g2, mintAgain("mint"))
	add("2 gates, forgotten at any moment", 2, 4, nil, g1, g2, expiry("expiry", true, false))
	add("gate asked again, forgotten at any moment", 1, 3, nil, twice1, expiry("expiry", true, false))
	add("2 gates at some time, forgotten at any moment", 1, 2, nil, later1, later2, expiry("expiry", true, false))
	add("gate at some time, revoke, forgotten", 1, 2, nil, later1, revoke, expiry("expiry", false, false))
	add("gate, gate in two trips at some time, forgotten", 1, 2, nil, later1, inTwoTrips(later2), expiry("expiry", false, false))
	add("used before, 2 gates", 1, 2, []string{"used"}, g1, g2)
	add("revoked before, 2 gates", 1, 2, []string{"revoked"}, g1, g2)
	for _, cast := range [][]part{{g1, g2}, {g1, revoke}} {
		add("never minted, "+cast[1].name, 1, 2, nil, cast...)
		all[len(all)-1].unminted = true
	}
	return all
}
