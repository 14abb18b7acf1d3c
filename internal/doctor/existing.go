package doctor

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"oncegate/internal/cfn"
	"oncegate/internal/cfn/check"
)

// Lines about a bucket that was there before oncegate, one for each part of it. What they must
// say is in package check, where the templates' bucket is held to the same.

// part is one part of the bucket: how it is read, by which action, and what is found.
type part struct {
	id, action string
	read       func(*bucketReader, context.Context) ([]check.Finding, error)
}

var parts = []part{
	{"bucket-keys", "s3:ListBucket", (*bucketReader).keys},
	{"bucket-versions", "s3:GetBucketVersioning", (*bucketReader).versions},
	{"bucket-policy", "s3:GetBucketPolicy", (*bucketReader).policy},
	{"bucket-public", "s3:GetBucketPublicAccessBlock", (*bucketReader).publicAccess},
	{"bucket-ownership", "s3:GetBucketOwnershipControls", (*bucketReader).ownership},
	{"bucket-encryption", "s3:GetEncryptionConfiguration", (*bucketReader).encryption},
	{"bucket-lifecycle", "s3:GetLifecycleConfiguration", (*bucketReader).lifecycle},
	{"bucket-events", "s3:GetBucketNotification", (*bucketReader).events},
	{"bucket-cors", "s3:GetBucketCORS", (*bucketReader).cors},
	{"bucket-lock", "s3:GetBucketObjectLockConfiguration", (*bucketReader).lock},
}

// existing are the checks of these parts. There are none for a bucket that the deploy makes.
func existing() []step {
	var all []step
	for _, p := range parts {
		all = append(all, step{p.id, true, func(r *run, ctx context.Context) Line { return r.part(ctx, p) }})
	}
	return all
}

// bucketReader asks S3 about the bucket.
type bucketReader struct {
	*run
	client *s3.Client
	judge  check.Existing
	name   *string
	owner  *string
	// noRole says why the role of acceptance is not known, which two lines need. nil: it is known.
	noRole []check.Finding
}

func (r *run) part(ctx context.Context, p part) Line {
	if !r.found {
		return found(Skipped, "it needs the bucket")
	}
	all, err := p.read(r.reader(ctx), ctx)
	if err != nil {
		return r.unanswered(asRefusal(err), p.action, r.conf.Region)
	}
	l := Line{Result: OK}
	var details, todo []string
	for _, f := range all {
		details = append(details, f.Detail)
		if f.Do != "" && (len(todo) == 0 || todo[len(todo)-1] != f.Do) { // of several findings one thing may have to be done
			todo = append(todo, f.Do)
		}
		switch {
		case f.Severity == check.Breaks:
			l.Result = Fail
		case f.Severity == check.Unclear && l.Result == OK:
			l.Result = Unclear
		}
	}
	l.Found, l.Do = strings.Join(details, "; "), strings.Join(todo, "\n")
	if details == nil {
		l.Found = "fits"
	}
	return l
}

// reader makes what the parts have in common, once.
func (r *run) reader(ctx context.Context) *bucketReader {
	if r.bucketReader != nil {
		return r.bucketReader
	}
	judge := check.Existing{Settings: r.conf, Account: r.id}
	var noRole []check.Finding
	if r.conf.Acceptance.On {
		var err error
		if judge.AcceptanceRole, err = r.roleOf(ctx, r.conf.Deploy.FunctionName("accept")); err != nil {
			l := r.unanswered(err, "lambda:GetFunctionConfiguration", r.conf.Region)
			noRole = []check.Finding{{Severity: check.Unclear, Detail: l.Found, Do: l.Do}}
		}
	}
	o := s3.Options{Region: r.conf.Region, Credentials: r.o.Credentials}
	if r.o.Endpoint != nil {
		if e := r.o.Endpoint("s3"); e != "" {
			o.BaseEndpoint, o.UsePathStyle = &e, true
		}
	}
	r.bucketReader = &bucketReader{r, s3.New(o), judge, &r.conf.Bucket, &r.id, noRole}
	return r.bucketReader
}

// roleOf returns the ARN of a function's role, "" if there is no such function. Action:
// lambda:GetFunctionConfiguration.
// https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionConfiguration.html
func (r *run) roleOf(ctx context.Context, function string) (string, error) {
	a, err := r.call(ctx, request{service: "lambda", region: r.conf.Region, method: http.MethodGet, path: "/2015-03-31/functions/" + function + "/configuration"})
	if e, ok := errors.AsType[*refusal](err); ok && e.code == "ResourceNotFoundException" {
		return "", nil
	}
	var out struct{ Role string }
	if err == nil {
		err = readJSON(a, &out)
	}
	return out.Role, err
}

