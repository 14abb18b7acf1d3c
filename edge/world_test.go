package edge_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"oncegate/edge"
	"oncegate/internal/lean/sigv4"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
	"oncegate/internal/s3wire"
)

var start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

const (
	bucket       = "oncegate-test"
	sessionToken = "SESSIONTOKENOFTHEROLE"
)

// world is both functions on an index in memory, with the signer of production.
type world struct {
	*edge.Functions
	store     *onetimetest.Store
	index     *onetimetest.Index
	clock     *onetimetest.Clock
	presigner *s3wire.Client
	log       bytes.Buffer
}

func newWorld(t onetimetest.Reporter) *world {
	w := &world{store: onetimetest.NewStore(t), clock: onetimetest.NewClock(start)}
	w.index = &onetimetest.Index{Store: w.store, Clock: w.clock}
	// Presigning sends nothing, so there is neither endpoint nor sender.
	w.presigner = s3wire.New(bucket, onetimetest.Region, s3wire.Endpoint{}, sigv4.Credentials{
		AccessKeyID: "ASIAROLEOFTHEGATE", SecretAccessKey: "secret of the role", SessionToken: sessionToken,
	}, nil, w.clock.Now)
	entropy := onetimetest.NewEntropy(1)
	w.Functions = &edge.Functions{
		Minter: &onetime.Minter{Index: w.index, Clock: w.clock, Entropy: entropy, Region: onetimetest.Region,
			Bounds: onetime.Bounds{Life: time.Hour, MaxLife: onetime.MaxLife, MaxBytes: onetime.MaxBytes, SHA256: true},
		},
		Gate: &onetime.Gate{
			Index: w.index, Presigner: w.presigner, Clock: w.clock, Entropy: entropy,
			Region: onetimetest.Region, FirstVersion: onetime.Conditional, SHA256: true,
		},
		Multipart: &onetime.Multipart{Parts: w.index, Presigner: onetimetest.Presigner{}},
		MaxCount:  10,
		Scheme:    "https",
		Log:       func(line []byte) { w.log.Write(line) },
	}
	w.Functions.Multipart.Gate = w.Functions.Gate
	return w
}

// run passes an event through Handle, as JSON both ways.
func (w *world) run(t testing.TB, function string, event edge.Event) edge.Result {
	t.Helper()
	eventJSON, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	return w.runJSON(t, function, eventJSON)
}

func (w *world) runJSON(t testing.TB, function string, eventJSON []byte) edge.Result {
	t.Helper()
	resultJSON := w.Handle(t.Context(), function, string(eventJSON), w.clock.Now().Add(time.Minute))
	decoder := json.NewDecoder(bytes.NewReader(resultJSON))
	decoder.DisallowUnknownFields()
	var result edge.Result
	if err := decoder.Decode(&result); err != nil {
		t.Fatalf("result %s: %v", resultJSON, err)
	}
	if (result.Response == nil) == (result.Forward == nil) {
		t.Fatalf("result %s: want a response or a forward", resultJSON)
	}
	return result
}

// mint gets a URL and returns its path and query.
func (w *world) mint(t testing.TB) (path, query string) {
	t.Helper()
	return w.order(t, "")
}

// order is mint with options.
func (w *world) order(t testing.TB, options string) (path, query string) {
	t.Helper()
	event := load(t, "get-url.json")
	event.Records[0].CF.Request.Querystring = options
	response := w.run(t, edge.MintFunction, event).Response
	url, ok := strings.CutPrefix(response.Body, "https://d111111abcdef8.cloudfront.net")
	if !ok || response.Status != "200" {
		t.Fatalf("mint answers %+v", response)
	}
	path, query, _ = strings.Cut(url, "?")
	return path, query
}

// upload is the event of a PUT with this URL.
func upload(t testing.TB, path, query string) edge.Event {
	t.Helper()
	event := load(t, "put-upload.json")
	request := &event.Records[0].CF.Request
	request.URI, request.Querystring = path, query
	return event
}

// load reads an event of testdata. Those are written by hand after the samples of
// AWS's page on the event structure (see edge.Event), not recorded.
func load(t testing.TB, name string) (event edge.Event) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &event); err != nil {
		t.Fatal(err)
	}
	return event
}

// value is the only value of a response's header, or "" of none.
func value(t testing.TB, response *edge.Response, name string) string {
	t.Helper()
	values := response.Headers.Values(name)
	if len(values) > 1 {
		t.Errorf("header %s: %q", name, values)
	}
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func reasonOf(t testing.TB, result edge.Result) onetime.Reason {
	t.Helper()
	if result.Response == nil {
		return ""
	}
	return onetime.Reason(value(t, result.Response, "x-oncegate-reason"))
}

// always makes every request of a method fail so.
func always(op string, fault onetimetest.Fault) func(onetimetest.Call) *onetimetest.Fault {
	return func(call onetimetest.Call) *onetimetest.Fault {
		if call.Op == op {
			return &fault
		}
		return nil
	}
}
