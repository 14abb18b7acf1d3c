package edge

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"oncegate/internal/invite"
	"oncegate/internal/lean/ascii"
	"oncegate/internal/onetime"
)

// Whoever has a link has the token of an invitation, and sends it as a bearer token. It gets
// URLs at /url, where mint.go hands it on, and here it learns what the invitation is for.

// hasInvitations reports whether tokens of invitations can be known here.
func hasInvitations(f *Functions) bool { return f.Invitations != nil }

// invitationChallenge is the WWW-Authenticate of a token that no invitation has.
const invitationChallenge = `Bearer realm="oncegate", error="invalid_token"`

// invitationToken returns what a request sends as the token of an invitation. given is false
// if it is another credential, or none. Of several values of the header one is enough, and
// then none of them is good.
func invitationToken(headers Headers) (token string, given bool) {
	lines := headers["authorization"]
	for _, line := range lines {
		scheme, value, _ := strings.Cut(ascii.Trim(line.Value), " ")
		value = ascii.Trim(value)
		if ascii.Lower(scheme) != "bearer" || !invite.LooksLikeToken(value) {
			continue
		}
		if given = true; len(lines) == 1 {
			token = value
		}
	}
	return token, given
}

// parseInvitation checks the form of a token. The error is a Refusal.
func (f *Functions) parseInvitation(token string) (invite.ID, error) {
	id, err := invite.ParseToken(token)
	switch {
	case err != nil:
		return "", refuseInvitation(fmt.Errorf("%w: %w", invite.ErrUnknown, err))
	case f.Invitations == nil:
		return "", refuseInvitation(invite.ErrUnknown)
	}
	return id, nil
}

// refuseInvitation is what a client is told of an error of package invite.
func refuseInvitation(err error) error {
	reason := onetime.ReasonOf(err)
	switch {
	case err == nil || reason != onetime.Internal:
		return err
	case errors.Is(err, invite.ErrUnknown):
		reason = onetime.InvitationUnknown
	case errors.Is(err, invite.ErrRevoked):
		reason = onetime.InvitationRevoked
	case errors.Is(err, invite.ErrOver):
		reason = onetime.InvitationOver
	case errors.Is(err, invite.ErrFull):
		reason = onetime.InvitationFull
	case errors.Is(err, invite.ErrUnavailable):
		reason = onetime.IndexUnavailable
	}
	return &onetime.Refusal{Reason: reason, Err: err}
}

// offer answers GET /invitation: what the token's invitation is for.
func (f *Functions) offer(ctx context.Context, c *call) (Result, error) {
	if c.invitation == "" {
		return Result{}, &onetime.Refusal{Reason: onetime.InvitationUnknown, Detail: "send the token of the invitation in the header authorization, as Bearer ogi_…"}
	}
	if err := c.noOptions(); err != nil {
		return Result{}, err
	}
	offer, err := f.Invitations.Look(ctx, c.invitation, c.deadline)
	if err != nil {
		return Result{}, refuseInvitation(err)
	}
	f.log(c, c.logLine("offered"))
	return Result{Response: c.answer(statusOK, offer.String(), offer.Write)}, nil
}

// alive answers HEAD /invitation, as HEAD /url is answered: without asking S3 and whatever
// the token.
func (f *Functions) alive(_ context.Context, c *call) (Result, error) {
	if err := c.noOptions(); err != nil {
		return Result{}, err
	}
	r := answer(statusOK, "")
	if c.asJSON {
		r.Headers.set("content-type", "application/json")
	}
	return Result{Response: r}, nil
}
