package dynamoserver_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"oncegate/internal/lean/sigv4"
	"oncegate/internal/local/api"
	"oncegate/internal/local/dynamoserver"
	"oncegate/internal/local/dynamoserver/dynamoservertest"
	"oncegate/internal/local/iam"
	"oncegate/internal/local/s3server"
)

type item = map[string]types.AttributeValue

func s(text string) types.AttributeValue { return &types.AttributeValueMemberS{Value: text} }
func n(number int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(number, 10)}
}

// plain is an item in a form that can be compared: text as it is, numbers with a # before them.
func plain(i item) map[string]string {
	out := map[string]string{}
	for name, v := range i {
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			out[name] = v.Value
		case *types.AttributeValueMemberN:
			out[name] = "#" + v.Value
		}
	}
	return out
}

func key(partition, sort string) item { return item{"p": s(partition), "k": s(sort)} }

// update is an UpdateItem of the test table that returns all it can.
func update(k item, expression, condition string, values item) *dynamodb.UpdateItemInput {
	in := &dynamodb.UpdateItemInput{
		TableName: aws.String(dynamoservertest.Table), Key: k, UpdateExpression: &expression, ExpressionAttributeValues: values,
		ReturnValues: types.ReturnValueAllNew, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if condition != "" {
		in.ConditionExpression = &condition
	}
	return in
}

func get(t testing.TB, c *dynamodb.Client, k item) map[string]string {
	t.Helper()
	out, err := c.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(dynamoservertest.Table), Key: k, ConsistentRead: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	return plain(out.Item)
}

// code is the type of a refusal and its status.
func code(err error) string {
	api, isAPI := errors.AsType[smithy.APIError](err)
	response, isResponse := errors.AsType[*awshttp.ResponseError](err)
	if !isAPI || !isResponse {
		return fmt.Sprint(err)
	}
	return fmt.Sprint(api.ErrorCode(), " ", response.HTTPStatusCode())
}

// TestRaces: of 20 claims of one URL at once exactly one succeeds and gets the whole item
// back. Each of the others gets the item with the winner's claim.
func TestRaces(t *testing.T) {
	races, clients := 300, 20
	if testing.Short() {
		races = 30
	}
	server := dynamoservertest.New(t)
	c := dynamoservertest.Client(server)
	for race := range races {
		k := key("url#a", fmt.Sprint("a", race))
		if _, err := c.UpdateItem(t.Context(), update(k, "SET valid = :v", "", item{":v": s("entry")})); err != nil {
			t.Fatal(err)
		}
		var won atomic.Pointer[string]
		lost := make([]map[string]string, clients)
		var all sync.WaitGroup
		begin := make(chan struct{})
		for i := range clients {
			all.Go(func() {
				<-begin
				nonce := fmt.Sprint("nonce", i)
				out, err := c.UpdateItem(t.Context(), update(k, "SET claim = :c, nonce = :n", "attribute_exists(valid) AND attribute_not_exists(claim)",
					item{":c": s("claim of " + nonce), ":n": s(nonce)}))
				failed, isFailed := errors.AsType[*types.ConditionalCheckFailedException](err)
				switch {
				case isFailed:
					lost[i] = plain(failed.Item)
				case err != nil:
					t.Error(err)
				case !won.CompareAndSwap(nil, &nonce):
					t.Errorf("race %d: %s and %s have both won", race, *won.Load(), nonce)
				default:
					want := map[string]string{"p": "url#a", "k": fmt.Sprint("a", race), "valid": "entry", "claim": "claim of " + nonce, "nonce": nonce}
					if got := plain(out.Attributes); !maps.Equal(got, want) {
						t.Errorf("race %d: the winner gets %v, want %v", race, got, want)
					}
				}
			})
		}
		close(begin)
		all.Wait()
		if won.Load() == nil {
			t.Fatalf("race %d: nobody has won", race)
		}
		there := get(t, c, k)
		for _, seen := range lost {
			if seen != nil && !maps.Equal(seen, there) {
				t.Errorf("race %d: a loser gets %v, and %v is there", race, seen, there)
			}
		}
		if there["nonce"] != *won.Load() {
			t.Errorf("race %d: %s has won, and %s is there", race, *won.Load(), there["nonce"])
		}
	}
}

// TestNoLostUpdate: what each of many writers adds is there in the end, and nobody sees a
// number twice.
func TestNoLostUpdate(t *testing.T) {
	const writers, rounds = 8, 25
	c := dynamoservertest.Client(dynamoservertest.New(t))
	k := key("url#a", "counter")
	var seen sync.Map
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range rounds {
				out, err := c.UpdateItem(t.Context(), update(k, "SET added = if_not_exists(added, :zero) + :one", "", item{":zero": n(0), ":one": n(1)}))
				if err != nil {
					t.Error(err)
					return
				}
				if _, twice := seen.LoadOrStore(plain(out.Attributes)["added"], true); twice {
					t.Errorf("%v was given out twice", plain(out.Attributes))
				}
			}
		})
	}
	all.Wait()
	if got := get(t, c, k)["added"]; got != fmt.Sprint("#", writers*rounds) {
		t.Errorf("%s after %d updates", got, writers*rounds)
	}
}

