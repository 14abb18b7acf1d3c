// Package localservices plays the few operations of EventBridge, SQS and Systems
// Manager that oncegate's regional functions and its operator use: signatures are
// verified, and role policies enforced, as AWS does. Events and parameters are files
// and lines of the log, for people to look at.
package localservices

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"oncegate/internal/iampolicy"
	"oncegate/internal/localqueue"
	"oncegate/internal/localsigv4"
)

// ConditionKeys are those that role policies may use for these services.
var ConditionKeys = []string{"events:source", "events:detail-type"}

// Principal is who may ask, with one set of credentials.
type Principal struct {
	ARN                                string
	AccessKey, SecretKey, SessionToken string
	Policies                           []iampolicy.Policy
}

// Queue is a queue that operations may be about.
type Queue struct {
	ARN, URL string
	*localqueue.Queue
	// Source is the queue that this one holds the dead messages of, by ARN.
	Source string
}

// Options say what there is.
type Options struct {
	Region, Account string
	Principals      []Principal
	Queues          []Queue
	// Parameters are those of Systems Manager, all of them SecureStrings.
	Parameters map[string]string
	// Rule, if set, gets every event of the bus, as EventBridge hands it on.
	Rule func(event []byte)
	// Lines, if set, gets every event, one JSON object a line.
	Lines io.Writer
	// Fault, if set, is asked before each operation, such as "AWSEvents.PutEvents";
	// with a status other than 0 that is the answer.
	Fault func(target string) (status int)
	Log   *slog.Logger
}

// Server answers for all services at one URL.
type Server struct {
	o    Options
	url  string
	http *http.Server
	done chan struct{}

	mu     sync.Mutex
	events []json.RawMessage
}

// Start serves on a free port of 127.0.0.1.
func Start(o Options) (*Server, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, url: "http://" + ln.Addr().String(), done: make(chan struct{})}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 30 * time.Second, ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug)}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			o.Log.Error("the local services have stopped", "err", err)
		}
	}()
	return s, nil
}

// URL is where the services are.
func (s *Server) URL() string { return s.url }

// Close breaks off what is under way.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.done
	return err
}

// Events are those of the bus so far.
func (s *Server) Events() []json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

// operations by target, each with the name that its service signs by.
var operations = map[string]struct {
	service string
	run     func(s *Server, who Principal, body []byte) (any, error)
}{
	"AWSEvents.PutEvents":               {"events", (*Server).putEvents},
	"AmazonSSM.GetParameter":            {"ssm", (*Server).getParameter},
	"AmazonSQS.GetQueueUrl":             {"sqs", (*Server).getQueueURL},
	"AmazonSQS.ChangeMessageVisibility": {"sqs", (*Server).changeVisibility},
	"AmazonSQS.StartMessageMoveTask":    {"sqs", (*Server).startMove},
}

// refusal is an answer other than 200.
type refusal struct {
	status     int
	kind, text string
}

func (r *refusal) Error() string { return r.kind + ": " + r.text }

// maxBody is SQS's bound on a message, and EventBridge's on an event, with room.
const maxBody = 2 << 20

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target := r.Header.Get("X-Amz-Target")
	out, err := s.serve(r, target)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if err != nil {
		var no *refusal
		if !errors.As(err, &no) {
			no = &refusal{http.StatusInternalServerError, "InternalFailure", err.Error()}
		}
		s.o.Log.Warn("a local service refuses", "operation", target, "err", err)
		w.WriteHeader(no.status)
		out = map[string]string{"__type": no.kind, "message": no.text}
	}
	json.NewEncoder(w).Encode(out) // what fails here is the caller's connection
}

func (s *Server) serve(r *http.Request, target string) (any, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return nil, err
	}
	op, known := operations[target]
	if !known || r.Method != http.MethodPost {
		return nil, &refusal{http.StatusBadRequest, "UnknownOperationException", "not played here: " + target}
	}
	if s.o.Fault != nil {
		if status := s.o.Fault(target); status != 0 {
			return nil, &refusal{status, "InternalFailure", "fault injected"}
		}
	}
	var who Principal
	_, err = localsigv4.Verify(r, body, op.service, s.o.Region, time.Now(), func(key, token string) (string, bool) {
		i := slices.IndexFunc(s.o.Principals, func(p Principal) bool { return p.AccessKey == key && p.SessionToken == token })
		if i < 0 {
			return "", false
		}
		who = s.o.Principals[i]
		return who.SecretKey, true
	})
	if err != nil {
		return nil, &refusal{http.StatusForbidden, "InvalidSignatureException", err.Error()}
	}
	return op.run(s, who, body)
}

// may asks the principal's policies.
func (s *Server) may(who Principal, action, resource string, context map[string]string) error {
	all := map[string]string{"aws:principalarn": who.ARN, "aws:securetransport": "true"}
	for name, value := range context {
		all[name] = value
	}
	d, reason := iampolicy.Decide(iampolicy.Request{Principal: who.ARN, Action: action, Resource: resource, Context: all}, who.Policies...)
	if d != iampolicy.Allowed {
		return &refusal{http.StatusBadRequest, "AccessDeniedException", fmt.Sprintf("%s may not %s on %s: %s", who.ARN, action, resource, reason)}
	}
	return nil
}

func decode(body []byte, in any) error {
	if err := json.Unmarshal(body, in); err != nil {
		return &refusal{http.StatusBadRequest, "SerializationException", err.Error()}
	}
	return nil
}