// asRefusal gives an answer of S3 that refuses the form that the other services' answers have.
func asRefusal(err error) error {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return err
	}
	e := &refusal{code: api.ErrorCode(), message: api.ErrorMessage()}
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		e.status = response.HTTPStatusCode()
	}
	return e
}

// none reports whether S3 says by one of these codes that the bucket has no such configuration.
func none(err error, codes ...string) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	for _, code := range codes {
		if ok && api.ErrorCode() == code {
			return true
		}
	}
	return false
}

// mostKeys is how many keys of each prefix are looked at.
const mostKeys = 1000

func (b *bucketReader) keys(ctx context.Context) ([]check.Finding, error) {
	var keys []string
	for _, prefix := range b.judge.Prefixes() {
		out, err := b.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: b.name, ExpectedBucketOwner: b.owner, Prefix: &prefix, MaxKeys: aws.Int32(mostKeys)})
		if err != nil {
			return nil, err
		}
		for _, o := range out.Contents {
			keys = append(keys, aws.ToString(o.Key))
		}
	}
	return b.judge.Keys(keys), nil
}

func (b *bucketReader) versions(ctx context.Context) ([]check.Finding, error) {
	out, err := b.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: b.name, ExpectedBucketOwner: b.owner})
	if err != nil {
		return nil, err
	}
	return b.judge.Versions(string(out.Status), out.MFADelete == types.MFADeleteStatusEnabled), nil
}

func (b *bucketReader) policy(ctx context.Context) ([]check.Finding, error) {
	out, err := b.client.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: b.name, ExpectedBucketOwner: b.owner})
	if none(err, "NoSuchBucketPolicy") {
		return append(b.noRole, b.judge.Policy(nil)...), nil
	}
	if err != nil {
		return nil, err
	}
	statements, err := check.ParsePolicy([]byte(aws.ToString(out.Policy)))
	if err != nil {
		return []check.Finding{{Severity: check.Unclear, Detail: err.Error(), Do: "compare it with docs/existing-bucket.md"}}, nil
	}
	return append(b.noRole, b.judge.Policy(statements)...), nil
}

func (b *bucketReader) publicAccess(ctx context.Context) ([]check.Finding, error) {
	out, err := b.client.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: b.name, ExpectedBucketOwner: b.owner})
	if none(err, "NoSuchPublicAccessBlockConfiguration") {
		return b.judge.PublicAccess(false, false, false, false), nil
	}
	if err != nil {
		return nil, err
	}
	p := out.PublicAccessBlockConfiguration
	if p == nil {
		p = &types.PublicAccessBlockConfiguration{}
	}
	return b.judge.PublicAccess(aws.ToBool(p.BlockPublicAcls), aws.ToBool(p.IgnorePublicAcls), aws.ToBool(p.BlockPublicPolicy), aws.ToBool(p.RestrictPublicBuckets)), nil
}

func (b *bucketReader) ownership(ctx context.Context) ([]check.Finding, error) {
	out, err := b.client.GetBucketOwnershipControls(ctx, &s3.GetBucketOwnershipControlsInput{Bucket: b.name, ExpectedBucketOwner: b.owner})
	if none(err, "OwnershipControlsNotFoundError") {
		return b.judge.Ownership(), nil
	}
	if err != nil {
		return nil, err
	}
	var all []string
	if out.OwnershipControls != nil {
		for _, r := range out.OwnershipControls.Rules {
			all = append(all, string(r.ObjectOwnership))
		}
	}
	return b.judge.Ownership(all...), nil
}

func (b *bucketReader) encryption(ctx context.Context) ([]check.Finding, error) {
	out, err := b.client.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: b.name, ExpectedBucketOwner: b.owner})
	if none(err, "ServerSideEncryptionConfigurationNotFoundError") {
		return b.judge.Encryption("AES256", "", false), nil // what S3 does since 2023
	}
	if err != nil {
		return nil, err
	}
	if c := out.ServerSideEncryptionConfiguration; c != nil {
		for _, r := range c.Rules {
			if d := r.ApplyServerSideEncryptionByDefault; d != nil {
				return b.judge.Encryption(string(d.SSEAlgorithm), aws.ToString(d.KMSMasterKeyID), aws.ToBool(r.BucketKeyEnabled)), nil
			}
		}
	}
	return b.judge.Encryption("AES256", "", false), nil
}

func (b *bucketReader) lifecycle(ctx context.Context) ([]check.Finding, error) {
	out, err := b.client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: b.name, ExpectedBucketOwner: b.owner})
	if none(err, "NoSuchLifecycleConfiguration") {
		return b.judge.Rules(nil), nil
	}
	if err != nil {
		return nil, err
	}
	var rules []check.Rule
	for _, r := range out.Rules {
		rules = append(rules, lifecycleRule(r))
	}
	return b.judge.Rules(rules), nil
}

