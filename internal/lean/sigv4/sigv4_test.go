package sigv4_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"oncegate/internal/lean/digest"
	"oncegate/internal/lean/sigv4"
)

var example = sigv4.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}

const exampleHost = "examplebucket.s3.amazonaws.com"

var exampleTime = time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)

// TestPublishedExamples are the examples of AWS's pages, see the package's comment.
func TestPublishedExamples(t *testing.T) {
	signer := sigv4.New(example, sigv4.S3, "us-east-1")
	for _, tt := range []struct {
		name, method, path string
		query, headers     []sigv4.Pair
		body, want         string
	}{
		{"GET object", "GET", "/test.txt", nil, []sigv4.Pair{{"range", "bytes=0-9"}}, "", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
		{"PUT object", "PUT", "/test%24file.text", nil, []sigv4.Pair{{"date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
			"Welcome to Amazon S3.", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
		{"GET lifecycle", "GET", "/", []sigv4.Pair{{"lifecycle", ""}}, nil, "", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
		{"list", "GET", "/", []sigv4.Pair{{"prefix", "J"}, {"max-keys", "2"}}, nil, "", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
	} {
		payload := digest.Hex([]byte(tt.body))
		headers := append(tt.headers, sigv4.Pair{Name: "host", Value: exampleHost}, sigv4.Pair{Name: "x-amz-content-sha256", Value: payload})
		signed := signer.Sign(tt.method, tt.path, sigv4.Encode(tt.query), headers, payload, exampleTime)
		if got := value(signed, "authorization"); !strings.HasSuffix(got, "Signature="+tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	query := signer.Presign("GET", "/test.txt", []sigv4.Pair{{Name: "host", Value: exampleHost}}, nil, exampleTime, 24*time.Hour)
	if !strings.HasSuffix(query, "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404") {
		t.Errorf("presigned %s", query)
	}
}

// TestPublishedExamplesOfOtherServices are from AWS's suite of tests for signatures, for a
// service that is called "service" and has no header with the hash of the body:
// https://github.com/awslabs/aws-c-auth/tree/main/tests/aws-signing-test-suite/v4
func TestPublishedExamplesOfOtherServices(t *testing.T) {
	signer := sigv4.New(sigv4.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}, "service", "us-east-1")
	at := time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	for method, want := range map[string]string{
		"GET":  "SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
		"POST": "SignedHeaders=host;x-amz-date, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
	} {
		signed := signer.Sign(method, "/", "", []sigv4.Pair{{Name: "host", Value: "example.amazonaws.com"}}, digest.Hex(nil), at)
		if got := value(signed, "authorization"); got != "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "+want {
			t.Errorf("%s: %s, want %s", method, got, want)
		}
	}
}

// TestMidnight: a signer keeps the signing key of a day, and of no other day. A key of
// yesterday would make S3 refuse every request after midnight UTC.
func TestMidnight(t *testing.T) {
	kept := sigv4.New(example, sigv4.S3, "us-east-1")
	before := exampleTime.Add(-time.Second)
	for _, at := range []time.Time{before, exampleTime, exampleTime.Add(24 * time.Hour), before} {
		headers := []sigv4.Pair{{Name: "host", Value: exampleHost}}
		want := sigv4.New(example, sigv4.S3, "us-east-1").Presign("PUT", "/x", headers, nil, at, time.Minute)
		if got := kept.Presign("PUT", "/x", headers, nil, at, time.Minute); got != want {
			t.Errorf("at %v a signer that was used before signs %s, a new one %s", at, got, want)
		}
		want = value(sigv4.New(example, sigv4.S3, "us-east-1").Sign("GET", "/x", "", headers, sigv4.UnsignedPayload, at), "authorization")
		if got := value(kept.Sign("GET", "/x", "", headers, sigv4.UnsignedPayload, at), "authorization"); got != want {
			t.Errorf("at %v a signer that was used before signs %s, a new one %s", at, got, want)
		}
	}
}

// TestEqualNames: S3 sorts parameters of one name by their values and joins headers of one
// name in the order that they came in. The expected signature is that of the SDK's signer.
func TestEqualNames(t *testing.T) {
	for _, given := range [][]sigv4.Pair{
		{{Name: "a", Value: "2"}, {Name: "b", Value: ""}, {Name: "a", Value: "10"}, {Name: "a", Value: "1"}},
		{{Name: "a", Value: "1"}, {Name: "a", Value: "10"}, {Name: "a", Value: "2"}, {Name: "b", Value: ""}},
	} {
		if got, want := sigv4.Encode(given), "a=1&a=10&a=2&b="; got != want {
			t.Errorf("%v is %s, want %s", given, got, want)
		}
	}
	r := &http.Request{Method: "PUT", Host: exampleHost, URL: &url.URL{Scheme: "https", Host: exampleHost, Path: "/x"},
		Header: http.Header{"X-Amz-Meta-A": {"2", "1"}, "X-Amz-Content-Sha256": {sigv4.UnsignedPayload}}}
	credentials := aws.Credentials{AccessKeyID: example.AccessKeyID, SecretAccessKey: example.SecretAccessKey}
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, sigv4.UnsignedPayload, "s3", "us-east-1", exampleTime); err != nil {
		t.Fatal(err)
	}
	signed := sigv4.New(example, sigv4.S3, "us-east-1").Sign("PUT", "/x", "", []sigv4.Pair{
		{Name: "x-amz-meta-a", Value: "2"}, {Name: "host", Value: exampleHost}, {Name: "x-amz-meta-a", Value: "1"}, {Name: "x-amz-content-sha256", Value: sigv4.UnsignedPayload},
	}, sigv4.UnsignedPayload, exampleTime)
	if got, want := value(signed, "authorization"), r.Header.Get("Authorization"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func value(headers []sigv4.Pair, name string) (value string) {
	for _, h := range headers {
		if h.Name == name {
			value = h.Value
		}
	}
	return value
}

// FuzzDate holds Date and ParseDate to package time.
func FuzzDate(f *testing.F) {
	for _, s := range []string{"20260304T050607Z", "20240229T235959Z", "20230229T000000Z", "20260304T240000Z", "20260304T050660Z", "2026030:T050607Z", "00000101T000000Z", "20261301T000000Z", "", "20260304t050607Z"} {
		f.Add(s, int64(1772600767))
	}
	f.Fuzz(func(t *testing.T, s string, seconds int64) {
		const layout = "20060102T150405Z"
		got, err := sigv4.ParseDate(s)
		want, wantErr := time.Parse(layout, s)
		if len(s) == 16 && ((err == nil) != (wantErr == nil) || err == nil && !got.Equal(want)) || len(s) != 16 && err == nil {
			t.Errorf("%q is %v, %v, want %v, %v", s, got, err, want, wantErr)
		}
		at := time.Unix(seconds%(1<<37), 0)
		if year := at.UTC().Year(); year < 0 || year > 9999 {
			return
		}
		if got, want := sigv4.Date(at), at.UTC().Format(layout); got != want {
			t.Errorf("%v is %s, want %s", at, got, want)
		}
	})
}

// FuzzLikeTheSDK holds both ways of signing to the SDK's signer, for both services.
func FuzzLikeTheSDK(f *testing.F) {
	f.Add("AKID", "secret", "", "eu-central-1", "/bucket/key", "prefix", "a b+c/é&=~", "x-amz-meta-colour", " light   blue ", "body", int64(1772600767), int64(60))
	f.Add("oncegate", "s", "IQoJb3JpZ2luX2VjE+/A==", "us-east-1", "/uploads/x", "versions", "", "if-none-match", "*", "", int64(0), int64(604800))
	f.Add("", "", "t", "", "/", "", "", "content-type", "application/json", "\x00", int64(1<<33), int64(1))
	f.Fuzz(func(t *testing.T, access, secret, token, region, path, name, parameter, header, headerValue, body string, seconds, lives int64) {
		const year = 365 * 24 * 3600
		at := time.Unix(seconds%(200*year), 0)
		header = strings.ToLower(header)
		for _, c := range []byte(header) {
			// The SDK leaves these out, or takes them for what only it knows.
			if c != '-' && (c < 'a' || c > 'z') {
				return
			}
		}
		switch header {
		case "", "host", "authorization", "user-agent", "x-amzn-trace-id", "expect", "transfer-encoding", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256", "content-length":
			return
		}
		if url, err := url.Parse("https://h" + path); err != nil || url.EscapedPath() != path || url.Host != "h" || url.RawQuery != "" || strings.Contains(path, "?") || strings.Contains(path, "#") || !strings.HasPrefix(path, "/") {
			return
		}
		if strings.ContainsAny(name+headerValue, "\r\n") || strings.HasPrefix(strings.ToLower(name), "x-amz") || secret == "" || access == "" {
			return
		}
		keys := sigv4.Credentials{AccessKeyID: access, SecretAccessKey: secret, SessionToken: token}
		ours := sigv4.New(keys, sigv4.S3, region)
		theirs := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
		credentials := aws.Credentials{AccessKeyID: access, SecretAccessKey: secret, SessionToken: token}
		query := sigv4.Encode([]sigv4.Pair{{Name: name, Value: parameter}})
		request := func() *http.Request {
			return &http.Request{Method: "PUT", Host: "h", URL: &url.URL{Scheme: "https", Host: "h", Path: path, RawPath: path, RawQuery: query},
				Header: http.Header{http.CanonicalHeaderKey(header): {headerValue}}}
		}

		r := request()
		payload := digest.Hex([]byte(body))
		r.Header.Set("X-Amz-Content-Sha256", payload)
		if err := theirs.SignHTTP(t.Context(), credentials, r, payload, "s3", region, at); err != nil {
			t.Fatal(err)
		}
		signed := ours.Sign("PUT", path, query, []sigv4.Pair{{Name: "x-amz-content-sha256", Value: payload}, {Name: "host", Value: "h"}, {Name: header, Value: headerValue}}, payload, at)
		for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token"} {
			if got, want := value(signed, strings.ToLower(name)), r.Header.Get(name); got != want {
				t.Fatalf("%s: %q, want %q", name, got, want)
			}
		}

		r = request()
		if err := theirs.SignHTTP(t.Context(), credentials, r, payload, "dynamodb", region, at); err != nil {
			t.Fatal(err)
		}
		signed = sigv4.New(keys, sigv4.DynamoDB, region).Sign("PUT", path, query, []sigv4.Pair{{Name: "host", Value: "h"}, {Name: header, Value: headerValue}}, payload, at)
		if got, want := value(signed, "authorization"), r.Header.Get("Authorization"); got != want {
			t.Fatalf("DynamoDB: %q, want %q", got, want)
		}

		if strings.HasPrefix(header, "x-amz-") {
			return // the SDK moves most of them into the query
		}
		r = request()
		life := int64(uint32(lives) % 604800)
		r.URL.RawQuery += fmt.Sprintf("&X-Amz-Expires=%d", life)
		want, _, err := theirs.PresignHTTP(t.Context(), credentials, r, sigv4.UnsignedPayload, "s3", region, at)
		if err != nil {
			t.Fatal(err)
		}
		got := ours.Presign("PUT", path, []sigv4.Pair{{Name: "host", Value: "h"}, {Name: header, Value: headerValue}}, []sigv4.Pair{{Name: name, Value: parameter}}, at, time.Duration(life)*time.Second)
		if _, want, _ := strings.Cut(want, "?"); got != want {
			t.Fatalf("presigned %s\nwant      %s", got, want)
		}
	})
}
