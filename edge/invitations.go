package edge

import (
	"context"
	"errors"
	"time"

	"oncegate/internal/invite"
	"oncegate/internal/lean/ascii"
	"oncegate/internal/lean/strictjson"
	"oncegate/internal/onetime"
)

// Whoever may mint makes invitations, and looks at those of his own and takes them back.

// hasKeeper: as for URLs, without credentials nobody owns an invitation.
func hasKeeper(f *Functions) bool { return f.Keeper != nil && f.Auth != nil }

// invitationOption is something that may be asked of a new invitation.
type invitationOption struct {
	name string
	set  func(r *invite.Record, value string, now time.Time)
}

// invitationOptions are all of them. What is not a number becomes one that the domain
// refuses.
var invitationOptions = []invitationOption{
	{"label", func(r *invite.Record, v string, _ time.Time) { r.Label = v }},
	{"uploads", func(r *invite.Record, v string, _ time.Time) { r.Uploads = int(min(number(v), invite.MaxUploads+1)) }},
	{"expires", func(r *invite.Record, v string, now time.Time) { r.Expires = now.Add(seconds(v)) }},
	{"life", func(r *invite.Record, v string, _ time.Time) { r.Life = seconds(v) }},
	{"minBytes", func(r *invite.Record, v string, _ time.Time) { r.Limits.MinBytes = size(v) }},
	{"maxBytes", func(r *invite.Record, v string, _ time.Time) { r.Limits.MaxBytes = positive(size(v)) }},
	{"prefix", func(r *invite.Record, v string, _ time.Time) { r.Prefix = v }},
	{"meta", func(r *invite.Record, v string, _ time.Time) { r.Meta = onetime.AnyMeta(v) }},
	{"tags", func(r *invite.Record, v string, _ time.Time) { r.Tags = onetime.AnyTags(v) }},
	{"type", func(r *invite.Record, v string, _ time.Time) { r.Limits.Type = ascii.Lower(v) }},
}

func seconds(s string) time.Duration { return time.Duration(number(s)) * time.Second }

// parseInvitationOrder reads the invitation that is asked for. Its errors are refusals that
// name the option, and the keeper's are about what it may be.
func parseInvitationOrder(request *Request, now time.Time) (invite.Record, error) {
	var r invite.Record // what is not asked for is the keeper's to fill in
	if request.Querystring != "" {
		return r, refuseOption(errors.New("POST takes its options in the body, not in the query"))
	}
	values, err := bodyValues(request)
	if err != nil {
		return r, err
	}
	known, found := "", 0
	for _, option := range invitationOptions {
		if value, ok := values[option.name]; ok {
			option.set(&r, value, now)
			found++
		}
		known += ", " + option.name
	}
	if found != len(values) {
		return r, refuseOption(errors.New("there is an unknown option; known are " + known[2:]))
	}
	return r, nil
}

// invite answers POST /invitations: it makes an invitation, and shows its token this once.
func (f *Functions) invite(ctx context.Context, c *call) (Result, error) {
	record, err := parseInvitationOrder(&c.request, f.Keeper.Clock.Now())
	if err != nil {
		return Result{}, err
	}
	if record, err = f.inviteWithin(record, c.by); err != nil {
		return Result{}, err
	}
	record.By = c.by.By()
	token, id, record, err := f.Keeper.Create(ctx, record, c.deadline)
	if err != nil {
		return Result{}, refuseInvitation(err)
	}
	c.invitation = id
	line := c.logLine("invited")
	line.Int("uploads", int64(record.Uploads))
	line.Time("expires", record.Expires)
	f.log(c, line)
	link := invite.Link(f.Scheme+"://"+c.host, token)
	return Result{Response: c.answer(statusCreated, link, func(w *strictjson.Writer) {
		w.String("id", string(id))
		w.String("token", token)
		w.String("link", link)
		record.WriteTerms(w)
	})}, nil
}

// inviteWithin returns the invitation that a credential may make: no URL of it is more than
// one that the credential may ask for itself.
func (f *Functions) inviteWithin(record invite.Record, by onetime.Credential) (invite.Record, error) {
	if by.Allows == (onetime.Allowance{}) {
		return record, nil
	}
	if by.Allows.PerDay > 0 {
		return record, refuseOption(errors.New("an API key with a daily number makes no invitations: their URLs would not count"))
	}
	minter, order, err := f.narrowed(by, onetime.Order{Life: record.Life, Limits: record.Limits, Prefix: record.Prefix, Empty: true})
	if err != nil {
		return record, err
	}
	if order.Life == 0 {
		order.Life = min(invite.DefaultURLLife, minter.Bounds.MaxLife)
	}
	if order, err = minter.Grant(order); err != nil {
		return record, err
	}
	record.Life, record.Limits, record.Prefix = order.Life, order.Limits, order.Prefix
	return record, nil
}

// ownInvitation finds the invitation that the path names, if the credential's owner made it.
// Any other looks absent.
func (f *Functions) ownInvitation(ctx context.Context, c *call) (invite.Holding, error) {
	if err := c.noOptions(); err != nil {
		return invite.Holding{}, err
	}
	id, err := invite.ParseID(placeholders(c.route.path, c.request.URI)[0])
	if err != nil {
		return invite.Holding{}, &onetime.Refusal{Reason: onetime.Path}
	}
	c.invitation = id
	holding, err := f.Keeper.Look(ctx, id, c.deadline)
	if err == nil && !c.by.Owns(holding.By) {
		err = invite.ErrUnknown
	}
	return holding, refuseInvitation(err)
}

// invitationStatus answers GET /invitations/<id>.
func (f *Functions) invitationStatus(ctx context.Context, c *call) (Result, error) {
	holding, err := f.ownInvitation(ctx, c)
	if err != nil {
		return Result{}, err
	}
	line := c.logLine("invitation status")
	line.String("state", string(holding.State))
	f.log(c, line)
	return Result{Response: c.answer(statusOK, string(holding.State), holding.Write)}, nil
}

// revokeInvitation answers DELETE /invitations/<id>.
func (f *Functions) revokeInvitation(ctx context.Context, c *call) (Result, error) {
	if _, err := f.ownInvitation(ctx, c); err != nil {
		return Result{}, err
	}
	if err := f.Keeper.Revoke(ctx, c.invitation, c.deadline); err != nil {
		err := refuseInvitation(err)
		if refusal, ok := errors.AsType[*onetime.Refusal](err); ok && refusal.Reason == onetime.IndexUnavailable {
			refusal.Detail = "it is not known whether all of this invitation is taken back; send the same request again"
		}
		return Result{}, err
	}
	f.log(c, c.logLine("invitation revoked"))
	return Result{Response: c.answer(statusOK, string(invite.StateRevoked), func(w *strictjson.Writer) {
		w.String("id", string(c.invitation))
		w.String("state", string(invite.StateRevoked))
	})}, nil
}
