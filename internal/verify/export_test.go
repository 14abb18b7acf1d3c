package verify

import (
	"context"
	"testing"
)

// AccessLog checks the one line about access logs.
func AccessLog(ctx context.Context, t *testing.T, o Options) Line {
	t.Helper()
	r, err := newRun(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range promises {
		if p.id == "access-log" {
			return r.line(ctx, p)
		}
	}
	t.Fatal("there is no line access-log")
	return Line{}
}
