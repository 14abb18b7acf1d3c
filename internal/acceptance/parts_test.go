package acceptance_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"oncegate/internal/acceptance"
)

// multipart is an upload under way.
type multipart struct {
	to, version string
	metadata    map[string]string
	tags        map[string]string
	parts       map[int]string
}

// acceptor accepts with one operation at a time. Where everything is copied in parts,
// "content" has three.
func (v *view) acceptor() *acceptance.Acceptor {
	a := &acceptance.Acceptor{Bucket: bucket, Store: v, Bus: v, Scan: v.scan, AtOnce: 1}
	if v.parts {
		a.OneCopy, a.PartBytes = 5, 3
	}
	return a
}

// steps is how many operations one upload takes.
func (w *world) steps() int {
	v := &view{world: w.another()}
	if _, err := v.accept(v.upload("content")); err != nil {
		w.t.Fatal(err)
	}
	return v.ops
}

// noParts checks that no parts are left. An upload without any may be: nobody has seen
// that it was begun.
func (w *world) noParts() {
	w.t.Helper()
	for id, m := range w.uploads {
		if len(m.parts) > 0 {
			w.t.Errorf("upload %s is left with %d parts", id, len(m.parts))
		}
	}
}

func (v *view) BeginCopy(_ context.Context, source acceptance.Object, to string) (string, error) {
	return do(v, "BeginCopy", func() (string, error) {
		v.last++
		id := fmt.Sprintf("u%d", v.last)
		v.uploads[id] = &multipart{to, source.Version, acceptance.CopyMetadata(source), maps.Clone(source.Tags), map[int]string{}}
		return id, nil
	})
}

func (v *view) CopiedParts(_ context.Context, to, upload string) ([]acceptance.Part, error) {
	return do(v, "CopiedParts", func() (all []acceptance.Part, err error) {
		m := v.uploads[upload]
		if m == nil || m.to != to {
			return nil, acceptance.ErrAbsent
		}
		for _, n := range slices.Sorted(maps.Keys(m.parts)) {
			all = append(all, acceptance.Part{Number: n, Size: int64(len(m.parts[n])), ETag: m.parts[n]})
		}
		return all, nil
	})
}

func (v *view) CopyPart(_ context.Context, source acceptance.Object, to, upload string, number int, from, length int64) (acceptance.Part, error) {
	return do(v, "CopyPart", func() (acceptance.Part, error) {
		o, m := v.find(source.Key, source.Version), v.uploads[upload]
		if o == nil || m == nil || m.to != to {
			return acceptance.Part{}, acceptance.ErrAbsent
		}
		if source.Version != m.version {
			v.t.Errorf("a part of %s in an upload of %s", source.Version, m.version)
		}
		m.parts[number] = o.content[from : from+length]
		return acceptance.Part{Number: number, Size: length, ETag: m.parts[number]}, nil
	})
}

func (v *view) CompleteCopy(_ context.Context, source acceptance.Object, to, upload string, parts []acceptance.Part) error {
	_, err := do(v, "CompleteCopy", func() (any, error) {
		m := v.uploads[upload]
		if there := v.objects[to]; v.conditional && len(there) > 0 && !there[0].marker {
			return nil, acceptance.ErrExists
		}
		if m == nil || m.to != to {
			return nil, acceptance.ErrAbsent
		}
		content := ""
		for i, p := range parts {
			if p.Number != i+1 || p.ETag != m.parts[p.Number] {
				return nil, fmt.Errorf("part %d is %q, not %q", p.Number, m.parts[p.Number], p.ETag)
			}
			content += p.ETag
		}
		if int64(len(content)) != source.Size {
			return nil, errors.New("another size")
		}
		delete(v.uploads, upload)
		v.put(to, version{content: content, metadata: m.metadata, tags: m.tags})
		return nil, nil
	})
	return err
}

func (v *view) DropCopy(_ context.Context, to, upload string) error {
	_, err := do(v, "DropCopy", func() (any, error) {
		if v.uploads[upload] == nil {
			return nil, acceptance.ErrAbsent
		}
		delete(v.uploads, upload)
		return nil, nil
	})
	return err
}

// inParts is a world where everything is copied in parts.
func inParts(t *testing.T) *world {
	w := newWorld(t, true)
	w.parts = true
	return w
}

// ops follows a hint and returns the operations that it took.
func (w *world) ops(version string, faults func(op string, n int) fault) (string, acceptance.Result, error) {
	var all []string
	v := &view{world: w}
	v.step = func(op string) fault {
		all = append(all, op)
		if faults == nil {
			return none
		}
		return faults(op, len(all))
	}
	r, err := v.accept(version)
	return strings.Join(all, " "), r, err
}

