package cfn

import (
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"oncegate/internal/config"
)

// Problem is a promise that a deployment breaks.
type Problem struct {
	Check  string // which promise: one of the names in checks
	Detail string // what breaks it
}

// String is the problem in one line.
func (p Problem) String() string { return p.Check + ": " + p.Detail }

// checks are the promises of a deployment.
var checks = []struct {
	name string
	run  func(*Deployment, config.Config, func(format string, args ...any))
}{
	{"bucket", checkBucket},
	{"lifecycle", checkLifecycle},
	{"bucket policy", checkBucketPolicy},
	{"associations", checkAssociations},
	{"functions", checkFunctions},
	{"permissions", checkPermissions},
	{"regional", checkRegional},
	{"acceptance", checkAcceptance},
	{"origin", checkOrigin},
	{"forwarding", checkForwarding},
	{"behaviors", checkBehaviors},
	{"viewer", checkViewer},
	{"response headers", checkResponseHeaders},
	{"web acl", checkWebACL},
}

// Check holds the deployment against what oncegate needs with these settings. A
// deployment without problems works as far as a template can tell.
func (d *Deployment) Check(conf config.Config) []Problem {
	var problems []Problem
	for _, c := range checks {
		c.run(d, conf, func(format string, args ...any) {
			problems = append(problems, Problem{c.name, fmt.Sprintf(format, args...)})
		})
	}
	return problems
}

func checkBucket(d *Deployment, conf config.Config, broken func(string, ...any)) {
	b := d.Bucket
	if b.BucketName != conf.Bucket || b.Region != conf.Region {
		broken("is %s in %s, the settings say %s in %s", b.BucketName, b.Region, conf.Bucket, conf.Region)
	}
	if b.VersioningConfiguration.Status != "Enabled" {
		broken("versioning is not enabled: the first-version rule has nothing to hold on to")
	}
	if e := b.BucketEncryption.ServerSideEncryptionConfiguration; len(e) != 1 || e[0].ServerSideEncryptionByDefault.SSEAlgorithm != "AES256" {
		broken("objects are not encrypted with S3's keys (AES256)")
	}
	if p := b.PublicAccessBlockConfiguration; !p.BlockPublicAcls || !p.BlockPublicPolicy || !p.IgnorePublicAcls || !p.RestrictPublicBuckets {
		broken("public access is not blocked in all four ways")
	}
	if o := b.OwnershipControls.Rules; len(o) != 1 || o[0].ObjectOwnership != "BucketOwnerEnforced" {
		broken("object ownership is not enforced")
	}
	if b.DeletionPolicy != "Retain" || b.Policy.DeletionPolicy != "Retain" {
		broken("bucket and bucket policy are not retained when the stack is deleted")
	}
	var origins []string
	for _, rule := range b.CorsConfiguration.CorsRules {
		origins = append(origins, rule.AllowedOrigins...)
		if !slices.Equal(rule.AllowedMethods, []string{"PUT"}) {
			broken("CORS allows %v, uploads are PUT", rule.AllowedMethods)
		}
	}
	if !slices.Equal(origins, conf.AllowedOrigins) {
		broken("CORS is for origins %v, the settings say %v", origins, conf.AllowedOrigins)
	}
}

