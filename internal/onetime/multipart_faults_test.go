package onetime_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// TestMultipartFaults makes every request of every step fail once or for good, before it
// takes effect and after: a step is answered as it should be, or says that it is not
// known, and when all is well again the upload is completed, once.
func TestMultipartFaults(t *testing.T) {
	faults := []onetimetest.Fault{{}, {Applied: true}, {Stale: true}, {Stale: true, Applied: true}, {Status: 500}, {Status: 503, Applied: true}, {Status: 403}}
	ops := append(append([]string{}, onetimetest.PartOps...), onetimetest.Ops...)
	for _, mode := range modes {
		for _, op := range ops {
			for _, fault := range faults {
				for _, always := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s/%s/%s/%t", mode, op, fault, always), func(t *testing.T) {
						w := newWorld(t)
						minted := w.mint(t)
						m, index := w.multipart(mode)
						index.Intercept = func(call onetimetest.Call) *onetimetest.Fault {
							if call.Op == op && (always || call.N == 1) {
								return &fault
							}
							return nil
						}
						_, startErr := m.Start(t.Context(), ask(minted, "POST", "uploads"), w.deadline())
						if startErr != nil && reasonOf(t, startErr) != onetime.IndexUnavailable {
							t.Errorf("start: %v", startErr)
						}
						healthy, _ := w.multipart(mode)
						if _, err := healthy.Start(t.Context(), ask(minted, "POST", "uploads"), w.deadline()); err != nil {
							t.Fatal(err)
						}
						var own onetime.PartsEntry
						if entry, ok, _ := w.store.Current(minted.ID.PartsKey()); ok {
							var err error
							if own, err = onetime.ParsePartsEntry(entry.Body); err != nil {
								t.Fatal(err)
							}
						}
						if !w.store.PutPart(own.Upload, 1, tiny) {
							t.Fatal("the upload of the index is not there")
						}
						if _, err := m.Part(t.Context(), partOf(minted, 1, 5), w.deadline()); err != nil && reasonOf(t, err) != onetime.IndexUnavailable {
							t.Errorf("part: %v", err)
						}
						done, err := complete(t, w, m, minted)
						claims := len(w.store.Versions(minted.ID.ExpiredKey()))
						switch reason := reasonOf(t, err); {
						case err == nil && done.Stored && w.objects(minted.Key) != 1:
							t.Error("stored, and there is no object")
						case err == nil && !done.Stored && claims != 1:
							t.Error("it goes on, and there is no claim")
						case reason == onetime.IndexUnavailable && claims != 0:
							t.Error("nothing was spent, and there is a claim")
						case err != nil && reason != onetime.IndexUnavailable && reason != onetime.ClaimUnknown:
							t.Errorf("complete: %v", err)
						}
						done, err = complete(t, w, healthy, minted)
						if err != nil || !done.Stored || done.ETag != etagOf(tiny) || w.objects(minted.Key) != 1 {
							t.Errorf("completed again: %+v, %v, %d objects", done, err, w.objects(minted.Key))
						}
					})
				}
			}
		}
	}
}

// TestLateParts: a part that was let through before the claim arrives after it.
func TestLateParts(t *testing.T) {
	for _, test := range []struct {
		name   string
		etag   bool
		late   []byte
		number int
		want   onetime.Reason
	}{
		{"the same again", true, mib, 1, ""},
		{"another of that size", false, bytes.Repeat([]byte("x"), 1<<20), 1, ""},
		{"another, and the etag was named", true, bytes.Repeat([]byte("x"), 1<<20), 1, onetime.ClaimUnknown},
		{"larger", false, whole, 1, onetime.ClaimUnknown},
		{"behind the last", true, mib, 2, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			minted := w.mint(t)
			m, index := w.multipart(onetime.Conditional)
			upload := w.begin(t, m, minted)
			w.send(t, m, minted, upload, 1, mib)
			index.Intercept = func(call onetimetest.Call) *onetimetest.Fault {
				if call.Op == "Claim" {
					w.store.PutPart(upload, test.number, test.late)
				}
				return nil
			}
			operation := "complete"
			if test.etag {
				operation += "&etag=" + etagOf(mib)
			}
			done, err := m.Complete(t.Context(), ask(minted, "POST", operation), w.deadline())
			if got := reasonOf(t, err); got != test.want {
				t.Fatalf("reason %q, want %q", got, test.want)
			}
			entry, exists, _ := w.store.Current(minted.Key)
			if exists != (err == nil) {
				t.Fatalf("an object is there: %t, error %v", exists, err)
			}
			if exists && (int64(len(entry.Body)) != done.Size || entry.ETag != done.ETag) {
				t.Errorf("the answer %d %s, the object %d %s", done.Size, done.ETag, len(entry.Body), entry.ETag)
			}
			again, err := m.Complete(t.Context(), ask(minted, "POST", operation), w.deadline())
			if got := reasonOf(t, err); got != test.want || again.ETag != done.ETag || again.Size != done.Size {
				t.Errorf("again: %q, %d %s, first %d %s", got, again.Size, again.ETag, done.Size, done.ETag)
			}
		})
	}
}

