// Package strictjson reads and writes JSON at the edge: without reflection, without
// guessing, and with a fraction of the code that encoding/json brings along.
//
// It takes what encoding/json takes, with three exceptions. Bytes that are not UTF-8 and
// halves of surrogate pairs are errors, where encoding/json writes U+FFFD. So are values
// nested deeper than anything here. And names are matched with their case. A name that
// occurs twice is returned twice, in order: the reader of the object decides.
package strictjson

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Kind says what a value is.
type Kind byte

// What a value can be. Absent is what Get returns for a name that is not there.
const (
	Absent Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

// Value is one JSON value. The zero Value is Absent.
type Value struct {
	Kind Kind
	// Raw is the value as it was written, without space around it.
	Raw string
	// Members are those of an object, in order; an array's have no names.
	Members []Member

	text string // of a String, decoded
}

// Member is a value with its name.
type Member struct {
	Name string
	Value
}

// maxDepth of nesting; a CloudFront event has seven levels.
const maxDepth = 64

// What is wrong with a document as a whole.
var (
	ErrEmpty = errors.New("document is empty")
	ErrMore  = errors.New("something follows the JSON value")
)

// SyntaxError says where a document stops being JSON, and why.
type SyntaxError struct {
	At  int // the byte that cannot stand there; the document's length if more is missing
	Err error
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("not valid JSON near byte %d: %v", e.At, e.Err)
}

// Unwrap returns the reason.
func (e *SyntaxError) Unwrap() error { return e.Err }

// Parse reads a document of one value. Its errors are ErrEmpty and *SyntaxError, whose
// reason is ErrMore where the value is complete.
func Parse(document string) (Value, error) {
	p := parser{text: document, open: make([]Member, 0, 16)}
	p.space()
	if p.at == len(p.text) {
		return Value{}, ErrEmpty
	}
	v, err := p.value(0)
	if err != nil {
		return Value{}, &SyntaxError{p.at, err}
	}
	if p.space(); p.at != len(p.text) {
		return Value{}, &SyntaxError{p.at, ErrMore}
	}
	return v, nil
}

// Get returns the first member of an object with this name, or an Absent value.
func (v Value) Get(name string) Value {
	if v.Kind == Object {
		for i := range v.Members {
			if v.Members[i].Name == name {
				return v.Members[i].Value
			}
		}
	}
	return Value{}
}

// Twice returns a name that occurs twice in an object.
func (v Value) Twice() (name string, ok bool) {
	for i := range v.Members {
		for j := range i {
			if v.Kind == Object && v.Members[i].Name == v.Members[j].Name {
				return v.Members[i].Name, true
			}
		}
	}
	return "", false
}

// Text is the content of a String.
func (v Value) Text() (s string, ok bool) { return v.text, v.Kind == String }

// Bool is true or false.
func (v Value) Bool() (b, ok bool) { return v.Raw == "true", v.Kind == Bool }

// Int is a Number written without fraction and exponent that fits 64 bits.
func (v Value) Int() (n int64, ok bool) {
	if v.Kind != Number {
		return 0, false
	}
	n, err := strconv.ParseInt(v.Raw, 10, 64)
	if err != nil {
		return 0, false
	}
	return n, true
}

// parser reads text from byte at on. After an error at is near what is wrong.
type parser struct {
	text string
	at   int
	open []Member // of the objects and arrays whose end is still to come
	// Of those whose end was found: one allocation for many, for a CloudFront event
	// has an array and an object for each header.
	closed []Member
}

// keep returns a copy of the members of an object or an array that has come to its end.
func (p *parser) keep(members []Member) []Member {
	if n := len(members); cap(p.closed)-len(p.closed) < n {
		p.closed = make([]Member, 0, max(n, (len(p.text)-p.at)/32))
	}
	first := len(p.closed)
	p.closed = append(p.closed, members...)
	return p.closed[first:len(p.closed):len(p.closed)]
}

var (
	errEnd     = errors.New("unexpected end")
	errByte    = errors.New("unexpected character")
	errDepth   = errors.New("nested too deeply")
	errControl = errors.New("control character in a string")
	errUTF8    = errors.New("not UTF-8")
	errEscape  = errors.New("unknown or incomplete escape")
	errNumber  = errors.New("not a number")
)

func (p *parser) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\r', '\n':
			p.at++
		default:
			return
		}
	}
}

// peek is the next byte, or 0 at the end: a NUL byte may stand nowhere.
func (p *parser) peek() byte {
	if p.at == len(p.text) {
		return 0
	}
	return p.text[p.at]
}

func (p *parser) unexpected() error {
	if p.at == len(p.text) {
		return errEnd
	}
	return errByte
}

