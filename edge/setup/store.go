package setup

import (
	"context"
	"time"

	"oncegate/internal/auth/apikey"
	"oncegate/internal/config"
	"oncegate/internal/dynamo"
	"oncegate/internal/invite"
	"oncegate/internal/onetime"
)

// Store is a signature index with all that any setting needs of it, and the objects of the
// bucket.
type Store interface {
	Index
	apikey.Records
	invite.Ledger
}

// StoreOf chooses the index that the settings name. inBucket is a store whose index is in the
// bucket. table opens the table, if the index is there.
func StoreOf(conf config.Config, inBucket Store, table func() (dynamo.Table, error)) (Store, error) {
	if conf.Index != config.IndexDynamoDB {
		return inBucket, nil
	}
	opened, err := table()
	if err != nil {
		return nil, err
	}
	return &tableStore{dynamo.New(opened, conf.Deploy.KeepsEntries()), inBucket}, nil
}

// tableStore is the index in a table, with the objects of the bucket.
type tableStore struct {
	*dynamo.Index
	objects
}

// objects are what the bucket holds with either index.
type objects interface {
	onetime.PartObjects
	HeadObject(ctx context.Context, limit time.Duration, key string) (onetime.Object, error)
}
