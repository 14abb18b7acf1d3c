package onetime_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// mib is content of a MiB, and whole the least that a part has which is not the last.
var (
	mib   = bytes.Repeat([]byte("m"), 1<<20)
	whole = bytes.Repeat(mib, 5)
	tiny  = []byte("hello")
)

func (w *world) multipart(mode onetime.FirstVersion) (*onetime.Multipart, *onetimetest.Index) {
	gate, index := w.gate(mode)
	return &onetime.Multipart{Gate: gate, Parts: index, Presigner: onetimetest.Presigner{}}, index
}

// ask is a request with the URL and an operation.
func ask(m onetime.Minted, method, operation string) onetime.Put {
	put := upload(m, "ask")
	put.Method, put.Headers = method, headers{"content-length": {"0"}}
	if operation != "" {
		put.Query += "&" + operation
	}
	return put
}

func partOf(m onetime.Minted, number, length int) onetime.Put {
	put := ask(m, "PUT", "partNumber="+strconv.Itoa(number))
	put.Headers = headers{"content-length": {strconv.Itoa(length)}}
	return put
}

// begin starts the upload of a URL and returns S3's id of it.
func (w *world) begin(t testing.TB, m *onetime.Multipart, minted onetime.Minted) (upload string) {
	t.Helper()
	if _, err := m.Start(t.Context(), ask(minted, "POST", "uploads"), w.deadline()); err != nil {
		t.Fatal(err)
	}
	ids := w.store.Uploads()
	if len(ids) != 1 {
		t.Fatalf("uploads %q, want one", ids)
	}
	return ids[0]
}

// send lets a part through and stores it.
func (w *world) send(t testing.TB, m *onetime.Multipart, minted onetime.Minted, upload string, number int, body []byte) {
	t.Helper()
	pass, err := m.Part(t.Context(), partOf(minted, number, len(body)), w.deadline())
	if err != nil {
		t.Fatal(err)
	}
	if pass.Key != minted.Key || !strings.HasPrefix(pass.Query, "part="+strconv.Itoa(number)+"&") {
		t.Fatalf("part %d passes with %+v", number, pass)
	}
	if !w.store.PutPart(upload, number, body) {
		t.Fatal("no such upload")
	}
}

func complete(t testing.TB, w *world, m *onetime.Multipart, minted onetime.Minted) (onetime.Completed, error) {
	t.Helper()
	return m.Complete(t.Context(), ask(minted, "POST", "complete"), w.deadline())
}

func etagOf(parts ...[]byte) string {
	var sums []byte
	for _, part := range parts {
		sum := md5.Sum(part)
		sums = append(sums, sum[:]...)
	}
	sum := md5.Sum(sums)
	return hex.EncodeToString(sum[:]) + "-" + strconv.Itoa(len(parts))
}

func (w *world) objects(key string) int { return len(w.store.Versions(key)) }

