package main

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"oncegate/internal/acceptance"
	"oncegate/internal/onetime"
)

// entries answers each read with the next of these errors, and then with an entry.
type entries struct {
	errs  []error
	reads int
}

func (e *entries) ReadUpload(context.Context, time.Duration, string) ([]byte, error) {
	if e.reads++; e.reads <= len(e.errs) {
		return nil, e.errs[e.reads-1]
	}
	return []byte("an entry"), nil
}

// TestReadUpload: a read of the table is made again if that may help, and not forever. An
// entry that is not there is acceptance's word for it.
func TestReadUpload(t *testing.T) {
	lost, refused := &onetime.Fault{Op: "ReadUpload"}, &onetime.Fault{Op: "ReadUpload", Status: 400}
	for name, test := range map[string]struct {
		errs  []error
		want  error
		reads int
	}{
		"there":         {nil, nil, 1},
		"absent":        {[]error{onetime.ErrAbsent}, acceptance.ErrAbsent, 1},
		"lost twice":    {[]error{lost, lost}, nil, 3},
		"lost":          {slices.Repeat([]error{lost}, 9), lost, readTries},
		"then absent":   {[]error{lost, onetime.ErrAbsent}, acceptance.ErrAbsent, 2},
		"without right": {[]error{refused}, refused, 1},
	} {
		index := &entries{errs: test.errs}
		body, err := withEntries{index: index}.ReadUpload(t.Context(), "uploads/x")
		if !errors.Is(err, test.want) || (err == nil) != (string(body) == "an entry") || index.reads != test.reads {
			t.Errorf("%s: %q, %v after %d reads, want %v after %d", name, body, err, index.reads, test.want, test.reads)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (withEntries{index: &entries{errs: []error{lost}}}).ReadUpload(ctx, "uploads/x"); !errors.Is(err, context.Canceled) {
		t.Errorf("without time: %v", err)
	}
}
