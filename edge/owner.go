package edge

import (
	"context"

	"oncegate/internal/lean/strictjson"
	"oncegate/internal/onetime"
)

// The owner of a URL names it by its fingerprint, and sends a credential of his.

// status answers GET and HEAD /url/<id>: what became of the URL.
func (f *Functions) status(ctx context.Context, c *call) (Result, error) {
	if err := c.noOptions(); err != nil {
		return Result{}, err
	}
	s, err := f.Owner.Status(ctx, c.by, c.id, c.deadline)
	if err != nil {
		return Result{}, err
	}
	line := c.logLine("status")
	line.String("id", string(c.id))
	line.String("state", string(s.State))
	f.log(c, line)
	response := c.answer(statusOK, string(s.State), s.Write)
	if c.request.Method == methodHead {
		response.Body = ""
	}
	return Result{Response: response}, nil
}

// revoke answers DELETE /url/<id>: it revokes the URL.
func (f *Functions) revoke(ctx context.Context, c *call) (Result, error) {
	if err := c.noOptions(); err != nil {
		return Result{}, err
	}
	now, err := f.Owner.Revoke(ctx, c.by, c.id, c.deadline)
	if err != nil {
		return Result{}, err
	}
	line := c.logLine("revoked")
	line.String("id", string(c.id))
	line.Bool("now", now)
	f.log(c, line)
	return Result{Response: c.revoked(c.id)}, nil
}

// revoked is the answer to whoever has taken a URL back.
func (c *call) revoked(id onetime.ID) *Response {
	return c.answer(statusOK, string(onetime.StateRevoked), func(w *strictjson.Writer) {
		w.String("id", string(id))
		w.String("state", string(onetime.StateRevoked))
	})
}

func (c *call) noOptions() error {
	if c.request.Querystring != "" {
		return &onetime.Refusal{Reason: onetime.Options, Detail: "there are no options here"}
	}
	return nil
}
