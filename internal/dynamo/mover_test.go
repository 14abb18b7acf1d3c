//go:build !js

package dynamo_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oncegate/edge/setup"
	"oncegate/internal/dynamo"
	"oncegate/internal/local/dynamoserver"
	"oncegate/internal/local/dynamoserver/dynamoservertest"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// move is a bucket's index in memory and one in a table, between which URLs move. A mover
// crashes with its request number crash, counted from 1 over both.
type move struct {
	bucket   *onetimetest.Index
	table    *dynamo.Index
	from, to onetime.Movable

	mu       sync.Mutex
	requests int
	crash    int // 0: never
	applied  bool
	cancel   context.CancelFunc
}

func newMove(t *testing.T, toTable bool) *move {
	m := &move{}
	server := dynamoservertest.New(t, func(o *dynamoserver.Options) {
		o.Fault = func(dynamoserver.Request) dynamoserver.Fault {
			if crash, applied := m.request(); crash {
				return dynamoserver.Fault{Kind: dynamoserver.Drop, Apply: applied}
			}
			return dynamoserver.Fault{}
		}
	})
	m.table = dynamo.New(sdkTable(server), keep)
	m.bucket = &onetimetest.Index{Store: onetimetest.NewStore(t), Clock: setup.Clock{}, Intercept: func(onetimetest.Call) *onetimetest.Fault {
		if crash, applied := m.request(); crash {
			return &onetimetest.Fault{Applied: applied}
		}
		return nil
	}}
	m.from, m.to = m.bucket, m.table
	if !toTable {
		m.from, m.to = m.to, m.from
	}
	return m
}

// request counts a request, and reports whether it is the one to crash with, and whether that
// one has an effect.
func (m *move) request() (crash, applied bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests++
	if m.cancel == nil || m.requests != m.crash {
		return false, false
	}
	m.cancel()
	return true, m.applied
}

func (m *move) mover() *onetime.Mover {
	return &onetime.Mover{From: m.from, To: m.to, Clock: setup.Clock{}, Entropy: rand.Reader}
}

// crashes moves the URL with a mover that crashes so, and reports whether it came so far.
func (m *move) crashes(t *testing.T, id onetime.ID, request int, applied bool) bool {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m.mu.Lock()
	m.requests, m.crash, m.applied, m.cancel = 0, request, applied, cancel
	m.mu.Unlock()
	done, err := m.mover().Move(ctx, id)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cancel = nil
	if m.requests >= request {
		return true
	}
	if err != nil {
		t.Errorf("Move = %q, %v, and nothing went wrong", done, err)
	}
	return false
}

