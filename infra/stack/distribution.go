package stack

import (
	"fmt"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscertificatemanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfront"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfrontorigins"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"oncegate/internal/config"
)

// newDistribution makes the distribution. /url and what is below it goes to the mint, and so
// do the paths of invitations, and the one at which Uppy asks for a URL. The page answers for itself alone. Everything
// else goes to the gate, so no path reaches S3 without one of them. With detach the functions are left off, and S3 refuses
// every minted URL by itself.
func newDistribution(stack awscdk.Stack, conf config.Config, functions edgeFunctions, detach bool) awscloudfront.Distribution {
	r := newRoutes(stack, conf, functions, detach)
	// CloudFront takes the first pattern that fits, and CDK writes them in no order of ours: no
	// path fits two.
	behaviors := map[string]*awscloudfront.BehaviorOptions{}
	for _, b := range r.list {
		behaviors[b.pattern] = r.behavior(b)
	}
	props := &awscloudfront.DistributionProps{
		Comment:                  jsii.String("oncegate: s3://" + conf.Bucket),
		DefaultBehavior:          r.behavior(route{"", functions.gate, false}),
		AdditionalBehaviors:      &behaviors,
		HttpVersion:              awscloudfront.HttpVersion_HTTP2_AND_3,
		EnableIpv6:               jsii.Bool(true),
		PriceClass:               priceClasses[conf.Deploy.PriceClass],
		ErrorResponses:           uncachedErrors(),
		PublishAdditionalMetrics: jsii.Bool(true), // the rate of 403, for monitoring
	}
	if conf.Deploy.Domain != "" {
		// With CloudFront's own certificate the TLS policy is CloudFront's as well.
		props.MinimumProtocolVersion = awscloudfront.SecurityPolicyProtocol_TLS_V1_2_2021
		props.DomainNames = jsii.Strings(conf.Deploy.Domain)
		props.Certificate = awscertificatemanager.Certificate_FromCertificateArn(stack, jsii.String("Certificate"), jsii.String(conf.Deploy.CertificateARN))
	}
	if conf.Deploy.WAF {
		props.WebAclId = newWebACL(stack, conf).AttrArn()
	}
	if conf.Deploy.AccessLogs {
		props.EnableLogging = jsii.Bool(true)
		props.LogBucket = newLogBucket(stack)
	}
	distribution := awscloudfront.NewDistribution(stack, jsii.String("Distribution"), props)
	waitLonger(distribution, 0)
	if props.LogBucket != nil { // with its policy, before the distribution: see first
		distribution.Node().AddDependency(props.LogBucket)
	}
	suppressDistribution(distribution, conf)
	return distribution
}

var priceClasses = map[string]awscloudfront.PriceClass{
	"PriceClass_100": awscloudfront.PriceClass_PRICE_CLASS_100,
	"PriceClass_200": awscloudfront.PriceClass_PRICE_CLASS_200,
	"PriceClass_All": awscloudfront.PriceClass_PRICE_CLASS_ALL,
}

// newOrigin makes the origin: the bucket, under the host that upload signatures are made
// for. The host is written out, because CDK takes a bucket imported by name to be in the
// stack's own Region. There is no origin access control: CloudFront would sign requests
// that are signed already, and S3 refuses two signatures (400 InvalidArgument).
func newOrigin(scope constructs.Construct, conf config.Config) awscloudfront.IOrigin {
	bucket := awss3.Bucket_FromBucketAttributes(scope, jsii.String("UploadBucket"), &awss3.BucketAttributes{
		BucketName:               jsii.String(conf.Bucket),
		Region:                   jsii.String(conf.Region),
		BucketRegionalDomainName: jsii.String(conf.Bucket + ".s3." + conf.Region + ".amazonaws.com"),
	})
	return awscloudfrontorigins.S3BucketOrigin_WithBucketDefaults(bucket, nil)
}

// originReadSeconds is how long CloudFront waits for S3 when a request is sent. When the
// time is up the client gets 504, and its URL is spent, so it is the longest that
// CloudFront offers:
// https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_S3OriginConfig.html
const originReadSeconds = 120

// waitLonger sets the time of an origin in the template: the construct of an S3 origin has no
// option for it.
func waitLonger(distribution awscloudfront.Distribution, origin int) {
	distribution.Node().DefaultChild().(awscloudfront.CfnDistribution).AddPropertyOverride(
		jsii.String(fmt.Sprintf("DistributionConfig.Origins.%d.S3OriginConfig.OriginReadTimeout", origin)), jsii.Number(originReadSeconds))
}

