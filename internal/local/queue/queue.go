// Package queue plays SQS standard queues, with the functions that follow them.
//
// As in SQS a message that was handed out and not deleted is handed out again when
// its visibility timeout is over, the order is nobody's promise (here it is random),
// and after so many receives a message goes to the queue of the dead. Tests can have
// messages come late and more than once.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/standard-queues.html
package queue

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Options are what a queue is made of. Name, ARN and Visibility are needed.
type Options struct {
	Name, ARN string
	// Visibility is for how long a message that was handed out is kept back.
	Visibility time.Duration
	// Dead gets the messages that were handed out MaxReceives times, if it is set.
	Dead        *Queue
	MaxReceives int
	// Deliver says when a message comes in, once for each delay; nil means once, now.
	Deliver func(body string) []time.Duration
	// Lines, if set, gets every message that comes in, one JSON object a line.
	Lines io.Writer
}

// Message is a message that was handed out.
type Message struct {
	ID, Body, Receipt string
	Receives          int
	Sent, First       time.Time // when it came in, and was handed out first
}

// Queue is a queue in memory.
type Queue struct {
	o Options

	mu       sync.Mutex
	messages []*stored
	changed  chan struct{} // closed and made anew when a message comes in
}

type stored struct {
	Message
	visible time.Time
}

// New makes an empty queue.
func New(o Options) *Queue { return &Queue{o: o, changed: make(chan struct{})} }

// Name is the queue's.
func (q *Queue) Name() string { return q.o.Name }

// Send puts a message in. It is never handed out before Send was called, and may be
// handed out before Send has returned.
func (q *Queue) Send(body string) { q.put(rand.Text(), body) }

func (q *Queue) put(id, body string) {
	now := time.Now()
	delays := []time.Duration{0}
	if q.o.Deliver != nil {
		delays = q.o.Deliver(body)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.o.Lines != nil {
		line, err := json.Marshal(map[string]any{"queue": q.o.Name, "id": id, "at": now.UTC(), "body": text(body)})
		if err == nil {
			q.o.Lines.Write(append(line, '\n')) // for people to look at; the queue goes on without
		}
	}
	for _, d := range delays {
		// A copy of a message has the id of the message.
		q.messages = append(q.messages, &stored{Message{ID: id, Body: body, Sent: now}, now.Add(d)})
	}
	q.change()
}

// text is the body as JSON, where it is JSON.
func text(body string) any {
	if json.Valid([]byte(body)) {
		return json.RawMessage(body)
	}
	return body
}

func (q *Queue) change() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// Receive waits until there are messages and hands out up to most of them, in any
// order.
func (q *Queue) Receive(ctx context.Context, most int) ([]Message, error) {
	for {
		out, next, changed := q.take(most)
		if len(out) > 0 {
			return out, nil
		}
		timer := time.NewTimer(next)
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
		timer.Stop()
	}
}

// take hands out what is visible now, or says how long to wait at most.
func (q *Queue) take(most int) (out []Message, next time.Duration, changed chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	next = time.Hour
	mathrand.Shuffle(len(q.messages), func(i, j int) { q.messages[i], q.messages[j] = q.messages[j], q.messages[i] })
	q.messages = slices.DeleteFunc(q.messages, func(m *stored) bool {
		if m.visible.After(now) {
			next = min(next, m.visible.Sub(now))
			return false
		}
		if q.o.Dead != nil && m.Receives >= q.o.MaxReceives {
			q.o.Dead.put(m.ID, m.Body)
			return true
		}
		if len(out) < most {
			m.Receives++
			m.Receipt, m.visible = rand.Text(), now.Add(q.o.Visibility)
			if m.First.IsZero() {
				m.First = now
			}
			out = append(out, m.Message)
		}
		return false
	})
	return out, next, q.changed
}

// Delete removes a message that was handed out with this receipt. As in SQS an older
// receipt than the last does nothing for sure.
func (q *Queue) Delete(receipt string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.messages = slices.DeleteFunc(q.messages, func(m *stored) bool { return m.Receipt == receipt })
}

// Postpone hands a message that was handed out with this receipt out again after d.
func (q *Queue) Postpone(receipt string, d time.Duration) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		if m.Receipt == receipt {
			m.visible = time.Now().Add(d)
			q.change()
			return true
		}
	}
	return false
}

// MoveTo puts all messages into another queue, with their receives forgotten, and
// counts them.
func (q *Queue) MoveTo(other *Queue) int {
	q.mu.Lock()
	all := q.messages
	q.messages = nil
	q.mu.Unlock()
	for _, m := range all {
		other.Send(m.Body)
	}
	return len(all)
}

// Len counts the messages, those that are handed out included.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.messages)
}

// Bodies are those of all messages.
func (q *Queue) Bodies() (all []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		all = append(all, m.Body)
	}
	return all
}
