package onetime

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"oncegate/internal/layout"
	"oncegate/internal/lean/sigv4"
)

// The form of every URL that mint makes. Nothing else can be in the index, so
// nothing else is worth a request to S3.
//
//	/uploads/<name>?X-Amz-Algorithm=AWS4-HMAC-SHA256
//	  &X-Amz-Credential=oncegate%2F<date>%2F<region>%2Fs3%2Faws4_request
//	  &X-Amz-Date=<YYYYMMDD>T<hhmmss>Z&X-Amz-Expires=<seconds>
//	  &X-Amz-SignedHeaders=host&x-id=PutObject&X-Amz-Signature=<64 hex digits>
//
// <name> is a lower-case UUIDv4, or <prefix>/<UUIDv4> (package layout).
// It is a presigned URL of S3 as the AWS SDK for Go makes it, but for the signature,
// which is 32 random bytes:
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
const (
	// MintedAccessKey stands where a presigned URL names its access key. S3 knows
	// no such key, so S3 refuses the URL wherever it is put directly.
	MintedAccessKey = "oncegate"

	// MaxLife is the longest life that SigV4 query authentication allows.
	MaxLife = 7 * 24 * time.Hour
)

// UploadKey returns the object key that path names when it is exactly
// /uploads/<lower-case UUIDv4>, or the same with a prefix before the UUID.
func UploadKey(path string) (key string, err error) {
	name, ok := strings.CutPrefix(path, "/"+layout.Uploads)
	if !ok {
		return "", fmt.Errorf("path does not begin with /%s", layout.Uploads)
	}
	if _, uuid, ok := layout.SplitUpload(name); !ok && layout.IsUUIDv4(uuid) {
		return "", errors.New("path has something before its UUID that is no prefix")
	} else if !ok {
		return "", errors.New("path does not end in a lower-case UUIDv4")
	}
	return layout.Uploads + name, nil
}

// newUUID makes a UUIDv4 (RFC 9562, 5.4) in lower case. A library for it brings half
// a megabyte of code to the edge that is never run.
func newUUID(entropy Entropy) (string, error) {
	s, err := randomHex(entropy, 16)
	if err != nil {
		return "", err
	}
	// Version 4 and, in two bits, the variant; 122 bits stay random.
	variant := string("89ab"[strings.IndexByte("0123456789abcdef", s[16])&3])
	return s[:8] + "-" + s[8:12] + "-4" + s[13:16] + "-" + variant + s[17:20] + "-" + s[20:], nil
}

// Query is the meaning of a minted URL's query.
type Query struct {
	Region    string
	Date      time.Time     // when it was minted, whole seconds, UTC
	Life      time.Duration // whole seconds, at least one, at most MaxLife
	Signature string        // 64 lower-case hex digits
}

// Expires is the first moment at which the URL is no longer good.
func (q Query) Expires() time.Time { return q.Date.Add(q.Life) }

// String writes the query, byte for byte as mint makes it.
func (q Query) String() string {
	date := sigv4.Date(q.Date)
	return "X-Amz-Algorithm=AWS4-HMAC-SHA256" +
		"&X-Amz-Credential=" + MintedAccessKey + "%2F" + date[:8] + "%2F" + q.Region + "%2Fs3%2Faws4_request" +
		"&X-Amz-Date=" + date +
		"&X-Amz-Expires=" + strconv.FormatInt(int64(q.Life/time.Second), 10) +
		"&X-Amz-SignedHeaders=host&x-id=PutObject" +
		"&X-Amz-Signature=" + q.Signature
}

// URL is a minted URL, from its path on.
type URL struct {
	ID    ID
	Key   string // the object that it uploads
	Query Query
}

// ParseURL reads path and query of a URL that mint makes for buckets in region, the
// query in any spelling (spelling.go) and without "?". Two that have the same ID are one
// URL. The error is a Refusal, for Path or for Unknown.
func ParseURL(path, query, region string) (URL, error) {
	key, err := UploadKey(path)
	if err != nil {
		return URL{}, refuse(Path, err)
	}
	q, minted, err := parseSpelling(query, region)
	if err != nil {
		return URL{}, refuse(Unknown, err)
	}
	return URL{ID: Fingerprint(path, minted), Key: key, Query: q}, nil
}

// ParseQuery reads the query of a URL that mint makes for buckets in region, in any
// spelling. String writes the mint's.
func ParseQuery(query, region string) (Query, error) {
	q, _, err := parseSpelling(query, region)
	return q, err
}

// parseSpelling also returns the query in the mint's spelling.
func parseSpelling(query, region string) (q Query, minted string, err error) {
	if q, err = parseMinted(query, region); err == nil {
		return q, query, nil // most clients leave the URL as it is
	}
	minted, err = respell(query)
	if err == nil {
		q, err = parseMinted(minted, region)
	}
	return q, minted, err
}

// parseMinted reads the mint's own spelling. It is strict: what it accepts, String
// writes back with the same bytes.
func parseMinted(query, region string) (Query, error) {
	var q Query
	rest := query
	next := func(name string) (value string) {
		value, rest, _ = strings.Cut(rest, "&")
		value, _ = strings.CutPrefix(value, name+"=")
		return value
	}
	next("X-Amz-Algorithm")
	next("X-Amz-Credential")
	date := next("X-Amz-Date")
	life := next("X-Amz-Expires")
	next("X-Amz-SignedHeaders")
	next("x-id")
	q.Region = region
	q.Signature = next("X-Amz-Signature")

	var err error
	if q.Date, err = sigv4.ParseDate(date); err != nil {
		return Query{}, errors.New("query: X-Amz-Date is not YYYYMMDDThhmmssZ")
	}
	seconds, err := strconv.ParseUint(life, 10, 32)
	q.Life = time.Duration(seconds) * time.Second
	if err != nil || q.Life < time.Second || q.Life > MaxLife {
		return Query{}, fmt.Errorf("query: X-Amz-Expires is not 1 to %d", MaxLife/time.Second)
	}
	if !isLowerHex(q.Signature, 64) {
		return Query{}, errors.New("query: X-Amz-Signature is not 64 lower-case hex digits")
	}
	// The fields above were cut out with little care; this is what makes the parser
	// strict: order, names, fixed values, escaping and number format at once.
	if q.String() != query {
		return Query{}, errors.New("query: not in the form that mint makes")
	}
	return q, nil
}
