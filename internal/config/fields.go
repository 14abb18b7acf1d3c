package config

import (
	"fmt"
	"math"
	"time"

	"oncegate/internal/lean/nearest"
	"oncegate/internal/lean/strictjson"
)

// Field is one setting of config.json.
type Field struct {
	Name string
	// Default is the value, in JSON, where config.json leaves the field out; "" is
	// none.
	Default string
	// Deploy reports whether the field is about the deployment around the functions.
	Deploy bool

	kind kind
}

// Allowed describes the values that the field takes. It completes "allowed is …".
func (f Field) Allowed() string { return f.kind.allowed() }

// Fields are all settings, in the order in which they are documented and printed.
func Fields() []Field { return fields }

const (
	functions  = false
	deployment = true
)

// fields defines every setting. Rules about two settings at once are in Parse.
var fields = []Field{
	{"bucket", ``, functions, text{bucketRule, validBucket, func(c *Config) *string { return &c.Bucket }}},
	{"region", `"` + DefaultRegion + `"`, functions, text{"a Region code such as us-east-1", validRegion, func(c *Config) *string { return &c.Region }}},
	{"expires", `900`, functions, number[time.Duration]{1, MaxExpires / time.Second, time.Second, "seconds", func(c *Config) *time.Duration { return &c.Expires }}},
	{"maxExpires", `86400`, functions, number[time.Duration]{1, MaxExpires / time.Second, time.Second, "seconds, at least expires", func(c *Config) *time.Duration { return &c.MaxExpires }}},
	{"maxBytes", `5368709120`, functions, number[int64]{1, MaxUpload, 1, "bytes", func(c *Config) *int64 { return &c.MaxBytes }}},
	{"minBytes", `1`, functions, number[int64]{0, MaxUpload, 1, "bytes, at most maxBytes", func(c *Config) *int64 { return &c.MinBytes }}},
	{"maxCount", `10`, functions, number[int]{1, MaxMaxCount, 1, "URLs", func(c *Config) *int { return &c.MaxCount }}},
	{"allowedOrigins", `[]`, functions, origins{}},
	{"multipart", `true`, functions, boolean(func(c *Config) *bool { return &c.Multipart })},
	{"auth", `"none"`, functions, authKind{}},
	{"ownerApi", `false`, functions, boolean(func(c *Config) *bool { return &c.OwnerAPI })},
	{"prefixes", `[]`, functions, prefixes},
	{"tags", `[]`, functions, tags},
	{"storageClass", `"STANDARD"`, functions, oneOf{func(c *Config) *string { return &c.StorageClass }, []string{Standard, InfrequentAccess, IntelligentTiering, InstantRetrieval}}},
	{"sha256", `false`, functions, boolean(func(c *Config) *bool { return &c.SHA256 })},
	{"writeOnce", `false`, functions, boolean(func(c *Config) *bool { return &c.WriteOnce })},
	{"firstVersion", `"conditional"`, functions, oneOf{func(c *Config) *string { return &c.FirstVersion }, []string{Conditional, Listed}}},
	{"index", `"s3"`, functions, oneOf{func(c *Config) *string { return &c.Index }, []string{IndexS3, IndexDynamoDB}}},
	{"versioned", `true`, functions, boolean(func(c *Config) *bool { return &c.Versioned })},
	{"acceptance", `false`, functions, acceptanceKind{}},
	{"page", `true`, functions, pageKind{}},

	{"name", `"oncegate"`, deployment, text{nameRule, validName, func(c *Config) *string { return &c.Deploy.Name }}},
	{"existingBucket", `false`, deployment, boolean(func(c *Config) *bool { return &c.Deploy.ExistingBucket })},
	{"kmsKey", ``, deployment, text{kmsKeyRule, validKMSKey, func(c *Config) *string { return &c.Deploy.KMSKey }}},
	{"runtime", `"edge"`, deployment, oneOf{func(c *Config) *string { return &c.Deploy.Runtime }, []string{RuntimeEdge, RuntimeRegional}}},
	{"memory", `256`, deployment, number[int]{128, 10240, 1, "MB", func(c *Config) *int { return &c.Deploy.Memory }}},
	{"timeout", `5`, deployment, number[int]{1, 30, 1, "seconds", func(c *Config) *int { return &c.Deploy.Timeout }}},
	{"nodeRuntime", `"nodejs22.x"`, deployment, oneOf{func(c *Config) *string { return &c.Deploy.NodeRuntime }, []string{Node22, Node24}}},
	{"regionalMemory", `256`, deployment, number[int]{128, 10240, 1, "MB", func(c *Config) *int { return &c.Deploy.RegionalMemory }}},
	{"keepExpiredDays", `30`, deployment, number[int]{KeepValidDays + 1, 3650, 1, "days", func(c *Config) *int { return &c.Deploy.KeepExpiredDays }}},
	{"keepUploadsDays", `0`, deployment, number[int]{0, 36500, 1, "days, 0 for ever", func(c *Config) *int { return &c.Deploy.KeepUploadsDays }}},
	{"domain", ``, deployment, text{"a lower-case host name such as upload.example.com", validDomain, func(c *Config) *string { return &c.Deploy.Domain }}},
	{"certificateArn", ``, deployment, text{certificateRule, validCertificate, func(c *Config) *string { return &c.Deploy.CertificateARN }}},
	{"priceClass", `"PriceClass_All"`, deployment, oneOf{func(c *Config) *string { return &c.Deploy.PriceClass }, []string{"PriceClass_100", "PriceClass_200", "PriceClass_All"}}},
	{"waf", `false`, deployment, boolean(func(c *Config) *bool { return &c.Deploy.WAF })},
	// The range that AWS WAF takes for the limit of a rate-based rule.
	{"wafRate", `300`, deployment, number[int]{10, 2_000_000_000, 1, "requests in 5 minutes", func(c *Config) *int { return &c.Deploy.WAFRate }}},
	{"accessLogs", `false`, deployment, boolean(func(c *Config) *bool { return &c.Deploy.AccessLogs })},
	{"alarmEmail", ``, deployment, text{"one e-mail address", validEmail, func(c *Config) *string { return &c.Deploy.AlarmEmail }}},
	{"alarmFailures", `1`, deployment, number[int]{1, math.MaxInt32, 1, "answers in a minute", func(c *Config) *int { return &c.Deploy.AlarmFailures }}},
	{"alarmRefusals", `100`, deployment, number[int]{1, math.MaxInt32, 1, "answers in a minute", func(c *Config) *int { return &c.Deploy.AlarmRefusals }}},
}

func field(name string) (Field, bool) {
	for _, f := range fields {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

func names() []string {
	all := make([]string, len(fields))
	for i, f := range fields {
		all[i] = f.Name
	}
	return all
}

// unknownField is the error for a field that does not exist. It suggests the nearest
// one.
func unknownField(name string) string {
	problem := fmt.Sprintf("unknown field %q", name)
	if meant := nearest.Name(name, names()); meant != "" {
		problem += fmt.Sprintf(" (did you mean %q?)", meant)
	}
	return problem
}

func (f Field) setDefault(c *Config) {
	if f.Default == "" {
		return
	}
	value, err := strictjson.Parse(f.Default)
	if _, ok := f.kind.read(c, value); err != nil || !ok {
		panic("config: the default of " + f.Name + " is not allowed")
	}
}
