package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"oncegate/edge/setup"
	"oncegate/internal/client"
	"oncegate/internal/invite"
	"oncegate/internal/layout"
	"oncegate/internal/lean/strictjson"
	"oncegate/internal/onetime"
)

// invitationBook holds the invitations of one bucket.
type invitationBook struct {
	keeper   *invite.Keeper
	operator *onetime.Operator
	site     site
	stderr   io.Writer
}

// newInvitationBook opens the invitations of a bucket.
func newInvitationBook(s site, opened store, stderr io.Writer) invitationBook {
	return invitationBook{newKeeper(opened.index), s.operator(opened), s, stderr}
}

// newKeeper returns a keeper of the invitations. To make some it needs Keep.
func newKeeper(index records) *invite.Keeper {
	return &invite.Keeper{
		Ledger:  index,
		Closer:  &onetime.Closer{Records: index, Clock: setup.Clock{}, Entropy: rand.Reader},
		Clock:   setup.Clock{},
		Entropy: rand.Reader,
	}
}

// linkBase is the deployment that a link leads to: scheme and host.
func linkBase(s string) (string, error) {
	d, err := client.New(s, client.Credential{})
	if err != nil {
		return "", err
	}
	return d.URL(), nil
}

// namedInvitation returns the word that names an invitation. A token or a link is refused as
// an argument, as a key is (namedKey); with - it comes from standard input.
func namedInvitation(fs *flag.FlagSet, word string) (string, error) {
	fromInput := word == "-"
	if fromInput {
		text, err := readSecret("-")
		if err != nil {
			return "", err
		}
		word = text
	}
	if _, token, ok := strings.Cut(word, "#"); ok {
		word = token
	}
	if !fromInput && !invite.LooksLikeToken(word) {
		return word, nil
	}
	id, err := invite.ParseToken(word)
	switch {
	case err != nil:
		return "", err
	case !fromInput:
		return "", usagef(fs, "nothing was done: others on this machine can see arguments, and this one may upload; give the invitation's id, %s, or - for standard input", id.Short())
	}
	return string(id), nil
}

// errIncompleteInvitations means that some invitations are missing from a list.
var errIncompleteInvitations = errors.New("not all invitations could be read")

// all returns the invitations, oldest first, and says which could not be read. Then it also
// returns errIncompleteInvitations.
func (b invitationBook) all(ctx context.Context) ([]invite.Holding, error) {
	var names []string
	for after := ""; ; {
		var page []string
		err := again(ctx, func() (err error) {
			page, after, err = b.keeper.Ledger.ListInvitations(ctx, requestLimit, after)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("list the invitations: %w", err)
		}
		if names = append(names, page...); after == "" {
			break
		}
	}
	found, errs := make([]invite.Holding, len(names)), make([]error, len(names))
	atOnce(len(names), func(i int) {
		id, err := invite.ParseID(names[i])
		if err == nil {
			found[i], err = b.keeper.Look(ctx, id, deadline())
		}
		errs[i] = err
	})
	var incomplete error
	var all []invite.Holding
	for i, err := range errs {
		switch {
		case errors.Is(err, invite.ErrUnknown): // it was deleted
		case err != nil:
			fmt.Fprintf(b.stderr, "oncegate: %s%s: %v\n", layout.Invitations, shown(names[i]), err)
			incomplete = errIncompleteInvitations
		default:
			all = append(all, found[i])
		}
	}
	slices.SortStableFunc(all, func(x, y invite.Holding) int { return x.Created.Compare(y.Created) })
	return all, incomplete
}

// atOnce calls do for 0 to n-1, sixteen at once.
func atOnce(n int, do func(i int)) {
	slots := make(chan struct{}, 16)
	var done sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		done.Go(func() {
			defer func() { <-slots }()
			do(i)
		})
	}
	done.Wait()
}

// find returns the invitation that is meant: by its id, its first digits, or its label. Of
// several with one label those that are open go before the others.
func (b invitationBook) find(ctx context.Context, which string) (invite.Holding, error) {
	if id, err := invite.ParseID(which); err == nil {
		h, err := b.keeper.Look(ctx, id, deadline())
		if errors.Is(err, invite.ErrUnknown) {
			return h, fmt.Errorf("there is no invitation %s (see oncegate invite list)", id.Short())
		}
		return h, err
	}
	all, err := b.all(ctx)
	if err != nil && !errors.Is(err, errIncompleteInvitations) {
		return invite.Holding{}, err
	}
	digits := len(which) >= leastDigits && strings.Trim(which, "0123456789abcdef") == ""
	var found []invite.Holding
	for _, h := range all {
		if h.Label == which || digits && strings.HasPrefix(string(h.ID), which) {
			found = append(found, h)
		}
	}
	open := slices.DeleteFunc(slices.Clone(found), func(h invite.Holding) bool { return h.State != invite.StateOpen })
	if len(open) > 0 {
		found = open
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		var ids []string
		for _, h := range found {
			ids = append(ids, h.ID.Short())
		}
		return invite.Holding{}, fmt.Errorf("%d invitations are called %.64q: give an id, one of %s", len(found), which, strings.Join(ids, ", "))
	case err != nil:
		return invite.Holding{}, fmt.Errorf("there is no invitation %.64q, and %w: give its id", which, err)
	}
	return invite.Holding{}, fmt.Errorf("there is no invitation %.64q (see oncegate invite list)", which)
}

