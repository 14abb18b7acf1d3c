package dynamoserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"hash/crc32"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"oncegate/internal/local/api"
)

// Fault says what goes wrong with one request. The zero value lets it pass.
type Fault struct {
	Kind Kind
	// Apply lets the request have its effect and spoils the answer: "applied, answer lost".
	// Otherwise a request whose Kind is not Pass has none.
	Apply bool
	// Delay passes before the rest of the fault is played: with Apply after the effect.
	Delay time.Duration
	// Code is the type of the refusal that Answer answers. Its status is 500 for
	// InternalServerError, else 400, which is also how DynamoDB throttles.
	Code string
	// Skew is by how much Redate changes the answer's date.
	Skew time.Duration
}

// Kind is what a fault does instead of the proper answer.
type Kind int

// The kinds of fault.
const (
	Pass     Kind = iota // nothing but Delay
	Answer               // the refusal of Code
	Drop                 // the connection closes without an answer
	Truncate             // half of an answer, then the connection closes
	Redate               // the proper answer at another time; with Apply only
	Hang                 // nothing happens until the client gives up or the server is closed
)

// Codes of refusals that are no fault of the request.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
const (
	Throttled = "ThrottlingException"
	Exceeded  = "ProvisionedThroughputExceededException"
	Internal  = "InternalServerError"
)

// before plays a fault of a request that has no effect, or not yet. It reports whether the
// request goes on.
func (s *Server) before(w http.ResponseWriter, r *http.Request, f Fault) bool {
	s.wait(r, f.Delay)
	switch f.Kind {
	case Pass:
		return true
	case Answer:
		reply(w, time.Now(), nil, invalid(f.Code, "injected"))
	case Truncate:
		truncate(w, []byte("{}"))
	case Hang:
		s.hang(r)
	default:
		panic(http.ErrAbortHandler)
	}
	return false
}

// after plays a fault on the answer. It reports whether the proper answer is still to be given.
func (s *Server) after(w http.ResponseWriter, r *http.Request, f Fault, answer []byte, refused error) bool {
	s.wait(r, f.Delay)
	switch f.Kind {
	case Pass:
		return true
	case Answer:
		reply(w, time.Now(), nil, invalid(f.Code, "injected"))
	case Truncate:
		truncate(w, answer)
	case Redate:
		reply(w, time.Now().Add(f.Skew), answer, refused)
	case Hang:
		s.hang(r)
	default:
		panic(http.ErrAbortHandler)
	}
	return false
}

func (s *Server) wait(r *http.Request, d time.Duration) {
	if d == 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	case <-s.closing:
		panic(http.ErrAbortHandler)
	}
}

func (s *Server) hang(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-s.closing:
	}
	panic(http.ErrAbortHandler)
}

// truncate promises one byte more than the answer has, and sends half of it.
func truncate(w http.ResponseWriter, answer []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)+1))
	w.WriteHeader(http.StatusOK)
	w.Write(answer[:len(answer)/2])
	http.NewResponseController(w).Flush() // what fails here is the client's connection
	panic(http.ErrAbortHandler)
}

const contentType = "application/x-amz-json-1.0"

// reply answers as DynamoDB does.
func reply(w http.ResponseWriter, at time.Time, answer []byte, refused error) {
	status := http.StatusOK
	if refused != nil {
		status, answer = refusal(refused)
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Date", at.UTC().Format(http.TimeFormat))
	h.Set("Server", "Server")
	h.Set("X-Amzn-Requestid", strings.ToUpper(uuid.NewString()))
	h.Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(answer)), 10))
	h.Set("Content-Length", strconv.Itoa(len(answer)))
	w.WriteHeader(status)
	w.Write(answer)
}

// failedCondition is the refusal of a write whose condition did not hold. item is nil if
// it was not asked for, or if there is none.
type failedCondition struct{ item json.RawMessage }

func (*failedCondition) Error() string { return conditionFailed + ": The conditional request failed" }

const conditionFailed = "ConditionalCheckFailedException"

func invalid(code, message string) error {
	return &api.Refusal{Status: http.StatusBadRequest, Type: code, Message: message}
}

func invalidf(message string) error { return invalid("ValidationException", message) }

// refusal is an error as DynamoDB writes it: its type has a prefix, and access is refused
// with 400.
func refusal(err error) (status int, body []byte) {
	const ofTable, ofFront = "com.amazonaws.dynamodb.v20120810#", "com.amazon.coral.service#"
	answer := map[string]any{}
	failed, isFailed := errors.AsType[*failedCondition](err)
	refused, isRefused := errors.AsType[*api.Refusal](err)
	switch {
	case isFailed:
		answer["__type"], answer["message"] = ofTable+conditionFailed, "The conditional request failed"
		if failed.item != nil {
			answer["Item"] = failed.item
		}
		status = http.StatusBadRequest
	case !isRefused || refused.Type == Internal:
		answer["__type"], answer["message"] = ofTable+Internal, "Internal server error"
		status = http.StatusInternalServerError
	default:
		prefix := ofFront
		switch refused.Type {
		case "ResourceNotFoundException", Exceeded, "RequestLimitExceeded", "TransactionConflictException":
			prefix = ofTable
		}
		answer["__type"], answer["message"] = prefix+refused.Type, refused.Message
		status = http.StatusBadRequest
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.Encode(answer) // a map of strings and JSON
	return status, bytes.TrimSpace(b.Bytes())
}
