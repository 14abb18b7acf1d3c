// Package config reads config.json, the one settings file of a deployment, strictly.
//
// A field that is unknown, given twice, of the wrong type or out of range is an error
// that names it and what is allowed, never a silent default. The package is part of
// the edge's wasm, so it stays small, and only Load does any I/O.
//
// The settings are the table in fields.go. docs/configuration.md explains each.
package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"oncegate/internal/lean/strictjson"
)

// Config is the settings with every default filled in. Only Parse and Load make one,
// so a Config is valid.
type Config struct {
	// Bucket holds the uploads and the signature index.
	Bucket string
	// Region is the bucket's, not the one that a function happens to run in.
	Region string
	// Expires is how long a URL lives, in whole seconds, if its request does not say.
	Expires time.Duration
	// FirstVersion says how the gate proves that its claim is the first version
	// of the expired entry: Conditional or Listed.
	FirstVersion string
	// Index is where the signature index is: IndexS3 or IndexDynamoDB.
	Index string
	// Versioned says that the bucket keeps earlier versions of its objects.
	Versioned bool
	// AllowedOrigins are the web origins whose pages may read the answers. A single
	// "*" is every origin.
	AllowedOrigins []string
	// WriteOnce has S3 itself refuse to replace an upload: the gate signs If-None-Match,
	// and CloudFront forwards it.
	WriteOnce bool
	// MaxExpires is the longest life that a request may ask for, in whole seconds. It
	// is at least Expires.
	MaxExpires time.Duration
	// MaxBytes is the largest upload that any URL takes.
	MaxBytes int64
	// MinBytes is the smallest upload that a URL takes if its request does not say. It
	// is at most MaxBytes.
	MinBytes int64
	// MaxCount is how many URLs one request may ask for.
	MaxCount int
	// SHA256 allows URLs that take one SHA-256 only. The gate signs
	// x-amz-checksum-sha256, and CloudFront forwards it.
	SHA256 bool
	// Prefixes are those that may be asked for: patterns of package layout.
	Prefixes []string
	// Tags are the keys of the tags that may be asked for. The gate signs x-amz-tagging, and
	// CloudFront forwards it.
	Tags []string
	// StorageClass is where S3 keeps what was uploaded, one of the four classes whose objects
	// survive the loss of a data centre and can be read at once. UploadClass and CopyClass say of what.
	StorageClass string
	// Multipart lets a URL also be used by a multipart upload.
	Multipart bool
	// Auth is who may mint.
	Auth Auth
	// OwnerAPI lets the owner of a URL ask for its state and revoke it over HTTP. It
	// needs Auth: without a credential a URL has no owner.
	OwnerAPI bool
	// Acceptance is what happens to uploads once they are stored.
	Acceptance Acceptance
	// Page is the page for people.
	Page Page
	// Deploy is the deployment around the functions.
	Deploy Deploy
}

// The values of Config.FirstVersion.
const (
	// Conditional trusts S3's conditional write alone.
	Conditional = "conditional"
	// Listed also lists the entry's versions after the write.
	Listed = "listed"
)

// The values of Config.Index.
const (
	// IndexS3 keeps the signature index in the bucket.
	IndexS3 = "s3"
	// IndexDynamoDB keeps it in a table in the bucket's Region. The bucket then holds only
	// uploads.
	IndexDynamoDB = "dynamodb"
)

// The values of Config.StorageClass, which are S3's:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html
const (
	Standard           = "STANDARD"
	InfrequentAccess   = "STANDARD_IA"
	IntelligentTiering = "INTELLIGENT_TIERING"
	InstantRetrieval   = "GLACIER_IR"
)

// UploadClass is the storage class that the gate asks S3 for, "" for S3's own choice. With
// Acceptance that is what it asks for: an upload then is removed after Acceptance.RemoveAfter,
// and the other classes bill 30 or 90 days of it at least.
func (c Config) UploadClass() string {
	if c.Acceptance.On {
		return ""
	}
	return c.CopyClass()
}

// CopyClass is the storage class that acceptance asks S3 for, "" for S3's own choice.
func (c Config) CopyClass() string {
	if c.StorageClass == Standard {
		return ""
	}
	return c.StorageClass
}

// Table is the name of the table with the signature index, if there is one.
func (c Config) Table() string { return c.Bucket + "-index" }

// Limits that other packages use as well.
const (
	// MaxExpires is the longest life of a URL: S3 refuses a presigned URL that claims
	// to live longer than seven days.
	MaxExpires = 7 * 24 * time.Hour
	// MaxPut is what one PUT to S3 can hold.
	MaxPut = 5 << 30
	// MaxUpload is the largest upload in parts: 1,000 of them, each as large as a PUT.
	MaxUpload = 1000 * MaxPut
	// MaxAccepted is the largest upload that acceptance copies in its time, 500 GiB.
	MaxAccepted = 500 << 30
	// MaxMaxCount keeps an answer of mint far below the 40 KB that CloudFront
	// allows a viewer-request function.
	MaxMaxCount = 10
)