// TestCopyGoesOn: what a call has copied before its time was over is not copied again.
func TestCopyGoesOn(t *testing.T) {
	for _, copied := range []int{0, 1, 2} {
		w := inParts(t)
		first := w.upload("content")
		ctx, cancel := context.WithCancel(t.Context())
		v := &view{world: w}
		n := 0
		v.step = func(op string) fault {
			if op == "CopyPart" {
				if n == copied {
					cancel()
					return lost
				}
				n++
			}
			return none
		}
		if r, err := v.acceptor().Accept(ctx, acceptance.Hint{Bucket: bucket, Key: key, Version: first}); !errors.Is(err, acceptance.ErrUnfinished) || len(w.events) != 0 {
			t.Fatalf("%d parts: %+v, %v", copied, r, err)
		}
		got, r, err := w.ops(first, nil)
		want := "HeadAccepted ListVersions Tags HeadVersion CopiedParts" + strings.Repeat(" CopyPart", 3-copied) +
			" HeadAccepted CompleteCopy HeadAccepted ReadUpload Announce SetTags"
		if err != nil || r.Outcome != acceptance.Accepted || got != want {
			t.Errorf("%d parts: %+v, %v, operations\n%s, want\n%s", copied, r, err, got, want)
		}
		w.want(first)
		w.noParts()
	}
}

// TestWhatNeedsParts: what one copy can hold is copied at once.
func TestWhatNeedsParts(t *testing.T) {
	for most, want := range map[int64]bool{6: true, 7: false, 8: false} {
		w := newWorld(t, true)
		first := w.upload("content")
		v := &view{world: w}
		parts := false
		v.step = func(op string) fault { parts = parts || op == "BeginCopy"; return none }
		a := v.acceptor()
		a.OneCopy = most
		if _, err := a.Accept(t.Context(), acceptance.Hint{Bucket: bucket, Key: key, Version: first}); err != nil || parts != want {
			t.Errorf("one copy holds %d: in parts %t, %v", most, parts, err)
		}
	}
}

// TestNothingIsBegunAfterAFault: a copy that has failed is tried again with the next
// delivery, and no sooner.
func TestNothingIsBegunAfterAFault(t *testing.T) {
	for what, happens := range map[string]fault{"not carried out": lost, "carried out": silent} {
		w := inParts(t)
		first := w.upload("content")
		got, _, err := w.ops(first, func(op string, _ int) fault {
			if op == "CopyPart" {
				return happens
			}
			return none
		})
		if !errors.Is(err, errFault) || errors.Is(err, acceptance.ErrUnfinished) || strings.Count(got, "CopyPart") != 1 {
			t.Errorf("%s: %v, operations %s", what, err, got)
		}
	}
}

// TestTagOfSomebodyElse: a tag of another form names no upload.
func TestTagOfSomebodyElse(t *testing.T) {
	w := inParts(t)
	first := w.upload("content")
	w.find(key, first).tags[acceptance.Tag] = "u1"
	if got, _, err := w.ops(first, nil); err != nil || strings.Contains(got, "CopiedParts") {
		t.Errorf("%v, operations %s", err, got)
	}
	w.want(first)
}

// TestPartOfAnotherSize: a part that is not as this program would copy it is copied again.
func TestPartOfAnotherSize(t *testing.T) {
	w := inParts(t)
	first := w.upload("content")
	c := w.start(first, nil)
	for op, _ := c.next(); op != "HeadAccepted" || c.view.ops < 5; op, _ = c.next() {
	}
	c.stop()
	for _, m := range w.uploads {
		m.parts[2], m.parts[4], m.parts[0] = "te", "x", "y"
	}
	if got, _, err := w.ops(first, nil); err != nil || strings.Count(got, "CopyPart ") != 1 {
		t.Errorf("%v, operations %s", err, got)
	}
	w.want(first)
}

// TestUploadThatIsGone: lifecycle or somebody else has dropped the upload. A new one is
// begun, also if that happens while it is copied.
func TestUploadThatIsGone(t *testing.T) {
	for at := range 8 {
		w := inParts(t)
		first := w.upload("content")
		c := w.start(first, nil)
		for range 6 + at {
			c.next()
		}
		clear(w.uploads)
		c.run()
		if _, err := w.deliver(first); err != nil {
			t.Errorf("after %d: %v", at, err)
		}
		w.want(first)
		w.noParts()
	}
}

// TestTwoCopiesInParts: a call is overtaken by another at each of its operations, and at
// each of them nothing may be carried out, or the answer may be lost. There is one copy in
// the end, and no parts are left.
func TestTwoCopiesInParts(t *testing.T) {
	w0 := inParts(t)
	for at := range w0.steps() {
		for _, what := range []fault{none, lost, silent} {
			for n := range 14 {
				w := inParts(t)
				first := w.upload("content")
				seen := 0
				c := w.start(first, func(op string) fault {
					if seen++; seen == at+1+n {
						return what
					}
					return none
				})
				for range at + 1 {
					c.next()
				}
				if _, err := w.deliver(first); err != nil {
					t.Fatal(err)
				}
				c.run()
				if c.err != nil && what == none && !errors.Is(c.err, acceptance.ErrAbsent) {
					t.Errorf("overtaken at %d: %v", at, c.err)
				}
				if _, err := w.deliver(first); err != nil {
					t.Errorf("overtaken at %d, fault %d at %d, then: %v", at, what, n, err)
				}
				w.want(first)
				w.noParts()
				if what == none {
					break
				}
				if t.Failed() {
					t.Fatalf("overtaken at %d, fault %d at %d\n%v", at, what, n, w)
				}
			}
		}
	}
}
