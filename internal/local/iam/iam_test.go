package iam

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

var testKeys = []string{"aws:PrincipalArn", "aws:SecureTransport", "s3:if-none-match", "s3:signatureAge", "s3:TlsVersion", "s3:authType", "dynamodb:LeadingKeys"}

const (
	gate  = "arn:aws:iam::111122223333:role/gate"
	other = "arn:aws:iam::111122223333:role/other"
)

// document wraps statements.
func document(statements string) []byte {
	return []byte(`{"Version":"2012-10-17","Statement":` + statements + `}`)
}

func identity(t testing.TB, statements string) Policy {
	t.Helper()
	p, err := ParseIdentity("role policy", document(statements), testKeys)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func resource(t testing.TB, statements string) Policy {
	t.Helper()
	p, err := ParseResource("bucket policy", document(statements), testKeys)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDecide(t *testing.T) {
	const putAllowed = `{"Sid":"Put","Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::b/*"}`
	tests := []struct {
		name             string
		identity, bucket string // statements; empty means no such policy
		want             Decision
		reason           string
	}{
		{"nothing", "", "", ImplicitDeny, "no statement allows it"},
		{"allowed by the role", putAllowed, "", Allowed, "allowed by statement Put of role policy"},
		{"allowed by the bucket alone", "", `{"Effect":"Allow","Principal":{"AWS":"` + gate + `"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::b/*"}`, Allowed, "allowed by statement 1 of bucket policy"},
		{"allowed for somebody else", "", `{"Effect":"Allow","Principal":{"AWS":["` + other + `"]},"Action":"s3:*","Resource":"*"}`, ImplicitDeny, "no statement allows it"},
		{"allowed for a service", "", `{"Effect":"Allow","Principal":{"Service":"cloudfront.amazonaws.com"},"Action":"s3:*","Resource":"*"}`, ImplicitDeny, "no statement allows it"},
		{"denied by the bucket", putAllowed, `{"Sid":"No","Effect":"Deny","Principal":"*","Action":"s3:Put*","Resource":"arn:aws:s3:::b/k"}`, ExplicitDeny, "denied by statement No of bucket policy"},
		{"denied by the bucket, spelled AWS", putAllowed, `{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"*","Resource":"*"}`, ExplicitDeny, "denied by statement 1 of bucket policy"},
		{"a deny for somebody else", putAllowed, `{"Effect":"Deny","Principal":{"AWS":"` + other + `"},"Action":"*","Resource":"*"}`, Allowed, "allowed by statement Put of role policy"},
		{"denied by the role", `[{"Effect":"Deny","Action":"s3:PutObject","Resource":"*"},` + putAllowed + `]`, "", ExplicitDeny, "denied by statement 1 of role policy"},
		{"denied after it was allowed", `[` + putAllowed + `,{"Effect":"Deny","Action":"s3:PutObject","Resource":"*"}]`, "", ExplicitDeny, "denied by statement 2 of role policy"},
		{"other action", `{"Effect":"Allow","Action":["s3:GetObject","s3:PutObjectAcl"],"Resource":"*"}`, "", ImplicitDeny, "no statement allows it"},
		{"action in other case", `{"Effect":"Allow","Action":"S3:putobject","Resource":"*"}`, "", Allowed, "allowed by statement 1 of role policy"},
		{"action with wildcards", `{"Effect":"Allow","Action":"s3:P?tObj*","Resource":"*"}`, "", Allowed, "allowed by statement 1 of role policy"},
		{"key in other case", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::b/K"}`, "", ImplicitDeny, "no statement allows it"},
		{"the bucket is not its objects", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::b"}`, "", ImplicitDeny, "no statement allows it"},
		{"a wildcard stays in its part", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:*:111122223333:b/k"}`, "", ImplicitDeny, "no statement allows it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var all []Policy
			if tt.identity != "" {
				all = append(all, identity(t, tt.identity))
			}
			if tt.bucket != "" {
				all = append(all, resource(t, tt.bucket))
			}
			got, reason := Decide(Request{Principal: gate, Action: "s3:PutObject", Resource: "arn:aws:s3:::b/k"}, all...)
			if got != tt.want || reason != tt.reason {
				t.Errorf("%s, %s; want %s, %s", got, reason, tt.want, tt.reason)
			}
		})
	}
}

func TestConditions(t *testing.T) {
	tests := []struct {
		condition string
		context   map[string]string
		holds     bool
	}{
		{`{"Null":{"s3:if-none-match":"true"}}`, nil, true},
		{`{"Null":{"s3:if-none-match":"true"}}`, map[string]string{"s3:if-none-match": "*"}, false},
		{`{"Null":{"s3:if-none-match":"true"}}`, map[string]string{"s3:if-none-match": ""}, false},
		{`{"Null":{"s3:if-none-match":false}}`, map[string]string{"s3:if-none-match": "*"}, true},
		{`{"Null":{"s3:if-none-match":false}}`, nil, false},
		{`{"Bool":{"aws:SecureTransport":"false"}}`, map[string]string{"aws:securetransport": "true"}, false},
		{`{"Bool":{"aws:SecureTransport":"false"}}`, map[string]string{"aws:securetransport": "false"}, true},
		{`{"Bool":{"AWS:securetransport":"False"}}`, map[string]string{"aws:securetransport": "false"}, true},
		{`{"Bool":{"aws:SecureTransport":"false"}}`, nil, false},
		{`{"StringEquals":{"s3:authType":"REST-HEADER"}}`, map[string]string{"s3:authtype": "REST-HEADER"}, true},
		{`{"StringEquals":{"s3:authType":["POST","REST-HEADER"]}}`, map[string]string{"s3:authtype": "REST-HEADER"}, true},
		{`{"StringEquals":{"s3:authType":"rest-header"}}`, map[string]string{"s3:authtype": "REST-HEADER"}, false},
		{`{"StringEquals":{"s3:authType":"REST-*"}}`, map[string]string{"s3:authtype": "REST-HEADER"}, false},
		{`{"StringEquals":{"s3:authType":"REST-HEADER"}}`, nil, false},
		{`{"StringNotEquals":{"s3:authType":["POST","REST-HEADER"]}}`, map[string]string{"s3:authtype": "REST-HEADER"}, false},
		{`{"StringNotEquals":{"s3:authType":["POST","REST-HEADER"]}}`, map[string]string{"s3:authtype": "REST-QUERY-STRING"}, true},
		{`{"StringNotEquals":{"s3:authType":"POST"}}`, nil, true},
		{`{"StringLike":{"s3:authType":"REST-*"}}`, map[string]string{"s3:authtype": "REST-HEADER"}, true},
		{`{"StringLike":{"s3:authType":"REST-*"}}`, nil, false},
		{`{"StringNotLike":{"s3:authType":"REST-*"}}`, map[string]string{"s3:authtype": "REST-HEADER"}, false},
		{`{"StringNotLike":{"s3:authType":"REST-*"}}`, nil, true},
		{`{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/g*"}}`, map[string]string{"aws:principalarn": gate}, true},
		{`{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::*:role/g*"}}`, map[string]string{"aws:principalarn": gate}, true},
		{`{"ArnLike":{"aws:PrincipalArn":"arn:aws:*:111122223333:role/gate:x"}}`, map[string]string{"aws:principalarn": gate}, false},
		{`{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/gate"}}`, map[string]string{"aws:principalarn": gate}, false},
		{`{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/gate"}}`, map[string]string{"aws:principalarn": other}, true},
		{`{"ArnNotEquals":{"aws:PrincipalArn":["` + other + `","` + gate + `"]}}`, map[string]string{"aws:principalarn": gate}, false},
		{`{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/gate"}}`, nil, true},
		{`{"NumericLessThan":{"s3:TlsVersion":1.2}}`, map[string]string{"s3:tlsversion": "1.3"}, false},
		{`{"NumericLessThan":{"s3:TlsVersion":1.2}}`, map[string]string{"s3:tlsversion": "1.1"}, true},
		{`{"NumericLessThan":{"s3:TlsVersion":"1.2"}}`, nil, false},
		{`{"NumericGreaterThan":{"s3:signatureAge":"600000"}}`, map[string]string{"s3:signatureage": "600001"}, true},
		{`{"NumericGreaterThan":{"s3:signatureAge":"600000"}}`, map[string]string{"s3:signatureage": "600000"}, false},
		{`{"NumericGreaterThanEquals":{"s3:signatureAge":"600000"}}`, map[string]string{"s3:signatureage": "600000"}, true},
		{`{"NumericLessThanEquals":{"s3:signatureAge":"600000"}}`, map[string]string{"s3:signatureage": "600000"}, true},
		{`{"NumericEquals":{"s3:signatureAge":"60"}}`, map[string]string{"s3:signatureage": "60.0"}, true},
		{`{"NumericEquals":{"s3:signatureAge":"60"}}`, map[string]string{"s3:signatureage": "old"}, false},
		// All operators and all keys must hold.
		{`{"Null":{"s3:if-none-match":"true"},"Bool":{"aws:SecureTransport":"true"}}`, map[string]string{"aws:securetransport": "true"}, true},
		{`{"Null":{"s3:if-none-match":"true"},"Bool":{"aws:SecureTransport":"false"}}`, map[string]string{"aws:securetransport": "true"}, false},
		{`{"Null":{"s3:if-none-match":"true","s3:authType":"true"}}`, map[string]string{"s3:authtype": "POST"}, false},
		{`{}`, nil, true},
	}
	for _, tt := range tests {
		p := identity(t, `{"Effect":"Allow","Action":"*","Resource":"*","Condition":`+tt.condition+`}`)
		got, _ := Decide(Request{Principal: gate, Action: "s3:PutObject", Resource: "arn:aws:s3:::b/k", Context: tt.context}, p)
		if (got == Allowed) != tt.holds {
			t.Errorf("%s with %v: %s", tt.condition, tt.context, got)
		}
	}
}

// TestListConditions: ForAllValues holds of no value at all, ForAnyValue does not, and
// IfExists lets a missing key pass.
func TestListConditions(t *testing.T) {
	const all, any = `{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["url#*","slots#*"]}}`, `{"ForAnyValue:StringLike":{"dynamodb:LeadingKeys":"url#*"}}`
	for _, tt := range []struct {
		condition string
		keys      []string
		holds     bool
	}{
		{all, []string{"url#a"}, true},
		{all, []string{"url#a", "slots#b"}, true},
		{all, []string{"url#a", "key#b"}, false},
		{all, nil, true},
		{any, []string{"key#b", "url#a"}, true},
		{any, []string{"key#b"}, false},
		{any, nil, false},
		{`{"ForAllValues:StringNotEquals":{"dynamodb:LeadingKeys":["a","b"]}}`, []string{"c", "d"}, true},
		{`{"ForAllValues:StringNotEquals":{"dynamodb:LeadingKeys":["a","b"]}}`, []string{"c", "a"}, false},
		{`{"ForAnyValue:StringNotEquals":{"dynamodb:LeadingKeys":"a"}}`, []string{"a", "c"}, true},
		{`{"ForAnyValue:StringNotEquals":{"dynamodb:LeadingKeys":"a"}}`, []string{"a"}, false},
		{`{"ForAnyValue:StringNotEquals":{"dynamodb:LeadingKeys":"a"}}`, nil, false},
		{`{"ForAnyValue:StringEqualsIfExists":{"dynamodb:LeadingKeys":"a"}}`, nil, true},
		{`{"ForAnyValue:StringEqualsIfExists":{"dynamodb:LeadingKeys":"a"}}`, []string{"b"}, false},
		{`{"StringEqualsIfExists":{"s3:authType":"POST"}}`, nil, true},
		{`{"Null":{"dynamodb:LeadingKeys":"false"}}`, nil, false},
		{`{"Null":{"dynamodb:LeadingKeys":"false"}}`, []string{"a"}, true},
	} {
		p := identity(t, `{"Effect":"Allow","Action":"dynamodb:UpdateItem","Resource":"*","Condition":`+tt.condition+`}`)
		got, _ := Decide(Request{
			Principal: gate, Action: "dynamodb:UpdateItem", Resource: "arn:aws:dynamodb:eu-west-1:111122223333:table/t",
			Lists: map[string][]string{"dynamodb:leadingkeys": tt.keys},
		}, p)
		if (got == Allowed) != tt.holds {
			t.Errorf("%s with %q: %s", tt.condition, tt.keys, got)
		}
	}
}

// What cannot be played is refused and named.
func TestRefused(t *testing.T) {
	const ok = `"Effect":"Allow","Action":"s3:GetObject","Resource":"*"`
	tests := []struct {
		document string
		cannot   bool // ErrCannotPlay
		want     string
	}{
		{string(document(`{"Sid":"X",` + ok + `,"NotResource":"*"}`)), true, "p: cannot play NotResource in statement X"},
		{string(document(`[{` + ok + `},{"Effect":"Allow","NotAction":"s3:*","Resource":"*"}]`)), true, "p: cannot play NotAction in statement 2"},
		{string(document(`{` + ok + `,"NotPrincipal":"*"}`)), true, "p: cannot play NotPrincipal in statement 1"},
		{string(document(`{` + ok + `,"Principal":"*"}`)), true, "p: cannot play Principal in statement 1"},
		{string(document(`{` + ok + `,"effect":"Deny"}`)), true, "p: cannot play effect in statement 1"},
		{string(document(`{` + ok + `,"Condition":{"DateGreaterThan":{"aws:SecureTransport":"x"}}}`)), true, "cannot play condition operator DateGreaterThan"},
		{string(document(`{` + ok + `,"Condition":{"NullIfExists":{"s3:authType":"true"}}}`)), true, "cannot play condition operator NullIfExists"},
		{string(document(`{` + ok + `,"Condition":{"ForAllValues:Null":{"dynamodb:LeadingKeys":"true"}}}`)), true, "cannot play condition operator ForAllValues:Null"},
		{string(document(`{` + ok + `,"Condition":{"ForAllValues:StringEquals":{"s3:authType":"x"}}}`)), true, "cannot play condition operator ForAllValues:StringEquals with the key s3:authType"},
		{string(document(`{` + ok + `,"Condition":{"StringLike":{"dynamodb:LeadingKeys":"x"}}}`)), true, "cannot play condition operator StringLike with the key dynamodb:LeadingKeys"},
		{string(document(`{` + ok + `,"Condition":{"StringEquals":{"aws:SourceVpce":"x"}}}`)), true, "p: statement 1: cannot play condition key aws:SourceVpce, only aws:PrincipalArn,"},
		{string(document(`{` + ok + `,"Condition":{"StringEquals":{"s3:authType":"${aws:username}"}}}`)), true, "cannot play policy variables, in Condition StringEquals s3:authType"},
		{string(document(`{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::b/${aws:username}"}`)), true, "cannot play policy variables, in Resource"},
		{string(document(`{` + ok + `,"Condition":{"Bool":{"aws:SecureTransport":"no"}}}`)), false, `Condition Bool aws:SecureTransport cannot be compared with "no"`},
		{string(document(`{` + ok + `,"Condition":{"Null":{"s3:authType":[]}}}`)), false, "Condition Null s3:authType is empty"},
		{string(document(`{` + ok + `,"Condition":{"Null":"x"}}`)), false, "Condition Null is not a JSON object"},
		{string(document(`{` + ok + `,"Condition":[]}`)), false, "Condition is not a JSON object"},
		{string(document(`{` + ok + `,"Condition":{"ArnLike":{"aws:PrincipalArn":"*"}}}`)), false, "cannot be compared"},
		{string(document(`{` + ok + `,"Condition":{"NumericLessThan":{"s3:TlsVersion":"x"}}}`)), false, "cannot be compared"},
		{string(document(`{"Effect":"allow","Action":"*","Resource":"*"}`)), false, "statement 1: its Effect is allow, want Allow or Deny"},
		{string(document(`{"Action":"*","Resource":"*"}`)), false, "Effect is <nil>"},
		{string(document(`{"Effect":"Allow","Resource":"*"}`)), false, "Action is missing"},
		{string(document(`{"Effect":"Allow","Action":"PutObject","Resource":"*"}`)), false, `Action "PutObject" is not`},
		{string(document(`{"Effect":"Allow","Action":"*"}`)), false, "Resource is missing"},
		{string(document(`{"Effect":"Allow","Action":"*","Resource":{"Fn::GetAtt":["Bucket","Arn"]}}`)), false, "Resource is neither text nor"},
		{string(document(`{"Effect":"Allow","Action":"*","Resource":["*",{"Ref":"Bucket"}]}`)), false, "Resource is neither text nor"},
		{string(document(`{"Effect":"Allow","Action":"*","Resource":"bucket/*"}`)), false, `Resource "bucket/*" is not an ARN`},
		{string(document(`{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:*:b/k"}`)), false, "is not an ARN"},
		{string(document(`{"Effect":"Allow","Action":"*","Resource":"arn:aws:*:::b"}`)), false, "wildcard for its service"},
		{string(document(`"all"`)), false, "statement 1 is not a JSON object"},
		{string(document(`{"Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"}`)), false, `"Effect" is there twice`},
		{string(document(`[]`)) + "{}", false, "something follows the document"},
		{`{"Version":"2008-10-17","Statement":[]}`, true, "cannot play Version 2008-10-17"},
		{`{"Statement":[]}`, true, "cannot play Version <nil>"},
		{`{"Version":"2012-10-17","Statement":[],"Comment":"x"}`, true, "cannot play element Comment"},
		{`[]`, false, "p: not a JSON object"},
		{`{"Version":`, false, "unexpected EOF"},
		{strings.Repeat("[", 1000), false, "nested deeper"},
	}
	for _, tt := range tests {
		_, err := ParseIdentity("p", []byte(tt.document), testKeys)
		if err == nil || errors.Is(err, ErrCannotPlay) != tt.cannot || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\n  %v\n  want %s", tt.document, err, tt.want)
		}
	}
	for principal, want := range map[string]string{
		`{"AWS":"arn:aws:iam::111122223333:root"}`:   "cannot play Principal AWS",
		`{"AWS":"111122223333"}`:                     "cannot play Principal AWS",
		`{"AWS":"arn:aws:iam::111122223333:role/*"}`: "cannot play Principal AWS",
		`{"CanonicalUser":"abc"}`:                    "cannot play Principal CanonicalUser",
		`{"AWS":{"Fn::GetAtt":["Role","Arn"]}}`:      "Principal AWS is neither text",
		`{}`:                                         "Principal is map[]",
		`"arn:aws:iam::111122223333:role/gate"`:      "Principal is arn:",
		`null`:                                       "Principal is <nil>",
	} {
		_, err := ParseResource("p", document(`{`+ok+`,"Principal":`+principal+`}`), testKeys)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("principal %s: %v, want %s", principal, err, want)
		}
	}
	if _, err := ParseResource("p", document(`{`+ok+`}`), testKeys); err == nil {
		t.Error("a resource policy without Principal was taken")
	}
}

// A document that was accepted is refused as soon as any of its statements says something more, and one that only
// denies allows nothing.
func FuzzParse(f *testing.F) {
	f.Add(string(document(`{"Sid":"A","Effect":"Allow","Action":["s3:Get*"],"Resource":["arn:aws:s3:::b/*"],"Condition":{"Null":{"s3:authType":"true"}}}`)))
	f.Add(string(document(`[{"Effect":"Deny","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"a:b","Resource":"arn:a:b:c:d:e?*:f"}]`)))
	f.Fuzz(func(t *testing.T, doc string) {
		p, err := ParseIdentity("p", []byte(doc), testKeys)
		if err != nil {
			return
		}
		var top map[string]any
		if err := json.Unmarshal([]byte(doc), &top); err != nil {
			t.Fatalf("accepted what is no JSON: %v", err)
		}
		list, ok := top["Statement"].([]any)
		if !ok {
			list = []any{top["Statement"]}
		}
		if len(list) != len(p.statements) {
			t.Fatalf("%d statements of %d", len(p.statements), len(list))
		}
		denies := true
		for i, v := range list {
			s := v.(map[string]any)
			if p.statements[i].deny != (s["Effect"] == "Deny") {
				t.Errorf("statement %d has another effect", i+1)
			}
			denies = denies && p.statements[i].deny
			s["NotAction"] = "s3:GetObject"
			more, err := json.Marshal(top)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ParseIdentity("p", more, testKeys); !errors.Is(err, ErrCannotPlay) {
				t.Errorf("with NotAction in statement %d: %v", i+1, err)
			}
			delete(s, "NotAction")
		}
		if d, _ := Decide(Request{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k"}, p); denies && d == Allowed {
			t.Error("allowed by denials")
		}
	})
}

func FuzzGlob(f *testing.F) {
	for _, s := range [][2]string{{"*", ""}, {"a*b?c", "aXXbYc"}, {"**a", "ba"}, {"?", "é"}, {"a*a", "a"}, {"*ab", "aab"}, {"", "x"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(s) || len(pattern)+len(s) > 1000 {
			return
		}
		quoted := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
		if want := regexp.MustCompile(`(?s)^` + quoted + `$`).MatchString(s); glob(pattern, s) != want {
			t.Errorf("glob(%q, %q) is %t", pattern, s, !want)
		}
	})
}