func checkLifecycle(d *Deployment, conf config.Config, broken func(string, ...any)) {
	longest := int(config.MaxExpires.Hours() / 24)
	valid, expired, noncurrent := 0, 0, 0
	for _, r := range d.Bucket.LifecycleConfiguration.Rules {
		if r.Status != "Enabled" {
			continue
		}
		switch {
		case r.ExpirationInDays == 0:
		case r.Prefix == "signatures/valid/":
			valid = r.ExpirationInDays
		case r.Prefix == "signatures/expired/":
			expired = r.ExpirationInDays
		case conf.Acceptance.On && r.Prefix == "signatures/uploads/" && r.ExpirationInDays > longest:
		case conf.Acceptance.On && r.Prefix == "uploads/" && onlyAccepted(r):
		case r.Prefix == "uploads/" && conf.Deploy.KeepUploadsDays == r.ExpirationInDays:
		default:
			broken("rule %s removes current objects under %q after %d days, which no setting says", r.Id, r.Prefix, r.ExpirationInDays)
		}
		if n := r.NoncurrentVersionExpiration.NoncurrentDays; n > 0 {
			noncurrent = n
			if n <= longest && strings.HasPrefix("signatures/expired/", r.Prefix) {
				broken("rule %s removes versions of entries after %d days, a URL can live for %d", r.Id, n, longest)
			}
		}
	}
	checkRemoval(d, conf, broken)
	switch {
	case valid == 0 || expired == 0 || noncurrent == 0:
		broken("valid entries, expired entries or old versions are never removed")
	case valid <= longest:
		broken("valid entries are removed after %d days, a URL can live for %d", valid, longest)
	case expired <= valid:
		broken("expired entries are removed after %d days, not later than valid ones (%d): a spent URL comes back to life", expired, valid)
	}
}

func checkBucketPolicy(d *Deployment, conf config.Config, broken func(string, ...any)) {
	arn := "arn:aws:s3:::" + conf.Bucket
	want := []string{
		"Deny s3:* on " + arn + " if Bool aws:SecureTransport false for AWS *",
		"Deny s3:* on " + arn + "/* if Bool aws:SecureTransport false for AWS *",
		"Deny s3:* on " + arn + " if NumericLessThan s3:TlsVersion 1.2 for AWS *",
		"Deny s3:* on " + arn + "/* if NumericLessThan s3:TlsVersion 1.2 for AWS *",
		"Deny s3:PutObject on " + arn + "/signatures/expired/* if Null s3:if-none-match true for AWS *",
		"Deny s3:DeleteObject on " + arn + "/signatures/* for AWS *",
	}
	if conf.Acceptance.On {
		want = append(want, onlyAcceptanceAccepts(d, conf))
	}
	compare(want, d.Bucket.Policy.PolicyDocument.Lines(), func(line string) { broken("does not say: %s", line) },
		func(line string) { broken("says what it should not: %s", line) })
}

func checkAssociations(d *Deployment, conf config.Config, broken func(string, ...any)) {
	want := map[string]string{"/url": "index.mint", "/url/*": "index.mint", "": "index.gate"}
	for _, b := range d.Distribution.Behaviors() {
		handler, known := want[b.PathPattern]
		delete(want, b.PathPattern)
		if !known {
			broken("behavior %q is one that oncegate does not have: it would lead past the gate", b.PathPattern)
			continue
		}
		if len(b.LambdaFunctionAssociations) != 1 || len(b.FunctionAssociations) != 0 {
			broken("%s has %d Lambda and %d CloudFront functions, want %s alone", shown(b), len(b.LambdaFunctionAssociations), len(b.FunctionAssociations), handler)
			continue
		}
		a := b.LambdaFunctionAssociations[0]
		if a.Function.Handler != handler || a.EventType != "viewer-request" {
			broken("%s runs %s on %s, want %s on viewer-request", shown(b), a.Function.Handler, a.EventType, handler)
		}
		// POST /url has its options in the body; a gate that waits for bodies would
		// not stream them.
		if want := b.PathPattern == "/url"; a.IncludeBody != want {
			broken("%s includes the body: %v, want %v", shown(b), a.IncludeBody, want)
		}
	}
	for _, pattern := range slices.Sorted(maps.Keys(want)) {
		broken("no behavior %q with %s", pattern, want[pattern])
	}
}

func shown(b *Behavior) string {
	if b.PathPattern == "" {
		return "the default behavior"
	}
	return "behavior " + b.PathPattern
}

