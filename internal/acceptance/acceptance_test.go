package acceptance_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"oncegate/internal/acceptance"
	"oncegate/internal/layout"
)

var modes = []bool{true, false} // whether copies are conditional

// each runs a test where copies are conditional and where they are not, and where
// everything is copied at once or in parts.
func each(t *testing.T, f func(t *testing.T, w *world)) {
	for _, conditional := range modes {
		for _, parts := range modes {
			t.Run(fmt.Sprintf("conditional=%t,parts=%t", conditional, parts), func(t *testing.T) {
				w := newWorld(t, conditional)
				w.parts = parts
				f(t, w)
			})
		}
	}
}

// another is a new world of the same kind.
func (w *world) another() *world {
	n := newWorld(w.t, w.conditional)
	n.parts, n.scan = w.parts, w.scan
	return n
}

// deliver follows the hint to its end.
func (w *world) deliver(version string) (acceptance.Result, error) {
	return (&view{world: w}).accept(version)
}

func TestOneUpload(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.upload("content")
		var ops []string
		v := &view{world: w}
		v.step = func(op string) fault { ops = append(ops, op); return none }
		r, err := v.accept(first)
		if err != nil || r != (acceptance.Result{Outcome: acceptance.Accepted, First: first}) {
			t.Errorf("%+v, %v", r, err)
		}
		w.want(first)
		copies := "Copy"
		if w.parts {
			copies = "BeginCopy SetTags CopyPart CopyPart CopyPart HeadAccepted CompleteCopy"
		}
		if got, want := strings.Join(ops, " "), "HeadAccepted ListVersions Tags HeadVersion "+copies+" HeadAccepted ReadUpload Announce SetTags"; got != want {
			t.Errorf("operations %s, want %s", got, want)
		}
		// Four more times: it is looked up, and nothing else.
		for range 4 {
			v := &view{world: w}
			if r, err := v.accept(first); err != nil || r != (acceptance.Result{Outcome: acceptance.Done, First: first}) || v.ops != 2 {
				t.Errorf("again: %+v, %v, %d operations", r, err, v.ops)
			}
		}
		if len(w.events) != 1 {
			t.Errorf("announced %d times", len(w.events))
		}
	})
}

// In whatever order the events of several versions come, the first version is accepted
// and every other one is late.
func TestOrders(t *testing.T) {
	each(t, func(t *testing.T, w0 *world) {
		for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 1, 2, 1, 0, 0}, {2}, {0}} {
			w := w0.another()
			versions := []string{w.upload("content"), w.upload("another"), w.upload("a third")}
			for _, i := range order {
				r, err := w.deliver(versions[i])
				if err != nil || r.First != versions[0] || r.Late != (i > 0) {
					t.Errorf("%v: event of %d: %+v, %v", order, i, r, err)
				}
			}
			w.want(versions[0])
			if got := len(w.objects[key]); got != 3 {
				t.Errorf("%d versions are left of 3", got)
			}
		}
	})
}

func TestLateAfterAcceptance(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.upload("content")
		w.deliver(first)
		late := w.upload("too late")
		if r, err := w.deliver(late); err != nil || !r.Late || r.Outcome != acceptance.Done {
			t.Errorf("%+v, %v", r, err)
		}
		w.want(first)
		// Lifecycle has removed what was accepted; only the late version is left.
		w.objects[key] = slices.DeleteFunc(w.objects[key], func(v version) bool { return v.id == first })
		for _, consumed := range []bool{false, true} {
			if consumed {
				w.consume()
			}
			if r, err := w.deliver(late); err != nil || !r.Late || r.Outcome != acceptance.Done {
				t.Errorf("consumed %v: %+v, %v", consumed, r, err)
			}
		}
		w.want(first)
	})
}

func TestConsumed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.upload("content")
		w.deliver(first)
		w.consume()
		late := w.upload("too late")
		for _, v := range []string{first, late} {
			if r, err := w.deliver(v); err != nil || r.Outcome != acceptance.Done || r.Late != (v == late) {
				t.Errorf("%+v, %v", r, err)
			}
		}
		w.want(first)
		if !w.objects[to][0].marker {
			t.Error("what was consumed was made again")
		}
		// So long ago that lifecycle has removed the copy, then the marker.
		for _, left := range [][]version{{{id: "m", marker: true}}, nil} {
			w.objects[to] = left
			if r, err := w.deliver(late); err != nil || r.Outcome != acceptance.Done || len(w.objects[to]) != len(left) {
				t.Errorf("%d left: %+v, %v", len(left), r, err)
			}
		}
	})
}

