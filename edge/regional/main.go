// Command regional is the edge functions as a regional Lambda. What then runs at the
// edge is a stub (edge/node/regional.mjs) that invokes it and does as it says. It is built once and deployed twice, once for each function:
//
//	ONCEGATE_FUNCTION   mint or gate
//	LAMBDA_TASK_ROOT    the directory of config.json
//
// An invocation is a payload; the answer is an edge.Result in JSON.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"oncegate/edge"
	"oncegate/edge/setup"
	"oncegate/internal/auth/bearer"
	"oncegate/internal/config"
	"oncegate/internal/dynamo"
	"oncegate/internal/dynamo/dynamosdk"
	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
	"oncegate/internal/s3sdk"
)

// answerReserve is kept of the time for handing the answer over.
const answerReserve = 50 * time.Millisecond

// maxKeysBytes bounds the set of keys that tokens are checked with.
const maxKeysBytes = 256 << 10

// payload is what the stub sends.
type payload struct {
	// Nonce and Repeated are an onetime.Attempt.
	Nonce    string `json:"nonce"`
	Repeated bool   `json:"repeated"`
	// RemainingMS is how long the stub waits for the answer. It is a duration,
	// because two machines' clocks are two clocks.
	RemainingMS int64 `json:"remainingMs"`
	// Event is what CloudFront handed to the stub, untouched.
	Event json.RawMessage `json:"event"`
}

func main() {
	handler, err := newHandler(os.Getenv, func(line []byte) { os.Stdout.Write(line) })
	if err != nil {
		fmt.Fprintln(os.Stderr, "oncegate:", err)
		os.Exit(1)
	}
	lambda.Start(handler.handle)
}

// handler is one of the two functions.
type handler struct {
	name      string
	functions *edge.Functions
}

func newHandler(env func(string) string, log edge.Log) (*handler, error) {
	name := env("ONCEGATE_FUNCTION")
	if name != edge.MintFunction && name != edge.GateFunction {
		return nil, fmt.Errorf("ONCEGATE_FUNCTION is %q: allowed are %s and %s", name, edge.MintFunction, edge.GateFunction)
	}
	conf, err := config.Load(filepath.Join(env("LAMBDA_TASK_ROOT"), "config.json"))
	if err != nil {
		return nil, err
	}
	role := credentials.NewStaticCredentialsProvider(env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY"), env("AWS_SESSION_TOKEN"))
	client := s3sdk.New(conf.Bucket, conf.Region, env("AWS_ENDPOINT_URL_S3"), role)
	store, err := setup.StoreOf(conf, struct {
		*s3sdk.Ledger
		*s3index.Invitations
	}{client.Ledger(), s3index.NewInvitations(client)}, func() (dynamo.Table, error) {
		return dynamosdk.New(conf.Table(), conf.Region, env("AWS_ENDPOINT_URL_DYNAMODB"), role), nil
	})
	if err != nil {
		return nil, err
	}
	local := env("ONCEGATE_VIEWER_SCHEME") == "http" && env("AWS_ENDPOINT_URL_S3") != ""
	functions := setup.New(conf, store, store, client, rand.Reader, env("ONCEGATE_VIEWER_SCHEME"), log)
	if functions.Auth, err = setup.NewAuthorizer(conf.Auth, store, rand.Reader, local, newBearer); err != nil {
		return nil, err
	}
	return &handler{name, functions}, nil
}

// handle answers one invocation. Whatever goes wrong is a refusal in the answer; an
// error would only be another way for the stub to be told so.
func (h *handler) handle(ctx context.Context, p payload) (edge.Result, error) {
	deadline := time.Now().Add(time.Duration(p.RemainingMS) * time.Millisecond)
	if own, ok := ctx.Deadline(); ok && own.Before(deadline) {
		deadline = own
	}
	var event edge.Event
	if err := json.Unmarshal(p.Event, &event); err != nil {
		event = edge.Event{} // which is refused like any event that is not a viewer request
	}
	event.Attempt = onetime.Attempt{Nonce: p.Nonce, Repeated: p.Repeated}
	return h.functions.Decide(ctx, h.name, event, deadline.Add(-answerReserve)), nil
}

// newBearer is the check of tokens.
func newBearer(conf config.JWT) edge.Authorizer {
	accepted := bearer.Accepted{Issuer: conf.Issuer, Audience: conf.Audience, BoundsClaim: conf.BoundsClaim}
	return bearer.NewAuthorizer(accepted, keyFetcher{conf.JWKS}, setup.Clock{})
}

// keyFetcher is bearer.Fetcher.
type keyFetcher struct{ url string }

var keysClient = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// FetchKeys implements bearer.Fetcher.
func (f keyFetcher) FetchKeys(ctx context.Context, limit time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("accept", "application/json")
	response, err := keysClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxKeysBytes+1))
	if err == nil && len(body) > maxKeysBytes {
		err = fmt.Errorf("the set of keys is larger than %d bytes", maxKeysBytes)
	}
	return body, err
}
