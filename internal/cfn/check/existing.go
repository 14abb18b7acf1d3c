package check

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"oncegate/internal/cfn"
	"oncegate/internal/config"
	"oncegate/internal/layout"
)

// Existing judges a bucket that was there before the deployment, as S3 describes it. It asks of
// it what the promises ask of a bucket that the deploy makes, and leaves alone what is in the
// bucket besides. Each method is about one part of the bucket and returns nothing if that fits.
type Existing struct {
	// Settings have "existingBucket": true.
	Settings config.Config
	// Account is the one that the bucket and the deployment belong to.
	Account string
	// AcceptanceRole is the ARN of the role of acceptance, or "" if it is not deployed.
	AcceptanceRole string
}

// Severity says how much a finding matters.
type Severity int

// Every severity.
const (
	Note    Severity = iota // it fits, and something is to be known
	Unclear                 // somebody must look
	Breaks                  // a promise does not hold, or uploads are refused
)

// Finding is something about a part of the bucket.
type Finding struct {
	Severity Severity
	Detail   string
	// Do is what to do about it: a sentence, or commands, one on a line.
	Do string
}

// api is a command of the AWS command line about the bucket.
func (e Existing) api(command, arguments string) string {
	return strings.TrimSuffix("aws s3api "+command+" --bucket "+e.Settings.Bucket+" "+arguments, " ")
}

// broken collects what a check of templates says, with one thing to do about all of it.
func broken(do string, check func(broken func(string, ...any))) []Finding {
	var all []Finding
	check(func(format string, args ...any) {
		all = append(all, Finding{Breaks, fmt.Sprintf(format, args...), do})
	})
	return all
}

// Versions judges the versioning: Enabled, Suspended or "".
func (e Existing) Versions(status string, mfaDelete bool) []Finding {
	do := e.api("put-bucket-versioning", "--versioning-configuration Status=Enabled")
	if !e.Settings.Versioned {
		do = `set "versioned" to true in the settings`
		if status == "Suspended" {
			status = "" // new objects have no versions, as in a bucket that never had any
		}
	}
	all := broken(do, func(broken func(string, ...any)) {
		var b cfn.BucketProperties
		b.VersioningConfiguration.Status = status
		checkVersioning(b, e.Settings, broken)
	})
	if mfaDelete {
		// https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-and-other-bucket-config.html
		all = append(all, Finding{Breaks, "MFA delete is on: then S3 takes no lifecycle rules, and oncegate enable cannot remove a version",
			e.api("put-bucket-versioning", `--versioning-configuration Status=Enabled,MFADelete=Disabled --mfa "SERIAL CODE"`) + "   (as the account's root user)"})
	}
	return all
}

// PublicAccess judges the four blocks in the order of S3's document: of new lists of rights, of
// lists that are there, of new policies, of public buckets.
func (e Existing) PublicAccess(blockACLs, ignoreACLs, blockPolicy, restrict bool) []Finding {
	do := e.api("put-public-access-block", "--public-access-block-configuration BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true") +
		"\nit is for the whole bucket: what else is public in it is public no more"
	return broken(do, func(broken func(string, ...any)) {
		var b cfn.BucketProperties
		p := &b.PublicAccessBlockConfiguration
		p.BlockPublicAcls, p.IgnorePublicAcls, p.BlockPublicPolicy, p.RestrictPublicBuckets = blockACLs, ignoreACLs, blockPolicy, restrict
		checkPublicAccess(b, broken)
	})
}

// Ownership judges who owns what others store.
func (e Existing) Ownership(ownership ...string) []Finding {
	do := e.api("put-bucket-ownership-controls", "--ownership-controls Rules=[{ObjectOwnership=BucketOwnerEnforced}]") +
		"\nlists of rights (ACLs) are off then, for the whole bucket"
	return broken(do, func(broken func(string, ...any)) {
		var b cfn.BucketProperties
		for _, o := range ownership {
			b.OwnershipControls.Rules = append(b.OwnershipControls.Rules, struct{ ObjectOwnership string }{o})
		}
		checkOwnership(b, broken)
	})
}

