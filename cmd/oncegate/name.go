package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"oncegate/internal/client"
	"oncegate/internal/layout"
	"oncegate/internal/onetime"
)

// leastDigits is how many digits of an id are enough to name a URL or a key. The
// functions' log has 12.
const leastDigits = 8

// name is how a user names a URL: by the URL itself or its whole id (target), by the first
// digits of the id (prefix), or by the object that it uploads (key).
type name struct {
	target onetime.Target
	prefix string
	key    string
}

// parseName reads a name. Its errors do not repeat it, because it may be a URL.
func parseName(fs *flag.FlagSet, s, region string) (name, error) {
	s = strings.TrimSpace(s)
	s = strings.TrimPrefix(s, "id=") // as in the log
	if key, err := onetime.UploadKey("/" + strings.TrimPrefix(s, "/")); err == nil {
		return name{key: key}, nil
	}
	if s != "" && strings.Trim(s, "0123456789abcdef") == "" && len(s) < 64 {
		if len(s) < leastDigits {
			return name{}, usagef(fs, "an id needs at least %d of its 64 digits, %d given", leastDigits, len(s))
		}
		return name{prefix: s}, nil
	}
	target, err := onetime.ParseTarget(s, region)
	if err == nil {
		return name{target: target}, nil
	}
	const wanted = "neither an id (64 lower-case hex digits, or the first 8 or more), nor uploads/<uuid> or uploads/<prefix>/<uuid>, nor a URL as it was minted"
	if how := client.Altered(s); how != "" {
		return name{}, usagef(fs, "%s: %s", wanted, how)
	}
	// The outer error has its own list of what is allowed.
	if cause := errors.Unwrap(err); cause != nil {
		err = cause
	}
	return name{}, usagef(fs, "%s: %w", wanted, err)
}

// find looks the URL up in the bucket, unless its id is known already.
func (n name) find(ctx context.Context, fs *flag.FlagSet, operator *onetime.Operator, index records) (onetime.Target, error) {
	switch {
	case n.prefix != "":
		return n.findPrefix(ctx, fs, operator.Ledger)
	case n.key != "":
		return n.findKey(ctx, operator, index)
	}
	return n.target, nil
}

// requestLimit is how long one request to the bucket may take.
const requestLimit = 10 * time.Second

// findPrefix looks for ids that begin with the prefix, in both halves of the index. Lists
// start at the prefix, and usually have one page.
func (n name) findPrefix(ctx context.Context, fs *flag.FlagSet, ledger onetime.Ledger) (onetime.Target, error) {
	var ids []string
	for _, kind := range []onetime.EntryKind{onetime.ValidEntries, onetime.ExpiredEntries} {
		for after := n.prefix; strings.HasPrefix(after, n.prefix); {
			var page onetime.EntryPage
			err := again(ctx, func() (err error) { page, err = ledger.ListEntries(ctx, requestLimit, kind, after); return err })
			if err != nil {
				return onetime.Target{}, fmt.Errorf("list %s: %w", kind, err)
			}
			for _, entry := range page.Entries {
				if _, err := onetime.ParseID(entry.Name); err == nil && strings.HasPrefix(entry.Name, n.prefix) && !slices.Contains(ids, entry.Name) {
					ids = append(ids, entry.Name)
				}
			}
			if page.Next != "" && page.Next <= after {
				return onetime.Target{}, fmt.Errorf("list %s: the next page is the same page", kind)
			}
			after = page.Next
		}
	}
	switch len(ids) {
	case 0:
		return onetime.Target{}, &onetime.StateError{State: onetime.StateUnknown, Why: "no URL of this bucket has an id that begins with " + n.prefix}
	case 1:
		return onetime.Target{ID: onetime.ID(ids[0])}, nil
	}
	slices.Sort(ids)
	return onetime.Target{}, usagef(fs, "%d ids begin with %s, give more digits of one: %s", len(ids), n.prefix, strings.Join(ids, ", "))
}

// findKey looks for the URL of an object. With acceptance an entry leads from the object
// to its URL. Without it, or if it cannot be read, every valid entry is.
func (n name) findKey(ctx context.Context, operator *onetime.Operator, index records) (onetime.Target, error) {
	var body []byte
	err := again(ctx, func() (err error) { body, err = index.ReadUpload(ctx, requestLimit, n.key); return err })
	if err == nil {
		if entry, err := onetime.ParseUploadEntry(body); err == nil {
			return onetime.Target{ID: entry.ID, Key: n.key}, nil
		}
	} else if !errors.Is(err, onetime.ErrAbsent) {
		return onetime.Target{}, fmt.Errorf("read %s: %w", layout.UploadEntry(n.key), err)
	}
	var unread error
	for status, err := range operator.List(ctx, onetime.Filter{}) {
		switch {
		case err != nil && status.ID == "":
			return onetime.Target{}, err
		case err != nil:
			unread = err
		case status.Key == n.key:
			return onetime.Target{ID: status.ID, Key: n.key}, nil
		}
	}
	if unread != nil {
		return onetime.Target{}, fmt.Errorf("no URL was found that uploads %s, and not all could be read: %w", n.key, unread)
	}
	return onetime.Target{}, &onetime.StateError{State: onetime.StateUnknown, Why: "no URL of this bucket uploads " + n.key + ", or its entry is gone"}
}
