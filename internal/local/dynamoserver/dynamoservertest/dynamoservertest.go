// Package dynamoservertest gives a test its own local table: a random port, no items, gone with the test.
package dynamoservertest

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"oncegate/internal/lean/sigv4"
	"oncegate/internal/local/api"
	"oncegate/internal/local/dynamoserver"
	"oncegate/internal/local/iam"
)

// What every test table is set up with. The key is a made-up one.
const (
	Table     = "oncegate-test-index"
	Region    = "us-east-1"
	Account   = "111122223333"
	AccessKey = "ONCEGATETESTKEY"
	SecretKey = "oncegate-test-secret"
	ARN       = "arn:aws:dynamodb:" + Region + ":" + Account + ":table/" + Table
)

// New starts a table that is closed when the test ends. The given functions may change its options first.
func New(t testing.TB, change ...func(*dynamoserver.Options)) *dynamoserver.Server {
	t.Helper()
	o := Options()
	for _, f := range change {
		f(&o)
	}
	s, err := dynamoserver.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// Options is what New starts from: the key attributes of oncegate's table, a port of its own, and
// an operator who may do everything. Items are in memory alone.
func Options() dynamoserver.Options {
	return dynamoserver.Options{
		Table: Table, Region: Region, Account: Account, Partition: "p", Sort: "k", Expires: "forget", Addr: "127.0.0.1:0",
		Callers: []api.Caller{{
			ARN:         "arn:aws:iam::" + Account + ":user/operator",
			Credentials: sigv4.Credentials{AccessKeyID: AccessKey, SecretAccessKey: SecretKey},
			Policies:    []iam.Policy{iam.Administrator()},
		}},
	}
}

// Client is the operator's, without retries.
func Client(s *dynamoserver.Server) *dynamodb.Client {
	return ClientOf(s, sigv4.Credentials{AccessKeyID: AccessKey, SecretAccessKey: SecretKey})
}

// ClientOf is a client with these credentials, without retries.
func ClientOf(s *dynamoserver.Server, keys sigv4.Credentials) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region: Region, BaseEndpoint: aws.String(s.URL()), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken),
	})
}
