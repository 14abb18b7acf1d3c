package oncegate

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"oncegate/infra/stack"
)

// GrantMint lets a role make URLs without a request to the deployment, by oncegate url
// --direct. Whoever asks the deployment at /url needs no right of AWS, but what the setting
// "auth" says.
func (g *Gate) GrantMint(to awsiam.IGrantable) {
	g.grant(to, stack.DirectStatements(g.made.Edge, g.conf))
}

// GrantOperate lets a role see what became of URLs, revoke them and enable them again: oncegate
// status, list, revoke and enable.
func (g *Gate) GrantOperate(to awsiam.IGrantable) {
	g.grant(to, stack.OperatorStatements(g.made.Edge, g.conf))
}

// GrantReadUploads lets a role read what was uploaded.
func (g *Gate) GrantReadUploads(to awsiam.IGrantable) {
	g.grant(to, stack.ReaderStatements(g.conf))
}

// GrantTakeAccepted lets a role read what was accepted, and delete it when it is done.
func (g *Gate) GrantTakeAccepted(to awsiam.IGrantable) {
	g.grant(to, stack.ConsumerStatements(g.conf))
}

// grant adds statements to the role's own policy. One that is imported may not be changed;
// then synth fails, for nobody would have got the right.
func (g *Gate) grant(to awsiam.IGrantable, statements []awsiam.PolicyStatement) {
	for _, s := range statements {
		s.SetSid(nil) // they are for one policy each, and one role may work for two gates
		if !*to.GrantPrincipal().AddToPrincipalPolicy(s).StatementAdded {
			awscdk.Annotations_Of(g.node).AddError(jsii.String("oncegate: a right could not be granted, because the policy of " +
				"its principal is not in this app. Add it there: the Permissions of docs/cli.md"))
			return
		}
	}
}
