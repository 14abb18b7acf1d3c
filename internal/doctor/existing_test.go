package doctor_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"oncegate/internal/config"
	"oncegate/internal/doctor"
)

const (
	accountID = "123456789012"
	theKey    = "arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d-1111-2222-3333-444455556666"
	theRole   = "arn:aws:iam::123456789012:role/oncegate-bucket-AcceptRole12345678-AbCdEfGhIjKl"
	settings  = `{"bucket":"theirs","region":"eu-west-1","existingBucket":true`
)

// theirs is S3 with one bucket of somebody else's, as far as its configuration goes. What is put
// is what is got: for each of these configurations S3's document has one form for both. Bodies
// that the tests put are those of the SDK's client.
type theirs struct {
	t      *testing.T
	client *s3.Client
	name   *string

	mu      sync.Mutex
	configs map[string][]byte // by the name in the query
	keys    []string
	refuse  map[string]string // name in the query to the code of a refusal
	status  int               // of HEAD
	role    string            // of acceptance
	stack   string            // that has the bucket
	puts    int
}

// absent are S3's codes where there is no such configuration. The others answer an empty one.
var absent = map[string]string{
	"policy": "NoSuchBucketPolicy", "lifecycle": "NoSuchLifecycleConfiguration", "publicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
	"ownershipControls": "OwnershipControlsNotFoundError", "cors": "NoSuchCORSConfiguration", "object-lock": "ObjectLockConfigurationNotFoundError",
	"encryption": "ServerSideEncryptionConfigurationNotFoundError",
}

var empty = map[string]string{"versioning": "VersioningConfiguration", "notification": "NotificationConfiguration"}

func newTheirs(t *testing.T) *theirs {
	b := &theirs{t: t, name: aws.String("theirs"), configs: map[string][]byte{}, refuse: map[string]string{}, status: 200}
	s := httptest.NewServer(b)
	t.Cleanup(s.Close)
	b.client = s3.New(s3.Options{Region: "eu-west-1", Credentials: keys, BaseEndpoint: aws.String(s.URL + "/s3"), UsePathStyle: true})
	return b
}

var keys = credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", "")

func (b *theirs) endpoint(service string) string {
	return strings.TrimSuffix(*b.client.Options().BaseEndpoint, "s3") + service
}

func (b *theirs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	fail := func(status int, code string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", code)
	}
	service, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case service == "sts":
		fmt.Fprintf(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::%[1]s:user/me</Arn><Account>%[1]s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`, accountID)
	case service == "lambda" && b.refuse["lambda"] != "":
		fail(http.StatusForbidden, b.refuse["lambda"])
	case service == "lambda" && path == "2015-03-31/functions/oncegate-accept/configuration" && b.role != "":
		fmt.Fprintf(w, `{"FunctionName":"oncegate-accept","Role":%q}`, b.role)
	case service == "lambda" && strings.HasPrefix(path, "2015-03-31"):
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"__type":"ResourceNotFoundException"}`)
	case service == "cloudformation" && b.stack != "" && strings.Contains(string(body), "PhysicalResourceId=theirs"):
		fmt.Fprintf(w, `<DescribeStackResourcesResponse><DescribeStackResourcesResult><StackResources><member><StackName>%s</StackName></member></StackResources></DescribeStackResourcesResult></DescribeStackResourcesResponse>`, b.stack)
	case service != "s3":
		fail(http.StatusForbidden, "AccessDenied")
	case strings.Trim(path, "/") != "theirs" || r.Header.Get("X-Amz-Expected-Bucket-Owner") != accountID && r.Method != http.MethodPut:
		b.t.Errorf("asked for %s %s with %v", r.Method, r.URL, r.Header)
	case r.Method == http.MethodHead:
		w.Header().Set("X-Amz-Bucket-Region", "eu-west-1")
		w.WriteHeader(b.status)
	case r.URL.Query().Has("list-type"):
		type object struct{ Key string }
		out := struct {
			XMLName  xml.Name `xml:"ListBucketResult"`
			Contents []object
		}{}
		for _, key := range b.keys {
			if strings.HasPrefix(key, r.URL.Query().Get("prefix")) {
				out.Contents = append(out.Contents, object{key})
			}
		}
		if b.refuse["list-type"] != "" {
			fail(http.StatusForbidden, b.refuse["list-type"])
			return
		}
		xml.NewEncoder(w).Encode(out)
	default:
		b.config(w, r, body, fail)
	}
}

func (b *theirs) config(w http.ResponseWriter, r *http.Request, body []byte, fail func(int, string)) {
	for name := range r.URL.Query() {
		switch {
		case absent[name] == "" && empty[name] == "":
			continue
		case r.Method == http.MethodPut:
			b.puts++
			b.configs[name] = body
		case b.refuse[name] != "":
			fail(http.StatusForbidden, b.refuse[name])
		case b.configs[name] != nil:
			w.Write(b.configs[name])
		case empty[name] != "":
			fmt.Fprintf(w, `<%s xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>`, empty[name])
		default:
			fail(http.StatusNotFound, absent[name])
		}
		return
	}
	b.t.Errorf("asked for %s %s", r.Method, r.URL)
}

