package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server/s3servertest"
	"oncegate/internal/verify"
)

// clearAWS takes away what the environment of the test says of AWS.
func clearAWS(t *testing.T) {
	t.Helper()
	// The SDK looks for HOME only once, when the program begins.
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(home, ".aws/config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(home, ".aws/credentials"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for _, name := range []string{
		"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CREDENTIAL_EXPIRATION", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_SSO",
		"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SQS", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "ONCEGATE_BUCKET", "ONCEGATE_URL", "ONCEGATE_KEY", "ONCEGATE_TOKEN",
	} {
		t.Setenv(name, "")
	}
}

func TestVerify(t *testing.T) {
	clearAWS(t)
	st := testbed.New(t)

	out, err := runVerb(t, "verify", st.Edge.URL(), "--large-bytes", "1000")
	if err != nil || !strings.Contains(out, "\nok      first-put ") || !strings.Contains(out, "\nskipped registered ") {
		t.Errorf("without credentials: %v\n%s", err, out)
	}
	if !strings.Contains(out, " objects (--json lists them)\n") || strings.Contains(out, "signatures/expired/0") {
		t.Error("it does not say in short what it leaves in the bucket")
	}

	t.Setenv("AWS_ENDPOINT_URL_S3", st.S3.URL())
	t.Setenv("AWS_ACCESS_KEY_ID", s3servertest.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s3servertest.SecretKey)
	t.Setenv("AWS_REGION", s3servertest.Region)
	t.Setenv("ONCEGATE_BUCKET", s3servertest.Bucket)
	// A deployment whose URLs live for another time than these settings say.
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(`{"bucket":"`+s3servertest.Bucket+`","expires":60}`), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err = runVerb(t, "verify", "--json", "--config", path, st.Edge.URL())
	if !errors.Is(err, errFailed) {
		t.Errorf("a failed line: %v", err)
	}
	var report verify.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	if l := report.Lines[0]; report.OK || l.ID != "mint" || l.Result != verify.Fail || !strings.Contains(l.Expected, "1m0s") {
		t.Errorf("ok %v, first line %+v", report.OK, l)
	}
}

func TestVerifyArguments(t *testing.T) {
	clearAWS(t)
	t.Chdir(t.TempDir())
	for args, want := range map[string]string{
		"verify":                               "no URL given",
		"verify --json":                        "no URL given",
		"verify a.example":                     "allowed is http",
		"verify https://a.example b":           "unexpected argument",
		"verify https://a.example --frob":      "oncegate help verify",
		"verify https://a.example --config no": "no such file",
	} {
		status := 2
		if want == "no such file" {
			status = 1
		}
		if _, err := runVerb(t, strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) || exitStatus(err) != status {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}