func checkFunctions(d *Deployment, conf config.Config, broken func(string, ...any)) {
	handlers := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(d.Functions)) {
		f := d.Functions[name]
		handlers[f.Handler] = true
		if f.Region != "us-east-1" {
			broken("%s is in %s: Lambda@Edge functions are made in us-east-1", name, f.Region)
		}
		if f.MemorySize != conf.Deploy.Memory || f.Timeout != conf.Deploy.Timeout || f.Runtime != conf.Deploy.NodeRuntime {
			broken("%s has %d MB, %d s, %s; the settings say %d MB, %d s, %s", name, f.MemorySize, f.Timeout, f.Runtime,
				conf.Deploy.Memory, conf.Deploy.Timeout, conf.Deploy.NodeRuntime)
		}
		if len(f.Environment.Variables) != 0 {
			broken("%s has environment variables, which Lambda@Edge refuses", name)
		}
		if f.LoggingConfig.LogFormat != "JSON" {
			broken("%s does not log JSON: refusals would not be counted", name)
		}
		packed, err := config.Load(filepath.Join(f.Directory, "config.json"))
		if err != nil {
			broken("%s: %v", name, err)
		} else if !reflect.DeepEqual(packed, conf) {
			broken("%s was packed with other settings", name)
		}
	}
	if len(handlers) != 2 || !handlers["index.mint"] || !handlers["index.gate"] {
		broken("handlers are %v, want index.mint and index.gate", handlers)
	}
}

// permissions are what each function at the edge needs, and all it may have.
func permissions(f *Function, conf config.Config) []string {
	logs := "arn:aws:logs:*:${AWS::AccountId}:log-group:/aws/lambda/us-east-1." + f.FunctionName + ":*"
	lines := []string{
		"Allow logs:CreateLogGroup on " + logs, "Allow logs:CreateLogStream on " + logs, "Allow logs:PutLogEvents on " + logs,
	}
	function := strings.TrimPrefix(f.Handler, "index.")
	if conf.Deploy.Runtime == config.RuntimeRegional {
		return append(lines, "Allow lambda:InvokeFunction on arn:aws:lambda:"+conf.Region+":${AWS::AccountId}:function:"+conf.Deploy.RegionalName(function))
	}
	return append(lines, decisionPermissions(function, conf)...)
}

// decisionPermissions are what it takes to decide for mint or gate.
func decisionPermissions(function string, conf config.Config) []string {
	arn := "arn:aws:s3:::" + conf.Bucket
	var lines []string
	if function == "mint" {
		lines = append(lines, "Allow s3:PutObject on "+arn+"/signatures/valid/*")
		if conf.Acceptance.On {
			lines = append(lines, "Allow s3:PutObject on "+arn+"/signatures/uploads/*")
		}
		if conf.Auth.Kind == config.AuthAPIKey {
			lines = append(lines, "Allow s3:GetObject on "+arn+"/keys/*")
		}
		if conf.OwnerAPI {
			lines = append(lines,
				"Allow s3:GetObject on "+arn+"/signatures/valid/*", "Allow s3:GetObject on "+arn+"/signatures/expired/*",
				"Allow s3:GetObject on "+arn+"/uploads/*", "Allow s3:PutObject on "+arn+"/signatures/expired/*")
		}
		if conf.Auth.Kind == config.AuthAPIKey || conf.OwnerAPI {
			lines = append(lines, "Allow s3:ListBucket on "+arn)
		}
		return lines
	}
	lines = append(lines,
		"Allow s3:GetObject on "+arn+"/signatures/valid/*", "Allow s3:GetObject on "+arn+"/signatures/expired/*",
		"Allow s3:PutObject on "+arn+"/signatures/expired/*", "Allow s3:PutObject on "+arn+"/uploads/*",
		"Allow s3:ListBucket on "+arn)
	if conf.FirstVersion == config.Listed {
		lines = append(lines, "Allow s3:ListBucketVersions on "+arn)
	}
	return lines
}