// TestExpressions: conditions and updates as DynamoDB defines them.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
func TestExpressions(t *testing.T) {
	c := dynamoservertest.Client(dynamoservertest.New(t))
	k := key("url#a", "abc")
	before := item{"valid": s("v"), "expires": n(1764269429), "least": n(0), "most": n(5368709120), "types": s(""), "nonce": s("mine")}
	for _, tt := range []struct {
		condition string
		values    item
		want      bool
	}{
		{"attribute_exists(valid)", nil, true},
		{"attribute_exists(claim)", nil, false},
		{"attribute_not_exists(claim)", nil, true},
		{"expires > :now", item{":now": n(1764269428)}, true},
		{"expires > :now", item{":now": n(1764269429)}, false},
		{"most >= :length", item{":length": n(5368709120)}, true},
		{"most >= :length", item{":length": n(5368709121)}, false},
		{"least <= :length AND most >= :length", item{":length": n(0)}, true},
		{":length BETWEEN least AND most", item{":length": n(7)}, true},
		{"types = :t", item{":t": s("")}, true},
		{"types IN (:t, :u)", item{":t": s("a"), ":u": s("")}, true},
		{"types IN (:t, :u)", item{":t": s("a"), ":u": s("b")}, false},
		// A comparison with an attribute that is not there is false, whatever it is.
		{"sole = :t", item{":t": s("a")}, false},
		{"added <= :n", item{":n": n(5)}, false},
		{"added > :n", item{":n": n(5)}, false},
		{"NOT added > :n", item{":n": n(5)}, true},
		{"(attribute_exists(valid) AND attribute_not_exists(nonce)) OR nonce = :n", item{":n": s("mine")}, true},
		{"attribute_exists(valid) AND (attribute_not_exists(nonce) OR nonce = :n)", item{":n": s("other")}, false},
		{"begins_with(nonce, :n)", item{":n": s("mi")}, true},
		{"contains(nonce, :n)", item{":n": s("in")}, true},
		{"contains(parts, :n)", item{":n": s("in")}, false},
		{"NOT contains(parts, :n)", item{":n": s("in")}, true},
		{"attribute_exists(parts) AND (contains(parts, :n) OR contains(nonce, :n))", item{":n": s("in")}, false},
		{"contains(:n, nonce)", item{":n": s("it is mine")}, true},
		{"size(nonce) = :n", item{":n": n(4)}, true},
	} {
		t.Run(tt.condition, func(t *testing.T) {
			_, err := c.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(dynamoservertest.Table), Item: merged(k, before)})
			if err != nil {
				t.Fatal(err)
			}
			out, err := c.UpdateItem(t.Context(), update(k, "SET why = :why", tt.condition, merged(tt.values, item{":why": s("x")})))
			failed, isFailed := errors.AsType[*types.ConditionalCheckFailedException](err)
			switch {
			case err != nil && !isFailed:
				t.Fatal(err)
			case tt.want == isFailed:
				t.Fatalf("it holds: %t", !isFailed)
			case isFailed:
				if got, want := plain(failed.Item), plain(merged(k, before)); !maps.Equal(got, want) || !maps.Equal(get(t, c, k), want) {
					t.Errorf("the failed condition returns %v, want %v; there is %v", got, want, get(t, c, k))
				}
			default:
				want := plain(merged(k, before, item{"why": s("x")}))
				if got := plain(out.Attributes); !maps.Equal(got, want) || !maps.Equal(get(t, c, k), want) {
					t.Errorf("ALL_NEW is %v, want %v; there is %v", got, want, get(t, c, k))
				}
			}
		})
	}
	t.Run("REMOVE", func(t *testing.T) {
		want := plain(merged(k, before, item{"claim": s("c")}))
		delete(want, "nonce")
		out, err := c.UpdateItem(t.Context(), update(k, "SET claim = :c REMOVE nonce, why", "", item{":c": s("c")}))
		if err != nil {
			t.Fatal(err)
		}
		if got := plain(out.Attributes); !maps.Equal(got, want) || !maps.Equal(get(t, c, k), want) {
			t.Errorf("ALL_NEW is %v, want %v; there is %v", got, want, get(t, c, k))
		}
	})
	t.Run("a condition on what is not there", func(t *testing.T) {
		_, err := c.UpdateItem(t.Context(), update(key("url#a", "absent"), "SET claim = :c", "attribute_exists(valid)", item{":c": s("c")}))
		failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err)
		if !ok || failed.Item != nil || len(get(t, c, key("url#a", "absent"))) != 0 {
			t.Errorf("%v", err)
		}
	})
}