// TestEnableMultipart: an enabled URL begins anew, whatever its multipart upload had come
// to, and no late Complete of the old one makes an object.
func TestEnableMultipart(t *testing.T) {
	for _, end := range []string{"claimed, not made", "revoked", "put"} {
		t.Run(end, func(t *testing.T) {
			w := newWorld(t)
			minted := w.mint(t)
			m, index := w.multipart(onetime.Conditional)
			upload := w.begin(t, m, minted)
			w.send(t, m, minted, upload, 1, []byte("old"))
			switch end {
			case "claimed, not made":
				index.Intercept = func(call onetimetest.Call) *onetimetest.Fault {
					if call.Op == "CompleteUpload" {
						return &onetimetest.Fault{}
					}
					return nil
				}
				if done, err := complete(t, w, m, minted); err != nil || done.Stored {
					t.Fatalf("%+v, %v", done, err)
				}
			case "revoked":
				operator, _ := w.operator()
				if _, err := operator.Revoke(t.Context(), onetime.Target{ID: minted.ID}); err != nil {
					t.Fatal(err)
				}
			case "put":
				if _, err := m.Decide(t.Context(), uploadOf(minted), w.deadline()); err != nil {
					t.Fatal(err)
				}
			}
			operator, ledger := w.operator()
			operator.Parts = &ledger.Index
			if _, err := operator.Enable(t.Context(), onetime.Target{ID: minted.ID}, onetime.EnableOptions{}); err != nil {
				t.Fatal(err)
			}
			_, _, err := (&onetimetest.Index{Store: w.store}).CompleteUpload(t.Context(), time.Second, minted.Key, upload, []onetime.StoredPart{{Number: 1, Size: 3, ETag: "x"}})
			if err != onetime.ErrAbsent {
				t.Errorf("a late Complete: %v, want that the upload is gone", err)
			}
			again, _ := w.multipart(onetime.Conditional)
			w.send(t, again, minted, w.begin(t, again, minted), 1, []byte("new"))
			if done, err := complete(t, w, again, minted); err != nil || !done.Stored || done.ETag != etagOf([]byte("new")) {
				t.Errorf("completed anew: %+v, %v", done, err)
			}
		})
	}
}

// TestSlowComplete: S3 takes longer than there is time for. The repeat tells.
func TestSlowComplete(t *testing.T) {
	w := newWorld(t)
	minted := w.mint(t)
	m, index := w.multipart(onetime.Conditional)
	w.send(t, m, minted, w.begin(t, m, minted), 1, tiny)
	index.Intercept = func(call onetimetest.Call) *onetimetest.Fault {
		if call.Op != "CompleteUpload" || call.N > 1 {
			return nil
		}
		if call.Limit < 3*time.Second {
			t.Errorf("Complete has %v", call.Limit)
		}
		w.clock.Set(w.clock.Now().Add(call.Limit))
		return &onetimetest.Fault{Applied: true}
	}
	done, err := m.Complete(t.Context(), ask(minted, "POST", "complete"), w.clock.Now().Add(5*time.Second))
	if err != nil || done.Stored {
		t.Fatalf("%+v, %v; want that it goes on", done, err)
	}
	if done, err = complete(t, w, m, minted); err != nil || !done.Stored || w.objects(minted.Key) != 1 {
		t.Errorf("the repeat: %+v, %v", done, err)
	}
}
