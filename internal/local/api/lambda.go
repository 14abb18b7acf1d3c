package api

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"oncegate/internal/local/lambda"
)

// maxPayload is what a synchronous invocation takes:
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const maxPayload = 6 << 20

// Fault is what goes wrong with one call of an API. The zero Fault is no fault.
type Fault struct {
	// Status answers the call with this error in place of doing it.
	Status int
	// Lose ends the connection without an answer: before the call is done or, with
	// Applied, after.
	Lose, Applied bool
}

// Lambda is Lambda's Invoke, as RequestResponse:
// https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
type Lambda struct {
	Region, Account string
	Callers         []Caller
	Functions       map[string]*lambda.Function // by name
	Log             *slog.Logger

	intercept atomic.Pointer[func(function string) Fault]
}

// SetIntercept has f see each call first; nil takes it away. For tests.
func (l *Lambda) SetIntercept(f func(function string) Fault) { l.intercept.Store(&f) }

// throttled is Lambda's answer where a function may have no more executions.
var throttled = &Refusal{http.StatusTooManyRequests, "TooManyRequestsException", "Rate Exceeded."}

// ServeHTTP answers one call.
func (l *Lambda) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var name string
	payload, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayload))
	if err != nil {
		err = &Refusal{http.StatusRequestEntityTooLarge, "RequestTooLargeException", "the payload cannot be read, or is too large"}
	} else if name, err = l.authorized(r, payload); err == nil {
		err = l.invoke(w, r, name, payload)
	}
	if err != nil {
		l.Log.Warn("lambda: refused", "function", name, "err", err)
		refuse(w, err)
	}
}

// authorized returns which function may be invoked.
func (l *Lambda) authorized(r *http.Request, payload []byte) (name string, err error) {
	caller, err := Authenticate(l.Callers, r, payload, "lambda", l.Region, time.Now())
	if err != nil {
		return "", err
	}
	name, ok := strings.CutPrefix(r.URL.Path, "/2015-03-31/functions/")
	name, ok2 := strings.CutSuffix(name, "/invocations")
	if !ok || !ok2 || r.Method != http.MethodPost || strings.Contains(name, "/") || r.URL.RawQuery != "" || r.Header.Get("X-Amz-Invocation-Type") != "" {
		return "", &Refusal{http.StatusNotFound, "UnknownOperationException", "only Invoke as RequestResponse is played"}
	}
	// A caller without the permission must not learn which functions there are.
	arn := fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s", l.Region, l.Account, name)
	if err := caller.Authorize("lambda:InvokeFunction", arn, nil); err != nil {
		return name, err
	}
	if l.Functions[name] == nil {
		return name, &Refusal{http.StatusNotFound, "ResourceNotFoundException", "there is no function " + arn}
	}
	return name, nil
}

func (l *Lambda) invoke(w http.ResponseWriter, r *http.Request, name string, payload []byte) error {
	var fault Fault
	if f := l.intercept.Load(); f != nil && *f != nil {
		fault = (*f)(name)
	}
	switch {
	case fault.Status == http.StatusTooManyRequests:
		return throttled
	case fault.Status != 0:
		return &Refusal{fault.Status, "ServiceException", "injected"}
	case fault.Lose && !fault.Applied:
		panic(http.ErrAbortHandler)
	}
	result, err := l.Functions[name].Invoke(r.Context(), payload)
	if errors.Is(err, lambda.ErrThrottled) {
		return throttled
	}
	if err != nil {
		return &Refusal{http.StatusBadGateway, "ServiceException", "the function did not run"}
	}
	if fault.Lose {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amz-Executed-Version", "$LATEST")
	if result.FunctionError != "" {
		w.Header().Set("X-Amz-Function-Error", result.FunctionError)
	}
	w.Write(result.Payload)
	return nil
}
