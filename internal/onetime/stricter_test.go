package onetime_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"oncegate/internal/onetime"
)

// suspended is the index in a bucket that keeps no versions: an answer names none, or
// the one that S3 calls null (versioning suspended).
type suspended struct {
	onetime.Index
	version string
	lost    bool // the first claim takes effect and is not answered
}

func (u *suspended) Claim(ctx context.Context, limit time.Duration, id onetime.ID, reason onetime.Reason, body []byte) (string, error) {
	_, err := u.Index.Claim(ctx, limit, id, reason, body)
	if err == nil && u.lost {
		u.lost = false
		return "", &onetime.Fault{Err: errors.New("no answer")}
	}
	return u.version, err
}

func (u *suspended) ReadExpired(ctx context.Context, limit time.Duration, id onetime.ID) ([]byte, string, error) {
	body, _, err := u.Index.ReadExpired(ctx, limit, id)
	return body, u.version, err
}

// TestUnversionedBucket: where versions are not kept, a deleted entry leaves no trace.
// No claim passes there, in neither mode, whether its answer came or was read back.
func TestUnversionedBucket(t *testing.T) {
	for _, mode := range modes {
		for _, version := range []string{"", "null"} {
			for _, lost := range []bool{false, true} {
				w := newWorld(t)
				m := w.mint(t)
				gate, index := w.gate(mode)
				gate.Index = &suspended{Index: index, version: version, lost: lost}
				_, err := gate.Decide(t.Context(), upload(m, "first"), w.deadline())
				if got := reasonOf(t, err); got != onetime.ClaimUnknown {
					t.Errorf("%s, version %q, lost %v: %q, want claim-unknown", mode, version, lost, got)
				}
			}
		}
	}
}

// TestLoweredMaxBytes: the settings bind URLs that were minted before they changed, with
// a limit of their own or without.
func TestLoweredMaxBytes(t *testing.T) {
	for _, limits := range []onetime.Limits{{}, {MaxBytes: 100}} {
		w := newWorld(t)
		minter, _ := w.minter()
		m, err := minter.Mint(t.Context(), onetime.Order{Limits: limits}, w.deadline())
		if err != nil {
			t.Fatal(err)
		}
		gate, _ := w.gate(onetime.Conditional)
		gate.MaxBytes = 4
		_, err = gate.Decide(t.Context(), upload(m, "five bytes"), w.deadline())
		if got := reasonOf(t, err); got != onetime.TooLarge {
			t.Errorf("%+v: five bytes are %q, want too-large", limits, got)
		}
		put := upload(m, "four bytes")
		put.Headers = headers{"content-length": {"4"}}
		if _, err = gate.Decide(t.Context(), put, w.deadline()); err != nil {
			t.Errorf("%+v: four bytes: %v", limits, err)
		}
	}
	w := newWorld(t)
	minter, _ := w.minter()
	m, err := minter.Mint(t.Context(), onetime.Order{Limits: onetime.Limits{MaxBytes: 4}}, w.deadline())
	if err != nil {
		t.Fatal(err)
	}
	gate, _ := w.gate(onetime.Conditional)
	gate.MaxBytes = 1000
	_, err = gate.Decide(t.Context(), upload(m, "five bytes"), w.deadline())
	if got := reasonOf(t, err); got != onetime.TooLarge {
		t.Errorf("the settings widen a URL's own limit: %q", got)
	}
}

var _ onetime.Index = (*suspended)(nil)
