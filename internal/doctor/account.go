package doctor

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"
)

// account: whose credentials these are. Needs no permission.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
func (r *run) account(ctx context.Context) Line {
	if r.o.Credentials == nil {
		return found(Fail, "%s", r.o.NoCredentials).do("%s", r.o.Renew)
	}
	a, err := r.call(ctx, form("sts", edgeRegion, "GetCallerIdentity", "2011-06-15", nil))
	var out struct {
		Result struct{ Account, Arn string } `xml:"GetCallerIdentityResult"`
	}
	if err == nil {
		err = readXML(a, &out)
	}
	switch e, ok := errors.AsType[*refusal](err); {
	case ok:
		return found(Fail, "AWS does not take these credentials: %v", e).do("%s", r.o.Renew)
	case err != nil:
		return found(Unclear, "STS gives no answer: %v", err).do("try again; is there a way to the network?")
	case out.Result.Account == "":
		return found(Unclear, "STS does not name an account")
	}
	r.id = out.Result.Account
	return found(OK, "%s, as %s", r.id, out.Result.Arn)
}

// bootstrapVersion is the least that the templates ask for, and its parameter's name.
const (
	bootstrapVersion   = 6
	bootstrapParameter = "/cdk-bootstrap/hnb659fds/version"
)

// bootstrap: whether a Region has what the CDK needs for any deploy. Action: ssm:GetParameter.
// https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-env.html
func (r *run) bootstrap(ctx context.Context, region string) Line {
	command := "npx cdk bootstrap aws://" + r.id + "/" + region
	a, err := r.call(ctx, target("ssm", region, "AmazonSSM.GetParameter", map[string]string{"Name": bootstrapParameter}))
	if e, ok := errors.AsType[*refusal](err); ok && e.code == "ParameterNotFound" {
		return found(Fail, "%s is not bootstrapped for the CDK", region).do("%s", command)
	}
	var out struct{ Parameter struct{ Value string } }
	if err == nil {
		err = readJSON(a, &out)
	}
	if err != nil {
		return r.unanswered(err, "ssm:GetParameter "+bootstrapParameter, region)
	}
	version, err := strconv.Atoi(out.Parameter.Value)
	switch {
	case err != nil:
		return found(Unclear, "%s has %q as bootstrap version", region, out.Parameter.Value).do("%s", command)
	case version < bootstrapVersion:
		return found(Fail, "%s is bootstrapped with version %d, and %d is needed", region, version, bootstrapVersion).do("%s", command)
	}
	return found(OK, "%s is bootstrapped, version %d", region, version)
}

func (r *run) bootstrapBucket(ctx context.Context) Line {
	if r.conf.Region == edgeRegion {
		return found(Skipped, "the bucket's Region is %s, too", edgeRegion)
	}
	return r.bootstrap(ctx, r.conf.Region)
}

// racers is how many uploads oncegate verify starts at the same moment. Each needs a run of the
// gate of its own.
const racers = 20

// concurrency: how many functions may run at a time. Action: lambda:GetAccountSettings.
// https://docs.aws.amazon.com/lambda/latest/api/API_GetAccountSettings.html
func (r *run) concurrency(ctx context.Context, region string) Line {
	a, err := r.call(ctx, request{service: "lambda", region: region, method: "GET", path: "/2016-08-19/account-settings"})
	var out struct {
		AccountLimit struct{ ConcurrentExecutions, UnreservedConcurrentExecutions int }
	}
	if err == nil {
		err = readJSON(a, &out)
	}
	if err != nil {
		return r.unanswered(err, "lambda:GetAccountSettings", region)
	}
	all, free := out.AccountLimit.ConcurrentExecutions, out.AccountLimit.UnreservedConcurrentExecutions
	switch {
	case all == 0:
		return found(Unclear, "Lambda does not say how many functions may run at a time in %s", region)
	case free < racers:
		return found(Fail, "%d of %d functions may run at a time in %s: CloudFront answers 503 to more, and to verify's race of %d", free, all, region, racers).
			do("ask AWS for more of Lambda's quota \"Concurrent executions\" (L-B99A9384), in each Region near your viewers: aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 --desired-value 1000 --region %s", region)
	}
	return found(OK, "%d functions may run at a time in %s; other Regions near your viewers have limits of their own", free, region)
}

func (r *run) concurrencyBucket(ctx context.Context) Line {
	if r.conf.Region == edgeRegion {
		return found(Skipped, "the bucket's Region is %s, too", edgeRegion)
	}
	return r.concurrency(ctx, r.conf.Region)
}

// stack returns the state of a stack, "" if there is none. Action: cloudformation:DescribeStacks.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html
func (r *run) stack(ctx context.Context, region, name string) (string, error) {
	a, err := r.call(ctx, form("cloudformation", region, "DescribeStacks", "2010-05-15", map[string]string{"StackName": name}))
	if absent(err) {
		return "", nil
	}
	var out struct {
		Stacks []struct{ StackStatus string } `xml:"DescribeStacksResult>Stacks>member"`
	}
	if err == nil {
		err = readXML(a, &out)
	}
	if err != nil || len(out.Stacks) == 0 {
		return "", err
	}
	return out.Stacks[0].StackStatus, nil
}

// absent reports whether CloudFormation knows no such stack.
func absent(err error) bool {
	e, ok := errors.AsType[*refusal](err)
	return ok && e.code == "ValidationError" && strings.Contains(e.message, "does not exist")
}

// stacks: what an earlier deploy has left.
func (r *run) stacks(ctx context.Context) Line {
	name := r.conf.Deploy.Name
	all := []struct{ region, name string }{{r.conf.Region, name + "-bucket"}, {r.conf.Region, name + "-regional"}, {edgeRegion, name + "-edge"}}
	var there []string
	var wrong *Line
	for _, s := range all {
		state, err := r.stack(ctx, s.region, s.name)
		if err != nil {
			return r.unanswered(err, "cloudformation:DescribeStacks", s.region)
		}
		switch {
		case state == "":
			continue
		case strings.HasSuffix(state, "_FAILED"):
			l := found(Fail, "the stack %s in %s is %s", s.name, s.region, state).do("see docs/runbook.md; CONFIG=… make destroy starts over, and keeps the bucket")
			wrong = &l
		case strings.HasSuffix(state, "_IN_PROGRESS"):
			l := found(Unclear, "the stack %s in %s is %s", s.name, s.region, state).do("wait until that is over")
			wrong = cmp.Or(wrong, &l)
		}
		r.deployed = r.deployed || s.region == edgeRegion && strings.HasSuffix(s.name, "-edge") && !strings.HasPrefix(state, "ROLLBACK")
		there = append(there, s.name+" "+state)
	}
	r.looked = true
	if wrong != nil {
		return *wrong
	}
	if there == nil {
		return found(OK, "no stack %s-…: this is the first deploy", name)
	}
	return found(OK, "%s", strings.Join(there, ", "))
}
