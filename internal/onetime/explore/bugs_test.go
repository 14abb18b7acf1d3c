package explore_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"oncegate/internal/onetime"
)

// bug is a scenario with a mistake in it, and what it breaks.
type bug struct {
	scenario
	want string // in the violation that is found
}

// liar misreads S3 for a claimant, one answer of the protocol's table at a time.
type liar struct {
	onetime.Ledger
	valid func([]byte, error) ([]byte, error)
	date  func(time.Time) time.Time
	head  func(onetime.Reason, error) (onetime.Reason, error)
	claim func(string, error) (string, error)
	read  func(ours, body []byte, version string, err error) ([]byte, string, error)
	list  func(ours string, versions []onetime.Version, err error) ([]onetime.Version, error)

	ours    []byte // what was claimed with
	version string // what was claimed
}

func (l *liar) ReadValid(ctx context.Context, limit time.Duration, id onetime.ID) ([]byte, time.Time, error) {
	body, at, err := l.Ledger.ReadValid(ctx, limit, id)
	if l.valid != nil {
		was := err
		if body, err = l.valid(body, err); was != nil && err == nil {
			at = start // the lie is about the entry, not about the time
		}
	}
	if l.date != nil {
		at = l.date(at)
	}
	return body, at, err
}

func (l *liar) HeadExpired(ctx context.Context, limit time.Duration, id onetime.ID) (onetime.Reason, error) {
	reason, err := l.Ledger.HeadExpired(ctx, limit, id)
	if l.head != nil {
		return l.head(reason, err)
	}
	return reason, err
}

func (l *liar) Claim(ctx context.Context, limit time.Duration, id onetime.ID, reason onetime.Reason, body []byte) (string, error) {
	l.ours = body
	version, err := l.Ledger.Claim(ctx, limit, id, reason, body)
	if l.claim != nil {
		version, err = l.claim(version, err)
	}
	l.version = version
	return version, err
}

func (l *liar) ReadExpired(ctx context.Context, limit time.Duration, id onetime.ID) ([]byte, string, error) {
	body, version, err := l.Ledger.ReadExpired(ctx, limit, id)
	if l.read != nil {
		return l.read(l.ours, body, version, err)
	}
	return body, version, err
}

func (l *liar) ListExpired(ctx context.Context, limit time.Duration, id onetime.ID) ([]onetime.Version, error) {
	versions, err := l.Ledger.ListExpired(ctx, limit, id)
	if l.list != nil {
		return l.list(l.version, versions, err)
	}
	return versions, err
}

// lies makes a misreading of gates, or of others.
func lies(l liar, to ...kind) func(scheduled) onetime.Ledger {
	return func(x scheduled) onetime.Ledger {
		if x.kind != gates && !slices.Contains(to, x.kind) {
			return x
		}
		l := l
		l.Ledger = x
		return &l
	}
}

// relister lists again where a deletion was not answered.
type relister struct{ onetime.Ledger }

func (l relister) DeleteExpired(ctx context.Context, limit time.Duration, id onetime.ID, version string) error {
	err := l.Ledger.DeleteExpired(ctx, limit, id, version)
	if err == nil {
		return nil
	}
	versions, err := l.Ledger.ListExpired(ctx, limit, id)
	for _, v := range versions {
		err = errors.Join(err, l.Ledger.DeleteExpired(ctx, limit, id, v.ID))
	}
	return err
}

// unanswered is a fault without a status, denied one with 403.
func unanswered(err error) bool { return status(err) == 0 }
func denied(err error) bool     { return status(err) == 403 }

func status(err error) int {
	if fault, ok := errors.AsType[*onetime.Fault](err); ok {
		return fault.Status
	}
	return -1
}

// headAs and claimAs turn one answer into another.
func headAs(wrong func(error) bool, reason onetime.Reason, err error) liar {
	return liar{head: func(r onetime.Reason, e error) (onetime.Reason, error) {
		if wrong(e) {
			return reason, err
		}
		return r, e
	}}
}

