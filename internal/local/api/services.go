package api

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"oncegate/internal/local/queue"
)

// Queue is a queue that operations may be about.
type Queue struct {
	ARN, URL string
	*queue.Queue
	// Source is the queue that this one holds the dead messages of, by ARN.
	Source string
}

// Services are the few operations of EventBridge, SQS and Systems Manager that
// oncegate's regional functions and its operator use. Events are lines of a file and
// of the log, for people to look at.
type Services struct {
	Region, Account string
	Callers         []Caller
	Queues          []Queue
	// Parameters are those of Systems Manager, all of them SecureStrings.
	Parameters map[string]string
	// Rule, if set, gets every event of the bus, as EventBridge hands it on.
	Rule func(event []byte)
	// Lines, if set, gets every event, one JSON object a line.
	Lines io.Writer
	Log   *slog.Logger

	mu        sync.Mutex
	events    []json.RawMessage
	intercept func(target string) Fault
}

// SetIntercept has f see each operation first, such as AWSEvents.PutEvents; nil ends it.
func (s *Services) SetIntercept(f func(target string) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = f
}

// Events are those of the bus so far.
func (s *Services) Events() []json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

// operations by target, each with the name that its service signs by.
var operations = map[string]struct {
	service string
	run     func(s *Services, who Caller, body []byte) (any, error)
}{
	"AWSEvents.PutEvents":               {"events", (*Services).putEvents},
	"AmazonSSM.GetParameter":            {"ssm", (*Services).getParameter},
	"AmazonSQS.GetQueueUrl":             {"sqs", (*Services).getQueueURL},
	"AmazonSQS.ChangeMessageVisibility": {"sqs", (*Services).changeVisibility},
	"AmazonSQS.GetQueueAttributes":      {"sqs", (*Services).getAttributes},
	"AmazonSQS.StartMessageMoveTask":    {"sqs", (*Services).startMove},
}

// maxBody is SQS's bound on a message, and EventBridge's on an event, with room.
const maxBody = 2 << 20

// ServeHTTP answers one call by AWS's JSON protocol.
func (s *Services) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target := r.Header.Get("X-Amz-Target")
	s.mu.Lock()
	intercept := s.intercept
	s.mu.Unlock()
	var fault Fault
	if intercept != nil {
		fault = intercept(target)
	}
	if fault.Lose && !fault.Applied {
		panic(http.ErrAbortHandler)
	}
	out, err := s.serve(r, target, fault)
	if fault.Lose {
		panic(http.ErrAbortHandler)
	}
	if err != nil {
		s.Log.Warn("a local service refuses", "operation", target, "err", err)
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	json.NewEncoder(w).Encode(out) // what fails here is the caller's connection
}

func (s *Services) serve(r *http.Request, target string, fault Fault) (any, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return nil, err
	}
	op, known := operations[target]
	if !known || r.Method != http.MethodPost {
		return nil, &Refusal{http.StatusBadRequest, "UnknownOperationException", "not played here: " + target}
	}
	if fault.Status != 0 {
		return nil, &Refusal{fault.Status, "ServiceException", "injected"}
	}
	who, err := Authenticate(s.Callers, r, body, op.service, s.Region, time.Now())
	if err != nil {
		return nil, err
	}
	return op.run(s, who, body)
}

func decode(body []byte, in any) error {
	if err := json.Unmarshal(body, in); err != nil {
		return &Refusal{http.StatusBadRequest, "SerializationException", err.Error()}
	}
	return nil
}