// TestMultipart is the whole way, and that each step may be made again.
func TestMultipart(t *testing.T) {
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t)
			minted := w.mint(t)
			m, _ := w.multipart(mode)
			upload := w.begin(t, m, minted)
			if again := w.begin(t, m, minted); again != upload {
				t.Errorf("started again, it is %s, want %s", again, upload)
			}
			w.send(t, m, minted, upload, 2, mib)
			w.send(t, m, minted, upload, 1, mib)
			w.send(t, m, minted, upload, 1, whole) // again, in place of the first
			id, parts, err := m.List(t.Context(), ask(minted, "GET", "parts"), w.deadline())
			if err != nil || id != minted.ID || len(parts) != 2 || parts[0].Size != 5<<20 || parts[1].Number != 2 {
				t.Fatalf("list: %s, %+v, %v", id, parts, err)
			}
			want := etagOf(whole, mib)
			for _, operation := range []string{"complete", "complete=&etag=" + want, "complete&etag=%22" + want + "%22", "complete"} {
				done, err := m.Complete(t.Context(), ask(minted, "POST", operation), w.deadline())
				if err != nil || !done.Stored || done.Size != 6<<20 || done.ETag != want || len(done.Parts) != 2 {
					t.Fatalf("%s: %+v, %v", operation, done, err)
				}
				w.clock.Set(w.clock.Now().Add(life)) // also when its time is over
			}
			if n := w.objects(minted.Key); n != 1 {
				t.Errorf("%d objects, want 1", n)
			}
			if _, again, err := m.List(t.Context(), ask(minted, "GET", "parts"), w.deadline()); err != nil || fmt.Sprint(again) != fmt.Sprint(parts) {
				t.Errorf("afterwards the list is %+v, %v; before it was %+v", again, err, parts)
			}
			w.clock.Set(start)
			for what, refused := range map[string]func() error{
				"put":   func() error { _, err := m.Decide(t.Context(), uploadOf(minted), w.deadline()); return err },
				"part":  func() error { _, err := m.Part(t.Context(), partOf(minted, 1, 5), w.deadline()); return err },
				"start": func() error { _, err := m.Start(t.Context(), ask(minted, "POST", "uploads"), w.deadline()); return err },
				"give up": func() error {
					_, err := m.GiveUp(t.Context(), ask(minted, "DELETE", ""), w.deadline())
					return err
				},
				"another etag": func() error {
					_, err := m.Complete(t.Context(), ask(minted, "POST", "complete&etag="+etagOf(mib, mib)), w.deadline())
					return err
				},
			} {
				if got := reasonOf(t, refused()); got != onetime.Used {
					t.Errorf("%s afterwards: %q, want used", what, got)
				}
			}
		})
	}
}

func uploadOf(m onetime.Minted) onetime.Put { return upload(m, "put") }

