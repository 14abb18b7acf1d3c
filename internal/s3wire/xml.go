package s3wire

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// element is an element of the XML that S3 writes.
type element struct {
	name     string
	content  string // its text, references resolved
	children []element
}

// text is the text of the one child of this name, "" if there is none. Two would leave
// it open which one is meant.
func (e element) text(name string) (string, error) {
	var found *element
	for i := range e.children {
		if e.children[i].name != name {
			continue
		}
		if found != nil || e.children[i].children != nil {
			return "", fmt.Errorf("%s: want one %s with text", e.name, name)
		}
		found = &e.children[i]
	}
	if found == nil {
		return "", nil
	}
	return found.content, nil
}

var errXML = errors.New("not XML as S3 writes it")

// maxElements bounds the depth of a document; a list of versions has four levels.
const maxElements = 16

// parseXML reads a document as S3 writes them: a declaration, elements, text. What S3
// does not write (comments, CDATA, document types, prefixes of namespaces) is an error.
// Attributes, which are the namespace, are left out.
func parseXML(document string) (element, error) {
	p := xmlParser{document}
	if !utf8.ValidString(document) || strings.ContainsFunc(document, notXML) {
		return element{}, errXML
	}
	p.rest = strings.TrimPrefix(p.rest, `<?xml version="1.0" encoding="UTF-8"?>`)
	p.space()
	root, err := p.element(0)
	if p.space(); err != nil || p.rest != "" {
		return element{}, errXML
	}
	return root, nil
}

type xmlParser struct{ rest string }

func (p *xmlParser) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// until cuts off what is before mark, and mark.
func (p *xmlParser) until(mark string) (before string, ok bool) {
	before, rest, ok := strings.Cut(p.rest, mark)
	if ok {
		p.rest = rest
	}
	return before, ok
}

func (p *xmlParser) element(depth int) (e element, err error) {
	if depth > maxElements || !strings.HasPrefix(p.rest, "<") {
		return e, errXML
	}
	tag, ok := p.until(">")
	if !ok {
		return e, errXML
	}
	tag, empty := strings.CutSuffix(tag[1:], "/")
	e.name, err = tagName(tag)
	if err != nil || empty {
		return e, err
	}
	for {
		end := strings.IndexByte(p.rest, '<')
		if end < 0 {
			return e, errXML
		}
		text, err := resolved(p.rest[:end])
		if err != nil {
			return e, err
		}
		e.content += text
		p.rest = p.rest[end:]
		if end, ok := strings.CutPrefix(p.rest, "</"+e.name); ok {
			if p.rest = strings.TrimLeft(end, " \t\r\n"); !strings.HasPrefix(p.rest, ">") {
				return e, errXML
			}
			p.rest = p.rest[1:]
			return e, nil
		}
		child, err := p.element(depth + 1)
		if err != nil {
			return e, err
		}
		e.children = append(e.children, child)
	}
}

// tagName is the name in a tag whose attributes, if any, are name="value". A ">" in one
// has ended the tag too early, and leaves it with an odd quote.
func tagName(tag string) (name string, err error) {
	name, attributes, _ := strings.Cut(tag, " ")
	if !isName(name) {
		return "", errXML
	}
	for attributes = strings.TrimSpace(attributes); attributes != ""; attributes = strings.TrimSpace(attributes) {
		key, rest, ok := strings.Cut(attributes, `="`)
		value, rest, closed := strings.Cut(rest, `"`)
		prefix, local, prefixed := strings.Cut(key, ":")
		if !ok || !closed || !isName(prefix) || prefixed && !isName(local) || strings.ContainsAny(value, "<&") {
			return "", errXML
		}
		if rest != "" && rest[0] != ' ' {
			return "", errXML
		}
		attributes = rest
	}
	return name, nil
}

// isName reports whether s is a letter with letters and digits behind it, as all names
// that S3 writes.
func isName(s string) bool {
	for i, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// resolved is text with its references resolved.
func resolved(text string) (string, error) {
	if !strings.ContainsAny(text, "&\r]") {
		return text, nil
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "&")
		if strings.Contains(before, "]]>") {
			return "", errXML
		}
		b.WriteString(strings.ReplaceAll(strings.ReplaceAll(before, "\r\n", "\n"), "\r", "\n"))
		if !found {
			return b.String(), nil
		}
		name, rest, closed := strings.Cut(rest, ";")
		r, err := reference(name)
		if !closed || err != nil {
			return "", errXML
		}
		b.WriteRune(r)
		text = rest
	}
}

var entities = map[string]rune{"amp": '&', "lt": '<', "gt": '>', "quot": '"', "apos": '\''}

// reference resolves what is between & and ;.
func reference(name string) (rune, error) {
	if r, ok := entities[name]; ok {
		return r, nil
	}
	digits, numeric := strings.CutPrefix(name, "#")
	base := 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if !numeric || err != nil || n > utf8.MaxRune || notXML(rune(n)) {
		return 0, errXML
	}
	return rune(n), nil
}

// notXML tells of characters that XML 1.0, 2.2 does not have.
func notXML(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r >= 0xd800 && r <= 0xdfff || r == 0xfffe || r == 0xffff
}