func (p *parser) value(depth int) (v Value, err error) {
	if depth > maxDepth {
		return Value{}, errDepth
	}
	start := p.at
	switch c := p.peek(); {
	case c == '{':
		v.Kind = Object
		v.Members, err = p.members('}', true, depth)
	case c == '[':
		v.Kind = Array
		v.Members, err = p.members(']', false, depth)
	case c == '"':
		v.Kind = String
		v.text, err = p.string()
	case c == '-' || digit(c):
		v.Kind = Number
		err = p.number()
	case p.word("null"):
		v.Kind = Null
	case p.word("true"), p.word("false"):
		v.Kind = Bool
	default:
		err = p.unexpected()
	}
	if err != nil {
		return Value{}, err
	}
	v.Raw = p.text[start:p.at]
	return v, nil
}

func (p *parser) word(w string) bool {
	if len(p.text)-p.at < len(w) || p.text[p.at:p.at+len(w)] != w {
		return false
	}
	p.at += len(w)
	return true
}

// members reads what is between the brackets of an object or an array.
func (p *parser) members(end byte, named bool, depth int) ([]Member, error) {
	p.at++
	if p.space(); p.peek() == end {
		p.at++
		return nil, nil
	}
	first := len(p.open)
	for {
		var m Member
		var err error
		if named {
			if p.space(); p.peek() != '"' {
				return nil, p.unexpected()
			}
			if m.Name, err = p.string(); err != nil {
				return nil, err
			}
			if p.space(); p.peek() != ':' {
				return nil, p.unexpected()
			}
			p.at++
		}
		p.space()
		if m.Value, err = p.value(depth + 1); err != nil {
			return nil, err
		}
		p.open = append(p.open, m)
		p.space()
		switch p.peek() {
		case end:
			p.at++
			all := p.keep(p.open[first:])
			p.open = p.open[:first]
			return all, nil
		case ',':
			p.at++
		default:
			return nil, p.unexpected()
		}
	}
}

// string reads a string. One without escapes, as nearly all are, is not copied.
func (p *parser) string() (string, error) {
	p.at++
	start := p.at
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case c == '"':
			s := p.text[start:p.at]
			if !utf8.ValidString(s) {
				return "", errUTF8
			}
			p.at++
			return s, nil
		case c == '\\':
			return p.escaped(start)
		case c < ' ':
			return "", errControl
		}
	}
	return "", errEnd
}

// escaped reads a string that begins at start and whose first escape is here.
func (p *parser) escaped(start int) (string, error) {
	decoded := []byte(p.text[start:p.at])
	for p.at < len(p.text) {
		c := p.text[p.at]
		p.at++
		switch {
		case c == '"':
			if !utf8.Valid(decoded) {
				return "", errUTF8
			}
			return string(decoded), nil
		case c < ' ':
			return "", errControl
		case c != '\\':
			decoded = append(decoded, c)
			continue
		}
		kind := p.peek()
		p.at = min(p.at+1, len(p.text))
		switch kind {
		case '"', '\\', '/':
			decoded = append(decoded, kind)
		case 'b':
			decoded = append(decoded, '\b')
		case 'f':
			decoded = append(decoded, '\f')
		case 'n':
			decoded = append(decoded, '\n')
		case 'r':
			decoded = append(decoded, '\r')
		case 't':
			decoded = append(decoded, '\t')
		case 'u':
			r, err := p.codePoint()
			if err != nil {
				return "", err
			}
			decoded = utf8.AppendRune(decoded, r)
		default:
			return "", errEscape
		}
	}
	return "", errEnd
}

// codePoint reads what follows \u, and a second \uXXXX where the first is the first
// half of a surrogate pair.
func (p *parser) codePoint() (rune, error) {
	r, ok := p.hex()
	if !ok {
		return 0, errEscape
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if p.word(`\u`) {
		if second, ok := p.hex(); ok {
			if r = utf16.DecodeRune(r, second); r != utf8.RuneError {
				return r, nil
			}
		}
	}
	return 0, errEscape
}

// hex reads exactly four hex digits.
func (p *parser) hex() (r rune, ok bool) {
	for range 4 {
		c := p.peek()
		switch {
		case digit(c):
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
		p.at++
	}
	return r, true
}

// number reads a number: RFC 8259, section 6.
func (p *parser) number() error {
	if p.peek() == '-' {
		p.at++
	}
	if p.peek() == '0' {
		p.at++
	} else if !p.digits() {
		return errNumber
	}
	if p.peek() == '.' {
		p.at++
		if !p.digits() {
			return errNumber
		}
	}
	if p.peek()|0x20 == 'e' {
		p.at++
		if c := p.peek(); c == '+' || c == '-' {
			p.at++
		}
		if !p.digits() {
			return errNumber
		}
	}
	return nil
}

func (p *parser) digits() bool {
	start := p.at
	for digit(p.peek()) {
		p.at++
	}
	return p.at > start
}

func digit(c byte) bool { return c >= '0' && c <= '9' }
