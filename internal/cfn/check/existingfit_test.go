package check

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"oncegate/internal/cfn"
	"oncegate/internal/layout"
)

// said are the details of findings, after how much each matters.
func said(found []Finding) string {
	var all []string
	for _, f := range found {
		all = append(all, fmt.Sprintf("%d %s", f.Severity, f.Detail))
	}
	return strings.Join(all, "\n")
}

// TestEvents: who else may hear of what, and what acceptance must hear.
func TestEvents(t *testing.T) {
	const queue, other = "arn:aws:sqs:eu-west-1:123456789012:oncegate-accept", "arn:aws:sqs:eu-west-1:123456789012:other"
	created := []string{"s3:ObjectCreated:*"}
	for name, c := range map[string]struct {
		more  string
		event Event
		want  []string // of the details, in order
	}{
		"acceptance's own":            {`,"acceptance":true`, Event{"e", created, layout.Uploads, "", queue}, nil},
		"deletions, too":              {`,"acceptance":true`, Event{"e", []string{"s3:ObjectRemoved:*"}, layout.Uploads, "", other}, []string{"2 the bucket does not notify " + queue}},
		"another queue":               {`,"acceptance":true`, Event{"e", created, layout.Uploads, "", other}, []string{"2 the notification e is of what is stored", "2 the bucket does not notify"}},
		"PUTs alone":                  {`,"acceptance":true`, Event{"e", []string{"s3:ObjectCreated:Put"}, layout.Uploads, "", queue}, []string{"2 the notification e is of what is stored", "2 the bucket does not notify"}},
		"some names alone":            {`,"acceptance":true`, Event{"e", created, layout.Uploads, ".jpg", queue}, []string{"2 the notification e is of what is stored", "2 the bucket does not notify"}},
		"some folder alone":           {`,"acceptance":true`, Event{"e", created, layout.Uploads + "a/", "", queue}, []string{"2 the notification e is of what is stored", "2 the bucket does not notify"}},
		"no acceptance, and a queue":  {``, Event{"e", created, layout.Uploads, "", other}, nil},
		"no acceptance, and an index": {``, Event{"e", created, "", "", other}, []string{"0 the notification e, to " + other + ", is also of entries of the index"}},
	} {
		found := existing(t, c.more).Events([]Event{c.event}, false)
		if len(found) != len(c.want) {
			t.Errorf("%s: %s", name, said(found))
			continue
		}
		for i, want := range c.want {
			if got := said(found[i : i+1]); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
	}
}

// TestVersionsThatNobodyNeeds: with the index in a table, a bucket whose versioning is suspended
// is as good as one that never had any.
func TestVersionsThatNobodyNeeds(t *testing.T) {
	e := existing(t, `,"index":"dynamodb","versioned":false`)
	for status, fits := range map[string]bool{"": true, "Suspended": true, "Enabled": false} {
		if found := e.Versions(status, false); (found == nil) != fits {
			t.Errorf("%q: %s", status, said(found))
		}
	}
}

func TestAnUnknownEncryption(t *testing.T) {
	if got := said(existing(t, "").Encryption("AES512", "", true)); got != `1 the bucket's encryption is "AES512", which oncegate does not know` {
		t.Error(got)
	}
}

// TestKeysOfOthers: a key that only looks like one of ours for a while is somebody else's.
func TestKeysOfOthers(t *testing.T) {
	const id = "0b4e7a0e-5fea-4f2a-9c39-0d6ea5cb3a11"
	for key, ours := range map[string]bool{
		layout.Uploads + id: true, layout.Uploads + "a/b/" + id: true, layout.Accepted + id: true, layout.ValidEntries + strings.Repeat("0a", 32): true,
		layout.Uploads + id + ".jpg": false, layout.Uploads + "cat.jpg": false, layout.ValidEntries + strings.Repeat("0a", 32) + "x": false,
	} {
		if found := existing(t, "").Keys([]string{key}); (found == nil) != ours {
			t.Errorf("%s: %s", key, said(found))
		}
	}
}

func TestParsePolicyBounds(t *testing.T) {
	const statement = `{"Statement":{"Effect":"Deny","Principal":"*",%s"Resource":"*"}}`
	if all, err := ParsePolicy(fmt.Appendf(nil, statement, "")); err == nil {
		t.Errorf("no action: %+v", all)
	}
	good := fmt.Appendf(nil, statement, `"Action":"s3:*",`)
	for size, ok := range map[int]bool{maxPolicy: true, maxPolicy + 1: false} {
		if _, err := ParsePolicy(append(slices.Clone(good), strings.Repeat(" ", size-len(good))...)); (err == nil) != ok {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// TestNearlyThePolicy: what denies less than it must is not what the policy must say.
func TestNearlyThePolicy(t *testing.T) {
	e := existing(t, "")
	for name, change := range map[string]func(*cfn.Statement){
		"to some alone":       func(s *cfn.Statement) { s.Principal = cfn.Principal{"AWS": {"arn:aws:iam::210987654321:root"}} },
		"allowed":             func(s *cfn.Statement) { s.Effect = "Allow" },
		"something else":      func(s *cfn.Statement) { s.Action = cfn.Strings{"s3:GetObjectTorrent"} },
		"on a condition":      func(s *cfn.Statement) { s.Condition = map[string]map[string]cfn.Strings{"Bool": {"x": {"true"}}} },
		"of somewhere else":   func(s *cfn.Statement) { s.Resource = cfn.Strings{"arn:aws:s3:::theirs/other/*"} },
		"of some of it alone": func(s *cfn.Statement) { s.Resource = s.Resource[:1] },
	} {
		all := e.Statements()
		i := slices.IndexFunc(all, func(s cfn.Statement) bool { return s.Sid == "IndexIsNotDeleted" })
		change(&all[i])
		if got := said(e.Policy(parsed(t, all))); !strings.Contains(got, "2 the policy does not have IndexIsNotDeleted") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestDenials: whom a denial must name, and what, to keep the functions from their work.
func TestDenials(t *testing.T) {
	const account = "arn:aws:iam::123456789012:"
	for _, c := range []struct {
		who, action, about string
		hits               bool
	}{
		{account + "root", "s3:GetObject", `"Resource":"arn:aws:s3:::theirs/*"`, true},
		{account + "role/oncegate-mint", "s3:GetObject", `"Resource":"arn:aws:s3:::theirs/*"`, true},
		{account + "role/app", "s3:GetObject", `"Resource":"arn:aws:s3:::theirs/*"`, false},
		{"*", "s3:ListBucket", `"NotResource":"arn:aws:s3:::another"`, true},
		{"*", "s3:ListBucket", `"NotResource":"arn:aws:s3:::theirs"`, false},
	} {
		policy, err := ParsePolicy(fmt.Appendf(nil, `{"Statement":{"Sid":"Theirs","Effect":"Deny","Principal":{"AWS":%q},"Action":%q,%s}}`, c.who, c.action, c.about))
		if err != nil {
			t.Fatal(err)
		}
		if got := said(existing(t, "").Policy(policy)); strings.Contains(got, "Theirs denies the functions "+c.action) != c.hits {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// TestRulesOfOthers: rules that do nothing to what the functions need are left alone.
func TestRulesOfOthers(t *testing.T) {
	e := existing(t, "")
	var ours []Rule
	for _, r := range e.LifecycleRules() {
		ours = append(ours, Rule{LifecycleRule: r})
	}
	for name, r := range map[string]Rule{
		"one that is off":       {LifecycleRule: cfn.LifecycleRule{Id: "off", Status: "Disabled"}, On: "2030-01-01"},
		"uploads to an archive": {LifecycleRule: cfn.LifecycleRule{Id: "cold", Prefix: layout.Uploads, Status: "Enabled"}, Archive: "GLACIER"},
	} {
		if found := e.Rules(append(slices.Clone(ours), r)); found != nil {
			t.Errorf("%s: %s", name, said(found))
		}
	}
}

// TestRulesThatAreAskedFor: in place of a rule with other days the right one is asked for, and
// with it that delete markers go where nothing else does.
func TestRulesThatAreAskedFor(t *testing.T) {
	e := existing(t, "")
	rules := []Rule{{LifecycleRule: cfn.LifecycleRule{Id: "theirs", Prefix: layout.ExpiredEntries, Status: "Enabled", ExpirationInDays: 1}}}
	found := e.Rules(rules)
	if len(found) == 0 {
		t.Fatal("nothing is said")
	}
	for _, want := range []string{
		`{"Expiration":{"Days":` + fmt.Sprint(e.Settings.Deploy.KeepExpiredDays) + `},"Filter":{"Prefix":"signatures/expired/"},"ID":"oncegate-expired-entries"`,
		`{"AbortIncompleteMultipartUpload":{"DaysAfterInitiation":8},"Expiration":{"ExpiredObjectDeleteMarker":true},"Filter":{"Prefix":"uploads/"},"ID":"oncegate-uploads"`,
	} {
		if !strings.Contains(found[0].Do, want) {
			t.Errorf("%s\nis not in\n%s", want, found[0].Do)
		}
	}
}

// TestTheirBucket: a bucket that somebody makes in the same app must have what doctor asks of a
// bucket. If the bucket is in no template, an output says what its policy needs.
func TestTheirBucket(t *testing.T) {
	e := existing(t, "")
	e.AcceptanceRole = "(no role)"
	e.Account = "${AWS::AccountId}"
	fits := func() *cfn.Deployment {
		d := &cfn.Deployment{}
		b := &d.Bucket
		b.ID, b.BucketName, b.Region = "Theirs", "theirs", "eu-west-1"
		b.VersioningConfiguration.Status = "Enabled"
		b.LifecycleConfiguration.Rules = e.LifecycleRules()
		b.Policy.PolicyDocument.Statement = e.Statements()
		return d
	}
	absent := func(output string) func(*cfn.Deployment) {
		return func(d *cfn.Deployment) { *d = cfn.Deployment{Outputs: map[string]string{"BucketPolicy": output}} }
	}
	policy, err := json.Marshal(e.Statements())
	if err != nil {
		t.Fatal(err)
	}
	encrypted := func(algorithm, key string) func(*cfn.Deployment) {
		return func(d *cfn.Deployment) {
			c := &d.Bucket.BucketEncryption.ServerSideEncryptionConfiguration
			*c = append(*c, struct {
				ServerSideEncryptionByDefault struct{ SSEAlgorithm, KMSMasterKeyID string }
				BucketKeyEnabled              bool
			}{struct{ SSEAlgorithm, KMSMasterKeyID string }{algorithm, key}, false})
		}
	}
	for _, c := range []struct {
		name, more string
		change     func(*cfn.Deployment)
		want       string // "" if it fits
	}{
		{"as asked for", "", func(*cfn.Deployment) {}, ""},
		{"S3's encryption", "", encrypted("AES256", ""), ""},
		{"what is to be known", `,"kmsKey":"aws/s3"`, encrypted("aws:kms", ""), ""},
		{"not here, and the policy is said", "", absent(string(policy)), ""},
		{"not here, and shared", "", func(d *cfn.Deployment) { *d = cfn.Deployment{Shared: true} }, ""},

		{"not here, and no policy is said", "", absent(""), "output BucketPolicy is , want ["},
		{"another name", "", func(d *cfn.Deployment) { d.Bucket.BucketName = "ours" }, "is ours in eu-west-1, the settings say theirs in eu-west-1"},
		{"another Region", "", func(d *cfn.Deployment) { d.Bucket.Region = "us-east-1" }, "is theirs in us-east-1"},
		{"no versions", "", func(d *cfn.Deployment) { d.Bucket.VersioningConfiguration.Status = "" }, "versioning is not enabled"},
		{"another key", "", encrypted("aws:kms", "arn:aws:kms:eu-west-1:123456789012:key/0b4e7a0e"), "objects are encrypted with the KMS key"},
		{"no rules", "", func(d *cfn.Deployment) { d.Bucket.LifecycleConfiguration.Rules = nil }, "are never removed"},
		{"CORS", `,"allowedOrigins":["https://app.example.com"]`, func(d *cfn.Deployment) {
			d.Bucket.CorsConfiguration.CorsRules = []cfn.CorsRule{{AllowedMethods: []string{"PUT"}, AllowedOrigins: []string{"*"}}}
		}, "CORS rule 1 answers pages"},
		{"no policy", "", func(d *cfn.Deployment) {
			d.Bucket.Policy.PolicyDocument.Statement = d.Bucket.Policy.PolicyDocument.Statement[1:]
		}, "the policy does not have OncegateByTLS"},
	} {
		d := fits()
		c.change(d)
		var all []string
		checkTheirBucket(d, existing(t, c.more).Settings, func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) })
		if got := strings.Join(all, "\n"); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