func merged(items ...item) item {
	all := item{}
	for _, i := range items {
		maps.Copy(all, i)
	}
	return all
}

// TestRefused: what DynamoDB refuses is refused as it does, and what cannot be played is not
// answered wrongly.
func TestRefused(t *testing.T) {
	c := dynamoservertest.Client(dynamoservertest.New(t))
	k, one := key("url#a", "abc"), item{":n": n(1)}
	for _, tt := range []struct {
		name string
		in   *dynamodb.UpdateItemInput
		want string
	}{
		{"a reserved word", update(k, "SET min = :n", "", one), "reserved word MIN"},
		{"a reserved word in a condition", update(k, "SET added = :n", "ttl = :n", one), "reserved word TTL"},
		{"a value that is not used", update(k, "SET added = :n", "", item{":n": n(1), ":o": n(1)}), "unused in expressions"},
		{"a value that is not there", update(k, "SET added = :n", "", nil), "ValidationException"},
		{"the key", update(k, "SET k = :n", "", one), "part of the key"},
		{"an empty key", update(key("url#a", ""), "SET added = :n", "", one), "empty string"},
		{"half a key", update(item{"p": s("url#a")}, "SET added = :n", "", one), "ValidationException"},
		{"a dot", update(key("url.a", "abc"), "SET added = :n", "", one), "not played here: a partition key with a dot"},
		{"a long number", update(k, "SET added = :n", "", item{":n": n(1 << 60)}), "not played here: :n, a value that is neither"},
		{"a list", update(k, "SET added = :n", "", item{":n": &types.AttributeValueMemberL{}}), "not played here"},
		{"ADD", update(k, "ADD added :n", "", one), "not played here: ADD"},
		{"a large item", update(k, "SET valid = :a, claim = :b", "", item{":a": s(strings.Repeat("x", 300<<10)), ":b": s(strings.Repeat("x", 101<<10))}), "Item size"},
	} {
		_, err := c.UpdateItem(t.Context(), tt.in)
		if err == nil || !strings.HasPrefix(code(err), "ValidationException 400") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
		if left := get(t, c, k); len(left) != 0 {
			t.Fatalf("%s: %v is there", tt.name, left)
		}
	}
	if _, err := c.TransactWriteItems(t.Context(), &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{{}}}); err == nil || !strings.HasPrefix(code(err), "UnknownOperationException 400") {
		t.Errorf("an operation that is not played: %v", err)
	}
	_, err := c.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("other"), Key: k})
	if !strings.HasPrefix(code(err), "ResourceNotFoundException 400") {
		t.Errorf("another table: %v", err)
	}
	in := update(k, "SET added = :n", "", one)
	in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	if _, err := c.UpdateItem(t.Context(), in); !strings.HasPrefix(code(err), "SerializationException 400") || len(get(t, c, k)) != 0 {
		t.Errorf("a parameter that is not played: %v", err)
	}
}