func (b invitationBook) list(ctx context.Context, asJSON bool, stdout io.Writer) error {
	all, incomplete := b.all(ctx)
	if incomplete != nil && !errors.Is(incomplete, errIncompleteInvitations) {
		return incomplete
	}
	if asJSON {
		for _, h := range all {
			line := strictjson.Marshal(func(w *strictjson.Writer) {
				h.Write(w)
				w.StringIf("by", h.By)
			})
			if _, err := stdout.Write(append(line, '\n')); err != nil {
				return err
			}
		}
		return incomplete
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATE\tFREE\tUPLOADS\tEXPIRES\tBY\tLABEL")
	for _, h := range all {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\t%s\n", h.ID.Short(), h.State, h.Free, h.Uploads, shownTime(h.Expires), orDash(shown(shortBy(h.By))), shown(h.Label))
	}
	return errors.Join(w.Flush(), incomplete)
}

// madeBy counts the open invitations that were made with this credential.
func (b invitationBook) madeBy(ctx context.Context, kind, id string) (n int, err error) {
	all, err := b.all(ctx)
	for _, h := range all {
		if by, ok := onetime.ParseBy(h.By); ok && h.State == invite.StateOpen && by.Kind == kind && by.ID == id {
			n++
		}
	}
	return n, err
}

// place is one slot, and what became of its URL. status is nil where there is none.
type place struct {
	n      int
	slot   invite.Slot
	status *onetime.Status
}

// places are the slots that were taken, in their order.
func (b invitationBook) places(ctx context.Context, id invite.ID) ([]place, error) {
	slots, err := b.keeper.Slots(ctx, id, deadline())
	if err != nil {
		return nil, err
	}
	var places []place
	for n, slot := range slots {
		places = append(places, place{n: n, slot: slot})
	}
	slices.SortFunc(places, func(x, y place) int { return cmp.Compare(x.n, y.n) })
	errs := make([]error, len(places))
	atOnce(len(places), func(i int) {
		if places[i].slot.URL == "" {
			return
		}
		status, err := b.operator.Status(ctx, onetime.Target{ID: places[i].slot.URL})
		places[i].status, errs[i] = &status, err
	})
	return places, errors.Join(errs...)
}

// state is the slot's state, as far as its URL shows more: only who looks for a slot marks
// it as spent.
func (p place) state() invite.SlotState {
	if p.slot.State == invite.SlotHeld && p.status.State == onetime.StateUsed {
		return invite.SlotSpent
	}
	return p.slot.State
}

func (b invitationBook) show(ctx context.Context, which string, asJSON bool, stdout io.Writer) error {
	h, err := b.find(ctx, which)
	if err != nil {
		return err
	}
	places, err := b.places(ctx, h.ID)
	if err != nil {
		return err
	}
	if asJSON {
		_, err := stdout.Write(append(strictjson.Marshal(func(w *strictjson.Writer) {
			h.Write(w)
			w.StringIf("by", h.By)
			w.Objects("slots", len(places), func(w *strictjson.Writer, i int) {
				w.Int("slot", int64(places[i].n))
				w.String("state", string(places[i].state()))
				if places[i].status != nil {
					w.Object("url", places[i].status.WriteAll)
				}
			})
		}), '\n'))
		return err
	}
	_, err = io.WriteString(stdout, invitationText(h, places))
	return err
}

// invitationText describes an invitation for people, and then each of its uploads.
func invitationText(h invite.Holding, places []place) string {
	count := map[invite.SlotState]int{}
	for _, p := range places {
		count[p.state()]++
	}
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-8s %s\n", name, shown(value))
		}
	}
	line("state", string(h.State))
	line("id", string(h.ID))
	line("label", h.Label)
	line("uploads", fmt.Sprintf("%d of %d spent, %d begun, %d free", count[invite.SlotSpent], h.Uploads, count[invite.SlotHeld], h.Free))
	line("created", shownTime(h.Created))
	line("expires", shownTime(h.Expires))
	if !h.Revoked.IsZero() {
		line("revoked", shownTime(h.Revoked))
	}
	line("life", shownSpan(h.Life))
	line("limits", limitsText(h.Limits))
	line("by", shortBy(h.By))
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	header := "\nSLOT\tSTATE\tURL\tIS\tSINCE\tSIZE\tOBJECT\tNAME\tNOTE\n"
	for _, p := range places {
		if p.status == nil {
			continue // closed, and nobody ever had it
		}
		fmt.Fprint(w, header)
		header = ""
		since, size, name, note := p.slot.Created, "-", "", ""
		if e := p.status.Entry; e != nil {
			since, name, note = e.Created, e.Name, e.Label
		}
		if s := p.status.Spent; s != nil && !s.At.IsZero() {
			since = s.At
		}
		if o := p.status.Object; o != nil {
			size = fmt.Sprint(o.Size)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.n, p.state(), p.slot.URL[:shortDigits], p.status.State, shownTime(since), size, orDash(shown(p.status.Key)), orDash(shown(name)), orDash(shown(note)))
	}
	_ = w.Flush() // into memory
	return b.String()
}

func (b invitationBook) revoke(ctx context.Context, which string, stdout io.Writer) error {
	h, err := b.find(ctx, which)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s (%s)", h.ID.Short(), shown(h.Label))
	if err := b.keeper.Revoke(ctx, h.ID, deadline()); err != nil {
		return fmt.Errorf("the invitation %s may not be revoked, run it again: %w", name, err)
	}
	slots, err := b.keeper.Slots(ctx, h.ID, deadline())
	if err != nil {
		return fmt.Errorf("the invitation %s is revoked; what it let through could not be read: %w", name, err)
	}
	through := 0
	for _, slot := range slots {
		if slot.State != invite.SlotClosed {
			through++
		}
	}
	_, err = fmt.Fprintf(stdout, "the invitation %s is revoked; let through before: %d of %d uploads\n", name, through, h.Uploads)
	return err
}
