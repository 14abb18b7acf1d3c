package onetime

import (
	"strings"

	"oncegate/internal/lean/sigv4"
	"oncegate/internal/lean/strictjson"
	"oncegate/internal/lean/urlquery"
)

// pairs are name=value pairs with & between them, in the order of the names and percent-encoded
// as in a query. "" is none. Only parsePairs makes them, so that two with the same pairs are equal.
type pairs string

// parsePairs reads pairs in any order and any spelling. ok is false if a name comes twice, if
// there are more than most, or if valid refuses one.
func parsePairs(s string, most int, valid func(name, value string) bool) (_ pairs, ok bool) {
	if s == "" {
		return "", true
	}
	var all []sigv4.Pair
	for one := range strings.SplitSeq(s, "&") {
		name, value, ok := strings.Cut(one, "=")
		name, nameErr := urlquery.Unescape(name)
		value, valueErr := urlquery.Unescape(value)
		if !ok || nameErr != nil || valueErr != nil || !valid(name, value) || len(all) == most {
			return "", false
		}
		for _, other := range all {
			if other.Name == name {
				return "", false
			}
		}
		all = append(all, sigv4.Pair{Name: name, Value: value})
	}
	return pairs(sigv4.Encode(all)), true
}

func (p pairs) each(do func(name, value string)) {
	for one := range strings.SplitSeq(string(p), "&") {
		if name, value, ok := strings.Cut(one, "="); ok {
			name, _ = urlquery.Unescape(name) // parsePairs has seen to it
			value, _ = urlquery.Unescape(value)
			do(name, value)
		}
	}
}

// values are the values by their names, nil if there are none.
func (p pairs) values() map[string]string {
	values := map[string]string{}
	p.each(func(name, value string) { values[name] = value })
	if len(values) == 0 {
		return nil
	}
	return values
}

// writeIf writes the pairs as an object with this name, if there are any.
func (p pairs) writeIf(w *strictjson.Writer, name string) {
	if p != "" {
		w.Object(name, func(w *strictjson.Writer) { p.each(w.String) })
	}
}
