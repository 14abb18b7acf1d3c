package edge

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"oncegate/internal/onetime"
)

// A generated answer is plain text, or JSON for who asks for it. The shapes of the
// JSON are those of openapi.yaml.

// mintedJSON is one URL.
type mintedJSON struct {
	URL       string            `json:"url"`
	Method    string            `json:"method"`
	Headers   map[string]string `json:"headers"` // what the client should send
	ID        onetime.ID        `json:"id"`
	ExpiresAt time.Time         `json:"expiresAt"`
	Limits    onetime.Limits    `json:"limits"`
	Name      string            `json:"name,omitempty"`
	Label     string            `json:"label,omitempty"`
}

// refusalJSON is a refusal.
type refusalJSON struct {
	Status  int            `json:"status"`
	Reason  onetime.Reason `json:"reason"`
	Message string         `json:"message"`
}

// wantsJSON tells whether Accept names JSON. */* does not: curl sends that. Nor does
// a weight of 0, which means "not this" (RFC 9110, 12.4.2); other weights count alike.
func wantsJSON(headers Headers) bool {
	for _, line := range headers.Values("accept") {
		for value := range strings.SplitSeq(line, ",") {
			if mediaType(value) == "application/json" && !weightless(value) {
				return true
			}
		}
	}
	return false
}

func weightless(value string) bool {
	for parameter := range strings.SplitSeq(strings.ToLower(value), ";") {
		if q, ok := strings.CutPrefix(strings.TrimSpace(parameter), "q="); ok {
			weight, err := strconv.ParseFloat(q, 64)
			return err == nil && weight == 0
		}
	}
	return false
}

// mintedAnswer hands out URLs on base, scheme and host. single tells that one was
// asked for without a count.
func mintedAnswer(base string, urls []onetime.Minted, single, asJSON bool) *Response {
	if !asJSON {
		lines := make([]string, len(urls))
		for i, m := range urls {
			lines[i] = base + m.Path + "?" + m.Query
		}
		return answer(http.StatusOK, strings.Join(lines, "\n"))
	}
	all := make([]mintedJSON, len(urls))
	for i, m := range urls {
		all[i] = mintedJSON{
			URL:       base + m.Path + "?" + m.Query,
			Method:    http.MethodPut,
			Headers:   map[string]string{},
			ID:        m.ID,
			ExpiresAt: m.Expires,
			Limits:    m.Order.Limits,
			Name:      m.Order.Name,
			Label:     m.Order.Label,
		}
		if t := m.Order.Limits.Type; t != "" && !strings.HasSuffix(t, "/*") {
			all[i].Headers["content-type"] = t
		}
	}
	if single {
		return jsonAnswer(http.StatusOK, all[0])
	}
	return jsonAnswer(http.StatusOK, map[string]any{"urls": all})
}

// refusal is the answer for a reason, in the words of the table or, where the
// domain has something more exact to say to the client, in those of detail.
func refusal(reason onetime.Reason, detail string, asJSON bool) *Response {
	row, ok := refusals[reason]
	if !ok {
		reason, detail = onetime.Internal, ""
		row = refusals[reason]
	}
	return row.answer(reason, detail, asJSON)
}

func (row row) answer(reason onetime.Reason, detail string, asJSON bool) *Response {
	message := http.StatusText(row.status) + ": " + row.sentence
	if detail != "" {
		message = http.StatusText(row.status) + ": " + detail + "."
	}
	r := answer(row.status, message)
	if asJSON {
		r = jsonAnswer(row.status, refusalJSON{row.status, reason, message})
	}
	r.Headers.set("x-oncegate-reason", string(reason))
	if reason == onetime.IndexUnavailable || reason == onetime.KeysUnavailable {
		r.Headers.set("retry-after", retryAfter)
	}
	return r
}

// answer is a generated response: plain text that no cache keeps.
func answer(status int, body string) *Response {
	r := &Response{
		Status:            strconv.Itoa(status),
		StatusDescription: http.StatusText(status),
		Headers:           Headers{},
		Body:              body,
	}
	r.Headers.set("cache-control", "no-store")
	if status != http.StatusNoContent {
		r.Headers.set("content-type", "text/plain; charset=utf-8")
	}
	return r
}

func jsonAnswer(status int, value any) *Response {
	var body strings.Builder
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // leaves the & of URLs to be read by people and grep
	if err := encoder.Encode(value); err != nil {
		panic(err) // strings, numbers and times: it cannot fail; Decide would refuse
	}
	r := answer(status, strings.TrimSuffix(body.String(), "\n"))
	r.Headers.set("content-type", "application/json")
	return r
}
