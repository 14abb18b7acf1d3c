package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"oncegate/internal/cfn"
	"oncegate/internal/layout"
)

// Statement is one statement of a policy that somebody else wrote.
type Statement struct {
	Sid, Effect             string
	Principal, NotPrincipal cfn.Principal
	Action, NotAction       cfn.Strings
	Resource, NotResource   cfn.Strings
	Condition               map[string]map[string]cfn.Strings // operator -> key -> values
}

// maxPolicy is the largest policy that S3 takes, in bytes.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html
const maxPolicy = 20 << 10

// ParsePolicy reads a bucket's policy. It takes every element that IAM has, and no other.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
func ParsePolicy(text []byte) ([]Statement, error) {
	var p struct {
		Version, ID string
		Statement   json.RawMessage
	}
	err := strictly(text, &p)
	if len(text) > maxPolicy {
		err = errors.New("it is larger than S3 takes")
	}
	if err != nil {
		return nil, fmt.Errorf("the policy cannot be read: %w", err)
	}
	list := []json.RawMessage{p.Statement} // a single one needs no list
	if bytes.HasPrefix(bytes.TrimSpace(p.Statement), []byte("[")) {
		list = nil
		if err := json.Unmarshal(p.Statement, &list); err != nil {
			return nil, fmt.Errorf("the policy cannot be read: %w", err)
		}
	}
	all := make([]Statement, len(list))
	for i, one := range list {
		err := strictly(one, &all[i])
		s := all[i]
		if err == nil && (s.Effect != "Allow" && s.Effect != "Deny" || (s.Principal == nil) == (s.NotPrincipal == nil) ||
			(s.Action == nil) == (s.NotAction == nil) || (s.Resource == nil) == (s.NotResource == nil)) {
			err = errors.New("want an Effect, and a Principal, an Action and a Resource or what is none")
		}
		if err != nil {
			return nil, fmt.Errorf("statement %d of the policy cannot be read: %w", 1+i, err)
		}
		if all[i].Sid == "" {
			all[i].Sid = fmt.Sprintf("number %d", 1+i)
		}
	}
	return all, nil
}

func strictly(text []byte, out any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(out)
}

// Policy judges the bucket's policy: what it lacks, whom it lets write past the gate, and what it
// denies to the gate.
func (e Existing) Policy(policy []Statement) []Finding {
	all := e.lacks(policy)
	for _, s := range policy {
		switch {
		case s.Effect == "Allow":
			all = append(all, e.lets(s)...)
		case !e.ours(s):
			all = append(all, e.denies(s)...)
		}
	}
	return all
}

// lacks finds what the policy must say and does not.
func (e Existing) lacks(policy []Statement) []Finding {
	var missing []cfn.Statement
	var names []string
	var all []Finding
	for _, want := range statements(e.Settings, e.AcceptanceRole) {
		if want.Sid == "OnlyAcceptanceAccepts" && e.AcceptanceRole == "" {
			all = append(all, Finding{Unclear, "nobody but acceptance may write under " + layout.Accepted + ", and its role is there after a deploy", "after the deploy: oncegate doctor again"})
			continue
		}
		says := func(resource string) bool {
			return slices.ContainsFunc(policy, func(s Statement) bool { return s.says(want, resource) })
		}
		want.Resource = slices.DeleteFunc(slices.Clone(want.Resource), says)
		if len(want.Resource) > 0 {
			missing, names = append(missing, want), append(names, want.Sid)
		}
	}
	if missing == nil {
		return all
	}
	var text []string
	for _, s := range missing {
		one, err := json.Marshal(s)
		if err != nil {
			panic(err) // strings
		}
		text = append(text, string(one))
	}
	do := e.api("put-bucket-policy", "--policy '"+`{"Version":"2012-10-17","Statement":[`+"\n"+strings.Join(text, ",\n")+"\n]}'")
	if len(policy) > 0 {
		do = e.api("get-bucket-policy", "--query Policy --output text >policy.json") + "\nadd to \"Statement\", and leave what is there:\n" + strings.Join(text, ",\n") + "\n" +
			e.api("put-bucket-policy", "--policy file://policy.json")
	}
	return append(all, Finding{Breaks, "the policy does not have " + strings.Join(names, ", "), do})
}

