package onetime_test

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// many mints n URLs a minute apart and makes every history of them in turn.
func (w *world) many(t testing.TB, n int) (all []onetime.Minted, want map[onetime.ID]onetime.State) {
	t.Helper()
	w.store.Clock = w.clock
	want = map[onetime.ID]onetime.State{}
	for i := range n {
		w.clock.Set(start.Add(time.Duration(i) * time.Minute))
		m := w.mint(t)
		all = append(all, m)
		switch i % 4 {
		case 0:
			want[m.ID] = onetime.StateMinted
		case 1:
			want[m.ID] = onetime.StateUsed
			w.pass(t, m, "a photo")
		case 2:
			want[m.ID] = onetime.StateRevoked
			w.revoke(t, m)
		case 3:
			want[m.ID] = onetime.StateUsed
			w.pass(t, m, "")
			w.store.Delete(m.ID.ValidKey())
		}
	}
	for _, m := range all {
		if want[m.ID] == onetime.StateMinted && !w.clock.Now().Before(m.Expires) {
			want[m.ID] = onetime.StateExpired
		}
	}
	return all, want
}

func collect(t testing.TB, list iter.Seq2[onetime.Status, error]) (rows []onetime.Status) {
	t.Helper()
	for status, err := range list {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, status)
	}
	return rows
}

func TestList(t *testing.T) {
	w := newWorld(t)
	all, want := w.many(t, 200)
	// What oncegate did not write is passed over.
	w.store.Overwrite("signatures/valid/readme", onetimetest.Entry{})
	w.store.Overwrite("signatures/expired/zzz", onetimetest.Entry{})
	w.store.Overwrite("signatures/other", onetimetest.Entry{})

	since := start.Add(50 * time.Minute)
	for _, brief := range []bool{false, true} {
		for _, state := range append([]onetime.State{""}, onetime.States...) {
			for _, from := range []time.Time{{}, since} {
				t.Run(fmt.Sprintf("brief=%t/state=%s/since=%t", brief, state, !from.IsZero()), func(t *testing.T) {
					operator, ledger := w.operator()
					ledger.PageSize = 7
					rows := collect(t, operator.List(context.Background(), onetime.Filter{State: state, Since: from, Brief: brief}))
					var got, expect []string
					for _, r := range rows {
						got = append(got, string(r.ID)+" "+string(r.State))
						single, err := operator.Status(context.Background(), onetime.Target{ID: r.ID})
						if err != nil || single.State != r.State {
							t.Errorf("%s is %s alone, %s in the list (%v)", r.ID, single.State, r.State, err)
						}
						if spent := r.State == "used" || r.State == "revoked"; spent != (r.Spent != nil) || spent && !r.Spent.At.Equal(single.Spent.At) && single.Spent.Claim != "" {
							t.Errorf("%s, %s: spent %+v", r.ID, r.State, r.Spent)
						}
						if !brief && single.Entry != nil && (r.Entry == nil || r.Key != single.Key) {
							t.Errorf("%s lacks its entry", r.ID)
						}
					}
					for i, m := range all {
						if (state == "" || want[m.ID] == state) && !start.Add(time.Duration(i)*time.Minute).Before(from) {
							expect = append(expect, string(m.ID)+" "+string(want[m.ID]))
						}
					}
					slices.Sort(expect)
					if !slices.Equal(got, expect) {
						t.Errorf("%d rows, want %d:\n%s\n%s", len(got), len(expect), strings.Join(got, "\n"), strings.Join(expect, "\n"))
					}
				})
			}
		}
	}
}

func TestListLabels(t *testing.T) {
	w := newWorld(t)
	want := map[string]string{}
	for i, label := range []string{"", "invoices", "Invoices", "invoices", ""} {
		minter, _ := w.minter()
		m, err := minter.Mint(context.Background(), onetime.Order{Label: label}, w.deadline())
		if err != nil {
			t.Fatal(err)
		}
		if i == 3 {
			w.pass(t, m, "a photo")
		}
		want[label] += string(m.ID) + " "
	}
	orphan := w.mint(t) // spent, and its label gone with its valid entry
	w.pass(t, orphan, "a photo")
	w.store.Delete(orphan.ID.ValidKey())
	for _, brief := range []bool{false, true} {
		for _, label := range []string{"invoices", "Invoices", "invoice"} {
			operator, _ := w.operator()
			var got []string
			for _, r := range collect(t, operator.List(context.Background(), onetime.Filter{Label: label, Brief: brief})) {
				got = append(got, string(r.ID))
			}
			expect := strings.Fields(want[label])
			slices.Sort(expect)
			if !slices.Equal(got, expect) {
				t.Errorf("%q, brief %t: %v, want %v", label, brief, got, expect)
			}
		}
	}
}

