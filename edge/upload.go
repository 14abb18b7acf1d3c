package edge

import (
	"context"

	"oncegate/internal/onetime"
)

// upload answers a PUT with a URL: it forwards what the gate lets pass.
func (f *Functions) upload(ctx context.Context, c *call) (Result, error) {
	pass, err := f.Gate.Decide(ctx, onetime.Put{
		Method:  c.request.Method,
		Path:    c.request.URI,
		Query:   c.request.Querystring,
		Headers: c.request.Headers,
		Request: c.requestID,
		Attempt: c.attempt,
	}, c.deadline)
	if err != nil {
		return Result{}, err
	}
	line := c.logLine("passed")
	line.String("id", string(pass.ID))
	line.String("key", pass.Key)
	f.log(c, line)
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
	return Result{Forward: forward}, nil
}
