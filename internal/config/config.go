// Package config reads config.json, the one settings file of a deployment, strictly.
//
// A setting that is misspelt, given twice, of the wrong type or out of range is
// an error that names the field and what it allows, never a silent default.
// The package is also compiled for js/wasm and runs beside the edge functions,
// so it needs nothing but the standard library and does no I/O except in Load.
//
//	field           allowed                                       default
//	bucket          name of a general purpose bucket, no dots     required
//	region          a Region code such as us-east-1               us-east-1
//	expires         whole seconds from 1 to 604800                900
//	firstVersion    "conditional" or "listed"                     conditional
//	allowedOrigins  list of scheme://host[:port], or ["*"] alone  []
//	writeOnce       true or false                                 false
//	maxExpires      seconds, expires to 604800                    86400, or expires
//	maxBytes        bytes, 1 to 5368709120                        5368709120
//	maxCount        URLs in one answer, 1 to 10                   10
//	sha256          true or false                                 false
//	auth            "none", "api-key" or {"jwt": {"issuer": "…",  none
//	                "audience": "…", "jwks": "https://…"}}
//	ownerApi        true, with auth, or false                     false
//	acceptance      false, true or {"removeAfterDays": 8 to 3650, false
//	                "webhook": {"url": "https://…",
//	                "secret": "/parameter/name"}}
//
// The rest is about the deployment (type Deploy):
//
//	name             1 to 40 of a-z, 0-9, hyphen                  oncegate
//	runtime          "edge" or "regional"                         edge
//	regionalMemory   MB, 128 to 10240                             256
//	memory           MB, 128 to 10240                             128
//	timeout          seconds, 1 to 30                             5
//	nodeRuntime      nodejs22.x or nodejs24.x                     nodejs22.x
//	keepExpiredDays  days, 9 to 3650                              30
//	keepUploadsDays  days, 0 (for ever) to 36500                  0
//	domain           host name, with certificateArn               none
//	certificateArn   of an ACM certificate in us-east-1           none
//	priceClass       PriceClass_100, PriceClass_200 or _All       PriceClass_All
//	waf              true or false                                false
//	wafRate          requests for /url per address in 5 minutes   300
//	accessLogs       true or false                                false
//	alarmEmail       an e-mail address                            none
//	alarmRefusals    403 answers in 5 minutes that are an alarm   100
package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"oncegate/internal/lean/strictjson"
)

// Config is what config.json says, defaults filled in. Only Parse and Load make
// one, so a Config in hand is valid.
type Config struct {
	// Bucket holds the uploads and the signature index.
	Bucket string
	// Region is where the bucket is, not where a function happens to run.
	Region string
	// Expires is how long a minted URL lives: whole seconds.
	Expires time.Duration
	// FirstVersion says how the gate proves that its claim is the first version
	// of the expired entry: Conditional or Listed.
	FirstVersion string
	// AllowedOrigins are the web origins whose pages may read the answers; a
	// single "*" stands for every origin.
	AllowedOrigins []string
	// WriteOnce makes S3 itself keep every upload's key write-once: the gate signs
	// If-None-Match and CloudFront forwards it.
	WriteOnce bool
	// MaxExpires is the longest life that may be asked of mint: whole seconds, at
	// least Expires.
	MaxExpires time.Duration
	// MaxBytes is the largest upload that any URL takes.
	MaxBytes int64
	// MaxCount is how many URLs may be asked for at once.
	MaxCount int
	// SHA256 lets mint be asked for the body's SHA-256; the distribution then
	// forwards x-amz-checksum-sha256, which the gate sets and signs.
	SHA256 bool
	// Auth is who may mint.
	Auth Auth
	// OwnerAPI lets who minted a URL ask what became of it and take it back, over
	// HTTP. Only with Auth: it goes by who minted.
	OwnerAPI bool
	// Acceptance is what becomes of uploads once they are stored.
	Acceptance Acceptance
	// Deploy is the shape of the deployment around the edge functions.
	Deploy Deploy
}

