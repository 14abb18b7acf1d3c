package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

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

// byteSize is a flag's value: bytes, or with the unit MiB or GiB.
type byteSize int64

// String implements flag.Value.
func (b *byteSize) String() string { return strconv.FormatInt(int64(*b), 10) }

// Set implements flag.Value.
func (b *byteSize) Set(s string) error {
	number, unit := s, int64(1)
	for name, bytes := range map[string]int64{"MiB": 1 << 20, "GiB": 1 << 30} {
		if before, ok := strings.CutSuffix(s, name); ok {
			number, unit = before, bytes
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < onetime.MinPartBytes/unit || n > onetime.MaxBytes/unit {
		return errors.New("want 5MiB to 5GiB, in bytes or with MiB or GiB")
	}
	*b = byteSize(n * unit)
	return nil
}

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

// putParts sends a file in parts. It returns errOnePut where the file may go in one PUT
// instead.
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
	// The second is what a deployment answers to POST where its setting multipart is off.
	case refusal != nil && (refusal.Reason == onetime.NoMultipart || refusal.Reason == onetime.Method):
		if u.Size > onetime.MaxBytes || p.multipart {
			refusal.Message += fmt.Sprintf("; no parts can be sent here, and one PUT holds at most %d bytes (5 GiB)", int64(onetime.MaxBytes))
			return stored, refusal
		}
		return stored, errOnePut
	case err != nil && ctx.Err() != nil && client.FateOf(err) == client.Good:
		return stored, &client.UploadError{Fate: client.Good, Err: errors.New("interrupted")}
	}
	return stored, err
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

// consequenceOfParts is consequence for a file in parts.
func consequenceOfParts(err error, u client.URL, given bool) string {
	refusal, _ := errors.AsType[*client.Refusal](err)
	switch fate := client.FateOf(err); {
	case fate == client.Useless && refusal.Reason == onetime.Expired:
		return "; nothing was stored: put the file again, with a URL that lives longer (--expires)"
	case errors.Is(err, client.ErrAltered), fate == client.Useless, fate == client.Good && refusal != nil && refusal.Reason != "" && !refusal.Reason.Again():
		return consequence(err, u, given) // nothing that the same again would mend
	case fate == client.Good && given:
		return "; nothing was stored and the URL is still good: put the file again with it, and only what is missing is sent"
	case fate == client.Good:
		return "; nothing was stored"
	}
	return fmt.Sprintf("; the file may be stored, oncegate status %s says", u.ID)
}
