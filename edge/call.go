package edge

import (
	"fmt"
	"strings"
	"time"

	"oncegate/internal/invite"
	"oncegate/internal/onetime"
)

// call is one invocation, taken out of CloudFront's event once: what is asked, and
// what is found out about it on the way to an answer.
type call struct {
	function  string
	request   Request
	requestID string // CloudFront's
	attempt   onetime.Attempt
	deadline  time.Time // when the answer must be ready
	asJSON    bool      // the client wants JSON, in a refusal too
	endpoint  string    // the URL in the address of the gate that Uppy was given, see splitEndpoint

	host  string             // that the viewer has connected to, once it was checked
	route *route             // what is asked for, nil before that is known
	id    onetime.ID         // of the URL, where the path names it
	by    onetime.Credential // once it was checked
	// invitation is the one whose token came with the request, if the route takes tokens. Of
	// the token only the form was checked.
	invitation invite.ID
}

// newCall unwraps an event. An event that is not one viewer request means that the
// function hangs on the wrong trigger; the call that comes with that error has an
// empty request.
func newCall(function string, event Event, deadline time.Time) (*call, error) {
	c := &call{function: function, attempt: event.Attempt, deadline: deadline}
	if len(event.Records) != 1 {
		return c, fmt.Errorf("event: %d records, want one", len(event.Records))
	}
	cf := &event.Records[0].CF
	c.requestID = cf.Config.RequestID
	if t := cf.Config.EventType; t != EventViewerRequest {
		return c, fmt.Errorf("event: type %q, want %q", t, EventViewerRequest)
	}
	c.request = cf.Request
	c.asJSON = wantsJSON(c.request.Headers) || strings.HasPrefix(c.request.URI, companionPath)
	if function == GateFunction {
		c.request.URI, c.endpoint = splitEndpoint(c.request.URI)
	}
	return c, nil
}