// Encryption judges the default encryption. key is the bucket's KMS key as S3 names it: an ARN,
// an id, an alias, or "" for the one that AWS keeps.
func (e Existing) Encryption(algorithm, key string, bucketKey bool) []Finding {
	want := e.Settings.Deploy.KMSKey
	switch {
	case algorithm == "AES256" && want == "":
		return nil
	case algorithm == "AES256":
		return []Finding{{Breaks, "objects are encrypted with S3's keys, and the settings have the key " + want, `take "kmsKey" out of the settings`}}
	case algorithm != "aws:kms" && algorithm != "aws:kms:dsse":
		return []Finding{{Unclear, fmt.Sprintf("the bucket's encryption is %q, which oncegate does not know", algorithm), ""}}
	}
	if key == "" || strings.HasSuffix(key, "alias/aws/s3") {
		key = config.AWSManagedKey
	}
	if !strings.Contains(key, "alias/") && strings.HasSuffix(want, "/"+key) {
		key = want // the id alone
	}
	var all []Finding
	switch {
	case key == want && key == config.AWSManagedKey: // which everybody in the account may use through S3
	case key == want:
		all = append(all, Finding{Note, "the functions' roles must be allowed kms:GenerateDataKey and kms:Decrypt on the key: its policy can say so",
			"aws kms get-key-policy --region " + e.Settings.Region + " --key-id " + key + " --policy-name default --query Policy --output text >key.json\n" +
				"add to \"Statement\", and leave what is there:\n" + e.keyStatement() + "\n" +
				"aws kms put-key-policy --region " + e.Settings.Region + " --key-id " + key + " --policy-name default --policy file://key.json"})
	case strings.Contains(key, "alias/"):
		all = append(all, Finding{Breaks, "objects are encrypted with the KMS key of the alias " + key + `, and the settings need the key's own ARN`,
			"aws kms describe-key --region " + e.Settings.Region + " --key-id " + key + ` --query KeyMetadata.Arn` + "\n" +
				`set "kmsKey" in the settings to that, and have the bucket name it, too: the alias may come to mean another key`})
	default:
		all = append(all, Finding{Breaks, "objects are encrypted with the KMS key " + key + ", and the settings have " + orNone(want) + ": the roles may not use it",
			`set "kmsKey" in the settings to ` + key})
	}
	if !bucketKey {
		all = append(all, Finding{Note, "without a bucket key, each request of the gate is also one to KMS, which costs more and may be throttled",
			e.api("put-bucket-encryption", fmt.Sprintf(`--server-side-encryption-configuration '{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":%q%s},"BucketKeyEnabled":true}]}'`, algorithm, keyMember(key)))})
	}
	return all
}

// keyStatement lets the roles of the deployment use the bucket's key, through S3 alone. Roles are
// named by their stacks, so that the statement can be there before them.
// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
func (e Existing) keyStatement() string {
	s := cfn.Statement{
		Sid: "OncegateThroughS3", Effect: "Allow", Principal: cfn.Principal{"AWS": {"*"}}, Action: cfn.Strings{"kms:GenerateDataKey", "kms:Decrypt"}, Resource: cfn.Strings{"*"},
		Condition: map[string]map[string]cfn.Strings{
			"StringEquals": {"kms:CallerAccount": {e.Account}, "kms:ViaService": {"s3." + e.Settings.Region + ".amazonaws.com"}},
			"ArnLike":      {"aws:PrincipalArn": {"arn:aws:iam::" + e.Account + ":role/" + e.Settings.Deploy.Name + "-*"}},
		},
	}
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings
	}
	return string(text)
}

