package dynamoserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/truora/minidyn/server"

	"oncegate/internal/local/api"
)

// store is the items, in minidyn and in the journal.
type store struct {
	o Options
	// mu is held alone by a write until its item is in the journal, so that nobody sees
	// what a crash could still undo.
	mu      sync.RWMutex
	minidyn *server.Server
	journal *journal // nil without Options.Dir
	broken  error    // the journal could not be written: nothing is answered any more
}

// openStore makes the table and fills it from the journal, without what has expired.
func openStore(o Options, now time.Time) (*store, error) {
	s := &store{o: o, minidyn: server.NewServer()}
	type attribute struct{ AttributeName, AttributeType string }
	type element struct{ AttributeName, KeyType string }
	_, err := s.call("CreateTable", map[string]any{
		"TableName": o.Table, "BillingMode": "PAY_PER_REQUEST",
		"AttributeDefinitions": []attribute{{o.Partition, "S"}, {o.Sort, "S"}},
		"KeySchema":            []element{{o.Partition, "HASH"}, {o.Sort, "RANGE"}},
	})
	if err != nil || o.Dir == "" {
		return s, err
	}
	items, err := readJournal(o)
	if err != nil {
		return nil, err
	}
	items = slices.DeleteFunc(items, func(i item) bool { return o.expired(i, now) })
	for _, i := range items {
		if err := s.put(i); err != nil {
			return nil, fmt.Errorf("an item of %s: %w", o.Dir, err)
		}
	}
	s.journal, err = startJournal(o, items)
	return s, err
}

func (o Options) expired(i item, now time.Time) bool {
	n, _ := i[o.Expires]["N"].(string)
	at, err := strconv.ParseInt(n, 10, 64)
	return o.Expires != "" && err == nil && at < now.Unix()
}

func (s *store) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken = errors.Join(s.broken, http.ErrServerClosed); s.journal == nil {
		return nil
	}
	return s.journal.close()
}

