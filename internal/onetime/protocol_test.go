package onetime_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// step is what one index request of a row meets.
type step struct {
	before func(*scene)       // changes the store just before the request
	fault  *onetimetest.Fault // nil: the store answers
}

// scene is one URL and the store that may know it.
type scene struct {
	*world
	minted onetime.Minted
}

func (s *scene) claimBy(entry onetimetest.Entry) {
	s.store.Put(s.minted.ID.ExpiredKey(), entry, true)
}

// row is one line of the protocol: what S3 answers, and what becomes of it.
type row struct {
	name    string
	mode    onetime.FirstVersion // "" for both
	before  func(*scene)         // the store when the PUT arrives
	steps   map[string][]step    // by index method, one per request
	change  func(*onetime.Gate)
	reason  onetime.Reason // "" for a pass
	claimed bool           // the store holds a claim by this request afterwards
	tally   string         // index requests, without lists
	lists   int            // requests for a list in mode Listed; of a row that passes, one unless it says otherwise
}

var (
	lost     = &onetimetest.Fault{}
	lostDone = &onetimetest.Fault{Applied: true}
)

func status(code int) *onetimetest.Fault     { return &onetimetest.Fault{Status: code} }
func statusDone(code int) *onetimetest.Fault { return &onetimetest.Fault{Status: code, Applied: true} }

// on makes the requests of one method meet these faults, one after the other.
func on(op string, faults ...*onetimetest.Fault) map[string][]step {
	var steps []step
	for _, fault := range faults {
		steps = append(steps, step{fault: fault})
	}
	return map[string][]step{op: steps}
}

// then is a fault-free request before which the store changes.
func then(before func(*scene)) step { return step{before: before} }

const (
	looked   = "ReadValid 1, HeadExpired 1"
	claimed1 = looked + ", Claim 1"
	claimed2 = looked + ", Claim 2"
	claimed3 = looked + ", Claim 3"
)

func claimedBy(entry onetimetest.Entry) func(*scene) {
	return func(s *scene) { s.claimBy(entry) }
}

func storedValid(body string) func(*scene) {
	return func(s *scene) { s.store.Overwrite(s.minted.ID.ValidKey(), onetimetest.Entry{Body: []byte(body)}) }
}

