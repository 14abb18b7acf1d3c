package main

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"oncegate/internal/config"
	"oncegate/internal/dynamo"
	"oncegate/internal/dynamo/dynamosdk"
	"oncegate/internal/invite"
	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
	"oncegate/internal/s3sdk"
)

// records are all that the verbs do with an index, and with the uploads.
type records interface {
	onetime.Ledger
	onetime.PartLedger
	onetime.UploadIndex
	onetime.PartStore
	invite.Ledger
	keyRecords
	// ReadUpload returns the entry that leads from an upload to its URL, or onetime.ErrAbsent.
	ReadUpload(ctx context.Context, limit time.Duration, key string) ([]byte, error)
}

// keyRecords are the records of API keys.
type keyRecords interface {
	ReadKey(ctx context.Context, limit time.Duration, id string) ([]byte, error)
	CreateKey(ctx context.Context, limit time.Duration, id string, body []byte) error
	ReplaceKey(ctx context.Context, limit time.Duration, id string, body []byte) error
	ListKeys(ctx context.Context, limit time.Duration) ([]string, error)
}

// store is a bucket and the index of its uploads.
type store struct {
	bucket *s3sdk.Client
	index  records
}

// openStore chooses the index. It is the one place that does, besides edge/setup for the
// functions.
func (s site) openStore(provider aws.CredentialsProvider) store {
	bucket := s3sdk.New(s.bucket, s.region, s.endpoint, provider)
	ledger := bucket.Ledger()
	if s.index != config.IndexDynamoDB {
		return store{bucket, struct {
			*s3sdk.Ledger
			*s3index.Invitations
		}{ledger, s3index.NewInvitations(bucket)}}
	}
	table := dynamosdk.New(s.table(), s.region, s.tableEndpoint, provider)
	return store{bucket, struct {
		*dynamo.Index
		objects
	}{dynamo.New(table, s.keep()), ledger}}
}

// objects are what the bucket holds with either index.
type objects interface {
	onetime.PartObjects
	HeadObject(ctx context.Context, limit time.Duration, key string) (onetime.Object, error)
	HideObject(ctx context.Context, limit time.Duration, key, etag string) error
}

// table is the name of the index's table.
func (s site) table() string { return config.Config{Bucket: s.bucket}.Table() }

// keep is how long what is over stays in the table. Verbs that write what has an end
// need the settings for other reasons too.
func (s site) keep() time.Duration {
	if s.conf == nil {
		return config.Defaults().Deploy.KeepsEntries()
	}
	return s.conf.Deploy.KeepsEntries()
}