func checkPermissions(d *Deployment, conf config.Config, broken func(string, ...any)) {
	roles := map[*Role]bool{}
	for _, name := range slices.Sorted(maps.Keys(d.Functions)) {
		f := d.Functions[name]
		if roles[f.Role] {
			broken("%s shares its role with another function", name)
		}
		roles[f.Role] = true
		compare(permissions(f, conf), f.Role.Permissions(),
			func(line string) { broken("%s lacks: %s", name, line) },
			func(line string) { broken("%s has what it does not need: %s", name, line) })
		compare([]string{"Allow sts:AssumeRole for Service edgelambda.amazonaws.com", "Allow sts:AssumeRole for Service lambda.amazonaws.com"},
			f.Role.AssumeRolePolicyDocument.Lines(),
			func(line string) { broken("role of %s lacks trust: %s", name, line) },
			func(line string) { broken("role of %s trusts too much: %s", name, line) })
	}
	for _, f := range d.Natives {
		roles[f.Role] = true
	}
	if len(d.Roles) != len(roles) || len(roles) != len(d.Functions)+len(d.Natives) {
		broken("%d roles for %d functions", len(d.Roles), len(d.Functions)+len(d.Natives))
	}
}

func checkOrigin(d *Deployment, conf config.Config, broken func(string, ...any)) {
	if len(d.Distribution.Origins) != 1 {
		broken("there are %d, want the bucket alone", len(d.Distribution.Origins))
	}
	for _, o := range d.Distribution.Origins {
		if want := conf.Bucket + ".s3." + conf.Region + ".amazonaws.com"; o.DomainName != want {
			broken("is %s, uploads are signed for %s", o.DomainName, want)
		}
		if o.OriginAccessControlId != "" || o.S3OriginConfig == nil || o.S3OriginConfig.OriginAccessIdentity != "" {
			broken("an origin access control or identity signs requests that are signed already: S3 answers 400 InvalidArgument")
		}
		if o.OriginPath != "" || len(o.OriginCustomHeaders) != 0 {
			broken("a path or headers are added, which no signature covers")
		}
	}
}

// ForwardedHeaders are what an origin request policy must list, and all it may.
func ForwardedHeaders(conf config.Config) []string {
	headers := []string{
		"cache-control", "content-disposition", "content-encoding", "content-language", "content-md5", "content-type",
		"expires", "origin",
	}
	if conf.WriteOnce {
		headers = append(headers, "if-none-match")
	}
	if conf.SHA256 {
		headers = append(headers, "x-amz-checksum-sha256")
	}
	return headers
}

func checkForwarding(d *Deployment, conf config.Config, broken func(string, ...any)) {
	for _, b := range d.Distribution.Behaviors() {
		p, ok := d.OriginRequestPolicies[b.OriginRequestPolicyId]
		if !ok {
			broken("%s has origin request policy %q, which is none of the templates", shown(b), b.OriginRequestPolicyId)
			continue
		}
		if q := p.QueryStringsConfig; q.QueryStringBehavior != "all" {
			broken("%s forwards %q of the query: S3 would see no signature", shown(b), q.QueryStringBehavior)
		}
		if p.HeadersConfig.HeaderBehavior != "whitelist" || len(p.HeadersConfig.Headers) > 10 {
			broken("%s forwards headers by %q, %d of them; want a list of ten at most", shown(b), p.HeadersConfig.HeaderBehavior, len(p.HeadersConfig.Headers))
		}
		if p.CookiesConfig.CookieBehavior != "none" {
			broken("%s forwards cookies", shown(b))
		}
		compare(ForwardedHeaders(conf), p.HeadersConfig.Headers,
			func(name string) { broken("%s does not forward %s", shown(b), name) },
			func(name string) { broken("%s forwards %s, which it must not", shown(b), name) })
	}
}

// CachingDisabled is the id of the managed cache policy of that name:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html
const CachingDisabled = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"

