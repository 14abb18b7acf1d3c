package onetime_test

import (
	"context"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"oncegate/internal/layout"
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

// TestMintWithPrefix: the object lies under the prefix, and the URL passes the gate.
func TestMintWithPrefix(t *testing.T) {
	for _, prefix := range []string{"invoices", "teams/red/2026"} {
		w := newWorld(t)
		minter, _ := w.minter()
		minter.Bounds.Prefixes = []string{"invoices", "teams/*"}
		entries := &uploads{store: w.store}
		minter.Uploads = entries
		minted, err := minter.Mint(t.Context(), onetime.Order{Prefix: prefix}, w.deadline())
		if err != nil {
			t.Fatal(err)
		}
		plain := w.mint(t)
		if dir, name := path.Split(minted.Key); dir != "uploads/"+prefix+"/" || len(name) != 36 || path.Dir(plain.Key) != "uploads" || minted.Path != "/"+minted.Key {
			t.Errorf("key %s and path %s, and of a plain URL key %s", minted.Key, minted.Path, plain.Key)
		}
		if !slices.Contains(w.store.Keys(), "signatures/"+minted.Key) {
			t.Errorf("there is no upload entry: %v", w.store.Keys())
		}
		gate, _ := w.gate(onetime.Conditional)
		put := upload(minted, "1")
		put.Path = strings.Replace(put.Path, prefix+"/", "", 1)
		if _, err := gate.Decide(t.Context(), put, w.deadline()); reasonOf(t, err) != onetime.Unknown {
			t.Errorf("without its prefix: %v, want it unknown", err)
		}
		put.Path = strings.Replace(minted.Path, prefix, "invoices/x", 1)
		if _, err := gate.Decide(t.Context(), put, w.deadline()); reasonOf(t, err) != onetime.Unknown {
			t.Errorf("with another prefix: %v, want it unknown", err)
		}
		pass, err := gate.Decide(t.Context(), upload(minted, "2"), w.deadline())
		if err != nil || pass.Key != minted.Key {
			t.Errorf("%+v, %v", pass, err)
		}
		if _, err := gate.Decide(t.Context(), upload(minted, "3"), w.deadline()); reasonOf(t, err) != onetime.Used {
			t.Errorf("again: %v, want it used", err)
		}
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
		{"no entropy for the name, but for the signature", func(m *onetime.Minter) { m.Entropy = &stumbling{Entropy: m.Entropy} }},
		{"no entropy for the signature", func(m *onetime.Minter) { m.Entropy = &limited{m.Entropy, 16 + 31} }},
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

// uploads is a onetime.UploadIndex over the store of a world.
type uploads struct {
	store *onetimetest.Store
	fail  int // so many requests fail first
	calls int
}

func (u *uploads) WriteUpload(_ context.Context, _ time.Duration, key string, body []byte) error {
	u.calls++
	if u.calls <= u.fail {
		return &onetime.Fault{Op: "WriteUpload", Status: 503}
	}
	u.store.Overwrite(layout.UploadEntry(key), onetimetest.Entry{Body: body})
	return nil
}

// TestMintForAcceptance: an upload leads back to its URL, or the URL is not handed
// out.
func TestMintForAcceptance(t *testing.T) {
	order := onetime.Order{Label: "a label", Name: "photo.jpg", By: "someone", Meta: "a=1", Tags: "project=blue"}
	for fail := range 4 {
		w := newWorld(t)
		minter, index := w.minter()
		entries := &uploads{store: w.store, fail: fail}
		minter.Uploads = entries
		minted, err := minter.Mint(t.Context(), order, w.deadline())
		if got, want := index.Tally(), "WriteValid 1"; got != want {
			t.Errorf("index requests %q, want %q", got, want)
		}
		if fail == 3 {
			if got := reasonOf(t, err); got != onetime.IndexUnavailable || minted != (onetime.Minted{}) {
				t.Errorf("no upload entry: %q, %+v", got, minted)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		entry, _, _ := w.store.Current(layout.UploadEntry(minted.Key))
		want := `{"version":1,"id":"` + string(minted.ID) + `","label":"a label","name":"photo.jpg","by":"someone","meta":"a=1","tags":"project=blue"}`
		if string(entry.Body) != want {
			t.Errorf("entry %s\nwant  %s", entry.Body, want)
		}
		if got, err := onetime.ParseUploadEntry(entry.Body); err != nil || got.ID != minted.ID || got.By != "someone" {
			t.Errorf("read as %+v, %v", got, err)
		}
	}
	for _, body := range []string{``, `{}`, `{"version":2,"id":"` + strings.Repeat("0", 64) + `"}`, `{"version":1,"id":"x"}`, `{"version":1,"id":"` + strings.Repeat("0", 64) + `","name":"a/b"}`, `{"version":1,"id":"` + strings.Repeat("0", 64) + `","meta":"A=1"}`, `{"version":1,"id":"` + strings.Repeat("0", 64) + `","tags":"aws:x=1"}`} {
		if got, err := onetime.ParseUploadEntry([]byte(body)); err == nil {
			t.Errorf("%s is read as %+v", body, got)
		}
	}
}
