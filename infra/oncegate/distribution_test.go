package oncegate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfront"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfrontorigins"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"oncegate/infra/infratest"
	"oncegate/infra/oncegate"
)

// newSite makes a distribution of somebody else.
func newSite(app awscdk.App, region string, change func(*awscloudfront.DistributionProps)) awscloudfront.Distribution {
	props := &awscdk.StackProps{Env: &awscdk.Environment{Region: jsii.String(region)}}
	if region == "" {
		props = nil
	}
	origin := awscloudfrontorigins.NewHttpOrigin(jsii.String("www.example.com"), nil)
	distribution := &awscloudfront.DistributionProps{DefaultBehavior: &awscloudfront.BehaviorOptions{Origin: origin}}
	if change != nil {
		change(distribution)
	}
	return awscloudfront.NewDistribution(awscdk.NewStack(app, jsii.String("Site"), props), jsii.String("Distribution"), distribution)
}

// TestDistributionsThatCannotTakeAGate: what would let uploads go astray is an error before
// anything is made.
func TestDistributionsThatCannotTakeAGate(t *testing.T) {
	behavior := func(pattern string) func(*awscloudfront.DistributionProps) {
		return func(p *awscloudfront.DistributionProps) {
			p.AdditionalBehaviors = &map[string]*awscloudfront.BehaviorOptions{pattern: p.DefaultBehavior}
		}
	}
	errorPage := func(p *awscloudfront.DistributionProps) {
		p.ErrorResponses = &[]*awscloudfront.ErrorResponse{{HttpStatus: jsii.Number(403), ResponseHttpStatus: jsii.Number(200), ResponsePagePath: jsii.String("/index.html")}}
	}
	built := infratest.Build(t)
	for _, tt := range []struct {
		name, region string
		change       func(*awscloudfront.DistributionProps)
		settings     oncegate.Settings
		want         string
	}{
		{"in another Region", "eu-west-1", nil, oncegate.Settings{}, "its stack is not in us-east-1"},
		{"in a Region that nobody knows", "", nil, oncegate.Settings{}, "set Env.Region of stack Site"},
		{"with a behavior for everything", "us-east-1", behavior("/*"), oncegate.Settings{}, "its behavior /* comes first and takes /url"},
		{"with a behavior for uploads", "us-east-1", behavior("/uploads/*"), oncegate.Settings{}, "its behavior /uploads/* comes first and takes /uploads/"},
		{"with one without a slash", "us-east-1", behavior("ur?"), oncegate.Settings{}, "its behavior ur? comes first and takes /url"},
		{"with pages in place of errors", "us-east-1", errorPage, oncegate.Settings{}, "it answers /index.html in place of an error 403"},
		{"and a domain", "us-east-1", nil, oncegate.Settings{Domain: jsii.String("up.example.com"),
			CertificateARN: jsii.String("arn:aws:acm:us-east-1:111122223333:certificate/a")}, "is about a distribution that oncegate makes"},
		{"and a web ACL", "us-east-1", nil, oncegate.Settings{WAF: jsii.Bool(true)}, "the setting waf is about a distribution that oncegate makes"},
		{"and a price class", "us-east-1", nil, oncegate.Settings{PriceClass: jsii.String("PriceClass_100")}, "the setting priceClass is about"},
		{"and access logs", "us-east-1", nil, oncegate.Settings{AccessLogs: jsii.Bool(true)}, "the setting accessLogs is about"},
		{"and an alarm", "us-east-1", nil, oncegate.Settings{AlarmFailures: jsii.Number(2)}, "the setting alarmFailures is about"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			app := infratest.NewApp(t)
			site := newSite(app, tt.region, tt.change)
			tt.settings.Bucket = jsii.String("my-uploads")
			before := len(*app.Node().FindAll(constructs.ConstructOrder_PREORDER))
			_, err := oncegate.New(app, "Uploads", &oncegate.Props{Settings: tt.settings, Build: built, Distribution: site})
			if !errors.Is(err, oncegate.ErrDistribution) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if after := len(*app.Node().FindAll(constructs.ConstructOrder_PREORDER)); after != before {
				t.Errorf("%d constructs were made", after-before)
			}
		})
	}
}

// TestDistributionThatTakesAGate: what is not in the way stays, and what may be is said.
func TestDistributionThatTakesAGate(t *testing.T) {
	app := infratest.NewApp(t)
	site := newSite(app, "us-east-1", func(p *awscloudfront.DistributionProps) {
		p.WebAclId = jsii.String("arn:aws:wafv2:us-east-1:111122223333:global/webacl/site/1")
		p.AdditionalBehaviors = &map[string]*awscloudfront.BehaviorOptions{"/static/*": p.DefaultBehavior, "*.jpg": p.DefaultBehavior}
		p.ErrorResponses = &[]*awscloudfront.ErrorResponse{{HttpStatus: jsii.Number(404), Ttl: awscdk.Duration_Seconds(jsii.Number(60))}}
	})
	gate, err := oncegate.New(app, "Uploads", &oncegate.Props{
		Settings: oncegate.Settings{Bucket: jsii.String("my-uploads"), Runtime: jsii.String("regional")}, Build: infratest.Build(t), Distribution: site,
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(gate.Stacks()); n != 2 {
		t.Errorf("the gate has %d stacks to itself, want 2", n)
	}
	for _, name := range []string{oncegate.Mint, oncegate.Decide, oncegate.Page, oncegate.RegionalGate} {
		if gate.Function(name) == nil {
			t.Errorf("there is no function %s", name)
		}
	}
	// What comes later comes behind the gate's.
	site.AddBehavior(jsii.String("/url*"), awscloudfrontorigins.NewHttpOrigin(jsii.String("www.example.com"), nil), nil)
	if !said(app, "the distribution has a web ACL, which also judges uploads") {
		t.Error("nothing is said of the web ACL")
	}
	app.Synth(nil)
}
