package edge

import (
	"errors"
	"maps"
	"slices"

	"oncegate/internal/strictjson"
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

// marshal writes a Result as the tags of its fields say.
func (r Result) marshal() []byte {
	var w strictjson.Writer
	if r.Response != nil {
		w.Raw("response", r.Response.marshal())
	}
	if r.Forward != nil {
		w.Raw("forward", r.Forward.marshal())
	}
	return w.Bytes()
}

func (r Response) marshal() []byte {
	var w strictjson.Writer
	w.String("status", r.Status)
	w.StringIf("statusDescription", r.StatusDescription)
	if len(r.Headers) > 0 {
		w.Raw("headers", r.Headers.marshal())
	}
	w.StringIf("body", r.Body)
	return w.Bytes()
}

func (f Forward) marshal() []byte {
	var w strictjson.Writer
	w.String("querystring", f.Querystring)
	if len(f.Drop) > 0 {
		w.Array("drop", len(f.Drop), func(b []byte, i int) []byte { return strictjson.AppendString(b, f.Drop[i]) })
	}
	if len(f.Set) > 0 {
		w.Raw("set", f.Set.marshal())
	}
	return w.Bytes()
}

func (h Headers) marshal() []byte {
	var w strictjson.Writer
	for _, name := range slices.Sorted(maps.Keys(h)) { // same event, same answer
		w.Array(name, len(h[name]), func(b []byte, i int) []byte {
			var line strictjson.Writer
			line.StringIf("key", h[name][i].Key)
			line.String("value", h[name][i].Value)
			return append(b, line.Bytes()...)
		})
	}
	return w.Bytes()
}

// marshal writes a refusal as openapi.yaml has it.
func (r refusalJSON) marshal() []byte {
	var w strictjson.Writer
	w.Int("status", int64(r.Status))
	w.String("reason", string(r.Reason))
	w.String("message", r.Message)
	return w.Bytes()
}

// marshal writes what became of a URL as openapi.yaml has it.
func (s statusJSON) marshal() []byte {
	var w strictjson.Writer
	w.String("id", string(s.ID))
	w.String("state", string(s.State))
	w.String("key", s.Key)
	w.Time("createdAt", s.CreatedAt)
	w.Time("expiresAt", s.ExpiresAt)
	if !s.SpentAt.IsZero() {
		w.Time("spentAt", s.SpentAt)
	}
	w.Raw("limits", s.Limits.Marshal())
	w.StringIf("name", s.Name)
	w.StringIf("label", s.Label)
	if o := s.Object; o != nil {
		var object strictjson.Writer
		object.Int("size", o.Size)
		object.String("etag", o.ETag)
		object.StringIf("version", o.Version)
		object.StringIf("sha256", o.SHA256)
		object.Time("storedAt", o.StoredAt)
		w.Raw("object", object.Bytes())
	}
	return w.Bytes()
}

// marshal writes the answer to a URL that was taken back as openapi.yaml has it.
func (r revokedJSON) marshal() []byte {
	var w strictjson.Writer
	w.String("id", string(r.ID))
	w.String("state", string(r.State))
	return w.Bytes()
}

// marshal writes one URL as openapi.yaml has it.
func (m mintedJSON) marshal() []byte {
	var w, headers strictjson.Writer
	for name, value := range m.Headers {
		headers.String(name, value)
	}
	w.String("url", m.URL)
	w.String("method", m.Method)
	w.Raw("headers", headers.Bytes())
	w.String("id", string(m.ID))
	w.Time("expiresAt", m.ExpiresAt)
	w.Raw("limits", m.Limits.Marshal())
	w.StringIf("name", m.Name)
	w.StringIf("label", m.Label)
	return w.Bytes()
}