func claimAs(wrong func(error) bool, version string, err error) liar {
	return liar{claim: func(v string, e error) (string, error) {
		if wrong(e) {
			return version, err
		}
		return v, e
	}}
}

func isNil(err error) bool { return err == nil }
func isErr(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

// bugs are the protocol's table with one row broken at a time, and operators'
// mistakes. Some rows stand behind another that holds: their bug costs a truth and
// not the rule.
func bugs() []bug {
	two := []part{gate("g1"), gate("g2")}
	fault := &onetime.Fault{Op: "request"}
	return []bug{
		{scenario{name: "valid: 404 as 200", cast: two, unminted: true,
			lie: lies(liar{valid: func(body []byte, err error) ([]byte, error) {
				if err != nil {
					return url().entry, nil
				}
				return body, nil
			}})}, "never minted"},
		{scenario{name: "valid: no answer as 404", cast: two, faults: 1,
			lie: lies(liar{valid: func(body []byte, err error) ([]byte, error) {
				if err != nil {
					return nil, onetime.ErrAbsent
				}
				return body, nil
			}})}, "not true: the URL was minted"},
		{scenario{name: "valid: no answer as 200", cast: two, faults: 1,
			lie: lies(liar{valid: func(body []byte, err error) ([]byte, error) {
				if err != nil {
					return url().entry, nil
				}
				return body, nil
			}})}, "the protocol's table says index-unavailable"},
		{scenario{name: "valid: 200 as 404", cast: two,
			lie: lies(liar{valid: func([]byte, error) ([]byte, error) { return nil, onetime.ErrAbsent }})},
			"not true: the URL was minted"},

		{scenario{name: "valid: another date as ours", cast: two, faults: 1,
			lie: lies(liar{date: func(time.Time) time.Time { return start }})}, "the protocol's table says index-unavailable"},

		{scenario{name: "expired: 404 as 200", cast: two, lie: lies(headAs(isErr(onetime.ErrAbsent), onetime.Used, nil))},
			"nobody else has claimed the URL"},
		{scenario{name: "expired: 200 as 404", cast: two, before: []string{"revoked"}, lie: lies(headAs(isNil, "", onetime.ErrAbsent))},
			"the protocol's table says revoked"},
		{scenario{name: "expired: revoked as used", cast: two, before: []string{"revoked"}, lie: lies(headAs(isNil, onetime.Used, nil))},
			"the protocol's table says revoked"},
		{scenario{name: "expired: used as revoked", cast: two, lie: lies(headAs(isNil, onetime.Revoked, nil))},
			"the URL was not revoked"},
		{scenario{name: "expired: delete marker not seen", cast: two, before: []string{"used", "marker"},
			lie: lies(headAs(isErr(onetime.ErrDeleted), "", onetime.ErrAbsent))}, "not the first version"},
		{scenario{name: "expired: 403 as 404", cast: two, faults: 1, before: []string{"used", "marker"},
			lie: lies(headAs(denied, "", onetime.ErrAbsent))}, "not the first version"},
		{scenario{name: "expired: no answer as 404", cast: two, faults: 1, before: []string{"used", "marker"},
			lie: lies(headAs(unanswered, "", onetime.ErrAbsent))}, "not the first version"},
		{scenario{name: "expired: no answer as 200", cast: two, faults: 1, lie: lies(headAs(unanswered, onetime.Used, nil))},
			"the protocol's table says index-unavailable"},

		{scenario{name: "claim: 412 as 200", cast: two, lie: lies(claimAs(isErr(onetime.ErrExists), "v1", nil))},
			"without a claim of its own"},
		{scenario{name: "claim: 200 as 412", cast: two, lie: lies(claimAs(isNil, "", onetime.ErrExists))},
			"nobody else has claimed the URL"},
		{scenario{name: "claim: 200 as no answer", cast: two, lie: lies(claimAs(isNil, "", fault))},
			"the protocol's table says used"},
		{scenario{name: "claim: 409 as 200", cast: two, faults: 1, lie: lies(claimAs(isErr(onetime.ErrConflict), "v1", nil))},
			"without a claim of its own"},
		{scenario{name: "claim: 409 as 412", cast: two, faults: 1, lie: lies(claimAs(isErr(onetime.ErrConflict), "", onetime.ErrExists))},
			"nobody else has claimed the URL"},
		{scenario{name: "claim: 409 as 403", cast: two, faults: 1,
			lie: lies(claimAs(isErr(onetime.ErrConflict), "", &onetime.Fault{Op: "Claim", Status: 403}))}, "no more went wrong than"},
		{scenario{name: "claim: no answer as 200", cast: two, faults: 1, lie: lies(claimAs(unanswered, "v1", nil))},
			"without a claim of its own"},
		{scenario{name: "claim: no answer as 412", cast: two, faults: 1, lie: lies(claimAs(unanswered, "", onetime.ErrExists))},
			"nobody else has claimed the URL"},
		{scenario{name: "claim: no answer as 409", cast: two, faults: 1, lie: lies(claimAs(unanswered, "", onetime.ErrConflict))},
			"the protocol's table says claim-unknown"},
		{scenario{name: "claim: 403 as 200", cast: two, faults: 1, lie: lies(claimAs(denied, "v1", nil))},
			"without a claim of its own"},
		{scenario{name: "claim: 412 as no answer", cast: two, lie: lies(claimAs(isErr(onetime.ErrExists), "", fault))},
			"no more went wrong than there are repeats for"},

		{scenario{name: "read back: another's as ours", cast: two, faults: 1,
			lie: lies(liar{read: func(ours, body []byte, version string, err error) ([]byte, string, error) {
				return ours, version, err
			}})}, "without a claim of its own"},
		{scenario{name: "read back: ours as another's", cast: two, faults: 1,
			lie: lies(liar{read: func(_, body []byte, version string, err error) ([]byte, string, error) {
				return flipNonce(body), version, err
			}})}, "nobody else has claimed the URL"},
		{scenario{name: "read back: no answer as ours", cast: two, faults: 2,
			lie: lies(liar{read: func(ours, body []byte, version string, err error) ([]byte, string, error) {
				if err != nil {
					return ours, "v1", nil
				}
				return body, version, err
			}})}, "without a claim of its own"},
		{scenario{name: "read back: gone as ours", cast: []part{gate("g1"), enable("enable", once)}, faults: 1,
			lie: lies(liar{read: func(ours, body []byte, version string, err error) ([]byte, string, error) {
				if errors.Is(err, onetime.ErrAbsent) {
					return ours, "v1", nil
				}
				return body, version, err
			}})}, "the protocol's table says claim-unknown"},

		{scenario{name: "list: no delete marker in it", mode: onetime.Listed, cast: append(two[:2:2], stray("stray", false)),
			lie: lies(liar{list: func(_ string, versions []onetime.Version, err error) ([]onetime.Version, error) {
				return withoutMarkers(versions), err
			}})}, "the protocol's table says used"},
		{scenario{name: "list: oldest first", mode: onetime.Listed, cast: append(two[:2:2], stray("stray", false)),
			lie: lies(liar{list: func(_ string, versions []onetime.Version, err error) ([]onetime.Version, error) {
				return reversed(versions), err
			}})}, "not the first version"},
		{scenario{name: "list: only what is newest", mode: onetime.Listed, cast: append(two[:2:2], stray("stray", false)),
			lie: lies(liar{list: func(_ string, versions []onetime.Version, err error) ([]onetime.Version, error) {
				return versions[:min(1, len(versions))], err
			}})}, "not the first version"},
		{scenario{name: "list: no answer as only ours", mode: onetime.Listed, cast: append(two[:2:2], stray("stray", false)), faults: 1,
			lie: lies(liar{list: func(ours string, versions []onetime.Version, err error) ([]onetime.Version, error) {
				if err != nil {
					return []onetime.Version{{ID: ours}}, nil
				}
				return versions, err
			}})}, "the protocol's table says claim-unknown"},

		{scenario{name: "revoke: 412 as 200", cast: []part{gate("g1"), revoke("revoke")},
			lie: lies(claimAs(isErr(onetime.ErrExists), "v1", nil), revokes)}, "wins without a claim"},
		{scenario{name: "revoke: no answer as 200", faults: 1, cast: []part{gate("g1"), revoke("revoke")},
			lie: func(x scheduled) onetime.Ledger {
				if x.kind == gates {
					return x
				}
				return lies(claimAs(unanswered, "v1", nil), revokes)(x)
			}}, "revoke wins without a claim"},
		{scenario{name: "enable: lists again", faults: 1, cast: []part{
			gate("g1"), gate("g2"), gate("g3"), enable("enable", once)},
			lie: func(x scheduled) onetime.Ledger {
				if x.kind == enables {
					return relister{x}
				}
				return x
			}}, "3 winners, at most 2 are allowed"},
	}
}

func flipNonce(body []byte) []byte {
	entry, err := onetime.ParseExpiredEntry(body)
	if err != nil {
		return body
	}
	entry.Nonce = strings.Map(func(r rune) rune {
		if r == '0' {
			return '1'
		}
		return '0'
	}, entry.Nonce)
	return entry.Marshal()
}

func withoutMarkers(versions []onetime.Version) (kept []onetime.Version) {
	for _, v := range versions {
		if !v.DeleteMarker {
			kept = append(kept, v)
		}
	}
	return kept
}

func reversed(versions []onetime.Version) (turned []onetime.Version) {
	for _, v := range versions {
		turned = append([]onetime.Version{v}, turned...)
	}
	return turned
}

// TestBugs: every row of the protocol's table, once broken, is found to be broken,
// by a schedule that shows it again.
func TestBugs(t *testing.T) {
	for _, b := range bugs() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			b.find(t)
		})
	}
}

