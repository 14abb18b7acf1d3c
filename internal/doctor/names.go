package doctor

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"oncegate/internal/config"
)

// bucket: whether the name is free, or this deployment's. Actions: s3:ListBucket,
// cloudformation:DescribeStackResources.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
func (r *run) bucket(ctx context.Context) Line {
	name, region := r.conf.Bucket, r.conf.Region
	status, in, err := r.headBucket(ctx, region)
	if err == nil && status == http.StatusMovedPermanently && in != "" && in != region {
		status, in, err = r.headBucket(ctx, in) // another Region answers for it
	}
	switch {
	case err != nil:
		return r.unanswered(err, "s3:ListBucket", region)
	case status == http.StatusNotFound && r.conf.Deploy.ExistingBucket:
		return found(Fail, "there is no bucket %s", name).do("make it, correct \"bucket\" in the settings, or take \"existingBucket\" out, and the deploy makes it")
	case status == http.StatusNotFound:
		return found(OK, "the name %s is free; the deploy makes the bucket", name)
	case status == http.StatusForbidden:
		return found(Fail, "%s is another account's bucket, or these credentials may not s3:ListBucket", name).do("choose another \"bucket\" in the settings: names are taken for all of AWS")
	case status != http.StatusOK:
		return found(Unclear, "S3 answers %d about %s", status, name).do("try again")
	case in != "" && in != region:
		return found(Fail, "%s is yours, in %s, and the settings say %s", name, in, region).do("set \"region\" to %s, or choose another \"bucket\"", in)
	}
	owner, err := r.stackOf(ctx, region, name)
	want := r.conf.Deploy.Name + "-bucket"
	r.found = true
	switch {
	case r.conf.Deploy.ExistingBucket && err == nil && owner == want:
		return found(Fail, "%s is in the stack %s, as one that oncegate has made", name, want).do("take \"existingBucket\" out of the settings")
	case r.conf.Deploy.ExistingBucket:
		return found(OK, "%s is yours, and stays so", name)
	case err == nil && owner == "":
		return found(Fail, "%s is yours and in no stack: a deploy that was rolled back or destroyed has left it, or it is a bucket of your own; a deploy would say that it exists", name).
			do("adopt what oncegate has left (npx cdk import Bucket, see docs/runbook.md), choose another \"bucket\", or set \"existingBucket\" to true if it is your own: docs/existing-bucket.md")
	case err != nil:
		return r.unanswered(err, "cloudformation:DescribeStackResources", region)
	case owner != want:
		return found(Fail, "%s is in the stack %s, and not in %s", name, owner, want).do("choose another \"bucket\" or \"name\" in the settings")
	}
	return found(OK, "%s is this deployment's, in the stack %s", name, want)
}

// stackOf returns the name of the stack that has made the resource of this name, "" if there is
// none.
func (r *run) stackOf(ctx context.Context, region, name string) (string, error) {
	a, err := r.call(ctx, form("cloudformation", region, "DescribeStackResources", "2010-05-15", map[string]string{"PhysicalResourceId": name}))
	if absent(err) {
		return "", nil
	}
	var out struct {
		Resources []struct{ StackName string } `xml:"DescribeStackResourcesResult>StackResources>member"`
	}
	if err == nil {
		err = readXML(a, &out)
	}
	if err != nil || len(out.Resources) == 0 {
		return "", err
	}
	return out.Resources[0].StackName, nil
}