// examine runs doctor and returns the lines about the bucket.
func (b *theirs) examine(settings string) map[string]doctor.Line {
	b.t.Helper()
	conf, err := config.Parse([]byte(settings))
	if err != nil {
		b.t.Fatal(err)
	}
	before := b.puts
	report, err := doctor.Run(b.t.Context(), doctor.Options{Settings: conf, Credentials: keys, Endpoint: b.endpoint})
	if err != nil {
		b.t.Fatal(err)
	}
	if b.puts != before {
		b.t.Error("doctor changed the bucket")
	}
	lines := map[string]doctor.Line{}
	for _, l := range report.Lines {
		if strings.HasPrefix(l.ID, "bucket") {
			lines[l.ID] = l
		}
	}
	return lines
}

func (b *theirs) ok(_ any, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *theirs) putPolicy(text string) {
	b.ok(b.client.PutBucketPolicy(b.t.Context(), &s3.PutBucketPolicyInput{Bucket: b.name, Policy: &text}))
}

// addStatement adds a statement to the policy.
func (b *theirs) addStatement(text string) {
	b.putPolicy(strings.Replace(string(b.configs["policy"]), `"Statement":[`, `"Statement":[`+text+`,`, 1))
}

func (b *theirs) putRules(rules ...types.LifecycleRule) {
	b.ok(b.client.PutBucketLifecycleConfiguration(b.t.Context(), &s3.PutBucketLifecycleConfigurationInput{
		Bucket: b.name, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: rules},
	}))
}

// addRules adds rules to those that are there.
func (b *theirs) addRules(rules ...types.LifecycleRule) {
	out, err := b.client.GetBucketLifecycleConfiguration(b.t.Context(), &s3.GetBucketLifecycleConfigurationInput{Bucket: b.name, ExpectedBucketOwner: aws.String(accountID)})
	b.ok(out, err)
	b.putRules(append(rules, out.Rules...)...)
}

func (b *theirs) putNotification(n types.NotificationConfiguration) {
	b.ok(b.client.PutBucketNotificationConfiguration(b.t.Context(), &s3.PutBucketNotificationConfigurationInput{Bucket: b.name, NotificationConfiguration: &n}))
}

func (b *theirs) putEncryption(algorithm types.ServerSideEncryption, key *string, bucketKey bool) {
	b.ok(b.client.PutBucketEncryption(b.t.Context(), &s3.PutBucketEncryptionInput{Bucket: b.name, ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
		Rules: []types.ServerSideEncryptionRule{{
			ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: algorithm, KMSMasterKeyID: key}, BucketKeyEnabled: &bucketKey,
		}},
	}}))
}

var quoted = regexp.MustCompile(`(?s)^aws s3api (\S+) --bucket theirs --\S+ (?:'(.*)'|(\S+))$`)

// obey does what the lines say: one command of the AWS command line for each part.
func (b *theirs) obey(lines map[string]doctor.Line) {
	b.t.Helper()
	ctx := b.t.Context()
	for id, l := range lines {
		if l.Result != doctor.Fail {
			continue
		}
		command, _, _ := strings.Cut(l.Do, "\nit is for the whole")
		command, _, _ = strings.Cut(command, "\nlists of rights")
		m := quoted.FindStringSubmatch(command)
		if m == nil {
			b.t.Fatalf("%s: not a command: %s", id, l.Do)
		}
		decode := func(out any) {
			if err := json.Unmarshal([]byte(m[2]), out); err != nil {
				b.t.Fatalf("%s: %v: %s", id, err, m[2])
			}
		}
		switch m[1] {
		case "put-bucket-versioning":
			b.ok(b.client.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: b.name, VersioningConfiguration: &types.VersioningConfiguration{Status: "Enabled"}}))
		case "put-public-access-block":
			if m[3] != "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true" {
				b.t.Errorf("%s: %s", id, l.Do)
			}
			b.blockPublic(true)
		case "put-bucket-ownership-controls":
			b.owned("BucketOwnerEnforced")
		case "put-bucket-policy":
			b.putPolicy(m[2])
		case "put-bucket-lifecycle-configuration":
			var c types.BucketLifecycleConfiguration
			decode(&c)
			b.putRules(c.Rules...)
		case "put-bucket-notification-configuration":
			var c types.NotificationConfiguration
			decode(&c)
			b.putNotification(c)
		default:
			b.t.Fatalf("%s: not played: %s", id, l.Do)
		}
	}
}

