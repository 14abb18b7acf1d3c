package onetime_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// original is the rule of the algorithm as it was first published, in JavaScript:
// look for an expired entry, write one in any case, list its versions, and pass if
// ours is the first of them by LastModified. It has two traps, which the tests
// below step into one at a time.
// https://github.com/laardee/one-time-presigned-url/blob/db96f27/validate/index.js
type original struct {
	world *world
	id    onetime.ID
	// anyFailureIsAbsent: a HEAD that fails, however it fails, counts as "there is
	// no expired entry".
	anyFailureIsAbsent bool
	// compare is what the versions are sorted with, to be oldest first.
	compare func(a, b lastModified) int
}

// lastModified is a version with the time that S3 shows, in whole seconds.
type lastModified struct {
	version string
	at      time.Time
}

// absent is the first step: does a HEAD's outcome say that the URL is not spent?
func (o original) absent(headErr error) bool {
	return errors.Is(headErr, onetime.ErrAbsent) || headErr != nil && o.anyFailureIsAbsent
}

// write is the second step: the expired entry, written over whatever is there.
func (o original) write() (version string) {
	entry := expiredEntry(onetime.Used)
	entry.Body = onetime.ExpiredEntry{Version: 1, Reason: onetime.Used, At: o.world.clock.Now(), Nonce: "00112233445566778899aabbccddeeff"}.Marshal()
	return o.world.store.Overwrite(o.id.ExpiredKey(), entry)
}

// first is the third step: is this version the first one?
func (o original) first(t *testing.T, version string) bool {
	var versions []lastModified
	for _, v := range o.world.store.Versions(o.id.ExpiredKey()) {
		entry, err := onetime.ParseExpiredEntry(v.Body)
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, lastModified{v.ID, entry.At.Truncate(time.Second)})
	}
	jsSort(versions, o.compare)
	return versions[0].version == version
}

// jsSort is Array.prototype.sort of V8 since Node 11, for as few elements as there
// are here: binary insertion, which asks only whether the comparator is negative.
// https://v8.dev/blog/array-sort
func jsSort(versions []lastModified, compare func(a, b lastModified) int) {
	for i := 1; i < len(versions); i++ {
		inserted, left, right := versions[i], 0, i
		for left < right {
			if mid := (left + right) / 2; compare(inserted, versions[mid]) < 0 {
				right = mid
			} else {
				left = mid + 1
			}
		}
		copy(versions[left+1:i+1], versions[left:i])
		versions[left] = inserted
	}
}

// byBoolean is the published comparator, a.LastModified > b.LastModified. true is 1
// to the sort and false is 0; it is never negative, so nothing ever moves, and the
// versions stay as S3 lists them: newest first.
func byBoolean(a, b lastModified) int {
	if a.at.After(b.at) {
		return 1
	}
	return 0
}

// byNumber is what was meant.
func byNumber(a, b lastModified) int { return a.at.Compare(b.at) }

// TestBooleanComparator: two uploads look before either has written, then write one
// after the other. The newest version is not the first one.
func TestBooleanComparator(t *testing.T) {
	for _, test := range []struct {
		name    string
		compare func(a, b lastModified) int
		want    []bool
	}{
		{"boolean", byBoolean, []bool{true, true}}, // the trap: both pass
		{"number", byNumber, []bool{true, false}},
	} {
		w := newWorld(t)
		o := original{world: w, id: w.mint(t).ID, compare: test.compare}
		var passed []bool
		for range 2 { // neither sees an expired entry, both go on
			w.clock.Set(w.clock.Now().Add(2 * time.Second))
			passed = append(passed, o.first(t, o.write()))
		}
		if !slices.Equal(passed, test.want) {
			t.Errorf("%s comparator: passed %v, want %v", test.name, passed, test.want)
		}
	}

	for _, mode := range modes {
		t.Run(string(mode)+"/same order of events", func(t *testing.T) {
			w := newWorld(t)
			minted := w.mint(t)
			first, _ := w.gate(mode)
			second, index := w.gate(mode)
			index.Intercept = func(call onetimetest.Call) *onetimetest.Fault {
				if call.Op == "Claim" { // the second one has looked; now the first one passes
					if _, err := first.Decide(t.Context(), upload(minted, "first"), w.deadline()); err != nil {
						t.Errorf("first upload: %v", err)
					}
				}
				return nil
			}
			_, err := second.Decide(t.Context(), upload(minted, "second"), w.deadline())
			if got := reasonOf(t, err); got != onetime.Used {
				t.Errorf("second upload: reason %q, want used", got)
			}
		})
	}

	// The same two versions, the newer one ours, put before the rule to the letter.
	t.Run("same versions", func(t *testing.T) {
		w := newWorld(t)
		minted := w.mint(t)
		key := minted.ID.ExpiredKey()
		gate, index := w.gate(onetime.Listed)
		index.Intercept = func(call onetimetest.Call) *onetimetest.Fault {
			switch call.Op {
			case "Claim":
				w.store.Put(key, expiredEntry(onetime.Used), true)
				w.store.Delete(key) // lets the claim through, as if it were unconditional
			case "ListExpired":
				w.store.DeleteVersion(key, w.store.Versions(key)[1].ID)
			}
			return nil
		}
		_, err := gate.Decide(t.Context(), upload(minted, "newest"), w.deadline())
		if claimants := w.claimants(t, minted.ID); !slices.Equal(claimants, []string{"newest", "somebody else"}) {
			t.Fatalf("versions by %v: this is not the state that was meant", claimants)
		}
		if got := reasonOf(t, err); got != onetime.Used {
			t.Errorf("reason %q, want used", got)
		}
	})
}

// TestFailedHead: an upload has passed; the next one's HEAD fails. Within one second
// LastModified does not tell the two versions apart, so even the comparator that
// was meant leaves the newest in front.
func TestFailedHead(t *testing.T) {
	for _, fault := range []onetimetest.Fault{{Status: 403}, {Status: 503}, {}} {
		t.Run(fault.String(), func(t *testing.T) {
			for _, trap := range []bool{true, false} {
				w := newWorld(t)
				o := original{world: w, id: w.mint(t).ID, anyFailureIsAbsent: trap, compare: byNumber}
				if !o.first(t, o.write()) {
					t.Fatal("the first upload does not pass")
				}
				index := &onetimetest.Index{Store: w.store, Intercept: inject(failure{"HeadExpired", 1, fault})}
				_, headErr := index.HeadExpired(t.Context(), time.Second, o.id)
				passed := o.absent(headErr) && o.first(t, o.write())
				if passed != trap {
					t.Errorf("any failure counts as absent: %t; second upload passes: %t", trap, passed)
				}
			}

			for _, mode := range modes {
				w := newWorld(t)
				minted := w.mint(t)
				gate, _ := w.gate(mode)
				if _, err := gate.Decide(t.Context(), upload(minted, "first"), w.deadline()); err != nil {
					t.Fatal(err)
				}
				gate, index := w.gate(mode)
				index.Intercept = func(call onetimetest.Call) *onetimetest.Fault {
					if call.Op == "HeadExpired" {
						return &fault
					}
					return nil
				}
				_, err := gate.Decide(t.Context(), upload(minted, "second"), w.deadline())
				if got := reasonOf(t, err); got != onetime.IndexUnavailable {
					t.Errorf("%s: reason %q, want index-unavailable", mode, got)
				}
			}
		})
	}
}
