package cfn

import (
	"bytes"
	"encoding/json"
)

// Bucket is the bucket of uploads and index.
type Bucket struct {
	ID     string
	Region string
	Removal
	BucketProperties
	Policy BucketPolicy
}

// Removal is what becomes of a resource that a stack no longer has.
type Removal struct {
	DeletionPolicy      string // when it leaves the stack, or the stack goes
	UpdateReplacePolicy string // when another one takes its place
}

// BucketProperties are those of AWS::S3::Bucket.
type BucketProperties struct {
	BucketName       string
	BucketEncryption struct {
		ServerSideEncryptionConfiguration []struct {
			ServerSideEncryptionByDefault struct{ SSEAlgorithm, KMSMasterKeyID string }
			BucketKeyEnabled              bool
		}
	}
	CorsConfiguration struct {
		CorsRules []CorsRule
	}
	AccessControl          string
	LifecycleConfiguration struct{ Rules []LifecycleRule }
	MetricsConfigurations  []struct{ Id string }
	// NotificationConfiguration says which events go to which queues, and whether all go to
	// the event bus.
	NotificationConfiguration struct {
		EventBridgeConfiguration struct{ EventBridgeEnabled bool }
		QueueConfigurations      []Notification
	}
	OwnershipControls struct {
		Rules []struct{ ObjectOwnership string }
	}
	PublicAccessBlockConfiguration struct {
		BlockPublicAcls, BlockPublicPolicy, IgnorePublicAcls, RestrictPublicBuckets bool
	}
	VersioningConfiguration struct{ Status string }
}

// Notification sends events under a key prefix to a queue.
type Notification struct {
	Event, Queue string // such as s3:ObjectCreated:*; the queue's ARN
	Filter       struct {
		S3Key struct {
			Rules []struct{ Name, Value string }
		}
	}
}

// Queue is an SQS queue.
type Queue struct {
	ID, Region, ARN, URL string
	QueueProperties
	Policy PolicyDocument
}

// QueueProperties are those of AWS::SQS::Queue.
type QueueProperties struct {
	QueueName              string
	MessageRetentionPeriod int
	RedrivePolicy          struct {
		DeadLetterTargetArn string `json:"deadLetterTargetArn"`
		MaxReceiveCount     int    `json:"maxReceiveCount"`
	}
	SqsManagedSseEnabled bool
	VisibilityTimeout    int
}

// Rule is a rule of the default event bus.
type Rule struct {
	Name, Description, State string
	EventPattern             map[string]any
	Targets                  []struct{ Id, Arn string }
}

// EventSource makes a function follow a queue.
type EventSource struct {
	BatchSize                    int
	EventSourceArn, FunctionName string
	FunctionResponseTypes        []string
	ScalingConfig                struct{ MaximumConcurrency int }
}

// CorsRule is one rule of the bucket's CORS configuration.
type CorsRule struct {
	AllowedHeaders, AllowedMethods, AllowedOrigins, ExposedHeaders []string
	MaxAge                                                         int
}

// LifecycleRule is one rule of the bucket's lifecycle.
type LifecycleRule struct {
	Id, Prefix, Status             string
	ExpirationInDays               int
	ExpiredObjectDeleteMarker      bool
	AbortIncompleteMultipartUpload struct{ DaysAfterInitiation int }
	NoncurrentVersionExpiration    struct{ NoncurrentDays int }
	TagFilters                     []struct{ Key, Value string }
}

// BucketPolicy is the policy that is attached to a bucket.
type BucketPolicy struct {
	Removal
	BucketPolicyProperties
}

// BucketPolicyProperties are those of AWS::S3::BucketPolicy.
type BucketPolicyProperties struct {
	Bucket         string
	PolicyDocument PolicyDocument
}

// Table is the table of the signature index, in one Region. A global table is another type of
// resource, and not understood.
type Table struct {
	ID, Region string
	Removal
	TableProperties
	// After is what CloudFormation may make later than the table.
	After []Later
}

// TableProperties are those of AWS::DynamoDB::Table. Without SSESpecification the key is one
// of AWS's own.
type TableProperties struct {
	TableName, BillingMode           string
	AttributeDefinitions             []struct{ AttributeName, AttributeType string }
	KeySchema                        []struct{ AttributeName, KeyType string }
	DeletionProtectionEnabled        bool
	PointInTimeRecoverySpecification struct{ PointInTimeRecoveryEnabled bool }
	TimeToLiveSpecification          struct {
		AttributeName string
		Enabled       bool
	}
}

// Role is an execution role.
type Role struct {
	ID string
	RoleProperties
}

// RoleProperties are those of AWS::IAM::Role.
type RoleProperties struct {
	AssumeRolePolicyDocument PolicyDocument
	Description              string
	ManagedPolicyArns        []string
	Policies                 []struct {
		PolicyName     string
		PolicyDocument PolicyDocument
	}
}

// Function is a Lambda function.
type Function struct {
	ID     string
	Region string
	FunctionProperties
	Role      *Role
	Directory string // the unpacked code
	// VersionRemovals are those of its published versions.
	VersionRemovals []Removal
	Sources         []EventSource
}

// RegionalRuntime is the Lambda runtime of the regional functions, which are Go programs.
const RegionalRuntime = "provided.al2023"

// Code is where the code of a function is: in S3, or, in a template for aws cloudformation
// package, in a directory beside the template.
// https://docs.aws.amazon.com/cli/latest/reference/cloudformation/package.html
type Code struct{ S3Bucket, S3Key, Directory string }

