package onetime_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// A URL is minted, the first upload with it passes, and the second is refused.
func Example() {
	ctx := context.Background()
	clock := onetimetest.NewClock(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC))
	entropy := onetimetest.NewEntropy(1)
	index := &onetimetest.Index{Store: onetimetest.NewStore(complain{}), Clock: clock} // on S3: package s3index
	deadline := clock.Now().Add(5 * time.Second)

	minter := onetime.Minter{
		Index: index, Clock: clock, Entropy: entropy, Region: onetimetest.Region,
		Bounds: onetime.Bounds{Life: time.Hour, MaxLife: onetime.MaxLife, MaxBytes: onetime.MaxBytes},
	}
	minted, err := minter.Mint(ctx, onetime.Order{Limits: onetime.Limits{MaxBytes: 5}}, deadline)
	if err != nil {
		log.Fatal(err)
	}

	gate := onetime.Gate{
		Index: index, Presigner: onetimetest.Presigner{}, Clock: clock, Entropy: entropy,
		Region: onetimetest.Region, FirstVersion: onetime.Conditional,
	}
	put := onetime.Put{Method: "PUT", Path: minted.Path, Query: minted.Query}
	for _, length := range []string{"6", "5", "5"} {
		put.Headers = headers{"content-length": {length}}
		pass, err := gate.Decide(ctx, put, deadline)
		if err != nil {
			fmt.Println(length, "bytes:", err)
			continue
		}
		fmt.Println(length, "bytes: passes to its own key:", pass.Key == minted.Key)
	}

	// Output:
	// 6 bytes: refused: too-large: this URL takes at most 5 bytes
	// 5 bytes: passes to its own key: true
	// 5 bytes: refused: used
}

// An operator revokes a URL. S3 decides between a revoke and an upload: exactly one
// of them wins.
func ExampleOperator_Revoke() {
	w := newWorld(complain{})
	minter, _ := w.minter()
	minted, err := minter.Mint(context.Background(), onetime.Order{}, w.deadline())
	if err != nil {
		log.Fatal(err)
	}

	operator := onetime.Operator{
		Ledger: &onetimetest.Ledger{Index: onetimetest.Index{Store: w.store}},
		Clock:  w.clock, Entropy: w.entropy,
	}
	target := onetime.Target{ID: minted.ID, Key: minted.Key}
	now, err := operator.Revoke(context.Background(), target)
	fmt.Println("revoked now:", now, err)
	now, err = operator.Revoke(context.Background(), target)
	fmt.Println("revoked now:", now, err)

	gate, _ := w.gate(onetime.Conditional)
	_, err = gate.Decide(context.Background(), upload(minted, "late"), w.deadline())
	fmt.Println(err)

	// Output:
	// revoked now: true <nil>
	// revoked now: false <nil>
	// refused: revoked
}

// complain prints what the store objects to; that fails the example by its output.
type complain struct{}

func (complain) Helper() {}

func (complain) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }
