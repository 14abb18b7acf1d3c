package testbed

import (
	"context"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"oncegate/internal/auth/apikey"
	"oncegate/internal/config"
	"oncegate/internal/dynamo"
	"oncegate/internal/dynamo/dynamosdk"
	"oncegate/internal/invite"
	"oncegate/internal/layout"
	"oncegate/internal/lean/sigv4"
	"oncegate/internal/local/dynamoserver"
	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
	"oncegate/internal/s3sdk"
)

// Indexes are those that a test of the rule is run on: both, or the one of $ONCEGATE_INDEX.
func Indexes() []string {
	if index := os.Getenv("ONCEGATE_INDEX"); index != "" {
		return []string{index}
	}
	return []string{config.IndexS3, config.IndexDynamoDB}
}

// WithIndex is what a count of make prove says of the index, if it is not the usual one.
func WithIndex(index string) string {
	if index == config.IndexDynamoDB {
		return " with the index in a table"
	}
	return ""
}

// EachIndex runs a test with each of Indexes.
func EachIndex(t *testing.T, run func(t *testing.T, index string)) {
	for _, index := range Indexes() {
		t.Run(index, func(t *testing.T) { run(t, index) })
	}
}

// In keeps the index there.
func In(index string) Option { return func(s *Setup) { s.Settings["index"] = index } }

// IndexInBucketOnly skips a test when the chain is run with the index in a table. The reason
// says why the test is about the bucket alone.
func IndexInBucketOnly(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("ONCEGATE_INDEX") == config.IndexDynamoDB {
		t.Skip(reason)
	}
}

// Records are an index, and the objects of its bucket, as the operator has them.
type Records interface {
	onetime.Ledger
	onetime.PartLedger
	invite.Ledger
	apikey.Records
	CreateKey(ctx context.Context, limit time.Duration, id string, body []byte) error
	ReplaceKey(ctx context.Context, limit time.Duration, id string, body []byte) error
}

// OpenRecords opens the index of the test's bucket. table is "" where it is in the bucket.
func OpenRecords(bucket, table string, who sigv4.Credentials) Records {
	provider := credentials.NewStaticCredentialsProvider(who.AccessKeyID, who.SecretAccessKey, who.SessionToken)
	client := s3sdk.New(s3servertest.Bucket, s3servertest.Region, bucket, provider)
	if table == "" {
		return struct {
			*s3sdk.Ledger
			*s3index.Invitations
		}{client.Ledger(), s3index.NewInvitations(client)}
	}
	conf := config.Defaults()
	conf.Bucket = s3servertest.Bucket
	return struct {
		*dynamo.Index
		objects
	}{dynamo.New(dynamosdk.New(conf.Table(), s3servertest.Region, table, provider), conf.Deploy.KeepsEntries()), client.Ledger()}
}

// objects are what the bucket holds with either index.
type objects interface {
	onetime.PartObjects
	HeadObject(ctx context.Context, limit time.Duration, key string) (onetime.Object, error)
	HideObject(ctx context.Context, limit time.Duration, key, etag string) error
}

// Records opens the index of the stack, for its operator.
func (st *Stack) Records() Records { return st.RecordsAs(s3servertest.Operator) }

// RecordsAs opens it for whoever has these credentials.
func (st *Stack) RecordsAs(who sigv4.Credentials) Records {
	table := ""
	if st.Table != nil {
		table = st.Table.URL()
	}
	return OpenRecords(st.S3.URL(), table, who)
}

// Claims counts the claims of a URL. A delete marker over one fails the test.
func Claims(t testing.TB, index Records, id onetime.ID) (n int) {
	t.Helper()
	versions, err := index.ListExpired(t.Context(), 10*time.Second, id)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range versions {
		if v.DeleteMarker {
			t.Errorf("there is a delete marker over the claim of %s", id)
		} else {
			n++
		}
	}
	return n
}

// WantClaims fails the test unless the URL has so many claims.
func (st *Stack) WantClaims(t testing.TB, id onetime.ID, want int) {
	t.Helper()
	if got := Claims(t, st.Records(), id); got != want {
		t.Errorf("%s: %d claims, want %d", id, got, want)
	}
}

// Request is one to S3 or to the table, in words that fit both.
type Request struct {
	Write bool
	// About is what kind of record it is about: Valid, Expired and so on. A request to the
	// table that spends a URL is about Expired, though it reads what is valid as well.
	About string
	// Name is the last part of the key of the object or of the item.
	Name string
}

// What a Request is about.
const (
	Valid   = "valid"
	Expired = "expired"
	Slot    = "slot"
	Other   = "other"
)

func toS3(r *http.Request) Request {
	q := Request{Write: r.Method == http.MethodPut, About: Other, Name: r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]}
	for prefix, about := range map[string]string{layout.ValidEntries: Valid, layout.ExpiredEntries: Expired, layout.InvitationSlots: Slot} {
		if strings.Contains(r.URL.Path, "/"+prefix) {
			q.About = about
		}
	}
	return q
}

func toTable(r dynamoserver.Request) Request {
	q := Request{Write: r.Operation == "UpdateItem", About: Other, Name: r.Sort}
	has := func(attribute string) bool { return slices.Contains(r.Names, attribute) }
	switch isURL := strings.HasPrefix(r.Partition, "url#"); {
	case isURL && (has("claim") || has("nonce")):
		q.About = Expired
	case isURL && has("valid") && !has("parts"):
		q.About = Valid
	case strings.HasPrefix(r.Partition, "slots#"):
		q.About = Slot
	}
	return q
}

// Trouble plays f for every request about this name, or "" for all, whether it goes to S3 or
// to the table; nil ends it.
func (st *Stack) Trouble(name string, f func(Request) s3server.Fault) {
	if f == nil {
		st.FaultOn(name, nil)
	} else {
		st.FaultOn(name, func(r *http.Request) s3server.Fault { return f(toS3(r)) })
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	delete(st.tableFaults, name)
	if f != nil {
		st.tableFaults[name] = f
	}
}

// tableFault looks up the fault for the item.
func (st *Stack) tableFault(r dynamoserver.Request) dynamoserver.Fault {
	request := toTable(r)
	st.mu.Lock()
	f := st.tableFaults[request.Name]
	if f == nil {
		f = st.tableFaults[""]
	}
	st.mu.Unlock()
	if f == nil {
		return dynamoserver.Fault{}
	}
	return asDynamoDB(f(request))
}

// asDynamoDB is how DynamoDB has a fault of S3's. What it throttles has no effect.
func asDynamoDB(f s3server.Fault) dynamoserver.Fault {
	like := dynamoserver.Fault{Apply: f.Apply, Delay: f.Delay}
	switch f.Kind {
	case s3server.Drop:
		like.Kind = dynamoserver.Drop
	case s3server.Truncate:
		like.Kind = dynamoserver.Truncate
	case s3server.Hang:
		like.Kind = dynamoserver.Hang
	case s3server.Answer:
		like.Kind, like.Code = dynamoserver.Answer, map[int]string{
			403: "AccessDeniedException", 409: "TransactionConflictException", 429: dynamoserver.Throttled, 503: dynamoserver.Exceeded,
		}[f.Status]
		if like.Code == "" {
			like.Code = dynamoserver.Internal
		} else {
			like.Apply = false
		}
	}
	return like
}