// A consumer that lists accepted/ may consume before the event. The event still comes.
func TestConsumedBeforeItWasAnnounced(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.upload("content")
		c := w.start(first, nil)
		for op, _ := c.next(); op != "ReadUpload"; op, _ = c.next() {
		}
		c.stop()
		w.consume()
		if r, err := w.deliver(first); err != nil || r.Outcome != acceptance.Finished {
			t.Errorf("%+v, %v", r, err)
		}
		w.want(first)
	})
}

func TestStale(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if r, err := w.deliver("gone"); err != nil || r != (acceptance.Result{Outcome: acceptance.Stale}) {
			t.Errorf("%+v, %v", r, err)
		}
		w.put(key, version{marker: true})
		if r, err := w.deliver("gone"); err != nil || r.Outcome != acceptance.Stale {
			t.Errorf("a marker alone: %+v, %v", r, err)
		}
	})
}

// A delete marker does not make a later version the first.
func TestDeleteMarkers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.put(key, version{marker: true})
		first := w.upload("content")
		w.put(key, version{marker: true})
		late := w.upload("another")
		if r, err := w.deliver(late); err != nil || r.First != first || !r.Late {
			t.Errorf("%+v, %v", r, err)
		}
		w.want(first)
	})
}

func TestOthersTagsStay(t *testing.T) {
	w := newWorld(t, true)
	first := w.upload("content")
	w.find(key, first).tags["oncegate"] = "something"
	w.deliver(first)
	w.want(first)
	if tags := w.find(key, first).tags; len(tags) != 2 {
		t.Errorf("tags %v", tags)
	}
}

func TestWithoutUploadEntry(t *testing.T) {
	w := newWorld(t, true)
	delete(w.objects, layout.UploadEntry(key))
	first := w.upload("content")
	if r, err := w.deliver(first); err != nil || r.Outcome != acceptance.Accepted {
		t.Fatalf("%+v, %v", r, err)
	}
	if e := w.events[0]; e.ID != "" || e.Label != "" || e.Version != first {
		t.Errorf("%+v", e)
	}
}

func TestRefuses(t *testing.T) {
	w := newWorld(t, true)
	w.upload("content")
	a := acceptance.Acceptor{Bucket: bucket, Store: &view{world: w}, Bus: &view{world: w}}
	for _, h := range []acceptance.Hint{
		{Bucket: "another", Key: key}, {Bucket: bucket, Key: to}, {Bucket: bucket, Key: "uploads/x"}, {Bucket: bucket, Key: key + "/x"},
		{Bucket: bucket, Key: strings.ToUpper(key)}, {Bucket: bucket}, {Bucket: bucket, Key: layout.UploadEntry(key)},
	} {
		if r, err := a.Accept(t.Context(), h); !errors.Is(err, acceptance.ErrForeign) || r != (acceptance.Result{}) {
			t.Errorf("%+v: %+v, %v", h, r, err)
		}
	}
	w.put(to, version{content: "content"})
	if r, err := w.deliver("v2"); err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("another's object: %+v, %v", r, err)
	}
	if len(w.events) != 0 {
		t.Errorf("announced %+v", w.events)
	}
}

// spoilt is a Store whose copies are wrong.
type spoilt struct {
	*view
	spoil func(*acceptance.Object)
	size  int64
}

func (s spoilt) ListVersions(_ context.Context, key string) ([]acceptance.Version, error) {
	all, err := s.view.ListVersions(context.Background(), key)
	for i := range all {
		all[i].Size += s.size
	}
	return all, err
}

func (s spoilt) HeadAccepted(_ context.Context, key string) (acceptance.Object, error) {
	o, err := s.view.HeadAccepted(context.Background(), key)
	if err == nil && s.spoil != nil {
		s.spoil(&o)
	}
	return o, err
}

