package check_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"oncegate/internal/cfn"
	"oncegate/internal/cfn/cfntest"
	"oncegate/internal/cfn/check"
)

// TestCheckFunctions breaks the functions at the edge in one place at a time.
func TestCheckFunctions(t *testing.T) {
	gate := func(t *templates) object { return t.Edge.Properties("AWS::Lambda::Function", "Gate") }
	for _, tt := range []damaged{
		{"another timeout", "plain", func(t *templates) { gate(t)["Timeout"] = 3 }, "functions: oncegate-gate has 256 MB, 3 s"},
		{"another Node", "plain", func(t *templates) { gate(t)["Runtime"] = "nodejs18.x" }, "functions: oncegate-gate has 256 MB, 5 s, nodejs18.x"},
		{"trusted by servers", "plain", func(t *templates) {
			cfntest.With(t.Edge.Properties("AWS::IAM::Role", "Gate")["AssumeRolePolicyDocument"].(object),
				object{"Effect": "Allow", "Principal": object{"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"})
		}, "permissions: role of oncegate-gate trusts too much: Allow sts:AssumeRole for Service ec2.amazonaws.com"},
		{"a second policy of a role", "plain", func(t *templates) {
			role := t.Edge.Properties("AWS::IAM::Role", "Gate")
			role["Policies"] = append(role["Policies"].([]any), object{"PolicyName": "more", "PolicyDocument": object{
				"Statement": []any{object{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}},
			}})
		}, "permissions: oncegate-gate has what it does not need: Allow s3:GetObject on *"},
		{"a role that nothing uses", "plain", func(t *templates) {
			t.Edge.Add("Extra", "AWS::IAM::Role", object{"AssumeRolePolicyDocument": object{"Statement": []any{}}})
			distribution := t.Edge.Resource("AWS::CloudFront::Distribution", "")
			distribution["DependsOn"] = append(distribution["DependsOn"].([]any), "Extra")
		}, "permissions: 4 roles for 3 functions"},
	} {
		t.Run(tt.name, tt.isNamed)
	}
}

// TestCheckSays breaks, in what was read, what would break other promises as well.
func TestCheckSays(t *testing.T) {
	for _, tt := range []struct {
		name, on string
		change   func(*cfn.Deployment)
		want     string // begins one of the problems
	}{
		{"another bucket", "plain", func(d *cfn.Deployment) { d.Bucket.BucketName = "other" },
			"bucket: is other in us-east-1, the settings say plain-uploads in us-east-1"},
		{"a bucket elsewhere", "plain", func(d *cfn.Deployment) { d.Bucket.Region = "eu-west-1" },
			"bucket: is plain-uploads in eu-west-1, the settings say plain-uploads in us-east-1"},
		{"the edge elsewhere", "plain", func(d *cfn.Deployment) { d.Functions["oncegate-gate"].Region = "eu-west-1" },
			"functions: oncegate-gate is in eu-west-1: Lambda@Edge functions are made in us-east-1"},
		{"no gate", "plain", func(d *cfn.Deployment) { d.Functions["oncegate-gate"].Handler = "index.mint" },
			"functions: handlers are [index.mint index.mint page.handler]"},
		{"another function", "plain", func(d *cfn.Deployment) {
			other := *d.Functions["oncegate-gate"]
			other.Handler = "index.other"
			d.Functions["other"] = &other
		}, "functions: handlers are [index.gate index.mint index.other page.handler]"},
		{"one role for two", "plain", func(d *cfn.Deployment) { d.Functions["oncegate-mint"].Role = d.Functions["oncegate-gate"].Role },
			"permissions: oncegate-mint shares its role with another function"},
		{"two versions", "plain", func(d *cfn.Deployment) {
			f := d.Functions["oncegate-gate"]
			f.VersionRemovals = append(f.VersionRemovals, f.VersionRemovals[0])
		}, "rollback: oncegate-gate has 2 versions, want one"},
		{"a regional function elsewhere", "regional", func(d *cfn.Deployment) { d.Regional["oncegate-regional-gate"].Region = "eu-west-1" },
			"regional: oncegate-regional-gate is bootstrap for [arm64] in eu-west-1"},
		{"alarms elsewhere", "plain", func(d *cfn.Deployment) {
			for i := range d.Monitoring.Alarms {
				d.Monitoring.Alarms[i].Region = "eu-west-1"
			}
		}, "alarms: oncegate-Failures is in eu-west-1: CloudFront reports in us-east-1"},
		{"a topic of another stack", "plain", func(d *cfn.Deployment) { d.Monitoring.Topics[0].Stack = "other" }, "alarms: oncegate-Failures tells"},
		{"a web ACL from elsewhere", "plain", func(d *cfn.Deployment) {
			d.Distribution.WebACLId = "arn:aws:wafv2:us-east-1:111122223333:global/webacl/x"
		},
			"web acl: there is one, which the settings do not ask for"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := cfn.Read(filepath.Join(fixtures, tt.on))
			if err != nil {
				t.Fatal(err)
			}
			tt.change(d)
			problems := check.Deployment(d, settings(t, tt.on))
			if !slices.ContainsFunc(problems, func(p check.Problem) bool { return strings.HasPrefix(p.String(), tt.want) }) {
				t.Errorf("nothing begins with %q in %v", tt.want, problems)
			}
		})
	}
}
