// Package localsigv4 verifies the SigV4 signature of a request to an AWS service
// that is played on this machine, as the service would. Not for S3, whose signatures
// have rules of their own and are verified by the real S3 server.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
package localsigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// ErrSignature says that a request is not signed, or not right. What is wrong is for
// the log; the signature is never in it.
var ErrSignature = errors.New("bad signature")

// skew is how far clocks may differ.
const skew = 5 * time.Minute

// Secrets finds the secret key of an access key that comes with this session token.
type Secrets func(accessKey, sessionToken string) (secret string, ok bool)

// Verify returns the access key that has signed the request, with this body, for the
// service in region.
func Verify(r *http.Request, body []byte, service, region string, now time.Time, secrets Secrets) (accessKey string, err error) {
	wrong := func(what string) (string, error) { return "", fmt.Errorf("%w: %s", ErrSignature, what) }
	fields, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return wrong("no AWS4-HMAC-SHA256 in Authorization")
	}
	parts := map[string]string{}
	for _, f := range strings.Split(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(f), "=")
		parts[name] = value
	}
	scope := strings.Split(parts["Credential"], "/")
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	switch {
	case err != nil:
		return wrong("no X-Amz-Date")
	case now.Sub(at).Abs() > skew:
		return wrong("X-Amz-Date is not now")
	case len(scope) != 5 || scope[1] != at.Format("20060102") || scope[2] != region || scope[3] != service || scope[4] != "aws4_request":
		return wrong(fmt.Sprintf("the credential's scope is not %s/%s/%s", at.Format("20060102"), region, service))
	}
	secret, ok := secrets(scope[0], r.Header.Get("X-Amz-Security-Token"))
	if !ok {
		return wrong("no such access key and session token")
	}
	signed := strings.Split(parts["SignedHeaders"], ";")
	if !slices.Contains(signed, "host") || !slices.IsSorted(signed) {
		return wrong("host is not among the signed headers, or they are not sorted")
	}
	// The token says who asks: a service wants it signed like everything x-amz-.
	for name := range r.Header {
		if name := strings.ToLower(name); strings.HasPrefix(name, "x-amz-") && !slices.Contains(signed, name) {
			return wrong(name + " is not signed")
		}
	}
	sum := sha256.Sum256(body)
	canonical := strings.Join([]string{
		r.Method, canonicalPath(r.URL), canonicalQuery(r.URL), canonicalHeaders(r, signed), parts["SignedHeaders"], hex.EncodeToString(sum[:]),
	}, "\n")
	digest := sha256.Sum256([]byte(canonical))
	key := []byte("AWS4" + secret)
	for _, part := range append(slices.Clone(scope[1:]), strings.Join([]string{
		"AWS4-HMAC-SHA256", r.Header.Get("X-Amz-Date"), strings.Join(scope[1:], "/"), hex.EncodeToString(digest[:]),
	}, "\n")) {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	given, err := hex.DecodeString(parts["Signature"])
	if err != nil || !hmac.Equal(given, key) {
		return wrong("it does not match the request")
	}
	return scope[0], nil
}

// canonicalPath is the path as it was sent, escaped once more, as every service but
// S3 wants it.
func canonicalPath(u *url.URL) string {
	path := u.EscapedPath()
	if path == "" {
		return "/"
	}
	return escape(path, "/")
}

func canonicalQuery(u *url.URL) string {
	var all []string
	for name, values := range u.Query() {
		for _, v := range values {
			all = append(all, escape(name, "")+"="+escape(v, ""))
		}
	}
	slices.Sort(all)
	return strings.Join(all, "&")
}

func canonicalHeaders(r *http.Request, signed []string) string {
	var b strings.Builder
	for _, name := range signed {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		b.WriteString(name + ":" + strings.Join(strings.Fields(value), " ") + "\n")
	}
	return b.String()
}

// escape is RFC 3986's percent encoding of everything but unreserved characters and
// those in also.
func escape(s, also string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~"+also, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
