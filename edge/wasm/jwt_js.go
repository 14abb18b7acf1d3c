//go:build jwt

package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"oncegate/edge"
	"oncegate/edge/setup"
	"oncegate/internal/auth/bearer"
	"oncegate/internal/config"
)

//go:wasmimport oncegate fetchKeys
func hostFetchKeys(id, limitMs uint32)

// newBearer is the check of tokens.
func newBearer(conf config.JWT) edge.Authorizer {
	accepted := bearer.Accepted{Issuer: conf.Issuer, Audience: conf.Audience, BoundsClaim: conf.BoundsClaim}
	return bearer.NewAuthorizer(accepted, keyFetcher{}, setup.Clock{})
}

// keyFetcher is bearer.Fetcher by way of the Node handler, which knows the one URL.
type keyFetcher struct{}

// FetchKeys implements bearer.Fetcher.
func (keyFetcher) FetchKeys(_ context.Context, limit time.Duration) ([]byte, error) {
	reply, err := requests.await(func(id uint32) { hostFetchKeys(id, uint32(limit.Milliseconds())) })
	if err != nil {
		return nil, err
	}
	if reply.Status != http.StatusOK {
		return nil, fmt.Errorf("status %d", reply.Status)
	}
	return reply.Body, nil
}
