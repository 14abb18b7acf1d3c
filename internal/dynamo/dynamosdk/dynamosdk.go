// Package dynamosdk makes DynamoDB requests with the AWS SDK. It is the DynamoDB client of the
// CLI and of regional Lambda functions, as package s3sdk is their S3 client.
package dynamosdk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"oncegate/internal/dynamo"
)

// idleTime is how long an idle connection is used again, as in package s3sdk.
const idleTime = 15 * time.Second

// Client is one table. It implements dynamo.Table.
type Client struct {
	table *string
	db    *dynamodb.Client
}

var _ dynamo.Table = (*Client)(nil)

// New returns a client for the table in region. endpoint is "" for AWS, or the URL of another
// DynamoDB server.
func New(table, region, endpoint string, provider aws.CredentialsProvider) *Client {
	options := dynamodb.Options{
		Region:      region,
		Credentials: provider,
		// The domain repeats requests itself: only it knows that a claim whose answer
		// got lost is not a stranger's.
		Retryer: aws.NopRetryer{},
		HTTPClient: awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.IdleConnTimeout = idleTime
		}),
		// Else the host would depend on whether the credentials name their account.
		AccountIDEndpointMode: aws.AccountIDEndpointModeDisabled,
	}
	if endpoint != "" {
		options.BaseEndpoint = &endpoint
	}
	return &Client{&table, dynamodb.New(options)}
}

// Get implements dynamo.Table.
func (c *Client) Get(ctx context.Context, limit time.Duration, key dynamo.Key, attributes ...string) (answer dynamo.Answer, err error) {
	input := &dynamodb.GetItemInput{TableName: c.table, Key: keyOf(key), ConsistentRead: aws.Bool(true), ProjectionExpression: projection(attributes)}
	out, err := request(ctx, limit, input, c.db.GetItem)
	if err != nil {
		return answerOf(err)
	}
	return answered(out.ResultMetadata, out.Item)
}

// Update implements dynamo.Table.
func (c *Client) Update(ctx context.Context, limit time.Duration, update dynamo.Update) (dynamo.Answer, error) {
	input := &dynamodb.UpdateItemInput{TableName: c.table, Key: keyOf(update.Key), UpdateExpression: &update.Expression}
	if len(update.Values) > 0 {
		input.ExpressionAttributeValues = attributesOf(update.Values)
	}
	if update.Condition != "" {
		input.ConditionExpression = &update.Condition
		input.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	}
	if update.Return {
		input.ReturnValues = types.ReturnValueAllNew
	}
	out, err := request(ctx, limit, input, c.db.UpdateItem)
	if err != nil {
		return answerOf(err)
	}
	return answered(out.ResultMetadata, out.Attributes)
}

// Query implements dynamo.Table. It says where to begin in the condition, and not with
// ExclusiveStartKey, for there may be no item with that key.
func (c *Client) Query(ctx context.Context, limit time.Duration, query dynamo.Query) (dynamo.Page, error) {
	input := &dynamodb.QueryInput{
		TableName:                 c.table,
		KeyConditionExpression:    aws.String("p = :p"),
		ExpressionAttributeValues: attributesOf(dynamo.Item{":p": {Text: query.Partition}}),
		ProjectionExpression:      projection(query.Attributes),
		ConsistentRead:            aws.Bool(true),
		Limit:                     aws.Int32(int32(query.Max)),
	}
	if query.After != "" {
		input.KeyConditionExpression = aws.String("p = :p AND k > :k")
		input.ExpressionAttributeValues[":k"] = &types.AttributeValueMemberS{Value: query.After}
	}
	out, err := request(ctx, limit, input, c.db.Query)
	if err != nil {
		answer, err := answerOf(err)
		return dynamo.Page{Status: answer.Status, Code: answer.Code}, err
	}
	page := dynamo.Page{Status: http.StatusOK}
	for _, attributes := range out.Items {
		item, err := itemOf(attributes)
		if err != nil {
			return dynamo.Page{}, err
		}
		page.Items = append(page.Items, item)
	}
	if len(out.LastEvaluatedKey) > 0 {
		key, err := itemOf(out.LastEvaluatedKey)
		if err != nil {
			return dynamo.Page{}, err
		}
		page.More, page.Last = true, key["k"].Text
	}
	return page, nil
}

