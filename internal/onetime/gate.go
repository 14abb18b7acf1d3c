package onetime

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"
)

const (
	// uploadLife is how long S3 takes the upload signature to begin the upload; a
	// transfer under way is not cut off. It has to cover the rest of the decision and the
	// way from the edge to the bucket, no more.
	uploadLife = 60 * time.Second
)

// FirstVersion is how the first-version rule is held: a claim counts only if it is
// the first version that the expired entry has ever had.
type FirstVersion string

const (
	// Conditional relies on two answers: S3 grants a conditional write only while no
	// current version exists, and HeadExpired reports a delete marker that could hide
	// an earlier one. That is enough while nobody deletes under signatures/ during a
	// URL's life.
	Conditional FirstVersion = "conditional"
	// Listed also lists the entry's versions, which S3 keeps newest first: the claim
	// must be the last of them, and no delete marker may be among them.
	Listed FirstVersion = "listed"
)

// Gate decides over uploads.
type Gate struct {
	Index Index
	// Spender, if set, is the same index, which looks up and claims in one request.
	Spender      Spender
	Presigner    Presigner
	Clock        Clock
	Entropy      Entropy // safe for concurrent use
	Region       string  // of the bucket
	FirstVersion FirstVersion
	// WriteOnce makes S3 refuse the upload if the object exists already. CloudFront must forward if-none-match for that.
	WriteOnce bool
	// SHA256 says that CloudFront forwards x-amz-checksum-sha256. If it did not, S3
	// would miss a signed header and quote in its refusal what was signed.
	SHA256 bool
	// Tags says that the gate may tag uploads, and that CloudFront forwards x-amz-tagging.
	// Without the right S3 would refuse an upload with tags once its URL is spent.
	Tags bool
	// StorageClass is where S3 is to keep uploads, "" for its own choice. CloudFront must forward x-amz-storage-class for that.
	StorageClass string
	// MaxBytes bounds every upload, whatever its URL was minted with: settings that
	// became stricter hold for URLs from before. 0: no bound but the URL's own.
	MaxBytes int64
}

// Pass lets one upload through.
type Pass struct {
	ID    ID
	Key   string // the object it writes
	Query string // replaces the viewer's query; a secret of the gate and S3
	// Headers, by lower-case name, replace the viewer's.
	Headers map[string]string
}

// Decide spends the URL of put and lets it pass, or refuses with a *Refusal. It
// never passes without a claim of its own that is known to have succeeded; at most
// one claim of a URL ever does. deadline is when the decision must be ready.
func (g *Gate) Decide(ctx context.Context, put Put, deadline time.Time) (Pass, error) {
	var pass Pass
	url, length, err := put.check(g.Region, g.Clock.Now())
	if err == nil {
		pass, err = g.spend(ctx, url.ID, url.Key, length, put, deadline)
	}
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		refusal.ID = url.ID
		if put.Attempt.Repeated && refusal.Reason == IndexUnavailable {
			refusal.Reason = ClaimUnknown // this try spent nothing; the one before may have
		}
	}
	return pass, err
}

func (g *Gate) spend(ctx context.Context, id ID, key string, length int64, put Put, deadline time.Time) (Pass, error) {
	if g.Spender != nil {
		if terms, ok := g.terms(length, put); ok {
			if pass, err := g.spendAtOnce(ctx, id, key, terms, put, deadline); !errors.Is(err, errNotJudged) {
				return pass, err
			}
		}
	}
	claimBy := g.claimBy(deadline)
	url, err := g.lookUp(ctx, id, key, put.Attempt, claimBy.Add(-writeLimit-readBackLimit))
	if err != nil {
		return Pass{}, err
	}
	add, err := g.allow(url.entry, length, put)
	if err != nil {
		return Pass{}, err
	}
	_, version, err := g.claimant().claim(ctx, id, ExpiredEntry{Reason: Used, Request: put.Request}, put.Attempt, claimBy)
	if err == nil {
		err = g.checkClaim(ctx, id, version, deadline)
	}
	if err != nil {
		return Pass{}, err
	}
	return g.pass(ctx, id, key, add, url.at)
}