func (b *theirs) blockPublic(policies bool) {
	b.ok(b.client.PutPublicAccessBlock(b.t.Context(), &s3.PutPublicAccessBlockInput{Bucket: b.name, PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{
		BlockPublicAcls: aws.Bool(true), IgnorePublicAcls: aws.Bool(true), BlockPublicPolicy: &policies, RestrictPublicBuckets: aws.Bool(true),
	}}))
}

func (b *theirs) owned(o types.ObjectOwnership) {
	b.ok(b.client.PutBucketOwnershipControls(b.t.Context(), &s3.PutBucketOwnershipControlsInput{
		Bucket: b.name, OwnershipControls: &types.OwnershipControls{Rules: []types.OwnershipControlsRule{{ObjectOwnership: o}}},
	}))
}

// fitting returns a bucket that fits, because what doctor said of an empty one was done.
func fitting(t *testing.T, settings, role string) *theirs {
	t.Helper()
	b := newTheirs(t)
	b.role = role
	b.obey(b.examine(settings))
	return b
}

const accepting = settings + `,"acceptance":true,"allowedOrigins":["https://app.example.com"]}`

// TestWhatDoctorSaysIsEnough: a bucket as S3 makes it today does not fit; after the commands that
// doctor prints it does, and with what else a bucket may have.
func TestWhatDoctorSaysIsEnough(t *testing.T) {
	for name, c := range map[string]struct{ settings, role string }{
		"plain": {settings + "}", ""}, "accepting": {accepting, theRole}, "table": {settings + `,"index":"dynamodb"}`, ""}, "kept": {settings + `,"keepUploadsDays":60}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTheirs(t)
			b.role = c.role
			before := b.examine(c.settings)
			for _, id := range []string{"bucket-versions", "bucket-policy", "bucket-public", "bucket-ownership", "bucket-lifecycle"} {
				if before[id].Result != doctor.Fail {
					t.Errorf("%+v", before[id])
				}
			}
			b.obey(before)
			b.allOK(c.settings)
			// What is theirs stays theirs.
			b.addStatement(`{"Sid":"Site","Effect":"Allow","Principal":{"Service":"cloudfront.amazonaws.com"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::theirs/site/*"},` +
				`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::210987654321:root"},"Action":["s3:Put*","s3:Delete*"],"Resource":["arn:aws:s3:::theirs/in/*","arn:aws:s3:::theirs/uploads-of-old/*"]},` +
				`{"Effect":"Deny","Principal":"*","NotAction":"s3:Get*","Resource":"arn:aws:s3:::theirs/archive/*"},` +
				`{"Sid":"TLS","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::theirs","arn:aws:s3:::theirs/*"],"Condition":{"Bool":{"aws:SecureTransport":false}}},` +
				`{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::theirs/*","Condition":{"StringEquals":{"s3:x-amz-server-side-encryption":"AES256"}}},` +
				`{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::210987654321:root"},"Action":"s3:*","Resource":"*"}`)
			b.addRules(expire("site/", 3), types.LifecycleRule{ID: aws.String("temporary"), Status: "Enabled", Expiration: &types.LifecycleExpiration{Days: aws.Int32(1)},
				Filter: &types.LifecycleRuleFilter{Tag: &types.Tag{Key: aws.String("keep"), Value: aws.String("no")}}})
			b.ok(b.client.PutBucketCors(t.Context(), &s3.PutBucketCorsInput{Bucket: b.name, CORSConfiguration: &types.CORSConfiguration{CORSRules: []types.CORSRule{
				{AllowedMethods: []string{"GET"}, AllowedOrigins: []string{"*"}}, {AllowedMethods: []string{"PUT"}, AllowedOrigins: []string{"https://old.example.com"}},
				{AllowedMethods: []string{"PUT"}, AllowedOrigins: []string{"https://*.example.com"}, ExposeHeaders: []string{"ETag", "x-amz-version-id"}},
			}}}))
			b.keys = []string{"site/index.html", "uploads/00000000-0000-4000-8000-000000000000", "uploads/a/b/00000000-0000-4000-8000-000000000000", "signatures/valid/" + strings.Repeat("0a", 32), "invitations/slots/" + strings.Repeat("0a", 32) + "/17"}
			b.allOK(c.settings)
		})
	}
}

func (b *theirs) allOK(settings string) {
	b.t.Helper()
	lines := b.examine(settings)
	if len(lines) != 11 {
		b.t.Errorf("%d lines", len(lines))
	}
	for id, l := range lines {
		if l.Result != doctor.OK {
			b.t.Errorf("%s: %s", id, l.Text())
		}
	}
}

// expire is a rule that removes what is below a prefix.
func expire(prefix string, days int32) types.LifecycleRule {
	return types.LifecycleRule{ID: aws.String("theirs"), Status: "Enabled", Filter: &types.LifecycleRuleFilter{Prefix: &prefix}, Expiration: &types.LifecycleExpiration{Days: &days}}
}