// lifecycleRule takes a filter by size for none: such a rule removes some of the objects.
func lifecycleRule(in types.LifecycleRule) check.Rule {
	r := check.Rule{LifecycleRule: cfn.LifecycleRule{Id: aws.ToString(in.ID), Status: string(in.Status)}}
	//lint:ignore SA1019 rules that were made long ago have it
	r.Prefix = aws.ToString(in.Prefix)
	var tags []types.Tag
	if f := in.Filter; f != nil {
		if f.Prefix != nil {
			r.Prefix = *f.Prefix
		}
		if f.Tag != nil {
			tags = append(tags, *f.Tag)
		}
		if f.And != nil {
			r.Prefix = aws.ToString(f.And.Prefix)
			tags = append(tags, f.And.Tags...)
		}
	}
	for _, t := range tags {
		r.TagFilters = append(r.TagFilters, struct{ Key, Value string }{aws.ToString(t.Key), aws.ToString(t.Value)})
	}
	if x := in.Expiration; x != nil {
		r.ExpirationInDays, r.ExpiredObjectDeleteMarker = int(aws.ToInt32(x.Days)), aws.ToBool(x.ExpiredObjectDeleteMarker)
		if x.Date != nil {
			r.On = x.Date.UTC().Format("2006-01-02")
		}
	}
	if x := in.NoncurrentVersionExpiration; x != nil {
		r.NoncurrentVersionExpiration.NoncurrentDays = int(aws.ToInt32(x.NoncurrentDays))
	}
	if x := in.AbortIncompleteMultipartUpload; x != nil {
		r.AbortIncompleteMultipartUpload.DaysAfterInitiation = int(aws.ToInt32(x.DaysAfterInitiation))
	}
	for _, t := range in.Transitions {
		if t.StorageClass == types.TransitionStorageClassGlacier || t.StorageClass == types.TransitionStorageClassDeepArchive {
			r.Archive = string(t.StorageClass)
		}
	}
	return r
}

func (b *bucketReader) events(ctx context.Context) ([]check.Finding, error) {
	out, err := b.client.GetBucketNotificationConfiguration(ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: b.name, ExpectedBucketOwner: b.owner})
	if err != nil {
		return nil, err
	}
	var all []check.Event
	add := func(id, target *string, events []types.Event, filter *types.NotificationConfigurationFilter) {
		e := check.Event{ID: aws.ToString(id), Target: aws.ToString(target)}
		for _, name := range events {
			e.Events = append(e.Events, string(name))
		}
		if filter != nil && filter.Key != nil {
			for _, r := range filter.Key.FilterRules {
				if strings.EqualFold(string(r.Name), "prefix") { // S3 answers Prefix
					e.Prefix = aws.ToString(r.Value)
				} else {
					e.Suffix = aws.ToString(r.Value)
				}
			}
		}
		all = append(all, e)
	}
	for _, c := range out.QueueConfigurations {
		add(c.Id, c.QueueArn, c.Events, c.Filter)
	}
	for _, c := range out.TopicConfigurations {
		add(c.Id, c.TopicArn, c.Events, c.Filter)
	}
	for _, c := range out.LambdaFunctionConfigurations {
		add(c.Id, c.LambdaFunctionArn, c.Events, c.Filter)
	}
	return append(b.noRole, b.judge.Events(all, out.EventBridgeConfiguration != nil)...), nil
}

func (b *bucketReader) cors(ctx context.Context) ([]check.Finding, error) {
	out, err := b.client.GetBucketCors(ctx, &s3.GetBucketCorsInput{Bucket: b.name, ExpectedBucketOwner: b.owner})
	if none(err, "NoSuchCORSConfiguration") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []cfn.CorsRule
	for _, r := range out.CORSRules {
		all = append(all, cfn.CorsRule{AllowedMethods: r.AllowedMethods, AllowedOrigins: r.AllowedOrigins, ExposedHeaders: r.ExposeHeaders})
	}
	return b.judge.CORS(all), nil
}

func (b *bucketReader) lock(ctx context.Context) ([]check.Finding, error) {
	out, err := b.client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: b.name, ExpectedBucketOwner: b.owner})
	if none(err, "ObjectLockConfigurationNotFoundError") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if c := out.ObjectLockConfiguration; c != nil && c.Rule != nil && c.Rule.DefaultRetention != nil {
		return b.judge.Retention(string(c.Rule.DefaultRetention.Mode)), nil
	}
	return nil, nil
}