// UnmarshalJSON implements json.Unmarshaler.
func (c *Code) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte(`"`)) {
		return json.Unmarshal(data, &c.Directory)
	}
	var in struct{ S3Bucket, S3Key string }
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(&in)
	c.S3Bucket, c.S3Key = in.S3Bucket, in.S3Key
	return err
}

// FunctionProperties are those of AWS::Lambda::Function.
type FunctionProperties struct {
	Architectures               []string
	Code                        Code
	Description                 string
	Environment                 struct{ Variables map[string]string }
	FunctionName, Handler, Role string
	LoggingConfig               struct{ LogFormat, LogGroup string }
	MemorySize, Timeout         int
	Runtime                     string
}

// OriginRequestPolicy says what CloudFront sends to the origin besides path and body.
type OriginRequestPolicy struct {
	Comment, Name string
	CookiesConfig struct {
		CookieBehavior string
		Cookies        []string
	}
	HeadersConfig struct {
		HeaderBehavior string
		Headers        []string
	}
	QueryStringsConfig struct {
		QueryStringBehavior string
		QueryStrings        []string
	}
}

// ResponseHeadersPolicy says which headers CloudFront adds to answers, and which it removes.
type ResponseHeadersPolicy struct {
	Comment, Name string
	CorsConfig    *struct {
		AccessControlAllowCredentials bool
		AccessControlAllowHeaders     struct{ Items []string }
		AccessControlAllowMethods     struct{ Items []string }
		AccessControlAllowOrigins     struct{ Items []string }
		AccessControlExposeHeaders    struct{ Items []string }
		AccessControlMaxAgeSec        int
		OriginOverride                bool
	}
	RemoveHeadersConfig   struct{ Items []struct{ Header string } }
	SecurityHeadersConfig struct {
		ContentTypeOptions      *struct{ Override bool }
		StrictTransportSecurity *struct {
			AccessControlMaxAgeSec               int
			IncludeSubdomains, Override, Preload bool
		}
	}
}

// OriginAccessControl says when CloudFront signs requests to an origin.
type OriginAccessControl struct {
	Description, Name             string
	OriginAccessControlOriginType string
	SigningBehavior               string // always, never or no-override
	SigningProtocol               string
}

// Distribution is the CloudFront distribution.
type Distribution struct {
	ID string
	DistributionConfig
}

// DistributionConfig is the property of that name of AWS::CloudFront::Distribution.
type DistributionConfig struct {
	Aliases              []string
	CacheBehaviors       []Behavior
	Comment              string
	CustomErrorResponses []struct {
		ErrorCode, ErrorCachingMinTTL int
		ResponseCode                  int
		ResponsePagePath              string
	}
	DefaultCacheBehavior Behavior
	DefaultRootObject    string
	Enabled, IPV6Enabled bool
	HttpVersion          string
	Logging              *struct {
		Bucket, Prefix string
		IncludeCookies bool
	}
	Origins           []Origin
	PriceClass        string
	ViewerCertificate ViewerCertificate
	WebACLId          string
}

// ViewerCertificate is what viewers are shown, and how. Without one it is CloudFront's own,
// for CloudFront's own name. A certificate that IAM keeps is not understood.
type ViewerCertificate struct {
	AcmCertificateArn, MinimumProtocolVersion, SslSupportMethod string
}

// Behaviors returns all cache behaviors in CloudFront's order, the default one last.
func (c *DistributionConfig) Behaviors() []*Behavior {
	var all []*Behavior
	for i := range c.CacheBehaviors {
		all = append(all, &c.CacheBehaviors[i])
	}
	return append(all, &c.DefaultCacheBehavior)
}

// AllViewerExceptHostHeader is the id of the managed origin request policy of that name:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-origin-request-policies.html
const AllViewerExceptHostHeader = "b689b0a8-53d0-40ab-baf2-68738e2966ac"

// CachingDisabled is the id of the managed cache policy of that name:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html
const CachingDisabled = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"

// Behavior is a cache behavior; the default one has no PathPattern.
type Behavior struct {
	PathPattern                                                   string
	AllowedMethods, CachedMethods                                 []string
	CachePolicyId, OriginRequestPolicyId, ResponseHeadersPolicyId string
	Compress                                                      bool
	LambdaFunctionAssociations                                    []Association
	FunctionAssociations                                          []struct{ EventType, FunctionARN string }
	TargetOriginId, ViewerProtocolPolicy                          string
}

// Association attaches a function to an event of a behavior.
type Association struct {
	EventType         string
	IncludeBody       bool
	LambdaFunctionARN string
	Function          *Function `json:"-"`
}

// Origin is where CloudFront sends the requests that it does not answer itself.
type Origin struct {
	Id, DomainName, OriginPath string
	OriginAccessControlId      string
	OriginCustomHeaders        []struct{ HeaderName, HeaderValue string }
	S3OriginConfig             *struct {
		OriginAccessIdentity string
		OriginReadTimeout    int // seconds
	}
	ConnectionAttempts int
	ConnectionTimeout  int
}

// WebACL is a WAF web ACL. The details of its rules are kept as JSON values.
type WebACL struct {
	ID            string `json:"-"`
	Name, Scope   string
	DefaultAction map[string]any
	Rules         []WebACLRule
	// CustomResponseBodies are the bodies of the rules' answers, by name.
	CustomResponseBodies map[string]struct{ Content, ContentType string }
	VisibilityConfig     map[string]any
}

// WebACLRule is one rule of a web ACL.
type WebACLRule struct {
	Name             string
	Priority         int
	Action           map[string]any
	OverrideAction   map[string]any
	Statement        map[string]any
	VisibilityConfig map[string]any
}
