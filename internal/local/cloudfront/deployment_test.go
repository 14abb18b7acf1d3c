package cloudfront

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"oncegate/internal/cfn"
)

func deployment(t *testing.T, name string) *cfn.Deployment {
	t.Helper()
	d, err := cfn.Read("../../cfn/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The distribution of testdata/full, taken apart by hand.
func TestFromDeployment(t *testing.T) {
	got, err := FromDeployment(deployment(t, "full"))
	if err != nil {
		t.Fatal(err)
	}
	var patterns []string
	for _, b := range got.Behaviors {
		patterns = append(patterns, b.PathPattern+" "+b.ViewerRequest)
		if len(b.AllowedMethods) != 7 || !b.OriginRequest.QueryStrings || !b.OriginRequest.Cookies || !b.OriginRequest.AllButHost || !b.OriginRequest.Managed {
			t.Errorf("behavior %+v", b)
		}
		cors := b.ResponseHeaders.CORS
		if cors == nil || !slices.Equal(cors.AllowedOrigins, []string{"https://app.example.com", "http://localhost:5173"}) ||
			!slices.Contains(cors.ExposeHeaders, "etag") || cors.MaxAge != 600 || cors.Override || !cors.Credentials {
			t.Errorf("cors %+v", cors)
		}
		want := []PolicyHeader{{"Strict-Transport-Security", "max-age=31536000", true}, {"X-Content-Type-Options", "nosniff", true}}
		if !slices.Equal(b.ResponseHeaders.Headers, want) {
			t.Errorf("headers %+v", b.ResponseHeaders.Headers)
		}
	}
	if want := []string{"/invitation* full-mint", "/s3/*/complete full-gate", "/s3/multipart full-mint", "/url full-mint", "/url/* full-mint", "* full-gate"}; !slices.Equal(patterns, want) {
		t.Errorf("behaviors %q, want %q", patterns, want)
	}
	if len(got.Functions) != 2 {
		t.Fatalf("functions %+v", got.Functions)
	}
	gate := got.Functions[0]
	if !strings.Contains(gate.Directory, "asset.") || !strings.HasPrefix(gate.Role, "arn:aws:iam::"+Account+":role/GateRole") {
		t.Errorf("function %+v", gate)
	}
	gate.Directory, gate.Role = "", ""
	if want := (Function{Name: "full-gate", Handler: "index.gate", Runtime: Node24, Timeout: 10 * time.Second, MemoryMB: 256}); gate != want {
		t.Errorf("function %+v, want %+v", gate, want)
	}
	if want := (Origin{Domain: "full-uploads.s3.eu-west-1.amazonaws.com", ConnectTimeout: 10 * time.Second, ResponseTimeout: 120 * time.Second}); got.Origin != want {
		t.Errorf("origin %+v, want %+v", got.Origin, want)
	}
	if got.EdgeRegion != "us-west-2" {
		t.Errorf("functions run in %s, the bucket is in eu-west-1", got.EdgeRegion)
	}
	if plain, err := FromDeployment(deployment(t, "plain")); err != nil || plain.EdgeRegion == "us-east-1" || plain.Behaviors[len(plain.Behaviors)-1].ResponseHeaders.CORS != nil {
		t.Errorf("plain: %+v, %v", plain, err)
	}
}

func TestPoliciesOfDeployment(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*cfn.Deployment)
		want   OriginRequestPolicy
	}{
		{"none", func(d *cfn.Deployment) { d.Distribution.DefaultCacheBehavior.OriginRequestPolicyId = "" }, OriginRequestPolicy{}},
		{"AllViewerExceptHostHeader", func(d *cfn.Deployment) {}, OriginRequestPolicy{AllButHost: true, Cookies: true, QueryStrings: true, Managed: true}},
		{"all except host", requestPolicy(func(p *cfn.OriginRequestPolicy) {
			p.HeadersConfig.HeaderBehavior, p.HeadersConfig.Headers = "allExcept", []string{"Host"}
			p.CookiesConfig.CookieBehavior = "all"
			p.QueryStringsConfig.QueryStringBehavior = "none"
		}), OriginRequestPolicy{AllButHost: true, Cookies: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := deployment(t, "plain")
			tt.change(d)
			got, err := FromDeployment(d)
			if err != nil {
				t.Fatal(err)
			}
			p := got.Behaviors[len(got.Behaviors)-1].OriginRequest
			if p.AllButHost != tt.want.AllButHost || p.Cookies != tt.want.Cookies || p.QueryStrings != tt.want.QueryStrings || p.Managed != tt.want.Managed || len(p.Headers) != 0 {
				t.Errorf("got %+v, want %+v", p, tt.want)
			}
		})
	}
}

