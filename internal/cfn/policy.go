package cfn

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// PolicyDocument is an IAM policy. Its JSON is again an IAM policy.
type PolicyDocument struct {
	Version   string
	Statement []Statement
}

// Statement is one statement of an IAM policy. Negated elements, such as NotAction, are
// not understood, because nothing here needs them.
type Statement struct {
	Sid       string `json:",omitempty"`
	Effect    string
	Principal Principal `json:",omitempty"`
	Action    Strings
	Resource  Strings                       `json:",omitempty"`
	Condition map[string]map[string]Strings `json:",omitempty"` // operator -> key -> values
}

// Strings is a list that JSON may give as a single scalar, because IAM allows both.
type Strings []string

// UnmarshalJSON implements json.Unmarshaler.
func (s *Strings) UnmarshalJSON(data []byte) error {
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return err
	}
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	*s = nil
	for _, item := range list {
		*s = append(*s, fmt.Sprint(item))
	}
	return nil
}

// Principal is who a statement is about: kind ("AWS", "Service") -> names. The
// short form "*" becomes kind "AWS", name "*".
type Principal map[string]Strings

// UnmarshalJSON implements json.Unmarshaler.
func (p *Principal) UnmarshalJSON(data []byte) error {
	var all string
	if json.Unmarshal(data, &all) == nil {
		*p = Principal{"AWS": {all}}
		return nil
	}
	var kinds map[string]Strings
	if err := json.Unmarshal(data, &kinds); err != nil {
		return err
	}
	*p = kinds
	return nil
}

// Lines returns the policy as sorted lines that say one thing each, such as
// "Allow s3:GetObject on arn:…". Policies with the same lines permit the same.
func (d PolicyDocument) Lines() []string {
	var lines []string
	for _, s := range d.Statement {
		tail := ""
		for _, operator := range slices.Sorted(maps.Keys(s.Condition)) {
			for _, key := range slices.Sorted(maps.Keys(s.Condition[operator])) {
				tail += " if " + operator + " " + key + " " + strings.Join(s.Condition[operator][key], "|")
			}
		}
		for _, kind := range slices.Sorted(maps.Keys(s.Principal)) {
			tail += " for " + kind + " " + strings.Join(s.Principal[kind], "|")
		}
		resources := s.Resource
		if len(resources) == 0 {
			resources = Strings{""} // a trust policy is about its role
		}
		for _, action := range s.Action {
			for _, resource := range resources {
				line := s.Effect + " " + action
				if resource != "" {
					line += " on " + resource
				}
				lines = append(lines, line+tail)
			}
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// Permissions returns the lines of all policies of the role.
func (r *Role) Permissions() []string {
	var all PolicyDocument
	for _, p := range r.Policies {
		all.Statement = append(all.Statement, p.PolicyDocument.Statement...)
	}
	lines := all.Lines()
	for _, arn := range r.ManagedPolicyArns {
		lines = append(lines, "managed policy "+arn)
	}
	return lines
}
