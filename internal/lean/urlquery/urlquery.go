// Package urlquery reads the query of a URL as net/url does, of which the edge would
// load a good deal more than this.
package urlquery

import (
	"errors"
	"strings"
)

// What is wrong with a query.
var (
	ErrEscape    = errors.New("query: want two hex digits after a percent sign")
	ErrSemicolon = errors.New("query: want & between its parts, not a semicolon")
)

// Parse returns the values of each name, in order.
func Parse(query string) (map[string][]string, error) {
	values := map[string][]string{}
	for query != "" {
		var part string
		part, query, _ = strings.Cut(query, "&")
		if strings.Contains(part, ";") {
			return nil, ErrSemicolon
		}
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, err := Unescape(name)
		if err != nil {
			return nil, err
		}
		if value, err = Unescape(value); err != nil {
			return nil, err
		}
		values[name] = append(values[name], value)
	}
	return values, nil
}

// Unescape resolves %XX, and + to a space.
func Unescape(s string) (string, error) {
	if !strings.ContainsAny(s, "%+") {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '+':
			b = append(b, ' ')
		case '%':
			if i+2 >= len(s) {
				return "", ErrEscape
			}
			high, low := digit(s[i+1]), digit(s[i+2])
			if high < 0 || low < 0 {
				return "", ErrEscape
			}
			b = append(b, byte(high<<4|low))
			i += 2
		default:
			b = append(b, s[i])
		}
	}
	return string(b), nil
}

// digit is the value of a hex digit, or -1.
func digit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