func requestPolicy(change func(*cfn.OriginRequestPolicy)) func(*cfn.Deployment) {
	return func(d *cfn.Deployment) {
		var p cfn.OriginRequestPolicy
		p.HeadersConfig.HeaderBehavior, p.HeadersConfig.Headers = "whitelist", []string{"origin"}
		p.CookiesConfig.CookieBehavior, p.QueryStringsConfig.QueryStringBehavior = "none", "all"
		change(&p)
		d.OriginRequestPolicies["${Own}"] = p
		d.Distribution.DefaultCacheBehavior.OriginRequestPolicyId = "${Own}"
	}
}

func firstFunction(d *cfn.Deployment) *cfn.Function { return d.Functions["full-gate"] }

// What is refused is refused by name.
func TestWhatCannotBePlayed(t *testing.T) {
	const distribution, policy = "Distribution830FAC52: ", "Own: "
	def := func(d *cfn.Deployment) *cfn.Behavior { return &d.Distribution.DefaultCacheBehavior }
	origin := func(d *cfn.Deployment) *cfn.Origin { return &d.Distribution.Origins[0] }
	rule := func(d *cfn.Deployment, n int) map[string]any {
		for _, s := range d.WebACL.Rules[n].Statement {
			return s.(map[string]any)
		}
		return nil
	}
	// scope is the first path that a rule is scoped to.
	scope := func(d *cfn.Deployment) map[string]any {
		either := rule(d, 2)["ScopeDownStatement"].(map[string]any)["OrStatement"].(map[string]any)
		return either["Statements"].([]any)[0].(map[string]any)["ByteMatchStatement"].(map[string]any)
	}
	for _, tt := range []struct {
		name   string
		change func(*cfn.Deployment)
		want   string
	}{
		{"disabled", func(d *cfn.Deployment) { d.Distribution.Enabled = false }, distribution + "Enabled is false"},
		{"root object", func(d *cfn.Deployment) { d.Distribution.DefaultRootObject = "index.html" }, distribution + "DefaultRootObject is index.html"},
		{"error caching", func(d *cfn.Deployment) { d.Distribution.CustomErrorResponses[1].ErrorCachingMinTTL = 10 }, distribution + "CustomErrorResponses[1].ErrorCachingMinTTL is 10"},
		{"error page", func(d *cfn.Deployment) { d.Distribution.CustomErrorResponses[1].ResponsePagePath = "/403" }, distribution + "CustomErrorResponses[1].ResponsePagePath"},
		{"versioning", func(d *cfn.Deployment) { d.Bucket.VersioningConfiguration.Status = "" }, `Bucket83908E77: VersioningConfiguration.Status is "": the first-version rule needs versions`},
		{"acl", func(d *cfn.Deployment) { d.Bucket.AccessControl = "PublicRead" }, "Bucket83908E77: AccessControl is PublicRead"},
		{"kms", func(d *cfn.Deployment) {
			d.Bucket.BucketEncryption.ServerSideEncryptionConfiguration[0].ServerSideEncryptionByDefault.SSEAlgorithm = "aws:kms"
		}, "Bucket83908E77: BucketEncryption is aws:kms"},
		{"two origins", func(d *cfn.Deployment) { d.Distribution.Origins = append(d.Distribution.Origins, cfn.Origin{}) }, distribution + "Origins is a list of 2"},
		{"global host name", func(d *cfn.Deployment) { origin(d).DomainName = "full-uploads.s3.amazonaws.com" }, distribution + "Origins[0].DomainName is full-uploads.s3.amazonaws.com: uploads are signed for full-uploads.s3.eu-west-1.amazonaws.com"},
		{"origin path", func(d *cfn.Deployment) { origin(d).OriginPath = "/uploads" }, distribution + "Origins[0].OriginPath is /uploads"},
		{"custom header", func(d *cfn.Deployment) {
			origin(d).OriginCustomHeaders = append(origin(d).OriginCustomHeaders, struct{ HeaderName, HeaderValue string }{"x", "y"})
		}, distribution + "Origins[0].OriginCustomHeaders"},
		{"attempts", func(d *cfn.Deployment) { origin(d).ConnectionAttempts = 1 }, distribution + "Origins[0].ConnectionAttempts is 1"},
		{"time at the origin", func(d *cfn.Deployment) { origin(d).S3OriginConfig.OriginReadTimeout = 121 },
			distribution + "Origins[0].S3OriginConfig.OriginReadTimeout is 121: CloudFront takes 1 to 120"},
		{"custom origin", func(d *cfn.Deployment) { origin(d).S3OriginConfig = nil }, distribution + "Origins[0].S3OriginConfig is missing"},
		{"control of elsewhere", func(d *cfn.Deployment) { origin(d).OriginAccessControlId = "E1" }, distribution + "Origins[0].OriginAccessControlId is E1"},
		{"protocol", func(d *cfn.Deployment) { def(d).ViewerProtocolPolicy = "http-only" }, distribution + "DefaultCacheBehavior.ViewerProtocolPolicy is http-only"},
		{"caching", func(d *cfn.Deployment) { def(d).CachePolicyId = "658327ea-f89d-4fab-a63d-7e88639e58f6" }, distribution + "DefaultCacheBehavior.CachePolicyId is \"658327ea"},
		{"target", func(d *cfn.Deployment) { d.Distribution.CacheBehaviors[0].TargetOriginId = "x" }, distribution + "CacheBehaviors /invitation* TargetOriginId is x"},
		{"cloudfront function", func(d *cfn.Deployment) {
			def(d).FunctionAssociations = append(def(d).FunctionAssociations, struct{ EventType, FunctionARN string }{"viewer-request", "f"})
		}, distribution + "DefaultCacheBehavior.FunctionAssociations"},
		{"origin request", func(d *cfn.Deployment) { def(d).LambdaFunctionAssociations[0].EventType = "origin-request" }, "Gate3038665D on origin-request: only viewer-request"},
		{"two functions", func(d *cfn.Deployment) {
			def(d).LambdaFunctionAssociations = append(def(d).LambdaFunctionAssociations, def(d).LambdaFunctionAssociations[0])
		}, "two on viewer-request"},
		{"methods", func(d *cfn.Deployment) { def(d).AllowedMethods = []string{"PUT"} }, "methods [PUT]: allowed are"},
		{"AllViewer", func(d *cfn.Deployment) { def(d).OriginRequestPolicyId = allViewer }, distribution + "DefaultCacheBehavior.OriginRequestPolicyId is " + allViewer + ": AllViewer forwards the viewer's Host"},
		{"unknown request policy", func(d *cfn.Deployment) { def(d).OriginRequestPolicyId = "x" }, distribution + "DefaultCacheBehavior.OriginRequestPolicyId is x"},
		{"header behavior", requestPolicy(func(p *cfn.OriginRequestPolicy) { p.HeadersConfig.HeaderBehavior = "allViewer" }), policy + "HeadersConfig.HeaderBehavior is allViewer"},
		{"eleven headers", requestPolicy(func(p *cfn.OriginRequestPolicy) { p.HeadersConfig.Headers = strings.Fields(strings.Repeat("x-a ", 11)) }), "11 headers in the origin request policy: allowed are 10"},
		{"host", requestPolicy(func(p *cfn.OriginRequestPolicy) { p.HeadersConfig.Headers[0] = "Host" }), `cannot name header "Host"`},
		{"cookies", requestPolicy(func(p *cfn.OriginRequestPolicy) { p.CookiesConfig.CookieBehavior = "whitelist" }), policy + "CookiesConfig.CookieBehavior is whitelist"},
		{"query", requestPolicy(func(p *cfn.OriginRequestPolicy) { p.QueryStringsConfig.QueryStringBehavior = "whitelist" }), policy + "QueryStringsConfig.QueryStringBehavior is whitelist"},
		{"header that cannot be removed", func(d *cfn.Deployment) {
			id := def(d).ResponseHeadersPolicyId
			p := d.ResponseHeadersPolicies[id]
			p.RemoveHeadersConfig.Items = []struct{ Header string }{{"Location"}, {"X-Amz-Cf-Id"}}
			d.ResponseHeadersPolicies[id] = p
		}, "RemoveHeadersConfig is X-Amz-Cf-Id: CloudFront cannot remove it"},
		{"unknown response policy", func(d *cfn.Deployment) { def(d).ResponseHeadersPolicyId = "x" }, distribution + "DefaultCacheBehavior.ResponseHeadersPolicyId is x"},
		{"wildcard origin", func(d *cfn.Deployment) {
			for _, p := range d.ResponseHeadersPolicies {
				p.CorsConfig.AccessControlAllowOrigins.Items[0] = "https://*.example.com"
			}
		}, "ResponseHeadersPolicy13DBF9E0: CorsConfig.AccessControlAllowOrigins is https://*.example.com"},
		{"region", func(d *cfn.Deployment) { firstFunction(d).Region = "eu-west-1" }, "Gate3038665D: Region is eu-west-1"},
		{"environment", func(d *cfn.Deployment) { firstFunction(d).Environment.Variables = map[string]string{"A": "b"} }, "Gate3038665D: Environment.Variables"},
		{"runtime", func(d *cfn.Deployment) { firstFunction(d).Runtime = "nodejs20.x" }, `runtime "nodejs20.x"`},
		{"timeout", func(d *cfn.Deployment) { firstFunction(d).Timeout = 31 }, "allowed is up to 30 s"},
		{"trust", func(d *cfn.Deployment) {
			trust := &firstFunction(d).Role.AssumeRolePolicyDocument
			trust.Statement = slices.DeleteFunc(trust.Statement, func(s cfn.Statement) bool { return s.Principal["Service"][0] == "edgelambda.amazonaws.com" })
		}, "edgelambda.amazonaws.com must be trusted as well"},
		{"managed policy", func(d *cfn.Deployment) {
			firstFunction(d).Role.ManagedPolicyArns = []string{"arn:aws:iam::aws:policy/AmazonS3FullAccess"}
		}, "GateRole715CC50C: ManagedPolicyArns is arn:aws:iam::aws:policy/AmazonS3FullAccess"},
		{"web acl of elsewhere", func(d *cfn.Deployment) { d.Distribution.WebACLId = "arn:x" }, distribution + "WebACLId is arn:x"},
		{"blocking web acl", func(d *cfn.Deployment) { d.WebACL.DefaultAction = map[string]any{"Block": nil} }, "WebACL: DefaultAction"},
		{"common rules on uploads", func(d *cfn.Deployment) { delete(rule(d, 2), "ScopeDownStatement") },
			"it applies to uploads too, and AWS's common rule set blocks bodies over 8 KB and queries over 2,048 bytes"},
		{"rules on every path", func(d *cfn.Deployment) {
			scope(d)["SearchString"] = "/u"
		}, "it applies to uploads too"},
		{"rules on all but a path", func(d *cfn.Deployment) {
			s := rule(d, 2)
			s["ScopeDownStatement"] = map[string]any{"NotStatement": map[string]any{"Statement": s["ScopeDownStatement"]}}
		}, "it applies to uploads too"},
		{"rules on more of Uppy", func(d *cfn.Deployment) { scope(d)["SearchString"] = "/s3/multipart" }, "it applies to uploads too"},
		{"rules on a query", func(d *cfn.Deployment) {
			scope(d)["FieldToMatch"] = map[string]any{"QueryString": nil}
		}, "it applies to uploads too"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := deployment(t, "full")
			tt.change(d)
			_, err := FromDeployment(d)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(tt.want, ": ") && !errors.Is(err, ErrCannotPlay) && !strings.Contains(err.Error(), "allowed are") {
				t.Errorf("%v is not ErrCannotPlay", err)
			}
		})
	}
}

