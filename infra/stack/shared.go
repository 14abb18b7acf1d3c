package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfront"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"oncegate/internal/config"
	"oncegate/internal/layout"
)

// ErrShared is the error for a distribution that cannot have a gate among its behaviors.
var ErrShared = errors.New("the distribution cannot take the gate")

// existing is what is looked at of a distribution that somebody else has made, before the
// gate's behaviors are added. The names are CDK's.
type existing struct {
	Origins        []any
	CacheBehaviors []struct{ PathPattern string }

	CustomErrorResponses []struct {
		ErrorCode        int
		ResponsePagePath string
	}
	WebAclID any
}

// share adds the gate's behaviors to a distribution of somebody else, behind those that it
// has. Its default behavior stays theirs, so the gate gets the paths of uploads alone, and
// those of Uppy. Nothing else of the distribution is changed.
func share(distribution awscloudfront.Distribution, scope constructs.Construct, conf config.Config, functions edgeFunctions, has existing, detach bool) {
	r := newRoutes(scope, conf, functions, detach)
	r.list = append(r.list, route{"/" + layout.Uploads + "*", functions.gate, false}, route{"/s3/*", functions.gate, false})
	for _, b := range r.list {
		distribution.AddBehavior(jsii.String(b.pattern), r.origin, r.options(b))
	}
	waitLonger(distribution, len(has.Origins))
	if has.WebAclID != nil {
		awscdk.Annotations_Of(scope).AddWarningV2(jsii.String("oncegate:web-acl"), jsii.String("the distribution has a web ACL, which also judges uploads: "+
			"AWS's common rules block bodies over 8 KB and queries over 2,048 bytes. Limit them to other paths than /uploads/"))
	}
}

// shareable looks whether the distribution can have the gate among its behaviors, and returns
// what it has.
func shareable(distribution awscloudfront.Distribution, conf config.Config) (has existing, err error) {
	no := func(format string, args ...any) (existing, error) {
		return existing{}, fmt.Errorf("%w: %s", ErrShared, fmt.Sprintf(format, args...))
	}
	stack := awscdk.Stack_Of(distribution)
	if region := *stack.Region(); region != EdgeRegion {
		return no("its stack is not in us-east-1: functions at the edge must be made there, and in the stack of the distribution, "+
			"because an export of one of their versions could never be changed; set Env.Region of stack %s", *stack.Node().Path())
	}
	byDefault := config.Defaults().Deploy
	for setting, own := range map[string]bool{
		"domain": conf.Deploy.Domain != "", "certificateArn": conf.Deploy.CertificateARN != "", "priceClass": conf.Deploy.PriceClass != byDefault.PriceClass,
		"waf": conf.Deploy.WAF, "accessLogs": conf.Deploy.AccessLogs,
		"alarmFailures": conf.Deploy.AlarmFailures != byDefault.AlarmFailures, "alarmRefusals": conf.Deploy.AlarmRefusals != byDefault.AlarmRefusals,
	} {
		if own {
			return no("the setting %s is about a distribution that oncegate makes: allowed is to leave it out", setting)
		}
	}
	resource := distribution.Node().DefaultChild().(awscloudfront.CfnDistribution)
	data, err := json.Marshal(stack.Resolve(resource.DistributionConfig()))
	if err == nil {
		err = json.Unmarshal(data, &has)
	}
	if err != nil {
		return existing{}, fmt.Errorf("read the distribution: %w", err)
	}
	for _, b := range has.CacheBehaviors {
		for _, path := range samplePaths {
			if matches(b.PathPattern, path) {
				return no("its behavior %s comes first and takes %s: narrow its pattern, or add it after the gate", b.PathPattern, path)
			}
		}
	}
	for _, e := range has.CustomErrorResponses {
		if e.ResponsePagePath != "" {
			return no("it answers %s in place of an error %d: an uploader would take S3's refusal for a success. "+
				"Give the site a CloudFront function that rewrites its paths, and no error pages", e.ResponsePagePath, e.ErrorCode)
		}
	}
	return has, nil
}

// samplePaths are one path of each kind that the gate answers.
var samplePaths = []string{
	"/url", "/url/0123456789abcdef", "/invitation", "/invitations", "/" + layout.Invitations + "0123456789abcdef", "/s3/multipart", "/s3/multipart/id/complete",
	"/s3/multipart/id/1", "/upload", "/upload/page", "/" + layout.Uploads + "01234567-89ab-4def-8123-456789abcdef",
}

// matches reports whether CloudFront takes the path for one of the pattern:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/DownloadDistValuesCacheBehavior.html#DownloadDistValuesPathPattern
func matches(pattern, path string) bool {
	quoted := regexp.QuoteMeta("/" + strings.TrimPrefix(pattern, "/"))
	if strings.HasPrefix(pattern, "*") { // *.jpg is of any folder
		quoted = regexp.QuoteMeta(pattern)
	}
	return regexp.MustCompile("^" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(quoted) + "$").MatchString(path)
}
