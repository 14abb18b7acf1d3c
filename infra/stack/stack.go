// Package stack is the deployment in CDK: two stacks, always of the same shape,
//
//	Bucket  in the region of config.json: the bucket, who may do what with it, with
//	        "index": "dynamodb" the table of the index, and, with acceptance on,
//	        queue and function that accept uploads
//	Edge    in us-east-1, where Lambda@Edge and CloudFront's metrics live:
//	        functions, distribution, monitoring
//
// and, with "runtime": "regional", a third one:
//
//	Regional  in the region of config.json: the functions that decide there
//
// Bucket and Edge are separate even when the region is us-east-1, so that the edge can be
// destroyed and made again while the bucket stays. They share no references: the names
// of bucket and functions come from config.json. Package cfn/check checks what the
// templates must promise.
//
// Synth is the whole app. Others put a deployment into an app of their own: package oncegate.
package stack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"

	"oncegate/internal/config"
)

// EdgeRegion is where Lambda@Edge functions and web ACLs of CloudFront must be made.
const EdgeRegion = "us-east-1"

// Options say what to synthesize.
type Options struct {
	Config   string // path of the settings file
	Artifact string // directory that becomes the zip of the edge functions
	Stub     string // the same with "runtime": "regional"
	Regional string // directory that becomes the zip of the regional functions
	Accept   string // directory that becomes the zip of the functions of acceptance
	Out      string // directory for the templates
	Local    bool   // allow settings that only work on one machine
	Detach   bool   // leave the functions off the distribution
}

// Synth writes the templates and assets of one deployment.
func Synth(o Options) error {
	conf, err := load(o)
	if err != nil {
		return err
	}
	app := awscdk.NewApp(&awscdk.AppProps{
		Outdir:             jsii.String(o.Out),
		AnalyticsReporting: jsii.Bool(false), // the same settings give the same template with every version of the library
	})
	if _, err := Make(app, conf, o, Into{}); err != nil {
		return err
	}
	awscdk.Aspects_Of(app).Add(cdknag.NewAwsSolutionsChecks(&cdknag.NagPackProps{Verbose: jsii.Bool(true)}), nil)
	app.Synth(nil)
	return nil
}

// pin has CloudFormation refuse to change a setting of a live deployment: uploads into
// another bucket would be signed by URLs that its index does not know, and what was
// stored in the old one would never be accepted. The value goes into a parameter, which the
// CDK's command line leaves as the first deploy has set it, and a rule compares the two
// before anything is changed.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/rules-section-structure.html
func pin(scope constructs.Construct, id, setting, value string) {
	first := awscdk.NewCfnParameter(scope, jsii.String("Deployed"+id), &awscdk.CfnParameterProps{
		Type: jsii.String("String"), Default: jsii.String(value),
		Description: jsii.String("The " + setting + " that this deployment began with. Leave it as it is."),
	})
	awscdk.NewCfnRule(scope, jsii.String(id+"Stays"), &awscdk.CfnRuleProps{
		Assertions: &[]*awscdk.CfnRuleAssertion{{
			Assert: awscdk.Fn_ConditionEquals(first.ValueAsString(), jsii.String(value)),
			AssertDescription: jsii.String(setting + " cannot be changed on a live deployment. Deploy a second settings file with a name and a bucket of its own " +
				"(docs/configuration.md, Change a setting on a live deployment)"),
		}},
	})
}

// load reads the settings and compares them with the artifact's: functions that were
// packed with other settings would mint for another bucket.
func load(o Options) (config.Config, error) {
	conf, err := config.Load(o.Config)
	if err != nil {
		return config.Config{}, err
	}
	if !o.Local {
		if err := conf.Deployable(); err != nil {
			return config.Config{}, err
		}
	}
	if err := Check(conf, o); err != nil {
		return config.Config{}, fmt.Errorf("%s: %w", o.Config, err)
	}
	return conf, nil
}

// ErrBuild is the error for built files that are not there, or are not for the settings.
var ErrBuild = errors.New("run make build with the same CONFIG")

// Check returns an error if these settings, or what was built, cannot be deployed.
func Check(conf config.Config, o Options) error {
	// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-at-edge-function-restrictions.html:
	// function, distribution and role are of one account, hence of partition "aws".
	for _, prefix := range []string{"cn-", "us-gov-", "us-iso", "eu-iso", "eusc-"} {
		if strings.HasPrefix(conf.Region, prefix) {
			return fmt.Errorf("region is %q: Lambda@Edge exists only in the commercial partition", conf.Region)
		}
	}
	for dir, names := range zips(conf, o) {
		if err := checkZip(dir, names, conf); err != nil {
			return fmt.Errorf("%w: %w", err, ErrBuild)
		}
		if err := checkSize(dir); err != nil {
			return err
		}
	}
	return nil
}

// zips are the directories that the settings ask for, with the files that were built for each.
func zips(conf config.Config, o Options) map[string][]string {
	zips := map[string][]string{edgeZip(conf, o): {"index.mjs", "oncegate.wasm", "oncegate-jwt.wasm", "wasm_exec.js", "page.mjs", "page.json"}}
	if conf.Deploy.Runtime == config.RuntimeRegional {
		zips = map[string][]string{edgeZip(conf, o): {"index.mjs", "settings.json", "page.mjs", "page.json"}, o.Regional: {"bootstrap"}}
	}
	if conf.Acceptance.On {
		zips[o.Accept] = []string{"bootstrap"}
	}
	return zips
}

func edgeZip(conf config.Config, o Options) string {
	if conf.Deploy.Runtime == config.RuntimeRegional {
		return o.Stub
	}
	return o.Artifact
}

func checkZip(dir string, names []string, conf config.Config) error {
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("artifact is not complete: %w", err)
		}
	}
	packed, err := config.Load(filepath.Join(dir, "config.json"))
	if err != nil {
		return fmt.Errorf("artifact: %w", err)
	}
	if !reflect.DeepEqual(packed, conf) {
		return errors.New(dir + " was built with other settings")
	}
	return nil
}
