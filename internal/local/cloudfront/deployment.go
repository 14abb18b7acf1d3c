package cloudfront

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"oncegate/internal/cfn"
)

// ErrCannotPlay says that a template asks for something that the local edge would have to
// leave out, or that CloudFront would refuse.
var ErrCannotPlay = errors.New("cannot play")

// Account is the account that the templates are played in.
const Account = "111122223333"

// RoleARN is the ARN of a template's role in Account.
func RoleARN(role *cfn.Role) string { return "arn:aws:iam::" + Account + ":role/" + role.ID }

// FromDeployment is the distribution that the templates describe; the functions'
// credentials are left to fill in. The error names each property that cannot be
// played, with the logical id of its resource.
//
// It ignores what has no part in answering one request: aliases, certificate and protocol
// versions, IPv6, price class, access logs, monitoring, the bucket's lifecycle.
func FromDeployment(d *cfn.Deployment) (Distribution, error) {
	t := template{Deployment: d}
	out := Distribution{ID: "E1LOCALEDGE", Domain: "d111111abcdef8.cloudfront.net", EdgeRegion: "eu-west-1"}
	if d.Bucket.Region == out.EdgeRegion {
		out.EdgeRegion = "us-west-2"
	}
	t.distribution()
	t.bucket()
	t.webACL()
	out.Origin = t.origin()
	for _, b := range d.Distribution.Behaviors() {
		out.Behaviors = append(out.Behaviors, t.behavior(b))
	}
	for _, name := range slices.Sorted(maps.Keys(d.Functions)) {
		out.Functions = append(out.Functions, t.function(d.Functions[name]))
	}
	if err := errors.Join(t.problems...); err != nil {
		return out, err
	}
	if err := out.check(); err != nil {
		return out, fmt.Errorf("%s: %w", d.Distribution.ID, err)
	}
	return out, nil
}

// template collects what cannot be played.
type template struct {
	*cfn.Deployment
	problems []error
}

func (t *template) bad(id, property string, value any, why string) {
	t.problems = append(t.problems, fmt.Errorf("%w %s: %s is %v: %s", ErrCannotPlay, id, property, value, why))
}

func (t *template) distribution() {
	c, id := t.Distribution, t.Distribution.ID
	if !c.Enabled {
		t.bad(id, "Enabled", c.Enabled, "the distribution answers nobody")
	}
	if c.DefaultRootObject != "" {
		t.bad(id, "DefaultRootObject", c.DefaultRootObject, "only none")
	}
	for i, e := range c.CustomErrorResponses {
		property := fmt.Sprintf("CustomErrorResponses[%d]", i)
		if e.ErrorCachingMinTTL != 0 {
			t.bad(id, property+".ErrorCachingMinTTL", e.ErrorCachingMinTTL, "nothing is cached here, only 0")
		}
		if e.ResponsePagePath != "" || e.ResponseCode != 0 {
			t.bad(id, property+".ResponsePagePath", fmt.Sprintf("%q with %d", e.ResponsePagePath, e.ResponseCode), "errors go to the viewer as they are")
		}
	}
}

func (t *template) bucket() {
	b := t.Bucket
	if v := b.VersioningConfiguration.Status; v != "Enabled" && (v != "" || t.Table == nil) {
		t.bad(b.ID, "VersioningConfiguration.Status", fmt.Sprintf("%q", v),
			"the first-version rule needs versions; only Enabled, or none with a table")
	}
	if b.AccessControl != "" {
		t.bad(b.ID, "AccessControl", b.AccessControl, "ACLs are not known here")
	}
	for _, e := range b.BucketEncryption.ServerSideEncryptionConfiguration {
		if a := e.ServerSideEncryptionByDefault.SSEAlgorithm; a != "AES256" {
			t.bad(b.ID, "BucketEncryption", a, "KMS keys and their permissions are not known here, only AES256")
		}
	}
}

// defaultReadSeconds is how long CloudFront waits for S3 if the template does not say:
// https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_S3OriginConfig.html
const defaultReadSeconds = 30

