package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"oncegate/internal/lean/strictjson"
)

// parseObject reads a document that must be one JSON object.
func parseObject(text string) (strictjson.Value, error) {
	const want = `: want one JSON object, {"bucket": "…"}`
	document, err := strictjson.Parse(text)
	if syntax, ok := errors.AsType[*strictjson.SyntaxError](err); ok {
		return document, syntaxError(text, syntax)
	}
	switch {
	case err != nil:
		return document, fmt.Errorf("%w%s", err, want)
	case document.Kind != strictjson.Object:
		return document, errors.New("document is not an object" + want)
	}
	return document, nil
}

// syntaxError names the line and column, as an editor counts them, and the usual
// mistakes.
func syntaxError(text string, err *strictjson.SyntaxError) error {
	before, rest := text[:err.At], text[err.At:]
	read := strings.TrimRight(before, " \t\r\n")
	next := byte(0)
	if rest != "" {
		next = rest[0]
	}
	why := err.Err.Error()
	switch {
	case next == '/' || next == '#':
		why = "comments are not allowed"
	case (next == '}' || next == ']') && strings.HasSuffix(read, ","):
		why, before = "trailing comma", read[:len(read)-1]
	case next == '"' && err.Err != strictjson.ErrMore && !strings.HasSuffix(read, "{") && !strings.HasSuffix(read, ","):
		why = "a comma or a colon is missing before this"
	case next == '\'' || next >= 'a' && next <= 'z' || next >= 'A' && next <= 'Z':
		why += ": names and text stand in double quotes"
	}
	line := strings.LastIndexByte(before, '\n') + 1
	return fmt.Errorf("not valid JSON at line %d, column %d: %s", strings.Count(before, "\n")+1, utf8.RuneCountInString(before[line:])+1, why)
}

// twice names the fields of an object that are given more than once.
func twice(object strictjson.Value) (problems []string) {
	seen := map[string]bool{}
	for _, f := range object.Members {
		if seen[f.Name] {
			problems = append(problems, fmt.Sprintf("field %q is given twice", f.Name))
		}
		seen[f.Name] = true
	}
	return problems
}

// shown returns the value on one short line.
func shown(raw strictjson.Value) string {
	s := raw.Compact()
	if utf8.RuneCountInString(s) > 80 {
		return string([]rune(s)[:80]) + "…"
	}
	return s
}
