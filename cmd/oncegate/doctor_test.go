package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"oncegate/internal/doctor"
)

// account is an AWS account, as far as oncegate doctor asks. The answers have the form that AWS's
// API references show.
type account struct {
	t        *testing.T
	refuse   map[string]string // service or service/region to the code that it refuses with
	id       string
	arn      string
	versions map[string]string // of the bootstrap, by Region
	free     int               // functions that may run at a time
	stacks   map[string]string // name to status
	// bucket is what S3 answers, and in which Region the bucket is; owner is the stack that has it.
	bucket        int
	in, owner     string
	table         string // the stack that has the index's table, "" if there is no table, "-" if it is in no stack
	certificate   map[string]any
	distributions string
	slow          int // how often each service is busy before it answers
	asked         map[string]int
}

const certificateARN = "arn:aws:acm:us-east-1:123456789012:certificate/11111111-2222-3333-4444-555555555555"

func newAccount(t *testing.T) *account {
	return &account{
		t: t, refuse: map[string]string{}, asked: map[string]int{}, id: "123456789012", arn: "arn:aws:iam::123456789012:user/me",
		versions: map[string]string{"us-east-1": "28", "eu-west-1": "28"}, free: 1000,
		stacks: map[string]string{"oncegate-bucket": "UPDATE_COMPLETE", "oncegate-edge": "CREATE_COMPLETE"},
		bucket: 200, in: "eu-west-1", owner: "oncegate-bucket", table: "oncegate-bucket",
		certificate: map[string]any{
			"DomainName": "example.com", "SubjectAlternativeNames": []string{"example.com", "*.example.com"},
			"Status": "ISSUED", "NotAfter": time.Now().Add(time.Hour).Unix(),
		},
		distributions: "<DistributionSummary><Id>E1</Id><DomainName>d111.cloudfront.net</DomainName><Aliases><Quantity>1</Quantity><Items><CNAME>upload.example.com</CNAME></Items></Aliases></DistributionSummary>",
	}
}