// TestListCosts: one request for a page of each half, and for rows what they need.
func TestListCosts(t *testing.T) {
	w := newWorld(t)
	w.many(t, 200) // 50 minted, 100 used, half of which have no valid entry, 50 revoked
	for _, test := range []struct {
		filter onetime.Filter
		want   string
	}{
		{onetime.Filter{}, "ReadValid 150, HeadExpired 150, ListEntries 2"},
		{onetime.Filter{Brief: true}, "ReadValid 50, HeadExpired 150, ListEntries 2"},
		{onetime.Filter{Brief: true, State: "used"}, "HeadExpired 150, ListEntries 2"},
		{onetime.Filter{State: "minted"}, "ReadValid 50, ListEntries 2"},
		{onetime.Filter{State: "unknown"}, "ListEntries 2"},
		{onetime.Filter{Since: w.clock.Now().Add(time.Hour)}, "ListEntries 2"},
	} {
		operator, ledger := w.operator()
		collect(t, operator.List(context.Background(), test.filter))
		if got := ledger.Tally(); got != test.want {
			t.Errorf("%+v: %s, want %s", test.filter, got, test.want)
		}
	}
	// When no URL can live that long, the list alone tells that it is over.
	w.clock.Set(start.Add(onetime.MaxLife + 24*time.Hour))
	operator, ledger := w.operator()
	rows := collect(t, operator.List(context.Background(), onetime.Filter{Brief: true, State: "expired"}))
	if got := ledger.Tally(); got != "ListEntries 2" || len(rows) != 50 {
		t.Errorf("expired long ago: %d rows, %s", len(rows), got)
	}
}

