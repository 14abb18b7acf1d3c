package check_test

import "testing"

// TestCheckWebACL breaks the web ACL in one place at a time.
func TestCheckWebACL(t *testing.T) {
	acl := func(t *templates) object { return t.Edge.Properties("AWS::WAFv2::WebACL", "") }
	first := func(t *templates) object { return acl(t)["Rules"].([]any)[0].(object) }
	rate := func(t *templates) object { return first(t)["Statement"].(object)["RateBasedStatement"].(object) }
	answer := func(t *templates) object {
		return first(t)["Action"].(object)["Block"].(object)["CustomResponse"].(object)
	}
	for _, tt := range []damaged{
		{"one that nobody asks for", "plain", func(t *templates) { t.Edge.Add("Extra", "AWS::WAFv2::WebACL", object{"Name": "x"}) },
			"web acl: there is one, which the settings do not ask for"},
		{"everybody is blocked", "full", func(t *templates) { acl(t)["DefaultAction"] = object{"Block": object{}} },
			"web acl: scope CLOUDFRONT, default action map[Block:map[]]"},
		{"one of a Region", "full", func(t *templates) { acl(t)["Scope"] = "REGIONAL" }, "web acl: scope REGIONAL"},
		{"an upload whose name has /url", "full", func(t *templates) {
			either := rate(t)["ScopeDownStatement"].(object)["OrStatement"].(object)["Statements"].([]any)
			either[0].(object)["ByteMatchStatement"].(object)["PositionalConstraint"] = "CONTAINS"
		}, "web acl: rule url-rate is not limited to /url"},
		{"another rate than the settings'", "full", func(t *templates) { rate(t)["Limit"] = 1000 },
			"web acl: no rate rule of 500 requests on /url for each address"},
		{"another status", "full", func(t *templates) { answer(t)["ResponseCode"] = 403 },
			"web acl: rule url-rate does not answer 429 with retry-after"},
		{"no time to wait", "full", func(t *templates) { delete(answer(t), "ResponseHeaders") },
			"web acl: rule url-rate does not answer 429 with retry-after"},
	} {
		t.Run(tt.name, tt.isNamed)
	}
}
