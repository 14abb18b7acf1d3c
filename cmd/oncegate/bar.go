package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// bar shows how much of an upload is sent, how fast and how long it will take, on one line
// of a terminal. It overwrites the line and removes it at the end.
type bar struct {
	w     io.Writer
	name  string
	size  int64 // 0: not known
	last  time.Time
	now   func() time.Time
	drawn []mark // of the last barWindow, oldest first
}

// mark is how much was sent at a time.
type mark struct {
	at   time.Time
	sent int64
}

const (
	barName   = 16
	barWidth  = 10
	lineWidth = 79 // fits the usual narrow terminal
	barPause  = 100 * time.Millisecond
	// barWindow is the time over which the rate is taken: what was sent by an earlier run is
	// no part of it, and what is sent again lowers it only for a while.
	barWindow = 10 * time.Second
)

func newBar(w io.Writer, name string, size int64, now func() time.Time) *bar {
	if name = shown(name); utf8.RuneCountInString(name) > barName {
		name = string([]rune(name)[:barName-1]) + "…"
	}
	return &bar{w: w, name: name, size: size, now: now, drawn: []mark{{at: now()}}}
}

// sent draws, but not for every packet. An error of the terminal does not fail the upload.
func (b *bar) sent(n int64) {
	now := b.now()
	if now.Sub(b.last) < barPause && n != b.size {
		return
	}
	b.last = now
	for len(b.drawn) > 1 && now.Sub(b.drawn[0].at) > barWindow {
		b.drawn = b.drawn[1:]
	}
	rate := 0.0
	if took := now.Sub(b.drawn[0].at).Seconds(); took > 0.5 {
		rate = max(float64(n-b.drawn[0].sent)/took, 0)
	}
	b.drawn = append(b.drawn, mark{now, n})
	line := fmt.Sprintf("%-*s %s", barName, b.name, amount(n))
	if b.size > 0 {
		done := int(n * barWidth / b.size)
		line = fmt.Sprintf("%-*s [%-*s] %3d%%  %s of %s", barName, b.name, barWidth, strings.Repeat("=", done), n*100/b.size, amount(n), amount(b.size))
	}
	if rate > 0 {
		line += "  " + amount(int64(rate)) + "/s"
	}
	if rate > 0 && b.size > n {
		line += "  " + (time.Duration(float64(b.size-n)/rate) * time.Second).String() + " left"
	}
	fmt.Fprintf(b.w, "\r%-*.*s", lineWidth, lineWidth, line)
}

func (b *bar) clear() { fmt.Fprintf(b.w, "\r%*s\r", lineWidth, "") }

// amount writes bytes for people.
func amount(n int64) string {
	if n >= 10e9 {
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
