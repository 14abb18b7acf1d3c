package dynamowire_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"oncegate/internal/dynamo"
	"oncegate/internal/dynamo/dynamowire"
	"oncegate/internal/lean/digest"
	"oncegate/internal/lean/sigv4"
	"oncegate/internal/lean/wire"
)

const region = "eu-central-1"

var (
	keys  = sigv4.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret", SessionToken: "token"}
	start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	key   = dynamo.Key{Partition: "url#a", Sort: "ab"}
)

// saying is a DynamoDB that gives one answer to everything, and keeps the last request.
type saying struct {
	reply wire.Reply
	err   error

	method, target string
	headers        []wire.Header
	body           []byte
}

func (s *saying) Send(_ context.Context, _ time.Duration, method, target string, headers []wire.Header, body []byte) (wire.Reply, error) {
	s.method, s.target, s.headers, s.body = method, target, headers, body
	return s.reply, s.err
}

func says(status int, body string) *saying {
	return &saying{reply: wire.Reply{Status: status, Body: []byte(body), Headers: []wire.Header{{Name: "date", Value: "Wed, 04 Mar 2026 05:06:07 GMT"}}}}
}

func clientOf(t testing.TB, s *saying) *dynamowire.Client {
	t.Helper()
	endpoint, err := dynamowire.NewEndpoint(region, "")
	if err != nil {
		t.Fatal(err)
	}
	return dynamowire.New("a-table", region, endpoint, keys, s, func() time.Time { return start })
}

func TestEndpoint(t *testing.T) {
	for override, want := range map[string]string{
		"":                       "https://dynamodb.eu-central-1.amazonaws.com",
		"http://127.0.0.1:8001":  "http://127.0.0.1:8001",
		"https://[::1]:8001/":    "https://[::1]:8001",
		"127.0.0.1:8001":         "",
		"ftp://127.0.0.1":        "",
		"http://":                "",
		"http://h/path":          "",
		"http://h\r\nx-evil: y/": "",
	} {
		endpoint, err := dynamowire.NewEndpoint(region, override)
		if (err == nil) != (want != "") || err == nil && endpoint.URL() != want {
			t.Errorf("%q is %v, %v, want %q", override, endpoint, err, want)
		}
	}
}

