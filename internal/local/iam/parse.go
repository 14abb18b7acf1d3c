package iam

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// ErrCannotPlay says that a document holds something that would change decisions and is not played here.
var ErrCannotPlay = errors.New("cannot play")

// ParseIdentity reads a policy that is attached to a role or user. Conditions may use only the given keys: with a key
// that requests never have here, a statement would mean something else than at AWS. The name is for messages.
func ParseIdentity(name string, document []byte, keys []string) (Policy, error) {
	return parse(name, document, keys, false)
}

// ParseResource reads a policy that is attached to a resource, whose statements name their principals.
func ParseResource(name string, document []byte, keys []string) (Policy, error) {
	return parse(name, document, keys, true)
}

func parse(name string, document []byte, keys []string, resource bool) (Policy, error) {
	p := Policy{name: name}
	v, err := decode(document)
	if err != nil {
		return p, fmt.Errorf("%s: %w", name, err)
	}
	top, ok := v.(map[string]any)
	if !ok {
		return p, fmt.Errorf("%s: not a JSON object", name)
	}
	for _, k := range slices.Sorted(maps.Keys(top)) {
		if k != "Version" && k != "Id" && k != "Statement" {
			return p, fmt.Errorf("%s: %w element %s", name, ErrCannotPlay, k)
		}
	}
	// An older version, also by default, reads ${ as plain text:
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html
	if top["Version"] != "2012-10-17" {
		return p, fmt.Errorf(`%s: %w Version %v, only "2012-10-17"`, name, ErrCannotPlay, top["Version"])
	}
	list, ok := top["Statement"].([]any)
	if !ok {
		list = []any{top["Statement"]}
	}
	for i, v := range list {
		fields, ok := v.(map[string]any)
		if !ok {
			return p, fmt.Errorf("%s: statement %d is not a JSON object", name, i+1)
		}
		s, err := parseStatement(fields, keys, resource, i+1)
		if err != nil {
			return p, fmt.Errorf("%s: %w", name, err)
		}
		p.statements = append(p.statements, s)
	}
	return p, nil
}

func parseStatement(fields map[string]any, keys []string, resource bool, number int) (statement, error) {
	s := statement{name: fmt.Sprintf("statement %d", number), anyone: !resource}
	if sid, ok := fields["Sid"].(string); ok && sid != "" {
		s.name = "statement " + sid
	}
	fail := func(err error) (statement, error) { return s, fmt.Errorf("%s: %w", s.name, err) }
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		switch k {
		case "Sid", "Effect", "Action", "Resource", "Condition":
		case "Principal":
			if resource {
				continue
			}
			fallthrough
		default: // NotAction, NotResource, NotPrincipal among them
			return s, fmt.Errorf("%w %s in %s", ErrCannotPlay, k, s.name)
		}
	}
	switch fields["Effect"] {
	case "Allow":
	case "Deny":
		s.deny = true
	default:
		return fail(fmt.Errorf("its Effect is %v, want Allow or Deny", fields["Effect"]))
	}
	var err error
	if resource {
		if err := s.principal(fields["Principal"]); err != nil {
			return fail(err)
		}
	}
	if s.actions, err = texts("Action", fields["Action"]); err != nil {
		return fail(err)
	}
	for i, a := range s.actions {
		if a != "*" && !action.MatchString(a) {
			return fail(fmt.Errorf(`its Action %q is not of the form "service:name"`, a))
		}
		s.actions[i] = strings.ToLower(a)
	}
	resources, err := texts("Resource", fields["Resource"])
	if err != nil {
		return fail(err)
	}
	for _, r := range resources {
		p, err := parsePattern(r)
		if err != nil {
			return fail(err)
		}
		s.resources = append(s.resources, p)
	}
	if block, ok := fields["Condition"]; ok {
		if s.conditions, err = parseConditions(block, keys); err != nil {
			return fail(err)
		}
	}
	return s, nil
}

var (
	action     = regexp.MustCompile(`^[A-Za-z0-9-]+:[A-Za-z0-9*?]+$`)
	roleOrUser = regexp.MustCompile(`^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/[^*?]+$`)
)

