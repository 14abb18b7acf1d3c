package acceptance_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"oncegate/internal/acceptance"
	"oncegate/internal/layout"
	"oncegate/internal/onetime"
)

const (
	bucket = "uploads-of-a-test"
	name   = "123e4567-e89b-42d3-a456-426614174000"
	key    = "uploads/" + name
	to     = "accepted/" + name
)

var id = onetime.Fingerprint("/"+key, "query")

// version is one version of an object, or a delete marker.
type version struct {
	id, content string
	marker      bool
	metadata    map[string]string
	tags        map[string]string
}

// world is a versioned bucket in memory and an event bus, strongly consistent.
type world struct {
	t testing.TB
	// conditional: copies honour If-None-Match, as Amazon S3's do.
	conditional bool
	objects     map[string][]version // newest first, as S3 lists them
	last        int
	events      []acceptance.Event
	consumed    bool
	// coarse: calls do not stop before they read what never changes.
	coarse bool
	// scan: nothing is copied that a scan has not cleared.
	scan bool
	// parts: everything is copied in parts. uploads are the multipart uploads under way.
	parts   bool
	uploads map[string]*multipart
}

func newWorld(t testing.TB, conditional bool) *world {
	w := &world{t: t, conditional: conditional, objects: map[string][]version{}, uploads: map[string]*multipart{}}
	entry := onetime.UploadEntry{Version: 1, ID: id, Label: "a label", Tags: "cost%20center=4%2B2&project=blue"}
	w.put(layout.UploadEntry(key), version{content: string(entry.Marshal())})
	return w
}

func (w *world) put(key string, v version) string {
	w.last++
	v.id = fmt.Sprintf("v%d", w.last)
	w.objects[key] = append([]version{v}, w.objects[key]...)
	return v.id
}

// upload stores a version as a PUT does.
func (w *world) upload(content string) string {
	return w.put(key, version{content: content, metadata: map[string]string{"of": content}, tags: map[string]string{"project": content}})
}

// consume hides the accepted object, as a consumer does.
func (w *world) consume() {
	if v := w.objects[to]; len(v) > 0 && !v[0].marker {
		w.put(to, version{marker: true})
		w.consumed = true
	}
}

func (w *world) find(key, id string) *version {
	for i := range w.objects[key] {
		if v := &w.objects[key][i]; v.id == id && !v.marker {
			return v
		}
	}
	return nil
}

// want checks the rule: accepted/ has the content of first only, and first only was
// announced and is tagged.
func (w *world) want(first string) {
	w.t.Helper()
	copies := 0
	for _, v := range w.objects[to] {
		if v.marker {
			continue
		}
		copies++
		source := w.find(key, first)
		if v.metadata[acceptance.VersionMetadata] != first || source != nil && (v.content != source.content || v.metadata["of"] != source.content) {
			w.t.Errorf("%s has %q of version %s, want version %s", to, v.content, v.metadata[acceptance.VersionMetadata], first)
		}
		if source != nil && !maps.Equal(v.tags, map[string]string{"project": source.content}) {
			w.t.Errorf("%s has the tags %v, want those of %q", to, v.tags, source.content)
		}
	}
	// A call that had looked before it was consumed may copy once more: S3's condition
	// passes over a delete marker. It is the same version, and not announced again.
	if copies == 0 || w.conditional && copies > 1 && !w.consumed {
		w.t.Errorf("%d copies", copies)
	}
	if len(w.events) == 0 {
		w.t.Error("nothing was announced")
	}
	for _, e := range w.events {
		if e.Version != first || e.ID != id || e.Label != "a label" || e.Key != key || e.Accepted != to || e.Size != int64(len("content")) || e.At.IsZero() || e.ETag != w.etag() || e.SHA256 != "sum" ||
			e.UploadETag != w.etag() || (e.Parts == 12) != w.parts || e.CRC64NVME != "crc" || e.Tags != "cost%20center=4%2B2&project=blue" {
			w.t.Errorf("announced %+v, want version %s", e, first)
		}
	}
	for _, v := range w.objects[key] {
		if tagged := v.tags[acceptance.Tag] == acceptance.TagValue; tagged != (v.id == first) {
			w.t.Errorf("version %s is tagged: %v, want %v", v.id, tagged, v.id == first)
		}
		if !v.marker && v.tags["project"] != v.content {
			w.t.Errorf("version %s has the tags %v, want those of its minter besides", v.id, v.tags)
		}
	}
}

// errCrash unwinds a call whose process has crashed.
var errCrash = errors.New("crash")

// fault is what happens to one operation.
type fault int

const (
	none   fault = iota
	lost         // the request got lost
	silent       // it was carried out, the answer got lost
)

// view is the world as one call of Accept sees it. step, if set, is called before each
// operation and returns what happens to it; it may let other calls go first.
type view struct {
	*world
	step func(op string) fault
	ops  int
}

var errFault = errors.New("fault")

func do[T any](v *view, op string, f func() (T, error)) (T, error) {
	v.ops++
	var zero T
	what := none
	if v.step != nil {
		what = v.step(op)
	}
	switch what {
	case lost:
		return zero, errFault
	case silent:
		f()
		return zero, errFault
	}
	return f()
}

