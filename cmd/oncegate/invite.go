package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"oncegate/internal/config"
	"oncegate/internal/invite"
	"oncegate/internal/lean/strictjson"
	"oncegate/internal/onetime"
)

const inviteHelp = `oncegate invite --label LABEL --uploads N [flags] [DISTRIBUTION-URL]
oncegate invite list [--json] [flags]
oncegate invite show LABEL|ID|- [--json] [flags]
oncegate invite revoke LABEL|ID|- [flags]

Makes a link for people: whoever opens it may upload up to N files, until its time is
over or it is revoked. At most N objects are ever stored under it. The link is shown only
now: the bucket holds nothing of its token but the SHA-256.

list shows all invitations. show says what became of each upload of one, as far as the
index remembers: names and sizes for 8 days, who was let through for as long as the
invitation is kept. revoke stops it at once, with all of its URLs that let no upload
through yet; what is stored stays.

An invitation is named by its label, by its id or the first digits of that (8 or more),
or by its link or token on standard input (-).

    --label LABEL    for people: guests see it, and so do status and list
    --uploads N      the most files that are ever stored, 1 to 1000
    --expires TIME   how long it lives: 36h, 14d; up to 90d and to a day less than the
                     setting keepExpiredDays. Without it 14d, or as long as may be
    --life TIME      how long one upload may take to begin, and to end in parts; up to
                     7d. Without it 1d
    --max-bytes SIZE largest file: 500000, 200KB, 2GB, 8MiB
    --min-bytes SIZE smallest file
    --type TYPES     a MIME type, image/jpeg, or all of a kind, image/*, or several:
                     application/pdf,image/*
    --prefix PREFIX  before the name of each object, one that the settings allow
    --meta PAIRS     metadata that S3 keeps with each object: order=17&customer=acme
    --tags PAIRS     tags of each object, with keys that the settings allow: project=blue
    --qr             also draw the link as a QR code, on standard error
    --config PATH    settings of the deployment (config.json)
    --json           print JSON; for list one object per line

Without DISTRIBUTION-URL the link is for $ONCEGATE_URL, else for the domain in the
settings.

The role needs s3:GetObject and s3:PutObject on invitations/* and signatures/expired/*,
s3:ListBucket; for show also s3:GetObject on signatures/* and uploads/*.
` + siteHelp + `
Exit status: 0 done, 1 failed, 2 wrong usage.

Example: oncegate invite --label "Acme, invoices May" --uploads 20 --expires 14d
`

// inviting are the arguments of invite.
type inviting struct {
	verb   string // "" to make one
	record invite.Record
	which  string
	base   string
	qr     bool
	json   bool
	config string
}

func runInvite(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	in, err := parseInvite(args)
	if err != nil {
		return err
	}
	s, opened, err := openSite(ctx, in.config, stderr)
	if err != nil {
		return err
	}
	book := newInvitationBook(s, opened, stderr)
	switch in.verb {
	case "list":
		return book.list(ctx, in.json, stdout)
	case "show":
		return book.show(ctx, in.which, in.json, stdout)
	case "revoke":
		return book.revoke(ctx, in.which, stdout)
	}
	if s.conf == nil {
		return fmt.Errorf("the settings of the bucket %s, which say how long an invitation may live, are not known: name them with --config", s.bucket)
	}
	book.keeper.Keep, book.keeper.Prefixes, book.keeper.Tags = s.conf.Deploy.KeepsEntries(), s.conf.Prefixes, s.conf.Tags
	if in.base == "" && s.conf.Deploy.Domain != "" {
		in.base = "https://" + s.conf.Deploy.Domain
	}
	if in.base == "" {
		return usageError{errors.New("for which deployment is the link? Give its URL, such as https://d111111abcdef8.cloudfront.net, or set ONCEGATE_URL (see oncegate help invite)")}
	}
	return book.create(ctx, in, stdout)
}

// createFlags are those that are for a new invitation alone.
var createFlags = []string{"label", "uploads", "expires", "life", "max-bytes", "min-bytes", "type", "prefix", "meta", "tags", "qr"}

