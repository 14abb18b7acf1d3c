package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"oncegate/internal/client"
)

// putStream uploads standard input. Nobody knows how long it will be.
func (p *putting) putStream(ctx context.Context, body io.Reader) (putJSON, error) {
	u := p.url
	var err error
	if p.deployment != nil {
		if u, err = p.mintLong(ctx, p.optionsOf(""), 0); err != nil {
			return putJSON{}, fmt.Errorf("-: %w", refusedOptions(p.fs, err))
		}
	}
	parts := client.Parts{URL: u, Header: map[string]string{}, PartBytes: int64(p.partBytes), Parallel: p.parallel}
	if *p.contentType != "" {
		parts.Header["Content-Type"] = *p.contentType
	}
	if screen, ok := terminal(p.stderr); ok {
		p.bar = newBar(screen, "-", 0, time.Now)
		parts.Sent = p.bar.sent
		defer p.bar.clear()
	}
	stored, err := client.PutStream(ctx, parts, body)
	refusal, _ := errors.AsType[*client.Refusal](err)
	if noParts(refusal) {
		refusal.Message += "; no parts can be sent here, and one PUT needs the length first: save it to a file"
	}
	err = interrupted(ctx, err)
	after := consequenceOfStream(err, u, p.deployment == nil)
	switch {
	case err != nil && p.deployment == nil:
		return putJSON{}, fmt.Errorf("-: %w%s", err, after)
	case err != nil: // as with a file
		return putJSON{}, fmt.Errorf("-: %v%s", err, after)
	}
	return describe("-", u, stored), nil
}

// consequenceOfStream is consequence for standard input, which cannot be read again.
func consequenceOfStream(err error, u client.URL, given bool) string {
	if fate := client.FateOf(err); fate != client.Good && fate != client.Useless && !errors.Is(err, client.ErrAltered) {
		return fmt.Sprintf("; it may be stored, oncegate status %s says", u.ID)
	}
	return consequence(err, u, given)
}
