package config

import (
	"errors"
	"strings"
	"time"
)

// Deploy is the deployment around the functions. Of it the functions themselves use
// KeepsEntries and KMSKey alone.
type Deploy struct {
	// Name is the first part of every name in the deployment, except the bucket's.
	Name string
	// ExistingBucket says that the bucket is there already, with what else is in it. Then the
	// deploy leaves it as it is, and oncegate doctor says what must change in it.
	ExistingBucket bool
	// KMSKey is the key that an existing bucket encrypts with: an ARN, AWSManagedKey, or "" for
	// S3's own keys.
	KMSKey string
	// Runtime is where the functions decide: RuntimeEdge or RuntimeRegional.
	Runtime string
	// RegionalMemory is that of each regional function, in MB.
	RegionalMemory int
	// Memory is that of each edge function, in MB.
	Memory int
	// Timeout is that of each function, in seconds.
	Timeout int
	// NodeRuntime is that of the edge functions: Node22 or Node24.
	NodeRuntime string
	// KeepExpiredDays is how long expired entries stay in the index.
	KeepExpiredDays int
	// KeepUploadsDays is how long uploads stay in the bucket. 0 is for ever.
	KeepUploadsDays int
	// Domain is a host name of the distribution besides CloudFront's, or empty.
	// CertificateARN is set exactly when Domain is.
	Domain, CertificateARN string
	// PriceClass is CloudFront's name for a set of edge locations.
	PriceClass string
	// WAF puts a web ACL in front of /url. WAFRate is how many requests in five minutes
	// it allows one address.
	WAF     bool
	WAFRate int
	// AccessLogs turns CloudFront's logs on. They hold URLs that are not spent yet.
	AccessLogs bool
	// AlarmEmail receives the alarms, or is empty. AlarmFailures is how many 5xx answers
	// make a minute a failing one, of which a few raise one. AlarmRefusals is how many 403
	// answers in one minute raise one.
	AlarmEmail                   string
	AlarmFailures, AlarmRefusals int
}

// The values of Deploy.Runtime.
const (
	// RuntimeEdge decides in Lambda@Edge, where the viewer is.
	RuntimeEdge = "edge"
	// RuntimeRegional decides in Lambda in the bucket's Region. What runs at the edge
	// only asks.
	RuntimeRegional = "regional"
)

// The values of Deploy.NodeRuntime.
const (
	Node22 = "nodejs22.x"
	Node24 = "nodejs24.x"
)

// AWSManagedKey is the value of Deploy.KMSKey for the key that AWS keeps for S3 in each account.
// Everybody in the account who may use the bucket may use it.
const AWSManagedKey = "aws/s3"

// KeepValidDays is how long valid entries stay in the index: a day more than the
// longest life of a URL. Expired entries must stay longer, or a spent URL would be
// good again.
const KeepValidDays = int(MaxExpires/(24*3600e9)) + 1

// KeepNoncurrentDays is how many days S3 keeps a version that was replaced or deleted.
const KeepNoncurrentDays = 30

// KeepInvitationsDays is how long a record or a slot of an invitation stays after it was
// last written: a day more than the longest life of an invitation. A slot that went before
// the record would be free again.
const KeepInvitationsDays = 91

// KeepsEntries is how long an expired entry is there for certain. S3 removes objects after
// the end of the day (UTC) on which their time is over, and CloudFormation changes rule
// and functions one after the other, so it is a day less than the rule says.
func (d Deploy) KeepsEntries() time.Duration {
	return time.Duration(d.KeepExpiredDays-1) * 24 * time.Hour
}

// FunctionName is Lambda's name for an edge function, mint or gate.
func (d Deploy) FunctionName(function string) string { return d.Name + "-" + function }

// RegionalName is Lambda's name for the regional function that decides for mint or
// gate.
func (d Deploy) RegionalName(function string) string { return d.Name + "-regional-" + function }

// check returns an error if fields do not go together. region is the bucket's.
func (d Deploy) check(region string) error {
	switch {
	case d.KMSKey != "" && !d.ExistingBucket:
		return errors.New("kmsKey is set and existingBucket is false: the bucket that the deploy makes is encrypted with S3's keys; allowed is existingBucket true, or no kmsKey")
	case d.KMSKey != "" && d.KMSKey != AWSManagedKey && strings.Split(d.KMSKey, ":")[3] != region:
		return errors.New("kmsKey is in another Region than the bucket, and S3 takes no such key: allowed is a key in " + region)
	}
	if (d.Domain == "") != (d.CertificateARN == "") {
		return errors.New("domain and certificateArn go together: set both or neither")
	}
	return nil
}
