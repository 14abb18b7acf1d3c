//go:build !js

package dynamo_test

import (
	"testing"

	"oncegate/internal/dynamo"
	"oncegate/internal/local/dynamoserver"
	"oncegate/internal/local/dynamoserver/dynamoservertest"
	"oncegate/internal/onetime/indextest"
)

// TestConformance is the suite for every index, against the table of the local machine.
func TestConformance(t *testing.T) {
	for name, page := range map[string]int{"whole pages": 0, "pages of two": 2} {
		t.Run(name, func(t *testing.T) {
			server := dynamoservertest.New(t, func(o *dynamoserver.Options) { o.PageItems = page })
			x := dynamo.New(sdkTable(server), keep)
			indextest.Test(t, func(*testing.T) indextest.Index {
				return indextest.Index{Index: x, Spender: x, Uploads: x, Parts: x, Ledger: x, PartLedger: x, Joined: true}
			})
		})
	}
}