// table: whether the name of the index's table is free, or this deployment's. Actions:
// dynamodb:DescribeTable, cloudformation:DescribeStackResources.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeTable.html
func (r *run) table(ctx context.Context) Line {
	if r.conf.Index != config.IndexDynamoDB {
		return found(Skipped, "the index is in the bucket")
	}
	name, region := r.conf.Table(), r.conf.Region
	describe := target("dynamodb", region, "DynamoDB_20120810.DescribeTable", map[string]string{"TableName": name})
	describe.header["Content-Type"] = "application/x-amz-json-1.0" // of all these services the one that has this version
	_, err := r.call(ctx, describe)
	if e, ok := errors.AsType[*refusal](err); ok && e.code == "ResourceNotFoundException" {
		return found(OK, "the name %s is free; the deploy makes the table", name)
	}
	if err != nil {
		return r.unanswered(err, "dynamodb:DescribeTable", region)
	}
	owner, err := r.stackOf(ctx, region, name)
	want := r.conf.Deploy.Name + "-bucket"
	switch {
	case err != nil:
		return r.unanswered(err, "cloudformation:DescribeStackResources", region)
	case owner == "":
		return found(Fail, "the table %s is there and in no stack; a deploy would say that it exists", name).
			do("take it back, or delete it if nothing in it is of use: see docs/runbook.md, Take a table back")
	case owner != want:
		return found(Fail, "the table %s is in the stack %s, and not in %s", name, owner, want).do("choose another \"bucket\" or \"name\" in the settings")
	}
	return found(OK, "%s is this deployment's, in the stack %s", name, want)
}

// headBucket returns the status, and the Region that the bucket is in if S3 says so.
func (r *run) headBucket(ctx context.Context, region string) (status int, in string, err error) {
	a, err := r.call(ctx, request{service: "s3", region: region, method: http.MethodHead, path: "/" + r.conf.Bucket,
		header: map[string]string{"X-Amz-Expected-Bucket-Owner": r.id}})
	if err != nil {
		return 0, "", err
	}
	return a.status, a.header.Get("X-Amz-Bucket-Region"), nil
}

// certificate: whether CloudFront can use it for the domain. Action: acm:DescribeCertificate.
// https://docs.aws.amazon.com/acm/latest/APIReference/API_DescribeCertificate.html
func (r *run) certificate(ctx context.Context) Line {
	domain, arn := r.conf.Deploy.Domain, r.conf.Deploy.CertificateARN
	if domain == "" {
		return found(Skipped, "the settings have no domain")
	}
	if account := strings.Split(arn, ":")[4]; account != r.id {
		return found(Fail, "the certificate is of the account %s", account).do("ask for one in %s, in us-east-1, and set \"certificateArn\"", r.id)
	}
	a, err := r.call(ctx, target("acm", edgeRegion, "CertificateManager.DescribeCertificate", map[string]string{"CertificateArn": arn}))
	if e, ok := errors.AsType[*refusal](err); ok && e.code == "ResourceNotFoundException" {
		return found(Fail, "there is no certificate %s", arn).do("aws acm request-certificate --region us-east-1 --domain-name %s --validation-method DNS", domain)
	}
	var out struct {
		Certificate struct {
			DomainName, Status      string
			SubjectAlternativeNames []string
			NotAfter                float64
		}
	}
	if err == nil {
		err = readJSON(a, &out)
	}
	c := out.Certificate
	covers := func(name string) bool { return covered(name, domain) }
	switch {
	case err != nil:
		return r.unanswered(err, "acm:DescribeCertificate", edgeRegion)
	case c.Status != "ISSUED":
		return found(Fail, "the certificate is %s, and must be ISSUED", c.Status).do("PENDING_VALIDATION: set the CNAME records that aws acm describe-certificate --region us-east-1 shows; else ask for a new one")
	case c.NotAfter != 0 && time.Unix(int64(c.NotAfter), 0).Before(time.Now()):
		return found(Fail, "the certificate ended at %s", time.Unix(int64(c.NotAfter), 0).UTC().Format(time.RFC3339)).do("renew it")
	case !slices.ContainsFunc(append(c.SubjectAlternativeNames, c.DomainName), covers):
		return found(Fail, "the certificate is for %s, and not for %s", strings.Join(c.SubjectAlternativeNames, ", "), domain).do("aws acm request-certificate --region us-east-1 --domain-name %s --validation-method DNS", domain)
	}
	return found(OK, "issued, and covers %s", domain)
}

