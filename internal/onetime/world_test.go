package onetime_test

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"testing"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// Both ways of holding the first-version rule.
var modes = []onetime.FirstVersion{onetime.Conditional, onetime.Listed}

// start is when every test begins; plenty is more time than any invocation needs.
var start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

const (
	plenty = time.Minute
	life   = time.Hour // of minted URLs
)

// slow tells where a test has to do with less: wasm under Node runs on one thread.
const slow = runtime.GOOS == "js"

// world is a store and what mint and gate need besides.
type world struct {
	store   *onetimetest.Store
	clock   *onetimetest.Clock
	entropy onetime.Entropy
}

func newWorld(t onetimetest.Reporter) *world {
	return &world{onetimetest.NewStore(t), onetimetest.NewClock(start), onetimetest.NewEntropy(1)}
}

func (w *world) minter() (*onetime.Minter, *onetimetest.Index) {
	index := &onetimetest.Index{Store: w.store, Clock: w.clock}
	return &onetime.Minter{
		Index:   index,
		Clock:   w.clock,
		Entropy: w.entropy,
		Region:  onetimetest.Region,
		Bounds:  onetime.Bounds{Life: life, MaxLife: onetime.MaxLife, MaxBytes: onetime.MaxBytes, SHA256: true, Tags: []string{"project", "customer", "cost center"}},
	}, index
}

func (w *world) gate(mode onetime.FirstVersion) (*onetime.Gate, *onetimetest.Index) {
	index := &onetimetest.Index{Store: w.store, Clock: w.clock}
	return &onetime.Gate{
		Index:        index,
		Presigner:    onetimetest.Presigner{},
		Clock:        w.clock,
		Entropy:      w.entropy,
		Region:       onetimetest.Region,
		FirstVersion: mode,
		SHA256:       true,
		Tags:         true,
	}, index
}

func (w *world) mint(t testing.TB) onetime.Minted {
	t.Helper()
	minter, _ := w.minter()
	minted, err := minter.Mint(context.Background(), onetime.Order{}, w.clock.Now().Add(plenty))
	if err != nil {
		t.Fatal(err)
	}
	return minted
}

func (w *world) deadline() time.Time { return w.clock.Now().Add(plenty) }

// headers implements onetime.Headers.
type headers map[string][]string

func (h headers) Values(name string) []string { return h[name] }

func (h headers) Names() []string { return slices.Collect(maps.Keys(h)) }

// upload is a well-formed PUT with the URL. request is how its claim is told from
// other claims in the store.
func upload(m onetime.Minted, request string) onetime.Put {
	return onetime.Put{
		Method:  "PUT",
		Path:    m.Path,
		Query:   m.Query,
		Headers: headers{"content-length": {"5"}},
		Request: request,
	}
}

// claimants returns by which requests the URL was claimed, newest first.
func (w *world) claimants(t testing.TB, id onetime.ID) (requests []string) {
	t.Helper()
	for _, version := range w.store.Versions(id.ExpiredKey()) {
		if version.DeleteMarker {
			continue
		}
		entry, err := onetime.ParseExpiredEntry(version.Body)
		if err != nil {
			t.Fatal(err)
		}
		requests = append(requests, entry.Request)
	}
	return requests
}

// expiredEntry is an expired entry that somebody else wrote.
func expiredEntry(reason onetime.Reason) onetimetest.Entry {
	return onetimetest.Entry{Reason: reason, Body: onetime.ExpiredEntry{
		Version: 1,
		Reason:  reason,
		At:      start,
		Nonce:   "00112233445566778899aabbccddeeff",
		Request: "somebody else",
	}.Marshal()}
}

// reasonOf is the reason of a refusal, or "" of a pass. An error that is no
// refusal is one that the domain let slip.
func reasonOf(t testing.TB, err error) onetime.Reason {
	t.Helper()
	if err == nil {
		return ""
	}
	if _, ok := err.(*onetime.Refusal); !ok {
		t.Errorf("error %v is no refusal", err)
	}
	return onetime.ReasonOf(err)
}