// TestRequests: each request is the one of DynamoDB's API reference, and is signed as the
// SDK signs it.
func TestRequests(t *testing.T) {
	condition := "attribute_exists(valid)"
	for _, test := range []struct {
		operation string
		send      func(c *dynamowire.Client) error
		want      string
	}{
		{"GetItem", func(c *dynamowire.Client) error {
			_, err := c.Get(t.Context(), time.Second, key)
			return err
		}, `{"TableName": "a-table", "Key": {"p": {"S": "url#a"}, "k": {"S": "ab"}}, "ConsistentRead": true}`},
		{"GetItem", func(c *dynamowire.Client) error {
			_, err := c.Get(t.Context(), time.Second, key, "valid", "claim")
			return err
		}, `{"TableName": "a-table", "Key": {"p": {"S": "url#a"}, "k": {"S": "ab"}}, "ConsistentRead": true, "ProjectionExpression": "valid,claim"}`},
		{"UpdateItem", func(c *dynamowire.Client) error {
			_, err := c.Update(t.Context(), time.Second, dynamo.Update{Key: key, Expression: "REMOVE claim"})
			return err
		}, `{"TableName": "a-table", "Key": {"p": {"S": "url#a"}, "k": {"S": "ab"}}, "UpdateExpression": "REMOVE claim"}`},
		{"UpdateItem", func(c *dynamowire.Client) error {
			_, err := c.Update(t.Context(), time.Second, dynamo.Update{Key: key, Expression: "SET claim = :c, ttl = :t", Condition: condition,
				Values: dynamo.Item{":c": {Text: "\"é\n\u2028"}, ":t": {Text: "12", Number: true}}, Return: true})
			return err
		}, `{"TableName": "a-table", "Key": {"p": {"S": "url#a"}, "k": {"S": "ab"}}, "UpdateExpression": "SET claim = :c, ttl = :t", "ConditionExpression": "attribute_exists(valid)",
			"ReturnValuesOnConditionCheckFailure": "ALL_OLD", "ReturnValues": "ALL_NEW", "ExpressionAttributeValues": {":c": {"S": "\"é\n\u2028"}, ":t": {"N": "12"}}}`},
		{"Query", func(c *dynamowire.Client) error {
			_, err := c.Query(t.Context(), time.Second, dynamo.Query{Partition: "url#a", Max: 7})
			return err
		}, `{"TableName": "a-table", "KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": {"S": "url#a"}}, "ConsistentRead": true, "Limit": 7}`},
		{"Query", func(c *dynamowire.Client) error {
			_, err := c.Query(t.Context(), time.Second, dynamo.Query{Partition: "url#a", After: "ab", Max: 7, Attributes: []string{"k", "claim"}})
			return err
		}, `{"TableName": "a-table", "KeyConditionExpression": "p = :p AND k > :k", "ExpressionAttributeValues": {":p": {"S": "url#a"}, ":k": {"S": "ab"}},
			"ConsistentRead": true, "Limit": 7, "ProjectionExpression": "k,claim"}`},
	} {
		s := says(200, `{"Items": []}`)
		if err := test.send(clientOf(t, s)); err != nil {
			t.Errorf("%s: %v", test.operation, err)
		}
		var got, want any
		if err := errors.Join(json.Unmarshal(s.body, &got), json.Unmarshal([]byte(test.want), &want)); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) || s.method != "POST" || s.target != "/" {
			t.Errorf("%s %s %s, want %s", s.method, s.target, s.body, test.want)
		}
		r, err := http.NewRequest("POST", "https://dynamodb.eu-central-1.amazonaws.com/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("content-type", "application/x-amz-json-1.0")
		r.Header.Set("x-amz-target", "DynamoDB_20120810."+test.operation)
		credentials := aws.Credentials{AccessKeyID: keys.AccessKeyID, SecretAccessKey: keys.SecretAccessKey, SessionToken: keys.SessionToken}
		if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, digest.Hex(s.body), "dynamodb", region, start); err != nil {
			t.Fatal(err)
		}
		r.Header.Set("host", r.Host)
		r.Header.Set("content-length", fmt.Sprint(len(s.body)))
		for name, values := range r.Header {
			if !slices.Contains(s.headers, wire.Header{Name: strings.ToLower(name), Value: values[0]}) {
				t.Errorf("%s: %s is not %q among %q", test.operation, name, values, s.headers)
			}
		}
		if len(s.headers) != len(r.Header) {
			t.Errorf("%s: headers %q, want those of %v", test.operation, s.headers, r.Header)
		}
	}
}

// answer is what Get and Update make of an answer, and Query of the one that is about a page.
type answer struct {
	status int
	body   string
	want   dynamo.Answer
	fails  bool
}

