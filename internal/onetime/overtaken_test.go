package onetime_test

import (
	"context"
	"math"
	"sync"
	"testing"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// overtaken is a PartStore where something happens just before the parts are listed for
// the first time. If torn is not nil, it is the list that comes then, as if it had been read
// while S3 did it.
type overtaken struct {
	onetime.PartStore
	first func()
	torn  []onetime.StoredPart
}

func (o *overtaken) ListParts(ctx context.Context, limit time.Duration, key, upload string) ([]onetime.StoredPart, error) {
	if first := o.first; first != nil {
		o.first = nil
		first()
		if o.torn != nil {
			return o.torn, nil
		}
	}
	return o.PartStore.ListParts(ctx, limit, key, upload)
}

// TestOvertaken: another request completes the upload, or gives it up, after the index was
// read and before the parts are listed, or while they are. Complete and list answer as if they
// came after it, and not that nothing was started or that parts are missing.
func TestOvertaken(t *testing.T) {
	lists := map[string][]onetime.StoredPart{
		"no upload":              nil,
		"an empty list":          {},
		"a list with a gap":      {{Number: 2, Size: 5, ETag: "etag"}},
		"a list without the end": {{Number: 1, Size: 4, ETag: "etag"}},
	}
	for _, by := range []string{"complete", "give up", "somebody else"} {
		for _, what := range []string{"complete", "list"} {
			for told, list := range lists {
				if what == "list" && len(list) != 0 {
					continue // the client sees what is missing, and asks again
				}
				t.Run(what+" overtaken by "+by+" sees "+told, func(t *testing.T) { beOvertaken(t, what, by, list) })
			}
		}
	}
}

// beOvertaken has a request overtaken by another, and torn listed to it.
func beOvertaken(t *testing.T, what, by string, torn []onetime.StoredPart) {
	w := newWorld(t)
	minted := w.order(t, onetime.Order{Limits: onetime.Limits{MinBytes: int64(len(tiny))}})
	m, _ := w.multipart(onetime.Conditional)
	upload := w.begin(t, m, minted)
	w.send(t, m, minted, upload, 1, tiny)
	other, index := w.multipart(onetime.Conditional)
	m.Parts = &overtaken{m.Parts, func() {
		var err error
		switch by {
		case "complete":
			_, err = complete(t, w, other, minted)
		case "give up":
			_, err = other.GiveUp(t.Context(), ask(minted, "DELETE", ""), w.deadline())
		default:
			err = index.AbortUpload(t.Context(), time.Second, minted.Key, upload)
		}
		if err != nil {
			t.Fatal(err)
		}
	}, torn}
	var err error
	var parts []onetime.StoredPart
	if what == "complete" {
		var done onetime.Completed
		done, err = complete(t, w, m, minted)
		if parts = done.Parts; err == nil && (!done.Stored || done.ETag != etagOf(tiny)) {
			t.Errorf("%+v", done)
		}
	} else {
		_, parts, err = m.List(t.Context(), ask(minted, "GET", "parts"), w.deadline())
	}
	var want onetime.Reason
	wantParts := 0
	switch {
	case by == "complete":
		wantParts = 1
	case by == "give up":
		want = onetime.Revoked
	case torn == nil:
		want = onetime.NotStarted
	case what == "complete" && len(torn) != 0 && torn[0].Number == 1:
		want = onetime.TooSmall
	case what == "complete":
		want = onetime.Incomplete
	}
	if got := onetime.ReasonOf(err); err != nil && got != want || err == nil && want != "" || len(parts) != wantParts {
		t.Errorf("%d parts, %v, want %d, %q", len(parts), err, wantParts, want)
	}
	if w.claimed(minted.ID) != "" && by == "somebody else" {
		t.Error("a refusal spent the URL")
	}
}

// moment is the time between two reads: the first one of the parts entry, and the one of the
// claim. what is called then, once.
type moment struct {
	once sync.Once
	what func()
	over chan struct{}
}

type beforeMoment struct {
	onetime.PartStore
	*moment
}

func (b beforeMoment) ReadParts(ctx context.Context, limit time.Duration, id onetime.ID) ([]byte, error) {
	body, err := b.PartStore.ReadParts(ctx, limit, id)
	b.once.Do(func() {
		b.what()
		close(b.over)
	})
	return body, err
}

type afterMoment struct {
	onetime.Index
	*moment
}

func (a afterMoment) HeadExpired(ctx context.Context, limit time.Duration, id onetime.ID) (onetime.Reason, error) {
	<-a.over
	return a.Index.HeadExpired(ctx, limit, id)
}

// TestTornFind: between a request's reads of the parts entry and of the claim, another request
// starts the upload and completes it, or a PUT spends the URL. If the upload was completed, a list
// and another complete answer with the parts of its object. All other requests are refused,
// because the URL is used.
func TestTornFind(t *testing.T) {
	// After the first read of the parts entry, so many fail.
	faults := map[string]int{"no fault": 0, "one read fails": 1, "all reads fail": math.MaxInt - 1}
	for _, by := range []string{"complete", "put", "put, the upload is begun"} {
		for _, what := range []string{"complete", "list", "start", "part", "give up"} {
			for fault, fails := range faults {
				t.Run(what+" torn by "+by+", "+fault, func(t *testing.T) { findTorn(t, what, by, fails) })
			}
		}
	}
}

func findTorn(t *testing.T, what, by string, fails int) {
	w := newWorld(t)
	minted := w.mint(t)
	m, index := w.multipart(onetime.Conditional)
	index.Intercept = func(call onetimetest.Call) *onetimetest.Fault {
		if call.Op == "ReadParts" && call.N > 1 && call.N <= 1+fails {
			return &onetimetest.Fault{}
		}
		return nil
	}
	other, _ := w.multipart(onetime.Conditional)
	between := &moment{over: make(chan struct{}), what: func() {
		if by != "put" {
			w.send(t, other, minted, w.begin(t, other, minted), 1, tiny)
		}
		var err error
		if by == "complete" {
			_, err = complete(t, w, other, minted)
		} else {
			_, err = other.Decide(t.Context(), uploadOf(minted), w.deadline())
		}
		if err != nil {
			t.Error(err)
		}
	}}
	m.Parts, m.Index = beforeMoment{m.Parts, between}, afterMoment{m.Index, between}
	var err error
	var parts []onetime.StoredPart
	switch what {
	case "complete":
		var done onetime.Completed
		done, err = complete(t, w, m, minted)
		if parts = done.Parts; err == nil && (!done.Stored || done.ETag != etagOf(tiny)) {
			t.Errorf("%+v", done)
		}
	case "list":
		_, parts, err = m.List(t.Context(), ask(minted, "GET", "parts"), w.deadline())
	case "start":
		_, err = m.Start(t.Context(), ask(minted, "POST", "uploads"), w.deadline())
	case "part":
		_, err = m.Part(t.Context(), partOf(minted, 1, len(tiny)), w.deadline())
	case "give up":
		_, err = m.GiveUp(t.Context(), ask(minted, "DELETE", ""), w.deadline())
	}
	want, wantParts := onetime.Used, 0
	switch {
	case fails > 1:
		want = onetime.IndexUnavailable
	case by == "complete" && (what == "complete" || what == "list"):
		want, wantParts = "", 1
	}
	if got := reasonOf(t, err); got != want || len(parts) != wantParts {
		t.Errorf("%d parts, %v, want %d, %q", len(parts), err, wantParts, want)
	}
	if n := len(w.claimants(t, minted.ID)); n != 1 {
		t.Errorf("%d claims, want only the first one", n)
	}
}

// TestGiveUpTogether: all who give up at the same time are told the same.
func TestGiveUpTogether(t *testing.T) {
	w := newWorld(t)
	minted := w.mint(t)
	m, _ := w.multipart(onetime.Conditional)
	w.send(t, m, minted, w.begin(t, m, minted), 1, tiny)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			other, _ := w.multipart(onetime.Conditional)
			if _, err := other.GiveUp(context.Background(), ask(minted, "DELETE", ""), w.deadline()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}
