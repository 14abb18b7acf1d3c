package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oncegate/internal/evidence/testbed"
)

type object = testbed.Object

// TestBrokenTemplates plays templates that break one promise each: what the upload
// then gets, and that the log names the cause.
func TestBrokenTemplates(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*testbed.Templates)
		options []testbed.Option
		minted  bool
		status  int    // of the PUT
		reason  string // x-oncegate-reason of mint or PUT
		cause   string // in the log, or in the answer to the PUT
	}{
		{"mint may not write", func(t *testbed.Templates) { testbed.Without(t.RolePolicy("Mint"), "WriteValidEntries") }, nil,
			false, 0, "index-unavailable", "action=s3:PutObject resource=arn:aws:s3:::oncegate-test/signatures/valid/"},
		{"gate may not read", func(t *testbed.Templates) { testbed.Without(t.RolePolicy("Gate"), "ReadIndex") }, nil,
			true, 503, "index-unavailable", "action=s3:GetObject resource=arn:aws:s3:::oncegate-test/signatures/"},
		{"gate may not list", func(t *testbed.Templates) { testbed.Without(t.RolePolicy("Gate"), "TellAbsentEntries") }, nil,
			true, 503, "index-unavailable", "action=s3:ListBucket resource=arn:aws:s3:::oncegate-test "},
		{"gate may not claim", func(t *testbed.Templates) { testbed.Without(t.RolePolicy("Gate"), "WriteExpiredEntries") }, nil,
			true, 503, "claim-unknown", "action=s3:PutObject resource=arn:aws:s3:::oncegate-test/signatures/expired/"},
		{"gate may not store", func(t *testbed.Templates) { testbed.Without(t.RolePolicy("Gate"), "StoreUploads") }, nil,
			true, 403, "", "action=s3:PutObject resource=arn:aws:s3:::oncegate-test/uploads/"},
		{"gate may not list versions", func(t *testbed.Templates) { testbed.Without(t.RolePolicy("Gate"), "ListVersions") },
			[]testbed.Option{testbed.Listed}, true, 503, "claim-unknown", "action=s3:ListBucketVersions resource=arn:aws:s3:::oncegate-test "},
		{"the bucket denies", func(t *testbed.Templates) {
			p := t.BucketPolicy()
			p["Statement"] = append(p["Statement"].([]any), object{
				"Sid": "NotFromURLs", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::oncegate-test/uploads/*",
				"Condition": object{"StringEquals": object{"s3:authType": "REST-QUERY-STRING"}},
			})
		}, nil, true, 403, "", "denied by statement NotFromURLs of bucket policy"},
		{"the query is not forwarded", func(t *testbed.Templates) {
			t.AddRequestPolicy("origin")
			policy := t.Edge.Properties("AWS::CloudFront::OriginRequestPolicy", "")["OriginRequestPolicyConfig"].(object)
			policy["QueryStringsConfig"] = object{"QueryStringBehavior": "none"}
		}, nil, true, 403, "", "AccessDenied"},
		{"no gate", func(t *testbed.Templates) { delete(t.DefaultBehavior(), "LambdaFunctionAssociations") }, nil,
			true, 403, "", "InvalidAccessKeyId"},
		{"an origin access control", func(t *testbed.Templates) {
			t.Edge["Resources"].(object)["Control"] = object{
				"Type": "AWS::CloudFront::OriginAccessControl",
				"Properties": object{"OriginAccessControlConfig": object{
					"Name": "control", "OriginAccessControlOriginType": "s3", "SigningBehavior": "always", "SigningProtocol": "sigv4",
				}},
			}
			t.Origin()["OriginAccessControlId"] = object{"Fn::GetAtt": []any{"Control", "Id"}}
		}, nil, true, 400, "", "Only one auth mechanism allowed"},
		{"too little time", func(t *testbed.Templates) {
			t.Edge.Properties("AWS::Lambda::Function", "Gate")["Handler"] = "index.sleep"
		}, []testbed.Option{func(s *testbed.Setup) {
			s.Settings["timeout"] = 1
			s.Artifact = exporting("export const sleep = async () => new Promise(() => {});")
		}}, true, 503, "", "the function timed out"},
		{"too little memory", func(t *testbed.Templates) {
			t.Edge.Properties("AWS::Lambda::Function", "Gate")["Handler"] = "index.eat"
		}, []testbed.Option{func(s *testbed.Setup) {
			s.Settings["memory"] = 128
			s.Artifact = exporting("export const eat = async (e, c) => { globalThis.b = Buffer.alloc(100e6, 1); return gate(e, c); };")
		}}, true, 503, "", "the function ran out of memory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			st := testbed.New(t, append(c.options, func(s *testbed.Setup) { s.Template = c.change })...)
			var m testbed.Minted
			ask := func() testbed.Answer { return st.Do(t, http.MethodGet, st.Edge.URL()+"/url", nil, nil) }
			a := ask()
			if c.minted && a.Status != http.StatusOK {
				a = testbed.Patiently(ask)
			}
			if minted := a.Status == http.StatusOK; minted != c.minted {
				t.Fatalf("mint: %v", a)
			}
			if c.minted {
				m = testbed.ParseMinted(t, a.Body)
				a = st.Put(t, m, "x")
				if a.Status != c.status {
					t.Errorf("PUT: %v, want %d", a, c.status)
				}
				st.WantVersions(t, m.Key, 0)
			}
			if a.Reason() != c.reason {
				t.Errorf("reason %q, want %q", a.Reason(), c.reason)
			}
			if !strings.Contains(st.Log(), c.cause) && !strings.Contains(a.Body, c.cause) {
				t.Errorf("%q is neither in the answer %v nor in the log", c.cause, a)
			}
		})
	}
}

// TestWriteOnceNotForwarded: the gate signs a header that then does not arrive. S3's
// answer shows the client what was signed, which is why Check takes no policy but the
// managed one that forwards everything.
func TestWriteOnceNotForwarded(t *testing.T) {
	st := testbed.New(t, writeOnce, func(s *testbed.Setup) { s.Template = testbed.ForwardingLess("if-none-match") })
	m := st.Mint(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, m.URL, strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultTransport.RoundTrip(r) // not by the stack, which holds every answer to showing nothing
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusForbidden || !strings.Contains(string(body), "SignatureDoesNotMatch") {
		t.Errorf("%d %s, want 403 SignatureDoesNotMatch", response.StatusCode, body)
	}
	st.WantVersions(t, m.Key, 0)
}

// TestForwardedHeadersArrive: what the gate lets through is stored with the object. A
// policy that lists one header less shows here; the lenient table would hide some.
func TestForwardedHeadersArrive(t *testing.T) {
	headers := []string{"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type"}
	for _, missing := range append([]string{""}, headers...) {
		t.Run("without "+missing, func(t *testing.T) {
			t.Parallel()
			st := testbed.New(t, func(s *testbed.Setup) {
				if missing != "" {
					s.Template = testbed.ForwardingLess(strings.ToLower(missing))
				}
			})
			m := st.Mint(t)
			sent := http.Header{}
			for _, name := range headers {
				sent.Set(name, "x-"+strings.ToLower(name))
			}
			if a := st.Do(t, http.MethodPut, m.URL, sent, strings.NewReader("x")); a.Status != http.StatusOK {
				t.Fatal(a)
			}
			stored := st.StoredHeader(t, m.Key)
			for _, name := range headers {
				if arrived := stored.Get(name) == sent.Get(name); arrived == (name == missing) {
					t.Errorf("%s: stored %q, sent %q", name, stored.Get(name), sent.Get(name))
				}
			}
		})
	}
}

// TestSecurityHeaders: what the template's policy adds is on S3's answers.
func TestSecurityHeaders(t *testing.T) {
	st := testbed.New(t)
	m := st.Mint(t)
	a := st.Put(t, m, "x")
	if a.Header.Get("Strict-Transport-Security") != "max-age=31536000" || a.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", a.Header)
	}
}

// TestStartRefusesTemplates: the local edge refuses what it cannot play.
func TestStartRefusesTemplates(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*testbed.Templates)
		want   string
	}{
		"no versioning": {func(t *testbed.Templates) {
			delete(t.Bucket.Properties("AWS::S3::Bucket", ""), "VersioningConfiguration")
		}, "Bucket83908E77: VersioningConfiguration.Status"},
		"caching": {func(t *testbed.Templates) {
			t.DefaultBehavior()["CachePolicyId"] = "658327ea-f89d-4fab-a63d-7e88639e58f6"
		}, "DefaultCacheBehavior.CachePolicyId"},
		"a condition of the bucket policy": {func(t *testbed.Templates) {
			t.BucketPolicy()["Statement"].([]any)[0].(object)["Condition"] = object{"Bool": object{"aws:ViaAWSService": "true"}}
		}, "condition key aws:ViaAWSService"},
		"a property": {func(t *testbed.Templates) { t.Origin()["OriginShield"] = object{"Enabled": true} }, "OriginShield"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := testbed.Start(t, func(s *testbed.Setup) { s.Template = c.change }); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// exporting adds a line to index.mjs, whose handlers are in its scope.
func exporting(line string) func(dir string) error {
	return func(dir string) error {
		path := filepath.Join(dir, "index.mjs")
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, append(text, "\n"+line+"\n"...), 0o644)
	}
}
