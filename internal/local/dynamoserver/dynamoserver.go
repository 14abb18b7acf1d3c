// Package dynamoserver plays one DynamoDB table: minidyn in this process, behind a front that
// corrects what minidyn does differently from DynamoDB, and lets tests inject faults.
//
// The front verifies the signature of every request and decides by the caller's policies, the
// condition keys of DynamoDB among them. Every item that a request writes is in a journal on
// the disk before the request is answered, so that a crash forgets no claim.
//
// What the front corrects:
//   - REMOVE takes attributes away. minidyn leaves them.
//   - contains is false for an attribute that is not there. minidyn refuses it.
//   - a page without items has an empty list of them. minidyn's has none.
//   - a page begins after the key that is asked for, also if no item has it. minidyn's is empty then.
//   - a key that is empty is refused, and so is an item over 400 KB.
//   - refusals have DynamoDB's types and status, and every answer has a date, a request id and a checksum.
//
// What stays different from DynamoDB stands in docs/index.md. What would be answered wrongly is
// refused and says so: operations and parameters that are not played, numbers of more than 15
// digits, partition keys with a dot.
package dynamoserver

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"oncegate/internal/local/api"
	"oncegate/internal/local/cloudwatch"
)

// Options says which table to play and where. Table, Region, Account, Partition, Sort and Addr
// are needed.
type Options struct {
	Table, Region, Account string
	Partition, Sort        string // names of the key attributes, which are strings
	// Expires is the attribute with the time after which DynamoDB may delete an item, "" for none.
	// Such items are deleted at the next start, and never before.
	Expires string
	Addr    string       // where to listen, such as 127.0.0.1:8000; port 0 picks a free one
	Callers []api.Caller // who may ask
	// Dir keeps the items over restarts. Without it they are gone with the server.
	Dir string
	// Log gets what is refused; nil discards it.
	Log *slog.Logger
	// Fault is called once for each request, from many goroutines at once; nil means no faults.
	Fault func(Request) Fault
	// Metrics, if set, get what CloudWatch would be told of faults.
	Metrics *cloudwatch.Metrics
	// PageItems bounds a page, as DynamoDB does at 1 MB. 0 is no bound.
	PageItems int
}

// Server is a table in play.
type Server struct {
	o      Options
	url    string
	store  *store
	http   *http.Server
	served chan struct{}

	closing chan struct{}
	once    sync.Once

	mu     sync.Mutex // guards the rest
	counts map[string]int
}

// Start reads the items that are kept and listens.
func Start(o Options) (*Server, error) {
	for _, f := range []struct{ name, value string }{
		{"Table", o.Table}, {"Region", o.Region}, {"Account", o.Account}, {"Partition", o.Partition}, {"Sort", o.Sort}, {"Addr", o.Addr},
	} {
		if f.value == "" {
			return nil, fmt.Errorf("local table: option %s is missing", f.name)
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ln, err := net.Listen("tcp", o.Addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("another program already listens on %s: %w", o.Addr, syscall.EADDRINUSE)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for requests to the table on %q: %w", o.Addr, err)
	}
	s := &Server{
		o: o, url: "http://" + ln.Addr().String(), served: make(chan struct{}), closing: make(chan struct{}),
		counts: map[string]int{},
	}
	if s.store, err = openStore(o, time.Now()); err != nil {
		ln.Close()
		return nil, err
	}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 30 * time.Second, ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug)}
	go func() {
		defer close(s.served)
		if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			o.Log.Error("the local table has stopped", "err", err)
		}
	}()
	return s, nil
}

// URL is the endpoint, such as http://127.0.0.1:8000.
func (s *Server) URL() string { return s.url }

// Requests counts the requests by operation since the start or the last ResetRequests.
func (s *Server) Requests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counts)
}

// ResetRequests sets all counts back to none.
func (s *Server) ResetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts = map[string]int{}
}

// Close breaks off what is under way and closes the journal.
func (s *Server) Close() error {
	var err error
	s.once.Do(func() {
		close(s.closing)
		err = s.http.Close()
		<-s.served
		err = errors.Join(err, s.store.close())
	})
	return err
}

// maxBody is DynamoDB's bound on a request.
const maxBody = 16 << 20

// ServeHTTP answers one call by AWS's JSON protocol, and plays the fault meant for it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
	request, refused := s.o.read(r, body)
	s.mu.Lock()
	s.counts[request.Operation]++
	s.mu.Unlock()
	var fault Fault
	if s.o.Fault != nil {
		fault = s.o.Fault(request)
	}
	if fault.Kind == Answer {
		s.report(request.Operation, fault.Code)
	}
	if !fault.Apply && !s.before(w, r, fault) {
		return
	}
	var answer []byte
	if refused == nil {
		refused = s.authorize(r, body, request)
	}
	if refused == nil {
		answer, refused = s.store.serve(request)
	}
	if refused != nil {
		s.o.Log.Debug("the local table refuses", "operation", request.Operation, "err", refused)
	}
	if fault.Apply && !s.after(w, r, fault, answer, refused) {
		return
	}
	reply(w, time.Now(), answer, refused)
}

// report counts a fault as DynamoDB does:
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
func (s *Server) report(operation, code string) {
	const namespace = "AWS/DynamoDB"
	switch code {
	case Throttled, Exceeded:
		name := "WriteThrottleEvents"
		if operation == "GetItem" || operation == "Query" {
			name = "ReadThrottleEvents"
		}
		s.o.Metrics.Add(namespace, name, 1, "TableName", s.o.Table)
	case Internal:
		s.o.Metrics.Add(namespace, "SystemErrors", 1, "TableName", s.o.Table, "Operation", operation)
	}
}

func (s *Server) authorize(r *http.Request, body []byte, request Request) error {
	caller, err := api.Authenticate(s.o.Callers, r, body, "dynamodb", s.o.Region, time.Now())
	if err != nil {
		return err
	}
	if err := caller.AuthorizeLists("dynamodb:"+request.Operation, "arn:aws:dynamodb:"+s.o.Region+":"+s.o.Account+":table/"+request.table(), request.context, request.lists); err != nil {
		s.o.Log.Warn("the local table denies access", "err", err)
		return err
	}
	if request.table() != s.o.Table {
		return invalid("ResourceNotFoundException", "Requested resource not found")
	}
	return nil
}
