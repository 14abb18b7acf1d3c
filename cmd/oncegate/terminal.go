package main

import (
	"bytes"
	"io"
	"os"
	"unicode/utf8"

	"oncegate/internal/lean/text"
)

// What is printed may come from others: names and labels of whoever minted, answers of a
// deployment, keys of objects, error texts. A terminal takes some characters for commands,
// or shows a text that is not there. Two things keep them out:
//
//   - everything that the program prints goes through a screen, JSON included;
//   - a value in a line for people goes through shown, which also escapes line ends and
//     tabs: with them it would look like a line of the program's own.

// shown is a value as a line for people has it.
func shown(s string) string { return text.Escape(s) }

// screen writes UTF-8 to a terminal, or to whatever stands for one. It writes what
// is not visible as JSON does, \u001b, so that JSON stays the same to a parser. Only line
// ends and tabs pass as they are.
type screen struct {
	w    io.Writer
	rest []byte // the beginning of a character whose end has not come yet
}

func newScreen(w io.Writer) *screen { return &screen{w: w} }

// Write implements io.Writer.
func (s *screen) Write(p []byte) (int, error) {
	in := append(s.rest, p...)
	out := make([]byte, 0, len(in))
	for len(in) > 0 {
		if in[0] == '\n' || in[0] == '\t' {
			out, in = append(out, in[0]), in[1:]
			continue
		}
		if !utf8.FullRune(in) {
			break
		}
		r, size := utf8.DecodeRune(in)
		if r == utf8.RuneError && size > 1 { // U+FFFD itself, not what is no UTF-8
			out = append(out, in[:size]...)
		} else {
			out = text.Append(out, r)
		}
		in = in[size:]
	}
	s.rest = bytes.Clone(in)
	if _, err := s.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// terminal returns the terminal that w prints on, to draw on it. It is a character device,
// or something harmless like /dev/null.
func terminal(w io.Writer) (*os.File, bool) {
	if s, ok := w.(*screen); ok {
		w = s.w
	}
	f, ok := w.(*os.File)
	if !ok {
		return nil, false
	}
	info, err := f.Stat()
	return f, err == nil && info.Mode()&os.ModeCharDevice != 0
}
