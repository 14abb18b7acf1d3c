package queue_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"oncegate/internal/local/lambda"
	"oncegate/internal/local/queue"
)

func receive(t *testing.T, q *queue.Queue, most int) []queue.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	m, err := q.Receive(ctx, most)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestQueue(t *testing.T) {
	var lines bytes.Buffer
	dead := queue.New(queue.Options{Name: "dead", Visibility: time.Hour, Lines: &lines})
	q := queue.New(queue.Options{Name: "q", Visibility: time.Millisecond, Dead: dead, MaxReceives: 3})
	q.Send("garbage")
	id := ""
	for i := range 3 {
		m := receive(t, q, 10)
		if len(m) != 1 || m[0].Body != "garbage" || m[0].Receives != i+1 || id != "" && m[0].ID != id {
			t.Fatalf("receive %d: %+v", i, m)
		}
		id = m[0].ID
	}
	q.Send(`{"a":1}`)
	m := receive(t, q, 10)
	for m[0].Body == "garbage" {
		m = receive(t, q, 10)
	}
	q.Delete(m[0].Receipt)
	late, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if m, err := q.Receive(late, 10); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deleted, and yet %+v, %v", m, err)
	}
	if q.Len() != 0 || !slices.Equal(dead.Bodies(), []string{"garbage"}) {
		t.Errorf("%d left, dead %v", q.Len(), dead.Bodies())
	}
	if !strings.Contains(lines.String(), `"body":"garbage"`) || !strings.Contains(lines.String(), `"id":"`+id+`"`) {
		t.Errorf("lines: %s", &lines)
	}
	if n := dead.MoveTo(q); n != 1 || dead.Len() != 0 {
		t.Errorf("moved %d", n)
	}
	if m := receive(t, q, 10); m[0].Receives != 1 || m[0].Body != "garbage" {
		t.Errorf("moved back: %+v", m)
	} else if !q.Postpone(m[0].Receipt, time.Hour) || q.Postpone("other", 0) {
		t.Error("postpone")
	}
}

func TestLateAndDoubled(t *testing.T) {
	q := queue.New(queue.Options{
		Visibility: time.Hour, Deliver: func(string) []time.Duration { return []time.Duration{0, time.Millisecond, 2 * time.Millisecond} },
	})
	q.Send("x")
	ids := map[string]bool{}
	for n := 0; n < 3; {
		for _, m := range receive(t, q, 1) {
			ids[m.ID] = true
			n++
		}
	}
	if len(ids) != 1 || q.Len() != 3 {
		t.Errorf("ids %v, %d messages", ids, q.Len())
	}
}

// function answers batches; messages in fail fail, and with broken the whole batch.
type function struct {
	mu     sync.Mutex
	fail   map[string]int // so many times yet
	broken map[string]lambda.Result
	seen   map[string]int
}

func (f *function) Invoke(_ context.Context, payload []byte) (lambda.Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var in struct {
		Records []struct{ MessageID, Body, EventSource string }
	}
	if err := json.Unmarshal(payload, &in); err != nil || in.Records[0].EventSource != "aws:sqs" {
		return lambda.Result{}, fmt.Errorf("%s: %w", payload, err)
	}
	out := []map[string]string{}
	for _, r := range in.Records {
		f.seen[r.Body]++
		if b, ok := f.broken[r.Body]; ok {
			delete(f.broken, r.Body)
			return b, nil
		}
		if f.fail[r.Body] > 0 {
			f.fail[r.Body]--
			out = append(out, map[string]string{"itemIdentifier": r.MessageID})
		}
	}
	answer, err := json.Marshal(map[string]any{"batchItemFailures": out})
	return lambda.Result{Payload: answer}, err
}

func TestSource(t *testing.T) {
	dead := queue.New(queue.Options{Visibility: time.Hour})
	q := queue.New(queue.Options{Visibility: 2 * time.Millisecond, Dead: dead, MaxReceives: 5})
	f := &function{
		seen: map[string]int{}, fail: map[string]int{"b": 2, "poison": 99},
		broken: map[string]lambda.Result{
			"c": {FunctionError: "Unhandled", Payload: []byte("{}")}, "d": {Payload: []byte("none")}, "e": {Payload: []byte(`{"batchItemFailures":[{"itemIdentifier":""}]}`)},
		},
	}
	s := &queue.Source{Queue: q, Function: f, BatchSize: 1, ItemFailures: true, Pollers: 2, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { s.Follow(ctx) })
	bodies := []string{"a", "b", "c", "d", "e", "poison"}
	for _, b := range bodies {
		q.Send(b)
	}
	for end := time.Now().Add(10 * time.Second); q.Len() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("left: %v", q.Bodies())
		}
	}
	cancel()
	work.Wait()
	for body, want := range map[string]int{"a": 1, "b": 3, "c": 2, "d": 2, "e": 2, "poison": 5} {
		// One that was slow may have come once more.
		if f.seen[body] < want || body == "poison" && f.seen[body] != want {
			t.Errorf("%s came %d times, want %d", body, f.seen[body], want)
		}
	}
	if !slices.Equal(dead.Bodies(), []string{"poison"}) {
		t.Errorf("dead: %v", dead.Bodies())
	}
}

// TestVisible: a message that was received is not visible, but goes on waiting.
func TestVisible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.New(queue.Options{Name: "q", Visibility: time.Hour})
		want := func(visible int, oldest time.Duration) {
			t.Helper()
			if n, age := q.Visible(); n != visible || age != oldest {
				t.Errorf("%d visible, the oldest %v; want %d, %v", n, age, visible, oldest)
			}
		}
		want(0, 0)
		q.Send("first")
		time.Sleep(10 * time.Minute)
		q.Send("second")
		want(2, 10*time.Minute)
		m := receive(t, q, 1)
		want(1, 10*time.Minute)
		time.Sleep(50*time.Minute - time.Second)
		want(1, time.Hour-time.Second)
		time.Sleep(time.Hour)
		want(2, 2*time.Hour-time.Second)
		q.Delete(m[0].Receipt)
		if n, _ := q.Visible(); n != 1 {
			t.Errorf("%d visible, want 1", n)
		}
	})
}

// busy counts how often it runs at once, and stays until it is let go.
type busy struct {
	began chan int
	goes  chan struct{}
	n     atomic.Int32
}

func (b *busy) Invoke(context.Context, []byte) (lambda.Result, error) {
	b.began <- int(b.n.Add(1))
	<-b.goes
	b.n.Add(-1)
	return lambda.Result{}, nil
}

// No more batches are under way than the source may have, however many messages wait.
func TestSourceHasACeiling(t *testing.T) {
	q := queue.New(queue.Options{Name: "q", ARN: "arn:q", Visibility: time.Minute})
	for range 40 {
		q.Send("{}")
	}
	f := &busy{began: make(chan int, 40), goes: make(chan struct{})}
	s := &queue.Source{Queue: q, Function: f, BatchSize: 1, Pollers: 2, Log: slog.New(slog.DiscardHandler)}
	ctx, stop := context.WithCancel(t.Context())
	followed := make(chan struct{})
	go func() { defer close(followed); s.Follow(ctx) }()
	for i := range 40 {
		if n := <-f.began; n > 2 {
			t.Errorf("%d batches under way, want 2 at most", n)
		}
		if i > 0 { // two have begun, or one after the other went
			f.goes <- struct{}{}
		}
	}
	stop()
	f.goes <- struct{}{}
	<-followed
	if n := q.Len(); n != 0 {
		t.Errorf("%d messages are left", n)
	}
}