// TestMultipartRefusals: what is refused spends nothing, and the upload goes on.
func TestMultipartRefusals(t *testing.T) {
	type step func(w *world, m *onetime.Multipart, minted onetime.Minted) error
	finish := func(operation string) step {
		return func(w *world, m *onetime.Multipart, minted onetime.Minted) error {
			_, err := m.Complete(context.Background(), ask(minted, "POST", operation), w.deadline())
			return err
		}
	}
	part := func(number string, length int) step {
		return func(w *world, m *onetime.Multipart, minted onetime.Minted) error {
			put := partOf(minted, 1, length)
			put.Query = minted.Query + "&partNumber=" + number
			_, err := m.Part(context.Background(), put, w.deadline())
			return err
		}
	}
	for _, test := range []struct {
		name   string
		limits onetime.Limits
		parts  map[int][]byte // before it; nil: nothing is started
		do     step
		want   onetime.Reason
	}{
		{"part before start", onetime.Limits{}, nil, part("1", 5), onetime.NotStarted},
		{"list before start", onetime.Limits{}, nil, func(w *world, m *onetime.Multipart, minted onetime.Minted) error {
			_, _, err := m.List(context.Background(), ask(minted, "GET", "parts"), w.deadline())
			return err
		}, onetime.NotStarted},
		{"complete before start", onetime.Limits{}, nil, finish("complete"), onetime.NotStarted},
		{"complete without parts", onetime.Limits{}, map[int][]byte{}, finish("complete"), onetime.Incomplete},
		{"a gap", onetime.Limits{}, map[int][]byte{1: whole, 3: mib}, finish("complete"), onetime.Incomplete},
		{"not from 1", onetime.Limits{}, map[int][]byte{2: mib}, finish("complete"), onetime.Incomplete},
		{"too small in the middle", onetime.Limits{}, map[int][]byte{1: mib, 2: mib}, finish("complete"), onetime.Incomplete},
		{"other parts than named", onetime.Limits{}, map[int][]byte{1: mib}, finish("complete&etag=" + etagOf(whole)), onetime.Incomplete},
		{"an etag of no upload", onetime.Limits{}, map[int][]byte{1: mib}, finish("complete&etag=abc"), onetime.BadPart},
		{"two etags", onetime.Limits{}, map[int][]byte{1: mib}, finish("complete&etag=" + etagOf(mib) + "&etag=" + etagOf(mib)), onetime.BadPart},
		{"two operations", onetime.Limits{}, map[int][]byte{1: mib}, finish("complete&uploads"), onetime.BadPart},
		{"an etag to start with", onetime.Limits{}, nil, func(w *world, m *onetime.Multipart, minted onetime.Minted) error {
			_, err := m.Start(context.Background(), ask(minted, "POST", "uploads&etag="+etagOf(mib)), w.deadline())
			return err
		}, onetime.BadPart},
		{"after with complete", onetime.Limits{}, map[int][]byte{1: mib}, finish("complete&after=1"), onetime.BadPart},
		{"after twice", onetime.Limits{}, map[int][]byte{1: mib}, func(w *world, m *onetime.Multipart, minted onetime.Minted) error {
			_, _, err := m.List(context.Background(), ask(minted, "GET", "parts&after=1&after=2"), w.deadline())
			return err
		}, onetime.BadPart},
		{"complete with a value", onetime.Limits{}, map[int][]byte{1: mib}, finish("complete=1"), onetime.BadPart},
		{"more than maxBytes", onetime.Limits{MaxBytes: 6<<20 - 1}, map[int][]byte{1: whole, 2: mib}, finish("complete"), onetime.TooLarge},
		{"less than minBytes", onetime.Limits{MinBytes: 6<<20 + 1}, map[int][]byte{1: whole, 2: mib}, finish("complete"), onetime.TooSmall},
		{"part 0", onetime.Limits{}, map[int][]byte{}, part("0", 5), onetime.BadPart},
		{"part -1", onetime.Limits{}, map[int][]byte{}, part("-1", 5), onetime.BadPart},
		{"part 01", onetime.Limits{}, map[int][]byte{}, part("01", 5), onetime.BadPart},
		{"part +1", onetime.Limits{}, map[int][]byte{}, part("+1", 5), onetime.BadPart},
		{"part 1e3", onetime.Limits{}, map[int][]byte{}, part("1e3", 5), onetime.BadPart},
		{"part 1001", onetime.Limits{}, map[int][]byte{}, part("1001", 5), onetime.BadPart},
		{"part 10001", onetime.Limits{}, map[int][]byte{}, part("10001", 5), onetime.BadPart},
		{"part 1000000001", onetime.Limits{}, map[int][]byte{}, part("1000000001", 5), onetime.BadPart},
		{"part twice", onetime.Limits{}, map[int][]byte{}, part("1&partNumber=2", 5), onetime.BadPart},
		{"part of no number", onetime.Limits{}, map[int][]byte{}, part("", 5), onetime.BadPart},
		{"an empty part", onetime.Limits{}, map[int][]byte{}, part("1", 0), onetime.BadPart},
		{"too large a part", onetime.Limits{}, map[int][]byte{}, part("1", 8<<20+1), onetime.BadPart},
		{"a part beyond the limit", onetime.Limits{MaxBytes: 10 << 20}, map[int][]byte{}, part("3", 5), onetime.BadPart},
		{"a checksum", onetime.Limits{SHA256: "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}, nil, func(w *world, m *onetime.Multipart, minted onetime.Minted) error {
			_, err := m.Start(context.Background(), ask(minted, "POST", "uploads"), w.deadline())
			return err
		}, onetime.NoMultipart},
		{"another type", onetime.Limits{Type: "image/png"}, nil, func(w *world, m *onetime.Multipart, minted onetime.Minted) error {
			put := ask(minted, "POST", "uploads")
			put.Headers = headers{"content-type": {"text/html"}}
			_, err := m.Start(context.Background(), put, w.deadline())
			return err
		}, onetime.Type},
		{"expired", onetime.Limits{}, map[int][]byte{1: mib}, func(w *world, m *onetime.Multipart, minted onetime.Minted) error {
			w.clock.Set(minted.Expires)
			defer w.clock.Set(start)
			return finish("complete")(w, m, minted)
		}, onetime.Expired},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			minter, _ := w.minter()
			minted, err := minter.Mint(t.Context(), onetime.Order{Limits: test.limits}, w.deadline())
			if err != nil {
				t.Fatal(err)
			}
			m, index := w.multipart(onetime.Conditional)
			if test.parts != nil {
				upload := w.begin(t, m, minted)
				for number, body := range test.parts {
					w.store.PutPart(upload, number, body)
				}
			}
			if got := reasonOf(t, test.do(w, m, minted)); got != test.want {
				t.Errorf("reason %q, want %q", got, test.want)
			}
			if n := len(w.store.Versions(minted.ID.ExpiredKey())); n != 0 {
				t.Errorf("%d claims, want none: %s", n, index.Tally())
			}
			if n := w.objects(minted.Key); n != 0 {
				t.Errorf("%d objects, want none", n)
			}
		})
	}
}

