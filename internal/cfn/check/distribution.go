package check

import (
	"maps"
	"slices"
	"strings"

	"oncegate/internal/cfn"
	"oncegate/internal/config"
	"oncegate/internal/layout"
)

// association is what a behavior runs, and whether that sees the body of the request. POST
// /url has its options in the body, and Uppy its file and its parts. A gate that waited for
// the body of an upload would not stream it.
type association struct {
	handler string
	body    bool
}

func checkAssociations(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	wanted := map[string]association{
		"/url": {"index.mint", true}, "/url/*": {"index.mint", false},
		"/invitation*": {"index.mint", true}, "/s3/multipart": {"index.mint", true}, "/s3/*/complete": {"index.gate", true},
		"": {"index.gate", false},
	}
	if conf.Page.On {
		wanted["/upload"], wanted["/upload/*"] = association{pageHandler, false}, association{pageHandler, false}
	}
	if d.Shared { // what is for nobody else stays theirs
		delete(wanted, "")
		wanted["/"+layout.Uploads+"*"], wanted["/s3/*"] = association{"index.gate", false}, association{"index.gate", false}
	}
	for _, b := range d.Behaviors() {
		want, known := wanted[b.PathPattern]
		delete(wanted, b.PathPattern)
		if !known {
			broken("behavior %q is not oncegate's: it would lead past the gate", b.PathPattern)
			continue
		}
		if len(b.LambdaFunctionAssociations) != 1 || len(b.FunctionAssociations) != 0 {
			broken("%s has %d Lambda and %d CloudFront functions, want %s alone", shown(b), len(b.LambdaFunctionAssociations), len(b.FunctionAssociations), want.handler)
			continue
		}
		a := b.LambdaFunctionAssociations[0]
		if a.Function.Handler != want.handler || a.EventType != "viewer-request" {
			broken("%s runs %s on %s, want %s on viewer-request", shown(b), a.Function.Handler, a.EventType, want.handler)
		}
		if a.IncludeBody != want.body {
			broken("%s includes the body: %v, want %v", shown(b), a.IncludeBody, want.body)
		}
	}
	for _, pattern := range slices.Sorted(maps.Keys(wanted)) {
		broken("no behavior %q with %s", pattern, wanted[pattern].handler)
	}
}

func shown(b *cfn.Behavior) string {
	if b.PathPattern == "" {
		return "the default behavior"
	}
	return "behavior " + b.PathPattern
}

func checkOrigin(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	if len(d.Origins()) != 1 {
		broken("there are %d, want the bucket alone", len(d.Origins()))
	}
	for _, o := range d.Origins() {
		if want := conf.Bucket + ".s3." + conf.Region + ".amazonaws.com"; o.DomainName != want {
			broken("is %s, uploads are signed for %s", o.DomainName, want)
		}
		if o.OriginAccessControlId != "" || o.S3OriginConfig == nil || o.S3OriginConfig.OriginAccessIdentity != "" {
			broken("an origin access control or identity signs requests that are signed already: S3 answers 400 InvalidArgument")
		}
		// The longest that CloudFront offers: an upload that it gives up on has spent its URL.
		if o.S3OriginConfig != nil && o.S3OriginConfig.OriginReadTimeout != 120 {
			broken("CloudFront gives up on S3 after %d seconds (0 are 30), want 120", o.S3OriginConfig.OriginReadTimeout)
		}
		if o.OriginPath != "" || len(o.OriginCustomHeaders) != 0 {
			broken("a path or headers are added, which no signature covers")
		}
	}
}

// checkForwarding: a policy of the template's own is updated before the distribution that
// refers to it, and rolled back when it likes. The gate of one template would then run with
// the forwarding of the other, sign what does not arrive, and have S3 show the client the
// signature. So there is none, whatever the settings.
func checkForwarding(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	for _, b := range d.Behaviors() {
		if b.OriginRequestPolicyId != cfn.AllViewerExceptHostHeader {
			broken("%s has origin request policy %q, want the managed AllViewerExceptHostHeader", shown(b), b.OriginRequestPolicyId)
		}
	}
}

