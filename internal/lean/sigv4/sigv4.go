// Package sigv4 signs requests to S3 and DynamoDB with AWS Signature Version 4, in headers
// and in queries: as the SDK does, without the SDK's tenfold code.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
package sigv4

import (
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"oncegate/internal/lean/digest"
)

// Credentials are the AWS credentials of one principal. SessionToken is empty where
// they do not expire. Printed or logged in any format they show the access key alone,
// but not at the edge, which prints none.
type Credentials struct {
	AccessKeyID, SecretAccessKey, SessionToken string
}

// Pair is a header or a parameter of a query. The names of headers are in lower case.
type Pair struct{ Name, Value string }

// UnsignedPayload stands for the hash of a body that is not signed.
const UnsignedPayload = "UNSIGNED-PAYLOAD"

const algorithm = "AWS4-HMAC-SHA256"

// Date is a time as signatures have it: 20060102T150405Z. Package time would do it in
// as much code as a cold start spends 2 ms on.
func Date(t time.Time) string {
	year, month, day := t.UTC().Date()
	hour, minute, second := t.UTC().Clock()
	b := make([]byte, 0, 16)
	for _, n := range []int{year / 100, year, int(month), day} {
		b = append(b, byte('0'+n/10%10), byte('0'+n%10))
	}
	b = append(b, 'T')
	for _, n := range []int{hour, minute, second} {
		b = append(b, byte('0'+n/10), byte('0'+n%10))
	}
	return string(append(b, 'Z'))
}

// ParseDate reads what Date writes.
func ParseDate(s string) (time.Time, error) {
	if len(s) == 16 && s[8] == 'T' && s[15] == 'Z' {
		number := func(from, to int) (n int) {
			for _, c := range []byte(s[from:to]) {
				n = 10*n + int(c-'0')
			}
			return n
		}
		t := time.Date(number(0, 4), time.Month(number(4, 6)), number(6, 8), number(9, 11), number(11, 13), number(13, 15), 0, time.UTC)
		if Date(t) == s { // what is no digit and no day does not come back
			return t, nil
		}
	}
	return time.Time{}, errors.New("date: want YYYYMMDDThhmmssZ")
}

// The services that a Signer can sign for.
const (
	S3       = "s3"
	DynamoDB = "dynamodb"
)

// Signer signs with one set of credentials, for one service in one Region. It may be used
// concurrently. It keeps the signing key of a day, which takes four HMACs to derive; a
// Signer never has other credentials, so its key is never another's.
type Signer struct {
	credentials     Credentials
	service, region string
	// A session token is a kilobyte, and always the same.
	escapedToken string

	mu  sync.Mutex
	day string
	key []byte
}

// New returns a signer.
func New(credentials Credentials, service, region string) *Signer {
	return &Signer{credentials: credentials, service: service, region: region, escapedToken: Escape(credentials.SessionToken)}
}

// Sign returns the headers of a request, with those added that make it a signed one.
// All are signed, so headers has Host and, for S3, x-amz-content-sha256 with payload, which
// is the hex SHA-256 of the body. path and query are as they are sent; query has been made
// by Encode.
func (s *Signer) Sign(method, path, query string, headers []Pair, payload string, at time.Time) []Pair {
	date := Date(at)
	signed := append(make([]Pair, 0, len(headers)+4), headers...)
	signed = append(signed, Pair{"x-amz-date", date})
	if s.credentials.SessionToken != "" {
		signed = append(signed, Pair{"x-amz-security-token", s.credentials.SessionToken})
	}
	ordered := sorted(signed)
	names := signedNames(ordered)
	signature := s.signature(date, canonicalRequest(method, path, query, ordered, names, payload))
	return append(signed, Pair{"authorization", algorithm + " Credential=" + s.credentials.AccessKeyID + "/" + s.scope(date) +
		", SignedHeaders=" + names + ", Signature=" + signature})
}

// Presign returns the query that makes a request without further headers a signed one:
// sorted, the signature last, as the SDK writes it. headers are what the request must
// carry, Host among them. more are parameters of the request itself.
func (s *Signer) Presign(method, path string, headers, more []Pair, at time.Time, life time.Duration) string {
	date := Date(at)
	headers = sorted(headers)
	names := signedNames(headers)
	parameters := append([]Pair{
		{"X-Amz-Algorithm", algorithm},
		{"X-Amz-Credential", s.credentials.AccessKeyID + "/" + s.scope(date)},
		{"X-Amz-Date", date},
		{"X-Amz-Expires", strconv.FormatInt(int64(life/time.Second), 10)},
		{"X-Amz-SignedHeaders", names},
	}, more...)
	encoded := escapeAll(parameters)
	if s.escapedToken != "" {
		encoded = append(encoded, Pair{"X-Amz-Security-Token", s.escapedToken})
	}
	query := join(encoded)
	return query + "&X-Amz-Signature=" + s.signature(date, canonicalRequest(method, path, query, headers, names, UnsignedPayload))
}

