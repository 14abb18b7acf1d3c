package client

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"sync"

	"oncegate/internal/onetime"
)

// chunk is the content of one part, and why there is none after it.
type chunk struct {
	content []byte
	err     error
}

// PutStream uploads in parts what body has up to its end, whose length nobody knows. p.Body,
// p.Size and p.Unchanged do not count. It is as PutParts is, but keeps Parallel+1 parts in
// memory, and cannot take more than onetime.MaxParts parts of their size. If it returns early,
// it may still be reading.
func PutStream(ctx context.Context, p Parts, body io.Reader) (Stored, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	s := &sending{Parts: p, conn: transport()}
	defer s.end()

	// Nothing is started for nothing.
	first := make(chan chunk, 1)
	go func() {
		content := make([]byte, 1)
		_, err := io.ReadFull(body, content)
		first <- chunk{content, err}
	}()
	select {
	case <-ctx.Done():
		return Stored{}, stopped(ctx)
	case c := <-first:
		if c.err == io.EOF {
			return Stored{}, errEmpty
		}
		if c.err != nil {
			return Stored{}, unreadable(c.err)
		}
		body = io.MultiReader(bytes.NewReader(c.content), body)
	}
	plan, err := s.start(ctx)
	if err != nil {
		return Stored{}, err
	}
	s.bytes = min(max(cmp.Or(p.PartBytes, usualPart), onetime.MinPartBytes), plan.PartBytes)
	s.etags, s.crcs, s.sent = make([]string, plan.MaxParts), make([]uint64, plan.MaxParts), make([]int64, plan.MaxParts)
	count, err := s.stream(ctx, stop, body, plan)
	if err != nil {
		return Stored{}, err
	}
	s.etags, s.crcs = s.etags[:count], s.crcs[:count]
	return s.complete(ctx)
}

// stream sends parts as they come, and returns how many there are.
func (s *sending) stream(ctx context.Context, stop context.CancelCauseFunc, body io.Reader, plan partsPlan) (int, error) {
	free := make(chan []byte, s.width()+1)
	for range cap(free) {
		free <- nil // made when it is needed: most streams are short
	}
	chunks := make(chan chunk)
	go s.read(ctx, body, free, chunks)
	type job struct {
		i       int
		content []byte
	}
	jobs := make(chan job)
	var workers sync.WaitGroup
	for range s.width() {
		workers.Go(func() {
			for j := range jobs {
				if err := s.part(ctx, j.i, bytes.NewReader(j.content), 0, int64(len(j.content))); err != nil {
					stop(err) // the first one counts
				}
				free <- j.content
			}
		})
	}
	count := 0
	for last := false; !last && ctx.Err() == nil; {
		var c chunk
		select {
		case <-ctx.Done():
			continue
		case c = <-chunks:
		}
		last = c.err != nil
		s.Size += int64(len(c.content))
		switch {
		case last && c.err != io.EOF:
			stop(unreadable(c.err))
		case len(c.content) == 0: // the end, after a whole part
		case plan.MaxBytes > 0 && s.Size > plan.MaxBytes:
			stop(tooLarge(plan))
		case count == int(plan.MaxParts):
			stop(&Refusal{Reason: onetime.TooLarge, Message: fmt.Sprintf("there is more than fits in %d parts of %d bytes", plan.MaxParts, s.bytes)})
		default:
			jobs <- job{count, c.content}
			count++
		}
	}
	close(jobs)
	workers.Wait()
	return count, stopped(ctx)
}

// read cuts body into parts.
func (s *sending) read(ctx context.Context, body io.Reader, free <-chan []byte, chunks chan<- chunk) {
	for {
		var content []byte
		select {
		case <-ctx.Done():
			return
		case content = <-free:
		}
		if content == nil {
			content = make([]byte, s.bytes)
		}
		// Not io.ReadFull, which gives a body that broke off and one that ended the same error.
		n, err := 0, error(nil)
		for content = content[:s.bytes]; n < len(content) && err == nil; {
			var more int
			more, err = body.Read(content[n:])
			n += more
		}
		select {
		case <-ctx.Done():
			return
		case chunks <- chunk{content[:n], err}:
		}
		if err != nil {
			return
		}
	}
}

func unreadable(err error) error {
	return &UploadError{Fate: Good, Err: fmt.Errorf("what is uploaded cannot be read: %w", err)}
}