func parseInvite(args []string) (in inviting, err error) {
	fs := newFlags("invite")
	fs.StringVar(&in.record.Label, "label", "", "")
	fs.IntVar(&in.record.Uploads, "uploads", 0, "")
	var expires, life spanFlag
	fs.Var(&expires, "expires", "")
	fs.Var(&life, "life", "")
	var most, least sizeFlag
	fs.Var(&most, "max-bytes", "")
	fs.Var(&least, "min-bytes", "")
	kind := fs.String("type", "", "")
	fs.StringVar(&in.record.Prefix, "prefix", "", "")
	meta, tags := fs.String("meta", "", ""), fs.String("tags", "", "")
	fs.BoolVar(&in.qr, "qr", false, "")
	fs.BoolVar(&in.json, "json", false, "")
	fs.StringVar(&in.config, "config", "", "")
	words, err := parseWords(fs, args)
	if err != nil {
		return in, err
	}
	if len(words) > 0 && slices.Contains([]string{"list", "show", "revoke", "create"}, words[0]) {
		in.verb, words = words[0], words[1:]
	}
	switch {
	case in.verb == "create":
		return in, usagef(fs, "to make an invitation leave %q out", in.verb)
	case in.verb != "" && flagged(fs, createFlags...) != "":
		return in, usagef(fs, "--%s is for a new invitation, not for invite %s", flagged(fs, createFlags...), in.verb)
	case in.verb == "revoke" && in.json:
		return in, usagef(fs, "--json is not for invite revoke")
	case in.verb == "list" && len(words) > 0:
		return in, usagef(fs, "unexpected argument %q", words[0])
	case in.verb == "show" || in.verb == "revoke":
		if len(words) != 1 {
			return in, usagef(fs, "%d invitations given, want one: a label, an id, or - for a link on standard input", len(words))
		}
		in.which, err = namedInvitation(fs, words[0])
		return in, err
	case in.verb == "list":
		return in, nil
	case len(words) > 1:
		return in, usagef(fs, "unexpected argument %q", words[1])
	}
	in.base = os.Getenv("ONCEGATE_URL")
	if len(words) == 1 {
		in.base = words[0]
	}
	if in.base != "" {
		if in.base, err = linkBase(in.base); err != nil {
			return in, usagef(fs, "%w", err)
		}
	}
	if flagged(fs, "label") == "" || flagged(fs, "uploads") == "" {
		return in, usagef(fs, "want --label and --uploads, or list, show or revoke")
	}
	for name, value := range map[string]int64{"max-bytes": int64(most), "life": int64(life)} {
		if flagged(fs, name) != "" && value == 0 {
			return in, usagef(fs, "--%s is 0: no upload would fit", name)
		}
	}
	in.record.Life = time.Duration(life)
	if flagged(fs, "expires") != "" {
		in.record.Expires = time.Now().Add(time.Duration(expires))
	}
	if in.record.Meta, err = onetime.ParseMeta(*meta); err != nil {
		return in, usagef(fs, "--%w", err)
	}
	if in.record.Tags, err = onetime.ParseTags(*tags); err != nil {
		return in, usagef(fs, "--%w", err)
	}
	in.record.Limits = onetime.Limits{MaxBytes: int64(most), MinBytes: int64(least), Type: strings.ToLower(*kind)}
	return in, nil
}

// create makes an invitation and prints its link.
func (b invitationBook) create(ctx context.Context, in inviting, stdout io.Writer) error {
	token, id, record, err := b.keeper.Create(ctx, in.record, deadline())
	if refusal, ok := errors.AsType[*onetime.Refusal](err); ok && refusal.Detail != "" {
		return usageError{fmt.Errorf("--%s (see oncegate help invite)", flagNamed(refusal.Detail))}
	}
	if err != nil {
		return fmt.Errorf("the invitation was not made: %w", err)
	}
	link := invite.Link(in.base, token)
	fmt.Fprintf(b.stderr, "oncegate: invitation %s (%s), uploads: %d, until %s; its link is shown only now:\n", id.Short(), shown(record.Label), record.Uploads, shownTime(record.Expires))
	if b.site.conf.Auth.Kind == config.AuthNone {
		fmt.Fprintf(b.stderr, "oncegate: note: the settings say \"auth\": %q, so anybody may upload without an invitation too\n", config.AuthNone)
	}
	if in.json {
		_, err = stdout.Write(append(strictjson.Marshal(func(w *strictjson.Writer) {
			w.String("id", string(id))
			w.String("token", token)
			w.String("link", link)
			record.WriteTerms(w)
		}), '\n'))
	} else {
		_, err = fmt.Fprintln(stdout, link)
	}
	if err == nil && in.qr {
		err = drawQR(b.stderr, link)
	}
	return err
}

// flagNamed is what a refusal says of an option, with the name of its flag.
func flagNamed(detail string) string {
	for option, flag := range map[string]string{"maxBytes": "max-bytes", "minBytes": "min-bytes"} {
		if rest, ok := strings.CutPrefix(detail, option+":"); ok {
			return flag + ":" + rest
		}
	}
	return detail
}

// deadline is until when an operation on an invitation may take: a thousand slots are some
// thousand requests.
func deadline() time.Time { return time.Now().Add(5 * time.Minute) }
