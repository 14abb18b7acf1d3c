package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"oncegate/edge/setup"
	"oncegate/internal/auth/apikey"
	"oncegate/internal/config"
	"oncegate/internal/invite"
	"oncegate/internal/layout"
	"oncegate/internal/onetime"
)

const migrateHelp = `oncegate migrate --to dynamodb|s3 [flags]

Moves all URLs that are not over from the other index to this one, after the setting
"index" was changed and deployed. A URL that is good is refused by gates of the old
index from then on, and good for one upload in the new one. A URL that is spent is
spent there too. API keys are copied; a revoked one stays revoked. Invitations are not
moved: migrate says how many are open.

Wait until the deploy is over and CloudFront has rolled it out. Functions from before
it may mint in the old index meanwhile: run migrate until it says that nothing is new.
It may be interrupted and run again, as often as it takes. A URL that was moved does
not go back: where the new index was the old one before, it stays where it is good.
Do not enable URLs in the old index any more.

    --to INDEX     the index to move to, dynamodb or s3; the settings must name it too
    --dry-run      only say what would be moved
    --config PATH  settings of the deployment (config.json)
    --json         print one JSON object

The role needs s3:GetObject and s3:PutObject on signatures/* and keys/*, s3:GetObject on
invitations/*, s3:ListBucket, s3:ListBucketVersions; and dynamodb:GetItem,
dynamodb:UpdateItem and dynamodb:Query on the table, whichever way it goes.
` + siteHelp + `
Exit status: 0 done, 1 failed, or something could not be moved: run it again; 2 wrong
usage.

Example: oncegate migrate --to dynamodb --dry-run
`

// errNotAllMoved means that some of it is still only in the old index.
var errNotAllMoved = errors.New("not everything was moved: run it again")

// movedJSON counts what was moved, or would be.
type movedJSON struct {
	DryRun bool `json:"dryRun"`
	Good   int  `json:"good"`
	Spent  int  `json:"spent"`
	Stays  int  `json:"stays"` // came from the new index, and cannot go back
	Over   int  `json:"over"`
	// Unknown were in the list, and gone when they were to be moved.
	Unknown int `json:"unknown"`
	// New are those of Good and Spent that the new index did not know before.
	New    int `json:"new"`
	Failed int `json:"failed"`

	Keys        int `json:"keys"`
	NewKeys     int `json:"newKeys"` // those that the new index did not have, or had as good and not revoked
	FailedKeys  int `json:"failedKeys"`
	Invitations int `json:"openInvitations"` // of the old index
}

func runMigrate(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := newFlags("migrate")
	configPath := fs.String("config", "", "")
	to := fs.String("to", "", "")
	dryRun := fs.Bool("dry-run", false, "")
	asJSON := fs.Bool("json", false, "")
	if err := parse(fs, args); err != nil {
		return err
	}
	if *to != config.IndexS3 && *to != config.IndexDynamoDB {
		return usagef(fs, "--to is %q: allowed are %s and %s", *to, config.IndexDynamoDB, config.IndexS3)
	}
	s, err := findSettings(*configPath, ", which say how long entries are kept,")
	switch {
	case err != nil:
		return err
	case s.index != *to:
		return &hintError{
			fmt.Errorf("the settings name the index %s: nothing was moved", s.index),
			"gates that ask the index " + s.index + ` would refuse what was moved; set "index" to "` + *to + `", deploy, and run this again`,
		}
	case (s.endpoint == "") != (s.tableEndpoint == ""):
		// The bucket here and a table at AWS, or the other way round, are two deployments'.
		return &hintError{
			errors.New("of AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL_DYNAMODB only one is set: nothing was moved"),
			`set both or none; make dev sets both if the settings say "index": "dynamodb"`,
		}
	}
	m := migration{dryRun: *dryRun, stderr: stderr, said: time.Now()}
	if m.old, m.now, err = s.openBoth(ctx, stderr); err != nil {
		return err
	}
	m.mover = &onetime.Mover{From: m.old.index, To: m.now.index, Clock: setup.Clock{}, Entropy: rand.Reader}
	// Keys first: whoever has one can ask about its URLs as soon as they are there.
	err = m.keys(ctx)
	if err == nil {
		err = m.urls(ctx)
	}
	if err == nil {
		err = m.invitations(ctx, s)
	}
	if err != nil {
		return fmt.Errorf("it broke off, run it again: %w", err)
	}
	if err := m.report(stdout, *asJSON, *to); err != nil {
		return err
	}
	if m.count.Failed+m.count.FailedKeys > 0 {
		return errNotAllMoved
	}
	return nil
}

