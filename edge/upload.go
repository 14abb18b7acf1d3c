package edge

import (
	"context"
	"strings"

	"oncegate/internal/onetime"
)

// upload answers a PUT with a URL: it forwards what the gate lets pass, a whole file or
// a part of one.
func (f *Functions) upload(ctx context.Context, c *call) (Result, error) {
	if f.Multipart != nil && strings.Contains(c.request.Querystring, onetime.OpPart) {
		return f.part(ctx, c)
	}
	pass, err := f.Gate.Decide(ctx, c.put(), c.deadline)
	if err != nil {
		return Result{}, err
	}
	line := c.logLine("passed")
	line.String("id", string(pass.ID))
	line.String("key", pass.Key)
	f.log(c, line)
	return Result{Forward: c.forward(pass)}, nil
}

// forward is the request as it goes on to S3.
func (c *call) forward(pass onetime.Pass) *Forward {
	forward := &Forward{Querystring: pass.Query, Drop: make([]string, 0, len(c.request.Headers))}
	for name := range c.request.Headers {
		if !onetime.Forwarded(name) {
			forward.Drop = append(forward.Drop, name)
		}
	}
	sortStrings(forward.Drop) // same event, same answer
	for name, value := range pass.Headers {
		if forward.Set == nil {
			forward.Set = Headers{}
		}
		forward.Set.set(name, value)
	}
	return forward
}