func (t *template) origin() Origin {
	id := t.Distribution.ID
	var o cfn.Origin
	if n := len(t.Distribution.Origins); n != 1 {
		t.bad(id, "Origins", fmt.Sprintf("a list of %d", n), "only the bucket alone")
	}
	if len(t.Distribution.Origins) > 0 {
		o = t.Distribution.Origins[0]
	}
	out := Origin{
		Domain:          o.DomainName,
		ConnectTimeout:  time.Duration(cmp.Or(o.ConnectionTimeout, 10)) * time.Second,
		ResponseTimeout: defaultReadSeconds * time.Second,
	}
	if want := t.Bucket.BucketName + ".s3." + t.Bucket.Region + ".amazonaws.com"; o.DomainName != want {
		t.bad(id, "Origins[0].DomainName", o.DomainName, "uploads are signed for "+want)
	}
	if o.OriginPath != "" {
		t.bad(id, "Origins[0].OriginPath", o.OriginPath, "no signature covers it, only none")
	}
	if len(o.OriginCustomHeaders) != 0 {
		t.bad(id, "Origins[0].OriginCustomHeaders", fmt.Sprintf("a list of %d", len(o.OriginCustomHeaders)), "only none")
	}
	if a := o.ConnectionAttempts; a != 0 && a != connectAttempts {
		t.bad(id, "Origins[0].ConnectionAttempts", a, fmt.Sprintf("only %d", connectAttempts))
	}
	if o.S3OriginConfig == nil {
		t.bad(id, "Origins[0].S3OriginConfig", "missing", "only S3 origins")
	} else {
		out.Signs = o.S3OriginConfig.OriginAccessIdentity != ""
		seconds := cmp.Or(o.S3OriginConfig.OriginReadTimeout, defaultReadSeconds)
		if seconds < 1 || seconds > 120 {
			t.bad(id, "Origins[0].S3OriginConfig.OriginReadTimeout", seconds, "CloudFront takes 1 to 120 seconds")
		}
		out.ResponseTimeout = time.Duration(seconds) * time.Second
	}
	if control := o.OriginAccessControlId; control != "" {
		switch c, known := t.OriginAccessControls[control]; {
		case !known:
			t.bad(id, "Origins[0].OriginAccessControlId", control, "not in the templates")
		case c.OriginAccessControlOriginType != "s3" || c.SigningProtocol != "sigv4":
			t.bad(logicalID(control), "OriginAccessControlOriginType", c.OriginAccessControlOriginType+" by "+c.SigningProtocol, "only s3 by sigv4")
		case c.SigningBehavior != "never":
			out.Signs = true
		}
	}
	return out
}

// The managed policies that can be played:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-origin-request-policies.html
var managedRequestPolicies = map[string]OriginRequestPolicy{
	"":                            {}, // none
	cfn.AllViewerExceptHostHeader: {AllButHost: true, Cookies: true, QueryStrings: true, Managed: true},
	"88a5eaf4-2fd4-4709-b370-b4c650ea3fcf": {Headers: []string{ // CORS-S3Origin
		"origin", "access-control-request-headers", "access-control-request-method",
	}},
}

const allViewer = "216adef6-5c7f-47e4-b989-5492eafa07d3"

func (t *template) behavior(b *cfn.Behavior) Behavior {
	id, prefix := t.Distribution.ID, "DefaultCacheBehavior."
	if b.PathPattern != "" {
		prefix = "CacheBehaviors " + b.PathPattern + " "
	}
	out := Behavior{PathPattern: cmp.Or(b.PathPattern, "*"), AllowedMethods: b.AllowedMethods}
	if len(out.AllowedMethods) == 0 {
		out.AllowedMethods = ReadMethods
	}
	// Every viewer is treated as one that connected by https, so the policy's answer to
	// the others is not played.
	if p := b.ViewerProtocolPolicy; !slices.Contains([]string{"https-only", "redirect-to-https", "allow-all"}, p) {
		t.bad(id, prefix+"ViewerProtocolPolicy", p, "only https-only, redirect-to-https and allow-all")
	}
	if b.CachePolicyId != cfn.CachingDisabled {
		t.bad(id, prefix+"CachePolicyId", fmt.Sprintf("%q", b.CachePolicyId), "nothing is cached here, only CachingDisabled ("+cfn.CachingDisabled+")")
	}
	if len(t.Distribution.Origins) > 0 && b.TargetOriginId != t.Distribution.Origins[0].Id {
		t.bad(id, prefix+"TargetOriginId", b.TargetOriginId, "there is no such origin")
	}
	if len(b.FunctionAssociations) != 0 {
		t.bad(id, prefix+"FunctionAssociations", fmt.Sprintf("a list of %d", len(b.FunctionAssociations)), "CloudFront Functions are not played")
	}
	for _, a := range b.LambdaFunctionAssociations {
		switch {
		case a.EventType != "viewer-request":
			t.bad(id, prefix+"LambdaFunctionAssociations", a.Function.ID+" on "+a.EventType, "only viewer-request")
		case out.ViewerRequest != "":
			t.bad(id, prefix+"LambdaFunctionAssociations", "two on viewer-request", "CloudFront takes one")
		default:
			out.ViewerRequest, out.IncludeBody = a.Function.FunctionName, a.IncludeBody
		}
	}
	out.OriginRequest = t.requestPolicy(prefix, b.OriginRequestPolicyId)
	out.ResponseHeaders = t.responsePolicy(prefix, b.ResponseHeadersPolicyId)
	return out
}