// limits are the rule in a world that its contract excludes: each shows that what is
// excluded has to be.
func limits() []bug {
	two := []part{gate("g1"), gate("g2")}
	return []bug{
		// Why the bucket's policy lets nobody delete under signatures/.
		{scenario{name: "limit: a delete marker at any moment", cast: append(two[:2:2], stray("stray", false)), mode: onetime.Conditional},
			"not the first version"},
		// Why a lifecycle deletes in days, and not while an invocation is under way.
		{scenario{name: "limit: versions purged at any moment", cast: append(two[:2:2], stray("stray", true)), mode: onetime.Listed},
			"not the first version"},
		// Why a URL is to be enabled when its upload is over, or writeOnce be set.
		{scenario{name: "limit: enabled while an upload is under way", kept: true,
			cast: []part{gateThen("g1"), gateThen("g2"), enable("enable", once)}}, "is overwritten by"},
	}
}

// TestLimits: outside of its contract the rule does not hold.
func TestLimits(t *testing.T) {
	for _, l := range limits() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			l.find(t)
		})
	}
}

func (b bug) find(t *testing.T) {
	s := &b.scenario
	if s.mode == "" {
		s.mode = onetime.Conditional
	}
	all := s.search(t, false)
	if all.Violation == "" {
		t.Fatalf("not found in %d schedules, want %q", all.Schedules, b.want)
	}
	if !strings.Contains(all.Violation, b.want) {
		t.Errorf("found %q, want %q", all.Violation, b.want)
	}
	t.Logf("found after %d executions: %s\n%s: %s", all.Executions, all.Violation, s, all.Steps())
	if wrong, _ := s.repeat(t, strings.Fields(all.Steps())); wrong != all.Violation {
		t.Errorf("repeated, the schedule shows %q", wrong)
	}
}
