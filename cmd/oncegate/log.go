package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// lineHandler writes log records for people: one line each, with the function's name in
// front and no time. Whatever is in a record, it cannot begin a second line.
type lineHandler struct {
	mu       *sync.Mutex // shared by all handlers of w
	w        io.Writer
	function string
	attrs    []slog.Attr
}

func newLineHandler(w io.Writer) *lineHandler { return &lineHandler{mu: new(sync.Mutex), w: w} }

// Enabled implements slog.Handler.
func (h *lineHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}

// Handle implements slog.Handler.
func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	function := h.function
	attrs := h.attrs
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "function" {
			function = a.Value.String()
		} else {
			attrs = append(attrs[:len(attrs):len(attrs)], a)
		}
		return true
	})
	message := r.Message
	if function != "" {
		b.WriteString(strings.TrimPrefix(function, "oncegate-") + ": ")
		message = readable(message)
	}
	b.WriteString(message)
	for _, a := range attrs {
		if a.Key == "err" {
			fmt.Fprintf(&b, ": %v", a.Value)
		} else {
			fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.w, shown(b.String())+"\n")
	return err
}

// readable turns a line that a function logged as JSON into "message key=value …". It
// leaves out what the terminal shows already, and shortens hashes and ids. Any other line
// stays as it is.
func readable(line string) string {
	d := json.NewDecoder(strings.NewReader(line))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return line
	}
	var message string
	var rest strings.Builder
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return line
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return line
		}
		text := fmt.Sprint(value)
		switch name {
		case "message":
			message = text
			continue
		case "timestamp", "function":
			continue
		case "level":
			if text == "INFO" {
				continue
			}
		case "id", "request":
			text = text[:min(len(text), 12)]
		}
		fmt.Fprintf(&rest, " %s=%s", name, text)
	}
	if message == "" {
		return line
	}
	return message + rest.String()
}

// WithAttrs implements slog.Handler.
func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := *h
	n.attrs = n.attrs[:len(n.attrs):len(n.attrs)]
	for _, a := range attrs {
		if a.Key == "function" {
			n.function = a.Value.String()
		} else {
			n.attrs = append(n.attrs, a)
		}
	}
	return &n
}

// WithGroup implements slog.Handler; nothing here uses groups.
func (h *lineHandler) WithGroup(string) slog.Handler { return h }
