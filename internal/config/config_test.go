package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"oncegate/internal/config"
)

func TestParseFillsDefaults(t *testing.T) {
	got, err := config.Parse([]byte(` {"bucket": "my-bucket"} ` + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{
		Bucket:         "my-bucket",
		Region:         "us-east-1",
		Expires:        900 * time.Second,
		FirstVersion:   "conditional",
		Index:          config.IndexS3,
		Versioned:      true,
		AllowedOrigins: []string{},
		MaxExpires:     24 * time.Hour,
		MaxBytes:       5 << 30,
		MinBytes:       1,
		MaxCount:       10,
		Prefixes:       []string{},
		Tags:           []string{},
		StorageClass:   "STANDARD",
		Multipart:      true,
		Auth:           config.Auth{Kind: "none"},
		Page:           config.Page{On: true},
		Deploy:         defaults,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestParseTakesEveryField(t *testing.T) {
	got, err := config.Parse([]byte(`{
		"allowedOrigins": ["https://app.example.com", "http://localhost:5173", "http://[::1]:8080"],
		"maxBytes": 1048576, "minBytes": 0, "maxCount": 3, "prefixes": ["invoices", "teams/*", "*"], "tags": ["project", "Cost Center"], "storageClass": "GLACIER_IR", "sha256": true, "multipart": false,
		"firstVersion": "listed", "expires": 604800, "region": "eu-central-1", "bucket": "a-1"}`))
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{
		Bucket:         "a-1",
		Region:         "eu-central-1",
		Expires:        7 * 24 * time.Hour,
		FirstVersion:   "listed",
		Index:          config.IndexS3,
		Versioned:      true,
		AllowedOrigins: []string{"https://app.example.com", "http://localhost:5173", "http://[::1]:8080"},
		MaxExpires:     7 * 24 * time.Hour,
		MaxBytes:       1 << 20,
		MinBytes:       0,
		MaxCount:       3,
		Prefixes:       []string{"invoices", "teams/*", "*"},
		Tags:           []string{"project", "Cost Center"},
		StorageClass:   "GLACIER_IR",
		SHA256:         true,
		Auth:           config.Auth{Kind: "none"},
		Page:           config.Page{On: true},
		Deploy:         defaults,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestParseRefuses(t *testing.T) {
	const b = `"bucket": "abc"`
	for _, tt := range []struct {
		name, in string
		want     []string // all of them stand in the message
	}{
		{"empty", ``, []string{"document is empty"}},
		{"white space", " \n", []string{"document is empty"}},
		{"not an object", `[]`, []string{"not an object"}},
		{"null", `null`, []string{"not an object"}},
		{"half", `{` + b, []string{"not valid JSON at line 1, column 17: unexpected end"}},
		{"missing comma", "{" + b + "\n\"region\": \"us-east-1\"}", []string{"line 2, column 1", "comma", "missing"}},
		{"trailing comma", "{\"bucket\": \"äbc\",\n}", []string{"not valid JSON at line 1, column 17: trailing comma"}},
		{"comment", "{\n  // mine\n  " + b + `}`, []string{"line 2, column 3", "comments are not allowed"}},
		{"comment behind", `{` + b + `} # mine`, []string{"line 1, column 19", "comments are not allowed"}},
		{"single quotes", `{'bucket': "abc"}`, []string{"line 1, column 2", "double quotes"}},
		{"name without quotes", `{bucket: "abc"}`, []string{"line 1, column 2", "double quotes"}},
		{"two documents", `{` + b + `}{}`, []string{"line 1, column 18", "something follows"}},
		{"unknown field", `{` + b + `, "buckt": 1}`, []string{`unknown field "buckt" (did you mean "bucket"?)`, "allowed fields are bucket, region, expires"}},
		{"field in another case", `{` + b + `, "Region": "us-east-1"}`, []string{`unknown field "Region" (did you mean "region"?)`}},
		{"field twice", `{` + b + `, ` + b + `}`, []string{`field "bucket" is given twice`}},
		{"no bucket", `{}`, []string{"bucket is missing", "3 to 63"}},
		{"bucket null", `{"bucket": null}`, []string{"bucket is null"}},
		{"bucket number", `{"bucket": 12}`, []string{"bucket is 12"}},
		{"bucket empty", `{"bucket": ""}`, []string{`bucket is ""`}},
		{"bucket short", `{"bucket": "ab"}`, []string{`bucket is "ab"`}},
		{"bucket long", `{"bucket": "` + strings.Repeat("a", 64) + `"}`, []string{"3 to 63"}},
		{"bucket with a dot", `{"bucket": "a.b"}`, []string{`bucket is "a.b"`}},
		{"bucket upper case", `{"bucket": "Abc"}`, []string{`bucket is "Abc"`}},
		{"bucket hyphen first", `{"bucket": "-abc"}`, []string{"letter or digit at both ends"}},
		{"bucket hyphen last", `{"bucket": "abc-"}`, []string{"letter or digit at both ends"}},
		{"bucket underscore", `{"bucket": "a_bc"}`, []string{`bucket is "a_bc"`}},
		{"bucket prefix xn", `{"bucket": "xn--abc"}`, []string{"reserves"}},
		{"bucket prefix sthree", `{"bucket": "sthree-abc"}`, []string{"reserves"}},
		{"bucket prefix demo", `{"bucket": "amzn-s3-demo-abc"}`, []string{"reserves"}},
		{"bucket suffix alias", `{"bucket": "abc-s3alias"}`, []string{"reserves"}},
		{"bucket suffix ol", `{"bucket": "abc--ol-s3"}`, []string{"reserves"}},
		{"bucket suffix directory", `{"bucket": "abc--x-s3"}`, []string{"reserves"}},
		{"bucket suffix table", `{"bucket": "abc--table-s3"}`, []string{"reserves"}},
		{"bucket suffix account", `{"bucket": "abc-111122223333-us-east-1-an"}`, []string{"reserves"}},
		{"region shape", `{` + b + `, "region": "useast1"}`, []string{`region is "useast1"`, "us-east-1"}},
		{"region empty part", `{` + b + `, "region": "us--1"}`, []string{"region is"}},
		{"region zone", `{` + b + `, "region": "us-east-1a"}`, []string{"region is"}},
		{"region type", `{` + b + `, "region": ["us-east-1"]}`, []string{"region is"}},
		{"region host", `{` + b + `, "region": "us-east-1.evil"}`, []string{"region is"}},
		{"expires zero", `{` + b + `, "expires": 0}`, []string{"expires is 0", "from 1 to 604800"}},
		{"expires negative", `{` + b + `, "expires": -1}`, []string{"expires is -1"}},
		{"expires over seven days", `{` + b + `, "expires": 604801}`, []string{"expires is 604801"}},
		{"expires huge", `{` + b + `, "expires": 99999999999999999999}`, []string{"from 1 to 604800"}},
		{"expires fraction", `{` + b + `, "expires": 1.5}`, []string{"expires is 1.5"}},
		{"expires exponent", `{` + b + `, "expires": 9e2}`, []string{"expires is 9e2"}},
		{"expires text", `{` + b + `, "expires": "900"}`, []string{`expires is "900"`}},
		{"expires null", `{` + b + `, "expires": null}`, []string{"expires is null"}},
		{"more than a PUT without parts", `{` + b + `, "maxBytes": 5368709121, "multipart": false}`, []string{"maxBytes is more than one PUT holds", "multipart true"}},
		{"more than is copied, and copies", `{` + b + `, "maxBytes": 536870912001, "acceptance": true}`, []string{"maxBytes is more than acceptance can copy", "acceptance false"}},
		{"minBytes negative", `{` + b + `, "minBytes": -1}`, []string{"minBytes is -1", "from 0 to 5368709120000"}},
		{"minBytes over maxBytes", `{` + b + `, "maxBytes": 5, "minBytes": 6}`, []string{"minBytes is larger than maxBytes"}},
		{"firstVersion other", `{` + b + `, "firstVersion": "List"}`, []string{`firstVersion is "List"`, `"conditional" or "listed"`}},
		{"firstVersion null", `{` + b + `, "firstVersion": null}`, []string{"firstVersion is null"}},
		{"index other", `{` + b + `, "index": "redis"}`, []string{`index is "redis"`, `"s3" or "dynamodb"`}},
		{"listed claims in a table", `{` + b + `, "index": "dynamodb", "firstVersion": "listed"}`, []string{"a claim in a table has no versions", `index "s3"`}},
		{"no versions with the index in the bucket", `{` + b + `, "versioned": false}`, []string{"versioned is false", `index "dynamodb"`}},
		{"no versions to accept", `{` + b + `, "index": "dynamodb", "versioned": false, "acceptance": true}`, []string{"versioned is false", "acceptance false"}},
		{"origins not a list", `{` + b + `, "allowedOrigins": "*"}`, []string{`allowedOrigins is "*"`, "list"}},
		{"origins null", `{` + b + `, "allowedOrigins": null}`, []string{"allowedOrigins is null"}},
		{"origins null item", `{` + b + `, "allowedOrigins": [null]}`, []string{"it has null"}},
		{"origins star and more", `{` + b + `, "allowedOrigins": ["*", "https://a"]}`, []string{`"*" beside`}},
		{"origins twice", `{` + b + `, "allowedOrigins": ["https://a", "https://a"]}`, []string{"twice"}},
		{"origin path", `{` + b + `, "allowedOrigins": ["https://a/"]}`, []string{`has "https://a/"`}},
		{"origin upper case", `{` + b + `, "allowedOrigins": ["https://A"]}`, []string{`has "https://A"`}},
		{"origin no scheme", `{` + b + `, "allowedOrigins": ["a.example"]}`, []string{"scheme://host"}},
		{"origin null text", `{` + b + `, "allowedOrigins": ["null"]}`, []string{"scheme://host"}},
		{"origin user", `{` + b + `, "allowedOrigins": ["https://u@a"]}`, []string{"scheme://host"}},
		{"origin default port", `{` + b + `, "allowedOrigins": ["https://a:443"]}`, []string{"scheme://host"}},
		{"origin port range", `{` + b + `, "allowedOrigins": ["https://a:65536"]}`, []string{"scheme://host"}},
		{"origin port empty", `{` + b + `, "allowedOrigins": ["https://a:"]}`, []string{"scheme://host"}},
		{"origin wildcard label", `{` + b + `, "allowedOrigins": ["https://*.a"]}`, []string{"scheme://host"}},
		{"origin line break", `{` + b + `, "allowedOrigins": ["https://a\r\nx"]}`, []string{"scheme://host"}},
		{"prefixes not a list", `{` + b + `, "prefixes": "a"}`, []string{`prefixes is "a"`, "a list of up to 50 prefixes"}},
		{"prefixes null", `{` + b + `, "prefixes": null}`, []string{"prefixes is null"}},
		{"prefix that is none", `{` + b + `, "prefixes": ["a/"]}`, []string{`it has "a/"`, "1 to 64 of a-z"}},
		{"prefix that leads out", `{` + b + `, "prefixes": ["../signatures"]}`, []string{`it has "../signatures"`}},
		{"prefix with a star within", `{` + b + `, "prefixes": ["a/*/b"]}`, []string{`it has "a/*/b"`}},
		{"prefix number", `{` + b + `, "prefixes": [1]}`, []string{`it has 1`}},
		{"prefix twice", `{` + b + `, "prefixes": ["a", "a"]}`, []string{`it has "a" twice`}},
		{"tags not a list", `{` + b + `, "tags": "a"}`, []string{`tags is "a"`, "a list of up to 50 keys of tags"}},
		{"tag with a value", `{` + b + `, "tags": ["a", "b=c", "d&e"]}`, []string{`it has "d&e"`, "1 to 128 letters, digits"}},
		{"tag of AWS", `{` + b + `, "tags": ["aws:x"]}`, []string{`it has "aws:x"`, "not beginning with aws: or oncegate"}},
		{"tag of acceptance", `{` + b + `, "tags": ["oncegate"]}`, []string{`it has "oncegate"`}},
		{"a class that cannot be read at once", `{` + b + `, "storageClass": "GLACIER"}`, []string{`storageClass is "GLACIER"`, `"STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING" or "GLACIER_IR"`}},
		{"a class in another case", `{` + b + `, "storageClass": "standard_ia"}`, []string{`storageClass is "standard_ia"`}},
		{"no class", `{` + b + `, "storageClass": ""}`, []string{`storageClass is ""`}},
		{"tag twice", `{` + b + `, "tags": ["a", "a"]}`, []string{`it has "a" twice`}},
		{"many prefixes", `{` + b + `, "prefixes": [` + strings.Repeat(`"a",`, 50) + `"b"]}`, []string{"up to 50"}},
		{"several at once", `{"bucket": "A", "expires": 0, "colour": 1}`, []string{"bucket is", "expires is", `unknown field "colour"; allowed fields are`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := config.Parse([]byte(tt.in))
			if err == nil {
				t.Fatalf("accepted as %+v", got)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("error %q is more than one line", err)
			}
		})
	}
}

func TestParseTakesStarAlone(t *testing.T) {
	c, err := config.Parse([]byte(`{"bucket": "abc", "allowedOrigins": ["*"]}`))
	if err != nil || len(c.AllowedOrigins) != 1 || c.AllowedOrigins[0] != "*" {
		t.Errorf("got %v, %v", c.AllowedOrigins, err)
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.json")
	if err := os.WriteFile(path, []byte(`{"bucket": "no.dots"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(path); err == nil || !strings.Contains(err.Error(), path+": bucket is") {
		t.Errorf("got %v", err)
	}
	if _, err := config.Load(path + ".absent"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want os.ErrNotExist", err)
	}
}

func TestPlaceholderIsForOneMachineOnly(t *testing.T) {
	c, err := config.Parse([]byte(`{"bucket": "` + config.PlaceholderBucket + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Deployable(); !errors.Is(err, config.ErrPlaceholder) {
		t.Errorf("the placeholder would be deployed: %v", err)
	}
	c.Bucket = "a-chosen-one"
	if err := c.Deployable(); err != nil {
		t.Errorf("a chosen bucket is refused: %v", err)
	}
}

func TestExistingBucket(t *testing.T) {
	c, err := config.Parse([]byte(`{"bucket": "theirs", "existingBucket": true, "kmsKey": "aws/s3"}`))
	if err != nil || c.Deploy.KMSKey != config.AWSManagedKey {
		t.Fatalf("%+v, %v", c.Deploy, err)
	}
	if err := c.Deployable(); err != nil {
		t.Errorf("it is refused: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `{"bucket":"abc"}`, `{"bucket":"abc","bucket":"abd"}`,
		`{"bucket":"abc","region":"us-gov-west-1","expires":1,"firstVersion":"listed","allowedOrigins":["*"]}`,
		`{"bucket":"abc","allowedOrigins":["http://[::1]:8080","https://a.b"]}`,
		`{"bucket":"abc","auth":"api-key"}`, `{"bucket":"abc","auth":{"jwt":{"issuer":"https://i","audience":"a","jwks":"https://i/k"}}}`,
		`{"bucket":"abc","auth":{"jwt":{"issuer":"i","audience":"a","jwks":"https://i/k","boundsClaim":"https://i/bounds"}}}`,
		`{"bucket":"\u0061bc"}`, "{\"bucket\":\"a\xffc\"}", `{"bucket":"abc"}x`, `{"expires":1e400}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse(data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("error %q is more than one line", err)
			}
			return
		}
		if strings.ContainsAny(c.Bucket, "./:%?#@ ") || len(c.Bucket) < 3 {
			t.Errorf("bucket %q is no host label", c.Bucket)
		}
		if strings.ContainsAny(c.Region, "./:%?#@ ") || strings.Count(c.Region, "-") < 2 {
			t.Errorf("region %q is no host label", c.Region)
		}
		if c.Expires < time.Second || c.Expires > config.MaxExpires || c.Expires%time.Second != 0 {
			t.Errorf("expires %v is out of range", c.Expires)
		}
		if c.FirstVersion != config.Conditional && c.FirstVersion != config.Listed {
			t.Errorf("first version %q", c.FirstVersion)
		}
		for _, o := range c.AllowedOrigins {
			if o == "*" && len(c.AllowedOrigins) == 1 {
				continue
			}
			if scheme, host, ok := strings.Cut(o, "://"); !ok || scheme == "" || host == "" || strings.ContainsAny(host, "/?#@ \r\n") {
				t.Errorf("origin %q", o)
			}
		}
	})
}

// TestStorageClass: with acceptance the copy is what stays, so only the copy is in the class.
func TestStorageClass(t *testing.T) {
	for _, c := range []struct{ settings, upload, copied string }{
		{``, "", ""},
		{`, "acceptance": true`, "", ""},
		{`, "storageClass": "STANDARD"`, "", ""},
		{`, "storageClass": "STANDARD_IA"`, "STANDARD_IA", "STANDARD_IA"},
		{`, "storageClass": "INTELLIGENT_TIERING", "acceptance": true`, "", "INTELLIGENT_TIERING"},
	} {
		got, err := config.Parse([]byte(`{"bucket": "abc"` + c.settings + `}`))
		if err != nil || got.UploadClass() != c.upload || got.CopyClass() != c.copied {
			t.Errorf("%s: uploads %q, copies %q, %v, want %q and %q", c.settings, got.UploadClass(), got.CopyClass(), err, c.upload, c.copied)
		}
	}
}
