package examples

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"oncegate/infra/oncegate"
)

// TwoGates has one gate for people, in the Region where they are, and one for build jobs, whose
// index is in a table. Each has a name and a bucket. One worker takes what both have accepted.
func TwoGates(app awscdk.App, build string) error {
	people, err := oncegate.New(app, "People", &oncegate.Props{
		Settings: oncegate.Settings{
			Bucket:     jsii.String("example-people-uploads"),
			Name:       jsii.String("people"),
			Region:     jsii.String("eu-central-1"),
			Acceptance: true,
		},
		Build: build,
	})
	if err != nil {
		return err
	}
	jobs, err := oncegate.New(app, "Jobs", &oncegate.Props{
		Settings: oncegate.Settings{
			Bucket:     jsii.String("example-jobs-uploads"),
			Name:       jsii.String("jobs"),
			Region:     jsii.String("eu-central-1"),
			Auth:       "api-key",
			Index:      jsii.String("dynamodb"),
			Acceptance: true,
			Page:       false,
		},
		Build: build,
	})
	if err != nil {
		return err
	}
	workers := awscdk.NewStack(app, jsii.String("Workers"), in("eu-central-1"))
	worker := awsiam.NewRole(workers, jsii.String("Worker"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("ecs-tasks.amazonaws.com"), nil),
	})
	people.GrantTakeAccepted(worker)
	jobs.GrantTakeAccepted(worker)
	return nil
}