func TestAnswers(t *testing.T) {
	const date = "Wed, 04 Mar 2026 05:06:07 GMT"
	item := dynamo.Item{"k": {Text: "ab"}, "ttl": {Text: "12", Number: true}, "claim": {Text: "{\"é\"}\n"}}
	const text = `{"k":{"S":"ab"},"ttl":{"N":"12"},"claim":{"S":"{\"\u00e9\"}\n"}}`
	const failed = `"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"The conditional request failed"`
	for name, test := range map[string]answer{
		"an item":                       {200, `{"Item":` + text + `,"Attributes":` + text + `}`, dynamo.Answer{Status: 200, Item: item}, false},
		"more than is known":            {200, `{"ConsumedCapacity":{"TableName":"t","CapacityUnits":1.5e0,"Table":[null,true]},"Item":` + text + `,"Attributes":` + text + `}`, dynamo.Answer{Status: 200, Item: item}, false},
		"no item":                       {200, `{}`, dynamo.Answer{Status: 200}, false},
		"none of its attributes":        {200, `{"Item":{},"Attributes":{}}`, dynamo.Answer{Status: 200}, false},
		"a condition failed":            {400, `{` + failed + `,"Item":` + text + `}`, dynamo.Answer{Status: 400, Code: dynamo.ConditionFailed, Item: item}, false},
		"a condition failed on nothing": {400, `{` + failed + `}`, dynamo.Answer{Status: 400, Code: dynamo.ConditionFailed}, false},
		"throttled":                     {400, `{"__type":"com.amazon.coral.availability#ThrottlingException","message":"x"}`, dynamo.Answer{Status: 400, Code: "ThrottlingException"}, false},
		"a code with its address":       {400, `{"__type":"ValidationException:http://internal.amazon.com/#x","Item":5}`, dynamo.Answer{Status: 400, Code: "ValidationException"}, false},
		"a code alone":                  {500, `{"__type":"InternalServerError"}`, dynamo.Answer{Status: 500, Code: "InternalServerError"}, false},
		"a type that is no text":        {400, `{"__type":5}`, dynamo.Answer{Status: 400}, false},
		"a refusal of some proxy":       {503, `<html>Service Unavailable</html>`, dynamo.Answer{Status: 503}, false},
		"a refusal without a word":      {413, ``, dynamo.Answer{Status: 413}, false},
		"cut short":                     {200, `{"Item":` + text, dynamo.Answer{}, true},
		"no answer of DynamoDB's":       {200, `<html></html>`, dynamo.Answer{}, true},
		"a list":                        {200, `[]`, dynamo.Answer{}, true},
		"nothing":                       {200, ``, dynamo.Answer{}, true},
		"an item that is a list":        {200, `{"Item":[],"Attributes":[]}`, dynamo.Answer{}, true},
		"an attribute of another type":  {200, `{"Item":{"claim":{"B":"eA=="}},"Attributes":{"claim":{"BOOL":true}}}`, dynamo.Answer{}, true},
		"an attribute of two types":     {200, `{"Item":{"claim":{"S":"x","N":"1"}},"Attributes":{"claim":{"S":"x","N":"1"}}}`, dynamo.Answer{}, true},
		"an attribute of none":          {200, `{"Item":{"claim":{}},"Attributes":{"claim":[]}}`, dynamo.Answer{}, true},
		"an attribute in a list":        {200, `{"Item":{"claim":["x"]},"Attributes":{"claim":["x"]}}`, dynamo.Answer{}, true},
		"a number that is no text":      {200, `{"Item":{"ttl":{"N":12}},"Attributes":{"ttl":{"N":12}}}`, dynamo.Answer{}, true},
		"an attribute twice":            {200, `{"Item":{"k":{"S":"a"},"k":{"S":"a"}},"Attributes":{"k":{"S":"a"},"k":{"S":"a"}}}`, dynamo.Answer{}, true},
		"a failed condition, garbled":   {400, `{` + failed + `,"Item":7}`, dynamo.Answer{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if !test.fails {
				test.want.Date = date
			}
			client := clientOf(t, says(test.status, test.body))
			got, err := client.Get(t.Context(), time.Second, key)
			updated, updateErr := client.Update(t.Context(), time.Second, dynamo.Update{Key: key, Expression: "SET a = :a"})
			if (err != nil) != test.fails || !reflect.DeepEqual(got, test.want) {
				t.Errorf("Get: %+v, %v, want %+v", got, err, test.want)
			}
			if (updateErr != nil) != test.fails || !reflect.DeepEqual(updated, test.want) {
				t.Errorf("Update: %+v, %v, want %+v", updated, updateErr, test.want)
			}
		})
	}
}

func TestPages(t *testing.T) {
	const one, two = `{"k":{"S":"a"}}`, `{"k":{"S":"b"},"claim":{"S":"x"}}`
	items := []dynamo.Item{{"k": {Text: "a"}}, {"k": {Text: "b"}, "claim": {Text: "x"}}}
	for name, test := range map[string]struct {
		status int
		body   string
		want   dynamo.Page
		fails  bool
	}{
		"the last":                {200, `{"Count":2,"ScannedCount":2,"Items":[` + one + `,` + two + `]}`, dynamo.Page{Status: 200, Items: items}, false},
		"one of several":          {200, `{"Items":[` + one + `,` + two + `],"LastEvaluatedKey":{"p":{"S":"url#a"},"k":{"S":"b"}}}`, dynamo.Page{Status: 200, Items: items, More: true, Last: "b"}, false},
		"empty":                   {200, `{"Items":[],"Count":0}`, dynamo.Page{Status: 200}, false},
		"throttled":               {400, `{"__type":"x#ProvisionedThroughputExceededException"}`, dynamo.Page{Status: 400, Code: "ProvisionedThroughputExceededException"}, false},
		"none":                    {200, `{"Count":0}`, dynamo.Page{Status: 200}, false},
		"no list":                 {200, `{"Items":{}}`, dynamo.Page{}, true},
		"more than were asked":    {200, `{"Items":[` + one + `,` + two + `,` + two + `]}`, dynamo.Page{}, true},
		"something else in it":    {200, `{"Items":[null]}`, dynamo.Page{}, true},
		"a last key of something": {200, `{"Items":[],"LastEvaluatedKey":{"q":{"S":"b"}}}`, dynamo.Page{}, true},
		"a last key that is none": {200, `{"Items":[],"LastEvaluatedKey":"b"}`, dynamo.Page{}, true},
		"cut short":               {200, `{"Items":[` + one, dynamo.Page{}, true},
	} {
		got, err := clientOf(t, says(test.status, test.body)).Query(t.Context(), time.Second, dynamo.Query{Partition: "url#a", Max: 2})
		if (err != nil) != test.fails || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, test.want)
		}
	}
}