func protocol() []row {
	rows := []row{
		{name: "fresh URL", claimed: true, tally: claimed1},

		// GET valid.
		{name: "valid: absent",
			before: func(s *scene) { s.minted.Query = another(s.minted.Query) },
			reason: onetime.Unknown, tally: looked},
		{name: "valid: deleted",
			before: func(s *scene) { s.store.Delete(s.minted.ID.ValidKey()) },
			reason: onetime.Unknown, tally: looked},
		{name: "valid: absent and already spent",
			before: func(s *scene) {
				s.claimBy(expiredEntry(onetime.Used))
				s.store.Delete(s.minted.ID.ValidKey())
			},
			reason: onetime.Unknown, tally: looked},
		{name: "valid: one failure, then an answer",
			steps: on("ReadValid", status(500)), claimed: true,
			tally: "ReadValid 2, HeadExpired 1, Claim 1"},

		// HEAD expired.
		{name: "expired: used", before: claimedBy(expiredEntry(onetime.Used)), reason: onetime.Used, tally: looked},
		{name: "expired: revoked", before: claimedBy(expiredEntry(onetime.Revoked)), reason: onetime.Revoked, tally: looked},
		{name: "expired: without a reason in its metadata",
			before: claimedBy(onetimetest.Entry{Body: []byte("anything")}), reason: onetime.Used, tally: looked},
		{name: "expired: a delete marker over an earlier claim",
			before: func(s *scene) {
				s.claimBy(expiredEntry(onetime.Used))
				s.store.Delete(s.minted.ID.ExpiredKey())
			},
			reason: onetime.Used, tally: looked},
		{name: "expired: nothing but a delete marker",
			before: func(s *scene) { s.store.Delete(s.minted.ID.ExpiredKey()) },
			reason: onetime.Used, tally: looked},
		{name: "expired: enabled again, no version left",
			before: func(s *scene) {
				key := s.minted.ID.ExpiredKey()
				s.claimBy(expiredEntry(onetime.Used))
				s.store.DeleteVersion(key, s.store.Versions(key)[0].ID)
			},
			claimed: true, tally: claimed1},
		{name: "expired: one failure, then used",
			before: claimedBy(expiredEntry(onetime.Used)), steps: on("HeadExpired", lost),
			reason: onetime.Used, tally: "ReadValid 1, HeadExpired 2"},

		// PUT expired.
		{name: "claim: 412, somebody else was faster",
			steps:  map[string][]step{"Claim": {then(claimedBy(expiredEntry(onetime.Used)))}},
			reason: onetime.Used, tally: claimed1},
		{name: "claim: 412, revoked meanwhile",
			steps:  map[string][]step{"Claim": {then(claimedBy(expiredEntry(onetime.Revoked)))}},
			reason: onetime.Used, tally: claimed1},
		{name: "claim: 409, then won", steps: on("Claim", status(409)), claimed: true, tally: claimed2},
		{name: "claim: 409 twice, then won", steps: on("Claim", status(409), status(409)), claimed: true, tally: claimed3},
		{name: "claim: 409 for good", steps: on("Claim", status(409), status(409), status(409)),
			reason: onetime.ClaimUnknown, tally: claimed3},
		{name: "claim: 409, then 412",
			steps: map[string][]step{"Claim": {
				{fault: status(409)}, then(claimedBy(expiredEntry(onetime.Used)))}},
			reason: onetime.Used, tally: claimed2},
		{name: "claim: lost before it arrived, then won", steps: on("Claim", lost), claimed: true, tally: claimed2},
		{name: "claim: answer lost, then 412, ours", steps: on("Claim", lostDone), claimed: true,
			tally: claimed2 + ", ReadExpired 1"},
		{name: "claim: answer lost on a dead connection, then 412, ours",
			steps: on("Claim", &onetimetest.Fault{Stale: true, Applied: true}), claimed: true,
			tally: claimed2 + ", ReadExpired 1"},
		{name: "claim: answer lost, 409, then 412, ours", steps: on("Claim", lostDone, status(409)), claimed: true,
			tally: claimed3 + ", ReadExpired 1"},
		{name: "claim: answer lost, 412, read back at the second try",
			steps: map[string][]step{
				"Claim": {{fault: lostDone}}, "ReadExpired": {{fault: status(503)}}},
			claimed: true, tally: claimed2 + ", ReadExpired 2"},
		{name: "claim: lost, then 412, another's",
			steps: map[string][]step{"Claim": {
				{fault: lost}, then(claimedBy(expiredEntry(onetime.Used)))}},
			reason: onetime.Used, tally: claimed2 + ", ReadExpired 1"},
		{name: "claim: lost, then 412, revoked",
			steps: map[string][]step{"Claim": {
				{fault: lost}, then(claimedBy(expiredEntry(onetime.Revoked)))}},
			reason: onetime.Revoked, tally: claimed2 + ", ReadExpired 1"},
		{name: "claim: lost, then 412, unreadable",
			steps: map[string][]step{"Claim": {
				{fault: lost}, then(claimedBy(onetimetest.Entry{Body: []byte("{")}))}},
			reason: onetime.ClaimUnknown, tally: claimed2 + ", ReadExpired 1"},
		{name: "claim: answer lost, then 412, entry gone",
			steps: map[string][]step{
				"Claim":       {{fault: lostDone}},
				"ReadExpired": {then(func(s *scene) { s.store.Delete(s.minted.ID.ExpiredKey()) })}},
			reason: onetime.ClaimUnknown, claimed: true, tally: claimed2 + ", ReadExpired 1"},
		{name: "claim: answer lost three times", steps: on("Claim", lostDone, lostDone, lostDone),
			reason: onetime.ClaimUnknown, claimed: true, tally: claimed3},
		{name: "claim: answer lost, then 403", steps: on("Claim", lostDone, status(403)),
			reason: onetime.ClaimUnknown, claimed: true, tally: claimed2},

		// After the claim.
		{name: "upload signature fails",
			change: func(g *onetime.Gate) { g.Presigner = onetimetest.Presigner{Err: errors.New("no credentials")} },
			reason: onetime.ClaimUnknown, claimed: true, tally: claimed1, lists: 1},
		{name: "no random bytes for a nonce",
			change: func(g *onetime.Gate) { g.Entropy = strings.NewReader("short") },
			reason: onetime.Internal, tally: looked},

		// The list of versions.
		{name: "listed: a newer version lies over ours", mode: onetime.Listed,
			steps: map[string][]step{"ListExpired": {then(func(s *scene) {
				s.store.Overwrite(s.minted.ID.ExpiredKey(), expiredEntry(onetime.Used))
			})}},
			claimed: true, tally: claimed1},
		{name: "listed: an older version lies under ours", mode: onetime.Listed,
			steps: map[string][]step{
				"Claim": {then(func(s *scene) {
					s.claimBy(expiredEntry(onetime.Used))
					s.store.Delete(s.minted.ID.ExpiredKey())
				})},
				"ListExpired": {then(func(s *scene) {
					key := s.minted.ID.ExpiredKey()
					s.store.DeleteVersion(key, s.store.Versions(key)[1].ID) // the delete marker
				})}},
			reason: onetime.Used, claimed: true, tally: claimed1, lists: 1},
		{name: "listed: a delete marker lies under ours", mode: onetime.Listed,
			steps: map[string][]step{"Claim": {then(func(s *scene) {
				s.store.Delete(s.minted.ID.ExpiredKey())
			})}},
			reason: onetime.Used, claimed: true, tally: claimed1, lists: 1},
		{name: "listed: a delete marker lies over ours", mode: onetime.Listed,
			steps: map[string][]step{"ListExpired": {then(func(s *scene) {
				s.store.Delete(s.minted.ID.ExpiredKey())
			})}},
			reason: onetime.Used, claimed: true, tally: claimed1, lists: 1},
		{name: "listed: nothing in the list", mode: onetime.Listed,
			steps: map[string][]step{"ListExpired": {then(func(s *scene) {
				key := s.minted.ID.ExpiredKey()
				s.store.DeleteVersion(key, s.store.Versions(key)[0].ID)
			})}},
			reason: onetime.ClaimUnknown, tally: claimed1, lists: 1},
		{name: "listed: one failure, then a list", mode: onetime.Listed,
			steps: on("ListExpired", status(500)), claimed: true, tally: claimed1, lists: 2},
		{name: "listed: read back, then a list", mode: onetime.Listed,
			steps: on("Claim", lostDone), claimed: true, tally: claimed2 + ", ReadExpired 1"},
		{name: "listed: the bucket is not versioned", mode: onetime.Listed,
			before: func(s *scene) { s.store.Unversioned = true },
			reason: onetime.ClaimUnknown, claimed: true, tally: claimed1},
	}

	for _, body := range []struct{ what, body string }{
		{"empty", ""},
		{"garbage", "\x00garbage"},
		{"cut short", `{"version":1,"created":"2026-03-04T05:06:07Z"`},
		{"no object", `null`},
		{"unknown version", `{"version":2,"created":"2026-03-04T05:06:07Z","expires":"2026-03-04T06:06:07Z","key":"KEY","limits":{}}`},
		{"no version", `{"created":"2026-03-04T05:06:07Z","expires":"2026-03-04T06:06:07Z","key":"KEY","limits":{}}`},
		{"unknown field", `{"version":1,"created":"2026-03-04T05:06:07Z","expires":"2026-03-04T06:06:07Z","key":"KEY","limits":{},"more":1}`},
		{"unknown limit", `{"version":1,"created":"2026-03-04T05:06:07Z","expires":"2026-03-04T06:06:07Z","key":"KEY","limits":{"colour":"red"}}`},
		{"another object's", `{"version":1,"created":"2026-03-04T05:06:07Z","expires":"2026-03-04T06:06:07Z","key":"uploads/2b1d9bd0-5b0c-4b6e-9d7e-0a1b2c3d4e5f","limits":{}}`},
		{"key outside uploads", `{"version":1,"created":"2026-03-04T05:06:07Z","expires":"2026-03-04T06:06:07Z","key":"signatures/valid/x","limits":{}}`},
		{"expires before it was created", `{"version":1,"created":"2026-03-04T05:06:07Z","expires":"2026-03-04T05:06:07Z","key":"KEY","limits":{}}`},
		{"lives too long", `{"version":1,"created":"2026-03-04T05:06:07Z","expires":"2026-03-11T05:06:08Z","key":"KEY","limits":{}}`},
		{"two values", `{"version":1,"created":"2026-03-04T05:06:07Z","expires":"2026-03-04T06:06:07Z","key":"KEY","limits":{}}{}`},
		{"too large", `{"version":1,"created":"2026-03-04T05:06:07Z","expires":"2026-03-04T06:06:07Z","key":"KEY","limits":{}}` + strings.Repeat(" ", 16<<10)},
	} {
		rows = append(rows, row{name: "valid: " + body.what,
			before: func(s *scene) { storedValid(strings.ReplaceAll(body.body, "KEY", s.minted.Key))(s) },
			reason: onetime.IndexUnavailable, tally: looked})
	}

	// Every answer that is none, step by step. A definite one is asked for once,
	// the others as often as allowed.
	for _, fault := range []struct {
		*onetimetest.Fault
		tries int
	}{
		{status(301), 1}, {status(400), 1}, {status(403), 1}, {status(409), 1}, {status(412), 1},
		{status(429), 3}, {status(500), 3}, {status(503), 3},
		{lost, 3}, {&onetimetest.Fault{Stale: true}, 3},
	} {
		always := func(op string) map[string][]step { return on(op, fault.Fault, fault.Fault, fault.Fault) }
		rows = append(rows,
			row{name: "valid: " + fault.String(), steps: always("ReadValid"),
				reason: onetime.IndexUnavailable, tally: fmt.Sprintf("ReadValid %d, HeadExpired 1", fault.tries)},
			row{name: "valid: " + fault.String() + ", used", steps: always("ReadValid"),
				before: claimedBy(expiredEntry(onetime.Used)),
				reason: onetime.IndexUnavailable, tally: fmt.Sprintf("ReadValid %d, HeadExpired 1", fault.tries)},
			row{name: "expired: " + fault.String(), steps: always("HeadExpired"),
				reason: onetime.IndexUnavailable, tally: fmt.Sprintf("ReadValid 1, HeadExpired %d", fault.tries)},
			row{name: "read back: " + fault.String(),
				steps:  map[string][]step{"Claim": {{fault: lostDone}}, "ReadExpired": always("ReadExpired")["ReadExpired"]},
				reason: onetime.ClaimUnknown, claimed: true, tally: claimed2 + fmt.Sprintf(", ReadExpired %d", fault.tries)},
			row{name: "listed: " + fault.String(), mode: onetime.Listed, steps: always("ListExpired"),
				reason: onetime.ClaimUnknown, claimed: true, tally: claimed1, lists: fault.tries},
		)
		if fault.Status == 409 || fault.Status == 412 {
			continue // definite answers to a claim, above
		}
		rows = append(rows, row{name: "claim: " + fault.String(), steps: always("Claim"),
			reason: onetime.ClaimUnknown, tally: looked + fmt.Sprintf(", Claim %d", fault.tries)})
		if fault.tries == 1 {
			rows = append(rows, row{name: "claim: " + fault.String() + " though it was made",
				steps:  on("Claim", statusDone(fault.Status)),
				reason: onetime.ClaimUnknown, claimed: true, tally: claimed1})
		}
	}
	// Absent or list of a bucket that is gone.
	return append(rows,
		row{name: "claim: 404", steps: on("Claim", status(404)), reason: onetime.ClaimUnknown, tally: claimed1},
		row{name: "listed: 404", mode: onetime.Listed, steps: on("ListExpired", status(404)),
			reason: onetime.ClaimUnknown, claimed: true, tally: claimed1, lists: 1},
	)
}

