package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"oncegate/internal/auth/apikey"
	"oncegate/internal/config"
	"oncegate/internal/onetime"
)

const keyHelp = `oncegate key create --label LABEL [--owner-of KEY] [bounds] [flags]
oncegate key list [--json] [flags]
oncegate key revoke LABEL|ID|- [flags]

Makes, lists and revokes the keys that may mint if config.json says "auth": "api-key".
Clients send a key as x-api-key.

create prints the key, and it is shown only then: the bucket holds nothing but its
SHA-256. The label is for people. With the key's id it is in the entry of each URL that
the key mints, and in the log. Only that key may ask about its URLs and revoke them,
and any key that was made with --owner-of to take over from it.

--max-bytes, --type, --max-expires, --prefix and --per-day bound what the URLs of the key
may be. Whoever asks for more is refused, and what is left open is filled in. An
invitation that the key makes is held to the same.

list shows all keys, never the keys themselves. What cannot be read is named on standard
error, and the rest is listed.

revoke takes the label, the id or its first digits (8 or more), or - and reads the key
from standard input. It lists the ids if several keys fit. A revoked key stops working
within 30 seconds. Invitations that it has made stay open; revoke says how many there are.

    --label LABEL    for create: 1 to 64 bytes of text
    --owner-of KEY   for create: take over from this key, by its id or label: the new
                     key owns the same URLs. Without --label it gets the same label,
                     and without bounds of its own the same bounds
    --max-bytes SIZE for create: no upload is larger: 200KB, 2GB, 8MiB
    --type TYPES     for create: what uploads may be: image/*,application/pdf
    --max-expires TIME
                     for create: no URL is good for longer: 90m, 36h, 7d
    --per-day N      for create: as many URLs on a day of UTC, for this key and those
                     that take over from it. Only with "index": "dynamodb"
    --prefix PREFIX  for create: before the name of each object, or what is below it
    --key-file PATH  for revoke: the file with the key, in place of a label or an id
    --config PATH    settings of the deployment (config.json)
    --json           for list: print one JSON object per key

The role needs s3:GetObject and s3:PutObject on keys/*, s3:ListBucketVersions,
s3:ListBucket; for revoke also s3:GetObject on invitations/*.
` + siteHelp + `
Exit status: 0 done, 1 failed, 2 wrong usage.

Example: oncegate key create --label "photo app, staging"
`

