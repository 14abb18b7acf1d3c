package verify

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"oncegate/internal/config"
	"oncegate/internal/dynamo"
	"oncegate/internal/dynamo/dynamosdk"
	"oncegate/internal/invite"
	"oncegate/internal/layout"
	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
	"oncegate/internal/s3sdk"
)

// index is the deployment's signature index, wherever it is.
type index interface {
	onetime.Index
	invite.Store
}

// inTable reports whether the index is in a table.
func (o Options) inTable() bool { return o.Index == config.IndexDynamoDB }

// unversioned reports whether uploads may have no versions.
func (o Options) unversioned() bool {
	if o.Versioned == nil {
		return o.inTable()
	}
	return !*o.Versioned
}

// openIndex chooses the index. The table is nil if it is in the bucket.
func (o Options) openIndex() (index, *dynamosdk.Client) {
	if !o.inTable() {
		client := s3sdk.New(o.Bucket, o.Region, o.Endpoint, o.Credentials)
		return struct {
			*s3index.Index
			*s3index.Invitations
		}{s3index.New(client), s3index.NewInvitations(client)}, nil
	}
	table := dynamosdk.New(config.Config{Bucket: o.Bucket}.Table(), o.Region, o.TableEndpoint, o.Credentials)
	return dynamo.New(table, config.Defaults().Deploy.KeepsEntries()), table
}

// reading and writing are what credentials must allow to read and to write an entry.
func (b *bucket) reading(key string) string {
	if b.table != nil {
		return "dynamodb:GetItem on the table"
	}
	return "s3:GetObject on " + key
}

func (b *bucket) writing(key string) string {
	if b.table != nil {
		return "dynamodb:UpdateItem on the table"
	}
	return "s3:PutObject on " + key
}

// inTable is the reason to skip what is about entries in the bucket.
func (b *bucket) inTable() error {
	if b.table == nil {
		return nil
	}
	return skip("the index is in a table: what guards it are the functions' rights, which cannot be seen from outside")
}

// wantClaims checks that each URL has this many claims.
func (b *bucket) wantClaims(ctx context.Context, n int, ids ...onetime.ID) error {
	for _, id := range ids {
		if b.table == nil {
			if err := b.wantVersions(ctx, n, id.ExpiredKey()); err != nil {
				return err
			}
			continue
		}
		claims := 1
		if _, _, err := b.index.ReadExpired(ctx, callLimit, id); errors.Is(err, onetime.ErrAbsent) {
			claims = 0
		} else if err != nil {
			return denied(b.reading(id.ExpiredKey()), err)
		}
		if claims != n {
			return want(fmt.Sprintf("%d claims of %s in the table", n, id), "%d", claims)
		}
	}
	return nil
}

// spoil makes the valid entry unreadable, and returns how to put it right again. In a table
// the URL must not be spent by the way, so its time goes too.
func (b *bucket) spoil(ctx context.Context, id onetime.ID, body []byte) (restore func() error, err error) {
	const garbage = `{"version":0,"verify":"not readable on purpose"}`
	if b.table == nil {
		_, err := b.index.WriteValid(ctx, callLimit, id, []byte(garbage))
		return func() error { _, err := b.index.WriteValid(ctx, callLimit, id, body); return err }, err
	}
	entry, err := onetime.ParseValidEntry(body)
	if err != nil {
		return nil, err
	}
	write := func(expression string, values dynamo.Item) error {
		answer, err := b.table.Update(ctx, callLimit, dynamo.Update{
			Key: dynamo.Key{Partition: layout.URLPartitions + string(id[:1]), Sort: string(id)}, Expression: expression, Values: values,
		})
		if err == nil && answer.Status != http.StatusOK {
			err = &onetime.Fault{Op: "UpdateItem", Status: answer.Status, Err: errors.New(answer.Code)}
		}
		return err
	}
	restore = func() error {
		return write("SET valid = :valid, expires = :expires", dynamo.Item{
			":valid": {Text: string(body)}, ":expires": {Text: fmt.Sprint(entry.Expires.Unix()), Number: true},
		})
	}
	return restore, write("SET valid = :valid REMOVE expires", dynamo.Item{":valid": {Text: garbage}})
}

// slotsInTable replaces a slot of an invitation that nobody has, as several guests at once
// do. It stays there until its time is over.
func (r *run) slotsInTable(ctx context.Context) error {
	const guests = 8
	id := invite.ID("verify-" + strings.ToLower(rand.Text()))
	if err := r.bucket.index.CreateSlot(ctx, callLimit, id, 0, []byte("first")); err != nil {
		return denied(r.bucket.writing(""), err)
	}
	r.slot = layout.SlotPartitions + string(id)
	_, etag, err := r.bucket.index.ReadSlot(ctx, callLimit, id, 0)
	if err != nil {
		return denied(r.bucket.reading(""), err)
	}
	var all sync.WaitGroup
	errs := make([]error, guests)
	for i := range guests {
		all.Go(func() {
			errs[i] = r.bucket.index.ReplaceSlot(ctx, callLimit, id, 0, etag, fmt.Appendf(nil, "guest %d", i))
		})
	}
	all.Wait()
	taken := 0
	for _, err := range errs {
		switch {
		case err == nil:
			taken++
		case !errors.Is(err, onetime.ErrChanged):
			return err
		}
	}
	if taken != 1 {
		return want("1 of 8 writes with one condition", "%d", taken)
	}
	r.observe("the rest of this line is about the bucket")
	return nil
}
