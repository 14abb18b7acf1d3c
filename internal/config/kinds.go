package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"oncegate/internal/layout"
	"oncegate/internal/lean/strictjson"
)

// kind is the type of a setting's value. The linker drops the methods that a program
// never calls, so the edge has no printing.
type kind interface {
	// read checks value and stores it in c. If value is not allowed, why may name the
	// part that is wrong; it then ends in ": ".
	read(c *Config, value strictjson.Value) (why string, ok bool)
	// print returns the setting in JSON, or nothing if it is not set.
	print(c Config) []byte
	// allowed completes "allowed is …".
	allowed() string
}

// text is a string that valid accepts. Empty means not set.
type text struct {
	rule  string
	valid func(string) bool
	of    func(*Config) *string
}

func (k text) read(c *Config, value strictjson.Value) (string, bool) {
	s, ok := value.Text()
	if !ok || !k.valid(s) {
		return "", false
	}
	*k.of(c) = s
	return "", true
}

func (k text) print(c Config) []byte {
	if s := *k.of(&c); s != "" {
		return strictjson.AppendString(nil, s)
	}
	return nil
}

func (k text) allowed() string { return k.rule }

// oneOf is one of a few strings.
type oneOf struct {
	of     func(*Config) *string
	values []string
}

func (k oneOf) read(c *Config, value strictjson.Value) (string, bool) {
	s, ok := value.Text()
	for _, v := range k.values {
		if ok && s == v {
			*k.of(c) = v
			return "", true
		}
	}
	return "", false
}

func (k oneOf) print(c Config) []byte { return strictjson.AppendString(nil, *k.of(&c)) }

func (k oneOf) allowed() string {
	last := len(k.values) - 1
	return `"` + strings.Join(k.values[:last], `", "`) + `" or "` + k.values[last] + `"`
}

// number is a whole number from least to most. The stored value is each times it.
type number[T int | int64 | time.Duration] struct {
	least, most, each T
	unit              string
	of                func(*Config) *T
}

func (k number[T]) read(c *Config, value strictjson.Value) (string, bool) {
	n, ok := value.Int()
	if !ok || n < int64(k.least) || n > int64(k.most) {
		return "", false
	}
	*k.of(c) = T(n) * k.each
	return "", true
}

func (k number[T]) print(c Config) []byte {
	return strconv.AppendInt(nil, int64(*k.of(&c)/k.each), 10)
}

func (k number[T]) allowed() string {
	return fmt.Sprintf("a whole number from %d to %d (%s)", int64(k.least), int64(k.most), k.unit)
}

// boolean is true or false.
type boolean func(*Config) *bool

func (of boolean) read(c *Config, value strictjson.Value) (string, bool) {
	b, ok := value.Bool()
	if ok {
		*of(c) = b
	}
	return "", ok
}

func (of boolean) print(c Config) []byte { return strconv.AppendBool(nil, *of(&c)) }

func (of boolean) allowed() string { return "true or false" }

// origins is Config.AllowedOrigins.
type origins struct{}

func (origins) read(c *Config, value strictjson.Value) (string, bool) {
	if value.Kind != strictjson.Array {
		return "", false
	}
	all := make([]string, 0, len(value.Members))
	seen := map[string]bool{}
	for _, item := range value.Members {
		s, ok := item.Text()
		if !ok || s != "*" && !validOrigin(s) {
			return "it has " + shown(item.Value) + ": ", false
		}
		if seen[s] {
			return fmt.Sprintf("it has %q twice: ", s), false
		}
		seen[s] = true
		all = append(all, s)
	}
	if seen["*"] && len(all) > 1 {
		return `it has "*" beside other origins: `, false
	}
	c.AllowedOrigins = all
	return "", true
}

func (origins) print(c Config) []byte { return appendTexts(nil, c.AllowedOrigins) }

func (origins) allowed() string {
	return `a list of origins as browsers send them, lower-case "scheme://host[:port]", or ["*"] alone`
}

// texts is a list of different strings, short enough that a refusal can name them all.
type texts struct {
	of    func(*Config) *[]string
	valid func(string) bool
	what  string // what is in the list, in the words of a refusal
}

const maxTexts = 50

var (
	prefixes = texts{func(c *Config) *[]string { return &c.Prefixes }, layout.ValidPrefixPattern,
		`prefixes such as "invoices", or "teams/*" for all below one, or "*" for any; a prefix is ` + layout.PrefixRule}
	tags = texts{func(c *Config) *[]string { return &c.Tags }, layout.ValidTagKey,
		`keys of tags such as "project"; a key is ` + layout.TagKeyRule}
)

func (t texts) read(c *Config, value strictjson.Value) (string, bool) {
	if value.Kind != strictjson.Array || len(value.Members) > maxTexts {
		return "", false
	}
	all := make([]string, 0, len(value.Members))
	for _, item := range value.Members {
		s, ok := item.Text()
		if !ok || !t.valid(s) {
			return "it has " + shown(item.Value) + ": ", false
		}
		for _, other := range all {
			if s == other {
				return fmt.Sprintf("it has %q twice: ", s), false
			}
		}
		all = append(all, s)
	}
	*t.of(c) = all
	return "", true
}

func (t texts) print(c Config) []byte { return appendTexts(nil, *t.of(&c)) }

func (t texts) allowed() string { return fmt.Sprintf("a list of up to %d %s", maxTexts, t.what) }

// appendTexts writes a list of strings on one line.
func appendTexts(b []byte, texts []string) []byte {
	b = append(b, '[')
	for i, s := range texts {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = strictjson.AppendString(b, s)
	}
	return append(b, ']')
}

// member is a string of an object.
type member struct {
	name  string
	valid func(string) bool
	to    *string
}

// readMembers reads an object that must have the required members and may have the optional
// ones. Any other member is refused. Its results are those of kind.read.
func readMembers(object strictjson.Value, required []member, optional ...member) (why string, ok bool) {
	if object.Kind != strictjson.Object {
		return "it is not an object: ", false
	}
	if name, ok := object.Twice(); ok {
		return fmt.Sprintf("%q is given twice: ", name), false
	}
	for _, given := range object.Members {
		if !isMember(given.Name, required) && !isMember(given.Name, optional) {
			return fmt.Sprintf("unknown field %q: ", given.Name), false
		}
	}
	for i, m := range append(required, optional...) {
		value := object.Get(m.name)
		s, isText := value.Text()
		switch {
		case value.Kind == strictjson.Absent && i >= len(required):
			continue
		case value.Kind == strictjson.Absent:
			return m.name + " is missing: ", false
		case !isText || !m.valid(s):
			return m.name + " is " + shown(value) + ": " + localhostHint(s), false
		}
		*m.to = s
	}
	return "", true
}

func isMember(name string, members []member) bool {
	for _, m := range members {
		if m.name == name {
			return true
		}
	}
	return false
}

// localhostHint suggests the only address that a plain http URL may have.
func localhostHint(url string) string {
	if strings.HasPrefix(url, "http://localhost") {
		return "for this machine write http://127.0.0.1: "
	}
	return ""
}