func runKey(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := newFlags("key")
	configPath := fs.String("config", "", "")
	label := fs.String("label", "", "")
	asJSON := fs.Bool("json", false, "")
	ownerOf := fs.String("owner-of", "", "")
	keyFile := fs.String("key-file", "", "")
	var most sizeFlag
	var life spanFlag
	fs.Var(&most, "max-bytes", "")
	fs.Var(&life, "max-expires", "")
	kind, prefix, perDay := fs.String("type", "", ""), fs.String("prefix", "", ""), fs.Int64("per-day", 0, "")
	// The words are the verb, and the key to revoke.
	words, err := parseWords(fs, args)
	if err != nil {
		return err
	}
	verb, which := "", ""
	if len(words) > 0 {
		verb, words = words[0], words[1:]
	}
	allows := onetime.Allowance{Life: time.Duration(life), MaxBytes: int64(most), Type: strings.ToLower(*kind), Prefix: *prefix, PerDay: *perDay}
	bounded := flagged(fs, "max-bytes", "max-expires", "type", "prefix", "per-day")
	switch {
	case verb != "create" && verb != "list" && verb != "revoke":
		return usagef(fs, "want key create, key list or key revoke")
	case bounded != "" && verb != "create":
		return usagef(fs, "--%s is for key create", bounded)
	case (*label != "" || *ownerOf != "") && verb != "create" || *asJSON && verb != "list" || *keyFile != "" && verb != "revoke":
		return usagef(fs, "--label and --owner-of are for key create, --json for key list, --key-file for key revoke")
	case verb == "revoke" && *keyFile != "" && len(words) == 0:
		which, err = secretKey(*keyFile)
	case verb == "revoke" && len(words) != 1:
		return usagef(fs, "%d keys given, want one: a label, an id, or - for standard input", len(words))
	case verb == "revoke" && *keyFile != "":
		return usagef(fs, "unexpected argument %q besides --key-file", words[0])
	case verb == "revoke" && words[0] == "-":
		which, err = secretKey("-")
	case verb == "revoke":
		which, err = namedKey(fs, words[0])
	case len(words) > 0:
		return usagef(fs, "unexpected argument %q", words[0])
	case verb == "create":
		if *ownerOf == "" || *label != "" {
			if err := apikey.CheckLabel(*label); err != nil {
				return usagef(fs, "--%w", err)
			}
		}
		if err := checkAllowance(fs, allows); err != nil {
			return err
		}
		*ownerOf, err = namedKey(fs, *ownerOf)
	}
	if err != nil {
		return err
	}
	s, opened, err := openSite(ctx, *configPath, stderr)
	if err != nil {
		return err
	}
	store := keyStore{opened.index, newInvitationBook(s, opened, stderr), stderr}
	switch verb {
	case "create":
		if _, counts := opened.index.(onetime.Tally); *perDay != 0 && !counts {
			return errors.New(`--per-day: the index in the bucket cannot count, for S3 has no write that adds; it needs "index": "dynamodb"`)
		}
		if s.conf != nil {
			if err := (onetime.Bounds{Prefixes: s.conf.Prefixes}).CheckPrefix(*prefix); err != nil {
				return err // every mint would be refused
			}
		}
		err = store.create(ctx, *label, *ownerOf, allows, stdout)
		if err == nil && s.conf != nil && s.conf.Auth.Kind != config.AuthAPIKey {
			fmt.Fprintf(stderr, "oncegate: note: the settings say \"auth\": %q; clients need no key before it says \"api-key\"\n", s.conf.Auth.Kind)
		}
	case "list":
		err = store.list(ctx, *asJSON, stdout)
	case "revoke":
		err = store.revoke(ctx, which, stdout)
	}
	return err
}

// checkAllowance refuses bounds that are none: a flag that is 0 or empty, and what no URL
// may have anyway.
func checkAllowance(fs *flag.FlagSet, a onetime.Allowance) error {
	for _, bound := range []struct {
		name  string
		empty bool
	}{
		{"max-bytes", a.MaxBytes <= 0}, {"max-expires", a.Life <= 0}, {"type", a.Type == ""}, {"prefix", a.Prefix == ""}, {"per-day", a.PerDay == 0},
	} {
		if bound.empty && flagged(fs, bound.name) != "" {
			return usagef(fs, "--%s: leave it out where there is no bound", bound.name)
		}
	}
	if a.Life%time.Second != 0 || a.Life > onetime.MaxLife {
		return usagef(fs, "--max-expires: want whole seconds, at most %s", shownSpan(onetime.MaxLife))
	}
	if err := a.Check(); err != nil {
		return usagef(fs, "%w", err)
	}
	return nil
}

// namedKey returns the word that names a key to revoke or to take over from. A key itself is
// refused: others on this machine see arguments, and they could use it until it is
// revoked. The error says what to give instead.
func namedKey(fs *flag.FlagSet, word string) (string, error) {
	if !strings.HasPrefix(word, "ogk_") {
		return word, nil
	}
	id, err := apikey.Parse(word)
	if err != nil {
		return "", err
	}
	return "", usagef(fs, "nothing was done: others on this machine can see arguments, and this one is a key; give its id, %s, or - for standard input", id.Short())
}

// secretKey reads a key from a file, or from standard input for -, and returns its id.
func secretKey(path string) (string, error) {
	text, err := readSecret(path)
	if err != nil {
		return "", err
	}
	id, err := apikey.Parse(text)
	return string(id), err
}

