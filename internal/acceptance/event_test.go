package acceptance_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"oncegate/internal/acceptance"
	"oncegate/internal/layout"
)

// event asks the bucket what was accepted of an upload.
func (v *view) event(key string) (acceptance.Event, error) {
	return (&acceptance.Acceptor{Bucket: bucket, Store: v}).Event(context.Background(), key)
}

// TestEvent: the event that is made again is the one that was announced, as long as the
// bucket knows. Whatever else is asked for has none.
func TestEvent(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.upload("content")
		if e, err := (&view{world: w}).event(key); !errors.Is(err, acceptance.ErrAbsent) {
			t.Errorf("before it is accepted: %+v, %v", e, err)
		}
		w.deliver(first)
		w.upload("too late")
		writes := w.last
		for _, consumed := range []bool{false, true} {
			if consumed {
				w.consume()
				writes = w.last
			}
			if e, err := (&view{world: w}).event(key); err != nil || e != w.events[0] {
				t.Errorf("consumed %t: %+v, %v, want %+v", consumed, e, err, w.events[0])
			}
		}
		// The URL's entry goes before the object does.
		delete(w.objects, layout.UploadEntry(key))
		want := w.events[0]
		want.ID, want.Label, want.Name, want.By, want.Tags = "", "", "", "", ""
		if e, err := (&view{world: w}).event(key); err != nil || e != want {
			t.Errorf("without its entry: %+v, %v, want %+v", e, err, want)
		}
		// Consumed so long ago that only the delete marker is left.
		w.objects[to] = slices.DeleteFunc(w.objects[to], func(v version) bool { return !v.marker })
		if e, err := (&view{world: w}).event(key); !errors.Is(err, acceptance.ErrAbsent) {
			t.Errorf("long after: %+v, %v", e, err)
		}
		for _, foreign := range []string{"", to, "uploads/", key + "/x", "keys/x"} {
			if e, err := (&view{world: w}).event(foreign); !errors.Is(err, acceptance.ErrForeign) {
				t.Errorf("%q: %+v, %v", foreign, e, err)
			}
		}
		if w.last != writes || len(w.events) != 1 {
			t.Errorf("it has written: version %d, want %d; %d events", w.last, writes, len(w.events))
		}
	})
}

// TestEventFaults: without an answer there is no event, and it is not taken for absent.
func TestEventFaults(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.deliver(w.upload("content"))
		w.consume()
		for _, op := range []string{"HeadAccepted", "ListVersions", "HeadVersion", "ReadUpload"} {
			v := &view{world: w}
			asked := false
			v.step = func(o string) fault {
				if o == op {
					asked = true
					return lost
				}
				return none
			}
			if e, err := v.event(key); !asked || !errors.Is(err, errFault) || errors.Is(err, acceptance.ErrAbsent) {
				t.Errorf("%s: %+v, %v", op, e, err)
			}
		}
		w.objects[to] = nil
		w.put(to, version{content: "of somebody else"})
		if e, err := (&view{world: w}).event(key); err == nil {
			t.Errorf("another's object: %+v", e)
		}
	})
}
