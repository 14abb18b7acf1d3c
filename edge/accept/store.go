package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"oncegate/internal/acceptance"
	"oncegate/internal/config"
	"oncegate/internal/dynamo"
	"oncegate/internal/dynamo/dynamosdk"
	"oncegate/internal/onetime"
	"oncegate/internal/s3sdk"
)

// newStore is the bucket with the entries of uploads, which are where the index is.
func newStore(conf config.Config, provider aws.CredentialsProvider) acceptance.Store {
	bucket := s3sdk.NewAcceptanceStore(conf.Bucket, conf.Region, os.Getenv("AWS_ENDPOINT_URL_S3"), conf.CopyClass(), provider)
	if conf.Index != config.IndexDynamoDB {
		return bucket
	}
	table := dynamosdk.New(conf.Table(), conf.Region, os.Getenv("AWS_ENDPOINT_URL_DYNAMODB"), provider)
	return withEntries{bucket, dynamo.New(table, conf.Deploy.KeepsEntries())}
}

// withEntries is a store whose entries of uploads are in an index.
type withEntries struct {
	acceptance.Store
	index interface {
		ReadUpload(ctx context.Context, limit time.Duration, key string) ([]byte, error)
	}
}

// A read that fails is made again, as the SDK does for all requests to the bucket.
const (
	readLimit  = 2 * time.Second
	readTries  = 4
	firstPause = 50 * time.Millisecond
)

// ReadUpload implements acceptance.Store.
func (s withEntries) ReadUpload(ctx context.Context, key string) ([]byte, error) {
	for try := 1; ; try++ {
		body, err := s.index.ReadUpload(ctx, readLimit, key)
		switch {
		case errors.Is(err, onetime.ErrAbsent):
			return nil, acceptance.ErrAbsent
		case !onetime.Repeatable(err) || try == readTries:
			return body, err
		}
		select {
		case <-time.After(firstPause << (try - 1)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
