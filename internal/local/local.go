// Package local plays a whole deployment on one machine, as its synthesized templates
// describe it: what the templates ask for and cannot be played is an error.
//
// A viewer's request comes to cloudfront, which runs the edge functions in Node and
// passes on to s3server what they let through. The table of the index, if there is one, is in
// dynamoserver. Where functions are regional, lambda runs
// them and api takes the calls for them; queue has what follows an upload. Functions of
// both kinds are containers, and those are child processes, as the S3 server is. Whatever
// a role may do, iam decides by the policies of the templates.
package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"oncegate/internal/cfn"
	"oncegate/internal/lean/sigv4"
	"oncegate/internal/local/api"
	"oncegate/internal/local/cloudfront"
	"oncegate/internal/local/cloudwatch"
	"oncegate/internal/local/dynamoserver"
	"oncegate/internal/local/iam"
	"oncegate/internal/local/queue"
	"oncegate/internal/local/s3server"
)

// AWS is a deployment in play.
type AWS struct {
	S3   *s3server.Server
	Edge *cloudfront.Server
	// Table is the table of the index, or nil if it is in the bucket.
	Table *dynamoserver.Server
	// Lambda is the API of the regional functions, or nil if there are none.
	Lambda *api.Lambda

	// Services are the other APIs that regional functions call, and Queues, by name, those
	// that they follow. Both may be nil.
	Services *api.Services
	Queues   map[string]*queue.Queue
	// API is the URL of Lambda and Services.
	API string
	// Metrics are what the services report to CloudWatch.
	Metrics *cloudwatch.Metrics

	regional *regional
	jobs     *jobs
	alarms   []cfn.Alarm // with what only a deployment knows filled in
}

// Options say what the templates do not; what the templates say overrides them.
type Options struct {
	S3    s3server.Options
	Table dynamoserver.Options // if the templates have a table
	Edge  cloudfront.Options
	Jobs  Jobs
	// Change, if set, may break the distribution before it starts. It is for tests.
	Change func(*cloudfront.Distribution)
	// Listening, if set, is called once with all addresses, before the first viewer is
	// answered. Its error ends the start.
	Listening func(Addresses) error
}

// Addresses are the URLs of what is played.
type Addresses struct {
	Edge, S3 string
	Table    string // empty where the index is in the bucket
	API      string // of Lambda and Services; empty where no function is regional
}

// Start plays the deployment. Each function has temporary credentials of its own role,
// and S3 holds them to that role's policies and to the bucket's. The context bounds the
// start alone; Close ends everything.
func Start(ctx context.Context, d *cfn.Deployment, o Options) (*AWS, error) {
	store, edge := o.S3, o.Edge
	var err error
	if edge.Distribution, err = cloudfront.FromDeployment(d); err != nil {
		return nil, err
	}
	store.Bucket, store.Region = d.Bucket.BucketName, d.Bucket.Region
	store.Unversioned = d.Bucket.VersioningConfiguration.Status == ""
	keys := map[string]sigv4.Credentials{} // by role
	arns := []string{"${AWS::AccountId}", cloudfront.Account}
	for _, role := range d.Roles {
		arns = append(arns, "${"+role.ID+".Arn}", cloudfront.RoleARN(role))
	}
	known := strings.NewReplacer(arns...)
	if p := d.Bucket.Policy.PolicyDocument; len(p.Statement) > 0 {
		if store.BucketPolicy, err = document(p, known); err != nil {
			return nil, err
		}
	}
	for _, role := range d.Roles {
		var policies []json.RawMessage
		for _, p := range role.Policies {
			text, err := document(p.PolicyDocument, known)
			if err != nil {
				return nil, err
			}
			policies = append(policies, text)
		}
		r := s3server.NewRole(cloudfront.RoleARN(role), policies...)
		store.Roles = append(store.Roles, r)
		keys[r.ARN] = r.Credentials
	}
	for i, f := range edge.Distribution.Functions {
		edge.Distribution.Functions[i].Credentials = keys[f.Role]
	}
	if o.Change != nil {
		o.Change(&edge.Distribution)
	}
	a := &AWS{Metrics: cloudwatch.New(), alarms: alarms(d, edge.Distribution.ID)}
	if edge.Log == nil {
		edge.Log = slog.New(slog.DiscardHandler)
	}
	counting, err := a.Metrics.Handler(edge.Log.Handler(), d.Monitoring.MetricFilters)
	if err != nil {
		return nil, err
	}
	edge.Log, edge.Metrics = slog.New(counting), a.Metrics
	if a.jobs, err = newJobs(d, o.Jobs, edge.Log); err != nil {
		return nil, err
	}
	if len(a.jobs.queues) > 0 {
		a.Queues = map[string]*queue.Queue{}
		for _, q := range a.jobs.queues {
			a.Queues[q.Name()] = q
		}
		store.Stored = a.jobs.stored
	}
	if a.S3, err = s3server.Start(ctx, store); err != nil {
		a.jobs.close()
		return nil, err
	}
	if err := putCORS(ctx, a.S3.URL(), store, d.Bucket.CorsConfiguration.CorsRules); err != nil {
		a.closeRest()
		return nil, err
	}
	edge.S3 = a.S3.URL()
	callers, err := callers(store)
	if err != nil {
		a.closeRest()
		return nil, err
	}
	endpoints := map[string]string{"AWS_ENDPOINT_URL_S3": a.S3.URL()}
	if d.Table != nil {
		o.Table.Metrics = a.Metrics
		if a.Table, err = startTable(d.Table, o.Table, callers, edge.Log); err != nil {
			a.closeRest()
			return nil, err
		}
		endpoints[tableEndpoint] = a.Table.URL()
		edge.Environment = append(edge.Environment, tableEndpoint+"="+a.Table.URL())
	}
	if len(d.Regional) > 0 {
		if a.regional, err = startRegional(d, a.jobs, callers, endpoints, a.Metrics, edge.Concurrency, edge.Log); err != nil {
			a.closeRest()
			return nil, err
		}
		a.Lambda, a.Services = a.regional.Lambda, a.regional.Services
		a.API = a.regional.url
		a.jobs.start(a.Lambda.Functions)
		edge.Environment = append(edge.Environment, "AWS_ENDPOINT_URL_LAMBDA="+a.regional.url)
	}
	if o.Listening != nil {
		at := Addresses{S3: a.S3.URL(), API: a.API}
		if a.Table != nil {
			at.Table = a.Table.URL()
		}
		edge.Listening = func(url string) error { at.Edge = url; return o.Listening(at) }
	}
	if a.Edge, err = cloudfront.Start(ctx, edge); err != nil {
		a.closeRest()
		return nil, err
	}
	return a, nil
}

