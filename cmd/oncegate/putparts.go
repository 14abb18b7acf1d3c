package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"

	"oncegate/internal/client"
	"oncegate/internal/onetime"
)

const (
	// partsFrom is the size above which a file goes in parts: one PUT of less is soon sent
	// again, and has fewer requests.
	partsFrom = 64 << 20
	// mostParallel bounds --parallel. Each part that is under way has a connection.
	mostParallel = 64
)

// inParts reports whether a file of this size goes in parts.
func (p *putting) inParts(size int64) (bool, error) {
	one := ""
	switch {
	case p.noMultipart:
		one = "--no-multipart"
	case p.sum:
		one = "--sha256"
	}
	switch {
	case one != "" && size > onetime.MaxBytes:
		return false, fmt.Errorf("has %d bytes: with %s it goes in one PUT, which holds at most %d (5 GiB)", size, one, int64(onetime.MaxBytes))
	case one != "" || size == 0: // an empty file has no part
		return false, nil
	}
	return p.multipart || size > partsFrom, nil
}

// errOnePut says that the URL takes one PUT only, and that nothing was spent.
var errOnePut = errors.New("no parts here")

// sendParts sends a file in parts. It goes on with what an earlier run has begun, and keeps
// what another run needs for that. The string says what an error left behind. The error is
// errOnePut where the file may go in one PUT instead.
func (p *putting) sendParts(ctx context.Context, file string, s *source, u *client.Upload) (client.Stored, string, error) {
	if p.deployment == nil {
		stored, err := p.putParts(ctx, s, *u)
		return stored, consequenceOfParts(err, u.URL, true, false), err
	}
	options := p.optionsOf(filepath.Base(file))
	fresh := begun{
		Version: begunVersion, Deployment: p.deployment.URL(), Size: s.size(), Modified: s.info.ModTime(),
		Options: options.Encode() + " " + u.Header["Content-Type"],
	}
	kept := p.record(file, &fresh)
	if kept != nil {
		defer kept.close()
		if u.URL = p.goOn(file, kept, fresh); u.URL.URL != "" {
			stored, err := p.putParts(ctx, s, *u)
			if err == nil || !hopeless(err) {
				return p.ended(kept, stored, u.URL, err)
			}
			p.note(file, "what an earlier run began cannot go on (%v): begins anew", err)
		}
	}
	var err error
	if u.URL, err = p.mintLong(ctx, options, s.size()); err != nil {
		return client.Stored{}, "", refusedOptions(p.fs, err)
	}
	fresh.URL = u.URL.URL
	if kept != nil {
		if err := kept.write(fresh); err != nil {
			p.note(file, "cannot be resumed after the end of the program: %v", err)
			kept.forget()
			kept = nil
		}
	}
	stored, err := p.putParts(ctx, s, *u)
	return p.ended(kept, stored, u.URL, err)
}

// record opens the record of a file. It returns nil, and says so, if the upload cannot be
// resumed.
func (p *putting) record(file string, b *begun) *record {
	var r *record
	dir, err := stateDir()
	if err == nil {
		b.File, err = filepath.Abs(file)
	}
	if err == nil {
		r, err = openRecord(dir, b.Deployment, b.File)
	}
	switch {
	case errors.Is(err, errLocked):
		p.note(file, "another oncegate put sends this file: this one has a URL of its own, and cannot be resumed")
	case err != nil:
		p.note(file, "cannot be resumed after the end of the program: %v", err)
	}
	return r
}

// goOn returns the URL of the upload that an earlier run has begun, if it is the same one.
func (p *putting) goOn(file string, r *record, now begun) client.URL {
	old, u, err := r.begun()
	now.URL = old.URL
	switch {
	case err != nil:
		p.note(file, "begins anew: %s %v", r.path, err)
	case old.Version == 0:
	case old.Size != now.Size || !old.Modified.Equal(now.Modified):
		p.note(file, "has changed since an earlier run: begins anew")
	case old.Options != now.Options:
		p.note(file, "was given other options in an earlier run: begins anew")
	case old.Deployment == now.Deployment && old.File == now.File:
		p.note(file, "goes on where an earlier run ended")
		return u
	}
	return client.URL{}
}

// ended keeps the record of an upload that can go on, and removes any other.
func (p *putting) ended(r *record, stored client.Stored, u client.URL, err error) (client.Stored, string, error) {
	goesOn := r != nil && err != nil && !hopeless(err)
	if r != nil && !goesOn {
		r.forget()
	}
	return stored, consequenceOfParts(err, u, false, goesOn), err
}