// says reports whether the statement denies what want does on this resource, or more. The
// conditions must be the same: one more would deny less, one less also what the gate does.
func (s Statement) says(want cfn.Statement, resource string) bool {
	same := func(a, b map[string]cfn.Strings) bool { return maps.EqualFunc(a, b, slices.Equal) }
	return s.Effect == "Deny" && everybody(s.Principal) && matchAny(s.Action, want.Action[0], true) && matchAny(s.Resource, resource, false) &&
		maps.EqualFunc(s.Condition, want.Condition, same)
}

// ours reports whether the statement is one of those that the policy must have, or one that says
// so of the whole bucket.
func (e Existing) ours(s Statement) bool {
	whole := e.Settings
	whole.Deploy.ExistingBucket = false
	return slices.ContainsFunc(append(statements(e.Settings, e.AcceptanceRole), statements(whole, e.AcceptanceRole)...), func(want cfn.Statement) bool {
		within := func(resource string) bool { return matchAny(want.Resource, resource, false) }
		narrow := want
		narrow.Action = s.Action
		return len(s.Action) > 0 && matchAny(want.Action, s.Action[0], true) && len(s.Action) == 1 && len(s.Resource) > 0 &&
			!slices.ContainsFunc(s.Resource, func(r string) bool { return !within(r) }) && s.says(narrow, s.Resource[0])
	})
}

func everybody(p cfn.Principal) bool { return slices.Contains(p["AWS"], "*") }

// Actions with which somebody could get round the gate.
var (
	writes  = []string{"s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:ReplicateObject", "s3:ReplicateDelete"}
	changes = []string{"s3:PutBucketPolicy", "s3:DeleteBucketPolicy", "s3:PutBucketVersioning", "s3:PutLifecycleConfiguration", "s3:PutBucketPublicAccessBlock", "s3:PutEncryptionConfiguration"}
)

// lets finds what an Allow lets others do.
func (e Existing) lets(s Statement) []Finding {
	arn := "arn:aws:s3:::" + e.Settings.Bucket
	may := func(actions []string) []string {
		return slices.DeleteFunc(slices.Clone(actions), func(a string) bool { return !s.about(a) })
	}
	var all []Finding
	var under []string
	for _, prefix := range prefixes {
		if s.touches(arn + "/" + prefix) {
			under = append(under, prefix)
		}
	}
	if did := may(writes); len(did) > 0 && len(under) > 0 {
		all = append(all, Finding{Breaks, fmt.Sprintf("the statement %s lets %s %s under %s: past the gate", s.Sid, s.who(), strings.Join(did, ", "), strings.Join(under, ", ")),
			"narrow its Resource to keys of your own, such as " + arn + "/YOURS/*, or take these actions out of it"})
	}
	if did := may(changes); len(did) > 0 && s.reaches(arn) {
		all = append(all, Finding{Breaks, fmt.Sprintf("the statement %s lets %s %s: they could take the promises away", s.Sid, s.who(), strings.Join(did, ", ")),
			"take these actions out of it"})
	}
	return all
}

// needs are what the functions do with the bucket, and where.
var needs = []struct {
	action string
	under  []string // nil for the bucket itself
}{
	{"s3:PutObject", prefixes},
	{"s3:GetObject", []string{layout.Index, layout.Invitations, layout.APIKeys, layout.Uploads, layout.Accepted}},
	{"s3:GetObjectVersion", []string{layout.Uploads, layout.Accepted}},
	{"s3:ListMultipartUploadParts", []string{layout.Uploads, layout.Accepted}},
	{"s3:AbortMultipartUpload", []string{layout.Uploads, layout.Accepted}},
	{"s3:PutObjectTagging", []string{layout.Uploads, layout.Accepted}},
	{"s3:PutObjectVersionTagging", []string{layout.Uploads}},
	{"s3:GetObjectVersionTagging", []string{layout.Uploads}},
	{"s3:ListBucket", nil},
	{"s3:ListBucketVersions", nil},
}

