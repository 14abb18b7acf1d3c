package explore_test

import (
	"context"
	"errors"
	"io"

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
}

type kind int

const (
	gates kind = iota
	revokes
	enables
	nature // what S3 does of itself
)

// gate is one upload with the URL, decided by the code of production.
func gate(name string) part {
	return part{name: name, kind: gates, timed: true, play: func(a *actor, entropy onetime.Entropy) (string, error) {
		return a.decide(entropy)
	}}
}

// gateThen is a gate whose upload, once it has passed, is stored some time.
func gateThen(name string) part {
	p := gate(name)
	p.play = func(a *actor, entropy onetime.Entropy) (string, error) {
		result, err := a.decide(entropy)
		if result == pass {
			_ = scheduled{a}.Upload() // S3 may not take it, or say so to nobody
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
		return a.decide(entropy)
	}
	return p
}

const pass = "pass"

// index is what the participant takes for the index.
func (a *actor) index() onetime.Index {
	if lie := a.run.scenario.lie; lie != nil {
		return lie(scheduled{a})
	}
	return scheduled{a}
}

func (a *actor) decide(entropy onetime.Entropy) (string, error) {
	decider := onetime.Gate{
		Index:        a.index(),
		Presigner:    onetimetest.Presigner{},
		Clock:        a.clock,
		Entropy:      entropy,
		Region:       onetimetest.Region,
		FirstVersion: a.run.scenario.mode,
	}
	_, err := decider.Decide(context.Background(), onetime.Put{
		Method: "PUT", Path: url().Path, Query: url().Query, Headers: fiveBytes{}, Request: a.name,
	}, a.deadline)
	if err == nil {
		return pass, nil
	}
	return string(onetime.ReasonOf(err)), err
}

// fiveBytes are the headers of an upload of so many.
type fiveBytes struct{}

func (fiveBytes) Values(name string) []string {
	if name == "content-length" {
		return []string{"5"}
	}
	return nil
}

// revoke is an operator who takes the URL back.
func revoke(name string) part {
	return part{name: name, kind: revokes, play: func(a *actor, entropy onetime.Entropy) (string, error) {
		return revokeURL(context.Background(), a.index(), entropy, a.clock, url().ID)
	}}
}

// enable is an operator who makes the URL good again.
func enable(name string, change ...func(*enabler)) part {
	return part{name: name, kind: enables, play: func(a *actor, _ onetime.Entropy) (string, error) {
		e := enabler{bucket: scheduled{a}, id: url().ID}
		for _, change := range change {
			change(&e)
		}
		return e.enableURL(context.Background())
	}}
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
			return len(a.run.late) == 0
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
			scheduled{n.actor}.deleteVersion(version)
		}
		return struct{}{}, "", nil
	})
}

// unmark: the delete marker itself is deleted. A lifecycle does so once nothing is
// left under it, and then nothing is over it either.
func (n nature3) unmark(ready func() bool) {
	_, _ = ask(n.actor, "Unmark", ready, func() (struct{}, string, error) {
		if _, _, marker := n.run.versions(); marker != "" {
			scheduled{n.actor}.deleteVersion(marker)
		}
		return struct{}{}, "", nil
	})
}

// What follows is written after the contract of the operators' commands, as the
// domain would have it. Production has no such commands yet; when it has, they take
// the place of revokeURL and enabler here.

// tries is how often an operator's request is made.
const tries = 3

// repeat makes a request again after no answer.
func repeat(request func() error) (err error) {
	for range tries {
		err = request()
		if fault, ok := errors.AsType[*onetime.Fault](err); (!ok || fault.Status != 0) && !errors.Is(err, onetime.ErrConflict) {
			return err
		}
	}
	return err
}

// revokeURL claims the URL for nobody: S3 decides between it and an upload.
// The outcome is revoked, the reason for which the URL was spent before, or unknown.
func revokeURL(ctx context.Context, index onetime.Index, entropy onetime.Entropy, clock onetime.Clock, id onetime.ID) (string, error) {
	var nonce [16]byte
	if _, err := io.ReadFull(entropy, nonce[:]); err != nil {
		return "", err
	}
	entry := onetime.ExpiredEntry{Version: 1, Reason: onetime.Revoked, At: clock.Now().UTC(), Nonce: hexOf(nonce), Request: "operator"}
	err := repeat(func() error {
		_, err := index.Claim(ctx, plenty, id, onetime.Revoked, entry.Marshal())
		return err
	})
	if err == nil {
		return "revoked", nil
	}
	if !errors.Is(err, onetime.ErrExists) {
		return "unknown", err
	}
	// Ours, after an answer that was lost, or somebody else's.
	var body []byte
	if err := repeat(func() (err error) {
		body, _, err = index.ReadExpired(ctx, plenty, id)
		return err
	}); err != nil {
		return "unknown", err
	}
	found, err := onetime.ParseExpiredEntry(body)
	switch {
	case err != nil:
		return "unknown", err
	case found.Nonce == entry.Nonce:
		return "revoked", nil
	}
	return "already " + string(found.Reason), nil
}

// bucket is what enable needs of S3.
type bucket interface {
	onetime.Index
	DeleteVersion(version string) error
	HeadObject() (exists bool, err error)
	HideObject() error
}

var _ bucket = scheduled{}

// enabler makes a spent URL good for one more upload. It lists the expired entry's
// versions once, and deletes exactly those, the newest first: what somebody claims
// meanwhile stays, and so at most one more upload gets through.
type enabler struct {
	bucket
	id      onetime.ID
	replace bool // the object that is there already, by a delete marker
	// A seeded bug: after a deletion that was not answered it lists again.
	listsAgain bool
}

// enableURL returns enabled, not spent, spent again, stored, unknown or unfinished.
func (e enabler) enableURL(ctx context.Context) (string, error) {
	err := repeat(func() error { _, err := e.ReadValid(ctx, plenty, e.id); return err })
	switch {
	case errors.Is(err, onetime.ErrAbsent):
		return "unknown", nil // no upload with it could pass
	case err != nil:
		return "unfinished", err
	}
	var stored bool
	if err := repeat(func() (err error) { stored, err = e.HeadObject(); return err }); err != nil {
		return "unfinished", err
	}
	if stored && !e.replace {
		return "stored", nil
	}
	if stored {
		if err := repeat(e.HideObject); err != nil {
			return "unfinished", err
		}
	}
	versions, err := e.list(ctx)
	if err != nil {
		return "unfinished", err
	}
	if len(versions) == 0 {
		return "not spent", nil
	}
	for i := 0; i < len(versions); i++ {
		err := repeat(func() error {
			err := e.DeleteVersion(versions[i].ID)
			if err != nil && e.listsAgain {
				if versions, err = e.list(ctx); err == nil {
					i = -1
				}
			}
			return err
		})
		if err != nil {
			return "unfinished", err
		}
	}
	err = repeat(func() error { _, err := e.HeadExpired(ctx, plenty, e.id); return err })
	switch {
	case errors.Is(err, onetime.ErrAbsent):
		return "enabled", nil
	case err == nil || errors.Is(err, onetime.ErrDeleted):
		return "spent again", nil
	}
	return "unfinished", err
}

func (e enabler) list(ctx context.Context) (versions []onetime.Version, err error) {
	err = repeat(func() error { versions, err = e.ListExpired(ctx, plenty, e.id); return err })
	return versions, err
}
