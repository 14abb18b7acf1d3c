package check

import (
	"slices"
	"strings"

	"oncegate/internal/cfn"
	"oncegate/internal/config"
	"oncegate/internal/layout"
)

func checkBucket(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	b := d.Bucket
	if b.BucketName != conf.Bucket || b.Region != conf.Region {
		broken("is %s in %s, the settings say %s in %s", b.BucketName, b.Region, conf.Bucket, conf.Region)
	}
	switch status := b.VersioningConfiguration.Status; {
	case conf.Versioned && status != "Enabled":
		broken("versioning is not enabled, and the first-version rule needs it")
	case !conf.Versioned && status != "":
		broken("versioning is %s, and the settings ask for none", status)
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
	if len(b.CorsConfiguration.CorsRules) != 0 {
		broken("S3 answers with CORS headers of its own, which keep CloudFront from adding those that pages need")
	}
}

func checkLifecycle(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	longest := int(config.MaxExpires.Hours() / 24)
	// Of several rules for one object S3 goes by the one that removes it first:
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-conflicts.html
	var valid, expired, parts, invitations, noncurrent, unfinished []int
	for _, r := range d.Bucket.LifecycleConfiguration.Rules {
		if r.Status != "Enabled" {
			continue
		}
		switch {
		case r.ExpirationInDays == 0:
		case r.Prefix == layout.ValidEntries:
			valid = append(valid, r.ExpirationInDays)
		case r.Prefix == layout.ExpiredEntries:
			expired = append(expired, r.ExpirationInDays)
		case r.Prefix == layout.PartsEntries:
			parts = append(parts, r.ExpirationInDays)
		case r.Prefix == layout.Invitations:
			invitations = append(invitations, r.ExpirationInDays)
		case conf.Acceptance.On && r.Prefix == layout.UploadEntries && r.ExpirationInDays > longest:
		case conf.Acceptance.On && r.Prefix == layout.Uploads && onlyAccepted(r):
		case r.Prefix == layout.Uploads && conf.Deploy.KeepUploadsDays == r.ExpirationInDays:
		default:
			broken("rule %s removes current objects under %q after %d days, which the settings do not ask for", r.Id, r.Prefix, r.ExpirationInDays)
		}
		if n := r.NoncurrentVersionExpiration.NoncurrentDays; n > 0 {
			noncurrent = append(noncurrent, n)
			if n <= longest && overlap(layout.Index, r.Prefix) {
				broken("rule %s removes versions of entries after %d days, a URL can live for %d", r.Id, n, longest)
			}
		}
	}
	checkRemoval(d, conf, broken)
	for _, r := range d.Bucket.LifecycleConfiguration.Rules {
		n := r.AbortIncompleteMultipartUpload.DaysAfterInitiation
		if r.Status != "Enabled" || n == 0 || !overlap(layout.Uploads, r.Prefix) {
			continue
		}
		if strings.HasPrefix(layout.Uploads, r.Prefix) {
			unfinished = append(unfinished, n)
		}
		if n <= longest {
			broken("rule %s drops the parts of uploads after %d days, a URL can live for %d", r.Id, n, longest)
		}
	}
	switch {
	case len(unfinished) == 0 || len(parts) == 0:
		broken("the parts of unfinished uploads, or the entries that name them, are never removed")
	case slices.Min(parts) <= longest:
		broken("parts entries are removed after %d days, a URL can live for %d", slices.Min(parts), longest)
	}
	switch {
	case len(invitations) == 0:
		broken("invitations and their slots are never removed")
	case slices.Min(invitations) < config.KeepInvitationsDays:
		broken("invitations are removed after %d days, and their slots too, want %d: a taken slot would be free again", slices.Min(invitations), config.KeepInvitationsDays)
	}
	switch {
	case len(valid) == 0 || len(expired) == 0 || len(noncurrent) == 0:
		broken("valid entries, expired entries or old versions are never removed")
	case slices.Min(valid) <= longest:
		broken("valid entries are removed after %d days, a URL can live for %d", slices.Min(valid), longest)
	case slices.Min(expired) <= slices.Min(valid):
		broken("expired entries are removed after %d days, not later than valid ones (%d): a spent URL could be spent again", slices.Min(expired), slices.Min(valid))
	}
}

// overlap reports whether there can be objects under both prefixes.
func overlap(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }

func checkBucketPolicy(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	arn := "arn:aws:s3:::" + conf.Bucket
	want := []string{
		"Deny s3:* on " + arn + " if Bool aws:SecureTransport false for AWS *",
		"Deny s3:* on " + arn + "/* if Bool aws:SecureTransport false for AWS *",
		"Deny s3:* on " + arn + " if NumericLessThan s3:TlsVersion 1.2 for AWS *",
		"Deny s3:* on " + arn + "/* if NumericLessThan s3:TlsVersion 1.2 for AWS *",
		"Deny s3:PutObject on " + arn + "/" + layout.ExpiredEntries + "* if Null s3:if-none-match true for AWS *",
		"Deny s3:PutObject on " + arn + "/" + layout.PartsEntries + "* if Null s3:if-none-match true for AWS *",
		"Deny s3:DeleteObject on " + arn + "/" + layout.Index + "* for AWS *",
		"Deny s3:PutObject on " + arn + "/" + layout.Invitations + "* if Null s3:if-match true if Null s3:if-none-match true for AWS *",
		"Deny s3:DeleteObject on " + arn + "/" + layout.Invitations + "* for AWS *",
	}
	if conf.Acceptance.On {
		want = append(want, onlyAcceptanceAccepts(d, conf))
	}
	compare(want, d.Bucket.Policy.PolicyDocument.Lines(), func(line string) { broken("does not say: %s", line) },
		func(line string) { broken("must not say: %s", line) })
}
