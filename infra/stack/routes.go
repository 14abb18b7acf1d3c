package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfront"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"oncegate/internal/config"
)

// route leads a path pattern to a function. POST /url has its options in the body, and Uppy
// its file and its parts. The gate needs no other bodies.
type route struct {
	pattern     string
	function    awslambda.IVersion
	includeBody bool
}

// routes are the behaviors of a distribution that are not the gate's for everything else, and
// what all of them share.
type routes struct {
	list   []route
	origin awscloudfront.IOrigin
	policy awscloudfront.ResponseHeadersPolicy
	detach bool
}

func newRoutes(scope constructs.Construct, conf config.Config, functions edgeFunctions, detach bool) routes {
	r := routes{origin: newOrigin(scope, conf), policy: newResponseHeadersPolicy(scope, conf), detach: detach}
	r.list = []route{
		{"/url", functions.mint, true},
		{"/url/*", functions.mint, false},
		// What an invitation offers, and below /invitations whoever makes them.
		{"/invitation*", functions.mint, true},
		// The other paths of Uppy are the gate's and have no body.
		{"/s3/multipart", functions.mint, true},
		{"/s3/*/complete", functions.gate, true},
	}
	if conf.Page.On {
		r.list = append(r.list, route{"/upload", functions.page, false}, route{"/upload/*", functions.page, false})
	}
	return r
}

// options are those of the behavior of a route.
func (r routes) options(to route) *awscloudfront.AddBehaviorOptions {
	b := r.behavior(to)
	return &awscloudfront.AddBehaviorOptions{
		ViewerProtocolPolicy: b.ViewerProtocolPolicy, AllowedMethods: b.AllowedMethods, CachedMethods: b.CachedMethods, CachePolicy: b.CachePolicy,
		OriginRequestPolicy: b.OriginRequestPolicy, ResponseHeadersPolicy: b.ResponseHeadersPolicy, Compress: b.Compress, EdgeLambdas: b.EdgeLambdas,
	}
}

func (r routes) behavior(to route) *awscloudfront.BehaviorOptions {
	b := &awscloudfront.BehaviorOptions{
		Origin:               r.origin,
		ViewerProtocolPolicy: awscloudfront.ViewerProtocolPolicy_HTTPS_ONLY,
		AllowedMethods:       awscloudfront.AllowedMethods_ALLOW_ALL(), // the only set with PUT
		CachedMethods:        awscloudfront.CachedMethods_CACHE_GET_HEAD(),
		CachePolicy:          awscloudfront.CachePolicy_CACHING_DISABLED(),
		// A managed policy, the same whatever the settings: CloudFormation updates a policy
		// of ours before the distribution, so that the gate of the old settings would run
		// with the forwarding of the new ones, and S3 would show the client a signature that
		// misses a header. What reaches S3 is the gate's to decide (package onetime). All
		// but Host, which must be the origin's:
		// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-origin-request-policies.html
		OriginRequestPolicy:   awscloudfront.OriginRequestPolicy_ALL_VIEWER_EXCEPT_HOST_HEADER(),
		ResponseHeadersPolicy: r.policy,
		Compress:              jsii.Bool(false),
	}
	if !r.detach {
		b.EdgeLambdas = &[]*awscloudfront.EdgeLambda{{
			EventType:       awscloudfront.LambdaEdgeEventType_VIEWER_REQUEST,
			FunctionVersion: to.function,
			IncludeBody:     jsii.Bool(to.includeBody),
		}}
	}
	return b
}
