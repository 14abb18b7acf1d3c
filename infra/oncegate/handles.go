package oncegate

import (
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfront"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"oncegate/internal/config"
)

// SettingsJSON is a config.json with all settings of the gate, for the command line.
func (g *Gate) SettingsJSON() []byte { return g.conf.JSON() }

// Stacks are those that the gate has made: of the bucket, of the edge and, with "runtime":
// "regional", of the functions that decide in the bucket's Region.
func (g *Gate) Stacks() []awscdk.Stack { return slices.Clone(g.made.Stacks) }

// Bucket is where uploads are. With "existingBucket": true it is that bucket by its name.
func (g *Gate) Bucket() awss3.IBucket {
	if !g.conf.Deploy.ExistingBucket {
		return part[awss3.IBucket](g.made.Bucket, "Bucket")
	}
	if known := part[awss3.IBucket](g.made.Edge, "Theirs"); known != nil {
		return known
	}
	return awss3.Bucket_FromBucketName(g.made.Edge, jsii.String("Theirs"), jsii.String(g.conf.Bucket))
}

// Table is that of the index, or nil where the index is in the bucket.
func (g *Gate) Table() awsdynamodb.ITable {
	if g.conf.Index != config.IndexDynamoDB {
		return nil
	}
	return part[awsdynamodb.ITable](g.made.Bucket, "Table")
}

// Distribution is what answers, Props.Distribution or one of the gate's own. Its paths are those of docs/api.md.
func (g *Gate) Distribution() awscloudfront.IDistribution { return g.made.Distribution }

// URL is where one-time URLs are made, under the name that CloudFront gives a distribution of
// yours.
func (g *Gate) URL() *string {
	host := *g.made.Distribution.DistributionDomainName()
	if g.conf.Deploy.Domain != "" {
		host = g.conf.Deploy.Domain
	}
	return jsii.String("https://" + host + "/url")
}

// Names of functions and queues. What the settings do not ask for is not there.
const (
	Mint         = "mint"          // at the edge
	Decide       = "gate"          // at the edge
	Page         = "page"          // at the edge
	RegionalMint = "regional-mint" // "runtime": "regional"
	RegionalGate = "regional-gate" // "runtime": "regional"
	Accept       = "accept"        // function and queue of "acceptance"
	Webhook      = "webhook"       // function and queue of its webhook
)

// Function is one of the functions by its name, or nil if the settings do not ask for it.
// Of a function at the edge metrics and logs are in the Regions where it runs.
func (g *Gate) Function(name string) awslambda.IFunction {
	ids := map[string]struct {
		in constructs.Construct
		id string
	}{
		Mint: {g.made.Edge, "Mint"}, Decide: {g.made.Edge, "Gate"}, Page: {g.made.Edge, "Page"},
		RegionalMint: {g.made.Regional, "RegionalMint"}, RegionalGate: {g.made.Regional, "RegionalGate"},
		Accept: {g.made.Bucket, "Accept"}, Webhook: {g.made.Bucket, "Webhook"},
	}
	at, known := ids[name]
	if !known {
		return nil
	}
	return part[awslambda.IFunction](at.in, at.id)
}

// Queue is what Accept or Webhook follows, or nil if the settings do not ask for it.
func (g *Gate) Queue(name string) awssqs.IQueue { return g.queue(name, "Queue") }

// DeadLetters is where messages of Queue go that were given up, or nil.
func (g *Gate) DeadLetters(name string) awssqs.IQueue { return g.queue(name, "Dead") }

func (g *Gate) queue(name, which string) awssqs.IQueue {
	id, known := map[string]string{Accept: "Accept", Webhook: "Webhook"}[name]
	if !known {
		return nil
	}
	return part[awssqs.IQueue](g.made.Bucket, id+which)
}

// Topics are what the alarms publish to, one for each stack that has alarms.
func (g *Gate) Topics() []awssns.ITopic {
	var all []awssns.ITopic
	for _, s := range g.Stacks() {
		if topic := part[awssns.ITopic](s, "Alarms"); topic != nil {
			all = append(all, topic)
		}
	}
	return all
}

// part is what package stack has made under an id, or nil.
func part[T any](in constructs.Construct, id string) (found T) {
	if in == nil {
		return found
	}
	if child := in.Node().TryFindChild(jsii.String(id)); child != nil {
		found, _ = child.(T)
	}
	return found
}
