package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"time"

	"oncegate/internal/lean/text"
	"oncegate/internal/onetime"
)

// Fate is what became of a URL.
type Fate string

// Every fate.
const (
	Good    Fate = "good"    // nothing was spent
	Spent   Fate = "spent"   // it is spent, and nothing is stored
	Broken  Fate = "broken"  // it may be spent; nothing is stored
	Unknown Fate = "unknown" // it may be spent, and the body stored
	Useless Fate = "useless" // it was no good before: used, revoked, expired or never minted
)

// Refusal is an answer other than success.
type Refusal struct {
	Status  int
	Reason  onetime.Reason // x-oncegate-reason; "" if S3, CloudFront or a web ACL answered
	Message string         // one sentence or a few words, safe to print
	after   time.Duration
	s3      string // S3's error code; "" if S3 did not answer
	// bare is the fate that a refusal of a request about parts means where it has no reason.
	// "": it was a PUT of the whole.
	bare Fate
}

func (r *Refusal) Error() string { return r.Message }

// Fate says what the refusal of an upload means for its URL. It is Good or Spent only if
// the answer proves that; otherwise it is Broken or Unknown.
func (r *Refusal) Fate() Fate {
	switch r.Reason {
	case onetime.Used, onetime.Revoked, onetime.Expired, onetime.Unknown:
		return Useless
	case onetime.Method, onetime.Path, onetime.LengthRequired, onetime.TooLarge, onetime.TooSmall, onetime.Type, onetime.Header, onetime.IndexUnavailable,
		onetime.NoMultipart, onetime.NotStarted, onetime.BadPart, onetime.Incomplete:
		return Good
	case "":
		switch {
		case r.bare != "":
			return r.bare
		case r.Status < 300 || r.Status >= 500:
			return Unknown
		// The gate puts its reason on every refusal. So if S3 answers, be it by a redirect,
		// the gate let the PUT through; but InvalidAccessKeyId means that the URL never
		// reached the gate.
		case r.s3 != "" && r.s3 != "InvalidAccessKeyId":
			return Spent
		case r.Status < 400:
			return Unknown
		}
		return Broken // CloudFront and web ACLs refuse before the gate, and after it
	}
	return Unknown
}

// again reports whether this is a refusal after which the same request may succeed.
func (r *Refusal) again() bool {
	return r.Reason.Again()
}

var s3Code = regexp.MustCompile(`<Code>(\w{1,64})</Code>`)

// refusalOf reads an answer. From a body that is not oncegate's it takes S3's error code
// and nothing else, because S3 can put a canonical request there.
func refusalOf(response *http.Response, body []byte) *Refusal {
	r := &Refusal{
		Status: response.StatusCode,
		Reason: onetime.Reason(readable(response.Header.Get("X-Oncegate-Reason"), 40)),
		after:  seconds(response.Header.Get("Retry-After")),
	}
	var j struct{ Message string }
	switch code := s3Code.FindSubmatch(body); {
	case json.Unmarshal(body, &j) == nil && j.Message != "":
		r.Message = strings.TrimSuffix(readable(j.Message, 400), ".")
	case code != nil:
		r.s3 = string(code[1])
		r.Message = fmt.Sprintf("S3 answered %d %s", r.Status, r.s3)
	case r.Reason != "":
		r.Message = fmt.Sprintf("the deployment answered %d %s", r.Status, r.Reason)
	case r.Status/100 == 3:
		r.Message = fmt.Sprintf("the deployment answered %d, a redirect, which is not followed", r.Status)
	default:
		r.Message = strings.TrimSpace(fmt.Sprintf("the deployment answered %d %s, and not in oncegate's words", r.Status, http.StatusText(r.Status)))
	}
	return r
}

// readable returns what a terminal can show of s, cut to most bytes.
func readable(s string, most int) string {
	s = text.Escape(s)
	return strings.ToValidUTF8(s[:min(len(s), most)], "")
}

// UploadError is a failed upload with no answer, or with one that cannot be trusted.
type UploadError struct {
	Fate Fate
	Sent int64 // bytes of the body
	Err  error
}

func (e *UploadError) Error() string { return e.Err.Error() }
func (e *UploadError) Unwrap() error { return e.Err }

// FateOf says what became of the URL of an upload that ended with err.
func FateOf(err error) Fate {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Fate()
	}
	if e, ok := errors.AsType[*UploadError](err); ok {
		return e.Fate
	}
	return Unknown
}

// Plain replaces an error of the network with a short one, if it is a common one.
func Plain(err error) error {
	switch {
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return errors.New("the connection was reset")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return errors.New("the connection was closed")
	}
	return err
}
