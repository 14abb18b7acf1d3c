// Package dynamowire makes DynamoDB requests with nothing but a signature and a way to send
// bytes. It is the DynamoDB client of the edge, as package s3wire is its S3 client.
//
// The protocol is JSON over HTTP:
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html
package dynamowire

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"oncegate/internal/dynamo"
	"oncegate/internal/lean/digest"
	"oncegate/internal/lean/sigv4"
	"oncegate/internal/lean/strictjson"
	"oncegate/internal/lean/wire"
)

// NewEndpoint returns DynamoDB's endpoint in region or, when override is not empty, the one
// at that URL (the meaning of AWS_ENDPOINT_URL_DYNAMODB).
// https://docs.aws.amazon.com/general/latest/gr/ddb.html
func NewEndpoint(region, override string) (wire.Endpoint, error) {
	if override == "" {
		return wire.Endpoint{Scheme: "https", Host: "dynamodb." + region + ".amazonaws.com"}, nil
	}
	endpoint, err := wire.ParseEndpoint(override)
	if err != nil {
		return wire.Endpoint{}, fmt.Errorf("DynamoDB endpoint %w", err)
	}
	return endpoint, nil
}

// Client is one table. It implements dynamo.Table.
type Client struct {
	table, host string
	sender      wire.Sender
	now         func() time.Time
	role        *sigv4.Signer
}

var _ dynamo.Table = (*Client)(nil)

// New returns a client that signs with these credentials. now is the time that requests are
// signed with.
func New(table, region string, endpoint wire.Endpoint, credentials sigv4.Credentials, sender wire.Sender, now func() time.Time) *Client {
	return &Client{table, endpoint.Host, sender, now, sigv4.New(credentials, sigv4.DynamoDB, region)}
}

// Get implements dynamo.Table.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html
func (c *Client) Get(ctx context.Context, limit time.Duration, key dynamo.Key, attributes ...string) (dynamo.Answer, error) {
	return c.item(ctx, limit, "GetItem", "Item", func(w *strictjson.Writer) {
		writeKey(w, key)
		w.Bool("ConsistentRead", true)
		w.StringIf("ProjectionExpression", strings.Join(attributes, ","))
	})
}

// Update implements dynamo.Table.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html
func (c *Client) Update(ctx context.Context, limit time.Duration, update dynamo.Update) (dynamo.Answer, error) {
	return c.item(ctx, limit, "UpdateItem", "Attributes", func(w *strictjson.Writer) {
		writeKey(w, update.Key)
		w.String("UpdateExpression", update.Expression)
		if update.Condition != "" {
			w.String("ConditionExpression", update.Condition)
			w.String("ReturnValuesOnConditionCheckFailure", "ALL_OLD")
		}
		if len(update.Values) > 0 {
			writeItem(w, "ExpressionAttributeValues", update.Values)
		}
		if update.Return {
			w.String("ReturnValues", "ALL_NEW")
		}
	})
}

// Query implements dynamo.Table.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html
func (c *Client) Query(ctx context.Context, limit time.Duration, query dynamo.Query) (dynamo.Page, error) {
	reply, answer, err := c.send(ctx, limit, "Query", func(w *strictjson.Writer) {
		condition, values := "p = :p", dynamo.Item{":p": {Text: query.Partition}}
		if query.After != "" {
			condition += " AND k > :k"
			values[":k"] = dynamo.Value{Text: query.After}
		}
		w.String("KeyConditionExpression", condition)
		writeItem(w, "ExpressionAttributeValues", values)
		w.Bool("ConsistentRead", true)
		w.Int("Limit", int64(query.Max))
		w.StringIf("ProjectionExpression", strings.Join(query.Attributes, ","))
	})
	if err != nil {
		return dynamo.Page{}, err
	}
	if reply.Status != 200 {
		return dynamo.Page{Status: reply.Status, Code: code(answer)}, nil
	}
	page := dynamo.Page{Status: 200}
	items := answer.Get("Items")
	if items.Kind != strictjson.Array && items.Kind != strictjson.Absent {
		return dynamo.Page{}, errors.New("answer to Query: its items are no list")
	}
	for _, value := range items.Members {
		item, err := parseItem(value.Value)
		if err == nil && item == nil {
			err = errNoItem
		}
		if err == nil && len(page.Items) == query.Max {
			err = errors.New("more items than were asked for")
		}
		if err != nil {
			return dynamo.Page{}, fmt.Errorf("answer to Query: %w", err)
		}
		page.Items = append(page.Items, item)
	}
	last, err := parseItem(answer.Get("LastEvaluatedKey"))
	if err == nil && last != nil && last["k"].Text == "" {
		err = errors.New("no sort key")
	}
	if err != nil {
		return dynamo.Page{}, fmt.Errorf("answer to Query: its last key: %w", err)
	}
	if last != nil {
		page.More, page.Last = true, last["k"].Text
	}
	return page, nil
}

