package explore_test

import (
	"context"
	"encoding/hex"
	"errors"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// part is what a participant does.
type part struct {
	name string
	kind kind
	play func(a *actor, entropy onetime.Entropy) (result string, cause error)
	// timed: a slow answer leaves it no time. sure: nothing ever goes wrong with it.
	timed, sure bool
	options     onetime.EnableOptions // of who enables
	spelling    int                   // of the URL: which of onetimetest.Spellings a gate is asked with
	twoTrips    bool                  // a gate that reads before it claims, in a table too
	region      int                   // of a table with replicas: which one the participant asks
}

type kind int

const (
	gates kind = iota
	revokes
	enables
	nature // what S3 does of itself
	completes
	moves
)

// gate is one upload with the URL, decided by the code of production.
func gate(name string) part {
	return part{name: name, kind: gates, timed: true, play: func(a *actor, entropy onetime.Entropy) (string, error) {
		result, _, err := a.decide(entropy)
		return result, err
	}}
}

// spelt is a gate whose client writes the URL's query in another way than the mint.
func spelt(p part, spelling int) part {
	p.spelling = spelling
	return p
}

// gateThen is a gate whose upload, once it has passed, is stored some time.
func gateThen(name string) part {
	p := gate(name)
	p.play = func(a *actor, entropy onetime.Entropy) (string, error) {
		result, headers, err := a.decide(entropy)
		if result == pass {
			// S3 may not take it, or say so to nobody.
			_ = scheduled{a}.Upload(headers["if-none-match"] == "*")
		}
		return result, err
	}
	return p
}

// gateAtSomeTime is a gate whose invocation begins at a step of its own.
func gateAtSomeTime(name string) part {
	p := gate(name)
	p.play = func(a *actor, entropy onetime.Entropy) (string, error) {
		_, _ = ask(a, "Begin", nil, func() (struct{}, string, error) {
			if a.run.later {
				a.clock.Set(start.Add(9 * 24 * 60 * 60 * 1e9))
				a.deadline = a.clock.Now().Add(plenty)
			}
			return struct{}{}, "", nil
		})
		result, _, err := a.decide(entropy)
		return result, err
	}
	return p
}

// gateTwice is a gate whose caller never hears of its first try and asks again.
func gateTwice(name string) part {
	p := gate(name)
	p.play = func(a *actor, entropy onetime.Entropy) (string, error) {
		nonce := make([]byte, 16)
		if _, err := entropy.Read(nonce); err != nil {
			return "", err
		}
		attempt := onetime.Attempt{Nonce: hex.EncodeToString(nonce)}
		_, _, _ = a.try(entropy, attempt)
		a.again, a.slow, a.deadline = true, false, a.clock.Now().Add(plenty)
		attempt.Repeated = true
		result, _, err := a.try(entropy, attempt)
		return result, err
	}
	return p
}

const pass = "pass"

// ledger is what the participant takes for the index.
func (a *actor) ledger() onetime.Ledger {
	if lie := a.run.scenario.lie; lie != nil {
		return lie(scheduled{a})
	}
	return scheduled{a}
}

// decide returns the decision, and the headers that the upload has to have.
func (a *actor) decide(entropy onetime.Entropy) (result string, headers map[string]string, err error) {
	return a.try(entropy, onetime.Attempt{})
}

func (a *actor) try(entropy onetime.Entropy, attempt onetime.Attempt) (result string, headers map[string]string, err error) {
	decider := onetime.Gate{
		Index:        a.ledger(),
		Presigner:    onetimetest.Presigner{},
		Clock:        a.clock,
		Entropy:      entropy,
		Region:       onetimetest.Region,
		FirstVersion: a.run.scenario.mode,
		WriteOnce:    a.run.scenario.writeOnce,
	}
	if a.run.scenario.table && !a.twoTrips {
		decider.Spender = a.spender()
	}
	passed, err := decider.Decide(context.Background(), onetime.Put{
		Method: "PUT", Path: url().Path, Query: spellings()[a.spelling].Query, Headers: fiveBytes{}, Request: a.name, Attempt: attempt,
	}, a.deadline)
	if err == nil {
		return pass, passed.Headers, nil
	}
	return string(onetime.ReasonOf(err)), nil, err
}

// fiveBytes are the headers of an upload of so many.
type fiveBytes struct{}

func (fiveBytes) Values(name string) []string {
	if name == "content-length" {
		return []string{"5"}
	}
	return nil
}

func (fiveBytes) Names() []string { return []string{"content-length"} }

// revoke is an operator who takes the URL back. The outcome is revoked, revoked
// before, the state that speaks against it, or open.
func revoke(name string) part {
	return part{name: name, kind: revokes, timed: true, play: func(a *actor, entropy onetime.Entropy) (string, error) {
		now, err := a.operator(entropy).Revoke(context.Background(), onetime.Target{ID: url().ID})
		if state, ok := errors.AsType[*onetime.StateError](err); ok {
			return "not, " + string(state.State), err
		}
		switch {
		case err != nil:
			return "open", err
		case now:
			return "revoked", nil
		}
		return "revoked before", nil
	}}
}

// enable is an operator who makes the URL good again. The outcome is enabled,
// enabled before, spent again, the state that speaks against it, uncertain or failed.
func enable(name string, options onetime.EnableOptions) part {
	return part{name: name, kind: enables, timed: true, options: options, play: func(a *actor, entropy onetime.Entropy) (string, error) {
		return a.enable(entropy, options)
	}}
}

// enableUntilSure is an operator who tries again as he is told to.
func enableUntilSure(name string, options onetime.EnableOptions) part {
	p := enable(name, options)
	p.play = func(a *actor, entropy onetime.Entropy) (string, error) {
		result, err := a.enable(entropy, options)
		for range 2 {
			uncertain, ok := errors.AsType[*onetime.UncertainError](err)
			if !ok {
				break
			}
			again := options
			again.Claim = uncertain.Claim
			result, err = a.enable(entropy, again)
			result = "again " + result
		}
		return result, err
	}
	return p
}

func (a *actor) enable(entropy onetime.Entropy, options onetime.EnableOptions) (string, error) {
	done, err := a.operator(entropy).Enable(context.Background(), onetime.Target{ID: url().ID}, options)
	if state, ok := errors.AsType[*onetime.StateError](err); ok {
		return "not, " + string(state.State), err
	}
	if _, ok := errors.AsType[*onetime.UncertainError](err); ok {
		return "uncertain", err
	}
	switch {
	case err != nil:
		return "failed", err
	case done.Spent != "":
		return "spent again", nil
	case len(done.Claims) == 0:
		return "enabled before", nil
	}
	return "enabled", nil
}

func (a *actor) operator(entropy onetime.Entropy) *onetime.Operator {
	return &onetime.Operator{Ledger: a.ledger(), Clock: a.clock, Entropy: entropy}
}

// lifecycle is the bucket's lifecycle as it is deployed: it counts in days. Entries
// outlive their URL, and no invocation or request is under way any more when it acts.
func lifecycle(name string) part {
	return part{name: name, kind: nature, sure: true, play: func(a *actor, _ onetime.Entropy) (string, error) {
		calm := func() bool {
			for _, other := range a.run.actors {
				if other.kind == gates && len(other.answers) > 0 && !other.done {
					return false
				}
			}
			return len(a.run.Late) == 0
		}
		nature := nature3{a}
		nature.marker(calm)
		nature.purge(calm)
		nature.unmark(calm)
		return "over", nil
	}}
}

// stray is a delete marker that somebody puts over the entry, whenever he likes,
// and takes away again.
func stray(name string, andPurge bool) part {
	return part{name: name, kind: nature, sure: true, play: func(a *actor, _ onetime.Entropy) (string, error) {
		nature := nature3{a}
		nature.marker(nil)
		if andPurge {
			nature.purge(nil)
		}
		nature.unmark(nil)
		return "over", nil
	}}
}

// nature3 is the three things that a lifecycle does to an entry.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
type nature3 struct{ *actor }

// marker: a current version that expires gets a delete marker.
func (n nature3) marker(ready func() bool) {
	_, _ = ask(n.actor, "Marker", ready, func() (struct{}, string, error) {
		if ready != nil {
			n.run.later = true
		}
		if current, _, _ := n.run.versions(); current {
			version := n.run.store.Delete(url().ID.ExpiredKey())
			n.run.log = append(n.run.log, event{n.name, "marker", version})
		}
		return struct{}{}, "", nil
	})
}

// purge: noncurrent versions are deleted for good.
func (n nature3) purge(ready func() bool) {
	_, _ = ask(n.actor, "Purge", ready, func() (struct{}, string, error) {
		_, noncurrent, _ := n.run.versions()
		for _, version := range noncurrent {
			scheduled(n).deleteVersion(version)
		}
		return struct{}{}, "", nil
	})
}

// unmark: the delete marker itself is deleted. A lifecycle does so once nothing is
// left under it, and then nothing is over it either.
func (n nature3) unmark(ready func() bool) {
	_, _ = ask(n.actor, "Unmark", ready, func() (struct{}, string, error) {
		if _, _, marker := n.run.versions(); marker != "" {
			scheduled(n).deleteVersion(marker)
		}
		return struct{}{}, "", nil
	})
}
