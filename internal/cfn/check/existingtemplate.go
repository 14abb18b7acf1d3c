package check

import (
	"encoding/json"
	"slices"

	"oncegate/internal/cfn"
	"oncegate/internal/config"
)

// checkTheirBucket holds a bucket that was there to what oncegate doctor asks of one, if it is
// in the templates because somebody makes it in the same app. Of one that is not there, the
// output must say what its policy has to.
func checkTheirBucket(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	b := d.Bucket
	e := Existing{Settings: conf, Account: "${AWS::AccountId}", AcceptanceRole: acceptanceRole(d, conf)}
	if b.ID == "" {
		if d.Shared {
			return // the helper of the construct says it, for a distribution of theirs gets no outputs
		}
		want, err := json.Marshal(e.Statements())
		if got := d.Outputs["BucketPolicy"]; err != nil || got != string(want) {
			broken("output BucketPolicy is %s, want %s", got, want)
		}
		return
	}
	if b.BucketName != conf.Bucket || b.Region != conf.Region {
		broken("is %s in %s, the settings say %s in %s", b.BucketName, b.Region, conf.Bucket, conf.Region)
	}
	found := e.Versions(b.VersioningConfiguration.Status, false)
	for _, s := range b.BucketEncryption.ServerSideEncryptionConfiguration {
		found = append(found, e.Encryption(s.ServerSideEncryptionByDefault.SSEAlgorithm, s.ServerSideEncryptionByDefault.KMSMasterKeyID, s.BucketKeyEnabled)...)
	}
	var rules []Rule
	for _, r := range b.LifecycleConfiguration.Rules {
		rules = append(rules, Rule{LifecycleRule: r})
	}
	found = slices.Concat(found, e.Rules(rules), e.CORS(b.CorsConfiguration.CorsRules))
	text, err := json.Marshal(b.Policy.PolicyDocument)
	policy, parseErr := ParsePolicy(text)
	if err != nil || parseErr != nil {
		broken("its policy cannot be read: %v, %v", err, parseErr)
	}
	for _, f := range append(found, e.Policy(policy)...) {
		if f.Severity == Breaks {
			broken("%s", f.Detail)
		}
	}
}