// DefaultRegion is the bucket's Region where config.json names none.
const DefaultRegion = "us-east-1"

// PlaceholderBucket is the bucket of the config.json in the repository. It works on
// one machine, where nobody else can own the name, and is never deployed.
const PlaceholderBucket = "oncegate-placeholder"

// ErrPlaceholder is the error for a bucket name that was never chosen.
var ErrPlaceholder = errors.New("bucket is still the placeholder " + PlaceholderBucket)

// Load reads the file at path. An error names the path.
func Load(path string) (Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read settings: %w", err)
	}
	c, err := Parse(data)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Defaults are the settings where a config.json says nothing. They have no bucket.
func Defaults() Config {
	var c Config
	for _, f := range fields {
		f.setDefault(&c)
	}
	return c
}

// Parse reads the text of a config.json. Its error names every wrong field.
func Parse(data []byte) (Config, error) {
	document, err := parseObject(string(data))
	if err != nil {
		return Config{}, err
	}
	c := Defaults()
	problems := twice(document)
	unknown := false
	for _, m := range document.Members {
		f, ok := field(m.Name)
		if !ok {
			problems = append(problems, unknownField(m.Name))
			unknown = true
			continue
		}
		if why, ok := f.kind.read(&c, m.Value); !ok {
			problems = append(problems, fmt.Sprintf("%s is %s: %sallowed is %s", f.Name, shown(m.Value), why, f.Allowed()))
		}
	}
	given := func(name string) bool { return document.Get(name).Kind != strictjson.Absent }
	if !given("bucket") {
		problems = append(problems, "bucket is missing: allowed is "+bucketRule)
	}
	switch {
	case !given("maxExpires"):
		c.MaxExpires = max(c.MaxExpires, c.Expires)
	case c.MaxExpires < c.Expires:
		problems = append(problems, "maxExpires is shorter than expires: allowed is at least as long")
	}
	if c.MinBytes > c.MaxBytes {
		problems = append(problems, "minBytes is larger than maxBytes: allowed is at most as large")
	}
	switch {
	case c.MaxBytes <= MaxPut:
	case !c.Multipart:
		problems = append(problems, "maxBytes is more than one PUT holds and multipart is false: allowed is at most 5368709120, or multipart true")
	case c.Acceptance.On && c.MaxBytes > MaxAccepted:
		problems = append(problems, "maxBytes is more than acceptance can copy in its time: allowed is at most 536870912000 (500 GiB), or acceptance false")
	}
	if c.Index == IndexDynamoDB && c.FirstVersion == Listed {
		problems = append(problems, `firstVersion is "listed" and index is "dynamodb": a claim in a table has no versions; allowed is "conditional", or index "s3"`)
	}
	switch {
	case c.Versioned:
	case c.Index == IndexS3:
		problems = append(problems, `versioned is false and index is "s3": without versions a claim that is deleted leaves no trace; allowed is versioned true, or index "dynamodb"`)
	case c.Acceptance.On:
		problems = append(problems, "versioned is false and acceptance is on: it copies the first version; allowed is versioned true, or acceptance false")
	}
	if c.OwnerAPI && c.Auth.Kind == AuthNone {
		problems = append(problems, `ownerApi is true and auth is "none": a URL minted without a credential has no owner; allowed is ownerApi false, or another auth`)
	}
	if err := c.Deploy.check(c.Region); err != nil && len(problems) == 0 {
		problems = append(problems, err.Error())
	}
	if unknown {
		problems = append(problems, "allowed fields are "+strings.Join(names(), ", "))
	}
	if len(problems) > 0 {
		return Config{}, errors.New(strings.Join(problems, "; "))
	}
	return c, nil
}

// JSON returns the settings as a config.json, one per line, in the order of Fields.
// Fields without value and default are left out.
func (c Config) JSON() []byte {
	b := []byte("{")
	for _, f := range fields {
		value := f.kind.print(c)
		if len(value) == 0 {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(b, "\n  "...)
		b = append(append(strictjson.AppendString(b, f.Name), ": "...), value...)
	}
	return append(b, "\n}\n"...)
}

// Deployable returns an error if the settings only work on one machine.
func (c Config) Deployable() error {
	if c.Auth.JWT.Local() {
		return fmt.Errorf("auth.jwt.jwks is %s: anybody between could put keys of their own in; allowed is https", c.Auth.JWT.JWKS)
	}
	if c.Acceptance.Webhook.Local() {
		return fmt.Errorf("acceptance.webhook.url is %s: allowed is https", c.Acceptance.Webhook.URL)
	}
	if c.Bucket == PlaceholderBucket {
		return fmt.Errorf("%w: set \"bucket\" in config.json to a name of your own (%s)", ErrPlaceholder, bucketRule)
	}
	return nil
}