// CORS as the functions answer it themselves (package edge; a test compares the two), but
// for the headers that a page may send: of those the functions name what it asks for, and
// nobody else answers preflights.
var (
	corsHeaders = []string{
		"cache-control", "content-disposition", "content-encoding", "content-language", "content-md5", "content-type", "expires",
	}
	corsMethods    = []string{"GET", "HEAD", "POST", "PUT"} // and DELETE for owners
	exposedHeaders = []string{"etag", "retry-after", "x-amz-error-code", "x-amz-version-id", "x-oncegate-reason"}
)

const corsSeconds = 600

// removedHeaders never reach a viewer. S3 redirects a PUT if the bucket is in another Region,
// or was made only minutes ago. The Location of such an answer may repeat the query of the
// request, which holds the upload signature and the session token. CloudFront passes redirects
// on to the viewer, and only this policy can change them:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/http-3xx-status-codes.html
var removedHeaders = []string{"location"}

// newResponseHeadersPolicy puts CORS and security headers on what S3 answers,
// errors included, and takes away what no viewer may see. AWS does not say whether it touches the functions' answers as well, so
// the origin's CORS headers are not overridden: those of a preflight, which names what the
// page asked for, stay as they are under both readings. S3's answers have none, for the
// bucket has no CORS rule, and get these:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/understanding-response-headers-policies.html
func newResponseHeadersPolicy(scope constructs.Construct, conf config.Config) awscloudfront.ResponseHeadersPolicy {
	props := &awscloudfront.ResponseHeadersPolicyProps{
		ResponseHeadersPolicyName: jsii.String(conf.Deploy.Name),
		RemoveHeaders:             jsii.Strings(removedHeaders...),
		SecurityHeadersBehavior: &awscloudfront.ResponseSecurityHeadersBehavior{
			ContentTypeOptions: &awscloudfront.ResponseHeadersContentTypeOptions{Override: jsii.Bool(true)},
			StrictTransportSecurity: &awscloudfront.ResponseHeadersStrictTransportSecurity{
				AccessControlMaxAge: days(365), Override: jsii.Bool(true),
			},
		},
	}
	if len(conf.AllowedOrigins) > 0 {
		methods := corsMethods
		if conf.OwnerAPI {
			methods = append([]string{"DELETE"}, methods...)
		}
		props.CorsBehavior = &awscloudfront.ResponseHeadersCorsBehavior{
			AccessControlAllowCredentials: jsii.Bool(!slices.Contains(conf.AllowedOrigins, "*")),
			AccessControlAllowHeaders:     jsii.Strings(corsHeaders...),
			AccessControlAllowMethods:     jsii.Strings(methods...),
			AccessControlAllowOrigins:     jsii.Strings(conf.AllowedOrigins...),
			AccessControlExposeHeaders:    jsii.Strings(exposedHeaders...),
			AccessControlMaxAge:           awscdk.Duration_Seconds(jsii.Number(corsSeconds)),
			OriginOverride:                jsii.Bool(false),
		}
	}
	return awscloudfront.NewResponseHeadersPolicy(scope, jsii.String("ResponseHeadersPolicy"), props)
}

// uncachedErrors keeps CloudFront from caching errors for ten seconds, its default. It
// has every status for which CloudFront offers that:
// https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_CustomErrorResponse.html
func uncachedErrors() *[]*awscloudfront.ErrorResponse {
	var responses []*awscloudfront.ErrorResponse
	for _, status := range []float64{400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504} {
		responses = append(responses, &awscloudfront.ErrorResponse{
			HttpStatus: jsii.Number(status), Ttl: awscdk.Duration_Seconds(jsii.Number(0)),
		})
	}
	return &responses
}

// newLogBucket makes the bucket of CloudFront's access logs. They are secret: they hold
// the query of every request, and so URLs that nobody has spent yet.
func newLogBucket(stack awscdk.Stack) awss3.Bucket {
	bucket := awss3.NewBucket(stack, jsii.String("AccessLogs"), &awss3.BucketProps{
		Encryption:        awss3.BucketEncryption_S3_MANAGED,
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		// CloudFront delivers by ACL:
		// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logging-legacy-s3.html
		ObjectOwnership: awss3.ObjectOwnership_BUCKET_OWNER_PREFERRED,
		EnforceSSL:      jsii.Bool(true),
		RemovalPolicy:   keep,
		LifecycleRules: &[]*awss3.LifecycleRule{{
			Id: jsii.String("logs"), Expiration: days(logDays), AbortIncompleteMultipartUploadAfter: days(1),
		}},
	})
	suppress(bucket, "AwsSolutions-S1", "It is itself a bucket of logs")
	awscdk.Annotations_Of(bucket).AddWarningV2(jsii.String("oncegate:access-logs"),
		jsii.String("accessLogs is on: the logs hold URLs that are not spent yet; anybody who reads them can upload"))
	return bucket
}