// denies finds what a Deny keeps the functions from.
func (e Existing) denies(s Statement) []Finding {
	role := "arn:aws:iam::" + e.Account + ":role/" + e.Settings.Deploy.Name + "-"
	hits := func(name string) bool {
		return name == "*" || name == e.Account || name == "arn:aws:iam::"+e.Account+":root" || strings.HasPrefix(name, role)
	}
	if s.NotPrincipal == nil && !slices.ContainsFunc(s.Principal["AWS"], hits) {
		return nil
	}
	arn := "arn:aws:s3:::" + e.Settings.Bucket
	var what []string
	for _, need := range needs {
		touched := need.under == nil && s.reaches(arn) || slices.ContainsFunc(need.under, func(prefix string) bool { return s.touches(arn + "/" + prefix) })
		if touched && s.about(need.action) {
			what = append(what, need.action)
		}
	}
	if len(what) == 0 {
		return nil
	}
	if len(what) > 3 {
		what = append(what[:3], "…")
	}
	denied := fmt.Sprintf("the statement %s denies the functions %s", s.Sid, strings.Join(what, ", "))
	narrow := "narrow its Resource to keys of your own, such as " + arn + "/YOURS/*"
	switch holds := s.holds(); {
	case holds == no:
		return nil
	case holds == yes && s.NotPrincipal == nil:
		return []Finding{{Breaks, denied + s.conditions(), narrow}}
	}
	return []Finding{{Unclear, denied + ", if they meet what it is about" + s.conditions(), "look whether they do; else " + narrow}}
}

// about reports whether the statement is about an action.
func (s Statement) about(action string) bool {
	if s.NotAction != nil {
		return !matchAny(s.NotAction, action, true)
	}
	return matchAny(s.Action, action, true)
}

// reaches reports whether the statement is about this very resource.
func (s Statement) reaches(arn string) bool {
	if s.NotResource != nil {
		return !matchAny(s.NotResource, arn, false)
	}
	return matchAny(s.Resource, arn, false)
}

// touches reports whether the statement is about any object whose ARN begins so.
func (s Statement) touches(prefix string) bool {
	if s.NotResource != nil {
		return !matchAny(s.NotResource, prefix+"*", false)
	}
	return slices.ContainsFunc(s.Resource, func(pattern string) bool { return meets(pattern, prefix) })
}

func (s Statement) who() string {
	if s.NotPrincipal != nil {
		return "everybody but some"
	}
	var all []string
	for _, kind := range slices.Sorted(maps.Keys(s.Principal)) {
		all = append(all, s.Principal[kind]...)
	}
	if everybody(s.Principal) {
		return "everybody"
	}
	return strings.Join(all, ", ")
}

// conditions returns the conditions for people, after ": ".
func (s Statement) conditions() string {
	var all []string
	for _, operator := range slices.Sorted(maps.Keys(s.Condition)) {
		for _, key := range slices.Sorted(maps.Keys(s.Condition[operator])) {
			all = append(all, operator+" "+key+" "+strings.Join(s.Condition[operator][key], "|"))
		}
	}
	if all == nil {
		return ""
	}
	return ": " + strings.Join(all, ", ")
}

// matchAny reports whether a text matches one of the patterns. Actions match in any case.
func matchAny(patterns cfn.Strings, text string, action bool) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if action {
			return match(strings.ToLower(pattern), strings.ToLower(text), false)
		}
		return match(pattern, text, false)
	})
}

// meets reports whether a pattern matches a text that begins with prefix.
func meets(pattern, prefix string) bool { return match(pattern, prefix, true) }

// variable is what stands for something else in each request.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
var variable = regexp.MustCompile(`\$\{[^}]*\}`)

// match reports whether a pattern matches a text, or one that begins so: * is any characters, ?
// is one, and a policy variable may be anything. at holds how far into the text the pattern may
// have come.
func match(pattern, text string, open bool) bool {
	at, next := make([]bool, len(text)+1), make([]bool, len(text)+1)
	at[0] = true
	for _, p := range []byte(variable.ReplaceAllString(pattern, "*")) {
		if open && at[len(text)] {
			return true
		}
		for i := range at {
			switch {
			case p == '*':
				next[i] = at[i] || i > 0 && next[i-1]
			default:
				next[i] = i > 0 && at[i-1] && (p == '?' || p == text[i-1])
			}
		}
		at, next = next, at
	}
	return at[len(text)]
}
