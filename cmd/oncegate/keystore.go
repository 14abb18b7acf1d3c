package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"oncegate/internal/auth/apikey"
	"oncegate/internal/layout"
	"oncegate/internal/onetime"
)

// keyStore holds the key records of one bucket. Anybody with access to the bucket may
// have put something else beside them, so nothing here depends on a record that is not
// asked for.
type keyStore struct {
	index  keyRecords
	book   invitationBook
	stderr io.Writer
}

// keyRecord is one key as list shows it.
type keyRecord struct {
	ID apikey.ID `json:"id"`
	apikey.Record
}

func (k keyRecord) String() string { return fmt.Sprintf("%s (%s)", k.ID.Short(), k.Label) }

// unreadableError says that there is a record, and not what is in it.
type unreadableError struct {
	id  apikey.ID
	err error
}

func (e *unreadableError) Error() string {
	return fmt.Sprintf("%s%s: %v", layout.APIKeys, e.id, e.err)
}

func (e *unreadableError) Unwrap() error { return e.err }

// read returns the record of one key. The error is onetime.ErrAbsent if there is none, and
// an *unreadableError if it is not the record of a key.
func (s keyStore) read(ctx context.Context, id apikey.ID) (keyRecord, error) {
	var body []byte
	err := again(ctx, func() (err error) { body, err = s.index.ReadKey(ctx, requestLimit, string(id)); return err })
	if err != nil {
		return keyRecord{}, fmt.Errorf("%s%s: %w", layout.APIKeys, id, err)
	}
	record, err := apikey.ParseRecord(body)
	if err != nil {
		return keyRecord{}, &unreadableError{id, err}
	}
	return keyRecord{id, record}, nil
}

// ids returns the ids of all keys that ever had a record, and says what else lies there.
func (s keyStore) ids(ctx context.Context) ([]apikey.ID, error) {
	var names []string
	if err := again(ctx, func() (err error) { names, err = s.index.ListKeys(ctx, requestLimit); return err }); err != nil {
		return nil, fmt.Errorf("list the keys: %w", err)
	}
	var ids []apikey.ID
	for _, name := range names {
		id, err := apikey.ParseID(name)
		if err != nil {
			fmt.Fprintf(s.stderr, "oncegate: %s%s is not the record of a key: passed over\n", layout.APIKeys, shown(name))
			continue
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// all returns the key records, oldest first, and says which could not be read. Then it
// also returns errIncomplete.
func (s keyStore) all(ctx context.Context) ([]keyRecord, error) {
	ids, err := s.ids(ctx)
	if err != nil {
		return nil, err
	}
	records, errs := make([]keyRecord, len(ids)), make([]error, len(ids))
	slots := make(chan struct{}, 16)
	var done sync.WaitGroup
	for i, id := range ids {
		slots <- struct{}{}
		done.Go(func() {
			defer func() { <-slots }()
			records[i], errs[i] = s.read(ctx, id)
		})
	}
	done.Wait()
	var found []keyRecord
	var incomplete error
	for i, err := range errs {
		switch {
		case errors.Is(err, onetime.ErrAbsent): // its record was deleted
		case err != nil:
			fmt.Fprintf(s.stderr, "oncegate: %v\n", err)
			incomplete = errIncompleteKeys
		default:
			found = append(found, records[i])
		}
	}
	slices.SortStableFunc(found, func(a, b keyRecord) int { return a.Created.Compare(b.Created) })
	return found, incomplete
}

// errIncompleteKeys means that some keys are missing from a list.
var errIncompleteKeys = errors.New("not all keys could be read")

// find returns the key that is meant: by its id, its first digits, or its label. An id
// goes before a label: finding by it reads no other record.
func (s keyStore) find(ctx context.Context, which string) (keyRecord, error) {
	id, err := s.findID(ctx, which)
	if err != nil {
		return keyRecord{}, err
	}
	if id == "" {
		return s.findLabel(ctx, which)
	}
	k, err := s.read(ctx, id)
	if errors.Is(err, onetime.ErrAbsent) {
		return keyRecord{}, fmt.Errorf("there is no key %s (see oncegate key list)", id.Short())
	}
	return k, err
}

// findID returns the only id that begins with these digits, or "".
func (s keyStore) findID(ctx context.Context, digits string) (apikey.ID, error) {
	if id, err := apikey.ParseID(digits); err == nil {
		return id, nil
	}
	if len(digits) < leastDigits || strings.Trim(digits, "0123456789abcdef") != "" {
		return "", nil
	}
	ids, err := s.ids(ctx)
	if err != nil {
		return "", err
	}
	ids = slices.DeleteFunc(ids, func(id apikey.ID) bool { return !strings.HasPrefix(string(id), digits) })
	switch len(ids) {
	case 0:
		return "", nil
	case 1:
		return ids[0], nil
	}
	return "", fmt.Errorf("%d keys have an id that begins with %s: give more of its digits", len(ids), digits)
}

// findLabel returns the key with this label. If several have it, revoked ones do not
// count. Records that cannot be read do not stop it: they have no label.
func (s keyStore) findLabel(ctx context.Context, label string) (keyRecord, error) {
	all, err := s.all(ctx)
	if err != nil && !errors.Is(err, errIncompleteKeys) {
		return keyRecord{}, err
	}
	found := slices.DeleteFunc(all, func(k keyRecord) bool { return k.Label != label })
	if live := slices.DeleteFunc(slices.Clone(found), func(k keyRecord) bool { return !k.Revoked.IsZero() }); len(live) > 0 {
		found = live
	}
	switch {
	case len(found) == 0 && err != nil:
		return keyRecord{}, fmt.Errorf("there is no key %.64q, and %w: give its id", label, err)
	case len(found) == 0 && label != "" && len(label) < leastDigits && strings.Trim(label, "0123456789abcdef") == "":
		return keyRecord{}, fmt.Errorf("there is no key with the label %q, and an id needs at least %d digits (see oncegate key list)", label, leastDigits)
	case len(found) == 0:
		return keyRecord{}, fmt.Errorf("there is no key %.64q (see oncegate key list)", label)
	case len(found) > 1 && found[0].Revoked.IsZero():
		var ids []string
		for _, k := range found {
			ids = append(ids, k.ID.Short())
		}
		return keyRecord{}, fmt.Errorf("%d keys are called %q: give an id, one of %s", len(found), label, strings.Join(ids, ", "))
	}
	return found[0], nil
}

// replace writes the record of a key again. Writing it twice is harmless, so a lost answer
// is, too.
func (s keyStore) replace(ctx context.Context, k keyRecord) error {
	return again(ctx, func() error { return s.index.ReplaceKey(ctx, requestLimit, string(k.ID), k.Marshal()) })
}

// again makes a request up to three times, until S3 gives a clear answer.
func again(ctx context.Context, request func() error) (err error) {
	for try := range 3 {
		select {
		case <-time.After(time.Duration(try) * 300 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
		err = request()
		if !onetime.Repeatable(err) {
			return err
		}
	}
	return err
}
