package check

import (
	"encoding/json"
	"strings"
	"testing"

	"oncegate/internal/cfn"
	"oncegate/internal/config"
	"oncegate/internal/layout"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		whole, begins bool // matches the text; matches a text that begins so
	}{
		{"*", "", true, true}, {"", "", true, true}, {"", "a", false, false}, {"a", "", false, true},
		{"a*", "a", true, true}, {"a*c", "abbc", true, true}, {"a*c", "abb", false, true}, {"a?c", "abc", true, true}, {"a?c", "ac", false, true}, {"a?c", "b", false, false},
		{"b/uploads/*", "b/uploads/", true, true}, {"b/up*", "b/uploads/", true, true}, {"b/uploads", "b/uploads/", false, false},
		{"b/uploads/x/*", "b/uploads/", false, true}, {"b/uploadsx/*", "b/uploads/", false, false}, {"b/${aws:username}/*", "b/uploads/", true, true},
		{"*/*.jpg", "b/uploads/", false, true}, {"b/*/uploads/", "b/uploads/", false, true}, {"c/*", "b/uploads/", false, false},
		{strings.Repeat("*a", 2000), strings.Repeat("a", 300), false, true}, // no blow-up
	} {
		if whole, begins := match(c.pattern, c.text, false), match(c.pattern, c.text, true); whole != c.whole || begins != c.begins {
			t.Errorf("%.40q and %.40q: %v, %v", c.pattern, c.text, whole, begins)
		}
	}
}

func TestCondition(t *testing.T) {
	for _, c := range []struct {
		condition string
		holds     truth
	}{
		{`{}`, yes},
		{`{"Bool":{"aws:SecureTransport":"false"}}`, no}, {`{"Bool":{"aws:SecureTransport":true}}`, yes}, {`{"BoolIfExists":{"aws:SecureTransport":"false"}}`, unknown},
		{`{"NumericLessThan":{"s3:TlsVersion":"1.2"}}`, no}, {`{"NumericLessThan":{"s3:TlsVersion":"1.3"}}`, unknown},
		{`{"Null":{"s3:x-amz-acl":"false"}}`, no}, {`{"Null":{"s3:x-amz-grant-read":"true"}}`, yes},
		{`{"StringEquals":{"aws:SourceVpc":"v"}}`, no}, {`{"StringNotEquals":{"aws:SourceVpc":"v"}}`, yes}, {`{"StringEqualsIfExists":{"aws:SourceVpc":"v"}}`, yes},
		{`{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`, unknown},
		// All must hold.
		{`{"StringNotEquals":{"aws:SourceVpc":"v"},"Bool":{"aws:SecureTransport":"false"}}`, no}, {`{"StringNotEquals":{"aws:SourceVpc":"v","aws:PrincipalOrgID":"o"}}`, unknown},
	} {
		var s Statement
		if err := json.Unmarshal([]byte(c.condition), &s.Condition); err != nil {
			t.Fatal(err)
		}
		if got := s.holds(); got != c.holds {
			t.Errorf("%s: %d", c.condition, got)
		}
	}
}

