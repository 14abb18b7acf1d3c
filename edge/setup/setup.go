// Package setup makes the edge functions from the settings, for every program that
// runs them.
package setup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"oncegate/edge"
	"oncegate/internal/auth/apikey"
	"oncegate/internal/config"
	"oncegate/internal/invite"
	"oncegate/internal/onetime"
)

// Index is the signature index with all that any setting needs of it.
type Index interface {
	onetime.Records
	onetime.UploadIndex
	onetime.PartStore
}

// New makes the functions that the settings ask for, in real time. An index that is an
// onetime.Spender spends at once, and one that is an onetime.Tally counts what a key mints.
// viewerScheme is "http" on the local edge; anything else means https. Anybody may mint until
// Auth is filled in, by NewAuthorizer.
func New(conf config.Config, index Index, invitations invite.Ledger, presigner onetime.PartPresigner, entropy onetime.Entropy, viewerScheme string, log edge.Log) *edge.Functions {
	if viewerScheme != "http" {
		viewerScheme = "https"
	}
	var owner *onetime.Owner
	if conf.OwnerAPI {
		owner = &onetime.Owner{Records: index, Clock: Clock{}, Entropy: entropy}
	}
	var uploads onetime.UploadIndex
	if conf.Acceptance.On {
		uploads = index
	}
	spender, _ := index.(onetime.Spender)
	tally, _ := index.(onetime.Tally)
	gate := &onetime.Gate{
		Index:        index,
		Spender:      spender,
		Presigner:    presigner,
		Clock:        Clock{},
		Entropy:      entropy,
		Region:       conf.Region,
		FirstVersion: onetime.FirstVersion(conf.FirstVersion),
		WriteOnce:    conf.WriteOnce,
		SHA256:       conf.SHA256,
		Tags:         len(conf.Tags) > 0,
		StorageClass: conf.UploadClass(),
		MaxBytes:     conf.MaxBytes,
	}
	var multipart *onetime.Multipart
	if conf.Multipart {
		multipart = &onetime.Multipart{Gate: gate, Parts: index, Presigner: presigner, OpaqueETags: conf.Deploy.KMSKey != ""}
	}
	minter := &onetime.Minter{
		Index:   index,
		Clock:   Clock{},
		Entropy: entropy,
		Region:  conf.Region,
		Bounds: onetime.Bounds{
			Life:     conf.Expires,
			MaxLife:  conf.MaxExpires,
			MaxBytes: conf.MaxBytes,
			MinBytes: conf.MinBytes,
			SHA256:   conf.SHA256,
			Prefixes: conf.Prefixes,
			Tags:     conf.Tags,
		},
		Uploads: uploads,
	}
	closer, keep := &onetime.Closer{Records: index, Clock: Clock{}, Entropy: entropy}, conf.Deploy.KeepsEntries()
	var keeper *invite.Keeper
	if conf.OwnerAPI {
		keeper = &invite.Keeper{Ledger: invitations, Closer: closer, Clock: Clock{}, Entropy: entropy, Keep: keep, Prefixes: conf.Prefixes, Tags: conf.Tags}
	}
	return &edge.Functions{
		Owner:          owner,
		Minter:         minter,
		Invitations:    &invite.Minter{Store: invitations, URLs: minter, Closer: closer, Clock: Clock{}, Entropy: entropy, Keep: keep},
		Keeper:         keeper,
		Quota:          &onetime.Quota{Tally: tally, Clock: Clock{}, Entropy: entropy},
		Gate:           gate,
		Multipart:      multipart,
		MaxCount:       conf.MaxCount,
		AllowedOrigins: conf.AllowedOrigins,
		Scheme:         viewerScheme,
		Log:            log,
	}
}

// NewAuthorizer makes what decides who may mint. It returns nil where anybody may.
// tokens makes what checks tokens, for which not every build has the code. local says
// that this is not AWS: only there may the keys that check tokens come by http.
func NewAuthorizer(auth config.Auth, keys apikey.Records, entropy onetime.Entropy, local bool, tokens func(config.JWT) edge.Authorizer) (edge.Authorizer, error) {
	switch auth.Kind {
	case config.AuthNone:
		return nil, nil
	case config.AuthAPIKey:
		return apikey.NewAuthorizer(keys, Clock{}, entropy), nil
	case config.AuthJWT:
		if auth.JWT.Local() && !local {
			return nil, errors.New("auth.jwt.jwks is not https, which only the local edge takes")
		}
		return tokens(auth.JWT), nil
	}
	return nil, fmt.Errorf("auth %q is not known here", auth.Kind)
}

// Clock is real time. It implements onetime.Clock.
type Clock struct{}

// Now implements onetime.Clock.
func (Clock) Now() time.Time { return time.Now() }

// Sleep implements onetime.Clock.
func (Clock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
