package verify

import (
	"context"
	"crypto/rand"
	"strings"

	"oncegate/internal/invite"
)

// invitation asks with a token that nobody has: whatever the deployment asks for, it binds.
func (r *run) invitation(ctx context.Context) error {
	token, err := invite.NewToken(rand.Reader)
	if err != nil {
		return err
	}
	bearer := []header{{"Authorization", "Bearer " + token}}
	return r.expect(ctx, []expectation{
		{request{what: "GET /url with a token of nobody", method: "GET", target: "/url", anonymous: true, headers: bearer}, 401, "invitation-unknown"},
		{request{what: "POST /url with a token of nobody", method: "POST", target: "/url", anonymous: true, body: strings.NewReader("{}"), length: 2,
			headers: append([]header{{"Content-Type", "application/json"}}, bearer...)}, 401, "invitation-unknown"},
		{request{what: "GET /invitation with a token of nobody", method: "GET", target: "/invitation", anonymous: true, headers: bearer}, 401, "invitation-unknown"},
		{request{what: "GET /invitation without a token", method: "GET", target: "/invitation", anonymous: true}, 401, "invitation-unknown"},
	})
}
