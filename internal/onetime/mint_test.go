package onetime_test

import (
	"errors"
	"regexp"
	"slices"
	"testing"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

func TestMint(t *testing.T) {
	w := newWorld(t)
	w.clock.Set(start.Add(999 * time.Millisecond).In(time.FixedZone("", 3600)))
	minter, index := w.minter()
	minted, err := minter.Mint(t.Context(), onetime.Order{}, w.deadline())
	if err != nil {
		t.Fatal(err)
	}

	form := regexp.MustCompile(`^/uploads/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\?` +
		`X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=oncegate%2F20260304%2Feu-central-1%2Fs3%2Faws4_request` +
		`&X-Amz-Date=20260304T050607Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&x-id=PutObject&X-Amz-Signature=[0-9a-f]{64}$`)
	if url := minted.Path + "?" + minted.Query; !form.MatchString(url) {
		t.Errorf("URL %s\nwant  %s", url, form)
	}
	if want := "/" + minted.Key; minted.Path != want {
		t.Errorf("path %s, want %s", minted.Path, want)
	}
	if want := start.Add(life); !minted.Expires.Equal(want) {
		t.Errorf("expires %v, want %v", minted.Expires, want)
	}
	if want := onetime.Fingerprint(minted.Path, minted.Query); minted.ID != want {
		t.Errorf("id %s, want %s", minted.ID, want)
	}

	if got, want := w.store.Keys(), []string{"signatures/valid/" + string(minted.ID)}; !slices.Equal(got, want) {
		t.Errorf("store holds %v, want %v", got, want)
	}
	entry, _, _ := w.store.Current(minted.ID.ValidKey())
	want := `{"version":1,"created":"2026-03-04T05:06:07Z","expires":"2026-03-04T06:06:07Z","key":"` + minted.Key + `","limits":{}}`
	if string(entry.Body) != want {
		t.Errorf("entry %s\nwant  %s", entry.Body, want)
	}
	if got, want := index.Tally(), "WriteValid 1"; got != want {
		t.Errorf("index requests %q, want %q", got, want)
	}
}

// TestMintIsFixedByItsValues: clock and entropy are all that a URL is made of.
func TestMintIsFixedByItsValues(t *testing.T) {
	if a, b := newWorld(t).mint(t), newWorld(t).mint(t); a != b {
		t.Errorf("same clock and entropy, and two URLs:\n%+v\n%+v", a, b)
	}
	other := newWorld(t)
	other.entropy = onetimetest.NewEntropy(2)
	if a, b := newWorld(t).mint(t), other.mint(t); a.Key == b.Key || a.Query == b.Query {
		t.Errorf("other entropy, and still:\n%+v\n%+v", a, b)
	}
}

// TestMintedURLsDiffer: neither name nor signature is ever given out twice, and the
// signature does not follow from the name.
func TestMintedURLsDiffer(t *testing.T) {
	w := newWorld(t)
	seen := map[string]bool{}
	for range 1000 {
		minted := w.mint(t)
		query, err := onetime.ParseQuery(minted.Query, onetimetest.Region)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{minted.Key, query.Signature, string(minted.ID)} {
			if seen[s] {
				t.Fatalf("%s came up twice", s)
			}
			seen[s] = true
		}
	}
}

// TestMintRefuses: without what a URL is made of there is none, and nothing is
// written.
func TestMintRefuses(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*onetime.Minter)
	}{
		{"no entropy for the name", func(m *onetime.Minter) { m.Entropy = &limited{m.Entropy, 15} }},
		{"no entropy for the name, but for the secret", func(m *onetime.Minter) { m.Entropy = &stumbling{Entropy: m.Entropy} }},
		{"no entropy for the secret", func(m *onetime.Minter) { m.Entropy = &limited{m.Entropy, 16 + 31} }},
		{"no signature", func(m *onetime.Minter) { m.Presigner = onetimetest.Presigner{Err: errors.New("broken")} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			minter, index := w.minter()
			test.change(minter)
			minted, err := minter.Mint(t.Context(), onetime.Order{}, w.deadline())
			if got := reasonOf(t, err); got != onetime.Internal {
				t.Errorf("reason %q, want internal", got)
			}
			if minted != (onetime.Minted{}) {
				t.Errorf("refused, and yet there is %+v", minted)
			}
			if tally := index.Tally(); tally != "" {
				t.Errorf("index requests: %s", tally)
			}
		})
	}
}

// stumbling is entropy that fails once.
type stumbling struct {
	onetime.Entropy
	failed bool
}

func (s *stumbling) Read(b []byte) (int, error) {
	if !s.failed {
		s.failed = true
		return 0, errEntropy
	}
	return s.Entropy.Read(b)
}