func keyMember(key string) string {
	if key == config.AWSManagedKey {
		return ""
	}
	return fmt.Sprintf(`,"KMSMasterKeyID":%q`, key)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// CORS judges the bucket's own CORS rules. CloudFront sends S3 the Origin, and does not replace
// what S3 answers to it.
func (e Existing) CORS(rules []cfn.CorsRule) []Finding {
	var all []Finding
	for i, r := range rules {
		exposes := func(name string) bool {
			return slices.ContainsFunc(r.ExposedHeaders, func(h string) bool { return strings.EqualFold(h, name) })
		}
		allows := func(origin string) bool { return origin == "*" || matchAny(r.AllowedOrigins, origin, false) }
		if !slices.Contains(r.AllowedMethods, "PUT") || !slices.ContainsFunc(e.Settings.AllowedOrigins, allows) || exposes("etag") && exposes("x-amz-version-id") {
			continue
		}
		all = append(all, Finding{Breaks, fmt.Sprintf("CORS rule %d answers pages that may upload, and hides from them what they need: S3's headers take the place of CloudFront's", 1+i),
			"add ETag and x-amz-version-id to its ExposeHeaders, or take the origins of the settings out of it:\n" +
				e.api("get-bucket-cors", ">cors.json") + "\n" + e.api("put-bucket-cors", "--cors-configuration file://cors.json")})
	}
	return all
}

// Retention judges how long S3's Object Lock keeps what is stored with no word of its own, "" for
// not at all.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
func (e Existing) Retention(mode string) []Finding {
	if mode == "" {
		return nil
	}
	return []Finding{{Breaks, "Object Lock holds every new object (" + mode + "): S3 refuses an upload without Content-MD5, after its URL is spent, and no entry goes when its time is over",
		e.api("put-object-lock-configuration", `--object-lock-configuration '{"ObjectLockEnabled":"Enabled"}'`) + "   (what is locked stays locked)"}}
}

// ownKeys are the keys that the functions write.
var ownKeys = regexp.MustCompile(`^(` +
	`(` + layout.Uploads + `|` + layout.Accepted + `|` + layout.UploadEntries + `)(.+/)?[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}` +
	`|(` + layout.ValidEntries + `|` + layout.ExpiredEntries + `|` + layout.PartsEntries + `|` + layout.APIKeys + `|` + layout.Invitations + `)[0-9a-f]{64}` +
	`|` + layout.InvitationSlots + `[0-9a-f]{64}/[0-9]+)$`)

// Statements are what the policy of the bucket must say, whatever else it says.
func (e Existing) Statements() []cfn.Statement { return statements(e.Settings, e.AcceptanceRole) }

// LifecycleRules are what removes from the bucket what the functions have written, and nothing
// else.
func (e Existing) LifecycleRules() []cfn.LifecycleRule { return e.wanted() }

// Prefixes are those under which the deployment keeps something.
func (e Existing) Prefixes() []string { return prefixes }

// Keys judges some of the keys under Prefixes.
func (e Existing) Keys(keys []string) []Finding {
	var all []Finding
	for _, prefix := range prefixes {
		for _, key := range keys {
			if strings.HasPrefix(key, prefix) && !ownKeys.MatchString(key) {
				shown, _ := json.Marshal(key)
				all = append(all, Finding{Breaks, fmt.Sprintf("there are other objects under %s, such as %s: what the rules say of uploads and index would hold for them", prefix, shown),
					"aws s3 mv --recursive s3://" + e.Settings.Bucket + "/" + prefix + " s3://" + e.Settings.Bucket + "/OTHER/   (once nothing needs them there), or choose another bucket"})
				break
			}
		}
	}
	return all
}

// Event is a notification of the bucket.
type Event struct {
	ID             string
	Events         []string // such as s3:ObjectCreated:*
	Prefix, Suffix string   // of keys
	Target         string   // ARN
}

// Events judges whom the bucket notifies. bus is whether it notifies the event bus too, of
// everything.
func (e Existing) Events(events []Event, bus bool) []Finding {
	queue := "arn:aws:sqs:" + e.Settings.Region + ":" + e.Account + ":" + e.Settings.Deploy.FunctionName("accept")
	told := false
	var all []Finding
	for _, n := range events {
		created := slices.ContainsFunc(n.Events, func(event string) bool { return strings.HasPrefix(event, "s3:ObjectCreated:") })
		switch {
		case n.Target == queue && n.Prefix == layout.Uploads && n.Suffix == "" && slices.Contains(n.Events, "s3:ObjectCreated:*"):
			told = true
		case !created:
		case e.Settings.Acceptance.On && overlap(layout.Uploads, n.Prefix):
			// https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html
			all = append(all, Finding{Breaks, fmt.Sprintf("the notification %s is of what is stored under %q: S3 takes no second one for the same objects, and acceptance needs one", n.ID, n.Prefix),
				"give it another prefix, or have it follow oncegate's events: docs/acceptance.md"})
		case overlap(layout.Index, n.Prefix):
			all = append(all, Finding{Note, fmt.Sprintf("the notification %s, to %s, is also of entries of the index: two or more for each upload", n.ID, n.Target), ""})
		}
	}
	if e.Settings.Acceptance.Scan != "" && !bus {
		all = append(all, Finding{Breaks, "the bucket does not notify the event bus: GuardDuty hears of no upload there, and none is accepted",
			e.api("get-bucket-notification-configuration", ">notifications.json") + "\nadd, and leave the rest:\n\"EventBridgeConfiguration\":{}\n" +
				e.api("put-bucket-notification-configuration", "--notification-configuration file://notifications.json")})
	}
	switch {
	case told || !e.Settings.Acceptance.On:
	case e.AcceptanceRole == "":
		all = append(all, Finding{Unclear, "the bucket must notify the queue of acceptance, which is there after a deploy", "after the deploy: oncegate doctor again"})
	default:
		notice := fmt.Sprintf(`{"Id":"oncegate-accept","QueueArn":%q,"Events":["s3:ObjectCreated:*"],"Filter":{"Key":{"FilterRules":[{"Name":"prefix","Value":%q}]}}}`, queue, layout.Uploads)
		do := e.api("put-bucket-notification-configuration", `--notification-configuration '{"QueueConfigurations":[`+notice+`]}'`)
		if len(events) > 0 || bus { // a put replaces all of it
			do = e.api("get-bucket-notification-configuration", ">notifications.json") + "\nadd to \"QueueConfigurations\", and leave the rest:\n" + notice + "\n" +
				e.api("put-bucket-notification-configuration", "--notification-configuration file://notifications.json")
		}
		all = append(all, Finding{Breaks, "the bucket does not notify " + queue + " of uploads: none is accepted", do})
	}
	return all
}
