package check_test

import "testing"

// TestCheckDistribution breaks the distribution in one place at a time.
func TestCheckDistribution(t *testing.T) {
	errorResponse := func(t *templates) object { return t.Distribution()["CustomErrorResponses"].([]any)[0].(object) }
	certificate := func(t *templates) object { return t.Distribution()["ViewerCertificate"].(object) }
	security := func(t *templates) object { return t.ResponsePolicy()["SecurityHeadersConfig"].(object) }
	for _, tt := range []damaged{
		{"a CloudFront function before the gate", "plain", func(t *templates) {
			t.DefaultBehavior()["FunctionAssociations"] = []any{object{"EventType": "viewer-request", "FunctionARN": "arn:aws:cloudfront::111122223333:function/f"}}
		}, "associations: the default behavior has 1 Lambda and 1 CloudFront functions, want index.gate alone"},
		{"a second function", "plain", func(t *templates) {
			all := t.DefaultBehavior()["LambdaFunctionAssociations"].([]any)
			t.DefaultBehavior()["LambdaFunctionAssociations"] = append(all, all[0])
		}, "associations: the default behavior has 2 Lambda and 0 CloudFront functions"},
		{"no behavior for what is below /url", "plain", func(t *templates) {
			t.Distribution()["CacheBehaviors"] = t.Distribution()["CacheBehaviors"].([]any)[:3]
		}, `associations: no behavior "/url/*" with index.mint`},

		{"a second origin", "plain", func(t *templates) {
			t.Distribution()["Origins"] = append(t.Distribution()["Origins"].([]any), t.Origin())
		}, "origin: there are 2, want the bucket alone"},
		{"an origin that is no bucket", "plain", func(t *templates) { delete(t.Origin(), "S3OriginConfig") },
			"origin: an origin access control or identity"},
		{"a path of the origin", "plain", func(t *templates) { t.Origin()["OriginPath"] = "/x" }, "origin: a path or headers are added"},

		{"answers are compressed", "plain", func(t *templates) { t.DefaultBehavior()["Compress"] = true },
			"behaviors: the default behavior compresses answers"},
		{"an error is cached", "plain", func(t *templates) { errorResponse(t)["ErrorCachingMinTTL"] = 10 },
			"behaviors: error 400 is cached or replaced"},
		{"an error gets another status", "plain", func(t *templates) { errorResponse(t)["ResponseCode"] = 200 },
			"behaviors: error 400 is cached or replaced"},
		{"an error gets another page", "plain", func(t *templates) { errorResponse(t)["ResponsePagePath"] = "/index.html" },
			"behaviors: error 400 is cached or replaced"},

		{"it is off", "plain", func(t *templates) { t.Distribution()["Enabled"] = false }, "viewer: enabled false"},
		{"a page for /", "plain", func(t *templates) { t.Distribution()["DefaultRootObject"] = "index.html" },
			"viewer: / is rewritten to index.html"},
		{"a name that nobody asks for", "plain", func(t *templates) { t.Distribution()["Aliases"] = []any{"x.example.com"} },
			"viewer: aliases [x.example.com]"},
		{"a certificate that nobody asks for", "plain", func(t *templates) {
			t.Distribution()["ViewerCertificate"] = object{"AcmCertificateArn": "arn:aws:acm:us-east-1:111122223333:certificate/1"}
		}, "viewer: aliases [] with certificate {arn:aws:acm:us-east-1:111122223333:certificate/1"},
		{"an address of its own without a domain, 600 dollars a month", "plain", func(t *templates) {
			t.Distribution()["ViewerCertificate"] = object{"SslSupportMethod": "vip"}
		}, "viewer: aliases [] with certificate {  vip}"},
		{"an address of its own, 600 dollars a month", "full", func(t *templates) { certificate(t)["SslSupportMethod"] = "vip" },
			"viewer: TLS TLSv1.2_2021 by vip, want TLSv1.2_2021 by sni-only"},
		{"the domain is no name of it", "full", func(t *templates) { delete(t.Distribution(), "Aliases") },
			"viewer: aliases [] with certificate"},

		{"the response headers of another template", "plain", func(t *templates) {
			t.DefaultBehavior()["ResponseHeadersPolicyId"] = "67f7725c-6f97-4210-82d7-5512b31e9d03"
		}, `response headers: the default behavior has response headers policy "67f7725c-6f97-4210-82d7-5512b31e9d03"`},
		{"types are guessed", "plain", func(t *templates) { delete(security(t), "ContentTypeOptions") },
			"response headers: the default behavior does not add nosniff"},
		{"types are guessed where S3 says so", "plain", func(t *templates) { security(t)["ContentTypeOptions"].(object)["Override"] = false },
			"response headers: the default behavior does not add nosniff"},
		{"HSTS for a day", "plain", func(t *templates) {
			security(t)["StrictTransportSecurity"].(object)["AccessControlMaxAgeSec"] = 86400
		}, "response headers: the default behavior does not add nosniff and a year of HSTS"},
		{"HSTS of S3", "plain", func(t *templates) { security(t)["StrictTransportSecurity"].(object)["Override"] = false },
			"response headers: the default behavior does not add nosniff and a year of HSTS"},
		{"any page reads", "full", func(t *templates) {
			t.ResponsePolicy()["CorsConfig"].(object)["AccessControlAllowOrigins"] = object{"Items": []any{"*"}}
		}, "response headers: the default behavior lets [*] read"},
	} {
		t.Run(tt.name, tt.isNamed)
	}
}
