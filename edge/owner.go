package edge

import (
	"context"
	"strings"
	"time"

	"oncegate/internal/onetime"
)

// ownerPath is below what the owner of a URL asks for it by its fingerprint.
const ownerPath = "/url/"

// statusJSON is what became of a URL, as its owner is told. It holds nothing that
// the URL could be made from.
type statusJSON struct {
	ID        onetime.ID
	State     onetime.State
	Key       string
	CreatedAt time.Time
	ExpiresAt time.Time
	SpentAt   time.Time
	Limits    onetime.Limits
	Name      string
	Label     string
	Object    *objectJSON // what is stored
}

// objectJSON is an upload as it is stored.
type objectJSON struct {
	Size     int64
	ETag     string
	Version  string
	SHA256   string // lower-case hex
	StoredAt time.Time
}

// revokedJSON is the answer to a URL that was taken back.
type revokedJSON struct {
	ID    onetime.ID
	State onetime.State
}

// owner answers for /url/<id>: GET and HEAD say what became of a URL, DELETE takes it
// back. Whoever asks needs the credential by which the URL was minted.
func (f *Functions) owner(ctx context.Context, event Event, deadline time.Time) (Result, error) {
	request := event.Records[0].CF.Request
	id, err := onetime.ParseID(strings.TrimPrefix(request.URI, ownerPath))
	switch {
	case err != nil, f.Auth == nil: // without credentials nobody owns anything
		return Result{}, &onetime.Refusal{Reason: onetime.Path}
	case request.Method != methodGet && request.Method != methodHead && request.Method != methodDelete:
		return Result{}, &onetime.Refusal{Reason: onetime.Method, Detail: "this method is not allowed here; GET says what became of the URL, DELETE takes it back"}
	}
	by, err := f.Auth.Authorize(ctx, request.Headers, deadline)
	if err != nil {
		return Result{}, err
	}
	if request.Querystring != "" {
		return Result{}, &onetime.Refusal{Reason: onetime.Options, Detail: "there are no options here"}
	}
	var response *Response
	if request.Method == methodDelete {
		response, err = f.revoke(ctx, event, by, id, deadline)
	} else {
		response, err = f.status(ctx, event, by, id, deadline)
	}
	if row, ok := ownerRefusals[onetime.ReasonOf(err)]; ok && err != nil {
		reason := onetime.ReasonOf(err)
		f.logRefusal(MintFunction, event, reason, err)
		response, err = row.answer(reason, "", wantsJSON(request.Headers)), nil
	}
	return Result{Response: response}, err
}

func (f *Functions) status(ctx context.Context, event Event, by string, id onetime.ID, deadline time.Time) (*Response, error) {
	request := event.Records[0].CF.Request
	s, err := f.Owner.Status(ctx, by, id, deadline)
	if err != nil {
		return nil, err
	}
	line := logLine(levelInfo, "status")
	line.String("function", MintFunction)
	line.String("id", string(id))
	line.String("state", string(s.State))
	line.String("by", by)
	line.String("request", event.Records[0].CF.Config.RequestID)
	f.Log.write(line)
	response := answer(statusOK, string(s.State))
	if wantsJSON(request.Headers) {
		response = jsonAnswer(statusOK, statusOf(s).write)
	}
	if request.Method == methodHead {
		response.Body = ""
	}
	return response, nil
}

func statusOf(s onetime.Status) statusJSON {
	out := statusJSON{
		ID:        s.ID,
		State:     s.State,
		Key:       s.Key,
		CreatedAt: s.Entry.Created,
		ExpiresAt: s.Entry.Expires,
		Limits:    s.Entry.Limits,
		Name:      s.Entry.Name,
		Label:     s.Entry.Label,
	}
	if s.Spent != nil {
		out.SpentAt = s.Spent.At.UTC().Truncate(time.Second)
	}
	if o := s.Object; o != nil {
		out.Object = &objectJSON{o.Size, o.ETag, o.Version, o.SHA256, o.Modified.UTC().Truncate(time.Second)}
	}
	return out
}

func (f *Functions) revoke(ctx context.Context, event Event, by string, id onetime.ID, deadline time.Time) (*Response, error) {
	now, err := f.Owner.Revoke(ctx, by, id, deadline)
	if err != nil {
		return nil, err
	}
	line := logLine(levelInfo, "revoked")
	line.String("function", MintFunction)
	line.String("id", string(id))
	line.Bool("now", now)
	line.String("by", by)
	line.String("request", event.Records[0].CF.Config.RequestID)
	f.Log.write(line)
	if wantsJSON(event.Records[0].CF.Request.Headers) {
		return jsonAnswer(statusOK, revokedJSON{id, onetime.StateRevoked}.write), nil
	}
	return answer(statusOK, string(onetime.StateRevoked)), nil
}
