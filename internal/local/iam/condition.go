package iam

import (
	"strconv"
	"strings"
)

// condition is one key of one operator of a Condition block.
type condition struct {
	operator operator
	key      string // lower case
	values   []string
}

// operator compares a value of the policy with the request's.
type operator struct {
	match   func(policy, request string) bool
	check   func(policy string) bool // whether the policy's value can be compared at all; nil takes any
	negated bool
	null    bool // Null: the value says whether the key must be absent
}

// The operators that can be played. None of them with ...IfExists, ForAllValues or ForAnyValue.
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

func (c condition) holds(context map[string]string) bool {
	value, present := context[c.key]
	if c.operator.null {
		return contains(c.values, func(v string) bool { return strings.EqualFold(v, "true") == !present })
	}
	if !present {
		return c.operator.negated
	}
	return contains(c.values, func(v string) bool { return c.operator.match(v, value) }) != c.operator.negated
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