// serve has minidyn answer a request, and writes down what it has changed.
func (s *store) serve(r Request) ([]byte, error) {
	if !operations[r.Operation] {
		s.mu.RLock()
		defer s.mu.RUnlock()
		if s.broken != nil {
			return nil, s.broken
		}
		return s.readItems(r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return nil, s.broken
	}
	before, err := s.get(r)
	if err != nil {
		return nil, err
	}
	p := r.parameters
	p.ConditionExpression = withoutContains(p, before)
	answer, err := s.call(r.Operation, p)
	if err != nil {
		return nil, err
	}
	after, err := s.get(r)
	if err != nil {
		return nil, err
	}
	if after, answer, err = s.correct(r, after, answer); err != nil {
		return nil, err
	}
	if after.size() > maxItem {
		return nil, errors.Join(s.restore(r, before), invalidf("Item size to update has exceeded the maximum allowed size"))
	}
	if s.journal == nil {
		return answer, nil
	}
	if err := s.journal.append(entry{Key: s.o.key(r), Item: after}); err != nil {
		s.o.Log.Error("the journal of the local table cannot be written: it answers nothing any more", "err", err)
		s.broken = err
		return nil, err
	}
	return answer, nil
}

// contains is a call of that function.
var contains = regexp.MustCompile(`contains\s*\(\s*(#?[A-Za-z0-9_]+)\s*,\s*(:[A-Za-z0-9_]+)\s*\)`)

// withoutContains is the condition of a write without calls of contains for attributes that
// the item does not have. They are false, and minidyn refuses them. So is a comparison with
// such an attribute, which minidyn takes.
func withoutContains(p parameters, before item) string {
	return contains.ReplaceAllStringFunc(p.ConditionExpression, func(call string) string {
		parts := contains.FindStringSubmatch(call)
		if _, there := before[p.name(parts[1])]; there {
			return call
		}
		return "(" + parts[1] + " = " + parts[2] + ")"
	})
}

// correct takes away what an update was to remove and minidyn has left.
func (s *store) correct(r Request, after item, answer []byte) (item, []byte, error) {
	left := false
	for _, name := range r.removed {
		_, there := after[name]
		left = left || there
		delete(after, name)
	}
	if !left {
		return after, answer, nil
	}
	if err := s.put(after); err != nil {
		return nil, nil, err
	}
	switch r.parameters.ReturnValues {
	case "ALL_NEW":
		answer, err := json.Marshal(map[string]item{"Attributes": after})
		return after, answer, err
	case "UPDATED_NEW":
		return nil, nil, cannotPlay("REMOVE with UPDATED_NEW")
	}
	return after, answer, nil
}

// restore undoes a write.
func (s *store) restore(r Request, before item) error {
	if before != nil {
		return s.put(before)
	}
	_, err := s.call("DeleteItem", parameters{TableName: s.o.Table, Key: s.o.key(r)})
	return err
}

func (s *store) put(i item) error {
	_, err := s.call("PutItem", parameters{TableName: s.o.Table, Item: i})
	return err
}

// get returns the item that a request is about, nil if there is none.
func (s *store) get(r Request) (item, error) {
	text, err := s.call("GetItem", parameters{TableName: s.o.Table, Key: s.o.key(r)})
	if err != nil {
		return nil, err
	}
	var found struct{ Item item }
	err = json.Unmarshal(text, &found)
	return found.Item, err
}

// key is the key of the item that a request is about.
func (o Options) key(r Request) item {
	return item{o.Partition: {"S": r.Partition}, o.Sort: {"S": r.Sort}}
}

// readItems answers a request that writes nothing.
func (s *store) readItems(r Request) ([]byte, error) {
	p := r.parameters
	switch r.Operation {
	case "DescribeTable":
		return s.call(r.Operation, p)
	case "Query", "Scan":
		if n := s.o.PageItems; n > 0 && (p.Limit == 0 || p.Limit > n) {
			p.Limit = n
		}
	}
	if start := p.ExclusiveStartKey; r.Operation == "Query" && start != nil {
		if start.text(s.o.Partition) != r.Partition || start.text(s.o.Sort) == "" {
			return nil, invalidf("The provided starting key is invalid")
		}
		const after = ":oncegateStart"
		values := item{after: start[s.o.Sort]}
		for name, v := range p.ExpressionAttributeValues {
			values[name] = v
		}
		p.KeyConditionExpression = "(" + p.KeyConditionExpression + ") AND " + s.o.Sort + " > " + after
		p.ExpressionAttributeValues, p.ExclusiveStartKey = values, nil
	}
	text, err := s.call(r.Operation, p)
	if err != nil || r.Operation == "GetItem" {
		return text, err
	}
	// minidyn leaves out what is empty.
	page := struct {
		Items               []json.RawMessage
		Count, ScannedCount int
		LastEvaluatedKey    json.RawMessage `json:",omitempty"`
	}{Items: []json.RawMessage{}}
	if err := json.Unmarshal(text, &page); err != nil {
		return nil, err
	}
	page.Count, page.ScannedCount = len(page.Items), len(page.Items)
	return json.Marshal(page)
}

// call has minidyn answer.
func (s *store) call(operation string, parameters any) ([]byte, error) {
	text, err := json.Marshal(parameters)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequest(http.MethodPost, "/", bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-Amz-Target", target+operation)
	w := answerWriter{header: http.Header{}, status: http.StatusOK}
	s.minidyn.ServeHTTP(&w, r)
	if w.status == http.StatusOK {
		return bytes.TrimSpace(w.body.Bytes()), nil
	}
	var refused struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
		Item    json.RawMessage
	}
	if err := json.Unmarshal(w.body.Bytes(), &refused); err != nil || refused.Type == "" {
		return nil, fmt.Errorf("minidyn answers %s with %d %.200s", operation, w.status, &w.body)
	}
	if refused.Type == conditionFailed {
		return nil, &failedCondition{refused.Item}
	}
	return nil, &api.Refusal{Status: w.status, Type: refused.Type, Message: refused.Message}
}

// answerWriter keeps an answer.
type answerWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *answerWriter) Header() http.Header         { return w.header }
func (w *answerWriter) WriteHeader(status int)      { w.status = status }
func (w *answerWriter) Write(p []byte) (int, error) { return w.body.Write(p) }