// The values of Config.FirstVersion.
const (
	// Conditional trusts S3's conditional write alone.
	Conditional = "conditional"
	// Listed also lists the entry's versions after the write.
	Listed = "listed"
)

// Defaults, and the limits of expires: S3 refuses to look at a presigned URL
// that claims to live longer than seven days.
const (
	DefaultRegion  = "us-east-1"
	DefaultExpires = 15 * time.Minute
	// defaultMaxExpires gives way to a longer expires.
	defaultMaxExpires = 24 * time.Hour
	// MaxUpload is what one PUT to S3 can hold.
	MaxUpload = 5 << 30
	// MaxMaxCount keeps an answer of mint far below the 40 KB that CloudFront
	// allows a viewer-request function.
	MaxMaxCount = 10
	MaxExpires  = 7 * 24 * time.Hour
)

// PlaceholderBucket is the bucket of the checked-in config.json: good enough for
// one machine, where nobody else can own the name, and for nothing else.
const PlaceholderBucket = "oncegate-placeholder"

// ErrPlaceholder says that the bucket name was never chosen.
var ErrPlaceholder = errors.New("bucket is still the placeholder " + PlaceholderBucket)

// Load reads the file at path; its errors begin with the path.
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

// Parse reads one config.json. It reports every wrong field, not only the first.
func Parse(data []byte) (Config, error) {
	const want = "want one JSON object, {\"bucket\": \"…\"}"
	document, err := strictjson.Parse(string(data))
	switch {
	case errors.Is(err, strictjson.ErrEmpty):
		return Config{}, errors.New("document is empty: " + want)
	case errors.Is(err, strictjson.ErrMore):
		return Config{}, errors.New("something follows the closing brace: " + want)
	case err != nil:
		return Config{}, err
	case document.Kind != strictjson.Object:
		return Config{}, errors.New("document is not an object: " + want)
	}
	problems := twice(document)
	c := Config{
		Region:         DefaultRegion,
		Expires:        DefaultExpires,
		FirstVersion:   Conditional,
		AllowedOrigins: []string{},
		MaxBytes:       MaxUpload,
		MaxCount:       MaxMaxCount,
		Auth:           Auth{Kind: AuthNone},
		Deploy:         defaultDeploy(),
	}
	for _, f := range document.Members {
		set, ok := setters[f.Name]
		if !ok {
			set, ok = deploySetters[f.Name]
		}
		if !ok {
			problems = append(problems, fmt.Sprintf("unknown field %q: allowed are %s", f.Name, fieldNames))
			continue
		}
		if err := set(&c, f.Value); err != nil {
			problems = append(problems, f.Name+" "+err.Error())
		}
	}
	if document.Get("bucket").Kind == strictjson.Absent {
		problems = append(problems, "bucket is missing: "+bucketRule)
	}
	switch {
	case c.MaxExpires == 0:
		c.MaxExpires = max(defaultMaxExpires, c.Expires)
	case c.MaxExpires < c.Expires:
		problems = append(problems, "maxExpires is shorter than expires: allowed is at least as long")
	}
	if c.OwnerAPI && c.Auth.Kind == AuthNone {
		problems = append(problems, `ownerApi is true and auth "none": whoever mints has no name to own a URL by; allowed is false, or another auth`)
	}
	if err := c.Deploy.check(); err != nil && len(problems) == 0 {
		problems = append(problems, err.Error())
	}
	if len(problems) > 0 {
		return Config{}, errors.New(strings.Join(problems, "; "))
	}
	return c, nil
}

// Deployable refuses settings that only work on one machine.
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

const fieldNames = "bucket, region, expires, firstVersion, allowedOrigins, writeOnce, " +
	"maxExpires, maxBytes, maxCount, sha256, auth, ownerApi, acceptance, name, runtime, regionalMemory, memory, timeout, " +
	"nodeRuntime, keepExpiredDays, keepUploadsDays, domain, certificateArn, priceClass, waf, wafRate, accessLogs, " +
	"alarmEmail, alarmRefusals"

