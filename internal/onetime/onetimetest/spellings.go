package onetimetest

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Spelling is one way in which a client writes a minted query.
type Spelling struct {
	Name  string
	Query string
}

// Spellings are ways to write the query of a minted URL that S3 takes for the same
// presigned query. The first is the mint's own.
func Spellings(query string) []Spelling {
	members := strings.Split(query, "&")
	reversed := slices.Clone(members)
	slices.Reverse(reversed)
	sorted := slices.Sorted(slices.Values(members))
	values, err := url.ParseQuery(query)
	if err != nil {
		panic(err) // no query of the mint
	}
	return []Spelling{
		{"as minted", query},
		{"slashes decoded", strings.ReplaceAll(query, "%2F", "/")}, // aiohttp (yarl)
		{"lower-case escapes", strings.ReplaceAll(query, "%2F", "%2f")},
		{"sorted", strings.Join(sorted, "&")}, // Faraday, searchParams.sort()
		{"encoded by Go", values.Encode()},    // net/url sorts and escapes anew
		{"reversed", strings.Join(reversed, "&")},
		{"& behind", query + "&"},
		{"& in front", "&" + query},
		{"& doubled", strings.ReplaceAll(query, "&", "&&")},
		{"hyphens escaped", strings.ReplaceAll(query, "-", "%2D")},
		{"every letter escaped", escaped(query)},
	}
}

// escaped writes every byte of names and values as %XX.
func escaped(query string) string {
	members := strings.Split(query, "&")
	for i, member := range members {
		name, value, _ := strings.Cut(member, "=")
		plain, err := url.PathUnescape(value)
		if err != nil {
			panic(err)
		}
		members[i] = hexed(name) + "=" + hexed(plain)
	}
	return strings.Join(members, "&")
}

func hexed(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, "%%%02x", c)
	}
	return b.String()
}
