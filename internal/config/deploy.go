package config

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"oncegate/internal/lean/strictjson"
)

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

func defaultDeploy() Deploy {
	return Deploy{
		Name:            "oncegate",
		Runtime:         RuntimeEdge,
		RegionalMemory:  256,
		Memory:          128,
		Timeout:         5,
		NodeRuntime:     Node22,
		KeepExpiredDays: 30,
		PriceClass:      "PriceClass_All",
		WAFRate:         300,
		AlarmRefusals:   100,
	}
}

// deploySetters are the setters of Deploy.
var deploySetters = map[string]func(*Config, strictjson.Value) error{
	"name": func(c *Config, raw strictjson.Value) error {
		s, ok := raw.Text()
		if !ok || len(s) > 40 || !label(s) || !lower(s[0]) {
			return fmt.Errorf("is %s: allowed are 1 to 40 of a-z, 0-9 and hyphen, beginning with a letter and not ending with a hyphen", shown(raw))
		}
		c.Deploy.Name = s
		return nil
	},
	"runtime":         oneOf(func(c *Config) *string { return &c.Deploy.Runtime }, RuntimeEdge, RuntimeRegional),
	"regionalMemory":  whole(128, 10240, "MB", func(c *Config) *int { return &c.Deploy.RegionalMemory }),
	"memory":          whole(128, 10240, "MB", func(c *Config) *int { return &c.Deploy.Memory }),
	"timeout":         whole(1, 30, "seconds", func(c *Config) *int { return &c.Deploy.Timeout }),
	"nodeRuntime":     oneOf(func(c *Config) *string { return &c.Deploy.NodeRuntime }, Node22, Node24),
	"keepExpiredDays": whole(KeepValidDays+1, 3650, "days", func(c *Config) *int { return &c.Deploy.KeepExpiredDays }),
	"keepUploadsDays": whole(0, 36500, "days, 0 for ever", func(c *Config) *int { return &c.Deploy.KeepUploadsDays }),
	"domain": func(c *Config, raw strictjson.Value) error {
		s, ok := raw.Text()
		if !ok || len(s) > 253 || !strings.Contains(s, ".") || !labels(s) {
			return fmt.Errorf("is %s: allowed is a lower-case host name such as upload.example.com", shown(raw))
		}
		c.Deploy.Domain = s
		return nil
	},
	"certificateArn": func(c *Config, raw strictjson.Value) error {
		// CloudFront takes certificates from us-east-1 only:
		// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cnames-and-https-requirements.html
		s, ok := raw.Text()
		account, id, cut := strings.Cut(strings.TrimPrefix(s, "arn:aws:acm:us-east-1:"), ":certificate/")
		if !ok || !cut || len(account) != 12 || !only(account, digit) || !label(id) {
			return fmt.Errorf("is %s: allowed is the ARN of an ACM certificate in us-east-1, arn:aws:acm:us-east-1:<account>:certificate/<id>", shown(raw))
		}
		c.Deploy.CertificateARN = s
		return nil
	},
	"priceClass": oneOf(func(c *Config) *string { return &c.Deploy.PriceClass }, "PriceClass_100", "PriceClass_200", "PriceClass_All"),
	"waf":        boolean(func(c *Config) *bool { return &c.Deploy.WAF }),
	// The range that AWS WAF takes for the limit of a rate-based rule.
	"wafRate":    whole(10, 2_000_000_000, "requests in five minutes", func(c *Config) *int { return &c.Deploy.WAFRate }),
	"accessLogs": boolean(func(c *Config) *bool { return &c.Deploy.AccessLogs }),
	"alarmEmail": func(c *Config, raw strictjson.Value) error {
		s, ok := raw.Text()
		user, host, cut := strings.Cut(s, "@")
		if !ok || !cut || user == "" || !strings.Contains(host, ".") || !only(host, func(c byte) bool {
			return lower(c) || digit(c) || c >= 'A' && c <= 'Z' || c == '-' || c == '.'
		}) || strings.ContainsAny(user, " \t\r\n\"<>") {
			return fmt.Errorf("is %s: allowed is one e-mail address", shown(raw))
		}
		c.Deploy.AlarmEmail = s
		return nil
	},
	"alarmRefusals": whole(1, math.MaxInt32, "answers in five minutes", func(c *Config) *int { return &c.Deploy.AlarmRefusals }),
}

// check is about fields that go together.
func (d Deploy) check() error {
	if (d.Domain == "") != (d.CertificateARN == "") {
		return errors.New("domain and certificateArn go together: set both or neither")
	}
	return nil
}

func whole(least, most int, unit string, of func(*Config) *int) func(*Config, strictjson.Value) error {
	return func(c *Config, raw strictjson.Value) error {
		n, ok := raw.Int()
		if !ok || n < int64(least) || n > int64(most) {
			return fmt.Errorf("is %s: allowed are whole numbers from %d to %d (%s)", shown(raw), least, most, unit)
		}
		*of(c) = int(n)
		return nil
	}
}

func boolean(of func(*Config) *bool) func(*Config, strictjson.Value) error {
	return func(c *Config, raw strictjson.Value) error {
		b, ok := raw.Bool()
		if !ok {
			return fmt.Errorf("is %s: allowed are true and false", shown(raw))
		}
		*of(c) = b
		return nil
	}
}

func oneOf(of func(*Config) *string, values ...string) func(*Config, strictjson.Value) error {
	return func(c *Config, raw strictjson.Value) error {
		s, ok := raw.Text()
		for _, v := range values {
			if ok && s == v {
				*of(c) = v
				return nil
			}
		}
		return fmt.Errorf("is %s: allowed are %s", shown(raw), strings.Join(values, ", "))
	}
}
