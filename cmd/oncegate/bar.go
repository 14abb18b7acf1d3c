package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// bar shows how much of an upload is sent, on one line of a terminal. It overwrites the
// line and removes it at the end.
type bar struct {
	w           io.Writer
	name        string
	size        int64
	began, last time.Time
	now         func() time.Time
}

const (
	barWidth  = 20
	lineWidth = 79 // fits the usual narrow terminal
	barPause  = 100 * time.Millisecond
)

func newBar(w io.Writer, name string, size int64, now func() time.Time) *bar {
	if name = shown(name); utf8.RuneCountInString(name) > 20 {
		name = string([]rune(name)[:19]) + "…"
	}
	return &bar{w: w, name: name, size: size, began: now(), now: now}
}

// sent draws, but not for every packet. An error of the terminal does not fail the upload.
func (b *bar) sent(n int64) {
	now := b.now()
	if now.Sub(b.last) < barPause && n < b.size {
		return
	}
	b.last = now
	rate := ""
	if took := now.Sub(b.began).Seconds(); took > 0.5 {
		rate = megabytes(int64(float64(n)/took)) + "/s"
	}
	done := int(n * barWidth / max(b.size, 1))
	line := fmt.Sprintf("%-20s [%-*s] %3d%%  %s of %s  %s", b.name, barWidth, strings.Repeat("=", done), n*100/max(b.size, 1), megabytes(n), megabytes(b.size), rate)
	fmt.Fprintf(b.w, "\r%-*.*s", lineWidth, lineWidth, line)
}

func (b *bar) clear() { fmt.Fprintf(b.w, "\r%*s\r", lineWidth, "") }

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
