package ascii

import (
	"strings"
	"testing"
	"unicode"
)

// TestAgainstUnicode: on ASCII these do what package strings does, and they leave alone
// what only Unicode takes for a letter or a space.
func TestAgainstUnicode(t *testing.T) {
	for c := range rune(0x80) {
		s := "x" + string(c) + "Y"
		if got, want := Lower(s), strings.ToLower(s); got != want {
			t.Errorf("Lower(%q) = %q, want %q", s, got, want)
		}
		if got, want := Printable(s), c == '\t' || unicode.IsPrint(c); got != want {
			t.Errorf("Printable(%q) = %t, want %t", s, got, want)
		}
		want := c < unicode.MaxASCII && (unicode.IsLetter(c) || unicode.IsDigit(c) || strings.ContainsRune("!#$%&'*+-.^_`|~", c))
		if got := Token(string(c)); got != want {
			t.Errorf("Token(%q) = %t, want %t", string(c), got, want)
		}
	}
	for _, s := range []string{"\u0130", "\u212a", "\u017f", "Ä", "\xc0", "ı"} {
		if Lower(s) != s || Printable(s) || Token(s) {
			t.Errorf("%q is read as ASCII", s)
		}
	}
	for _, s := range []string{"\u00a0x", "x\u0085", "\u2003x", "x\v", "\nx"} {
		if Trim(s) != s {
			t.Errorf("Trim(%q) = %q", s, Trim(s))
		}
	}
	if got := Trim(" \tx y\t "); got != "x y" {
		t.Errorf("Trim = %q", got)
	}
	if Token("") || !Printable("") {
		t.Error("nothing is a token, or is not printable")
	}
}