// TestMultipartLimits: what is just within the limits passes.
func TestMultipartLimits(t *testing.T) {
	w := newWorld(t)
	minter, _ := w.minter()
	minted, err := minter.Mint(t.Context(), onetime.Order{Limits: onetime.Limits{MinBytes: 6 << 20, MaxBytes: 6 << 20}}, w.deadline())
	if err != nil {
		t.Fatal(err)
	}
	m, _ := w.multipart(onetime.Conditional)
	upload := w.begin(t, m, minted)
	w.send(t, m, minted, upload, 1, whole)
	w.send(t, m, minted, upload, 2, mib)
	if done, err := complete(t, w, m, minted); err != nil || !done.Stored {
		t.Errorf("%+v, %v", done, err)
	}
}

// TestLargeDefault: a URL that asks for no limit takes what the settings say, also where
// that is more than one PUT holds.
func TestLargeDefault(t *testing.T) {
	for _, most := range []int64{1, onetime.MaxBytes - 1, onetime.MaxBytes + 1, onetime.MaxUploadBytes} {
		w := newWorld(t)
		minter, _ := w.minter()
		minter.Bounds.MaxBytes = most
		minted, err := minter.Mint(t.Context(), onetime.Order{}, w.deadline())
		if err != nil || minted.Order.Limits.MaxBytes != most {
			t.Errorf("with maxBytes %d a URL takes %+v, %v", most, minted.Order.Limits, err)
		}
	}
}

// TestPartPlan: the largest file fits, in parts as large or as small as S3 and the plan
// take them, and little more than it can be parked.
func TestPartPlan(t *testing.T) {
	for _, most := range []int64{1, 5 << 20, 5<<20 + 1, 8 << 20, 100 << 20, 5 << 30, 8 << 30, 50 << 30, onetime.MaxUploadBytes} {
		w := newWorld(t)
		minter, _ := w.minter()
		minter.Bounds.MaxBytes = onetime.MaxUploadBytes
		minted, err := minter.Mint(t.Context(), onetime.Order{Limits: onetime.Limits{MaxBytes: most}}, w.deadline())
		if err != nil {
			t.Fatal(err)
		}
		m, _ := w.multipart(onetime.Conditional)
		started, err := m.Start(t.Context(), ask(minted, "POST", "uploads"), w.deadline())
		if err != nil {
			t.Fatal(err)
		}
		plan := started.Plan
		if plan.Bytes < 5<<20 || plan.Bytes > onetime.MaxBytes || plan.Count < 1 || plan.Count > onetime.MaxParts {
			t.Errorf("%d bytes: %+v is nothing that S3 takes", most, plan)
		}
		if plan.Bytes*int64(plan.Count) < most {
			t.Errorf("%d bytes: they do not fit in %+v", most, plan)
		}
		if plan.Count < onetime.MaxParts && int64(plan.Count)*onetime.MinPartBytes < most {
			t.Errorf("%d bytes: they do not fit in the smallest parts of %+v", most, plan)
		}
		if parked := plan.Bytes * int64(plan.Count); parked > max(most*8/5+16<<20, 8<<20) && most != onetime.MaxUploadBytes {
			t.Errorf("%d bytes: %d can be parked", most, parked)
		}
	}
}

