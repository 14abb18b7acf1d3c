// Package oncegate puts a gate into a CDK app: one-time upload URLs for a bucket, enforced at
// CloudFront's edge. The app in the directory above is made of the same stacks.
//
//	gate, err := oncegate.New(app, "Uploads", &oncegate.Props{
//		Settings: oncegate.Settings{Bucket: jsii.String("my-uploads")},
//		Build:    "../oncegate/build",
//	})
//
// docs/construct.md says how to import the package, and has examples.
package oncegate

import (
	"errors"
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfront"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"oncegate/infra/stack"
	"oncegate/internal/config"
)

// Props say what to make, from what.
type Props struct {
	// Settings are those of config.json. Leave them out if SettingsFile is set.
	Settings
	// SettingsFile is the path of a config.json, for the command line needs the settings too.
	SettingsFile string
	// Build is the directory build of a clone of oncegate, after make build regional accept.
	Build string
	// Distribution is one of yours, to which the gate's behaviors are added; without it the
	// gate makes one. Its stack must be in us-east-1.
	Distribution awscloudfront.Distribution
}

// ErrDistribution is the error for a distribution of yours that cannot take the gate's
// behaviors. The text says why.
var ErrDistribution = stack.ErrShared

// Gate is a deployment of oncegate in an app.
type Gate struct {
	conf config.Config
	node constructs.Construct
	made stack.Made
}

// New makes a gate. It makes stacks of its own, because a gate is in two Regions: the bucket in
// that of the settings; functions, distribution and what watches them in us-east-1. Their names
// begin with the setting "name". Nothing is made if there is an error.
func New(scope constructs.Construct, id string, props *Props) (*Gate, error) {
	gate, err := newGate(scope, id, props)
	if err != nil {
		return nil, fmt.Errorf("oncegate %s: %w", id, err)
	}
	return gate, nil
}

func newGate(scope constructs.Construct, id string, props *Props) (*Gate, error) {
	conf, err := props.settings()
	if err != nil {
		return nil, err
	}
	o, remove, err := stage(props.Build, conf)
	if err != nil {
		return nil, err
	}
	defer remove()
	if err := stack.Check(conf, o); err != nil {
		return nil, err
	}
	into := stack.Into{Account: accountOf(scope), Distribution: props.Distribution}
	if err := stack.CheckInto(conf, into); err != nil {
		return nil, err
	}
	if err := register(scope, conf, into.Account); err != nil {
		return nil, err
	}
	g := &Gate{conf: conf, node: constructs.NewConstruct(scope, jsii.String(id))}
	g.made, err = stack.Make(g.node, conf, o, into)
	return g, err
}

func (p *Props) settings() (conf config.Config, err error) {
	given := p.Settings.isSet()
	switch {
	case given && p.SettingsFile != "":
		return config.Config{}, errors.New("Settings and SettingsFile are both set: allowed is one of them")
	case given:
		conf, err = p.Settings.parse()
	case p.SettingsFile != "":
		conf, err = config.Load(p.SettingsFile)
	default:
		return config.Config{}, errors.New("there are no settings: set Settings.Bucket, or SettingsFile")
	}
	if err != nil {
		return config.Config{}, err
	}
	return conf, conf.Deployable()
}

// accountOf is the account of the stack that scope is in, if that is known before the deploy.
func accountOf(scope constructs.Construct) *string {
	for _, above := range *scope.Node().Scopes() {
		if *awscdk.Stack_IsStack(above) {
			if account := awscdk.Stack_Of(above).Account(); !*awscdk.Token_IsUnresolved(account) {
				return account
			}
		}
	}
	return nil
}

// What the names of the app's gates are noted under, at its root.
const (
	takenName   = "oncegate:name"
	takenBucket = "oncegate:bucket"
)

// register refuses a gate with the name of another one, or with its bucket: most of what is
// made has a name of its own in the account, and two gates would spend each other's URLs.
func register(scope constructs.Construct, conf config.Config, account *string) error {
	root := scope.Node().Root().Node()
	where := ""
	if account != nil {
		where = " in account " + *account
	}
	mine := []struct{ kind, value, setting string }{
		{takenName, conf.Deploy.Name + where, "name"},
		{takenBucket, conf.Bucket, "bucket"},
	}
	for _, entry := range *root.Metadata() {
		for _, m := range mine {
			if *entry.Type == m.kind && entry.Data == m.value {
				return fmt.Errorf("%s is %q, as with another gate of the app: allowed is one of its own", m.setting, m.value)
			}
		}
	}
	for _, m := range mine {
		root.AddMetadata(jsii.String(m.kind), m.value, nil)
	}
	return nil
}
