package page

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"oncegate/internal/evidence/testbed"
)

// site is the address of the page: what stands before the local edge. It can break off
// or hold back parts, and it counts what passes. Unless revoke is set, it answers for
// invitations itself, so that a test has one that is over when it means.
type site struct {
	*httptest.Server
	edge *url.URL
	// revoke takes back the one invitation that the edge itself answers for.
	revoke func() error

	mu      sync.Mutex
	invited map[string]*invitation   // by token
	seen    map[string]int           // "METHOD operation" -> how many; "stored number" of parts that S3 has
	cut     map[string]int           // parts, by number, that break off so often
	held    map[string]chan struct{} // parts, by number, that wait
	waiting chan string              // numbers of parts that have come to wait
}

// invitation is what a test says of one. What its URLs do is the edge's.
type invitation struct {
	Label    string `json:"label"`
	Uploads  int    `json:"uploads"`
	Free     int    `json:"free"`
	Expires  string `json:"expires"`
	Life     int    `json:"life"`
	MaxBytes int64  `json:"maxBytes,omitempty"`
	Type     string `json:"type,omitempty"`

	ended string              // the reason of what it refuses
	paths map[string]struct{} // of URLs that hold a place
}

func newSite(t *testing.T, st *testbed.Stack) *site {
	t.Helper()
	edge, err := url.Parse(st.Edge.URL())
	if err != nil {
		t.Fatal(err)
	}
	s := &site{edge: edge}
	s.reset()
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(edge)
			r.Out.Host = r.In.Host // minted URLs have the page's host
		},
		ModifyResponse: func(r *http.Response) error {
			if r.Request.Method == http.MethodDelete && r.StatusCode == http.StatusOK {
				s.freed(r.Request.URL.Path)
			}
			if number := r.Request.URL.Query().Get("partNumber"); number != "" && r.StatusCode == http.StatusOK {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.seen["stored "+number]++
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) { panic(http.ErrAbortHandler) },
	}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, invited := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		s.count(r)
		switch {
		case r.URL.Path == "/-/end" && s.revoke != nil:
			if err := s.revoke(); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		case s.revoke == nil && r.URL.Path == "/invitation":
			s.offer(w, token)
		case s.revoke == nil && r.URL.Path == "/url" && invited:
			s.mint(w, r, token)
		case strings.HasPrefix(r.URL.Path, "/-/"):
			s.control(w, r)
		default:
			number := r.URL.Query().Get("partNumber")
			if number == "" {
				number = "whole"
			}
			if r.Method == http.MethodPut && s.breaks(r, number) {
				_, _ = io.CopyN(io.Discard, r.Body, 1<<20)
				panic(http.ErrAbortHandler) // the connection breaks off
			}
			proxy.ServeHTTP(w, r)
		}
	}))
	s.Server.Config.ErrorLog = nil
	t.Cleanup(func() {
		s.reset()
		s.Server.CloseClientConnections()
		s.Server.Close()
	})
	return s
}

// reset lets go what is held and forgets everything.
func (s *site) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.held {
		close(c)
	}
	s.invited, s.seen, s.cut, s.held = map[string]*invitation{}, map[string]int{}, map[string]int{}, map[string]chan struct{}{}
	s.waiting = make(chan string, 100)
}

func (s *site) count(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	what := r.URL.Path
	if strings.HasPrefix(what, "/uploads/") {
		what = "file"
		for _, op := range []string{"uploads", "partNumber", "parts", "complete"} {
			if r.URL.Query().Has(op) {
				what = op + " " + r.URL.Query().Get(op)
			}
		}
	}
	s.seen[r.Method+" "+strings.TrimSpace(what)]++
}

// breaks reports whether a part is to break off, after having waited if it is to.
func (s *site) breaks(r *http.Request, number string) bool {
	s.mu.Lock()
	held := s.held[number]
	breaks := s.cut[number] > 0
	s.cut[number]--
	s.mu.Unlock()
	if held != nil {
		s.waiting <- number
		select {
		case <-held:
		case <-r.Context().Done():
		}
	}
	return breaks
}

// control is for the scenarios, which run in Node.
func (s *site) control(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/-/waiting" { // until a part has come to wait
		select {
		case number := <-s.waiting:
			_, _ = io.WriteString(w, number)
		case <-time.After(time.Minute):
			w.WriteHeader(http.StatusGatewayTimeout)
		}
		return
	}
	if r.URL.Path == "/-/reset" {
		s.reset()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	switch r.URL.Path {
	case "/-/invite":
		in := &invitation{Life: 3600, Expires: time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339), paths: map[string]struct{}{}}
		if err := json.NewDecoder(r.Body).Decode(in); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		s.invited[q.Get("token")] = in
	case "/-/end":
		s.invited[q.Get("token")].ended = q.Get("reason")
	case "/-/cut":
		s.cut[q.Get("part")] = 1
		if q.Get("part") == "whole" {
			s.cut["whole"] = 20 // Chromium itself repeats what breaks off on a connection that it has used before
		}
	case "/-/hold":
		s.held[q.Get("part")] = make(chan struct{})
	case "/-/go":
		s.cut["whole"] = 0
		for number, c := range s.held {
			close(c)
			delete(s.held, number)
		}
	case "/-/seen":
		_ = json.NewEncoder(w).Encode(s.seen)
	}
}

func refuse(w http.ResponseWriter, status int, reason string) {
	w.Header().Set("content-type", "application/json")
	w.Header().Set("x-oncegate-reason", reason)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "reason": reason, "message": "Refused: " + reason + "."})
}

// find is an invitation that still holds, or its refusal.
func (s *site) find(w http.ResponseWriter, token string) *invitation {
	in := s.invited[token]
	switch {
	case in == nil:
		refuse(w, http.StatusUnauthorized, "invitation-unknown")
	case in.ended != "":
		refuse(w, http.StatusForbidden, in.ended)
	default:
		return in
	}
	return nil
}

func (s *site) offer(w http.ResponseWriter, token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in := s.find(w, token); in != nil {
		in.Free = in.Uploads - len(in.paths)
		w.Header().Set("content-type", "application/json")
		_ = json.NewEncoder(w).Encode(in)
	}
}

// mint has the edge make a URL within the invitation's limits, if a place is free.
func (s *site) mint(w http.ResponseWriter, r *http.Request, token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.find(w, token)
	if in == nil {
		return
	}
	if len(in.paths) >= in.Uploads {
		refuse(w, http.StatusConflict, "invitation-full")
		return
	}
	order := map[string]any{}
	if err := json.NewDecoder(r.Body).Decode(&order); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if label, ok := order["label"].(string); ok {
		s.seen["note "+label]++
	}
	if in.MaxBytes > 0 {
		order["maxBytes"] = in.MaxBytes
	}
	body, _ := json.Marshal(order)
	ask, err := http.NewRequestWithContext(r.Context(), http.MethodPost, s.edge.String()+"/url", bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	ask.Host = r.Host
	ask.Header.Set("Content-Type", "application/json")
	ask.Header.Set("Accept", "application/json")
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	var minted struct{ URL string }
	if err := json.Unmarshal(text, &minted); err == nil && minted.URL != "" {
		if u, err := url.Parse(minted.URL); err == nil {
			in.paths[u.Path] = struct{}{}
		}
	}
	w.Header().Set("content-type", "application/json")
	if reason := answer.Header.Get("x-oncegate-reason"); reason != "" {
		w.Header().Set("x-oncegate-reason", reason)
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(text)
}

func (s *site) freed(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.invited {
		delete(in.paths, path)
	}
}