// request makes a request, and finds out whether it failed because its connection was dead.
func request[In, Out any](ctx context.Context, limit time.Duration, input *In, call func(context.Context, *In, ...func(*dynamodb.Options)) (*Out, error)) (*Out, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var reused, began atomic.Bool // set by the transport's goroutines
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              func(c httptrace.GotConnInfo) { reused.Store(c.Reused) },
		GotFirstResponseByte: func() { began.Store(true) },
	})
	out, err := call(traced, input)
	if unsent, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
		err = unsent.Err // without the SDK's text about ids that no answer has
	}
	if err != nil && reused.Load() && !began.Load() && ctx.Err() == nil {
		return nil, fmt.Errorf("%w: %w", dynamo.ErrStale, err)
	}
	return out, err
}

// answered is a good answer.
func answered(metadata middleware.Metadata, attributes map[string]types.AttributeValue) (dynamo.Answer, error) {
	item, err := itemOf(attributes)
	if err != nil {
		return dynamo.Answer{}, err
	}
	answer := dynamo.Answer{Status: http.StatusOK, Item: item}
	if response, ok := awsmiddleware.GetRawResponse(metadata).(*smithyhttp.Response); ok {
		answer.Date = response.Header.Get("Date")
	}
	return answer, nil
}

// answerOf tells an answer that the SDK reports as an error from no answer.
func answerOf(err error) (dynamo.Answer, error) {
	response, ok := errors.AsType[*awshttp.ResponseError](err)
	// Where none came, the SDK makes up one without a status.
	if !ok || response.Response == nil || response.HTTPStatusCode() == 0 || response.HTTPStatusCode() == http.StatusOK {
		return dynamo.Answer{}, err // no answer, or a 200 whose body was cut short
	}
	answer := dynamo.Answer{Status: response.HTTPStatusCode(), Date: response.Response.Header.Get("Date")}
	// The code alone: the SDK's whole text goes over several lines of request ids.
	if api, ok := errors.AsType[interface {
		error
		ErrorCode() string
	}](err); ok {
		answer.Code = api.ErrorCode()
	}
	if failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		item, err := itemOf(failed.Item)
		if err != nil {
			return dynamo.Answer{}, err
		}
		answer.Code, answer.Item = dynamo.ConditionFailed, item
	}
	return answer, nil
}

func keyOf(key dynamo.Key) map[string]types.AttributeValue {
	return attributesOf(dynamo.Item{"p": {Text: key.Partition}, "k": {Text: key.Sort}})
}

func attributesOf(item dynamo.Item) map[string]types.AttributeValue {
	attributes := make(map[string]types.AttributeValue, len(item))
	for name, value := range item {
		if value.Number {
			attributes[name] = &types.AttributeValueMemberN{Value: value.Text}
		} else {
			attributes[name] = &types.AttributeValueMemberS{Value: value.Text}
		}
	}
	return attributes
}

// itemOf reads attributes, nil if there are none.
func itemOf(attributes map[string]types.AttributeValue) (dynamo.Item, error) {
	if len(attributes) == 0 {
		return nil, nil
	}
	item := make(dynamo.Item, len(attributes))
	for name, value := range attributes {
		switch value := value.(type) {
		case *types.AttributeValueMemberS:
			item[name] = dynamo.Value{Text: value.Value}
		case *types.AttributeValueMemberN:
			item[name] = dynamo.Value{Text: value.Value, Number: true}
		default:
			return nil, fmt.Errorf("the attribute %s is neither a string nor a number", name)
		}
	}
	return item, nil
}

func projection(attributes []string) *string {
	if len(attributes) == 0 {
		return nil
	}
	return aws.String(strings.Join(attributes, ", "))
}