// putEvents hands events on as EventBridge does:
// https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
func (s *Server) putEvents(who Principal, body []byte) (any, error) {
	var in struct {
		Entries []struct {
			Source, DetailType, Detail string
			Resources                  []string
			Time                       float64
			EventBusName               *string
		}
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	entries := []map[string]string{}
	for _, e := range in.Entries {
		if e.EventBusName != nil {
			return nil, &refusal{http.StatusBadRequest, "ResourceNotFoundException", "only the default bus is played"}
		}
		err := s.may(who, "events:PutEvents", "arn:aws:events:"+s.o.Region+":"+s.o.Account+":event-bus/default",
			map[string]string{"events:source": e.Source, "events:detail-type": e.DetailType})
		if err != nil {
			return nil, err
		}
		if !json.Valid([]byte(e.Detail)) || e.Source == "" || e.DetailType == "" {
			entries = append(entries, map[string]string{"ErrorCode": "MalformedDetail", "ErrorMessage": "want Source, DetailType and JSON in Detail"})
			continue
		}
		id := rand.Text()
		event, err := json.Marshal(map[string]any{
			"version": "0", "id": id, "source": e.Source, "detail-type": e.DetailType, "account": s.o.Account, "region": s.o.Region,
			"time": time.Unix(int64(e.Time), 0).UTC(), "resources": e.Resources, "detail": json.RawMessage(e.Detail),
		})
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		s.events = append(s.events, event)
		if s.o.Lines != nil {
			s.o.Lines.Write(append(slices.Clone(event), '\n')) // for people to look at; the bus goes on without
		}
		s.mu.Unlock()
		s.o.Log.Info("event", "type", e.DetailType, "detail", e.Detail)
		if s.o.Rule != nil {
			s.o.Rule(event)
		}
		entries = append(entries, map[string]string{"EventId": id})
	}
	failed := 0
	for _, e := range entries {
		if e["ErrorCode"] != "" {
			failed++
		}
	}
	return map[string]any{"FailedEntryCount": failed, "Entries": entries}, nil
}

func (s *Server) getParameter(who Principal, body []byte) (any, error) {
	var in struct {
		Name           string
		WithDecryption bool
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	arn := "arn:aws:ssm:" + s.o.Region + ":" + s.o.Account + ":parameter" + in.Name
	if err := s.may(who, "ssm:GetParameter", arn, nil); err != nil {
		return nil, err
	}
	value, ok := s.o.Parameters[in.Name]
	switch {
	case !ok:
		return nil, &refusal{http.StatusBadRequest, "ParameterNotFound", in.Name}
	case !in.WithDecryption:
		return nil, &refusal{http.StatusBadRequest, "ValidationException", "a SecureString is wanted decrypted here"}
	}
	return map[string]any{"Parameter": map[string]any{"Name": in.Name, "Type": "SecureString", "Value": value, "ARN": arn, "Version": 1}}, nil
}

// queue finds a queue and asks the principal's policies.
func (s *Server) queue(who Principal, action string, is func(Queue) bool) (Queue, error) {
	i := slices.IndexFunc(s.o.Queues, is)
	if i < 0 {
		return Queue{}, &refusal{http.StatusBadRequest, "com.amazonaws.sqs#QueueDoesNotExist", "no such queue"}
	}
	return s.o.Queues[i], s.may(who, action, s.o.Queues[i].ARN, nil)
}

func (s *Server) getQueueURL(who Principal, body []byte) (any, error) {
	var in struct{ QueueName string }
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	q, err := s.queue(who, "sqs:GetQueueUrl", func(q Queue) bool { return strings.HasSuffix(q.ARN, ":"+in.QueueName) })
	return map[string]string{"QueueUrl": q.URL}, err
}

func (s *Server) changeVisibility(who Principal, body []byte) (any, error) {
	var in struct {
		QueueURL          string `json:"QueueUrl"`
		ReceiptHandle     string
		VisibilityTimeout int
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	q, err := s.queue(who, "sqs:ChangeMessageVisibility", func(q Queue) bool { return q.URL == in.QueueURL })
	if err != nil {
		return nil, err
	}
	if !q.Postpone(in.ReceiptHandle, time.Duration(in.VisibilityTimeout)*time.Second) {
		return nil, &refusal{http.StatusBadRequest, "com.amazonaws.sqs#ReceiptHandleIsInvalid", "no message was handed out with it"}
	}
	return struct{}{}, nil
}

// startMove moves the messages of a queue of dead ones back at once.
func (s *Server) startMove(who Principal, body []byte) (any, error) {
	var in struct{ SourceArn, DestinationArn string }
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	dead, err := s.queue(who, "sqs:StartMessageMoveTask", func(q Queue) bool { return q.ARN == in.SourceArn && q.Source != "" })
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(s.o.Queues, func(q Queue) bool { return q.ARN == dead.Source })
	if in.DestinationArn != "" || i < 0 {
		return nil, &refusal{http.StatusBadRequest, "com.amazonaws.sqs#UnsupportedOperation", "messages are moved back to where they were"}
	}
	n := dead.MoveTo(s.o.Queues[i].Queue)
	s.o.Log.Info("dead messages are handed out again", "queue", s.o.Queues[i].Name(), "messages", n)
	return map[string]string{"TaskHandle": rand.Text()}, nil
}
