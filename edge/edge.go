// Package edge is what runs at CloudFront's edge: viewer-request events in,
// responses or forwarded requests out. It knows CloudFront's events and the HTTP
// meaning of a decision; the decision itself is package onetime's.
package edge

import (
	"context"
	"fmt"
	"time"

	"oncegate/internal/invite"
	"oncegate/internal/lean/strictjson"
	"oncegate/internal/onetime"
)

// Functions are the two viewer-request functions of a distribution.
type Functions struct {
	Minter         *onetime.Minter
	Gate           *onetime.Gate
	Multipart      *onetime.Multipart // nil: a URL takes one PUT and nothing else
	Auth           Authorizer         // who may mint; nil: anybody
	Owner          *onetime.Owner     // answers for /url/<id>; nil: nothing is there
	Invitations    *invite.Minter     // URLs for whoever has the token of one; nil: no token is known
	Quota          *onetime.Quota     // holds API keys to a number of URLs a day
	Keeper         *invite.Keeper     // answers for /invitations; nil: nothing is there
	MaxCount       int                // URLs in one answer of mint
	AllowedOrigins []string           // origins of CORS, or the single "*"
	Scheme         string             // of minted URLs: "https" at the real edge
	Log            Log
}

// Names of the functions, as the handlers in the artifact are called.
const (
	MintFunction = "mint"
	GateFunction = "gate"
)

// Handle runs the function of this name on one event in CloudFront's JSON and
// returns a Result in JSON. It does not fail: whatever goes wrong is a refusal.
// deadline is when the result must be ready.
func (f *Functions) Handle(ctx context.Context, name string, eventJSON string, deadline time.Time) []byte {
	event, err := parseEvent(eventJSON)
	var result Result
	if err != nil {
		result = f.refuse(&call{function: name}, fmt.Errorf("event: %w", err))
	} else {
		result = f.Decide(ctx, name, event, deadline)
	}
	return strictjson.Marshal(result.write)
}

// Decide runs the function of this name on one event.
func (f *Functions) Decide(ctx context.Context, name string, event Event, deadline time.Time) (result Result) {
	c, err := newCall(name, event, deadline)
	defer func() {
		if p := recover(); p != nil {
			result = f.refuse(c, fmt.Errorf("panic: %v", p))
		}
		if result.Response != nil {
			f.addCORS(result.Response, c)
		}
	}()
	switch {
	case err != nil:
	case name != MintFunction && name != GateFunction:
		err = fmt.Errorf("there is no function %q", name)
	case c.request.Method == methodOptions:
		return Result{Response: f.preflight(c)}
	default:
		result, err = f.dispatch(ctx, c)
	}
	if err != nil {
		return f.refuse(c, err)
	}
	return result
}
