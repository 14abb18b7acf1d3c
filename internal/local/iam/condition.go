package iam

import (
	"strconv"
	"strings"
)

// condition is one key of one operator of a Condition block.
type condition struct {
	operator operator
	of       quantifier
	ifExists bool   // ...IfExists: it also holds where the key is absent
	key      string // lower case
	values   []string
}

// quantifier says of how many values of a key with several an operator must hold.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
type quantifier int

const (
	ofTheOne quantifier = iota
	ofAll               // ForAllValues: also of none at all
	ofAny               // ForAnyValue
)

// lists are the condition keys with several values, in lower case. Any other has one.
var lists = []string{"dynamodb:attributes", "dynamodb:leadingkeys"}

// operator compares a value of the policy with the request's.
type operator struct {
	match   func(policy, request string) bool
	check   func(policy string) bool // whether the policy's value can be compared at all; nil takes any
	negated bool
	null    bool // Null: the value says whether the key must be absent
}

// The operators that can be played. All but Null may end in IfExists, and begin with ForAllValues or ForAnyValue if
// their key is one of lists.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
var operators = map[string]operator{
	"StringEquals":    {match: same},
	"StringNotEquals": {match: same, negated: true},
	"StringLike":      {match: glob},
	"StringNotLike":   {match: glob, negated: true},
	// ArnEquals is ArnLike: both take wildcards, each within its part.
	"ArnEquals":                {match: arnLike, check: isARNPattern},
	"ArnLike":                  {match: arnLike, check: isARNPattern},
	"ArnNotEquals":             {match: arnLike, check: isARNPattern, negated: true},
	"ArnNotLike":               {match: arnLike, check: isARNPattern, negated: true},
	"NumericEquals":            {match: numeric(func(r, p float64) bool { return r == p }), check: isNumber},
	"NumericLessThan":          {match: numeric(func(r, p float64) bool { return r < p }), check: isNumber},
	"NumericLessThanEquals":    {match: numeric(func(r, p float64) bool { return r <= p }), check: isNumber},
	"NumericGreaterThan":       {match: numeric(func(r, p float64) bool { return r > p }), check: isNumber},
	"NumericGreaterThanEquals": {match: numeric(func(r, p float64) bool { return r >= p }), check: isNumber},
	"Bool":                     {match: strings.EqualFold, check: isBool},
	"Null":                     {check: isBool, null: true},
}

func (c condition) holds(r Request) bool {
	given := r.Lists[c.key]
	if value, present := r.Context[c.key]; present {
		given = []string{value}
	}
	if c.operator.null {
		return contains(c.values, func(v string) bool { return strings.EqualFold(v, "true") == (len(given) == 0) })
	}
	holdsOf := func(value string) bool {
		return contains(c.values, func(v string) bool { return c.operator.match(v, value) }) != c.operator.negated
	}
	switch {
	case len(given) == 0:
		return c.of == ofAll || c.ifExists || c.of == ofTheOne && c.operator.negated
	case c.of == ofAny:
		return contains(given, holdsOf)
	}
	return !contains(given, func(value string) bool { return !holdsOf(value) })
}

// parseOperator reads the name of an operator with what is put before and after it.
func parseOperator(name string) (c condition, known bool) {
	if rest, ok := strings.CutPrefix(name, "ForAllValues:"); ok {
		c.of, name = ofAll, rest
	} else if rest, ok := strings.CutPrefix(name, "ForAnyValue:"); ok {
		c.of, name = ofAny, rest
	}
	name, c.ifExists = strings.CutSuffix(name, "IfExists")
	c.operator, known = operators[name]
	return c, known && !(c.operator.null && (c.ifExists || c.of != ofTheOne))
}

func same(policy, request string) bool { return policy == request }

func arnLike(policy, request string) bool {
	return pattern(strings.SplitN(policy, ":", arnParts)).matches(request)
}

func isARNPattern(s string) bool {
	return strings.HasPrefix(s, "arn:") && strings.Count(s, ":") >= arnParts-1
}

// numeric compares the request's number with the policy's. A value that is no number matches nothing.
func numeric(compare func(request, policy float64) bool) func(policy, request string) bool {
	return func(policy, request string) bool {
		p, perr := strconv.ParseFloat(policy, 64)
		r, rerr := strconv.ParseFloat(request, 64)
		return perr == nil && rerr == nil && compare(r, p)
	}
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

func isBool(s string) bool { return strings.EqualFold(s, "true") || strings.EqualFold(s, "false") }
