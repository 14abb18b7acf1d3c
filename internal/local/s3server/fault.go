package s3server

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Fault says what goes wrong with one request. The zero value lets it pass.
type Fault struct {
	Kind Kind
	// Apply hands the request to the server first and spoils the answer: "applied, answer lost". Otherwise the
	// server never sees a request whose Kind is not Pass.
	Apply bool
	// Delay passes before the rest of the fault is played: with Apply after the server has answered.
	Delay time.Duration
	// Status is what Answer and Truncate answer; 0 means the server's own with Apply, else 200.
	Status int
	// Skew is by how much Redate changes the answer's date.
	Skew time.Duration
	// Body is what Answer and Truncate answer. Empty and with an error status, it is the S3 error document for it.
	Body string
	// Header are further headers of Answer and Truncate.
	Header http.Header
}

// Kind is what a fault does instead of the proper answer.
type Kind int

// The kinds of fault.
const (
	Pass     Kind = iota // nothing but Delay
	Answer               // another status, body or both; with Apply and Status 0 the server's own headers stay
	Truncate             // an answer whose Content-Length promises more than comes, then the connection closes
	Drop                 // the connection closes without an answer
	Redate               // the server's own answer at another time; with Apply only
	Hang                 // nothing happens until the client gives up or the server is closed
)

type faultKey struct{}

var errInjected = errors.New("fault injected")

// refuseOrDelay plays a fault of a request that the server does not see, or not yet.
func (p *proxy) refuseOrDelay(w http.ResponseWriter, r *http.Request, f Fault) error {
	if err := p.delay(r, f.Delay); err != nil || f.Kind == Pass {
		return err
	}
	if f.Kind == Hang {
		// The end of the client's connection is noticed only once the body has been read.
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return err
		}
	}
	res := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}
	if err := p.play(res, f); err != nil {
		return err
	}
	write(w, res)
	return nil
}

// spoil plays an Apply fault on the server's answer.
func (p *proxy) spoil(res *http.Response, f Fault) error {
	if err := p.delay(res.Request, f.Delay); err != nil {
		return err
	}
	return p.play(res, f)
}

// play changes the answer, or fails when there is to be none.
func (p *proxy) play(res *http.Response, f Fault) error {
	switch f.Kind {
	case Pass:
		return nil
	case Drop:
		return errInjected
	case Hang:
		select {
		case <-res.Request.Context().Done():
		case <-p.closing:
		}
		return errInjected
	case Answer:
		replace(res, f)
		return nil
	case Redate:
		date, err := http.ParseTime(res.Header.Get("Date"))
		if err != nil {
			return err
		}
		res.Header.Set("Date", date.Add(f.Skew).UTC().Format(http.TimeFormat))
		return nil
	case Truncate:
		if f.Status != 0 || f.Body != "" {
			replace(res, f)
		}
		return truncate(res)
	}
	return errors.New("unknown kind of fault " + strconv.Itoa(int(f.Kind)))
}

func (p *proxy) delay(r *http.Request, d time.Duration) error {
	if d == 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-r.Context().Done():
		return r.Context().Err()
	case <-p.closing:
		return errInjected
	}
}

// replace puts the fault's status and body into the answer. Headers stay where the status does.
func replace(res *http.Response, f Fault) {
	body := f.Body
	if f.Status != 0 && f.Status != res.StatusCode {
		res.StatusCode, res.Header = f.Status, http.Header{}
	}
	if body == "" && f.Status >= 400 {
		body = errorDocument(errorCode(f.Status), "fault injected")
		res.Header.Set("Content-Type", "application/xml")
	}
	for name, values := range f.Header {
		res.Header[http.CanonicalHeaderKey(name)] = values
	}
	res.Body.Close()
	setBody(res, body)
}

// truncate promises the whole body, or one byte where there is none, and keeps half of it back.
func truncate(res *http.Response) error {
	n := res.ContentLength
	if n < 0 || res.Request.Method == http.MethodHead {
		return errInjected // no length, nothing to break: the connection just closes
	}
	half := struct {
		io.Reader
		io.Closer
	}{io.LimitReader(res.Body, n/2), res.Body}
	res.Body, res.ContentLength = half, max(n, 1)
	res.Header.Set("Content-Length", strconv.FormatInt(res.ContentLength, 10))
	return nil
}

// readBody returns the body of an answer, which stays there to be read again.
func readBody(res *http.Response) ([]byte, error) {
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	res.Body.Close()
	setBody(res, string(body))
	return body, nil
}

func setBody(res *http.Response, body string) {
	res.Body, res.ContentLength = http.NoBody, 0
	res.Header.Del("Content-Length")
	if res.Request.Method == http.MethodHead {
		return
	}
	res.Body, res.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	res.Header.Set("Content-Length", strconv.Itoa(len(body)))
}

// errorAnswer is an S3 error that the proxy gives by itself.
func errorAnswer(r *http.Request, status int, code, message string) *http.Response {
	res := &http.Response{StatusCode: status, Header: http.Header{}, Request: r}
	res.Header.Set("Content-Type", "application/xml")
	setBody(res, errorDocument(code, message))
	return res
}

func write(w http.ResponseWriter, res *http.Response) {
	for k, v := range res.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(res.StatusCode)
	io.Copy(w, res.Body) // what fails here is the client's connection
}

// errorCode is the S3 error code that usually goes with a status.
func errorCode(status int) string {
	switch status {
	case http.StatusForbidden:
		return "AccessDenied"
	case http.StatusNotFound:
		return "NoSuchKey"
	case http.StatusConflict:
		return "ConditionalRequestConflict"
	case http.StatusPreconditionFailed:
		return "PreconditionFailed"
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return "SlowDown"
	}
	return "InternalError"
}

func errorDocument(code, message string) string {
	doc, err := xml.Marshal(struct {
		XMLName struct{} `xml:"Error"`
		Code    string
		Message string
	}{Code: code, Message: message})
	if err != nil {
		panic(err) // two strings always encode
	}
	return xml.Header + string(doc)
}
