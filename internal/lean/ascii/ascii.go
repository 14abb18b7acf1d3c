// Package ascii reads text of HTTP headers as HTTP does: letters have two cases in ASCII
// alone, and white space is a space or a tab. What Unicode takes for the same letter, or
// for a space, S3 and browsers do not.
package ascii

import "strings"

// Lower is s with the letters A to Z in lower case.
func Lower(s string) string {
	for i := range len(s) {
		if upper(s[i]) {
			b := []byte(s)
			for ; i < len(b); i++ {
				if upper(b[i]) {
					b[i] |= 0x20
				}
			}
			return string(b)
		}
	}
	return s
}

func upper(c byte) bool { return c >= 'A' && c <= 'Z' }

// Trim is s without spaces and tabs at its ends (RFC 9110, 5.6.3).
func Trim(s string) string { return strings.Trim(s, " \t") }

// Printable reports whether s has only printable characters of ASCII, spaces and tabs.
func Printable(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x7f || s[i] < ' ' && s[i] != '\t' {
			return false
		}
	}
	return true
}

// Token reports whether s can be the name of a header (RFC 9110, 5.6.2).
func Token(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if (c < 'a' || c > 'z') && (s[i] < '0' || s[i] > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}