// principal reads "*", {"AWS": …} and {"Service": …}. No service makes requests here.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
func (s *statement) principal(v any) error {
	if v == "*" {
		s.anyone = true
		return nil
	}
	kinds, ok := v.(map[string]any)
	if !ok || len(kinds) == 0 {
		return fmt.Errorf(`its Principal is %v, want "*" or an object`, v)
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		names, err := texts("Principal "+kind, kinds[kind])
		if err != nil {
			return err
		}
		switch kind {
		case "Service":
		case "AWS":
			for _, n := range names {
				switch {
				case n == "*":
					s.anyone = true
				case roleOrUser.MatchString(n):
					s.principals = append(s.principals, n)
				default: // an account delegates to its own policies, which is another rule
					return fmt.Errorf("%w Principal AWS %q, only the ARN of a role or user", ErrCannotPlay, n)
				}
			}
		default:
			return fmt.Errorf("%w Principal %s", ErrCannotPlay, kind)
		}
	}
	return nil
}

func parsePattern(s string) (pattern, error) {
	if s == "*" {
		return nil, nil
	}
	parts := strings.SplitN(s, ":", arnParts)
	if len(parts) != arnParts || parts[0] != "arn" {
		return nil, fmt.Errorf("its Resource %q is not an ARN", s)
	}
	if strings.ContainsAny(parts[2], "*?") {
		return nil, fmt.Errorf("its Resource %q has a wildcard for its service", s)
	}
	return parts, nil
}

func parseConditions(block any, keys []string) ([]condition, error) {
	byOperator, ok := block.(map[string]any)
	if !ok {
		return nil, errors.New("its Condition is not a JSON object")
	}
	var all []condition
	var err error
	for _, name := range slices.Sorted(maps.Keys(byOperator)) {
		c, ok := parseOperator(name)
		if !ok {
			return nil, fmt.Errorf("%w condition operator %s, only %s", ErrCannotPlay, name,
				strings.Join(slices.Sorted(maps.Keys(operators)), ", "))
		}
		byKey, ok := byOperator[name].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("its Condition %s is not a JSON object", name)
		}
		for _, key := range slices.Sorted(maps.Keys(byKey)) {
			if !slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, key) }) {
				return nil, fmt.Errorf("%w condition key %s, only %s", ErrCannotPlay, key, strings.Join(keys, ", "))
			}
			c.key = strings.ToLower(key)
			// What the wrong kind of operator means AWS leaves open.
			if slices.Contains(lists, c.key) != (c.of != ofTheOne) && !c.operator.null {
				return nil, fmt.Errorf("%w condition operator %s with the key %s: ForAllValues and ForAnyValue are for keys with several values, and only they are", ErrCannotPlay, name, key)
			}
			if c.values, err = texts("Condition "+name+" "+key, byKey[key]); err != nil {
				return nil, err
			}
			for _, v := range c.values {
				if c.operator.check != nil && !c.operator.check(v) {
					return nil, fmt.Errorf("its Condition %s %s cannot be compared with %q", name, key, v)
				}
			}
			all = append(all, c)
		}
	}
	return all, nil
}

// texts reads one scalar, or a list of them, as text. It refuses an object, which CloudFormation would have replaced.
func texts(what string, v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s is empty", what)
	}
	all := make([]string, len(list))
	for i, v := range list {
		switch v := v.(type) {
		case string:
			all[i] = v
		case bool, json.Number:
			all[i] = fmt.Sprint(v)
		case nil:
			return nil, fmt.Errorf("%s is missing", what)
		default:
			return nil, fmt.Errorf("%s is neither text nor a list of texts", what)
		}
		if strings.Contains(all[i], "${") {
			return nil, fmt.Errorf("%w policy variables, in %s %q", ErrCannotPlay, what, all[i])
		}
	}
	return all, nil
}

// maxDepth is more than any document that can be played has, and keeps decode from recursing without end.
const maxDepth = 10

// decode reads JSON into any as encoding/json does, with numbers as they are written. It refuses an object that has a
// key twice, where encoding/json would drop one of the two.
func decode(document []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the document")
	}
	return v, nil
}

func decodeValue(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	if depth++; depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	switch t {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := decodeValue(d, depth)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	case json.Delim('{'):
		object := map[string]any{}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			key := k.(string) // the decoder takes nothing else here
			if _, twice := object[key]; twice {
				return nil, fmt.Errorf("%q is there twice", key)
			}
			if object[key], err = decodeValue(d, depth); err != nil {
				return nil, err
			}
		}
		_, err := d.Token()
		return object, err
	}
	return t, nil
}
