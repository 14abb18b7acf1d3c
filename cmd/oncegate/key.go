package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"oncegate/internal/auth/apikey"
	"oncegate/internal/config"
	"oncegate/internal/layout"
	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
)

const keyHelp = `oncegate key create --label LABEL [flags]
oncegate key list [--json] [flags]
oncegate key revoke LABEL|ID|KEY [flags]

Makes, lists and revokes the keys that may mint if config.json says "auth": "api-key".
Clients send a key as x-api-key.

create prints the key, and it is shown only then: the bucket holds nothing but its
SHA-256. The label tells people whose key it is; it is in the entry of each URL that the
key makes, and in the log. list shows all keys, never the keys themselves. revoke takes
the label, the first digits of the id (8 or more) or the key, and lists the ids if
several keys fit. A revoked key stops working within 30 seconds.

    --label LABEL  for create: 1 to 64 bytes of printable text
    --config PATH  settings of the deployment (config.json)
    --json         for list: print one JSON object per key

The role needs s3:GetObject and s3:PutObject on keys/*, s3:ListBucketVersions,
s3:ListBucket.
` + siteHelp + `
Exit status: 0 done, 1 failed, 2 wrong usage.

Example: oncegate key create --label "photo app, staging"
`

// keyStore holds the key records of one bucket.
type keyStore struct{ index *s3index.Index }

// keyRecord is one key as list shows it.
type keyRecord struct {
	ID apikey.ID `json:"id"`
	apikey.Record
}

func runKey(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := newFlags("key")
	configPath := fs.String("config", "", "")
	label := fs.String("label", "", "")
	asJSON := fs.Bool("json", false, "")
	// The words are the verb, and the key to revoke.
	words, err := parseWords(fs, args)
	if err != nil {
		return err
	}
	want := map[string]int{"create": 1, "list": 1, "revoke": 2}
	switch {
	case len(words) == 0 || want[words[0]] == 0:
		return usagef(fs, "want key create, key list or key revoke")
	case len(words) != want[words[0]] && words[0] == "revoke":
		return usagef(fs, "%d keys given, want one: a label, an id or a key", len(words)-1)
	case len(words) != want[words[0]]:
		return usagef(fs, "unexpected argument %q", words[1])
	}
	verb := words[0]
	if *label != "" && verb != "create" || *asJSON && verb != "list" {
		return usagef(fs, "--label is for key create, --json for key list")
	}
	if verb == "create" {
		if err := apikey.CheckLabel(*label); err != nil {
			return usagef(fs, "--%w", err)
		}
	}
	s, client, err := openSite(*configPath, stderr)
	if err != nil {
		return err
	}
	store := keyStore{s3index.New(client)}
	switch verb {
	case "create":
		err = store.create(ctx, *label, stdout, stderr)
		if err == nil && s.conf != nil && s.conf.Auth.Kind != config.AuthAPIKey {
			fmt.Fprintf(stderr, "oncegate: note: the settings say \"auth\": %q; clients need no key before it says \"api-key\"\n", s.conf.Auth.Kind)
		}
	case "list":
		err = store.list(ctx, *asJSON, stdout)
	case "revoke":
		err = store.revoke(ctx, words[1], stdout)
	}
	return err
}

func (s keyStore) create(ctx context.Context, label string, stdout, stderr io.Writer) error {
	record, err := apikey.NewRecord(label, time.Now())
	if err != nil {
		return err
	}
	key, err := apikey.New(rand.Reader)
	if err != nil {
		return err
	}
	id, err := apikey.Parse(key)
	if err != nil {
		return err
	}
	tries := 0
	err = again(ctx, func() error {
		tries++
		return s.index.CreateKey(ctx, requestLimit, string(id), record.Marshal())
	})
	// Only we know this key, so the record is ours and an answer got lost.
	if tries > 1 && errors.Is(err, onetime.ErrExists) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("the key was not made: %w", err)
	}
	fmt.Fprintf(stderr, "oncegate: key %s (%s); it is shown only now:\n", id.Short(), label)
	_, err = fmt.Fprintln(stdout, key)
	return err
}

