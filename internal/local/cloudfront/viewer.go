package cloudfront

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"oncegate/internal/local/container"
)

// The values of CloudFront's x-cache header.
const (
	xCacheError      = "Error from cloudfront"
	xCacheMiss       = "Miss from cloudfront"
	xCacheGenerated  = "LambdaGeneratedResponse from cloudfront"
	xCacheExecution  = "LambdaExecutionError from cloudfront"
	xCacheValidation = "LambdaValidationError from cloudfront"
	// Seen in the answers of real distributions:
	// https://github.com/aws-amplify/amplify-hosting/issues/3422
	xCacheLimit = "LambdaLimitExceeded from cloudfront"
)

// ServeHTTP answers one viewer.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		panic(http.ErrAbortHandler)
	}
	defer s.requests.Done()
	c := &counted{ResponseWriter: w}
	defer c.report(s.metrics, s.d.ID)
	w = c
	// CloudFront invokes the function when the headers are there, so an answer
	// must not wait for a body that nobody will read.
	http.NewResponseController(w).EnableFullDuplex() // never fails on net/http's own server
	id := newRequestID()
	page := func(status int, xCache, sentence string) { s.page(w, r, id, status, xCache, sentence) }

	if !strings.HasPrefix(r.RequestURI, "/") || strings.Contains(r.RequestURI, "#") {
		page(http.StatusBadRequest, xCacheError, "Bad request.")
		return
	}
	if status, sentence := s.limits.refuse(r.Host, r.RequestURI, size(r), r.ContentLength); status != 0 {
		w.Header().Set("Connection", "close")
		page(status, xCacheError, sentence)
		return
	}
	if !s.answersFor(r.Host) {
		s.misdirected(w, r, id)
		return
	}
	v := newViewerRequest(r)
	b := s.d.behavior(v.rawURI)
	if !slices.Contains(b.AllowedMethods, r.Method) {
		page(http.StatusForbidden, xCacheError,
			"This distribution is not configured to allow the HTTP request method that was used for this request.")
		return
	}
	if r.Method == http.MethodGet && r.ContentLength != 0 {
		page(http.StatusForbidden, xCacheError, "A GET request cannot have a body.")
		return
	}
	s.expect.greet(w, r)
	if b.ViewerRequest == "" {
		s.forward(w, r, b, id, v, v.Request)
		return
	}

	if b.IncludeBody {
		var err error
		if v.Body, err = includeBody(r); err != nil {
			w.Header().Set("Connection", "close")
			page(http.StatusBadRequest, xCacheError, "Bad request.")
			return
		}
	}
	began := time.Now()
	result, err := s.functions[b.ViewerRequest].invoke(r.Context(), id, s.d.event(v, id))
	if errors.Is(err, container.ErrThrottled) {
		s.log.Warn("throttled", "function", b.ViewerRequest, "request", id)
		// https://github.com/aws-amplify/amplify-hosting/issues/3208 has the whole page.
		page(http.StatusServiceUnavailable, xCacheLimit, "The Lambda function associated with the CloudFront distribution was throttled.")
		return
	}
	if err != nil {
		if r.Context().Err() == nil && !errors.Is(err, container.ErrClosed) {
			s.log.Error("the invocation failed", "function", b.ViewerRequest, "request", id, "err", err)
		}
		page(http.StatusServiceUnavailable, xCacheExecution,
			"The Lambda function associated with the CloudFront distribution is invalid or doesn't have the required permissions.")
		return
	}
	s.log.Debug("invoked", "function", b.ViewerRequest, "request", id, "took", time.Since(began))
	out, err := interpret(v.Request, result)
	var bad *invalidResult
	switch {
	case errors.As(err, &bad):
		s.log.Error("the function's result is not valid", "function", b.ViewerRequest, "request", id, "err", bad.Detail)
		page(http.StatusBadGateway, xCacheValidation, "The Lambda function result failed validation: "+bad.Sentence)
	case out.response != nil:
		s.respond(w, r, b, id, out.response)
	default:
		s.forward(w, r, b, id, v, *out.request)
	}
}

// respond writes a response that a function generated.
func (s *Server) respond(w http.ResponseWriter, r *http.Request, b Behavior, id string, g *generated) {
	h := w.Header()
	h["Content-Type"] = nil // net/http would guess one
	for name, values := range g.headers {
		for _, v := range values {
			h.Add(name, v.Value)
		}
	}
	if g.status != http.StatusNoContent && g.status != http.StatusNotModified {
		h.Set("Content-Length", strconv.Itoa(len(g.body)))
	}
	if s.policyOnGenerated {
		b.ResponseHeaders.apply(h, r)
	}
	h.Set("Server", "CloudFront")
	s.mark(h, id, xCacheGenerated)
	s.write(w, r, g.status, g.body)
}

// maxDrain is how much of an unwanted body is read to keep the connection open.
const maxDrain = 256 << 10

// write answers without the origin. The request's body may still be on its way.
func (s *Server) write(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	keep := r.ContentLength >= 0 && r.ContentLength <= maxDrain && r.Header.Get("Expect") == ""
	if !keep {
		w.Header().Set("Connection", "close")
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(body) // a viewer that has left needs no answer
	}
	s.linger(w, r)
}

// patience is how long linger waits for the next piece of a body, and for all of it.
type patience struct{ piece, whole time.Duration }

// linger sends the answer and then reads the rest of a body that nobody wants. Closing a
// connection with unread bytes resets it, and the reset can reach a viewer that is still
// sending before the viewer has read its answer (RFC 9112, 9.6). A connection that stays
// open needs this too: net/http, in full duplex, panics when it drains a body itself and
// then reads the next request.
func (s *Server) linger(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 {
		return
	}
	rc := http.NewResponseController(w)
	rc.Flush()
	piece, end := make([]byte, 32<<10), time.Now().Add(s.patience.whole)
	for err := error(nil); err == nil && time.Now().Before(end); {
		rc.SetReadDeadline(time.Now().Add(s.patience.piece))
		_, err = r.Body.Read(piece) // what fails here fails again where the next request is read
	}
	rc.SetReadDeadline(time.Time{})
}

// page writes CloudFront's own error page.
func (s *Server) page(w http.ResponseWriter, r *http.Request, id string, status int, xCache, sentence string) {
	title := http.StatusText(status)
	if title == "" {
		title = "Request Header Too Large"
	}
	body := fmt.Sprintf(`<!DOCTYPE html>
<html><head><title>ERROR: The request could not be satisfied</title></head><body>
<h1>%d ERROR</h1>
<h2>%s</h2>
<p>%s</p>
<pre>
Generated by cloudfront (CloudFront)
Request ID: %s
</pre>
</body></html>
`, status, title, html.EscapeString(sentence), id)
	h := w.Header()
	h.Set("Content-Type", "text/html")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Server", "CloudFront")
	s.mark(h, id, xCache)
	s.write(w, r, status, []byte(body))
}

// mark adds what CloudFront adds to every answer.
func (s *Server) mark(h http.Header, id, xCache string) {
	h.Add("Via", "1.1 "+s.d.Domain+" (CloudFront)")
	h.Set("X-Cache", xCache)
	h.Set("X-Amz-Cf-Id", id)
}

// upTo is ctx, ended also when the server closes.
func (s *Server) upTo(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}
