// Package localaws plays a synthesized deployment on one machine: the bucket and
// the roles on a local S3 server, distribution and functions on the local edge.
package localaws

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"oncegate/internal/cfn"
	"oncegate/internal/localedge"
	"oncegate/internal/locals3"
)

// AWS is a deployment in play.
type AWS struct {
	S3   *locals3.Server
	Edge *localedge.Server
}

// Start plays the deployment. The options say all that it does not; what it says
// overrides them. Each function has temporary credentials of its own role, and S3
// holds them to that role's policies and to the bucket's. Tests may break the
// distribution with change before it starts.
func Start(ctx context.Context, d *cfn.Deployment, s3 locals3.Options, edge localedge.Options, change ...func(*localedge.Distribution)) (*AWS, error) {
	var err error
	if edge.Distribution, err = localedge.FromDeployment(d); err != nil {
		return nil, err
	}
	s3.Bucket, s3.Region = d.Bucket.BucketName, d.Bucket.Region
	if p := d.Bucket.Policy.PolicyDocument; len(p.Statement) > 0 {
		if s3.BucketPolicy, err = document(p); err != nil {
			return nil, err
		}
	}
	credentials := map[string]localedge.Credentials{} // by role
	for _, role := range d.Roles {
		var policies []json.RawMessage
		for _, p := range role.Policies {
			text, err := document(p.PolicyDocument)
			if err != nil {
				return nil, err
			}
			policies = append(policies, text)
		}
		r := locals3.NewRole(localedge.RoleARN(role), policies...)
		s3.Roles = append(s3.Roles, r)
		credentials[r.ARN] = localedge.Credentials{AccessKeyID: r.AccessKey, SecretAccessKey: r.SecretKey, SessionToken: r.SessionToken}
	}
	for i, f := range edge.Distribution.Functions {
		edge.Distribution.Functions[i].Credentials = credentials[f.Role]
	}
	for _, f := range change {
		f(&edge.Distribution)
	}
	a := &AWS{}
	if a.S3, err = locals3.Start(ctx, s3); err != nil {
		return nil, err
	}
	edge.S3 = a.S3.URL()
	if a.Edge, err = localedge.Start(ctx, edge); err != nil {
		a.S3.Close()
		return nil, err
	}
	return a, nil
}

// document is a policy with the account filled in. Any other ${…} that is left in
// it is refused where it is read.
func document(p cfn.PolicyDocument) (json.RawMessage, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return json.RawMessage(strings.ReplaceAll(string(text), "${AWS::AccountId}", localedge.Account)), nil
}

// Close ends the edge, then S3.
func (a *AWS) Close() error {
	err := a.Edge.Close()
	if s3 := a.S3.Close(); err == nil {
		err = s3
	}
	return err
}