// putEvents hands events on as EventBridge does:
// https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
func (s *Services) putEvents(who Caller, body []byte) (any, error) {
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
			return nil, &Refusal{http.StatusBadRequest, "ResourceNotFoundException", "only the default bus is played"}
		}
		err := who.Authorize("events:PutEvents", "arn:aws:events:"+s.Region+":"+s.Account+":event-bus/default",
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
			"version": "0", "id": id, "source": e.Source, "detail-type": e.DetailType, "account": s.Account, "region": s.Region,
			"time": time.Unix(int64(e.Time), 0).UTC(), "resources": e.Resources, "detail": json.RawMessage(e.Detail),
		})
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		s.events = append(s.events, event)
		if s.Lines != nil {
			s.Lines.Write(append(slices.Clone(event), '\n')) // for people to look at; the bus goes on without
		}
		s.mu.Unlock()
		s.Log.Info("event", "type", e.DetailType, "detail", e.Detail)
		if s.Rule != nil {
			s.Rule(event)
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

func (s *Services) getParameter(who Caller, body []byte) (any, error) {
	var in struct {
		Name           string
		WithDecryption bool
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	arn := "arn:aws:ssm:" + s.Region + ":" + s.Account + ":parameter" + in.Name
	if err := who.Authorize("ssm:GetParameter", arn, nil); err != nil {
		return nil, err
	}
	value, ok := s.Parameters[in.Name]
	switch {
	case !ok:
		return nil, &Refusal{http.StatusBadRequest, "ParameterNotFound", in.Name}
	case !in.WithDecryption:
		return nil, &Refusal{http.StatusBadRequest, "ValidationException", "a SecureString is wanted decrypted here"}
	}
	return map[string]any{"Parameter": map[string]any{"Name": in.Name, "Type": "SecureString", "Value": value, "ARN": arn, "Version": 1}}, nil
}

// queue finds a queue and asks the principal's policies.
func (s *Services) queue(who Caller, action string, is func(Queue) bool) (Queue, error) {
	i := slices.IndexFunc(s.Queues, is)
	if i < 0 {
		return Queue{}, &Refusal{http.StatusBadRequest, "com.amazonaws.sqs#QueueDoesNotExist", "no such queue"}
	}
	return s.Queues[i], who.Authorize(action, s.Queues[i].ARN, nil)
}

func (s *Services) getQueueURL(who Caller, body []byte) (any, error) {
	var in struct{ QueueName string }
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	q, err := s.queue(who, "sqs:GetQueueUrl", func(q Queue) bool { return strings.HasSuffix(q.ARN, ":"+in.QueueName) })
	return map[string]string{"QueueUrl": q.URL}, err
}

func (s *Services) changeVisibility(who Caller, body []byte) (any, error) {
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
		return nil, &Refusal{http.StatusBadRequest, "com.amazonaws.sqs#ReceiptHandleIsInvalid", "no message was handed out with it"}
	}
	return struct{}{}, nil
}

// getAttributes knows one attribute: how many messages there are.
func (s *Services) getAttributes(who Caller, body []byte) (any, error) {
	var in struct {
		QueueURL       string `json:"QueueUrl"`
		AttributeNames []string
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	q, err := s.queue(who, "sqs:GetQueueAttributes", func(q Queue) bool { return q.URL == in.QueueURL })
	if err != nil {
		return nil, err
	}
	const count = "ApproximateNumberOfMessages"
	if !slices.Equal(in.AttributeNames, []string{count}) {
		return nil, &Refusal{http.StatusBadRequest, "com.amazonaws.sqs#InvalidAttributeName", "only " + count + " is known here"}
	}
	return map[string]any{"Attributes": map[string]string{count: strconv.Itoa(q.Len())}}, nil
}

// startMove moves the messages of a queue of dead ones back at once.
func (s *Services) startMove(who Caller, body []byte) (any, error) {
	var in struct{ SourceArn, DestinationArn string }
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	dead, err := s.queue(who, "sqs:StartMessageMoveTask", func(q Queue) bool { return q.ARN == in.SourceArn && q.Source != "" })
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(s.Queues, func(q Queue) bool { return q.ARN == dead.Source })
	if in.DestinationArn != "" || i < 0 {
		return nil, &Refusal{http.StatusBadRequest, "com.amazonaws.sqs#UnsupportedOperation", "messages are moved back to where they were"}
	}
	n := dead.MoveTo(s.Queues[i].Queue)
	s.Log.Info("dead messages are handed out again", "queue", s.Queues[i].Name(), "messages", n)
	return map[string]string{"TaskHandle": rand.Text()}, nil
}
