package explore_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// Where a URL is moved, region 0 is the old index, where it was minted, and region 1 the new one.
// Gates of both decide at the same time.

// movable is one of the two indexes as a mover asks it.
type movable struct {
	scheduled
	prefix string
	index  *onetimetest.Index
}

var _ onetime.Movable = movable{}

// asked is a request whose answer is an error alone, or with a text.
func (x movable) asked(op string, do func() ([]byte, string, error)) ([]byte, string, error) {
	got, err := ask(x.actor, x.prefix+op, nil, func() (read, string, error) {
		body, text, err := do()
		return read{body: body, version: text}, text, err
	})
	return got.body, got.version, err
}

func (x movable) ReadValid(ctx context.Context, limit time.Duration, id onetime.ID) ([]byte, time.Time, error) {
	body, _, err := x.asked("ReadValid", func() ([]byte, string, error) {
		body, _, err := x.index.ReadValid(ctx, limit, id)
		return body, "", err
	})
	return body, x.clock.Now(), err
}

func (x movable) WriteValid(ctx context.Context, limit time.Duration, id onetime.ID, body []byte) (time.Time, error) {
	_, _, err := x.asked("WriteValid", func() ([]byte, string, error) {
		_, err := x.index.WriteValid(ctx, limit, id, body)
		x.run.log = append(x.run.log, event{x.name, "minted", ""})
		return nil, "", err
	})
	return x.clock.Now(), err
}

func (x movable) HeadExpired(ctx context.Context, limit time.Duration, id onetime.ID) (onetime.Reason, error) {
	_, reason, err := x.asked("HeadExpired", func() ([]byte, string, error) {
		reason, err := x.index.HeadExpired(ctx, limit, id)
		return nil, string(reason), err
	})
	return onetime.Reason(reason), err
}

// A claim of the mover's is logged as moved: it spends the URL in one index only.
func (x movable) Claim(ctx context.Context, limit time.Duration, id onetime.ID, reason onetime.Reason, body []byte) (string, error) {
	_, version, err := x.asked("Claim", func() ([]byte, string, error) {
		version, err := x.index.Claim(ctx, limit, id, reason, body)
		if err == nil {
			x.run.log = append(x.run.log, event{x.name, "moved", version})
		}
		return nil, version, err
	})
	return version, err
}

func (x movable) ReadExpired(ctx context.Context, limit time.Duration, id onetime.ID) ([]byte, string, error) {
	return x.asked("ReadExpired", func() ([]byte, string, error) { return x.index.ReadExpired(ctx, limit, id) })
}

// movableTable is a new index that writes all of the URL at once, as one in a table does. It is
// the same index with one more request, and Claim is as Index has it.
type movableTable struct{ movable }

var _ onetime.AtOnce = movableTable{}

func (x movableTable) WriteAtOnce(ctx context.Context, limit time.Duration, id onetime.ID, valid, claim, parts []byte) error {
	_, _, err := x.asked("WriteAtOnce", func() ([]byte, string, error) {
		err := onetimetest.Table{Index: x.index}.WriteAtOnce(ctx, limit, id, valid, claim, parts)
		if err != nil {
			return nil, "", err
		}
		x.run.log = append(x.run.log, event{x.name, "minted", ""})
		if claim != nil {
			entry, _, _ := x.index.Store.Current(id.ExpiredKey())
			x.run.log = append(x.run.log, event{x.name, "moved", entry.ID})
		}
		return nil, "", nil
	})
	return err
}

// atOnce has a mover write all of a URL at once.
func atOnce(m *onetime.Mover) { m.To = movableTable{m.To.(movable)} }

// Nothing else goes with the URL here.
func (movable) ReadParts(context.Context, time.Duration, onetime.ID) ([]byte, error) {
	return nil, onetime.ErrAbsent
}
func (movable) WriteParts(context.Context, time.Duration, onetime.ID, []byte) error { return nil }
func (movable) ReadUpload(context.Context, time.Duration, string) ([]byte, error) {
	return nil, onetime.ErrAbsent
}
func (movable) WriteUpload(context.Context, time.Duration, string, []byte) error { return nil }

// mover moves the URL, and tries again as often as it takes but tries times.
func mover(name string, tries int) part {
	return part{name: name, kind: moves, timed: true, play: func(a *actor, entropy onetime.Entropy) (string, error) {
		m := a.mover(entropy)
		var done onetime.Move
		var err error
		for range tries {
			if done, err = m.Move(context.Background(), url().ID); err == nil {
				return string(done), nil
			}
		}
		return "not yet", err
	}}
}

func (a *actor) mover(entropy onetime.Entropy) *onetime.Mover {
	m := &onetime.Mover{
		From: movable{scheduled{a}, "", &a.run.replicas[0].Index}, To: movable{scheduled{a}, "New", &a.run.replicas[1].Index},
		Clock: a.clock, Entropy: entropy,
	}
	if change := a.run.scenario.moving; change != nil {
		change(m)
	}
	return m
}

// checkMover returns what is wrong with what a mover says.
func (r *run) checkMover(a *actor) string {
	switch onetime.Move(a.result) {
	case onetime.MovedGood:
		if _, there, _ := r.replicas[1].Store.Current(url().ID.ValidKey()); !there {
			return "not true: the new index does not know it"
		}
	case onetime.MovedSpent:
		if _, there, _ := r.replicas[1].Store.Current(url().ID.ExpiredKey()); !there {
			return "not true: it is not spent in the new index"
		}
		if !r.wroteAny(event.claim) {
			return "not true: nobody has spent it"
		}
	case "not yet":
		if a.madeUpFor() {
			return "no more went wrong than there are repeats for"
		}
	default:
		return "no outcome of a move here"
	}
	return ""
}