func checkBehaviors(d *Deployment, conf config.Config, broken func(string, ...any)) {
	for _, b := range d.Distribution.Behaviors() {
		if b.CachePolicyId != CachingDisabled {
			broken("%s caches (policy %s)", shown(b), b.CachePolicyId)
		}
		if b.ViewerProtocolPolicy != "https-only" {
			broken("%s takes %s, want https-only", shown(b), b.ViewerProtocolPolicy)
		}
		// PUT comes only with all seven methods.
		if len(b.AllowedMethods) != 7 || !slices.Contains(b.AllowedMethods, "PUT") || !slices.Contains(b.AllowedMethods, "OPTIONS") {
			broken("%s allows %v, want all seven methods", shown(b), b.AllowedMethods)
		}
		if b.Compress {
			broken("%s compresses answers", shown(b))
		}
	}
	var uncached []int
	for _, e := range d.Distribution.CustomErrorResponses {
		if e.ErrorCachingMinTTL != 0 || e.ResponseCode != 0 || e.ResponsePagePath != "" {
			broken("error %d is cached or replaced", e.ErrorCode)
		}
		uncached = append(uncached, e.ErrorCode)
	}
	for _, code := range []int{400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504} {
		if !slices.Contains(uncached, code) {
			broken("error %d is cached for ten seconds", code)
		}
	}
}

func checkViewer(d *Deployment, conf config.Config, broken func(string, ...any)) {
	c := d.Distribution
	if !c.Enabled || !c.IPV6Enabled || c.HttpVersion != "http2and3" {
		broken("enabled %v, IPv6 %v, %s; want all of it and http2and3", c.Enabled, c.IPV6Enabled, c.HttpVersion)
	}
	if c.PriceClass != conf.Deploy.PriceClass {
		broken("price class %s, the settings say %s", c.PriceClass, conf.Deploy.PriceClass)
	}
	if c.DefaultRootObject != "" {
		broken("/ is rewritten to %s", c.DefaultRootObject)
	}
	if (c.Logging != nil) != conf.Deploy.AccessLogs {
		broken("access logs: %v, the settings say %v", c.Logging != nil, conf.Deploy.AccessLogs)
	}
	v := c.ViewerCertificate
	if conf.Deploy.Domain == "" {
		if len(c.Aliases) != 0 || v.AcmCertificateArn != "" {
			broken("aliases %v with certificate %q, the settings name no domain", c.Aliases, v.AcmCertificateArn)
		}
		return
	}
	if !slices.Equal(c.Aliases, []string{conf.Deploy.Domain}) || v.AcmCertificateArn != conf.Deploy.CertificateARN {
		broken("aliases %v with certificate %q, want %s with %s", c.Aliases, v.AcmCertificateArn, conf.Deploy.Domain, conf.Deploy.CertificateARN)
	}
	if v.MinimumProtocolVersion != "TLSv1.2_2021" || v.SslSupportMethod != "sni-only" {
		broken("TLS %s by %s, want TLSv1.2_2021 by sni-only", v.MinimumProtocolVersion, v.SslSupportMethod)
	}
}

