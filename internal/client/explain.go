package client

import (
	"net/url"
	"strings"

	"oncegate/internal/onetime"
)

// Explained is what a one-time URL says by itself.
type Explained struct {
	URL
	Host  string
	Query onetime.Query
	// Respelled says how its query is spelled otherwise than it was minted. The gate
	// takes it all the same.
	Respelled []string
}

// Explain reads a URL as ParseURL does, and says what is in it. It sends nothing. No
// error of it repeats the URL.
func Explain(raw string) (Explained, error) {
	raw = strings.TrimSpace(raw)
	parsed, minted, err := parse(raw)
	if err != nil {
		return Explained{}, err
	}
	return Explained{
		URL:       URL{URL: raw, ID: minted.ID, Key: minted.Key, Expires: minted.Query.Expires()},
		Host:      parsed.Host,
		Query:     minted.Query,
		Respelled: respelled(parsed.RawQuery, minted.Query.String()),
	}, nil
}

// respelled compares two spellings of one query, member by member.
func respelled(query, minted string) (how []string) {
	note := func(differs bool, what string) {
		if differs {
			how = append(how, what)
		}
	}
	wanted := map[string]string{} // the minted value of each name
	var mintedNames, names []string
	for member := range strings.SplitSeq(minted, "&") {
		name, value, _ := strings.Cut(member, "=")
		wanted[name] = value
		mintedNames = append(mintedNames, name)
	}
	var empty, slash, lower, more bool
	for member := range strings.SplitSeq(query, "&") {
		if member == "" {
			empty = true
			continue
		}
		raw, value, _ := strings.Cut(member, "=")
		name, _ := url.PathUnescape(raw) // it was parsed before
		names = append(names, name)
		switch want := wanted[name]; {
		case raw == name && value == want:
		case strings.Contains(value, "/"):
			slash = true
		case raw == name && strings.EqualFold(value, want):
			lower = true
		default:
			more = true
		}
	}
	note(strings.Join(names, "&") != strings.Join(mintedNames, "&"), "the parameters are in another order")
	note(slash, "/ is not escaped")
	note(lower, "escapes are in lower case")
	note(more, "more is escaped than has to be")
	note(empty, "there is an & too many")
	return how
}
