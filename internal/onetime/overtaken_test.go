package onetime_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"oncegate/internal/onetime"
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
