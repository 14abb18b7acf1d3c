package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"oncegate/internal/apikey"
	"oncegate/internal/config"
	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
	"oncegate/internal/s3sdk"
)

const keyHelp = `oncegate key create --label LABEL [flags]
oncegate key list [--json] [flags]
oncegate key revoke LABEL|ID|KEY [flags]

Looks after the keys that may mint where config.json says "auth": "api-key".
Clients send one as x-api-key.

create prints the key, this once: the bucket holds no more than its SHA-256. The
label tells people whose key it is; it stands in the entry of each URL that the
key makes, and in the log. list shows all keys, never the keys themselves. revoke
takes the label, the beginning of the id (8 digits or more) or the key, and names
the ids where that leaves a choice. 30 seconds later the key mints nowhere.

It talks to the bucket, with the credentials in AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, at AWS_ENDPOINT_URL_S3 where that is
set. For make dev: . build/dev/env

    --config PATH     settings of the deployment (config.json, if there is one)
    --bucket NAME     instead of the settings' ($ONCEGATE_BUCKET)
    --region REGION   instead of the settings' ($AWS_REGION with another bucket)

Example: oncegate key create --label "photo app, staging"
`

const keyUsage = "want oncegate key create, list or revoke (see oncegate help key)"

// keyStore is the records of keys in one bucket.
type keyStore struct{ index *s3index.Index }

// keyRecord is one key as list shows it.
type keyRecord struct {
	ID apikey.ID `json:"id"`
	apikey.Record
}

func runKey(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return errors.New(keyUsage)
	}
	verb, args := args[0], args[1:]
	fs := newFlags("key")
	configPath := fs.String("config", "", "")
	bucket := fs.String("bucket", "", "")
	region := fs.String("region", "", "")
	var label, which string
	var asJSON bool
	switch verb {
	case "-h", "-help", "--help":
		return parse(fs, []string{"-h"})
	case "create":
		fs.StringVar(&label, "label", "", "")
	case "list":
		fs.BoolVar(&asJSON, "json", false, "")
	case "revoke":
		// It may stand before the flags or after them.
		if n := len(args); n > 0 && !strings.HasPrefix(args[0], "-") {
			which, args = args[0], args[1:]
		} else if n > 0 && !strings.HasPrefix(args[n-1], "-") {
			which, args = args[n-1], args[:n-1]
		}
	default:
		return fmt.Errorf("unknown verb %q: %s", "key "+verb, keyUsage)
	}
	if err := parse(fs, args); err != nil {
		return err
	}
	conf, err := verifyConfig(*configPath)
	if err != nil {
		return err
	}
	name, where := bucketOf(conf, *bucket, *region)
	if name == "" {
		return errors.New("no bucket: set \"bucket\" in config.json, or give --bucket (with make dev: . build/dev/env)")
	}
	provider := environment()
	if provider == nil {
		return errors.New("no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (with make dev: . build/dev/env)")
	}
	store := keyStore{s3index.New(s3sdk.New(name, where, envOr("AWS_ENDPOINT_URL_S3", ""), provider))}
	switch verb {
	case "create":
		err = store.create(ctx, label, stdout, stderr)
		if err == nil && conf != nil && conf.Auth.Kind != config.AuthAPIKey {
			fmt.Fprintf(stderr, "note: the settings say \"auth\": %q; keys are asked for with \"api-key\"\n", conf.Auth.Kind)
		}
	case "list":
		err = store.list(ctx, asJSON, stdout)
	case "revoke":
		err = store.revoke(ctx, which, stdout)
	}
	return err
}

func (s keyStore) create(ctx context.Context, label string, stdout, stderr io.Writer) error {
	record, err := apikey.NewRecord(label, time.Now())
	if err != nil {
		return fmt.Errorf("--%w", err)
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
		return s.index.CreateKey(ctx, keyLimit, string(id), record.Marshal())
	})
	// A record of this very key can only be ours: an answer got lost.
	if tries > 1 && errors.Is(err, onetime.ErrExists) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("the key was not made: %w", err)
	}
	fmt.Fprintf(stderr, "key %s (%s); it is shown this once:\n", id.Short(), label)
	_, err = fmt.Fprintln(stdout, key)
	return err
}

func (s keyStore) list(ctx context.Context, asJSON bool, stdout io.Writer) error {
	keys, err := s.all(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		encoder := json.NewEncoder(stdout)
		encoder.SetEscapeHTML(false)
		for _, k := range keys {
			if err := encoder.Encode(k); err != nil {
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
	if which == "" {
		return errors.New("which key? oncegate key revoke LABEL|ID|KEY")
	}
	k, err := s.find(ctx, which)
	if err != nil {
		return err
	}
	if !k.Revoked.IsZero() {
		_, err := fmt.Fprintf(stdout, "key %s (%s) was revoked at %s\n", k.ID.Short(), k.Label, k.Revoked.UTC().Format(time.RFC3339))
		return err
	}
	k.Revoked = time.Now().UTC().Truncate(time.Second)
	// The same again is the same, so an answer that got lost does no harm.
	if err := again(ctx, func() error { return s.index.ReplaceKey(ctx, keyLimit, string(k.ID), k.Marshal()) }); err != nil {
		return fmt.Errorf("key %s (%s) may not be revoked, run it again: %w", k.ID.Short(), k.Label, err)
	}
	_, err = fmt.Fprintf(stdout, "key %s (%s) is revoked; in %.0f seconds it mints nowhere\n", k.ID.Short(), k.Label, apikey.KnownLife.Seconds())
	return err
}

// find is the one key that is meant. Where several fit, those that are revoked
// already are not meant.
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
		if k.Label == which || len(which) >= 8 && strings.HasPrefix(string(k.ID), which) {
			found = append(found, k)
		}
	}
	if live := slices.DeleteFunc(slices.Clone(found), func(k keyRecord) bool { return !k.Revoked.IsZero() }); len(live) > 0 {
		found = live
	}
	switch {
	case len(found) == 0:
		return keyRecord{}, fmt.Errorf("there is no key %.64q (see oncegate key list)", which)
	case len(found) > 1 && found[0].Revoked.IsZero():
		var ids []string
		for _, k := range found {
			ids = append(ids, k.ID.Short())
		}
		return keyRecord{}, fmt.Errorf("%d keys are called %q: say which by id, %s", len(found), which, strings.Join(ids, ", "))
	}
	return found[0], nil
}

// keyLimit bounds one request.
const keyLimit = 10 * time.Second

// all reads the records of all keys, oldest first.
func (s keyStore) all(ctx context.Context) ([]keyRecord, error) {
	var ids []string
	if err := again(ctx, func() (err error) { ids, err = s.index.ListKeys(ctx, keyLimit); return err }); err != nil {
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
			errs[i] = again(ctx, func() (err error) { body, err = s.index.ReadKey(ctx, keyLimit, id); return err })
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
			return nil, fmt.Errorf("keys/%s: %w", ids[i], err)
		default:
			found = append(found, records[i])
		}
	}
	slices.SortStableFunc(found, func(a, b keyRecord) int { return a.Created.Compare(b.Created) })
	return found, nil
}

// again makes a request up to three times while S3 gives no clear answer.
func again(ctx context.Context, request func() error) (err error) {
	for try := range 3 {
		select {
		case <-time.After(time.Duration(try) * 300 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
		err = request()
		if fault, ok := errors.AsType[*onetime.Fault](err); !ok || fault.Status != 0 && fault.Status != 429 && fault.Status < 500 {
			return err
		}
	}
	return err
}
