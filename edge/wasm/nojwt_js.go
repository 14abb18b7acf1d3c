//go:build !jwt

package main

import (
	"context"
	"errors"
	"time"

	"oncegate/edge"
	"oncegate/internal/config"
	"oncegate/internal/onetime"
)

// newBearer stands in for the check of tokens, which only the build with tag jwt
// has: the gate runs this one and asks nobody for a token. If the mint runs it, by
// whatever mistake, nobody may mint.
func newBearer(config.JWT) edge.Authorizer { return refuseAll{} }

type refuseAll struct{}

// Authorize implements edge.Authorizer.
func (refuseAll) Authorize(context.Context, onetime.Headers, time.Time) (onetime.Credential, error) {
	return onetime.Credential{}, errors.New("this build cannot check tokens; the mint needs oncegate-jwt.wasm")
}

// Challenge implements edge.Authorizer.
func (refuseAll) Challenge(onetime.Reason) string { return "Bearer" }
