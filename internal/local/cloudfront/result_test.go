package cloudfront

import (
	"errors"
	"strings"
	"testing"

	"oncegate/edge"
)

func sentRequest() edge.Request {
	return edge.Request{
		ClientIP:    "192.0.2.7",
		Method:      "PUT",
		URI:         "/uploads/x",
		Querystring: "a=b",
		Headers: edge.Headers{
			"host":           {{Key: "Host", Value: "example.com"}},
			"content-length": {{Key: "Content-Length", Value: "3"}},
			"cookie":         {{Key: "Cookie", Value: "a=1"}, {Key: "Cookie", Value: "b=2"}},
			"via":            {{Key: "Via", Value: "1.0 proxy"}},
		},
	}
}

const (
	sentHeaders = `"host":[{"key":"Host","value":"example.com"}],"content-length":[{"key":"Content-Length","value":"3"}],"via":[{"value":"1.0 proxy"}]`
	sentRest    = `"clientIp":"192.0.2.7","method":"PUT","uri":"/uploads/x","querystring":"a=b"`
)

func TestResultsThatCloudFrontRefuses(t *testing.T) {
	request := func(headers string) string { return `{` + sentRest + `,"headers":{` + headers + `}}` }
	for _, tt := range []struct{ name, result, detail string }{
		{"null", `null`, "no object"},
		{"array", `[]`, "no object"},
		{"string", `"x"`, "no object"},

		{"status number", `{"status":200}`, "status is not"},
		{"status null", `{"status":null}`, "status is not"},
		{"status empty", `{"status":""}`, "status is not"},
		{"status 199", `{"status":"199"}`, "status is not"},
		{"status 600", `{"status":"600"}`, "status is not"},
		{"status signed", `{"status":"+20"}`, "status is not"},
		{"status padded", `{"status":"0200"}`, "status is not"},
		{"description number", `{"status":"200","statusDescription":1}`, "statusDescription"},
		{"description lines", `{"status":"200","statusDescription":"a\r\nb"}`, "statusDescription"},
		{"unknown member", `{"status":"200","statusCode":200}`, `member "statusCode"`},
		{"member in another case", `{"status":"200","Body":"x"}`, `member "Body"`},
		{"body object", `{"status":"200","body":{}}`, "body is not a string"},
		{"body null", `{"status":"200","body":null}`, "body is not a string"},
		{"204 with body", `{"status":"204","body":""}`, "204"},
		{"encoding other", `{"status":"200","body":"x","bodyEncoding":"gzip"}`, "bodyEncoding"},
		{"base64 broken", `{"status":"200","body":"%%%","bodyEncoding":"base64"}`, "not base64"},
		{"too large body", `{"status":"200","body":"` + strings.Repeat("x", maxGenerated+1) + `"}`, "40961 bytes"},
		{"too large together", `{"status":"200","headers":{"x-y":[{"value":"12345678"}]},"body":"` + strings.Repeat("x", maxGenerated-10) + `"}`, "40961 bytes"},
		{"generated disallowed", `{"status":"200","headers":{"x-cache":[{"value":"x"}]}}`, "disallowed header, headerName : X-Cache"},
		{"generated disallowed prefix", `{"status":"200","headers":{"x-edge-y":[{"value":"x"}]}}`, "disallowed header"},
		{"generated content-length", `{"status":"200","headers":{"content-length":[{"value":"0"}]}}`, "read-only header, headerName : Content-Length"},
		{"generated transfer-encoding", `{"status":"200","headers":{"transfer-encoding":[{"value":"chunked"}]}}`, "read-only header"},
		{"headers array", `{"status":"200","headers":[]}`, "headers is not an object"},
		{"headers null", `{"status":"200","headers":null}`, "headers is not an object"},
		{"header string", `{"status":"200","headers":{"a":"b"}}`, "header a is not an array"},
		{"header null", `{"status":"200","headers":{"a":null}}`, "header a is not an array"},
		{"header upper case", `{"status":"200","headers":{"Cache-Control":[{"value":"x"}]}}`, "not lower case"},
		{"header no name", `{"status":"200","headers":{"a b":[{"value":"x"}]}}`, "no header name"},
		{"header entry string", `{"status":"200","headers":{"a":["b"]}}`, "not {key, value}"},
		{"header entry extra", `{"status":"200","headers":{"a":[{"value":"b","c":1}]}}`, "not {key, value}"},
		{"header value number", `{"status":"200","headers":{"a":[{"value":1}]}}`, "not a line of text"},
		{"header value missing", `{"status":"200","headers":{"a":[{"key":"A"}]}}`, "not a line of text"},
		{"header value lines", `{"status":"200","headers":{"a":[{"value":"b\r\nc: d"}]}}`, "not a line of text"},
		{"header key other", `{"status":"200","headers":{"a":[{"key":"B","value":"x"}]}}`, "key is another"},

		{"empty request", `{}`, "read-only member"},
		{"method changed", `{"clientIp":"192.0.2.7","method":"GET","uri":"/","querystring":"","headers":{}}`, "read-only member method"},
		{"client changed", `{"clientIp":"192.0.2.8","method":"PUT","uri":"/","querystring":"","headers":{}}`, "read-only member clientIp"},
		{"request with a body", `{` + sentRest + `,"headers":{` + sentHeaders + `},"body":{}}`, `member "body"`},
		{"request without headers", `{` + sentRest + `}`, "headers is not an object"},
		{"host dropped", request(`"content-length":[{"value":"3"}],"via":[{"value":"1.0 proxy"}]`), "delete read-only header, headerName : Host"},
		{"host emptied", request(`"host":[],"content-length":[{"value":"3"}],"via":[{"value":"1.0 proxy"}]`), "delete read-only header, headerName : Host"},
		{"content-length changed", request(`"host":[{"value":"example.com"}],"content-length":[{"value":"4"}],"via":[{"value":"1.0 proxy"}]`), "change read-only header, headerName : Content-Length"},
		{"via doubled", request(`"host":[{"value":"example.com"}],"content-length":[{"value":"3"}],"via":[{"value":"1.0 proxy"},{"value":"x"}]`), "change read-only header, headerName : Via"},
		{"transfer-encoding added", request(sentHeaders + `,"transfer-encoding":[{"value":"chunked"}]`), "add read-only header, headerName : Transfer-Encoding"},
		{"expect added", request(sentHeaders + `,"expect":[{"value":"100-continue"}]`), "disallowed header, headerName : Expect"},
		{"x-amz-cf-id added", request(sentHeaders + `,"x-amz-cf-id":[{"value":"x"}]`), "disallowed header, headerName : X-Amz-Cf-Id"},
		{"viewer country added", request(sentHeaders + `,"cloudfront-viewer-country":[{"value":"NL"}]`), "headerName : Cloudfront-Viewer-Country"},
		{"uri relative", `{"clientIp":"192.0.2.7","method":"PUT","uri":"x","querystring":"","headers":{` + sentHeaders + `}}`, "uri does not"},
		{"uri with query", `{"clientIp":"192.0.2.7","method":"PUT","uri":"/x?y","querystring":"","headers":{` + sentHeaders + `}}`, "uri does not"},
		{"uri with line break", `{"clientIp":"192.0.2.7","method":"PUT","uri":"/x\r\ny","querystring":"","headers":{` + sentHeaders + `}}`, "uri does not"},
		{"query missing", `{"clientIp":"192.0.2.7","method":"PUT","uri":"/x","headers":{` + sentHeaders + `}}`, "querystring is missing"},
		{"query with a space", `{"clientIp":"192.0.2.7","method":"PUT","uri":"/x","querystring":"a b","headers":{` + sentHeaders + `}}`, "querystring is missing or"},
		{"query with #", `{"clientIp":"192.0.2.7","method":"PUT","uri":"/x","querystring":"a#b","headers":{` + sentHeaders + `}}`, "querystring is missing or"},
		{"query with a control character", `{"clientIp":"192.0.2.7","method":"PUT","uri":"/x","querystring":"a\u0000b","headers":{` + sentHeaders + `}}`, "querystring is missing or"},
		{"8192 characters", `{"clientIp":"192.0.2.7","method":"PUT","uri":"/x","querystring":"` + strings.Repeat("q", 8189) + `","headers":{` + sentHeaders + `}}`, "have 8192 characters"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := interpret(sentRequest(), []byte(tt.result))
			var bad *invalidResult
			if !errors.As(err, &bad) {
				t.Fatalf("got %v, want an invalid result", err)
			}
			if !strings.Contains(bad.Detail, tt.detail) {
				t.Errorf("detail %q does not say %q", bad.Detail, tt.detail)
			}
			if bad.Sentence == "" {
				t.Error("there is no sentence for the viewer")
			}
		})
	}
}

