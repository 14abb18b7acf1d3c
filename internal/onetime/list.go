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
	// Since leaves out URLs that were minted earlier. If the valid entry is gone, the time
	// at which the URL was spent counts.
	Since time.Time
	// Brief saves the request for a valid entry that neither the state nor the filter needs.
	// Status.Entry and Status.Key are then empty.
	Brief bool
}

// listAhead is how many rows of a list are read at the same time, at most.
const listAhead = 32

// maxSkew is how far a writer's clock may be from S3's clock. S3 refuses a request whose
// signature is further off (RequestTimeTooSkewed). The times in valid entries are from the
// writer's clock, those in lists are from S3's.
const maxSkew = 15 * time.Minute

// List streams the URLs that the index knows, in the order of their fingerprints. It reads
// the pages of both halves of the index side by side. However many URLs there are, it holds
// two pages and listAhead rows at a time.
//
// It makes one request for each page, and one for each spent row, to learn what spent it. It
// makes one more for each row whose valid entry it must read:
//
//   - for every row, unless Filter.Brief is set;
//   - for Filter.Label and Filter.Since;
//   - to tell minted from expired, in the seven days in which only the entry knows.
//
// Each row was true at some moment while the list ran. An error with Status.ID set is about
// that row alone, and the list goes on. Any other error ends the list.
//
// Actions: s3:ListBucket on the bucket, s3:GetObject on signatures/*.
func (o *Operator) List(ctx context.Context, filter Filter) iter.Seq2[Status, error] {
	return func(yield func(Status, error) bool) {
		var rows sync.WaitGroup
		defer rows.Wait()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()

		// The queue holds a channel for each row, in order. Its capacity limits how many rows
		// are being read.
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

// row is one row of a list. skip says that it is left out.
type row struct {
	status Status
	err    error
	skip   bool
}

// entryPair is what the two lists say about one URL.
type entryPair struct {
	id             ID
	valid, expired *ListedEntry // not both nil
}

// mayMatch reports whether the URL may match, as far as the lists can tell.
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

// row reads what the lists do not say and the filter or the row needs.
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

// timeOpen reports whether the valid entry is so young that the URL may still be good. Only
// the entry itself says whether the URL's time is over then.
func (o *Operator) timeOpen(valid ListedEntry) bool {
	return o.Clock.Now().Before(valid.Modified.Add(MaxLife + maxSkew))
}

// merge walks both halves of the index together, in the order of names.
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

// entries reads one half of the index, page by page. It skips objects whose name is no
// fingerprint, because oncegate did not write them.
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