func checkResponseHeaders(d *Deployment, conf config.Config, broken func(string, ...any)) {
	for _, b := range d.Distribution.Behaviors() {
		p, ok := d.ResponseHeadersPolicies[b.ResponseHeadersPolicyId]
		if !ok {
			broken("%s has response headers policy %q, which is none of the templates", shown(b), b.ResponseHeadersPolicyId)
			continue
		}
		s := p.SecurityHeadersConfig
		if s.ContentTypeOptions == nil || !s.ContentTypeOptions.Override ||
			s.StrictTransportSecurity == nil || !s.StrictTransportSecurity.Override || s.StrictTransportSecurity.AccessControlMaxAgeSec < 31536000 {
			broken("%s does not add nosniff and a year of HSTS", shown(b))
		}
		cors := p.CorsConfig
		if cors == nil {
			if len(conf.AllowedOrigins) != 0 {
				broken("%s adds no CORS headers", shown(b))
			}
			continue
		}
		if !slices.Equal(cors.AccessControlAllowOrigins.Items, conf.AllowedOrigins) || cors.AccessControlAllowCredentials || !cors.OriginOverride {
			broken("%s lets %v read (credentials %v, override %v), the settings say %v", shown(b), cors.AccessControlAllowOrigins.Items,
				cors.AccessControlAllowCredentials, cors.OriginOverride, conf.AllowedOrigins)
		}
		methods := []string{"GET", "HEAD", "POST", "PUT"}
		if conf.OwnerAPI {
			methods = append(methods, "DELETE")
		}
		compare(methods, cors.AccessControlAllowMethods.Items,
			func(name string) { broken("%s does not let pages send %s", shown(b), name) },
			func(name string) { broken("%s lets pages send %s, which they must not", shown(b), name) })
		for _, name := range []string{"etag", "x-amz-version-id", "x-oncegate-reason", "retry-after"} {
			if !slices.Contains(cors.AccessControlExposeHeaders.Items, name) {
				broken("%s does not let pages read %s", shown(b), name)
			}
		}
	}
}

func checkWebACL(d *Deployment, conf config.Config, broken func(string, ...any)) {
	if !conf.Deploy.WAF {
		if d.WebACL != nil || d.Distribution.WebACLId != "" {
			broken("there is one, the settings say none")
		}
		return
	}
	if d.WebACL == nil || d.Distribution.WebACLId != "${"+d.WebACL.ID+".Arn}" {
		broken("the distribution has none, the settings say one")
		return
	}
	if _, ok := d.WebACL.DefaultAction["Allow"]; !ok || d.WebACL.Scope != "CLOUDFRONT" {
		broken("scope %s, default action %v; want CLOUDFRONT, Allow", d.WebACL.Scope, d.WebACL.DefaultAction)
	}
	rates := map[string]bool{}
	for _, r := range d.WebACL.Rules {
		for kind, statement := range r.Statement {
			s, _ := statement.(map[string]any)
			match := fmt.Sprint(s["ScopeDownStatement"])
			if !strings.Contains(match, "SearchString:/url ") || !strings.Contains(match, "STARTS_WITH") {
				broken("rule %s is not limited to /url: AWS's rules block every upload", r.Name)
			}
			if kind != "RateBasedStatement" {
				continue
			}
			if fmt.Sprint(s["Limit"]) == fmt.Sprint(conf.Deploy.WAFRate) {
				rates[fmt.Sprint(s["AggregateKeyType"])+fmt.Sprint(s["CustomKeys"])] = true
			}
			if action := fmt.Sprint(r.Action); !strings.Contains(action, "ResponseCode:429") || !strings.Contains(action, "Name:retry-after") {
				broken("rule %s does not answer 429 with retry-after", r.Name)
			}
		}
	}
	if !rates["IP<nil>"] {
		broken("no rate rule of %d requests on /url for each address", conf.Deploy.WAFRate)
	}
	delete(rates, "IP<nil>")
	const byKey = "CUSTOM_KEYS[map[Header:map[Name:x-api-key TextTransformations:[map[Priority:0 Type:NONE]]]]]"
	if keys := conf.Auth.Kind == config.AuthAPIKey; keys != rates[byKey] {
		broken("a rate rule of %d requests on /url for each API key: %v, the settings say %v", conf.Deploy.WAFRate, rates[byKey], keys)
	}
}

// compare calls missing and extra for the difference of two sets.
func compare(want, got []string, missing, extra func(string)) {
	for _, w := range want {
		if !slices.Contains(got, w) {
			missing(w)
		}
	}
	for _, g := range got {
		if !slices.Contains(want, g) {
			extra(g)
		}
	}
}