func TestResultsThatPass(t *testing.T) {
	interpreted := func(result string) outcome {
		t.Helper()
		out, err := interpret(sentRequest(), []byte(result))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	r := interpreted(`{"status":"403","statusDescription":"Forbidden","headers":{"cache-control":[{"value":"no-store"}],"x-a":[{"key":"X-A","value":"1"},{"key":"x-a","value":"2"}]},"body":"no"}`).response
	if r.status != 403 || string(r.body) != "no" || r.headers["cache-control"][0].Key != "Cache-Control" || len(r.headers["x-a"]) != 2 {
		t.Errorf("got %+v", r)
	}
	r = interpreted(`{"status":"200","body":"aGk=","bodyEncoding":"base64"}`).response
	if string(r.body) != "hi" {
		t.Errorf("got body %q, want hi", r.body)
	}
	if r = interpreted(`{"status":"204"}`).response; r.status != 204 || r.body != nil {
		t.Errorf("got %+v", r)
	}
	interpreted(`{"status":"200","body":"` + strings.Repeat("x", maxGenerated) + `"}`)

	q := interpreted(`{"clientIp":"192.0.2.7","method":"PUT","uri":"/other","querystring":"` + strings.Repeat("q", 8184) + `","headers":{` + sentHeaders + `,"x-amz-meta-a":[{"value":"1"}]}}`).request
	if q.URI != "/other" || len(q.Querystring) != 8184 || q.Headers["x-amz-meta-a"][0].Value != "1" || q.Headers["cookie"] != nil {
		t.Errorf("got %+v", q)
	}
}
