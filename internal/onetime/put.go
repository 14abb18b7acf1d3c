package onetime

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Put is an upload as the viewer sent it: raw path, raw query without "?".
type Put struct {
	Method  string
	Path    string
	Query   string
	Headers Headers
	// Request is CloudFront's id of the request. It goes into the expired entry
	// and decides nothing.
	Request string
	Attempt Attempt
}

// Attempt is for a caller that asks the gate again about the same request when it
// got no answer. Its second try must know the claim of the first as its own. The
// zero Attempt is for a caller that asks once.
type Attempt struct {
	// Nonce is what the claim is known by, in 32 lower-case hex digits of the
	// caller's own randomness, the same in all tries for one request and in no other.
	Nonce string
	// Repeated says that an earlier try with this nonce may have claimed.
	Repeated bool
}

func (a Attempt) check() error {
	if a.Nonce == "" && !a.Repeated {
		return nil
	}
	if raw, err := hex.DecodeString(a.Nonce); err != nil || len(raw) != nonceBytes || strings.ToLower(a.Nonce) != a.Nonce {
		return fmt.Errorf("the nonce of a repeatable request is not %d bytes in lower-case hex", nonceBytes)
	}
	return nil
}

// Headers gives the values of the header with this lower-case name, one per line.
type Headers interface {
	Values(name string) []string
}

// MaxBytes is the largest body that one PUT to S3 can hold, 5 GiB:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html
const MaxBytes = 5 << 30

// maxMetadataBytes is how much system-defined metadata S3 takes with a PUT:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
const maxMetadataBytes = 2 << 10

// metadataHeaders are stored by S3 with the object.
var metadataHeaders = []string{
	"cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires",
}

// maxForwardedBytes keeps what a viewer can put into the request to S3 well below
// the 8 KB of headers that S3 takes with a PUT; CloudFront adds some of its own:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
const maxForwardedBytes = 6 << 10

// forwardedHeaders are all that CloudFront may send on to S3, metadata included.
var forwardedHeaders = append([]string{
	"access-control-request-headers", "access-control-request-method", "content-md5", "origin", "via", "x-forwarded-for",
}, metadataHeaders...)

// Forwarded reports whether a viewer's header may reach S3 with the upload. S3
// authenticates by the upload signature alone: a second Authorization would be an
// error, an unsigned x-amz-* header too. Conditions are the gate's business:
// a viewer's own would make S3 refuse a PUT that has already spent its URL.
func Forwarded(name string) bool {
	switch name {
	case "authorization", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range":
		return false
	}
	return !strings.HasPrefix(name, "x-amz-")
}

// check is the gate's first step: it refuses, without a request to S3, whatever
// cannot be an upload with a URL minted here, and whatever S3 would refuse once
// the URL is spent. It returns the length of the body, and the URL as soon as it is
// known, with an error too.
func (put Put) check(region string, now time.Time) (url URL, length int64, err error) {
	if err := put.Attempt.check(); err != nil {
		return URL{}, 0, refuse(Internal, err)
	}
	if put.Method != "PUT" {
		return URL{}, 0, refuse(Method, nil)
	}
	if url, err = ParseURL(put.Path, put.Query, region); err != nil {
		return URL{}, 0, err
	}
	if !now.Before(url.Query.Expires()) {
		return url, 0, refuse(Expired, nil)
	}
	if length, err = put.checkFraming(); err != nil {
		return url, 0, err
	}
	if err := put.checkHeaders(); err != nil {
		return url, 0, refuse(Header, err)
	}
	return url, length, nil
}

// checkFraming holds the body to what S3 needs: a length, stated beforehand
// (S3 answers 411 MissingContentLength without one).
func (put Put) checkFraming() (length int64, err error) {
	if put.Headers.Values("transfer-encoding") != nil {
		return 0, refuse(LengthRequired, errors.New("transfer-encoding is set"))
	}
	lengths := put.Headers.Values("content-length")
	if len(lengths) != 1 || !isDecimal(lengths[0]) {
		return 0, refuse(LengthRequired, fmt.Errorf("%d content-length headers, or not a decimal number", len(lengths)))
	}
	// Out of range is the only error left for digits.
	length, err = strconv.ParseInt(lengths[0], 10, 64)
	if err != nil || length > MaxBytes {
		return 0, refuse(TooLarge, nil)
	}
	return length, nil
}

func (put Put) checkHeaders() error {
	if put.Headers.Values("x-amz-copy-source") != nil {
		return errors.New("x-amz-copy-source makes the PUT a copy")
	}
	// AWS SDKs can frame a body as aws-chunked. The frames are only undone for a
	// request that was signed for them; behind an upload signature S3 would store
	// them as if they were content.
	chunked := put.Headers.Values("x-amz-decoded-content-length") != nil
	for _, encoding := range put.Headers.Values("content-encoding") {
		chunked = chunked || strings.Contains(strings.ToLower(encoding), "aws-chunked")
	}
	for _, hash := range put.Headers.Values("x-amz-content-sha256") {
		chunked = chunked || strings.HasPrefix(hash, "STREAMING-")
	}
	if chunked {
		return errors.New("the body is framed as aws-chunked")
	}
	if digests := put.Headers.Values("content-md5"); digests != nil {
		sum, err := base64.StdEncoding.DecodeString(digests[0])
		if len(digests) != 1 || err != nil || len(sum) != 16 {
			return errors.New("content-md5 is not the base64 of 16 bytes, once")
		}
	}
	return put.checkSizes(nil)
}

// checkSizes holds the headers to what S3 takes, set being what the gate adds.
func (put Put) checkSizes(set map[string]string) error {
	if size := put.headerBytes(metadataHeaders, set); size > maxMetadataBytes {
		return fmt.Errorf("metadata headers of %d bytes, S3 takes %d", size, maxMetadataBytes)
	}
	if size := put.headerBytes(forwardedHeaders, set); size > maxForwardedBytes {
		return fmt.Errorf("forwarded headers of %d bytes, at most %d are allowed", size, maxForwardedBytes)
	}
	return nil
}

// headerBytes is the length of these headers, names and values. What is in set
// replaces the viewer's own.
func (put Put) headerBytes(names []string, set map[string]string) (size int) {
	for _, name := range names {
		values := put.Headers.Values(name)
		if value, ok := set[name]; ok {
			values = []string{value}
		}
		for _, value := range values {
			size += len(name) + len(value)
		}
	}
	return size
}

func isDecimal(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}
