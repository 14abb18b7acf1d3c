package cfn_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"oncegate/internal/cfn"
	"oncegate/internal/config"
)

// object is a JSON object of a template.
type object = map[string]any

// templates are both templates of a deployment, to be broken.
type templates struct{ bucket, edge object }

// broken copies testdata/<name>, changes its templates and returns the copy.
func broken(t *testing.T, name string, change func(templates)) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	load := func(file string) (value object) {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &value); err != nil {
			t.Fatal(err)
		}
		return value
	}
	both := templates{load("Bucket.template.json"), load("Edge.template.json")}
	before, _ := json.Marshal([]object{both.bucket, both.edge})
	change(both)
	after, _ := json.Marshal([]object{both.bucket, both.edge})
	if string(before) == string(after) {
		t.Fatal("the template is as it was")
	}
	for file, value := range map[string]object{"Bucket.template.json": both.bucket, "Edge.template.json": both.edge} {
		data, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// settings are those that testdata/<name> was synthesized with.
func settings(t *testing.T, name string) config.Config {
	t.Helper()
	found, err := fs.Glob(os.DirFS("testdata"), name+"/asset.*/config.json")
	if err != nil || len(found) == 0 {
		t.Fatalf("settings of %s: %v, %v", name, found, err)
	}
	c, err := config.Load(filepath.Join("testdata", found[0]))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// properties are those of the first resource of a type whose logical id begins with
// prefix.
func properties(template object, kind, prefix string) object {
	return resource(template, kind, prefix)["Properties"].(object)
}

func resource(template object, kind, prefix string) object {
	for id, r := range template["Resources"].(object) {
		if r := r.(object); r["Type"] == kind && strings.HasPrefix(id, prefix) {
			return r
		}
	}
	panic("no " + kind + " " + prefix)
}

func distribution(t templates) object {
	return properties(t.edge, "AWS::CloudFront::Distribution", "")["DistributionConfig"].(object)
}

func defaultBehavior(t templates) object { return distribution(t)["DefaultCacheBehavior"].(object) }

func behavior(t templates, n int) object {
	return distribution(t)["CacheBehaviors"].([]any)[n].(object)
}

func origin(t templates) object { return distribution(t)["Origins"].([]any)[0].(object) }

func bucket(t templates) object { return properties(t.bucket, "AWS::S3::Bucket", "") }

func requestPolicy(t templates) object {
	return properties(t.edge, "AWS::CloudFront::OriginRequestPolicy", "")["OriginRequestPolicyConfig"].(object)
}

func responsePolicy(t templates) object {
	return properties(t.edge, "AWS::CloudFront::ResponseHeadersPolicy", "")["ResponseHeadersPolicyConfig"].(object)
}

// roleStatements gives access to the list of statements of a role's one policy.
func roleStatements(t templates, role string) object {
	return properties(t.edge, "AWS::IAM::Role", role)["Policies"].([]any)[0].(object)["PolicyDocument"].(object)
}

func bucketStatements(t templates) object {
	return properties(t.bucket, "AWS::S3::BucketPolicy", "")["PolicyDocument"].(object)
}

// without removes the statement of this sid.
func without(document object, sid string) {
	document["Statement"] = slices.DeleteFunc(document["Statement"].([]any), func(s any) bool { return s.(object)["Sid"] == sid })
}

func statement(document object, sid string) object {
	for _, s := range document["Statement"].([]any) {
		if s := s.(object); s["Sid"] == sid {
			return s
		}
	}
	panic("no statement " + sid)
}

// headers changes the list of an origin request policy.
func headers(t templates, change func([]any) []any) {
	config := requestPolicy(t)["HeadersConfig"].(object)
	config["Headers"] = change(config["Headers"].([]any))
}

func forget(header string) func(templates) {
	return func(t templates) {
		headers(t, func(h []any) []any { return slices.DeleteFunc(h, func(n any) bool { return n == header }) })
	}
}

func rule(t templates, id string) object {
	for _, r := range bucket(t)["LifecycleConfiguration"].(object)["Rules"].([]any) {
		if r := r.(object); r["Id"] == id {
			return r
		}
	}
	panic("no rule " + id)
}

func TestTheReviewedTemplatesAreGood(t *testing.T) {
	for _, name := range []string{"plain", "full", "regional", "accepting"} {
		d, err := cfn.Read(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range d.Check(settings(t, name)) {
			t.Errorf("%s: %v", name, p)
		}
	}
}

// damaged is one broken thing; Check must name it, and nothing else.
type damaged struct {
	name   string
	on     string // which testdata
	damage func(templates)
	want   string // begins one of the problems
}

func TestCheckNamesWhatIsBroken(t *testing.T) {
	for _, tt := range []damaged{
		{"gate may not read expired entries", "plain", func(t templates) {
			s := statement(roleStatements(t, "Gate"), "ReadIndex")
			s["Resource"] = s["Resource"].([]any)[0]
		}, "permissions: oncegate-gate lacks: Allow s3:GetObject on arn:aws:s3:::plain-uploads/signatures/expired/*"},
		{"gate may not claim", "plain", func(t templates) { without(roleStatements(t, "Gate"), "WriteExpiredEntries") },
			"permissions: oncegate-gate lacks: Allow s3:PutObject on arn:aws:s3:::plain-uploads/signatures/expired/*"},
		{"gate may not store uploads", "plain", func(t templates) { without(roleStatements(t, "Gate"), "StoreUploads") },
			"permissions: oncegate-gate lacks: Allow s3:PutObject on arn:aws:s3:::plain-uploads/uploads/*"},
		{"gate may not list", "plain", func(t templates) { without(roleStatements(t, "Gate"), "TellAbsentEntries") },
			"permissions: oncegate-gate lacks: Allow s3:ListBucket on arn:aws:s3:::plain-uploads"},
		{"gate may list under a prefix only", "plain", func(t templates) {
			statement(roleStatements(t, "Gate"), "TellAbsentEntries")["Condition"] = object{"StringLike": object{"s3:prefix": "signatures/*"}}
		}, "permissions: oncegate-gate lacks: Allow s3:ListBucket on arn:aws:s3:::plain-uploads"},
		{"gate may not list versions though listed", "full", func(t templates) { without(roleStatements(t, "Gate"), "ListVersions") },
			"permissions: full-gate lacks: Allow s3:ListBucketVersions on arn:aws:s3:::full-uploads"},
		{"mint may not write valid entries", "plain", func(t templates) { without(roleStatements(t, "Mint"), "WriteValidEntries") },
			"permissions: oncegate-mint lacks: Allow s3:PutObject on arn:aws:s3:::plain-uploads/signatures/valid/*"},
		{"mint may not log", "plain", func(t templates) { without(roleStatements(t, "Mint"), "Logs") },
			"permissions: oncegate-mint lacks: Allow logs:CreateLogGroup"},
		{"mint may write everywhere", "plain", func(t templates) {
			statement(roleStatements(t, "Mint"), "WriteValidEntries")["Resource"] = "arn:aws:s3:::plain-uploads/*"
		}, "permissions: oncegate-mint has what it does not need: Allow s3:PutObject on arn:aws:s3:::plain-uploads/*"},
		{"gate may delete", "plain", func(t templates) {
			s := statement(roleStatements(t, "Gate"), "StoreUploads")
			s["Action"] = []any{s["Action"], "s3:DeleteObject"}
		}, "permissions: oncegate-gate has what it does not need: Allow s3:DeleteObject"},
		{"gate has a managed policy", "plain", func(t templates) {
			properties(t.edge, "AWS::IAM::Role", "Gate")["ManagedPolicyArns"] = []any{"arn:aws:iam::aws:policy/AmazonS3FullAccess"}
		}, "permissions: oncegate-gate has what it does not need: managed policy arn:aws:iam::aws:policy/AmazonS3FullAccess"},
		{"edgelambda is not trusted", "plain", func(t templates) {
			d := properties(t.edge, "AWS::IAM::Role", "Gate")["AssumeRolePolicyDocument"].(object)
			d["Statement"] = d["Statement"].([]any)[:1]
		}, "permissions: role of oncegate-gate lacks trust: Allow sts:AssumeRole for Service edgelambda.amazonaws.com"},

		{"unconditional claims are taken", "plain", func(t templates) { without(bucketStatements(t), "ClaimsAreConditional") },
			"bucket policy: does not say: Deny s3:PutObject on arn:aws:s3:::plain-uploads/signatures/expired/* if Null s3:if-none-match true"},
		{"the index can be deleted", "plain", func(t templates) { without(bucketStatements(t), "IndexIsNotDeleted") },
			"bucket policy: does not say: Deny s3:DeleteObject on arn:aws:s3:::plain-uploads/signatures/*"},
		{"versions cannot be deleted", "plain", func(t templates) {
			statement(bucketStatements(t), "IndexIsNotDeleted")["Action"] = []any{"s3:DeleteObject", "s3:DeleteObjectVersion"}
		}, "bucket policy: says what it should not: Deny s3:DeleteObjectVersion"},
		{"somebody is let in", "plain", func(t templates) {
			d := bucketStatements(t)
			d["Statement"] = append(d["Statement"].([]any), object{"Effect": "Allow", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::plain-uploads/uploads/*"})
		}, "bucket policy: says what it should not: Allow s3:PutObject on arn:aws:s3:::plain-uploads/uploads/* for AWS *"},
		{"plain http is taken", "plain", func(t templates) {
			d := bucketStatements(t)
			d["Statement"] = d["Statement"].([]any)[1:]
		}, "bucket policy: does not say: Deny s3:* on arn:aws:s3:::plain-uploads if Bool aws:SecureTransport false"},

		{"no versioning", "plain", func(t templates) { delete(bucket(t), "VersioningConfiguration") }, "bucket: versioning is not enabled"},
		{"no encryption", "plain", func(t templates) { delete(bucket(t), "BucketEncryption") }, "bucket: objects are not encrypted"},
		{"public access", "plain", func(t templates) {
			bucket(t)["PublicAccessBlockConfiguration"].(object)["BlockPublicPolicy"] = false
		}, "bucket: public access"},
		{"object ownership", "plain", func(t templates) { delete(bucket(t), "OwnershipControls") }, "bucket: object ownership"},
		{"bucket goes with the stack", "plain", func(t templates) {
			resource(t.bucket, "AWS::S3::Bucket", "")["DeletionPolicy"] = "Delete"
		}, "bucket: bucket and bucket policy are not retained"},
		{"policy goes with the stack", "plain", func(t templates) {
			delete(resource(t.bucket, "AWS::S3::BucketPolicy", ""), "DeletionPolicy")
		}, "bucket: bucket and bucket policy are not retained"},
		{"CORS for another origin", "full", func(t templates) {
			bucket(t)["CorsConfiguration"].(object)["CorsRules"].([]any)[0].(object)["AllowedOrigins"] = []any{"*"}
		}, "bucket: CORS is for origins [*]"},

		{"expired entries go with the valid ones", "full", func(t templates) { rule(t, "expired-entries")["ExpirationInDays"] = 8 },
			"lifecycle: expired entries are removed after 8 days, not later than valid ones (8)"},
		{"valid entries go too early", "plain", func(t templates) { rule(t, "valid-entries")["ExpirationInDays"] = 7 },
			"lifecycle: valid entries are removed after 7 days, a URL can live for 7"},
		{"versions of entries go too early", "plain", func(t templates) {
			rule(t, "leftovers")["NoncurrentVersionExpiration"] = object{"NoncurrentDays": 7}
		}, "lifecycle: rule leftovers removes versions of entries after 7 days"},
		{"a rule for all objects", "plain", func(t templates) { delete(rule(t, "expired-entries"), "Prefix") },
			`lifecycle: rule expired-entries removes current objects under ""`},
		{"uploads go though kept for ever", "plain", func(t templates) { rule(t, "valid-entries")["Prefix"] = "uploads/" },
			`lifecycle: rule valid-entries removes current objects under "uploads/" after 8 days`},

		{"the gate is off", "plain", func(t templates) { delete(defaultBehavior(t), "LambdaFunctionAssociations") },
			"associations: the default behavior has 0 Lambda and 0 CloudFront functions, want index.gate alone"},
		{"the mint is off", "plain", func(t templates) { delete(behavior(t, 0), "LambdaFunctionAssociations") },
			"associations: behavior /url has 0 Lambda"},
		{"mint and gate are swapped", "plain", func(t templates) {
			defaultBehavior(t)["LambdaFunctionAssociations"] = behavior(t, 0)["LambdaFunctionAssociations"]
		}, "associations: the default behavior runs index.mint"},
		{"the gate sits on the origin side", "plain", func(t templates) {
			defaultBehavior(t)["LambdaFunctionAssociations"].([]any)[0].(object)["EventType"] = "origin-request"
		}, "associations: the default behavior runs index.gate on origin-request"},
		{"the gate gets bodies", "plain", func(t templates) {
			defaultBehavior(t)["LambdaFunctionAssociations"].([]any)[0].(object)["IncludeBody"] = true
		}, "associations: the default behavior includes the body: true, want false"},
		{"mint gets no bodies", "plain", func(t templates) {
			behavior(t, 0)["LambdaFunctionAssociations"].([]any)[0].(object)["IncludeBody"] = false
		}, "associations: behavior /url includes the body: false, want true"},
		{"bodies below mint", "plain", func(t templates) {
			behavior(t, 1)["LambdaFunctionAssociations"].([]any)[0].(object)["IncludeBody"] = true
		}, "associations: behavior /url/* includes the body: true, want false"},
		{"a behavior past the gate", "plain", func(t templates) { behavior(t, 1)["PathPattern"] = "/uploads/*" },
			`associations: behavior "/uploads/*" is one that oncegate does not have`},

		{"memory", "plain", func(t templates) { properties(t.edge, "AWS::Lambda::Function", "Gate")["MemorySize"] = 512 },
			"functions: oncegate-gate has 512 MB"},
		{"environment", "plain", func(t templates) {
			properties(t.edge, "AWS::Lambda::Function", "Gate")["Environment"] = object{"Variables": object{"BUCKET": "x"}}
		}, "functions: oncegate-gate has environment variables"},
		{"text logs", "plain", func(t templates) { delete(properties(t.edge, "AWS::Lambda::Function", "Mint"), "LoggingConfig") },
			"functions: oncegate-mint does not log JSON"},

		{"origin access control", "plain", func(t templates) {
			t.edge["Resources"].(object)["OAC"] = object{"Type": "AWS::CloudFront::OriginAccessControl", "Properties": object{}}
			origin(t)["OriginAccessControlId"] = object{"Fn::GetAtt": []any{"OAC", "Id"}}
		}, "origin: an origin access control or identity signs requests that are signed already"},
		{"origin access identity", "plain", func(t templates) {
			origin(t)["S3OriginConfig"].(object)["OriginAccessIdentity"] = "origin-access-identity/cloudfront/E1"
		}, "origin: an origin access control or identity"},
		{"the origin of another region", "full", func(t templates) {
			origin(t)["DomainName"] = "full-uploads.s3.us-east-1.amazonaws.com"
		}, "origin: is full-uploads.s3.us-east-1.amazonaws.com, uploads are signed for full-uploads.s3.eu-west-1.amazonaws.com"},
		{"origin headers", "plain", func(t templates) {
			origin(t)["OriginCustomHeaders"] = []any{object{"HeaderName": "x-amz-acl", "HeaderValue": "public-read"}}
		}, "origin: a path or headers are added"},

		{"the query is not forwarded", "plain", func(t templates) {
			requestPolicy(t)["QueryStringsConfig"] = object{"QueryStringBehavior": "none"}
		}, `forwarding: the default behavior forwards "none" of the query`},
		{"content-type is not forwarded", "plain", forget("content-type"), "forwarding: the default behavior does not forward content-type"},
		{"content-md5 is not forwarded", "plain", forget("content-md5"), "forwarding: the default behavior does not forward content-md5"},
		{"if-none-match is not forwarded though writeOnce", "full", forget("if-none-match"), "forwarding: the default behavior does not forward if-none-match"},
		{"if-none-match is forwarded though not writeOnce", "plain", func(t templates) {
			headers(t, func(h []any) []any { return append(h, "if-none-match") })
		}, "forwarding: the default behavior forwards if-none-match, which it must not"},
		{"the checksum is not forwarded though sha256", "full", forget("x-amz-checksum-sha256"), "forwarding: the default behavior does not forward x-amz-checksum-sha256"},
		{"the checksum is forwarded though not sha256", "plain", func(t templates) {
			headers(t, func(h []any) []any { return append(h, "x-amz-checksum-sha256") })
		}, "forwarding: the default behavior forwards x-amz-checksum-sha256, which it must not"},
		{"host is forwarded", "plain", func(t templates) {
			headers(t, func(h []any) []any { return append(h, "host") })
		}, "forwarding: the default behavior forwards host"},
		{"eleven headers", "full", func(t templates) {
			headers(t, func(h []any) []any { return append(h, "x-one") })
		}, `forwarding: the default behavior forwards headers by "whitelist", 11 of them`},
		{"all headers", "plain", func(t templates) { requestPolicy(t)["HeadersConfig"] = object{"HeaderBehavior": "allViewer"} },
			`forwarding: the default behavior forwards headers by "allViewer"`},
		{"cookies", "plain", func(t templates) { requestPolicy(t)["CookiesConfig"] = object{"CookieBehavior": "all"} },
			"forwarding: the default behavior forwards cookies"},
		{"no origin request policy", "plain", func(t templates) { delete(defaultBehavior(t), "OriginRequestPolicyId") },
			`forwarding: the default behavior has origin request policy ""`},

		{"caching", "plain", func(t templates) { defaultBehavior(t)["CachePolicyId"] = "658327ea-f89d-4fab-a63d-7e88639e58f6" },
			"behaviors: the default behavior caches"},
		{"plain http", "plain", func(t templates) { behavior(t, 0)["ViewerProtocolPolicy"] = "redirect-to-https" },
			"behaviors: behavior /url takes redirect-to-https"},
		{"no PUT", "plain", func(t templates) { defaultBehavior(t)["AllowedMethods"] = []any{"GET", "HEAD"} },
			"behaviors: the default behavior allows [GET HEAD]"},
		{"errors are cached", "plain", func(t templates) { delete(distribution(t), "CustomErrorResponses") },
			"behaviors: error 403 is cached for ten seconds"},
		{"errors are replaced", "plain", func(t templates) {
			r := distribution(t)["CustomErrorResponses"].([]any)[1].(object)
			r["ResponseCode"], r["ResponsePagePath"] = 200, "/index.html"
		}, "behaviors: error 403 is cached or replaced"},

		{"HTTP/1.1 and 2 only", "plain", func(t templates) { distribution(t)["HttpVersion"] = "http2" }, "viewer: enabled true, IPv6 true, http2"},
		{"no IPv6", "plain", func(t templates) { distribution(t)["IPV6Enabled"] = false }, "viewer: enabled true, IPv6 false"},
		{"old TLS", "full", func(t templates) {
			distribution(t)["ViewerCertificate"].(object)["MinimumProtocolVersion"] = "TLSv1"
		}, "viewer: TLS TLSv1"},
		{"no certificate", "full", func(t templates) { delete(distribution(t), "ViewerCertificate") }, "viewer: aliases [upload.example.com]"},
		{"access logs though off", "plain", func(t templates) {
			distribution(t)["Logging"] = object{"Bucket": "logs.s3.amazonaws.com"}
		}, "viewer: access logs: true"},
		{"price class", "full", func(t templates) { distribution(t)["PriceClass"] = "PriceClass_All" }, "viewer: price class"},

		{"no HSTS", "plain", func(t templates) {
			delete(responsePolicy(t)["SecurityHeadersConfig"].(object), "StrictTransportSecurity")
		}, "response headers: the default behavior does not add nosniff and a year of HSTS"},
		{"no CORS", "full", func(t templates) { delete(responsePolicy(t), "CorsConfig") }, "response headers: the default behavior adds no CORS"},
		{"CORS with credentials", "full", func(t templates) {
			responsePolicy(t)["CorsConfig"].(object)["AccessControlAllowCredentials"] = true
		}, "response headers: the default behavior lets"},
		{"etag is not exposed", "full", func(t templates) {
			responsePolicy(t)["CorsConfig"].(object)["AccessControlExposeHeaders"] = object{"Items": []any{"x-amz-version-id", "x-oncegate-reason", "retry-after"}}
		}, "response headers: the default behavior does not let pages read etag"},

		{"managed rules on uploads", "full", func(t templates) {
			r := properties(t.edge, "AWS::WAFv2::WebACL", "")["Rules"].([]any)[3].(object)
			delete(r["Statement"].(object)["ManagedRuleGroupStatement"].(object), "ScopeDownStatement")
		}, "web acl: rule AWSManagedRulesCommonRuleSet is not limited to /url"},
		{"no rate rule", "full", func(t templates) {
			p := properties(t.edge, "AWS::WAFv2::WebACL", "")
			p["Rules"] = p["Rules"].([]any)[1:]
		}, "web acl: no rate rule of 500 requests on /url for each address"},
		{"no rate rule for keys", "full", func(t templates) {
			p := properties(t.edge, "AWS::WAFv2::WebACL", "")
			p["Rules"] = slices.Delete(p["Rules"].([]any), 1, 2)
		}, "web acl: a rate rule of 500 requests on /url for each API key: false, the settings say true"},
		{"a rate rule for another header", "full", func(t templates) {
			r := properties(t.edge, "AWS::WAFv2::WebACL", "")["Rules"].([]any)[1].(object)
			key := r["Statement"].(object)["RateBasedStatement"].(object)["CustomKeys"].([]any)[0].(object)
			key["Header"].(object)["Name"] = "authorization"
		}, "web acl: a rate rule of 500 requests on /url for each API key: false"},
		{"a rate rule that answers 403", "full", func(t templates) {
			properties(t.edge, "AWS::WAFv2::WebACL", "")["Rules"].([]any)[0].(object)["Action"] = object{"Block": object{}}
		}, "web acl: rule url-rate does not answer 429 with retry-after"},
		{"the mint cannot read keys", "full", func(t templates) { without(roleStatements(t, "MintRole"), "ReadKeys") },
			"permissions: full-mint lacks: Allow s3:GetObject on arn:aws:s3:::full-uploads/keys/*"},
		{"the mint cannot tell that a key is absent", "full", func(t templates) { without(roleStatements(t, "MintRole"), "TellAbsent") },
			"permissions: full-mint lacks: Allow s3:ListBucket on arn:aws:s3:::full-uploads"},
		{"the mint reads keys that nobody asks for", "plain", func(t templates) {
			document := roleStatements(t, "MintRole")
			document["Statement"] = append(document["Statement"].([]any),
				object{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::plain-uploads/keys/*"})
		}, "permissions: oncegate-mint has what it does not need: Allow s3:GetObject on arn:aws:s3:::plain-uploads/keys/*"},
		{"the web ACL is not attached", "full", func(t templates) { delete(distribution(t), "WebACLId") }, "web acl: the distribution has none"},
	} {
		t.Run(tt.name, tt.isNamed)
	}
}

func (tt damaged) isNamed(t *testing.T) {
	d, err := cfn.Read(broken(t, tt.on, tt.damage))
	if err != nil {
		t.Fatal(err)
	}
	check, _, _ := strings.Cut(tt.want, ":")
	found := false
	for _, p := range d.Check(settings(t, tt.on)) {
		found = found || strings.HasPrefix(p.String(), tt.want)
		if p.Check != check {
			t.Errorf("blames something else: %v", p)
		}
	}
	if !found {
		t.Errorf("nothing begins with %q in %v", tt.want, d.Check(settings(t, tt.on)))
	}
}

// What is not understood stops the reading, and is named.
func TestReadRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(templates)
		want   string
	}{
		{"an unknown resource", func(t templates) {
			t.edge["Resources"].(object)["Extra"] = object{"Type": "AWS::CloudFront::Function", "Properties": object{}}
		}, "Extra has type AWS::CloudFront::Function"},
		{"an unknown property of the bucket", func(t templates) { bucket(t)["ObjectLockEnabled"] = true }, `unknown field "ObjectLockEnabled"`},
		{"an unknown property of a behavior", func(t templates) { defaultBehavior(t)["TrustedKeyGroups"] = []any{"x"} }, `unknown field "TrustedKeyGroups"`},
		{"an unknown property of a function", func(t templates) {
			properties(t.edge, "AWS::Lambda::Function", "Gate")["Layers"] = []any{"x"}
		}, `unknown field "Layers"`},
		{"an unknown element of a policy", func(t templates) {
			s := statement(roleStatements(t, "Gate"), "StoreUploads")
			s["NotResource"] = s["Resource"]
		}, `unknown field "NotResource"`},
		{"an unknown intrinsic function", func(t templates) { bucket(t)["BucketName"] = object{"Fn::Select": []any{0, []any{"a"}}} }, "Fn::Select"},
		{"two distributions", func(t templates) {
			t.edge["Resources"].(object)["Second"] = resource(t.edge, "AWS::CloudFront::Distribution", "")
		}, "2 distributions, want one"},
		{"a function that is not published", func(t templates) {
			defaultBehavior(t)["LambdaFunctionAssociations"].([]any)[0].(object)["LambdaFunctionARN"] = object{"Fn::GetAtt": []any{"Gate3038665D", "Arn"}}
		}, "which is no published version of the templates"},
		{"code that is no asset", func(t templates) {
			properties(t.edge, "AWS::Lambda::Function", "Gate")["Code"].(object)["S3Key"] = "gone.zip"
		}, `function oncegate-gate has code "gone.zip"`},
		{"a foreign role", func(t templates) {
			properties(t.edge, "AWS::Lambda::Function", "Gate")["Role"] = "arn:aws:iam::111122223333:role/admin"
		}, "which is no role of the templates"},
		{"a second bucket", func(t templates) {
			t.bucket["Resources"].(object)["Other"] = object{"Type": "AWS::S3::Bucket", "Properties": object{"BucketName": "other"}}
		}, "bucket Other is neither output BucketName nor for access logs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := cfn.Read(broken(t, "plain", tt.change)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := cfn.Read(t.TempDir()); err == nil || !strings.Contains(err.Error(), "manifest.json") {
		t.Errorf("an empty directory: %v", err)
	}
}

// An evaluator of policies gets them as JSON: nothing may be lost on the way.
func TestPoliciesSurviveJSON(t *testing.T) {
	d, err := cfn.Read("testdata/full")
	if err != nil {
		t.Fatal(err)
	}
	documents := []cfn.PolicyDocument{d.Bucket.Policy.PolicyDocument}
	for _, role := range d.Roles {
		documents = append(documents, role.AssumeRolePolicyDocument, role.Policies[0].PolicyDocument)
	}
	for _, document := range documents {
		data, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		var again cfn.PolicyDocument
		if err := json.Unmarshal(data, &again); err != nil {
			t.Fatal(err)
		}
		if got, want := again.Lines(), document.Lines(); len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s\nreads as %q, was %q", data, got, want)
		}
		if strings.Contains(string(data), "null") {
			t.Errorf("%s has an empty element", data)
		}
	}
}