// create makes a key with these bounds. ownerOf, if set, names the key that it takes over from.
func (s keyStore) create(ctx context.Context, label, ownerOf string, allows onetime.Allowance, stdout io.Writer) error {
	var owner apikey.ID
	if ownerOf != "" {
		old, err := s.find(ctx, ownerOf)
		if err != nil {
			return fmt.Errorf("--owner-of: %w", err)
		}
		owner = cmp.Or(old.Owner, old.ID)
		label = cmp.Or(label, old.Label)
		allows = cmp.Or(allows, old.Allows)
	}
	record, err := apikey.NewRecord(label, time.Now())
	if err != nil {
		return err
	}
	record.Owner, record.Allows = owner, allows
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
	fmt.Fprintf(s.stderr, "oncegate: key %s; it is shown only now:\n", keyRecord{id, record})
	_, err = fmt.Fprintln(stdout, key)
	return err
}

func (s keyStore) list(ctx context.Context, asJSON bool, stdout io.Writer) error {
	keys, incomplete := s.all(ctx)
	if incomplete != nil && !errors.Is(incomplete, errIncompleteKeys) {
		return incomplete
	}
	if asJSON {
		for _, k := range keys {
			if err := writeJSON(stdout, k); err != nil {
				return err
			}
		}
		return incomplete
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tCREATED\tREVOKED\tOWNER\tBOUNDS\tLABEL")
	for _, k := range keys {
		owner := "-"
		if k.Owner != "" {
			owner = k.Owner.Short()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", k.ID.Short(), shownTime(k.Created), shownTime(k.Revoked), owner, boundsText(k.Allows), shown(k.Label))
	}
	return errors.Join(w.Flush(), incomplete)
}

// boundsText returns an allowance by the names of its options at /url, or "-" for none.
func boundsText(a onetime.Allowance) string {
	life := ""
	if a.Life > 0 {
		life = shownSpan(a.Life)
	}
	return cmp.Or(optionsText([]shownOption{
		{"minBytes", a.MinBytes}, {"maxBytes", a.MaxBytes}, {"type", a.Type}, {"expires", life}, {"perDay", a.PerDay}, {"prefix", a.Prefix},
	}), "-")
}

func (s keyStore) revoke(ctx context.Context, which string, stdout io.Writer) error {
	k, err := s.find(ctx, which)
	now := time.Now().UTC().Truncate(time.Second)
	unreadable, replaced := errors.AsType[*unreadableError](err)
	switch {
	case replaced:
		// Whatever it is, it may be the record of a key for functions of another version. The
		// bucket keeps it as an earlier version.
		k = keyRecord{ID: unreadable.id}
		k.Record, err = apikey.NewRecord("unreadable", now)
		fmt.Fprintf(s.stderr, "oncegate: %v: a new record takes its place\n", unreadable)
	case err == nil && !k.Revoked.IsZero():
		_, err := fmt.Fprintf(stdout, "key %s was revoked at %s\n", k, shownTime(k.Revoked))
		s.noteInvitations(ctx, k)
		return err
	}
	if err != nil {
		return err
	}
	k.Revoked = now
	if err := s.replace(ctx, k); err != nil {
		return fmt.Errorf("key %s may not be revoked, run it again: %w", k, err)
	}
	_, err = fmt.Fprintf(stdout, "key %s is revoked; it stops working within %.0f seconds\n", k, apikey.KnownLife.Seconds())
	s.noteInvitations(ctx, k)
	return err
}

// noteInvitations says what a key leaves behind that is revoked: its invitations.
func (s keyStore) noteInvitations(ctx context.Context, k keyRecord) {
	n, err := s.book.madeBy(ctx, onetime.CredentialKey, string(k.ID[:onetime.CredentialDigits]))
	switch {
	case err != nil:
		fmt.Fprintf(s.stderr, "oncegate: note: whether invitations of this key are open could not be seen: %v\n", err)
	case n > 0:
		fmt.Fprintf(s.stderr, "oncegate: note: invitations that this key has made and that are still open: %d (see oncegate invite list)\n", n)
	}
}
