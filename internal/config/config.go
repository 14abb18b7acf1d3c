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
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
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
	fields, problems, err := object(data)
	if err != nil {
		return Config{}, err
	}
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
	for _, f := range fields {
		set, ok := setters[f.name]
		if !ok {
			set, ok = deploySetters[f.name]
		}
		if !ok {
			problems = append(problems, fmt.Sprintf("unknown field %q: allowed are %s", f.name, fieldNames))
			continue
		}
		if err := set(&c, f.value); err != nil {
			problems = append(problems, f.name+" "+err.Error())
		}
	}
	if !named(fields, "bucket") {
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
var setters = map[string]func(*Config, json.RawMessage) error{
	"bucket": func(c *Config, raw json.RawMessage) error {
		s, ok := text(raw)
		if !ok || !validBucket(s) {
			return fmt.Errorf("is %s: %s", shown(raw), bucketRule)
		}
		c.Bucket = s
		return nil
	},
	"region": func(c *Config, raw json.RawMessage) error {
		s, ok := text(raw)
		if !ok || !validRegion(s) {
			return fmt.Errorf("is %s: allowed is a Region code such as us-east-1", shown(raw))
		}
		c.Region = s
		return nil
	},
	"expires":    seconds(func(c *Config) *time.Duration { return &c.Expires }),
	"maxExpires": seconds(func(c *Config) *time.Duration { return &c.MaxExpires }),
	"maxBytes": func(c *Config, raw json.RawMessage) error {
		var bytes int64
		if isNull(raw) || json.Unmarshal(raw, &bytes) != nil || bytes < 1 || bytes > MaxUpload {
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
	"firstVersion": func(c *Config, raw json.RawMessage) error {
		s, ok := text(raw)
		if !ok || s != Conditional && s != Listed {
			return fmt.Errorf("is %s: allowed are %q and %q", shown(raw), Conditional, Listed)
		}
		c.FirstVersion = s
		return nil
	},
	"allowedOrigins": func(c *Config, raw json.RawMessage) error {
		var items []json.RawMessage
		if isNull(raw) || json.Unmarshal(raw, &items) != nil {
			return fmt.Errorf("is %s: %s", shown(raw), originsRule)
		}
		origins := make([]string, 0, len(items))
		seen := map[string]bool{}
		for _, item := range items {
			s, ok := text(item)
			if !ok || s != "*" && !validOrigin(s) {
				return fmt.Errorf("has %s: %s", shown(item), originsRule)
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

func seconds(of func(*Config) *time.Duration) func(*Config, json.RawMessage) error {
	return func(c *Config, raw json.RawMessage) error {
		var n int64
		limit := int64(MaxExpires / time.Second)
		if isNull(raw) || json.Unmarshal(raw, &n) != nil || n < 1 || n > limit {
			return fmt.Errorf("is %s: allowed are whole seconds from 1 to %d", shown(raw), limit)
		}
		*of(c) = time.Duration(n) * time.Second
		return nil
	}
}

type field struct {
	name  string
	value json.RawMessage
}

// object splits a document into its fields, in order. It walks the tokens itself
// because json.Unmarshal matches names without regard to case and lets the last
// of two equal names win.
func object(data []byte) (fields []field, problems []string, err error) {
	const want = "want one JSON object, {\"bucket\": \"…\"}"
	d := json.NewDecoder(bytes.NewReader(data))
	t, err := d.Token()
	if errors.Is(err, io.EOF) {
		return nil, nil, errors.New("document is empty: " + want)
	}
	if err != nil {
		return nil, nil, malformed(d, err)
	}
	if t != json.Delim('{') {
		return nil, nil, errors.New("document is not an object: " + want)
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, nil, malformed(d, err)
		}
		name := t.(string) // the decoder lets nothing but a string stand here
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, nil, malformed(d, err)
		}
		if seen[name] {
			problems = append(problems, fmt.Sprintf("field %q is given twice", name))
		}
		seen[name] = true
		fields = append(fields, field{name, value})
	}
	if _, err := d.Token(); err != nil {
		return nil, nil, malformed(d, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, errors.New("something follows the closing brace: " + want)
	}
	return fields, problems, nil
}

func malformed(d *json.Decoder, err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("not valid JSON near byte %d: %w", d.InputOffset(), err)
}

func named(fields []field, name string) bool {
	for _, f := range fields {
		if f.name == name {
			return true
		}
	}
	return false
}

func isNull(raw json.RawMessage) bool { return string(raw) == "null" }

// text is the JSON string in raw; null, which encoding/json would take as "leave
// it alone", is none.
func text(raw json.RawMessage) (string, bool) {
	var s string
	if isNull(raw) || json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	return s, true
}

// shown is raw, short enough for one line.
func shown(raw json.RawMessage) string {
	s := string(raw)
	var line bytes.Buffer
	if json.Compact(&line, raw) == nil {
		s = line.String()
	}
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}