func (m *move) mint(t *testing.T) onetime.Minted {
	t.Helper()
	minter := &onetime.Minter{
		Index: m.from, Clock: setup.Clock{}, Entropy: rand.Reader, Region: onetimetest.Region,
		Bounds: onetime.Bounds{Life: time.Hour, MaxLife: onetime.MaxLife, MaxBytes: onetime.MaxBytes},
	}
	minted, err := minter.Mint(t.Context(), onetime.Order{}, time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return minted
}

// ask asks a gate of the index about an upload with the URL.
func (m *move) ask(t *testing.T, index onetime.Index, minted onetime.Minted) onetime.Reason {
	gate := &onetime.Gate{
		Index: index, Presigner: onetimetest.Presigner{}, Clock: setup.Clock{}, Entropy: rand.Reader, Region: onetimetest.Region,
		FirstVersion: onetime.Conditional,
	}
	if index == onetime.Index(m.table) {
		gate.Spender = m.table
	}
	put := onetime.Put{Method: "PUT", Path: minted.Path, Query: minted.Query, Headers: lengthOnly{}}
	_, err := gate.Decide(t.Context(), put, time.Now().Add(time.Minute))
	if err == nil {
		return ""
	}
	return onetime.ReasonOf(err)
}

// states are what a URL may be when it is moved, and what a gate of the new index then says
// to two uploads.
var states = []struct {
	name   string
	before func(t *testing.T, m *move, minted onetime.Minted)
	moved  onetime.Move
	first  onetime.Reason
	second onetime.Reason
}{
	{"good", func(*testing.T, *move, onetime.Minted) {}, onetime.MovedGood, "", onetime.Used},
	{"used", func(t *testing.T, m *move, minted onetime.Minted) {
		if reason := m.ask(t, m.from, minted); reason != "" {
			t.Fatalf("the old gate says %q", reason)
		}
	}, onetime.MovedSpent, onetime.Used, onetime.Used},
	{"revoked", func(t *testing.T, m *move, minted onetime.Minted) {
		if _, err := m.from.Claim(t.Context(), limit, minted.ID, onetime.Revoked, claim(onetime.Revoked, "operator").Marshal()); err != nil {
			t.Fatal(err)
		}
	}, onetime.MovedSpent, onetime.Revoked, onetime.Revoked},
}

// ways are the two directions.
func ways(t *testing.T, test func(t *testing.T, newMove func(*testing.T) *move)) {
	for name, toTable := range map[string]bool{"to a table": true, "to a bucket": false} {
		t.Run(name, func(t *testing.T) { test(t, func(t *testing.T) *move { return newMove(t, toTable) }) })
	}
}

// records gives a URL all that may go with it.
func (m *move) records(t *testing.T, minted onetime.Minted) {
	t.Helper()
	for _, err := range []error{
		m.from.WriteParts(t.Context(), limit, minted.ID, []byte("parts")),
		m.from.WriteUpload(t.Context(), limit, minted.Key, []byte("upload")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestMove: a URL is the same in the new index, with all that goes with it, however often it is
// moved; it is refused in the old one, and never goes back.
func TestMove(t *testing.T) {
	ways(t, func(t *testing.T, newMove func(*testing.T) *move) {
		for _, state := range states {
			m := newMove(t)
			minted := m.mint(t)
			m.records(t, minted)
			state.before(t, m, minted)
			for range 2 {
				if got, err := m.mover().Move(t.Context(), minted.ID); err != nil || got != state.moved {
					t.Fatalf("%s: Move = %q, %v, want %q", state.name, got, err, state.moved)
				}
			}
			old, _, oldErr := m.from.ReadValid(t.Context(), limit, minted.ID)
			now, _, err := m.to.ReadValid(t.Context(), limit, minted.ID)
			if oldErr != nil || err != nil || string(old) != string(now) {
				t.Errorf("%s: the valid entry %s, %v became %s, %v", state.name, old, oldErr, now, err)
			}
			if parts, err := m.to.ReadParts(t.Context(), limit, minted.ID); err != nil || string(parts) != "parts" {
				t.Errorf("%s: the parts entry is %s, %v", state.name, parts, err)
			}
			if upload, err := m.to.ReadUpload(t.Context(), limit, minted.Key); err != nil || string(upload) != "upload" {
				t.Errorf("%s: the upload entry is %s, %v", state.name, upload, err)
			}
			if state.moved == onetime.MovedSpent {
				old, _, oldErr := m.from.ReadExpired(t.Context(), limit, minted.ID)
				now, _, err := m.to.ReadExpired(t.Context(), limit, minted.ID)
				if oldErr != nil || err != nil || string(old) != string(now) {
					t.Errorf("%s: the claim %s, %v became %s, %v", state.name, old, oldErr, now, err)
				}
				head, err := m.to.HeadExpired(t.Context(), limit, minted.ID)
				if err != nil || head != state.first {
					t.Errorf("%s: the new index says %q, %v", state.name, head, err)
				}
			} else {
				back := m.mover()
				back.From, back.To = back.To, back.From
				if got, err := back.Move(t.Context(), minted.ID); err != nil || got != onetime.MovedStays {
					t.Errorf("%s: Move back = %q, %v", state.name, got, err)
				}
			}
			if reason := m.ask(t, m.from, minted); reason == "" {
				t.Errorf("%s: the old gate lets an upload through", state.name)
			}
			for _, want := range []onetime.Reason{state.first, state.second} {
				if reason := m.ask(t, m.to, minted); reason != want {
					t.Errorf("%s: the new gate says %q, want %q", state.name, reason, want)
				}
			}
		}
	})
}

// TestMoveCrashes: a mover crashes with each of its requests, which has its effect or not. Then
// the gates of both are asked, another mover does its work, and they are asked again.
func TestMoveCrashes(t *testing.T) {
	ways(t, func(t *testing.T, newMove func(*testing.T) *move) {
		m := newMove(t)
		for _, state := range states {
			for _, applied := range []bool{false, true} {
				for _, between := range []bool{true, false} {
					if testing.Short() && !between {
						continue
					}
					for request := 1; ; request++ {
						name := fmt.Sprintf("%s, request %d, applied %t, asked between %t", state.name, request, applied, between)
						minted := m.mint(t)
						m.records(t, minted)
						state.before(t, m, minted)
						more := m.crashes(t, minted.ID, request, applied)
						passes := 0
						ask := func(indexes ...onetime.Index) {
							for _, index := range indexes {
								if m.ask(t, index, minted) == "" {
									passes++
								}
							}
						}
						if between {
							ask(m.to, m.from)
						}
						if _, err := m.mover().Move(t.Context(), minted.ID); err != nil {
							t.Errorf("%s: Move again: %v", name, err)
						}
						ask(m.from, m.to, m.to)
						if want := map[bool]int{true: 1, false: 0}[state.first == ""]; passes != want {
							t.Errorf("%s: %d uploads pass, want %d", name, passes, want)
						}
						if parts, err := m.to.ReadParts(t.Context(), limit, minted.ID); err != nil || string(parts) != "parts" {
							t.Errorf("%s: the parts entry is %s, %v", name, parts, err)
						}
						if !more {
							break
						}
					}
				}
			}
		}
	})
}

// TestMoveRace: gates of both indexes and movers at the same time.
func TestMoveRace(t *testing.T) {
	ways(t, func(t *testing.T, newMove func(*testing.T) *move) {
		m := newMove(t)
		for range 20 {
			minted := m.mint(t)
			var passes atomic.Int64
			var all sync.WaitGroup
			for i := range 12 {
				all.Go(func() {
					switch i % 3 {
					case 0:
						if done, err := m.mover().Move(t.Context(), minted.ID); err != nil {
							t.Errorf("Move = %q, %v", done, err)
						}
					case 1:
						if m.ask(t, m.from, minted) == "" {
							passes.Add(1)
						}
					default:
						if m.ask(t, m.to, minted) == "" {
							passes.Add(1)
						}
					}
				})
			}
			all.Wait()
			if m.ask(t, m.to, minted) == "" {
				passes.Add(1)
			}
			if n := passes.Load(); n != 1 {
				t.Errorf("%d uploads pass", n)
			}
		}
	})
}

// TestWriteAtOnce: all of a URL is written, or nothing where it is known. What cannot be read is
// refused.
func TestWriteAtOnce(t *testing.T) {
	w := newWorld(t)
	body, spent := entry().Marshal(), claim(onetime.Revoked, "first").Marshal()
	for name, given := range map[string]struct{ claim, parts []byte }{
		"alone": {}, "claimed": {claim: spent}, "started": {parts: []byte("parts")}, "both": {spent, []byte("parts")},
	} {
		id, same := newID(t, name), newID(t, name+", in order")
		w.must(w.WriteAtOnce(t.Context(), limit, id, body, given.claim, given.parts))
		_, err := w.WriteValid(t.Context(), limit, same, body)
		w.must(err)
		if given.claim != nil {
			_, err := w.Claim(t.Context(), limit, same, onetime.Revoked, given.claim)
			w.must(err)
		}
		if given.parts != nil {
			w.must(w.WriteParts(t.Context(), limit, same, given.parts))
		}
		got, want := w.url(id), w.url(same)
		delete(got, "k")
		delete(want, "k")
		delete(got, "p")
		delete(want, "p")
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: the item is %v, want %v", name, got, want)
		}
		for _, again := range []struct{ claim, parts []byte }{{}, {claim(onetime.Used, "second").Marshal(), []byte("others")}} {
			if err := w.WriteAtOnce(t.Context(), limit, id, body, again.claim, again.parts); err != onetime.ErrExists {
				t.Errorf("%s: WriteAtOnce again = %v", name, err)
			}
		}
		if now := w.url(id); fmt.Sprint(now["claim"], now["nonce"], now["why"], now["parts"]) != fmt.Sprint(got["claim"], got["nonce"], got["why"], got["parts"]) {
			t.Errorf("%s: the item became %v", name, now)
		}
	}
	id := newID(t, "unreadable")
	for _, given := range []struct{ valid, claim []byte }{{[]byte("{}"), nil}, {body, []byte("{}")}} {
		calls := w.under(dynamoserver.Fault{}, func() {
			if err := w.WriteAtOnce(t.Context(), limit, id, given.valid, given.claim, nil); err == nil {
				t.Errorf("WriteAtOnce of %s, %s succeeds", given.valid, given.claim)
			}
		})
		if len(calls) != 0 {
			t.Errorf("%d requests", len(calls))
		}
	}
}

// lengthOnly are the headers of an upload of five bytes.
type lengthOnly struct{}

func (lengthOnly) Names() []string { return []string{"content-length"} }

func (lengthOnly) Values(name string) []string {
	if name == "content-length" {
		return []string{"5"}
	}
	return nil
}
