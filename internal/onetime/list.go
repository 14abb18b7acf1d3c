package onetime

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"
)

// Filter chooses URLs from a list. The zero Filter chooses all.
type Filter struct {
	State State  // "" for any
	Label string // "" for any; without its valid entry a URL has none
	// Since leaves out what was minted before. Where the valid entry is gone, it
	// goes by the time at which the URL was spent.
	Since time.Time
	// Brief leaves out what would take a request of its own: Status.Entry and
	// Status.Key are empty wherever state and filter do not need them.
	Brief bool
}

// listAhead is how many rows of a list may be read at the same time.
const listAhead = 32

// maxSkew is how far the clock of a writer may be from S3's: S3 refuses a request
// that was signed further off (RequestTimeTooSkewed). Valid entries take their
// times from the writer's clock, lists from S3's.
const maxSkew = 15 * time.Minute

// List streams the URLs that the index knows, in the order of their fingerprints.
// It pages through both halves of the index side by side and holds two pages and
// listAhead rows at a time, however many there are. Beyond one request for each
// page it makes one for each row that is spent (by what), and one for each whose
// valid entry must be read: for Filter.Label and Filter.Since, to tell minted from expired in the
// seven days in which that may be open, and for the row itself unless Filter.Brief.
//
// A row was true at some moment while the list ran. An error with Status.ID set is
// about that row alone, and the list goes on; any other error ends it.
//
// Actions: s3:ListBucket on the bucket, s3:GetObject on signatures/*.
func (o *Operator) List(ctx context.Context, filter Filter) iter.Seq2[Status, error] {
	return func(yield func(Status, error) bool) {
		var rows sync.WaitGroup
		defer rows.Wait()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()

		// Rows in order, each a channel that its row will come from. Its capacity
		// bounds how many are being read.
		queue := make(chan chan row, listAhead)
		rows.Go(func() {
			defer close(queue)
			o.merge(ctx, func(pair entryPair, err error) bool {
				if err == nil && !filter.mayMatch(pair) {
					return true
				}
				next := make(chan row, 1)
				select {
				case queue <- next:
				case <-ctx.Done():
					return false
				}
				if err != nil {
					next <- row{err: err}
					return false
				}
				rows.Go(func() { next <- o.row(ctx, pair, filter) })
				return true
			})
		})
		for next := range queue {
			r := <-next
			if r.skip {
				continue
			}
			if !yield(r.status, r.err) {
				return
			}
		}
	}
}

// row is one of a list, or nothing.
type row struct {
	status Status
	err    error
	skip   bool
}

// entryPair is what the lists say of one URL.
type entryPair struct {
	id             ID
	valid, expired *ListedEntry // not both nil
}

// mayMatch leaves out what the lists alone can tell.
func (f Filter) mayMatch(p entryPair) bool {
	switch f.State {
	case StateUsed, StateRevoked:
		if p.expired == nil {
			return false
		}
	case StateMinted, StateExpired:
		if p.expired != nil {
			return false
		}
	case StateUnknown:
		return false
	}
	if p.valid != nil {
		return p.valid.Modified.After(f.Since.Add(-maxSkew))
	}
	return f.Label == "" && !p.expired.Modified.Before(f.Since)
}

// row reads what else the filter or the row needs.
func (o *Operator) row(ctx context.Context, p entryPair, filter Filter) row {
	status := Status{ID: p.id}
	fail := func(err error) row { return row{Status{ID: p.id}, fmt.Errorf("%s: %w", p.id, err), false} }

	reason, err := Reason(""), ErrAbsent
	if p.expired != nil {
		status.Spent = &Spent{At: p.expired.Modified}
		reason, err = o.keeper().headExpired(ctx, p.id)
	}
	spent := err == nil || errors.Is(err, ErrDeleted)
	if !spent && !errors.Is(err, ErrAbsent) {
		return fail(err)
	}
	if !spent {
		status.Spent = nil // enabled since it was listed
	}
	if p.valid != nil && (!filter.Brief || filter.Label != "" || !filter.Since.IsZero() || !spent && o.timeOpen(*p.valid)) {
		entry, err := o.keeper().readEntry(ctx, p.id)
		switch {
		case err == nil:
			status.Entry, status.Key = &entry, entry.Key
		case !errors.Is(err, ErrAbsent):
			return fail(err)
		}
	}
	switch {
	case status.Entry == nil && !spent && (p.valid == nil || o.timeOpen(*p.valid)):
		return row{skip: true} // gone since it was listed
	case status.Entry == nil && !spent:
		status.State = StateExpired
	default:
		if status.State, err = o.keeper().state(status.Entry, reason, err); err != nil {
			return fail(err)
		}
	}
	skip := filter.State != "" && status.State != filter.State ||
		filter.Label != "" && (status.Entry == nil || status.Entry.Label != filter.Label) ||
		status.Entry != nil && status.Entry.Created.Before(filter.Since)
	return row{status, nil, skip}
}

// timeOpen reports whether only the valid entry knows if the URL's time is over. The
// entry is so young that the URL may still be alive.
func (o *Operator) timeOpen(valid ListedEntry) bool {
	return o.Clock.Now().Before(valid.Modified.Add(MaxLife + maxSkew))
}

// merge walks both halves of the index at once, in the order of names.
func (o *Operator) merge(ctx context.Context, visit func(entryPair, error) bool) {
	valid, stopValid := iter.Pull2(o.entries(ctx, ValidEntries))
	defer stopValid()
	expired, stopExpired := iter.Pull2(o.entries(ctx, ExpiredEntries))
	defer stopExpired()

	v, vErr, moreV := valid()
	e, eErr, moreE := expired()
	for moreV || moreE {
		if err := errors.Join(vErr, eErr); err != nil {
			visit(entryPair{}, err)
			return
		}
		takeV := moreV && (!moreE || v.Name <= e.Name)
		takeE := moreE && (!moreV || e.Name <= v.Name)
		var pair entryPair
		if takeV {
			pair.id, pair.valid = ID(v.Name), &ListedEntry{v.Name, v.Modified}
			v, vErr, moreV = valid()
		}
		if takeE {
			pair.id, pair.expired = ID(e.Name), &ListedEntry{e.Name, e.Modified}
			e, eErr, moreE = expired()
		}
		if !visit(pair, nil) {
			return
		}
	}
}

// entries pages through one half of the index. What has no fingerprint for a name
// was not written by oncegate and is passed over.
func (o *Operator) entries(ctx context.Context, kind EntryKind) iter.Seq2[ListedEntry, error] {
	return func(yield func(ListedEntry, error) bool) {
		after := ""
		for {
			var page EntryPage
			err := o.keeper().repeat(ctx, func(limit time.Duration) (err error) {
				page, err = o.Ledger.ListEntries(ctx, limit, kind, after)
				return err
			})
			if err == nil && page.Next != "" && page.Next <= after {
				err = errors.New("the next page is the same page")
			}
			if err != nil {
				yield(ListedEntry{}, fmt.Errorf("list %s: %w", kind, err))
				return
			}
			for _, entry := range page.Entries {
				if _, err := ParseID(entry.Name); err != nil {
					continue
				}
				if !yield(entry, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			after = page.Next
		}
	}
}