// hopeless reports whether the same again with this URL would end as it has ended now.
func hopeless(err error) bool {
	fate := client.FateOf(err)
	refusal, refused := errors.AsType[*client.Refusal](err)
	return errors.Is(err, errOnePut) || errors.Is(err, client.ErrAltered) || fate == client.Useless ||
		fate == client.Good && refused && refusal.Reason != "" && !refusal.Reason.Again()
}

// note says something about a file that is no error.
func (p *putting) note(file, format string, args ...any) {
	if p.bar != nil {
		p.bar.clear()
	}
	fmt.Fprintf(p.stderr, "oncegate: %s: %s\n", shown(file), shown(fmt.Sprintf(format, args...)))
}

// mintLong asks for a URL that takes parts. It lives long, unless it is said how long.
func (p *putting) mintLong(ctx context.Context, options url.Values, size int64) (client.URL, error) {
	ask := []string{options.Get("expires")}
	if !options.Has("expires") {
		ask = lives(size)
	}
	var m client.Minted
	var err error
	for _, life := range ask {
		if options.Set("expires", life); life == "" {
			options.Del("expires")
		}
		m, err = p.deployment.Mint(ctx, options)
		if refusal, ok := errors.AsType[*client.Refusal](err); !ok || refusal.Reason != onetime.Options {
			break // or it is the life that is too long
		}
	}
	if err != nil {
		return client.URL{}, err
	}
	return m.URLs[0], nil
}

// putParts sends a file in parts with this URL.
func (p *putting) putParts(ctx context.Context, s *source, u client.Upload) (client.Stored, error) {
	stored, err := client.PutParts(ctx, client.Parts{
		URL: u.URL, Body: s.file, Size: u.Size, Header: u.Header, Sent: u.Sent,
		PartBytes: int64(p.partBytes), Parallel: p.parallel,
		Unchanged: func() error {
			if s.changed() {
				return errChanged
			}
			return nil
		},
	})
	refusal, _ := errors.AsType[*client.Refusal](err)
	switch {
	case noParts(refusal) && (u.Size > onetime.MaxBytes || p.multipart):
		refusal.Message += fmt.Sprintf("; no parts can be sent here, and one PUT holds at most %d bytes (5 GiB)", int64(onetime.MaxBytes))
	case noParts(refusal):
		return stored, errOnePut
	}
	return stored, interrupted(ctx, err)
}

// noParts reports whether parts were refused in principle. Method is what a deployment
// answers to POST where its setting multipart is off.
func noParts(r *client.Refusal) bool {
	return r != nil && (r.Reason == onetime.NoMultipart || r.Reason == onetime.Method)
}

// interrupted says in one word what a signal has brought about.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && client.FateOf(err) == client.Good {
		return &client.UploadError{Fate: client.Good, Err: errors.New("interrupted")}
	}
	return err
}

// lives are the lives to ask for, one after the other, for a URL that takes parts: the
// deployment allows at most so much, and does not say how much. "" asks for none.
func lives(size int64) []string {
	const day, week, slow = 86_400, 7 * 86_400, 64 << 10 // bytes in a second
	lives := []string{strconv.Itoa(day), ""}
	if life := min(size/slow, week); life > day {
		lives = append([]string{strconv.FormatInt(life, 10)}, lives...)
	}
	return lives
}

// consequenceOfParts is consequence for a file in parts. kept means that the same command
// goes on.
func consequenceOfParts(err error, u client.URL, given, kept bool) string {
	refusal, _ := errors.AsType[*client.Refusal](err)
	switch fate := client.FateOf(err); {
	case fate == client.Useless && refusal.Reason == onetime.Expired:
		return "; nothing was stored: put the file again, with a URL that lives longer (--expires)"
	case hopeless(err):
		return consequence(err, u, given)
	case fate == client.Good && given:
		return "; nothing was stored and the URL is still good: put the file again with it, and only what is missing is sent"
	case fate == client.Good && kept:
		return "; nothing was stored: put the file again, and only what is missing is sent"
	case fate == client.Good:
		return "; nothing was stored"
	case given:
		return "; the file may be stored: put it again with the same URL, and the answer tells"
	case kept:
		return "; the file may be stored: put it again, and the answer tells"
	}
	return fmt.Sprintf("; the file may be stored, oncegate status %s says", u.ID)
}
