package edge

import (
	"errors"

	"oncegate/internal/lean/strictjson"
)

// parseEvent reads an Event as the tags of its fields say. Fields that are not known,
// of which CloudFront's events have some, are left out; null is as good as nothing.
func parseEvent(eventJSON string) (Event, error) {
	document, err := strictjson.Parse(eventJSON)
	if err != nil {
		return Event{}, err
	}
	var r eventReader
	var event Event
	for _, record := range r.of(r.object(document).Get("Records"), strictjson.Array) {
		cf := r.object(r.object(record.Value).Get("cf"))
		config, request := r.object(cf.Get("config")), r.object(cf.Get("request"))
		event.Records = append(event.Records, Record{CF{
			Config: Config{
				DistributionDomainName: r.text(config, "distributionDomainName"),
				DistributionID:         r.text(config, "distributionId"),
				EventType:              r.text(config, "eventType"),
				RequestID:              r.text(config, "requestId"),
			},
			Request: Request{
				ClientIP:    r.text(request, "clientIp"),
				Headers:     r.headers(request.Get("headers")),
				Method:      r.text(request, "method"),
				Querystring: r.text(request, "querystring"),
				URI:         r.text(request, "uri"),
				Body:        r.body(request.Get("body")),
			},
		}})
	}
	if r.wrong {
		return Event{}, errors.New("a field is of another type")
	}
	return event, nil
}

// eventReader remembers that something was of another type than it should be.
type eventReader struct{ wrong bool }

// of returns what is in an array or an object.
func (r *eventReader) of(v strictjson.Value, kind strictjson.Kind) []strictjson.Member {
	if v.Kind != kind && v.Kind != strictjson.Absent && v.Kind != strictjson.Null {
		r.wrong = true
	}
	return v.Members
}

func (r *eventReader) object(v strictjson.Value) strictjson.Value {
	r.of(v, strictjson.Object)
	return v
}

func (r *eventReader) text(object strictjson.Value, name string) string {
	v := object.Get(name)
	s, ok := v.Text()
	if !ok && v.Kind != strictjson.Absent && v.Kind != strictjson.Null {
		r.wrong = true
	}
	return s
}

func (r *eventReader) headers(v strictjson.Value) Headers {
	members := r.of(v, strictjson.Object)
	if v.Kind != strictjson.Object {
		return nil
	}
	headers := make(Headers, len(members))
	for _, header := range members {
		values := r.of(header.Value, strictjson.Array)
		lines := make([]Header, len(values))
		for i, line := range values {
			r.object(line.Value)
			lines[i] = Header{Key: r.text(line.Value, "key"), Value: r.text(line.Value, "value")}
		}
		headers[header.Name] = lines
	}
	return headers
}

func (r *eventReader) body(v strictjson.Value) *Body {
	r.object(v)
	if v.Kind != strictjson.Object {
		return nil
	}
	truncated := v.Get("inputTruncated")
	cut, ok := truncated.Bool()
	if !ok && truncated.Kind != strictjson.Absent && truncated.Kind != strictjson.Null {
		r.wrong = true
	}
	return &Body{InputTruncated: cut, Action: r.text(v, "action"), Encoding: r.text(v, "encoding"), Data: r.text(v, "data")}
}

// write writes a Result as the tags of its fields say.
func (r Result) write(w *strictjson.Writer) {
	if r.Response != nil {
		w.Object("response", r.Response.write)
	}
	if r.Forward != nil {
		w.Object("forward", r.Forward.write)
	}
}

func (r Response) write(w *strictjson.Writer) {
	w.String("status", r.Status)
	w.StringIf("statusDescription", r.StatusDescription)
	if len(r.Headers) > 0 {
		w.Object("headers", r.Headers.write)
	}
	w.StringIf("body", r.Body)
}

func (f Forward) write(w *strictjson.Writer) {
	w.String("querystring", f.Querystring)
	if len(f.Drop) > 0 {
		w.Strings("drop", f.Drop)
	}
	if len(f.Set) > 0 {
		w.Object("set", f.Set.write)
	}
}

func (h Headers) write(w *strictjson.Writer) {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	sortStrings(names) // same event, same answer
	for _, name := range names {
		w.Objects(name, len(h[name]), func(w *strictjson.Writer, i int) {
			w.StringIf("key", h[name][i].Key)
			w.String("value", h[name][i].Value)
		})
	}
}

// write writes a refusal as openapi.yaml has it.
func (r refusalJSON) write(w *strictjson.Writer) {
	w.Int("status", int64(r.Status))
	w.String("reason", string(r.Reason))
	w.String("message", r.Message)
}

// write writes one URL as openapi.yaml has it.
func (m mintedJSON) write(w *strictjson.Writer) {
	w.String("url", m.URL)
	w.String("method", m.Method)
	w.Object("headers", func(w *strictjson.Writer) {
		for name, value := range m.Headers {
			w.String(name, value)
		}
	})
	w.String("id", string(m.ID))
	w.Time("expiresAt", m.ExpiresAt)
	w.Object("limits", m.Limits.Write)
	w.StringIf("name", m.Name)
	w.StringIf("label", m.Label)
	w.StringIf("prefix", m.Prefix)
	m.Meta.WriteIf(w, "meta")
	m.Tags.WriteIf(w, "tags")
}
