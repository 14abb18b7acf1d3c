// Package setup makes the edge functions from the settings, for every program that
// runs them.
package setup

import (
	"context"
	"time"

	"oncegate/edge"
	"oncegate/internal/config"
	"oncegate/internal/onetime"
)

// Index is the signature index with all that any setting needs of it.
type Index interface {
	onetime.Records
	onetime.UploadIndex
}

// New makes the functions that the settings ask for, in real time. viewerScheme is
// "http" where the local edge plays, and else means https. Who may mint is left to fill
// in.
func New(conf config.Config, index Index, presigner onetime.Presigner, entropy onetime.Entropy, viewerScheme string, log edge.Log) *edge.Functions {
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
	return &edge.Functions{
		Owner: owner,
		Minter: &onetime.Minter{
			Index:   index,
			Clock:   Clock{},
			Entropy: entropy,
			Region:  conf.Region,
			Bounds: onetime.Bounds{
				Life:     conf.Expires,
				MaxLife:  conf.MaxExpires,
				MaxBytes: conf.MaxBytes,
				SHA256:   conf.SHA256,
			},
			Uploads: uploads,
		},
		Gate: &onetime.Gate{
			Index:        index,
			Presigner:    presigner,
			Clock:        Clock{},
			Entropy:      entropy,
			Region:       conf.Region,
			FirstVersion: onetime.FirstVersion(conf.FirstVersion),
			WriteOnce:    conf.WriteOnce,
			SHA256:       conf.SHA256,
		},
		MaxCount:       conf.MaxCount,
		AllowedOrigins: conf.AllowedOrigins,
		Scheme:         viewerScheme,
		Log:            log,
	}
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