func TestCopyIsLookedAt(t *testing.T) {
	for what, s := range map[string]spoilt{
		"size":             {spoil: func(o *acceptance.Object) { o.Size++ }},
		"etag":             {spoil: func(o *acceptance.Object) { o.ETag = `"other"` }},
		"sum":              {spoil: func(o *acceptance.Object) { o.SHA256 = "other" }},
		"crc":              {spoil: func(o *acceptance.Object) { o.CRC64NVME = "other" }},
		"kms without sums": {spoil: func(o *acceptance.Object) { o.ETag, o.KMS, o.CRC64NVME, o.SHA256 = `"other"`, true, "", "" }},
		"kms, sum":         {spoil: func(o *acceptance.Object) { o.ETag, o.KMS, o.SHA256 = `"other"`, true, "other" }},
		"kms, crc":         {spoil: func(o *acceptance.Object) { o.ETag, o.KMS, o.CRC64NVME = `"other"`, true, "other" }},
		"large":            {size: acceptance.MaxBytes - int64(len("content")) + 1},
	} {
		w := newWorld(t, true)
		first := w.upload("content")
		s.view = &view{world: w}
		a := acceptance.Acceptor{Bucket: bucket, Store: s, Bus: s.view}
		r, err := a.Accept(t.Context(), acceptance.Hint{Bucket: bucket, Key: key, Version: first})
		if err == nil || len(w.events) != 0 || len(w.find(key, first).tags) != 1 || errors.Is(err, acceptance.ErrTooLarge) != (s.size > 0) {
			t.Errorf("%s: %+v, %v, %d events", what, r, err, len(w.events))
		}
	}
}

// TestKMS: a copy in a bucket that encrypts with a key of KMS has an ETag of its own, and the sums
// are those of the upload.
func TestKMS(t *testing.T) {
	w := newWorld(t, true)
	first := w.upload("content")
	v := &view{world: w}
	s := spoilt{view: v, spoil: func(o *acceptance.Object) { o.ETag, o.KMS = `"other"`, true }}
	a := acceptance.Acceptor{Bucket: bucket, Store: s, Bus: v}
	if r, err := a.Accept(t.Context(), acceptance.Hint{Bucket: bucket, Key: key, Version: first}); err != nil || r.Outcome != acceptance.Accepted {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestLargest(t *testing.T) {
	w := newWorld(t, true)
	first := w.upload("content")
	v := &view{world: w}
	a := acceptance.Acceptor{Bucket: bucket, Store: spoilt{view: v, size: acceptance.MaxBytes - int64(len("content"))}, Bus: v}
	if r, err := a.Accept(t.Context(), acceptance.Hint{Bucket: bucket, Key: key, Version: first}); err != nil || r.Outcome != acceptance.Accepted {
		t.Errorf("the largest: %+v, %v", r, err)
	}
}

// A malformed upload entry is an error, and nothing is announced.
func TestBadUploadEntry(t *testing.T) {
	w := newWorld(t, true)
	w.put(layout.UploadEntry(key), version{content: `{"version":2}`})
	if r, err := w.deliver(w.upload("content")); err == nil || len(w.events) != 0 {
		t.Errorf("%+v, %v, %d events", r, err, len(w.events))
	}
}

// If a consumed object has two copies, the older one names the version that counts.
func TestConsumedTwice(t *testing.T) {
	w := newWorld(t, false)
	first := w.upload("content")
	w.deliver(first)
	late := w.upload("another")
	w.consume()
	w.put(to, version{content: "another", metadata: map[string]string{acceptance.VersionMetadata: late}})
	w.consume()
	if r, err := w.deliver(late); err != nil || r.First != first || !r.Late || len(w.events) != 1 {
		t.Errorf("%+v, %v, %d events", r, err, len(w.events))
	}
}

// After a crash before each operation, a lost answer, or an operation that was never
// carried out, the next delivery completes the work.
func TestEveryFault(t *testing.T) {
	each(t, func(t *testing.T, w0 *world) {
		for _, what := range []string{"crash", "lost", "silent"} {
			for n := range w0.steps() {
				w := w0.another()
				first, late := w.upload("content"), w.upload("another")
				seen := 0
				c := w.start(late, func(string) fault {
					seen++
					return map[bool]map[string]fault{true: {"lost": lost, "silent": silent}}[seen == n+1][what]
				})
				if what == "crash" {
					for range n + 1 {
						c.next()
					}
					c.stop()
				} else {
					c.run()
					if c.err == nil {
						t.Errorf("%s at %d: no error", what, n)
					}
				}
				if r, err := w.deliver(late); err != nil || r.First != first || !r.Late {
					t.Errorf("%s at %d, then %+v, %v", what, n, r, err)
				}
				w.want(first)
				w.noParts()
			}
		}
	})
}
