package s3server

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"oncegate/internal/local/iam"
)

// iamService answers what versitygw asks of its standalone IAM service, over a Unix socket in a directory that only
// this user can enter: the key that a signature is made with, and, once the signature is right, what may be done.
// So versitygw verifies every signature itself, session token and all, and learns no secret.
//
// The protocol is versitygw's own, version 1, in its package iamapi/private; versitygw refuses to start with another
// version. What is not answered here, versitygw takes for a fault, never for a yes.
type iamService struct {
	access *access
	dir    string
	http   *http.Server
	served chan struct{}
}

func startIAM(a *access) (*iamService, error) {
	// Not below the data directory: the path of a socket may have some hundred bytes only.
	dir, err := os.MkdirTemp("", "oncegate-s3-")
	if err != nil {
		return nil, err
	}
	s := &iamService{access: a, dir: dir, served: make(chan struct{})}
	ln, err := net.Listen("unix", s.socket())
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /private/version", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"protocol": 1, "minClient": 1})
	})
	mux.HandleFunc("POST /private/derive-signing-key", s.deriveKey)
	mux.HandleFunc("POST /private/evaluate-policy", s.evaluate)
	s.http = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Vgw-Private-Protocol", "1")
			mux.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: 30 * time.Second,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(s.served)
		if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("the iam service has stopped", "err", err)
		}
	}()
	return s, nil
}

func (s *iamService) socket() string { return filepath.Join(s.dir, "iam.sock") }

func (s *iamService) close() {
	s.http.Close()
	<-s.served
	os.RemoveAll(s.dir)
}

// deriveKey answers with the SigV4 key of one day, Region and service.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func (s *iamService) deriveKey(w http.ResponseWriter, r *http.Request) {
	var q struct{ AccessKeyID, SessionToken, Date, Region, Service string }
	if !question(w, r, &q) {
		return
	}
	who, err := s.access.identify(q.AccessKeyID, q.SessionToken)
	if err != nil {
		refuse(w, err)
		return
	}
	key := []byte("AWS4" + who.SecretAccessKey)
	for _, part := range []string{q.Date, q.Region, q.Service, "aws4_request"} {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	answer(w, http.StatusOK, map[string]any{"derivedKey": key, "principalArn": who.arn})
}

// evaluate decides each action on each resource. versitygw asks after it has verified the signature.
func (s *iamService) evaluate(w http.ResponseWriter, r *http.Request) {
	var q struct {
		AccessKeyID, SessionToken string
		Actions, Resources        []string
		Condition                 map[string][]string
	}
	if !question(w, r, &q) {
		return
	}
	who, err := s.access.identify(q.AccessKeyID, q.SessionToken)
	if err != nil {
		refuse(w, err)
		return
	}
	// Of the request itself versitygw tells a few condition keys; the header that the proxy put in leads to the rest.
	var c *call
	if id := q.Condition["aws:Referer"]; len(id) == 1 {
		if v, ok := s.access.calls.Load(id[0]); ok {
			c = v.(*call)
			c.by.Store(&who)
		}
	}
	decisions := make([][]string, len(q.Resources))
	for i, resource := range q.Resources {
		for _, action := range q.Actions {
			word := "deny"
			if c != nil {
				word = map[iam.Decision]string{
					iam.Allowed: "allow", iam.ImplicitDeny: "no_match", iam.ExplicitDeny: "deny",
				}[s.access.decide(c, who, action, resource)]
				if word == "allow" && s.access.hidden(r.Context(), c, action) {
					word = "deny"
				}
			}
			decisions[i] = append(decisions[i], word)
		}
	}
	answer(w, http.StatusOK, map[string]any{"decisions": decisions, "principalArn": who.arn})
}

func question(w http.ResponseWriter, r *http.Request, to any) bool {
	if err := json.NewDecoder(r.Body).Decode(to); err != nil {
		answer(w, http.StatusBadRequest, map[string]string{"code": "BadRequest", "error": err.Error()})
		return false
	}
	return true
}

func refuse(w http.ResponseWriter, err error) {
	code := "NoSuchIdentity"
	if errors.Is(err, errBadToken) {
		code = "InvalidToken"
	}
	answer(w, http.StatusForbidden, map[string]string{"code": code, "error": err.Error()})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // what fails here is versitygw's connection
}