func TestListFaults(t *testing.T) {
	w := newWorld(t)
	all, _ := w.many(t, 60)
	count := func(intercept func(onetimetest.Call) *onetimetest.Fault) (rows, rowErrors int, last error) {
		operator, ledger := w.operator()
		ledger.PageSize = 10
		ledger.Intercept = intercept
		for status, err := range operator.List(context.Background(), onetime.Filter{}) {
			switch {
			case err == nil:
				rows++
			case status.ID != "":
				rowErrors++
			default:
				last = err
			}
		}
		return rows, rowErrors, last
	}
	fail := func(op string, n ...int) func(onetimetest.Call) *onetimetest.Fault {
		return func(c onetimetest.Call) *onetimetest.Fault {
			if c.Op == op && slices.Contains(n, c.N) {
				return &onetimetest.Fault{Status: 503}
			}
			return nil
		}
	}
	if rows, bad, err := count(fail("ListEntries", 3, 4)); rows != 60 || bad != 0 || err != nil {
		t.Errorf("a page that comes at the third try: %d rows, %d bad, %v", rows, bad, err)
	}
	if rows, bad, err := count(fail("ListEntries", 3, 4, 5)); rows >= 60 || bad != 0 || err == nil {
		t.Errorf("a page that does not come: %d rows, %d bad, %v: it must not look complete", rows, bad, err)
	}
	broken := all[0].ID
	if rows, bad, err := count(func(c onetimetest.Call) *onetimetest.Fault {
		if c.Op == "ReadValid" && c.ID == broken {
			return &onetimetest.Fault{Status: 403}
		}
		return nil
	}); rows != 59 || bad != 1 || err != nil {
		t.Errorf("a row that cannot be read: %d rows, %d bad, %v", rows, bad, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	operator, _ := w.operator()
	rows := 0
	for range operator.List(ctx, onetime.Filter{}) {
		rows++
		cancel()
	}
	if rows > 40 {
		t.Errorf("%d rows after the context was cancelled", rows)
	}
}

// TestListStops: whoever stops reading leaves nothing behind, and no more is read
// ahead than a bounded number of rows.
func TestListStops(t *testing.T) {
	w := newWorld(t)
	w.many(t, 400)
	before := runtime.NumGoroutine()
	operator, ledger := w.operator()
	for _, err := range operator.List(context.Background(), onetime.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if n := len(ledger.Calls()); n > 100 {
		t.Errorf("%d requests for one row", n)
	}
	// One that has said that it is done still counts until it has returned.
	for limit := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(limit); {
		runtime.Gosched()
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines, were %d", after, before)
	}
}

// bare is a ledger without a memory of its calls, with many entries.
type bare struct {
	onetime.Ledger // nil: what is not here is not asked
	keys           map[onetime.EntryKind][]string
	entry          []byte
	modified       time.Time

	mu             sync.Mutex
	reading, most  int
	reads, listing int
}

func (b *bare) ListEntries(_ context.Context, _ time.Duration, kind onetime.EntryKind, after string) (page onetime.EntryPage, err error) {
	b.mu.Lock()
	b.listing++
	b.mu.Unlock()
	keys := b.keys[kind]
	i, found := slices.BinarySearch(keys, after)
	if found {
		i++
	}
	end := min(i+1000, len(keys))
	for _, name := range keys[i:end] {
		page.Entries = append(page.Entries, onetime.ListedEntry{Name: strings.Clone(name), Modified: b.modified})
	}
	if end < len(keys) {
		page.Next = keys[end-1]
	}
	return page, nil
}

func (b *bare) HeadExpired(context.Context, time.Duration, onetime.ID) (onetime.Reason, error) {
	return onetime.Used, nil
}

func (b *bare) ReadValid(context.Context, time.Duration, onetime.ID) ([]byte, time.Time, error) {
	b.mu.Lock()
	b.reads++
	b.reading++
	b.most = max(b.most, b.reading)
	b.mu.Unlock()
	runtime.Gosched()
	b.mu.Lock()
	b.reading--
	b.mu.Unlock()
	return slices.Clone(b.entry), time.Time{}, nil
}

// TestListManyEntries lists 100,000 entries, a third of them spent, in bounded memory.
func TestListManyEntries(t *testing.T) {
	n := 100_000
	if slow || testing.Short() {
		n = 10_000
	}
	w := newWorld(t)
	m := w.mint(t)
	current, _, _ := w.store.Current(m.ID.ValidKey())
	ledger := &bare{keys: map[onetime.EntryKind][]string{}, entry: current.Body, modified: start}
	for i := range n {
		name := string(onetime.Fingerprint("", fmt.Sprint(i)))
		ledger.keys[onetime.ValidEntries] = append(ledger.keys[onetime.ValidEntries], name)
		if i%3 == 0 {
			ledger.keys[onetime.ExpiredEntries] = append(ledger.keys[onetime.ExpiredEntries], name)
		}
	}
	for _, keys := range ledger.keys {
		slices.Sort(keys)
	}
	operator := &onetime.Operator{Ledger: ledger, Clock: w.clock, Entropy: w.entropy}

	heap := func() int64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	base, most := heap(), int64(0)
	rows, spent, last := 0, 0, onetime.ID("")
	began := time.Now()
	for status, err := range operator.List(context.Background(), onetime.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if status.ID <= last {
			t.Fatalf("%s comes after %s", status.ID, last)
		}
		last = status.ID
		rows++
		if status.State == onetime.StateUsed {
			spent++
		}
		if rows%(n/20) == 0 {
			most = max(most, heap()-base)
		}
	}
	took := time.Since(began)
	const bound = 4 << 20
	if rows != n || spent != (n+2)/3 {
		t.Errorf("%d rows, %d spent", rows, spent)
	}
	if most > bound {
		t.Errorf("the heap grew by %d bytes, at most %d are allowed", most, bound)
	}
	if ledger.most > 40 {
		t.Errorf("%d entries were read at once", ledger.most)
	}
	t.Logf("%d entries in %v: %d pages, %d entries read, at most %d at once, heap growth at most %d KB",
		n, took.Round(time.Millisecond), ledger.listing, ledger.reads, ledger.most, most>>10)
}