func TestParsePolicyRefuses(t *testing.T) {
	for _, text := range []string{
		``, `null`, `[]`, `{}`, `{"Statement":[{}]}`, `{"Statement":[1]}`, `{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:*"}}`,
		`{"Statement":{"Effect":"allow","Principal":"*","Action":"s3:*","Resource":"*"}}`,
		`{"Statement":{"Effect":"Allow","Principal":"*","NotPrincipal":"*","Action":"s3:*","Resource":"*"}}`,
		`{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*","Unless":{}}}`,
	} {
		if got, err := ParsePolicy([]byte(text)); err == nil {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

// existing is a bucket that was there, with more settings.
func existing(t testing.TB, more string) Existing {
	t.Helper()
	conf, err := config.Parse([]byte(`{"bucket":"theirs","region":"eu-west-1","existingBucket":true` + more + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return Existing{conf, "123456789012", "arn:aws:iam::123456789012:role/accept"}
}

// parsed are the statements as they come from a bucket's policy.
func parsed(t testing.TB, all []cfn.Statement) []Statement {
	t.Helper()
	text, err := json.Marshal(cfn.PolicyDocument{Version: "2012-10-17", Statement: all})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := ParsePolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

// TestWantedRules: what is asked for is what is found right, whatever the settings keep.
func TestWantedRules(t *testing.T) {
	for _, more := range []string{``, `,"acceptance":true`, `,"keepUploadsDays":3`, `,"acceptance":{"removeAfterDays":9},"keepUploadsDays":30`, `,"keepExpiredDays":9`} {
		e := existing(t, more)
		var rules []Rule
		for _, r := range e.wanted() {
			rules = append(rules, Rule{LifecycleRule: r})
		}
		if got := e.Rules(rules); got != nil {
			t.Errorf("%s: %+v", more, got)
		}
		// And each of them is needed.
		for i, r := range rules {
			if got := e.Rules(append(append([]Rule{}, rules[:i]...), rules[i+1:]...)); got == nil && r.Prefix != layout.UploadEntries {
				t.Errorf("%s: nobody misses %+v", more, r)
			}
		}
	}
}

// FuzzParsePolicy: no policy makes it fail, and a policy that has what it must and nothing else
// has no finding.
func FuzzParsePolicy(f *testing.F) {
	e := existing(f, `,"acceptance":true`)
	good, err := json.Marshal(cfn.PolicyDocument{Version: "2012-10-17", Statement: statements(e.Settings, e.AcceptanceRole)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"Statement":{"Effect":"Allow","Principal":"*","NotAction":"s3:Get?","NotResource":"arn:aws:s3:::t*/${x}/*"}}`))
	f.Add([]byte(`{"Id":"x","Version":"2012-10-17","Statement":[{"Effect":"Deny","NotPrincipal":{"AWS":["1"]},"Action":["*"],"Resource":"*","Condition":{"Null":{"a":"true"}}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		policy, err := ParsePolicy(text)
		if err != nil {
			return
		}
		found := e.Policy(policy)
		for _, s := range policy {
			if s.Effect == "Allow" && everybody(s.Principal) && matchAny(s.Action, "s3:PutObject", true) && matchAny(s.Resource, "arn:aws:s3:::theirs/uploads/x", false) && found == nil {
				t.Errorf("nothing found in %s", text)
			}
		}
	})
}

func TestAGoodPolicyHasNoFindings(t *testing.T) {
	e := existing(t, `,"acceptance":true`)
	if found := e.Policy(parsed(t, e.Statements())); found != nil {
		t.Errorf("%+v", found)
	}
}

// TestEventsOfScans: where scans are asked for, GuardDuty must hear of uploads, and what makes it
// hear of them stays when the queue is added.
func TestEventsOfScans(t *testing.T) {
	queue := Event{Events: []string{"s3:ObjectCreated:*"}, Prefix: layout.Uploads, Target: "arn:aws:sqs:us-east-1:111122223333:oncegate-accept"}
	for _, c := range []struct {
		acceptance string
		events     []Event
		bus        bool
		found, do  []string
	}{
		{`true`, []Event{queue}, false, nil, nil},
		{`true`, []Event{queue}, true, nil, nil},
		{`{"scan":"guardduty"}`, []Event{queue}, true, nil, nil},
		{`{"scan":"guardduty"}`, []Event{queue}, false, []string{"does not notify the event bus"}, []string{`"EventBridgeConfiguration":{}`}},
		{`{"scan":"guardduty"}`, nil, true, []string{"does not notify arn:aws:sqs:"}, []string{"get-bucket-notification-configuration"}},
		{`{"scan":"guardduty"}`, nil, false, []string{"does not notify the event bus", "does not notify arn:aws:sqs:"}, []string{"leave the rest", "put-bucket"}},
	} {
		conf, err := config.Parse([]byte(`{"bucket":"theirs","acceptance":` + c.acceptance + `}`))
		if err != nil {
			t.Fatal(err)
		}
		all := Existing{Settings: conf, Account: "111122223333", AcceptanceRole: "role"}.Events(c.events, c.bus)
		if len(all) != len(c.found) {
			t.Errorf("%s, %v, %t: %+v, want %q", c.acceptance, c.events, c.bus, all, c.found)
			continue
		}
		for i, f := range all {
			if f.Severity != Breaks || !strings.Contains(f.Detail, c.found[i]) || !strings.Contains(f.Do, c.do[i]) {
				t.Errorf("%s, %v, %t: %+v, want %q, do %q", c.acceptance, c.events, c.bus, f, c.found[i], c.do[i])
			}
		}
	}
}
