package strictjson

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendString appends s as a JSON string, the way encoding/json writes it when told
// to leave <, > and & alone.
func AppendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = append(b, s[start:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\b':
				b = append(b, '\\', 'b')
			case '\f':
				b = append(b, '\\', 'f')
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(append(b, s[start:i]...), `\ufffd`...)
			start = i + size
		case r == '\u2028' || r == '\u2029': // ends a line in JavaScript
			b = append(append(b, s[start:i]...), `\u202`...)
			b = append(b, hex[r&15])
			start = i + size
		}
		i += size
	}
	return append(append(b, s[start:]...), '"')
}

// Compact is the value as it was written, without the space between its parts.
func (v Value) Compact() string {
	b := make([]byte, 0, len(v.Raw))
	quoted := false
	for i := 0; i < len(v.Raw); i++ {
		switch c := v.Raw[i]; {
		case quoted && c == '\\':
			b = append(b, c)
			i++
			b = append(b, v.Raw[i])
		case !quoted && (c == ' ' || c == '\t' || c == '\r' || c == '\n'):
		default:
			quoted = quoted != (c == '"')
			b = append(b, c)
		}
	}
	return string(b)
}

// Marshal returns the object whose members fill writes.
func Marshal(fill func(w *Writer)) []byte {
	var w Writer
	fill(&w)
	return w.Bytes()
}

// MarshalArray returns an array of n objects; fill writes the members of the one at i.
func MarshalArray(n int, fill func(w *Writer, i int)) []byte {
	const name = `{"":` // of the one member that holds it
	object := Marshal(func(w *Writer) { w.Objects("", n, fill) })
	return object[len(name) : len(object)-1]
}

// Writer builds one object, member by member. The zero Writer is ready to use.
type Writer struct{ b []byte }

// name appends what stands before a member's value.
func (w *Writer) name(name string) {
	if w.b == nil {
		w.b = make([]byte, 0, 512)
	}
	switch {
	case len(w.b) == 0:
		w.b = append(w.b, '{')
	case w.b[len(w.b)-1] != '{': // no value ends in one
		w.b = append(w.b, ',')
	}
	w.b = append(AppendString(w.b, name), ':')
}

// String adds a string.
func (w *Writer) String(name, value string) {
	w.name(name)
	w.b = AppendString(w.b, value)
}

// StringIf adds a string that is not empty.
func (w *Writer) StringIf(name, value string) {
	if value != "" {
		w.String(name, value)
	}
}

// Int adds a number.
func (w *Writer) Int(name string, value int64) {
	w.name(name)
	w.b = strconv.AppendInt(w.b, value, 10)
}

// IntIf adds a number other than 0.
func (w *Writer) IntIf(name string, value int64) {
	if value != 0 {
		w.Int(name, value)
	}
}

// Bool adds true or false.
func (w *Writer) Bool(name string, value bool) {
	w.name(name)
	w.b = strconv.AppendBool(w.b, value)
}

// Time adds a time: RFC 3339 with as many digits of a second as it has.
func (w *Writer) Time(name string, value time.Time) {
	w.name(name)
	w.b = append(value.AppendFormat(append(w.b, '"'), time.RFC3339Nano), '"')
}

// Object adds an object whose members fill writes.
func (w *Writer) Object(name string, fill func(w *Writer)) {
	w.name(name)
	w.object(fill)
}

func (w *Writer) object(fill func(w *Writer)) {
	w.b = append(w.b, '{')
	fill(w)
	w.b = append(w.b, '}')
}

// Objects adds an array of n objects; fill writes the members of the one at i.
func (w *Writer) Objects(name string, n int, fill func(w *Writer, i int)) {
	w.array(name, n, func(i int) { w.object(func(w *Writer) { fill(w, i) }) })
}

// Strings adds an array of strings.
func (w *Writer) Strings(name string, values []string) {
	w.array(name, len(values), func(i int) { w.b = AppendString(w.b, values[i]) })
}

func (w *Writer) array(name string, n int, element func(i int)) {
	w.name(name)
	w.b = append(w.b, '[')
	for i := range n {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		element(i)
	}
	w.b = append(w.b, ']')
}

// Bytes ends the object and returns it.
func (w *Writer) Bytes() []byte {
	if len(w.b) == 0 {
		return []byte("{}")
	}
	return append(w.b, '}')
}
