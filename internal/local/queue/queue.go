// Package queue plays SQS standard queues, with the functions that follow them.
//
// As in SQS, a message that was received and not deleted is received again after its
// visibility timeout. The order is random, since SQS promises none. After MaxReceives a
// message goes to the dead-letter queue. Tests can have messages come late and more than
// once.
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
	// Visibility is the visibility timeout.
	Visibility time.Duration
	// Dead, if set, gets the messages that were received MaxReceives times.
	Dead        *Queue
	MaxReceives int
	// Deliver gives the delays of a message, which comes in once for each; nil means once,
	// at once.
	Deliver func(body string) []time.Duration
	// Lines, if set, gets every message that comes in, one JSON object a line.
	Lines io.Writer
}

// Message is a received message.
type Message struct {
	ID, Body, Receipt string
	Receives          int
	Sent, First       time.Time // when it came in, and when it was first received
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

// Name returns the queue's name.
func (q *Queue) Name() string { return q.o.Name }

// Send puts a message in. It may be received before Send has returned.
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

// Receive waits until there are messages, and returns at most that many of them in any
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

// Delete removes the message that was last received with this receipt. An older receipt
// does nothing; SQS does not promise more.
func (q *Queue) Delete(receipt string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.messages = slices.DeleteFunc(q.messages, func(m *stored) bool { return m.Receipt == receipt })
}

// Postpone makes the message that was received with this receipt visible again after d.
// It reports whether there is one.
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

// MoveTo moves all messages into another queue, where they count as never received, and
// returns how many there were.
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

// Len counts the messages, received ones included.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.messages)
}

// Visible counts the messages that could be received now. Oldest is how long ago the
// first of all messages came in, 0 for none.
func (q *Queue) Visible() (visible int, oldest time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for _, m := range q.messages {
		if !m.visible.After(now) {
			visible++
		}
		oldest = max(oldest, now.Sub(m.Sent))
	}
	return visible, oldest
}

// Bodies returns the bodies of all messages.
func (q *Queue) Bodies() (all []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		all = append(all, m.Body)
	}
	return all
}
