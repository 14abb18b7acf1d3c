// Package edge is what runs at CloudFront's edge: viewer-request events in,
// responses or forwarded requests out. It knows CloudFront's events and the HTTP
// meaning of a decision; the decision itself is package onetime's.
package edge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"oncegate/internal/lean/strictjson"
	"oncegate/internal/onetime"
)

// Functions are the two viewer-request functions of a distribution.
type Functions struct {
	Minter         *onetime.Minter
	Gate           *onetime.Gate
	Auth           Authorizer     // who may mint; nil: anybody
	Owner          *onetime.Owner // answers for /url/<id>; nil: nothing is there
	MaxCount       int            // URLs in one answer of mint
	AllowedOrigins []string       // origins of CORS, or the single "*"
	Scheme         string         // of minted URLs: "https" at the real edge
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
		f.logRefusal(name, event, onetime.Internal, fmt.Errorf("event: %w", err))
		result = Result{Response: refusal(onetime.Internal, "", false)}
	} else {
		result = f.Decide(ctx, name, event, deadline)
	}
	return strictjson.Marshal(result.write)
}

// Decide runs the function of this name on one event.
func (f *Functions) Decide(ctx context.Context, name string, event Event, deadline time.Time) (result Result) {
	var request Request
	defer func() {
		if p := recover(); p != nil {
			f.logRefusal(name, event, onetime.Internal, fmt.Errorf("panic: %v", p))
			result = Result{Response: refusal(onetime.Internal, "", wantsJSON(request.Headers))}
		}
		if result.Response != nil {
			f.addCORS(result.Response, request)
		}
	}()

	var err error
	if err = event.check(); err == nil {
		request = event.Records[0].CF.Request
		switch {
		case name != MintFunction && name != GateFunction:
			err = fmt.Errorf("there is no function %q", name)
		case request.Method == methodOptions:
			return Result{Response: f.preflight(name, request)}
		case name == MintFunction:
			result, err = f.mint(ctx, event, deadline)
		default:
			result, err = f.gate(ctx, event, deadline)
		}
	}
	if err != nil {
		reason, detail := onetime.ReasonOf(err), ""
		if refusal, ok := errors.AsType[*onetime.Refusal](err); ok {
			detail = refusal.Detail
		}
		f.logRefusal(name, event, reason, err)
		response := refusal(reason, detail, wantsJSON(request.Headers))
		if refusals[reason].status == statusUnauthorized && f.Auth != nil {
			response.Headers.set("www-authenticate", f.Auth.Challenge(reason))
		}
		return Result{Response: response}
	}
	return result
}

// check makes sure that this is one viewer request. Anything else means that the
// function hangs on the wrong trigger.
func (e Event) check() error {
	if len(e.Records) != 1 {
		return fmt.Errorf("event: %d records, want one", len(e.Records))
	}
	if t := e.Records[0].CF.Config.EventType; t != EventViewerRequest {
		return fmt.Errorf("event: type %q, want %q", t, EventViewerRequest)
	}
	return nil
}

func (f *Functions) mint(ctx context.Context, event Event, deadline time.Time) (Result, error) {
	request := event.Records[0].CF.Request
	if f.Owner != nil && strings.HasPrefix(request.URI, ownerPath) {
		return f.owner(ctx, event, deadline)
	}
	switch {
	case request.URI != "/url":
		return Result{}, &onetime.Refusal{Reason: onetime.Path}
	case request.Method != methodGet && request.Method != methodHead && request.Method != methodPost:
		return Result{}, &onetime.Refusal{Reason: onetime.Method}
	}
	// HEAD is for link previews and monitors: it makes nothing, asks S3 nothing and
	// says nothing but that the function runs, so it needs no credential.
	var by string
	if f.Auth != nil && request.Method != methodHead {
		var err error
		if by, err = f.Auth.Authorize(ctx, request.Headers, deadline); err != nil {
			return Result{}, err
		}
	}
	orders, err := parseOrders(request, f.MaxCount)
	if err != nil {
		return Result{}, err
	}
	orders.By = by
	if request.Method == methodHead {
		// What a GET would say of itself, without a URL being made.
		if err := f.Minter.Check(orders.Order); err != nil {
			return Result{}, err
		}
		r := answer(statusOK, "")
		if wantsJSON(request.Headers) {
			r.Headers.set("content-type", "application/json")
		}
		return Result{Response: r}, nil
	}
	host := request.Headers.Values("host")
	if len(host) != 1 || host[0] == "" {
		return Result{}, errors.New("event: want one host header")
	}
	urls, err := f.mintAll(ctx, orders, deadline)
	if err != nil {
		return Result{}, err
	}
	for _, m := range urls {
		line := logLine(levelInfo, "minted")
		line.String("function", MintFunction)
		line.String("id", string(m.ID))
		line.String("key", m.Key)
		line.Time("expires", m.Expires)
		line.String("request", event.Records[0].CF.Config.RequestID)
		line.StringIf("by", by)
		f.Log.write(line)
	}
	return Result{Response: mintedAnswer(f.Scheme+"://"+host[0], urls, orders.count == 0, wantsJSON(request.Headers))}, nil
}

// mintAll fills all the orders or none: of those that were registered before one
// failed, nobody ever learns.
func (f *Functions) mintAll(ctx context.Context, o orders, deadline time.Time) ([]onetime.Minted, error) {
	urls := make([]onetime.Minted, max(1, o.count))
	errs := make([]error, len(urls))
	mint := func(i int) {
		defer func() {
			if p := recover(); p != nil {
				errs[i] = fmt.Errorf("panic: %v", p)
			}
		}()
		urls[i], errs[i] = f.Minter.Mint(ctx, o.Order, deadline)
	}
	var done sync.WaitGroup
	for i := 1; i < len(urls); i++ {
		done.Go(func() { mint(i) })
	}
	mint(0) // here, for the stack of a new goroutine has to grow first
	done.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return urls, nil
}

func (f *Functions) gate(ctx context.Context, event Event, deadline time.Time) (Result, error) {
	request := event.Records[0].CF.Request
	requestID := event.Records[0].CF.Config.RequestID
	pass, err := f.Gate.Decide(ctx, onetime.Put{
		Method:  request.Method,
		Path:    request.URI,
		Query:   request.Querystring,
		Headers: request.Headers,
		Request: requestID,
		Attempt: event.Attempt,
	}, deadline)
	if err != nil {
		return Result{}, err
	}
	line := logLine(levelInfo, "passed")
	line.String("function", GateFunction)
	line.String("id", string(pass.ID))
	line.String("key", pass.Key)
	line.String("request", requestID)
	f.Log.write(line)
	forward := &Forward{Querystring: pass.Query}
	for name := range request.Headers {
		if !onetime.Forwarded(name) {
			forward.Drop = append(forward.Drop, name)
		}
	}
	slices.Sort(forward.Drop) // same event, same answer
	for name, value := range pass.Headers {
		if forward.Set == nil {
			forward.Set = Headers{}
		}
		forward.Set.set(name, value)
	}
	return Result{Forward: forward}, nil
}

// set replaces a header by one line. CloudFront spells the wire name itself when
// Key is left out.
func (h Headers) set(name, value string) { h[name] = []Header{{Value: value}} }
