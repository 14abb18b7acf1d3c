package examples

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"oncegate/infra/oncegate"
)

// IntoADistribution adds the gate's behaviors to the distribution of a website, so that pages
// and uploads have one host name. What the distribution has already stays as it is.
func IntoADistribution(app awscdk.App, build string) error {
	site := awscdk.NewStack(app, jsii.String("Site"), in("us-east-1"))
	distribution := newSite(site)

	_, err := oncegate.New(app, "Uploads", &oncegate.Props{
		Settings: oncegate.Settings{
			Bucket: jsii.String("example-site-uploads"),
			Name:   jsii.String("site-uploads"),
			Region: jsii.String("eu-west-1"),
			Auth:   "api-key",
		},
		Build:        build,
		Distribution: distribution,
	})
	return err
}
