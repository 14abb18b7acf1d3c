// Command wasm is the edge functions as WebAssembly: it joins package edge to the
// Node handler (edge/node/index.mjs), which instantiates it and does the network.
//
// The two meet in one object, globalThis.oncegate, that the handler makes before
// it starts this program:
//
//	config                  text of config.json
//	env                     the environment variables that are read here
//	send(id, method, target, headers, body, limitMs)
//	                        makes one HTTP request to the S3 endpoint; headers are
//	                        a name, then its value, on lines in turn. Ends in a call of received.
//	fetchKeys(id, limitMs)  makes one HTTP request to keysURL. Ends in a call of
//	                        received.
//	done(id, resultJSON)    takes the result of an invocation
//	log(line)               takes a line of the function's log, in JSON
//
// This program adds what the handler calls, and then says so by calling ready():
//
//	endpoint                { scheme, host } that send talks to
//	keysURL                 what fetchKeys gets, if anything
//	invoke(id, function, eventJSON, remainingMs)
//	received(id, status, headers, body, error, stale)
//	                        status 0: no answer, and error says why
//
// Each call crosses with strings and numbers only, once per direction: crossing
// header by header costs more than the work itself.
//
// There are two builds. With tag jwt it can check tokens, which takes code that
// nobody else should have to load; see authorizer.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall/js"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"oncegate/edge"
	"oncegate/edge/setup"
	"oncegate/internal/apikey"
	"oncegate/internal/config"
	"oncegate/internal/s3index"
	"oncegate/internal/s3wire"
)

// answerReserve is kept of an invocation's time for the way back to CloudFront.
const answerReserve = 200 * time.Millisecond

func main() {
	if err := run(js.Global().Get("oncegate")); err != nil {
		fmt.Fprintln(os.Stderr, "oncegate:", err)
		os.Exit(1)
	}
}

// run sets the functions up and serves them for good.
func run(host js.Value) error {
	conf, err := config.Parse([]byte(host.Get("config").String()))
	if err != nil {
		return fmt.Errorf("config.json: %w", err)
	}
	env := func(name string) string {
		if v := host.Get("env").Get(name); v.Type() == js.TypeString {
			return v.String()
		}
		return ""
	}
	endpoint, err := s3wire.NewEndpoint(conf.Bucket, conf.Region, env("AWS_ENDPOINT_URL_S3"))
	if err != nil {
		return err
	}
	sender := newSender(host)
	client := s3wire.New(conf.Bucket, conf.Region, endpoint, aws.Credentials{
		AccessKeyID:     env("AWS_ACCESS_KEY_ID"),
		SecretAccessKey: env("AWS_SECRET_ACCESS_KEY"),
		SessionToken:    env("AWS_SESSION_TOKEN"),
	}, sender, time.Now)
	functions := setup.New(conf, client.Records(), client, env("ONCEGATE_VIEWER_SCHEME"), slog.New(newLogHandler(host)))
	local := env("ONCEGATE_VIEWER_SCHEME") == "http" && env("AWS_ENDPOINT_URL_S3") != ""
	if functions.Auth, err = newAuthorizer(conf, s3index.New(client), sender, local); err != nil {
		return err
	}

	host.Set("endpoint", map[string]any{"scheme": endpoint.Scheme, "host": endpoint.Host})
	host.Set("received", js.FuncOf(sender.received))
	host.Set("invoke", js.FuncOf(func(_ js.Value, args []js.Value) any {
		id, name, event := args[0].Int(), args[1].String(), args[2].String()
		deadline := time.Now().Add(time.Duration(args[3].Int())*time.Millisecond - answerReserve)
		// A callback must not block, and the decision waits for S3.
		go func() {
			result := functions.Handle(context.Background(), name, []byte(event), deadline)
			host.Call("done", id, string(result))
		}()
		return nil
	}))
	host.Call("ready")
	select {}
}

// newAuthorizer decides who may mint. local tells that this is not the real edge,
// which can have neither of the variables that say so.
func newAuthorizer(conf config.Config, index *s3index.Index, sender *sender, local bool) (edge.Authorizer, error) {
	switch conf.Auth.Kind {
	case config.AuthNone:
		return nil, nil
	case config.AuthAPIKey:
		return apikey.NewAuthorizer(index, setup.Clock{}, rand.Reader), nil
	case config.AuthJWT:
		if conf.Auth.JWT.Local() && !local {
			return nil, errors.New("auth.jwt.jwks is not https, which is for the local edge alone")
		}
		return newBearer(conf.Auth.JWT, sender), nil
	}
	return nil, fmt.Errorf("auth %q is not known here", conf.Auth.Kind)
}

// sender is s3wire.Sender by way of the Node handler.
type sender struct {
	host js.Value

	mu      sync.Mutex
	lastID  int
	pending map[int]chan reply
}

type reply struct {
	s3wire.Reply
	err error
}

func newSender(host js.Value) *sender {
	return &sender{host: host, pending: map[int]chan reply{}}
}

// Send implements s3wire.Sender. The handler ends every request within limit, so
// there is no timer here.
func (s *sender) Send(ctx context.Context, limit time.Duration, method, target string, header http.Header, body []byte) (s3wire.Reply, error) {
	var lines strings.Builder
	for name, values := range header {
		for _, value := range values {
			lines.WriteString(name + "\n" + value + "\n")
		}
	}
	return s.await(func(id int) {
		s.host.Call("send", id, method, target, strings.TrimSuffix(lines.String(), "\n"), string(body), limit.Milliseconds())
	})
}

// await has a request made and waits for its outcome.
func (s *sender) await(request func(id int)) (s3wire.Reply, error) {
	answered := make(chan reply, 1)
	s.mu.Lock()
	s.lastID++
	id := s.lastID
	s.pending[id] = answered
	s.mu.Unlock()
	request(id)
	r := <-answered
	return r.Reply, r.err
}

// received is called by the handler with the outcome of a request.
func (s *sender) received(_ js.Value, args []js.Value) any {
	id, status := args[0].Int(), args[1].Int()
	s.mu.Lock()
	answered := s.pending[id]
	delete(s.pending, id)
	s.mu.Unlock()
	if answered == nil {
		return nil
	}
	if status == 0 {
		err := errors.New(args[4].String())
		if args[5].Bool() {
			err = fmt.Errorf("%w: %w", s3index.ErrStale, err)
		}
		answered <- reply{err: err}
		return nil
	}
	header := http.Header{}
	for line := range strings.Lines(args[2].String()) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		header.Add(name, value)
	}
	answered <- reply{Reply: s3wire.Reply{Status: status, Header: header, Body: []byte(args[3].String())}}
	return nil
}

// newLogHandler writes one JSON object per line, with the keys that Lambda's JSON
// log format uses for time, level and message:
// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html
func newLogHandler(host js.Value) slog.Handler {
	return slog.NewJSONHandler(logWriter{host}, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 {
				switch a.Key {
				case slog.TimeKey:
					a.Key = "timestamp"
				case slog.MessageKey:
					a.Key = "message"
				}
			}
			return a
		},
	})
}

type logWriter struct{ host js.Value }

func (w logWriter) Write(line []byte) (int, error) {
	w.host.Call("log", string(line))
	return len(line), nil
}
