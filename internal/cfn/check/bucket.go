package check

import (
	"slices"
	"strings"

	"oncegate/internal/cfn"
	"oncegate/internal/config"
	"oncegate/internal/layout"
)

func checkBucket(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	if conf.Deploy.ExistingBucket {
		checkTheirBucket(d, conf, broken)
		return
	}
	b := d.Bucket
	if b.BucketName != conf.Bucket || b.Region != conf.Region {
		broken("is %s in %s, the settings say %s in %s", b.BucketName, b.Region, conf.Bucket, conf.Region)
	}
	checkVersioning(b.BucketProperties, conf, broken)
	if e := b.BucketEncryption.ServerSideEncryptionConfiguration; len(e) != 1 || e[0].ServerSideEncryptionByDefault.SSEAlgorithm != "AES256" {
		broken("objects are not encrypted with S3's keys (AES256)")
	}
	checkPublicAccess(b.BucketProperties, broken)
	checkOwnership(b.BucketProperties, broken)
	if len(b.CorsConfiguration.CorsRules) != 0 {
		broken("S3 answers with CORS headers of its own, which keep CloudFront from adding those that pages need")
	}
}

// What follows is asked of a bucket that the deploy makes and of one that was there, which
// Existing judges.

func checkVersioning(b cfn.BucketProperties, conf config.Config, broken func(string, ...any)) {
	switch status := b.VersioningConfiguration.Status; {
	case conf.Versioned && status != "Enabled":
		broken("versioning is not enabled, and the first-version rule needs it")
	case !conf.Versioned && status != "":
		broken("versioning is %s, and the settings ask for none", status)
	}
}

func checkPublicAccess(b cfn.BucketProperties, broken func(string, ...any)) {
	if p := b.PublicAccessBlockConfiguration; !p.BlockPublicAcls || !p.BlockPublicPolicy || !p.IgnorePublicAcls || !p.RestrictPublicBuckets {
		broken("public access is not blocked in all four ways")
	}
}

func checkOwnership(b cfn.BucketProperties, broken func(string, ...any)) {
	if o := b.OwnershipControls.Rules; len(o) != 1 || o[0].ObjectOwnership != "BucketOwnerEnforced" {
		broken("object ownership is not enforced")
	}
}

func checkLifecycle(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	if conf.Deploy.ExistingBucket {
		return
	}
	checkRules(d.Bucket.LifecycleConfiguration.Rules, conf, broken)
}

func checkRules(rules []cfn.LifecycleRule, conf config.Config, broken func(string, ...any)) {
	longest := int(config.MaxExpires.Hours() / 24)
	// Of several rules for one object S3 goes by the one that removes it first:
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-conflicts.html
	var valid, expired, parts, invitations, uploads, noncurrent, unfinished []int
	for _, r := range rules {
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
			uploads = append(uploads, r.ExpirationInDays)
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
	checkRemoval(rules, conf, broken)
	for _, r := range rules {
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
	case slices.Min(expired) < conf.Deploy.KeepExpiredDays:
		broken("expired entries are removed after %d days, the settings say %d, and the functions go by them", slices.Min(expired), conf.Deploy.KeepExpiredDays)
	}
	if days := conf.Deploy.KeepUploadsDays; days > 0 && len(uploads) == 0 {
		broken("uploads are never removed, the settings say after %d days", days)
	}
}

// overlap reports whether there can be objects under both prefixes.
func overlap(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }

func checkBucketPolicy(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	if conf.Deploy.ExistingBucket {
		return
	}
	want := cfn.PolicyDocument{Statement: statements(conf, acceptanceRole(d, conf))}
	compare(want.Lines(), d.Bucket.Policy.PolicyDocument.Lines(), func(line string) { broken("does not say: %s", line) },
		func(line string) { broken("must not say: %s", line) })
}

// statements are those that a bucket's policy must have. role is the one of acceptance. Those
// about TLS are for all of a bucket that the deploy makes, and for nobody else's objects in one
// that was there.
func statements(conf config.Config, role string) []cfn.Statement {
	arn := "arn:aws:s3:::" + conf.Bucket
	under := func(prefix string) string { return arn + "/" + prefix + "*" }
	all := cfn.Strings{arn, arn + "/*"}
	if conf.Deploy.ExistingBucket {
		all = nil
		for _, prefix := range prefixes {
			all = append(all, under(prefix))
		}
	}
	want := []cfn.Statement{
		deny("OncegateByTLS", "s3:*", all, "Bool", "aws:SecureTransport", "false"),
		deny("OncegateByTLS12", "s3:*", all, "NumericLessThan", "s3:TlsVersion", "1.2"),
		deny("ClaimsAreConditional", "s3:PutObject", cfn.Strings{under(layout.ExpiredEntries), under(layout.PartsEntries)}, "Null", "s3:if-none-match", "true"),
		deny("InvitationsAreConditional", "s3:PutObject", cfn.Strings{under(layout.Invitations)}, "Null", "s3:if-none-match", "true", "s3:if-match", "true"),
		deny("IndexIsNotDeleted", "s3:DeleteObject", cfn.Strings{under(layout.Index), under(layout.Invitations)}, ""),
	}
	if conf.Acceptance.On {
		want = append(want, deny("OnlyAcceptanceAccepts", "s3:PutObject", cfn.Strings{under(layout.Accepted)}, "ArnNotEquals", "aws:PrincipalArn", role))
	}
	return want
}

// prefixes are all under which the functions keep something.
var prefixes = []string{layout.Uploads, layout.Index, layout.Invitations, layout.APIKeys, layout.Accepted}

// deny returns a statement about everybody. keys are pairs of a condition key and its value.
func deny(sid, action string, resources cfn.Strings, operator string, keys ...string) cfn.Statement {
	s := cfn.Statement{Sid: sid, Effect: "Deny", Principal: cfn.Principal{"AWS": {"*"}}, Action: cfn.Strings{action}, Resource: resources}
	if operator != "" {
		s.Condition = map[string]map[string]cfn.Strings{operator: {}}
		for pair := range slices.Chunk(keys, 2) {
			s.Condition[operator][pair[0]] = cfn.Strings{pair[1]}
		}
	}
	return s
}
