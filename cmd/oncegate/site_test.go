package main

import (
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"oncegate/internal/local/s3server/s3servertest"
)

// settingsFile writes settings and returns the path.
func settingsFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "prod.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFindSite: which bucket is meant, and when that is not known.
func TestFindSite(t *testing.T) {
	clearAWS(t)
	t.Chdir(t.TempDir())
	write := func(text string) {
		if err := os.WriteFile("config.json", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(bucket, region, want string, known bool) {
		t.Helper()
		s, err := findSite("", bucket, region)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.bucket + " " + s.region; got != want || (s.conf != nil) != known || (s.bucket == "") != (s.missing != nil) {
			t.Errorf("%q, settings %v, missing %v, want %q", got, s.conf != nil, s.missing, want)
		}
	}
	check("a-bucket", "", "a-bucket us-east-1", false)
	check("a-bucket", "eu-west-1", "a-bucket eu-west-1", false)
	check("", "", " us-east-1", false)
	write(`{"bucket":"its-bucket","region":"eu-central-1"}`)
	check("", "", "its-bucket eu-central-1", true)
	check("", "eu-west-1", "its-bucket eu-west-1", true)
	check("a-bucket", "", "a-bucket us-east-1", true)
	t.Setenv("AWS_REGION", "eu-west-3")
	check("", "", "its-bucket eu-central-1", true)
	check("a-bucket", "", "a-bucket eu-west-3", true)
	// The settings of another bucket say nothing about this one.
	t.Setenv("ONCEGATE_BUCKET", "dev-bucket")
	check("", "", "dev-bucket eu-west-3", false)
	t.Setenv("ONCEGATE_BUCKET", "its-bucket")
	check("", "", "its-bucket eu-central-1", true)
	t.Setenv("ONCEGATE_BUCKET", "")
	// The placeholder is a bucket of somebody else's unless S3 is on this machine.
	write(`{"bucket":"oncegate-placeholder"}`)
	check("", "", " ", true)
	t.Setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9000")
	check("", "", "oncegate-placeholder us-east-1", true)
}

// TestFindIndex: the settings name the index, and $ONCEGATE_INDEX does where nobody named
// settings. Verbs act on no index that two name differently.
func TestFindIndex(t *testing.T) {
	const plain, table = `{"bucket":"its-bucket"}`, `{"bucket":"its-bucket","index":"dynamodb"}`
	for _, tt := range []struct {
		name                    string
		settings, here          string // of --config, and of config.json
		bucket, index           string // of the environment
		want, wrong             string
		unknown                 bool // the settings are
		endpoint, tableEndpoint string
	}{
		{name: "nothing says so", bucket: "its-bucket", want: "s3", unknown: true},
		{name: "config.json", here: table, want: "dynamodb"},
		{name: "--config", settings: table, here: plain, want: "dynamodb"},
		{name: "--config without it", settings: plain, here: table, want: "s3"},
		{name: "the environment", bucket: "its-bucket", index: "dynamodb", want: "dynamodb", unknown: true},
		{name: "the environment, and config.json of the same index", here: table, bucket: "its-bucket", index: "dynamodb", want: "dynamodb"},
		{name: "the environment before config.json", here: plain, bucket: "its-bucket", index: "dynamodb", want: "dynamodb", unknown: true},
		{name: "the environment before config.json, the other way", here: table, bucket: "its-bucket", index: "s3", want: "s3", unknown: true},
		{name: "config.json of another bucket", here: table, bucket: "other-bucket", want: "s3", unknown: true},
		{name: "the environment against --config", settings: plain, bucket: "its-bucket", index: "dynamodb", wrong: "names the index s3, and ONCEGATE_INDEX names dynamodb: nothing was done"},
		{name: "a wrong word", here: plain, index: "dynamo", wrong: `ONCEGATE_INDEX is "dynamo": allowed are s3 and dynamodb`},
		{name: "an endpoint alone", here: table, endpoint: "http://127.0.0.1:1", want: "dynamodb", wrong: "only one is set: nothing was done"},
		{name: "the table's endpoint alone", here: table, tableEndpoint: "http://127.0.0.1:1", want: "dynamodb", wrong: "only one is set: nothing was done"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clearAWS(t)
			t.Chdir(t.TempDir())
			for name, value := range map[string]string{
				"ONCEGATE_BUCKET": tt.bucket, "ONCEGATE_INDEX": tt.index, "AWS_ENDPOINT_URL_S3": tt.endpoint, "AWS_ENDPOINT_URL_DYNAMODB": tt.tableEndpoint,
			} {
				t.Setenv(name, value)
			}
			if tt.here != "" {
				if err := os.WriteFile("config.json", []byte(tt.here), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			path := ""
			if tt.settings != "" {
				path = settingsFile(t, tt.settings)
			}
			s, err := findSite(path, "", "")
			if err == nil && tt.wrong != "" {
				_, err = s.open(t.Context(), io.Discard)
			}
			switch {
			case tt.wrong != "":
				if err == nil || !strings.Contains(err.Error(), tt.wrong) {
					t.Errorf("%v, want %s", err, tt.wrong)
				}
			case err != nil:
				t.Error(err)
			case s.index != tt.want || (s.conf == nil) != tt.unknown:
				t.Errorf("index %s, settings %v", s.index, s.conf != nil)
			}
		})
	}
}

func TestSiteIsShown(t *testing.T) {
	for want, s := range map[string]site{
		"bucket b in eu-west-1 at https://b.s3.eu-west-1.amazonaws.com, index in table b-index":     {bucket: "b", region: "eu-west-1", index: "dynamodb"},
		"bucket b in eu-west-1 at http://127.0.0.1:9, index in table b-index at http://127.0.0.1:8": {bucket: "b", region: "eu-west-1", endpoint: "http://127.0.0.1:9", index: "dynamodb", tableEndpoint: "http://127.0.0.1:8"},
		"bucket b in eu-west-1 at https://b.s3.eu-west-1.amazonaws.com":                             {bucket: "b", region: "eu-west-1"},
		"bucket b in eu-west-1 at http://127.0.0.1:9000":                                            {bucket: "b", region: "eu-west-1", endpoint: "http://127.0.0.1:9000"},
		"bucket b in eu-west-1 at http://me:xxxxx@a.example":                                        {bucket: "b", region: "eu-west-1", endpoint: "http://me:secret@a.example"},
	} {
		if got := s.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// operatorVerbs are the verbs that act on a bucket, with arguments that are enough.
var operatorVerbs = map[string][]string{
	"status":        {"status", strings.Repeat("0", 64)},
	"list":          {"list"},
	"revoke":        {"revoke", strings.Repeat("0", 64)},
	"enable":        {"enable", strings.Repeat("0", 64)},
	"key create":    {"key", "create", "--label", "x"},
	"key list":      {"key", "list"},
	"key revoke":    {"key", "revoke", "x"},
	"invite":        {"invite", "--label", "x", "--uploads", "1", "https://upload.example.com"},
	"invite list":   {"invite", "list"},
	"invite show":   {"invite", "show", "x"},
	"invite revoke": {"invite", "revoke", "x"},
	"migrate":       {"migrate", "--to", "s3"},
	"replay":        {"replay", "accept"},
	"url --direct":  {"url", "--direct", "https://upload.example.com"},
	"verify":        {"verify", "http://127.0.0.1:1"},
}

// TestOperatorVerbsAreAllHere: a new verb of this group gets into the tests below.
func TestOperatorVerbsAreAllHere(t *testing.T) {
	for _, v := range verbs {
		listed := slices.ContainsFunc(slices.Collect(maps.Values(operatorVerbs)), func(args []string) bool { return args[0] == v.name })
		if v.group == operator && !listed {
			t.Errorf("%s is not tested for the bucket that it acts on", v.name)
		}
	}
}

// TestConfigAgainstEnvironment: after . build/dev/env the environment names the local
// bucket, its endpoint and its credentials. With the settings of another bucket no verb
// may act, on either.
func TestConfigAgainstEnvironment(t *testing.T) {
	clearAWS(t)
	server := s3servertest.New(t)
	t.Chdir(t.TempDir())
	t.Setenv("AWS_ENDPOINT_URL_S3", server.URL())
	t.Setenv("AWS_ENDPOINT_URL_SQS", server.URL())
	t.Setenv("AWS_ACCESS_KEY_ID", s3servertest.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s3servertest.SecretKey)
	t.Setenv("AWS_REGION", s3servertest.Region)
	t.Setenv("ONCEGATE_BUCKET", s3servertest.Bucket)
	prod := settingsFile(t, `{"bucket":"prod-bucket","acceptance":true}`)
	for verb, args := range operatorVerbs {
		out, err := runVerb(t, append(args, "--config", prod)...)
		if err == nil || !strings.Contains(err.Error(), "--config "+prod+" names the bucket prod-bucket, and ONCEGATE_BUCKET names "+s3servertest.Bucket) {
			t.Errorf("%s: %v", verb, err)
		}
		if h, ok := errors.AsType[*hintError](err); !ok || !strings.Contains(h.hint, "unset ONCEGATE_BUCKET AWS_ENDPOINT_URL_S3") {
			t.Errorf("%s: no hint in %v", verb, err)
		}
		if out != "" {
			t.Errorf("%s printed %q", verb, out)
		}
	}
	if _, err := runVerb(t, "key", "list"); err != nil {
		t.Fatal(err)
	}
	if out, err := runVerb(t, "key", "list"); err != nil || strings.Count(out, "\n") != 1 {
		t.Errorf("a key was made: %q, %v", out, err)
	}
}

// TestSiteIsSaid: every operator's verb says the bucket and the endpoint that it acts
// on, and acts there. Nothing listens at the endpoint.
func TestSiteIsSaid(t *testing.T) {
	clearAWS(t)
	t.Chdir(t.TempDir())
	const nowhere = "http://127.0.0.1:1"
	t.Setenv("AWS_ENDPOINT_URL_S3", nowhere)
	t.Setenv("AWS_ENDPOINT_URL_SQS", nowhere)
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", nowhere)
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "b")
	prod := settingsFile(t, `{"bucket":"prod-bucket","region":"eu-west-1","acceptance":true}`)
	for verb, args := range operatorVerbs {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			var out, errs strings.Builder
			err := run(t.Context(), append(args, "--config", prod), &out, &errs)
			want := "oncegate: bucket prod-bucket in eu-west-1 at " + nowhere + "\n"
			switch args[0] {
			case "migrate":
				want = "oncegate: from bucket prod-bucket in eu-west-1 at " + nowhere + ", index in table prod-bucket-index at " + nowhere + "\n"
			case "replay":
				want = "oncegate: bucket prod-bucket in eu-west-1; queue oncegate-accept-dead at " + nowhere + "\n"
			}
			first, _, _ := strings.Cut(errs.String(), "\n")
			if err == nil || first+"\n" != want {
				t.Errorf("%v, stderr %q, want %q first", err, errs.String(), want)
			}
		})
	}
}

// TestPlaceholder: settings that nobody has edited name the way to make dev's bucket.
func TestPlaceholder(t *testing.T) {
	clearAWS(t)
	t.Chdir(t.TempDir())
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "b")
	if err := os.WriteFile("config.json", []byte(`{"bucket":"oncegate-placeholder"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"key", "create", "--label", "x"}, {"list"}, {"replay", "accept"}} {
		_, err := runVerb(t, args...)
		if h, ok := errors.AsType[*hintError](err); !ok || h.hint != "for the bucket of make dev: . build/dev/env" || !strings.Contains(err.Error(), "placeholder") {
			t.Errorf("%v: %v", args, err)
		}
	}
}
