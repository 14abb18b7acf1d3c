package edge

import (
	"context"
	"net/http"
	"strings"
	"time"

	"oncegate/internal/onetime"
)

// ownerPath is below what the owner of a URL asks for it by its fingerprint.
const ownerPath = "/url/"

// statusJSON is what became of a URL, as its owner is told. It holds nothing that
// the URL could be made from.
type statusJSON struct {
	ID        onetime.ID     `json:"id"`
	State     onetime.State  `json:"state"`
	Key       string         `json:"key"`
	CreatedAt time.Time      `json:"createdAt"`
	ExpiresAt time.Time      `json:"expiresAt"`
	SpentAt   time.Time      `json:"spentAt,omitzero"`
	Limits    onetime.Limits `json:"limits"`
	Name      string         `json:"name,omitempty"`
	Label     string         `json:"label,omitempty"`
	Object    *objectJSON    `json:"object,omitempty"` // what is stored
}

// objectJSON is an upload as it is stored.
type objectJSON struct {
	Size     int64     `json:"size"`
	ETag     string    `json:"etag"`
	Version  string    `json:"version,omitempty"`
	SHA256   string    `json:"sha256,omitempty"` // lower-case hex
	StoredAt time.Time `json:"storedAt"`
}

// revokedJSON is the answer to a URL that was taken back.
type revokedJSON struct {
	ID    onetime.ID    `json:"id"`
	State onetime.State `json:"state"`
}

// owner answers for /url/<id>: GET and HEAD say what became of a URL, DELETE takes it
// back. Whoever asks needs the credential by which the URL was minted.
func (f *Functions) owner(ctx context.Context, event Event, deadline time.Time) (Result, error) {
	request := event.Records[0].CF.Request
	id, err := onetime.ParseID(strings.TrimPrefix(request.URI, ownerPath))
	switch {
	case err != nil, f.Auth == nil: // without credentials nobody owns anything
		return Result{}, &onetime.Refusal{Reason: onetime.Path}
	case request.Method != http.MethodGet && request.Method != http.MethodHead && request.Method != http.MethodDelete:
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
	if request.Method == http.MethodDelete {
		response, err = f.revoke(ctx, event, by, id, deadline)
	} else {
		response, err = f.status(ctx, event, by, id, deadline)
	}
	if row, ok := ownerRefusals[onetime.ReasonOf(err)]; ok && err != nil {
		reason := onetime.ReasonOf(err)
		f.log(ctx, MintFunction, event, reason, err)
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
	f.Log.InfoContext(ctx, "status", "function", MintFunction, "id", id, "state", s.State, "by", by,
		"request", event.Records[0].CF.Config.RequestID)
	response := answer(http.StatusOK, string(s.State))
	if wantsJSON(request.Headers) {
		response = jsonAnswer(http.StatusOK, statusOf(s))
	}
	if request.Method == http.MethodHead {
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
	f.Log.InfoContext(ctx, "revoked", "function", MintFunction, "id", id, "now", now, "by", by,
		"request", event.Records[0].CF.Config.RequestID)
	if wantsJSON(event.Records[0].CF.Request.Headers) {
		return jsonAnswer(http.StatusOK, revokedJSON{id, onetime.StateRevoked}), nil
	}
	return answer(http.StatusOK, string(onetime.StateRevoked)), nil
}
