package config

import "errors"

// Deploy is what only the CDK app and the local edge act on: the shape of the
// deployment around the edge functions.
type Deploy struct {
	// Name begins the names of everything that the deployment makes, but not the
	// bucket's.
	Name string
	// Runtime is where the functions decide: RuntimeEdge or RuntimeRegional.
	Runtime string
	// RegionalMemory of each function beside the bucket, MB, with RuntimeRegional.
	RegionalMemory int
	// Memory of each edge function, MB.
	Memory int
	// Timeout of each edge function, seconds.
	Timeout int
	// NodeRuntime of the edge functions: Node22 or Node24.
	NodeRuntime string
	// KeepExpiredDays is how long expired entries stay in the index.
	KeepExpiredDays int
	// KeepUploadsDays is how long uploads stay in the bucket; 0 is for ever.
	KeepUploadsDays int
	// Domain is the distribution's own name beside the one that CloudFront gives
	// it, or empty; CertificateARN is set exactly when Domain is.
	Domain, CertificateARN string
	// PriceClass limits the edge locations, in CloudFront's words.
	PriceClass string
	// WAF puts a web ACL in front of /url; WAFRate is how many requests for /url
	// it allows one address in five minutes.
	WAF     bool
	WAFRate int
	// AccessLogs switches CloudFront's logs on. They hold URLs not yet spent.
	AccessLogs bool
	// AlarmEmail receives the alarms, or is empty; AlarmRefusals is how many 403
	// answers in five minutes are one.
	AlarmEmail    string
	AlarmRefusals int
}

// The values of Deploy.Runtime.
const (
	// RuntimeEdge decides in Lambda@Edge, where the viewer is.
	RuntimeEdge = "edge"
	// RuntimeRegional decides in Lambda where the bucket is; what runs at the edge
	// only asks.
	RuntimeRegional = "regional"
)

// The values of Deploy.NodeRuntime.
const (
	Node22 = "nodejs22.x"
	Node24 = "nodejs24.x"
)

// KeepValidDays is how long valid entries stay in the index: a day more than the
// longest life of a URL. Expired entries stay longer than that, or a spent URL
// could come back to life.
const KeepValidDays = int(MaxExpires/(24*3600e9)) + 1

// FunctionName is what Lambda calls a function at the edge, mint or gate.
func (d Deploy) FunctionName(function string) string { return d.Name + "-" + function }

// RegionalName is what Lambda calls the function beside the bucket that decides for
// mint or gate, with RuntimeRegional.
func (d Deploy) RegionalName(function string) string { return d.Name + "-regional-" + function }

// check is about fields that go together.
func (d Deploy) check() error {
	if (d.Domain == "") != (d.CertificateARN == "") {
		return errors.New("domain and certificateArn go together: set both or neither")
	}
	return nil
}
