package edge

import (
	"oncegate/internal/onetime"
)

// Event is a CloudFront viewer-request event, field for field as documented:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-event-structure.html
// (the prose of that page spells distributionID, every sample on it spells
// distributionId; the samples are what CloudFront sends).
type Event struct {
	Records []Record `json:"Records"`
	// Attempt is not CloudFront's. A caller that may invoke a function twice for one
	// request sets it.
	Attempt onetime.Attempt `json:"-"`
}

// Record holds the one CloudFront request that an event carries.
type Record struct {
	CF CF `json:"cf"`
}

// CF is the request and the distribution that received it.
type CF struct {
	Config  Config  `json:"config"`
	Request Request `json:"request"`
}

// Config names the distribution and the trigger. RequestID is opaque; it is the
// x-edge-request-id of the access logs and the x-amz-cf-id of the response.
type Config struct {
	DistributionDomainName string `json:"distributionDomainName"`
	DistributionID         string `json:"distributionId"`
	EventType              string `json:"eventType"`
	RequestID              string `json:"requestId"`
}

// EventViewerRequest is the only Config.EventType that the functions accept.
const EventViewerRequest = "viewer-request"

// Request is what the viewer asked for. URI is the raw path, Querystring the raw
// query without "?": CloudFront neither decodes nor reorders them.
type Request struct {
	ClientIP    string  `json:"clientIp"`
	Headers     Headers `json:"headers"`
	Method      string  `json:"method"`
	Querystring string  `json:"querystring"`
	URI         string  `json:"uri"`
	Body        *Body   `json:"body,omitempty"`
}

// Body is a request's body, present only where the association includes it. It is
// cut off at 40 KB.
type Body struct {
	InputTruncated bool   `json:"inputTruncated"`
	Action         string `json:"action"`   // "read-only"
	Encoding       string `json:"encoding"` // of Data: "base64" or "text"
	Data           string `json:"data"`
}

// Headers maps a lower-case header name to its values, one Header per value.
type Headers map[string][]Header

// Header is one header line. Key keeps the spelling of the wire; it may be
// missing in what a function returns.
type Header struct {
	Key   string `json:"key,omitempty"`
	Value string `json:"value"`
}

// Values returns the values of the header with this lower-case name, in order.
func (h Headers) Values(name string) []string {
	lines := h[name]
	if len(lines) == 0 {
		return nil
	}
	values := make([]string, len(lines))
	for i, line := range lines {
		values[i] = line.Value
	}
	return values
}

// Names are the lower-case names of all headers, in no order.
func (h Headers) Names() []string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	return names
}

// set replaces a header by one line. CloudFront spells the wire name itself when
// Key is left out.
func (h Headers) set(name, value string) { h[name] = []Header{{Value: value}} }

// Response is an answer that a function generates in place of the origin's.
// Status is a decimal string, "200" to "599"; a number is refused by CloudFront.
type Response struct {
	Status            string  `json:"status"`
	StatusDescription string  `json:"statusDescription,omitempty"`
	Headers           Headers `json:"headers,omitempty"`
	Body              string  `json:"body,omitempty"`
}

// Forward says how the received request is changed before CloudFront sends it to
// the origin. It is a change and not a whole request because CloudFront answers
// 502 when a read-only header comes back altered or missing: what is not named
// here stays the very object that CloudFront handed in.
type Forward struct {
	Querystring string   `json:"querystring"`
	Drop        []string `json:"drop,omitempty"` // lower-case header names
	Set         Headers  `json:"set,omitempty"`
}

// Result is what a function decides: exactly one of the two is set.
type Result struct {
	Response *Response `json:"response,omitempty"`
	Forward  *Forward  `json:"forward,omitempty"`
}