// moveFamilies are URLs that are moved, from a bucket to a table and back.
func moveFamilies() (all []family) {
	for _, way := range []struct {
		name     string
		old, new func(part) part
		moving   func(*onetime.Mover)
	}{
		{"to a table", inTwoTrips, func(p part) part { return p }, atOnce},
		{"to a bucket", func(p part) part { return p }, inTwoTrips, nil},
	} {
		g1, g2 := way.old(gate("g1")), inRegion(way.new(gate("g2")), 1)
		g3, g4 := way.old(gate("g3")), inRegion(way.new(gate("g4")), 1)
		move, again := mover("move", 1), mover("move", 2)
		add := func(name string, daily, long int, before []string, cast ...part) {
			all = append(all, family{scenario{
				name: "moved " + way.name + ": " + name, table: true, regions: 2, moved: true, mode: onetime.Conditional, before: before, cast: cast,
				moving: way.moving,
			}, daily, long})
		}
		add("old gate, new gate", 1, 2, nil, g1, g2, again)
		add("2 old gates, new gate", 0, 0, nil, g1, g3, g2, move)
		add("old gate, 2 new gates", 0, 1, nil, g1, g2, g4, move)
		add("old gate, new gate, 2 movers", 0, 1, nil, g1, g2, move, mover("move-too", 1))
		add("old gate, new gate, a mover after a mover", -1, 0, nil, g1, g2, again, mover("move-too", 2))
		add("old gate, new gate, revoked in the new index", 0, 1, nil, g1, g2, move, inRegion(revoke("revoke"), 1))
		add("old gate, new gate, revoked in the old index", 0, 1, nil, g1, g2, move, revoke("revoke"))
		add("used before", 1, 2, []string{"used"}, g1, g2, again)
		add("revoked before", 1, 2, []string{"revoked"}, g1, g2, again)
	}
	all = append(all, family{scenario{name: "moved to a table: used and hidden before", table: true, regions: 2, moved: true, mode: onetime.Conditional,
		before: []string{"used", "marker"}, cast: []part{inTwoTrips(gate("g1")), inRegion(gate("g2"), 1), mover("move", 2)}, moving: atOnce}, 1, 2})
	return all
}

// first is an index that is told first what it is to be told last.
type first struct {
	movable
	other movable
}

// Claim writes the valid entry into the new index before it claims in the old one.
func (x first) Claim(ctx context.Context, limit time.Duration, id onetime.ID, reason onetime.Reason, body []byte) (string, error) {
	if _, err := x.other.WriteValid(ctx, limit, id, url().entry); err != nil {
		return "", err
	}
	return x.movable.Claim(ctx, limit, id, reason, body)
}

// unaware is a new index that is not asked what it knows.
type unaware struct{ movable }

func (unaware) ReadValid(context.Context, time.Duration, onetime.ID) ([]byte, time.Time, error) {
	return nil, time.Time{}, onetime.ErrAbsent
}

// claimless is an old index in which nothing is claimed.
type claimless struct{ movable }

func (claimless) Claim(context.Context, time.Duration, onetime.ID, onetime.Reason, []byte) (string, error) {
	return "v9", nil
}

// halved is a new index that writes a URL without its claim.
type halved struct{ movableTable }

func (x halved) WriteAtOnce(ctx context.Context, limit time.Duration, id onetime.ID, valid, _, parts []byte) error {
	return x.movableTable.WriteAtOnce(ctx, limit, id, valid, nil, parts)
}

// credulous takes every claim for the one that moves the URL.
type credulous struct{ movable }

func (x credulous) ReadExpired(ctx context.Context, limit time.Duration, id onetime.ID) ([]byte, string, error) {
	body, version, err := x.movable.ReadExpired(ctx, limit, id)
	if claim, parseErr := onetime.ParseExpiredEntry(body); parseErr == nil {
		claim.Nonce = moveNonce(id)
		body = claim.Marshal()
	}
	return body, version, err
}

// moveNonce is the nonce of a mover's claim of this URL.
func moveNonce(id onetime.ID) string {
	sum := sha256.Sum256([]byte("move\n" + string(id)))
	return hex.EncodeToString(sum[:16])
}

// moveBugs are movers that let two uploads pass.
func moveBugs() []bug {
	cast := []part{inTwoTrips(gate("g1")), inRegion(gate("g2"), 1), mover("move", 2)}
	planted := func(name, want string, change func(*onetime.Mover)) bug {
		return bug{scenario{name: "moved: " + name, table: true, regions: 2, moved: true, cast: cast, faults: 1, moving: change}, want}
	}
	return []bug{
		planted("known to the new index before it is claimed in the old one", "2 winners, at most 1 are allowed", func(m *onetime.Mover) {
			m.From, m.To = first{m.From.(movable), m.To.(movable)}, unaware{m.To.(movable)}
		}),
		planted("not claimed in the old index", "2 winners, at most 1 are allowed", func(m *onetime.Mover) { m.From = claimless{m.From.(movable)} }),
		planted("a gate's claim is taken for the mover's", "2 winners, at most 1 are allowed", func(m *onetime.Mover) { m.From = credulous{m.From.(movable)} }),
		planted("known without its claim", "not true: it is not spent in the new index", func(m *onetime.Mover) { m.To = halved{movableTable{m.To.(movable)}} }),
		planted("a claim is not copied", "not true: it is not spent in the new index", func(m *onetime.Mover) { m.To = claimless{m.To.(movable)} }),
	}
}

// TestMoveBugs: every mistake is found, by a schedule that shows it again.
func TestMoveBugs(t *testing.T) {
	for _, b := range moveBugs() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			b.find(t)
		})
	}
}
