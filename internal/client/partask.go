package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

// partTries is how often a request about parts is sent.
const partTries = 8

// step is one request about parts.
type step struct {
	method, query string
	header        http.Header
	size          int64
	body          func() *body // nil for none; new for each try
	spends        bool         // it is complete
}

// ask sends a request and repeats it after what may pass: no answer, 429 and 5xx. It reads
// JSON into answer, unless that is nil, and returns the headers of the answer.
func (s *sending) ask(ctx context.Context, r step, answer any) (http.Header, error) {
	for try := 1; ; try++ {
		header, err, passing := s.once(ctx, r, answer)
		if err == nil || !passing || try == partTries || ctx.Err() != nil {
			return header, err
		}
		// Full jitter, so that many clients do not come back at once.
		wait := rand.N(min(500*time.Millisecond<<try, 30*time.Second))
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			wait = max(wait, refusal.after)
		}
		if s.sleep(ctx, wait) != nil {
			return nil, err
		}
	}
}

// once sends a request once. passing means that the same request may succeed later.
func (s *sending) once(ctx context.Context, r step, answer any) (header http.Header, err error, passing bool) {
	fate := Good
	if r.spends {
		fate = Unknown
	}
	request, err := http.NewRequestWithContext(ctx, r.method, s.URL.URL+r.query, nil)
	if err != nil {
		// The error would repeat the URL.
		return nil, &UploadError{Fate: Good, Err: errors.New("the URL cannot be requested")}, false
	}
	for name, values := range r.header {
		request.Header[name] = values
	}
	common(request)
	var b *body
	if r.body != nil {
		b = r.body()
		defer b.end()
		request.Body, request.ContentLength = b, r.size
		request.Header.Set("Expect", "100-continue")
	}
	response, err := s.conn.RoundTrip(request)
	if err != nil {
		if b != nil {
			if b.end(); b.err != nil {
				return nil, &UploadError{Fate: fate, Err: b.err}, false
			}
		}
		return nil, &UploadError{Fate: fate, Err: fmt.Errorf("no answer: %w", Plain(err))}, true
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, answerBytes))
	if response.StatusCode/100 != 2 {
		refusal := refusalOf(response, text)
		refusal.bare = fate
		return nil, refusal, response.StatusCode == http.StatusTooManyRequests || response.StatusCode >= 500
	}
	if err != nil {
		return nil, &UploadError{Fate: fate, Err: fmt.Errorf("the answer was cut short: %w", Plain(err))}, true
	}
	if answer != nil && json.Unmarshal(text, answer) != nil {
		return nil, &UploadError{Fate: fate, Err: errors.New("the answer is not JSON of oncegate")}, false
	}
	return response.Header, nil, false
}

func (s *sending) sleep(ctx context.Context, d time.Duration) error {
	if s.Sleep != nil {
		return s.Sleep(ctx, d)
	}
	return Sleep(ctx, d)
}
