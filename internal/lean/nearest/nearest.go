// Package nearest finds the name that a misspelt one was meant to be.
package nearest

import "strings"

// Name returns the one of names that is most like word, or "" if none is much like
// it. Case, hyphens and underscores do not count: maxBytes, max-bytes and MAX_BYTES
// are one name.
func Name(word string, names []string) string {
	word = plain(word)
	limit := len(word) / 3
	best, name := limit+1, ""
	for _, n := range names {
		p := plain(n)
		d := distance(word, p)
		if d > limit && len(word) > 3 && strings.Contains(p, word) {
			d = limit // part of a longer name
		}
		if d < best {
			best, name = d, n
		}
	}
	return name
}

// plain is a name without what does not count. It takes letters to be ASCII: the
// tables of Unicode would cost the edge more than all of this package.
func plain(name string) string {
	var b []byte
	for i := range len(name) {
		c := name[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != '-' && c != '_' {
			b = append(b, c)
		}
	}
	return string(b)
}

// distance is Levenshtein's: how many bytes to insert, delete or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