// item makes a request about one item, which its answer has under name.
func (c *Client) item(ctx context.Context, limit time.Duration, operation, name string, fill func(w *strictjson.Writer)) (dynamo.Answer, error) {
	reply, body, err := c.send(ctx, limit, operation, fill)
	if err != nil {
		return dynamo.Answer{}, err
	}
	answer := dynamo.Answer{Status: reply.Status, Date: reply.Header("date")}
	if reply.Status != 200 {
		answer.Code, name = code(body), "Item"
		if answer.Code != dynamo.ConditionFailed {
			return answer, nil
		}
	}
	if answer.Item, err = parseItem(body.Get(name)); err != nil {
		return dynamo.Answer{}, fmt.Errorf("answer to %s: %w", operation, err)
	}
	return answer, nil
}

// send makes a request whose body has what fill writes, and reads the answer as JSON. A
// refusal need not be JSON.
func (c *Client) send(ctx context.Context, limit time.Duration, operation string, fill func(w *strictjson.Writer)) (wire.Reply, strictjson.Value, error) {
	body := strictjson.Marshal(func(w *strictjson.Writer) {
		w.String("TableName", c.table)
		fill(w)
	})
	headers := c.role.Sign("POST", "/", "", []wire.Header{
		{Name: "host", Value: c.host},
		{Name: "content-type", Value: "application/x-amz-json-1.0"},
		{Name: "x-amz-target", Value: "DynamoDB_20120810." + operation},
	}, digest.Hex(body), c.now())
	headers = append(headers, wire.Header{Name: "content-length", Value: strconv.Itoa(len(body))})
	reply, err := c.sender.Send(ctx, limit, "POST", "/", headers, body)
	if err != nil {
		return wire.Reply{}, strictjson.Value{}, err
	}
	answer, err := strictjson.Parse(string(reply.Body))
	if reply.Status != 200 {
		return reply, answer, nil
	}
	if err == nil && answer.Kind != strictjson.Object {
		err = errors.New("not an object")
	}
	if err != nil {
		return wire.Reply{}, strictjson.Value{}, fmt.Errorf("answer to %s: %w", operation, err)
	}
	return reply, answer, nil
}

// code is the name of a refusal: what is behind "#" in its type, and before ":".
// https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html#operation-error-serialization
func code(answer strictjson.Value) string {
	name, _ := answer.Get("__type").Text()
	name, _, _ = strings.Cut(name, ":")
	if _, behind, ok := strings.Cut(name, "#"); ok {
		return behind
	}
	return name
}

func writeKey(w *strictjson.Writer, key dynamo.Key) {
	writeItem(w, "Key", dynamo.Item{"p": {Text: key.Partition}, "k": {Text: key.Sort}})
}

// The types of attributes that the table has.
const (
	typeText   = "S"
	typeNumber = "N"
)

func writeItem(w *strictjson.Writer, name string, item dynamo.Item) {
	w.Object(name, func(w *strictjson.Writer) {
		for attribute, value := range item {
			kind := typeText
			if value.Number {
				kind = typeNumber
			}
			w.Object(attribute, func(w *strictjson.Writer) { w.String(kind, value.Text) })
		}
	})
}

var errNoItem = errors.New("want an item of strings and numbers")

// parseItem reads an item. It is nil if there is none, or none of the attributes that were
// asked for.
func parseItem(value strictjson.Value) (dynamo.Item, error) {
	switch {
	case value.Kind == strictjson.Absent, value.Kind == strictjson.Null:
		return nil, nil
	case value.Kind != strictjson.Object:
		return nil, errNoItem
	case len(value.Members) == 0:
		return nil, nil
	}
	item := make(dynamo.Item, len(value.Members))
	for _, attribute := range value.Members {
		if attribute.Kind != strictjson.Object || len(attribute.Members) != 1 {
			return nil, errNoItem
		}
		typed := attribute.Members[0]
		text, ok := typed.Text()
		if _, twice := item[attribute.Name]; twice || !ok || typed.Name != typeText && typed.Name != typeNumber {
			return nil, errNoItem
		}
		item[attribute.Name] = dynamo.Value{Text: text, Number: typed.Name == typeNumber}
	}
	return item, nil
}