// tableEndpoint is AWS's variable for where DynamoDB is:
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
const tableEndpoint = "AWS_ENDPOINT_URL_DYNAMODB"

// startTable plays the table that the templates describe.
func startTable(t *cfn.Table, o dynamoserver.Options, callers []api.Caller, log *slog.Logger) (*dynamoserver.Server, error) {
	o.Table, o.Region, o.Account, o.Callers, o.Log = t.TableName, t.Region, cloudfront.Account, callers, log
	for _, k := range t.KeySchema {
		switch k.KeyType {
		case "HASH":
			o.Partition = k.AttributeName
		case "RANGE":
			o.Sort = k.AttributeName
		}
	}
	for _, a := range t.AttributeDefinitions {
		if a.AttributeType != "S" {
			return nil, fmt.Errorf("table %s has a key %s of type %s: only S is played", t.TableName, a.AttributeName, a.AttributeType)
		}
	}
	if t.TimeToLiveSpecification.Enabled {
		o.Expires = t.TimeToLiveSpecification.AttributeName
	}
	return dynamoserver.Start(o)
}

// callers are the roles, and the operator with the local bucket's own credentials, who may do
// everything.
func callers(o s3server.Options) ([]api.Caller, error) {
	var all []api.Caller
	for _, r := range o.Roles {
		caller := api.Caller{ARN: r.ARN, Credentials: r.Credentials}
		for _, document := range r.Policies {
			p, err := iam.ParseIdentity("policy of "+r.ARN, document, s3server.ConditionKeys)
			if err != nil {
				return nil, err
			}
			caller.Policies = append(caller.Policies, p)
		}
		all = append(all, caller)
	}
	return append(all, api.Caller{
		ARN: "arn:aws:iam::" + cloudfront.Account + ":user/operator", Credentials: o.Operator, Policies: []iam.Policy{iam.Administrator()},
	}), nil
}

// putCORS replaces the bucket's CORS rules by these, which may be none.
func putCORS(ctx context.Context, url string, o s3server.Options, rules []cfn.CorsRule) error {
	client := s3.New(s3.Options{
		Region: o.Region, BaseEndpoint: &url, UsePathStyle: true, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(o.Operator.AccessKeyID, o.Operator.SecretAccessKey, ""),
	})
	if len(rules) == 0 {
		if _, err := client.DeleteBucketCors(ctx, &s3.DeleteBucketCorsInput{Bucket: &o.Bucket}); err != nil {
			return fmt.Errorf("remove the bucket's CORS rules: %w", err)
		}
		return nil
	}
	var all types.CORSConfiguration
	for _, r := range rules {
		rule := types.CORSRule{
			AllowedHeaders: r.AllowedHeaders, AllowedMethods: r.AllowedMethods, AllowedOrigins: r.AllowedOrigins, ExposeHeaders: r.ExposedHeaders,
		}
		if r.MaxAge > 0 {
			rule.MaxAgeSeconds = aws.Int32(int32(r.MaxAge))
		}
		all.CORSRules = append(all.CORSRules, rule)
	}
	if _, err := client.PutBucketCors(ctx, &s3.PutBucketCorsInput{Bucket: &o.Bucket, CORSConfiguration: &all}); err != nil {
		return fmt.Errorf("give the bucket its CORS rules: %w", err)
	}
	return nil
}

// document is the text of a policy, with the account and the roles' ARNs filled in. Any
// other ${…} in it is refused where it is read.
func document(p cfn.PolicyDocument, known *strings.Replacer) (json.RawMessage, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return json.RawMessage(known.Replace(string(text))), nil
}

// Close ends the edge, then what it called.
func (a *AWS) Close() error {
	err := a.Edge.Close()
	return errors.Join(err, a.closeRest())
}

func (a *AWS) closeRest() error {
	var err error
	if a.regional != nil {
		err = a.regional.close()
	}
	err = errors.Join(err, a.jobs.close())
	if a.Table != nil {
		err = errors.Join(err, a.Table.Close())
	}
	return errors.Join(err, a.S3.Close())
}