// etag is that of all objects. What is copied in parts came in parts.
func (w *world) etag() string {
	if w.parts {
		return "etag-12"
	}
	return "etag"
}

func (v *view) object(key string, o version) acceptance.Object {
	return acceptance.Object{
		Key: key, Version: o.id, Size: int64(len("content")), ETag: `"` + v.etag() + `"`, SHA256: "sum", CRC64NVME: "crc", Modified: time.Unix(1, 0), Metadata: maps.Clone(o.metadata),
	}
}

func (v *view) HeadAccepted(_ context.Context, key string) (acceptance.Object, error) {
	return do(v, "HeadAccepted", func() (acceptance.Object, error) {
		versions := v.objects[key]
		switch {
		case len(versions) == 0:
			return acceptance.Object{}, acceptance.ErrAbsent
		case versions[0].marker:
			return acceptance.Object{}, acceptance.ErrConsumed
		}
		return v.object(key, versions[0]), nil
	})
}

func (v *view) ListVersions(_ context.Context, key string) ([]acceptance.Version, error) {
	return do(v, "ListVersions", func() (all []acceptance.Version, err error) {
		for _, o := range v.objects[key] {
			if !o.marker {
				all = append(all, acceptance.Version{ID: o.id, Size: 7})
			}
		}
		return all, nil
	})
}

func (v *view) HeadVersion(_ context.Context, key, id string) (acceptance.Object, error) {
	return do(v, "HeadVersion", func() (acceptance.Object, error) {
		if o := v.find(key, id); o != nil {
			return v.object(key, *o), nil
		}
		return acceptance.Object{}, acceptance.ErrAbsent
	})
}

func (v *view) Tags(_ context.Context, key, id string) (map[string]string, error) {
	return do(v, "Tags", func() (map[string]string, error) {
		if o := v.find(key, id); o != nil {
			return maps.Clone(o.tags), nil
		}
		return nil, acceptance.ErrAbsent
	})
}

func (v *view) SetTags(_ context.Context, key, id string, tags map[string]string) error {
	_, err := do(v, "SetTags", func() (any, error) {
		o := v.find(key, id)
		if o == nil {
			return nil, acceptance.ErrAbsent
		}
		o.tags = maps.Clone(tags)
		return nil, nil
	})
	return err
}

func (v *view) Copy(_ context.Context, source acceptance.Object, to string) (string, error) {
	return do(v, "Copy", func() (string, error) {
		o := v.find(source.Key, source.Version)
		if o == nil {
			return "", acceptance.ErrAbsent
		}
		if there := v.objects[to]; v.conditional && len(there) > 0 && !there[0].marker {
			return "", acceptance.ErrExists
		}
		return v.put(to, version{content: o.content, metadata: acceptance.CopyMetadata(source), tags: maps.Clone(source.Tags)}), nil
	})
}

func (v *view) ReadUpload(_ context.Context, key string) ([]byte, error) {
	return do(v, "ReadUpload", func() ([]byte, error) {
		if o := v.objects[layout.UploadEntry(key)]; len(o) > 0 {
			return []byte(o[0].content), nil
		}
		return nil, acceptance.ErrAbsent
	})
}

func (v *view) Announce(_ context.Context, e acceptance.Event) error {
	_, err := do(v, "Announce", func() (any, error) {
		v.events = append(v.events, e)
		return nil, nil
	})
	return err
}

var (
	_ acceptance.Store = (*view)(nil)
	_ acceptance.Bus   = (*view)(nil)
)

func (v *view) accept(version string) (acceptance.Result, error) {
	return v.follow(acceptance.Hint{Bucket: bucket, Key: key, Version: version})
}

func (v *view) follow(hint acceptance.Hint) (acceptance.Result, error) {
	return v.acceptor().Accept(context.Background(), hint)
}

// call is a delivery under way, one operation at a time.
type call struct {
	next func() (string, bool)
	stop func() // the process is killed
	view *view

	result acceptance.Result
	err    error
}

// start begins to follow the notification of a version and stops before the first operation.
// faults, if set, is what happens to each operation.
func (w *world) start(version string, faults func(op string) fault) *call {
	return w.startHint(acceptance.Hint{Bucket: bucket, Key: key, Version: version}, faults)
}

// startHint is start with any hint.
func (w *world) startHint(hint acceptance.Hint, faults func(op string) fault) *call {
	c := &call{view: &view{world: w}}
	var seq iter.Seq[string] = func(yield func(string) bool) {
		defer func() {
			if p := recover(); p != nil && p != errCrash {
				panic(p)
			}
		}()
		c.view.step = func(op string) fault {
			if w.coarse && (op == "HeadVersion" || op == "ReadUpload") {
				return none
			}
			if !yield(op) {
				panic(errCrash)
			}
			if faults == nil {
				return none
			}
			return faults(op)
		}
		c.result, c.err = c.view.follow(hint)
	}
	c.next, c.stop = iter.Pull(seq)
	return c
}

// run goes on to the end.
func (c *call) run() {
	for {
		if _, more := c.next(); !more {
			return
		}
	}
}

func (w *world) String() string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(w.objects)) {
		fmt.Fprintf(&b, "%s %+v\n", key, w.objects[key])
	}
	return b.String()
}
