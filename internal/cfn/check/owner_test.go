package check_test

import (
	"testing"

	"oncegate/internal/cfn/cfntest"
)

// TestCheckOwnerAPI: with ownerApi the mint's role has exactly what reporting on URLs and
// revoking them need. Without it there is none of that.
func TestCheckOwnerAPI(t *testing.T) {
	for _, tt := range []damaged{
		{"the mint cannot read what owners ask for", "full", func(t *templates) { cfntest.Without(t.RolePolicy("Mint"), "ReadURLs") },
			"permissions: full-mint lacks: Allow s3:GetObject on arn:aws:s3:::full-uploads/signatures/valid/*"},
		{"the mint reads URLs though nobody may own them", "plain", func(t *templates) {
			cfntest.With(t.RolePolicy("Mint"), object{
				"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::plain-uploads/signatures/valid/*",
			})
		}, "permissions: oncegate-mint has what it does not need: Allow s3:GetObject on arn:aws:s3:::plain-uploads/signatures/valid/*"},
		{"pages of owners cannot revoke", "full", func(t *templates) {
			cors := t.Edge.Properties("AWS::CloudFront::ResponseHeadersPolicy", "")["ResponseHeadersPolicyConfig"].(object)["CorsConfig"].(object)
			cors["AccessControlAllowMethods"] = object{"Items": []any{"GET", "HEAD", "POST", "PUT"}}
		}, "response headers: the default behavior does not let pages send DELETE"},
		{"pages may send what nothing answers", "full", func(t *templates) {
			cors := t.Edge.Properties("AWS::CloudFront::ResponseHeadersPolicy", "")["ResponseHeadersPolicyConfig"].(object)["CorsConfig"].(object)
			cors["AccessControlAllowMethods"] = object{"Items": []any{"DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"}}
		}, "response headers: the default behavior lets pages send PATCH, which they must not"},
	} {
		t.Run(tt.name, tt.isNamed)
	}
}