// A template that does not say how long CloudFront waits for S3 leaves it at 30 seconds.
func TestTimeAtOrigin(t *testing.T) {
	for seconds, want := range map[int]time.Duration{0: 30 * time.Second, 1: time.Second, 120: 120 * time.Second} {
		d := deployment(t, "plain")
		d.Distribution.Origins[0].S3OriginConfig.OriginReadTimeout = seconds
		if got, err := FromDeployment(d); err != nil || got.Origin.ResponseTimeout != want {
			t.Errorf("%d: %v, %v, want %v", seconds, got.Origin.ResponseTimeout, err, want)
		}
	}
}

// A signing control is played, because what S3 says to it is known.
func TestSigningOrigins(t *testing.T) {
	control := func(behavior string) func(*cfn.Deployment) {
		return func(d *cfn.Deployment) {
			d.OriginAccessControls["${OAC.Id}"] = cfn.OriginAccessControl{OriginAccessControlOriginType: "s3", SigningProtocol: "sigv4", SigningBehavior: behavior}
			d.Distribution.Origins[0].OriginAccessControlId = "${OAC.Id}"
		}
	}
	for name, tt := range map[string]struct {
		change func(*cfn.Deployment)
		want   bool
	}{
		"always":      {control("always"), true},
		"no-override": {control("no-override"), true}, // a presigned query is no Authorization header
		"never":       {control("never"), false},
		"identity": {func(d *cfn.Deployment) {
			d.Distribution.Origins[0].S3OriginConfig.OriginAccessIdentity = "origin-access-identity/cloudfront/E1"
		}, true},
	} {
		d := deployment(t, "plain")
		tt.change(d)
		if got, err := FromDeployment(d); err != nil || got.Origin.Signs != tt.want {
			t.Errorf("%s: signs %v, %v", name, got.Origin.Signs, err)
		}
	}
}
