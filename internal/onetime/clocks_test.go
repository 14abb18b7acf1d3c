package onetime_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// skews are by how much the clock here is ahead of S3's, and what is said of it; nothing
// where that is borne.
var skews = []struct {
	ahead time.Duration
	want  string
}{
	{0, ""},
	{29 * time.Second, ""},
	{30 * time.Second, ""},
	{30*time.Second + time.Millisecond, "about 31 s ahead"},
	{31 * time.Second, "about 31 s ahead"},
	{60 * time.Second, "about 60 s ahead"},
	{15 * time.Minute, "about 900 s ahead"},
	{24 * time.Hour, "about 86400 s ahead"},
	{1e6 * time.Hour, "ahead"}, // more than a difference of times can hold: it must not turn over
	{-29 * time.Second, ""},
	{-30 * time.Second, ""},
	{-30*time.Second - 999*time.Millisecond, ""}, // the date says 30
	{-31 * time.Second, "about 31 s behind"},
	{-60 * time.Second, "about 60 s behind"},
	{-15 * time.Minute, "about 900 s behind"},
	{-24 * time.Hour, "about 86400 s behind"},
}

// s3Clock is S3's, where the clock of the world is so far ahead of it.
func (w *world) s3Clock(ahead time.Duration) *onetimetest.Clock {
	return onetimetest.NewClock(w.clock.Now().Add(-ahead))
}

// TestGateComparesClocks: with a clock that is off by more than half a minute, in either
// direction, nothing is spent and the log says why. The URL is good at another gate.
func TestGateComparesClocks(t *testing.T) {
	for _, mode := range modes {
		for _, skew := range skews {
			t.Run(string(mode)+"/"+skew.ahead.String(), func(t *testing.T) {
				w := newWorld(t)
				minted := w.mint(t)
				gate, index := w.gate(mode)
				index.Clock = w.s3Clock(skew.ahead)
				pass, err := gate.Decide(t.Context(), upload(minted, "ours"), w.deadline())
				if skew.want == "" {
					if err != nil {
						t.Errorf("refused: %v", err)
					}
					return
				}
				if got := reasonOf(t, err); got != onetime.IndexUnavailable || !strings.Contains(err.Error(), skew.want) {
					t.Errorf("%+v, %v, want index-unavailable and %q", pass, err, skew.want)
				}
				if got := index.Tally(); got != looked {
					t.Errorf("index requests %q, want %q", got, looked)
				}
				other, _ := w.gate(mode)
				if _, err := other.Decide(t.Context(), upload(minted, "another gate's"), w.deadline()); err != nil {
					t.Errorf("at a gate with a right clock: %v", err)
				}
			})
		}
	}
}

// TestMintComparesClocks: no URL is handed out whose time nobody else would agree with.
func TestMintComparesClocks(t *testing.T) {
	for _, skew := range skews {
		t.Run(skew.ahead.String(), func(t *testing.T) {
			w := newWorld(t)
			minter, index := w.minter()
			index.Clock = w.s3Clock(skew.ahead)
			minted, err := minter.Mint(t.Context(), onetime.Order{}, w.deadline())
			if skew.want == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if got := reasonOf(t, err); got != onetime.IndexUnavailable || !strings.Contains(err.Error(), skew.want) || minted != (onetime.Minted{}) {
				t.Errorf("%+v, %v, want index-unavailable and %q", minted, err, skew.want)
			}
			if got := index.Tally(); got != "WriteValid 1" {
				t.Errorf("index requests %q: the same clock asks again", got)
			}
		})
	}
}

// TestNoDate: an answer without a date shows no clock, and so is no clear answer.
func TestNoDate(t *testing.T) {
	w := newWorld(t)
	minted := w.mint(t)
	gate, index := w.gate(onetime.Conditional)
	index.Clock = nil
	_, err := gate.Decide(t.Context(), upload(minted, "ours"), w.deadline())
	if got := reasonOf(t, err); got != onetime.IndexUnavailable || !strings.Contains(err.Error(), "no date") || index.Tally() != looked {
		t.Errorf("gate: %v after %s, want index-unavailable for want of a date", err, index.Tally())
	}
	minter, index := w.minter()
	index.Clock = nil
	if _, err = minter.Mint(t.Context(), onetime.Order{}, w.deadline()); reasonOf(t, err) != onetime.IndexUnavailable || !strings.Contains(err.Error(), "no date") {
		t.Errorf("mint: %v, want index-unavailable for want of a date", err)
	}
}

