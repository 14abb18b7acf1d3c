package edge

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"oncegate/internal/lean/ascii"
	"oncegate/internal/lean/strictjson"
	"oncegate/internal/onetime"
)

// A generated answer is plain text, or JSON if the client accepts that. The JSON is
// that of openapi.yaml.

// mintedJSON is one URL.
type mintedJSON struct {
	URL       string
	Method    string
	Headers   map[string]string // what the client should send
	ID        onetime.ID
	ExpiresAt time.Time
	Limits    onetime.Limits
	Name      string
	Label     string
	Prefix    string
	Meta      onetime.Meta
	Tags      onetime.Tags
}

// refusalJSON is a refusal.
type refusalJSON struct {
	Status  int
	Reason  onetime.Reason
	Message string
}

// wantsJSON reports whether Accept names JSON. */* does not: curl sends that. Nor does
// a weight of 0, which means "not this" (RFC 9110, 12.4.2). All other weights are
// alike.
func wantsJSON(headers Headers) bool { return accepts(headers, "accept", "application/json") }

// accepts reports whether a header that lists what the client takes names this.
func accepts(headers Headers, header, what string) bool {
	for _, line := range headers[header] {
		for value := range strings.SplitSeq(line.Value, ",") {
			if mediaType(value) == what && !weightless(value) {
				return true
			}
		}
	}
	return false
}

func weightless(value string) bool {
	for parameter := range strings.SplitSeq(ascii.Lower(value), ";") {
		if q, ok := strings.CutPrefix(ascii.Trim(parameter), "q="); ok {
			weight, err := strconv.ParseFloat(q, 64)
			return err == nil && weight == 0
		}
	}
	return false
}

// minted hands out URLs on base, scheme and host. single: one was asked for, without
// a count.
func (c *call) minted(base string, urls []onetime.Minted, single bool) *Response {
	if !c.asJSON {
		lines := make([]string, len(urls))
		for i, m := range urls {
			lines[i] = base + m.Path + "?" + m.Query
		}
		return answer(statusOK, strings.Join(lines, "\n"))
	}
	all := make([]mintedJSON, len(urls))
	for i, m := range urls {
		all[i] = mintedJSON{
			URL:       base + m.Path + "?" + m.Query,
			Method:    methodPut,
			Headers:   map[string]string{},
			ID:        m.ID,
			ExpiresAt: m.Expires,
			Limits:    m.Order.Limits,
			Name:      m.Order.Name,
			Label:     m.Order.Label,
			Prefix:    m.Order.Prefix,
			Meta:      m.Order.Meta,
			Tags:      m.Order.Tags,
		}
		if t := m.Order.Limits.OnlyType(); t != "" {
			all[i].Headers["content-type"] = t
		}
	}
	if single {
		return jsonAnswer(statusOK, all[0].write)
	}
	return jsonAnswer(statusOK, func(w *strictjson.Writer) {
		w.Objects("urls", len(all), func(w *strictjson.Writer, i int) { all[i].write(w) })
	})
}

// refuse is the answer to a call that failed, and the log's line about it.
func (f *Functions) refuse(c *call, err error) Result {
	reason, detail := onetime.ReasonOf(err), ""
	if refusal, ok := errors.AsType[*onetime.Refusal](err); ok {
		detail = refusal.Detail
	}
	f.logRefusal(c, reason, err)
	if c.route != nil {
		if row, ok := c.route.refusals.row(reason); ok {
			return Result{Response: row.answer(reason, "", c.asJSON)}
		}
	}
	response := refusal(reason, detail, c.asJSON)
	switch row, _ := refusals.row(reason); {
	case row.status != statusUnauthorized:
	case reason == onetime.InvitationUnknown || f.Auth == nil:
		response.Headers.set("www-authenticate", invitationChallenge)
	default:
		response.Headers.set("www-authenticate", f.Auth.Challenge(reason))
	}
	return Result{Response: response}
}

// refusal is the answer for a reason, in the words of the table or, where the
// domain has something more exact to say to the client, in those of detail.
func refusal(reason onetime.Reason, detail string, asJSON bool) *Response {
	row, ok := refusals.row(reason)
	if !ok {
		reason, detail = onetime.Internal, ""
		row, _ = refusals.row(reason)
	}
	return row.answer(reason, detail, asJSON)
}

func (row row) answer(reason onetime.Reason, detail string, asJSON bool) *Response {
	message := statusText(row.status) + ": " + row.sentence
	if detail != "" {
		message = statusText(row.status) + ": " + detail + "."
	}
	r := answer(row.status, message)
	if asJSON {
		r = jsonAnswer(row.status, refusalJSON{row.status, reason, message}.write)
	}
	r.Headers.set("x-oncegate-reason", string(reason))
	// Uppy and other clients of S3 show this one: it is the name of S3's own errors.
	r.Headers.set("x-amz-error-code", string(reason))
	if reason.Again() {
		r.Headers.set("retry-after", retryAfter)
	}
	return r
}

// answer is a generated response in the form that the client wants: the text, or the
// JSON object whose members fill writes.
func (c *call) answer(status int, text string, fill func(w *strictjson.Writer)) *Response {
	if c.asJSON {
		return jsonAnswer(status, fill)
	}
	return answer(status, text)
}

// answer is a generated response: plain text that no cache keeps.
func answer(status int, body string) *Response {
	r := &Response{
		Status:            strconv.Itoa(status),
		StatusDescription: statusText(status),
		Headers:           Headers{},
		Body:              body,
	}
	r.Headers.set("cache-control", "no-store")
	if status != statusNoContent {
		r.Headers.set("content-type", "text/plain; charset=utf-8")
	}
	return r
}

func jsonAnswer(status int, write func(w *strictjson.Writer)) *Response {
	r := answer(status, string(strictjson.Marshal(write)))
	r.Headers.set("content-type", "application/json")
	return r
}