func (t *template) requestPolicy(prefix, id string) OriginRequestPolicy {
	if managed, ok := managedRequestPolicies[id]; ok {
		return managed
	}
	p, ok := t.OriginRequestPolicies[id]
	if !ok {
		why := "neither in the templates nor a managed policy that is known here"
		if id == allViewer {
			why = "AllViewer forwards the viewer's Host, by which S3 finds another bucket or none"
		}
		t.bad(t.Distribution.ID, prefix+"OriginRequestPolicyId", id, why)
		return OriginRequestPolicy{}
	}
	id = logicalID(id)
	out := OriginRequestPolicy{Headers: p.HeadersConfig.Headers}
	switch h := p.HeadersConfig.HeaderBehavior; {
	case h == "none" && len(out.Headers) == 0, h == "whitelist":
	case h == "allExcept" && len(out.Headers) == 1 && strings.EqualFold(out.Headers[0], "host"):
		out = OriginRequestPolicy{AllButHost: true}
	default:
		t.bad(id, "HeadersConfig.HeaderBehavior", fmt.Sprintf("%s %v", h, p.HeadersConfig.Headers), "only none, whitelist, and allExcept host")
	}
	switch c := p.CookiesConfig.CookieBehavior; c {
	case "none":
	case "all":
		out.Cookies = true
	default:
		t.bad(id, "CookiesConfig.CookieBehavior", c, "only none and all")
	}
	switch q := p.QueryStringsConfig.QueryStringBehavior; q {
	case "none":
	case "all":
		out.QueryStrings = true
	default:
		t.bad(id, "QueryStringsConfig.QueryStringBehavior", q, "only none and all")
	}
	return out
}

func (t *template) responsePolicy(prefix, id string) ResponseHeadersPolicy {
	var out ResponseHeadersPolicy
	if id == "" {
		return out
	}
	p, ok := t.ResponseHeadersPolicies[id]
	if !ok {
		t.bad(t.Distribution.ID, prefix+"ResponseHeadersPolicyId", id, "not in the templates")
		return out
	}
	if c := p.CorsConfig; c != nil {
		out.CORS = &CORS{
			AllowedOrigins: c.AccessControlAllowOrigins.Items,
			AllowedMethods: c.AccessControlAllowMethods.Items,
			AllowedHeaders: c.AccessControlAllowHeaders.Items,
			ExposeHeaders:  c.AccessControlExposeHeaders.Items,
			Credentials:    c.AccessControlAllowCredentials,
			MaxAge:         c.AccessControlMaxAgeSec,
			Override:       c.OriginOverride,
		}
		for _, o := range out.CORS.AllowedOrigins {
			if strings.Contains(o, "*") && o != "*" {
				t.bad(logicalID(id), "CorsConfig.AccessControlAllowOrigins", o, "only whole origins, and * alone")
			}
		}
	}
	for _, header := range p.RemoveHeadersConfig.Items {
		if !removable(header.Header) {
			t.bad(logicalID(id), "RemoveHeadersConfig", header.Header, "CloudFront cannot remove it")
		}
		out.Remove = append(out.Remove, header.Header)
	}
	if s := p.SecurityHeadersConfig.StrictTransportSecurity; s != nil {
		value := fmt.Sprintf("max-age=%d", s.AccessControlMaxAgeSec)
		if s.IncludeSubdomains {
			value += "; includeSubDomains"
		}
		if s.Preload {
			value += "; preload"
		}
		out.Headers = append(out.Headers, PolicyHeader{"Strict-Transport-Security", value, s.Override})
	}
	if o := p.SecurityHeadersConfig.ContentTypeOptions; o != nil {
		out.Headers = append(out.Headers, PolicyHeader{"X-Content-Type-Options", "nosniff", o.Override})
	}
	return out
}

