package explore_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"oncegate/internal/invite"
	"oncegate/internal/invite/invitetest"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// records is the index as one participant sees it.
type records struct {
	*onetimetest.Ledger
	a *actor
}

func (x records) ReadValid(ctx context.Context, limit time.Duration, id onetime.ID) ([]byte, time.Time, error) {
	body, err := ask(x.a, "ReadValid", false, func() (body []byte, err error) {
		body, _, err = x.Ledger.ReadValid(ctx, limit, id)
		return body, err
	})
	return body, x.a.clock.Now(), err
}

func (x records) WriteValid(ctx context.Context, limit time.Duration, id onetime.ID, body []byte) (time.Time, error) {
	_, err := ask(x.a, "WriteValid", true, func() (struct{}, error) {
		_, err := x.Ledger.WriteValid(ctx, limit, id, body)
		return struct{}{}, err
	})
	return x.a.clock.Now(), err
}

func (x records) HeadExpired(ctx context.Context, limit time.Duration, id onetime.ID) (onetime.Reason, error) {
	return ask(x.a, "HeadExpired("+string(id[:4])+")", false, func() (onetime.Reason, error) { return x.Ledger.HeadExpired(ctx, limit, id) })
}

func (x records) Claim(ctx context.Context, limit time.Duration, id onetime.ID, reason onetime.Reason, body []byte) (string, error) {
	_, err := ask(x.a, fmt.Sprintf("Claim(%s, %s)", id[:4], reason), true, func() (struct{}, error) {
		_, err := x.Ledger.Claim(ctx, limit, id, reason, body)
		return struct{}{}, err
	})
	return aVersion, err
}

// aVersion is the id of every version: what an id is depends on who wrote before, and the
// rule does not ask.
const aVersion = "version"

func (x records) ReadExpired(ctx context.Context, limit time.Duration, id onetime.ID) ([]byte, string, error) {
	body, err := ask(x.a, "ReadExpired("+string(id[:4])+")", false, func() (body []byte, err error) {
		body, _, err = x.Ledger.ReadExpired(ctx, limit, id)
		return body, err
	})
	return body, aVersion, err
}

// slots are the invitations as one participant sees them.
type slots struct {
	*invitetest.Store
	a *actor
}

type tagged struct {
	body []byte
	etag string
}

func (x slots) ReadInvitation(ctx context.Context, limit time.Duration, id invite.ID) ([]byte, string, error) {
	got, err := ask(x.a, "ReadInvitation", false, func() (t tagged, err error) {
		t.body, t.etag, err = x.Store.ReadInvitation(ctx, limit, id)
		return t, err
	})
	return got.body, got.etag, err
}

func (x slots) ReplaceInvitation(ctx context.Context, limit time.Duration, id invite.ID, etag string, body []byte) error {
	_, err := ask(x.a, "ReplaceInvitation", true, func() (struct{}, error) {
		return struct{}{}, x.Store.ReplaceInvitation(ctx, limit, id, etag, body)
	})
	return err
}

func (x slots) ListSlots(ctx context.Context, limit time.Duration, id invite.ID) ([]invite.ListedSlot, error) {
	return ask(x.a, "ListSlots", false, func() ([]invite.ListedSlot, error) { return x.Store.ListSlots(ctx, limit, id) })
}

func (x slots) ReadSlot(ctx context.Context, limit time.Duration, id invite.ID, n int) ([]byte, string, error) {
	got, err := ask(x.a, fmt.Sprintf("ReadSlot(%d)", n), false, func() (t tagged, err error) {
		t.body, t.etag, err = x.Store.ReadSlot(ctx, limit, id, n)
		return t, err
	})
	return got.body, got.etag, err
}

func (x slots) CreateSlot(ctx context.Context, limit time.Duration, id invite.ID, n int, body []byte) error {
	_, err := ask(x.a, fmt.Sprintf("CreateSlot(%d)", n), true, func() (struct{}, error) {
		return struct{}{}, x.Store.CreateSlot(ctx, limit, id, n, body)
	})
	return err
}

func (x slots) ReplaceSlot(ctx context.Context, limit time.Duration, id invite.ID, n int, etag string, body []byte) error {
	_, err := ask(x.a, fmt.Sprintf("ReplaceSlot(%d)", n), true, func() (struct{}, error) {
		return struct{}{}, x.Store.ReplaceSlot(ctx, limit, id, n, etag, body)
	})
	return err
}

