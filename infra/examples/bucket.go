package examples

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"

	"oncegate/infra/oncegate"
)

// IntoABucket has uploads go into a bucket that the app has for other things as well, under a
// prefix of their own. What the bucket needs for that is added by a call of its own.
func IntoABucket(app awscdk.App, build string) error {
	data := awscdk.NewStack(app, jsii.String("Data"), in("eu-west-1"))
	bucket := awss3.NewBucket(data, jsii.String("Data"), &awss3.BucketProps{
		BucketName:        jsii.String("example-data"), // functions at the edge must know it
		Versioned:         jsii.Bool(true),
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		LifecycleRules: &[]*awss3.LifecycleRule{{
			Id: jsii.String("reports"), Prefix: jsii.String("reports/"), Expiration: awscdk.Duration_Days(jsii.Number(365)),
		}},
	})

	gate, err := oncegate.New(app, "Uploads", &oncegate.Props{
		Settings: oncegate.Settings{
			Bucket:         jsii.String("example-data"),
			ExistingBucket: jsii.Bool(true),
			Region:         jsii.String("eu-west-1"),
			Name:           jsii.String("data-uploads"),
		},
		Build: build,
	})
	if err != nil {
		return err
	}
	return gate.AddTo(bucket)
}