// covered reports whether a name of a certificate covers a host: a star is one label.
func covered(name, host string) bool {
	if rest, ok := strings.CutPrefix(name, "*."); ok {
		_, parent, _ := strings.Cut(host, ".")
		return strings.EqualFold(rest, parent)
	}
	return strings.EqualFold(name, host)
}

// distribution is a distribution of the account, as CloudFront lists it.
type distribution struct {
	ID      string   `xml:"Id"`
	Domain  string   `xml:"DomainName"`
	Aliases []string `xml:"Aliases>Items>CNAME"`
}

// list returns the account's distributions. Action: cloudfront:ListDistributions.
// https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_ListDistributions.html
func (r *run) list(ctx context.Context) ([]distribution, error) {
	const pages = 50
	for marker := ""; !r.listed; {
		query := url.Values{}
		if marker != "" {
			query.Set("Marker", marker)
		}
		a, err := r.call(ctx, request{service: "cloudfront", region: edgeRegion, method: "GET", path: "/2020-05-31/distribution", query: query})
		var out struct {
			IsTruncated   bool
			NextMarker    string
			Distributions []distribution `xml:"Items>DistributionSummary"`
		}
		if err == nil {
			err = readXML(a, &out)
		}
		r.distributions = append(r.distributions, out.Distributions...)
		marker, r.listErr = out.NextMarker, err
		r.listed = err != nil || !out.IsTruncated || marker == "" || len(r.distributions) > pages*100
	}
	return r.distributions, r.listErr
}

// domain: whether another distribution holds the name. Two cannot: CNAMEAlreadyExists.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/CNAMEs.html#alternate-domain-names-restrictions
// Whether another account's does, CloudFront tells only those who have a distribution with
// a certificate for the name (ListConflictingAliases), which nobody has before the first deploy.
func (r *run) domain(ctx context.Context) Line {
	name := r.conf.Deploy.Domain
	if name == "" {
		return found(Skipped, "the settings have no domain")
	}
	all, err := r.list(ctx)
	if err != nil {
		return r.unanswered(err, "cloudfront:ListDistributions", edgeRegion)
	}
	for _, d := range all {
		if slices.Contains(d.Aliases, name) {
			if r.deployed {
				return found(OK, "the distribution %s of this account has %s", d.ID, name)
			}
			if !r.looked {
				return found(Unclear, "the distribution %s of this account has %s; whether that is this deployment's is not known", d.ID, name)
			}
			return found(Fail, "the distribution %s of this account has %s, and nothing is deployed here", d.ID, name).do("take the name off that distribution, or choose another \"domain\"")
		}
	}
	if r.o.LookupCNAME == nil {
		return found(Unclear, "no distribution of this account has %s; DNS was not asked", name)
	}
	leads, err := r.o.LookupCNAME(ctx, name)
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		leads, err = "", nil
	}
	leads = strings.TrimSuffix(leads, ".")
	switch own := func(d distribution) bool { return strings.EqualFold(d.Domain, leads) }; {
	case err != nil:
		return found(Unclear, "no distribution of this account has %s, and DNS gives no answer: %v", name, err).do("try again")
	case strings.HasSuffix(leads, ".cloudfront.net") && !slices.ContainsFunc(all, own):
		return found(Fail, "%s leads to %s, a distribution of another account, which probably holds the name", name, leads).do("have its owner take the name off, or choose another \"domain\"; a deploy would say CNAMEAlreadyExists")
	}
	return found(OK, "no distribution of this account has %s, and DNS leads to none; another account's might hold it all the same", name)
}

// cloudfront: whether AWS lets the account make distributions at all.
func (r *run) cloudfront(ctx context.Context) Line {
	all, err := r.list(ctx)
	switch {
	case err != nil:
		return r.unanswered(err, "cloudfront:ListDistributions", edgeRegion)
	case len(all) == 0:
		return found(Unclear, "whether AWS has verified this account for CloudFront cannot be asked, and it has no distribution yet").
			do("if the deploy says \"Your account must be verified before you can add new CloudFront resources\", open a support case (account and billing, free) that asks for it")
	}
	return found(OK, "this account has distributions already")
}