// TestNoAnswer: what the sender says is what the caller gets to know, a dead connection above
// all.
func TestNoAnswer(t *testing.T) {
	client := clientOf(t, &saying{err: fmt.Errorf("%w: reset", wire.ErrStale)})
	_, get := client.Get(t.Context(), time.Second, key)
	_, update := client.Update(t.Context(), time.Second, dynamo.Update{Key: key, Expression: "SET a = :a"})
	_, query := client.Query(t.Context(), time.Second, dynamo.Query{Partition: "url#a", Max: 2})
	for _, err := range []error{get, update, query} {
		if !errors.Is(err, dynamo.ErrStale) {
			t.Errorf("got %v", err)
		}
	}
}

// FuzzAnswers: an answer is read as encoding/json reads it, or it is an error.
func FuzzAnswers(f *testing.F) {
	const item = `{"k":{"S":"ab"},"ttl":{"N":"12"}}`
	for _, body := range []string{`{}`, `{"Item":` + item + `}`, `{"Attributes":` + item + `,"ConsumedCapacity":{"a":[1,{}]}}`, `{"Item":{"k":{"S":"\ud83d\ude00"}}}`,
		`{"__type":"a#ConditionalCheckFailedException","Item":` + item + `}`, `{"__type":"a#b:c"}`, `{"Items":[` + item + `],"LastEvaluatedKey":` + item + `}`, `{"Item":null}`, `[]`, ``} {
		f.Add(200, []byte(body))
		f.Add(400, []byte(body))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		var want struct {
			Type             string `json:"__type"`
			Item, Attributes map[string]map[string]string
			Items            []map[string]map[string]string
			LastEvaluatedKey map[string]map[string]string
		}
		wantErr := json.Unmarshal(body, &want)
		same := func(what string, got dynamo.Item, want map[string]map[string]string) {
			if len(got) != len(want) {
				t.Errorf("%s of %q is %v, want %v", what, body, got, want)
			}
			for name, value := range got {
				kind := "S"
				if value.Number {
					kind = "N"
				}
				if text, ok := want[name][kind]; !ok || text != value.Text {
					t.Errorf("%s of %q: %s is %v, want %v", what, body, name, value, want[name])
				}
			}
		}
		// encoding/json knows names in any case and merges members that come twice; then
		// nothing is compared.
		plain := !bytes.ContainsAny(body, `\`) && bytes.Count(body, []byte(`"Item"`)) < 2 && bytes.Count(body, []byte(`"Attributes"`)) < 2 &&
			bytes.Count(bytes.ToLower(body), []byte("item")) == bytes.Count(body, []byte("Item")) && bytes.Count(bytes.ToLower(body), []byte("attributes")) == bytes.Count(body, []byte("Attributes"))
		client := clientOf(t, says(status, string(body)))
		got, err := client.Get(t.Context(), time.Second, key)
		updated, updateErr := client.Update(t.Context(), time.Second, dynamo.Update{Key: key, Expression: "SET a = :a"})
		page, queryErr := client.Query(t.Context(), time.Second, dynamo.Query{Partition: "url#a", Max: 1000})
		if status == 200 && !json.Valid(body) && (err == nil || updateErr == nil || queryErr == nil) {
			t.Errorf("%q is read", body)
		}
		if err == nil && (got.Status != status || status == 200 && got.Code != "" || status != 200 && got.Item != nil && got.Code != dynamo.ConditionFailed) ||
			queryErr == nil && page.Status != status || status != 200 && len(page.Items) > 0 {
			t.Errorf("%d with %q is %+v, %+v", status, body, got, page)
		}
		if !plain || wantErr != nil {
			return
		}
		if err == nil && (status == 200 || got.Code == dynamo.ConditionFailed) {
			same("the item", got.Item, want.Item)
		}
		if updateErr == nil && status == 200 {
			same("the item after an update", updated.Item, want.Attributes)
		}
	})
}