// function refuses a function that Lambda@Edge would not take:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-at-edge-function-restrictions.html
func (t *template) function(f *cfn.Function) Function {
	if f.Region != "us-east-1" {
		t.bad(f.ID, "Region", f.Region, "Lambda@Edge takes functions of us-east-1")
	}
	if n := len(f.Environment.Variables); n != 0 {
		t.bad(f.ID, "Environment.Variables", fmt.Sprintf("a list of %d", n), "Lambda@Edge takes none")
	}
	trust := f.Role.AssumeRolePolicyDocument.Lines()
	for _, service := range []string{"lambda.amazonaws.com", "edgelambda.amazonaws.com"} {
		if !slices.Contains(trust, "Allow sts:AssumeRole for Service "+service) {
			t.bad(f.Role.ID, "AssumeRolePolicyDocument", strings.Join(trust, ", "), service+" must be trusted as well")
		}
	}
	for _, arn := range f.Role.ManagedPolicyArns {
		// It allows logging alone, which nobody asks for here.
		if !strings.HasSuffix(arn, ":policy/service-role/AWSLambdaBasicExecutionRole") {
			t.bad(f.Role.ID, "ManagedPolicyArns", arn, "what it says is not known here")
		}
	}
	if large, err := checkSize(f.Directory); err != nil {
		t.problems = append(t.problems, fmt.Errorf("%s: %w", f.ID, err))
	} else if large != "" {
		t.bad(f.ID, "Code", f.Directory, large)
	}
	return Function{
		Name: f.FunctionName, Directory: f.Directory, Handler: f.Handler, Runtime: f.Runtime,
		Timeout: time.Duration(f.Timeout) * time.Second, MemoryMB: f.MemorySize, Role: RoleARN(f.Role),
	}
}

// webACL accepts rules that are for /url alone, which are not played. Any other rule would
// judge uploads too.
func (t *template) webACL() {
	acl, id := t.WebACL, t.Distribution.WebACLId
	if id == "" {
		return
	}
	if acl == nil || acl.ID != logicalID(id) {
		t.bad(t.Distribution.ID, "WebACLId", id, "not in the templates")
		return
	}
	if _, allows := acl.DefaultAction["Allow"]; !allows {
		t.bad(acl.ID, "DefaultAction", acl.DefaultAction, "it blocks uploads, only Allow")
	}
	for _, r := range acl.Rules {
		if !scopedToURL(r) {
			t.bad(acl.ID, "Rules", r.Name, "it applies to uploads too, and AWS's common rule set blocks bodies over 8 KB and queries over "+
				"2,048 bytes, which is every upload; scope it down to the paths of the mint, which begin with /url or /invitation or are /s3/multipart")
		}
	}
}

func scopedToURL(r cfn.WebACLRule) bool {
	if len(r.Statement) != 1 {
		return false
	}
	for kind, statement := range r.Statement {
		s, _ := statement.(map[string]any)
		scope, _ := s["ScopeDownStatement"].(map[string]any)
		either, _ := scope["OrStatement"].(map[string]any)
		paths, _ := either["Statements"].([]any)
		if kind != "ManagedRuleGroupStatement" && kind != "RateBasedStatement" || len(scope) != 1 || len(paths) == 0 ||
			slices.ContainsFunc(paths, func(s any) bool { return !mintsAt(s) }) {
			return false
		}
	}
	return true
}

// mintsAt reports whether a statement matches paths of the mint and no others.
func mintsAt(statement any) bool {
	s, _ := statement.(map[string]any)
	match, _ := s["ByteMatchStatement"].(map[string]any)
	field, _ := match["FieldToMatch"].(map[string]any)
	_, path := field["UriPath"]
	search, _ := match["SearchString"].(string)
	position := match["PositionalConstraint"]
	return len(s) == 1 && path && (position == "EXACTLY" && search == "/s3/multipart" ||
		(position == "STARTS_WITH" || position == "EXACTLY") && (strings.HasPrefix(search, "/url") || strings.HasPrefix(search, "/invitation")))
}

// logicalID takes the id out of a reference, ${id} or ${id.Attribute}.
func logicalID(ref string) string {
	id, _, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(ref, "${"), "}"), ".")
	return id
}