func checkBehaviors(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	for _, b := range d.Behaviors() {
		if b.CachePolicyId != cfn.CachingDisabled {
			broken("%s caches (policy %s)", shown(b), b.CachePolicyId)
		}
		if b.ViewerProtocolPolicy != "https-only" {
			broken("%s takes %s, want https-only", shown(b), b.ViewerProtocolPolicy)
		}
		// CloudFront takes three sets of methods. PUT is only in the largest one.
		if len(b.AllowedMethods) != 7 {
			broken("%s allows %v, want all seven methods", shown(b), b.AllowedMethods)
		}
		if b.Compress {
			broken("%s compresses answers", shown(b))
		}
	}
	var uncached []int
	for _, e := range d.Distribution.CustomErrorResponses {
		if d.Shared {
			if e.ResponsePagePath != "" {
				broken("error %d is replaced by %s: a refusal looks like a success", e.ErrorCode, e.ResponsePagePath)
			}
			continue
		}
		if e.ErrorCachingMinTTL != 0 || e.ResponseCode != 0 || e.ResponsePagePath != "" {
			broken("error %d is cached or replaced", e.ErrorCode)
		}
		uncached = append(uncached, e.ErrorCode)
	}
	if d.Shared { // CloudFront caches no answer to a PUT, and whatever else is asked the functions answer
		return
	}
	for _, code := range []int{400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504} {
		if !slices.Contains(uncached, code) {
			broken("error %d is cached for ten seconds", code)
		}
	}
}

func checkViewer(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	if d.Shared {
		return
	}
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
		if len(c.Aliases) != 0 || v != (cfn.ViewerCertificate{}) {
			broken("aliases %v with certificate %v, the settings name no domain", c.Aliases, v)
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

// exposedHeaders are what a page reads of an answer.
var exposedHeaders = []string{"etag", "retry-after", "x-amz-error-code", "x-amz-version-id", "x-oncegate-reason"}

// removedHeaders may hold what S3 was sent, and are nothing that an uploader needs.
var removedHeaders = []string{"location"}

func checkResponseHeaders(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	for _, b := range d.Behaviors() {
		p, ok := d.ResponseHeadersPolicies[b.ResponseHeadersPolicyId]
		if !ok {
			broken("%s has response headers policy %q, which is not in the templates", shown(b), b.ResponseHeadersPolicyId)
			continue
		}
		s := p.SecurityHeadersConfig
		if s.ContentTypeOptions == nil || !s.ContentTypeOptions.Override ||
			s.StrictTransportSecurity == nil || !s.StrictTransportSecurity.Override || s.StrictTransportSecurity.AccessControlMaxAgeSec < 31536000 {
			broken("%s does not add nosniff and a year of HSTS", shown(b))
		}
		for _, name := range removedHeaders {
			if !slices.ContainsFunc(p.RemoveHeadersConfig.Items, func(h struct{ Header string }) bool { return strings.EqualFold(h.Header, name) }) {
				broken("%s lets viewers see %s: S3 may redirect with the upload query in it", shown(b), name)
			}
		}
		cors := p.CorsConfig
		if cors == nil {
			if len(conf.AllowedOrigins) != 0 {
				broken("%s adds no CORS headers", shown(b))
			}
			continue
		}
		named := !slices.Contains(conf.AllowedOrigins, "*")
		if !slices.Equal(cors.AccessControlAllowOrigins.Items, conf.AllowedOrigins) || cors.AccessControlAllowCredentials != named {
			broken("%s lets %v read (credentials %v), the settings say %v (%v)", shown(b), cors.AccessControlAllowOrigins.Items,
				cors.AccessControlAllowCredentials, conf.AllowedOrigins, named)
		}
		if cors.OriginOverride {
			broken("%s overrides CORS headers: if that holds for the functions' answers too, preflights lose what they name", shown(b))
		}
		methods := []string{"GET", "HEAD", "POST", "PUT"}
		if conf.OwnerAPI {
			methods = append(methods, "DELETE")
		}
		compare(methods, cors.AccessControlAllowMethods.Items,
			func(name string) { broken("%s does not let pages send %s", shown(b), name) },
			func(name string) { broken("%s lets pages send %s, which they must not", shown(b), name) })
		for _, name := range exposedHeaders {
			if !slices.Contains(cors.AccessControlExposeHeaders.Items, name) {
				broken("%s does not let pages read %s", shown(b), name)
			}
		}
	}
}
