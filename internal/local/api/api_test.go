package api_test

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"oncegate/internal/lean/sigv4"
	"oncegate/internal/local/api"
	"oncegate/internal/local/iam"
	"oncegate/internal/local/lambda"
)

var keys = aws.Credentials{AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "secret", SessionToken: "token"}

func caller(t *testing.T) api.Caller {
	t.Helper()
	policy, err := iam.ParseIdentity("policy", []byte(`{"Version": "2012-10-17", "Statement": {
		"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "arn:aws:lambda:eu-west-1:111122223333:function:mine"}}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	return api.Caller{
		ARN: "arn:aws:iam::111122223333:role/stub", Policies: []iam.Policy{policy},
		Credentials: sigv4.Credentials{AccessKeyID: keys.AccessKeyID, SecretAccessKey: keys.SecretAccessKey, SessionToken: keys.SessionToken},
	}
}

// Only a call that is signed by the role, for this service and Region, now, over this
// very request, and that its policies allow, gets as far as to learn that there is no
// such function here.
func TestWhoMayInvoke(t *testing.T) {
	api := &api.Lambda{
		Region: "eu-west-1", Account: "111122223333", Callers: []api.Caller{caller(t)},
		Functions: map[string]*lambda.Function{}, Log: slog.New(slog.DiscardHandler),
	}
	server := httptest.NewServer(api)
	defer server.Close()
	type call struct {
		function, body  string
		keys            aws.Credentials
		service, region string
		at              time.Time
		after           func(*http.Request)
	}
	for name, c := range map[string]struct {
		change func(*call)
		want   string
	}{
		"as it should be":    {func(*call) {}, "404 ResourceNotFoundException"},
		"another function":   {func(c *call) { c.function = "another" }, "403 AccessDeniedException"},
		"another secret":     {func(c *call) { c.keys.SecretAccessKey = "guessed" }, "403 InvalidSignatureException"},
		"another token":      {func(c *call) { c.keys.SessionToken = "guessed" }, "403 UnrecognizedClientException"},
		"no token":           {func(c *call) { c.keys.SessionToken = "" }, "403 UnrecognizedClientException"},
		"another key":        {func(c *call) { c.keys.AccessKeyID = "ASIAOTHER" }, "403 UnrecognizedClientException"},
		"another service":    {func(c *call) { c.service = "s3" }, "403 InvalidSignatureException"},
		"another Region":     {func(c *call) { c.region = "us-east-1" }, "403 InvalidSignatureException"},
		"signed an hour ago": {func(c *call) { c.at = c.at.Add(-time.Hour) }, "403 InvalidSignatureException"},
		"signed too early":   {func(c *call) { c.at = c.at.Add(time.Hour) }, "403 InvalidSignatureException"},
		"not signed":         {func(c *call) { c.after = func(r *http.Request) { r.Header.Del("Authorization") } }, "403 MissingAuthenticationTokenException"},
		"altered path":       {func(c *call) { c.after = func(r *http.Request) { r.URL.Path += "x" } }, "403 InvalidSignatureException"},
		"added query":        {func(c *call) { c.after = func(r *http.Request) { r.URL.RawQuery = "Qualifier=1" } }, "403 InvalidSignatureException"},
		"altered method":     {func(c *call) { c.after = func(r *http.Request) { r.Method = http.MethodPut } }, "403 InvalidSignatureException"},
		"asynchronous": {func(c *call) {
			c.after = func(r *http.Request) { r.Header.Set("X-Amz-Invocation-Type", "Event") }
		}, "404 UnknownOperationException"},
		"another signed header altered": {func(c *call) {
			c.after = func(r *http.Request) { r.Header.Set("X-Amz-Client-Context", "y") }
		}, "403 InvalidSignatureException"},
	} {
		t.Run(name, func(t *testing.T) {
			call := call{"mine", "{}", keys, "lambda", "eu-west-1", time.Now(), func(*http.Request) {}}
			c.change(&call)
			r, err := http.NewRequest(http.MethodPost, server.URL+"/2015-03-31/functions/"+call.function+"/invocations", strings.NewReader(call.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Amz-Client-Context", "x")
			sum := sha256.Sum256([]byte(call.body))
			if err := v4.NewSigner().SignHTTP(t.Context(), call.keys, r, hex.EncodeToString(sum[:]), call.service, call.region, call.at); err != nil {
				t.Fatal(err)
			}
			call.after(r)
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if got := response.Status[:3] + " " + response.Header.Get("X-Amzn-Errortype"); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	altered, err := http.NewRequest(http.MethodPost, server.URL+"/2015-03-31/functions/mine/invocations", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("[]"))
	if err := v4.NewSigner().SignHTTP(t.Context(), keys, altered, hex.EncodeToString(sum[:]), "lambda", "eu-west-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(altered)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if got := response.Header.Get("X-Amzn-Errortype"); got != "InvalidSignatureException" {
		t.Errorf("another payload than was signed: %s", got)
	}
}
