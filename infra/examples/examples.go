// Package examples shows gates in apps of other people, one in each file. Each function is
// what an app does between NewApp and Synth; the tests synthesize them all.
//
//	func main() {
//		defer jsii.Close()
//		app := awscdk.NewApp(nil)
//		if err := examples.BesideAWebsite(app, "../oncegate/build"); err != nil {
//			fmt.Fprintln(os.Stderr, err)
//			os.Exit(1)
//		}
//		app.Synth(nil)
//	}
package examples

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfront"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfrontorigins"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// newSite makes a website as many have one: a bucket, and a distribution in front of it with a
// behavior of its own for what never changes.
func newSite(scope constructs.Construct) awscloudfront.Distribution {
	bucket := awss3.NewBucket(scope, jsii.String("Site"), &awss3.BucketProps{BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL()})
	origin := awscloudfrontorigins.S3BucketOrigin_WithOriginAccessControl(bucket, nil)
	return awscloudfront.NewDistribution(scope, jsii.String("SiteDistribution"), &awscloudfront.DistributionProps{
		DefaultRootObject: jsii.String("index.html"),
		DefaultBehavior: &awscloudfront.BehaviorOptions{
			Origin: origin, ViewerProtocolPolicy: awscloudfront.ViewerProtocolPolicy_REDIRECT_TO_HTTPS,
		},
		AdditionalBehaviors: &map[string]*awscloudfront.BehaviorOptions{"/static/*": {
			Origin: origin, ViewerProtocolPolicy: awscloudfront.ViewerProtocolPolicy_REDIRECT_TO_HTTPS,
			CachePolicy: awscloudfront.CachePolicy_CACHING_OPTIMIZED(),
		}},
	})
}

// in is where a stack is.
func in(region string) *awscdk.StackProps {
	return &awscdk.StackProps{Env: &awscdk.Environment{Region: jsii.String(region)}}
}