func (s keyStore) list(ctx context.Context, asJSON bool, stdout io.Writer) error {
	keys, err := s.all(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		for _, k := range keys {
			if err := writeJSON(stdout, k); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tCREATED\tREVOKED\tLABEL")
	for _, k := range keys {
		revoked := "-"
		if !k.Revoked.IsZero() {
			revoked = k.Revoked.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.ID.Short(), k.Created.UTC().Format(time.RFC3339), revoked, k.Label)
	}
	return w.Flush()
}

func (s keyStore) revoke(ctx context.Context, which string, stdout io.Writer) error {
	k, err := s.find(ctx, which)
	if err != nil {
		return err
	}
	if !k.Revoked.IsZero() {
		_, err := fmt.Fprintf(stdout, "key %s (%s) was revoked at %s\n", k.ID.Short(), k.Label, k.Revoked.UTC().Format(time.RFC3339))
		return err
	}
	k.Revoked = time.Now().UTC().Truncate(time.Second)
	// Writing the same record twice is harmless, so a lost answer is, too.
	if err := again(ctx, func() error { return s.index.ReplaceKey(ctx, requestLimit, string(k.ID), k.Marshal()) }); err != nil {
		return fmt.Errorf("key %s (%s) may not be revoked, run it again: %w", k.ID.Short(), k.Label, err)
	}
	_, err = fmt.Fprintf(stdout, "key %s (%s) is revoked; it stops working within %.0f seconds\n", k.ID.Short(), k.Label, apikey.KnownLife.Seconds())
	return err
}

// find returns the key that is meant. If several match, revoked ones do not count.
func (s keyStore) find(ctx context.Context, which string) (keyRecord, error) {
	if strings.HasPrefix(which, "ogk_") {
		id, err := apikey.Parse(which)
		if err != nil {
			return keyRecord{}, err
		}
		which = string(id)
	}
	all, err := s.all(ctx)
	if err != nil {
		return keyRecord{}, err
	}
	var found []keyRecord
	for _, k := range all {
		if k.Label == which || len(which) >= leastDigits && strings.HasPrefix(string(k.ID), which) {
			found = append(found, k)
		}
	}
	if live := slices.DeleteFunc(slices.Clone(found), func(k keyRecord) bool { return !k.Revoked.IsZero() }); len(live) > 0 {
		found = live
	}
	switch {
	case len(found) == 0 && which != "" && len(which) < leastDigits && strings.Trim(which, "0123456789abcdef") == "":
		return keyRecord{}, fmt.Errorf("there is no key with the label %q, and an id needs at least %d digits (see oncegate key list)", which, leastDigits)
	case len(found) == 0:
		return keyRecord{}, fmt.Errorf("there is no key %.64q (see oncegate key list)", which)
	case len(found) > 1 && found[0].Revoked.IsZero():
		var ids []string
		for _, k := range found {
			ids = append(ids, k.ID.Short())
		}
		return keyRecord{}, fmt.Errorf("%d keys are called %q: give an id, one of %s", len(found), which, strings.Join(ids, ", "))
	}
	return found[0], nil
}

// all returns all key records, oldest first.
func (s keyStore) all(ctx context.Context) ([]keyRecord, error) {
	var ids []string
	if err := again(ctx, func() (err error) { ids, err = s.index.ListKeys(ctx, requestLimit); return err }); err != nil {
		return nil, fmt.Errorf("list the keys: %w", err)
	}
	records, errs := make([]keyRecord, len(ids)), make([]error, len(ids))
	slots := make(chan struct{}, 16)
	var done sync.WaitGroup
	for i, id := range ids {
		slots <- struct{}{}
		done.Go(func() {
			defer func() { <-slots }()
			var body []byte
			errs[i] = again(ctx, func() (err error) { body, err = s.index.ReadKey(ctx, requestLimit, id); return err })
			if errs[i] != nil {
				return
			}
			records[i].ID = apikey.ID(id)
			if _, errs[i] = apikey.ParseID(id); errs[i] == nil {
				records[i].Record, errs[i] = apikey.ParseRecord(body)
			}
		})
	}
	done.Wait()
	var found []keyRecord
	for i, err := range errs {
		switch {
		case errors.Is(err, onetime.ErrAbsent): // its record was deleted
		case err != nil:
			return nil, fmt.Errorf("%s%s: %w", layout.APIKeys, ids[i], err)
		default:
			found = append(found, records[i])
		}
	}
	slices.SortStableFunc(found, func(a, b keyRecord) int { return a.Created.Compare(b.Created) })
	return found, nil
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
