// Package iam reads IAM policy documents and decides requests by them, as far as the policies of one stack need
// it: what it cannot play is an error when a document is read, never left out.
//
// It knows one account, identity-based policies and one kind of resource-based policy; no boundaries, no session or
// organization policies, no policy variables. The rules, each with its page below docs.aws.amazon.com/IAM/latest/UserGuide:
//
//   - a Deny that matches wins, then an Allow of either kind of policy, else the request is denied implicitly:
//     reference_policies_evaluation-logic_policy-eval-basics.html
//   - actions ignore case, resources do not: reference_policies_elements_action.html
//   - * and ? in a resource stay within its part of the ARN: reference_policies_elements_resource.html
//   - operators and keys of a Condition must all match, of the values of one key any one; negated operators want none
//     of them to, and match where the key is absent: reference_policies_condition-logic-multiple-context-keys-or-values.html
//     and reference_policies_elements_condition_operators.html
package iam

import (
	"strings"
	"unicode/utf8"
)

// Decision is the outcome of Decide.
type Decision int

// The decisions. A request that no statement matches is an ImplicitDeny.
const (
	ImplicitDeny Decision = iota
	Allowed
	ExplicitDeny
)

func (d Decision) String() string {
	return [...]string{"implicit deny", "allowed", "explicit deny"}[d]
}

// Request is one action on one resource.
type Request struct {
	Principal string // ARN of the role or user that asks
	Action    string // such as s3:PutObject
	Resource  string // ARN, such as arn:aws:s3:::bucket/key
	// Context holds the condition keys that the request has, in lower case: IAM ignores the case of keys.
	Context map[string]string
	// Lists holds those with several values.
	Lists map[string][]string
}

// Policy is one document. The zero value says nothing.
type Policy struct {
	name       string
	statements []statement
}

type statement struct {
	name       string // for people: the Sid, else the number
	deny       bool
	anyone     bool     // Principal "*", and every statement of an identity-based policy
	principals []string // ARNs, where it is not anyone
	actions    []string // patterns in lower case
	resources  []pattern
	conditions []condition
}

// Administrator is the policy of a principal that may do everything.
func Administrator() Policy {
	return Policy{name: "administrator policy", statements: []statement{{
		name: "statement 1", anyone: true, actions: []string{"*"}, resources: []pattern{nil},
	}}}
}

// Decide decides the request by the identity-based policies of its principal and the policy of the resource.
// The reason names the statement that decided.
func Decide(r Request, policies ...Policy) (d Decision, reason string) {
	reason = "no statement allows it"
	for _, p := range policies {
		for _, s := range p.statements {
			if !s.matches(r) {
				continue
			}
			if s.deny {
				return ExplicitDeny, "denied by " + s.name + " of " + p.name
			}
			if d != Allowed {
				d, reason = Allowed, "allowed by "+s.name+" of "+p.name
			}
		}
	}
	return d, reason
}

func (s statement) matches(r Request) bool {
	return (s.anyone || contains(s.principals, func(arn string) bool { return arn == r.Principal })) &&
		contains(s.actions, func(p string) bool { return glob(p, strings.ToLower(r.Action)) }) &&
		contains(s.resources, func(p pattern) bool { return p.matches(r.Resource) }) &&
		!contains(s.conditions, func(c condition) bool { return !c.holds(r) })
}

func contains[T any](list []T, is func(T) bool) bool {
	for _, v := range list {
		if is(v) {
			return true
		}
	}
	return false
}

// pattern is an ARN whose six parts may hold * and ?, or nothing for "*", which is any resource.
type pattern []string

const arnParts = 6 // arn:partition:service:region:account:resource, and the resource may hold colons

func (p pattern) matches(arn string) bool {
	if len(p) == 0 {
		return true
	}
	parts := strings.SplitN(arn, ":", arnParts)
	if len(parts) != arnParts {
		return false
	}
	for i := range p {
		if !glob(p[i], parts[i]) {
			return false
		}
	}
	return true
}

// glob matches * with any run of characters and ? with exactly one.
func glob(pattern, s string) bool {
	star, rest := -1, "" // the last * and what it has not taken yet
	i := 0
	for s != "" || i < len(pattern) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, rest = i, s
			i++
			continue
		case i < len(pattern) && s != "" && pattern[i] == '?':
			_, n := utf8.DecodeRuneInString(s)
			s, i = s[n:], i+1
			continue
		case i < len(pattern) && s != "" && pattern[i] == s[0]:
			s, i = s[1:], i+1
			continue
		}
		if star < 0 || rest == "" {
			return false
		}
		rest = rest[1:] // the star takes one byte more
		s, i = rest, star+1
	}
	return true
}
