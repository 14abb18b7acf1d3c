package check

import (
	"maps"
	"slices"

	"oncegate/internal/cfn"
	"oncegate/internal/config"
)

// kept retains what a stack has made, but not what a deploy made that is rolled back.
var kept = cfn.Removal{DeletionPolicy: "RetainExceptOnCreate", UpdateReplacePolicy: "Retain"}

// checkRollback: a deploy that fails leaves nothing behind that is in the way of the next
// one.
func checkRollback(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	held := func(what string, r cfn.Removal) {
		if r != kept {
			broken("%s has deletion policy %q and update-replace policy %q, want %q and %q", what,
				r.DeletionPolicy, r.UpdateReplacePolicy, kept.DeletionPolicy, kept.UpdateReplacePolicy)
		}
	}
	// Retained, an empty bucket would keep its name from every later deploy. Deleted, it
	// would take uploads and index with it; without its policy the index could be deleted.
	if !conf.Deploy.ExistingBucket {
		held("the bucket", d.Bucket.Removal)
		held("the bucket's policy", d.Bucket.Policy.Removal)
	}
	// DynamoDB does not delete a protected table, so no rollback may have to.
	if d.Table != nil && conf.Index == config.IndexDynamoDB {
		held("the table", d.Table.Removal)
		for _, later := range d.Table.After {
			broken("%s %s may be made after the table: if it fails, a protected table must be deleted", later.Type, later.ID)
		}
	}
	// Lambda publishes no version that is like the last one, so a retained one would stop
	// the next try. Without Retain every deploy would try to delete a version that CloudFront
	// has copies of.
	for _, name := range slices.Sorted(maps.Keys(d.Functions)) {
		if len(d.Functions[name].VersionRemovals) != 1 {
			broken("%s has %d versions, want one", name, len(d.Functions[name].VersionRemovals))
		}
		for _, r := range d.Functions[name].VersionRemovals {
			held("the version of "+name, r)
		}
	}
	if d.Shared { // what else is in the stack is theirs
		return
	}
	for _, later := range d.AfterDistribution {
		if slices.Contains(attached, later.Type) || later.Needs && slices.Contains(watchers, later.Type) {
			continue
		}
		broken("%s %s may be made after the distribution: if it fails, functions must be deleted that CloudFront has copies of", later.Type, later.ID)
	}
}

// attached are needed by the distribution unless something is not attached to it, which
// other promises name, or during the first step of a destroy.
var attached = []string{"AWS::Lambda::Function", "AWS::Lambda::Version", "AWS::IAM::Role", "AWS::WAFv2::WebACL"}

// watchers are made after the distribution, because they name its id.
var watchers = []string{"AWS::CloudFront::MonitoringSubscription", "AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard"}
