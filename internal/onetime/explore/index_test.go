package explore_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// minted is the one URL that everything is about.
type minted struct {
	onetime.Minted
	entry []byte
}

var url = sync.OnceValue(func() minted {
	store := onetimetest.NewStore(panics{})
	minter := onetime.Minter{
		Index:   &onetimetest.Index{Store: store, Clock: onetimetest.NewClock(start)},
		Clock:   onetimetest.NewClock(start),
		Entropy: onetimetest.NewEntropy(0),
		Region:  onetimetest.Region,
		Bounds:  onetime.Bounds{Life: life, MaxLife: onetime.MaxLife, MaxBytes: onetime.MaxBytes},
	}
	m, err := minter.Mint(context.Background(), onetime.Order{}, start.Add(plenty))
	if err != nil {
		panic(err)
	}
	entry, _, _ := store.Current(m.ID.ValidKey())
	return minted{m, entry.Body}
})

// spellings are those of the URL's query, made once: millions of gates are asked.
var spellings = sync.OnceValue(func() []onetimetest.Spelling { return onetimetest.Spellings(url().Query) })

// panics is a store's reporter where it has nothing to report.
type panics struct{}

func (panics) Helper()                        {}
func (panics) Errorf(format string, _ ...any) { panic(format) }

// scheduled is the index of one participant. What it answers is decided by the
// scheduler and the store.
type scheduled struct{ *actor }

var _ onetime.Ledger = scheduled{}

func (x scheduled) ReadValid(ctx context.Context, limit time.Duration, id onetime.ID) ([]byte, time.Time, error) {
	got, err := ask(x.actor, "ReadValid", nil, func() (read, string, error) {
		body, _, err := x.truth().ReadValid(ctx, limit, id)
		at, note := x.clock.Now(), ""
		if x.astray && err == nil {
			// Further than a slow answer to another request moves the clock meanwhile.
			at, note = at.Add(-10*plenty), "astray"
		}
		return read{body: body, at: at}, note, err
	})
	return got.body, got.at, err
}

func (x scheduled) WriteValid(context.Context, time.Duration, onetime.ID, []byte) (time.Time, error) {
	panic("nobody mints here")
}

func (x scheduled) HeadExpired(ctx context.Context, limit time.Duration, id onetime.ID) (onetime.Reason, error) {
	return ask(x.actor, "HeadExpired", nil, func() (onetime.Reason, string, error) {
		reason, err := x.truth().HeadExpired(ctx, limit, id)
		return reason, string(reason), err
	})
}

func (x scheduled) Claim(ctx context.Context, limit time.Duration, id onetime.ID, reason onetime.Reason, body []byte) (string, error) {
	return ask(x.actor, "Claim", nil, func() (string, string, error) {
		version, err := x.truth().Claim(ctx, limit, id, reason, body)
		if err == nil {
			x.run.log = append(x.run.log, event{x.name, string(reason), version})
		}
		return version, version, err
	})
}

type read struct {
	body    []byte
	version string
	at      time.Time
}

func (x scheduled) ReadExpired(ctx context.Context, limit time.Duration, id onetime.ID) ([]byte, string, error) {
	got, err := ask(x.actor, "ReadExpired", nil, func() (read, string, error) {
		body, version, err := x.truth().ReadExpired(ctx, limit, id)
		return read{body: body, version: version}, version, err
	})
	return got.body, got.version, err
}

func (x scheduled) ListExpired(ctx context.Context, limit time.Duration, id onetime.ID) ([]onetime.Version, error) {
	return ask(x.actor, "ListExpired", nil, func() ([]onetime.Version, string, error) {
		versions, err := x.truth().ListExpired(ctx, limit, id)
		note := ""
		for _, v := range versions {
			note += v.ID
			if v.DeleteMarker {
				note += "(marker)"
			}
			note += " "
		}
		return versions, note, err
	})
}

// wrote is the event that wrote this version of the expired entry. In a table claims and objects
// are counted apart, so an object may have the same version.
func (r *run) wrote(version string) event {
	for _, e := range r.log {
		if e.version == version && (e.claim() || e.what == "moved") {
			return e
		}
	}
	return event{}
}

func (x scheduled) DeleteExpired(_ context.Context, _ time.Duration, _ onetime.ID, version string) error {
	_, err := ask(x.actor, "Delete("+version+")", nil, func() (struct{}, string, error) {
		x.deleteVersion(version)
		return struct{}{}, version, nil
	})
	return err
}

// deleteVersion removes one version of the expired entry for good. What is gone is
// gone: a repeat changes nothing.
func (x scheduled) deleteVersion(version string) {
	key := url().ID.ExpiredKey()
	if slices.ContainsFunc(x.run.store.Versions(key), func(e onetimetest.Entry) bool { return e.ID == version }) {
		x.run.store.DeleteVersion(key, version)
		x.run.log = append(x.run.log, event{x.name, "delete", version})
	}
}

func (x scheduled) HeadObject(ctx context.Context, limit time.Duration, key string) (onetime.Object, error) {
	return ask(x.actor, "HeadObject", nil, func() (onetime.Object, string, error) {
		object, err := x.truth().HeadObject(ctx, limit, key)
		return object, object.Version, err
	})
}

func (x scheduled) HideObject(ctx context.Context, limit time.Duration, key, etag string) error {
	_, err := ask(x.actor, "HideObject", nil, func() (struct{}, string, error) {
		current, _, _ := x.run.store.Current(key)
		err := x.truth().HideObject(ctx, limit, key, etag)
		if err == nil {
			x.run.log = append(x.run.log, event{x.name, "hidden", current.ID})
		}
		return struct{}{}, current.ID, err
	})
	return err
}

func (x scheduled) ListEntries(context.Context, time.Duration, onetime.EntryKind, string) (onetime.EntryPage, error) {
	panic("nobody lists entries here")
}

// Upload stores the object, as the viewer's PUT does once it has passed.
func (x scheduled) Upload(ifAbsent bool) error {
	_, err := ask(x.actor, "Upload", nil, func() (struct{}, string, error) {
		version, ok := x.run.store.Put(url().Key, onetimetest.Entry{Body: []byte(x.name)}, ifAbsent)
		if !ok {
			return struct{}{}, "", onetime.ErrExists
		}
		x.run.log = append(x.run.log, event{x.name, "stored", version})
		return struct{}{}, "", nil
	})
	return err
}

// versions tells what the expired entry has: a current version, others that are no
// delete markers, and the newest delete marker.
func (r *run) versions() (current bool, noncurrent []string, marker string) {
	for i, v := range r.store.Versions(url().ID.ExpiredKey()) {
		switch {
		case v.DeleteMarker && marker == "":
			marker = v.ID
		case v.DeleteMarker:
		case i == 0:
			current = true
		default:
			noncurrent = append(noncurrent, v.ID)
		}
	}
	return current, noncurrent, marker
}

// last is a participant's last answer to a method, "" if it never got one.
func (a *actor) last(op string) string {
	answers := a.answers[a.noted(op)]
	if len(answers) == 0 {
		return ""
	}
	return strings.TrimSuffix(answers[len(answers)-1], " ")
}