// openBoth opens the bucket with the other index, and with the one that the settings name.
func (s site) openBoth(ctx context.Context, stderr io.Writer) (old, now store, err error) {
	provider, err := findCredentials(ctx, s.region)
	if err != nil {
		return store{}, store{}, err
	}
	other := s
	if other.index = config.IndexDynamoDB; s.index == config.IndexDynamoDB {
		other.index = config.IndexS3
	}
	fmt.Fprintf(stderr, "oncegate: from %v\noncegate: to %v\n", other, s)
	return other.openStore(provider), s.openStore(provider), nil
}

// migration moves all that there is from one index to the other.
type migration struct {
	old, now store
	mover    *onetime.Mover
	dryRun   bool

	mu     sync.Mutex
	count  movedJSON
	stderr io.Writer
	said   time.Time // when it last said how far it is
}

// urls moves the URLs, in the order of their ids.
func (m *migration) urls(ctx context.Context) error {
	for after := ""; ; {
		var page onetime.EntryPage
		err := again(ctx, func() (err error) {
			page, err = m.old.index.ListEntries(ctx, requestLimit, onetime.ValidEntries, after)
			return err
		})
		if err == nil && page.Next != "" && page.Next <= after {
			err = errors.New("the next page is the same page")
		}
		if err != nil {
			return fmt.Errorf("list the URLs of the old index: %w", err)
		}
		atOnce(len(page.Entries), func(i int) {
			id, err := onetime.ParseID(page.Entries[i].Name)
			if err != nil || ctx.Err() != nil {
				return // not oncegate's
			}
			m.url(ctx, id)
		})
		if err := ctx.Err(); err != nil {
			return err
		}
		if after = page.Next; after == "" {
			return nil
		}
	}
}