// additions are what the gate adds to an upload: headers, by lower-case name, and metadata.
// plain are the headers that it does not sign.
type additions struct{ signed, plain, metadata map[string]string }

// allow holds an upload to what its URL was minted with, and returns what the gate adds.
func (g *Gate) allow(entry ValidEntry, length int64, put Put) (add additions, err error) {
	if err := entry.Limits.within(g.MaxBytes).checkUpload(length, put.Headers); err != nil {
		return additions{}, err
	}
	if entry.Limits.SHA256 != "" && !g.SHA256 {
		return additions{}, refuse(IndexUnavailable, errors.New("the URL was minted with a sha256, which the settings no longer have"))
	}
	if err := g.checkTags(entry); err != nil {
		return additions{}, err
	}
	add = g.additions(entry, put.Headers)
	return add, put.checkSizes(add.plain)
}

// checkTags refuses a URL with tags where the gate may not tag.
func (g *Gate) checkTags(entry ValidEntry) error {
	if entry.Tags != "" && !g.Tags {
		return refuse(IndexUnavailable, errors.New("the URL was minted with tags, which the settings no longer have"))
	}
	return nil
}

// pass lets through an upload whose URL was claimed for it. at is the time by S3's clock,
// for S3 judges the signature: the clock here may be clockTolerance off, or jump.
func (g *Gate) pass(ctx context.Context, id ID, key string, add additions, at time.Time) (Pass, error) {
	query, err := g.Presigner.PresignUpload(ctx, key, add.signed, add.metadata, at, uploadLife)
	if err != nil {
		return Pass{}, refuse(ClaimUnknown, fmt.Errorf("sign the upload: %w", err))
	}
	maps.Copy(add.plain, add.signed)
	return Pass{ID: id, Key: key, Query: query, Headers: add.plain}, nil
}

func (g *Gate) claimant() claimant {
	return claimant{g.Index, g.Clock, g.Entropy, writeLimit, readBackLimit}
}

// listed: anything but an explicit Conditional gets the stricter rule.
func (g *Gate) listed() bool { return g.FirstVersion != Conditional }

// claimBy is when a claim must be made that is to be answered for at deadline.
func (g *Gate) claimBy(deadline time.Time) time.Time {
	if g.listed() {
		return deadline.Add(-readBackLimit) // the list needs time as well
	}
	return deadline
}

// checkClaim holds a claim of ours, which was written as this version, to the
// first-version rule.
func (g *Gate) checkClaim(ctx context.Context, id ID, version string, deadline time.Time) error {
	if version == "" || version == "null" {
		// Where versions are not kept, a deleted entry leaves no trace, and its URL
		// would be good again.
		return refuse(ClaimUnknown, errors.New("the claim has no version id: is the bucket versioned?"))
	}
	if !g.listed() {
		return nil
	}
	return g.checkFirst(ctx, id, version, deadline)
}

// additions are what the gate adds to an upload. Headers that S3 must not see altered
// are signed. Nothing that the viewer phrased is among them, and of what the minter phrased only
// the tags, which S3 takes from no other place: it shows signed headers to the client when a
// signature does not match. Metadata is signed as part of the query, which reaches S3 as the
// gate wrote it.
func (g *Gate) additions(entry ValidEntry, viewer Headers) additions {
	signed, plain := map[string]string{}, map[string]string{}
	if g.WriteOnce {
		signed["if-none-match"] = "*"
	}
	if entry.Limits.SHA256 != "" {
		signed["x-amz-checksum-sha256"] = entry.Limits.SHA256
	}
	if entry.Tags != "" {
		signed[taggingHeader] = string(entry.Tags)
	}
	if g.StorageClass != "" {
		signed["x-amz-storage-class"] = g.StorageClass
	}
	if t := entry.Limits.OnlyType(); t != "" && viewer.Values("content-type") == nil {
		plain["content-type"] = t
	}
	if entry.Name != "" {
		plain["content-disposition"] = disposition(entry.Name)
	}
	return additions{signed, plain, entry.Meta.Values()}
}

