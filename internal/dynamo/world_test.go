//go:build !js

package dynamo_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"oncegate/internal/dynamo"
	"oncegate/internal/dynamo/dynamosdk"
	"oncegate/internal/invite"
	"oncegate/internal/lean/digest"
	"oncegate/internal/local/dynamoserver"
	"oncegate/internal/local/dynamoserver/dynamoservertest"
	"oncegate/internal/onetime"
)

const (
	// keep is how long the items of URLs stay after the URLs' time.
	keep = 29 * 24 * time.Hour
	// limit is more time than any request needs.
	limit = 30 * time.Second
)

// sdkTable is the server's table by package dynamosdk.
func sdkTable(server *dynamoserver.Server) *dynamosdk.Client {
	provider := credentials.NewStaticCredentialsProvider(dynamoservertest.AccessKey, dynamoservertest.SecretKey, "")
	return dynamosdk.New(dynamoservertest.Table, dynamoservertest.Region, server.URL(), provider)
}

// world is an index over a real server, whose requests are written down and can be made to
// fail.
type world struct {
	*dynamo.Index
	t     *testing.T
	table dynamo.Table

	mu    sync.Mutex
	calls []dynamoserver.Request
	fault dynamoserver.Fault // of every request
}

func newWorld(t *testing.T, change ...func(*dynamoserver.Options)) *world {
	t.Helper()
	w := &world{t: t}
	server := dynamoservertest.New(t, append(change, func(o *dynamoserver.Options) {
		o.Fault = func(r dynamoserver.Request) dynamoserver.Fault {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.calls = append(w.calls, r)
			return w.fault
		}
	})...)
	w.table = sdkTable(server)
	w.Index = dynamo.New(w.table, keep)
	return w
}

// under makes all requests of do fail so, and returns them.
func (w *world) under(fault dynamoserver.Fault, do func()) []dynamoserver.Request {
	w.mu.Lock()
	w.calls, w.fault = nil, fault
	w.mu.Unlock()
	do()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = dynamoserver.Fault{}
	return w.calls
}

// item is all that there is of an item, nil if there is none.
func (w *world) item(partition, sort string) dynamo.Item {
	w.t.Helper()
	answer, err := w.table.Get(w.t.Context(), limit, dynamo.Key{Partition: partition, Sort: sort})
	if err != nil || answer.Status != 200 {
		w.t.Fatalf("Get = %d %s, %v", answer.Status, answer.Code, err)
	}
	return answer.Item
}

// url is the item of a URL.
func (w *world) url(id onetime.ID) dynamo.Item {
	w.t.Helper()
	return w.item("url#"+string(id[:1]), string(id))
}

// put writes a whole item, as nothing of oncegate does.
func (w *world) put(partition, sort string, item dynamo.Item) {
	w.t.Helper()
	update := dynamo.Update{Key: dynamo.Key{Partition: partition, Sort: sort}, Values: dynamo.Item{}}
	var set []string
	for name, value := range item {
		set = append(set, name+" = :"+name)
		update.Values[":"+name] = value
	}
	update.Expression = "SET " + strings.Join(set, ", ")
	if answer, err := w.table.Update(w.t.Context(), limit, update); err != nil || answer.Status != 200 {
		w.t.Fatalf("Update = %d %s, %v", answer.Status, answer.Code, err)
	}
}

// newID is an ID that only this test has.
func newID(t *testing.T, part string) onetime.ID { return onetime.Fingerprint(t.Name(), part) }

// newInvitation is one too.
func newInvitation(t *testing.T, part string) invite.ID { return invite.ID(newID(t, part)) }

const uploadKey = "uploads/123e4567-e89b-42d3-a456-426614174000"

// entry is a valid entry that demands all that there is to be demanded.
func entry() onetime.ValidEntry {
	created := time.Now().UTC().Truncate(time.Second)
	return onetime.ValidEntry{
		Version: 1, Created: created, Expires: created.Add(time.Hour), Key: uploadKey, Name: "a name", Tags: "project=blue",
		Limits: onetime.Limits{MinBytes: 2, MaxBytes: 9, Type: "image/png", SHA256: strings.Repeat("A", 43) + "="},
	}
}

// claim is one that this text tells from others.
func claim(reason onetime.Reason, who string) onetime.ExpiredEntry {
	return onetime.ExpiredEntry{Version: 1, Reason: reason, At: time.Now().UTC().Truncate(time.Millisecond), Nonce: digest.Hex([]byte(who))[:32], Request: who}
}

// terms are met by entry.
func terms() onetime.Terms {
	return onetime.Terms{Now: time.Now(), Length: 5, Type: "image/png", SHA256: true, Tags: true, Room: 1 << 10}
}

func (w *world) mint(id onetime.ID) []byte {
	w.t.Helper()
	body := entry().Marshal()
	if _, err := w.WriteValid(w.t.Context(), limit, id, body); err != nil {
		w.t.Fatal(err)
	}
	return body
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func describe(err error) string { return fmt.Sprintf("%T %v", err, err) }
