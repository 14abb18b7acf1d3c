package check

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"oncegate/internal/cfn"
	"oncegate/internal/config"
	"oncegate/internal/layout"
)

// Rule is a lifecycle rule of a bucket.
type Rule struct {
	cfn.LifecycleRule
	// On is the day on which it removes what is there, "" if it goes by age or removes nothing.
	On string
	// Archive is a storage class to which it moves objects and from which nobody can read them
	// at once, or "".
	Archive string
}

// Rules judges the lifecycle. It looks at rules that touch what the functions write. One for
// objects with certain tags does not, unless the tag is the one of acceptance: no entry has any.
func (e Existing) Rules(rules []Rule) []Finding {
	change := "change, disable or narrow that rule (a Filter with a Prefix of your own):\n" + e.getRules() + "\n" + e.putRules()
	var all []Finding
	var ours []cfn.LifecycleRule
	for _, r := range rules {
		touches := func(prefix string) bool { return overlap(prefix, r.Prefix) }
		if r.Status != "Enabled" || !slices.ContainsFunc(prefixes, touches) || len(r.TagFilters) > 0 && !onlyAccepted(r.LifecycleRule) {
			continue
		}
		if r.On != "" {
			all = append(all, Finding{Breaks, fmt.Sprintf("rule %s removes current objects under %q on %s, whatever their age", r.Id, r.Prefix, r.On), change})
		}
		if r.Archive != "" && slices.ContainsFunc([]string{layout.Index, layout.Invitations, layout.APIKeys}, touches) {
			all = append(all, Finding{Breaks, fmt.Sprintf("rule %s moves objects under %q to %s, where the gate cannot read the index", r.Id, r.Prefix, r.Archive), change})
		}
		ours = append(ours, r.LifecycleRule)
	}
	missing := e.missing(ours)
	do := change
	if len(missing) > 0 && len(rules) == 0 {
		do = e.api("put-bucket-lifecycle-configuration", "--lifecycle-configuration '"+`{"Rules":[`+"\n"+strings.Join(missing, ",\n")+"\n]}'")
	} else if len(missing) > 0 {
		do = e.getRules() + "\nchange, disable or narrow the rules that are named, and add to \"Rules\":\n" + strings.Join(missing, ",\n") + "\n" + e.putRules()
	}
	return append(all, broken(do, func(broken func(string, ...any)) { checkRules(ours, e.Settings, broken) })...)
}

func (e Existing) getRules() string {
	return e.api("get-bucket-lifecycle-configuration", "--query '{Rules: Rules}' >rules.json")
}

func (e Existing) putRules() string {
	return e.api("put-bucket-lifecycle-configuration", "--lifecycle-configuration file://rules.json")
}

// wanted are the rules for what the functions write, and for nothing else. A rule with days also
// removes delete markers behind which nothing is left.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
func (e Existing) wanted() []cfn.LifecycleRule {
	rule := func(id, prefix string, days int) cfn.LifecycleRule {
		r := cfn.LifecycleRule{Id: "oncegate-" + id, Prefix: prefix, Status: "Enabled", ExpirationInDays: days}
		r.NoncurrentVersionExpiration.NoncurrentDays = config.KeepNoncurrentDays
		return r
	}
	uploads := rule("uploads", layout.Uploads, e.Settings.Deploy.KeepUploadsDays)
	uploads.ExpiredObjectDeleteMarker = uploads.ExpirationInDays == 0
	uploads.AbortIncompleteMultipartUpload.DaysAfterInitiation = config.KeepValidDays
	all := []cfn.LifecycleRule{
		rule("valid-entries", layout.ValidEntries, config.KeepValidDays),
		rule("parts-entries", layout.PartsEntries, config.KeepValidDays),
		rule("expired-entries", layout.ExpiredEntries, e.Settings.Deploy.KeepExpiredDays),
		rule("invitations", layout.Invitations, config.KeepInvitationsDays),
		uploads,
	}
	if e.Settings.Acceptance.On {
		copies := cfn.LifecycleRule{Id: "oncegate-unfinished-copies", Prefix: layout.Accepted, Status: "Enabled"}
		copies.AbortIncompleteMultipartUpload.DaysAfterInitiation = 1
		accepted := rule("accepted-uploads", layout.Uploads, e.Settings.Acceptance.RemoveAfterDays)
		accepted.NoncurrentVersionExpiration.NoncurrentDays = 1
		accepted.TagFilters = []struct{ Key, Value string }{acceptedTag}
		all = append(all, copies, rule("upload-entries", layout.UploadEntries, config.KeepValidDays), accepted)
	}
	return all
}

// missing returns those wanted that are not there, as the AWS command line takes them.
func (e Existing) missing(there []cfn.LifecycleRule) []string {
	var all []string
	for _, want := range e.wanted() {
		same := func(r cfn.LifecycleRule) bool {
			return r.Prefix == want.Prefix && slices.Equal(r.TagFilters, want.TagFilters) && r.ExpirationInDays == want.ExpirationInDays &&
				(want.AbortIncompleteMultipartUpload.DaysAfterInitiation == 0 || r.AbortIncompleteMultipartUpload == want.AbortIncompleteMultipartUpload)
		}
		if !slices.ContainsFunc(there, same) {
			all = append(all, cliRule(want))
		}
	}
	return all
}

// cliRule writes a rule as the AWS command line takes it.
// https://docs.aws.amazon.com/cli/latest/reference/s3api/put-bucket-lifecycle-configuration.html
func cliRule(r cfn.LifecycleRule) string {
	type object map[string]any
	filter := object{"Prefix": r.Prefix}
	if len(r.TagFilters) > 0 {
		filter = object{"And": object{"Prefix": r.Prefix, "Tags": r.TagFilters}}
	}
	rule := object{"ID": r.Id, "Status": r.Status, "Filter": filter}
	switch {
	case r.ExpirationInDays > 0:
		rule["Expiration"] = object{"Days": r.ExpirationInDays}
	case r.ExpiredObjectDeleteMarker:
		rule["Expiration"] = object{"ExpiredObjectDeleteMarker": true}
	}
	if n := r.NoncurrentVersionExpiration.NoncurrentDays; n > 0 {
		rule["NoncurrentVersionExpiration"] = object{"NoncurrentDays": n}
	}
	if n := r.AbortIncompleteMultipartUpload.DaysAfterInitiation; n > 0 {
		rule["AbortIncompleteMultipartUpload"] = object{"DaysAfterInitiation": n}
	}
	text, err := json.Marshal(rule)
	if err != nil {
		panic(err) // strings and numbers
	}
	return string(text)
}
