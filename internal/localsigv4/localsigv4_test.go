package localsigv4_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"oncegate/internal/localsigv4"
)

// TestVerify: what the AWS SDK signs is right as it arrives, and nothing else is.
func TestVerify(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	good := aws.Credentials{AccessKeyID: "ASIAX", SecretAccessKey: "made-up", SessionToken: "token"}
	for name, tt := range map[string]struct {
		change      func(*http.Request)
		credentials aws.Credentials
		body        string
		at          time.Time
		region      string
		ok          bool
	}{
		"as it was signed":    {ok: true},
		"a moment later":      {ok: true, at: now.Add(4 * time.Minute)},
		"another body":        {body: "x"},
		"another path":        {change: func(r *http.Request) { r.URL.Path = "/other" }},
		"another query":       {change: func(r *http.Request) { r.URL.RawQuery = "a=1" }},
		"another verb":        {change: func(r *http.Request) { r.Method = http.MethodPut }},
		"another host":        {change: func(r *http.Request) { r.Host = "other" }},
		"another header":      {change: func(r *http.Request) { r.Header.Set("X-Amz-Target", "Other") }},
		"a header more":       {change: func(r *http.Request) { r.Header.Set("X-Amz-Other", "x") }},
		"a header not signed": {ok: true, change: func(r *http.Request) { r.Header.Set("X-Other", "x") }},
		"another token":       {change: func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "other") }},
		"no token":            {change: func(r *http.Request) { r.Header.Del("X-Amz-Security-Token") }},
		"no signature":        {change: func(r *http.Request) { r.Header.Del("Authorization") }},
		"too old":             {at: now.Add(6 * time.Minute)},
		"too early":           {at: now.Add(-6 * time.Minute)},
		"another Region":      {region: "us-west-2"},
		"another secret":      {credentials: aws.Credentials{AccessKeyID: "ASIAX", SecretAccessKey: "other", SessionToken: "token"}},
		"another access key":  {credentials: aws.Credentials{AccessKeyID: "ASIAY", SecretAccessKey: "made-up", SessionToken: "token"}},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			var who string
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if tt.change != nil {
					tt.change(r)
				}
				if tt.body != "" {
					body = []byte(tt.body)
				}
				at, region := now, "eu-west-1"
				if !tt.at.IsZero() {
					at = tt.at
				}
				if tt.region != "" {
					region = tt.region
				}
				who, err = localsigv4.Verify(r, body, "events", region, at, func(key, token string) (string, bool) {
					return "made-up", key == "ASIAX" && token == "token"
				})
			}))
			defer server.Close()
			const body = `{"a": 1}`
			r, e := http.NewRequest(http.MethodPost, server.URL+"/a%2Fb/c d?z=1&a=%20x&a=b", bytes.NewBufferString(body))
			if e != nil {
				t.Fatal(e)
			}
			r.Header.Set("X-Amz-Target", "AWSEvents.PutEvents")
			r.Header.Set("Content-Type", "application/x-amz-json-1.1")
			c := good
			if tt.credentials.AccessKeyID != "" {
				c = tt.credentials
			}
			sum := sha256.Sum256([]byte(body))
			if e := v4.NewSigner().SignHTTP(t.Context(), c, r, hex.EncodeToString(sum[:]), "events", "eu-west-1", now); e != nil {
				t.Fatal(e)
			}
			res, e := http.DefaultClient.Do(r)
			if e != nil {
				t.Fatal(e)
			}
			res.Body.Close()
			if (err == nil) != tt.ok || err != nil && !errors.Is(err, localsigv4.ErrSignature) || tt.ok && who != "ASIAX" {
				t.Errorf("%q, %v", who, err)
			}
		})
	}
}
