package client

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/http/httptrace"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/minio/crc64nvme"
)

// Upload is one body to be sent.
type Upload struct {
	URL    URL
	Body   io.ReadSeeker // from its beginning
	Size   int64         // of all of Body
	Header map[string]string
	// Sent, if set, is called with the number of bytes sent so far. The calls come from
	// another goroutine, one at a time, and none comes after Put has returned.
	Sent func(n int64)
}

// Stored describes an upload that S3 has stored.
type Stored struct {
	Size    int64
	ETag    string // without quotes
	Version string
	SHA256  string // of what was sent, hex
	Parts   int    // how many; 0 for one PUT
	// CRC64NVME is S3's checksum of the object in base64, which is that of what was sent. It
	// is "" if S3 gave none, and for one PUT whose ETag could be compared.
	CRC64NVME string
	// Unverified says why the ETag could not be compared with what was sent. It is ""
	// if it was compared.
	Unverified string
}

// ErrAltered means that S3 has stored other bytes than were sent.
var ErrAltered = errors.New("S3's checksum is not that of what was sent: other bytes are stored")

var (
	md5Hex = regexp.MustCompile(`^[0-9a-f]{32}$`)
	// anyETag is what S3 gives parts: an MD5, or other letters and digits with a key of KMS.
	anyETag = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)
)

// Put uploads once; see the package comment. It sends Expect: 100-continue, so that a
// refusal comes before the body is sent. The error is a *Refusal, an *UploadError or
// ErrAltered.
func Put(ctx context.Context, u Upload) (Stored, error) {
	conn := transport()
	var stored Stored
	err := again(ctx, func() (err error) {
		if _, err := u.Body.Seek(0, io.SeekStart); err != nil {
			return &UploadError{Fate: Good, Err: err}
		}
		if u.Size == 0 { // then the transport reads nothing of it
			if err := ended(u.Body); err != nil {
				return &UploadError{Fate: Good, Err: err}
			}
		}
		stored, err = put(ctx, conn, u)
		return err
	})
	return stored, err
}

// ended returns an error if there is more of the body than what was read.
func ended(body io.Reader) error {
	switch n, err := io.ReadFull(body, make([]byte, 1)); {
	case n > 0:
		return errors.New("the body is longer than it was said to be")
	case err != io.EOF:
		return err
	}
	return nil
}

func put(ctx context.Context, conn http.RoundTripper, u Upload) (Stored, error) {
	// Set as soon as the deployment may have seen the request.
	var begun atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { begun.Store(true) }})
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, u.URL.URL, nil)
	if err != nil {
		// The error would repeat the URL.
		return Stored{}, &UploadError{Fate: Good, Err: errors.New("the URL cannot be requested")}
	}
	common(request)
	for name, value := range u.Header {
		request.Header.Set(name, value)
	}
	for name, value := range u.URL.Header {
		request.Header.Set(name, value)
	}
	sums := digests{md5.New(), sha256.New(), crc64nvme.New()}
	b := newBody(io.TeeReader(u.Body, io.MultiWriter(sums.md5, sums.sha256, sums.crc)), u.Sent)
	request.ContentLength = u.Size
	if u.Size > 0 { // without a body nothing waits, and nothing is closed
		request.Body = b
		request.Header.Set("Expect", "100-continue")
	} else {
		request.Body = http.NoBody
		b.Close()
	}
	response, err := conn.RoundTrip(request)
	if err != nil {
		b.end()
		return Stored{}, b.broken(err, u.Size, begun.Load())
	}
	text, readErr := io.ReadAll(io.LimitReader(response.Body, answerBytes))
	// The answer is here, so stop sending the rest.
	response.Body.Close()
	b.end()
	if response.StatusCode != http.StatusOK {
		return Stored{}, refusalOf(response, text)
	}
	if b.err != nil || b.sent != u.Size || readErr != nil {
		return Stored{}, &UploadError{Unknown, b.sent, errors.New("the answer came before the body was sent, or was cut short")}
	}
	return sums.stored(b.sent, response.Header)
}

// stored compares S3's answer with what was sent. The ETag is the MD5 of a body that came
// in one PUT, except with KMS and with customer-provided keys. There S3's CRC-64/NVME says the
// same, which it answers where the client has sent no checksum:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
func (d digests) stored(size int64, header http.Header) (Stored, error) {
	s := Stored{
		Size:    size,
		ETag:    strings.Trim(header.Get("Etag"), `"`),
		Version: header.Get("X-Amz-Version-Id"),
		SHA256:  hex.EncodeToString(d.sha256.Sum(nil)),
	}
	encryption := header.Get("X-Amz-Server-Side-Encryption")
	switch {
	case s.ETag == "":
		return s, &UploadError{Unknown, size, errors.New("the answer is 200 without an ETag, so it is not S3's")}
	case strings.HasPrefix(encryption, "aws:"):
		s.Unverified = "the bucket encrypts with " + readable(encryption, 20) + ", where the ETag is not the MD5"
	case header.Get("X-Amz-Server-Side-Encryption-Customer-Algorithm") != "":
		s.Unverified = "the bucket encrypts with a customer's key, where the ETag is not the MD5"
	case !md5Hex.MatchString(s.ETag):
		s.Unverified = "the ETag does not look like an MD5"
	case s.ETag != hex.EncodeToString(d.md5.Sum(nil)):
		return s, ErrAltered
	}
	crc := header.Get("X-Amz-Checksum-Crc64nvme")
	switch {
	case s.Unverified == "" || crc == "":
	case crc != base64.StdEncoding.EncodeToString(d.crc.Sum(nil)):
		return s, ErrAltered
	default:
		s.CRC64NVME, s.Unverified = crc, ""
	}
	s.ETag, s.Version = readable(s.ETag, 100), readable(s.Version, 200)
	return s, nil
}

// digests are of what was sent.
type digests struct {
	md5, sha256 hash.Hash
	crc         hash.Hash64
}

// body counts what the transport reads.
type body struct {
	mu     sync.Mutex // the transport may still read when the answer is here
	r      io.Reader
	told   func(int64) // nil for nobody
	sent   int64
	err    error // of reading
	over   bool  // nothing more is to be read
	once   sync.Once
	closed chan struct{}
}

func newBody(r io.Reader, told func(int64)) *body {
	return &body{r: r, told: told, closed: make(chan struct{})}
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return 0, errors.New("the answer is here")
	}
	n, err := b.r.Read(p)
	b.sent += int64(n)
	if b.told != nil && n > 0 {
		b.told(b.sent)
	}
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

// Close implements io.Closer. The transport calls it once or more, when it is done.
func (b *body) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

// end waits for the transport and stops it from reading more.
func (b *body) end() {
	<-b.closed
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
}

// broken describes an upload that got no answer.
func (b *body) broken(err error, size int64, begun bool) error {
	e := &UploadError{Sent: b.sent}
	switch {
	case b.err != nil:
		e.Fate, e.Err = Broken, b.err
	case !begun:
		e.Fate, e.Err = Good, fmt.Errorf("no connection: %w", Plain(err))
	case b.sent < size: // perhaps a refusal got lost with the connection
		e.Fate, e.Err = Broken, fmt.Errorf("the upload broke off after %d of %d bytes: %w", b.sent, size, Plain(err))
	default:
		e.Fate, e.Err = Unknown, fmt.Errorf("the answer got lost: %w", Plain(err))
	}
	return e
}
