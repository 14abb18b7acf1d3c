//go:build !js

package dynamowire_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"oncegate/internal/dynamo"
	"oncegate/internal/dynamo/dynamosdk"
	"oncegate/internal/dynamo/dynamowire"
	"oncegate/internal/lean/sigv4"
	"oncegate/internal/lean/wire"
	"oncegate/internal/local/dynamoserver"
	"oncegate/internal/local/dynamoserver/dynamoservertest"
)

// sender is wire.Sender over net/http; at the edge Node does this.
type sender struct{ url string }

func (s sender) Send(ctx context.Context, limit time.Duration, method, target string, headers []wire.Header, body []byte) (wire.Reply, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, s.url+target, bytes.NewReader(body))
	if err != nil {
		return wire.Reply{}, err
	}
	for _, h := range headers {
		request.Header.Add(h.Name, h.Value)
	}
	request.Close = true
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return wire.Reply{}, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return wire.Reply{}, err
	}
	return wire.Reply{Status: response.StatusCode, Body: answer, Headers: []wire.Header{{Name: "date", Value: response.Header.Get("date")}}}, nil
}

// clients are this package's and the SDK's, of one table. fault, when set, is what goes wrong
// with each request.
func clients(t *testing.T, fault *atomic.Pointer[dynamoserver.Fault]) (table *dynamoserver.Server, wired, sdk dynamo.Table) {
	t.Helper()
	table = dynamoservertest.New(t, func(o *dynamoserver.Options) {
		o.Fault = func(dynamoserver.Request) dynamoserver.Fault {
			if f := fault.Load(); f != nil {
				return *f
			}
			return dynamoserver.Fault{}
		}
	})
	endpoint, err := dynamowire.NewEndpoint(dynamoservertest.Region, table.URL())
	if err != nil {
		t.Fatal(err)
	}
	keys := sigv4.Credentials{AccessKeyID: dynamoservertest.AccessKey, SecretAccessKey: dynamoservertest.SecretKey}
	return table, dynamowire.New(dynamoservertest.Table, dynamoservertest.Region, endpoint, keys, sender{table.URL()}, time.Now),
		dynamosdk.New(dynamoservertest.Table, dynamoservertest.Region, table.URL(), credentials.NewStaticCredentialsProvider(keys.AccessKeyID, keys.SecretAccessKey, ""))
}

// TestLikeTheSDK: for the same requests to a server that verifies signatures, both clients get
// the same answers.
func TestLikeTheSDK(t *testing.T) {
	_, wired, sdk := clients(t, new(atomic.Pointer[dynamoserver.Fault]))
	claim := dynamo.Update{
		Expression: "SET claim = if_not_exists(claim, :claim), nonce = if_not_exists(nonce, :nonce)", Return: true,
		Condition: "nonce = :nonce OR (attribute_exists(valid) AND attribute_not_exists(nonce))",
		Values:    dynamo.Item{":claim": {Text: "{\"é\u2028\": \"<\\>\"}\n"}, ":nonce": {Text: "1"}},
	}
	other := claim
	other.Values = dynamo.Item{":claim": {Text: "x"}, ":nonce": {Text: "2"}}
	mint := dynamo.Update{
		Expression: "SET valid = :valid, most = :most", Condition: "attribute_not_exists(valid) OR valid = :valid",
		Values: dynamo.Item{":valid": {Text: "{}"}, ":most": {Text: "123456789012345", Number: true}},
	}
	update := func(u dynamo.Update) func(dynamo.Table, dynamo.Key) (any, error) {
		return func(c dynamo.Table, key dynamo.Key) (any, error) {
			u.Key = key
			answer, err := c.Update(t.Context(), 5*time.Second, u)
			answer.Date = strings.Repeat("x", len(answer.Date))
			return answer, err
		}
	}
	get := func(attributes ...string) func(dynamo.Table, dynamo.Key) (any, error) {
		return func(c dynamo.Table, key dynamo.Key) (any, error) {
			answer, err := c.Get(t.Context(), 5*time.Second, key, attributes...)
			answer.Date = strings.Repeat("x", len(answer.Date))
			return answer, err
		}
	}
	query := func(after string, max int, attributes ...string) func(dynamo.Table, dynamo.Key) (any, error) {
		return func(c dynamo.Table, key dynamo.Key) (any, error) {
			return c.Query(t.Context(), 5*time.Second, dynamo.Query{Partition: key.Partition, After: after, Max: max, Attributes: attributes})
		}
	}
	for i, step := range []func(dynamo.Table, dynamo.Key) (any, error){
		get(), query("", 5), update(claim), update(mint), update(mint), get("valid", "most"), get("nonce"), get(), update(claim), update(claim), update(other), get(),
		update(dynamo.Update{Expression: "REMOVE claim, nonce", Condition: "nonce = :nonce", Values: dynamo.Item{":nonce": {Text: "1"}}}), get("claim"),
		update(other), query("", 5), query("", 1), query("k", 1), query("j", 1, "nonce"), query("", 5, "k", "most"),
		update(dynamo.Update{Expression: "SET =", Values: dynamo.Item{":a": {Text: "1"}}}),
	} {
		// Each client has an item of its own.
		got, err := step(wired, dynamo.Key{Partition: "url#wire", Sort: "k"})
		want, wantErr := step(sdk, dynamo.Key{Partition: "url#sdk", Sort: "k"})
		if err != nil || wantErr != nil || strings.ReplaceAll(fmt.Sprintf("%+v", got), "url#wire", "url#sdk") != fmt.Sprintf("%+v", want) {
			t.Errorf("step %d: %+v, %v, the SDK gets %+v, %v", i, got, err, want, wantErr)
		}
	}
}

