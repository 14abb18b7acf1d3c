package onetime_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"oncegate/internal/onetime"
)

// overtaken is a PartStore where something happens just before the parts are listed for
// the first time.
type overtaken struct {
	onetime.PartStore
	first func()
}

func (o *overtaken) ListParts(ctx context.Context, limit time.Duration, key, upload string) ([]onetime.StoredPart, error) {
	if first := o.first; first != nil {
		o.first = nil
		first()
	}
	return o.PartStore.ListParts(ctx, limit, key, upload)
}

// TestOvertaken: another request completes the upload, or gives it up, after the index was
// read and before the parts are listed. Complete and list answer as if they came after it,
// and not that nothing was started.
func TestOvertaken(t *testing.T) {
	for _, by := range []string{"complete", "give up", "somebody else"} {
		for _, what := range []string{"complete", "list"} {
			t.Run(what+" overtaken by "+by, func(t *testing.T) {
				w := newWorld(t)
				minted := w.mint(t)
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
				}}
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
				switch by {
				case "complete":
					if err != nil || len(parts) != 1 {
						t.Errorf("%d parts, %v", len(parts), err)
					}
				case "give up":
					if got := reasonOf(t, err); got != onetime.Revoked {
						t.Errorf("reason %q, want revoked", got)
					}
				default:
					if got := reasonOf(t, err); got != onetime.NotStarted {
						t.Errorf("reason %q, want not-started", got)
					}
				}
			})
		}
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