// TestPages: a partition is read in the order of its sort keys, from any place, page by page.
func TestPages(t *testing.T) {
	for name, most := range map[string]int{"unbounded": 0, "at most two items": 2} {
		t.Run(name, func(t *testing.T) {
			c := dynamoservertest.Client(dynamoservertest.New(t, func(o *dynamoserver.Options) { o.PageItems = most }))
			for _, sort := range []string{"e", "a", "c", "g"} {
				for _, partition := range []string{"url#a", "url#b", "url"} {
					if _, err := c.UpdateItem(t.Context(), update(key(partition, sort), "SET valid = :v, claim = :v", "", item{":v": s(partition)})); err != nil {
						t.Fatal(err)
					}
				}
			}
			for after, want := range map[string]string{"": "aceg", "a": "ceg", "b": "ceg", "g": "", "zz": ""} {
				in := &dynamodb.QueryInput{
					TableName: aws.String(dynamoservertest.Table), KeyConditionExpression: aws.String("p = :p"), Limit: aws.Int32(3),
					ProjectionExpression: aws.String("k, valid"), ExpressionAttributeValues: item{":p": s("url#a")},
				}
				if after != "" {
					in.ExclusiveStartKey = key("url#a", after)
				}
				got, limit := "", 3
				if most > 0 {
					limit = most
				}
				for pages := dynamodb.NewQueryPaginator(c, in); pages.HasMorePages(); {
					out, err := pages.NextPage(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if out.Items == nil || len(out.Items) > limit || int(out.Count) != len(out.Items) {
						t.Errorf("a page of %d, a list: %t, counted %d", len(out.Items), out.Items != nil, out.Count)
					}
					for _, i := range out.Items {
						got += plain(i)["k"]
						if plain(i)["valid"] != "url#a" || len(i) != 2 {
							t.Errorf("%v, want k and valid", plain(i))
						}
					}
				}
				if got != want {
					t.Errorf("after %q come %q, want %q", after, got, want)
				}
			}
		})
	}
}

// TestAccess: signatures are verified, and a role may do what its policies say, down to
// partitions and attributes.
func TestAccess(t *testing.T) {
	keys := sigv4.Credentials{AccessKeyID: "ASIAROLE", SecretAccessKey: "made-up", SessionToken: "token"}
	policy, err := iam.ParseIdentity("role", []byte(`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"dynamodb:UpdateItem","Resource":"`+dynamoservertest.ARN+`","Condition":{
			"ForAllValues:StringLike":{"dynamodb:LeadingKeys":"url#*"},
			"ForAllValues:StringEquals":{"dynamodb:Attributes":["p","k","valid","claim","nonce"]},
			"StringEqualsIfExists":{"dynamodb:ReturnValues":["NONE","ALL_NEW"]}}},
		{"Effect":"Allow","Action":["dynamodb:GetItem","dynamodb:Query"],"Resource":"`+dynamoservertest.ARN+`","Condition":{
			"ForAllValues:StringEquals":{"dynamodb:Attributes":["p","k","claim"]},
			"StringEquals":{"dynamodb:Select":"SPECIFIC_ATTRIBUTES"}}}]}`), s3server.ConditionKeys)
	if err != nil {
		t.Fatal(err)
	}
	server := dynamoservertest.New(t, func(o *dynamoserver.Options) {
		o.Callers = append(o.Callers, api.Caller{ARN: "arn:aws:iam::111122223333:role/r", Credentials: keys, Policies: []iam.Policy{policy}})
	})
	c := dynamoservertest.ClientOf(server, keys)
	const denied = "AccessDeniedException 400"
	one, two := item{":c": s("c")}, item{":c": s("c"), ":n": s("n")}
	updates := map[string]*dynamodb.UpdateItemInput{}
	want := map[string]string{}
	for _, tt := range []struct {
		name, want string
		in         *dynamodb.UpdateItemInput
	}{
		{"allowed", "", update(key("url#a", "a"), "SET claim = :c", "attribute_not_exists(nonce)", one)},
		{"another partition", denied, update(key("key#a", "a"), "SET claim = :c", "", one)},
		{"an attribute that it sets", denied, update(key("url#a", "a"), "SET claim = :c, parts = :n", "", two)},
		{"an attribute that it asks about", denied, update(key("url#a", "a"), "SET claim = :c", "expires > :c", one)},
		{"an attribute that it removes", denied, update(key("url#a", "a"), "SET claim = :c REMOVE why", "", one)},
	} {
		updates[tt.name], want[tt.name] = tt.in, tt.want
	}
	named := update(key("url#a", "a"), "SET #x = :c", "", one)
	named.ExpressionAttributeNames = map[string]string{"#x": "parts"}
	updates["an attribute by another name"], want["an attribute by another name"] = named, denied
	old := update(key("url#a", "a"), "SET claim = :c", "", one)
	old.ReturnValues = types.ReturnValueAllOld
	updates["ALL_OLD"], want["ALL_OLD"] = old, denied
	for name, in := range updates {
		if _, err := c.UpdateItem(t.Context(), in); (err == nil) != (want[name] == "") || err != nil && code(err) != want[name] {
			t.Errorf("%s: %v, want %s", name, err, want[name])
		}
	}
	read := &dynamodb.GetItemInput{TableName: aws.String(dynamoservertest.Table), Key: key("url#a", "a"), ProjectionExpression: aws.String("claim")}
	if _, err := c.GetItem(t.Context(), read); err != nil {
		t.Errorf("reading claim: %v", err)
	}
	read.ProjectionExpression = aws.String("claim, valid")
	if _, err := c.GetItem(t.Context(), read); code(err) != denied {
		t.Errorf("reading valid: %v", err)
	}
	read.ProjectionExpression = nil
	if _, err := c.GetItem(t.Context(), read); code(err) != denied {
		t.Errorf("reading all: %v", err)
	}
	if _, err := c.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(dynamoservertest.Table), Item: key("url#a", "a")}); code(err) != denied {
		t.Errorf("PutItem: %v", err)
	}
	for name, wrong := range map[string]sigv4.Credentials{
		"UnrecognizedClientException 400": {AccessKeyID: "OTHER", SecretAccessKey: "made-up"},
		"InvalidSignatureException 400":   {AccessKeyID: "ASIAROLE", SecretAccessKey: "other", SessionToken: "token"},
	} {
		_, err := dynamoservertest.ClientOf(server, wrong).GetItem(t.Context(), read)
		if code(err) != name {
			t.Errorf("%v, want %s", err, name)
		}
	}
	res, err := http.Post(server.URL(), "application/x-amz-json-1.0", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("without a signature: %d", res.StatusCode)
	}
}