// TestStartHeaders: the object gets what a PUT would give it.
func TestStartHeaders(t *testing.T) {
	w := newWorld(t)
	minter, _ := w.minter()
	minted, err := minter.Mint(t.Context(), onetime.Order{Name: "a.png", Limits: onetime.Limits{Type: "image/png"}}, w.deadline())
	if err != nil {
		t.Fatal(err)
	}
	m, _ := w.multipart(onetime.Conditional)
	put := ask(minted, "POST", "uploads")
	put.Headers = headers{"content-type": {"application/x-www-form-urlencoded"}, "cache-control": {"no-cache"}, "content-length": {"0"}, "cookie": {"a"}, "x-amz-acl": {"public-read"}}
	if _, err := m.Start(t.Context(), put, w.deadline()); err != nil {
		t.Fatal(err)
	}
	got := w.store.UploadHeaders(w.store.Uploads()[0])
	want := map[string]string{"content-type": "image/png", "cache-control": "no-cache", "content-disposition": "attachment; filename*=UTF-8''a.png"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("headers %v, want %v", got, want)
	}
}

// TestGiveUp: nothing is stored afterwards, and giving up again is the same.
func TestGiveUp(t *testing.T) {
	for _, started := range []bool{false, true} {
		w := newWorld(t)
		minted := w.mint(t)
		m, _ := w.multipart(onetime.Conditional)
		if started {
			w.send(t, m, minted, w.begin(t, m, minted), 1, mib)
		}
		for range 2 {
			if id, err := m.GiveUp(t.Context(), ask(minted, "DELETE", ""), w.deadline()); err != nil || id != minted.ID {
				t.Fatalf("%s, %v", id, err)
			}
		}
		if uploads := w.store.Uploads(); len(uploads) != 0 {
			t.Errorf("uploads %q are left", uploads)
		}
		if _, err := complete(t, w, m, minted); reasonOf(t, err) != onetime.Revoked {
			t.Errorf("complete afterwards: %v", err)
		}
		if _, err := m.Decide(t.Context(), uploadOf(minted), w.deadline()); reasonOf(t, err) != onetime.Revoked {
			t.Errorf("put afterwards: %v", err)
		}
	}
}

// TestCompleteRace: of 20 completes, 20 PUTs and a revoke one wins, and completes agree.
func TestCompleteRace(t *testing.T) {
	rounds := 50
	if slow {
		rounds = 5
	}
	for range rounds {
		w := newWorld(t)
		minted := w.mint(t)
		first, _ := w.multipart(onetime.Conditional)
		w.send(t, first, minted, w.begin(t, first, minted), 1, tiny)
		var group sync.WaitGroup
		var mu sync.Mutex
		passes, stored, revoked := 0, 0, 0
		for i := range 41 {
			group.Go(func() {
				m, _ := w.multipart(onetime.Conditional)
				var won *int
				switch {
				case i == 0:
					if _, err := m.GiveUp(context.Background(), ask(minted, "DELETE", ""), w.deadline()); err == nil {
						won = &revoked
					}
				case i%2 == 0:
					if _, err := m.Decide(context.Background(), uploadOf(minted), w.deadline()); err == nil {
						won = &passes
					}
				default:
					if done, err := complete(t, w, m, minted); err == nil && done.Stored {
						won = &stored
					}
				}
				if won != nil {
					mu.Lock()
					*won++
					mu.Unlock()
				}
			})
		}
		group.Wait()
		switch {
		case passes == 1 && stored == 0 && revoked == 0 && w.objects(minted.Key) == 0:
		case passes == 0 && stored > 0 && revoked == 0 && w.objects(minted.Key) == 1:
		case passes == 0 && stored == 0 && revoked == 1 && w.objects(minted.Key) == 0:
		default:
			t.Fatalf("%d PUTs passed, %d completes and %d give-ups won, %d objects", passes, stored, revoked, w.objects(minted.Key))
		}
		if n := len(w.store.Versions(minted.ID.ExpiredKey())); n != 1 {
			t.Fatalf("%d claims", n)
		}
	}
}

// TestStartRace: all who start agree on one upload, and no other is left.
func TestStartRace(t *testing.T) {
	w := newWorld(t)
	minted := w.mint(t)
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			m, _ := w.multipart(onetime.Conditional)
			if _, err := m.Start(context.Background(), ask(minted, "POST", "uploads"), w.deadline()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if ids := w.store.Uploads(); len(ids) != 1 {
		t.Errorf("uploads %q are left, want one", ids)
	}
}