// TestClocksAfterFaults: the date that counts is that of the answer that came, whether
// the try before it took effect or not.
func TestClocksAfterFaults(t *testing.T) {
	for _, fault := range []onetimetest.Fault{{}, {Applied: true}, {Status: 503}, {Status: 503, Applied: true}} {
		for _, ahead := range []time.Duration{0, time.Minute, -time.Minute} {
			var want onetime.Reason
			if ahead != 0 {
				want = onetime.IndexUnavailable
			}
			w := newWorld(t)
			minted := w.mint(t)
			gate, index := w.gate(onetime.Conditional)
			index.Clock, index.Intercept = w.s3Clock(ahead), inject(failure{"ReadValid", 1, fault})
			_, err := gate.Decide(t.Context(), upload(minted, "ours"), w.deadline())
			if got := reasonOf(t, err); got != want {
				t.Errorf("gate, %s, %s ahead: %v, want %q", fault, ahead, err, want)
			}
			if claims := w.claimants(t, minted.ID); slices.Contains(claims, "ours") != (want == "") {
				t.Errorf("gate, %s, %s ahead: claimed by %q", fault, ahead, claims)
			}
			minter, index := w.minter()
			index.Clock, index.Intercept = w.s3Clock(ahead), inject(failure{"WriteValid", 1, fault})
			if _, err = minter.Mint(t.Context(), onetime.Order{}, w.deadline()); reasonOf(t, err) != want {
				t.Errorf("mint, %s, %s ahead: %v, want %q", fault, ahead, err, want)
			}
		}
	}
}

// TestSlowAnswerIsNoSkew: S3 may answer at any moment between the request and the answer's
// arrival.
func TestSlowAnswerIsNoSkew(t *testing.T) {
	for _, test := range []struct {
		before, after time.Duration // that the answer took on its way to S3, and back
		ahead         time.Duration
		want          onetime.Reason
	}{
		{20 * time.Second, 20 * time.Second, 0, ""},
		{0, 40 * time.Second, 0, ""},
		{40 * time.Second, 0, 0, ""},
		{0, 40 * time.Second, 32 * time.Second, onetime.IndexUnavailable},
		{0, 40 * time.Second, -32 * time.Second, ""}, // S3 may have answered late
		{40 * time.Second, 0, -32 * time.Second, onetime.IndexUnavailable},
		{40 * time.Second, 0, 32 * time.Second, ""}, // S3 may have answered early
	} {
		w := newWorld(t)
		minted := w.mint(t)
		gate, index := w.gate(onetime.Conditional)
		s3 := w.s3Clock(test.ahead)
		index.Clock = s3
		gate.Index = &way{Index: index, before: func() {
			w.clock.Set(w.clock.Now().Add(test.before))
			s3.Set(s3.Now().Add(test.before))
		}, after: func() { w.clock.Set(w.clock.Now().Add(test.after)) }}
		_, err := gate.Decide(t.Context(), upload(minted, "ours"), start.Add(10*time.Minute))
		if got := reasonOf(t, err); got != test.want {
			t.Errorf("%+v: %v, want %q", test, err, test.want)
		}
	}
}

// way is an index whose first answer takes its time.
type way struct {
	onetime.Index
	before, after func()
}

func (y *way) ReadValid(ctx context.Context, limit time.Duration, id onetime.ID) ([]byte, time.Time, error) {
	y.before()
	defer y.after()
	return y.Index.ReadValid(ctx, limit, id)
}

// TestUploadIsSignedByS3sClock: what the clock here shows, and where it jumps to after
// the look-ups, is not in the upload signature, which S3 judges by its own.
func TestUploadIsSignedByS3sClock(t *testing.T) {
	for _, ahead := range []time.Duration{0, 30 * time.Second, -30 * time.Second} {
		for _, jump := range []time.Duration{0, -time.Hour, 5 * time.Second} {
			w := newWorld(t)
			minted := w.mint(t)
			gate, index := w.gate(onetime.Conditional)
			index.Clock = w.s3Clock(ahead)
			index.Intercept = func(call onetimetest.Call) *onetimetest.Fault {
				if call.Op == "Claim" {
					w.clock.Set(w.clock.Now().Add(jump))
				}
				return nil
			}
			pass, err := gate.Decide(t.Context(), upload(minted, "ours"), w.deadline())
			if err != nil {
				t.Errorf("%s ahead, then %s: %v", ahead, jump, err)
			}
			if want := "&at=" + start.Add(-ahead).Format(time.RFC3339) + "&"; !strings.Contains(pass.Query, want) {
				t.Errorf("%s ahead, then %s: signed %s, want %s", ahead, jump, pass.Query, want)
			}
		}
	}
}

// TestClocksOfASecondTry: what a second try of the same request meets is not said to be
// unspent, for the first may have claimed.
func TestClocksOfASecondTry(t *testing.T) {
	w := newWorld(t)
	minted := w.mint(t)
	put := upload(minted, "ours")
	put.Attempt = onetime.Attempt{Nonce: "00112233445566778899aabbccddeeff", Repeated: true}
	gate, index := w.gate(onetime.Conditional)
	index.Clock = w.s3Clock(time.Hour)
	_, err := gate.Decide(t.Context(), put, w.deadline())
	if got := reasonOf(t, err); got != onetime.ClaimUnknown || len(w.claimants(t, minted.ID)) != 0 {
		t.Errorf("%v, claimed by %q, want claim-unknown and no claim", err, w.claimants(t, minted.ID))
	}
}
