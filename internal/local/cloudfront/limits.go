package cloudfront

import (
	"net/http"
	"strings"
)

// limits bound what a viewer may send, and what a function may make of it.
type limits struct {
	request     int   // request line and headers, in bytes
	url         int   // in bytes
	body        int64 // what Content-Length may say
	schemeCount bool  // the URL counts from its scheme on, else from its path
	// The statuses of what is too large.
	requestStatus, urlStatus int
}

// AWS's pages disagree, and each of these is one reading.
//
// The stricter one is the quotas page, and "maximum length of a request and maximum length
// of a URL" of the page on S3 origins, which has CloudFront construct a URL and answers 413:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/RequestAndResponseBehaviorS3Origin.html
// Older copies of the quotas page allow bodies of 20 GB, newer ones 64 GB. The wider
// reading has what other copies say.
var (
	strictLimits = limits{request: 20480, url: 8192, body: 20e9, schemeCount: true, requestStatus: 413, urlStatus: 413}
	wideLimits   = limits{request: maxRequest, url: 8192, body: 64e9, requestStatus: 494, urlStatus: 414}
)

// maxRequest is the largest request that any reading lets pass.
const maxRequest = 32768

// refuse is how a request of this size is refused: a status and the sentence of the page,
// or 0. target is path and query.
func (l limits) refuse(host, target string, size int, body int64) (status int, sentence string) {
	url := len(target)
	if l.schemeCount {
		url += len("https://") + len(host)
	}
	switch {
	case url > l.url:
		return l.urlStatus, "The URL is too long."
	case size > l.request:
		return l.requestStatus, "The request headers are too large."
	case body > l.body:
		return http.StatusRequestEntityTooLarge, "The request body is too large."
	}
	return 0, ""
}

// size is the length of the request line and the headers in their usual form:
// one space after each colon.
func size(r *http.Request) int {
	n := len(r.Method) + 1 + len(r.RequestURI) + 1 + len(r.Proto) + 2
	n += len("Host: ") + len(r.Host) + 2
	for _, te := range r.TransferEncoding {
		n += len("Transfer-Encoding: ") + len(te) + 2
	}
	for key, values := range r.Header {
		for _, value := range values {
			n += len(key) + 2 + len(value) + 2
		}
	}
	return n + 2
}

// targetOf is the target of the request line that a head begins with.
func targetOf(head string) string {
	_, rest, _ := strings.Cut(head, " ")
	target, _, _ := strings.Cut(rest, " ")
	return target
}
