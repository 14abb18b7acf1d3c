// Package text decides which text people can see as it is: names, labels and subjects
// that are taken in, and everything that is printed on a terminal.
package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible reports whether s is UTF-8 and a reader sees every character of it. Control,
// format (bidirectional ones among them), private and unassigned characters are not
// seen, and neither are fillers, joiners and variation selectors. Spaces of every width
// count as seen: macOS writes U+202F into the names of screenshots.
func Visible(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !visible(r) {
			return false
		}
	}
	return true
}

// Name reports whether s is Visible text that names somebody: not empty, and without
// any space but U+0020, one at a time and at neither end. Two names that look the same
// are the same, but for letters that look alike.
func Name(s string) bool {
	for _, r := range s {
		if r != ' ' && unicode.IsSpace(r) {
			return false
		}
	}
	return s != "" && Visible(s) && !strings.HasPrefix(s, " ") && !strings.HasSuffix(s, " ") && !strings.Contains(s, "  ")
}

// Escape returns s with everything that is not Visible written as JSON writes it:
// \u001b. What is not UTF-8 becomes \ufffd.
func Escape(s string) string {
	if Visible(s) {
		return s
	}
	var b []byte
	for _, r := range s {
		b = Append(b, r)
	}
	return string(b)
}

// Append appends a character to b as Escape writes it.
func Append(b []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	switch {
	case r != utf8.RuneError && visible(r):
		return utf8.AppendRune(b, r)
	case r > 0xffff: // a surrogate pair
		r -= 0x10000
		return Append(Append(b, 0xd800+r>>10), 0xdc00+r&0x3ff)
	}
	return append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

func visible(r rune) bool {
	if r < utf8.RuneSelf {
		return ' ' <= r && r <= '~'
	}
	if r == '\u2800' || r == '\U0001d159' { // a Braille cell without dots, a note without a head: both are blank
		return false
	}
	return (unicode.IsPrint(r) || unicode.Is(unicode.Zs, r)) &&
		!unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) && !unicode.Is(unicode.Variation_Selector, r)
}
