package check_test

import (
	"testing"

	"oncegate/internal/cfn/cfntest"
)

// TestCheckInvitations: what the bound of an invitation rests on in the bucket, and what
// the mint needs to give out its slots.
func TestCheckInvitations(t *testing.T) {
	const bucket = "arn:aws:s3:::plain-uploads"
	for _, tt := range []damaged{
		{"the mint cannot take a slot", "plain", func(t *templates) { cfntest.Without(t.RolePolicy("Mint"), "Invitations") },
			"permissions: oncegate-mint lacks: Allow s3:PutObject on " + bucket + "/invitations/*"},
		{"the mint cannot replace a slot", "plain", func(t *templates) {
			cfntest.Statement(t.RolePolicy("Mint"), "Invitations")["Action"] = "s3:PutObject"
		}, "permissions: oncegate-mint lacks: Allow s3:GetObject on " + bucket + "/invitations/*"},
		{"the mint cannot see whether a URL is spent", "plain", func(t *templates) { cfntest.Without(t.RolePolicy("Mint"), "ReadExpiredEntries") },
			"permissions: oncegate-mint lacks: Allow s3:GetObject on " + bucket + "/signatures/expired/*"},
		{"the mint cannot take a URL back", "plain", func(t *templates) { cfntest.Without(t.RolePolicy("Mint"), "RevokeURLs") },
			"permissions: oncegate-mint lacks: Allow s3:PutObject on " + bucket + "/signatures/expired/*"},
		{"the mint cannot list slots", "plain", func(t *templates) { cfntest.Without(t.RolePolicy("Mint"), "TellAbsent") },
			"permissions: oncegate-mint lacks: Allow s3:ListBucket on " + bucket},
		{"the mint lists slots and cannot tell what is absent", "plain", func(t *templates) {
			cfntest.Statement(t.RolePolicy("Mint"), "TellAbsent")["Condition"] = object{"StringLike": object{"s3:prefix": "invitations/*"}}
		}, "permissions: oncegate-mint lacks: Allow s3:ListBucket on " + bucket},
		{"the mint deletes slots", "plain", func(t *templates) {
			cfntest.Statement(t.RolePolicy("Mint"), "Invitations")["Action"] = []any{"s3:DeleteObject", "s3:GetObject", "s3:PutObject"}
		}, "permissions: oncegate-mint has what it does not need: Allow s3:DeleteObject on " + bucket + "/invitations/*"},
		{"the gate reads invitations", "plain", func(t *templates) {
			cfntest.With(t.RolePolicy("Gate"), object{"Effect": "Allow", "Action": "s3:GetObject", "Resource": bucket + "/invitations/*"})
		}, "permissions: oncegate-gate has what it does not need: Allow s3:GetObject on " + bucket + "/invitations/*"},

		{"slots are overwritten", "plain", func(t *templates) { cfntest.Without(t.BucketPolicy(), "InvitationsAreConditional") },
			"bucket policy: does not say: Deny s3:PutObject on " + bucket + "/invitations/* if Null s3:if-match true if Null s3:if-none-match true"},
		{"no slot can be replaced", "plain", func(t *templates) {
			cfntest.Statement(t.BucketPolicy(), "InvitationsAreConditional")["Condition"] = object{"Null": object{"s3:if-none-match": "true"}}
		}, "bucket policy: must not say: Deny s3:PutObject on " + bucket + "/invitations/* if Null s3:if-none-match true"},
		{"slots are deleted", "plain", func(t *templates) {
			s := cfntest.Statement(t.BucketPolicy(), "IndexIsNotDeleted")
			s["Resource"] = s["Resource"].([]any)[0]
		}, "bucket policy: does not say: Deny s3:DeleteObject on " + bucket + "/invitations/*"},

		{"slots go while an invitation lives", "plain", func(t *templates) { rule(t, "invitations")["ExpirationInDays"] = 90 },
			"lifecycle: invitations are removed after 90 days, and their slots too, want 91: a taken slot would be free again"},
		{"slots go by an earlier rule", "plain", func(t *templates) {
			addRule(t, object{"Id": "x", "Status": "Enabled", "Prefix": "invitations/", "ExpirationInDays": 30})
		}, "lifecycle: invitations are removed after 30 days, and their slots too, want 91"},
		{"slots go by a rule of their own", "plain", func(t *templates) {
			addRule(t, object{"Id": "x", "Status": "Enabled", "Prefix": "invitations/slots/", "ExpirationInDays": 365})
		}, `lifecycle: rule x removes current objects under "invitations/slots/" after 365 days`},
		{"invitations stay for ever", "plain", func(t *templates) { rule(t, "invitations")["Status"] = "Disabled" },
			"lifecycle: invitations and their slots are never removed"},
	} {
		t.Run(tt.name, tt.isNamed)
	}
}
