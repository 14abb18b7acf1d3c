package examples

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"oncegate/infra/oncegate"
)

// BesideAWebsite puts a gate beside a website, with a distribution of its own. Pages of the
// website may use it, for it allows their origin.
func BesideAWebsite(app awscdk.App, build string) error {
	site := awscdk.NewStack(app, jsii.String("Site"), in("us-east-1"))
	newSite(site)

	gate, err := oncegate.New(app, "Uploads", &oncegate.Props{
		Settings: oncegate.Settings{
			Bucket:         jsii.String("example-site-uploads"),
			Name:           jsii.String("site-uploads"),
			AllowedOrigins: []*string{jsii.String("https://www.example.com")},
			MaxBytes:       jsii.Number(100 << 20),
			WAF:            jsii.Bool(true),
		},
		Build: build,
	})
	if err != nil {
		return err
	}
	// The website reads this output at its next build.
	awscdk.NewCfnOutput(gate.Stacks()[1], jsii.String("ForTheSite"), &awscdk.CfnOutputProps{Value: gate.URL()})
	return nil
}
