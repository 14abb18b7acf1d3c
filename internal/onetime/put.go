package onetime

import (
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
	Headers PutHeaders
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

// PutHeaders are Headers of which all lower-case names are known.
type PutHeaders interface {
	Headers
	Names() []string
}

// MaxBytes is the largest body that one PUT to S3 can hold, 5 GiB:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html
const MaxBytes = 5 << 30

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
	if err := put.checkHeaders(length); err != nil {
		return url, 0, err
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

func isDecimal(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}