// found is what the index says of a URL.
type found struct {
	entry ValidEntry
	used  bool      // by whom, the claim tells
	at    time.Time // when S3 answered, by its own clock, with which the clock here agrees
}

// lookUp reads both entries at once: the URL must have been minted here for this
// object. It must not be spent, or, if the attempt is a repeated one, not be revoked. lookUp
// spends nothing. until leaves the claim its time.
func (g *Gate) lookUp(ctx context.Context, id ID, key string, attempt Attempt, until time.Time) (found, error) {
	r := requests{g.Clock, g.Entropy}

	var (
		body              []byte
		at                time.Time
		spent             Reason
		validErr, usedErr error
	)
	together(func() {
		validErr = r.repeat(ctx, until, leastLimit, lookupLimit, func(limit time.Duration) error {
			return dated(g.Clock, func() (_ time.Time, err error) {
				body, at, err = g.Index.ReadValid(ctx, limit, id)
				return at, err
			})
		})
	}, func() {
		usedErr = r.repeat(ctx, until, leastLimit, lookupLimit, func(limit time.Duration) (err error) {
			spent, err = g.Index.HeadExpired(ctx, limit, id)
			return err
		})
	})

	switch {
	case errors.Is(validErr, ErrAbsent):
		return found{}, refuse(Unknown, nil)
	case validErr != nil:
		return found{}, refuse(IndexUnavailable, fmt.Errorf("read valid entry: %w", validErr))
	}
	switch {
	case usedErr == nil && spent == Revoked:
		return found{}, refuse(Revoked, nil)
	case usedErr == nil && attempt.Repeated:
		// Perhaps by the earlier try: claiming tells, for it finds out whose it is.
	case usedErr == nil:
		return found{}, refuse(Used, nil)
	case errors.Is(usedErr, ErrDeleted):
		return found{}, refuse(Used, usedErr)
	case !errors.Is(usedErr, ErrAbsent):
		return found{}, refuse(IndexUnavailable, fmt.Errorf("look for expired entry: %w", usedErr))
	}
	entry, err := entryFor(body, key)
	if err != nil {
		return found{}, refuse(IndexUnavailable, err)
	}
	return found{entry, usedErr == nil, at}, nil
}

// entryFor reads the valid entry of the URL that uploads this object.
func entryFor(body []byte, key string) (ValidEntry, error) {
	entry, err := ParseValidEntry(body)
	if err == nil && entry.Key != key {
		err = fmt.Errorf("valid entry is for another object, %s", entry.Key)
	}
	return entry, err
}

// checkFirst is the first-version rule to the letter. S3 lists versions newest
// first; times are not compared, for they have whole seconds.
func (g *Gate) checkFirst(ctx context.Context, id ID, version string, deadline time.Time) error {
	var versions []Version
	err := requests{g.Clock, g.Entropy}.repeat(ctx, deadline, leastLimit, readBackLimit, func(limit time.Duration) (err error) {
		versions, err = g.Index.ListExpired(ctx, limit, id)
		return err
	})
	if err != nil {
		return refuse(ClaimUnknown, fmt.Errorf("list the claim's versions: %w", err))
	}
	if len(versions) == 0 {
		return refuse(ClaimUnknown, errors.New("list the claim's versions: none"))
	}
	for _, v := range versions {
		if v.DeleteMarker {
			return refuse(Used, errors.New("a delete marker lies over an earlier claim"))
		}
	}
	if versions[len(versions)-1].ID != version {
		return refuse(Used, errors.New("another claim is the first version"))
	}
	return nil
}
