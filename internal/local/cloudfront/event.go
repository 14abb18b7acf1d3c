package cloudfront

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strings"
	"unicode/utf8"

	"oncegate/edge"
)

// viewerRequest is the request of the event, and the bytes that came over the wire for
// each of its values. The two differ where the viewer did not send UTF-8. The origin gets
// the viewer's bytes of what the function leaves alone.
type viewerRequest struct {
	edge.Request
	rawURI, rawQuerystring string
	rawHeaders             map[string][]string // by lower-case name, parallel to Headers
}

// newViewerRequest reads r as CloudFront shows it to a viewer-request function.
// One thing is lost, the spelling of header names, which net/http canonicalises.
func newViewerRequest(r *http.Request) viewerRequest {
	v := viewerRequest{rawHeaders: map[string][]string{}}
	v.rawURI, v.rawQuerystring, _ = strings.Cut(r.RequestURI, "?")
	v.Method = r.Method
	v.URI = utf8Text(v.rawURI)
	v.Querystring = utf8Text(v.rawQuerystring)
	v.ClientIP = r.RemoteAddr
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		v.ClientIP = host
	}
	v.Headers = edge.Headers{}
	add := func(key string, values ...string) {
		name := strings.ToLower(key)
		if disallowed(name) {
			return
		}
		for _, value := range values {
			v.Headers[name] = append(v.Headers[name], edge.Header{Key: key, Value: utf8Text(value)})
			v.rawHeaders[name] = append(v.rawHeaders[name], value)
		}
	}
	for key, values := range r.Header {
		add(key, values...)
	}
	// net/http takes these two out of the header.
	if r.Host != "" { // of HTTP/1.0
		add("Host", r.Host)
	}
	add("Transfer-Encoding", r.TransferEncoding...)
	return v
}

// maxIncludedBody is how much of a body a viewer-request function gets:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-include-body-access.html
const maxIncludedBody = 40 << 10

// includeBody reads the beginning of the body for the function. The origin still gets all
// of it.
func includeBody(r *http.Request) (*edge.Body, error) {
	start, err := io.ReadAll(io.LimitReader(r.Body, maxIncludedBody+1))
	if err != nil {
		return nil, err
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), r.Body), r.Body}
	truncated := len(start) > maxIncludedBody
	return &edge.Body{
		InputTruncated: truncated,
		Action:         "read-only",
		Encoding:       "base64",
		Data:           base64.StdEncoding.EncodeToString(start[:min(len(start), maxIncludedBody)]),
	}, nil
}

// event wraps the request for a function.
func (d Distribution) event(v viewerRequest, requestID string) edge.Event {
	return edge.Event{Records: []edge.Record{{CF: edge.CF{
		Config: edge.Config{
			DistributionDomainName: d.Domain,
			DistributionID:         d.ID,
			EventType:              edge.EventViewerRequest,
			RequestID:              requestID,
		},
		Request: v.Request,
	}}}}
}

// utf8Text makes UTF-8 of any bytes. CloudFront reads what is not UTF-8 as ISO-8859-1.
func utf8Text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

// newRequestID makes an id of CloudFront's form: 56 characters, opaque.
func newRequestID() string {
	b := make([]byte, 40)
	rand.Read(b) // never fails (crypto/rand)
	return base64.URLEncoding.EncodeToString(b)
}