func TestProtocol(t *testing.T) {
	for _, row := range protocol() {
		for _, mode := range modes {
			if row.mode != "" && row.mode != mode {
				continue
			}
			t.Run(string(mode)+"/"+row.name, func(t *testing.T) { row.run(t, mode) })
		}
	}
}

func (r row) run(t *testing.T, mode onetime.FirstVersion) {
	w := newWorld(t)
	s := &scene{w, w.mint(t)}
	if r.before != nil {
		r.before(s)
	}
	gate, index := w.gate(mode)
	index.Intercept = func(call onetimetest.Call) *onetimetest.Fault {
		steps := r.steps[call.Op]
		if call.N > len(steps) {
			return nil
		}
		if before := steps[call.N-1].before; before != nil {
			before(s)
		}
		return steps[call.N-1].fault
	}
	if r.change != nil {
		r.change(gate)
	}

	pass, err := gate.Decide(context.Background(), upload(s.minted, "ours"), w.deadline())

	if got := reasonOf(t, err); got != r.reason {
		t.Errorf("reason %q (%v), want %q", got, err, r.reason)
	}
	id := onetime.Fingerprint(s.minted.Path, s.minted.Query)
	if refusal, ok := errors.AsType[*onetime.Refusal](err); ok && refusal.ID != id {
		t.Errorf("refusal names id %q, want %q", refusal.ID, id)
	}
	if err == nil {
		want, _ := gate.Presigner.PresignUpload(context.Background(), s.minted.Key, nil, nil, w.clock.Now(), onetime.UploadLife)
		if !reflect.DeepEqual(pass, onetime.Pass{ID: id, Key: s.minted.Key, Query: want, Headers: map[string]string{}}) {
			t.Errorf("pass %+v, want key %s and query %s", pass, s.minted.Key, want)
		}
	} else if !reflect.DeepEqual(pass, onetime.Pass{}) {
		t.Errorf("refused and yet there is %+v", pass)
	}

	claimed := false
	for _, version := range w.store.Versions(id.ExpiredKey()) {
		claimed = claimed || strings.Contains(string(version.Body), `"ours"`)
	}
	if claimed != r.claimed {
		t.Errorf("a claim of ours is in the store: %t, want %t", claimed, r.claimed)
	}
	tally, lists := r.tally, r.lists
	if r.reason == "" && lists == 0 {
		lists = 1
	}
	if mode == onetime.Listed && lists > 0 {
		tally += fmt.Sprintf(", ListExpired %d", lists)
	}
	if got := index.Tally(); got != tally {
		t.Errorf("index requests %q, want %q", got, tally)
	}
}

// another is a query of the right form that was never minted.
func another(query string) string {
	last := query[len(query)-1]
	replacement := byte('0')
	if last == '0' {
		replacement = '1'
	}
	return query[:len(query)-1] + string(replacement)
}