// ServeHTTP answers for all services: the first part of the path is which.
func (a *account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	service, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	// Credential=<key>/<date>/<region>/<service>/aws4_request
	scope := strings.Split(r.Header.Get("Authorization"), "/")
	if len(scope) < 5 || scope[3] != service || !strings.HasSuffix(scope[0], "Credential=AKIDDEFAULT") {
		a.t.Errorf("%s: signed by %v", r.URL, scope)
		return
	}
	region := scope[2]
	if a.asked[service+region]++; a.asked[service+region] <= a.slow && r.Method != http.MethodHead {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	body, _ := io.ReadAll(r.Body)
	xml := slices.Contains([]string{"sts", "cloudformation", "cloudfront"}, service)
	fail := func(code, message string) {
		status := http.StatusBadRequest
		if strings.HasPrefix(code, "AccessDenied") {
			status = http.StatusForbidden
		}
		w.WriteHeader(status)
		if xml {
			fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>", code, message)
		} else {
			fmt.Fprintf(w, `{"__type":"com.amazonaws.%s#%s","message":%q}`, service, code, message)
		}
	}
	for _, name := range []string{service, service + "/" + region} {
		if code := a.refuse[name]; code != "" {
			fail(code, "no")
			return
		}
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	switch call := service + " " + r.Header.Get("X-Amz-Target") + r.PostFormValue("Action") + strings.Trim(path, "/"); {
	case call == "sts GetCallerIdentity" && r.PostFormValue("Version") == "2011-06-15":
		fmt.Fprintf(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>%s</Arn><UserId>AIDA</UserId><Account>%s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`, a.arn, a.id)
	case call == "ssm AmazonSSM.GetParameter":
		var in struct{ Name string }
		if json.Unmarshal(body, &in); in.Name != "/cdk-bootstrap/hnb659fds/version" || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
			a.t.Errorf("asked for %s", body)
		}
		if a.versions[region] == "" {
			fail("ParameterNotFound", "")
			return
		}
		fmt.Fprintf(w, `{"Parameter":{"Name":%q,"Type":"String","Value":%q,"Version":1}}`, in.Name, a.versions[region])
	case call == "lambda 2016-08-19/account-settings" && r.Method == http.MethodGet:
		fmt.Fprintf(w, `{"AccountLimit":{"CodeSizeUnzipped":262144000,"ConcurrentExecutions":1000,"UnreservedConcurrentExecutions":%d},"AccountUsage":{"FunctionCount":2}}`, a.free)
	case call == "cloudformation DescribeStacks":
		name := r.PostFormValue("StackName")
		if a.stacks[name] == "" {
			fail("ValidationError", "Stack with id "+name+" does not exist")
			return
		}
		fmt.Fprintf(w, `<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>%s</StackName><StackStatus>%s</StackStatus></member></Stacks></DescribeStacksResult></DescribeStacksResponse>`, name, a.stacks[name])
	case call == "cloudformation DescribeStackResources":
		name := r.PostFormValue("PhysicalResourceId")
		owner := map[string]string{"my-uploads": a.owner, "my-uploads-index": strings.Trim(a.table, "-")}[name]
		if owner == "" {
			fail("ValidationError", "Stack for "+name+" does not exist")
			return
		}
		fmt.Fprintf(w, `<DescribeStackResourcesResponse><DescribeStackResourcesResult><StackResources><member><StackName>%s</StackName></member></StackResources></DescribeStackResourcesResult></DescribeStackResourcesResponse>`, owner)
	case call == "dynamodb DynamoDB_20120810.DescribeTable":
		if string(body) != `{"TableName":"my-uploads-index"}` || r.Header.Get("Content-Type") != "application/x-amz-json-1.0" {
			a.t.Errorf("asked for the table %s", body)
		}
		if a.table == "" {
			fail("ResourceNotFoundException", "Requested resource not found")
			return
		}
		io.WriteString(w, `{"Table":{"TableStatus":"ACTIVE"}}`)
	case call == "s3 my-uploads" && r.Method == http.MethodHead:
		if r.Header.Get("X-Amz-Expected-Bucket-Owner") != a.id || r.Header.Get("X-Amz-Content-Sha256") == "" {
			a.t.Errorf("s3 was asked with %v", r.Header)
		}
		if a.in != "" {
			w.Header().Set("X-Amz-Bucket-Region", a.in)
		}
		if a.in != "" && a.in != region {
			w.WriteHeader(http.StatusMovedPermanently)
			return
		}
		w.WriteHeader(a.bucket)
	case call == "acm CertificateManager.DescribeCertificate":
		if a.certificate == nil {
			fail("ResourceNotFoundException", "")
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"Certificate": a.certificate})
	case call == "cloudfront 2020-05-31/distribution":
		// Two pages, the first without anything.
		if r.URL.Query().Get("Marker") == "" {
			io.WriteString(w, `<DistributionList><Marker></Marker><NextMarker>m2</NextMarker><IsTruncated>true</IsTruncated><Items></Items></DistributionList>`)
			return
		}
		fmt.Fprintf(w, `<DistributionList><IsTruncated>false</IsTruncated><Items>%s</Items></DistributionList>`, a.distributions)
	default:
		a.t.Errorf("asked for %q", call)
		w.WriteHeader(http.StatusNotImplemented)
	}
}

// examine runs oncegate doctor on an account, with all that it looks for on this machine.
func examine(t *testing.T, a *account, settings string, args ...string) (string, error) {
	t.Helper()
	h := newHome(t)
	h.write(".aws/credentials", staticProfile)
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	for _, service := range []string{"sts", "ssm", "lambda", "cloudformation", "s3", "dynamodb", "acm", "cloudfront"} {
		t.Setenv("AWS_ENDPOINT_URL_"+strings.ToUpper(service), s.URL+"/"+service)
	}
	for name, says := range map[string]string{"go": "go version go1.26.8 linux/amd64", "node": "v22.1.0", "npm": "10.9.4"} {
		if _, err := os.Stat(h.dir + "/bin/" + name); err != nil {
			h.write("bin/"+name, "#!/bin/sh\necho "+says+"\n")
		}
	}
	t.Setenv("PATH", h.dir+"/bin")
	h.write("repo/package.json", `{"devDependencies":{"aws-cdk":"2.1148.1"}}`)
	h.write("repo/node_modules/aws-cdk/package.json", `{"version":"2.1148.1"}`)
	h.write("repo/prod.json", settings)
	t.Chdir(h.dir + "/repo")
	if a.id == "" { // for a machine that is not ready
		for _, name := range []string{"bin/go", "bin/npm"} {
			os.Remove(h.dir + "/" + name)
		}
		h.write("bin/node", "#!/bin/sh\necho v18.20.1\n")
		h.write("repo/node_modules/aws-cdk/package.json", `{"version":"2.1.0"}`)
		a.id = "123456789012"
	}
	return runVerb(t, append([]string{"doctor", "--config", "prod.json"}, args...)...)
}

const doctorSettings = `{"bucket":"my-uploads","region":"eu-west-1","index":"dynamodb","domain":"upload.example.com","certificateArn":"` + certificateARN + `"}`

// dns has all names lead to another one.
func dns(t *testing.T, to string, err error) {
	t.Helper()
	before := lookupCNAME
	t.Cleanup(func() { lookupCNAME = before })
	lookupCNAME = func(context.Context, string) (string, error) { return to, err }
}

// linesOf reads the JSON of doctor.
func linesOf(t *testing.T, out string) map[string]doctor.Line {
	t.Helper()
	var report doctor.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := map[string]doctor.Line{}
	for _, l := range report.Lines {
		lines[l.ID] = l
	}
	return lines
}

// TestDoctorGreen: an account that is ready, before the first deploy and after it.
func TestDoctorGreen(t *testing.T) {
	dns(t, "", &net.DNSError{IsNotFound: true})
	a := newAccount(t)
	a.slow = 1 // every service is busy at first
	out, err := examine(t, a, doctorSettings)
	if err != nil || strings.Count(out, "\nok ")+1 != 15 || !strings.HasPrefix(out, "ok      go                 go 1.26.8\n") {
		t.Errorf("%v\n%s", err, out)
	}
	if !strings.HasSuffix(out, "\nprod.json: 15 ok, 0 failed, 0 unclear, 0 skipped\n") {
		t.Errorf("%s", out)
	}
	first := newAccount(t)
	first.stacks, first.bucket, first.in, first.table = nil, 404, "", ""
	first.distributions = strings.ReplaceAll(first.distributions, "upload.example.com", "www.example.com")
	lines := linesOf(t, func() string {
		out, err := examine(t, first, doctorSettings, "--json")
		if err != nil {
			t.Error(err)
		}
		return out
	}())
	for id, l := range lines {
		if l.Result != doctor.OK || l.Do != "" {
			t.Errorf("%s: %+v", id, l)
		}
	}
	if !strings.Contains(lines["bucket"].Found, "my-uploads is free") || !strings.Contains(lines["table"].Found, "my-uploads-index is free") || !strings.Contains(lines["stacks"].Found, "first deploy") {
		t.Errorf("%+v", lines)
	}
	// Without a domain, and with one Region, there is less to ask.
	small, err := examine(t, newAccount(t), `{"bucket":"my-uploads"}`, "--json")
	if lines := linesOf(t, small); !errors.Is(err, errSick) || lines["bootstrap-bucket"].Result != doctor.Skipped || lines["table"].Result != doctor.Skipped || lines["domain"].Result != doctor.Skipped ||
		lines["bucket"].Result != doctor.Fail || !strings.Contains(lines["bucket"].Found, "yours, in eu-west-1, and the settings say us-east-1") {
		t.Errorf("%v %+v", err, lines)
	}
}

// TestDoctorRed: every line fails once, or says why it cannot tell, and no other line changes.
func TestDoctorRed(t *testing.T) {
	const fail, unclear = doctor.Fail, doctor.Unclear
	for _, c := range []struct {
		name      string
		change    func(*account)
		id        string
		result    doctor.Result
		found, do string
	}{
		{"credentials that AWS does not know", func(a *account) { a.refuse["sts"] = "InvalidClientTokenId" }, "account", fail, "does not take these credentials: InvalidClientTokenId", "renew those of the profile default"},
		{"us-east-1 not bootstrapped", func(a *account) { delete(a.versions, "us-east-1") }, "bootstrap-edge", fail, "us-east-1 is not bootstrapped", "npx cdk bootstrap aws://123456789012/us-east-1"},
		{"the bucket's Region not bootstrapped", func(a *account) { delete(a.versions, "eu-west-1") }, "bootstrap-bucket", fail, "eu-west-1 is not bootstrapped", "npx cdk bootstrap aws://123456789012/eu-west-1"},
		{"bootstrapped long ago", func(a *account) { a.versions["eu-west-1"] = "5" }, "bootstrap-bucket", fail, "version 5, and 6 is needed", "npx cdk bootstrap"},
		{"bootstrap may not be asked", func(a *account) { a.refuse["ssm/eu-west-1"] = "AccessDeniedException" }, "bootstrap-bucket", unclear, "may not ssm:GetParameter", "allow it"},
		{"a Region that is off", func(a *account) { a.refuse["ssm/eu-west-1"] = "UnrecognizedClientException" }, "bootstrap-bucket", fail, "eu-west-1 does not know these credentials", "switch the Region on"},
		{"concurrency may not be asked", func(a *account) { a.refuse["lambda/us-east-1"] = "AccessDeniedException" }, "concurrency-edge", unclear, "may not lambda:GetAccountSettings", "allow it"},
		{"concurrency may not be asked there", func(a *account) { a.refuse["lambda/eu-west-1"] = "AccessDeniedException" }, "concurrency-bucket", unclear, "in eu-west-1", "allow it"},
		{"a rollback that failed", func(a *account) { a.stacks["oncegate-bucket"] = "ROLLBACK_FAILED" }, "stacks", fail, "oncegate-bucket in eu-west-1 is ROLLBACK_FAILED", "make destroy"},
		{"a deploy under way", func(a *account) { a.stacks["oncegate-bucket"] = "UPDATE_IN_PROGRESS" }, "stacks", unclear, "UPDATE_IN_PROGRESS", "wait"},
		{"somebody else's bucket", func(a *account) { a.bucket, a.in = 403, "" }, "bucket", fail, "another account's bucket", `choose another "bucket"`},
		{"somebody else's bucket elsewhere", func(a *account) { a.bucket, a.in = 403, "eu-north-1" }, "bucket", fail, "another account's bucket", `choose another "bucket"`},
		{"a bucket elsewhere", func(a *account) { a.in = "eu-north-1" }, "bucket", fail, "yours, in eu-north-1, and the settings say eu-west-1", `set "region" to eu-north-1`},
		{"a bucket that a rollback has left", func(a *account) { a.owner = "" }, "bucket", fail, "yours and in no stack", "npx cdk import Bucket, see docs/runbook.md"},
		{"a bucket of another deployment", func(a *account) { a.owner = "staging-bucket" }, "bucket", fail, "in the stack staging-bucket, and not in oncegate-bucket", `"name"`},
		{"a table that an earlier deploy has left", func(a *account) { a.table = "-" }, "table", fail, "my-uploads-index is there and in no stack", "Take a table back"},
		{"a table of another deployment", func(a *account) { a.table = "staging-bucket" }, "table", fail, "in the stack staging-bucket, and not in oncegate-bucket", `"name"`},
		{"tables may not be asked for", func(a *account) { a.refuse["dynamodb"] = "AccessDeniedException" }, "table", unclear, "may not dynamodb:DescribeTable", "allow it"},
		{"no certificate", func(a *account) { a.certificate = nil }, "certificate", fail, "there is no certificate", "aws acm request-certificate --region us-east-1 --domain-name upload.example.com"},
		{"a certificate that waits", func(a *account) { a.certificate["Status"] = "PENDING_VALIDATION" }, "certificate", fail, "PENDING_VALIDATION, and must be ISSUED", "CNAME"},
		{"a certificate that is over", func(a *account) { a.certificate["NotAfter"] = 1e9 }, "certificate", fail, "ended at 2001-09-09", "renew"},
		{"a certificate for something else", func(a *account) {
			a.certificate["SubjectAlternativeNames"] = []string{"example.com", "*.upload.example.com"}
		}, "certificate", fail, "and not for upload.example.com", "aws acm"},
		{"distributions may not be asked for", func(a *account) { a.refuse["cloudfront"] = "AccessDenied" }, "domain", unclear, "may not cloudfront:ListDistributions", "allow it"},
		{"another distribution has the domain", func(a *account) { delete(a.stacks, "oncegate-edge") }, "domain", fail, "the distribution E1 of this account has upload.example.com", "take the name off"},
		{"an account without a distribution", func(a *account) { a.distributions = "" }, "cloudfront", unclear, "cannot be asked", "Your account must be verified"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dns(t, "", &net.DNSError{IsNotFound: true})
			a := newAccount(t)
			c.change(a)
			out, err := examine(t, a, doctorSettings, "--json")
			if (c.result == fail) != errors.Is(err, errSick) || c.result == unclear && err != nil {
				t.Error(err)
			}
			lines := linesOf(t, out)
			if l := lines[c.id]; l.Result != c.result || !strings.Contains(l.Found, c.found) || !strings.Contains(l.Do, c.do) {
				t.Errorf("%+v, want %s %q, do %q", l, c.result, c.found, c.do)
			}
			for id, l := range lines {
				both := c.id == "domain" && id == "cloudfront"
				if id != c.id && l.Result != doctor.OK && !(c.id == "account" && l.Result == doctor.Skipped) && !(both && c.result == unclear) {
					t.Errorf("%s: %+v", id, l)
				}
			}
		})
	}
}

// TestDoctorConcurrency: a new account, in every Region.
func TestDoctorConcurrency(t *testing.T) {
	dns(t, "", &net.DNSError{IsNotFound: true})
	a := newAccount(t)
	a.free = 10
	out, err := examine(t, a, doctorSettings)
	for id, region := range map[string]string{"concurrency-edge": "us-east-1", "concurrency-bucket": "eu-west-1"} {
		want := fmt.Sprintf("\nFAIL    %-18s 10 of 1000 functions may run at a time in %s: CloudFront answers 503 to more, and to verify's race of 20\n", id, region)
		if !strings.Contains(out, want) {
			t.Errorf("want %s in\n%s", want, out)
		}
	}
	if !errors.Is(err, errSick) || !strings.Contains(out, `"Concurrent executions" (L-B99A9384)`) || !strings.Contains(out, "--quota-code L-B99A9384 --desired-value 1000 --region eu-west-1\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestDoctorDNS: what DNS tells of a domain that no distribution of the account has.
func TestDoctorDNS(t *testing.T) {
	for name, c := range map[string]struct {
		to     string
		err    error
		result doctor.Result
		found  string
	}{
		"another account's distribution": {"d999.cloudfront.net.", nil, doctor.Fail, "leads to d999.cloudfront.net, a distribution of another account"},
		"one of this account's":          {"d111.cloudfront.net.", nil, doctor.OK, "DNS leads to none"},
		"a server":                       {"www.example.com.", nil, doctor.OK, "another account's might hold it"},
		"no answer":                      {"", &net.DNSError{IsTimeout: true, Err: "timeout"}, doctor.Unclear, "DNS gives no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			dns(t, c.to, c.err)
			a := newAccount(t)
			a.distributions = strings.ReplaceAll(a.distributions, "upload.example.com", "www.example.com")
			out, _ := examine(t, a, doctorSettings, "--json")
			if l := linesOf(t, out)["domain"]; l.Result != c.result || !strings.Contains(l.Found, c.found) {
				t.Errorf("%+v", l)
			}
		})
	}
}

// TestDoctorMachine: programs that are missing or too old.
func TestDoctorMachine(t *testing.T) {
	dns(t, "", &net.DNSError{IsNotFound: true})
	a := newAccount(t)
	a.id = ""
	out, err := examine(t, a, doctorSettings)
	if !errors.Is(err, errSick) {
		t.Error(err)
	}
	for _, want := range []string{
		"FAIL    go                 there is no go: executable file not found in $PATH\n                           install go 1.26 or newer\n",
		"FAIL    node               node 18.20.1\n", "FAIL    npm                there is no npm", "FAIL    cdk                cdk 2.1.0, and package.json pins 2.1148.1\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
}

// TestDoctorWithoutCredentials: the other lines are there, and the account's says what to type.
func TestDoctorWithoutCredentials(t *testing.T) {
	h := newHome(t)
	h.write(".aws/config", ssoProfile)
	t.Setenv("AWS_PROFILE", "work")
	path := settingsFile(t, doctorSettings)
	t.Chdir(t.TempDir())
	out, err := runVerb(t, "doctor", "--config", path)
	if !errors.Is(err, errSick) || !strings.Contains(out, "FAIL    account            the session of the profile work is over, or was never begun\n                           aws sso login --profile work\n") {
		t.Errorf("%v\n%s", err, out)
	}
	if !strings.Contains(out, "\nskipped bucket             it needs the account\n") || !strings.Contains(out, "skipped cdk                this is not the repository's folder\n") {
		t.Error(out)
	}
	if _, err := runVerb(t, "doctor"); err == nil || !strings.Contains(err.Error(), "there is no config.json here") {
		t.Error(err)
	}
}