// setters checks and stores one field each. Their errors continue the sentence
// that begins with the field's name.
var setters = map[string]func(*Config, strictjson.Value) error{
	"bucket": func(c *Config, raw strictjson.Value) error {
		s, ok := raw.Text()
		if !ok || !validBucket(s) {
			return fmt.Errorf("is %s: %s", shown(raw), bucketRule)
		}
		c.Bucket = s
		return nil
	},
	"region": func(c *Config, raw strictjson.Value) error {
		s, ok := raw.Text()
		if !ok || !validRegion(s) {
			return fmt.Errorf("is %s: allowed is a Region code such as us-east-1", shown(raw))
		}
		c.Region = s
		return nil
	},
	"expires":    seconds(func(c *Config) *time.Duration { return &c.Expires }),
	"maxExpires": seconds(func(c *Config) *time.Duration { return &c.MaxExpires }),
	"maxBytes": func(c *Config, raw strictjson.Value) error {
		bytes, ok := raw.Int()
		if !ok || bytes < 1 || bytes > MaxUpload {
			return fmt.Errorf("is %s: allowed are bytes from 1 to %d", shown(raw), int64(MaxUpload))
		}
		c.MaxBytes = bytes
		return nil
	},
	"maxCount":   whole(1, MaxMaxCount, "URLs", func(c *Config) *int { return &c.MaxCount }),
	"sha256":     boolean(func(c *Config) *bool { return &c.SHA256 }),
	"auth":       setAuth,
	"ownerApi":   boolean(func(c *Config) *bool { return &c.OwnerAPI }),
	"acceptance": setAcceptance,
	"firstVersion": func(c *Config, raw strictjson.Value) error {
		s, ok := raw.Text()
		if !ok || s != Conditional && s != Listed {
			return fmt.Errorf("is %s: allowed are %q and %q", shown(raw), Conditional, Listed)
		}
		c.FirstVersion = s
		return nil
	},
	"allowedOrigins": func(c *Config, raw strictjson.Value) error {
		if raw.Kind != strictjson.Array {
			return fmt.Errorf("is %s: %s", shown(raw), originsRule)
		}
		origins := make([]string, 0, len(raw.Members))
		seen := map[string]bool{}
		for _, item := range raw.Members {
			s, ok := item.Text()
			if !ok || s != "*" && !validOrigin(s) {
				return fmt.Errorf("has %s: %s", shown(item.Value), originsRule)
			}
			if seen[s] {
				return fmt.Errorf("has %q twice", s)
			}
			seen[s] = true
			origins = append(origins, s)
		}
		if seen["*"] && len(origins) > 1 {
			return fmt.Errorf("has \"*\" beside other origins: %s", originsRule)
		}
		c.AllowedOrigins = origins
		return nil
	},
	"writeOnce": boolean(func(c *Config) *bool { return &c.WriteOnce }),
}

func seconds(of func(*Config) *time.Duration) func(*Config, strictjson.Value) error {
	return func(c *Config, raw strictjson.Value) error {
		n, ok := raw.Int()
		limit := int64(MaxExpires / time.Second)
		if !ok || n < 1 || n > limit {
			return fmt.Errorf("is %s: allowed are whole seconds from 1 to %d", shown(raw), limit)
		}
		*of(c) = time.Duration(n) * time.Second
		return nil
	}
}

// twice says which fields of an object are given more than once.
func twice(object strictjson.Value) (problems []string) {
	seen := map[string]bool{}
	for _, f := range object.Members {
		if seen[f.Name] {
			problems = append(problems, fmt.Sprintf("field %q is given twice", f.Name))
		}
		seen[f.Name] = true
	}
	return problems
}

// shown is raw, short enough for one line.
func shown(raw strictjson.Value) string {
	s := raw.Compact()
	if utf8.RuneCountInString(s) > 80 {
		return string([]rune(s)[:80]) + "…"
	}
	return s
}
