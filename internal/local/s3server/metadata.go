package s3server

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"oncegate/internal/lean/sigv4"
)

const metadataPrefix = "x-amz-meta-"

// What a signature adds to a query.
var signatureParameters = []string{
	"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Security-Token", "X-Amz-Signature",
}

// moveMetadata lets a presigned request have metadata in its query, which S3 keeps and versitygw does not see: it goes on
// with the metadata in headers, signed anew with the same credentials. A request whose signature is wrong, or that has
// metadata in headers as well, which S3 would refuse as not signed, goes on as it is and is refused.
// https://github.com/aws/aws-sdk-js-v3/issues/4694
func (a *access) moveMetadata(pr *httputil.ProxyRequest) {
	query := pr.In.URL.Query()
	metadata, rest := url.Values{}, []sigv4.Pair{}
	for name, values := range query {
		if strings.HasPrefix(name, metadataPrefix) && len(values) == 1 {
			metadata[name] = values
		} else if !slices.Contains(signatureParameters, name) {
			for _, value := range values {
				rest = append(rest, sigv4.Pair{Name: name, Value: value})
			}
		}
	}
	if len(metadata) == 0 || pr.In.Method != http.MethodPut || hasMetadata(pr.In.Header) {
		return
	}
	scope := strings.Split(query.Get("X-Amz-Credential"), "/")
	at, dateErr := sigv4.ParseDate(query.Get("X-Amz-Date"))
	seconds, lifeErr := strconv.Atoi(query.Get("X-Amz-Expires"))
	who, err := a.identify(scope[0], query.Get("X-Amz-Security-Token"))
	if len(scope) != 5 || dateErr != nil || lifeErr != nil || err != nil {
		return
	}
	var headers []sigv4.Pair
	for name := range strings.SplitSeq(query.Get("X-Amz-SignedHeaders"), ";") {
		value := strings.Join(pr.In.Header.Values(name), ",")
		if name == "host" {
			value = pr.In.Host
		}
		headers = append(headers, sigv4.Pair{Name: name, Value: value})
	}
	signer := sigv4.New(who.Credentials, sigv4.S3, scope[2])
	sign := func(headers, more []sigv4.Pair) string {
		return signer.Presign(pr.In.Method, pr.In.URL.EscapedPath(), headers, more, at, time.Duration(seconds)*time.Second)
	}
	all, signedToo := slices.Clone(rest), slices.Clone(headers)
	for name, values := range metadata {
		all = append(all, sigv4.Pair{Name: name, Value: values[0]})
		signedToo = append(signedToo, sigv4.Pair{Name: name, Value: values[0]})
	}
	if !strings.HasSuffix(sign(headers, all), "&X-Amz-Signature="+query.Get("X-Amz-Signature")) {
		return
	}
	pr.Out.URL.RawQuery = sign(signedToo, rest)
	for name, values := range metadata {
		pr.Out.Header.Set(name, values[0])
	}
}

func hasMetadata(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(strings.ToLower(name), metadataPrefix) {
			return true
		}
	}
	return false
}
