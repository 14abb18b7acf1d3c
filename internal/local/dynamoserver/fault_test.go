package dynamoserver_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"oncegate/internal/dynamo"
	"oncegate/internal/local/cloudwatch"
	"oncegate/internal/local/dynamoserver"
	"oncegate/internal/local/dynamoserver/dynamoservertest"
)

// TestFaults: each fault once without effect and once with it.
func TestFaults(t *testing.T) {
	var fault atomic.Pointer[dynamoserver.Fault]
	fault.Store(&dynamoserver.Fault{})
	c := dynamoservertest.Client(dynamoservertest.New(t, func(o *dynamoserver.Options) {
		o.Fault = func(r dynamoserver.Request) dynamoserver.Fault {
			if r.Operation != "UpdateItem" || r.Partition != "url#a" {
				return dynamoserver.Fault{}
			}
			return *fault.Load()
		}
	}))
	for i, tt := range []struct {
		fault dynamoserver.Fault
		want  string
	}{
		{dynamoserver.Fault{Kind: dynamoserver.Drop}, "EOF"},
		{dynamoserver.Fault{Kind: dynamoserver.Truncate}, "EOF"},
		{dynamoserver.Fault{Kind: dynamoserver.Answer, Code: dynamoserver.Throttled}, "ThrottlingException 400"},
		{dynamoserver.Fault{Kind: dynamoserver.Answer, Code: dynamoserver.Exceeded}, "ProvisionedThroughputExceededException 400"},
		{dynamoserver.Fault{Kind: dynamoserver.Answer, Code: dynamoserver.Internal}, "InternalServerError 500"},
	} {
		for _, apply := range []bool{false, true} {
			played := tt.fault // the server may still look at the one before
			played.Apply = apply
			fault.Store(&played)
			k := key("url#a", fmt.Sprint(i, apply))
			_, err := c.UpdateItem(t.Context(), update(k, "SET claim = :c", "", item{":c": s("c")}))
			if err == nil || !strings.Contains(code(err), tt.want) {
				t.Errorf("%+v: %v, want %s", tt.fault, err, tt.want)
			}
			if there := len(get(t, c, k)) > 0; there != apply {
				t.Errorf("%+v: there is an item: %t", tt.fault, there)
			}
		}
	}
	// A client that gives up, before its request has an effect and after.
	for _, apply := range []bool{false, true} {
		reached := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		hang := dynamoserver.Fault{Kind: dynamoserver.Hang, Apply: apply}
		fault.Store(&hang)
		k := key("url#a", fmt.Sprint("hang", apply))
		go func() { defer close(reached); c.UpdateItem(ctx, update(k, "SET claim = :c", "", item{":c": s("c")})) }()
		for apply && len(get(t, c, k)) == 0 { // until the request has had its effect
		}
		cancel()
		<-reached
		if there := len(get(t, c, k)) > 0; there != apply {
			t.Errorf("hang, applied %t: there is an item: %t", apply, there)
		}
	}
}

// TestDate: the answer has the server's time, and Redate changes it.
func TestDate(t *testing.T) {
	var skew atomic.Int64
	server := dynamoservertest.New(t, func(o *dynamoserver.Options) {
		o.Fault = func(dynamoserver.Request) dynamoserver.Fault {
			return dynamoserver.Fault{Kind: dynamoserver.Redate, Apply: true, Skew: time.Duration(skew.Load())}
		}
	})
	for _, by := range []time.Duration{0, -10 * time.Minute, time.Hour} {
		skew.Store(int64(by))
		before := time.Now().Add(by).Truncate(time.Second)
		c := dynamoservertest.Client(server) // a client sets its clock by an answer
		out, err := c.UpdateItem(t.Context(), update(key("url#a", "a"), "SET claim = :c", "", item{":c": s("c")}))
		if err != nil {
			t.Fatal(err)
		}
		at, ok := middleware.GetServerTime(out.ResultMetadata)
		if !ok || at.Before(before) || at.After(time.Now().Add(by)) {
			t.Errorf("the date is %v, want about %v", at, before)
		}
		if id, _ := middleware.GetRequestIDMetadata(out.ResultMetadata); id == "" {
			t.Error("no request id")
		}
	}
}

// TestFaultsAreCounted: CloudWatch is told of throttled requests and of faults, and of nothing
// else.
func TestFaultsAreCounted(t *testing.T) {
	metrics := cloudwatch.New()
	var code atomic.Value
	c := dynamoservertest.Client(dynamoservertest.New(t, func(o *dynamoserver.Options) {
		o.Metrics = metrics
		o.Fault = func(dynamoserver.Request) dynamoserver.Fault {
			return dynamoserver.Fault{Kind: dynamoserver.Answer, Code: code.Load().(string)}
		}
	}))
	for _, refusal := range []string{dynamoserver.Throttled, dynamoserver.Exceeded, dynamoserver.Internal, dynamo.ConditionFailed} {
		code.Store(refusal)
		if _, err := c.UpdateItem(t.Context(), update(key("url#a", "a"), "SET claim = :c", "", item{":c": s("c")})); err == nil {
			t.Errorf("%s: no error", refusal)
		}
		if _, err := c.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(dynamoservertest.Table), Key: key("url#a", "a")}); err == nil {
			t.Errorf("%s: no error", refusal)
		}
	}
	for _, tt := range []struct {
		name       string
		want       float64
		dimensions []string
	}{
		{"WriteThrottleEvents", 2, nil},
		{"ReadThrottleEvents", 2, nil},
		{"SystemErrors", 1, []string{"Operation", "UpdateItem"}},
		{"SystemErrors", 1, []string{"Operation", "GetItem"}},
	} {
		if got := metrics.Sum("AWS/DynamoDB", tt.name, append(tt.dimensions, "TableName", dynamoservertest.Table)...); got != tt.want {
			t.Errorf("%s %v: %v, want %v", tt.name, tt.dimensions, got, tt.want)
		}
	}
}