// url moves one URL.
func (m *migration) url(ctx context.Context, id onetime.ID) {
	known, err := m.knows(ctx, id)
	var done onetime.Move
	if err == nil {
		if m.dryRun {
			done, err = m.mover.Look(ctx, id)
		} else {
			done, err = m.mover.Move(ctx, id)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err != nil && ctx.Err() != nil: // the end says that it was interrupted
	case err != nil:
		m.count.Failed++
		fmt.Fprintf(m.stderr, "oncegate: %s: %v\n", id, err)
	case done == onetime.MovedGood:
		m.count.Good++
	case done == onetime.MovedSpent:
		m.count.Spent++
	case done == onetime.MovedStays:
		m.count.Stays++
	case done == onetime.MovedOver:
		m.count.Over++
	default:
		m.count.Unknown++
	}
	if err == nil && !known && (done == onetime.MovedGood || done == onetime.MovedSpent) {
		m.count.New++
	}
	if c := m.count; time.Since(m.said) > progressPause {
		m.said = time.Now()
		fmt.Fprintf(m.stderr, "oncegate: %d URLs so far, up to %s\n", c.Good+c.Spent+c.Stays+c.Over+c.Unknown+c.Failed, id[:shortDigits])
	}
}

// progressPause is how often it says how far it is.
const progressPause = 10 * time.Second

// knows reports whether the new index knows the URL already.
func (m *migration) knows(ctx context.Context, id onetime.ID) (bool, error) {
	err := again(ctx, func() error {
		_, _, err := m.now.index.ReadValid(ctx, requestLimit, id)
		return err
	})
	if errors.Is(err, onetime.ErrAbsent) {
		return false, nil
	}
	return err == nil, err
}

// keys copies the records of API keys.
func (m *migration) keys(ctx context.Context) error {
	ids, err := keyStore{index: m.old.index, stderr: m.stderr}.ids(ctx)
	if err != nil {
		return fmt.Errorf("the old index: %w", err)
	}
	atOnce(len(ids), func(i int) {
		if ctx.Err() != nil {
			return
		}
		isNew, err := m.key(ctx, ids[i])
		m.mu.Lock()
		defer m.mu.Unlock()
		switch {
		case errors.Is(err, onetime.ErrAbsent): // its record was deleted
			return
		case err != nil && ctx.Err() == nil:
			m.count.FailedKeys++
			fmt.Fprintf(m.stderr, "oncegate: %v\n", err)
		case isNew:
			m.count.NewKeys++
		}
		m.count.Keys++
	})
	return ctx.Err()
}

// key copies the record of one key. Where both indexes have it, it is revoked in the new one
// if it is in either: what was revoked never becomes good.
func (m *migration) key(ctx context.Context, id apikey.ID) (isNew bool, err error) {
	old, err := keyStore{index: m.old.index}.read(ctx, id)
	if err != nil {
		return false, err
	}
	there, err := keyStore{index: m.now.index}.read(ctx, id)
	if errors.Is(err, onetime.ErrAbsent) {
		if m.dryRun {
			return true, nil
		}
		err = again(ctx, func() error { return m.now.index.CreateKey(ctx, requestLimit, string(id), old.Marshal()) })
		if !errors.Is(err, onetime.ErrExists) {
			return true, wrapKey(id, err)
		}
		isNew = true // another migration's, or this one's whose answer was lost
		there, err = keyStore{index: m.now.index}.read(ctx, id)
	}
	if err != nil || old.Revoked.IsZero() || !there.Revoked.IsZero() {
		return isNew, err
	}
	there.Revoked = old.Revoked
	if m.dryRun {
		return true, nil
	}
	return true, wrapKey(id, keyStore{index: m.now.index}.replace(ctx, there))
}

func wrapKey(id apikey.ID, err error) error {
	if err != nil {
		err = fmt.Errorf("%s%s: %w", layout.APIKeys, id, err)
	}
	return err
}

// invitations counts those of the old index that are open. They are not moved: what is taken
// of them is a matter of many records, which the rule for one URL does not hold together.
func (m *migration) invitations(ctx context.Context, s site) error {
	all, err := newInvitationBook(s, m.old, m.stderr).all(ctx)
	if err != nil && !errors.Is(err, errIncompleteInvitations) {
		return fmt.Errorf("the old index: %w", err)
	}
	for _, h := range all {
		if h.State == invite.StateOpen {
			m.count.Invitations++
		}
	}
	return nil
}

// report prints what was moved.
func (m *migration) report(w io.Writer, asJSON bool, to string) error {
	m.count.DryRun = m.dryRun
	if asJSON {
		return writeJSON(w, m.count)
	}
	c := m.count
	var b strings.Builder
	fmt.Fprintf(&b, "URLs         %d good, %d spent, %d over, %d unknown", c.Good, c.Spent, c.Over, c.Unknown)
	if c.Stays > 0 {
		fmt.Fprintf(&b, ", %d stay", c.Stays)
	}
	if c.Failed > 0 {
		fmt.Fprintf(&b, ", %d failed", c.Failed)
	}
	fmt.Fprintf(&b, "; new: %d\nkeys         %d", c.New, c.Keys)
	if c.FailedKeys > 0 {
		fmt.Fprintf(&b, ", %d failed", c.FailedKeys)
	}
	fmt.Fprintf(&b, "; new: %d\n", c.NewKeys)
	if c.Stays > 0 {
		fmt.Fprintf(&b, "%d URLs came from the index %s and cannot go back: they are refused, their holders need new ones\n", c.Stays, to)
	}
	if c.Invitations > 0 {
		fmt.Fprintf(&b, "invitations  %d are open in the old index and were not moved: guests need new links\n", c.Invitations)
	}
	if c.DryRun {
		b.WriteString("nothing was changed (--dry-run)\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