// TestFaultsLikeTheSDK: what goes wrong is an answer or an error for both clients alike, whether the
// request had its effect or not.
func TestFaultsLikeTheSDK(t *testing.T) {
	var fault atomic.Pointer[dynamoserver.Fault]
	_, wired, sdk := clients(t, &fault)
	for name, f := range map[string]dynamoserver.Fault{
		"throttled":   {Kind: dynamoserver.Answer, Code: dynamoserver.Throttled},
		"exceeded":    {Kind: dynamoserver.Answer, Code: dynamoserver.Exceeded},
		"its own":     {Kind: dynamoserver.Answer, Code: dynamoserver.Internal},
		"dropped":     {Kind: dynamoserver.Drop},
		"cut short":   {Kind: dynamoserver.Truncate},
		"silence":     {Kind: dynamoserver.Hang},
		"lost answer": {Kind: dynamoserver.Drop, Apply: true},
		"half of it":  {Kind: dynamoserver.Truncate, Apply: true},
		"too late":    {Kind: dynamoserver.Answer, Code: dynamoserver.Internal, Apply: true},
	} {
		t.Run(name, func(t *testing.T) {
			ask := func(c dynamo.Table, key dynamo.Key) (dynamo.Answer, dynamo.Answer, [2]bool) {
				limit := 5 * time.Second
				if f.Kind == dynamoserver.Hang {
					limit = 100 * time.Millisecond
				}
				fault.Store(&f)
				answer, err := c.Update(t.Context(), limit, dynamo.Update{Key: key, Expression: "SET valid = :v", Values: dynamo.Item{":v": {Text: "v"}}, Return: true})
				_, queryErr := c.Query(t.Context(), limit, dynamo.Query{Partition: key.Partition, Max: 3})
				fault.Store(nil)
				there, getErr := c.Get(t.Context(), 5*time.Second, key)
				if getErr != nil || (there.Item != nil) != f.Apply {
					t.Errorf("afterwards there is %+v, %v", there, getErr)
				}
				answer.Date, there.Date = "", ""
				return answer, there, [2]bool{err != nil, queryErr != nil}
			}
			got, there, failed := ask(wired, dynamo.Key{Partition: "url#wire", Sort: name})
			want, wantThere, wantFailed := ask(sdk, dynamo.Key{Partition: "url#sdk", Sort: name})
			delete(there.Item, "p")
			delete(wantThere.Item, "p")
			if !reflect.DeepEqual(got, want) || failed != wantFailed || !reflect.DeepEqual(there, wantThere) {
				t.Errorf("%+v, errors %v, then %+v; the SDK gets %+v, %v, %+v", got, failed, there, want, wantFailed, wantThere)
			}
		})
	}
}