// signature signs a canonical request.
func (s *Signer) signature(date string, canonical []byte) string {
	toSign := algorithm + "\n" + date + "\n" + s.scope(date) + "\n" + digest.Hex(canonical)
	mac := digest.HMAC(s.signingKey(date[:8]), []byte(toSign))
	return hex.EncodeToString(mac[:])
}

// scope is what a signature is good for.
func (s *Signer) scope(date string) string {
	return date[:8] + "/" + s.region + "/" + s.service + "/aws4_request"
}

func (s *Signer) signingKey(day string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.day != day {
		key := []byte("AWS4" + s.credentials.SecretAccessKey)
		for _, part := range []string{day, s.region, s.service, "aws4_request"} {
			mac := digest.HMAC(key, []byte(part))
			key = mac[:]
		}
		s.day, s.key = day, key
	}
	return s.key
}

// canonicalRequest is what is signed of a request. headers are sorted, and names are
// theirs.
func canonicalRequest(method, path, query string, headers []Pair, names, payload string) []byte {
	size := len(method) + len(path) + len(query) + len(names) + len(payload) + 8
	for _, h := range headers {
		size += len(h.Name) + len(h.Value) + 2
	}
	b := make([]byte, 0, size) // a session token is a kilobyte
	b = append(append(b, method...), '\n')
	b = append(append(b, path...), '\n')
	b = append(append(b, query...), '\n')
	for i, h := range headers {
		if i > 0 && h.Name == headers[i-1].Name {
			b[len(b)-1] = ',' // values of one name are joined
		} else {
			b = append(append(b, h.Name...), ':')
		}
		b = append(append(b, oneSpaced(h.Value)...), '\n')
	}
	b = append(append(append(b, '\n'), names...), '\n')
	return append(b, payload...)
}

func sorted(headers []Pair) []Pair {
	all := slices.Clone(headers)
	sortPairs(all, func(a, b Pair) bool { return a.Name < b.Name })
	return all
}

// sortPairs sorts in place and keeps equal pairs in their order. There are a dozen at
// the most: the library's sort is no faster for them, and ten KB of code to load.
func sortPairs(pairs []Pair, less func(a, b Pair) bool) {
	for i := range pairs {
		for j := i; j > 0 && less(pairs[j], pairs[j-1]); j-- {
			pairs[j], pairs[j-1] = pairs[j-1], pairs[j]
		}
	}
}

// signedNames lists the names of sorted headers.
func signedNames(headers []Pair) string {
	b := make([]byte, 0, 128)
	for i, h := range headers {
		if i > 0 && h.Name == headers[i-1].Name {
			continue
		}
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, h.Name...)
	}
	return string(b)
}

// oneSpaced takes spaces away at both ends, and all but one of several in a row.
func oneSpaced(s string) string {
	s = strings.TrimSpace(s)
	for strings.Contains(s, "  ") {
		s = strings.ReplaceAll(s, "  ", " ")
	}
	return s
}

// Encode writes a query in the canonical form: encoded first, then sorted.
func Encode(parameters []Pair) string { return join(escapeAll(parameters)) }

func escapeAll(parameters []Pair) []Pair {
	encoded := make([]Pair, 0, len(parameters)+1)
	for _, p := range parameters {
		encoded = append(encoded, Pair{Escape(p.Name), Escape(p.Value)})
	}
	return encoded
}

// join sorts encoded parameters and writes them as a query.
func join(encoded []Pair) string {
	size := 0
	for _, p := range encoded {
		size += len(p.Name) + len(p.Value) + 2
	}
	sortPairs(encoded, func(a, b Pair) bool {
		return a.Name < b.Name || a.Name == b.Name && a.Value < b.Value
	})
	var query strings.Builder
	query.Grow(size)
	for i, p := range encoded {
		if i > 0 {
			query.WriteByte('&')
		}
		query.WriteString(p.Name)
		query.WriteByte('=')
		query.WriteString(p.Value)
	}
	return query.String()
}

// Escape writes all bytes but the unreserved ones of RFC 3986 as %XX.
func Escape(s string) string {
	const hex = "0123456789ABCDEF"
	var b []byte // once there is something to escape
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || c == '~' {
			if b != nil {
				b = append(b, c)
			}
			continue
		}
		if b == nil {
			b = append(make([]byte, 0, len(s)+len(s)/4+16), s[:i]...)
		}
		b = append(b, '%', hex[c>>4], hex[c&15])
	}
	if b == nil {
		return s
	}
	return string(b)
}