func (a *actor) records() records {
	return records{&onetimetest.Ledger{Index: onetimetest.Index{Store: a.run.index, Clock: a.clock}}, a}
}

func (a *actor) slots() slots { return slots{&invitetest.Store{Objects: a.run.objects}, a} }

func (a *actor) closer() *onetime.Closer {
	return &onetime.Closer{Records: a.records(), Clock: a.clock, Entropy: a.entropy}
}

func (a *actor) keeper() *invite.Keeper {
	return &invite.Keeper{Ledger: a.slots(), Closer: a.closer(), Clock: a.clock, Entropy: a.entropy, Keep: keep}
}

// mint mints under the invitation.
func (a *actor) mint() (onetime.Minted, error) {
	minter := invite.Minter{
		Store: a.slots(),
		URLs: &onetime.Minter{
			Index: a.records(), Clock: a.clock, Entropy: a.entropy, Region: onetimetest.Region,
			Bounds: onetime.Bounds{Life: life, MaxLife: onetime.MaxLife, MaxBytes: onetime.MaxBytes, MinBytes: 1},
		},
		Closer: a.closer(), Clock: a.clock, Entropy: a.entropy, Keep: keep,
	}
	url, err := minter.Mint(context.Background(), a.run.id, onetime.Order{}, a.deadline)
	if err == nil {
		a.handed = append(a.handed, url.ID)
	}
	return url, err
}

// upload sends five bytes.
func (a *actor) upload(url onetime.Minted) error {
	gate := onetime.Gate{
		Index: a.records(), Presigner: onetimetest.Presigner{}, Clock: a.clock, Entropy: a.entropy,
		Region: onetimetest.Region, FirstVersion: onetime.Conditional,
	}
	_, err := gate.Decide(context.Background(), onetime.Put{Method: "PUT", Path: url.Path, Query: url.Query, Headers: fiveBytes{}}, a.deadline)
	return err
}

type fiveBytes struct{}

func (fiveBytes) Values(name string) []string {
	if name == "content-length" {
		return []string{"5"}
	}
	return nil
}

func (fiveBytes) Names() []string { return []string{"content-length"} }

// result is an error as states and outcomes name it.
func result(what string, err error) string {
	for _, known := range []error{invite.ErrFull, invite.ErrRevoked, invite.ErrUnknown, invite.ErrOver, invite.ErrUnavailable} {
		if errors.Is(err, known) {
			return what + ": " + known.Error()
		}
	}
	if err != nil {
		return what + ": " + string(onetime.ReasonOf(err))
	}
	return what
}

// guest mints and uploads.
func guest(name string) part {
	return part{name: name, play: func(a *actor) string {
		url, err := a.mint()
		if err != nil {
			return result("minted", err)
		}
		return result("stored", a.upload(url))
	}}
}

// waits is a guest who mints and never uploads.
func waits(name string) part {
	return part{name: name, play: func(a *actor) string { return result("minted", second(a.mint())) }}
}

func second[T any](_ T, err error) error { return err }

// after is a participant whose clock says that the URLs from before are over.
func after(p part) part {
	p.late = life
	return p
}

// holder has a URL from before, and uploads with it.
func holder(name string, which int) part {
	return part{name: name, play: func(a *actor) string { return result("stored", a.upload(a.run.first[which])) }}
}

// givesUp has a URL from before, and takes it back.
func givesUp(name string, which int) part {
	return part{name: name, play: func(a *actor) string {
		return result("given up", second(a.closer().Close(context.Background(), a.run.first[which].ID, a.deadline)))
	}}
}

// revoke takes the invitation back.
func revoke(name string) part {
	return part{name: name, play: func(a *actor) string {
		return result("revoked", a.keeper().Revoke(context.Background(), a.run.id, a.deadline))
	}}
}

// held are so many URLs minted before.
func held(n int) func(*world) {
	return func(w *world) {
		a := w.free(0, 50)
		for range n {
			url, err := a.mint()
			if err != nil {
				panic(err)
			}
			w.first = append(w.first, url)
		}
	}
}

// dead is one URL minted and taken back before.
func dead(w *world) {
	held(1)(w)
	if unspent, err := w.free(0, 51).closer().Close(context.Background(), w.first[0].ID, start.Add(plenty)); err != nil || !unspent {
		panic(err)
	}
}
