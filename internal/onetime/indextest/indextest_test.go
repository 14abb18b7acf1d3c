package indextest_test

import (
	"testing"
	"time"

	"oncegate/internal/onetime/indextest"
	"oncegate/internal/onetime/onetimetest"
)

// TestMemory: the index that the rule is proved on keeps what an index promises.
func TestMemory(t *testing.T) {
	clock := onetimetest.NewClock(time.Date(2026, 3, 4, 5, 6, 7, 89, time.UTC))
	indextest.Test(t, func(t *testing.T) indextest.Index {
		ledger := &onetimetest.Ledger{Index: onetimetest.Index{Store: onetimetest.NewStore(t), Clock: clock}, PageSize: 7}
		return indextest.Index{Index: ledger, Spender: ledger, Uploads: ledger, Parts: ledger, Ledger: ledger, PartLedger: ledger, Clock: clock}
	})
}
