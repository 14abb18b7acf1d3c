package verify

import (
	"context"
	"strings"
)

// multipart sends a file in one part. Without the setting all of it is refused.
func (r *run) multipart(ctx context.Context) error {
	m, _, err := r.mint(ctx)
	if err != nil {
		return err
	}
	with := func(what, method, operation string) request {
		return request{what: what, method: method, target: m.target + operation, body: strings.NewReader(""), length: 0}
	}
	start := with("POST with &uploads", "POST", "&uploads")
	a, err := r.do(ctx, start)
	switch {
	case err != nil:
		return err
	case a.is(403, "method"):
		r.observe("it is off")
		r.survives("multipart", m)
		return r.expect(ctx, []expectation{
			{with("GET with &parts", "GET", "&parts"), 403, "method"},
			{with("POST with &complete", "POST", "&complete"), 403, "method"},
			{with("DELETE", "DELETE", ""), 403, "method"},
		})
	case a.status != 200:
		return want("200 for "+start.what, "%v", a)
	}
	r.observe("it is on")
	m.spent, m.parts = true, true // from here on, perhaps
	part := put("a part", m.target+"&partNumber=1", "part")
	complete := with("POST with &complete", "POST", "&complete")
	for _, c := range []struct {
		q    request
		want string // in the answer
	}{
		{part, ""}, {part, ""},
		{with("GET with &parts", "GET", "&parts"), "1 4 "},
		{complete, "4\n"}, {complete, "4\n"},
	} {
		if c.q.what == part.what {
			c.q.body = strings.NewReader("part")
		}
		a, err := r.do(ctx, c.q)
		switch {
		case err != nil:
			return err
		case a.status != 200 || !strings.HasPrefix(a.text, c.want):
			return want("200 for "+c.q.what, "%v", a)
		}
	}
	m.stored = true
	gone, _, err := r.mint(ctx)
	if err != nil {
		return err
	}
	for range 2 {
		a, err := r.do(ctx, request{what: "DELETE", method: "DELETE", target: gone.target})
		if err != nil {
			return err
		}
		if gone.spent = true; a.status != 200 || a.text != "revoked" {
			return want("200 revoked for DELETE", "%v", a)
		}
	}
	return r.expect(ctx, []expectation{
		{put("a PUT after complete", m.target, "x"), 403, "used"},
		{put("a PUT after DELETE", gone.target, "x"), 403, "revoked"},
	})
}
